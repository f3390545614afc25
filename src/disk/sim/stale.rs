//! Which calls a client may answer by what it believes, and what they give then.
//!
//! | call | wrong while |
//! |---|---|
//! | list | the client has not changed the directory since it listed it last |
//! | refresh | it forgets nothing: the client has not changed the directory since it formed a belief in it |
//! | look, open, read, touch | the name is believed absent, or to be a file that has moved on; the directory not opened since |
//! | rename, link, remove | the source is believed absent; else the server is asked by name |

use std::io::ErrorKind;

use super::op::{Op, Reply};
use super::state::{DiskState, Variant};

impl DiskState {
    /// True where [`Variant::Stale`] would answer otherwise than [`Variant::True`].
    pub fn may_be_stale(&self, client: usize, op: &Op) -> bool {
        let cache = &self.clients[client + 1].cache;
        let wrong = |path: &str| match cache.belief(path) {
            Some(Some(inode)) => self.inode(path) != Some(inode) && self.nodes.contains_key(&inode),
            Some(None) => self.inode(path).is_some(),
            None => false,
        };
        match op {
            Op::List { dir } => cache.old_listing(dir).is_some_and(|old| old != self.children(dir)),
            Op::Refresh { dir } => cache.stubborn_beliefs_in(dir).any(|(name, inode)| self.names.get_in(dir, name) != inode.as_ref()),
            // The server is asked by name, unless the client believes that there is none.
            Op::Rename { from: path, .. } | Op::Link { from: path, .. } | Op::Remove { path } => {
                cache.belief(path) == Some(None) && wrong(path)
            }
            Op::Open { path } | Op::Read { path, .. } | Op::Touch { path } | Op::Look { path } => wrong(path),
            Op::MakeDir { .. } | Op::Draft { .. } | Op::Now | Op::Append { .. } => false,
            Op::TryLock { .. } | Op::InodeOf { .. } | Op::TouchHeld { .. } | Op::Flush { .. } => false,
        }
    }

    pub(super) fn by_belief(&mut self, client: usize, op: &Op) -> Result<Reply, ErrorKind> {
        let cache = &self.clients[client + 1].cache;
        if let Op::List { dir } = op {
            return cache.old_listing(dir).map(Reply::Entries).ok_or(ErrorKind::NotFound);
        }
        if let Op::Refresh { .. } = op {
            return Ok(Reply::Done); // and nothing is forgotten
        }
        let believed = op.path().and_then(|path| cache.belief(path)).flatten().ok_or(ErrorKind::NotFound)?;
        self.on_file(client, op, believed)
    }

    /// Does a call whose reply never reaches the client: it learns nothing by it.
    pub fn execute_unheard(&mut self, client: usize, op: &Op) -> Reply {
        let beliefs = self.cache(client).clone();
        let reply = self.execute(client, op, Variant::True);
        *self.cache(client) = beliefs;
        reply
    }
}
