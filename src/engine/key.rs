//! Keys as integers: the first bytes of a key as one big-endian number, so that most comparisons are one of integers and touch no memory.
//!
//! Contract: `Head`s order as the keys do, byte by byte, shorter first; where [`Head::order`] cannot tell (both keys are longer than 16 bytes and begin
//! alike) it says so and the keys themselves decide. Zero padding is harmless: of two keys with one prefix the shorter is the smaller.

use std::cmp::Ordering;

/// Bytes of a key that a [`Head`] holds.
pub(super) const HEAD_BYTES: usize = 16;

/// The first 16 bytes of a key, zero-padded, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    prefix: u128,
    len: u32,
}

impl Head {
    /// Behind every key there can be: keys are shorter than 4 GiB.
    pub(super) const LAST: Head = Head { prefix: u128::MAX, len: u32::MAX };

    /// The head of `key`.
    #[inline]
    pub(super) fn of(key: &[u8]) -> Head {
        let (high, low) = words(key);
        Head { prefix: u128::from(high) << 64 | u128::from(low), len: key.len() as u32 }
    }

    /// The order of two keys as far as their heads tell; `None` where the keys must be compared.
    #[inline]
    pub(super) fn order(self, other: Head) -> Option<Ordering> {
        match self.prefix.cmp(&other.prefix) {
            Ordering::Equal if self.len.min(other.len) > HEAD_BYTES as u32 && self != Head::LAST && other != Head::LAST => None,
            Ordering::Equal => Some(self.len.cmp(&other.len)),
            decided => Some(decided),
        }
    }
}

/// The first and the second eight bytes, big-endian and zero-padded.
#[inline]
pub(super) fn words(key: &[u8]) -> (u64, u64) {
    match key.len() {
        0..=8 => (word(key), 0),
        9..=15 => {
            // The last eight bytes overlap the first eight; shifting drops what both have.
            let last = u64::from_be_bytes(*key.last_chunk().expect("at least nine bytes"));
            (first_word(key), last << (8 * (HEAD_BYTES - key.len())))
        }
        _ => (first_word(key), first_word(&key[8..])),
    }
}

/// The first eight bytes, big-endian and zero-padded.
#[inline]
pub(super) fn prefix(key: &[u8]) -> u64 {
    if key.len() >= 8 { first_word(key) } else { word(key) }
}

#[inline]
fn first_word(key: &[u8]) -> u64 {
    u64::from_be_bytes(*key.first_chunk().expect("at least eight bytes"))
}

/// At most eight bytes; two overlapping loads instead of a loop.
#[inline]
fn word(key: &[u8]) -> u64 {
    let len = key.len();
    match len {
        0 => 0,
        1..=3 => {
            let (first, middle, last) = (u64::from(key[0]), u64::from(key[len / 2]), u64::from(key[len - 1]));
            first << 56 | middle << (56 - 8 * (len / 2)) | last << (64 - 8 * len)
        }
        _ => {
            let first = u32::from_be_bytes(*key.first_chunk().expect("at least four bytes"));
            let last = u32::from_be_bytes(*key.last_chunk().expect("at least four bytes"));
            u64::from(first) << 32 | u64::from(last) << (64 - 8 * len)
        }
    }
}

/// A well-mixed number of two words: the two halves of their product, folded.
#[inline]
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9E37_79B9_7F4A_7C15) * u128::from(b ^ 0xE703_7ED1_A0B4_28DB);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;

    #[test]
    fn words_are_the_zero_padded_bytes_at_every_length() {
        let bytes: Vec<u8> = (1..=20).collect();
        for len in 0..=20 {
            let mut padded = [0; 16];
            let n = len.min(16);
            padded[..n].copy_from_slice(&bytes[..n]);
            let whole = u128::from_be_bytes(padded);
            assert_eq!(words(&bytes[..len]), ((whole >> 64) as u64, whole as u64), "length {len}");
            assert_eq!(prefix(&bytes[..len]), (whole >> 64) as u64, "length {len}");
        }
    }

    #[test]
    fn heads_order_as_keys_do() {
        let mut random = Random(5);
        let mut undecided = 0;
        for _ in 0..20_000 {
            let mut key = || -> Vec<u8> { (0..random.below(20)).map(|_| *random.pick(b"\x00\x00\x00a\xff")).collect() };
            let (a, b) = (key(), key());
            match Head::of(&a).order(Head::of(&b)) {
                Some(order) => assert_eq!(order, a.cmp(&b), "{a:?} {b:?}"),
                None => {
                    undecided += 1;
                    assert!(a.len() > 16 && b.len() > 16 && a[..16] == b[..16], "{a:?} {b:?}");
                }
            }
            assert_eq!(Head::of(&a).order(Head::LAST), Some(Ordering::Less), "{a:?}");
        }
        let long = [7; 17];
        assert!(undecided > 0 || Head::of(&long).order(Head::of(&long)).is_none());
    }
}
