//! Where everything lies in a job directory: every path of the protocol is built here.

use crate::ids::{AttemptId, ClaimName, TaskFile, WorkerName};

/// What was asked; the file that makes a directory a job.
pub const JOB_JSON: &str = "job.json";
/// One file per phase reached.
pub const PHASE: &str = "phase";
/// The map plan.
pub const PHASE_MAP: &str = "phase/map";
/// The reduce plan.
pub const PHASE_REDUCE: &str = "phase/reduce";
/// The one file that decides how the job ended.
pub const PHASE_END: &str = "phase/end";
/// A second name of the end, where it is good.
pub const PHASE_FINISHED: &str = "phase/finished";
/// A second name of the end, where it is not.
pub const PHASE_FAILED: &str = "phase/failed";
/// Made by `clean`: the shuffle data and the output attempts of the ended job are gone on purpose.
pub const PHASE_CLEANED: &str = "phase/cleaned";
/// One file per live worker.
pub const WORKERS: &str = "workers";
/// Committed map outputs.
pub const SHUFFLE: &str = "shuffle";
/// Final outputs, unless the job names another directory.
pub const OUTPUT: &str = "output";
/// Where output attempts wait, below the output directory.
pub const ATTEMPTS: &str = ".attempts";
/// One event file per process.
pub const LOG: &str = "log";
/// Files of apps that keep some (see [`crate::app::Context`]).
pub const MARKERS: &str = "markers";
/// What the workers say that `flockwork launch` has started, in a farm or a job.
pub const LAUNCH: &str = ".launch";
/// Locked by the live coordinator.
pub const COORDINATOR_LOCK: &str = "coordinator.lock";
/// The items of a job of commands (see [`crate::each`]), one behind the other.
pub const ITEMS: &str = "items";
/// What the coordinator sees, for a NAS's own file browser; it replaces them every few seconds.
pub const BOARDS: [&str; 2] = ["status.html", STATUS_JSON];
/// The one for programs.
pub const STATUS_JSON: &str = "status.json";
/// Touch it to pause the job.
pub const PAUSE: &str = "pause";
/// Touch it to cancel the job.
pub const CANCEL: &str = "cancel";

/// The directories of a job, in the order they are made.
pub const DIRS: [&str; 10] = [PHASE, "pending", "claimed", "done", "failed", "expired", WORKERS, SHUFFLE, OUTPUT, LOG];

/// Where a task's file lies is the task's state; files only move forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// May be claimed.
    Pending,
    /// Being worked on.
    Claimed,
    /// Committed.
    Done,
    /// Reported an error.
    Failed,
    /// Ended without result or error.
    Expired,
}

impl State {
    /// In the order that scans must go in, because files move that way: then a moving task may be seen twice but never missed.
    pub const FORWARD: [State; 5] = [State::Pending, State::Claimed, State::Done, State::Failed, State::Expired];

    /// The state's directory.
    pub fn dir(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Claimed => "claimed",
            State::Done => "done",
            State::Failed => "failed",
            State::Expired => "expired",
        }
    }

    /// The path of a task's file in this state.
    pub fn path(self, file: &TaskFile) -> String {
        format!("{}/{file}", self.dir())
    }
}

/// `pending/map-00042.a1`
pub fn pending(attempt: AttemptId) -> String {
    format!("pending/{attempt}")
}

/// `STATE/map-00042.a1@worker`
pub fn held(state: State, claim: &ClaimName) -> String {
    format!("{}/{claim}", state.dir())
}

/// `phase/ending.node7.4121.k3f`: an end on its way to its names, by the coordinator that gives them
pub fn ending(by: &str) -> String {
    format!("{PHASE}/ending.{by}")
}

/// True of the names in `phase/` that [`ending`] gives.
pub fn is_ending(name: &str) -> bool {
    name.strip_prefix("ending.").is_some_and(|by| by.parse::<WorkerName>().is_ok())
}

/// True of `failed.N`, the names in `phase/` of ends that were taken back.
pub fn is_taken_back(name: &str) -> bool {
    name.strip_prefix("failed.").is_some_and(|digits| digits.parse::<u32>().is_ok())
}

/// `workers/node7.4121.k3f`
pub fn worker(name: &WorkerName) -> String {
    format!("{WORKERS}/{name}")
}

/// `log/node7.4121.k3f.jsonl`
pub fn log(name: &WorkerName) -> String {
    format!("{LOG}/{name}.jsonl")
}

/// `log/map-00042.a1@node7.4121.k3f.stderr`: what the commands of an attempt complained of.
pub fn stderr(claim: &ClaimName) -> String {
    format!("{LOG}/{claim}.stderr")
}

/// `mr-out-00003`
pub fn output_name(partition: u32) -> String {
    format!("mr-out-{partition:05}")
}

/// `shuffle/map-00042.a1@node7.4121.k3f-00003.json`
pub fn shuffle_json(claim: &ClaimName, partition: u32) -> String {
    format!("{SHUFFLE}/{claim}-{partition:05}.json")
}

/// `shuffle/map-00042.a1@node7.4121.k3f.run`
pub fn shuffle_run(claim: &ClaimName) -> String {
    format!("{SHUFFLE}/{claim}.run")
}

/// `output/node7.4121.k3f.seg`: what the commands that this worker ran wrote.
pub fn segment(worker: &WorkerName) -> String {
    format!("{OUTPUT}/{worker}.seg")
}

/// What an attempt of the last phase writes, of a job whose outputs go to `output`.
pub fn attempt_output(output: &str, claim: &ClaimName) -> String {
    format!("{}/{claim}", attempts_dir(output))
}

/// Where attempts of the last phase write, of a job whose outputs go to `output`.
pub fn attempts_dir(output: &str) -> String {
    format!("{output}/{ATTEMPTS}")
}
