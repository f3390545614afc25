//! A task's file is its biography: one JSON object per line, each bearing the full name of its writer.
//!
//! For people (`cat`), for `explain`, and for the coordinator once the file lies in `done/`, `failed/` or `expired/`. It is never opened for reading
//! while it may still move (nfs: a dead reader's delegation would stall every rename of it). Two coordinators may issue one
//! number twice and an old claimer may still hold another inode open, so a result or error counts only where its writer's name is the name of the file
//! it stands in. Lines that do not parse (torn by a crash, edited) are skipped.

use serde::{Deserialize, Serialize};

use crate::data::{BadRecord, Made, Ran, Spot};
use crate::units::stamp_utc;

/// Largest task file that is read, in bytes: a result lists one file per partition.
pub const RECORD_BYTES_MAX: u64 = 64 << 20;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The writer: a claim's full name, or a coordinator's.
    pub by: String,
    /// The writer's wall clock; for people, nothing decides by it.
    pub at: String,
    /// What happened.
    pub event: Event,
}

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A coordinator issued the attempt of this job.
    Issued {
        /// The attempt's name.
        task: String,
        /// The job's id.
        job: String,
    },
    /// A worker claimed it.
    Claimed {
        /// Where it runs.
        host: String,
        /// The slot's process.
        pid: u32,
    },
    /// It is at this record now: one line, written over in place (see [`super::skip`]). Nowhere: the app is not at work.
    Reached(Option<Spot>),
    /// It made this.
    Result {
        /// Files and counters.
        made: Made,
        /// From claim to commit on the worker's clock, in milliseconds.
        elapsed_ms: u64,
    },
    /// It failed.
    Error(TaskError),
    /// It ended without result or error.
    Ended(Ended),
}

/// A reported error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskError {
    /// The app returned an error, panicked, or made no progress.
    App(String),
    /// The app returned an error or panicked in this very record.
    Record(BadRecord),
    /// A command ended badly.
    Command {
        /// In words.
        why: String,
        /// How it went.
        ran: Box<Ran>,
    },
    /// An input is missing, unreadable or changed.
    Input(String),
    /// Shuffle files of these map attempts were missing or wrong in two fresh reads. No error of this task's.
    Damaged(Vec<String>),
}

/// Why an attempt ended without result or error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Its claim was silent for a lease, or its worker is gone. Also what a file in `expired/` that does not say why is taken for.
    Lost,
    /// Its worker was asked to leave.
    GivenBack,
    /// The task was done already.
    Dropped,
    /// Its result was found missing or damaged.
    Retracted,
}

impl Line {
    /// A line by `by`, now.
    pub fn new(by: impl ToString, event: Event) -> Line {
        Line { by: by.to_string(), at: stamp_utc(), event }
    }

    /// As it is written: one line with its newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a line has string keys only");
        bytes.push(b'\n');
        bytes
    }
}

