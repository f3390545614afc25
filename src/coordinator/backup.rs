//! Backup tasks: a second attempt beside one that is far slower than the others, so that a job does not wait for its slowest machine (section 3.6 of the
//! MapReduce paper). A pure decision: no disk, no clock, no thread.
//!
//! The first commit wins, and [`plan`](super::plan) drops the other. Where both commit, what was created once says which counts: the reduce plan, or
//! the published link. A backup is issued only where all of this holds:
//!
//! | rule | why |
//! |---|---|
//! | nothing lies in `pending/` | what nobody has begun goes before what somebody does already |
//! | a slot is idle: a worker without a claim; as many backups as there are such slots, the longest running first | a busy worker has better things to do |
//! | the claim has run for more than three times the median of its phase | Spark's factor of 1.5 would start many a task twice that by chance takes between 2 and 5 s, as those of the lab's job-count test do; three never does |
//! | or, where nine in ten tasks are done, more than one and a half times what all of those took | in a phase of many tasks that says more: where all take alike, a slow one is found in half the time |
//! | and for more than two seconds | until a backup is noticed (half a second), claimed (1.3 s by polling) and done, less than that is mostly over |
//! | it is the task's only claim, and no later attempt of the task failed or was lost | one backup at a time, and never one after the other at the cost of the limits |
//! | the task is not past a limit | else each attempt that fails would leave a backup behind it, so that the task is never nowhere, and never fails its job |
//!
//! Tasks that are not done count as longer than those that are: so the median is known once half of the phase is done, and it is not that of the quick half.
//!
//! How long a claim has run is what the coordinator has seen itself ([`Leases::watched`](super::leases::Leases::watched)), so one that has just taken over begins
//! at zero. How long a done attempt took its worker has said in its record, by its own clock: a duration, which no other clock is compared with. Records are
//! read of a sample only, once, and only near the end of a phase: it reads them at its end in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::plan::{Action, Ending, Facts, verdict};
use crate::ids::{ClaimName, Phase, TaskFile, WorkerName};
use crate::job::snapshot::{Snapshot, TaskView};

/// A claim that has run for so many medians of its phase is far slower than others,
const MEDIANS: u32 = 3;
/// or for so many halves of what nine in ten took;
const HALVES_OF_NINE_IN_TEN: u32 = 3;
/// but not before this.
const RUNNING_MIN: Duration = Duration::from_secs(2);
/// Tasks of a phase that are asked how long they took, at most.
const SAMPLE: usize = 101;

/// For how long a claim of each phase may run before it is far slower than others; `None` while that is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    map: Option<Duration>,
    reduce: Option<Duration>,
}

impl Limits {
    /// Of one phase.
    pub fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Map => self.map,
            Phase::Reduce => self.reduce,
        }
    }

    /// Says it of one phase.
    pub fn set(&mut self, phase: Phase, limit: Option<Duration>) {
        match phase {
            Phase::Map => self.map = limit,
            Phase::Reduce => self.reduce = limit,
        }
    }
}

/// Nothing waits, something is being done, and a backup of it would find a slot.
pub fn may_be_wanted(snapshot: &Snapshot) -> bool {
    let steady = !snapshot.phases.end && !snapshot.cancel && !snapshot.pause;
    steady && !anything_waits(snapshot) && snapshot.tasks().any(|(_, view)| !view.claimed.is_empty()) && n_idle(snapshot) > 0
}

/// The phases whose limit is worth its reads: backups may be wanted, and a claim has run for long.
pub fn suspected(snapshot: &Snapshot, running: &BTreeMap<ClaimName, Duration>) -> Vec<Phase> {
    if !may_be_wanted(snapshot) {
        return Vec::new();
    }
    let is_long = |claim: &ClaimName| running.get(claim).is_some_and(|run| *run > RUNNING_MIN);
    let has_long = |phase: &Phase| snapshot.of(*phase).iter().flat_map(|view| &view.claimed).any(is_long);
    [Phase::Map, Phase::Reduce].into_iter().filter(has_long).collect()
}

/// Tasks to be asked how long they took: all, or so many from end to end.
pub fn sample(views: &[TaskView]) -> impl Iterator<Item = &TaskView> {
    views.iter().step_by(views.len().div_ceil(SAMPLE).max(1))
}

/// The limit of a phase whose tasks took so long; `None` stands for one that is not done yet, and is taken to be longer than those that are.
pub fn limit(durations: &mut [Option<Duration>]) -> Option<Duration> {
    durations.sort_unstable_by_key(|duration| duration.unwrap_or(Duration::MAX));
    let at = |index: usize| durations.get(index).copied().flatten();
    let by_median = at(durations.len() / 2)?.saturating_mul(MEDIANS);
    let by_most = at(durations.len() * 9 / 10).map_or(Duration::MAX, |most| most.saturating_mul(HALVES_OF_NINE_IN_TEN) / 2);
    Some(by_median.min(by_most).max(RUNNING_MIN))
}

/// The backups that are to be issued now.
pub fn backups(snapshot: &Snapshot, facts: &Facts<'_>) -> Vec<Action> {
    if anything_waits(snapshot) {
        return Vec::new();
    }
    let mut slow = Vec::new();
    for (task, view) in snapshot.tasks() {
        let Some(limit) = facts.limits.of(task.phase) else { continue };
        let Some(claim) = only_claim(view, facts) else { continue };
        let run = facts.running.get(claim).copied().unwrap_or_default();
        if run > limit
            && verdict(task, view, facts).is_none()
            && let Some(number) = view.highest.checked_add(1)
        {
            slow.push((run, Action::Backup(task.attempt(number), claim.clone())));
        }
    }
    slow.sort_by_key(|(run, _)| std::cmp::Reverse(*run));
    slow.into_iter().map(|(_, action)| action).take(n_idle(snapshot)).collect()
}

fn anything_waits(snapshot: &Snapshot) -> bool {
    snapshot.tasks().any(|(_, view)| !view.pending.is_empty())
}

/// Workers that hold no claim. The dead ones among them cost a descriptor that waits, no more.
fn n_idle(snapshot: &Snapshot) -> usize {
    let busy: BTreeSet<&WorkerName> = snapshot.tasks().flat_map(|(_, view)| &view.claimed).map(|claim| &claim.worker).collect();
    snapshot.workers.iter().filter(|worker| !busy.contains(worker)).count()
}

/// The claim that alone stands for a task which is not done, if a backup beside it would be the first one since it was issued that may come to something.
fn only_claim<'a>(view: &'a TaskView, facts: &Facts<'_>) -> Option<&'a ClaimName> {
    let [claim] = &view.claimed[..] else { return None };
    let number = claim.attempt.number;
    let is_free = |file: &TaskFile| facts.endings.get(&file.to_string()) == Some(&Ending::Free);
    let tried = view.failed.iter().any(|failed| failed.attempt.number > number)
        || view.expired.iter().any(|file| file.attempt().number > number && !is_free(file));
    let taken_back = facts.stale.contains(claim) || facts.stuck.contains(claim);
    (view.done.is_empty() && !tried && !taken_back).then_some(claim)
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
