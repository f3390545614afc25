//! `wc`: how often each word occurs, one line `word count` per word. Input: text. Cost: one table entry per distinct word of a split.

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

use super::words::for_each_word;

/// Counts words, combining.
pub struct WordCount;

impl App for WordCount {
    type Value = u64;
    const COMBINES: bool = true;

    /// A line's end is no letter, so many lines can be gone through at once.
    fn unit(&self) -> Unit {
        Unit::Blocks
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        for_each_word(record.bytes, |word| out.emit(word, &1));
        Ok(())
    }

    fn combine(&self, total: &mut u64, next: &u64) {
        *total += next;
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        let mut sum = 0;
        while let Some(n) = values.next() {
            sum += n;
        }
        out.pair(key, &sum);
        Ok(())
    }
}
