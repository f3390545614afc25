//! A folder for a command's temporary files: empty when it begins, gone when it has ended.
//!
//! It lies where this machine keeps such files (`TMPDIR`, else `/tmp`), for the mount that a job lies on is slow for that. A folder that the last command left as it was is given
//! to the next one: two calls instead of four, for most never use it. What a killed worker left is removed by the next one of this user on this machine.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::here;
use crate::ids::WorkerName;

/// No file system's clock ticks more slowly (a server's may have whole seconds).
const TICK_MAX: Duration = Duration::from_secs(3);

/// Names begin with this, and go on with a worker's.
const PREFIX: &str = "flockwork-scratch-";

/// The folder of one worker.
pub(super) struct Scratch {
    path: PathBuf,
    /// When it was last changed, if it is there, and when it was made by this process's clock.
    made: Option<((i64, i64), Instant)>,
    /// It was made so long before the command began that whatever that changed has another stamp.
    is_settled: bool,
}

impl Scratch {
    /// Of the worker `name`; removes what dead ones left.
    pub(super) fn new(name: &WorkerName) -> Scratch {
        let dir = std::env::temp_dir();
        sweep(&dir, name);
        // A command may run in another folder than this process.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        Scratch { path: dir.join(format!("{PREFIX}{name}")), made: None, is_settled: false }
    }

    /// The folder, empty.
    pub(super) fn fresh(&mut self) -> Result<&Path> {
        if self.made.is_none() {
            let made = DirBuilder::new().mode(0o700).create(&self.path).and_then(|()| changed(&self.path));
            self.made = Some((made.map_err(|error| refused(&self.path, error))?, Instant::now()));
        }
        self.is_settled = self.made.is_some_and(|(_, at)| at.elapsed() > TICK_MAX);
        Ok(&self.path)
    }

    /// Removes the folder, unless it is as it was made.
    pub(super) fn clear(&mut self) {
        let is_as_made = changed(&self.path).is_ok_and(|at| self.made.is_some_and(|(made, _)| made == at));
        // A clock's tick may be longer than the time since it was made.
        let is_empty = || std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.next().is_none());
        if !(is_as_made && (self.is_settled || is_empty())) {
            self.remove();
        }
    }

    fn remove(&mut self) {
        if self.made.take().is_some() {
            // What cannot be removed would be found by the next command: it gets another folder.
            let removed = std::fs::remove_dir_all(&self.path);
            if removed.is_err() {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.path.set_file_name(format!("{name}+"));
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Where such folders lie, as one more folder to write in.
pub(super) fn place() -> Option<String> {
    std::path::absolute(std::env::temp_dir()).ok()?.to_str().map(str::to_owned)
}

/// Whether commands can have such folders on this machine, as far as that does not pass by itself; if not, why.
pub fn can_have_scratch() -> Result<()> {
    let place = std::env::temp_dir();
    match place.join(".").metadata() {
        Err(error) if is_missing(&error) => Err(refused(&place.join(PREFIX), error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Why the folder `path` was not made. Where there is none to make it in, waiting helps nobody: no command can be run here.
fn refused(path: &Path, error: io::Error) -> Error {
    if is_missing(&error) {
        let place = path.parent().unwrap_or(path);
        let error = Error::io("cannot create a folder for temporary files in", place, error).of_kind(ErrorKind::Unfit);
        return error.advise("make that folder, or set TMPDIR to one that is there");
    }
    Error::io("cannot create a folder for temporary files:", path, error).advise("TMPDIR says where they lie on this machine")
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn changed(path: &Path) -> io::Result<(i64, i64)> {
    path.symlink_metadata().map(|meta| (meta.ctime(), meta.ctime_nsec()))
}

/// Best effort: removes folders of this user's whose worker was on this machine and is no more.
fn sweep(dir: &Path, me: &WorkerName) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(worker) = name.strip_prefix(PREFIX).and_then(|name| name.trim_end_matches('+').parse::<WorkerName>().ok()) else {
            continue;
        };
        let is_ours = entry.path().symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == here::uid());
        let is_dead = worker.host() == me.host() && !Path::new(&format!("/proc/{}", worker.pid())).is_dir();
        if is_ours && is_dead {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_empty_for_everybody_and_gone_in_the_end() {
        let name = here::new_name();
        let mut scratch = Scratch::new(&name);
        let first = scratch.fresh().expect("made").to_owned();
        scratch.clear();
        assert!(first.is_dir(), "as it was: it is kept for the next");
        std::fs::write(first.join("left"), "x").expect("written");
        scratch.clear();
        assert!(!first.is_dir(), "used: it is removed");
        let again = scratch.fresh().expect("made").to_owned();
        assert_eq!(std::fs::read_dir(&again).expect("there").count(), 0);
        drop(scratch);
        assert!(!again.is_dir());
    }

    #[test]
    fn where_there_is_no_place_for_it_no_command_can_be_run_and_what_else_is_refused_may_pass() {
        let dir = tempfile::tempdir().expect("a directory");
        let refused = |name: &str| Scratch { path: dir.path().join(name), made: None, is_settled: false }.fresh().expect_err("refused");
        std::fs::write(dir.path().join("file"), "").expect("written");
        for name in ["gone/x", "file/x"] {
            let error = refused(name);
            assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Unfit, false), "{error}");
            assert_eq!(error.path(), dir.path().join(name).parent(), "what is to be made is named");
            assert!(error.to_string().ends_with("; make that folder, or set TMPDIR to one that is there"), "{error}");
        }
        let error = refused("file");
        assert_eq!((error.kind(), error.may_pass()), (ErrorKind::Io, true), "{error}");
        assert!(can_have_scratch().is_ok(), "the tests have one");
    }

    #[test]
    fn what_a_dead_worker_left_is_swept_away_and_nobody_elses() {
        let dir = tempfile::tempdir().expect("a directory");
        let me = here::new_name();
        let dead = WorkerName::new(me.host(), 1 << 30, "k3f");
        let elsewhere = WorkerName::new("elsewhere", 1 << 30, "k3f");
        for name in [dead.to_string(), elsewhere.to_string(), me.to_string(), "foreign".to_owned()] {
            std::fs::create_dir(dir.path().join(format!("{PREFIX}{name}"))).expect("made");
        }
        sweep(dir.path(), &me);
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(!dir.path().join(format!("{PREFIX}{dead}")).is_dir());
    }
}
