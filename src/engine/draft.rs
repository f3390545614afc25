//! A data file being written that is not yet visible: written beside its place as `.tmp-…`, described, flushed, renamed.
//!
//! Contract: under its final name a file is complete and described by length and checksum; a draft that is dropped is removed. The permissions
//! are the umask's (tempfile's own 0600 would shut other users' workers out). A process that is killed leaves a `.tmp-` file behind, which
//! nobody reads and `clean` removes.
//!
//! On NFS: a rename may be done and its reply lost; ENOENT is therefore answered by looking whether the final name is the inode held open, which
//! is sound because the final name bears the attempt and its worker, and nobody else ever makes it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

use super::sum::Sum;
use crate::data::{Failure, FileSum};
use crate::disk::real::create_draft;
use crate::error::Error;

/// How far a file's bytes must have got when it is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// To the server's disk: write errors of a network mount appear only then.
    ToDisk,
    /// To the operating system: enough on a local disk for what can be made again.
    ToCache,
}

/// A file for this process only, closed and complete. Dropping it removes it.
pub(super) struct Temporary(TempPath);

impl Temporary {
    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A file being written that is not yet visible. Dropping it removes it.
#[must_use = "a draft that is not finished is removed"]
pub(super) struct Draft {
    file: NamedTempFile,
    sum: Sum,
}

impl Draft {
    /// An empty draft in `dir`.
    pub(super) fn create(dir: &Path) -> Result<Draft, Failure> {
        match create_draft(dir) {
            Ok(file) => Ok(Draft { file, sum: Sum::default() }),
            Err(error) => Err(Failure::Disk(Error::io("cannot create a file in", dir, error))),
        }
    }

    /// Appends bytes; callers hand over large blocks, there is no buffer in between.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sum.update(bytes);
        self.file.as_file_mut().write_all(bytes).map_err(|error| Failure::Disk(Error::io("cannot write", self.file.path(), error)))
    }

    /// Closes the file and leaves it under its temporary name, until that is dropped.
    pub(super) fn keep(self) -> Temporary {
        Temporary(self.file.into_temp_path())
    }

    /// Flushes the file as asked, gives it its name, and describes it.
    pub(super) fn finish(self, target: &Path, flush: Flush) -> Result<FileSum, Failure> {
        let Draft { file, sum } = self;
        if flush == Flush::ToDisk {
            file.as_file().sync_all().map_err(|error| Failure::Disk(Error::io("cannot flush", file.path(), error)))?;
        }
        if let Err(failed) = file.persist(target) {
            let done = failed.error.kind() == io::ErrorKind::NotFound && is_same_file(failed.file.as_file(), target);
            if !done {
                return Err(Failure::Disk(Error::io("cannot rename a finished file to", target, failed.error)));
            }
        }
        let name = target.file_name().and_then(|name| name.to_str()).expect("data files have the names of attempts, which are ASCII");
        Ok(sum.describe(name))
    }
}

fn is_same_file(held: &File, path: &Path) -> bool {
    // Opening the directory by path makes an NFS client forget a cached "no such name".
    let _ = path.parent().map(fs::read_dir);
    match (held.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_draft_is_invisible_until_it_is_finished_and_gone_when_it_is_dropped() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let names = || fs::read_dir(dir.path()).expect("readable").map(|e| e.expect("entry").file_name()).collect::<Vec<_>>();
        let mut draft = Draft::create(dir.path()).expect("created");
        draft.write(b"abc").expect("written");
        assert!(names()[0].to_string_lossy().starts_with(".tmp-"), "hidden while it is written");
        drop(draft);
        assert!(names().is_empty(), "a dropped draft leaves nothing");

        let mut draft = Draft::create(dir.path()).expect("created");
        draft.write(b"123456789").expect("written");
        let made = draft.finish(&dir.path().join("x.json"), Flush::ToDisk).expect("finished");
        assert_eq!(made, FileSum { name: "x.json".into(), len: 9, crc32: 0xCBF4_3926, sections: 1 });
        assert_eq!(names(), ["x.json"]);
        let mode = fs::metadata(dir.path().join("x.json")).expect("there").permissions().mode();
        assert_ne!(mode & 0o077, 0, "other users' workers can read it under the usual umask: {mode:o}");
    }

    #[test]
    fn a_folder_that_is_gone_is_an_error_of_the_disk_that_names_it() {
        let Err(Failure::Disk(error)) = Draft::create(Path::new("/no/such/folder")) else { panic!("it cannot be created") };
        assert!(error.to_string().starts_with("cannot create a file in /no/such/folder: No such file"), "{error}");
    }
}
