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
//! | `taken_back` | of those in `expired/`, at most 200 of which are read: `sampled`, and of these `lost`, `given_back`, `dropped`, `retracted` |
//! | `pace` | from a sample of done records of the running phase: `sampled`, `mean_task_ms`, `median_task_ms`, `tasks_per_second`, `bytes_per_second` (read by maps, written by reduces), `records_per_second` (or pairs, in reduce), `eta_ms` (of this phase, should what is left take the median; rough; null where nothing is claimed, or those sampled took less than a second together); or null |
//! | `data` | what went through so far: `records_in`, `bytes_in`, `shuffle_bytes`, `output_bytes`, each null where no record says it; `estimated` from a sample of at most 200 records of a phase |
//! | `newest_sign_of_life` | RFC 3339, by the server's clock: the newest mtime among workers, claims and coordinator; or null |
//! | `newest_ago_ms` | how long ago that is by this machine's clock: as right as the two clocks agree; for people; or null |
//! | `no_worker_ms` | for how long no worker has been seen, up to the newest sign of life; null while one is alive, or where nobody can tell |
//! | `coordinator` | `quiet_ms`: how much older its file is than that; `trouble`: what the disk refuses it, by its log; or null; null where none ever led the job |
//! | `workers` | `name`, `host`, `pid`, `quiet_ms`, `claim`, `running_ms` (how long that runs at least, of the 32 slowest; or null), `trouble` (what the disk refuses it; or null; of the first 200), ordered by name |
//! | `hosts` | their machines, by name: `host`, `slots` (workers registered), `busy` (of these with a claim), `quiet_ms` (of the least quiet) |
//! | `storage` | sentences on why nothing can be written here now: a full or read-only file system; empty where it can |
//! | `claims` | of the tasks on their highest attempt first, at most 5: `claim`, `task` (of several tasks in one file the range, `map-00064+63`), `attempt`, `worker`, `quiet_ms` |
//! | `slowest` | the claims that have run longest, at most 10: `claim`, `task`, `attempt`, `worker`, `host`, `running_ms` (at least), `quiet_ms` |
//! | `ages` | how many of how old: `upto_s` (upper ends of the classes in seconds; each is twice the one before, and one more class is beyond), `pending` (since issued) and `claimed` (for how long they run), each `total`, `sampled`, `counts` |
//! | `errors` | the last reported ones, at most 5: `attempt`, `text` (its first lines), `output` (the end of the command's stderr, or of a longer text; or null), `age_ms` (or null) |
//! | `foreign`, `foreign_count` | paths that are not flockwork's, at most 5, and how many there are |
//! | `end` | `outcome`, `at`, `error`, `outputs`, `output_bytes`, `counters`, `busy_ms`; null before |
//! | `hints` | sentences on what to do where nothing can move |
//!
//! No two machines' clocks are compared: an age is the distance of two mtimes that the server stamped. When everybody is dead, everybody is as
//! quiet as the newest sign of life, which is why that is shown too.
//!
//! Cost: one listing per directory, which is all that grows with the number of tasks (a hundred thousand names a call or two tenths of a second); one look per worker and claim (at most
//! 2000), two per claim (at most 500) and one per pending task (at most 200); and some 600 small files read at most, none of which can still be worked on.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ages::Ages;
use super::errors::{self, TakenBack};
use super::sample::{self, Sample};
use super::slow::Runs;
use super::tally::{self, Beats, TOLD_MAX};
use super::{lead, pace, show};
use crate::data::Counters;
use crate::disk::{Disk, real};
use crate::error::{Error, Result};
use crate::ids::Phase;
use crate::job::end::{self, End, Outcome};
use crate::job::layout::{self, COORDINATOR_LOCK};
use crate::job::lost::{self, MapPlan};
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::Spec;
use crate::planner::after::{Start, may_start};
use crate::units::{now_ms, show_stamp};

