//! `phase/map` and `phase/reduce`: what is to be done, written once, never moved. One JSON object per line; the first line says what the file is.
//!
//! Every line bears a checksum of its own (see `seal.rs`), and the map plan's first line that of `job.json`: who edits one of them later is told so.
//!
//! The map plan's lines stand in the order of their task numbers, so a worker finds its own by bisection: about 20 reads of 64 KiB in a plan of a million
//! tasks, one read in a small one. The reduce plan names, for every map task or block of them, in order, the attempt that counts, with the length and checksum of its
//! files; whoever finds one of them retracted takes what counts within its block in a fresh listing of `done/` (see `worker/assign.rs`).

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layout::{JOB_JSON, PHASE_MAP, PHASE_REDUCE};
use super::seal;
use crate::data::{FileSum, Piece, Split};
use crate::disk::{Created, Disk, create};
use crate::error::{Error, ErrorKind, Result};
use crate::partition::RangeTable;

/// Bytes read at a time.
const BLOCK_BYTES: u64 = 64 << 10;
/// Blocks kept; when there are more, all are forgotten.
const BLOCKS_MAX: usize = 64;
/// Longest line that is read, in bytes.
const LINE_BYTES_MAX: usize = 256 << 20;
/// Shortest line of a plan: a head that promises more lines than fit into its file is not believed.
const LINE_BYTES_MIN: u64 = 33;
/// Bytes read at a time where every line is wanted.
const STREAM_BYTES: usize = 1 << 20;
/// The least that is read where a part is wanted.
const PART_BYTES_MIN: usize = 4 << 10;
/// Most map tasks of a job: each costs a coordinator, and whoever looks, some 200 bytes of memory.
pub const MAPS_MAX: u32 = 1 << 22;

/// The first line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`super::spec::FORMAT`] of the writer.
    pub format: u32,
    /// The job's id.
    pub job: String,
    /// How many map tasks there are.
    pub maps: u32,
    /// The ranges of keys, where the app's keys are dealt out by range: in the plan, so that every attempt has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<RangeTable>,
    /// The checksum of `job.json` when the job was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct MapLine {
    task: u32,
    split: Split,
}

/// What the plan of reduce says of one map task, or of a block of several: the attempt that counts and the files it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The (first) map task's number.
    pub task: u32,
    /// The attempt's full name.
    pub attempt: String,
    /// Its shuffle files: one per partition in order, or one run for all.
    pub files: Vec<FileSum>,
}

/// Adds the pieces of the next task.
fn join(split: &mut Split, next: Split) {
    for piece in next.pieces {
        match split.pieces.last_mut() {
            Some(last) if touches(last, &piece) => last.to = piece.to,
            Some(_) | None => split.pieces.push(piece),
        }
    }
}

/// True if the second is the next part of the same file. (An empty file is none of itself, however often it was typed.)
fn touches(last: &Piece, piece: &Piece) -> bool {
    last.file == piece.file && last.to == piece.from && last.from < piece.from && last.path == piece.path && last.name == piece.name
}

/// Writes the map plan, once.
pub fn create_map(disk: &dyn Disk, root: &Path, job: &str, splits: &[Split], ranges: Option<RangeTable>) -> Result<Created> {
    create_map_of(disk, root, job, splits.len(), splits.iter().cloned(), ranges)
}

/// The same of `count` splits that are made one by one: the file is in memory, they are not.
pub fn create_map_of(
    disk: &dyn Disk,
    root: &Path,
    job: &str,
    count: usize,
    splits: impl Iterator<Item = Split>,
    ranges: Option<RangeTable>,
) -> Result<Created> {
    let maps = u32::try_from(count).ok().filter(|maps| *maps <= MAPS_MAX);
    let too_many = || Error::new(ErrorKind::Input, format!("cannot plan more than {MAPS_MAX} map tasks")).advise("raise --split-size");
    let maps = maps.ok_or_else(too_many)?;
    let lines = splits.zip(0..).map(|(split, task)| serde_json::to_vec(&MapLine { task, split }));
    let asked = asked(disk, root)?;
    create_plan(disk, root, PHASE_MAP, &Head { format: super::spec::FORMAT, job: job.to_owned(), maps, ranges, asked }, lines)
}

