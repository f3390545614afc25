//! One look at a job directory, as a value: who lies where. Made of listings only, no file is opened.
//!
//! The five task directories are listed forward (`pending`, `claimed`, `done`, `failed`, `expired`), because files only move forward: a task moving
//! meanwhile may be seen twice, never missed. Names that do not parse, or are no plain files, or are of tasks that the plan does not have, are
//! foreign: they are counted, shown, and otherwise left alone. Cost: one listing per directory, whatever the number of workers.
//!
//! What bears the name of a bundle is entered once, with its [`Block`]; which attempts a task is held by, alone or with others, tells [`walk`](super::walk).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::time::Duration;

use super::few::Few;
use super::layout::{self, State};
use super::views::Views;
use crate::disk::{Disk, Entry, fresh};
use crate::ids::{Block, ClaimName, Names, ORDER_MAX, Phase, TaskFile, TaskId, WorkerName};

/// How far a snapshot can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// What is seen is true or was; what is not seen may be there all the same.
    Glance,
    /// Every directory was changed by the scanner itself before it was listed: decisions from absence may rest on it.
    Sure,
}

/// Where the attempts of one task are, or of one bundle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskView {
    /// Attempt numbers that may be claimed.
    pub pending: Few<u32>,
    /// Being worked on.
    pub claimed: Few<ClaimName>,
    /// Committed.
    pub done: Few<ClaimName>,
    /// Reported errors.
    pub failed: Few<ClaimName>,
    /// Ended without result or error.
    pub expired: Few<TaskFile>,
    /// The highest attempt number in any of the five.
    pub highest: u32,
}

/// What lies in `phase/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phases {
    /// The map plan is written.
    pub map: bool,
    /// The reduce plan is written.
    pub reduce: bool,
    /// The end is decided.
    pub end: bool,
    /// The end has its second name.
    pub verdict: bool,
    /// `clean` has removed the data that nobody needs after the end.
    pub cleaned: bool,
    /// `failed.N` of earlier ends that were retried.
    pub retried: Vec<String>,
}

/// One look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was begun, on the observer's monotonic clock.
    pub taken: Duration,
    /// How far it can be believed.
    pub belief: Belief,
    /// The attempts of map tasks alone, by their number.
    pub maps: Views,
    /// The attempts of several map tasks together.
    pub bundles: BTreeMap<Block, TaskView>,
    /// By reduce task number.
    pub reduces: Vec<TaskView>,
    /// In `workers/`.
    pub workers: BTreeSet<WorkerName>,
    /// In `phase/`.
    pub phases: Phases,
    /// The control file `pause` is there.
    pub pause: bool,
    /// The control file `cancel` is there.
    pub cancel: bool,
    /// Paths that are not ours, in the order met.
    pub foreign: Vec<String>,
}

/// How many tasks the job has; what lies beyond is foreign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Map tasks.
    pub maps: u32,
    /// Reduce tasks.
    pub reduces: u32,
}

impl Snapshot {
    /// Looks at everything.
    pub fn take(disk: &dyn Disk, shape: Shape, belief: Belief) -> io::Result<Snapshot> {
        let mut snapshot = Snapshot {
            taken: disk.now(),
            belief,
            maps: Views::new(shape.maps as usize),
            bundles: BTreeMap::new(),
            reduces: vec![TaskView::default(); shape.reduces as usize],
            workers: BTreeSet::new(),
            phases: Phases::default(),
            pause: false,
            cancel: false,
            foreign: Vec::new(),
        };
        snapshot.list(disk, &State::FORWARD)?;
        Ok(snapshot)
    }

