//! What a reduce attempt draws from the shuffle, counted as it goes by: pairs, keys, bytes, and the keys that had the most values.
//!
//! Cost: one comparison per key. A key is copied only when it has more values than all but two before it.

use super::care::{KEY_SHOWN, show_key};
use super::counters;
use crate::data::{Counters, Drawn, HeavyKey};

/// Keys told of one attempt.
const KEYS_TOLD: usize = 3;

/// The counts so far.
#[derive(Debug, Default)]
pub(super) struct Draw {
    /// Pairs seen.
    pub(super) pairs: u64,
    /// Keys handed to the app.
    pub(super) keys: u64,
    /// Length of the slices they came from.
    bytes: u64,
    /// Most values first.
    heaviest: Vec<(u64, Vec<u8>)>,
}

impl Draw {
    /// Of slices of this length.
    pub(super) fn of(bytes: u64) -> Draw {
        Draw { bytes, ..Draw::default() }
    }

    /// A key with so many values went by.
    #[inline]
    pub(super) fn group(&mut self, key: &[u8], values: u64) {
        self.pairs += values;
        if values > self.least() {
            self.enter(key, values);
        }
    }

    /// One value is no weight.
    #[inline]
    fn least(&self) -> u64 {
        if self.heaviest.len() < KEYS_TOLD { 1 } else { self.heaviest[KEYS_TOLD - 1].0 }
    }

    #[cold]
    fn enter(&mut self, key: &[u8], values: u64) {
        self.heaviest.truncate(KEYS_TOLD - 1);
        let at = self.heaviest.partition_point(|(heavier, _)| *heavier >= values);
        self.heaviest.insert(at, (values, key[..key.len().min(KEY_SHOWN + 1)].to_owned()));
    }

    /// The counters.
    pub(super) fn add_to(&self, counters: &mut Counters) {
        counters::add_all(counters, &[(counters::PAIRS_IN, self.pairs), (counters::KEYS_IN, self.keys)]);
    }

    /// What goes into the attempt's record.
    pub(super) fn told(&self) -> Drawn {
        let heavy = |(values, key): &(u64, Vec<u8>)| HeavyKey { key: show_key(key), values: *values };
        Drawn { bytes: self.bytes, heaviest: self.heaviest.iter().map(heavy).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_keys_with_the_most_values_are_told_the_earlier_first_among_equals() {
        let mut draw = Draw::default();
        let groups: [(&[u8], u64); 7] = [(b"a", 1), (b"b", 2), (b"c", 9), (b"d", 2), (b"e", 4), (b"f", 9), (b"\xff\n", 5)];
        groups.iter().for_each(|(key, values)| draw.group(key, *values));
        let told: Vec<(String, u64)> = draw.told().heaviest.into_iter().map(|heavy| (heavy.key, heavy.values)).collect();
        assert_eq!(told, [("c".to_owned(), 9), ("f".to_owned(), 9), ("\\xff\\n".to_owned(), 5)]);
        assert_eq!(draw.pairs, 32);
    }

    #[test]
    fn keys_with_one_value_each_are_no_heavy_ones_and_a_long_one_is_cut() {
        let mut draw = Draw::default();
        draw.group(b"a", 1);
        assert!(draw.told().heaviest.is_empty());
        draw.group(&vec![b'x'; 1 << 20], 2);
        let key = &draw.told().heaviest[0].key;
        assert!(key.len() < 1000 && key.ends_with('…'), "{key}");
    }
}
