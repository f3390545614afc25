//! Names, and nothing but names: `map-00042`, `map-00064+63` (a [`Block`]), `map-00042.a1`, `node7.4121.k3f`, `map-00042.a1@node7.4121.k3f`.
//!
//! Every name is one grammar, written by `Display` and read back by `FromStr`; the round trip is tested. A name that does
//! not parse is foreign: it is left alone and reported. No name is ever used twice, so a name alone
//! tells who did what in which attempt, and an old process can never touch a new attempt's files.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

mod block;

pub use block::{Block, Cover, ORDER_MAX, cover};

/// The two kinds of task of a MapReduce job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Reads one split, writes one shuffle file per partition.
    Map,
    /// Reads one partition of every shuffle file, writes one output file.
    Reduce,
}

/// One map or reduce task: the phase and its number, written `map-00042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Map or reduce.
    pub phase: Phase,
    /// From 0, in the order of the input (map) or of the partitions (reduce).
    pub number: u32,
}

/// One try of a task, written `map-00042.a1`, or of a block of them, written `map-00064+63.a1`. Attempts count from 1. Sorted as their blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId {
    /// Which task; of a block the first.
    pub task: TaskId,
    order: u8,
    /// Which try, from 1.
    pub number: u32,
}

/// One incarnation of a worker or coordinator, written `host.pid.nonce`; new for every process start and job joined.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(Arc<Who>);

/// Shared, because a coordinator of a million tasks holds a million names of a few workers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Who {
    host: String,
    pid: u32,
    nonce: String,
}

/// A worker's hold on an attempt, written `map-00042.a1@node7.4121.k3f`: the name of the claim and of all it writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimName {
    /// What is held.
    pub attempt: AttemptId,
    /// Who holds it.
    pub worker: WorkerName,
}

/// What a file in one of the five task directories is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskFile {
    /// Nobody holds it: in `pending/`, or dropped from there to `expired/`.
    Free(AttemptId),
    /// Somebody holds or held it.
    Held(ClaimName),
}

/// A name that is not in our grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignName;

impl TaskId {
    /// Map task `number`.
    pub fn map(number: u32) -> TaskId {
        TaskId { phase: Phase::Map, number }
    }

    /// Reduce task `number`.
    pub fn reduce(number: u32) -> TaskId {
        TaskId { phase: Phase::Reduce, number }
    }

    /// Try `number` (from 1) of this task.
    pub fn attempt(self, number: u32) -> AttemptId {
        Block::one(self).attempt(number)
    }
}

impl AttemptId {
    /// What is tried.
    pub fn block(self) -> Block {
        Block::of(self.task, self.order)
    }

    /// The name of this attempt once `worker` holds it.
    pub fn held_by(self, worker: &WorkerName) -> ClaimName {
        ClaimName { attempt: self, worker: worker.clone() }
    }
}

impl WorkerName {
    /// A name from its three parts; characters outside `[A-Za-z0-9._-]` of `host` become `-`.
    pub fn new(host: &str, pid: u32, nonce: &str) -> WorkerName {
        let clean = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let host: String = host.chars().map(clean).collect();
        let host = host.trim_start_matches('.').to_owned();
        let host = if host.is_empty() { "host".to_owned() } else { host };
        debug_assert!(is_nonce(nonce), "a nonce is lowercase letters and digits");
        WorkerName(Arc::new(Who { host, pid, nonce: nonce.to_owned() }))
    }

    /// The machine.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The process on that machine.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }
}

impl TaskFile {
    /// The attempt, held or not.
    pub fn attempt(&self) -> AttemptId {
        match self {
            TaskFile::Free(attempt) => *attempt,
            TaskFile::Held(claim) => claim.attempt,
        }
    }
}

impl Ord for AttemptId {
    fn cmp(&self, other: &AttemptId) -> std::cmp::Ordering {
        (self.block(), self.number).cmp(&(other.block(), other.number))
    }
}

impl PartialOrd for AttemptId {
    fn partial_cmp(&self, other: &AttemptId) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Map => "map",
            Phase::Reduce => "reduce",
        })
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:05}", self.phase, self.number)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.a{}", self.block(), self.number)
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0.host, self.0.pid, self.0.nonce)
    }
}

impl fmt::Display for ClaimName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.attempt, self.worker)
    }
}

impl fmt::Display for TaskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskFile::Free(attempt) => attempt.fmt(f),
            TaskFile::Held(claim) => claim.fmt(f),
        }
    }
}

impl fmt::Display for ForeignName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a name of flockwork's")
    }
}

impl std::error::Error for ForeignName {}

/// A canonical number: no sign, no superfluous zero beyond `width` digits.
fn number(text: &str, width: usize) -> Result<u32, ForeignName> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let canonical = text.len() == width || (text.len() > width && !text.starts_with('0'));
    if text.is_empty() || !digits || !canonical {
        return Err(ForeignName);
    }
    text.parse().map_err(|_| ForeignName)
}

fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
}

impl FromStr for TaskId {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<TaskId, ForeignName> {
        let (phase, digits) = text.split_once('-').ok_or(ForeignName)?;
        let phase = match phase {
            "map" => Phase::Map,
            "reduce" => Phase::Reduce,
            _ => return Err(ForeignName),
        };
        Ok(TaskId { phase, number: number(digits, 5)? })
    }
}

impl FromStr for AttemptId {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<AttemptId, ForeignName> {
        let (block, attempt) = text.split_once(".a").ok_or(ForeignName)?;
        let attempt = block.parse::<Block>()?.attempt(number(attempt, 1)?);
        if attempt.number == 0 { Err(ForeignName) } else { Ok(attempt) }
    }
}

