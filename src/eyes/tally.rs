//! What one look adds up to: tasks by state, the pace, who was seen when. The parts of [`Status`](super::status::Status).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::status::{ClaimSeen, ErrorSeen, Pace, Tasks, WorkerSeen};
use crate::data::BadRecord;
use crate::disk::{Disk, Soon};
use crate::ids::{Block, ClaimName, Phase, TaskId};
use crate::job::end::Attempts;
use crate::job::layout::{self, COORDINATOR_LOCK, State};
use crate::job::outputs;
use crate::job::record::{self, RECORD_BYTES_MAX, TaskError};
use crate::job::register::Presence;
use crate::job::snapshot::{Snapshot, TaskView};
use crate::job::walk::{Done, Holder, Walker, walk};

/// Most files whose mtime is asked for, of each kind.
pub const LOOKS_MAX: usize = 2000;
/// Most done records read for the pace.
pub const RECORDS_MAX: usize = 200;
/// Most of claims, errors and foreign paths told.
pub(super) const TOLD_MAX: usize = 5;
/// A look that hangs longer is done without.
const PATIENCE: Duration = Duration::from_secs(1);
/// With less work than this sampled, in milliseconds, nobody can tell a rate from it.
const RATE_MS_MIN: u64 = 1000;
/// Longest error text told, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// The files whose mtime is the heartbeat, and how old each is.
pub(super) struct Beats {
    stamps: HashMap<String, i128>,
    /// The newest of them.
    pub newest: Option<i128>,
}

