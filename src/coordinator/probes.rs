//! A dead worker noticed by its lock: quicker than its lease, never instead of it.
//!
//! A worker holds a lock on its `workers/` file for life. A prober that has *itself* found that lock taken, and then finds it free, knows that the
//! process is gone, if that was one of its own kernel and mount. Of any other it knows that the process is gone or that the server has forgotten the lock (a restarted
//! NFSv3 server does, and NFSv4.0's after a cut): its claims are then believed for two beats only, and once it beats again its lock tells nothing any more. Where
//! locks are local or broken the lock is never found taken, and nothing is concluded. A worker of the prober's own kernel and mount whose lock is free at the first
//! probe died before anybody looked, if its file says that it was locked: the file was, before it had a name. A lock taken by the probe itself is let go at once; the
//! worker took its own before the file had a name, so it cannot be disturbed. Cost: OPEN, LOCK, CLOSE per probe.

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
    /// Never found taken, or let go by a worker that lives: proves nothing, ever.
    Nothing,
    /// Found taken by this prober.
    Taken,
    /// Found taken, then free, while beats were missing: the process is gone, or its lock was forgotten.
    Free,
    /// A process of this kernel, found gone.
    Dead,
}

/// What the lock of a worker tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Nothing: it is believed for a lease.
    Nothing,
    /// It is most likely dead, and believed for two beats only.
    Doubt,
    /// It is dead.
    Dead,
}

/// Why a worker's lock is asked again.
#[derive(Debug, Clone, Copy)]
pub struct Cause {
    /// It bears the name of this host, so that the answer may be sure.
    pub is_near: bool,
    /// One of its claims has missed two beats.
    pub is_late: bool,
}

impl Probes {
    /// What is known of `worker`, after a probe if it is new or there is a cause.
    pub fn ask(&mut self, disk: &dyn Disk, worker: &WorkerName, cause: Cause) -> Word {
        let now = match self.seen.get(worker).copied() {
            Some(Seen::Dead) => Seen::Dead,
            Some(Seen::Free) if cause.is_late => Seen::Free,
            // It beats again, or has lost what it held.
            Some(Seen::Free) => Seen::Nothing,
            Some(seen) if !cause.is_near && !cause.is_late => seen,
            seen => probe(disk, worker, seen, cause),
        };
        self.seen.insert(worker.clone(), now);
        match now {
            Seen::Nothing | Seen::Taken => Word::Nothing,
            Seen::Free => Word::Doubt,
            Seen::Dead => Word::Dead,
        }
    }

    /// Forgets workers that are no more listed.
    pub fn keep(&mut self, listed: &std::collections::BTreeSet<WorkerName>) {
        self.seen.retain(|worker, _| listed.contains(worker));
    }
}

fn probe(disk: &dyn Disk, worker: &WorkerName, seen: Option<Seen>, cause: Cause) -> Seen {
    let lock = match disk.open_soon(&layout::worker(worker), PATIENCE) {
        Ok(Soon::Back(hold)) => hold.try_lock(),
        Ok(Soon::Hanging) | Err(_) => Lock::Broken,
    };
    match (seen, lock) {
        (_, Lock::Refused) => Seen::Taken,
        (None | Some(Seen::Taken), Lock::Taken) if locked_it_here(disk, worker) => Seen::Dead,
        (Some(Seen::Taken), Lock::Taken) if cause.is_late => Seen::Free,
        (Some(Seen::Taken), Lock::Taken | Lock::Broken) => Seen::Taken,
        (_, Lock::Taken | Lock::Broken) => Seen::Nothing,
    }
}

/// True if the lock of a worker was once taken, by a process of this very kernel on this very mount: two containers may have mounted a share each for themselves,
/// with locks that are local to each.
fn locked_it_here(disk: &dyn Disk, worker: &WorkerName) -> bool {
    let boot = here::boot();
    let device = disk.look(&layout::worker(worker)).ok().map(|look| look.inode.0);
    let about = Presence::last_words(disk, worker).filter(|about| about.boot.is_some() && about.device.is_some());
    about.is_some_and(|about| about.lock == "taken" && about.boot == boot && about.device == device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;
    use crate::disk::sim::run::SimDisk;
    use crate::disk::sim::state::DiskState;

    const NONE: Cause = Cause { is_near: false, is_late: false };
    const NEAR: Cause = Cause { is_near: true, is_late: false };
    const LATE: Cause = Cause { is_near: false, is_late: true };

    #[test]
    fn a_lock_found_free_elsewhere_is_a_doubt_until_its_worker_beats_again() {
        let sim = SimDisk::holding(DiskState::new().with_dir("workers").with_file("workers/far.1.x", b""));
        let (prober, far) = (sim.client("c"), sim.client("far"));
        let name: WorkerName = "far.1.x".parse().expect("a name");
        let hold = far.open("workers/far.1.x").expect("opened");
        assert_eq!(hold.try_lock(), Lock::Taken);
        let mut probes = Probes::default();
        assert_eq!(probes.ask(&prober, &name, NONE), Word::Nothing, "it is new, and found taken");
        drop(hold);
        assert_eq!(probes.ask(&prober, &name, NONE), Word::Nothing, "nobody asks");
        assert_eq!(probes.ask(&prober, &name, NEAR), Word::Nothing, "it beats, whatever its lock");
        assert_eq!(probes.ask(&prober, &name, LATE), Word::Doubt);
        assert_eq!(probes.ask(&prober, &name, LATE), Word::Doubt, "as long as no beat comes");
        assert_eq!(probes.ask(&prober, &name, NONE), Word::Nothing, "one has come: its lock was forgotten");
        assert_eq!(probes.ask(&prober, &name, LATE), Word::Nothing, "which tells nothing any more");
    }

    #[test]
    fn a_lock_found_free_on_this_machine_is_a_death_whenever_it_was_first_asked() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::at(dir.path());
        disk.make_dir("workers").expect("made");
        let name: WorkerName = "here.1.x".parse().expect("a name");
        let presence = Presence::register(&disk, &name, here::uid()).expect("registered");
        let mut probes = Probes::default();
        assert_eq!(probes.ask(&disk, &name, NEAR), Word::Nothing);
        drop(presence);
        assert_eq!(probes.ask(&disk, &name, NEAR), Word::Dead);
        assert_eq!(Probes::default().ask(&disk, &name, NONE), Word::Dead, "it died before anybody looked");
    }
}