/// Writes the reduce plan of `maps` map tasks, once. Memory: a part of it.
pub fn create_reduce(disk: &dyn Disk, root: &Path, job: &str, maps: u32, counted: impl Iterator<Item = Counted>) -> Result<Created> {
    let lines = counted.map(|counted| serde_json::to_vec(&counted));
    create_plan(
        disk,
        root,
        PHASE_REDUCE,
        &Head { format: super::spec::FORMAT, job: job.to_owned(), maps, ranges: None, asked: None },
        lines,
    )
}

fn create_plan(
    disk: &dyn Disk,
    root: &Path,
    path: &str,
    head: &Head,
    lines: impl Iterator<Item = serde_json::Result<Vec<u8>>>,
) -> Result<Created> {
    let mut bytes = seal::sealed(serde_json::to_vec(head).expect("a head has string keys only"));
    bytes.push(b'\n');
    let fail = |error| Error::io("cannot create", root.join(path), error);
    let mut begun = None;
    for line in lines {
        bytes.extend_from_slice(&seal::sealed(line.expect("a plan's line has string keys only")));
        bytes.push(b'\n');
        if bytes.len() >= STREAM_BYTES {
            let draft: &mut create::Growing = match &mut begun {
                Some(draft) => draft,
                None => begun.insert(create::Growing::begin(disk, create::dir_of(path)).map_err(fail)?),
            };
            draft.append(disk, &bytes).map_err(fail)?;
            bytes.clear();
        }
    }
    let created = match begun {
        None => create::create_once(disk, path, &bytes),
        Some(mut draft) => draft.append(disk, &bytes).and_then(|()| draft.create_once(disk, path)),
    };
    created.map_err(fail)
}

