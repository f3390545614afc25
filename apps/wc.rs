//! `wc`: how often each word occurs, one line `word count` per word. Input: text. Cost: one table entry per distinct word of a split;
//! with `-o combine=false` every word is sorted and merged, which measures the shuffle.

use flockwork::app::{App, AppResult, Emit, Options, Output, Record, Unit, Values};
use flockwork::engine::AnyApp;

use super::words::for_each_word;

/// The app with these options.
pub fn of(options: &Options) -> Result<Box<dyn AnyApp>, String> {
    match options.get("combine") {
        None | Some("true") => Ok(Box::new(WordCount::<true>)),
        Some("false") => Ok(Box::new(WordCount::<false>)),
        Some(other) => Err(format!("the option `combine` is true or false, not `{other}`")),
    }
}

/// Counts words; combining them before they are shuffled, or not.
pub struct WordCount<const COMBINES: bool>;

impl<const COMBINES: bool> App for WordCount<COMBINES> {
    type Value = u64;
    const COMBINES: bool = COMBINES;

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
        out.pair(key, &values.sum());
        Ok(())
    }
}
