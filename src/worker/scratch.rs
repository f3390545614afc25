//! A folder for a command's temporary files: empty when it begins, gone when it has ended.
//!
//! It lies where this machine keeps such files (`TMPDIR`, else `/tmp`), for the mount that a job lies on is slow for that. A folder that the last command left as it was is given
//! to the next one: two calls instead of four, for most never use it. What a killed worker left is removed by the next one of this user on this machine.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
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
        let fail = |error| {
            Error::io("cannot create a folder for temporary files:", &self.path, error).advise("TMPDIR says where they lie on this machine")
        };
        if self.made.is_none() {
            DirBuilder::new().mode(0o700).create(&self.path).map_err(fail)?;
            self.made = Some((changed(&self.path).map_err(fail)?, Instant::now()));
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

fn changed(path: &Path) -> std::io::Result<(i64, i64)> {
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
