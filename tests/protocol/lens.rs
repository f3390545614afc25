//! A disk as an actor of the explorer sees it: faithfully, or as a mutant of the protocol.
//!
//! What an actor does must not differ from run to run, so the wall-clock times in task files are made one constant. Calls that nobody in the scene can
//! notice are not made at all: without stale answers to end, a touch or an opening of a *directory* changes nothing on the simulated disk, nobody asks
//! when a worker was last seen, and
//! directories that no actor of the scene writes to are listed as they are in the beginning. That leaves the states that differ in what matters.
//!
//! A mutant takes one safeguard out by answering the protocol's real code as if it were not there; the production code stays as it is.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::disk::sim::client::SimClient;
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::{Disk, Entry, Flush, Hold, Look};

/// What is taken out of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    None,
    /// The fence: a commit whose claim is gone copies its result to `done/` all the same.
    NoFence,
    /// The look for one's own name after ENOENT of a rename: the ENOENT is believed.
    NoLostReplyCheck,
    /// The look whether the claimed name is the inode held open.
    NoInodeCheck,
}

/// One actor's disk.
#[derive(Clone)]
pub struct Lens {
    disk: SimClient,
    mutant: Mutant,
    canned: BTreeMap<String, Vec<Entry>>,
    seen: Arc<Mutex<Seen>>,
}

/// What a mutant has to remember.
#[derive(Default)]
struct Seen {
    opened: Option<(u64, u64)>,
    gone: Option<String>,
    said: Vec<u8>,
}

struct LensHold {
    hold: Box<dyn Hold>,
    seen: Arc<Mutex<Seen>>,
}

impl Lens {
    pub fn new(disk: &SimClient, mutant: Mutant) -> Lens {
        Lens { disk: disk.clone(), mutant, canned: BTreeMap::new(), seen: Arc::default() }
    }

    /// These directories stay as they are in `state`.
    pub fn with_canned(mut self, state: &DiskState, dirs: &[&str]) -> Lens {
        self.canned = dirs.iter().map(|dir| ((*dir).to_owned(), state.children(dir))).collect();
        self
    }
}

fn is_dir(path: &str) -> bool {
    !path.contains('/') && !path.contains(".lock")
}

/// Replaces what follows every `"at":"`, up to the next quote.
fn timeless(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_owned()).expect("JSON");
    let mut parts = text.split("\"at\":\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("\"at\":\"then");
        out.push_str(&part[part.find('"').expect("the end of a string")..]);
    }
    out.into_bytes()
}

impl Disk for Lens {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        match self.canned.get(dir) {
            Some(entries) => Ok(entries.clone()),
            None => self.disk.list(dir),
        }
    }

    fn refresh(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let renamed = self.disk.rename(from, to);
        if renamed.is_ok() {
            return renamed;
        }
        match self.mutant {
            Mutant::NoFence if to.starts_with("done/") => {
                let said = self.seen.lock().expect("one thread").said.clone();
                let draft = self.disk.draft("done", &said, Flush::Always)?;
                self.disk.rename(&draft, to)
            }
            Mutant::NoLostReplyCheck => {
                self.seen.lock().expect("one thread").gone = Some(to.to_owned());
                renamed
            }
            Mutant::None | Mutant::NoFence | Mutant::NoInodeCheck => renamed,
        }
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.link(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String> {
        self.disk.draft(dir, &timeless(bytes), flush)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        let hold = self.disk.open(path)?;
        if self.mutant == Mutant::NoInodeCheck {
            self.seen.lock().expect("one thread").opened = Some(hold.inode()?);
        }
        Ok(Box::new(LensHold { hold, seen: Arc::clone(&self.seen) }))
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.disk.read(path, limit)
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        if is_dir(path) || path.starts_with("workers/") { Ok(()) } else { self.disk.touch(path) }
    }

    fn look(&self, path: &str) -> io::Result<Look> {
        if self.seen.lock().expect("one thread").gone.as_deref() == Some(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let look = self.disk.look(path)?;
        let opened = self.seen.lock().expect("one thread").opened;
        Ok(Look { inode: opened.unwrap_or(look.inode), ..look })
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn is_network(&self) -> bool {
        true
    }
}

impl Hold for LensHold {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = timeless(bytes);
        self.seen.lock().expect("one thread").said.clone_from(&bytes);
        self.hold.append(&bytes)
    }

    fn try_lock(&self) -> flockwork::disk::Lock {
        self.hold.try_lock()
    }

    fn inode(&self) -> io::Result<(u64, u64)> {
        self.hold.inode()
    }

    fn touch(&self) -> io::Result<()> {
        self.hold.touch()
    }

    fn flush(&mut self, _: Flush) -> io::Result<()> {
        Ok(())
    }
}
