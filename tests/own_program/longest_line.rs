//! A program of one's own: an app, a list of apps, and one line. It has flockwork's whole command line.
//!
//! `longest_line run longest-line books/*.txt`: the longest line of every file (the first of equals), with its length in bytes.

use std::borrow::Cow;

use flockwork::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Values};
use flockwork::engine::AppEntry;

/// Knows the longest line it is to accept.
struct LongestLine {
    limit: usize,
}

impl App for LongestLine {
    type Value = [u8];
    const COMBINES: bool = true;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        if record.bytes.len() > self.limit {
            return Err(format!("{}: a line of {} bytes begins at byte {}", record.file, record.bytes.len(), record.offset).into());
        }
        out.emit(record.file.as_bytes(), record.bytes);
        Ok(())
    }

    /// Values come in the order of the input, so the first of equals stays.
    fn combine(&self, longest: &mut Vec<u8>, next: &[u8]) {
        if next.len() > longest.len() {
            *longest = next.to_vec();
        }
    }

    fn reduce(&self, file: &[u8], lines: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        let mut longest = Vec::new();
        while let Some(line) = lines.next() {
            self.combine(&mut longest, line);
        }
        out.count("files", 1);
        out.pair(file, &[longest.len().to_string().as_bytes(), b" ", &longest].concat()[..]);
        Ok(())
    }
}

const APPS: &[AppEntry] = &[AppEntry {
    name: "longest-line",
    about: "the longest line of every file",
    options: &[OptionDoc { key: Cow::Borrowed("limit"), about: Cow::Borrowed("bytes; a longer line is an error [default: none]") }],
    make,
}];

fn make(options: &Options) -> Result<Box<dyn flockwork::engine::AnyApp>, String> {
    let limit = options.get("limit").map_or(Ok(usize::MAX), |text| text.parse().map_err(|_| format!("limit is no number: {text}")))?;
    Ok(Box::new(LongestLine { limit }))
}

fn main() -> std::process::ExitCode {
    flockwork::main(APPS)
}
