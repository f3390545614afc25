//! A job without a reduce: what the mappers of a split write, one behind the other, is an output file.
//!
//! Contract: byte for byte, except that a last line without an end gets one, or the next file's first line would be glued to it. The outputs in the order of their tasks are what
//! `sequential` prints, where the mapper looks at one line at a time.

use std::path::Path;

use super::Stream;
use super::child::Take;
use super::complaints::Complaints;
use super::map::map_piece;
use super::report::Report;
use crate::app::{Sink, Unit};
use crate::data::{Failure, Made};
use crate::engine::output::OutputFile;
use crate::engine::reader::Tally;
use crate::engine::{MapWork, counters, map};

/// Hands blocks on, and ends the last line.
pub(super) struct WholeLines<T> {
    inner: T,
    ended: bool,
}

impl<T: Take> WholeLines<T> {
    /// What goes on to `inner`.
    pub(super) fn new(inner: T) -> WholeLines<T> {
        WholeLines { inner, ended: true }
    }
}

impl<T: Take> Take for WholeLines<T> {
    fn block(&mut self, block: &[u8]) -> Result<(), Failure> {
        if let Some(last) = block.last() {
            self.ended = *last == b'\n';
        }
        self.inner.block(block)
    }

    fn end(&mut self) -> Result<(), Failure> {
        if !self.ended {
            self.ended = true;
            self.inner.block(b"\n")?;
        }
        self.inner.end()
    }
}

/// An output file as a command's stdout sees it.
pub(super) struct Written<'a>(pub(super) &'a OutputFile);

impl Take for Written<'_> {
    fn block(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.0.sink().take(block);
        self.0.check()
    }
}

/// Runs one map attempt whose output goes to `target`.
pub(super) fn run(stream: &Stream, work: &MapWork<'_>, target: &Path) -> Result<Made, Failure> {
    let file = OutputFile::create(target)?;
    let (mut report, mut tally) = (Report::new(Complaints::at(work.stderr)), Tally::default());
    let mut reader = map::reader(Unit::Blocks, work);
    for piece in &work.split.pieces {
        let mut lines = WholeLines::new(Written(&file));
        let seen = map_piece(stream, piece, &mut reader, (work.context, work.control), &mut lines, &mut report)?;
        tally.records += seen.records;
        tally.bytes += seen.bytes;
    }
    let (described, mut counters) = work.control.at_disk(|| file.finish(target))?;
    counters::add_read(&mut counters, tally);
    counters::add(&mut counters, counters::OUTPUT_BYTES, described.len);
    report.add_to(&mut counters)?;
    Ok(Made { files: vec![described], counters, ..Made::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heap(Vec<u8>);

    impl Take for &mut Heap {
        fn block(&mut self, block: &[u8]) -> Result<(), Failure> {
            self.0.extend_from_slice(block);
            Ok(())
        }
    }

    #[test]
    fn a_last_line_without_an_end_gets_one_wherever_blocks_end() {
        for (blocks, expected) in
            [(&["a\nb", "c"][..], "a\nbc\n"), (&["a\n", ""], "a\n"), (&["a", ""], "a\n"), (&["\n"], "\n"), (&[""], ""), (&[], "")]
        {
            let mut heap = Heap(Vec::new());
            let mut lines = WholeLines::new(&mut heap);
            blocks.iter().for_each(|block| lines.block(block.as_bytes()).expect("taken"));
            lines.end().expect("ended");
            assert_eq!(String::from_utf8_lossy(&heap.0), expected, "{blocks:?}");
        }
    }
}
