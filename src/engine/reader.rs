//! Splits to records: streams the lines of a split (one by one, or many at a time), or whole files, to a closure.
//!
//! Contract: a piece gives every line that begins in it, also where the line ends beyond it; lines come without their newline and without a carriage return
//! before it; a missing last newline is no matter; any bytes, any length up to [`LINE_BYTES_MAX`]. Packed files give their content. The file must be the one planned: length and
//! mtime are compared when it is opened and when it has been read, so that no attempt counts whose input changed under it.
//! With [`Care`] it goes line by line, whatever the unit, and leaves out what is known to be bad.
//!
//! On NFS: opening asks the server for the attributes (close-to-open), so a change made before is seen.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::care::{Care, spot_of};
use super::unpack::Packing;
use super::window::{Sizes, Window, changed, unreadable};
use crate::app::{Record, Unit};
use crate::control::{Cancelled, Control};
use crate::data::{Failure, Piece, Place, Split};

/// One read. From the page cache 1 MiB is the quickest (baselines: 6.3 GB/s, against 4.9 at 256 KiB).
const BLOCK_BYTES: usize = 1 << 20;
/// The smallest buffer: beyond a piece there is a byte before it and the rest of its last line.
const SMALL_BLOCK_BYTES: usize = 4 << 10;
/// Longest line unless told otherwise.
const LINE_BYTES_MAX: usize = 256 << 20;

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Lines (or files) handed on.
    pub(super) records: u64,
    /// Their bytes, newlines included.
    pub(super) bytes: u64,
}

/// Reads splits; keeps its buffer between pieces.
pub(super) struct Reader<'a> {
    base: &'a Path,
    unit: Unit,
    control: &'a Control,
    care: Option<&'a Care>,
    buffer: Vec<u8>,
    sizes: Sizes,
}

impl<'a> Reader<'a> {
    /// A reader of records of one kind. Relative paths start at `base`.
    pub(super) fn new(base: &'a Path, unit: Unit, control: &'a Control) -> Reader<'a> {
        Reader { base, unit, control, care: None, buffer: Vec::new(), sizes: Sizes { block: BLOCK_BYTES, line_max: LINE_BYTES_MAX } }
    }

    /// The same with a buffer that is no larger than the pieces of `split`: clearing a large one costs more than a small task.
    pub(super) fn with_block_bytes_for(self, split: &Split) -> Reader<'a> {
        let of_piece = |piece: &Piece| match Packing::of(&piece.name) {
            Packing::Plain => usize::try_from(piece.to.saturating_sub(piece.from)).unwrap_or(usize::MAX),
            Packing::Gzip | Packing::Zstd => BLOCK_BYTES,
        };
        let largest = split.pieces.iter().map(of_piece).max().unwrap_or(0);
        self.with_block_bytes(largest.saturating_add(SMALL_BLOCK_BYTES).min(BLOCK_BYTES))
    }

    /// The same with smaller reads, for whoever wants only a little.
    pub(super) fn with_block_bytes(mut self, block_bytes: usize) -> Reader<'a> {
        self.sizes.block = block_bytes;
        self
    }

    /// The same with another limit: lines longer than `line_bytes_max` are an error. Memory taken is at most two to four times the longest line.
    pub(super) fn with_line_bytes_max(mut self, line_bytes_max: usize) -> Reader<'a> {
        self.sizes.line_max = line_bytes_max;
        self
    }

    /// The same with care, where there is some.
    pub(super) fn with_care(mut self, care: Option<&'a Care>) -> Reader<'a> {
        self.care = care;
        self
    }

    /// Calls `each` for every record of the split in order, until it fails.
    pub(super) fn read(&mut self, split: &Split, each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        for piece in &split.pieces {
            let path = self.base.join(&piece.path);
            let file = File::open(&path).map_err(|error| unreadable(piece, 0, &error))?;
            check_unchanged(&file, piece)?;
            let mut window = Window::open(piece, file, &mut self.buffer, self.sizes)?;
            let seen = match (self.unit, self.care) {
                (Unit::Files, Some(care)) if !admits(care, piece, piece.from) => Tally::default(),
                (Unit::Files, _) => whole(piece, &mut window, self.control, each)?,
                (unit, Some(care)) => one_by_one(piece, &mut window, (unit, care), self.control, each)?,
                (Unit::Lines, None) => lines(piece, &mut window, self.control, each)?,
                (Unit::Blocks, None) => blocks(piece, &mut window, self.control, each)?,
            };
            let file = window.into_plain().map_or_else(|| File::open(&path), Ok).map_err(|error| unreadable(piece, 0, &error))?;
            check_unchanged(&file, piece)?;
            tally.records += seen.records;
            tally.bytes += seen.bytes;
        }
        Ok(tally)
    }
}

