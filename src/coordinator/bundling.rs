//! How many map tasks share one file: pure arithmetic. It decides speed alone; whatever comes out of it, and however often two coordinators disagree, the blocks are of one grid.
//!
//! | the next block is | because |
//! |---|---|
//! | of one task, while no task is done | nobody knows what they take |
//! | as large as takes a second by the mean of what is done, at most | so much work is lost with a worker, and so late a slow one is noticed |
//! | a quarter of what is left for each worker, at most | so that all end at the same time: blocks shrink towards the end |
//! | but not smaller for that than takes 50 ms | files cost more than the rest then |
//!
//! A record tells milliseconds, and one that was begun counts as a whole one: so what is known of tasks that take no time grows with the blocks they are tried in.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{Block, TaskId};
use crate::job::snapshot::Snapshot;

/// A block takes no longer than this, as far as one can tell.
const BLOCK_TIME_MAX: Duration = Duration::from_secs(1);
/// Nor does it take less than this because few are left.
const BLOCK_TIME_MIN: Duration = Duration::from_millis(50);
/// A block is at most such a part of what is left for each worker.
const PART: u32 = 4;
/// Files that wait to be claimed: so many for each worker,
const FILES_PER_WORKER: usize = 4;
/// and at least so many.
const FILES_MIN: usize = 16;

/// How long map tasks took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    tasks: u64,
    ms: u64,
}

impl Pace {
    /// Takes what is known of one more block into account.
    pub fn add(&mut self, block: Block, elapsed_ms: u64) {
        self.tasks += u64::from(block.n_tasks());
        self.ms = self.ms.saturating_add(elapsed_ms).saturating_add(1);
    }

    /// How many tasks take so long together; at least one, and one where nothing is known.
    fn tasks_in(self, time: Duration) -> u32 {
        let tasks = u128::from(self.tasks) * time.as_millis() / u128::from(self.ms.max(1));
        u32::try_from(tasks).unwrap_or(u32::MAX).max(1)
    }
}

/// What a coordinator knows of blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bundling<'a> {
    /// At most two to the power of this many tasks share a file.
    pub order_max: u8,
    /// What is done took so long.
    pub pace: Pace,
    /// Once the reduce plan is written, the blocks of several tasks that it names; it names all other tasks alone. `None`: there is no such plan, or no block was ever issued.
    pub planned: Option<&'a BTreeSet<Block>>,
}

impl Bundling<'_> {
    /// What the reduce plan has a line for, of this task; attempts of other blocks count for it only within that.
    pub fn planned_for(&self, task: u32) -> Option<Block> {
        let one = Block::one(TaskId::map(task));
        let around = |planned: &BTreeSet<Block>| planned.range(..=one).next_back().copied().filter(|block| block.holds(one));
        self.planned.map(|planned| around(planned).unwrap_or(one))
    }

    /// How many files wait to be claimed where the window is full; `None` where tasks go into files of their own, as in every job that was not asked to bundle.
    pub fn files(&self, snapshot: &Snapshot) -> Option<usize> {
        let is_bundled = self.order_max > 0 && (self.pace == Pace::default() || self.pace.tasks_in(BLOCK_TIME_MAX) > 1);
        is_bundled.then(|| FILES_MIN.max(FILES_PER_WORKER * snapshot.workers.len()))
    }

    /// What decides the size of the next blocks.
    pub fn sizes(&self, snapshot: &Snapshot) -> Sizes {
        if self.order_max == 0 {
            return Sizes { order_max: 0, most: 1, least: 1, shares: 1, left: 0 };
        }
        let workers = u32::try_from(snapshot.workers.len()).unwrap_or(u32::MAX).max(1);
        Sizes {
            order_max: self.order_max,
            most: self.pace.tasks_in(BLOCK_TIME_MAX),
            least: self.pace.tasks_in(BLOCK_TIME_MIN),
            shares: workers.saturating_mul(PART),
            left: snapshot.n_maps() - tried(snapshot),
        }
    }
}

/// How many map tasks were tried, alone or with others.
fn tried(snapshot: &Snapshot) -> u32 {
    let (mut tried, mut next) = (0, 0);
    for (block, _) in snapshot.map_blocks(0..snapshot.n_maps()).filter(|(_, view)| view.highest > 0) {
        let tasks = block.tasks();
        tried += tasks.end.saturating_sub(tasks.start.max(next));
        next = next.max(tasks.end);
    }
    tried
}

/// The sizes of blocks that were never tried.
#[derive(Debug)]
pub struct Sizes {
    order_max: u8,
    most: u32,
    least: u32,
    shares: u32,
    left: u32,
}

impl Sizes {
    /// The next one has two to the power of this many tasks, at most.
    pub fn order(&self) -> u8 {
        let tasks = (self.left / self.shares).max(self.least).min(self.most).max(1);
        (tasks.ilog2() as u8).min(self.order_max)
    }

    /// So many tasks are left no more.
    pub fn take(&mut self, block: Block) {
        self.left = self.left.saturating_sub(block.n_tasks());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(blocks: &[(&str, u64)]) -> Pace {
        let mut pace = Pace::default();
        blocks.iter().for_each(|(block, ms)| pace.add(block.parse().expect("a block"), *ms));
        pace
    }

    fn sizes(pace: Pace, left: u32, shares: u32) -> Sizes {
        let [most, least] = [BLOCK_TIME_MAX, BLOCK_TIME_MIN].map(|time| pace.tasks_in(time));
        Sizes { order_max: 16, most, least, shares, left }
    }

    #[test]
    fn a_block_takes_a_second_by_what_is_known_and_one_task_while_nothing_is() {
        let order = |pace| sizes(pace, 1 << 30, 8).order();
        assert_eq!(order(Pace::default()), 0);
        assert_eq!(order(pace(&[("map-00000", 0)])), 9, "they take less than a millisecond: 512 of them take less than a second");
        assert_eq!(order(pace(&[("map-00000+511", 3)])), 16, "that was no time at all");
        assert_eq!(order(pace(&[("map-00000", 99), ("map-00001", 99)])), 3);
        assert_eq!(order(pace(&[("map-00000", 700)])), 0);
        assert_eq!(order(pace(&[("map-00000", u64::MAX)])), 0);
    }

    #[test]
    fn blocks_shrink_towards_the_end_but_not_to_nothing() {
        let quick = pace(&[("map-00000+1023", 99)]);
        let order = |left| sizes(quick, left, 8).order();
        assert_eq!([1 << 20, 60_000, 30_000, 9_000, 8, 0].map(order), [13, 12, 11, 10, 9, 9], "10,240 take a second, 512 take 50 ms");
        let slow = pace(&[("map-00000", 99)]);
        let order = |left| sizes(slow, left, 8).order();
        assert_eq!([1000, 63, 31, 15, 0].map(order), [3, 2, 1, 0, 0]);
    }

    #[test]
    fn a_planned_task_counts_within_its_line_alone() {
        let planned: BTreeSet<Block> = ["map-00000+3", "map-00008+7"].iter().map(|text| text.parse().expect("a block")).collect();
        let bundling = Bundling { planned: Some(&planned), ..Bundling::default() };
        let line = |task| bundling.planned_for(task).map(|block| block.to_string()).expect("a line");
        assert_eq!(
            [0, 3, 4, 7, 8, 15, 16].map(line)[..],
            ["map-00000+3", "map-00000+3", "map-00004", "map-00007", "map-00008+7", "map-00008+7", "map-00016"]
        );
        assert_eq!(Bundling::default().planned_for(3), None);
    }
}
