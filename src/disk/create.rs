//! Creating what exists once, and whole files: link(2) and a draft, made honest.
//!
//! Problem: `link` answers EEXIST where it was done but its reply was lost; `O_EXCL` shows a name before its content. Workaround: the content is
//! complete under a temporary name first; after EEXIST the inode behind the final name says whether it is ours.

use std::io;

use super::rename::is_gone;
use super::{Created, Disk, Flush, Hold};

/// Creates `path` with `bytes`, once: whoever comes second gets [`Created::Before`] and changes nothing.
pub fn create_once(disk: &dyn Disk, path: &str, bytes: &[u8]) -> io::Result<Created> {
    let draft = disk.draft(dir_of(path), bytes, Flush::Always)?;
    let created = link_once(disk, &draft, path);
    // The temporary name has served; that it may stay behind after a crash harms nobody (names with a dot are never listed).
    let _ = disk.remove(&draft);
    created
}

/// A file that is too long to be held in memory, on its way to [`create_once`]: written part by part under a temporary name. Where the disk refuses a part, the file is
/// taken away: one that is begun anew each second would eat the room that others free.
pub struct Growing {
    draft: String,
    hold: Box<dyn Hold>,
}

impl Growing {
    /// Begins one in `dir`.
    pub fn begin(disk: &dyn Disk, dir: &str) -> io::Result<Growing> {
        let draft = disk.draft(dir, b"", Flush::OnNetwork)?;
        let hold = disk.open(&draft).inspect_err(|_| drop(disk.remove(&draft)))?;
        Ok(Growing { draft, hold })
    }

    /// Adds a part. After an error there is nothing any more to add to.
    pub fn append(&mut self, disk: &dyn Disk, bytes: &[u8]) -> io::Result<()> {
        self.hold.append(bytes).inspect_err(|_| drop(disk.remove(&self.draft)))
    }

    /// Gives it its name, once.
    pub fn create_once(mut self, disk: &dyn Disk, path: &str) -> io::Result<Created> {
        self.hold.flush(Flush::Always).inspect_err(|_| drop(disk.remove(&self.draft)))?;
        drop(self.hold);
        let created = link_once(disk, &self.draft, path);
        let _ = disk.remove(&self.draft);
        created
    }
}

/// Makes `to` a second name of `from`, unless something else bears it.
pub fn link_once(disk: &dyn Disk, from: &str, to: &str) -> io::Result<Created> {
    match disk.link(from, to) {
        Ok(()) => Ok(Created::Now),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            super::fresh::renew(disk, dir_of(to))?;
            let ours = disk.look(from)?.inode;
            match disk.look(to) {
                Ok(look) if look.inode == ours => Ok(Created::Now),
                Ok(_) => Ok(Created::Before),
                Err(error) if is_gone(&error) => Ok(Created::Before),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Writes `path` whole: complete under a temporary name, then renamed. Replaces what bears the name, so only for names that several writers
/// may give the same content. A crash leaves the temporary file or the whole file.
pub fn write_whole(disk: &dyn Disk, path: &str, bytes: &[u8], flush: Flush) -> io::Result<()> {
    let draft = disk.draft(dir_of(path), bytes, flush)?;
    match disk.rename(&draft, path) {
        Ok(()) => Ok(()),
        // Nobody else knows the temporary name: where it is gone and the directory is not, the rename was done and its reply lost.
        Err(error) if is_gone(&error) => super::fresh::renew(disk, dir_of(path)),
        Err(error) => Err(error),
    }
}

/// The directory part of a path of ours; `.` for a name in the job directory itself.
pub fn dir_of(path: &str) -> &str {
    dir_and_name(path).0
}

/// The directory part of a path of ours, and the name in it. Byte by byte: names are short, and the simulated disk asks this all the time.
pub fn dir_and_name(path: &str) -> (&str, &str) {
    match path.bytes().rposition(|byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (".", path),
    }
}
