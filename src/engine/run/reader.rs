//! Reading runs: the index, checked against the run's description, and one slice of it as a stream of pairs.
//!
//! Contract: what a [`Stream`] yields has passed its block's CRC, and when it ends, the slice's; a flipped bit, a truncation or a missing file is
//! [`Trouble::Damaged`], after a second read from a fresh open (so that a stale answer of an NFS client is not taken for damage). Other refusals of the disk
//! are [`Trouble::Disk`].

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;

use super::block::{BadBlock, Entries, HEADER_BYTES, Header};
use super::footer::{self, Slice, TAIL_BYTES};
use super::{MAGIC, PARTITIONS_MAX, SECTIONS_MAX};
use crate::data::FileSum;
use crate::engine::sum::{self, Sum};
use crate::error::Error;

/// Read at a time: with the longest usual block it is what an open stream costs in memory.
const READ_BYTES: usize = 128 << 10;
/// The first read of a footer: enough for 145 partitions.
const FOOTER_READ_BYTES: u64 = 4096;

/// The longest footer that is believed: 16 sections of 100,000 partitions have a third of it.
const FOOTER_BYTES_MAX: u64 = 128 << 20;

/// Why a run could not be read.
#[derive(Debug)]
pub(in crate::engine) enum Trouble {
    /// It is missing, or not what was described.
    Damaged,
    /// The disk refused, which says nothing about the run.
    Disk(Error),
}

impl From<BadBlock> for Trouble {
    fn from(BadBlock: BadBlock) -> Trouble {
        Trouble::Damaged
    }
}

/// What an error of the operating system says about the run at `path`.
fn trouble(path: &Path, error: io::Error) -> Trouble {
    use io::ErrorKind::{InvalidData, NotFound, StaleNetworkFileHandle, UnexpectedEof};
    if matches!(error.kind(), InvalidData | NotFound | StaleNetworkFileHandle | UnexpectedEof) {
        Trouble::Damaged
    } else {
        Trouble::Disk(Error::io("cannot read shuffle file", path, error))
    }
}

/// A run whose index has been read and checked.
pub(in crate::engine) struct RunFile {
    file: Rc<File>,
    path: Rc<Path>,
    slices: Vec<Slice>,
    sections: u32,
}

impl RunFile {
    /// Opens the run described, with a second try where the first finds something else.
    pub(in crate::engine) fn open(dir: &Path, described: &FileSum) -> Result<RunFile, Trouble> {
        let path: Rc<Path> = dir.join(&described.name).into();
        match RunFile::open_once(&path, described) {
            Err(Trouble::Damaged) => {
                // Opening the directory by path makes an NFS client forget a cached "no such name".
                let _ = fs::read_dir(dir);
                RunFile::open_once(&path, described)
            }
            opened => opened,
        }
    }

    fn open_once(path: &Rc<Path>, described: &FileSum) -> Result<RunFile, Trouble> {
        let fail = |error| trouble(path, error);
        let file = sum::open_plain(path).map_err(fail)?;
        let len = file.metadata().map_err(fail)?.len();
        if len != described.len {
            return Err(Trouble::Damaged);
        }
        let footer = read_footer(&file, len).map_err(fail)?;
        let (slices, sections) = footer::read(&footer);
        let fits = slices.iter().all(|slice| slice.offset.checked_add(slice.bytes).is_some_and(|end| end <= len));
        let plausible = (1..=SECTIONS_MAX).contains(&sections) && sections == described.sections;
        if sum::crc32(&footer) != described.crc32 || !plausible || !fits {
            return Err(Trouble::Damaged);
        }
        Ok(RunFile { file: Rc::new(file), path: Rc::clone(path), slices, sections })
    }

