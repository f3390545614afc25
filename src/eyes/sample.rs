//! What the done records of a phase say, from a sample spread evenly over it: so a look costs the same whatever the number of tasks.

use crate::data::Counters;
use crate::disk::Disk;
use crate::engine::counters::{BYTES_IN, OUTPUT_BYTES, PAIRS_IN, RECORDS_IN, SHUFFLE_BYTES};
use crate::ids::{ClaimName, Phase};
use crate::job::outputs;
use crate::job::snapshot::Snapshot;

/// Most done records read of one phase.
const RECORDS_MAX: usize = 200;

/// The sampled records, added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Tasks of the phase that are done.
    pub done: u64,
    /// Of each sampled record how many tasks it is of, and how long they took together from claim to commit, in milliseconds.
    pub times: Vec<(u32, u64)>,
    pub counters: Counters,
}

impl Sample {
    /// Of one phase.
    pub(super) fn read(disk: &dyn Disk, snapshot: &Snapshot, phase: Phase) -> Sample {
        let done: Vec<&ClaimName> = snapshot.blocks_of(phase).filter_map(|(_, view)| view.done.first()).collect();
        let step = done.len().div_ceil(RECORDS_MAX).max(1);
        let n_tasks = |claim: &ClaimName| claim.attempt.block().n_tasks();
        let mut sample = Sample { done: done.iter().map(|claim| u64::from(n_tasks(claim))).sum(), ..Sample::default() };
        for claim in done.into_iter().step_by(step) {
            if let Some((made, elapsed_ms)) = outputs::done_record(disk, claim).ok().flatten() {
                sample.add((n_tasks(claim), elapsed_ms), &made.counters);
            }
        }
        sample
    }

    /// Adds one record.
    pub(super) fn add(&mut self, time: (u32, u64), counters: &Counters) {
        self.times.push(time);
        for (name, n) in counters {
            let sum = self.counters.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*n);
        }
    }

    /// How long the sampled tasks took together.
    pub(super) fn worked_ms(&self) -> u64 {
        self.times.iter().fold(0, |sum, (_, time)| sum.saturating_add(*time))
    }

    /// How many tasks were sampled.
    pub(super) fn n_tasks(&self) -> u64 {
        self.times.iter().map(|(tasks, _)| u64::from(*tasks)).sum()
    }

    /// What a task took, in milliseconds: as many records tell of longer ones as of shorter.
    pub(super) fn median_ms(&self) -> Option<f64> {
        let mut times: Vec<f64> = self.times.iter().map(|(tasks, ms)| *ms as f64 / f64::from(*tasks)).collect();
        times.sort_unstable_by(f64::total_cmp);
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
        let each = sum as f64 / self.n_tasks().max(1) as f64;
        Some(if self.n_tasks() == self.done { sum } else { (each * self.done as f64) as u64 })
    }
}

/// What went through the job so far.
pub(super) fn data(map: &Sample, reduce: &Sample) -> super::status::Data {
    super::status::Data {
        estimated: map.n_tasks() < map.done || reduce.n_tasks() < reduce.done,
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
            sample.add((1, n), &Counters::from([(BYTES_IN.to_owned(), n * 10)]));
        }
        assert_eq!((sample.median_ms(), sample.worked_ms(), sample.bytes(), sample.records()), (Some(2.0), 12, Some(120), None));
        assert_eq!(sample.estimate(BYTES_IN), Some(400));
        sample.done = 3;
        assert_eq!(sample.estimate(BYTES_IN), Some(120), "all of them: no estimate");
        sample.add((97, 97), &Counters::from([(BYTES_IN.to_owned(), 380)]));
        sample.done = 200;
        assert_eq!(
            (sample.median_ms(), sample.n_tasks(), sample.estimate(BYTES_IN)),
            (Some(2.0), 100, Some(1000)),
            "tasks that share a file"
        );
    }
}
