//! Inputs to map tasks: which pieces of which files each task reads.
//!
//! Contract: the same files and rule give the same splits, in the order of the input; every byte of every file that is not empty is in exactly one split.
//!
//! - Whole files: one split per file, the empty ones too.
//! - Lines: a file longer than the split size is cut at its multiples, without reading it: a piece owns every line that *begins* in it. Shorter files
//!   are combined, in order, up to the split size and up to a sixteenth of their number; so there are never fewer than 16 splits, or one per file where
//!   there are fewer than 32 files. Empty files are left out.
//! - Lines by number: each file is read once, and cut after every n lines exactly; no split holds lines of two files.
//! - Packed files (`.gz`, `.zst`) are never cut; where sizes matter, the packed size counts.

use std::fs::File;
use std::io::Read;
use std::ops::Deref;

use super::input::InputFile;
use super::unpack::Packing;
use crate::app::Unit;
use crate::data::{Piece, Split};
use crate::error::{Error, ErrorKind, Result};

/// How lines are dealt out to map tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitRule {
    /// At most this many bytes per split, give or take the rest of a line; at least 1.
    pub bytes: u64,
    /// A task per so many lines instead (at least 1); costs reading the input once while planning.
    pub lines: Option<u64>,
}

/// Small files are combined, but never into fewer splits than this: parallelism is worth more than a few tasks saved.
const SPLITS_MIN: usize = 16;

/// One read while counting lines.
const BLOCK_BYTES: usize = 1 << 20;

/// The map tasks of a job over `files`. None at all where there is no line to read.
pub fn plan_splits(files: &[InputFile], unit: Unit, rule: &SplitRule) -> Result<Vec<Split>> {
    match (unit, rule.lines) {
        (Unit::Files, _) => Ok(numbered(files).map(|file| Split { pieces: vec![file.piece(0, file.len)] }).collect()),
        (Unit::Lines | Unit::Blocks, None) => Ok(by_bytes(files, rule.bytes.max(1))),
        (Unit::Lines | Unit::Blocks, Some(lines)) => by_lines(files, lines.max(1)),
    }
}

/// Each file as one piece, its path absolute: what a sample of the input is taken from.
pub fn whole_files(files: &[InputFile]) -> Vec<Piece> {
    numbered(files).map(|file| Piece { path: file.path.to_string_lossy().into_owned(), ..file.piece(0, file.len) }).collect()
}

/// An input file and its number among all.
#[derive(Clone, Copy)]
struct Numbered<'a> {
    number: u32,
    file: &'a InputFile,
}

fn numbered(files: &[InputFile]) -> impl Iterator<Item = Numbered<'_>> {
    (0..).zip(files).map(|(number, file)| Numbered { number, file })
}

impl Deref for Numbered<'_> {
    type Target = InputFile;
    fn deref(&self) -> &InputFile {
        self.file
    }
}

impl Numbered<'_> {
    fn piece(&self, from: u64, to: u64) -> Piece {
        let InputFile { name, stored, len, mtime_ns, .. } = self.file.clone();
        Piece { name, path: stored, file: self.number, from, to, len, mtime_ns }
    }

    /// Nobody can enter a packed file in the middle.
    fn is_packed(&self) -> bool {
        Packing::of(&self.name) != Packing::Plain
    }
}

fn by_bytes(files: &[InputFile], bytes: u64) -> Vec<Split> {
    let n_small = files.iter().filter(|file| (1..=bytes).contains(&file.len)).count();
    let n_together = (n_small / SPLITS_MIN).max(1);
    let mut splits = Vec::new();
    let mut together = Gathered::default();
    for file in numbered(files).filter(|file| file.len > 0) {
        if file.len > bytes {
            together.close_into(&mut splits);
            let step = if file.is_packed() { file.len } else { bytes };
            let starts = (0..file.len.div_ceil(step)).map(|n| n * step);
            splits.extend(starts.map(|from| Split { pieces: vec![file.piece(from, (from + step).min(file.len))] }));
            continue;
        }
        if together.pieces.len() == n_together || together.bytes + file.len > bytes {
            together.close_into(&mut splits);
        }
        together.bytes += file.len;
        together.pieces.push(file.piece(0, file.len));
    }
    together.close_into(&mut splits);
    splits
}

/// Small files on their way into one split.
#[derive(Default)]
struct Gathered {
    pieces: Vec<Piece>,
    bytes: u64,
}

impl Gathered {
    fn close_into(&mut self, splits: &mut Vec<Split>) {
        let Gathered { pieces, .. } = std::mem::take(self);
        if !pieces.is_empty() {
            splits.push(Split { pieces });
        }
    }
}

fn by_lines(files: &[InputFile], lines: u64) -> Result<Vec<Split>> {
    let mut splits = Vec::new();
    let mut block = vec![0; BLOCK_BYTES];
    for file in numbered(files).filter(|file| file.len > 0) {
        let mut from = 0;
        let cuts = if file.is_packed() { vec![file.len] } else { cuts(&file, lines, &mut block)? };
        for to in cuts {
            splits.push(Split { pieces: vec![file.piece(from, to)] });
            from = to;
        }
    }
    Ok(splits)
}

