//! Runs: sorted pairs by partition in one file. A map attempt's shuffle file is one, and so is what a further merge pass writes.
//!
//! ```text
//! file    = magic "FLOCKRUN" | block...  | footer
//! block   = stored u32 | raw u32 | records u32 | partition u32 | crc32 u32 | payload (`stored` bytes)
//! payload = entries, `raw` bytes of them; LZ4 (block format) where stored < raw, as they are where stored == raw
//! entry   = lengths u8 (shared << 4 | more) | [varint shared - 15] | [varint more - 15] | varint value | key's last `more` bytes | value's bytes
//! footer  = slice... | sections u32 | slices u32 | version u32 | magic "FLOCKEND"
//! slice   = offset u64 | bytes u64 | records u64 | crc32 u32
//! ```
//! Integers are little-endian, varints LEB128. An entry's key has `shared` bytes in common with the one before it in its block (a nibble of 15
//! says that a varint follows); the first shares none, so a block can be read alone. Blocks are of one partition each, about 60 KiB raw (one pair at
//! least), in the order of the partitions, their entries sorted by key. That order begins anew with every section: one for each time that the memory was used
//! up and one for the rest, so that a spill need not be read and written again; slices are in the order of sections and, in each, of partitions. A block's CRC-32 is that of its other four fields and the payload; a slice's is that
//! of its blocks' CRCs; and a run is described by its length and the **CRC-32 of its footer**. So whoever knows the description can tell any damage
//! in the one slice it reads, without reading the others.
//!
//! Limits: a pair of at most 1 GiB; 2^24 partitions; 16 sections of a shuffle file, what was spilled more often is merged. `block` is the codec, `writer` and `reader` are the two ends, `footer` is the index.

mod block;
mod footer;
mod reader;
mod writer;

#[doc(hidden)]
pub use block::{BadBlock, read_any_block};
pub(super) use footer::Slice;
pub use reader::describe;
pub(super) use reader::{RunFile, Stream, Trouble};
pub(super) use writer::RunWriter;

/// Begins a run.
const MAGIC: [u8; 8] = *b"FLOCKRUN";
/// Ends it.
const MAGIC_END: [u8; 8] = *b"FLOCKEND";
/// Of the layout above.
const VERSION: u32 = 2;
/// Longest pair, in bytes: lengths of blocks fit in 32 bits, and a garbled one cannot ask for much memory.
pub(super) const PAIR_BYTES_MAX: usize = 1 << 30;
/// Most partitions: the map side sorts by a number that holds one beside a key's prefix.
pub(super) const PARTITIONS_MAX: u32 = 1 << 24;
/// Most sections of a shuffle file: each is one more stream of every reduce.
pub(super) const SECTIONS_MAX: u32 = 16;
