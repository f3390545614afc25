//! A dead worker noticed by its lock: quicker than its lease, never instead of it.
//!
//! A worker holds a lock on its `workers/` file for life. A prober that has *itself* found that lock taken, and then finds it free, knows that the
//! process is gone: at once on its own host; elsewhere only after two missed beats, because a restarted NFSv3 server forgets locks. Where locks are
//! local or broken the lock is never found taken, and nothing is concluded. A worker of the prober's own kernel and mount whose lock is free at the first probe died
//! before anybody looked, if its file says that it was locked: the file was, before it had a name. A lock taken by the probe itself is let go at once; the worker took
//! its own before the file had a name, so it cannot be disturbed. Cost: OPEN, LOCK, CLOSE per probe.

use std::collections::HashMap;
use std::time::Duration;

use crate::disk::{Disk, Lock, Soon};
use crate::here;
use crate::ids::WorkerName;
use crate::job::layout;
use crate::job::register::Presence;

/// A probe that hangs longer proves nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the locks have told so far.
#[derive(Default)]
pub struct Probes {
    seen: HashMap<WorkerName, Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Never found taken: proves nothing, ever.
    Nothing,
    /// Found taken by this prober.
    Taken,
    /// Found taken, then free: the process is gone.
    Dead,
}

impl Probes {
    /// Probes `worker` if it is new, or if `suspect` says that it is worth asking again; true if it is known to be dead.
    pub fn is_dead(&mut self, disk: &dyn Disk, worker: &WorkerName, suspect: impl FnOnce() -> bool) -> bool {
        let seen = self.seen.get(worker).copied();
        if seen == Some(Seen::Dead) {
            return true;
        }
        if seen.is_some() && !suspect() {
            return false;
        }
        let lock = match disk.open_soon(&layout::worker(worker), PATIENCE) {
            Ok(Soon::Back(hold)) => hold.try_lock(),
            Ok(Soon::Hanging) | Err(_) => Lock::Broken,
        };
        let now = match (seen, lock) {
            (_, Lock::Refused) => Seen::Taken,
            (None, Lock::Taken) if died_young(disk, worker) => Seen::Dead,
            (Some(Seen::Taken), Lock::Taken) => Seen::Dead,
            (Some(Seen::Taken), Lock::Broken) => Seen::Taken,
            (_, Lock::Taken | Lock::Broken) => Seen::Nothing,
        };
        self.seen.insert(worker.clone(), now);
        now == Seen::Dead
    }

    /// Forgets workers that are no more listed.
    pub fn keep(&mut self, listed: &std::collections::BTreeSet<WorkerName>) {
        self.seen.retain(|worker, _| listed.contains(worker));
    }
}

/// True if the free lock of a worker never probed before was once taken, by a process of this very kernel on this very mount: two containers may have
/// mounted a share each for themselves, with locks that are local to each.
fn died_young(disk: &dyn Disk, worker: &WorkerName) -> bool {
    let boot = here::boot();
    let device = disk.look(&layout::worker(worker)).ok().map(|look| look.inode.0);
    let about = Presence::last_words(disk, worker).filter(|about| about.boot.is_some() && about.device.is_some());
    about.is_some_and(|about| about.lock == "taken" && about.boot == boot && about.device == device)
}
