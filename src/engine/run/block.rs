//! One block of a run: entries packed, compressed where it pays, and checked; and back, entry by entry.
//!
//! Contract: what was pushed comes back as it was and in order. Any bytes may be read: what is no block is [`BadBlock`], never a panic, and never
//! more memory than a pair may have.

use std::ops::Range;

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

use super::PAIR_BYTES_MAX;
use crate::engine::sum;

/// A block is closed before it gets longer. LZ4's small hash table serves up to 64 KiB, and is quicker.
const RAW_BYTES: usize = 60 << 10;
/// Fields before the payload, in bytes.
pub(super) const HEADER_BYTES: usize = 20;
/// After compression did not pay, so many blocks are stored without trying.
const BLOCKS_UNTRIED: u32 = 15;

/// The bytes are no block, or not the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBlock;

/// Entries on their way into blocks.
pub(super) struct Packer {
    raw: Vec<u8>,
    last: Vec<u8>,
    records: u32,
    table: CompressTable,
    untried: u32,
}

impl Packer {
    pub(super) fn new() -> Packer {
        let table = CompressTable::small();
        Packer { raw: Vec::with_capacity(RAW_BYTES + 4096), last: Vec::new(), records: 0, table, untried: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// True if the pair belongs into the next block, or into none.
    #[inline]
    pub(super) fn is_full_for(&self, key: &[u8], value: &[u8]) -> bool {
        let pair_bytes = key.len() + value.len();
        self.raw.len() + pair_bytes + 16 > RAW_BYTES && (self.records > 0 || pair_bytes > PAIR_BYTES_MAX)
    }

    /// Adds a pair of at most [`PAIR_BYTES_MAX`] bytes behind the others.
    #[inline]
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = if self.records == 0 { 0 } else { shared_len(&self.last, key) };
        let more = key.len() - shared;
        self.raw.push((shared.min(15) << 4 | more.min(15)) as u8);
        if shared >= 15 {
            write_varint(&mut self.raw, shared - 15);
        }
        if more >= 15 {
            write_varint(&mut self.raw, more - 15);
        }
        write_varint(&mut self.raw, value.len());
        self.raw.extend_from_slice(&key[shared..]);
        self.raw.extend_from_slice(value);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        self.records += 1;
    }

    /// Adds a pair with the key of the one before, which is in this block.
    #[inline]
    pub(super) fn push_again(&mut self, value: &[u8]) {
        let shared = self.last.len();
        self.raw.push((shared.min(15) << 4) as u8);
        if shared >= 15 {
            write_varint(&mut self.raw, shared - 15);
        }
        write_varint(&mut self.raw, value.len());
        if let &[byte] = value {
            self.raw.push(byte);
        } else {
            self.raw.extend_from_slice(value);
        }
        self.records += 1;
    }

    /// Appends the block to `out`, begins the next, and returns this one's CRC and number of records.
    pub(super) fn pack(&mut self, partition: u32, out: &mut Vec<u8>) -> (u32, u32) {
        let start = out.len();
        let raw_len = self.raw.len();
        out.resize(start + HEADER_BYTES, 0);
        let stored = self.compress(out);
        let header = [stored as u32, raw_len as u32, self.records, partition];
        for (at, field) in header.iter().enumerate() {
            out[start + 4 * at..start + 4 * at + 4].copy_from_slice(&field.to_le_bytes());
        }
        let crc = sum::crc32_of_two(&out[start..start + 16], &out[start + HEADER_BYTES..]);
        out[start + 16..start + HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
        let records = std::mem::take(&mut self.records);
        self.raw.clear();
        self.raw.shrink_to(2 * RAW_BYTES); // A single long pair must not keep its memory.
        self.last.clear();
        (crc, records)
    }

    /// Appends the payload, and returns its length.
    fn compress(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        if self.untried > 0 {
            self.untried -= 1;
        } else {
            out.resize(start + get_maximum_output_size(self.raw.len()), 0);
            if let Ok(stored) = compress_into_with_table(&self.raw, &mut out[start..], &mut self.table)
                && stored < self.raw.len() - self.raw.len() / 16
            {
                out.truncate(start + stored);
                return stored;
            }
            out.truncate(start);
            self.untried = BLOCKS_UNTRIED;
        }
        out.extend_from_slice(&self.raw);
        self.raw.len()
    }
}

/// What a block's header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) stored: usize,
    pub(super) raw: usize,
    pub(super) records: u32,
    pub(super) partition: u32,
    pub(super) crc: u32,
}

impl Header {
    /// The header in these bytes; what it says is only plausible until the payload was checked.
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, BadBlock> {
        let field = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let header = Header { stored: field(0) as usize, raw: field(4) as usize, records: field(8), partition: field(12), crc: field(16) };
        // LZ4 cannot pack more than 255 bytes into one, so a small payload cannot ask for a large buffer.
        let plausible = header.stored <= header.raw
            && header.raw <= PAIR_BYTES_MAX + RAW_BYTES
            && header.raw / 256 <= header.stored
            && header.records > 0
            && header.records as usize <= header.raw;
        if plausible { Ok(header) } else { Err(BadBlock) }
    }
}

/// The entries of one block after the other; keeps its buffers.
#[derive(Default)]
pub(super) struct Entries {
    raw: Vec<u8>,
    at: usize,
    left: u32,
    key: Vec<u8>,
    repeats: bool,
    value: Range<usize>,
}

impl Entries {
    /// Checks a block whose header was read from the beginning of `bytes`, all of them its own, and begins with its entries.
    pub(super) fn open(&mut self, header: Header, bytes: &[u8]) -> Result<(), BadBlock> {
        let (fields, payload) = (bytes.get(..16).ok_or(BadBlock)?, bytes.get(HEADER_BYTES..).ok_or(BadBlock)?);
        if payload.len() != header.stored || sum::crc32_of_two(fields, payload) != header.crc {
            return Err(BadBlock);
        }
        self.open_checked(header, payload)
    }