    /// A glance that believes what was seen in `done/`, by far the largest directory, before: as a client's stale listing of it would.
    pub fn again_without_done(mut self, disk: &dyn Disk) -> io::Result<Snapshot> {
        for view in self.views_mut() {
            let done = std::mem::take(&mut view.done);
            let highest = done.iter().map(|claim| claim.attempt.number).max().unwrap_or(0);
            *view = TaskView { done, highest, ..TaskView::default() };
        }
        self.bundles.retain(|_, view| view.highest > 0);
        let Snapshot { maps, bundles, reduces, .. } = self;
        let mut snapshot = Snapshot {
            taken: disk.now(),
            belief: Belief::Glance,
            maps,
            bundles,
            reduces,
            workers: BTreeSet::new(),
            phases: Phases::default(),
            pause: false,
            cancel: false,
            foreign: Vec::new(),
        };
        snapshot.list(disk, &[State::Pending, State::Claimed, State::Failed, State::Expired])?;
        Ok(snapshot)
    }

    fn list(&mut self, disk: &dyn Disk, states: &[State]) -> io::Result<()> {
        let belief = self.belief;
        for entry in list(disk, ".", belief)? {
            match entry.name.as_str() {
                layout::PAUSE => self.pause = true,
                layout::CANCEL => self.cancel = true,
                _ => {}
            }
        }
        let mut names = Names::default();
        for state in states {
            for entry in list(disk, state.dir(), belief)? {
                if !self.enter(*state, &entry, &mut names) {
                    self.foreign.push(format!("{}/{}", state.dir(), entry.name));
                }
            }
        }
        for entry in list(disk, layout::WORKERS, belief)? {
            match entry.name.parse() {
                Ok(name) if entry.is_file => _ = self.workers.insert(name),
                _ => self.foreign.push(format!("{}/{}", layout::WORKERS, entry.name)),
            }
        }
        for entry in list(disk, layout::PHASE, belief)? {
            self.enter_phase(&entry);
        }
        self.sort();
        Ok(())
    }

    /// Every block of which there is an attempt, in order, maps first.
    pub fn blocks(&self) -> impl Iterator<Item = (Block, &TaskView)> {
        let reduces = self.reduces.iter().zip(0..).filter(|(view, _)| view.highest > 0);
        self.map_blocks(0..self.n_maps()).chain(reduces.map(|(view, n)| (Block::one(TaskId::reduce(n)), view)))
    }

    /// Those of one phase.
    pub fn blocks_of(&self, phase: Phase) -> impl Iterator<Item = (Block, &TaskView)> {
        self.blocks().filter(move |(block, _)| block.first().phase == phase)
    }

    /// Every claim there is, in the order of their blocks.
    pub fn claims(&self) -> impl Iterator<Item = &ClaimName> {
        self.blocks().flat_map(|(_, view)| view.claimed.iter())
    }

    /// Those that begin within these map tasks.
    pub fn map_blocks(&self, tasks: Range<u32>) -> impl Iterator<Item = (Block, &TaskView)> {
        let (first, end) = (Block::largest_from(tasks.start), Block::largest_from(tasks.end.max(tasks.start)));
        let mut bundles = self.bundles.range(first..end).map(|(block, view)| (*block, view)).peekable();
        let mut alone = self.maps.tried(tasks).map(|(n, view)| (Block::one(TaskId::map(n)), view)).peekable();
        std::iter::from_fn(move || match (bundles.peek(), alone.peek()) {
            (Some((bundle, _)), Some((task, _))) if bundle < task => bundles.next(),
            (Some(_), None) => bundles.next(),
            (_, _) => alone.next(),
        })
    }

    /// What is done of these map tasks, sorted.
    pub fn done_maps(&self, tasks: Range<u32>) -> impl Iterator<Item = &ClaimName> {
        self.map_blocks(tasks).flat_map(|(_, view)| view.done.iter())
    }

    /// How many map tasks there are.
    pub fn n_maps(&self) -> u32 {
        u32::try_from(self.maps.len()).unwrap_or(u32::MAX)
    }

    /// The attempts of a block, none of which is of a part of it or of a larger one.
    pub fn view(&self, block: Block) -> Option<&TaskView> {
        let number = block.first().number as usize;
        match (block.first().phase, block.order()) {
            (Phase::Map, 0) => self.maps.get(number),
            (Phase::Map, _) => self.bundles.get(&block),
            (Phase::Reduce, _) => self.reduces.get(number),
        }
    }

