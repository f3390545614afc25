//! The window: of a job of very many tasks not all are issued at once, so that `pending/` stays small: it is listed by every worker and at every look.
//!
//! Tasks that were never tried are issued in their order, up to so many unclaimed ones; more when half of them are gone. Only speed depends on it: what was not
//! issued is nowhere, and is issued later by the same rule, by whichever coordinator. Every filling costs a sure look at everything, so the window grows with the
//! job: some sixteen of them, whatever its size. Where tasks share files the window is a few files for each worker: what the first take decides how large the next are.

use super::bundling::Bundling;
use crate::job::snapshot::Snapshot;

/// A job of no more tasks is issued at once.
pub(super) const LEAST: usize = 8192;
/// In a larger one, such a part of it.
const PART: usize = 8;

/// While so many tasks wait no worker can be idle soon.
pub(super) const PLENTY: usize = 1024;

/// The window of a coordinator that issues at least `least` tasks at once.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Unclaimed tasks, where it is full.
    size: usize,
    /// In this job not all tasks may fit into it.
    binds: bool,
}

impl Window {
    /// For the job seen in `snapshot`.
    pub fn of(snapshot: &Snapshot, least: usize, bundling: &Bundling<'_>) -> Window {
        let tasks = snapshot.maps.len() + snapshot.reduces.len();
        match bundling.files(snapshot).filter(|_| !snapshot.phases.reduce) {
            Some(files) => Window { size: files.min(least), binds: tasks > files.min(least) },
            None => Window { size: least.max(tasks / PART), binds: tasks > least },
        }
    }

    /// True if the job is large enough for the window to matter.
    pub fn binds(self) -> bool {
        self.binds
    }

    /// How many tasks that were never tried may be issued now.
    pub fn room(self, snapshot: &Snapshot) -> usize {
        let waiting = waiting(snapshot);
        match (self.binds, self.is_half_full(waiting)) {
            (false, _) => usize::MAX,
            (true, true) => 0,
            (true, false) => self.size - waiting,
        }
    }

    /// True if there is nothing to be issued for want of room: then nobody needs to know what else is done.
    pub fn is_filled(self, snapshot: &Snapshot) -> bool {
        self.binds && self.is_half_full(waiting(snapshot))
    }

    fn is_half_full(self, waiting: usize) -> bool {
        waiting * 2 >= self.size
    }
}

/// How many tasks wait to be claimed.
pub(super) fn waiting(snapshot: &Snapshot) -> usize {
    snapshot.blocks().map(|(_, view)| view.pending.len()).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

    use super::*;
    use crate::coordinator::backup::Limits;
    use crate::coordinator::bundling::Bundling;
    use crate::coordinator::plan::{Action, Facts, plan};
    use crate::disk::Disk;
    use crate::disk::real::RealDisk;
    use crate::ids::TaskId;
    use crate::job::layout::{self, DIRS, State};
    use crate::job::snapshot::{Belief, Shape};

    const TASKS: u32 = 400;

    /// What is issued next, where these files lie in the job's folders and 20 tasks are issued at once, at least.
    fn issued(files: &[String]) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        DIRS.iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        files.iter().for_each(|file| std::fs::write(dir.path().join(file), "").expect("written"));
        let snapshot = Snapshot::take(&disk, Shape { maps: TASKS - 1, reduces: 1 }, Belief::Sure).expect("a look");
        let (endings, blamed, none, running) = (HashMap::new(), HashSet::new(), BTreeSet::new(), BTreeMap::new());
        let (stale, stuck, hollow, limits) = (&none, &none, &none, Limits::default());
        let (endings, blamed, running, bundling) = (&endings, &blamed, &running, Bundling::default());
        let facts = Facts {
            endings,
            blamed,
            stale,
            stuck,
            hollow,
            running,
            limits,
            max_errors: 4,
            max_lost: 4,
            window: 20,
            bundling,
            leave_out: None,
        };
        let issue = |action| match action {
            Action::Issue(attempt) => attempt.to_string(),
            other => panic!("{other:?}"),
        };
        plan(&snapshot, &facts).into_iter().map(issue).collect()
    }

    fn pending(tasks: std::ops::Range<u32>) -> Vec<String> {
        tasks.map(|n| layout::pending(TaskId::map(n).attempt(1))).collect()
    }

    #[test]
    fn an_eighth_of_a_large_job_is_issued_at_once_and_more_when_half_of_it_is_gone() {
        let first = issued(&[]);
        assert_eq!((first.len(), &first[0][..], &first[49][..]), (50, "map-00000.a1", "map-00049.a1"));
        assert_eq!(issued(&pending(0..25)), [""; 0], "half is enough");
        let more = issued(&pending(0..24));
        assert_eq!((more.len(), &more[0][..]), (26, "map-00024.a1"));
    }

    #[test]
    fn what_was_tried_before_does_not_wait_for_room() {
        let files = [pending(0..50), vec![State::Expired.dir().to_owned() + "/map-00100.a3@n.1.x"]].concat();
        assert_eq!(issued(&files), ["map-00100.a4"]);
    }
}
