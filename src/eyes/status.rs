//! One look at a job, as a value: what `status` shows, and with `--json` writes as one object.
//!
//! Names and meanings of the fields are stable under `"version": 1`; new ones may be added. Times are milliseconds.
//!
//! | field | meaning |
//! |---|---|
//! | `job`, `id`, `app`, `submitted` | where, which, what, since when |
//! | `phase` | `planning`, `map`, `reduce`, `finished`, `failed` or `cancelled` |
//! | `paused`, `controls` | a `pause` file holds a job that has not ended; the control files there are |
//! | `percent` | tasks done of all tasks; 100 once finished |
//! | `map`, `reduce` | tasks by state: `total`, `waiting` (not issued), `pending`, `claimed`, `done` |
//! | `attempts` | ended ones: `done`, `failed` (reported an error), `expired` (lost, given back, dropped, retracted) |
//! | `pace` | from a sample of done records of the running phase: `sampled`, `mean_task_ms`, `tasks_per_second`, `eta_ms` (of this phase; rough; null where nothing is claimed, or those sampled took less than a second together); or null |
//! | `newest_sign_of_life` | RFC 3339, by the server's clock: the newest mtime among workers, claims and coordinator; or null |
//! | `coordinator` | `quiet_ms`: how much older its file is than that; null where none ever led the job |
//! | `workers` | `name`, `host`, `pid`, `quiet_ms`, `claim`, `trouble` (what the disk refuses it; or null; of the first 200), ordered by name |
//! | `storage` | sentences on why nothing can be written here now: a full or read-only file system; empty where it can |
//! | `claims` | of the tasks on their highest attempt first, at most 5: `claim`, `task` (of several tasks in one file the range, `map-00064+63`), `attempt`, `worker`, `quiet_ms` |
//! | `errors` | the last reported ones, at most 5: `attempt`, `text` |
//! | `foreign`, `foreign_count` | paths that are not flockwork's, at most 5, and how many there are |
//! | `end` | `outcome`, `at`, `error`, `outputs`, `output_bytes`, `counters`, `busy_ms`; null before |
//! | `hints` | sentences on what to do where nothing can move |
//!
//! No two machines' clocks are compared: an age is the distance of two mtimes that the server stamped. When everybody is dead, everybody is as
//! quiet as the newest sign of life, which is why that is shown too. Cost: one listing per directory, one look per worker and claim (at most
//! 2000), and at most 200 small files read, none of which can still be worked on.

use std::path::Path;

use serde::Serialize;

use super::tally::{self, Beats, TOLD_MAX};
use crate::data::Counters;
use crate::disk::{Disk, real};
use crate::error::{Error, Result};
use crate::ids::Phase;
use crate::job::end::{self, End, Outcome};
use crate::job::layout::{self, COORDINATOR_LOCK};
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::Spec;
use crate::units::show_stamp;

/// One look; see the file's head for the fields.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Status {
    pub version: u32,
    pub job: String,
    pub id: String,
    pub app: String,
    pub submitted: String,
    pub phase: &'static str,
    pub paused: bool,
    pub controls: Vec<&'static str>,
    pub percent: f64,
    pub map: Tasks,
    pub reduce: Tasks,
    pub attempts: end::Attempts,
    pub pace: Option<Pace>,
    pub newest_sign_of_life: Option<String>,
    pub storage: Vec<String>,
    pub coordinator: Option<Lead>,
    pub workers: Vec<WorkerSeen>,
    pub claims: Vec<ClaimSeen>,
    pub errors: Vec<ErrorSeen>,
    pub foreign: Vec<String>,
    pub foreign_count: usize,
    pub end: Option<EndSeen>,
    pub hints: Vec<String>,
}

/// Tasks of one phase by state; each is counted once, in the state that lies farthest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Tasks {
    pub total: usize,
    pub waiting: usize,
    pub pending: usize,
    pub claimed: usize,
    pub done: usize,
}

/// How quickly the phase that runs goes on.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Pace {
    pub sampled: usize,
    pub mean_task_ms: u64,
    pub tasks_per_second: Option<f64>,
    pub eta_ms: Option<u64>,
}

/// The coordinator, as its file shows it.
#[derive(Debug, Clone, Copy, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Lead {
    pub quiet_ms: Option<u64>,
}

