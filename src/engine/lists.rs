//! The pairs of an app that does not combine, by key: every key once, its values in a list. Where keys repeat, that takes a tenth of the memory that
//! sorting every pair does, and only the keys are sorted.
//!
//! Keys of up to 16 bytes are gathered in batches, as for totals: see `table`.

use super::pool::{List, Pool, STRING_BYTES_MAX};
use super::table::{Room, Table, Trial};

/// Asked early, and where a key has fewer than three values the lists are given up: then sorting pairs is quicker, and takes less memory.
const TRIAL: Trial = Trial { keys: 1 << 13, emits: 3, distinct: 1 };

/// See the module.
pub(super) struct Lists {
    table: Table<List>,
    pool: Pool,
    /// The values of the batch, one behind the other.
    staged: Vec<u8>,
    /// A value came that no list takes.
    met_long: bool,
}

impl Lists {
    /// Lists within so much memory.
    pub(super) fn new(memory: usize) -> Lists {
        Lists { table: Table::new(TRIAL.keys / 2, memory, TRIAL), pool: Pool::default(), staged: Vec::new(), met_long: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// What it uses, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.pool.bytes()
    }

    /// Puts a pair with a short key into the batch; `write` appends the value's bytes. True if the batch is to be [flushed](Lists::flush) now.
    #[inline]
    pub(super) fn gather(&mut self, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let from = self.staged.len();
        write(&mut self.staged);
        let len = self.staged.len() - from;
        self.met_long |= len > STRING_BYTES_MAX;
        let staged = List::placeholder(from as u32, u32::try_from(len).unwrap_or(u32::MAX));
        self.table.gather(key, staged) || self.met_long
    }

    /// Moves the batch into the lists; there is room for it. Returns how many pairs it was.
    pub(super) fn flush(&mut self) -> u64 {
        let Lists { table, pool, staged, .. } = self;
        let n = table.flush(|list, next| {
            let (from, len) = next.unwrap_or(list).numbers();
            let value = &staged[from..from + len];
            match next {
                Some(_) => pool.push(list, value),
                None => *list = pool.list(value),
            }
        });
        staged.clear();
        n
    }

    /// Adds one pair at once: one with a long key. There is room for it.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        let pool = &mut self.pool;
        if let Some(list) = self.table.add(key, 0, || pool.list(value)) {
            self.pool.push(list, value);
        }
    }

    /// Makes room for a batch within `memory` bytes, if it can. Lists are futile, too, where a value is too long for them.
    #[inline]
    pub(super) fn room(&mut self, memory: usize) -> Room {
        if self.met_long {
            return Room::Futile;
        }
        let left = memory.saturating_sub(self.pool.bytes());
        if (self.table.bytes() > left || self.pool.is_full(super::table::BATCH)) && !self.is_empty() {
            return Room::Full;
        }
        self.table.room(left)
    }

    /// Says that such a value is there: [`Lists::room`] answers accordingly.
    pub(super) fn meet(&mut self, value: &[u8]) {
        self.met_long |= value.len() > STRING_BYTES_MAX;
    }

    /// Hands on the batch; returns how many pairs it was.
    pub(super) fn ungather<E>(&mut self, mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>) -> Result<u64, E> {
        let staged = std::mem::take(&mut self.staged);
        self.table.ungather(|key, list| {
            let (from, len) = list.numbers();
            each(key, &staged[from..from + len])
        })
    }

