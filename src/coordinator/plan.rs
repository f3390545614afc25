//! What is to be done next: a pure function of one look at the directory. No disk, no clock, no thread.
//!
//! The whole policy in one sentence: *issue what is nowhere and within its limits*. Start, restart after kill -9, take-over by a standby and ordinary
//! running are this one function. Actions that rest on the *absence* of something are only believed from a sure snapshot; the caller takes one
//! when [`Action::rests_on_absence`] says so and plans again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::backup::{self, Limits};
use super::bundling::Bundling;
use super::maps::{Maps, is_nowhere};
use super::window::Window;
use crate::ids::{AttemptId, Block, ClaimName, TaskFile, TaskId};
use crate::job::record::Ended;
use crate::job::snapshot::{Snapshot, TaskView};

/// Of tasks that were left out so many are told with their last errors.
const LEFT_OUT_TOLD_MAX: usize = 10;

/// What the coordinator knows beside the names: read once from files that never move again, or watched.
pub struct Facts<'a> {
    /// How attempts in `failed/` and `expired/` ended, by file name.
    pub endings: &'a HashMap<String, Ending>,
    /// Attempts that an earlier, retried end blamed: they count no more.
    pub blamed: &'a HashSet<String>,
    /// Claims that are to be taken back.
    pub stale: &'a BTreeSet<ClaimName>,
    /// Stale claims whose file hangs (a dead machine's delegation): the next attempt is issued beside them.
    pub stuck: &'a BTreeSet<ClaimName>,
    /// Files in `done/` that in two fresh reads held no result of their own.
    pub hollow: &'a BTreeSet<ClaimName>,
    /// For how long claims have run.
    pub running: &'a BTreeMap<ClaimName, Duration>,
    /// For how long claims may run before they are far slower than others; unknown where no backup is wanted.
    pub limits: Limits,
    /// Reported errors of a task before the job fails.
    pub max_errors: u32,
    /// Lost leases and retracts of a task before the job fails.
    pub max_lost: u32,
    /// How many unclaimed tasks there are to be at once, at least.
    pub window: usize,
    /// How many map tasks share a file.
    pub bundling: Bundling<'a>,
    /// Tasks past their limit are left out and named at the end, and the job fails at once when they are so many; `None`: the first one fails it.
    pub leave_out: Option<usize>,
}

/// How an attempt in `failed/` or `expired/` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It reported this error.
    Error(String),
    /// It found these map attempts' files missing or wrong: no error of its own.
    Damaged(Vec<ClaimName>),
    /// Its lease was lost, or its result retracted.
    Lost,
    /// At a record that is skipped since: it counts no more.
    Skipped,
    /// Given back or dropped: nobody's fault.
    Free,
}

/// One thing to do. Doing it twice, or by two coordinators, does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Write a new descriptor into `pending/`.
    Issue(AttemptId),
    /// Write a second descriptor of a task beside this claim, which runs far longer than others do.
    Backup(AttemptId, ClaimName),
    /// Take a claim back.
    Expire(ClaimName, Ended),
    /// Take a copy of a finished task, or of an ended job, out of `pending/`.
    DropPending(AttemptId),
    /// Take a result back whose files are missing or damaged.
    Retract(ClaimName),
    /// Every map task is done: decide which attempts count.
    PlanReduce,
    /// Every reduce task is done: publish and decide the end.
    Finish,
    /// A task is past its limit: decide the end.
    Fail {
        /// Which.
        task: TaskId,
        /// Its last error, or that it was lost too often.
        error: String,
        /// The attempts that count against it.
        blames: Vec<String>,
    },
    /// Somebody touched `cancel`: decide the end.
    Cancel,
    /// Give the decided end its second name.
    NameEnd,
}

impl Action {
    /// True if this is only right where something really is *not* there.
    pub fn rests_on_absence(&self) -> bool {
        match self {
            Action::Issue(_) | Action::Backup(..) | Action::PlanReduce | Action::Finish | Action::Fail { .. } => true,
            Action::Expire(..) | Action::DropPending(_) | Action::Retract(_) | Action::Cancel | Action::NameEnd => false,
        }
    }
}

