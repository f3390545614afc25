//! `indexer`: which files each word is in, one line `word n file1,file2,...` per word, the files sorted. Input: whole files.
//! Cost: one table entry per distinct word of a file.

use std::collections::HashSet;

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

use super::words::for_each_word;

/// The inverted index.
pub struct Indexer;

impl App for Indexer {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        let mut seen: HashSet<&[u8]> = HashSet::new();
        for_each_word(record.bytes, |word| {
            if seen.insert(word) {
                out.emit(word, record.file);
            }
        });
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        let mut files = values.collect();
        files.sort_unstable();
        files.dedup();
        out.pair(key, &format!("{} {}", files.len(), files.join(","))[..]);
        Ok(())
    }
}
