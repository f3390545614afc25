//! The combining table: one total per distinct key, for all partitions.
//!
//! Open addressing, linear probing. A key of up to 16 bytes lies in its slot as two integers, so for a word count a slot is 32 bytes and a look-up is one
//! cache line; longer keys lie in an arena. Emits of short keys with plain values are gathered in batches: a first pass touches all their slots, so that the
//! cache misses overlap (there is no prefetch without `unsafe`), a second one updates them. Emits of one key never change their order.
//!
//! Limits: the hash is fixed, so a hostile input can make it slow, never wrong.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hint::black_box;
use std::mem::size_of;
use std::num::NonZeroU8;

use super::{key, order};

/// Emits that are looked up together.
pub(super) const BATCH: usize = 64;
/// Fewest slots.
const SLOTS_MIN: usize = 1 << 10;
/// [`Entry::size`] of a key in the arena.
const LONG: NonZeroU8 = NonZeroU8::new(18).expect("not zero");

/// A key and what was combined of its values.
struct Entry<O> {
    /// The first eight bytes, big-endian.
    high: u64,
    /// The next eight; of a long key its place in the arena.
    low: u64,
    value: O,
    hash: u32,
    /// The key's length and 1, or [`LONG`].
    size: NonZeroU8,
}

/// Aligned, so that no slot of 32 bytes lies in two cache lines.
#[repr(align(32))]
struct Slot<O>(Option<Entry<O>>);

const _: () = assert!(size_of::<Slot<u64>>() == 32, "a slot is half a cache line");

/// See the module. `O` is the values' owned type.
pub(super) struct Table<O> {
    slots: Vec<Slot<O>>,
    used: usize,
    /// Long keys, each behind its length.
    long: Vec<u8>,
    batch: Vec<Entry<O>>,
    batch_max: usize,
    /// What `O` keeps on the heap, estimated, in bytes.
    heap: usize,
    /// Emits since the table was empty.
    emits: u64,
    trial: Trial,
}

/// When a table pays, which is asked from so many keys on, or when the memory ends: where of `emits` at most `distinct` have new keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) keys: usize,
    pub(super) emits: u64,
    pub(super) distinct: u64,
}

/// For totals: one emit of five is combined.
pub(super) const TOTALS: Trial = Trial { keys: 1 << 18, emits: 5, distinct: 4 };

/// What a full table does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room for a batch.
    Enough,
    /// Its memory is used up.
    Full,
    /// Nearly every key is new: combining does not pay.
    Futile,
}

impl<O> Table<O> {
    /// A table that expects about so many distinct keys, may use so much memory, and is tried so.
    pub(super) fn new(keys: usize, memory: usize, trial: Trial) -> Table<O> {
        let slots = (2 * keys).next_power_of_two().clamp(SLOTS_MIN, SLOTS_MIN.max(slots_in(memory / 2, size_of::<Slot<O>>())));
        Table {
            slots: empty(slots),
            used: 0,
            long: Vec::new(),
            batch: Vec::with_capacity(BATCH),
            batch_max: BATCH,
            heap: 0,
            emits: 0,
            trial,
        }
    }

    /// The same that gathers nothing: each pair is taken before the next.
    #[must_use]
    pub(super) fn one_by_one(self) -> Table<O> {
        Table { batch_max: 1, ..self }
    }

