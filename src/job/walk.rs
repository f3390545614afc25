//! A walk along the map tasks of a snapshot: stretch by stretch, each of tasks that lie in exactly the same blocks, and so are all done, or all waiting, or all nowhere.
//!
//! Blocks are nested or disjoint, so one pass with a stack of those that are open is enough. Cost: of the attempts there are, whatever the number of tasks.

use std::ops::Range;

use super::snapshot::{Snapshot, TaskView};
use crate::ids::Block;

/// A block with attempts of its own.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Which.
    pub block: Block,
    /// Those attempts.
    pub view: &'a TaskView,
}

/// Whether all tasks of something are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All are.
    All,
    /// Some, or all, are not.
    NotAll,
}

/// What is within a block, beside its own attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// No smaller block has any.
    Nothing,
    /// One or more have.
    Blocks,
}

/// Who is told what a walk meets.
pub trait Walker {
    /// Tasks next to each other that are held by these blocks and no others, the largest first; says whether they are done.
    fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done;

    /// A block, after every stretch within it.
    fn block(&mut self, _holder: Holder<'_>, _done: Done, _within: Within) {}
}

struct Open {
    done: Done,
    within: Within,
}

/// Walks along all map tasks.
pub fn walk(snapshot: &Snapshot, walker: &mut dyn Walker) {
    let mut walk = Walk { walker, holders: Vec::new(), open: Vec::new(), next: 0 };
    for (block, view) in snapshot.map_blocks(0..snapshot.n_maps()) {
        walk.close_until(block.tasks().start);
        walk.go_to(block.tasks().start);
        if let Some(outer) = walk.open.last_mut() {
            outer.within = Within::Blocks;
        }
        walk.holders.push(Holder { block, view });
        walk.open.push(Open { done: Done::All, within: Within::Nothing });
    }
    walk.close_until(u32::MAX);
    walk.go_to(snapshot.n_maps());
}

struct Walk<'w, 's> {
    walker: &'w mut dyn Walker,
    holders: Vec<Holder<'s>>,
    /// One of each holder.
    open: Vec<Open>,
    next: u32,
}

impl Walk<'_, '_> {
    /// Leaves the blocks that end with or before this task's beginning.
    fn close_until(&mut self, task: u32) {
        while let Some(holder) = self.holders.last().copied().filter(|holder| holder.block.tasks().end <= task) {
            self.go_to(holder.block.tasks().end);
            self.holders.pop();
            let Some(Open { done, within }) = self.open.pop() else { return };
            self.walker.block(holder, done, within);
            self.note(done);
        }
    }

    fn go_to(&mut self, task: u32) {
        if self.next < task {
            let done = self.walker.stretch(self.next..task, &self.holders);
            self.next = task;
            self.note(done);
        }
    }

    fn note(&mut self, done: Done) {
        if let Some(open) = self.open.last_mut().filter(|_| done == Done::NotAll) {
            open.done = Done::NotAll;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::disk::real::RealDisk;
    use crate::job::layout::DIRS;
    use crate::job::snapshot::{Belief, Shape};

    /// What a job of sixteen map tasks with these files looks like.
    fn seen(files: &[&str]) -> Snapshot {
        seen_in(Shape { maps: 16, reduces: 1 }, files)
    }

    fn seen_in(shape: Shape, files: &[&str]) -> Snapshot {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        DIRS.iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        files.iter().for_each(|file| std::fs::write(dir.path().join(file), "").expect("written"));
        Snapshot::take(&disk, shape, Belief::Sure).expect("a look")
    }

    /// Writes down what it is told.
    #[derive(Default)]
    struct Scribe(Vec<String>);

    impl Walker for Scribe {
        fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done {
            let names: Vec<String> = holders.iter().map(|holder| holder.block.to_string()).collect();
            self.0.push(format!("{tasks:?} {}", names.join(" ")).trim_end().to_owned());
            if holders.iter().any(|holder| !holder.view.done.is_empty()) { Done::All } else { Done::NotAll }
        }

        fn block(&mut self, holder: Holder<'_>, done: Done, within: Within) {
            self.0.push(format!("{} {done:?} {within:?}", holder.block));
        }
    }

    fn told(files: &[&str]) -> Vec<String> {
        let mut scribe = Scribe::default();
        walk(&seen(files), &mut scribe);
        scribe.0
    }

    #[test]
    fn a_job_without_attempts_is_one_stretch() {
        assert_eq!(told(&[]), ["0..16"]);
    }

    #[test]
    fn stretches_are_cut_where_blocks_begin_and_end() {
        let files = ["claimed/map-00004+3.a1@n.1.x", "done/map-00004+1.a2@n.1.x", "done/map-00007.a3@n.1.x", "expired/map-00006.a3@n.1.x"];
        let expected = [
            "0..4",
            "4..6 map-00004+3 map-00004+1",
            "map-00004+1 All Nothing",
            "6..7 map-00004+3 map-00006",
            "map-00006 NotAll Nothing",
            "7..8 map-00004+3 map-00007",
            "map-00007 All Nothing",
            "map-00004+3 NotAll Blocks",
            "8..16",
        ];
        assert_eq!(told(&files), expected);
    }

    #[test]
    fn a_block_is_done_when_its_parts_are() {
        let parts = ["done/map-00008+3.a2@n.1.x", "done/map-00012+1.a3@n.1.x", "done/map-00014.a4@n.1.x", "done/map-00015.a4@n.1.x"];
        let files = [&parts[..], &["pending/map-00008+7.a1", "pending/map-00000+15.a1"]].concat();
        let told = told(&files);
        assert!(told.contains(&"map-00008+7 All Blocks".to_owned()), "{told:?}");
        assert!(told.contains(&"map-00000+15 NotAll Blocks".to_owned()), "{told:?}");
    }

    #[test]
    fn a_task_knows_all_its_holders() {
        let snapshot = seen(&["done/map-00004+1.a1@n.1.x", "failed/map-00004+3.a1@n.1.x", "pending/map-00005.a2", "pending/map-00006.a2"]);
        let names = |n| snapshot.holders(crate::ids::TaskId::map(n)).map(|(block, _)| block.to_string()).collect::<Vec<_>>();
        assert_eq!(names(5), ["map-00004+3", "map-00004+1", "map-00005"]);
        assert_eq!(names(7), ["map-00004+3"]);
        assert_eq!(names(8), [""; 0]);
    }

    #[test]
    fn a_block_that_does_not_lie_within_the_job_is_foreign() {
        let snapshot = seen(&["done/map-00016+1.a1@n.1.x", "done/map-00000+31.a1@n.1.x", "done/map-00000+15.a1@n.1.x"]);
        assert_eq!(snapshot.foreign, ["done/map-00000+31.a1@n.1.x", "done/map-00016+1.a1@n.1.x"]);
        assert_eq!(snapshot.bundles.len(), 1);
    }

    #[test]
    fn a_block_in_a_job_without_reduces_is_foreign() {
        let snapshot = seen_in(Shape { maps: 16, reduces: 0 }, &["failed/map-00000+3.a4294967295@n.1.x", "done/map-00004.a1@n.1.x"]);
        assert_eq!(snapshot.foreign, ["failed/map-00000+3.a4294967295@n.1.x"]);
        assert_eq!(snapshot.map_blocks(0..16).count(), 1);
    }
}