/// Where the pieces of `lines` lines each end; the last is the file's end.
fn cuts(file: &InputFile, lines: u64, block: &mut [u8]) -> Result<Vec<u64>> {
    let refused = |error| Error::io("cannot read input", &file.path, error).of_kind(ErrorKind::Input);
    let mut source = File::open(&file.path).map_err(refused)?;
    let (mut cuts, mut at, mut n) = (Vec::new(), 0, 0);
    loop {
        let got = match source.read(block) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(refused(error)),
        };
        for newline in memchr::memchr_iter(b'\n', &block[..got]) {
            n += 1;
            if n % lines == 0 {
                cuts.push(at + newline as u64 + 1);
            }
        }
        at += got as u64;
    }
    if at != file.len {
        let error = Error::new(ErrorKind::Input, "cannot plan input").on(&file.name).because("it changed while it was read");
        return Err(error.advise("wait until it is complete, then submit again"));
    }
    if cuts.last() != Some(&at) {
        cuts.push(at);
    }
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn file(name: &str, len: u64) -> InputFile {
        InputFile { name: name.into(), path: PathBuf::from(name), stored: name.into(), len, mtime_ns: 0 }
    }

    fn shape(splits: &[Split]) -> Vec<Vec<(&str, u64, u64)>> {
        splits.iter().map(|split| split.pieces.iter().map(|p| (p.name.as_str(), p.from, p.to)).collect()).collect()
    }

    const RULE: SplitRule = SplitRule { bytes: 10, lines: None };

    #[test]
    fn large_files_are_cut_at_multiples_and_empty_ones_are_left_out() {
        let splits = plan_splits(&[file("a", 25), file("e", 0), file("b", 10)], Unit::Lines, &RULE).expect("planned");
        assert_eq!(shape(&splits), [[("a", 0, 10)], [("a", 10, 20)], [("a", 20, 25)], [("b", 0, 10)]]);
        assert_eq!(plan_splits(&[file("e", 0)], Unit::Lines, &RULE).expect("planned"), []);
    }

    #[test]
    fn few_small_files_are_a_split_each_and_many_make_sixteen_or_more() {
        for (n, expected) in [(1usize, 1usize), (8, 8), (31, 31), (32, 16), (1000, 17)] {
            let files: Vec<_> = (0..n).map(|i| file(&i.to_string(), 1)).collect();
            let splits = plan_splits(&files, Unit::Lines, &SplitRule { bytes: 1 << 20, lines: None }).expect("planned");
            assert_eq!(splits.len(), expected, "{n} files");
            let names: Vec<_> = splits.iter().flat_map(|split| &split.pieces).map(|piece| piece.name.clone()).collect();
            assert_eq!(names, files.iter().map(|file| file.name.clone()).collect::<Vec<_>>(), "all, in order");
        }
    }

    #[test]
    fn small_files_are_combined_up_to_the_split_size_and_never_across_a_large_one() {
        let mut files: Vec<_> = (0..48).map(|i| file(&format!("s{i}"), 4)).collect();
        files.insert(1, file("large", 11));
        let splits = plan_splits(&files, Unit::Lines, &RULE).expect("planned");
        assert_eq!(shape(&splits)[..3], [vec![("s0", 0, 4)], vec![("large", 0, 10)], vec![("large", 10, 11)]]);
        assert_eq!(shape(&splits)[3], [("s1", 0, 4), ("s2", 0, 4)], "a third would pass ten bytes");
    }

    #[test]
    fn whole_files_are_a_split_each_also_the_empty_ones() {
        let splits = plan_splits(&[file("a", 25), file("e", 0)], Unit::Files, &RULE).expect("planned");
        assert_eq!(shape(&splits), [[("a", 0, 25)], [("e", 0, 0)]]);
    }

    #[test]
    fn lines_by_number_are_exact() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x");
        for (text, expected) in [
            ("a\nbb\nccc\ndd\n", vec![(0, 5), (5, 12)]),
            ("a\nbb\nccc", vec![(0, 5), (5, 8)]),
            ("a\nbb\nccc\n", vec![(0, 5), (5, 9)]),
            ("no newline", vec![(0, 10)]),
        ] {
            std::fs::write(&path, text).expect("written");
            let input = InputFile { path: path.clone(), ..file("x", text.len() as u64) };
            let splits = plan_splits(&[input], Unit::Lines, &SplitRule { bytes: 1, lines: Some(2) }).expect("planned");
            let ranges: Vec<_> = splits.iter().map(|split| (split.pieces[0].from, split.pieces[0].to)).collect();
            assert_eq!(ranges, expected, "{text:?}");
        }
    }

    #[test]
    fn packed_files_are_never_cut() {
        let files = [file("a.gz", 25), file("b.zst", 5), file("c", 11)];
        let expected = [[("a.gz", 0, 25)], [("b.zst", 0, 5)], [("c", 0, 10)], [("c", 10, 11)]];
        assert_eq!(shape(&plan_splits(&files, Unit::Lines, &RULE).expect("planned")), expected);
        let by_number = plan_splits(&files[..2], Unit::Lines, &SplitRule { bytes: 1, lines: Some(1) }).expect("not even opened");
        assert_eq!(shape(&by_number), expected[..2]);
    }

    #[test]
    fn pieces_know_the_number_of_their_file_among_all() {
        let files = [file("a", 25), file("e", 0), file("a", 1), file("b", 1)];
        let splits = plan_splits(&files, Unit::Lines, &RULE).expect("planned");
        let numbers: Vec<u32> = splits.iter().flat_map(|split| &split.pieces).map(|piece| piece.file).collect();
        assert_eq!(numbers, [0, 0, 0, 2, 3], "the empty one counts, and one given twice is two");
    }
}
