//! Looks that can be believed.
//!
//! Problem: an NFS client may answer from its caches that a name is absent for a minute after another machine made it, and NFSv3 can keep a wrong
//! listing for ever where two changes fell into one tick of the server's clock. Workaround: a change of one's own to the directory (a touch) ends every
//! wrong listing of it; opening the directory by path ends every wrong answer about a name in it. What rests on *absence* is decided only after both.

use std::io;

use super::create::dir_of;
use super::rename::is_gone;
use super::{Disk, Entry};

/// Makes this client forget what it believes about `dir` (SETATTR + GETATTR).
pub fn renew(disk: &dyn Disk, dir: &str) -> io::Result<()> {
    disk.touch(dir)?;
    disk.refresh(dir)
}

/// A listing on which a decision from absence may rest.
pub fn list_surely(disk: &dyn Disk, dir: &str) -> io::Result<Vec<Entry>> {
    disk.touch(dir)?;
    disk.list(dir)
}

/// Whether `path` exists now; for names that may have been absent before.
pub fn is_there(disk: &dyn Disk, path: &str) -> io::Result<bool> {
    renew(disk, dir_of(path))?;
    match disk.look(path) {
        Ok(_) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
