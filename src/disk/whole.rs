//! Reading a file whole, as it is at the server.
//!
//! Problem: for as long as any process of a machine has a file open for writing, the kernel takes what that machine has of it in memory for true, and learns only from the server how
//! long the file is by now: what another machine wrote meanwhile is read as NULs. So a coordinator, which has the first page of every task that it issued, read NULs where a result
//! stood, while a worker beside it waited for a lock on that task (in the ten seconds after a restart of the server). Whoever then appends to the file writes the NULs over what
//! the other wrote. (Measured on NFS 3 to 4.2: good results were retracted, and done again.) Workaround: no file that is read whole has a NUL in it, so one that seems to is read once
//! more without this machine's pages; and they are dropped before anything is appended.
//!
//! It does *not* see a page that is old and no shorter: these files only grow.

use std::fs::File;
use std::io::{self, Read, Seek};

use rustix::fs::{Advice, fadvise};

/// Read at once at most: what a file says of its length is only believed that far.
const FIRST_READ_MAX: usize = 1 << 20;

/// All of `file`, which is `len` bytes long as far as is known; `InvalidData` if that is more than `limit`.
pub(super) fn read(file: &mut File, len: u64, limit: u64, is_network: bool) -> io::Result<Vec<u8>> {
    let bytes = once(file, len, limit)?;
    if !(is_network && bytes.contains(&0)) {
        return Ok(bytes);
    }
    drop_pages(file);
    file.rewind()?;
    once(file, len, limit)
}

/// Lets go what this machine has in memory of an open file, but for what it has still to write. Costs no call.
pub(super) fn drop_pages(file: &File) {
    // Advice: where it is not taken, nothing is worse than before.
    let _ = fadvise(file, 0, None, Advice::DontNeed);
}

fn once(file: &mut File, len: u64, limit: u64) -> io::Result<Vec<u8>> {
    // One byte more than there should be tells the end in the same call (std would ask for 32 bytes first, then twice as many).
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(FIRST_READ_MAX) + 1];
    let mut filled = 0;
    let ended = loop {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break filled < bytes.len(),
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled as u64 == len || filled == bytes.len() {
            break filled < bytes.len();
        }
    };
    bytes.truncate(filled);
    if !ended {
        // One byte more than allowed tells a file that is too long, whatever its length was said to be.
        file.take(limit.saturating_add(1).saturating_sub(filled as u64)).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > limit { Err(too_long(limit)) } else { Ok(bytes) }
}

/// The refusal of a file that is longer than it may be.
fn too_long(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("longer than the {limit} bytes it may have"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::disk::real::RealDisk;

    #[test]
    fn a_file_of_any_length_is_read_whole_or_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        for len in [0, 1, 4095, 4096, FIRST_READ_MAX - 1, FIRST_READ_MAX, FIRST_READ_MAX + 1, 3 * FIRST_READ_MAX + 5] {
            let bytes: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            std::fs::write(dir.path().join("x"), &bytes).expect("written");
            assert!(disk.read("x", len as u64).expect("allowed") == bytes, "{len}");
            let refused = disk.read("x", (len as u64).saturating_sub(1)).map(|bytes| bytes.len());
            assert!(len == 0 || refused.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData), "{len}: one more than allowed");
        }
        assert!(RealDisk::at("/proc/self").read("status", 1 << 20).is_ok_and(|text| !text.is_empty()), "a length that is said to be 0");
    }

    #[test]
    fn what_has_a_nul_in_it_is_read_once_more_and_believed_then() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("x"), b"a\0b").expect("written");
        let mut file = File::open(dir.path().join("x")).expect("there");
        assert_eq!(read(&mut file, 3, 9, true).expect("read"), b"a\0b");
        assert_eq!(file.stream_position().expect("a place"), 3, "to its end again");
    }
}