fn step(control: &Control) -> Result<(), Failure> {
    control.step().map_err(|Cancelled| Failure::Cancelled)
}

fn lines(
    piece: &Piece,
    window: &mut Window<'_>,
    control: &Control,
    each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while let Some((range, offset)) = window.lines()? {
        let mut record = Record { bytes: &[], file: &piece.name, file_number: piece.file, offset };
        let block = window.bytes(range);
        let mut from = 0;
        // The last line of a file may lack its newline, then it ends with the block.
        for to in memchr::memchr_iter(b'\n', block).map(|newline| newline + 1).chain(std::iter::once(block.len())) {
            if from == to {
                break;
            }
            step(control)?;
            record.bytes = without_end(&block[from..to]);
            record.offset = offset + from as u64;
            each(record)?;
            tally.records += 1;
            from = to;
        }
        tally.bytes += block.len() as u64;
    }
    Ok(tally)
}

fn blocks(
    piece: &Piece,
    window: &mut Window<'_>,
    control: &Control,
    each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while let Some((range, offset)) = window.lines()? {
        step(control)?;
        let block = window.bytes(range);
        each(Record { bytes: block, file: &piece.name, file_number: piece.file, offset })?;
        let n_ends = memchr::memchr_iter(b'\n', block).count() as u64;
        tally.records += n_ends + u64::from(!block.ends_with(b"\n"));
        tally.bytes += block.len() as u64;
    }
    Ok(tally)
}

/// Line by line, also where the app takes many at a time, which then is given each with its end.
fn one_by_one(
    piece: &Piece,
    window: &mut Window<'_>,
    (unit, care): (Unit, &Care),
    control: &Control,
    each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    while let Some((range, mut offset)) = window.lines()? {
        for line in window.bytes(range).split_inclusive(|&byte| byte == b'\n') {
            step(control)?;
            if admits(care, piece, offset) {
                let bytes = if unit == Unit::Blocks { line } else { without_end(line) };
                each(Record { bytes, file: &piece.name, file_number: piece.file, offset })?;
                tally.records += 1;
                tally.bytes += line.len() as u64;
            }
            offset += line.len() as u64;
        }
    }
    Ok(tally)
}

fn admits(care: &Care, piece: &Piece, offset: u64) -> bool {
    care.admits(spot_of(piece.file, offset), || Place::Record { file: piece.name.clone(), offset })
}

