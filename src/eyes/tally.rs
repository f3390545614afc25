//! What one look adds up to: tasks by state, the pace, who was seen when. The parts of [`Status`](super::status::Status).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

use super::ages::{Ages, Row, UPTO_S};
use super::slow::Runs;
use super::status::{ClaimSeen, HostSeen, Slow, Tasks, WorkerSeen};
use crate::disk::{Disk, Soon};
use crate::ids::{AttemptId, Block, ClaimName, Phase, TaskId, WorkerName};
use crate::job::end::Attempts;
use crate::job::layout::{self, COORDINATOR_LOCK, State};
use crate::job::register::Presence;
use crate::job::snapshot::{Snapshot, TaskView};
use crate::job::walk::{Done, Holder, Walker, walk};

/// Most files whose mtime is asked for, of each kind.
pub const LOOKS_MAX: usize = 2000;
/// Most files of workers read.
const READS_MAX: usize = 200;
/// Most pending tasks asked how old they are.
const PENDING_MAX: usize = 200;
/// Most of claims, errors and foreign paths told.
pub(super) const TOLD_MAX: usize = 5;
/// A look that hangs longer is done without.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The files whose mtime is the heartbeat, and how old each is.
pub(super) struct Beats {
    stamps: HashMap<String, i128>,
    /// The newest of them.
    pub newest: Option<i128>,
}

impl Beats {
    pub(super) fn look(disk: &dyn Disk, snapshot: &Snapshot) -> Beats {
        let workers = snapshot.workers.iter().take(LOOKS_MAX).map(layout::worker);
        let claimed = snapshot.claims().take(LOOKS_MAX);
        let paths = workers.chain(claimed.map(|claim| layout::held(State::Claimed, claim))).chain([COORDINATOR_LOCK.to_owned()]);
        // What is gone, or hangs with a dead machine's delegation, is done without.
        let stamps: HashMap<String, i128> = paths
            .filter_map(|path| match disk.look_soon(&path, PATIENCE) {
                Ok(Soon::Back(look)) => Some((path, look.stamp)),
                Ok(Soon::Hanging) | Err(_) => None,
            })
            .collect();
        let newest = stamps.values().copied().max();
        Beats { stamps, newest }
    }

    /// Asks one more file, if it was not asked yet.
    pub(super) fn add(&mut self, disk: &dyn Disk, path: String) {
        if !self.stamps.contains_key(&path)
            && let Ok(Soon::Back(look)) = disk.look_soon(&path, PATIENCE)
        {
            self.newest = self.newest.max(Some(look.stamp));
            self.stamps.insert(path, look.stamp);
        }
    }

    pub(super) fn of(&self, path: &str) -> Option<i128> {
        self.stamps.get(path).copied()
    }

    pub(super) fn quiet_ms(&self, path: &str) -> Option<u64> {
        self.since_ms(self.of(path)?)
    }

    /// How much older than the newest sign of life this stamp is.
    pub(super) fn since_ms(&self, stamp: i128) -> Option<u64> {
        u64::try_from((self.newest? - stamp) / 1_000_000).ok()
    }

    /// For how long no worker has been seen; `None` while one is no quieter than a lease. An empty folder has been so since it was changed last.
    pub(super) fn no_worker_ms(&self, disk: &dyn Disk, snapshot: &Snapshot, lease: Duration) -> Option<u64> {
        if snapshot.workers.is_empty() {
            let emptied = disk.look(layout::WORKERS).ok()?.stamp;
            return self.since_ms(emptied.min(self.newest?));
        }
        let least = snapshot.workers.iter().filter_map(|worker| self.quiet_ms(&layout::worker(worker))).min()?;
        Some(least).filter(|ms| Duration::from_millis(*ms) > lease)
    }
}

/// The tasks of a phase by state, whether they share files or not.
pub fn tasks(snapshot: &Snapshot, phase: Phase) -> Tasks {
    let mut counting = Counting(Tasks::default());
    match phase {
        Phase::Map => walk(snapshot, &mut counting),
        Phase::Reduce => {
            for (view, number) in snapshot.reduces.iter().zip(0..) {
                counting.stretch(number..number + 1, &[Holder { block: Block::one(TaskId::reduce(number)), view }]);
            }
        }
    }
    counting.0
}

/// Those of a phase that are not done, in order.
pub(super) fn left(snapshot: &Snapshot, phase: Phase) -> Vec<TaskId> {
    let mut left = Left(Vec::new());
    match phase {
        Phase::Map => walk(snapshot, &mut left),
        Phase::Reduce => {
            let numbers = (0..).zip(&snapshot.reduces).filter(|(_, view)| view.done.is_empty());
            left.0.extend(numbers.map(|(number, _)| TaskId::reduce(number)));
        }
    }
    left.0
}

struct Left(Vec<TaskId>);

impl Walker for Left {
    fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done {
        if holders.iter().any(|holder| !holder.view.done.is_empty()) {
            return Done::All;
        }
        self.0.extend(tasks.map(TaskId::map));
        Done::NotAll
    }
}

