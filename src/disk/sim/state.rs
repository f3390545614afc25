//! The shared directory as a value: names, files, open files with their locks, and what every client believes.
//!
//! [`DiskState::execute`] is the server and one client's kernel in one: it does a call at one instant, truly or (where the client's beliefs allow
//! it) by what the client believes. Everything is ordered and hashable, so that two states can be told to be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;

use super::by_dir::ByDir;
use super::cache::Cache;
use super::op::{HoldId, Inode, Op, Reply};
use super::shared::Shared;
use crate::disk::{Entry, Lock, Look};

/// A shared directory and its clients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DiskState {
    pub(super) nodes: Shared<BTreeMap<Inode, Node>>,
    pub(super) names: Shared<ByDir<Inode>>,
    pub(super) holds: BTreeMap<HoldId, Held>,
    /// The first is whoever set the scene.
    pub(super) clients: Vec<Client>,
    pub(super) deeds: Shared<Deeds>,
    /// Whether there is room.
    pub room: Room,
    /// Virtual time, one for all clients; their protocol must not compare it anyway.
    pub clock: Duration,
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// By what is.
    True,
    /// By what this client believes, where that differs: see [`DiskState::may_be_stale`].
    Stale,
    /// A try to lock, answered with this whatever is.
    Lock(Lock),
    /// Not done, with this error.
    Fails(ErrorKind),
}

/// Whether the disk takes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// Yes.
    Plenty,
    /// ENOSPC for new content; names can still be moved.
    Full,
    /// EROFS for every change.
    ReadOnly,
}

/// What has happened to names so far; for checks, nobody who runs on the disk sees it. Names with a dot are not recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Deeds {
    /// How often a name was made.
    pub made: BTreeMap<String, u32>,
    /// Names that were renamed away or removed.
    pub left: BTreeSet<String>,
    /// Names whose file was replaced by another.
    pub replaced: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) body: Body,
    pub(super) stamp: i128,
    pub(super) links: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Body {
    Dir,
    File(Shared<Vec<u8>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) inode: Inode,
    lock: Option<Locked>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Locked;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) files_made: u64,
    pub(super) stamps_made: i128,
    pub(super) cache: Cache,
}

/// No file has this one.
const NO_INODE: Inode = (u64::MAX, u64::MAX);

/// Whoever set the scene, as a maker of files.
const SCENE: usize = 0;

impl DiskState {
    /// An empty directory.
    #[expect(clippy::new_without_default, reason = "an empty disk is something, not a default")]
    pub fn new() -> DiskState {
        let root = Node { body: Body::Dir, stamp: 0, links: 1 };
        let mut names = ByDir::default();
        names.insert(".", (0, 0));
        DiskState {
            nodes: Shared::new(BTreeMap::from([((0, 0), root)])),
            names: Shared::new(names),
            holds: BTreeMap::new(),
            clients: vec![Client { files_made: 1, ..Client::default() }],
            deeds: Shared::default(),
            room: Room::Plenty,
            clock: Duration::ZERO,
        }
    }

    /// One more client; its number, from 0.
    pub fn add_client(&mut self) -> usize {
        self.clients.push(Client::default());
        self.clients.len() - 2
    }

    /// Sets the scene: a directory.
    #[must_use]
    pub fn with_dir(mut self, path: &str) -> DiskState {
        self.make(SCENE, path, Body::Dir);
        self
    }

    /// Sets the scene: a file.
    #[must_use]
    pub fn with_file(mut self, path: &str, bytes: &[u8]) -> DiskState {
        self.make(SCENE, path, Body::File(Shared::new(bytes.to_owned())));
        self
    }

    /// The names in `dir` as they are, without those that begin with a dot.
    pub fn children(&self, dir: &str) -> Vec<Entry> {
        let seen = self.names.in_dir(dir).filter(|(name, _)| !name.starts_with('.'));
        seen.map(|(name, inode)| Entry { name: name.clone(), is_file: self.file(*inode).is_some() }).collect()
    }

