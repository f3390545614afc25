//! `phase/end`: how the job ended, decided by this one create-once file; and its second name, `finished` or `failed`.
//!
//! Problem: a coordinator that is stopped before it decides, or names, may go on when the job was ended by another and [retried](super::retry): then it would end
//! the job once more, and nobody asked. Workaround: both are links *from* `phase/ending.WHO`, a name of the coordinator's own, made before it looks whether
//! the job is still the one it had seen. A retry makes `failed.N` first, and takes all those names away before and after it renames the end. So whoever did not
//! see that `failed.N` had its name before it was made, and finds it gone before there is room for another end.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{self, CANCEL, PHASE, PHASE_END, PHASE_FAILED, PHASE_FINISHED};
use crate::data::{BadRecord, Counters};
use crate::disk::rename::{is_gone, rename};
use crate::disk::{Created, Disk, Flush, create, fresh};
use crate::error::{Error, ErrorKind, Result};

/// Largest end that is read, in bytes.
pub const END_BYTES_MAX: u64 = 64 << 20;
/// Most skipped records that an end lists; the files in `done/` list all.
pub const SKIPPED_TOLD_MAX: usize = 1000;

/// How the job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With all its outputs.
    Finished,
    /// Without.
    Failed,
    /// Because somebody said so.
    Cancelled,
}

impl Outcome {
    /// The word that users read.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::Failed => "failed",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// The end as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// When, by the coordinator's clock; for people.
    pub at: String,
    /// The coordinator that decided.
    pub by: String,
    /// Which task failed and with which words, where one did.
    pub error: Option<String>,
    /// The attempts in `failed/` and `expired/` that brought it about; `retry` makes them count no more.
    pub blames: Vec<String>,
    /// The outputs in order.
    pub outputs: Vec<OutputSum>,
    /// Records that the counting attempts skipped, at most [`SKIPPED_TOLD_MAX`]; the counters say how many there were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// Sums over the attempts that count.
    pub counters: Counters,
    /// Attempts by how they ended.
    pub attempts: Attempts,
    /// Sum of the counting attempts' times from claim to commit, in milliseconds.
    pub busy_ms: u64,
}

impl End {
    /// The outputs' length together.
    pub fn output_bytes(&self) -> u64 {
        self.outputs.iter().fold(0, |sum, output| sum.saturating_add(output.len))
    }
}

/// One published output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSum {
    /// `mr-out-00003`
    pub file: String,
    /// The reduce attempt it is of.
    pub attempt: String,
    /// Length in bytes.
    pub len: u64,
    /// CRC-32 of the whole content.
    pub crc32: u32,
}

/// A record that is not in the outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The attempt that passed over it.
    pub attempt: String,
    /// What, where and why.
    #[serde(flatten)]
    pub record: BadRecord,
}

/// How many attempts there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Committed.
    pub done: u64,
    /// Reported an error.
    pub failed: u64,
    /// Ended without result or error.
    pub expired: u64,
}

/// Reads the end; `None` if there is none yet. The caller has seen the name in a fresh listing, or does not mind being late.
pub fn load(disk: &dyn Disk, root: &Path) -> Result<Option<End>> {
    let path = root.join(PHASE_END);
    match disk.read(PHASE_END, END_BYTES_MAX) {
        Ok(bytes) => parse(&bytes, &path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", path, error)),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<End> {
    serde_json::from_slice(bytes).map_err(|cause| {
        let error = Error::new(ErrorKind::Damaged, "cannot understand").on(path).because(cause);
        error.advise("the file was damaged after it was written; move it away, and `finished` or `failed` beside it, and start a coordinator, which writes them again")
    })
}

/// Decides the end, once, and gives it its second name. `retried` are the ends that had been taken back when it was looked what there is to decide: where another
/// has been since, or the wish to cancel is gone, or somebody else was quicker, nothing is done, and the next look shows it.
pub fn decide(disk: &dyn Disk, root: &Path, end: &End, retried: &[String]) -> Result<()> {
    let bytes = serde_json::to_vec_pretty(end).expect("an end has string keys only");
    let (own, fail) = (layout::ending(&end.by), |error| Error::io("cannot create", root.join(PHASE_END), error));
    let draft = disk.draft(PHASE, &bytes, Flush::Always).map_err(fail)?;
    // Where it is gone already, so is what was to be decided.
    let _ = rename(disk, &draft, &own).map_err(fail)?;
    let decided = link_in_time(disk, &own, end.outcome, retried);
    let _ = disk.remove(&own);
    decided.map_err(fail)
}

fn link_in_time(disk: &dyn Disk, own: &str, outcome: Outcome, retried: &[String]) -> io::Result<()> {
    // In this order: a retry that is not seen here will find the name that was made before, and take it away before the old end.
    let is_wanted = outcome != Outcome::Cancelled || fresh::is_there(disk, CANCEL)?;
    let is_timely = is_wanted && taken_back(disk)?.iter().all(|name| retried.contains(name));
    if is_timely && unless_gone(create::link_once(disk, own, PHASE_END))? == Some(Created::Now) {
        link_verdict(disk, own, outcome)?;
    }
    Ok(())
}

/// `failed.N` of the ends that were taken back, by a look that can be believed.
pub fn taken_back(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let entries = fresh::list_surely(disk, PHASE)?;
    Ok(entries.into_iter().filter(|entry| entry.is_file && layout::is_taken_back(&entry.name)).map(|entry| entry.name).collect())
}

/// Gives the decided end its second name, for `ls` and scripts; `by` is whose process this is. What is named is the very end that was read, and none that was
/// taken back meanwhile: that is held by a name which a retry takes away.
pub fn name(disk: &dyn Disk, root: &Path, by: &str) -> Result<()> {
    let own = layout::ending(by);
    let named = unless_gone(create::link_once(disk, PHASE_END, &own)).map_err(|error| Error::io("cannot link", root.join(&own), error))?;
    let named = if named == Some(Created::Now) { name_held(disk, root, &own) } else { Ok(()) };
    let _ = disk.remove(&own);
    named
}

fn name_held(disk: &dyn Disk, root: &Path, own: &str) -> Result<()> {
    let read = unless_gone(disk.read(own, END_BYTES_MAX)).map_err(|error| Error::io("cannot read", root.join(own), error))?;
    let Some(bytes) = read else { return Ok(()) };
    let outcome = parse(&bytes, &root.join(PHASE_END))?.outcome;
    link_verdict(disk, own, outcome).map_err(|error| Error::io("cannot link", root.join(verdict_path(outcome)), error))
}

/// Gives the end that `own` holds its second name. Over a network a link goes by the file, which the client may know by a name that a retry has taken away since: then so is what was made of it.
fn link_verdict(disk: &dyn Disk, own: &str, outcome: Outcome) -> io::Result<()> {
    let Some(held) = unless_gone(disk.look(own))? else { return Ok(()) };
    let verdict = verdict_path(outcome);
    let is_named = unless_gone(create::link_once(disk, own, verdict))? == Some(Created::Now);
    let may_be_retried = is_named && outcome != Outcome::Finished;
    if may_be_retried && !fresh::is_there(disk, own)? && unless_gone(disk.look(verdict))?.is_some_and(|look| look.inode == held.inode) {
        let _ = unless_gone(disk.remove(verdict))?;
    }
    Ok(())
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if is_gone(&error) => Ok(None),
        result => result.map(Some),
    }
}

/// `phase/finished` or `phase/failed`.
pub fn verdict_path(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => PHASE_FINISHED,
        Outcome::Failed | Outcome::Cancelled => PHASE_FAILED,
    }
}
