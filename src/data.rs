//! What passes between the protocol and the data plane: splits one way, results the other. Neither knows the other; both know these.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A map task's part of the input: pieces of files, in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// In the order of the input.
    pub pieces: Vec<Piece>,
}

/// A range of one input file. With lines as records, a piece owns every line that *begins* in `from..to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file as the user typed it (apps print this).
    pub name: String,
    /// Where the file is: relative to the job directory if on the same mount, else absolute.
    pub path: String,
    /// Which of the job's files it is, counted from 0 in the order of the input.
    #[serde(default)]
    pub file: u32,
    /// First byte.
    pub from: u64,
    /// One past the last byte.
    pub to: u64,
    /// The whole file's length when the job was planned, in bytes.
    pub len: u64,
    /// The whole file's mtime when the job was planned, in nanoseconds; a file that changed since fails its task.
    pub mtime_ns: i64,
}

/// A file described well enough to know it again: by length and checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// The file's name, relative to `shuffle/` or to the output directory's `.attempts/`.
    pub name: String,
    /// Length in bytes.
    pub len: u64,
    /// CRC-32 (IEEE) of the whole content; of a run only of its footer, which has the checksums of the rest (see [`crate::engine::run`]).
    pub crc32: u32,
    /// Sorted sections of a run: how often each partition's keys begin anew in it. 1 of every other file, and then not written down.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub sections: u32,
}

fn one() -> u32 {
    1
}

fn is_one(sections: &u32) -> bool {
    *sections == one()
}

/// What an attempt made: its files (of a map: one per partition in order, or one for all; of a reduce: the output) and its counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Complete and closed before this is written down.
    pub files: Vec<FileSum>,
    /// Built-in (`records in`, ...) and the app's own.
    pub counters: Counters,
    /// What was not handed to the app, because it had made attempts fail; as a rule empty, and then not written down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<BadRecord>,
    /// How the command went, where the task is one (see [`crate::each`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<Box<Ran>>,
    /// Of a reduce: what it drew from the shuffle. For reports only; those of older flockworks do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<Box<Drawn>>,
}

/// What a reduce attempt drew from the shuffle, and what weighed most in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drawn {
    /// Length of its partition's slices in the shuffle files, in bytes.
    pub bytes: u64,
    /// The keys with the most values that reached reduce, at most three, most first; none with one value only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heaviest: Vec<HeavyKey>,
}

/// A key with many values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeavyKey {
    /// Escaped as in a Rust string; a long one is cut.
    pub key: String,
    /// How many values it had, after combining.
    pub values: u64,
}

/// How a command went that is a task of its own, and where what it wrote lies in its worker's segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit status; none where a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// It was ended because it ran for too long; it may have exited with 0 all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// When it was started, in milliseconds since 1970 by its machine's clock; for people.
    pub start_ms: i64,
    /// When it had ended.
    pub end_ms: i64,
    /// The most memory it, or a child of it that it waited for, had at one time, in bytes. (A command smaller than its worker shows the worker's size.)
    pub peak_bytes: u64,
    /// What it wrote to stdout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<Stretch>,
    /// What it wrote to stderr.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub err: Vec<Stretch>,
}

/// Bytes of a segment: where they begin, how many they are, and their CRC-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch(pub u64, pub u64, pub u32);

/// One record of a task as two numbers, so that attempts can say that they failed at the same: of a map, which of the job's files and the byte of its
/// content at which the record begins; of a reduce, the key's [`fingerprint`](crate::partition::fingerprint).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spot(pub u64, pub u64);

/// The same for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A line, or a whole file.
    Record {
        /// The file as the user typed it.
        file: String,
        /// Its first byte (of the unpacked content where the file is compressed).
        offset: u64,
    },
    /// A key with its values.
    Key {
        /// Escaped as in a Rust string; a long one is cut.
        key: String,
    },
}

/// How many bytes these stretches have together.
pub fn bytes_of(stretches: &[Stretch]) -> u64 {
    stretches.iter().fold(0, |sum, stretch| sum.saturating_add(stretch.1))
}

/// A record that the app could not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRecord {
    /// Which, for comparing.
    pub spot: Spot,
    /// Which, for people.
    #[serde(flatten)]
    pub place: Place,
    /// What the app said, or that it took its process along.
    pub why: String,
}

/// Named sums, counted once per committed attempt.
pub type Counters = BTreeMap<String, u64>;

/// How shuffle files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShuffleForm {
    /// Sorted, compressed and checked: one file per map attempt (see [`crate::engine::run`]).
    Run,
    /// The lab's: JSON lines, one file per map attempt and partition, for reading with eyes and `jq`.
    Json,
}

impl fmt::Display for ShuffleForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShuffleForm::Run => f.write_str("run"),
            ShuffleForm::Json => f.write_str("json"),
        }
    }
}

/// Why an attempt made nothing.
#[derive(Debug)]
pub enum Failure {
    /// The app returned an error or panicked, with its message; or what it made is impossible.
    App(String),
    /// The same, in this very record (its `why` is the message with the place).
    Record(BadRecord),
    /// A command ended badly, in these words.
    Command(String, Box<Ran>),
    /// An input is missing, unreadable or changed since planning, with the message.
    Input(String),
    /// Shuffle files were missing or failed their checksum in two fresh reads: the map attempts they are of.
    Damaged(Vec<String>),
    /// The control said so.
    Cancelled,
    /// The operating system refused; a full disk is told by [`crate::Error::is_no_room`].
    Disk(crate::Error),
}