/// Everything that is to be done now, in order. Empty: wait.
pub fn plan(snapshot: &Snapshot, facts: &Facts<'_>) -> Vec<Action> {
    if snapshot.phases.end {
        return clear_up(snapshot);
    }
    if snapshot.cancel {
        return vec![Action::Cancel];
    }
    let retracted = to_retract(snapshot, facts);
    let mut actions: Vec<Action> = retracted.iter().cloned().map(Action::Retract).collect();
    let room = Window::of(snapshot, facts.window, &facts.bundling).room(snapshot);
    let Maps { actions: of_maps, left_out, failure, n_done, .. } = Maps::look(snapshot, facts, &retracted, room);
    let n_maps = snapshot.maps.len();
    let maps_done = n_done == n_maps;
    actions.extend(of_maps);
    let may_reduce = maps_done && retracted.is_empty() && snapshot.phases.reduce;
    let is_done = |view: &TaskView| view.done.iter().any(|claim| !retracted.contains(claim));
    if let Some(failure) = failure.or_else(|| plan_reduces(snapshot, facts, may_reduce.then_some(room), &is_done, &mut actions)) {
        return vec![failure];
    }
    if let Some(most) = facts.leave_out {
        if left_out.len() >= most || retracted.is_empty() && n_done + left_out.len() == n_maps {
            return vec![end_without_reduce(left_out, n_maps)];
        }
    } else if maps_done && retracted.is_empty() {
        if !snapshot.phases.reduce && !snapshot.reduces.is_empty() {
            actions.push(Action::PlanReduce);
        } else if snapshot.reduces.iter().all(is_done) {
            actions.push(Action::Finish);
        }
    }
    if !snapshot.pause && !actions.iter().any(|action| matches!(action, Action::Issue(_))) {
        actions.extend(backup::backups(snapshot, facts));
    }
    actions
}

/// What is to be done about reduce tasks. Where they may be issued there is room for so many that were never tried. The first task past its limit, if there is one.
fn plan_reduces(
    snapshot: &Snapshot,
    facts: &Facts<'_>,
    mut room: Option<usize>,
    is_done: &dyn Fn(&TaskView) -> bool,
    actions: &mut Vec<Action>,
) -> Option<Action> {
    for (view, n) in snapshot.reduces.iter().zip(0..) {
        let task = TaskId::reduce(n);
        if is_done(view) {
            drop_copies(Block::one(task), view, actions);
            continue;
        }
        actions.extend(
            view.claimed.iter().filter(|claim| facts.stale.contains(claim)).cloned().map(|claim| Action::Expire(claim, Ended::Lost)),
        );
        let Some(room) = room.as_mut().filter(|_| is_nowhere(view, facts)) else { continue };
        match verdict(task, view, view.highest, facts) {
            Some(failure) => return Some(failure),
            None if snapshot.pause => {}
            // What was tried before has waited long enough.
            None if view.highest == 0 && *room == 0 => {}
            None => {
                *room = room.saturating_sub(usize::from(view.highest == 0));
                actions.push(Action::Issue(task.attempt(view.highest + 1)));
            }
        }
    }
    None
}

/// A job without a reduce phase ends with its last task. Where some were left out it has failed, and the attempts that count against them are blamed.
fn end_without_reduce(left_out: Vec<Action>, tasks: usize) -> Action {
    let (count, mut texts, mut blamed, mut first) = (left_out.len(), Vec::new(), Vec::new(), None);
    for failure in left_out {
        let Action::Fail { task, error, blames } = failure else { continue };
        first.get_or_insert(task);
        texts.extend((texts.len() < LEFT_OUT_TOLD_MAX).then_some(error));
        blamed.extend(blames);
    }
    let Some(task) = first else { return Action::Finish };
    let more = if count > texts.len() { format!("\nand {} more", count - texts.len()) } else { String::new() };
    let error = format!("{count} of {tasks} tasks failed for good:\n{}{more}", texts.join("\n"));
    Action::Fail { task, error, blames: blamed }
}

