//! The engine's own counters, by name; the list with their meanings is in [`engine`](super).

pub(super) use super::care::{KEYS_SKIPPED, RECORDS_SKIPPED};
use super::reader::Tally;
use crate::data::Counters;

pub(crate) const RECORDS_IN: &str = "records in";
pub(crate) const BYTES_IN: &str = "bytes in";
pub(super) const PAIRS_OUT: &str = "pairs out";
pub(super) const PAIRS_SHUFFLED: &str = "pairs shuffled";
pub(crate) const SHUFFLE_BYTES: &str = "shuffle bytes";
pub(crate) const PAIRS_IN: &str = "pairs in";
pub(super) const KEYS_IN: &str = "keys in";
pub(super) const SPILLS: &str = "spills";
pub(super) const MERGE_PASSES: &str = "merge passes";
pub(super) const BAD_BLOCKS: &str = "bad blocks";
pub(crate) const OUTPUT_BYTES: &str = "output bytes";

/// Adds `n` to the counter called `name`; a name met before costs no allocation.
pub(super) fn add(counters: &mut Counters, name: &str, n: u64) {
    match counters.get_mut(name) {
        Some(sum) => *sum = sum.saturating_add(n),
        None => {
            counters.insert(name.to_owned(), n);
        }
    }
}

/// Adds all of `more`.
pub(super) fn add_all(counters: &mut Counters, more: &[(&str, u64)]) {
    for (name, n) in more {
        add(counters, name, *n);
    }
}

/// Adds those of `more` that are not 0: what rarely happens has no line where it did not.
pub(super) fn add_some(counters: &mut Counters, more: &[(&str, u64)]) {
    more.iter().filter(|(_, n)| *n > 0).for_each(|(name, n)| add(counters, name, *n));
}

/// Adds what the reader saw.
pub(super) fn add_read(counters: &mut Counters, read: Tally) {
    add_all(counters, &[(RECORDS_IN, read.records), (BYTES_IN, read.bytes)]);
}
