//! All attempts of a job as a value: who tried what when, and how it ended. For people: reports and traces. Nothing decides by it.
//!
//! Three sources, each of which may be damaged or missing without harm: the listing says how every attempt ended (its name lies in `done/`, `failed/` or `expired/`); the
//! event logs of the workers say when each was begun and ended; the biographies say the same, and what was made, drawn, counted or reported. A biography is read only
//! where it can move no more; what is claimed just now is known from the listing and the logs alone. Lines that do not parse are passed over.
//!
//! # Cost
//! One look ([`Snapshot`]), the logs once (about 200 bytes an attempt), and at most [`RECORDS_MAX`] biographies, which are all of a job of so many attempts: of larger jobs
//! all that went wrong, the reduces, and the rest evenly. Memory: some 200 bytes an attempt, and what the records read say.
//!
//! # Clocks
//! Every machine writes times by its own clock. A biography's last line was written at about the time that the server stamped the file with, so the middle of a few such
//! differences says how far a machine's clock is off, and all times are told by the server's (`clocks`). Where the stamps say nothing (a copied job), times are as they were written.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::tally::{self, Beats};
use crate::data::{Counters, Drawn, Ran};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::ids::{AttemptId, ClaimName, Phase, TaskFile, WorkerName, cover};
use crate::job::end::{self, End};
use crate::job::layout::{self, State};
use crate::job::record::Ended;
use crate::job::snapshot::{Belief, Shape, Snapshot, TaskView};
use crate::job::spec::Spec;
use crate::units::parse_stamp;

mod clocks;
mod logs;
mod records;
#[cfg(test)]
mod tests;

pub use clocks::Clocks;

/// A time so far outside of the job's own is somebody's edit, or a clock that was never set.
const BEYOND_MS: i64 = 24 * 3600 * 1000;
/// Most biographies read.
pub const RECORDS_MAX: usize = 20_000;

/// How an attempt ended, as far as it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Committed.
    Done,
    /// Claimed just now.
    Running,
    /// Reported an error.
    Failed,
    /// Ended without result or error.
    Ended(Ended),
}

impl Fate {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Done => "done",
            Fate::Running => "running",
            Fate::Failed => "failed",
            Fate::Ended(Ended::Lost) => "lost",
            Fate::Ended(Ended::GivenBack) => "given back",
            Fate::Ended(Ended::Dropped) => "dropped",
            Fate::Ended(Ended::Retracted) => "retracted",
        }
    }
}

/// One attempt that somebody held.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What, and who.
    pub name: ClaimName,
    /// How it ended.
    pub fate: Fate,
    /// When it was claimed, in milliseconds since 1970.
    pub begun: Option<i64>,
    /// When it ended.
    pub ended: Option<i64>,
    /// From claim to commit on its worker's monotonic clock, where it says so.
    pub elapsed_ms: Option<u64>,
    /// Issued beside a slow one.
    pub backup: bool,
    /// Its task's result is this one's.
    pub counts: bool,
    /// What else its record says; none where that was not read, or says nothing.
    pub told: Option<Box<Told>>,
}

/// What a biography says beside times.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Of what was made.
    pub counters: Counters,
    /// Of a reduce: what it drew.
    pub drawn: Option<Drawn>,
    /// How its command went.
    pub ran: Option<Ran>,
    /// What it reported.
    pub error: Option<String>,
    /// Records that it passed over.
    pub skipped: usize,
}

impl Attempt {
    /// How long it took or has taken until `now`, in milliseconds.
    pub fn took(&self, now: i64) -> Option<u64> {
        let wall = || u64::try_from(self.ended.or((self.fate == Fate::Running).then_some(now))? - self.begun?).ok();
        self.elapsed_ms.or_else(wall)
    }

    /// A counter of its own, by name.
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.told.as_ref()?.counters.get(name).copied()
    }
}

/// Something that somebody wrote down and that is no attempt's begin or end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// When.
    pub at: i64,
    /// `backup`, `stuck`, `refused`, `trouble`, `relieved`, `retracted` ...
    pub kind: String,
    /// The attempt, or nothing.
    pub task: String,
    /// In words.
    pub text: String,
    /// Whose log it stands in.
    pub by: String,
}

/// How much of the job was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Biographies read.
    pub records: usize,
    /// Attempts that have one.
    pub of: usize,
    /// Event logs read.
    pub logs: usize,
    /// Logs or parts of logs that were left out, because there is too much of them.
    pub logs_cut: usize,
    /// Attempts of which nobody wrote when they were.
    pub untimed: usize,
}

/// When a phase was reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The job was planned.
    pub map: Option<i64>,
    /// The reduces could begin.
    pub reduce: Option<i64>,
    /// The end was decided.
    pub end: Option<i64>,
}