    /// Opens a run of one section that this process wrote itself, or the section of one that has these slices.
    pub(in crate::engine) fn own(path: &Path, slices: &[Slice]) -> Result<RunFile, Trouble> {
        let file = File::open(path).map_err(|error| trouble(path, error))?;
        Ok(RunFile { file: Rc::new(file), path: path.into(), slices: slices.to_vec(), sections: 1 })
    }

    /// Where a partition lies.
    #[cfg(test)]
    pub(in crate::engine) fn slice(&self, partition: usize) -> Slice {
        self.slices[partition]
    }

    /// The pairs of one partition in one section.
    pub(in crate::engine) fn stream(&self, section: u32, partition: u32) -> Result<Stream, Trouble> {
        let partitions = self.slices.len() / self.sections.max(1) as usize;
        let slice = *self.slices.get(section as usize * partitions + partition as usize).ok_or(Trouble::Damaged)?;
        let end = slice.offset.checked_add(slice.bytes).ok_or(Trouble::Damaged)?;
        Ok(Stream {
            file: Rc::clone(&self.file),
            path: Rc::clone(&self.path),
            partition,
            slice,
            at: slice.offset,
            end,
            window: Window::default(),
            entries: Entries::default(),
            crcs: Sum::default(),
            records: 0,
            bad_blocks: 0,
        })
    }
}

fn read_footer(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let read = |bytes: u64| {
        let mut end = vec![0; bytes as usize];
        file.read_exact_at(&mut end, len - bytes).map(|()| end)
    };
    let no_run = || io::Error::new(io::ErrorKind::InvalidData, "it is no whole run");
    let mut end = read(len.min(FOOTER_READ_BYTES))?;
    let tail = end.get(end.len().wrapping_sub(TAIL_BYTES)..).ok_or_else(no_run)?;
    let footer = footer::len(tail).filter(|&n| n as u64 <= len.min(FOOTER_BYTES_MAX)).ok_or_else(no_run)?;
    if footer > end.len() {
        end = read(footer as u64)?;
    }
    Ok(end.split_off(end.len() - footer))
}

/// The part of the file that is in memory: `bytes[from..to]`.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

/// One slice of a run, pair by pair; begins before the first.
pub(in crate::engine) struct Stream {
    file: Rc<File>,
    path: Rc<Path>,
    partition: u32,
    slice: Slice,
    /// Where in the file the next block begins, and where the slice ends.
    at: u64,
    end: u64,
    window: Window,
    entries: Entries,
    crcs: Sum,
    records: u64,
    bad_blocks: u64,
}

impl Stream {
    /// What an open stream costs in memory, long pairs aside, in bytes.
    pub(in crate::engine) const BYTES: usize = READ_BYTES + (96 << 10);

