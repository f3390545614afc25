//! Pairs one behind the other as they were emitted, sorted when there are enough: for apps that do not combine, and where combining does not pay.
//!
//! A pair costs its bytes, two of lengths (more where they are long) and 16 of order.

use std::hint::black_box;

use super::{key, order};

/// Lengths from here on take four bytes more.
const LONG: u8 = u8::MAX;
/// So much memory per pair goes beyond its own bytes.
const ORDER_BYTES: usize = size_of::<u128>();
/// Pairs that are looked up together.
const LOOKED_UP: usize = 64;

/// See the module.
#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    order: Vec<u128>,
}

impl Arena {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What it uses, in bytes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.order.len() * ORDER_BYTES
    }

    /// Adds a pair; `write` appends the value's bytes.
    #[inline]
    pub(super) fn push(&mut self, partition: u32, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.bytes.len();
        self.order.push(order::pack(partition, key::prefix(key), key.len(), at as u64));
        if key.len() < usize::from(LONG) {
            self.bytes.extend_from_slice(&[key.len() as u8, 0]);
        } else {
            self.bytes.extend_from_slice(&[LONG, 0]);
            self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        }
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        write(&mut self.bytes);
        let value_len = self.bytes.len() - value_at;
        if value_len < usize::from(LONG) {
            self.bytes[at + 1] = value_len as u8;
        } else {
            // Rare, and a move within the cache: the length goes before the value.
            self.bytes[at + 1] = LONG;
            self.bytes.extend_from_slice(&[0; 4]);
            self.bytes.copy_within(value_at..value_at + value_len, value_at + 4);
            self.bytes[value_at..value_at + 4].copy_from_slice(&(value_len as u32).to_le_bytes());
        }
    }

    /// Every pair, sorted by partition and key, equal keys as they were emitted; then the arena is empty.
    pub(super) fn drain_sorted<E>(&mut self, mut each: impl FnMut(u32, &[u8], &[u8]) -> Result<(), E>) -> Result<(), E> {
        let bytes = &self.bytes[..];
        order::sort(&mut self.order, |a, b| key_at(bytes, a).0.cmp(key_at(bytes, b).0));
        for packed in self.order.chunks(LOOKED_UP) {
            // The sorted order jumps about in the arena; independent loads let the cache misses overlap.
            let (last, next_line) = (bytes.len() - 1, 64);
            let touch = |at: usize| bytes[at] ^ bytes[(at + next_line).min(last)];
            black_box(packed.iter().fold(0, |seen, &packed| seen ^ touch(order::place(packed))));
            for &packed in packed {
                let at = order::place(packed);
                let (key, rest) = key_at(bytes, at);
                each(order::partition(packed), key, value_in(bytes[at + 1], rest))?;
            }
        }
        self.bytes.clear();
        self.order.clear();
        Ok(())
    }
}

/// The key of the pair at `at`, and what stands behind it.
#[inline]
fn key_at(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    match bytes[at] {
        LONG => {
            let (len, rest) = long_len(&bytes[at + 2..]);
            rest.split_at(len)
        }
        len => bytes[at + 2..].split_at(usize::from(len)),
    }
}

#[inline]
fn value_in(len: u8, rest: &[u8]) -> &[u8] {
    match len {
        LONG => {
            let (len, rest) = long_len(rest);
            &rest[..len]
        }
        len => &rest[..usize::from(len)],
    }
}

fn long_len(bytes: &[u8]) -> (usize, &[u8]) {
    let (len, rest) = bytes.split_first_chunk().expect("written with four bytes of length");
    (u32::from_le_bytes(*len) as usize, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;

    #[test]
    fn pairs_of_any_length_come_back_sorted_and_stable() {
        let mut random = Random(31);
        let mut arena = Arena::default();
        for round in 0..20 {
            let mut expected: Vec<(u32, Vec<u8>, Vec<u8>)> = Vec::new();
            for _ in 0..200 {
                let mut bytes = || -> Vec<u8> {
                    let len = *random.pick(&[0, 1, 2, 7, 8, 9, 20, 254, 255, 256, 70_000]);
                    let byte = *random.pick(b"ab\x00");
                    (0..len).map(|n| if n + 3 > len { *random.pick(b"ab\x00") } else { byte }).collect()
                };
                let (key, value) = (bytes(), bytes());
                let partition = random.below(3) as u32;
                arena.push(partition, &key, |out| out.extend_from_slice(&value));
                expected.push((partition, key, value));
            }
            assert!(arena.bytes() > 200 * 18 && !arena.is_empty());
            expected.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
            let mut got = Vec::new();
            let all = arena.drain_sorted(|partition, key, value| {
                got.push((partition, key.to_vec(), value.to_vec()));
                Ok::<_, ()>(())
            });
            assert_eq!(all, Ok(()));
            assert!(got == expected, "round {round}");
            assert!(arena.is_empty() && arena.bytes() == 0, "and it is empty again");
        }
    }
}