/// Everything.
#[derive(Debug, Clone)]
pub struct History {
    /// Tasks of each phase.
    pub shape: Shape,
    /// Tasks done of each phase, maps first.
    pub done: [usize; 2],
    /// By task, then attempt.
    pub attempts: Vec<Attempt>,
    /// Descriptors that were dropped before anybody claimed them.
    pub unclaimed: usize,
    /// In the order of time; at most `logs::INCIDENTS_MAX`.
    pub incidents: Vec<Incident>,
    /// How the job ended.
    pub end: Option<End>,
    /// The phases.
    pub marks: Marks,
    /// When this was looked at, by the clock that all times here are of: the newest sign of life, or the end.
    pub now: i64,
    /// Which clock that is.
    pub clocks: Clocks,
    /// How much was read.
    pub read: Read,
    /// A `pause` file holds the job.
    pub paused: bool,
    /// Workers that are registered now.
    pub registered: Vec<WorkerName>,
}

/// What is known of an attempt while it is put together.
#[derive(Debug, Clone, Default)]
struct Draft {
    begun: Option<i64>,
    ended: Option<i64>,
    /// Who wrote when it ended, where that was another machine than its worker's.
    ended_at: Option<String>,
    elapsed_ms: Option<u64>,
    backup: bool,
    ending: Option<Ended>,
    told: Option<Box<Told>>,
}

impl History {
    /// Looks at the job `spec` at `root`; `shape` is `None` while it is not planned yet.
    pub fn look(disk: &dyn Disk, root: &Path, spec: &Spec, shape: Option<Shape>) -> Result<History> {
        let shape = shape.unwrap_or(Shape { maps: 0, reduces: spec.ask.reduces });
        // The logs first: an attempt that they do not know yet may be in the listing, and then it is one that was begun just now.
        let mut gathered = logs::gather(disk);
        let snapshot = Snapshot::take(disk, shape, Belief::Glance).map_err(|error| Error::io("cannot list the job", root, error))?;
        let end = if snapshot.phases.end { end::load(disk, root)? } else { None };
        let (records, of, mut samples) = records::read(disk, &snapshot, &mut gathered);
        samples.extend(end.as_ref().and_then(|end| sample_of_end(disk, end)));
        let clocks = Clocks::of(&samples);
        let marks = marks(disk, end.as_ref(), &gathered, &clocks);
        let newest = Beats::look(disk, &snapshot).newest.and_then(|stamp| i64::try_from(stamp / 1_000_000).ok());
        let mut history = History {
            shape,
            done: [Phase::Map, Phase::Reduce].map(|phase| tally::tasks(&snapshot, phase).done),
            attempts: Vec::new(),
            unclaimed: snapshot.blocks().flat_map(|(_, view)| view.expired.iter()).filter(|file| matches!(file, TaskFile::Free(_))).count(),
            incidents: Vec::new(),
            end,
            marks,
            now: newest.unwrap_or_default(),
            clocks,
            read: Read { records, of, logs: gathered.read, logs_cut: gathered.cut, untimed: 0 },
            paused: snapshot.pause && !snapshot.phases.end,
            registered: snapshot.workers.iter().cloned().collect(),
        };
        history.fold(&snapshot, gathered);
        Ok(history)
    }

    /// Puts together what the listing, the logs and the records say.
    fn fold(&mut self, snapshot: &Snapshot, gathered: logs::Gathered) {
        let logs::Gathered { mut drafts, incidents, backups, .. } = gathered;
        let published: HashSet<&str> = self.end.iter().flat_map(|end| &end.outputs).map(|output| output.attempt.as_str()).collect();
        let mut attempts = Vec::new();
        let counted: HashSet<&ClaimName> =
            cover(0..snapshot.n_maps(), snapshot.done_maps(0..snapshot.n_maps())).counted.into_iter().collect();
        for (block, view) in snapshot.blocks() {
            let published = counting(view, &published);
            let counts = |claim: &ClaimName| match block.first().phase {
                Phase::Map => counted.contains(claim),
                Phase::Reduce => published == Some(claim),
            };
            for (claim, fate) in fates(view) {
                let draft = drafts.remove(claim).unwrap_or_default();
                let fate = match fate {
                    Fate::Ended(_) => Fate::Ended(draft.ending.unwrap_or(Ended::Lost)),
                    Fate::Done | Fate::Running | Fate::Failed => fate,
                };
                attempts.push(self.attempt(claim, fate, draft, backups.contains(&claim.attempt), counts(claim)));
            }
        }
        attempts.sort_by(|a, b| a.name.cmp(&b.name));
        self.read.untimed = attempts.iter().filter(|attempt| attempt.begun.is_none()).count();
        self.incidents =
            incidents.into_iter().map(|(host, incident)| Incident { at: self.clocks.told(&host, incident.at), ..incident }).collect();
        self.incidents.sort_by_key(|incident| incident.at);
        let last = attempts.iter().filter_map(|attempt| attempt.ended.max(attempt.begun)).max();
        self.now = self.marks.end.unwrap_or(self.now).max(last.unwrap_or(i64::MIN));
        self.attempts = attempts;
    }

