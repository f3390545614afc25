//! Blocks: map tasks that share one file, written `map-00064+63` (task 64 and the 63 after it).
//!
//! The tasks of a block are a power of two, and its first is a multiple of it: so two blocks are nested or disjoint, never half over each other. That is what makes it safe that two
//! coordinators cut a job differently: whatever lies in `done/`, the largest blocks there are disjoint, and together they hold every task that is held at all ([`cover`]). A block
//! of one is a task, of either phase, and is written as one.

use std::cmp::Reverse;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::{AttemptId, ClaimName, ForeignName, Phase, TaskId, number};

/// The largest block has two to the power of this many tasks: as many as a job has at most.
pub const ORDER_MAX: u8 = 22;

/// See the file's head. Sorted by the first task, larger ones before those within them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Block {
    first: TaskId,
    order: u8,
}

impl Block {
    /// The task alone.
    pub fn one(task: TaskId) -> Block {
        Block { first: task, order: 0 }
    }

    /// The largest block of at most two to the power of `order` map tasks that begins with the first of `tasks`, and lies within them; they are not empty.
    pub fn first_of(tasks: &Range<u32>, order: u8) -> Block {
        let fits = (tasks.end - tasks.start).ilog2();
        let order = u32::from(order.min(ORDER_MAX)).min(tasks.start.trailing_zeros()).min(fits);
        Block { first: TaskId::map(tasks.start), order: order as u8 }
    }

    /// The block of this order that holds `task`.
    pub fn around(task: TaskId, order: u8) -> Block {
        let order = order.min(ORDER_MAX);
        Block { first: TaskId { number: task.number >> order << order, ..task }, order }
    }

    /// What is sorted before every block that begins with this map task or a later one.
    pub fn largest_from(number: u32) -> Block {
        Block { first: TaskId::map(number), order: 31 }
    }

    pub(super) fn of(first: TaskId, order: u8) -> Block {
        Block { first, order }
    }

    /// Its first task.
    pub fn first(self) -> TaskId {
        self.first
    }

    /// Two to the power of this is how many tasks it has.
    pub fn order(self) -> u8 {
        self.order
    }

    /// How many tasks it has.
    pub fn n_tasks(self) -> u32 {
        1 << self.order
    }

    /// The numbers of its tasks.
    pub fn tasks(self) -> Range<u32> {
        self.first.number..self.first.number.saturating_add(self.n_tasks())
    }

    /// True if every task of `other` is one of its own.
    pub fn holds(self, other: Block) -> bool {
        self.first.phase == other.first.phase && self.tasks().start <= other.tasks().start && other.tasks().end <= self.tasks().end
    }

    /// Its two halves; none of a task.
    pub fn halves(self) -> Option<[Block; 2]> {
        let order = self.order.checked_sub(1)?;
        let second = TaskId { number: self.first.number + (1 << order), ..self.first };
        Some([Block { first: self.first, order }, Block { first: second, order }])
    }

    /// Try `number` (from 1) of it.
    pub fn attempt(self, number: u32) -> AttemptId {
        AttemptId { task: self.first, order: self.order, number }
    }
}

impl Ord for Block {
    fn cmp(&self, other: &Block) -> std::cmp::Ordering {
        (self.first, Reverse(self.order)).cmp(&(other.first, Reverse(other.order)))
    }
}

impl PartialOrd for Block {
    fn partial_cmp(&self, other: &Block) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.order {
            0 => self.first.fmt(f),
            _ => write!(f, "{}+{}", self.first, self.n_tasks() - 1),
        }
    }
}

impl FromStr for Block {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<Block, ForeignName> {
        let Some((first, more)) = text.split_once('+') else { return text.parse().map(Block::one) };
        let (first, more): (TaskId, u32) = (first.parse()?, number(more, 1)?);
        let tasks = more.checked_add(1).filter(|tasks| *tasks > 1 && tasks.is_power_of_two()).ok_or(ForeignName)?;
        let is_of_the_grid = first.phase == Phase::Map && tasks <= 1 << ORDER_MAX && first.number.is_multiple_of(tasks);
        if is_of_the_grid && first.number.checked_add(more).is_some() {
            Ok(Block { first, order: tasks.ilog2() as u8 })
        } else {
            Err(ForeignName)
        }
    }
}

/// Which of some attempts count, and which tasks are held by none of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Cover<'a> {
    /// Disjoint, in the order of their tasks.
    pub counted: Vec<&'a ClaimName>,
    /// In order.
    pub missing: Vec<Range<u32>>,
}

