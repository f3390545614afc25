//! What one look adds up to: tasks by state, the pace, who was seen when. The parts of [`Status`](super::status::Status).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use super::status::{ClaimSeen, ErrorSeen, Pace, Tasks, WorkerSeen};
use crate::data::BadRecord;
use crate::disk::{Disk, Soon};
use crate::ids::ClaimName;
use crate::job::end::Attempts;
use crate::job::layout::{self, COORDINATOR_LOCK, State};
use crate::job::outputs;
use crate::job::record::{self, RECORD_BYTES_MAX, TaskError};
use crate::job::register::Presence;
use crate::job::snapshot::{Snapshot, TaskView};

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
        let claimed = snapshot.tasks().flat_map(|(_, view)| &view.claimed).take(LOOKS_MAX);
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

pub(super) fn tasks(views: &[TaskView]) -> Tasks {
    let mut tasks = Tasks { total: views.len(), ..Tasks::default() };
    for view in views {
        // A task that moved during the scan is seen twice: it is where it is farthest.
        let state = if !view.done.is_empty() {
            &mut tasks.done
        } else if !view.claimed.is_empty() {
            &mut tasks.claimed
        } else if !view.pending.is_empty() {
            &mut tasks.pending
        } else {
            &mut tasks.waiting
        };
        *state += 1;
    }
    tasks
}

pub(super) fn attempts(snapshot: &Snapshot) -> Attempts {
    let count = |of: fn(&TaskView) -> usize| snapshot.tasks().map(|(_, view)| of(view) as u64).sum();
    Attempts { done: count(|view| view.done.len()), failed: count(|view| view.failed.len()), expired: count(|view| view.expired.len()) }
}

/// The running phase's mean time per task, from records spread evenly over it.
pub(super) fn pace(disk: &dyn Disk, phase: &str, snapshot: &Snapshot) -> Option<Pace> {
    let views = match phase {
        "map" => &snapshot.maps,
        "reduce" => &snapshot.reduces,
        _ => return None,
    };
    let done: Vec<&ClaimName> = views.iter().filter_map(|view| view.done.first()).collect();
    let step = done.len().div_ceil(RECORDS_MAX).max(1);
    let times: Vec<u64> = done
        .iter()
        .step_by(step)
        .filter_map(|claim| outputs::done_record(disk, claim).ok().flatten())
        .map(|(_, elapsed_ms)| elapsed_ms)
        .collect();
    pace_of(&times, &tasks(views))
}

fn pace_of(times: &[u64], now: &Tasks) -> Option<Pace> {
    let worked_ms = times.iter().fold(0u64, |sum, time| sum.saturating_add(*time));
    let mean_task_ms = worked_ms.checked_div(times.len() as u64)?;
    let mean = mean_task_ms.max(1) as f64;
    let hands = (now.claimed > 0 && worked_ms >= RATE_MS_MIN).then_some(now.claimed as f64);
    let tasks_per_second = hands.map(|hands| (hands * 10_000.0 / mean).round() / 10.0);
    // Those under way are half done, on average.
    let left = (now.waiting + now.pending) as f64 + now.claimed as f64 / 2.0;
    Some(Pace { sampled: times.len(), mean_task_ms, tasks_per_second, eta_ms: hands.map(|hands| (left * mean / hands) as u64) })
}

pub(super) fn workers(disk: &dyn Disk, snapshot: &Snapshot, beats: &Beats) -> Vec<WorkerSeen> {
    let claims: HashMap<_, _> = snapshot.tasks().flat_map(|(_, view)| &view.claimed).map(|claim| (&claim.worker, claim)).collect();
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
        .tasks()
        .flat_map(|(_, view)| &view.claimed)
        .map(|claim| ClaimSeen {
            claim: claim.to_string(),
            task: claim.attempt.task.to_string(),
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
    let failed = snapshot.tasks().flat_map(|(_, view)| &view.failed).take(LOOKS_MAX);
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
        let pace = pace_of(&[0, 0, 0, 0, 0, 30], &now).expect("some are done");
        assert_eq!(
            (pace.sampled, pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms),
            (6, 5, None, None),
            "nobody knows what the next will take"
        );
        let pace = pace_of(&[200; 6], &now).expect("some are done");
        assert_eq!((pace.mean_task_ms, pace.tasks_per_second, pace.eta_ms), (200, Some(20.0), Some(4600)));
        assert!(pace_of(&[200; 6], &Tasks { claimed: 0, ..now }).is_some_and(|pace| pace.tasks_per_second.is_none()), "nobody works");
        assert!(pace_of(&[], &now).is_none());
    }
}
