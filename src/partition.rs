//! Which reduce task gets a key: a published hash (XXH3-64, seed 0), the same on every host and in every version.
//!
//! A hash table's own hasher must never be used here: those differ between versions and processes, and then two attempts of
//! one map task would send a key to two reduces.

/// The partition of `key` among `parts` (at least 1): XXH3-64 of the key, scaled to `0..parts` by its high bits.
#[inline]
pub fn by_hash(key: &[u8], parts: u32) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(key);
    ((u128::from(hash) * u128::from(parts.max(1))) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_changes_its_partition() {
        let pinned: Vec<u32> = [&b""[..], b"a", b"the", b"flock\xff\x00"].iter().map(|key| by_hash(key, 10)).collect();
        assert_eq!(pinned, [1, 9, 7, 2], "a change here breaks every running job: raise the format number instead");
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut seen = [0u32; 7];
        for n in 0..7000u32 {
            seen[by_hash(n.to_string().as_bytes(), 7) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
    }
}
