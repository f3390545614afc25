//! `phase/end`: how the job ended, decided by this one create-once file; and its second name, `finished` or `failed`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::layout::{PHASE_END, PHASE_FAILED, PHASE_FINISHED};
use crate::data::{BadRecord, Counters};
use crate::disk::{Disk, create};
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
        error.advise("the file was damaged after it was written; move it away and start a coordinator, which writes it again")
    })
}

/// Decides the end, once; returns the one that was decided, which may be another coordinator's.
pub fn decide(disk: &dyn Disk, root: &Path, end: &End) -> Result<End> {
    let bytes = serde_json::to_vec_pretty(end).expect("an end has string keys only");
    let created = create::create_once(disk, PHASE_END, &bytes).map_err(|error| Error::io("cannot create", root.join(PHASE_END), error))?;
    match created {
        crate::disk::Created::Now => Ok(end.clone()),
        crate::disk::Created::Before => {
            load(disk, root)?.ok_or_else(|| Error::new(ErrorKind::Vanished, "cannot find again").on(root.join(PHASE_END)))
        }
    }
}

/// Gives the decided end its second name, for `ls` and scripts.
pub fn name(disk: &dyn Disk, root: &Path, end: &End) -> Result<()> {
    let verdict = verdict_path(end.outcome);
    match create::link_once(disk, PHASE_END, verdict) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::io("cannot link", root.join(verdict), error)),
    }
}

/// `phase/finished` or `phase/failed`.
pub fn verdict_path(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => PHASE_FINISHED,
        Outcome::Failed | Outcome::Cancelled => PHASE_FAILED,
    }
}
