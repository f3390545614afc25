//! Splits to records: streams the lines (or whole files) of a split to a closure, out of one large buffer that is reused.
//!
//! Contract: a piece gives every line that begins in it, also where the line ends beyond it; lines come without their newline and without a carriage return
//! before it; a missing last newline is no matter; any bytes, any length (a line must fit in memory). The file must be the one planned: length and mtime
//! are compared when it is opened and when it has been read, so that no attempt counts whose input changed under it.
//!
//! On NFS: opening asks the server for the attributes (close-to-open), so a change made before is seen.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::app::{Record, Unit};
use crate::control::{Cancelled, Control};
use crate::data::{Failure, Piece, Split};

/// One read; larger ones were no faster over NFS or from the page cache.
const BLOCK_BYTES: usize = 256 << 10;

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Records handed on.
    pub(super) records: u64,
    /// Their bytes, newlines included.
    pub(super) bytes: u64,
}

/// Reads splits; keeps its buffer between pieces.
pub(super) struct Reader<'a> {
    base: &'a Path,
    unit: Unit,
    control: &'a Control,
    buffer: Vec<u8>,
    block: usize,
}

impl<'a> Reader<'a> {
    /// A reader of records of one kind. Relative paths start at `base`.
    pub(super) fn new(base: &'a Path, unit: Unit, control: &'a Control) -> Reader<'a> {
        Reader { base, unit, control, buffer: Vec::new(), block: BLOCK_BYTES }
    }

    /// Calls `each` for every record of the split in order, until it fails.
    pub(super) fn read(&mut self, split: &Split, each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        for piece in &split.pieces {
            let file = File::open(self.base.join(&piece.path)).map_err(|error| unreadable(piece, 0, &error))?;
            check_unchanged(&file, piece)?;
            let mut window = Window { piece, file, bytes: &mut self.buffer, from: 0, to: 0, read: piece.from, block: self.block };
            let seen = match self.unit {
                Unit::Lines => lines(&mut window, self.control, each)?,
                Unit::Files => whole(&mut window, self.control, each)?,
            };
            check_unchanged(&window.file, piece)?;
            tally.records += seen.records;
            tally.bytes += seen.bytes;
        }
        Ok(tally)
    }
}

fn lines(window: &mut Window<'_>, control: &Control, each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>) -> Result<Tally, Failure> {
    let piece = window.piece;
    let mut tally = Tally::default();
    if piece.from > 0 {
        // The line at `from` is ours only if a newline stands right before it.
        window.read = piece.from - 1;
        window.skip_line()?;
    }
    while window.offset() < piece.to {
        let Some(len) = window.line()? else { break };
        control.step().map_err(|Cancelled| Failure::Cancelled)?;
        let line = &window.bytes[window.from..window.from + len];
        each(Record { bytes: without_end(line), file: &piece.name, offset: window.offset() })?;
        window.from += len;
        tally.records += 1;
        tally.bytes += len as u64;
    }
    Ok(tally)
}

fn whole(window: &mut Window<'_>, control: &Control, each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>) -> Result<Tally, Failure> {
    control.step().map_err(|Cancelled| Failure::Cancelled)?;
    let piece = window.piece;
    window.bytes.reserve(usize::try_from(piece.len).unwrap_or(0).saturating_sub(window.bytes.len()));
    while window.fill()? > 0 {
        if control.is_cancelled() {
            return Err(Failure::Cancelled);
        }
    }
    each(Record { bytes: &window.bytes[..window.to], file: &piece.name, offset: piece.from })?;
    Ok(Tally { records: 1, bytes: window.to as u64 })
}

/// The line without its newline and the carriage return before that.
fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
    }
}

/// The part of a file that is in memory: `bytes[from..to]`, which ends at the file's byte `read`.
struct Window<'a> {
    piece: &'a Piece,
    file: File,
    bytes: &'a mut Vec<u8>,
    from: usize,
    to: usize,
    read: u64,
    block: usize,
}

impl Window<'_> {
    /// Where in the file the window begins.
    fn offset(&self) -> u64 {
        self.read - (self.to - self.from) as u64
    }

    /// Reads on; 0 at the planned end of the file.
    fn fill(&mut self) -> Result<usize, Failure> {
        let left = self.piece.len.saturating_sub(self.read);
        if left == 0 {
            return Ok(0);
        }
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.bytes.len() < self.block || self.to > self.bytes.len() / 2 {
            // Doubling keeps a line of any length at a constant number of copies per byte.
            self.bytes.resize(self.block.max(2 * self.bytes.len()), 0);
        }
        let want = usize::try_from(left).map_or(usize::MAX, |left| left.min(self.bytes.len() - self.to));
        loop {
            match self.file.read_at(&mut self.bytes[self.to..self.to + want], self.read) {
                Ok(0) => return Err(changed(self.piece, &format!("it ends at byte {}", self.read))),
                Ok(got) => {
                    self.to += got;
                    self.read += got as u64;
                    return Ok(got);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(self.piece, self.read, &error)),
            }
        }
    }

    /// The length of the line at the window's beginning, its newline included; reads on until it is whole.
    fn line(&mut self) -> Result<Option<usize>, Failure> {
        let mut seen = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.bytes[self.from + seen..self.to]) {
                return Ok(Some(seen + at + 1));
            }
            seen = self.to - self.from;
            if self.fill()? == 0 {
                return Ok((seen > 0).then_some(seen));
            }
        }
    }

    /// Goes behind the next newline without keeping what is before it; gives up at the piece's end, where the next piece takes over.
    fn skip_line(&mut self) -> Result<(), Failure> {
        loop {
            if self.from == self.to && (self.read >= self.piece.to || self.fill()? == 0) {
                return Ok(());
            }
            match memchr::memchr(b'\n', &self.bytes[self.from..self.to]) {
                Some(at) => {
                    self.from += at + 1;
                    return Ok(());
                }
                None => self.from = self.to,
            }
        }
    }
}

