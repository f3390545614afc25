//! Whose clock a time is by, and how far each machine's is off the server's. Pure.

use std::collections::BTreeMap;

/// Less than this is the mount's own delay.
const OFF_MS_MIN: i64 = 100;
/// If the samples of one machine lie farther apart than this, the stamps say nothing of clocks: the job was copied, say.
const SPREAD_MS_MAX: i64 = 1000;

/// One difference: a machine wrote this time, the server stamped that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub host: String,
    pub written: i64,
    pub stamped: i64,
}

/// What is to be added to the times of each machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clocks {
    /// In milliseconds, by host; of those whose clock is off.
    pub off: BTreeMap<String, i64>,
    usable: bool,
}

impl Clocks {
    pub(super) fn of(samples: &[Sample]) -> Clocks {
        let mut differences: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for sample in samples {
            differences.entry(&sample.host).or_default().push(sample.stamped.saturating_sub(sample.written));
        }
        let mut off = BTreeMap::new();
        for (host, mut of) in differences {
            of.sort_unstable();
            // Without the outermost quarters: a single file may have been touched later.
            let quarter = of.len() / 4;
            let middle = &of[quarter..of.len() - quarter];
            if middle[middle.len() - 1] - middle[0] > SPREAD_MS_MAX {
                return Clocks::default();
            }
            let median = of[of.len() / 2];
            if median.abs() >= OFF_MS_MIN {
                off.insert(host.to_owned(), median);
            }
        }
        Clocks { off, usable: !samples.is_empty() }
    }

    /// True if times are told by the server's clock; else as they were written.
    pub fn are_the_servers(&self) -> bool {
        self.usable
    }

    /// A time that `host` wrote.
    pub fn told(&self, host: &str, at: i64) -> i64 {
        at.saturating_add(self.off.get(host).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(host: &str, differences: &[i64]) -> Vec<Sample> {
        (0..).zip(differences).map(|(n, off)| Sample { host: host.to_owned(), written: n * 1000, stamped: n * 1000 + off }).collect()
    }

    #[test]
    fn a_clock_that_is_off_is_put_right_and_a_mounts_delay_is_not() {
        let all = [samples("ahead", &[-60_000, -60_003, -59_998, 5]), samples("right", &[4, 8, 12])].concat();
        let clocks = Clocks::of(&all);
        assert_eq!((clocks.told("ahead", 100_000), clocks.told("right", 7), clocks.told("unknown", 7)), (40_002, 7, 7));
        assert!(clocks.are_the_servers());
    }

    #[test]
    fn the_stamps_of_a_copied_job_put_nothing_right() {
        let clocks = Clocks::of(&samples("a", &[900_000, 800_000, 700_000, 600_000, 500_000]));
        assert!(!clocks.are_the_servers() && clocks.off.is_empty());
        assert!(!Clocks::of(&[]).are_the_servers());
    }
}
