//! What one client believes about the shared directory, and until when.
//!
//! As measured on NFS 3 and 4: a listing may be an old one until the client *changes* the directory itself; a name may be believed absent,
//! or to be the file it was, until the client *opens* the directory (which a wrong listing can make useless, unless it changed it before).

use std::collections::{BTreeMap, BTreeSet};

use super::by_dir::ByDir;
use super::op::Inode;
use crate::disk::Entry;

/// One client's beliefs. They are never wrong at the time; they may be used later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Cache {
    memory: Memory,
    listed: BTreeMap<String, Listing>,
    names: ByDir<Option<Inode>>,
    changed: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Memory {
    #[default]
    Keeps,
    Lost,
}

impl Cache {
    /// The client saw that `path` is this file, or nothing.
    pub fn saw(&mut self, path: &str, inode: Option<Inode>) {
        if self.memory == Memory::Keeps {
            self.names.insert(path, inode);
        }
    }

    /// The client opened and listed the directory.
    pub fn saw_listing(&mut self, dir: &str, entries: &[Entry]) {
        self.opened(dir);
        if self.memory == Memory::Lost {
            return;
        }
        let listing = Listing::of(entries);
        match self.listed.get_mut(dir) {
            Some(old) => *old = listing,
            None => _ = self.listed.insert(dir.to_owned(), listing),
        }
    }

    /// The client opened the directory, and the server said that it had changed.
    pub fn opened(&mut self, dir: &str) {
        self.changed.remove(dir);
        self.names.clear_dir(dir);
    }

    /// The client changed the directory itself: no old listing of it is given any more, and the next opening of it helps surely.
    pub fn changed(&mut self, dir: &str) {
        self.listed.remove(dir);
        if self.names.has_any_in(dir) && !self.changed.contains(dir) {
            self.changed.insert(dir.to_owned());
        }
    }

    /// No more staleness from here on: for states from which none may happen, so that they count as one.
    pub fn forget(&mut self) {
        *self = Cache { memory: Memory::Lost, ..Cache::default() };
    }

    /// An old listing that may still be given.
    pub fn old_listing(&self, dir: &str) -> Option<Vec<Entry>> {
        self.listed.get(dir).map(Listing::entries)
    }

    /// What the client believes of `path`: nothing, that it is absent, or that it is this file.
    pub fn belief(&self, path: &str) -> Option<Option<Inode>> {
        self.names.get(path).copied()
    }

    /// The names in `dir` it has a belief about, without their directory, if opening `dir` may leave them as they are.
    pub fn stubborn_beliefs_in(&self, dir: &str) -> impl Iterator<Item = (&String, &Option<Inode>)> {
        let helps = self.changed.contains(dir);
        self.names.in_dir(dir).filter(move |_| !helps)
    }
}

/// A listing in one piece: most are never asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Listing(String);

impl Listing {
    /// No name holds a zero byte, and none a slash: that marks what is no file.
    fn of(entries: &[Entry]) -> Listing {
        let mut text = String::with_capacity(entries.iter().map(|entry| entry.name.len() + 2).sum());
        for entry in entries {
            text.push_str(&entry.name);
            text.push_str(if entry.is_file { "\0" } else { "/\0" });
        }
        Listing(text)
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |text: &str| match text.strip_suffix('/') {
            Some(name) => Entry { name: name.to_owned(), is_file: false },
            None => Entry { name: text.to_owned(), is_file: true },
        };
        self.0.split_terminator('\0').map(entry).collect()
    }
}
