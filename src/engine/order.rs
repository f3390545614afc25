//! Sorting pairs by (partition, key) as integers first: 24 bits of partition, 64 of the key's beginning, 4 of its length, 36 of the pair's place.
//!
//! One `u128` per pair is sorted without touching a key. A key of up to eight bytes is wholly in it; of longer ones, neighbours with the same beginning are
//! looked at afterwards. Equal keys stay in the order of their places, which is that of their emission.

use std::cmp::Ordering;

/// Bits of a pair's place.
const PLACE_BITS: u32 = 36;
/// Bits of a key's length.
const LEN_BITS: u32 = 4;
/// The length of every key that is longer than its beginning.
const LONGER: usize = size_of::<u64>() + 1;
/// Places are below this.
pub(super) const PLACES: u64 = 1 << PLACE_BITS;

/// The number that a pair is sorted by; `prefix` and `len` are its key's. `partition` is below [`super::run::PARTITIONS_MAX`], `place` below [`PLACES`].
#[inline]
pub(super) fn pack(partition: u32, prefix: u64, len: usize, place: u64) -> u128 {
    let key = u128::from(prefix) << LEN_BITS | len.min(LONGER) as u128;
    u128::from(partition) << (64 + LEN_BITS + PLACE_BITS) | key << PLACE_BITS | u128::from(place)
}

/// Where the pair lies.
#[inline]
pub(super) fn place(packed: u128) -> usize {
    (packed as u64 & (PLACES - 1)) as usize
}

/// The pair's partition.
#[inline]
pub(super) fn partition(packed: u128) -> u32 {
    (packed >> (64 + LEN_BITS + PLACE_BITS)) as u32
}

/// Sorts; `compare` orders two places of one partition and one beginning by their whole keys.
pub(super) fn sort(packed: &mut [u128], compare: impl Fn(usize, usize) -> Ordering) {
    packed.sort_unstable();
    for alike in packed.chunk_by_mut(|a, b| a >> PLACE_BITS == b >> PLACE_BITS && is_longer(*a)) {
        // Mostly they are one key's, and then in order already.
        if alike.windows(2).any(|pair| compare(place(pair[0]), place(pair[1])) == Ordering::Greater) {
            alike.sort_unstable_by(|a, b| compare(place(*a), place(*b)).then(a.cmp(b)));
        }
    }
}

#[inline]
fn is_longer(packed: u128) -> bool {
    (packed >> PLACE_BITS) as usize & ((1 << LEN_BITS) - 1) == LONGER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::Random;
    use crate::engine::key;

    #[test]
    fn pairs_come_by_partition_then_key_then_place() {
        let mut random = Random(23);
        let keys: Vec<Vec<u8>> = (0..3000).map(|_| (0..random.below(14)).map(|_| *random.pick(b"\x00a\xff")).collect()).collect();
        let parts: Vec<u32> = keys.iter().map(|_| *random.pick(&[0, 1, (1 << 24) - 1])).collect();
        let mut packed: Vec<u128> = (0..keys.len()).map(|at| pack(parts[at], key::prefix(&keys[at]), keys[at].len(), at as u64)).collect();
        sort(&mut packed, |a, b| keys[a].cmp(&keys[b]));
        let mut expected: Vec<usize> = (0..keys.len()).collect();
        expected.sort_by_key(|&at| (parts[at], &keys[at], at));
        assert_eq!(packed.iter().map(|&packed| place(packed)).collect::<Vec<_>>(), expected);
        assert!(packed.iter().all(|&packed| partition(packed) == parts[place(packed)]));
    }
}
