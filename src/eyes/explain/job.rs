//! Why a job moves, or does not.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::Scene;
use super::why::number_of;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::eyes::span;
use crate::eyes::status::{self, Status};
use crate::eyes::tally;
use crate::ids::{Phase, TaskId};
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::Spec;
use crate::planner::after::{Start, may_start};
use crate::units::{for_shell, for_terminal};

/// Tasks named that the phase waits for.
const NAMED_MAX: usize = 5;

/// Of a job alone; see the file above for the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table there")]
pub struct JobStory {
    pub version: u32,
    pub job: String,
    pub app: String,
    pub phase: &'static str,
    pub moves: bool,
    pub now: Vec<String>,
    pub next: Vec<String>,
    pub hints: Vec<String>,
}

/// Why the job `spec` at `root` moves, or does not.
pub fn look(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Option<Shape>) -> Result<JobStory> {
    let known = shape.unwrap_or(Shape { maps: 0, reduces: spec.ask.reduces });
    let snapshot = Snapshot::take(disk, known, Belief::Glance).map_err(|error| Error::io("cannot list the job", root, error))?;
    let status = status::of(disk, root, spec, shape, &snapshot)?;
    let scene = Scene::of(&status, spec, &snapshot);
    let waits_for = if shape.is_none() && status.end.is_none() { may_start(root, &spec.ask)? } else { Start::Now };
    let left = tally::left(&snapshot, if status.phase == "reduce" { Phase::Reduce } else { Phase::Map });
    Ok(of(&scene, &waits_for, &left))
}

/// Pure: what there is to say.
fn of(scene: &Scene<'_>, waits_for: &Start, left: &[TaskId]) -> JobStory {
    let status = scene.status;
    let mut story = JobStory {
        version: 1,
        job: status.job.clone(),
        app: status.app.clone(),
        phase: status.phase,
        moves: false,
        now: Vec::new(),
        next: Vec::new(),
        hints: status.hints.clone(),
    };
    if let Some(end) = &status.end {
        story.now.push(format!("it has ended: {}, at {}", status.phase, end.at));
        story.now.extend(end.error.iter().map(|error| format!("the reason: {error}")));
        story.next.push("nothing: an ended job stays as it is".to_owned());
        return story;
    }
    let blocks = blocks(scene, waits_for);
    story.moves = blocks.is_empty();
    story.now.push(match status.phase {
        "planning" => "it is not planned yet".to_owned(),
        phase => {
            let tasks = if phase == "reduce" { &status.reduce } else { &status.map };
            format!("phase {phase}: {} of {} tasks are done, {} claimed, {} pending", tasks.done, tasks.total, tasks.claimed, tasks.pending)
        }
    });
    story.now.extend(blocks);
    if story.moves {
        story.now.push(moving(status));
    }
    if !left.is_empty() && left.len() <= NAMED_MAX && status.phase != "planning" {
        let named: Vec<String> = left.iter().map(ToString::to_string).collect();
        story.now.push(format!("the phase waits for {}", named.join(", ")));
        let job = for_shell(Path::new(&status.job));
        story.hints.push(format!("`flockwork explain {job} {}` tells of that task", left[0]));
    }
    story.next.push(next(scene));
    story
}

/// What keeps the job from moving, in sentences; empty where nothing does.
fn blocks(scene: &Scene<'_>, waits_for: &Start) -> Vec<String> {
    let status = scene.status;
    let mut blocks = Vec::new();
    match waits_for {
        Start::Now => {}
        Start::Later(job) => blocks.push(format!("it starts after {job}, which has not ended")),
        Start::Blocked(why) => blocks.push(format!("it does not start: {why}")),
    }
    if status.controls.contains(&"cancel") {
        blocks.push("somebody has asked to cancel it: a coordinator ends it".to_owned());
    }
    if status.paused {
        blocks.push("it is paused: nothing is issued or claimed; what is claimed goes on".to_owned());
    }
    if scene.is_leaderless() {
        let lead = status.coordinator.as_ref().and_then(|lead| lead.quiet_ms.max(status.newest_ago_ms));
        blocks.push(match lead {
            None => "no coordinator has led it so far, and only a coordinator issues tasks and ends phases".to_owned(),
            Some(ms) => format!("no coordinator has been seen for {}, and only a coordinator issues tasks and ends phases", span(ms)),
        });
    }
    match status.no_worker_until_now_ms(scene.spec.ask.lease()) {
        Some(ms) => blocks.push(format!("no worker has been seen for {}", span(ms))),
        None if status.workers.is_empty() => blocks.push("no worker is registered".to_owned()),
        None => {}
    }
    if let Some(trouble) = status.coordinator.as_ref().and_then(|lead| lead.trouble.as_ref()) {
        blocks.push(format!("its coordinator is in trouble: {trouble}"));
    }
    let troubled: Vec<&String> = status.workers.iter().filter_map(|worker| worker.trouble.as_ref()).collect();
    if let Some(trouble) = troubled.first().filter(|_| troubled.len() == status.workers.len()) {
        blocks.push(format!("every worker is in trouble: {trouble}"));
    }
    blocks.extend(status.storage.iter().map(|trouble| format!("nothing can be written: {trouble}")));
    blocks
}

fn moving(status: &Status) -> String {
    let busy = status.workers.iter().filter(|worker| worker.claim.is_some()).count();
    let mut text = format!("it moves: {busy} of {}", number_of(status.workers.len(), "worker is at work", "workers are at work"));
    if let Some(slow) = status.slowest.first() {
        let _ = write!(text, "; the slowest claim is {}, which has run for {} at least", slow.claim, span(slow.running_ms));
    }
    if let Some(ms) = status.pace.and_then(|pace| pace.eta_ms) {
        let _ = write!(text, "; about {} to the end of this phase", span(ms));
    }
    text
}

fn next(scene: &Scene<'_>) -> String {
    match scene.status.phase {
        "planning" => "a coordinator writes the plan, phase/map".to_owned(),
        "map" if scene.spec.ask.is_map_only() => "when every task has ended, the job ends".to_owned(),
        "map" => {
            format!("when every map task is done, {}", number_of(scene.status.reduce.total, "reduce task begins", "reduce tasks begin"))
        }
        _ => "when every reduce task is done, the outputs are published and the job ends".to_owned(),
    }
}

impl JobStory {
    /// The page for people.
    pub fn text(&self) -> String {
        let mut text = format!("job      {} ({})\nphase    {}\n", self.job, self.app, self.phase);
        super::text::lists(&mut text, &self.now, &self.next, &self.hints);
        for_terminal(&text).into_owned()
    }
}