/// The lines of a task's file that parse.
pub fn parse(bytes: &[u8]) -> Vec<Line> {
    bytes.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The result in `done/NAME`, if it holds one of its own.
pub fn own_result(name: &str, bytes: &[u8]) -> Option<(Made, u64)> {
    // From the end, where it mostly stands: a coordinator reads one of every task.
    let lines = bytes.rsplit(|&b| b == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    lines.filter(|line| line.by == name).find_map(|line| match line.event {
        Event::Result { made, elapsed_ms } => Some((made, elapsed_ms)),
        Event::Issued { .. } | Event::Claimed { .. } | Event::Reached(_) | Event::Error(_) | Event::Ended(_) => None,
    })
}

/// True if `file` is a name that only the attempt `name` gives: its output, its run, or one of its readable shuffle files. A record may say anything;
/// what it says is made into a path only if this holds, and so never leads out of the folder of such files.
pub fn is_file_of(name: &str, file: &str) -> bool {
    let Some(rest) = file.strip_prefix(name) else { return false };
    let json = || rest.strip_prefix('-').and_then(|rest| rest.strip_suffix(".json"));
    let is_number = |digits: &str| digits.len() >= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_empty() || rest == ".run" || json().is_some_and(is_number)
}

/// The error in `failed/NAME`; a file there without one of its own reports an unknown error.
pub fn own_error(name: &str, bytes: &[u8]) -> TaskError {
    let own = parse(bytes).into_iter().rev().filter(|line| line.by == name).find_map(|line| match line.event {
        Event::Error(error) => Some(error),
        Event::Issued { .. } | Event::Claimed { .. } | Event::Reached(_) | Event::Result { .. } | Event::Ended(_) => None,
    });
    own.unwrap_or_else(|| TaskError::App("the file says no error of its own (damaged by hand or by the disk)".to_owned()))
}

/// The record at which the attempt of this file was when it was last heard of.
pub fn own_spot(name: &str, bytes: &[u8]) -> Option<Spot> {
    let own = parse(bytes).into_iter().rev().filter(|line| line.by == name).find_map(|line| match line.event {
        Event::Reached(spot) => Some(spot),
        Event::Issued { .. } | Event::Claimed { .. } | Event::Result { .. } | Event::Error(_) | Event::Ended(_) => None,
    });
    own.flatten()
}

/// Why `expired/NAME` lies there, as whoever moved it there says: another, in the last such line; or else the attempt itself, which may say so, too, when it is taken away
/// just before it can give itself back. Without a line: a claim was lost, an unclaimed copy was dropped.
pub fn why_ended(name: &str, bytes: &[u8]) -> Ended {
    let by_others = ending(bytes, |line| line.by != name);
    let said = by_others.or_else(|| own_ending(name, bytes));
    said.unwrap_or(if name.contains('@') { Ended::Lost } else { Ended::Dropped })
}

/// What the attempt itself says of its end in `expired/`, if it lived to say it.
pub fn own_ending(name: &str, bytes: &[u8]) -> Option<Ended> {
    ending(bytes, |line| line.by == name)
}

fn ending(bytes: &[u8], is_wanted: impl Fn(&Line) -> bool) -> Option<Ended> {
    parse(bytes).into_iter().rev().filter(is_wanted).find_map(|line| match line.event {
        Event::Ended(ended) => Some(ended),
        Event::Issued { .. } | Event::Claimed { .. } | Event::Reached(_) | Event::Result { .. } | Event::Error(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "map-00001.a1@n.1.x";

    fn result(by: &str, ms: u64) -> Vec<u8> {
        Line::new(by, Event::Result { made: Made::default(), elapsed_ms: ms }).to_bytes()
    }

    #[test]
    fn only_a_line_that_bears_the_files_name_counts_as_its_result() {
        let bytes = result("map-00001.a1@n.1.other", 1);
        assert_eq!(own_result(NAME, &bytes), None, "a zombie's line in a foreign file counts nothing");
        let bytes = [bytes, result(NAME, 2), b"{\"by\":\"torn".to_vec()].concat();
        assert_eq!(own_result(NAME, &bytes), Some((Made::default(), 2)), "torn lines are skipped");
    }

    #[test]
    fn only_an_attempts_own_files_are_its_files() {
        for own in ["", ".run", "-00003.json", "-1234567.json"] {
            assert!(is_file_of(NAME, &format!("{NAME}{own}")), "{own}");
        }
        let long = "9".repeat(300);
        for other in
            ["/../x", ".run/../../x", "-00003.json/x", "-3.json", "-0000x.json", ".run ", "\0", "-.json", &format!("-{long}/.json")]
        {
            assert!(!is_file_of(NAME, &format!("{NAME}{other}")), "{other:?}");
        }
        for foreign in ["", "/etc/passwd", "../../x", "map-00001.a2@n.1.x.run", ".run"] {
            assert!(!is_file_of(NAME, foreign), "{foreign:?}");
        }
    }

    #[test]
    fn an_expired_file_without_a_reason_was_lost_if_claimed_and_dropped_if_not() {
        assert_eq!(why_ended(NAME, b"rubbish"), Ended::Lost);
        assert_eq!(why_ended("map-00001.a1", b""), Ended::Dropped);
        let line = Line::new("c", Event::Ended(Ended::GivenBack)).to_bytes();
        assert_eq!(why_ended(NAME, &line), Ended::GivenBack);
    }

    #[test]
    fn whoever_moved_a_file_knows_why() {
        let line = |by: &str, ended| Line::new(by, Event::Ended(ended)).to_bytes();
        let (lost, given) = (line("boss", Ended::Lost), line(NAME, Ended::GivenBack));
        for bytes in [[&lost[..], &given].concat(), [&given[..], &lost].concat()] {
            assert_eq!(why_ended(NAME, &bytes), Ended::Lost, "it was taken, and woke up too late to give it back");
            assert_eq!(own_ending(NAME, &bytes), Some(Ended::GivenBack));
        }
        assert_eq!(why_ended(NAME, &given), Ended::GivenBack);
        assert_eq!(why_ended(NAME, &[lost, line("boss", Ended::Retracted)].concat()), Ended::Retracted, "the last of them");
    }

    #[test]
    fn a_failed_file_edited_into_nonsense_still_is_an_error() {
        assert!(matches!(own_error(NAME, b"\xff\xfe{]"), TaskError::App(text) if text.contains("damaged")));
    }
}
