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
//! | it is the only claim that holds the task, and no later attempt of the task failed or was lost | one backup at a time, and never one after the other at the cost of the limits |
//! | the task is not past a limit | else each attempt that fails would leave a backup behind it, so that the task is never nowhere, and never fails its job |
//!
//! The backup of a block of several tasks is its two halves: where its machine is slow two others help, and where its tasks are longer than those before were, they are no
//! longer one behind the other. When both are done, so is all of the block, and its claim is dropped; or the other way about.
//!
//! Tasks that are not done count as longer than those that are: so the median is known once half of the phase is done, and it is not that of the quick half.
//!
//! How long a claim has run is what the coordinator has seen itself ([`Leases::watched`](super::leases::Leases::watched)), so one that has just taken over begins
//! at zero. How long a done attempt took its worker has said in its record, by its own clock: a duration, which no other clock is compared with. Records are
//! read of a sample only, once, and only near the end of a phase: it reads them at its end in any case.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use super::maps::within;
use super::plan::{Action, Ending, Facts, verdict};
use crate::ids::{Block, ClaimName, Phase, TaskFile, TaskId, WorkerName};
use crate::job::snapshot::{Snapshot, TaskView};
use crate::job::walk::{Done, Holder, Walker, walk};

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
    steady && !anything_waits(snapshot) && snapshot.blocks().any(|(_, view)| !view.claimed.is_empty()) && n_idle(snapshot) > 0
}

/// The phases whose limit is worth its reads: backups may be wanted, and a claim has run for long.
pub fn suspected(snapshot: &Snapshot, running: &BTreeMap<ClaimName, Duration>) -> Vec<Phase> {
    if !may_be_wanted(snapshot) {
        return Vec::new();
    }
    let is_long = |claim: &ClaimName| running.get(claim).is_some_and(|run| *run > RUNNING_MIN);
    let has_long = |phase: &Phase| snapshot.blocks_of(*phase).flat_map(|(_, view)| view.claimed.iter()).any(is_long);
    [Phase::Map, Phase::Reduce].into_iter().filter(has_long).collect()
}

/// Tasks to be asked how long they took: all of a phase, or so many from end to end; of each what is done of the largest block that holds it, if that is done.
pub fn sample(snapshot: &Snapshot, phase: Phase) -> impl Iterator<Item = Option<&ClaimName>> {
    let n = match phase {
        Phase::Map => snapshot.maps.len(),
        Phase::Reduce => snapshot.reduces.len(),
    };
    let numbers = (0..n as u32).step_by(n.div_ceil(SAMPLE).max(1));
    numbers.map(move |number| snapshot.holders(TaskId { phase, number }).find_map(|(_, view)| view.done.first()))
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
    let mut slow = Slow { facts, found: Vec::new() };
    walk(snapshot, &mut slow);
    for (view, n) in snapshot.reduces.iter().zip(0..) {
        let block = Block::one(TaskId::reduce(n));
        if view.done.is_empty() {
            slow.look(&[Holder { block, view }], |_| vec![block]);
        }
    }
    slow.found.sort_by_key(|(run, _)| std::cmp::Reverse(*run));
    slow.found.into_iter().map(|(_, action)| action).take(n_idle(snapshot)).collect()
}

/// Collects backups, with how long the claims beside them have run.
struct Slow<'a> {
    facts: &'a Facts<'a>,
    found: Vec<(Duration, Action)>,
}

impl Slow<'_> {
    /// Looks at what is held by these blocks alone; beside a slow claim of it `parts` are to be issued.
    fn look(&mut self, holders: &[Holder<'_>], parts: impl Fn(Block) -> Vec<Block>) {
        let Some(claim) = only_claim(holders, self.facts) else { return };
        let block = claim.attempt.block();
        let run = self.facts.running.get(claim).copied().unwrap_or_default();
        if self.facts.limits.of(block.first().phase).is_none_or(|limit| run <= limit) {
            return;
        }
        let Some(number) = holders.iter().map(|holder| holder.view.highest).max().and_then(|highest| highest.checked_add(1)) else {
            return;
        };
        let is_past =
            |holder: &Holder<'_>| holder.block.order() == 0 && verdict(holder.block.first(), holder.view, number, self.facts).is_some();
        if !holders.iter().any(is_past) {
            self.found.extend(parts(block).into_iter().map(|part| (run, Action::Backup(part.attempt(number), claim.clone()))));
        }
    }
}

impl Walker for Slow<'_> {
    fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done {
        let holders: Vec<Holder<'_>> = within(self.facts.bundling.planned_for(tasks.start), holders).copied().collect();
        if holders.iter().any(|holder| !holder.view.done.is_empty()) {
            return Done::All;
        }
        self.look(&holders, |slow| {
            let (mut parts, mut left) = (Vec::new(), tasks.clone());
            while !left.is_empty() {
                parts.push(Block::first_of(&left, slow.order().saturating_sub(1)));
                left.start = parts.last().map_or(left.end, |part| part.tasks().end);
            }
            parts
        });
        Done::NotAll
    }
}

fn anything_waits(snapshot: &Snapshot) -> bool {
    snapshot.blocks().any(|(_, view)| !view.pending.is_empty())
}

/// Workers that hold no claim. The dead ones among them cost a descriptor that waits, no more.
fn n_idle(snapshot: &Snapshot) -> usize {
    let busy: BTreeSet<&WorkerName> = snapshot.claims().map(|claim| &claim.worker).collect();
    snapshot.workers.iter().filter(|worker| !busy.contains(worker)).count()
}

/// The claim that alone stands for tasks which are not done, if a backup beside it would be the first one since it was issued that may come to something.
fn only_claim<'a>(holders: &[Holder<'a>], facts: &Facts<'_>) -> Option<&'a ClaimName> {
    let mut claims = holders.iter().flat_map(|holder| holder.view.claimed.iter());
    let claim = claims.next().filter(|_| claims.next().is_none())?;
    let number = claim.attempt.number;
    let is_free = |file: &TaskFile| facts.endings.get(&file.to_string()) == Some(&Ending::Free);
    let tried = |view: &TaskView| {
        view.failed.iter().any(|failed| failed.attempt.number > number)
            || view.expired.iter().any(|file| file.attempt().number > number && !is_free(file))
    };
    let taken_back = facts.stale.contains(claim) || facts.stuck.contains(claim);
    (!taken_back && !holders.iter().any(|holder| tried(holder.view))).then_some(claim)
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