struct Counting(Tasks);

impl Walker for Counting {
    fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done {
        let any = |of: fn(&TaskView) -> bool| holders.iter().any(|holder| of(holder.view));
        // A task that moved during the scan is seen twice: it is where it is farthest.
        let state = if any(|view| !view.done.is_empty()) {
            &mut self.0.done
        } else if any(|view| !view.claimed.is_empty()) {
            &mut self.0.claimed
        } else if any(|view| !view.pending.is_empty()) {
            &mut self.0.pending
        } else {
            &mut self.0.waiting
        };
        *state += tasks.len();
        self.0.total += tasks.len();
        Done::NotAll
    }
}

pub(super) fn attempts(snapshot: &Snapshot) -> Attempts {
    let count = |of: fn(&TaskView) -> usize| snapshot.blocks().map(|(_, view)| of(view) as u64).sum();
    Attempts { done: count(|view| view.done.len()), failed: count(|view| view.failed.len()), expired: count(|view| view.expired.len()) }
}

/// What each worker holds.
pub(super) fn claim_of_each(snapshot: &Snapshot) -> HashMap<&WorkerName, &ClaimName> {
    snapshot.claims().map(|claim| (&claim.worker, claim)).collect()
}

pub(super) fn workers(disk: &dyn Disk, snapshot: &Snapshot, beats: &Beats, runs: &Runs<'_>) -> Vec<WorkerSeen> {
    let claims = claim_of_each(snapshot);
    let seen = snapshot.workers.iter().enumerate().map(|(n, worker)| WorkerSeen {
        name: worker.to_string(),
        host: worker.host().to_owned(),
        pid: worker.pid(),
        quiet_ms: beats.quiet_ms(&layout::worker(worker)),
        claim: claims.get(worker).map(ToString::to_string),
        running_ms: claims.get(worker).and_then(|claim| runs.of(claim)),
        // Of very many the rest are not asked.
        trouble: (n < READS_MAX).then(|| Presence::trouble_of(disk, worker)).flatten(),
    });
    seen.collect()
}

pub(super) fn claims(snapshot: &Snapshot, beats: &Beats) -> Vec<ClaimSeen> {
    let mut claims: Vec<ClaimSeen> = snapshot
        .claims()
        .map(|claim| ClaimSeen {
            claim: claim.to_string(),
            task: claim.attempt.block().to_string(),
            attempt: claim.attempt.number,
            worker: claim.worker.to_string(),
            quiet_ms: beats.quiet_ms(&layout::held(State::Claimed, claim)),
        })
        .collect();
    claims.sort_by_key(|claim| (Reverse(claim.attempt), Reverse(claim.quiet_ms)));
    claims.truncate(TOLD_MAX);
    claims
}

/// The machines that registered workers are on, in the order of their names.
pub(super) fn hosts(workers: &[WorkerSeen]) -> Vec<HostSeen> {
    let mut hosts: BTreeMap<&str, HostSeen> = BTreeMap::new();
    for worker in workers {
        let host = hosts.entry(&worker.host).or_insert_with(|| HostSeen { host: worker.host.clone(), slots: 0, busy: 0, quiet_ms: None });
        host.slots += 1;
        host.busy += usize::from(worker.claim.is_some());
        host.quiet_ms = [host.quiet_ms, worker.quiet_ms].into_iter().flatten().min();
    }
    hosts.into_values().collect()
}

/// The claims that have run longest.
pub(super) fn slowest(runs: &Runs<'_>, beats: &Beats) -> Vec<Slow> {
    let slow = runs.slowest().map(|(running_ms, claim)| Slow {
        claim: claim.to_string(),
        task: claim.attempt.block().to_string(),
        attempt: claim.attempt.number,
        worker: claim.worker.to_string(),
        host: claim.worker.host().to_owned(),
        running_ms,
        quiet_ms: beats.quiet_ms(&layout::held(State::Claimed, claim)),
    });
    slow.collect()
}

/// How old what waits is, and how long what is worked on has run.
pub(super) fn ages(disk: &dyn Disk, snapshot: &Snapshot, beats: &Beats, runs: &Runs<'_>) -> Ages {
    let pending: Vec<AttemptId> =
        snapshot.blocks().flat_map(|(block, view)| view.pending.iter().map(move |number| block.attempt(*number))).collect();
    let step = pending.len().div_ceil(PENDING_MAX).max(1);
    let asked = pending.iter().step_by(step).filter_map(|attempt| match disk.look_soon(&layout::pending(*attempt), PATIENCE) {
        Ok(Soon::Back(look)) => Some(look.stamp),
        Ok(Soon::Hanging) | Err(_) => None,
    });
    let stamps: Vec<i128> = asked.collect();
    let newest = stamps.iter().copied().chain(beats.newest).max().unwrap_or_default();
    let since = stamps.iter().filter_map(|stamp| u64::try_from((newest - stamp) / 1_000_000).ok());
    Ages { upto_s: UPTO_S, pending: Row::of(pending.len(), since), claimed: Row::of(runs.total, runs.ms()) }
}