    /// Every attempt that holds the task, alone or with others, those of the largest block first.
    pub fn holders(&self, task: TaskId) -> impl Iterator<Item = (Block, &TaskView)> {
        let orders = (0..=if task.phase == Phase::Map { ORDER_MAX } else { 0 }).rev();
        let blocks = orders.map(move |order| Block::around(task, order));
        blocks.filter_map(|block| Some((block, self.view(block).filter(|view| view.highest > 0)?)))
    }

    fn view_mut(&mut self, block: Block) -> Option<&mut TaskView> {
        let number = block.first().number as usize;
        match (block.first().phase, block.order()) {
            (Phase::Map, 0) => self.maps.get_mut(number),
            // Where a map task is all there is to it, none shares a file with others.
            (Phase::Map, _) if !self.reduces.is_empty() && block.tasks().end as usize <= self.maps.len() => {
                Some(self.bundles.entry(block).or_default())
            }
            (Phase::Map, _) => None,
            (Phase::Reduce, _) => self.reduces.get_mut(number),
        }
    }

    fn views_mut(&mut self) -> impl Iterator<Item = &mut TaskView> {
        self.maps.made_mut().chain(self.bundles.values_mut()).chain(&mut self.reduces)
    }

    fn enter(&mut self, state: State, entry: &Entry, names: &mut Names) -> bool {
        let Ok(file) = names.parse(&entry.name) else { return false };
        let Some(view) = self.view_mut(file.attempt().block()) else { return false };
        let number = file.attempt().number;
        // Also where it is no file of ours: the next attempt's name must be free.
        view.highest = view.highest.max(number);
        if !entry.is_file {
            return false;
        }
        match (state, file) {
            (State::Pending, TaskFile::Free(_)) => view.pending.push(number),
            (State::Claimed, TaskFile::Held(name)) => view.claimed.push(name),
            (State::Done, TaskFile::Held(name)) => view.done.push(name),
            (State::Failed, TaskFile::Held(name)) => view.failed.push(name),
            (State::Expired, file) => view.expired.push(file),
            (State::Pending, TaskFile::Held(_)) | (State::Claimed | State::Done | State::Failed, TaskFile::Free(_)) => return false,
        }
        true
    }

    fn enter_phase(&mut self, entry: &Entry) {
        match entry.name.as_str() {
            "map" => self.phases.map = true,
            "reduce" => self.phases.reduce = true,
            "end" => self.phases.end = true,
            "finished" | "failed" => self.phases.verdict = true,
            "cleaned" => self.phases.cleaned = true,
            name if entry.is_file && layout::is_taken_back(name) => self.phases.retried.push(name.to_owned()),
            name if entry.is_file && layout::is_ending(name) => {}
            name => match name.split_once('.') {
                Some(("end" | "hooked", digits)) if digits.parse::<u32>().is_ok() => {}
                _ => self.foreign.push(format!("{}/{name}", layout::PHASE)),
            },
        }
    }

    /// Listings come in any order; decisions must not depend on it.
    fn sort(&mut self) {
        for view in self.views_mut() {
            view.pending.sort_unstable();
            view.claimed.sort_unstable();
            view.done.sort_unstable();
            view.failed.sort_unstable();
            view.expired.sort_unstable();
        }
        self.foreign.sort_unstable();
        self.phases.retried.sort_unstable();
    }
}

/// The error says which folder it was: all of them are listed, and one alone may be closed.
fn list(disk: &dyn Disk, dir: &str, belief: Belief) -> io::Result<Vec<Entry>> {
    let listed = match belief {
        Belief::Glance => disk.list(dir),
        Belief::Sure => fresh::list_surely(disk, dir),
    };
    listed.map_err(|error| if dir == "." { error } else { io::Error::new(error.kind(), format!("its folder {dir}: {error}")) })
}
