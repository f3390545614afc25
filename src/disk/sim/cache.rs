//! What one client believes about the shared directory, and until when.
//!
//! As measured on NFS 3 and 4: a listing may be an old one until the client *changes* the directory itself; a name may be believed absent,
//! or to be the file it was, until the client *opens* the directory (which a wrong listing can make useless, unless it changed it before).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::op::Inode;
use crate::disk::Entry;
use crate::disk::create::dir_of;

/// One client's beliefs. They are never wrong at the time; they may be used later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Cache {
    memory: Memory,
    listed: BTreeMap<String, Vec<Entry>>,
    names: BTreeMap<String, Option<Inode>>,
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
        if self.memory == Memory::Lost {
            return;
        }
        match self.names.get_mut(path) {
            Some(belief) => *belief = inode,
            None => _ = self.names.insert(path.to_owned(), inode),
        }
    }

    /// The client opened and listed the directory.
    pub fn saw_listing(&mut self, dir: &str, entries: &[Entry]) {
        self.opened(dir);
        if self.memory == Memory::Keeps && self.listed.get(dir).is_none_or(|old| old != entries) {
            self.listed.insert(dir.to_owned(), entries.to_owned());
        }
    }

    /// The client opened the directory, and the server said that it had changed.
    pub fn opened(&mut self, dir: &str) {
        self.changed.remove(dir);
        let known: Vec<String> = self.beliefs_in(dir).map(|(path, _)| path.clone()).collect();
        known.iter().for_each(|path| _ = self.names.remove(path));
    }

    /// The client changed the directory itself: no old listing of it is given any more, and the next opening of it helps surely.
    pub fn changed(&mut self, dir: &str) {
        self.listed.remove(dir);
        if self.beliefs_in(dir).next().is_some() {
            self.changed.insert(dir.to_owned());
        }
    }

    /// No more staleness from here on: for states from which none may happen, so that they count as one.
    pub fn forget(&mut self) {
        *self = Cache { memory: Memory::Lost, ..Cache::default() };
    }

    /// An old listing that may still be given.
    pub fn old_listing(&self, dir: &str) -> Option<&Vec<Entry>> {
        self.listed.get(dir)
    }

    /// What the client believes of `path`: nothing, that it is absent, or that it is this file.
    pub fn belief(&self, path: &str) -> Option<Option<Inode>> {
        self.names.get(path).copied()
    }

    /// The names in `dir` it has a belief about, if opening `dir` may leave them as they are.
    pub fn stubborn_beliefs_in(&self, dir: &str) -> impl Iterator<Item = (&String, &Option<Inode>)> {
        let helps = self.changed.contains(dir);
        self.beliefs_in(dir).filter(move |_| !helps)
    }

    fn beliefs_in(&self, dir: &str) -> impl Iterator<Item = (&String, &Option<Inode>)> {
        // '0' follows '/': between the two lies all that begins with `dir/`.
        let within = if dir == "." { (String::new(), None) } else { (format!("{dir}/"), Some(format!("{dir}0"))) };
        let end = within.1.map_or(Bound::Unbounded, Bound::Excluded);
        self.names.range((Bound::Included(within.0), end)).filter(move |(path, _)| dir_of(path) == dir)
    }
}
