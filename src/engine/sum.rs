//! Checksums of data files: CRC-32 (IEEE) and length, computed while the bytes pass by, so that no file is read a second time for it.
//!
//! It finds damage by accident (a torn write, a truncated file, a bad cable), not by intent.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::data::FileSum;
use crate::disk::real;

/// Bytes read at a time by [`of_file`].
const BLOCK_BYTES: usize = 1 << 20;

/// Reads the whole file at `path`, hands it on block by block, and describes it. Symbolic links and whatever is no plain file are refused.
pub fn of_file(path: &Path, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<FileSum> {
    let mut file = open_plain(path)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut sum = Sum::default();
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                sum.update(&block[..n]);
                each(&block[..n])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum.describe(&path.file_name().unwrap_or_default().to_string_lossy()))
}

/// Opens what a name of ours stands for. Symbolic links and whatever is no plain file are refused, as damage.
pub(super) fn open_plain(path: &Path) -> io::Result<File> {
    real::open_plain(path, OpenOptions::new().read(true)).map_err(|error| match error.raw_os_error() {
        None => io::Error::new(io::ErrorKind::InvalidData, error),
        Some(_) => error,
    })
}

/// Length and CRC-32 of the bytes seen so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Sum {
    hasher: crc32fast::Hasher,
    len: u64,
}

impl Sum {
    /// Sees more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// The CRC-32 of the bytes seen.
    pub(super) fn crc32(self) -> u32 {
        self.hasher.finalize()
    }

    /// The description of a file called `name` that holds exactly the bytes seen.
    pub(super) fn describe(self, name: &str) -> FileSum {
        FileSum { name: name.to_owned(), len: self.len, crc32: self.hasher.finalize(), sections: 1 }
    }
}

/// The CRC-32 of these bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// The CRC-32 of bytes whose CRC-32 is `before`, with these behind them; 0 before the first.
pub fn crc32_on(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(before);
    hasher.update(bytes);
    hasher.finalize()
}

/// The CRC-32 of `a` and `b` behind each other.
pub(super) fn crc32_of_two(a: &[u8], b: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc32fast::hash(a));
    hasher.update(b);
    hasher.finalize()
}

/// True if `bytes` are the whole content of the file described.
pub(super) fn is_whole(bytes: &[u8], described: &FileSum) -> bool {
    bytes.len() as u64 == described.len && crc32fast::hash(bytes) == described.crc32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_file_is_damage_and_waited_for_by_nobody() {
        let dir = tempfile::tempdir().expect("a directory");
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("link"));
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        std::os::unix::fs::symlink("pipe", &link).expect("a link");
        for path in [&pipe, dir.path()] {
            assert_eq!(open_plain(path).expect_err("refused").kind(), io::ErrorKind::InvalidData, "{}", path.display());
        }
        assert!(open_plain(&link).is_err(), "a link is not followed");
    }

    /// A lease on the file, as a server on this machine takes one for a client that may write it; its holder lets go when asked.
    const LEASED: &str = r#"
import fcntl, signal, sys, time
file = open(sys.argv[1])
signal.signal(signal.SIGIO, lambda *_: (time.sleep(0.2), fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK), sys.exit(0)))
held = open(sys.argv[1], "r+")
file.close()
fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
file = held
print("leased", flush=True)
time.sleep(60)
"#;

    #[test]
    fn a_file_leased_on_this_machine_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("run");
        std::fs::write(&path, b"whole").expect("written");
        let mut command = std::process::Command::new("python3");
        command.args(["-c", LEASED]).arg(&path).stdout(std::process::Stdio::piped());
        let mut holder = command.spawn().expect("python3 is there");
        let mut said = [0; 6];
        holder.stdout.take().expect("piped").read_exact(&mut said).expect("the file is leased");
        let opened = of_file(&path, &mut |_| Ok(()));
        let _ = holder.kill();
        holder.wait().expect("it ends");
        assert_eq!(opened.expect("it was worth the wait").len, 5);
    }

    #[test]
    fn the_sum_is_that_of_the_whole_however_it_was_cut() {
        let mut sum = Sum::default();
        sum.update(b"1234");
        sum.update(b"");
        sum.update(b"56789");
        let file = sum.describe("x");
        assert_eq!((file.len, file.crc32), (9, 0xCBF4_3926), "the check value every CRC-32 (IEEE) has for 123456789");
        assert!(is_whole(b"123456789", &file), "it is the file");
        assert!(!is_whole(b"123456780", &file) && !is_whole(b"12345678", &file), "changed or cut, it is not");
    }
}