fn whole(
    piece: &Piece,
    window: &mut Window<'_>,
    control: &Control,
    each: &mut impl FnMut(Record<'_>) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    step(control)?;
    let range = window.rest(|| if control.is_cancelled() { Err(Failure::Cancelled) } else { Ok(()) })?;
    let bytes = window.bytes(range);
    each(Record { bytes, file: &piece.name, file_number: piece.file, offset: piece.from })?;
    Ok(Tally { records: 1, bytes: bytes.len() as u64 })
}

/// The line without its newline and the carriage return before that.
#[inline]
fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => text,
        text => text,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{Random, gzip, input_file, piece_of, zstd};

    /// A reader with a buffer of `block` bytes.
    fn reader<'a>(unit: Unit, block: usize, control: &'a Control) -> Reader<'a> {
        Reader { sizes: Sizes { block, line_max: 1 << 20 }, ..Reader::new(Path::new("/"), unit, control) }
    }

    /// Every record as (offset, bytes), read with a tiny buffer so that lines cross its end.
    fn records(pieces: Vec<Piece>, block: usize) -> Result<Vec<(u64, Vec<u8>)>, Failure> {
        let control = Control::default();
        let mut reader = reader(Unit::Lines, block, &control);
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
            let mut reader = reader(Unit::Files, 2, &control);
            let tally = reader.read(&Split { pieces: vec![piece_of(&file, 0, file.len)] }, &mut |record| {
                all.push(record.bytes.to_vec());
                Ok(())
            });
            assert_eq!(tally.expect("readable"), Tally { records: 1, bytes: file.len });
            assert_eq!(all, [text]);
        }
    }

    #[test]
    fn blocks_are_whole_lines_and_together_the_lines_of_the_piece() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = Control::default();
        let mut random = Random(5);
        for round in 0..12 {
            let text: Vec<u8> = (0..random.below(60)).map(|_| *random.pick(b"ab\n\n\r\xff")).collect();
            let file = input_file(dir.path(), &format!("x{round}"), &text);
            for size in 1..=file.len + 1 {
                let pieces = (0..file.len.div_ceil(size)).map(|n| piece_of(&file, n * size, ((n + 1) * size).min(file.len))).collect();
                let mut all = Vec::new();
                let tally = reader(Unit::Blocks, 7, &control).read(&Split { pieces }, &mut |record| {
                    assert_eq!(record.offset, all.len() as u64, "blocks follow one another");
                    assert!(
                        record.bytes.ends_with(b"\n") || record.offset + record.bytes.len() as u64 == file.len,
                        "only the last may lack its newline"
                    );
                    all.extend_from_slice(record.bytes);
                    Ok(())
                });
                assert_eq!(all, text, "pieces of {size}");
                let n = text.split_inclusive(|&byte| byte == b'\n').count() as u64;
                assert_eq!(tally.expect("readable"), Tally { records: n, bytes: file.len }, "it counts lines, however many at a time");
            }
        }
    }

    #[test]
    fn a_line_above_the_limit_is_refused_with_its_place_and_one_at_the_limit_is_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = Control::default();
        let file = input_file(dir.path(), "x", &[b"short\n".to_vec(), vec![b'y'; 99], b"\n".to_vec()].concat());
        for (max, expected) in [(99, Some(2)), (60, None)] {
            let mut reader = Reader { sizes: Sizes { block: 8, line_max: 0 }, ..Reader::new(Path::new("/"), Unit::Lines, &control) };
            reader = reader.with_line_bytes_max(max);
            let result = reader.read(&Split { pieces: vec![piece_of(&file, 0, file.len)] }, &mut |_| Ok(()));
            match (result, expected) {
                (Ok(tally), Some(n)) => assert_eq!(tally.records, n),
                (Err(Failure::Input(text)), None) => {
                    assert!(text.starts_with("cannot read input x: the line at byte 6 is longer than 60"), "{text}")
                }
                (result, _) => panic!("{max}: {result:?}"),
            }
        }
    }

    #[test]
    fn a_packed_file_gives_its_content_whatever_the_unit() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let control = Control::default();
        let content = b"a\r\nbb\n\nccc";
        for (name, bytes) in
            [("x.gz", [gzip(b"a\r\nb"), gzip(b"b\n\nccc")].concat()), ("x.zst", zstd(content)), ("plain", content.to_vec())]
        {
            let file = input_file(dir.path(), name, &bytes);
            for (unit, expected) in
                [(Unit::Lines, vec![(0, &b"a"[..]), (3, b"bb"), (6, b""), (7, b"ccc")]), (Unit::Files, vec![(0, &content[..])])]
            {
                let mut all = Vec::new();
                let tally = reader(unit, 3, &control).read(&Split { pieces: vec![piece_of(&file, 0, file.len)] }, &mut |record| {
                    all.push((record.offset, record.bytes.to_vec()));
                    Ok(())
                });
                assert_eq!(tally.expect("readable").bytes, content.len() as u64, "{name}: bytes of the content are counted");
                let all: Vec<_> = all.iter().map(|(offset, bytes)| (*offset, &bytes[..])).collect();
                assert_eq!(all, expected, "{name} as {unit:?}");
            }
        }
    }

    #[test]
    fn a_damaged_archive_is_refused_by_name_with_advice() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, whole, test) in [("x.gz", gzip(b"some text\n"), "gzip -t"), ("x.zst", zstd(b"some text\n"), "zstd -t")] {
            let file = input_file(dir.path(), name, &whole[..whole.len() - 3]);
            let Err(Failure::Input(text)) = records(vec![piece_of(&file, 0, file.len)], 64) else { panic!("{name} is cut off") };
            assert!(text.starts_with(&format!("cannot unpack input {name} beyond byte ")), "{text}");
            assert!(text.contains(&format!("it is cut off or damaged: test it with `{test}`")), "{text}");
        }
    }
}