/// One look; see the file's head for the fields.
#[derive(Debug, Clone, Default, Serialize)]
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
    pub taken_back: TakenBack,
    pub pace: Option<Pace>,
    pub data: Data,
    pub newest_sign_of_life: Option<String>,
    pub newest_ago_ms: Option<u64>,
    pub no_worker_ms: Option<u64>,
    pub storage: Vec<String>,
    pub coordinator: Option<Lead>,
    pub workers: Vec<WorkerSeen>,
    pub hosts: Vec<HostSeen>,
    pub claims: Vec<ClaimSeen>,
    pub slowest: Vec<Slow>,
    pub ages: Ages,
    pub errors: Vec<ErrorSeen>,
    pub foreign: Vec<String>,
    pub foreign_count: usize,
    pub end: Option<EndSeen>,
    pub hints: Vec<String>,
}

/// Tasks of one phase by state; each is counted once, in the state that lies farthest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Tasks {
    pub total: usize,
    pub waiting: usize,
    pub pending: usize,
    pub claimed: usize,
    pub done: usize,
}

/// How quickly the phase that runs goes on.
#[derive(Debug, Clone, Default, Copy, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Pace {
    pub sampled: usize,
    pub mean_task_ms: u64,
    pub median_task_ms: u64,
    pub tasks_per_second: Option<f64>,
    pub bytes_per_second: Option<f64>,
    pub records_per_second: Option<f64>,
    pub eta_ms: Option<u64>,
}

/// What went through the job so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Data {
    pub estimated: bool,
    pub records_in: Option<u64>,
    pub bytes_in: Option<u64>,
    pub shuffle_bytes: Option<u64>,
    pub output_bytes: Option<u64>,
}

/// The coordinator, as its file shows it.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Lead {
    pub quiet_ms: Option<u64>,
    pub trouble: Option<String>,
}

/// A registered worker.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct WorkerSeen {
    pub name: String,
    pub host: String,
    pub pid: u32,
    pub quiet_ms: Option<u64>,
    pub claim: Option<String>,
    pub running_ms: Option<u64>,
    pub trouble: Option<String>,
}

/// A machine with registered workers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct HostSeen {
    pub host: String,
    pub slots: usize,
    pub busy: usize,
    pub quiet_ms: Option<u64>,
}

/// A claim that has run for long.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Slow {
    pub claim: String,
    pub task: String,
    pub attempt: u32,
    pub worker: String,
    pub host: String,
    pub running_ms: u64,
    pub quiet_ms: Option<u64>,
}

/// A claim that may be a slow one.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct ClaimSeen {
    pub claim: String,
    pub task: String,
    pub attempt: u32,
    pub worker: String,
    pub quiet_ms: Option<u64>,
}

/// A reported error.
#[derive(Debug, Clone, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct ErrorSeen {
    pub attempt: String,
    pub text: String,
    pub output: Option<String>,
    pub age_ms: Option<u64>,
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
    of(disk, root, spec, shape, &snapshot)
}

/// What is to be said of the job when its directory looks like `snapshot`.
pub fn of(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Option<Shape>, snapshot: &Snapshot) -> Result<Status> {
    let end = if snapshot.phases.end { end::load(disk, root)? } else { None };
    let beats = Beats::look(disk, snapshot);
    let runs = Runs::look(disk, snapshot, &beats);
    let seen = Status::seen(root, spec, shape, snapshot, end.as_ref().map(|end| end.outcome));
    let samples = (Sample::read(disk, snapshot, Phase::Map), Sample::read(disk, snapshot, Phase::Reduce));
    let workers = tally::workers(disk, snapshot, &beats, &runs);
    let newest_ago_ms = beats.newest.and_then(ago_ms);
    // Whoever leads holds its files open for writing: to read those of one that has died could hold up who comes after it.
    let leads = |quiet_ms: Option<u64>| quiet_ms.max(newest_ago_ms).is_some_and(|ms| Duration::from_millis(ms) <= spec.ask.lease() * 3);
    let mut status = Status {
        taken_back: errors::taken_back(disk, snapshot),
        pace: pace_now(&seen, (&samples.0, &samples.1), &runs),
        data: sample::data(&samples.0, &samples.1),
        newest_sign_of_life: beats.newest.map(show_stamp),
        newest_ago_ms,
        no_worker_ms: if end.is_none() { beats.no_worker_ms(disk, snapshot, spec.ask.lease()) } else { None },
        storage: if end.is_none() { storage(root, &spec.ask.output) } else { Vec::new() },
        coordinator: beats
            .of(COORDINATOR_LOCK)
            .map(|_| beats.quiet_ms(COORDINATOR_LOCK))
            .map(|quiet_ms| Lead { quiet_ms, trouble: if end.is_none() && leads(quiet_ms) { lead::trouble(disk) } else { None } }),
        hosts: tally::hosts(&workers),
        workers,
        claims: tally::claims(snapshot, &beats),
        slowest: tally::slowest(&runs, &beats),
        ages: tally::ages(disk, snapshot, &beats, &runs),
        errors: errors::last(disk, snapshot, beats.newest),
        end: end.map(EndSeen::of),
        ..seen
    };
    let waits_for = if shape.is_none() && status.end.is_none() { may_start(root, &spec.ask) } else { Ok(Start::Now) };
    status.hints = show::hints(&status, spec.ask.lease(), waits_for.as_ref().unwrap_or(&Start::Now));
    // Another job that cannot be looked at is no reason to say nothing of this one.
    status.hints.extend(waits_for.err().map(|error| error.to_string()));
    if shape.is_none()
        && let Ok(MapPlan::Lost(trace)) = lost::map_plan(disk, root, Belief::Glance)
    {
        status.hints.push(lost::refusal(root, &trace).to_string());
    }
    Ok(status)
}