    /// The content of a file.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.file(*self.names.get(path)?)
    }

    /// The inode behind a name.
    pub fn inode(&self, path: &str) -> Option<Inode> {
        self.names.get(path).copied()
    }

    /// How many hold a lock on the file of that name; more than one only where locks lie.
    pub fn lock_holders(&self, path: &str) -> usize {
        let inode = self.inode(path);
        self.holds.values().filter(|held| Some(held.inode) == inode && held.lock.is_some()).count()
    }

    /// What has happened to names so far.
    pub fn deeds(&self) -> &Deeds {
        &self.deeds
    }

    /// Nobody may see anything stale any more.
    pub fn forget_caches(&mut self) {
        self.clients.iter_mut().for_each(|client| client.cache.forget());
    }

    /// Lets names and files be those of an `older` state. The clients live on with what they believe; what they hold open is stale.
    pub fn set_back(&mut self, older: &DiskState) {
        (self.nodes, self.names, self.deeds) = (older.nodes.clone(), older.names.clone(), older.deeds.clone());
        self.holds.values_mut().for_each(|held| *held = Held { inode: NO_INODE, lock: None });
    }

    /// Closes an open file, and lets its lock go. Closing twice is fine.
    pub fn close(&mut self, hold: HoldId) {
        if let Some(held) = self.holds.remove(&hold) {
            self.bury(held.inode);
        }
    }

    /// Closes all that a client holds open: it died.
    pub fn close_all(&mut self, client: usize) {
        let holds: Vec<HoldId> = self.holds.range((client, 0)..=(client, u32::MAX)).map(|(id, _)| *id).collect();
        holds.into_iter().for_each(|hold| self.close(hold));
    }

    /// The server restarts: nobody's lock is remembered.
    pub(super) fn forget_locks(&mut self) {
        self.holds.values_mut().for_each(|held| held.lock = None);
    }

    /// What a look at a file says.
    pub(super) fn attributes(&self, inode: Inode) -> Option<Look> {
        let len = self.file(inode).map_or(0, |bytes| bytes.len() as u64);
        Some(Look { stamp: self.nodes.get(&inode)?.stamp, inode, len })
    }

    /// The file behind an open file, and how long it is.
    pub(super) fn held_bytes(&self, hold: HoldId) -> Option<(Inode, usize)> {
        let inode = self.holds.get(&hold)?.inode;
        Some((inode, self.file(inode)?.len()))
    }

    /// Bytes that never arrived are gone from the file.
    pub(super) fn lose(&mut self, inode: Inode, from: usize, len: usize) {
        if let Some(Node { body: Body::File(content), .. }) = self.nodes.get_mut(&inode) {
            let end = content.len().min(from + len);
            content.drain(from.min(end)..end);
        }
    }

    /// Does a call of `client`, now.
    pub fn execute(&mut self, client: usize, op: &Op, variant: Variant) -> Reply {
        if let Some(kind) = self.refusal(op) {
            return Reply::Failed(kind);
        }
        match variant {
            Variant::Fails(kind) => Reply::Failed(kind),
            Variant::Lock(lock) => self.answer_lock(op, lock),
            Variant::True => self.truly(client, op).unwrap_or_else(Reply::Failed),
            Variant::Stale => self.by_belief(client, op).unwrap_or_else(Reply::Failed),
        }
    }

    fn truly(&mut self, client: usize, op: &Op) -> Result<Reply, ErrorKind> {
        match op {
            Op::List { dir } => {
                self.find_dir(dir)?;
                let entries = self.children(dir);
                self.cache(client).saw_listing(dir, &entries);
                Ok(Reply::Entries(entries))
            }
            Op::Refresh { dir } => {
                self.find_dir(dir)?;
                self.cache(client).opened(dir);
                Ok(Reply::Done)
            }
            Op::Rename { from, to } => self.rename(client, from, to),
            Op::Link { from, to } => self.link(client, from, to),
            Op::Remove { path } => self.remove(client, path),
            Op::MakeDir { path } => self.make_dir(client, path),
            Op::Draft { dir, bytes } => self.draft(client, dir, bytes),
            Op::Open { path } | Op::Read { path, .. } | Op::Touch { path } | Op::Look { path } => {
                let found = self.find(client, path)?;
                if matches!(op, Op::Touch { .. }) && self.file(found).is_none() {
                    self.cache(client).changed(path);
                    return Ok(Reply::Done);
                }
                self.on_file(client, op, found)
            }
            Op::Now => Ok(Reply::Now(self.clock)),
            Op::Append { hold, .. } | Op::TryLock { hold } | Op::InodeOf { hold } | Op::TouchHeld { hold } | Op::Flush { hold } => {
                let held = self.holds.get(hold).filter(|held| held.inode != NO_INODE);
                let held = *held.ok_or(ErrorKind::StaleNetworkFileHandle)?;
                self.on_held(client, op, *hold, held)
            }
        }
    }

    /// A call that has found its file (or directory), by whatever name.
    pub(super) fn on_file(&mut self, client: usize, op: &Op, inode: Inode) -> Result<Reply, ErrorKind> {
        match op {
            Op::Open { .. } => {
                self.file(inode).ok_or(ErrorKind::IsADirectory)?;
                let number = (0..).find(|n| !self.holds.contains_key(&(client, *n))).ok_or(ErrorKind::QuotaExceeded)?;
                self.holds.insert((client, number), Held { inode, lock: None });
                Ok(Reply::Opened((client, number)))
            }
            Op::Read { limit, .. } => {
                let bytes = self.file(inode).ok_or(ErrorKind::IsADirectory)?;
                if bytes.len() as u64 > *limit { Err(ErrorKind::InvalidData) } else { Ok(Reply::Bytes(bytes.to_owned())) }
            }
            Op::Touch { .. } => {
                self.stamp(client, inode);
                Ok(Reply::Done)
            }
            Op::Look { .. } => {
                let look = self.attributes(inode).ok_or(ErrorKind::NotFound)?;
                Ok(Reply::Look(look))
            }
            _ => unreachable!("{op} is not about a file's name"),
        }
    }

    fn on_held(&mut self, client: usize, op: &Op, hold: HoldId, held: Held) -> Result<Reply, ErrorKind> {
        match op {
            Op::Append { bytes, .. } => {
                if let Some(Node { body: Body::File(content), .. }) = self.nodes.get_mut(&held.inode) {
                    content.extend_from_slice(bytes);
                }
                self.stamp(client, held.inode);
                Ok(Reply::Done)
            }
            Op::TryLock { .. } => {
                let refused = self.holds.iter().any(|(id, other)| *id != hold && other.inode == held.inode && other.lock.is_some());
                Ok(self.answer_lock(op, if refused { Lock::Refused } else { Lock::Taken }))
            }
            Op::InodeOf { .. } => Ok(Reply::Inode(held.inode)),
            Op::TouchHeld { .. } => {
                self.stamp(client, held.inode);
                Ok(Reply::Done)
            }
            Op::Flush { .. } => Ok(Reply::Done),
            _ => unreachable!("{op} is not about an open file"),
        }
    }

    fn answer_lock(&mut self, op: &Op, lock: Lock) -> Reply {
        if let (Op::TryLock { hold }, Lock::Taken) = (op, lock)
            && let Some(held) = self.holds.get_mut(hold)
        {
            held.lock = Some(Locked);
        }
        Reply::Lock(lock)
    }

    fn refusal(&self, op: &Op) -> Option<ErrorKind> {
        let grows = matches!(op, Op::Draft { .. } | Op::Append { .. } | Op::MakeDir { .. });
        let renames = matches!(op, Op::Rename { .. } | Op::Link { .. } | Op::Remove { .. });
        let changes = grows || renames || matches!(op, Op::Touch { .. } | Op::TouchHeld { .. } | Op::Open { .. });
        match self.room {
            Room::Full if grows => Some(ErrorKind::StorageFull),
            Room::ReadOnly if changes => Some(ErrorKind::ReadOnlyFilesystem),
            Room::Plenty | Room::Full | Room::ReadOnly => None,
        }
    }
}