impl FromStr for WorkerName {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<WorkerName, ForeignName> {
        let (rest, nonce) = text.rsplit_once('.').ok_or(ForeignName)?;
        let (host, pid) = rest.rsplit_once('.').ok_or(ForeignName)?;
        let pid = number(pid, 1)?;
        if host.is_empty() || !is_nonce(nonce) {
            return Err(ForeignName);
        }
        let name = WorkerName::new(host, pid, nonce);
        if name.host() == host { Ok(name) } else { Err(ForeignName) }
    }
}

impl FromStr for ClaimName {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<ClaimName, ForeignName> {
        let (attempt, worker) = text.split_once('@').ok_or(ForeignName)?;
        Ok(ClaimName { attempt: attempt.parse()?, worker: worker.parse()? })
    }
}

impl FromStr for TaskFile {
    type Err = ForeignName;
    fn from_str(text: &str) -> Result<TaskFile, ForeignName> {
        match text.contains('@') {
            true => text.parse().map(TaskFile::Held),
            false => text.parse().map(TaskFile::Free),
        }
    }
}

/// Reads many names, and keeps each worker once.
#[derive(Default)]
pub struct Names {
    workers: HashMap<Box<str>, WorkerName>,
}

impl Names {
    /// What `text.parse()` gives, at less cost in time and memory.
    pub fn parse(&mut self, text: &str) -> Result<TaskFile, ForeignName> {
        let Some((attempt, worker)) = text.split_once('@') else { return text.parse().map(TaskFile::Free) };
        let attempt = attempt.parse()?;
        if let Some(worker) = self.workers.get(worker) {
            return Ok(TaskFile::Held(ClaimName { attempt, worker: worker.clone() }));
        }
        let name: WorkerName = worker.parse()?;
        self.workers.insert(worker.into(), name.clone());
        Ok(TaskFile::Held(ClaimName { attempt, worker: name }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back<T: FromStr + fmt::Display>(text: &str) -> bool {
        text.parse::<T>().is_ok_and(|name| name.to_string() == text)
    }

    #[test]
    fn every_name_of_ours_comes_back_as_it_was_written() {
        for text in ["map-00042", "reduce-00000", "map-1234567"] {
            assert!(comes_back::<TaskId>(text), "{text}");
        }
        for text in ["map-00042.a1", "reduce-99999.a12", "map-00064+63.a2"] {
            assert!(comes_back::<AttemptId>(text), "{text}");
            assert!(comes_back::<TaskFile>(text), "{text}");
        }
        for text in ["map-00042.a1@node7.4121.k3f", "map-00064+63.a2@node7.4121.k3f", "reduce-00001.a3@a.b-c.example.org.1.0"] {
            assert!(comes_back::<ClaimName>(text), "{text}");
            assert!(comes_back::<TaskFile>(text), "{text}");
        }
    }

    #[test]
    fn a_host_may_have_dots_and_strange_letters_are_cleaned() {
        let name: WorkerName = "n1.rack.site.77.zz9".parse().expect("a worker's name");
        assert_eq!((name.host(), name.pid()), ("n1.rack.site", 77));
        assert_eq!(WorkerName::new(".bü ro@1", 5, "x").to_string(), "b--ro-1.5.x");
    }

    #[test]
    fn what_is_not_in_the_grammar_is_foreign() {
        let foreign = [
            "",
            "map",
            "map-",
            "map-42",
            "map-000042",
            "map-00042.",
            "map-00042.a",
            "map-00042.a0",
            "map-00042.a01",
            "Map-00042.a1",
            "map-00042.a1@",
            "map-00042.a1@host",
            "map-00042.a1@host.1",
            "map-00042.a1@.1.x",
            "map-00042.a1@host.01.x",
            "map-00042.a1@host.1.X",
            "map-+0042.a1",
            "map-00042+0.a1",
            "map-00042+63.a1",
            "reduce-00000+1.a1",
            "map-00042.a1~",
            ".nfs0001",
            "map-99999999999.a1",
            "map-00042.a1@h@x.1.y",
        ];
        for text in foreign {
            assert!(text.parse::<TaskFile>().is_err(), "{text:?} must be foreign");
            assert!(Names::default().parse(text).is_err(), "{text:?} must be foreign");
        }
    }

    #[test]
    fn many_names_are_read_as_each_alone_and_share_their_workers() {
        let mut names = Names::default();
        let texts = ["map-00042.a1@n.1.x", "map-00043.a7", "reduce-00000.a2@n.1.x", "map-00042.a1@n.1.y"];
        let read: Vec<TaskFile> = texts.iter().map(|text| names.parse(text).expect("a name")).collect();
        assert_eq!(read, texts.map(|text| text.parse::<TaskFile>().expect("a name")));
        let [TaskFile::Held(one), _, TaskFile::Held(other), _] = &read[..] else { panic!("{read:?}") };
        assert!(Arc::ptr_eq(&one.worker.0, &other.worker.0), "one worker is kept once");
    }

    #[test]
    fn names_sort_as_their_numbers() {
        assert!(TaskId::map(7).attempt(9) < TaskId::map(7).attempt(10));
        assert!(TaskId::map(99_999) < TaskId::map(100_000));
        assert!(TaskId::map(5) < TaskId::reduce(0), "maps come before reduces");
        let sorted =
            ["map-00000+7.a9", "map-00000+3.a1", "map-00000+3.a2", "map-00000.a1", "map-00001.a1", "map-00002+1.a1", "map-00003.a1"];
        let attempts = sorted.map(|text| text.parse::<AttemptId>().expect("an attempt"));
        assert!(attempts.is_sorted(), "larger blocks come before those within them");
    }
}
