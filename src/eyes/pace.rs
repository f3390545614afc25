//! How quickly the phase that runs goes on, and how long it has to go: a pure function of a sample and of who works.

use super::sample::Sample;
use super::status::{Pace, Tasks};

/// With less work than this sampled, in milliseconds, nobody can tell a rate from it.
const RATE_MS_MIN: u64 = 1000;

/// From the sample of a phase, its tasks by state, how many claims there are, and for how long those have run of which that is known.
pub(super) fn pace_of(sample: &Sample, now: &Tasks, n_claims: usize, running_ms: &[u64]) -> Option<Pace> {
    let (worked_ms, n_tasks) = (sample.worked_ms(), sample.n_tasks());
    let mean_task_ms = worked_ms.checked_div(n_tasks)?;
    let median = sample.median_ms()?;
    let hands = (n_claims > 0 && worked_ms >= RATE_MS_MIN).then_some(n_claims as f64);
    // What the sampled tasks did in a second of theirs, so many work at a time.
    let per_second = |n: u64| hands.map(|hands| (hands * n as f64 * 1000.0 / worked_ms as f64 * 10.0).round() / 10.0);
    let left_ms = left_ms(median, now, n_claims, running_ms);
    Some(Pace {
        sampled: sample.times.len(),
        mean_task_ms,
        median_task_ms: median.round() as u64,
        tasks_per_second: per_second(n_tasks),
        bytes_per_second: sample.bytes().and_then(per_second),
        records_per_second: sample.records().and_then(per_second),
        eta_ms: hands.map(|hands| (left_ms / hands) as u64),
    })
}

/// The work that is left, as long as tasks take the median.
fn left_ms(median: f64, now: &Tasks, n_claims: usize, running_ms: &[u64]) -> f64 {
    let untouched = (now.waiting + now.pending) as f64 * median;
    // Claims of several tasks take so many times as long; how many each has is not asked.
    let of_claim = median * now.claimed as f64 / n_claims.max(1) as f64;
    // One that has run longer than others did will not be done at once all the same: a quarter of its time may be left.
    let begun: f64 = running_ms.iter().take(n_claims).map(|run| (of_claim - *run as f64).max(*run as f64 / 4.0)).sum();
    // Of the others nothing is known: they are half done, on average.
    let unknown = n_claims.saturating_sub(running_ms.len()) as f64 * of_claim / 2.0;
    untouched + begun + unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Counters;

    fn sample(times: &[u64]) -> Sample {
        let mut sample = Sample { done: times.len() as u64, ..Sample::default() };
        times.iter().for_each(|time| sample.add((1, *time), &Counters::from([("records in".to_owned(), 5)])));
        sample
    }

    #[test]
    fn a_rate_is_told_only_from_a_second_of_work() {
        let now = Tasks { total: 100, pending: 90, claimed: 4, done: 6, ..Tasks::default() };
        let pace = pace_of(&sample(&[0, 0, 0, 0, 0, 30]), &now, 4, &[]).expect("some are done");
        assert_eq!(
            (pace.sampled, pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms),
            (6, 5, None, None),
            "nobody knows what the next will take"
        );
        let pace = pace_of(&sample(&[200; 6]), &now, 4, &[]).expect("some are done");
        assert_eq!((pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms), (200, Some(20.0), Some(4600)));
        assert_eq!((pace.records_per_second, pace.bytes_per_second), (Some(100.0), None), "what the records do not say is not told");
        assert!(
            pace_of(&sample(&[200; 6]), &Tasks { claimed: 0, ..now }, 0, &[]).is_some_and(|pace| pace.tasks_per_second.is_none()),
            "nobody works"
        );
        assert!(pace_of(&sample(&[]), &now, 4, &[]).is_none());
    }

    #[test]
    fn tasks_that_share_a_file_share_its_time() {
        let mut sample = Sample { done: 4000, ..Sample::default() };
        [(1000, 500), (3000, 1500)].into_iter().for_each(|time| sample.add(time, &Counters::new()));
        let now = Tasks { total: 12_000, waiting: 4000, claimed: 4000, done: 4000, ..Tasks::default() };
        let pace = pace_of(&sample, &now, 2, &[]).expect("some are done");
        assert_eq!(
            (pace.sampled, pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms),
            (2, 0, Some(4000.0), Some(1500)),
            "half a millisecond each"
        );
    }

    #[test]
    fn the_time_left_follows_the_median_and_knows_how_long_the_claims_have_run() {
        let now = Tasks { total: 14, pending: 0, claimed: 2, done: 12, ..Tasks::default() };
        let times = [1000, 1000, 1000, 60_000];
        let eta = |running: &[u64]| pace_of(&sample(&times), &now, 2, running).and_then(|pace| pace.eta_ms);
        assert_eq!(eta(&[]), Some(500), "half done, on average; the one that took a minute does not count");
        assert_eq!(eta(&[400, 100]), Some(750), "what is left of a median");
        assert_eq!(eta(&[60_000, 40_000]), Some(12_500), "longer than others already: a quarter of it again");
    }
}