/// The checksum of `job.json` as it is now; `None` if there is none.
fn asked(disk: &dyn Disk, root: &Path) -> Result<Option<String>> {
    match disk.read(JOB_JSON, super::spec::SPEC_BYTES_MAX) {
        Ok(bytes) => Ok(Some(seal::crc(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("cannot read", root.join(JOB_JSON), error)),
    }
}

/// A plan being read.
pub struct Plan<'a> {
    disk: &'a dyn Disk,
    path: &'static str,
    full: PathBuf,
    read: Read,
}

/// What has been read of a plan, to go on with later: a plan never changes.
#[derive(Default)]
pub struct Read {
    head: Option<Head>,
    /// Where the line behind the one found last begins: the next task is mostly the next one.
    next: u64,
    len: u64,
    blocks: HashMap<u64, Vec<u8>>,
}

impl Read {
    /// The first line, once the plan was opened.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }
}

impl<'a> Plan<'a> {
    /// Opens the map plan; `None` if there is none yet.
    pub fn map(disk: &'a dyn Disk, root: &Path) -> Result<Option<Plan<'a>>> {
        let plan = Plan::open(disk, root, PHASE_MAP)?;
        if let Some(planned) = plan.as_ref().and_then(|plan| plan.head().asked.as_ref())
            && asked(disk, root)?.is_some_and(|asked| asked != *planned)
        {
            let error = Error::new(ErrorKind::NotThisJob, "cannot believe").on(root.join(JOB_JSON));
            let error = error.because(format!("it is not what the job was planned from, says {PHASE_MAP}"));
            return Err(error.advise("it was edited or damaged later; restore it, or submit the job anew elsewhere"));
        }
        Ok(plan)
    }

    /// Opens the reduce plan; `None` if there is none yet.
    pub fn reduce(disk: &'a dyn Disk, root: &Path) -> Result<Option<Plan<'a>>> {
        Plan::open(disk, root, PHASE_REDUCE)
    }

    /// Goes on with the map plan where [`Plan::into_read`] left off: the upper steps of a bisection are the same for every task.
    pub fn map_again(disk: &'a dyn Disk, root: &Path, read: Read) -> Plan<'a> {
        Plan { disk, path: PHASE_MAP, full: root.join(PHASE_MAP), read }
    }

    /// What has been read, to go on with later.
    pub fn into_read(self) -> Read {
        self.read
    }

    fn open(disk: &'a dyn Disk, root: &Path, path: &'static str) -> Result<Option<Plan<'a>>> {
        let full = root.join(path);
        let len = match disk.look(path) {
            Ok(look) => look.len,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot open", full, error)),
        };
        let mut plan = Plan { disk, path, full, read: Read { len, ..Read::default() } };
        let (line, _) = plan.line_at(0)?;
        let head: Head = plan.understand(&line)?;
        if head.format > super::spec::FORMAT_OF_BUNDLES {
            let error = Error::new(ErrorKind::Newer, "cannot read a plan of a newer format in").on(&plan.full);
            return Err(error.advise("use the flockwork that made it, or a newer one"));
        }
        // (a line of the reduce plan may be of many map tasks)
        if head.maps > MAPS_MAX || path == PHASE_MAP && u64::from(head.maps) * LINE_BYTES_MIN > len {
            let error = Error::new(ErrorKind::Damaged, "cannot believe the plan").on(&plan.full);
            return Err(error
                .because(format!("{} map tasks are not in it", head.maps))
                .advise("it was edited or cut short; submit the job anew"));
        }
        plan.check_seal(&line)?;
        plan.read.head = Some(head);
        Ok(Some(plan))
    }

    /// The first line.
    pub fn head(&self) -> &Head {
        self.read.head.as_ref().expect("read when the plan was opened")
    }

    /// Map task `task`'s split, found by bisection.
    pub fn split(&mut self, task: u32) -> Result<Split> {
        let (line, at) = self.find(task)?;
        self.read.next = at.end;
        Ok(line.split)
    }

    /// The splits of map tasks next to each other as one larger split: piece behind piece, and pieces of one file that touch are one.
    pub fn splits_of(&mut self, tasks: Range<u32>) -> Result<Split> {
        let (first, at) = self.find(tasks.start)?;
        let (mut split, mut last, mut next) = (first.split, tasks.start, at.end);
        // Lines are of about the same length, and grow by a digit at times.
        let about = (at.end - at.start).saturating_add(2).saturating_mul(tasks.len() as u64 - 1);
        let part = usize::try_from(about).unwrap_or(STREAM_BYTES).clamp(PART_BYTES_MIN, STREAM_BYTES);
        if tasks.len() > 1 {
            next = self.stream(next, part, |line| {
                let line: MapLine = self.parse(line)?;
                let is_next = line.task == last + 1;
                last += u32::from(is_next);
                join(&mut split, line.split);
                Ok(is_next && last + 1 < tasks.end)
            })?;
        }
        if last + 1 != tasks.end {
            let error = Error::new(ErrorKind::Damaged, format!("cannot find task {} in", last + 1)).on(&self.full);
            return Err(error.advise("the plan was edited; submit the job anew"));
        }
        self.read.next = next;
        Ok(split)
    }

    /// The line of map task `task`, and where it is.
    fn find(&mut self, task: u32) -> Result<(MapLine, Range<u64>)> {
        // Invariant: the line sought lies in low..high, and both are beginnings of lines (or the end).
        let (mut low, mut high) = (self.line_at(0)?.1, self.read.len);
        if self.read.next > 0 && self.read.next < high {
            let (line, next) = self.line_at(self.read.next)?;
            let found: MapLine = self.parse(&line)?;
            match found.task.cmp(&task) {
                std::cmp::Ordering::Equal => return Ok((found, self.read.next..next)),
                std::cmp::Ordering::Less => low = next,
                std::cmp::Ordering::Greater => high = self.read.next,
            }
        }
        while low < high {
            let start = self.line_around(low + (high - low) / 2)?.max(low);
            let (line, next) = self.line_at(start)?;
            let found: MapLine = self.parse(&line)?;
            match found.task.cmp(&task) {
                std::cmp::Ordering::Equal => return Ok((found, start..next)),
                std::cmp::Ordering::Less => low = next,
                std::cmp::Ordering::Greater => high = start,
            }
        }
        let error = Error::new(ErrorKind::Damaged, format!("cannot find task {task} in")).on(&self.full);
        Err(error.advise("the plan was edited; submit the job anew"))
    }

    /// Every line after the first, in order; of those beyond what the first line promises only one, which is enough to see that they are too many.
    pub fn for_each_counted(&self, mut each: impl FnMut(Counted)) -> Result<()> {
        self.for_each_line(|line| self.parse(line).map(&mut each))
    }

    /// Every split, in order; of those beyond what the first line promises only one.
    pub fn splits(&self) -> Result<Vec<Split>> {
        let mut splits = Vec::new();
        self.for_each_line(|line| self.parse::<MapLine>(line).map(|line| splits.push(line.split)))?;
        Ok(splits)
    }

    fn for_each_line(&self, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (mut lines, most) = (0, u64::from(self.head().maps) + 1);
        self.stream(0, STREAM_BYTES, |line| {
            if lines > 0 && !line.is_empty() {
                each(line)?;
            }
            lines += 1;
            Ok(lines <= most)
        })?;
        Ok(())
    }

    /// Calls `each` with the lines from `at` on, where one begins, while it says so; so many bytes are read at a time. Returns where the line after the last one begins.
    /// Memory: twice that, and the longest line.
    fn stream(&self, mut at: u64, part_bytes: usize, mut each: impl FnMut(&[u8]) -> Result<bool>) -> Result<u64> {
        let (mut bytes, mut begun) = (Vec::new(), at);
        loop {
            let part = self.disk.read_part(self.path, at, part_bytes).map_err(|error| Error::io("cannot read", &self.full, error))?;
            let is_last = part.len() < part_bytes;
            at += part.len() as u64;
            let (mut from, mut seen) = (0, bytes.len());
            bytes.extend_from_slice(&part);
            while from < bytes.len() {
                let end = memchr::memchr(b'\n', &bytes[seen..]).map(|newline| seen + newline);
                let Some(end) = end.or(is_last.then_some(bytes.len())) else { break };
                let goes_on = each(&bytes[from..end])?;
                (from, seen) = (end + 1, end + 1);
                if !goes_on {
                    return Ok(begun + from as u64);
                }
                seen = seen.min(bytes.len());
            }
            from = from.min(bytes.len());
            begun += from as u64;
            bytes.drain(..from);
            if is_last {
                return Ok(begun);
            }
            if bytes.len() > LINE_BYTES_MAX {
                let error = Error::new(ErrorKind::Damaged, "cannot read a line of").on(&self.full);
                return Err(error
                    .because(format!("it is longer than {LINE_BYTES_MAX} bytes"))
                    .advise("the plan was edited; submit the job anew"));
            }
        }
    }

    fn parse<'b, T: Deserialize<'b>>(&self, line: &'b [u8]) -> Result<T> {
        self.check_seal(line)?;
        self.understand(line)
    }

    fn check_seal(&self, line: &[u8]) -> Result<()> {
        if seal::is_whole(line) {
            return Ok(());
        }
        let error =
            Error::new(ErrorKind::Damaged, "cannot believe the plan").on(&self.full).because("a line is not what its checksum says");
        Err(error.advise("it is written once and whole, so it was edited or the disk damaged it; submit the job anew"))
    }

    fn understand<'b, T: Deserialize<'b>>(&self, line: &'b [u8]) -> Result<T> {
        serde_json::from_slice(line).map_err(|cause| {
            let error = Error::new(ErrorKind::Damaged, "cannot understand the plan").on(&self.full).because(cause);
            error.advise("it is written once and whole, so it was edited or the disk damaged it; submit the job anew")
        })
    }

    /// The line that begins at `start`, and where the next one begins.
    fn line_at(&mut self, start: u64) -> Result<(Vec<u8>, u64)> {
        let mut line = Vec::new();
        let mut at = start;
        while at < self.read.len && line.len() <= LINE_BYTES_MAX {
            let rest = self.rest_of_block(at)?;
            let Some(end) = rest.iter().position(|&b| b == b'\n') else {
                line.extend_from_slice(rest);
                at += rest.len() as u64;
                continue;
            };
            line.extend_from_slice(&rest[..end]);
            return Ok((line, at + end as u64 + 1));
        }
        Ok((line, self.read.len))
    }

    /// Where the line begins that `offset` lies in.
    fn line_around(&mut self, offset: u64) -> Result<u64> {
        let mut block = offset / BLOCK_BYTES;
        let mut upto = (offset % BLOCK_BYTES) as usize;
        loop {
            let bytes = self.block(block)?;
            if let Some(newline) = bytes[..upto.min(bytes.len())].iter().rposition(|&b| b == b'\n') {
                return Ok(block * BLOCK_BYTES + newline as u64 + 1);
            }
            if block == 0 {
                return Ok(0);
            }
            block -= 1;
            upto = BLOCK_BYTES as usize;
        }
    }

    fn rest_of_block(&mut self, at: u64) -> Result<&[u8]> {
        let path = self.full.clone();
        let rest = self.block(at / BLOCK_BYTES)?.get((at % BLOCK_BYTES) as usize..).filter(|rest| !rest.is_empty());
        rest.ok_or_else(|| {
            Error::new(ErrorKind::Damaged, "cannot read to the end of").on(path).advise("the plan was cut short; submit the job anew")
        })
    }

    fn block(&mut self, block: u64) -> Result<&[u8]> {
        if !self.read.blocks.contains_key(&block) {
            if self.read.blocks.len() >= BLOCKS_MAX {
                self.read.blocks.clear();
            }
            let bytes = self.disk.read_part(self.path, block * BLOCK_BYTES, BLOCK_BYTES as usize);
            self.read.blocks.insert(block, bytes.map_err(|error| Error::io("cannot read", &self.full, error))?);
        }
        Ok(&self.read.blocks[&block])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    fn split(n: usize) -> Split {
        let piece = Piece {
            name: "x".repeat(n % 97),
            path: "y".repeat(n * 7919 % 211),
            file: 0,
            from: n as u64,
            to: n as u64,
            len: 0,
            mtime_ns: 0,
        };
        Split { pieces: vec![piece; 1 + n % 3] }
    }

    #[test]
    fn every_task_finds_its_own_split_in_a_large_and_in_a_small_plan() {
        for n_tasks in [0, 1, 2, 3, 4000] {
            let dir = tempfile::tempdir().expect("a directory");
            let disk = RealDisk::at(dir.path());
            disk.make_dir("phase").expect("a folder");
            let splits: Vec<Split> = (0..n_tasks).map(split).collect();
            let ranges = (n_tasks > 1).then(|| RangeTable::of_sample(vec![b"\xff\n".to_vec(), b"b".to_vec()], 2));
            assert_eq!(create_map(&disk, dir.path(), "j", &splits, ranges.clone()).expect("created"), Created::Now);
            let mut plan = Plan::map(&disk, dir.path()).expect("opened").expect("there");
            assert_eq!((plan.head().maps as usize, &plan.head().ranges), (n_tasks, &ranges));
            for (task, split) in (0..).zip(&splits) {
                assert_eq!(plan.split(task).expect("found"), *split, "task {task} of {n_tasks}");
            }
            for task in (0..n_tasks).map(|n| n * 7919 % n_tasks) {
                let found = plan.split(u32::try_from(task).expect("few")).expect("found");
                assert_eq!(found, splits[task], "task {task} of {n_tasks}, from wherever the last one was");
            }
            assert!(plan.split(n_tasks as u32).is_err(), "no task beyond the last");
            for (from, to) in
                [(0, 1), (0, 2), (1, 3), (2, 3), (7, 3000), (3900, 4000), (0, 4000)].into_iter().filter(|(_, to)| *to <= n_tasks)
            {
                let expected: Vec<Piece> = splits[from..to].iter().flat_map(|split| split.pieces.clone()).collect();
                assert_eq!(plan.splits_of(from as u32..to as u32).expect("found").pieces, expected, "{from} to {to} of {n_tasks}");
            }
            assert!(n_tasks < 2 || plan.splits_of(1..n_tasks as u32 + 1).is_err(), "no task beyond the last");
            assert_eq!(plan.splits().expect("all"), splits);
        }
    }

    #[test]
    fn pieces_of_one_file_that_touch_become_one_and_no_others_do() {
        let piece = |file, from, to| Piece { name: "n".to_owned(), path: "p".to_owned(), file, from, to, len: 9, mtime_ns: 0 };
        let joined = |pieces: &[Piece]| {
            let mut split = Split { pieces: Vec::new() };
            pieces.iter().for_each(|piece| join(&mut split, Split { pieces: vec![piece.clone()] }));
            split.pieces
        };
        assert_eq!(joined(&[piece(0, 0, 3), piece(0, 3, 5), piece(0, 5, 9)]), [piece(0, 0, 9)]);
        for apart in [[piece(0, 0, 3), piece(0, 4, 5)], [piece(0, 0, 3), piece(1, 3, 5)], [piece(0, 0, 0), piece(0, 0, 0)]] {
            assert_eq!(joined(&apart), apart);
        }
    }
}
