//! Segments: what the commands of one worker wrote, one stretch behind the other in one growing file.
//!
//! A segment has its final name from the start, and that says nothing: only a stretch that a task's file names counts, and it is checked by its length and checksum
//! whenever it is read. What a killed worker, a lost claim or a full disk left in between is dead weight, a few bytes mostly. The worker's name is used once, and so
//! is the segment's; stretches are never written over once a task's file can name them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::data::Stretch;
use crate::disk::real;
use crate::engine::sum;
use crate::error::{Error, ErrorKind, Result};

/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// A worker's segment, made when it is first needed.
pub struct Writer {
    path: PathBuf,
    file: Option<File>,
    at: u64,
    dirty: bool,
}

impl Writer {
    /// To be made at `path`.
    pub fn new(path: PathBuf) -> Writer {
        Writer { path, file: None, at: 0, dirty: false }
    }

    /// Adds bytes to the segment, and to what is told of them: behind the last stretch of `told`, or as one of its own.
    pub fn add(&mut self, bytes: &[u8], told: &mut Vec<Stretch>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let file = match &self.file {
            Some(file) => file,
            None => {
                let made = File::options().write(true).create_new(true).mode(0o666).open(&self.path);
                self.file.insert(made.map_err(|error| Error::io("cannot create", &self.path, error))?)
            }
        };
        // At its place and not at the end: what a refusal left half-written there is written over.
        file.write_all_at(bytes, self.at).map_err(|error| Error::io("cannot write what a command wrote to", &self.path, error))?;
        self.dirty = true;
        match told.last_mut() {
            Some(last) if last.0 + last.1 == self.at => *last = Stretch(last.0, last.1 + bytes.len() as u64, sum::crc32_on(last.2, bytes)),
            Some(_) | None => told.push(Stretch(self.at, bytes.len() as u64, sum::crc32(bytes))),
        }
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Makes sure that all of it has arrived: on a network write errors show only then.
    pub fn sync(&mut self) -> Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| self.dirty) {
            file.sync_data().map_err(|error| Error::io("cannot write what a command wrote to", &self.path, error))?;
        }
        self.dirty = false;
        Ok(())
    }
}

/// A segment, opened for reading.
pub struct Reader {
    path: PathBuf,
    file: File,
}

impl Reader {
    /// The segment at `path`.
    pub fn open(path: &Path) -> Result<Reader> {
        let file = real::open_plain(path, OpenOptions::new().read(true));
        Ok(Reader { path: path.to_owned(), file: file.map_err(|error| Error::io("cannot open", path, error))? })
    }

    /// Hands on the bytes of a stretch, and says afterwards if they were not what was written.
    pub fn copy(&self, stretch: Stretch, out: &mut dyn Write) -> Result<()> {
        let Stretch(from, len, crc) = stretch;
        let (mut at, end, mut found) = (from, from.saturating_add(len), 0);
        let mut block = vec![0; BLOCK_BYTES.min(usize::try_from(len).unwrap_or(BLOCK_BYTES))];
        while at < end {
            let want = block.len().min(usize::try_from(end - at).unwrap_or(block.len()));
            let got = match self.file.read_at(&mut block[..want], at) {
                Ok(0) => return Err(self.damaged("it is too short")),
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("cannot read", &self.path, error)),
            };
            out.write_all(&block[..got]).map_err(|error| Error::io("cannot write to", "stdout", error))?;
            found = sum::crc32_on(found, &block[..got]);
            at += got as u64;
        }
        if found == crc {
            Ok(())
        } else {
            Err(self.damaged(&format!("{len} bytes from {from} have the checksum {found:08x}, not {crc:08x}")))
        }
    }

    fn damaged(&self, what: &str) -> Error {
        let error = Error::new(ErrorKind::Damaged, "not what the command wrote is in").on(&self.path).because(what.to_owned());
        error.advise("it was edited, or the disk damaged it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, stretches: &[Stretch]) -> Result<Vec<u8>> {
        let (reader, mut bytes) = (Reader::open(path)?, Vec::new());
        stretches.iter().try_for_each(|stretch| reader.copy(*stretch, &mut bytes))?;
        Ok(bytes)
    }

    #[test]
    fn two_streams_in_one_segment_are_told_apart_and_neighbours_are_one_stretch() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("w.seg");
        let mut writer = Writer::new(path.clone());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        writer.add(b"", &mut out).expect("nothing");
        assert!(Reader::open(&path).is_err(), "made when it is needed");
        for (bytes, told) in [("one ", true), ("two ", true), ("oh", false), ("three", true)] {
            writer.add(bytes.as_bytes(), if told { &mut out } else { &mut err }).expect("added");
        }
        assert_eq!((out.len(), err.len()), (2, 1));
        assert_eq!(read(&path, &out).expect("whole"), b"one two three");
        assert_eq!(read(&path, &err).expect("whole"), b"oh");
    }

    #[test]
    fn a_flipped_byte_and_a_cut_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("w.seg");
        let mut told = Vec::new();
        Writer::new(path.clone()).add(b"hello", &mut told).expect("added");
        std::fs::write(&path, b"hallo").expect("edited");
        assert_eq!(read(&path, &told).expect_err("found").kind(), ErrorKind::Damaged);
        std::fs::write(&path, b"hell").expect("cut");
        assert!(read(&path, &told).expect_err("found").to_string().contains("too short"));
    }
}
