//! What done records said, kept small: a job of a million tasks has as many. Each is read once, for it never changes.
//!
//! An ordinary record (at most one file, which is the attempt's own run; nothing skipped) is kept as a few bytes: numbers of seven bits a byte, and the names
//! of its counters, which are mostly those of the record before, once for all. About 120 bytes a task, the table included.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::data::{FileSum, Made};
use crate::ids::ClaimName;

/// The names of an attempt's counters.
type Names = Arc<[String]>;

/// Results by claim.
#[derive(Default)]
pub(super) struct Results {
    by: HashMap<ClaimName, Kept>,
    names: HashSet<Names>,
}

enum Kept {
    /// How long it took, its run if it has one, and its counters' values.
    Small(Box<(Names, Box<[u8]>)>),
    Whole(Box<(Made, u64)>),
}

impl Results {
    /// What `claim` made and how long it took, in milliseconds, if that is known.
    pub(super) fn get(&self, claim: &ClaimName) -> Option<(Made, u64)> {
        match self.by.get(claim)? {
            Kept::Whole(whole) => Some((**whole).clone()),
            Kept::Small(small) => Some(unpack(claim, &small.0, &small.1)),
        }
    }

    /// True if it is known.
    pub(super) fn has(&self, claim: &ClaimName) -> bool {
        self.by.contains_key(claim)
    }

    pub(super) fn insert(&mut self, claim: &ClaimName, (made, elapsed_ms): &(Made, u64)) {
        let kept = match pack(claim, made, *elapsed_ms) {
            Some(bytes) => Kept::Small(Box::new((self.names_of(made), bytes))),
            None => Kept::Whole(Box::new((made.clone(), *elapsed_ms))),
        };
        self.by.insert(claim.clone(), kept);
    }

    pub(super) fn remove(&mut self, claim: &ClaimName) {
        self.by.remove(claim);
    }

    fn names_of(&mut self, made: &Made) -> Names {
        let names: Names = made.counters.keys().cloned().collect();
        if let Some(known) = self.names.get(&names) {
            return Arc::clone(known);
        }
        self.names.insert(Arc::clone(&names));
        names
    }
}

fn pack(claim: &ClaimName, made: &Made, elapsed_ms: u64) -> Option<Box<[u8]>> {
    let mut bytes = Vec::with_capacity(32);
    put(&mut bytes, elapsed_ms);
    match &made.files[..] {
        [] => put(&mut bytes, 0),
        [file] if file.sections > 0 && file.name == run_of(claim) => {
            [u64::from(file.sections), file.len, u64::from(file.crc32)].into_iter().for_each(|n| put(&mut bytes, n));
        }
        _ => return None,
    }
    made.counters.values().for_each(|n| put(&mut bytes, *n));
    (made.skipped.is_empty() && made.ran.is_none()).then(|| bytes.into_boxed_slice())
}

fn unpack(claim: &ClaimName, names: &Names, mut bytes: &[u8]) -> (Made, u64) {
    let elapsed_ms = take(&mut bytes);
    let files = match take(&mut bytes) as u32 {
        0 => Vec::new(),
        sections => vec![FileSum { name: run_of(claim), len: take(&mut bytes), crc32: take(&mut bytes) as u32, sections }],
    };
    let counters = names.iter().map(|name| (name.clone(), take(&mut bytes))).collect();
    (Made { files, counters, skipped: Vec::new(), ran: None, drawn: None }, elapsed_ms)
}

fn run_of(claim: &ClaimName) -> String {
    format!("{claim}.run")
}

fn put(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn take(bytes: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    while let Some((&byte, rest)) = bytes.split_first() {
        *bytes = rest;
        n |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{BadRecord, Counters, Place, Spot};

    #[test]
    fn what_is_kept_small_comes_back_as_it_was() {
        let claim: ClaimName = "map-00007.a2@n.1.x".parse().expect("a claim's name");
        let run = FileSum { name: format!("{claim}.run"), len: u64::MAX, crc32: u32::MAX, sections: 3 };
        let other = FileSum { name: format!("{claim}-00000.json"), ..run.clone() };
        let counters = Counters::from([("a".to_owned(), 0), ("b".to_owned(), u64::MAX), ("c".to_owned(), 127), ("d".to_owned(), 128)]);
        let place = Place::Key { key: "k".to_owned() };
        let skipped = vec![BadRecord { spot: Spot(1, 2), place, why: "bad".to_owned() }];
        let small = [vec![], vec![run.clone()]].map(|files| Made { files, counters: counters.clone(), ..Made::default() });
        let whole = [
            Made { files: vec![other], ..Made::default() },
            Made { files: vec![run.clone(), run], ..Made::default() },
            Made { skipped, ..Made::default() },
        ];
        let mut results = Results::default();
        for (n, (made, is_small)) in (0..).zip(small.iter().map(|made| (made, true)).chain(whole.iter().map(|made| (made, false)))) {
            results.insert(&claim, &(made.clone(), n));
            assert_eq!(results.get(&claim), Some((made.clone(), n)));
            assert_eq!(matches!(results.by[&claim], Kept::Small(_)), is_small, "{made:?}");
        }
        results.remove(&claim);
        assert!(!results.has(&claim) && results.get(&claim).is_none());
    }
}