    /// Goes to the next pair; false behind the last.
    #[inline]
    pub(in crate::engine) fn advance(&mut self) -> Result<bool, Trouble> {
        while !self.entries.advance()? {
            if !self.next_block()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True if the key is known to be that of the pair before.
    #[inline]
    pub(in crate::engine) fn repeats(&self) -> bool {
        self.entries.repeats()
    }

    /// The key of the pair at hand.
    #[inline]
    pub(in crate::engine) fn key(&self) -> &[u8] {
        self.entries.key()
    }

    /// The value of the pair at hand.
    #[inline]
    pub(in crate::engine) fn value(&self) -> &[u8] {
        self.entries.value()
    }

    /// How long the slice is.
    pub(in crate::engine) fn bytes(&self) -> u64 {
        self.slice.bytes
    }

    /// How many blocks were wrong in their first read and right in the second.
    pub(in crate::engine) fn bad_blocks(&self) -> u64 {
        self.bad_blocks
    }

    /// Checks a block and what it holds; false behind the last. For looking at a slice without its pairs.
    pub(in crate::engine) fn check_block(&mut self) -> Result<bool, Trouble> {
        let more = self.next_block()?;
        while self.entries.advance()? {}
        Ok(more)
    }

    fn next_block(&mut self) -> Result<bool, Trouble> {
        if self.at == self.end {
            let whole = self.records == self.slice.records && self.crcs.clone().crc32() == self.slice.crc;
            return if whole { Ok(false) } else { Err(Trouble::Damaged) };
        }
        match self.read_block() {
            Ok(()) => {}
            Err(Trouble::Damaged) => {
                let _ = self.path.parent().map(fs::read_dir);
                self.file = Rc::new(sum::open_plain(&self.path).map_err(|error| trouble(&self.path, error))?);
                self.window = Window::default();
                self.read_block()?;
                self.bad_blocks += 1;
            }
            Err(disk) => return Err(disk),
        }
        Ok(true)
    }

    fn read_block(&mut self) -> Result<(), Trouble> {
        let left = self.end - self.at;
        self.fill(HEADER_BYTES, left)?;
        let bytes = &self.window.bytes[self.window.from..self.window.to];
        let header = Header::read(bytes.first_chunk().ok_or(BadBlock)?)?;
        let len = HEADER_BYTES + header.stored;
        if header.partition != self.partition || len as u64 > left {
            return Err(Trouble::Damaged);
        }
        self.fill(len, left)?;
        let from = self.window.from;
        self.entries.open(header, &self.window.bytes[from..from + len])?;
        self.window.from += len;
        self.at += len as u64;
        self.crcs.update(&header.crc.to_le_bytes());
        self.records += u64::from(header.records);
        Ok(())
    }

    /// Reads on until the window holds `n` bytes, of `left` that there are.
    fn fill(&mut self, n: usize, left: u64) -> Result<(), Trouble> {
        let Window { bytes, from, to } = &mut self.window;
        let have = *to - *from;
        if have >= n {
            return Ok(());
        }
        let want = usize::try_from(left).map_or(READ_BYTES.max(n), |left| left.min(READ_BYTES.max(n)));
        if want < n {
            return Err(Trouble::Damaged);
        }
        bytes.copy_within(*from..*to, 0);
        bytes.resize(want, 0);
        (*from, *to) = (0, have);
        self.file.read_exact_at(&mut bytes[have..], self.at + have as u64).map_err(|error| trouble(&self.path, error))?;
        *to = want;
        Ok(())
    }
}

/// Reads the whole run at `path`, checks all that its index says, and describes it. What is no run, or a damaged one, is an error of invalid data.
pub fn describe(path: &Path) -> io::Result<FileSum> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let file = sum::open_plain(path)?;
    let len = file.metadata()?.len();
    let footer = read_footer(&file, len)?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact_at(&mut magic, 0)?;
    let (slices, sections) = footer::read(&footer);
    let partitions = slices.len() / sections.max(1) as usize;
    let mut at = MAGIC.len() as u64;
    let adjoin = slices.iter().all(|slice| {
        let adjoins = slice.offset == at;
        at = at.saturating_add(slice.bytes);
        adjoins
    });
    let even = sections <= SECTIONS_MAX && partitions * sections as usize == slices.len() && partitions <= PARTITIONS_MAX as usize;
    if magic != MAGIC || !adjoin || at != len - footer.len() as u64 || !even {
        return Err(damaged("its index does not cover it"));
    }
    let run = RunFile { file: Rc::new(file), path: path.into(), slices, sections };
    for (section, partition) in (0..sections).flat_map(|section| (0..partitions as u32).map(move |partition| (section, partition))) {
        let check = |mut stream: Stream| {
            while stream.check_block()? {}
            Ok(())
        };
        match run.stream(section, partition).and_then(check) {
            Ok(()) => {}
            Err(Trouble::Damaged) => return Err(damaged(&format!("the data of partition {partition} is damaged"))),
            Err(Trouble::Disk(error)) => return Err(io::Error::new(error.io_kind().unwrap_or(io::ErrorKind::Other), error)),
        }
    }
    Ok(FileSum { name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), len, crc32: sum::crc32(&footer), sections })
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
