//! Which reduce task gets a key: by a published hash (XXH3-64, seed 0), the same on every host and in every version; or by ranges of keys, whose
//! split points are in the job's plan.
//!
//! A hash table's own hasher must never be used here: those differ between versions and processes, and then two attempts of
//! one map task would send a key to two reduces.

use serde::{Deserialize, Serialize};

use crate::data::Spot;

/// The partition of `key` among `parts` (at least 1): XXH3-64 of the key, scaled to `0..parts` by its high bits.
#[inline]
pub fn by_hash(key: &[u8], parts: u32) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(key);
    ((u128::from(hash) * u128::from(parts.max(1))) >> 64) as u32
}

/// A key's own two numbers among all keys: XXH3-128, which no two keys of a job share.
pub fn fingerprint(key: &[u8]) -> Spot {
    let hash = xxhash_rust::xxh3::xxh3_128(key);
    Spot((hash >> 64) as u64, hash as u64)
}

/// Ranges of keys, one per partition, in order: a key belongs to the partition whose number is that of the split points not above it.
///
/// Written as a list of split points in hexadecimal, for a key may be any bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct RangeTable {
    points: Vec<Vec<u8>>,
    /// The points' first eight bytes as numbers, so that most keys are placed without a look at the points themselves.
    heads: Vec<u64>,
}

/// Split points are cut to this length: beyond it they cost more than balance is worth.
const POINT_BYTES_MAX: usize = 1024;

impl RangeTable {
    /// The ranges of `parts` partitions that deal out a sample evenly. Equal keys stay together, however many there are.
    pub fn of_sample(mut keys: Vec<Vec<u8>>, parts: u32) -> RangeTable {
        keys.sort_unstable();
        let n = if keys.is_empty() { 0 } else { parts.max(1) as usize };
        RangeTable::of((1..n).map(|part| point(&keys, keys.len() * part / n)).collect())
    }

    fn of(points: Vec<Vec<u8>>) -> RangeTable {
        let heads = points.iter().map(|point| head(point)).collect();
        RangeTable { points, heads }
    }

    /// How many partitions there may be: one more than split points.
    pub fn parts(&self) -> usize {
        self.points.len() + 1
    }

    /// The partition of `key`.
    #[inline]
    pub fn partition(&self, key: &[u8]) -> u32 {
        let wanted = head(key);
        let below = self.heads.partition_point(|&head| head < wanted);
        let alike = self.heads[below..].iter().take_while(|&&head| head == wanted).count();
        (below + self.points[below..below + alike].partition_point(|point| point[..] <= *key)) as u32
    }
}

/// The shortest bytes above `keys[at - 1]` and not above `keys[at]`; where these two are equal, that key.
fn point(keys: &[Vec<u8>], at: usize) -> Vec<u8> {
    let key = &keys[at];
    let before = at.checked_sub(1).map_or(&[][..], |before| &keys[before]);
    let shared = key.iter().zip(before).take_while(|(a, b)| a == b).count();
    key[..key.len().min(shared + 1).min(POINT_BYTES_MAX)].to_vec()
}

/// The first eight bytes as a number that compares as they do; a shorter key is filled up with zeros.
#[inline]
fn head(key: &[u8]) -> u64 {
    if let Some(first) = key.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    key.iter().zip([56, 48, 40, 32, 24, 16, 8]).fold(0, |head, (&byte, shift)| head | u64::from(byte) << shift)
}

impl From<RangeTable> for Vec<String> {
    fn from(table: RangeTable) -> Vec<String> {
        table.points.iter().map(|point| point.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    }
}

impl TryFrom<Vec<String>> for RangeTable {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<RangeTable, String> {
        let points: Option<Vec<Vec<u8>>> = texts.iter().map(|text| bytes_of(text)).collect();
        match points {
            Some(points) if points.is_sorted() => Ok(RangeTable::of(points)),
            Some(_) => Err("the split points of the ranges are out of order".to_owned()),
            None => Err("a split point of the ranges is not hexadecimal".to_owned()),
        }
    }
}

fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_in_the_range_between_its_split_points() {
        let points: Vec<Vec<u8>> =
            [&b""[..], b"a", b"a", b"a\0", b"abcdefgh", b"abcdefgh\0", b"abcdefghi", b"\xff"].map(<[u8]>::to_vec).to_vec();
        let table = RangeTable::of(points.clone());
        assert_eq!(table.parts(), 9);
        for key in [
            &b""[..],
            b"\0",
            b"A",
            b"a",
            b"a\0",
            b"a\0\0",
            b"ab",
            b"abcdefgh",
            b"abcdefgh\0\0",
            b"abcdefghh",
            b"abcdefghi",
            b"\xfe",
            b"\xff\xff",
        ] {
            let plain = points.iter().filter(|point| point[..] <= *key).count();
            assert_eq!(table.partition(key) as usize, plain, "{}", key.escape_ascii());
        }
        let text = serde_json::to_string(&table).expect("written");
        assert!(text.starts_with(r#"["","61","61","6100","#), "{text}");
        assert_eq!(serde_json::from_str::<RangeTable>(&text).expect("read"), table);
        for wrong in [r#"["6"]"#, r#"["zz"]"#, r#"["62","61"]"#] {
            assert!(serde_json::from_str::<RangeTable>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_sample_is_dealt_out_evenly_with_short_split_points() {
        let keys: Vec<Vec<u8>> = (0..10_000u32).map(|n| format!("{:05} and more", n.wrapping_mul(7919) % 10_000).into_bytes()).collect();
        let table = RangeTable::of_sample(keys.clone(), 8);
        let mut seen = [0; 8];
        keys.iter().for_each(|key| seen[table.partition(key) as usize] += 1);
        assert_eq!(seen, [1250; 8]);
        assert!(table.points.iter().all(|point| point.len() <= 5), "no longer than it takes to tell two keys apart");
    }

    #[test]
    fn equal_keys_stay_together_and_no_sample_is_one_range() {
        let mut keys = vec![b"same".to_vec(); 90];
        keys.extend((0..10u8).map(|n| vec![b'z', n]));
        let table = RangeTable::of_sample(keys, 10);
        assert!(table.partition(b"same") < table.partition(b"z\x05"), "the rest is not shut in with them");
        assert_eq!(RangeTable::of_sample(Vec::new(), 10).partition(b"any"), 0);
        assert_eq!(RangeTable::of_sample(vec![b"one".to_vec()], 3).parts(), 3);
    }

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
