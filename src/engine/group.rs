//! Pairs to groups: all values of one key, keys in ascending order of their bytes, values in (map task, emission) order.
//!
//! Limits: all pairs of one partition are held in memory, once, in one block. `reduce` sees only [`Groups`], so that a merge from disk can take its place.

use crate::app::ValueSource;
use crate::control::{Cancelled, Control};

/// The pairs of one partition.
#[derive(Default)]
pub(super) struct Groups {
    bytes: Vec<u8>,
    pairs: Vec<Pair>,
}

/// Where a pair lies in the block: the key, and behind it the value.
#[derive(Clone, Copy)]
struct Pair {
    key: usize,
    value: usize,
    end: usize,
}

impl Groups {
    /// Adds a pair behind those of earlier map tasks and earlier emissions.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.pairs.push(Pair { key: start, value: start + key.len(), end: self.bytes.len() });
    }

    /// Calls `each` per key with its values, until it fails.
    pub(super) fn for_each<E>(&mut self, control: &Control, mut each: impl FnMut(&[u8], &mut Group<'_>) -> Result<(), E>) -> Result<(), E> {
        let bytes = &self.bytes[..];
        let key = |pair: &Pair| &bytes[pair.key..pair.value];
        // A stable sort keeps the order of the values; it is quick on the runs that combined inputs are.
        self.pairs.sort_by(|a, b| key(a).cmp(key(b)));
        for pairs in self.pairs.chunk_by(|a, b| key(a) == key(b)) {
            each(key(&pairs[0]), &mut Group { bytes, pairs, control, cancelled: None })?;
        }
        Ok(())
    }
}

/// The values of one key.
pub(super) struct Group<'a> {
    bytes: &'a [u8],
    pairs: &'a [Pair],
    control: &'a Control,
    /// Set where the values ended because the attempt is to stop.
    pub(super) cancelled: Option<Cancelled>,
}

impl Group<'_> {
    /// How many values are left.
    pub(super) fn n_values(&self) -> u64 {
        self.pairs.len() as u64
    }
}

impl ValueSource for Group<'_> {
    fn next_value(&mut self) -> Option<&[u8]> {
        let (pair, rest) = self.pairs.split_first()?;
        if let Err(cancelled) = self.control.step() {
            self.cancelled = Some(cancelled);
            return None;
        }
        self.pairs = rest;
        Some(&self.bytes[pair.value..pair.end])
    }
}
