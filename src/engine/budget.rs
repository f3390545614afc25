//! How much memory and how many open files an attempt may use.

use rustix::process::{Resource, getrlimit};

use super::run::Stream;

/// Open files left to everything that is no merge input.
const FILES_LEFT: usize = 64;
/// Fewest streams that can be merged at all.
const FAN_IN_MIN: usize = 2;

/// The limits of one attempt. What it needs beside them (buffers of the input, of one output and of blocks) stays within 64 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// For pairs before they are spilled, or for buffers of merge inputs, in bytes.
    pub memory: usize,
    /// Most files that are merged at once, at least 2.
    pub fan_in: usize,
}

impl Budget {
    /// The budget of so much memory under this process's limit of open files.
    pub fn new(memory_bytes: u64) -> Budget {
        let memory = memory_bytes.min(super::order::PLACES / 2) as usize;
        let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize);
        let fan_in = files.saturating_sub(FILES_LEFT).min(memory / 2 / Stream::BYTES);
        Budget { memory, fan_in: fan_in.max(FAN_IN_MIN) }
    }
}

/// Which neighbours of `n` sorted runs to merge, so that after as few such passes as possible at most `fan_in` are left: groups in order, of one to
/// `fan_in` runs; those of one stay as they are.
pub(super) fn groups(n: usize, fan_in: usize) -> Vec<std::ops::Range<usize>> {
    let fan_in = fan_in.max(FAN_IN_MIN);
    let (mut from, mut excess) = (0, n.saturating_sub(fan_in));
    let mut groups = Vec::new();
    while from < n {
        let size = fan_in.min(excess + 1).min(n - from);
        groups.push(from..from + size);
        excess -= size - 1;
        from += size;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_the_runs_in_order_and_leave_what_can_be_merged_at_once() {
        for n in 0..60 {
            for fan_in in 2..8 {
                let (mut left, mut passes) = (n, 0);
                while left > fan_in {
                    let groups = groups(left, fan_in);
                    let all: Vec<usize> = groups.iter().cloned().flatten().collect();
                    assert_eq!(all, (0..left).collect::<Vec<_>>(), "{n} by {fan_in}");
                    assert!(groups.iter().all(|group| (1..=fan_in).contains(&group.len())), "{n} by {fan_in}: {groups:?}");
                    (left, passes) = (groups.len(), passes + 1);
                }
                let ways = (1u32..).find(|&passes| fan_in.pow(passes) >= n).expect("there is one");
                assert!(passes < ways.max(1) || n == 0, "{n} by {fan_in}: {passes} passes before the last");
            }
        }
        assert_eq!(groups(10, 9), [0..2, 2..3, 3..4, 4..5, 5..6, 6..7, 7..8, 8..9, 9..10], "no more is merged than needed");
    }

    #[test]
    fn the_fan_in_keeps_to_both_limits() {
        assert_eq!(Budget::new(0).fan_in, 2);
        let files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |files| files as usize);
        let wide = Budget::new(1 << 40).fan_in;
        assert!(wide + FILES_LEFT <= files.max(FAN_IN_MIN + FILES_LEFT), "{wide} of {files}");
        assert_eq!(Budget::new((20 * Stream::BYTES) as u64).fan_in, 10.min(wide));
    }
}
