//! Compressed inputs as streams of their content: `.gz` (all members) and `.zst` (all frames), told apart by how the name ends (flate2's and
//! ruzstd's home).
//!
//! Contract: the whole content or an error; checksums are verified where the archive has them. Both decoders are Rust, so that building needs no C compiler.
//!
//! Limits: a packed file cannot be entered in the middle, so it is one piece and one task reads it whole. A `.zst` that needs a window above 128 MiB or a dictionary
//! is refused, as the `zstd` program does.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Packed bytes read at a time.
const BLOCK_BYTES: usize = 256 << 10;
/// The window that the `zstd` program accepts when not told otherwise.
const WINDOW_BYTES_MAX: u64 = 128 << 20;

/// How a file's content is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Packing {
    /// What the end of `name` says.
    pub(super) fn of(name: &str) -> Packing {
        let ends = |ending: &str| {
            name.len().checked_sub(ending.len()).is_some_and(|at| name.as_bytes()[at..].eq_ignore_ascii_case(ending.as_bytes()))
        };
        match () {
            () if ends(".gz") => Packing::Gzip,
            () if ends(".zst") => Packing::Zstd,
            () => Packing::Plain,
        }
    }

    /// The content of `file` as a stream.
    pub(super) fn content(self, file: File) -> Box<dyn Read> {
        let packed = BufReader::with_capacity(BLOCK_BYTES, file);
        match self {
            Packing::Plain => Box::new(packed),
            Packing::Gzip => Box::new(Members::of(packed)),
            Packing::Zstd => Box::new(Frames::of(packed)),
        }
    }

    /// The command that tells whether an archive is whole.
    pub(super) fn test_command(self) -> &'static str {
        match self {
            Packing::Plain => "cat",
            Packing::Gzip => "gzip -t",
            Packing::Zstd => "zstd -t",
        }
    }
}

/// All members of a gzip file, one behind the other, and the zeros that tapes and block devices leave behind them, as `gzip` reads it.
struct Members<R: BufRead> {
    /// Taken out only while it is exchanged for that of the next member.
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn of(packed: R) -> Members<R> {
        Members { decoder: Some(GzDecoder::new(packed)) }
    }

    /// Goes to the next member; false at the end of the file.
    fn open_next(&mut self) -> io::Result<bool> {
        let Some(decoder) = self.decoder.take() else { return Ok(false) };
        let mut packed = decoder.into_inner();
        let is_padded = packed.fill_buf()?.first() == Some(&0);
        loop {
            let block = packed.fill_buf()?;
            let zeros = block.iter().take_while(|&&byte| byte == 0).count();
            match (block.is_empty(), zeros) {
                (true, _) => return Ok(false),
                (false, 0) if is_padded => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "something stands behind the zeros at its end"));
                }
                (false, 0) => break,
                (false, zeros) => packed.consume(zeros),
            }
        }
        self.decoder = Some(GzDecoder::new(packed));
        Ok(true)
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while let (Some(decoder), false) = (&mut self.decoder, bytes.is_empty()) {
            let got = decoder.read(bytes)?;
            if got > 0 || !self.open_next()? {
                return Ok(got);
            }
        }
        Ok(0)
    }
}

/// All frames of a Zstandard file, one behind the other: the decoder itself knows of one.
struct Frames<R> {
    decoder: FrameDecoder,
    packed: R,
    is_open: bool,
}

impl<R: BufRead> Frames<R> {
    fn of(packed: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_BYTES_MAX);
        Frames { decoder, packed, is_open: false }
    }

    /// Goes to the next frame; false at the end of the file.
    fn open_next(&mut self) -> io::Result<bool> {
        while !self.packed.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let passed = io::copy(&mut self.packed.by_ref().take(length.into()), &mut io::sink())?;
                    if passed < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(false)
    }

    fn check_sum(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(written), Some(found)) if written != found => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the content does not match its checksum"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while !bytes.is_empty() {
            if !self.is_open && !self.open_next()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let decoded = self.decoder.decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1));
                decoded.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            let got = self.decoder.read(bytes)?;
            if got > 0 {
                return Ok(got);
            }
            self.check_sum()?;
            self.is_open = false;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{gzip, zstd};

    fn unpacked(packing: Packing, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("x"), bytes)?;
        let mut content = Vec::new();
        packing.content(File::open(dir.path().join("x"))?).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn the_end_of_the_name_says_how_a_file_is_packed() {
        for (name, packing) in
            [("a.gz", Packing::Gzip), ("b/A.GZ", Packing::Gzip), ("x.zst", Packing::Zstd), ("gz", Packing::Plain), ("é", Packing::Plain)]
        {
            assert_eq!(Packing::of(name), packing, "{name}");
        }
    }

    #[test]
    fn all_members_and_frames_are_read_one_behind_the_other() {
        let gz = [gzip(b"one\n"), gzip(b""), gzip(b"two")].concat();
        assert_eq!(unpacked(Packing::Gzip, &gz).expect("whole"), b"one\ntwo");
        let padded = |behind: &[u8]| unpacked(Packing::Gzip, &[&gz, &[0; 700][..], behind].concat());
        assert_eq!(padded(b"").expect("as from a tape"), b"one\ntwo");
        assert!(padded(&gz).is_err() && padded(b"x").is_err(), "zeros in the middle are none of a whole file");
        assert!(unpacked(Packing::Gzip, &[&gz, &b"x"[..]].concat()).is_err(), "nor is anything else behind it");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let zst = [zstd(b"one\n"), skippable, zstd(b""), zstd(b"two")].concat();
        assert_eq!(unpacked(Packing::Zstd, &zst).expect("whole"), b"one\ntwo");
        assert_eq!(unpacked(Packing::Zstd, b"").expect("nothing is no frame at all"), b"");
    }

    #[test]
    fn an_archive_cut_anywhere_or_with_a_flipped_bit_is_never_read_as_another_content() {
        let content: Vec<u8> = (0..400u32).flat_map(|n| format!("line {}\n", n % 37).into_bytes()).collect();
        for (packing, whole) in [(Packing::Gzip, gzip(&content)), (Packing::Zstd, zstd(&content))] {
            for cut in 1..whole.len() {
                assert!(unpacked(packing, &whole[..cut]).is_err(), "{packing:?} cut at {cut} of {}", whole.len());
            }
            for at in 0..whole.len() {
                let mut bent = whole.clone();
                bent[at] ^= 0x10;
                assert!(unpacked(packing, &bent).map_or(true, |read| read == content), "{packing:?} with byte {at} changed");
            }
        }
    }
}