    /// Distinct keys.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// What it uses now, with what sorting it will need, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot<O>>() + self.long.len() + self.heap + self.used * size_of::<u128>()
    }

    /// Puts a pair with a short key into the batch; true if the batch is to be [flushed](Table::flush) now.
    #[inline]
    pub(super) fn gather(&mut self, key: &[u8], value: O) -> bool {
        let (high, low) = key::words(key);
        let size = NonZeroU8::MIN.saturating_add(key.len() as u8);
        self.batch.push(Entry { high, low, value, hash: short_hash(high, low, size), size });
        self.batch.len() >= self.batch_max
    }

    /// Takes what was gathered; there is room for it. `place` is called with a key's total and what is to be combined with it, or with a value that has just
    /// become its key's total. Returns how many pairs it was.
    pub(super) fn flush(&mut self, mut place: impl FnMut(&mut O, Option<&O>)) -> u64 {
        let mask = self.slots.len() - 1;
        let touch = |entry: &Entry<O>| self.slots[entry.hash as usize & mask].0.as_ref().map_or(0, |entry| entry.size.get());
        black_box(self.batch.iter().fold(0, |seen, entry| seen ^ touch(entry)));
        let n = self.batch.len() as u64;
        for entry in self.batch.drain(..) {
            let mut at = entry.hash as usize & mask;
            loop {
                match &mut self.slots[at].0 {
                    Some(found) if found.high == entry.high && found.low == entry.low && found.size == entry.size => {
                        place(&mut found.value, Some(&entry.value));
                        break;
                    }
                    Some(_) => at = (at + 1) & mask,
                    free => {
                        place(&mut free.insert(entry).value, None);
                        self.used += 1;
                        break;
                    }
                }
            }
        }
        self.emits += n;
        n
    }

    /// Hands on what was gathered instead of combining it; returns how many pairs it was.
    pub(super) fn ungather<E>(&mut self, mut each: impl FnMut(&[u8], &O) -> Result<(), E>) -> Result<u64, E> {
        let n = self.batch.len() as u64;
        let mut short = [0; key::HEAD_BYTES];
        for entry in self.batch.drain(..) {
            each(entry.key(&[], &mut short), &entry.value)?;
        }
        Ok(n)
    }

    /// Adds one pair at once: one with a long key, or whose values live on the heap, of which `value_bytes` says how many they are. A key that is there has a
    /// total, to be combined with; any other has now what `make` made.
    pub(super) fn add(&mut self, key: &[u8], value_bytes: usize, make: impl FnOnce() -> O) -> Option<&mut O> {
        self.emits += 1;
        self.heap += value_bytes;
        let (high, mut low) = key::words(key);
        let is_long = key.len() > key::HEAD_BYTES;
        let size = if is_long { LONG } else { NonZeroU8::MIN.saturating_add(key.len() as u8) };
        let hash = if is_long { long_hash(key) } else { short_hash(high, low, size) };
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while let Some(found) = &self.slots[at].0 {
            let same = found.hash == hash && found.high == high && found.size == size;
            if same && if is_long { long_key(&self.long, found.low) == key } else { found.low == low } {
                return self.slots[at].0.as_mut().map(|found| &mut found.value);
            }
            at = (at + 1) & mask;
        }
        if is_long {
            low = self.long.len() as u64;
            self.long.extend_from_slice(&(key.len() as u32).to_le_bytes());
            self.long.extend_from_slice(key);
        }
        self.slots[at].0 = Some(Entry { high, low, value: make(), hash, size });
        self.used += 1;
        self.heap += if std::mem::needs_drop::<O>() { 16 } else { 0 };
        None
    }

    /// Makes room for a batch within `memory` bytes, if it can.
    #[inline]
    pub(super) fn room(&mut self, memory: usize) -> Room {
        let limit = self.slots.len() / 4 * 3;
        let small = !std::mem::needs_drop::<O>() && self.long.is_empty();
        if self.used + BATCH <= limit && (small || self.bytes() <= memory) { Room::Enough } else { self.make_room(memory) }
    }

    #[cold]
    fn make_room(&mut self, memory: usize) -> Room {
        let twice = self.slots.len() * 2;
        let fits = self.bytes() + twice * size_of::<Slot<O>>() <= memory || self.slots.len() == SLOTS_MIN;
        let is_dense = self.used + BATCH > self.slots.len() / 4 * 3;
        if self.used >= self.trial.keys || !(is_dense && fits) {
            if self.used as u64 * self.trial.emits > self.emits * self.trial.distinct {
                return Room::Futile;
            }
            if !(is_dense && fits) {
                return if self.used > 0 { Room::Full } else { Room::Enough };
            }
        }
        let mask = twice - 1;
        let old = std::mem::replace(&mut self.slots, empty(twice));
        for entry in old.into_iter().filter_map(|slot| slot.0) {
            let mut at = entry.hash as usize & mask;
            while self.slots[at].0.is_some() {
                at = (at + 1) & mask;
            }
            self.slots[at].0 = Some(entry);
        }
        Room::Enough
    }

    /// Looks how much `O` really keeps on the heap: combined values may be smaller than all that went into them.
    pub(super) fn weigh(&mut self, bytes_of: impl Fn(&O) -> usize) {
        self.heap = self.slots.iter().filter_map(|slot| slot.0.as_ref()).map(|entry| bytes_of(&entry.value) + 16).sum();
    }

    /// Every key and total, sorted by partition and key; then the table is empty. What was gathered stays gathered.
    pub(super) fn drain_sorted<E>(
        &mut self,
        mut partition_of: impl FnMut(&[u8]) -> Result<u32, E>,
        mut each: impl FnMut(u32, &[u8], &O) -> Result<(), E>,
    ) -> Result<(), E> {
        let Table { slots, long, .. } = self;
        let mut packed = Vec::with_capacity(self.used);
        let mut short = [0; key::HEAD_BYTES];
        for (at, slot) in slots.iter().enumerate() {
            if let Some(entry) = &slot.0 {
                let key = entry.key(long, &mut short);
                packed.push(order::pack(partition_of(key)?, entry.high, key.len(), at as u64));
            }
        }
        let entry = |at: usize| slots[at].0.as_ref().expect("only full slots were packed");
        order::sort(&mut packed, |a, b| entry(a).order(entry(b), long));
        for packed in packed.chunks(BATCH) {
            // The order of keys jumps about in the table: here, too, the misses are made to overlap.
            black_box(packed.iter().fold(0, |seen, &packed| seen ^ entry(order::place(packed)).size.get()));
            for &packed in packed {
                let entry = entry(order::place(packed));
                each(order::partition(packed), entry.key(long, &mut short), &entry.value)?;
            }
        }
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.0 = None);
        self.long.clear();
        (self.used, self.heap, self.emits) = (0, 0, 0);
    }
}

