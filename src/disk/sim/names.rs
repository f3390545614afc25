//! Names and files: what the server does with a call once it has arrived.
//!
//! Every change of a directory is also noted in the client's beliefs about it, and every name made or left in [`Deeds`](super::state::Deeds).

use std::io::ErrorKind;

use super::cache::Cache;
use super::op::{Inode, Reply};
use super::shared::Shared;
use super::state::{Body, DiskState, Node};
use crate::disk::create::{dir_and_name, dir_of};

impl DiskState {
    pub(super) fn rename(&mut self, client: usize, from: &str, to: &str) -> Result<Reply, ErrorKind> {
        let inode = self.find(client, from)?;
        self.find_dir(dir_of(to))?;
        self.file(inode).ok_or(ErrorKind::Unsupported)?; // directories do not move here
        let old = self.inode(to);
        if old == Some(inode) {
            return Ok(Reply::Done); // two names of one file: rename(2) does nothing, and says so
        }
        if old.is_some_and(|old| self.file(old).is_none()) {
            return Err(ErrorKind::IsADirectory);
        }
        self.name(to, inode);
        self.unname(from);
        self.changed_by(client, from, None);
        self.changed_by(client, to, Some(inode));
        Ok(Reply::Done)
    }

    pub(super) fn link(&mut self, client: usize, from: &str, to: &str) -> Result<Reply, ErrorKind> {
        let inode = self.find(client, from)?;
        self.find_dir(dir_of(to))?;
        if self.inode(to).is_some() {
            return Err(ErrorKind::AlreadyExists);
        }
        self.file(inode).ok_or(ErrorKind::PermissionDenied)?;
        self.name(to, inode);
        self.changed_by(client, to, Some(inode));
        Ok(Reply::Done)
    }

    pub(super) fn remove(&mut self, client: usize, path: &str) -> Result<Reply, ErrorKind> {
        let inode = self.find(client, path)?;
        self.file(inode).ok_or(ErrorKind::IsADirectory)?;
        self.unname(path);
        self.changed_by(client, path, None);
        Ok(Reply::Done)
    }

    pub(super) fn make_dir(&mut self, client: usize, path: &str) -> Result<Reply, ErrorKind> {
        self.find_dir(dir_of(path))?;
        if self.inode(path).is_none() {
            let inode = self.make(client + 1, path, Body::Dir);
            self.changed_by(client, path, Some(inode));
        }
        Ok(Reply::Done)
    }

    pub(super) fn draft(&mut self, client: usize, dir: &str, bytes: &[u8]) -> Result<Reply, ErrorKind> {
        self.find_dir(dir)?;
        let name = format!("{}{client}-{}", crate::disk::real::DRAFT_PREFIX, self.clients[client + 1].files_made);
        let path = if dir == "." { name } else { format!("{dir}/{name}") };
        self.make(client + 1, &path, Body::File(Shared::new(bytes.to_owned())));
        self.cache(client).changed(dir); // nobody else knows the name: no belief about it can be wrong
        Ok(Reply::Drafted(path))
    }

    pub(super) fn make(&mut self, maker: usize, path: &str, body: Body) -> Inode {
        let inode = (maker as u64, self.clients[maker].files_made);
        self.clients[maker].files_made += 1;
        let stamp = self.next_stamp(maker);
        self.nodes.insert(inode, Node { body, stamp, links: 0 });
        self.name(path, inode);
        inode
    }

    fn name(&mut self, path: &str, inode: Inode) {
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.links += 1;
        }
        let old = self.names.insert(path, inode);
        if !is_hidden(path) {
            *self.deeds.made.entry(path.to_owned()).or_default() += 1;
            self.deeds.replaced.extend(old.map(|_| path.to_owned()));
        }
        self.unlink(old);
    }

    fn unname(&mut self, path: &str) {
        let old = self.names.remove(path);
        if !is_hidden(path) {
            self.deeds.left.insert(path.to_owned());
        }
        self.unlink(old);
    }

    fn unlink(&mut self, inode: Option<Inode>) {
        let Some(inode) = inode else { return };
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.links -= 1;
        }
        self.bury(inode);
    }

    /// A file without a name goes when nobody has it open.
    pub(super) fn bury(&mut self, inode: Inode) {
        let named = self.nodes.get(&inode).is_some_and(|node| node.links > 0);
        if !named && self.holds.values().all(|held| held.inode != inode) {
            self.nodes.remove(&inode);
        }
    }

    pub(super) fn find(&mut self, client: usize, path: &str) -> Result<Inode, ErrorKind> {
        let found = self.inode(path);
        if found.is_none_or(|inode| self.file(inode).is_some()) {
            self.cache(client).saw(path, found);
        }
        found.ok_or(ErrorKind::NotFound)
    }

    pub(super) fn find_dir(&self, path: &str) -> Result<(), ErrorKind> {
        let inode = self.inode(path).ok_or(ErrorKind::NotFound)?;
        if self.file(inode).is_some() { Err(ErrorKind::NotADirectory) } else { Ok(()) }
    }

    pub(super) fn file(&self, inode: Inode) -> Option<&[u8]> {
        match &self.nodes.get(&inode)?.body {
            Body::Dir => None,
            Body::File(bytes) => Some(bytes),
        }
    }

    fn changed_by(&mut self, client: usize, path: &str, inode: Option<Inode>) {
        self.cache(client).saw(path, inode);
        self.cache(client).changed(dir_of(path));
    }

    pub(super) fn cache(&mut self, client: usize) -> &mut Cache {
        &mut self.clients[client + 1].cache
    }

    pub(super) fn stamp(&mut self, client: usize, inode: Inode) {
        let stamp = self.next_stamp(client + 1);
        if let Some(node) = self.nodes.get_mut(&inode) {
            node.stamp = stamp;
        }
    }

    /// Stamps are told apart by who made them, so that two clients' touches of two files commute.
    fn next_stamp(&mut self, maker: usize) -> i128 {
        self.clients[maker].stamps_made += 1;
        ((maker as i128) << 32) | self.clients[maker].stamps_made
    }
}

fn is_hidden(path: &str) -> bool {
    dir_and_name(path).1.starts_with('.')
}