    fn attempt(&self, claim: &ClaimName, fate: Fate, draft: Draft, backup: bool, counts: bool) -> Attempt {
        let host = claim.worker.host();
        let told = |host: &str, at: i64| Some(self.clocks.told(host, at)).filter(|at| self.is_plausible(*at));
        let begun = draft.begun.and_then(|at| told(host, at));
        let ended = draft.ended.and_then(|at| told(draft.ended_at.as_deref().unwrap_or(host), at));
        Attempt {
            name: claim.clone(),
            fate,
            begun,
            // An attempt cannot end before it began, whatever the clocks of those who wrote that.
            ended: if fate == Fate::Running { None } else { ended.map(|ended| ended.max(begun.unwrap_or(ended))) },
            elapsed_ms: draft.elapsed_ms,
            backup: backup || draft.backup,
            counts,
            told: draft.told,
        }
    }

    fn is_plausible(&self, at: i64) -> bool {
        let latest = self.marks.end.unwrap_or(self.now);
        self.marks.map.is_none_or(|map| at >= map - BEYOND_MS && at <= latest + BEYOND_MS)
    }

    /// The first that anybody did: the time from which the timeline counts.
    pub fn start(&self) -> i64 {
        let first = self.attempts.iter().filter_map(|attempt| attempt.begun).min();
        [first, self.marks.map].into_iter().flatten().min().unwrap_or(self.now)
    }

    /// Attempts per worker, in the order of their begin.
    pub fn by_worker(&self) -> BTreeMap<&WorkerName, Vec<&Attempt>> {
        let mut workers: BTreeMap<&WorkerName, Vec<&Attempt>> = BTreeMap::new();
        for attempt in &self.attempts {
            workers.entry(&attempt.name.worker).or_default().push(attempt);
        }
        workers.values_mut().for_each(|attempts| attempts.sort_by_key(|attempt| (attempt.begun, attempt.ended)));
        workers
    }
}

/// Everything that somebody holds or held of one task.
fn fates(view: &TaskView) -> impl Iterator<Item = (&ClaimName, Fate)> {
    let expired = view.expired.iter().filter_map(|file| match file {
        TaskFile::Held(claim) => Some(claim),
        TaskFile::Free(_) => None,
    });
    // What moved during the look is seen twice: it is where it is farthest.
    let ended = view.done.iter().chain(view.failed.iter()).chain(expired.clone()).collect::<Vec<_>>();
    let running = view.claimed.iter().filter(move |claim| !ended.contains(claim)).map(|claim| (claim, Fate::Running));
    let done = view.done.iter().map(|claim| (claim, Fate::Done));
    let failed = view.failed.iter().map(|claim| (claim, Fate::Failed));
    running.chain(done).chain(failed).chain(expired.map(|claim| (claim, Fate::Ended(Ended::Lost))))
}

/// The attempt whose result is its reduce task's: the one that was published, else the first.
fn counting<'a>(view: &'a TaskView, published: &HashSet<&str>) -> Option<&'a ClaimName> {
    let is_published = |claim: &&ClaimName| published.contains(claim.to_string().as_str());
    match view.done.len() {
        0 | 1 => view.done.first(),
        _ => view.done.iter().find(is_published).or(view.done.first()),
    }
}

/// The coordinator that wrote the end, and the stamp of its file.
fn sample_of_end(disk: &dyn Disk, end: &End) -> Option<clocks::Sample> {
    let stamped = i64::try_from(disk.look(layout::PHASE_END).ok()?.stamp / 1_000_000).ok()?;
    Some(clocks::Sample { host: records::host_of(&end.by)?, written: parse_stamp(&end.at)?, stamped })
}

/// When the phases were reached: as the server stamped their files, or as a coordinator wrote it.
fn marks(disk: &dyn Disk, end: Option<&End>, gathered: &logs::Gathered, clocks: &Clocks) -> Marks {
    let stamp = |path: &str| {
        let ms = disk.look(path).ok().and_then(|look| i64::try_from(look.stamp / 1_000_000).ok());
        ms.filter(|_| clocks.are_the_servers())
    };
    let ended = end.and_then(|end| parse_stamp(&end.at));
    Marks {
        map: stamp(layout::PHASE_MAP),
        reduce: stamp(layout::PHASE_REDUCE).or(gathered.reduce),
        end: ended.and_then(|ended| stamp(layout::PHASE_END).or(Some(ended))),
    }
}

/// Where the biography of an attempt lies that ended so.
fn place(fate: Fate) -> Option<State> {
    match fate {
        Fate::Done => Some(State::Done),
        Fate::Failed => Some(State::Failed),
        Fate::Ended(_) => Some(State::Expired),
        Fate::Running => None,
    }
}

/// The attempt that a log or a list speaks of by its full name.
fn attempt_of(name: &str) -> Option<AttemptId> {
    name.split('@').next()?.parse().ok()
}
