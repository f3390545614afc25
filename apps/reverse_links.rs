//! `reverse-links`: which pages link to each page, one line `target source1,source2,...` per page linked to. Input: lines `source target...`, fields between
//! blanks or tabs. The sources stand in the order of the input, as often as they link. Cost: one pair per link; a page with a billion links needs no more memory than one with two.

use flockwork::app::{App, AppResult, Emit, Output, Record, Values};

/// Turns links around.
pub struct ReverseLinks;

impl App for ReverseLinks {
    type Value = [u8];

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        let mut pages = record.bytes.split(u8::is_ascii_whitespace).filter(|page| !page.is_empty());
        if let Some(source) = pages.next() {
            pages.for_each(|target| out.emit(target, source));
        }
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        out.write(key);
        let mut before: &[u8] = b" ";
        while let Some(source) = values.next() {
            out.write(before);
            out.write(source);
            before = b",";
        }
        out.write(b"\n");
        Ok(())
    }
}