/// After the end: nothing stays claimable or claimed.
fn clear_up(snapshot: &Snapshot) -> Vec<Action> {
    let mut actions = Vec::new();
    for (block, view) in snapshot.blocks() {
        drop_copies(block, view, &mut actions);
    }
    if !snapshot.phases.verdict {
        actions.push(Action::NameEnd);
    }
    actions
}

pub(super) fn drop_copies(block: Block, view: &TaskView, actions: &mut Vec<Action>) {
    actions.extend(view.pending.iter().map(|&number| Action::DropPending(block.attempt(number))));
    actions.extend(view.claimed.iter().cloned().map(|claim| Action::Expire(claim, Ended::Dropped)));
}

/// Results that are to be taken back: hollow ones, and those that a *damaged* report names.
fn to_retract(snapshot: &Snapshot, facts: &Facts<'_>) -> BTreeSet<ClaimName> {
    let is_done = |claim: &ClaimName| snapshot.view(claim.attempt.block()).is_some_and(|view| view.done.contains(claim));
    let reports = snapshot.reduces.iter().flat_map(|view| &view.failed);
    let named = reports.filter_map(|claim| match facts.endings.get(&claim.to_string()) {
        Some(Ending::Damaged(names)) => Some(names),
        Some(Ending::Error(_) | Ending::Lost | Ending::Skipped | Ending::Free) | None => None,
    });
    named.flatten().chain(facts.hollow).filter(|claim| is_done(claim)).cloned().collect()
}

/// Past a limit, the task fails the job, once it is nowhere. `view` is of its attempts alone, `highest` the highest number of any that holds it.
pub(super) fn verdict(task: TaskId, view: &TaskView, highest: u32, facts: &Facts<'_>) -> Option<Action> {
    let names = view.failed.iter().map(ToString::to_string).chain(view.expired.iter().map(TaskFile::to_string));
    let counting: Vec<String> = names.filter(|name| !facts.blamed.contains(name)).collect();
    let ending = |name: &String| facts.endings.get(name);
    let errors: Vec<&String> = counting.iter().filter(|name| matches!(ending(name), Some(Ending::Error(_)))).collect();
    let lost = counting.iter().filter(|name| matches!(ending(name), Some(Ending::Lost))).count();
    let error = if errors.len() >= facts.max_errors as usize {
        let last = errors.iter().max_by_key(|name| attempt_number(name));
        match last.and_then(|name| ending(name)) {
            Some(Ending::Error(text)) if errors.len() == 1 => format!("{task} failed once, with: {text}"),
            Some(Ending::Error(text)) => format!("{task} failed {} times, at last with: {text}", errors.len()),
            Some(Ending::Damaged(_) | Ending::Lost | Ending::Skipped | Ending::Free) | None => return None,
        }
    } else if lost >= facts.max_lost as usize {
        let why = "its workers died, or fell silent for a lease, while they worked on it";
        if lost == 1 {
            format!("{task} was lost once without a result: {why}")
        } else {
            format!("{task} was lost {lost} times without a result: {why}")
        }
    } else if highest == u32::MAX {
        format!("{task} can have no further attempt: a file bears its highest possible number; move it away, then `flockwork retry`")
    } else {
        return None;
    };
    // Also what was excused: a retried job learns anew which records are bad, for its app may be mended.
    let is_blamed = |name: &String| matches!(facts.endings.get(name), Some(Ending::Error(_) | Ending::Lost | Ending::Skipped));
    let blames = counting.into_iter().filter(is_blamed).collect();
    Some(Action::Fail { task, error, blames })
}

fn attempt_number(name: &str) -> u32 {
    name.parse::<TaskFile>().map_or(0, |file| file.attempt().number)
}
