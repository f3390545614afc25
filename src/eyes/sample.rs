//! What the done records of a phase say, from a sample spread evenly over it: so a look costs the same whatever the number of tasks.

use crate::data::Counters;
use crate::disk::Disk;
use crate::engine::counters::{BYTES_IN, OUTPUT_BYTES, PAIRS_IN, RECORDS_IN, SHUFFLE_BYTES};
use crate::ids::ClaimName;
use crate::job::outputs;
use crate::job::snapshot::TaskView;

/// Most done records read of one phase.
const RECORDS_MAX: usize = 200;

/// The sampled records, added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Tasks of the phase that are done.
    pub done: usize,
    /// How long the sampled ones took from claim to commit, in milliseconds.
    pub times_ms: Vec<u64>,
    pub counters: Counters,
}

impl Sample {
    /// Of one phase.
    pub(super) fn read(disk: &dyn Disk, views: &[TaskView]) -> Sample {
        let done: Vec<&ClaimName> = views.iter().filter_map(|view| view.done.first()).collect();
        let step = done.len().div_ceil(RECORDS_MAX).max(1);
        let mut sample = Sample { done: done.len(), ..Sample::default() };
        for (made, elapsed_ms) in done.iter().step_by(step).filter_map(|claim| outputs::done_record(disk, claim).ok().flatten()) {
            sample.add(elapsed_ms, &made.counters);
        }
        sample
    }

    /// Adds one record.
    pub(super) fn add(&mut self, elapsed_ms: u64, counters: &Counters) {
        self.times_ms.push(elapsed_ms);
        for (name, n) in counters {
            let sum = self.counters.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*n);
        }
    }

    /// How long the sampled tasks took together.
    pub(super) fn worked_ms(&self) -> u64 {
        self.times_ms.iter().fold(0, |sum, time| sum.saturating_add(*time))
    }

    /// As many were longer as were shorter.
    pub(super) fn median_ms(&self) -> Option<u64> {
        let mut times = self.times_ms.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    /// What the sampled tasks read, in bytes; `None` where their records do not say.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.counters.get(BYTES_IN).or_else(|| self.counters.get(OUTPUT_BYTES)).copied()
    }

    /// The records or pairs that the sampled tasks read.
    pub(super) fn records(&self) -> Option<u64> {
        self.counters.get(RECORDS_IN).or_else(|| self.counters.get(PAIRS_IN)).copied()
    }

    /// A counter of all done tasks, where those sampled stand for the others.
    pub(super) fn estimate(&self, counter: &str) -> Option<u64> {
        let sum = *self.counters.get(counter)?;
        let each = sum as f64 / self.times_ms.len().max(1) as f64;
        Some(if self.times_ms.len() == self.done { sum } else { (each * self.done as f64) as u64 })
    }
}

/// What went through the job so far.
pub(super) fn data(map: &Sample, reduce: &Sample) -> super::status::Data {
    super::status::Data {
        estimated: map.times_ms.len() < map.done || reduce.times_ms.len() < reduce.done,
        records_in: map.estimate(RECORDS_IN),
        bytes_in: map.estimate(BYTES_IN),
        shuffle_bytes: map.estimate(SHUFFLE_BYTES),
        output_bytes: reduce.estimate(OUTPUT_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stands_for_all_that_are_done() {
        let mut sample = Sample { done: 10, ..Sample::default() };
        assert_eq!((sample.median_ms(), sample.estimate(BYTES_IN)), (None, None));
        for n in [1, 2, 9] {
            sample.add(n, &Counters::from([(BYTES_IN.to_owned(), n * 10)]));
        }
        assert_eq!((sample.median_ms(), sample.worked_ms(), sample.bytes(), sample.records()), (Some(2), 12, Some(120), None));
        assert_eq!(sample.estimate(BYTES_IN), Some(400));
        sample.done = 3;
        assert_eq!(sample.estimate(BYTES_IN), Some(120), "all of them: no estimate");
    }
}
