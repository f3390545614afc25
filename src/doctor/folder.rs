//! The doctor's own folder: everything is tried in it, and it goes when the examination ends.
//!
//! It lies in the examined directory as `.flockwork-doctor-HOST.PID.CHANCE`. Its file `alive` is touched several times a second, so that a
//! second machine tells a doctor at work from what a killed one left behind: by a stamp that changes, never by comparing clocks. The doctor
//! of the second machine touches `alive.peer` in the same way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::disk::real::RealDisk;
use crate::disk::{Disk, Flush, create};
use crate::error::{Error, Result};
use crate::here;

/// Folders of doctors begin with this.
pub const PREFIX: &str = ".flockwork-doctor-";
/// Touched for as long as the doctor lives; the last thing made, so where it is everything is.
pub const ALIVE: &str = "alive";
/// The same of the doctor that answers, once it is welcome.
pub const ALIVE_PEER: &str = "alive.peer";
/// How often.
const BEAT: Duration = Duration::from_millis(300);

/// What is made in it.
pub const DIRS: [&str; 12] =
    ["bench", "race", "won", "link", "talk-main", "talk-out", "talk-back", "news-out", "news-back", "beat-out", "beat-back", "pair"];

/// A folder that exists for as long as this is held.
pub struct Folder {
    path: PathBuf,
    disk: RealDisk,
    beating: Option<Beating>,
}

impl Folder {
    /// Makes one in `dir`, as `create` does: from then on there is something to clean up, and whoever may have to do that knows of it.
    pub fn make(dir: &Path, create: &dyn Fn(&Path) -> std::io::Result<()>) -> Result<Folder> {
        let path = dir.join(format!("{PREFIX}{}", here::new_name()));
        let fail = |error| Error::io("cannot make a folder in", dir, error);
        create(&path).map_err(fail)?;
        let mut folder = Folder { disk: RealDisk::at(&path), path, beating: None };
        for dir in DIRS {
            folder.disk.make_dir(dir).map_err(fail)?;
        }
        let beating = Beating::begin(&folder.disk, ALIVE).map_err(|error| Error::io("cannot write a file in", dir, error))?;
        folder.beating = Some(beating);
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory.
    pub fn disk(&self) -> &RealDisk {
        &self.disk
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.beating.take());
        remove(&self.path);
    }
}

/// A sign of life: a file that is touched for as long as this is held.
pub struct Beating {
    over: Arc<AtomicBool>,
}

impl Beating {
    /// Makes `file`, and goes on touching it.
    pub fn begin(disk: &RealDisk, file: &'static str) -> std::io::Result<Beating> {
        create::write_whole(disk, file, b"", Flush::OnNetwork)?;
        let beating = Beating { over: Arc::default() };
        let (disk, over) = (disk.clone(), Arc::clone(&beating.over));
        // Not joined: a touch may hang for as long as the server does.
        std::thread::spawn(move || {
            while !over.load(Relaxed) {
                let _ = disk.touch(file);
                std::thread::sleep(BEAT);
            }
        });
        Ok(beating)
    }
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

/// Removes a folder of the doctor's; names that an open file keeps on NFS (`.nfs…`) go after a moment.
pub fn remove(path: &Path) {
    for _ in 0..10 {
        if std::fs::remove_dir_all(path).is_ok() || path.symlink_metadata().is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The names of doctors' folders in `dir`, by a listing after a touch where that is allowed.
pub fn listed(dir: &Path) -> std::io::Result<Vec<String>> {
    let _ = RealDisk::at(dir).touch(".");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The stamp of the `alive` file of the doctor's folder `name` in `dir`, by a look that can be believed.
pub fn stamp(dir: &Path, name: &str) -> Option<i128> {
    let disk = RealDisk::at(dir);
    disk.refresh(name).ok()?;
    disk.look(&format!("{name}/{ALIVE}")).ok().map(|look| look.stamp)
}

/// The stamp of a sign of life in the doctor's folder `disk`, by a look that can be believed.
pub fn sign_of_life(disk: &RealDisk, file: &str) -> Option<i128> {
    disk.refresh(".").ok()?;
    disk.look(file).ok().map(|look| look.stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_listed_alive_while_it_is_held_and_gone_afterwards() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let folder = Folder::make(dir.path(), &|path| std::fs::create_dir(path)).expect("made");
        let names = listed(dir.path()).expect("listed");
        assert_eq!(names.len(), 1, "{names:?}");
        let first = stamp(dir.path(), &names[0]).expect("a stamp");
        let changed = (0..1200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            stamp(dir.path(), &names[0]).is_some_and(|stamp| stamp != first)
        });
        assert!(changed, "a doctor at work touches its folder");
        drop(folder);
        assert!(listed(dir.path()).expect("listed").is_empty(), "it cleans up");
        assert_eq!(stamp(dir.path(), &names[0]), None);
    }
}