impl Beats {
    pub(super) fn look(disk: &dyn Disk, snapshot: &Snapshot) -> Beats {
        let workers = snapshot.workers.iter().take(LOOKS_MAX).map(layout::worker);
        let claimed = snapshot.blocks().flat_map(|(_, view)| view.claimed.iter()).take(LOOKS_MAX);
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

    pub(super) fn of(&self, path: &str) -> Option<i128> {
        self.stamps.get(path).copied()
    }

    pub(super) fn quiet_ms(&self, path: &str) -> Option<u64> {
        u64::try_from((self.newest? - self.of(path)?) / 1_000_000).ok()
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

/// The running phase's mean time per task, from records spread evenly over it.
pub(super) fn pace(disk: &dyn Disk, phase: &str, snapshot: &Snapshot) -> Option<Pace> {
    let phase = match phase {
        "map" => Phase::Map,
        "reduce" => Phase::Reduce,
        _ => return None,
    };
    let done: Vec<&ClaimName> = snapshot.blocks_of(phase).filter_map(|(_, view)| view.done.first()).collect();
    let step = done.len().div_ceil(RECORDS_MAX).max(1);
    let read = done.iter().step_by(step).filter_map(|claim| Some((claim, outputs::done_record(disk, claim).ok().flatten()?)));
    let times: Vec<Time> = read.map(|(claim, (_, elapsed_ms))| (claim.attempt.block().n_tasks(), elapsed_ms)).collect();
    let hands = snapshot.blocks_of(phase).map(|(_, view)| view.claimed.len()).sum();
    pace_of(&times, &tasks(snapshot, phase), hands)
}

/// How many tasks took how many milliseconds together.
type Time = (u32, u64);

fn pace_of(times: &[Time], now: &Tasks, hands: usize) -> Option<Pace> {
    let worked_ms = times.iter().fold(0u64, |sum, (_, time)| sum.saturating_add(*time));
    let n_tasks: u64 = times.iter().map(|(tasks, _)| u64::from(*tasks)).sum();
    let mean_task_ms = worked_ms.checked_div(n_tasks)?;
    let mean = (worked_ms.max(1) as f64 / n_tasks as f64).max(if n_tasks == times.len() as u64 { 1.0 } else { 0.0 });
    let hands = (hands > 0 && worked_ms >= RATE_MS_MIN).then_some(hands as f64);
    let tasks_per_second = hands.map(|hands| (hands * 10_000.0 / mean).round() / 10.0);
    // Those under way are half done, on average.
    let left = (now.waiting + now.pending) as f64 + now.claimed as f64 / 2.0;
    Some(Pace { sampled: times.len(), mean_task_ms, tasks_per_second, eta_ms: hands.map(|hands| (left * mean / hands) as u64) })
}

pub(super) fn workers(disk: &dyn Disk, snapshot: &Snapshot, beats: &Beats) -> Vec<WorkerSeen> {
    let claims: HashMap<_, _> = snapshot.blocks().flat_map(|(_, view)| view.claimed.iter()).map(|claim| (&claim.worker, claim)).collect();
    let seen = snapshot.workers.iter().enumerate().map(|(n, worker)| WorkerSeen {
        name: worker.to_string(),
        host: worker.host().to_owned(),
        pid: worker.pid(),
        quiet_ms: beats.quiet_ms(&layout::worker(worker)),
        claim: claims.get(worker).map(ToString::to_string),
        // Of very many the rest are not asked.
        trouble: (n < RECORDS_MAX).then(|| Presence::trouble_of(disk, worker)).flatten(),
    });
    seen.collect()
}

pub(super) fn claims(snapshot: &Snapshot, beats: &Beats) -> Vec<ClaimSeen> {
    let mut claims: Vec<ClaimSeen> = snapshot
        .blocks()
        .flat_map(|(_, view)| view.claimed.iter())
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

pub(super) fn errors(disk: &dyn Disk, snapshot: &Snapshot) -> Vec<ErrorSeen> {
    let failed = snapshot.blocks().flat_map(|(_, view)| view.failed.iter()).take(LOOKS_MAX);
    let mut by_time: Vec<(i128, &ClaimName)> =
        failed.filter_map(|claim| Some((disk.look(&layout::held(State::Failed, claim)).ok()?.stamp, claim))).collect();
    by_time.sort_by_key(|(stamp, _)| Reverse(*stamp));
    let told = by_time.iter().take(TOLD_MAX).filter_map(|(_, claim)| {
        let bytes = disk.read(&layout::held(State::Failed, claim), RECORD_BYTES_MAX).ok()?;
        let text = match record::own_error(&claim.to_string(), &bytes) {
            TaskError::App(text)
            | TaskError::Input(text)
            | TaskError::Command { why: text, .. }
            | TaskError::Record(BadRecord { why: text, .. }) => text,
            TaskError::Damaged(names) => format!("found the shuffle files of {} map attempts missing or damaged", names.len()),
        };
        Some(ErrorSeen { attempt: claim.to_string(), text: first_lines(&text) })
    });
    told.collect()
}

fn first_lines(text: &str) -> String {
    text.lines().take(3).collect::<Vec<_>>().join("\n").chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_told_only_from_a_second_of_work() {
        let now = Tasks { total: 100, pending: 90, claimed: 4, done: 6, ..Tasks::default() };
        let each = |times: &[u64]| times.iter().map(|time| (1, *time)).collect::<Vec<Time>>();
        let pace = pace_of(&each(&[0, 0, 0, 0, 0, 30]), &now, 4).expect("some are done");
        assert_eq!(
            (pace.sampled, pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms),
            (6, 5, None, None),
            "nobody knows what the next will take"
        );
        let pace = pace_of(&each(&[200; 6]), &now, 4).expect("some are done");
        assert_eq!((pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms), (200, Some(20.0), Some(4600)));
        assert!(
            pace_of(&each(&[200; 6]), &Tasks { claimed: 0, ..now }, 0).is_some_and(|pace| pace.tasks_per_second.is_none()),
            "nobody works"
        );
        assert!(pace_of(&[], &now, 4).is_none());
        let pace = pace_of(&[(1000, 500), (3000, 1500)], &Tasks { waiting: 8000, ..Tasks::default() }, 2).expect("some are done");
        assert_eq!(
            (pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms),
            (0, Some(4000.0), Some(2000)),
            "half a millisecond each, two hands"
        );
    }
}