/// A registered worker.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct WorkerSeen {
    pub name: String,
    pub host: String,
    pub pid: u32,
    pub quiet_ms: Option<u64>,
    pub claim: Option<String>,
    pub trouble: Option<String>,
}

/// A claim that may be a slow one.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct ClaimSeen {
    pub claim: String,
    pub task: String,
    pub attempt: u32,
    pub worker: String,
    pub quiet_ms: Option<u64>,
}

/// A reported error.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct ErrorSeen {
    pub attempt: String,
    pub text: String,
}

/// How the job ended.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct EndSeen {
    pub outcome: Outcome,
    pub at: String,
    pub error: Option<String>,
    pub outputs: usize,
    pub output_bytes: u64,
    pub counters: Counters,
    pub busy_ms: u64,
}

/// Looks at the job `spec` at `root`; `shape` is `None` while it is not planned yet.
pub fn look(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Option<Shape>) -> Result<Status> {
    let known = shape.unwrap_or(Shape { maps: 0, reduces: spec.ask.reduces });
    let snapshot = Snapshot::take(disk, known, Belief::Glance).map_err(|error| Error::io("cannot list the job", root, error))?;
    let end = if snapshot.phases.end { end::load(disk, root)? } else { None };
    let beats = Beats::look(disk, &snapshot);
    let (map, reduce) = (tally::tasks(&snapshot, Phase::Map), tally::tasks(&snapshot, Phase::Reduce));
    let phase = phase(shape, &snapshot, end.as_ref());
    let mut status = Status {
        version: 1,
        job: root.display().to_string(),
        id: spec.id.clone(),
        app: spec.ask.app.clone(),
        submitted: spec.submitted.clone(),
        phase,
        paused: snapshot.pause && end.is_none(),
        controls: [(snapshot.pause, layout::PAUSE), (snapshot.cancel, layout::CANCEL)].iter().filter(|c| c.0).map(|c| c.1).collect(),
        percent: percent(phase, &map, &reduce),
        map,
        reduce,
        attempts: tally::attempts(&snapshot),
        pace: tally::pace(disk, phase, &snapshot),
        newest_sign_of_life: beats.newest.map(show_stamp),
        storage: if end.is_none() { storage(root, &spec.ask.output) } else { Vec::new() },
        coordinator: beats.of(COORDINATOR_LOCK).map(|_| Lead { quiet_ms: beats.quiet_ms(COORDINATOR_LOCK) }),
        workers: tally::workers(disk, &snapshot, &beats),
        claims: tally::claims(&snapshot, &beats),
        errors: tally::errors(disk, &snapshot),
        foreign: snapshot.foreign.iter().take(TOLD_MAX).cloned().collect(),
        foreign_count: snapshot.foreign.len(),
        end: end.map(EndSeen::of),
        hints: Vec::new(),
    };
    status.hints = super::show::hints(&status, spec.ask.lease());
    Ok(status)
}

/// Why nothing can be written where the job and its outputs are.
fn storage(root: &Path, output: &str) -> Vec<String> {
    let places = [root.to_owned(), root.join(output)];
    let mut troubles: Vec<String> = places.iter().filter_map(|place| real::no_room(place)).collect();
    troubles.dedup();
    troubles
}

impl EndSeen {
    fn of(end: End) -> EndSeen {
        let output_bytes = end.output_bytes();
        let outputs = end.outputs.len();
        EndSeen { outcome: end.outcome, at: end.at, error: end.error, outputs, output_bytes, counters: end.counters, busy_ms: end.busy_ms }
    }
}

fn phase(shape: Option<Shape>, snapshot: &Snapshot, end: Option<&End>) -> &'static str {
    match end.map(|end| end.outcome) {
        Some(Outcome::Finished) => "finished",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        None if shape.is_none() => "planning",
        None if snapshot.phases.reduce => "reduce",
        None => "map",
    }
}

fn percent(phase: &str, map: &Tasks, reduce: &Tasks) -> f64 {
    if phase == "finished" {
        return 100.0;
    }
    let (done, total) = (map.done + reduce.done, map.total + reduce.total);
    if total == 0 { 0.0 } else { (done as f64 * 1000.0 / total as f64).round() / 10.0 }
}
