//! `workers/NAME`: one file per live worker; its mtime says when it was last seen, its lock that it lives.
//!
//! The file is locked *before* it gets its name, so that a lock found free means a dead worker and never a starting one. It stays open for
//! writing while it is touched, so that no server hands a read delegation of it to whoever looks (nfs). Removing it asks its worker
//! to finish its task and leave. Its first line says who it is; further ones what the disk refuses it.

use std::io;

use serde::{Deserialize, Serialize};

use super::layout;
use crate::disk::rename::is_gone;
use crate::disk::{Disk, Flush, Hold, Lock};
use crate::ids::WorkerName;

/// Largest file of a worker that is read, in bytes.
const ABOUT_BYTES_MAX: u64 = 64 << 10;

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The machine.
    pub host: String,
    /// The slot's process.
    pub pid: u32,
    /// The user it runs as.
    pub uid: u32,
    /// flockwork's version.
    pub version: String,
    /// `taken` if the file could be locked, `broken` if this mount has no locks.
    pub lock: String,
    /// Which run of which kernel it is a process of; see [`crate::here::boot`].
    pub boot: Option<String>,
    /// The device this file is on as its worker sees it: one kernel may have mounted a share twice, and then no lock need pass from one to the other.
    pub device: Option<u64>,
    /// When it started, by its own clock; for people.
    pub since: String,
}

/// A later line of the file: what the disk refuses this worker; empty when that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Trouble {
    trouble: String,
}

/// A worker's presence in a job, for as long as it is held.
pub struct Presence {
    path: String,
    _hold: Box<dyn Hold>,
}

impl Presence {
    /// Registers the worker `name`.
    pub fn register(disk: &dyn Disk, name: &WorkerName, uid: u32) -> io::Result<Presence> {
        let draft = disk.draft(layout::WORKERS, b"", Flush::OnNetwork)?;
        // Whoever is refused tries again, perhaps for hours: nothing of it is left behind.
        Presence::register_draft(disk, &draft, name, uid).inspect_err(|_| _ = disk.remove(&draft))
    }

    fn register_draft(disk: &dyn Disk, draft: &str, name: &WorkerName, uid: u32) -> io::Result<Presence> {
        let mut hold = disk.open(draft)?;
        let lock = match hold.try_lock() {
            Lock::Taken => "taken",
            Lock::Refused | Lock::Broken => "broken",
        };
        let about = About {
            host: name.host().to_owned(),
            pid: name.pid(),
            uid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lock: lock.to_owned(),
            boot: crate::here::boot(),
            device: hold.inode().ok().map(|(device, _)| device),
            since: crate::units::stamp_utc(),
        };
        hold.append(&line(&about))?;
        hold.flush(Flush::OnNetwork)?;
        let path = layout::worker(name);
        match disk.rename(draft, &path) {
            // Nobody else knows either name: a source that is gone was moved by us.
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(Presence { path, _hold: hold }),
        }
    }

    /// What a dead worker said of itself; `None` if that cannot be read.
    pub fn last_words(disk: &dyn Disk, name: &WorkerName) -> Option<About> {
        let bytes = disk.read(&layout::worker(name), ABOUT_BYTES_MAX).ok()?;
        serde_json::from_slice(bytes.split(|&byte| byte == b'\n').next()?).ok()
    }

    /// Says what the disk refuses the worker `name`, or with no words that this is over. Best effort: a disk that refuses may refuse this, too.
    pub fn say_trouble(disk: &dyn Disk, name: &WorkerName, text: &str) -> io::Result<()> {
        let mut hold = disk.open(&layout::worker(name))?;
        hold.append(&line(&Trouble { trouble: text.to_owned() }))?;
        hold.flush(Flush::OnNetwork)
    }

    /// What the disk refuses a worker, in its own words; `None` if it is well, or that cannot be read.
    pub fn trouble_of(disk: &dyn Disk, name: &WorkerName) -> Option<String> {
        let bytes = disk.read(&layout::worker(name), ABOUT_BYTES_MAX).ok()?;
        let last = bytes.split(|&byte| byte == b'\n').skip(1).filter(|line| !line.is_empty()).last()?;
        serde_json::from_slice(last).ok().map(|Trouble { trouble }| trouble).filter(|text| !text.is_empty())
    }

    /// Takes the worker out of the listing; its claims must have ended.
    pub fn leave(self, disk: &dyn Disk) {
        let _ = disk.remove(&self.path);
    }
}

fn line(of: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(of).expect("string keys only");
    bytes.push(b'\n');
    bytes
}
