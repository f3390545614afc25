//! Where the commands of an attempt complain: one file for all of them, made when the first of them does, of which the beginning and the end are kept.
//!
//! The beginning is written as it comes, so that it can be read while a command runs and stays when its worker is killed; the end is written when the attempt has ended, however it
//! did. It is for people: a file that cannot be written is no error of the attempt, and what it should hold is dropped.
//!
//! Cost: one open, one close and a few writes, of an attempt that complains; nothing of any other.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::disk::real;

/// Bytes of the beginning that are kept.
const HEAD_BYTES: usize = 64 << 10;
/// Bytes of the end.
const TAIL_BYTES: usize = 64 << 10;

/// The file of one attempt; its clones are the same.
#[derive(Clone, Default)]
pub(super) struct Complaints(Rc<RefCell<Pen>>);

#[derive(Default)]
struct Pen {
    path: Option<PathBuf>,
    file: Option<File>,
    /// Of the beginning, not written yet.
    head: Vec<u8>,
    /// Room left in the beginning.
    room: usize,
    /// The last bytes, and what has not been cut off before them yet.
    tail: Vec<u8>,
    left_out: u64,
}

impl Complaints {
    /// To be kept at `path`, or nowhere.
    pub(super) fn at(path: Option<&Path>) -> Complaints {
        let complaints = Complaints::default();
        {
            let pen = &mut *complaints.0.borrow_mut();
            (pen.path, pen.room) = (path.map(Path::to_owned), HEAD_BYTES);
        }
        complaints
    }

    /// Adds bytes, which are written by the next [`Complaints::flush`].
    pub(super) fn add(&self, bytes: &[u8]) {
        self.0.borrow_mut().add(bytes);
    }

    /// Writes what is to be written now.
    pub(super) fn flush(&self) {
        let pen = &mut *self.0.borrow_mut();
        let head = std::mem::take(&mut pen.head);
        pen.write(&head);
    }

    /// Where more is to be read than is kept in an error.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let pen = self.0.borrow();
        pen.file.as_ref().and(pen.path.clone())
    }
}

impl Pen {
    fn add(&mut self, bytes: &[u8]) {
        if self.path.is_none() {
            return;
        }
        let (head, rest) = bytes.split_at(bytes.len().min(self.room));
        self.head.extend_from_slice(head);
        self.room -= head.len();
        // Of one long block only the end is worth a copy.
        let skipped = rest.len().saturating_sub(TAIL_BYTES);
        self.tail.extend_from_slice(&rest[skipped..]);
        self.left_out += skipped as u64;
        if self.tail.len() > 2 * TAIL_BYTES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let cut = self.tail.len().saturating_sub(TAIL_BYTES);
        self.left_out += cut as u64;
        self.tail.drain(..cut);
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(path) = self.path.as_ref().filter(|_| !bytes.is_empty()) else { return };
        if self.file.is_none() {
            // An attempt that is tried again, because the disk refused it, goes on behind what it said.
            self.file = real::open_plain(path, OpenOptions::new().append(true).create(true)).ok();
        }
        let written = self.file.as_mut().map(|file| file.write_all(bytes));
        if !matches!(written, Some(Ok(()))) {
            self.path = None;
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        let mut rest = std::mem::take(&mut self.head);
        self.cut();
        if self.left_out > 0 {
            rest.extend_from_slice(format!("\n[... {} bytes are left out ...]\n", self.left_out).as_bytes());
        }
        rest.append(&mut self.tail);
        self.write(&rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in the file when `blocks` were said, by two who share it in turn.
    fn kept(blocks: &[&[u8]]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.stderr");
        let complaints = [Complaints::at(Some(&path))];
        let both = [complaints[0].clone(), complaints[0].clone()];
        for (block, n) in blocks.iter().zip(0..) {
            both[n % 2].add(block);
            both[n % 2].flush();
            assert!(complaints[0].0.borrow().tail.len() <= 2 * TAIL_BYTES, "bounded");
        }
        drop((complaints, both));
        std::fs::read(path).ok()
    }

    #[test]
    fn whoever_says_nothing_has_no_file() {
        assert_eq!(kept(&[]), None);
        assert_eq!(kept(&[b"", b""]), None);
        Complaints::at(None).add(b"lost");
    }

    #[test]
    fn what_is_short_is_kept_whole_and_of_what_is_long_the_beginning_and_the_end() {
        assert_eq!(kept(&[b"oh\n", b"no\n"]).expect("kept"), b"oh\nno\n");
        let all: Vec<u8> = (0..100_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
        let fits = &all[..HEAD_BYTES + TAIL_BYTES];
        assert!(kept(&[fits]).expect("kept") == fits, "to the last byte that is kept");
        for size in [1000, 70_000, all.len()] {
            let kept = kept(&all.chunks(size).collect::<Vec<_>>()).expect("kept");
            assert!(kept.starts_with(&all[..HEAD_BYTES]) && kept.ends_with(&all[all.len() - TAIL_BYTES..]), "{size}");
            let between = String::from_utf8_lossy(&kept[HEAD_BYTES..kept.len() - TAIL_BYTES]).into_owned();
            assert_eq!(between, format!("\n[... {} bytes are left out ...]\n", all.len() - HEAD_BYTES - TAIL_BYTES), "{size}");
        }
    }

    #[test]
    fn the_beginning_can_be_read_at_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x.stderr");
        let complaints = Complaints::at(Some(&path));
        complaints.add(b"it begins\n");
        complaints.flush();
        assert_eq!(std::fs::read(&path).expect("there"), b"it begins\n");
        assert_eq!(complaints.path(), Some(path));
    }

    #[test]
    fn a_file_that_cannot_be_made_is_nobodys_error() {
        let complaints = Complaints::at(Some(Path::new("/no/such/folder/x")));
        complaints.add(b"lost");
        complaints.flush();
        assert_eq!(complaints.path(), None);
    }
}