/// The choice that everybody makes of attempts that are done: a map task is counted by the largest block that holds it and lies within `tasks`, among equals by the first name.
/// `done` is sorted. Two who see the same attempts choose the same, and no memory is needed for it.
pub fn cover<'a>(tasks: Range<u32>, done: impl IntoIterator<Item = &'a ClaimName>) -> Cover<'a> {
    let (mut counted, mut missing, mut next) = (Vec::new(), Vec::new(), tasks.start);
    for claim in done {
        let block = claim.attempt.block().tasks();
        // One that begins earlier lies within what was chosen, for larger ones come first; or it sticks out.
        if block.start < next || block.end > tasks.end {
            continue;
        }
        if next < block.start {
            missing.push(next..block.start);
        }
        counted.push(claim);
        next = block.end;
    }
    if next < tasks.end {
        missing.push(next..tasks.end);
    }
    Cover { counted, missing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::WorkerName;

    fn block(text: &str) -> Block {
        text.parse().expect("a block")
    }

    #[test]
    fn every_block_comes_back_as_it_was_written_and_what_is_none_is_foreign() {
        for text in ["map-00042", "reduce-00007", "map-00042+1", "map-00064+63", "map-00000+4194303", "map-4194304+1"] {
            assert_eq!(block(text).to_string(), text);
        }
        let foreign = ["map-00042+0", "map-00042+2", "map-00043+1", "map-00002+3", "reduce-00000+1", "map-00000+8388607", "map-00064+063"];
        for text in foreign.into_iter().chain(["map-00064+", "map-00064++1", "map-00064+1+1", "map-00064+-1", "map-4294967295+1"]) {
            assert!(text.parse::<Block>().is_err(), "{text} must be foreign");
        }
    }

    #[test]
    fn a_block_holds_itself_and_its_halves_and_nothing_beside() {
        let whole = block("map-00064+63");
        let [left, right] = whole.halves().expect("it has two");
        assert_eq!((left, right), (block("map-00064+31"), block("map-00096+31")));
        assert!(whole.holds(whole) && whole.holds(left) && whole.holds(right) && !left.holds(whole) && !left.holds(right));
        assert!(whole.holds(block("map-00127")) && !whole.holds(block("map-00128")) && !whole.holds(block("map-00063")));
        assert!(!block("map-00000+7").holds(block("reduce-00003")));
        assert_eq!(block("map-00064").halves(), None);
    }

    #[test]
    fn stretches_are_cut_into_the_largest_blocks_there_are() {
        let cut = |mut tasks: Range<u32>, order| {
            let mut names = Vec::new();
            while !tasks.is_empty() {
                let block = Block::first_of(&tasks, order);
                names.push(block.to_string());
                tasks.start = block.tasks().end;
            }
            names.join(" ")
        };
        assert_eq!(cut(0..1000, 31), "map-00000+511 map-00512+255 map-00768+127 map-00896+63 map-00960+31 map-00992+7");
        assert_eq!(cut(5..12, 31), "map-00005 map-00006+1 map-00008+3");
        assert_eq!(cut(0..5, 1), "map-00000+1 map-00002+1 map-00004");
    }

    /// Every block of eight tasks.
    fn all_blocks() -> Vec<Block> {
        let orders = (0..=3u8).rev();
        orders.flat_map(|order| (0..8u32 >> order).map(move |n| Block::of(TaskId::map(n << order), order))).collect()
    }

    #[test]
    fn whatever_is_done_the_choice_holds_each_task_once_or_says_which_are_missing() {
        let (all, worker) = (all_blocks(), WorkerName::new("n", 1, "x"));
        assert_eq!(all.len(), 15);
        for set in 0..1u32 << all.len() {
            let done = all.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1).map(|(_, block)| *block);
            let mut claims: Vec<ClaimName> = done.clone().map(|block| block.attempt(1).held_by(&worker)).collect();
            claims.sort_unstable();
            let Cover { counted, missing } = cover(0..8, &claims);
            let holders = |task: u32| counted.iter().filter(move |claim| claim.attempt.block().tasks().contains(&task)).collect::<Vec<_>>();
            for task in 0..8 {
                let largest = done.clone().filter(|block| block.tasks().contains(&task)).max_by_key(|block| block.order());
                assert_eq!(missing.iter().any(|range| range.contains(&task)), largest.is_none(), "task {task} of {claims:?}");
                let chosen: Vec<Block> = holders(task).into_iter().map(|claim| claim.attempt.block()).collect();
                assert_eq!(chosen, Vec::from_iter(largest), "task {task} of {claims:?}");
            }
        }
    }

    #[test]
    fn within_a_block_larger_ones_are_never_chosen() {
        let worker = WorkerName::new("n", 1, "x");
        let mut claims: Vec<ClaimName> = ["map-00000+7", "map-00004+3", "map-00004+1", "map-00006", "map-00007"]
            .iter()
            .map(|text| block(text).attempt(3).held_by(&worker))
            .collect();
        claims.sort_unstable();
        let chosen = |tasks| cover(tasks, &claims).counted.iter().map(|claim| claim.attempt.block().to_string()).collect::<Vec<_>>();
        assert_eq!(chosen(0..8), ["map-00000+7"]);
        assert_eq!(chosen(4..8), ["map-00004+3"]);
        assert_eq!(chosen(6..8), ["map-00006", "map-00007"]);
        let none = cover(0..4, &claims);
        assert!(none.counted.is_empty() && none.missing.iter().eq([&(0..4)]), "{none:?}");
    }

    #[test]
    fn of_two_attempts_of_one_block_the_first_name_counts() {
        let mut claims: Vec<ClaimName> =
            ["map-00000+1.a2@n.1.x", "map-00000+1.a1@n.2.y"].iter().map(|text| text.parse().expect("a claim")).collect();
        claims.sort_unstable();
        assert_eq!(cover(0..2, &claims).counted, [&claims[0]]);
        assert_eq!(claims[0].attempt.number, 1);
    }
}
