//! The last errors that attempts reported, with what their commands said; and why other attempts were taken back. Read from files that move no more.

use std::cmp::Reverse;

use serde::Serialize;

use super::items;
use super::status::ErrorSeen;
use crate::data::{BadRecord, Ran};
use crate::disk::Disk;
use crate::ids::{ClaimName, TaskFile};
use crate::job::layout::{self, State};
use crate::job::record::{self, Ended, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::Snapshot;

/// Most files whose mtime is asked for.
const LOOKS_MAX: usize = 2000;
/// Most errors told.
const TOLD_MAX: usize = 5;
/// Most files of `expired/` read.
const READS_MAX: usize = 200;
/// Longest error text told, in characters.
const TEXT_CHARS_MAX: usize = 400;
/// Of an error's text its first lines are told,
const TEXT_LINES: usize = 3;
/// and of what its command wrote to stderr, or else of the rest of the text, the last ones.
const OUTPUT_LINES: usize = 8;
/// Longest such end, in characters.
const OUTPUT_CHARS_MAX: usize = 1000;

/// Attempts in `expired/` by why they were taken back, as far as they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    /// How many files were read.
    pub sampled: usize,
    /// Their claim was silent for a lease, or their worker died.
    pub lost: usize,
    /// Their worker was told to leave.
    pub given_back: usize,
    /// Their task was done already: one of the two was a backup.
    pub dropped: usize,
    /// Their result was found missing or damaged.
    pub retracted: usize,
}

/// The last errors, newest first; `newest` is the newest sign of life.
pub(super) fn last(disk: &dyn Disk, snapshot: &Snapshot, newest: Option<i128>) -> Vec<ErrorSeen> {
    let failed = snapshot.blocks().flat_map(|(_, view)| view.failed.iter()).take(LOOKS_MAX);
    let mut by_time: Vec<(i128, &ClaimName)> =
        failed.filter_map(|claim| Some((disk.look(&layout::held(State::Failed, claim)).ok()?.stamp, claim))).collect();
    by_time.sort_by_key(|(stamp, _)| Reverse(*stamp));
    let told = by_time.iter().take(TOLD_MAX).filter_map(|(stamp, claim)| {
        let age_ms = newest.and_then(|newest| u64::try_from((newest - stamp) / 1_000_000).ok());
        Some(ErrorSeen { age_ms, ..one(disk, claim)? })
    });
    told.collect()
}

/// The error that this attempt reported; `None` if its file cannot be read.
pub(super) fn one(disk: &dyn Disk, claim: &ClaimName) -> Option<ErrorSeen> {
    let bytes = disk.read(&layout::held(State::Failed, claim), RECORD_BYTES_MAX).ok()?;
    let (text, ran) = words(record::own_error(&claim.to_string(), &bytes));
    let output = ran.and_then(|ran| items::stderr_end(disk, claim, &ran)).or_else(|| rest_of(&text));
    let output = output.map(|output| last_lines(&output)).filter(|output| !output.is_empty());
    Some(ErrorSeen { attempt: claim.to_string(), text: first_lines(&text), output, age_ms: None })
}

/// An error in words, and how its command went, where it is one of a command.
pub(super) fn words(error: TaskError) -> (String, Option<Ran>) {
    match error {
        TaskError::App(text) | TaskError::Input(text) | TaskError::Record(BadRecord { why: text, .. }) => (text, None),
        TaskError::Command { why, ran } => (why, Some(*ran)),
        TaskError::Damaged(names) => (format!("found the shuffle files of {} map attempts missing or damaged", names.len()), None),
    }
}

/// Why attempts were taken back.
pub(super) fn taken_back(disk: &dyn Disk, snapshot: &Snapshot) -> TakenBack {
    taken_back_of(disk, snapshot.blocks().flat_map(|(_, view)| view.expired.iter().cloned()))
}

/// The same by a listing of `expired/` alone.
pub fn taken_back_in(disk: &dyn Disk) -> TakenBack {
    let entries = disk.list(State::Expired.dir()).unwrap_or_default();
    taken_back_of(disk, entries.iter().filter_map(|entry| entry.name.parse().ok()))
}

fn taken_back_of(disk: &dyn Disk, files: impl Iterator<Item = TaskFile>) -> TakenBack {
    let mut taken = TakenBack::default();
    for file in files.take(READS_MAX) {
        taken.sampled += 1;
        *match why_ended(disk, &file) {
            Ended::Lost => &mut taken.lost,
            Ended::GivenBack => &mut taken.given_back,
            Ended::Dropped => &mut taken.dropped,
            Ended::Retracted => &mut taken.retracted,
        } += 1;
    }
    taken
}

/// Why this file lies in `expired/`; one that cannot be read was lost, as for the coordinator.
fn why_ended(disk: &dyn Disk, file: &TaskFile) -> Ended {
    let bytes = disk.read(&State::Expired.path(file), RECORD_BYTES_MAX).unwrap_or_default();
    record::why_ended(&file.to_string(), &bytes)
}

fn first_lines(text: &str) -> String {
    text.lines().take(TEXT_LINES).collect::<Vec<_>>().join("\n").chars().take(TEXT_CHARS_MAX).collect()
}

fn rest_of(text: &str) -> Option<String> {
    let rest: Vec<&str> = text.lines().skip(TEXT_LINES).collect();
    (!rest.is_empty()).then(|| rest.join("\n"))
}

/// The last lines of an output, cut where they are long.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let end = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    let chars = end.chars().count();
    end.chars().skip(chars.saturating_sub(OUTPUT_CHARS_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_error_the_beginning_and_the_end_are_told() {
        let text: String = (0..40).map(|n| format!("line {n}\n")).collect();
        assert_eq!(first_lines(&text), "line 0\nline 1\nline 2");
        let end = last_lines(&rest_of(&text).expect("there is more"));
        assert!(end.starts_with("line 32\n") && end.ends_with("line 39"), "{end}");
        assert_eq!(rest_of("one\ntwo"), None);
        assert_eq!(last_lines(&"é".repeat(5000)).chars().count(), OUTPUT_CHARS_MAX);
    }
}
