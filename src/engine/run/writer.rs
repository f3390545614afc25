//! Writing a run: pairs come in, sorted by (partition, key) in each section, and leave as blocks; the index follows at the end.

use std::path::Path;

use super::block::Packer;
use super::footer::{self, Slice};
use super::{MAGIC, PAIR_BYTES_MAX};
use crate::data::{Failure, FileSum};
use crate::engine::draft::{Draft, Flush, Temporary};
use crate::engine::sum::{self, Sum};

/// Blocks are handed to the operating system about so many bytes at a time.
const WRITE_BYTES: usize = 256 << 10;

/// A run being written; dropping it removes it.
pub(in crate::engine) struct RunWriter {
    draft: Draft,
    packer: Packer,
    out: Vec<u8>,
    written: u64,
    /// So far; the last is being written.
    slices: Vec<Slice>,
    /// Slices of the sections before.
    before: usize,
    crcs: Sum,
    partitions: u32,
    records: u64,
}

impl RunWriter {
    /// A run of `partitions` partitions, as a draft in `dir`.
    pub(in crate::engine) fn create(dir: &Path, partitions: u32) -> Result<RunWriter, Failure> {
        let mut out = Vec::with_capacity(WRITE_BYTES + (128 << 10));
        out.extend_from_slice(&MAGIC);
        let draft = Draft::create(dir)?;
        let partitions = partitions.max(1);
        let (slices, crcs) = (Vec::with_capacity(partitions as usize), Sum::default());
        let mut writer = RunWriter { draft, packer: Packer::new(), out, written: 0, slices, before: 0, crcs, partitions, records: 0 };
        writer.begin_slice();
        Ok(writer)
    }

    /// Sections so far.
    pub(in crate::engine) fn sections(&self) -> u32 {
        self.slices.len().div_ceil(self.partitions as usize) as u32
    }

    /// Ends the section; what comes is sorted anew.
    pub(in crate::engine) fn next_section(&mut self) -> Result<(), Failure> {
        self.end_section()?;
        self.before = self.slices.len();
        self.begin_slice();
        Ok(())
    }

    /// Adds a pair behind all others of the section; the caller has sorted them.
    #[inline]
    pub(in crate::engine) fn push(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        if self.packer.is_full_for(key, value) || self.before + partition as usize + 1 != self.slices.len() {
            self.make_room(partition, key.len() + value.len())?;
        }
        self.packer.push(key, value);
        Ok(())
    }

    /// Adds a pair with the partition and the key of the one before.
    #[inline]
    pub(in crate::engine) fn push_again(&mut self, partition: u32, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        if self.packer.is_full_for(key, value) {
            return self.push(partition, key, value);
        }
        self.packer.push_again(value);
        Ok(())
    }

    #[cold]
    fn make_room(&mut self, partition: u32, pair_bytes: usize) -> Result<(), Failure> {
        if pair_bytes > PAIR_BYTES_MAX {
            return Err(Failure::App(format!(
                "a key and its value have {pair_bytes} bytes together; at most {PAIR_BYTES_MAX} are possible"
            )));
        }
        self.close_block()?;
        let slice = self.before + partition as usize;
        debug_assert!(slice + 1 >= self.slices.len() && partition < self.partitions, "sorted by partition");
        while self.slices.len() <= slice {
            self.end_slice();
            self.begin_slice();
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), Failure> {
        if self.packer.is_empty() {
            return Ok(());
        }
        let partition = (self.slices.len() - self.before) as u32 - 1;
        let (crc, records) = self.packer.pack(partition, &mut self.out);
        self.crcs.update(&crc.to_le_bytes());
        self.records += u64::from(records);
        if let Some(slice) = self.slices.last_mut() {
            slice.records += u64::from(records);
        }
        if self.out.len() >= WRITE_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> Result<(), Failure> {
        self.draft.write(&self.out)?;
        self.written += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }

    fn begin_slice(&mut self) {
        self.crcs = Sum::default();
        self.slices.push(Slice { offset: self.written + self.out.len() as u64, ..Slice::default() });
    }

    fn end_slice(&mut self) {
        let end = self.written + self.out.len() as u64;
        if let Some(slice) = self.slices.last_mut() {
            slice.bytes = end - slice.offset;
            slice.crc = std::mem::take(&mut self.crcs).crc32();
        }
    }

    fn end_section(&mut self) -> Result<(), Failure> {
        self.make_room(self.partitions - 1, 0)?;
        self.end_slice();
        Ok(())
    }

    /// Writes what is left and the index; returns the index's checksum.
    fn complete(&mut self) -> Result<u32, Failure> {
        self.end_section()?;
        let footer = footer::write(&self.slices, self.sections());
        self.out.extend_from_slice(&footer);
        self.write_out()?;
        Ok(sum::crc32(&footer))
    }

    /// Completes the run under its final name; describes it and says how many pairs are in it.
    pub(in crate::engine) fn finish(mut self, target: &Path, flush: Flush) -> Result<(FileSum, u64), Failure> {
        let crc32 = self.complete()?;
        let sections = self.sections();
        Ok((FileSum { crc32, sections, ..self.draft.finish(target, flush)? }, self.records))
    }

    /// Completes the run under its temporary name, for this process only.
    pub(in crate::engine) fn keep(mut self) -> Result<(Temporary, Vec<Slice>), Failure> {
        self.complete()?;
        Ok((self.draft.keep(), self.slices))
    }
}