    fn open_checked(&mut self, header: Header, payload: &[u8]) -> Result<(), BadBlock> {
        self.raw.clear();
        if header.stored == header.raw {
            self.raw.extend_from_slice(payload);
        } else {
            self.raw.resize(header.raw, 0);
            match decompress_into(payload, &mut self.raw) {
                Ok(n) if n == header.raw => {}
                Ok(_) | Err(_) => return Err(BadBlock),
            }
        }
        self.key.clear();
        (self.at, self.left, self.value) = (0, header.records, 0..0);
        Ok(())
    }

    /// Goes to the next entry; false behind the last.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<bool, BadBlock> {
        if self.left == 0 {
            return if self.at == self.raw.len() { Ok(false) } else { Err(BadBlock) };
        }
        let lengths = usize::from(*self.raw.get(self.at).ok_or(BadBlock)?);
        self.at += 1;
        let (mut shared, mut more) = (lengths >> 4, lengths & 15);
        if shared == 15 {
            shared += self.varint()?;
        }
        if more == 15 {
            more += self.varint()?;
        }
        let value = self.varint()?;
        let rest = self.raw.len() - self.at;
        if shared > self.key.len() || more > rest || value > rest - more {
            return Err(BadBlock);
        }
        let end = self.at + more;
        // Behind no other entry of its block, even an empty key is a new one.
        self.repeats = more == 0 && shared == self.key.len() && self.value.end > 0;
        if !self.repeats {
            self.key.truncate(shared);
            self.key.extend_from_slice(&self.raw[self.at..end]);
        }
        self.value = end..end + value;
        self.at = end + value;
        self.left -= 1;
        Ok(true)
    }

    #[inline]
    fn varint(&mut self) -> Result<usize, BadBlock> {
        let first = *self.raw.get(self.at).ok_or(BadBlock)?;
        self.at += 1;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        let mut number = usize::from(first & 0x7f);
        for shift in [7, 14, 21, 28] {
            let byte = *self.raw.get(self.at).ok_or(BadBlock)?;
            self.at += 1;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(BadBlock)
    }

    /// True if the key is that of the entry before it in the block; it may be where this is false, too.
    #[inline]
    pub(super) fn repeats(&self) -> bool {
        self.repeats
    }

    /// The key of the entry at hand.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// The value of the entry at hand.
    #[inline]
    pub(super) fn value(&self) -> &[u8] {
        &self.raw[self.value.clone()]
    }
}

#[inline]
fn write_varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
fn shared_len(a: &[u8], b: &[u8]) -> usize {
    let n = a.len().min(b.len());
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..n].first_chunk::<8>(), b[at..n].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return at + differ.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < n && a[at] == b[at] {
        at += 1;
    }
    at
}

/// Reads any bytes as one block, and hands its pairs on; for fuzzing. The CRC is not looked at: a fuzzer would not get past it.
#[doc(hidden)]
pub fn read_any_block(bytes: &[u8], each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), BadBlock> {
    let header = Header::read(bytes.first_chunk().ok_or(BadBlock)?)?;
    let payload = &bytes[HEADER_BYTES..];
    if payload.len() != header.stored {
        return Err(BadBlock);
    }
    let mut entries = Entries::default();
    entries.open_checked(header, payload)?;
    while entries.advance()? {
        each(entries.key(), entries.value());
    }
    Ok(())
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
