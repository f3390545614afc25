//! One task's story, and why a job moves or does not: what `explain` tells in sentences, and with `--json` as one object.
//!
//! Names and meanings of the fields are stable under `"version": 1`; new ones may be added. The sentences are for people, and may change.
//!
//! | field of a task's story | meaning |
//! |---|---|
//! | `job`, `app`, `task`, `phase` | which; `phase` is that of the job, as in [`status`] |
//! | `share` | what the task is to do: its pieces of the input, its item and command, or its partition |
//! | `state` | `waiting` (not issued, or between two attempts), `pending`, `claimed`, `done` or `failed` (past a limit) |
//! | `errors`, `errors_max`, `losses`, `losses_max` | what counts against it, and how much may |
//! | `attempts` | in order: `name`, `number`, `state` (the folder its file lies in), `worker`, `host`, `pid`, `issued_by`, `issued`, `claimed`, `ended` (RFC 3339, each by its writer's clock), `elapsed_ms` (by the worker's), `outcome` (`result`, `error`, `damaged`, `lost`, `given_back`, `dropped`, `retracted`; null while it lies in `pending/` or `claimed/`), `counts`, `error`, `output` (the end of its command's stderr), `bytes` (of the files it made), `counters`, `skipped` (records passed over), `quiet_ms`, `running_ms`, `waiting_ms` (as in `status`), `story` (a sentence) |
//! | `now`, `next`, `hints` | sentences: where it is and why, what happens next, what one can do |
//!
//! Of a job alone: `job`, `app`, `phase`, `moves` (whether anything can happen without help), `now`, `next`, `hints`.
//!
//! Files in `pending/` and `claimed/` may still move and are not opened: what is said of them is what their names and stamps say. Cost: that of `status`,
//! and the files of this one task.

use std::path::Path;

use serde::Serialize;

use super::against;
use super::status::{self, Status};
use super::tally::{self, Beats};
use crate::data::Counters;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::ids::{AttemptId, Block, Phase, TaskId};
use crate::job::end;
use crate::job::layout::{self, State};
use crate::job::snapshot::{Belief, Shape, Snapshot, TaskView};
use crate::job::spec::Spec;

mod attempts;
pub mod job;
pub mod names;
mod share;
mod text;
mod why;

/// A task's story; see the file's head for the fields.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Story {
    pub version: u32,
    pub job: String,
    pub app: String,
    pub task: String,
    pub phase: &'static str,
    pub share: String,
    pub state: &'static str,
    pub errors: usize,
    pub errors_max: u32,
    pub losses: usize,
    pub losses_max: u32,
    pub attempts: Vec<Attempt>,
    pub now: Vec<String>,
    pub next: Vec<String>,
    pub hints: Vec<String>,
}

/// One attempt of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Attempt {
    pub name: String,
    pub number: u32,
    pub state: &'static str,
    pub worker: Option<String>,
    pub host: Option<String>,
    pub pid: Option<u32>,
    pub issued_by: Option<String>,
    pub issued: Option<String>,
    pub claimed: Option<String>,
    pub ended: Option<String>,
    pub elapsed_ms: Option<u64>,
    pub outcome: Option<&'static str>,
    pub counts: bool,
    pub error: Option<String>,
    pub output: Option<String>,
    pub bytes: Option<u64>,
    pub counters: Counters,
    pub skipped: usize,
    pub quiet_ms: Option<u64>,
    pub running_ms: Option<u64>,
    pub waiting_ms: Option<u64>,
    pub story: String,
}

/// What is known of the job beside the task.
struct Scene<'a> {
    status: &'a Status,
    spec: &'a Spec,
    /// Map tasks that are not done yet.
    maps_left: Vec<TaskId>,
    /// Workers without a claim.
    idle: usize,
    /// The map plan is written.
    is_planned: bool,
}

/// Tells the story of `task` of the job `spec` at `root`; `only`: of that attempt alone.
pub fn task(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Shape, task: TaskId, only: Option<AttemptId>) -> Result<Story> {
    let fail = |error| Error::io("cannot list the job", root, error);
    let snapshot = Snapshot::take(disk, shape, Belief::Glance).map_err(fail)?;
    let status = status::of(disk, root, spec, Some(shape), &snapshot)?;
    let holders: Vec<(Block, &TaskView)> = snapshot.holders(task).collect();
    let view = together(&holders);
    let beats = Beats::of_task(disk, &snapshot, &view);
    let mut attempts = attempts::read(disk, &holders, &beats);
    let blamed = against::blamed(disk, &snapshot);
    let tally = against::count(disk, spec, task, &view, &blamed);
    attempts::mark_counting(&mut attempts, end::load(disk, root)?.as_ref());
    for attempt in &mut attempts {
        attempt.story = text::story(attempt);
    }
    let scene = Scene::of(&status, spec, &snapshot);
    let state = why::state(&view, &tally, spec);
    let told = why::task(&scene, task, state, &attempts, &tally);
    if let Some(only) = only {
        attempts.retain(|attempt| attempt.number == only.number);
    }
    Ok(Story {
        version: 1,
        job: root.display().to_string(),
        app: spec.ask.app.clone(),
        task: task.to_string(),
        phase: status.phase,
        share: share::of(disk, root, spec, task),
        state,
        errors: tally.errors,
        errors_max: spec.ask.max_errors,
        losses: tally.losses,
        losses_max: spec.ask.max_lost,
        attempts,
        now: told.now,
        next: told.next,
        hints: told.hints,
    })
}

/// Where the attempts of a task are, alone or with others.
fn together(holders: &[(Block, &TaskView)]) -> TaskView {
    let mut all = TaskView::default();
    for (_, view) in holders {
        view.pending.iter().for_each(|number| all.pending.push(*number));
        view.claimed.iter().for_each(|claim| all.claimed.push(claim.clone()));
        view.done.iter().for_each(|claim| all.done.push(claim.clone()));
        view.failed.iter().for_each(|claim| all.failed.push(claim.clone()));
        view.expired.iter().for_each(|file| all.expired.push(file.clone()));
        all.highest = all.highest.max(view.highest);
    }
    all
}

impl<'a> Scene<'a> {
    fn of(status: &'a Status, spec: &'a Spec, snapshot: &Snapshot) -> Scene<'a> {
        let maps_left = tally::left(snapshot, Phase::Map);
        let idle = status.workers.iter().filter(|worker| worker.claim.is_none() && worker.trouble.is_none()).count();
        Scene { status, spec, maps_left, idle, is_planned: status.phase != "planning" }
    }

    /// No coordinator is at work, as far as one can see: none ever was, or it is silent for three leases, or everybody is.
    fn is_leaderless(&self) -> bool {
        let patience = u64::try_from(self.spec.ask.lease().as_millis()).unwrap_or(u64::MAX).saturating_mul(3);
        let is_old = |ms: Option<u64>| ms.is_some_and(|ms| ms > patience);
        self.status.coordinator.as_ref().is_none_or(|lead| is_old(lead.quiet_ms)) || is_old(self.status.newest_ago_ms)
    }
}

impl Beats {
    /// Those of everybody, and of this task's claims if they are beyond those looked at.
    fn of_task(disk: &dyn Disk, snapshot: &Snapshot, view: &TaskView) -> Beats {
        let mut beats = Beats::look(disk, snapshot);
        let paths = view.claimed.iter().map(|claim| layout::held(State::Claimed, claim));
        paths.for_each(|path| beats.add(disk, path));
        beats
    }
}
