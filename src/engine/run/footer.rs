//! The index at a run's end: where each partition's slice lies, how much it holds, and what its blocks' checksums come to.

use super::{MAGIC_END, VERSION};

/// One entry, in bytes.
const SLICE_BYTES: usize = 28;
/// What stands behind the entries, in bytes.
pub(super) const TAIL_BYTES: usize = 20;

/// One partition's part of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::engine) struct Slice {
    /// Where its first block begins.
    pub(in crate::engine) offset: u64,
    /// Its blocks' length, headers included.
    pub(in crate::engine) bytes: u64,
    /// Pairs in it.
    pub(in crate::engine) records: u64,
    /// CRC-32 of its blocks' CRCs.
    pub(in crate::engine) crc: u32,
}

/// The footer of a run with these slices in so many sections.
pub(super) fn write(slices: &[Slice], sections: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(slices.len() * SLICE_BYTES + TAIL_BYTES);
    for slice in slices {
        for number in [slice.offset, slice.bytes, slice.records] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&slice.crc.to_le_bytes());
    }
    out.extend_from_slice(&sections.to_le_bytes());
    out.extend_from_slice(&(slices.len() as u32).to_le_bytes());
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&MAGIC_END);
    out
}

/// How long the footer is that ends with `tail`; `None` if it is none of this version.
pub(super) fn len(tail: &[u8]) -> Option<usize> {
    let (_, rest) = tail.split_first_chunk::<4>()?;
    let (slices, rest) = rest.split_first_chunk::<4>()?;
    let (version, magic) = rest.split_first_chunk::<4>()?;
    let ours = u32::from_le_bytes(*version) == VERSION && magic == MAGIC_END;
    ours.then(|| u32::from_le_bytes(*slices) as usize * SLICE_BYTES + TAIL_BYTES)
}

/// The slices of a whole footer, and how many sections they are of.
pub(super) fn read(footer: &[u8]) -> (Vec<Slice>, u32) {
    let (entries, tail) = footer.split_at(footer.len() - footer.len().min(TAIL_BYTES));
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    let slice = |entry: &[u8]| Slice {
        offset: number(&entry[..8]),
        bytes: number(&entry[8..16]),
        records: number(&entry[16..24]),
        crc: number(&entry[24..]) as u32,
    };
    let sections = tail.get(..4).map_or(0, |bytes| number(bytes) as u32);
    (entries.chunks_exact(SLICE_BYTES).map(slice).collect(), sections)
}
