//! `url-count`: how often each URL was asked for, one line `url count` per URL. Input: lines whose fields stand between blanks or tabs, such as an access log. Option:
//! `field=N` says which field is the URL (1, the first, unless said otherwise; 7 in the logs of most web servers). Lines with fewer fields are counted and passed over.
//! Cost: one table entry per distinct URL of a split.

use flockwork::app::{App, AppResult, Emit, Options, Output, Record, Values};

/// Counts URLs, combining.
pub struct UrlCount {
    /// How many fields stand before the URL.
    n_before: usize,
}

impl UrlCount {
    /// From `-o field=N`.
    pub fn of(options: &Options) -> Result<UrlCount, String> {
        let field: usize = options.number("field", 1)?;
        Ok(UrlCount { n_before: field.checked_sub(1).ok_or("the option `field` counts from 1")? })
    }
}

impl App for UrlCount {
    type Value = u64;
    const COMBINES: bool = true;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        let mut fields = record.bytes.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        match fields.nth(self.n_before) {
            Some(url) => out.emit(url, &1),
            None => out.count("lines without a url", 1),
        }
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
