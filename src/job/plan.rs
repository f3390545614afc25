//! `phase/map` and `phase/reduce`: what is to be done, written once, never moved. One JSON object per line; the first line says what the file is.
//!
//! The map plan's lines stand in the order of their task numbers, so a worker finds its own by bisection: about 20 reads of 64 KiB in a plan of a million
//! tasks, one read in a small one. The reduce plan names, for every map task, the attempt that counts, with the length and checksum of its
//! files; whoever finds one of them retracted takes the first of its task in a fresh listing of `done/` (see `worker/assign.rs`).

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::{PHASE_MAP, PHASE_REDUCE};
use crate::data::{FileSum, Split};
use crate::disk::{Created, Disk, create};
use crate::error::{Error, ErrorKind, Result};

/// Bytes read at a time.
const BLOCK_BYTES: usize = 64 << 10;
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 256 << 20;

/// The first line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`super::spec::FORMAT`] of the writer.
    pub format: u32,
    /// The job's id.
    pub job: String,
    /// How many map tasks there are.
    pub maps: u32,
}

#[derive(Serialize, Deserialize)]
struct MapLine {
    task: u32,
    split: Split,
}

/// What the plan of reduce says of one map task: the attempt that counts and the files it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The map task's number.
    pub task: u32,
    /// The attempt's full name.
    pub attempt: String,
    /// Its shuffle files, one per partition in order.
    pub files: Vec<FileSum>,
}

/// Writes the map plan, once.
pub fn create_map(disk: &dyn Disk, root: &Path, job: &str, splits: &[Split]) -> Result<Created> {
    let maps = u32::try_from(splits.len())
        .map_err(|_| Error::new(ErrorKind::Input, "cannot plan more than 4294967295 map tasks").advise("raise --split-size"))?;
    let lines = splits.iter().zip(0..).map(|(split, task)| serde_json::to_vec(&MapLine { task, split: split.clone() }));
    create_plan(disk, root, PHASE_MAP, &Head { format: super::spec::FORMAT, job: job.to_owned(), maps }, lines)
}

/// Writes the reduce plan, once.
pub fn create_reduce(disk: &dyn Disk, root: &Path, job: &str, counted: &[Counted]) -> Result<Created> {
    let maps = u32::try_from(counted.len()).expect("as many as the map plan has");
    let lines = counted.iter().map(serde_json::to_vec);
    create_plan(disk, root, PHASE_REDUCE, &Head { format: super::spec::FORMAT, job: job.to_owned(), maps }, lines)
}

fn create_plan(
    disk: &dyn Disk,
    root: &Path,
    path: &str,
    head: &Head,
    lines: impl Iterator<Item = serde_json::Result<Vec<u8>>>,
) -> Result<Created> {
    let mut bytes = serde_json::to_vec(head).expect("a head has string keys only");
    bytes.push(b'\n');
    for line in lines {
        bytes.extend_from_slice(&line.expect("a plan's line has string keys only"));
        bytes.push(b'\n');
    }
    create::create_once(disk, path, &bytes).map_err(|error| Error::io("cannot create", root.join(path), error))
}

/// A plan being read.
pub struct Plan<'a> {
    disk: &'a dyn Disk,
    path: &'static str,
    full: PathBuf,
    head: Head,
    len: u64,
}

impl<'a> Plan<'a> {
    /// Opens the map plan; `None` if there is none yet.
    pub fn map(disk: &'a dyn Disk, root: &Path) -> Result<Option<Plan<'a>>> {
        Plan::open(disk, root, PHASE_MAP)
    }

    /// Opens the reduce plan; `None` if there is none yet.
    pub fn reduce(disk: &'a dyn Disk, root: &Path) -> Result<Option<Plan<'a>>> {
        Plan::open(disk, root, PHASE_REDUCE)
    }

    fn open(disk: &'a dyn Disk, root: &Path, path: &'static str) -> Result<Option<Plan<'a>>> {
        let full = root.join(path);
        let len = match disk.look(path) {
            Ok(look) => look.len,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot open", full, error)),
        };
        let mut plan = Plan { disk, path, full, head: Head { format: 0, job: String::new(), maps: 0 }, len };
        let (line, _) = plan.line_at(0)?;
        plan.head = plan.parse(&line)?;
        if plan.head.format > super::spec::FORMAT {
            return Err(Error::new(ErrorKind::Newer, "cannot read a plan of a newer format in")
                .on(&plan.full)
                .advise("use the flockwork that made it, or a newer one"));
        }
        Ok(Some(plan))
    }

    /// The first line.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Map task `task`'s split, found by bisection.
    pub fn split(&self, task: u32) -> Result<Split> {
        // Invariant: the line sought begins in low..high, and low is the beginning of a line.
        let (mut low, mut high) = (self.line_at(0)?.1, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            let start = if high - low <= BLOCK_BYTES as u64 { low } else { self.line_after(middle)?.min(high) };
            if start >= high {
                high = middle;
                continue;
            }
            let (line, next) = self.line_at(start)?;
            let found: MapLine = self.parse(&line)?;
            match found.task.cmp(&task) {
                std::cmp::Ordering::Equal => return Ok(found.split),
                std::cmp::Ordering::Less => low = next,
                std::cmp::Ordering::Greater => high = start,
            }
        }
        Err(Error::new(ErrorKind::Damaged, format!("cannot find task {task} in"))
            .on(&self.full)
            .advise("the plan was edited; submit the job anew"))
    }

    /// Every line after the first, in order.
    pub fn for_each_counted(&self, mut each: impl FnMut(Counted)) -> Result<()> {
        let bytes = self.disk.read(self.path, u64::MAX).map_err(|error| Error::io("cannot read", &self.full, error))?;
        for line in bytes.split(|&b| b == b'\n').skip(1).filter(|line| !line.is_empty()) {
            each(self.parse(line)?);
        }
        Ok(())
    }

    /// Every split, in order.
    pub fn splits(&self) -> Result<Vec<Split>> {
        let bytes = self.disk.read(self.path, u64::MAX).map_err(|error| Error::io("cannot read", &self.full, error))?;
        let lines = bytes.split(|&b| b == b'\n').skip(1).filter(|line| !line.is_empty());
        lines.map(|line| self.parse::<MapLine>(line).map(|line| line.split)).collect()
    }

    fn parse<'b, T: Deserialize<'b>>(&self, line: &'b [u8]) -> Result<T> {
        serde_json::from_slice(line).map_err(|cause| {
            let error = Error::new(ErrorKind::Damaged, "cannot understand the plan").on(&self.full).because(cause);
            error.advise("it is written once and whole, so it was edited or the disk damaged it; submit the job anew")
        })
    }

    /// The line that begins at `start`, and where the next one begins.
    fn line_at(&self, start: u64) -> Result<(Vec<u8>, u64)> {
        let mut len = BLOCK_BYTES;
        loop {
            let mut block = self.block(start, len)?;
            match block.iter().position(|&b| b == b'\n') {
                Some(end) => {
                    block.truncate(end);
                    return Ok((block, start + end as u64 + 1));
                }
                None if block.len() < len || len >= LINE_BYTES_MAX => return Ok((block, self.len)),
                None => len *= 8,
            }
        }
    }

    /// Where the first line begins that begins after `offset`.
    fn line_after(&self, offset: u64) -> Result<u64> {
        Ok(self.line_at(offset)?.1)
    }

    fn block(&self, from: u64, len: usize) -> Result<Vec<u8>> {
        self.disk.read_part(self.path, from, len).map_err(|error| Error::io("cannot read", &self.full, error))
    }
}