    /// Every pair, sorted by partition and key, a key's values as they were emitted; then there are none. `each` is told whether the key is the one
    /// before. What was gathered stays gathered.
    pub(super) fn drain_sorted<E>(
        &mut self,
        partition_of: impl FnMut(&[u8]) -> Result<u32, E>,
        mut each: impl FnMut(u32, &[u8], &[u8], bool) -> Result<(), E>,
    ) -> Result<(), E> {
        let pool = &self.pool;
        self.table.drain_sorted(partition_of, |partition, key, list| {
            let mut again = false;
            pool.for_each(*list, |value| {
                each(partition, key, value, again)?;
                again = true;
                Ok(())
            })
        })?;
        self.pool.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::fixture::Random;
    use crate::engine::key::HEAD_BYTES;

    /// Adds as the emitter does. The answer is what became of the room.
    fn emit(lists: &mut Lists, key: &[u8], value: &[u8], memory: usize) -> Room {
        if key.len() > HEAD_BYTES {
            lists.meet(value);
            let room = lists.room(memory);
            if room == Room::Enough {
                lists.add(key, value);
            }
            return room;
        }
        if !lists.gather(key, |bytes| bytes.extend_from_slice(value)) {
            return Room::Enough;
        }
        let room = lists.room(memory);
        if room == Room::Enough {
            lists.flush();
        }
        room
    }

    /// By partition and key, the values in order.
    type Groups = BTreeMap<(u32, Vec<u8>), Vec<Vec<u8>>>;

    fn part(key: &[u8]) -> u32 {
        key.len() as u32 % 3
    }

    fn drained(lists: &mut Lists) -> Groups {
        let (mut groups, mut order) = (Groups::new(), Vec::new());
        let all = lists.drain_sorted(
            |key| Ok::<_, ()>(part(key)),
            |partition, key, value, again| {
                assert_eq!(order.last() == Some(&(partition, key.to_vec())), again, "a key is said to come again where it does");
                if !again {
                    order.push((partition, key.to_vec()));
                }
                groups.entry((partition, key.to_vec())).or_default().push(value.to_vec());
                Ok(())
            },
        );
        assert_eq!(all, Ok(()));
        assert!(order.is_sorted() && order.len() == groups.len(), "by partition and key, each once");
        groups
    }

    #[test]
    fn every_key_comes_once_with_its_values_in_order() {
        let mut random = Random(71);
        let mut lists = Lists::new(1 << 24);
        for round in 0..5 {
            let mut expected = Groups::new();
            for n in 0..40_000u64 {
                let mut key = format!("{:x}", random.below(3000)).into_bytes();
                match n % 5 {
                    0 => key.resize(key.len() + 20, b'!'),
                    1 => key.resize(16, 0),
                    _ => {}
                }
                let value = format!("{n}").repeat(*random.pick(&[0, 1, 1, 1, 60])).into_bytes();
                assert_eq!(emit(&mut lists, &key, &value, 1 << 24), Room::Enough);
                expected.entry((part(&key), key)).or_default().push(value);
            }
            lists.flush();
            assert!(drained(&mut lists) == expected, "round {round}");
            assert!(lists.is_empty(), "and there are none again");
        }
    }

    #[test]
    fn lists_are_given_up_where_keys_hardly_repeat_or_a_value_is_long() {
        let memory = 1 << 24;
        for repeats in [1, 2, 4] {
            let mut lists = Lists::new(memory);
            let futile = (0..100_000u32).any(|n| emit(&mut lists, &(n / repeats).to_be_bytes(), b"v", memory) == Room::Futile);
            assert_eq!(futile, repeats < 3, "{repeats} values a key");
        }
        for key in [&b"short"[..], b"longer than sixteen bytes"] {
            let mut lists = Lists::new(memory);
            assert_eq!(emit(&mut lists, b"k", b"1", memory), Room::Enough);
            assert_eq!(emit(&mut lists, key, &[7; STRING_BYTES_MAX + 1], memory), Room::Futile, "it fits in no list");
            let mut gathered = Vec::new();
            let n = lists.ungather(|key, value| {
                gathered.push((key.to_vec(), value.len()));
                Ok::<_, ()>(())
            });
            let mut expected = vec![(b"k".to_vec(), 1)];
            expected.extend((key.len() <= HEAD_BYTES).then(|| (key.to_vec(), STRING_BYTES_MAX + 1)));
            assert_eq!((n, gathered), (Ok(expected.len() as u64), expected), "what was gathered is not lost");
        }
    }

    #[test]
    fn lists_are_full_when_their_memory_is_used_up() {
        let memory = 1 << 20;
        let mut lists = Lists::new(memory);
        let mut n = 0u64;
        while emit(&mut lists, &(n % 100).to_be_bytes(), &[b'v'; 100], memory) != Room::Full {
            n += 1;
            assert!(n < 20_000, "these values do not fit in a mebibyte");
        }
        assert!(n > 3_000 && lists.bytes() < memory + (200 << 10), "{n} values in {} bytes", lists.bytes());
    }
}
