//! Names: whose they are, that each lies in one place, and that nothing is left over after the end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::{CLEAR_UP_PAUSE, Inspection};
use crate::eyes::is_shuffle_name;
use crate::ids::{ClaimName, Phase, TaskFile};
use crate::job::layout::{self, DIRS, SHUFFLE, State};
use crate::job::snapshot::{Belief, Shape, Snapshot};

impl Inspection<'_> {
    /// What is not ours is noted, however well its name is formed: it is left alone, and the job is none the worse for it.
    pub(super) fn check_foreign(&mut self, shape: Shape) -> io::Result<()> {
        for path in self.snapshot.foreign.clone() {
            let (dir, name) = path.split_once('/').unwrap_or((".", &path));
            match name.parse::<TaskFile>() {
                Ok(file) if is_beyond(&file, shape) => self.report.note(&path, "is of no task of the plan; it is left alone"),
                Ok(file) if !may_lie_in(&file, dir) => {
                    self.report.note(&path, "no name of flockwork's comes to lie here; it is left alone")
                }
                Ok(_) => self.report.note(&path, "bears a task's name and is no plain file; it is left alone"),
                Err(_) => self.report.note(&path, "is not flockwork's; it is left alone"),
            }
        }
        let files = [layout::JOB_JSON, layout::ITEMS, layout::COORDINATOR_LOCK, layout::PAUSE, layout::CANCEL];
        let known = |name: &str| DIRS.contains(&name) || name == layout::MARKERS || files.contains(&name) || layout::BOARDS.contains(&name);
        for entry in self.disk.list(".")?.iter().filter(|entry| !known(&entry.name)) {
            self.report.note(&entry.name, "is not flockwork's; it is left alone");
        }
        for entry in self.disk.list(SHUFFLE)?.iter().filter(|entry| !entry.is_file || !is_shuffle_name(&entry.name)) {
            self.report.note(format!("{SHUFFLE}/{}", entry.name), "is not flockwork's; it is left alone");
        }
        Ok(())
    }

    /// A claim's name lies in one of the four folders it can lie in.
    pub(super) fn check_names_once(&mut self, shape: Shape) -> io::Result<()> {
        let mut twice = in_two_places(&self.snapshot);
        if !twice.is_empty() {
            // A file that moved during the scan was seen twice; it is not again, at the same two places.
            let again = in_two_places(&Snapshot::take(self.disk, shape, Belief::Glance)?);
            twice = twice.intersection(&again).cloned().collect();
        }
        for (claim, states) in twice {
            let dirs: Vec<&str> = states.iter().map(|state| state.dir()).collect();
            self.report.fault(layout::held(states[0], &claim), format!("lies in {} at once; files only move", dirs.join(" and ")));
        }
        let numbers: Vec<_> = self.snapshot.blocks().flat_map(|(_, view)| view.done.windows(2)).map(<[_]>::to_vec).collect();
        for pair in numbers.iter().filter(|pair| pair[0].attempt == pair[1].attempt) {
            let what = format!("two coordinators issued this number twice, see {}; harmless, one of them counts", pair[0]);
            self.report.note(layout::held(State::Done, &pair[1]), what);
        }
        Ok(())
    }

    /// Nothing waits or is held after the end; before it, descriptors that are empty are noted.
    pub(super) fn check_leftovers(&mut self) {
        let pending = self.snapshot.blocks().flat_map(|(block, view)| view.pending.iter().map(move |n| layout::pending(block.attempt(*n))));
        if !self.snapshot.phases.end {
            let empty = |path: &String| self.disk.look(path).is_ok_and(|look| look.len == 0);
            for path in pending.filter(empty).collect::<Vec<_>>() {
                self.report.note(path, "is empty; harmless, workers take what they have to do from the plan");
            }
            return;
        }
        let claimed = self.snapshot.claims().map(|claim| layout::held(State::Claimed, claim));
        let left: Vec<String> = pending.chain(claimed).collect();
        if left.is_empty() {
            return;
        }
        std::thread::sleep(CLEAR_UP_PAUSE);
        for path in left {
            if self.is_there(&path).unwrap_or(true) {
                self.report.fault(path, "is left over after the end; `flockwork coordinator` clears it up");
            }
        }
    }
}

fn is_beyond(file: &TaskFile, shape: Shape) -> bool {
    let block = file.attempt().block();
    match block.first().phase {
        Phase::Map => block.tasks().end > shape.maps || block.order() > 0 && shape.reduces == 0,
        Phase::Reduce => block.tasks().end > shape.reduces,
    }
}

fn may_lie_in(file: &TaskFile, dir: &str) -> bool {
    match file {
        TaskFile::Free(_) => dir == State::Pending.dir() || dir == State::Expired.dir(),
        TaskFile::Held(_) => dir != State::Pending.dir(),
    }
}

fn in_two_places(snapshot: &Snapshot) -> BTreeSet<(ClaimName, Vec<State>)> {
    let mut places: BTreeMap<&ClaimName, Vec<State>> = BTreeMap::new();
    for (_, view) in snapshot.blocks() {
        let expired = view.expired.iter().filter_map(|file| match file {
            TaskFile::Held(claim) => Some(claim),
            TaskFile::Free(_) => None,
        });
        let held = [(State::Claimed, &view.claimed), (State::Done, &view.done), (State::Failed, &view.failed)];
        let held = held.into_iter().flat_map(|(state, claims)| claims.iter().map(move |claim| (state, claim)));
        for (state, claim) in held.chain(expired.map(|claim| (State::Expired, claim))) {
            places.entry(claim).or_default().push(state);
        }
    }
    places.into_iter().filter(|(_, states)| states.len() > 1).map(|(claim, states)| (claim.clone(), states)).collect()
}