impl<O> Entry<O> {
    fn key<'a>(&self, long: &'a [u8], short: &'a mut [u8; key::HEAD_BYTES]) -> &'a [u8] {
        if self.size == LONG {
            return long_key(long, self.low);
        }
        short[..8].copy_from_slice(&self.high.to_be_bytes());
        short[8..].copy_from_slice(&self.low.to_be_bytes());
        &short[..usize::from(self.size.get()) - 1]
    }

    /// The order of two keys with the same first eight bytes.
    fn order(&self, other: &Entry<O>, long: &[u8]) -> Ordering {
        if self.size != LONG && other.size != LONG {
            return (self.low, self.size).cmp(&(other.low, other.size));
        }
        let (mut a, mut b) = ([0; key::HEAD_BYTES], [0; key::HEAD_BYTES]);
        self.key(long, &mut a).cmp(other.key(long, &mut b))
    }
}

fn empty<O>(slots: usize) -> Vec<Slot<O>> {
    let mut all = Vec::with_capacity(slots);
    all.resize_with(slots, || Slot(None));
    all
}

/// The largest power of two of things of `size` bytes that fits.
fn slots_in(memory: usize, size: usize) -> usize {
    let n = (memory / size).max(1);
    1 << n.ilog2()
}

#[inline]
fn short_hash(high: u64, low: u64, size: NonZeroU8) -> u32 {
    key::mix(high, low ^ u64::from(size.get()) << 1) as u32
}

fn long_hash(key: &[u8]) -> u32 {
    let words = key.chunks(8).map(key::prefix);
    words.fold(key.len() as u64, key::mix) as u32
}

fn long_key(long: &[u8], at: u64) -> &[u8] {
    let entry = &long[at as usize..];
    let len = entry.first_chunk().map_or(0, |len| u32::from_le_bytes(*len));
    &entry[4..4 + len as usize]
}

/// The bytes that a value of `V` takes, of what an owned one borrows as.
pub(super) fn value_bytes<V: ?Sized, O: Borrow<V>>(value: &O) -> usize {
    size_of_val::<V>(value.borrow())
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
