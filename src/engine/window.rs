//! The part of an input that is in memory: one large buffer that slides over a file, or over the content of a packed one.
//!
//! Contract: large reads into a reused buffer (no mmap: another host's truncate would be a SIGBUS); only the beginning of a line that crosses the buffer's end is ever
//! copied. A line longer than the limit is an error that names the file and the offset, before memory is taken for it.
//!
//! Reads go up to the piece's end, and beyond it in small steps, for only the rest of one line is wanted there.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::unpack::Packing;
use crate::data::{Failure, Piece};
use crate::units::show_size;

/// Read at a time beyond the piece's end, for the rest of its last line.
const BEYOND_BYTES: usize = 64 << 10;

/// Where the bytes come from.
enum Source {
    /// The file itself, read from any place up to its planned length.
    Plain(File),
    /// The unpacked content, from its beginning to its end.
    Packed(Box<dyn Read>),
}

/// `bytes[from..to]` is in memory and ends at the content's byte `read`.
pub(super) struct Window<'a> {
    piece: &'a Piece,
    packing: Packing,
    source: Source,
    bytes: &'a mut Vec<u8>,
    from: usize,
    to: usize,
    read: u64,
    /// One past the last byte of the content at which a record of ours may begin.
    end: u64,
    sizes: Sizes,
}

/// How much is read at a time, and how long a line may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Bytes read at a time.
    pub(super) block: usize,
    /// Longest line, in bytes.
    pub(super) line_max: usize,
}

impl<'a> Window<'a> {
    /// Over `file`, which is the one that `piece` names, standing at the piece's first record.
    pub(super) fn open(piece: &'a Piece, file: File, bytes: &'a mut Vec<u8>, sizes: Sizes) -> Result<Window<'a>, Failure> {
        let packing = if piece.len == 0 { Packing::Plain } else { Packing::of(&piece.name) };
        let (source, end) = match packing {
            Packing::Plain => (Source::Plain(file), piece.to),
            Packing::Gzip | Packing::Zstd => (Source::Packed(packing.content(file)), u64::MAX),
        };
        let mut window = Window { piece, packing, source, bytes, from: 0, to: 0, read: 0, end, sizes };
        if packing == Packing::Plain && piece.from > 0 {
            // The line at `from` is ours only if a newline stands right before it.
            window.read = piece.from - 1;
            window.skip_line()?;
        }
        Ok(window)
    }

    /// The bytes of a range that [`Window::lines`] or [`Window::rest`] gave.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The next whole lines of the piece, as many as are in memory, and where in the content they begin; the last may lack its newline at the end of the file.
    pub(super) fn lines(&mut self) -> Result<Option<(Range<usize>, u64)>, Failure> {
        let offset = self.offset();
        if offset >= self.end {
            return Ok(None);
        }
        let mut seen = 0;
        let len = loop {
            if let Some(at) = memchr::memrchr(b'\n', &self.bytes[self.from + seen..self.to]) {
                break seen + at + 1;
            }
            seen = self.to - self.from;
            if seen > self.sizes.line_max {
                return Err(self.too_long());
            }
            if self.fill()? == 0 {
                break seen;
            }
        };
        if len == 0 {
            return Ok(None);
        }
        let len = self.own_part(len, offset);
        let given = self.from..self.from + len;
        self.from += len;
        Ok(Some((given, offset)))
    }

    /// The part of `len` bytes of whole lines, beginning at `offset`, whose lines begin in the piece.
    fn own_part(&self, len: usize, offset: u64) -> usize {
        match usize::try_from(self.end - offset) {
            Ok(own) if own < len => {
                // The line that the piece's last byte lies in is ours to its end.
                let tail = &self.bytes[self.from + own - 1..self.from + len];
                memchr::memchr(b'\n', tail).map_or(len, |at| own + at)
            }
            _ => len,
        }
    }

    /// All that is left of the content.
    pub(super) fn rest(&mut self, mut go_on: impl FnMut() -> Result<(), Failure>) -> Result<Range<usize>, Failure> {
        let expected = usize::try_from(self.piece.len).unwrap_or(0);
        self.bytes.reserve(expected.saturating_sub(self.bytes.len()));
        while self.fill()? > 0 {
            go_on()?;
        }
        Ok(self.from..self.to)
    }

    /// Gives the file back, where it was not used up by unpacking it.
    pub(super) fn into_plain(self) -> Option<File> {
        match self.source {
            Source::Plain(file) => Some(file),
            Source::Packed(_) => None,
        }
    }

    /// Where in the content the window begins.
    fn offset(&self) -> u64 {
        self.read - (self.to - self.from) as u64
    }

    /// Reads on; 0 at the end of the content.
    fn fill(&mut self) -> Result<usize, Failure> {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        if self.bytes.len() < self.sizes.block || self.to > self.bytes.len() / 2 {
            // Doubling keeps a line of any length at a constant number of copies per byte.
            self.bytes.resize(self.sizes.block.max(2 * self.bytes.len()), 0);
        }
        let got = loop {
            let free = &mut self.bytes[self.to..];
            let got = match &mut self.source {
                Source::Plain(file) => {
                    let left = self.piece.len.saturating_sub(self.read);
                    let own = usize::try_from(self.end.saturating_sub(self.read)).unwrap_or(usize::MAX);
                    let want = free.len().min(own.max(BEYOND_BYTES)).min(usize::try_from(left).unwrap_or(usize::MAX));
                    match file.read_at(&mut free[..want], self.read) {
                        Ok(0) if want > 0 => return Err(changed(self.piece, &format!("it ends at byte {}", self.read))),
                        other => other,
                    }
                }
                Source::Packed(content) => content.read(free),
            };
            match got {
                Ok(got) => break got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.packing == Packing::Plain => return Err(unreadable(self.piece, self.read, &error)),
                Err(error) => return Err(self.not_unpacked(&error)),
            }
        };
        self.to += got;
        self.read += got as u64;
        Ok(got)
    }

    /// Goes behind the next newline without keeping what is before it; gives up at the piece's end, where the next piece takes over.
    fn skip_line(&mut self) -> Result<(), Failure> {
        loop {
            if self.from == self.to && (self.read >= self.end || self.fill()? == 0) {
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

    #[cold]
    fn too_long(&self) -> Failure {
        let (name, at, max) = (&self.piece.name, self.offset(), show_size(self.sizes.line_max as u64));
        Failure::Input(format!(
            "cannot read input {name}: the line at byte {at} is longer than {max}, the most that is kept in memory; cut it into lines, or raise --memory"
        ))
    }

    #[cold]
    fn not_unpacked(&self, error: &io::Error) -> Failure {
        let (name, at, test) = (&self.piece.name, self.read, self.packing.test_command());
        let why = if error.kind() == io::ErrorKind::UnexpectedEof { "it ends too early".to_owned() } else { error.to_string() };
        Failure::Input(format!(
            "cannot unpack input {name} beyond byte {at} of its content: {why}; it is cut off or damaged: test it with `{test}`, and get it anew"
        ))
    }
}

/// The failure of a task whose input is not the one planned.
pub(super) fn changed(piece: &Piece, how: &str) -> Failure {
    Failure::Input(format!("input {} changed since the job was planned: {how}; submit a new job", piece.name))
}

/// The failure of a task whose input the operating system did not give.
pub(super) fn unreadable(piece: &Piece, offset: u64, error: &io::Error) -> Failure {
    let Piece { name, path, .. } = piece;
    Failure::Input(format!(
        "cannot read input {name} ({path}) at byte {offset}: {error}; check that this machine sees it, and its permissions"
    ))
}