fn check_unchanged(file: &File, piece: &Piece) -> Result<(), Failure> {
    let meta = file.metadata().map_err(|error| unreadable(piece, 0, &error))?;
    let mtime_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    if meta.len() != piece.len {
        return Err(changed(piece, &format!("it had {} bytes and has {}", piece.len, meta.len())));
    }
    if mtime_ns != piece.mtime_ns {
        return Err(changed(piece, "its modification time is another"));
    }
    Ok(())
}

fn changed(piece: &Piece, how: &str) -> Failure {
    Failure::Input(format!("input {} changed since the job was planned: {how}; submit a new job", piece.name))
}

fn unreadable(piece: &Piece, offset: u64, error: &io::Error) -> Failure {
    let Piece { name, path, .. } = piece;
    Failure::Input(format!(
        "cannot read input {name} ({path}) at byte {offset}: {error}; check that this machine sees it, and its permissions"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{Random, input_file, piece_of};

    /// Every record as (offset, bytes), read with a tiny buffer so that lines cross its end.
    fn records(pieces: Vec<Piece>, block: usize) -> Result<Vec<(u64, Vec<u8>)>, Failure> {
        let control = Control::default();
        let mut reader = Reader { block, ..Reader::new(Path::new("/"), Unit::Lines, &control) };
        let mut all = Vec::new();
        reader.read(&Split { pieces }, &mut |record| {
            all.push((record.offset, record.bytes.to_vec()));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn ends_of_lines_are_not_part_of_the_record() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (text, expected) in [
            (&b"a\nb\n"[..], vec![(0, &b"a"[..]), (2, b"b")]),
            (b"a\r\n\r\nb\r", vec![(0, b"a"), (3, b""), (5, b"b\r")]),
            (b"\n\n", vec![(0, b""), (1, b"")]),
            (b"no newline \xff\x00", vec![(0, b"no newline \xff\x00")]),
            (b"a\rb\r\r\n", vec![(0, b"a\rb\r")]),
        ] {
            let file = input_file(dir.path(), "x", text);
            let got = records(vec![piece_of(&file, 0, file.len)], 3).expect("readable");
            let got: Vec<_> = got.iter().map(|(offset, bytes)| (*offset, &bytes[..])).collect();
            assert_eq!(got, expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn pieces_of_every_size_give_the_lines_of_the_whole() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut random = Random(7);
        for round in 0..12 {
            let text: Vec<u8> = (0..random.below(60)).map(|_| *random.pick(b"ab\n\n\r\xff")).collect();
            let file = input_file(dir.path(), &format!("x{round}"), &text);
            let whole = records(vec![piece_of(&file, 0, file.len)], 64).expect("readable");
            for size in 1..=file.len + 1 {
                let cut: Vec<_> = (0..file.len.div_ceil(size)).map(|n| piece_of(&file, n * size, ((n + 1) * size).min(file.len))).collect();
                assert_eq!(records(cut, 5).expect("readable"), whole, "pieces of {size} of {:?}", String::from_utf8_lossy(&text));
            }
        }
    }

    #[test]
    fn a_file_that_changed_since_planning_is_refused_by_name() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = input_file(dir.path(), "x", b"a\nb\n");
        let longer = Piece { len: 5, ..piece_of(&file, 0, 4) };
        let touched = Piece { mtime_ns: file.mtime_ns + 1, ..piece_of(&file, 0, 4) };
        let missing = Piece { path: "/no/such/file".into(), ..piece_of(&file, 0, 4) };
        for (piece, text) in [
            (longer, "input x changed since the job was planned: it had 5 bytes and has 4; submit a new job"),
            (touched, "input x changed since the job was planned: its modification time is another; submit a new job"),
            (missing, "cannot read input x (/no/such/file) at byte 0: No such file"),
        ] {
            let Err(Failure::Input(message)) = records(vec![piece], 64) else { panic!("refused: {text}") };
            assert!(message.starts_with(text), "{message}");
        }
    }

    #[test]
    fn a_cancelled_attempt_reads_no_further() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = input_file(dir.path(), "x", b"a\nb\nc\n");
        let control = Control::default();
        let mut seen = 0;
        let result = Reader::new(Path::new("/"), Unit::Lines, &control).read(&Split { pieces: vec![piece_of(&file, 0, 6)] }, &mut |_| {
            seen += 1;
            control.cancel();
            Ok(())
        });
        assert!(matches!(result, Err(Failure::Cancelled)) && seen == 1, "{result:?} after {seen}");
    }

    #[test]
    fn a_whole_file_is_one_record_also_an_empty_one() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = Control::default();
        for text in [&b""[..], b"a\r\nb"] {
            let file = input_file(dir.path(), "x", text);
            let mut all = Vec::new();
            let mut reader = Reader { block: 2, ..Reader::new(Path::new("/"), Unit::Files, &control) };
            let tally = reader.read(&Split { pieces: vec![piece_of(&file, 0, file.len)] }, &mut |record| {
                all.push(record.bytes.to_vec());
                Ok(())
            });
            assert_eq!(tally.expect("readable"), Tally { records: 1, bytes: file.len });
            assert_eq!(all, [text]);
        }
    }
}
