//! The window: of a job of very many tasks not all are issued at once, so that `pending/` stays small: it is listed by every worker and at every look.
//!
//! Tasks that were never tried are issued in their order, up to so many unclaimed ones; more when half of them are gone. Only speed depends on it: what was not
//! issued is nowhere, and is issued later by the same rule, by whichever coordinator. Every filling costs a sure look at everything, so the window grows with the
//! job: some sixteen of them, whatever its size.

use crate::job::snapshot::Snapshot;

/// A job of no more tasks is issued at once.
pub(super) const LEAST: usize = 8192;
/// In a larger one, such a part of it.
const PART: usize = 8;

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
    pub fn of(snapshot: &Snapshot, least: usize) -> Window {
        let tasks = snapshot.maps.len() + snapshot.reduces.len();
        Window { size: least.max(tasks / PART), binds: tasks > least }
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

fn waiting(snapshot: &Snapshot) -> usize {
    snapshot.tasks().map(|(_, view)| view.pending.len()).sum()
}
