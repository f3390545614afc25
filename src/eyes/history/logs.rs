//! The event logs, folded: when each attempt was begun and ended by its worker's clock, and what else was written down.
//!
//! A log is read while its owner still appends to it: it never moves, and its owner keeps it open for writing. A line that is cut is passed over. Bounded: [`LOGS_MAX`] logs,
//! [`BYTES_MAX`] bytes together; what lies beyond is counted.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::{Draft, Incident, attempt_of};
use crate::disk::Disk;
use crate::ids::{AttemptId, ClaimName, Names, TaskFile, WorkerName};
use crate::job::layout::{self, LOG};
use crate::units::parse_stamp;

/// Most logs read.
const LOGS_MAX: usize = 20_000;
/// Most bytes read of all together.
const BYTES_MAX: u64 = 2 << 30;
/// Bytes read at a time.
const PART_BYTES: usize = 1 << 20;
/// Most incidents kept.
pub(super) const INCIDENTS_MAX: usize = 2000;
/// Longest text kept of one, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// What the logs say.
#[derive(Default)]
pub(super) struct Gathered {
    pub drafts: HashMap<ClaimName, Draft>,
    /// Each with the host that wrote it.
    pub incidents: Vec<(String, Incident)>,
    pub backups: BTreeSet<AttemptId>,
    /// When a coordinator began the reduces, by its clock.
    pub reduce: Option<i64>,
    /// Logs read.
    pub read: usize,
    /// Logs that were not read, or not to their end.
    pub cut: usize,
}

#[derive(Deserialize)]
struct Line<'a> {
    at: &'a str,
    event: &'a str,
    #[serde(default)]
    task: &'a str,
    #[serde(default)]
    text: std::borrow::Cow<'a, str>,
}

/// Reads all logs. A folder that cannot be listed has none.
pub(super) fn gather(disk: &dyn Disk) -> Gathered {
    let mut gathered = Gathered::default();
    let mut names: Vec<WorkerName> = disk
        .list(LOG)
        .unwrap_or_default()
        .iter()
        .filter(|entry| entry.is_file)
        .filter_map(|entry| entry.name.strip_suffix(".jsonl")?.parse().ok())
        .collect();
    names.sort_unstable();
    let (mut left, mut known) = (BYTES_MAX, Names::default());
    for (n, name) in names.iter().enumerate() {
        if n >= LOGS_MAX || left == 0 {
            gathered.cut += 1;
            continue;
        }
        gathered.read += 1;
        if !read_one(disk, name, &mut left, &mut known, &mut gathered) {
            gathered.cut += 1;
        }
    }
    gathered
}

/// False if it was not read to its end.
fn read_one(disk: &dyn Disk, name: &WorkerName, left: &mut u64, known: &mut Names, gathered: &mut Gathered) -> bool {
    let path = layout::log(name);
    let (mut from, mut rest): (u64, Vec<u8>) = (0, Vec::new());
    while *left > 0 {
        let Ok(part) = disk.read_part(&path, from, PART_BYTES) else { return false };
        if part.is_empty() {
            return true;
        }
        from += part.len() as u64;
        *left = left.saturating_sub(part.len() as u64);
        rest.extend_from_slice(&part);
        let Some(end) = memchr::memrchr(b'\n', &rest) else {
            // No line of ours is so long.
            if rest.len() > 4 * PART_BYTES {
                return false;
            }
            continue;
        };
        rest[..end].split(|&byte| byte == b'\n').for_each(|line| gathered.fold(name, line, known));
        rest.drain(..=end);
    }
    false
}

impl Gathered {
    /// Adds what one line of the log of `by` says.
    pub(super) fn fold(&mut self, by: &WorkerName, line: &[u8], known: &mut Names) {
        let Ok(Line { at, event, task, text }) = serde_json::from_slice::<Line<'_>>(line) else { return };
        let Some(at) = parse_stamp(at) else { return };
        let claim = match known.parse(task) {
            // Only what a worker says of its own attempts counts.
            Ok(TaskFile::Held(claim)) if claim.worker == *by => Some(claim),
            _ => None,
        };
        match (event, claim) {
            ("claimed", Some(claim)) => self.drafts.entry(claim).or_default().begun = Some(at),
            ("ended" | "superseded", Some(claim)) => self.drafts.entry(claim).or_default().ended = Some(at),
            ("phase", None) if text == "reduce" => self.reduce = Some(self.reduce.map_or(at, |before| before.min(at))),
            // What the listing, the records and the end say better.
            ("issued" | "expired" | "claimed" | "ended" | "superseded" | "phase" | "failed" | "cancelled", _) => {}
            (kind, _) => {
                if kind == "backup" {
                    self.backups.extend(attempt_of(task));
                }
                if self.incidents.len() < INCIDENTS_MAX {
                    let text = text.chars().take(TEXT_CHARS_MAX).collect();
                    let incident = Incident { at, kind: kind.to_owned(), task: task.to_owned(), text, by: by.to_string() };
                    self.incidents.push((by.host().to_owned(), incident));
                }
            }
        }
    }
}