impl Status {
    /// What a snapshot alone tells, without a call.
    pub(super) fn seen(root: &Path, spec: &Spec, shape: Option<Shape>, snapshot: &Snapshot, outcome: Option<Outcome>) -> Status {
        let (map, reduce) = (tally::tasks(snapshot, Phase::Map), tally::tasks(snapshot, Phase::Reduce));
        let phase = phase(shape, snapshot, outcome);
        Status {
            version: 1,
            job: root.display().to_string(),
            id: spec.id.clone(),
            app: spec.ask.app.clone(),
            submitted: spec.submitted.clone(),
            phase,
            paused: snapshot.pause && outcome.is_none(),
            controls: [(snapshot.pause, layout::PAUSE), (snapshot.cancel, layout::CANCEL)].iter().filter(|c| c.0).map(|c| c.1).collect(),
            percent: percent(phase, &map, &reduce),
            map,
            reduce,
            attempts: tally::attempts(snapshot),
            foreign: snapshot.foreign.iter().take(TOLD_MAX).cloned().collect(),
            foreign_count: snapshot.foreign.len(),
            ..Status::default()
        }
    }

    /// It has ended so.
    pub(super) fn ended(&mut self, end: End) {
        self.phase = end.outcome.word();
        self.percent = percent(self.phase, &self.map, &self.reduce);
        (self.pace, self.paused) = (None, false);
        self.end = Some(EndSeen::of(end));
    }
}

/// That of the phase that runs.
fn pace_now(seen: &Status, samples: (&Sample, &Sample), runs: &Runs<'_>) -> Option<Pace> {
    match seen.phase {
        "map" => pace::pace_of(samples.0, &seen.map, runs.total, &runs.ms()),
        "reduce" => pace::pace_of(samples.1, &seen.reduce, runs.total, &runs.ms()),
        _ => None,
    }
}

/// How long ago the server stamped this, should its clock and this machine's agree.
fn ago_ms(stamp: i128) -> Option<u64> {
    let ms = i128::from(now_ms()) - stamp / 1_000_000;
    u64::try_from(ms.max(0)).ok()
}

/// Why nothing can be written where the job and its outputs are.
fn storage(root: &Path, output: &str) -> Vec<String> {
    let places = [root.to_owned(), root.join(output)];
    let mut troubles: Vec<String> = places.iter().filter_map(|place| real::no_room(place)).collect();
    troubles.dedup();
    troubles
}

impl EndSeen {
    pub(super) fn of(end: End) -> EndSeen {
        let output_bytes = end.output_bytes();
        let outputs = end.outputs.len();
        EndSeen { outcome: end.outcome, at: end.at, error: end.error, outputs, output_bytes, counters: end.counters, busy_ms: end.busy_ms }
    }
}

fn phase(shape: Option<Shape>, snapshot: &Snapshot, outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(outcome) => outcome.word(),
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
    // Rounded down: 100 is said of what is done, and of nothing else.
    if total == 0 { 0.0 } else { (done as f64 * 1000.0 / total as f64).floor() / 10.0 }
}
