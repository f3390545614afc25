//! What is drawn, as a value: the last look, and how quickly tasks were done from look to look.

use std::collections::VecDeque;
use std::time::Duration;

use crate::eyes::farm::FarmStatus;
use crate::eyes::status::Status;

/// Rates kept.
const RATES_MAX: usize = 240;

/// What was looked at.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    /// A job.
    Job(Box<Status>),
    /// A farm.
    Farm(FarmStatus),
}

/// All that a frame shows.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    /// The last good look.
    pub seen: Option<Seen>,
    /// Why a later one failed.
    pub trouble: Option<String>,
    /// Tasks done in each time between two looks, per ten seconds, oldest first.
    pub rates: Vec<u64>,
    /// How long the last look took.
    pub took: Duration,
}

impl View {
    /// How many rows can be chosen: the jobs of a farm.
    pub(super) fn rows(&self) -> usize {
        match &self.seen {
            Some(Seen::Farm(farm)) => farm.jobs.len(),
            Some(Seen::Job(_)) | None => 0,
        }
    }

    /// The name of the job in such a row of a farm.
    pub(super) fn job_at(&self, row: usize) -> Option<&str> {
        match &self.seen {
            Some(Seen::Farm(farm)) => farm.jobs.get(row).map(|job| job.job.as_str()),
            Some(Seen::Job(_)) | None => None,
        }
    }
}

/// Rates from look to look.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// Of which job, when, and how many tasks were done.
    last: Option<(String, Duration, usize)>,
    rates: VecDeque<u64>,
}

impl Rates {
    /// Takes a look into account that was made at `at`, and tells all rates.
    pub(super) fn add(&mut self, seen: &Seen, at: Duration) -> Vec<u64> {
        let (id, done) = match seen {
            Seen::Job(status) => (status.id.clone(), status.map.done + status.reduce.done),
            Seen::Farm(farm) => (farm.farm.clone(), farm.jobs.iter().map(|job| job.done).sum()),
        };
        match &self.last {
            Some((of, then, before)) if *of == id => {
                let ms = u64::try_from(at.saturating_sub(*then).as_millis()).unwrap_or(u64::MAX).max(1);
                // A result taken back is no progress backwards worth a picture.
                self.rates.push_back(done.saturating_sub(*before) as u64 * 10_000 / ms);
                self.rates.drain(..self.rates.len().saturating_sub(RATES_MAX));
            }
            Some(_) | None => self.rates.clear(),
        }
        self.last = Some((id, at, done));
        self.rates.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eyes::status::Tasks;

    #[test]
    fn rates_are_those_between_two_looks_at_one_job() {
        let seen = |id: &str, done| {
            Seen::Job(Box::new(Status { id: id.to_owned(), map: Tasks { done, ..Tasks::default() }, ..Status::default() }))
        };
        let mut rates = Rates::default();
        assert_eq!(rates.add(&seen("a", 5), Duration::from_secs(1)), [0; 0]);
        assert_eq!(rates.add(&seen("a", 7), Duration::from_secs(2)), [20]);
        assert_eq!(rates.add(&seen("a", 6), Duration::from_secs(4)), [20, 0], "a retracted result");
        assert_eq!(rates.add(&seen("b", 9), Duration::from_secs(5)), [0; 0], "another job");
        for n in 0..1000 {
            rates.add(&seen("b", 9), Duration::from_secs(6 + n));
        }
        assert_eq!(rates.add(&seen("b", 9), Duration::from_secs(2000)).len(), RATES_MAX);
    }
}
