//! `sort`: all lines in the order of their bytes, equal ones as often as they come. The output files one behind the other are the sorted whole. Option: `key=FROM-TO` orders by these
//! bytes of each line (counted from 1, both included; a shorter line has as much of it as is there), and lines of equal keys stay in the order of the input.
//!
//! Lines are kept byte for byte, a carriage return too; a last line without a newline gets one. Cost: one pair per line; everything passes through the shuffle.

use std::ops::Range;

use flockwork::app::{App, AppResult, Emit, Options, Output, Partitioning, Record, Unit, Values};

/// Orders lines.
pub struct Sort {
    key: Option<Range<usize>>,
}

impl Sort {
    /// From `-o key=FROM-TO`.
    pub fn of(options: &Options) -> Result<Sort, String> {
        let Some(text) = options.get("key") else { return Ok(Sort { key: None }) };
        let range = text.split_once('-').and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
        match range {
            Some((from, to)) if 1 <= from && from <= to => Ok(Sort { key: Some(from - 1..to) }),
            _ => Err(format!("the option `key` is FROM-TO, two places in a line counted from 1, such as 1-10; not `{text}`")),
        }
    }
}

impl App for Sort {
    /// With a key the line, without one nothing: then the line is the key.
    type Value = [u8];

    /// Every record comes out again. (A packed input's are more than its bytes.)
    fn least_output(&self, input_bytes: u64) -> u64 {
        input_bytes
    }

    fn unit(&self) -> Unit {
        Unit::Blocks
    }

    fn partitioning(&self) -> Partitioning {
        Partitioning::Range
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        let mut from = 0;
        while from < record.bytes.len() {
            let to = memchr::memchr(b'\n', &record.bytes[from..]).map_or(record.bytes.len(), |newline| from + newline);
            let line = &record.bytes[from..to];
            match &self.key {
                Some(key) => out.emit(&line[key.start.min(line.len())..key.end.min(line.len())], line),
                None => out.emit(line, b""),
            }
            from = to + 1;
        }
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        while let Some(line) = values.next() {
            out.write(if self.key.is_some() { line } else { key });
            out.write(b"\n");
        }
        Ok(())
    }
}
