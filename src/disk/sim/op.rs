//! Calls and replies as values, so that they can be recorded, hashed, replayed and printed.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::disk::{Entry, Lock, Look};

/// A file: who made it, and its number among what that client made. So independent calls of two clients commute, which keeps exploration small.
pub type Inode = (u64, u64);

/// An open file: the client, and the smallest number it had free.
pub type HoldId = (usize, u32);

/// A call of [`Disk`](crate::disk::Disk) or [`Hold`](crate::disk::Hold).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the call of the trait, with its arguments")]
pub enum Op {
    List { dir: String },
    Refresh { dir: String },
    Rename { from: String, to: String },
    Link { from: String, to: String },
    Remove { path: String },
    MakeDir { path: String },
    Draft { dir: String, bytes: Vec<u8> },
    Open { path: String },
    Read { path: String, limit: u64 },
    Touch { path: String },
    Look { path: String },
    Now,
    Append { hold: HoldId, bytes: Vec<u8> },
    TryLock { hold: HoldId },
    InodeOf { hold: HoldId },
    TouchHeld { hold: HoldId },
    Flush { hold: HoldId },
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the return value of the calls that have it")]
pub enum Reply {
    Done,
    Entries(Vec<Entry>),
    Drafted(String),
    Opened(HoldId),
    Bytes(Vec<u8>),
    Look(Look),
    Lock(Lock),
    Inode(Inode),
    Now(Duration),
    Failed(io::ErrorKind),
}

impl Op {
    /// The call's name, for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::List { .. } => "list",
            Op::Refresh { .. } => "refresh",
            Op::Rename { .. } => "rename",
            Op::Link { .. } => "link",
            Op::Remove { .. } => "remove",
            Op::MakeDir { .. } => "make_dir",
            Op::Draft { .. } => "draft",
            Op::Open { .. } => "open",
            Op::Read { .. } => "read",
            Op::Touch { .. } => "touch",
            Op::Look { .. } => "look",
            Op::Now => "now",
            Op::Append { .. } => "append",
            Op::TryLock { .. } => "try_lock",
            Op::InodeOf { .. } => "inode",
            Op::TouchHeld { .. } => "touch_held",
            Op::Flush { .. } => "flush",
        }
    }

    /// True for calls that a restarted server answers wrongly when they are sent again.
    pub fn may_lose_its_reply(&self) -> bool {
        matches!(self, Op::Rename { .. } | Op::Link { .. } | Op::Remove { .. })
    }

    /// True for calls that may still be on the wire when their caller is dead.
    pub fn may_outlive_its_caller(&self) -> bool {
        matches!(self, Op::Rename { .. } | Op::Link { .. } | Op::Remove { .. } | Op::Touch { .. })
    }

    /// True for calls that need room, or learn here that there was none.
    pub fn grows(&self) -> bool {
        matches!(self, Op::Draft { .. } | Op::Append { .. } | Op::MakeDir { .. } | Op::Flush { .. })
    }

    /// True for calls that nobody else can notice, and that notice nothing of what others do meanwhile.
    pub fn is_private(&self) -> bool {
        matches!(self, Op::Now | Op::InodeOf { .. } | Op::Flush { .. })
    }

    /// The path it is about (a rename's or link's source), unless it goes by an open file.
    pub fn path(&self) -> Option<&str> {
        match self {
            Op::List { dir } | Op::Refresh { dir } | Op::Draft { dir, .. } => Some(dir),
            Op::Rename { from, .. } | Op::Link { from, .. } => Some(from),
            Op::Remove { path } | Op::MakeDir { path } | Op::Open { path } => Some(path),
            Op::Read { path, .. } | Op::Touch { path } | Op::Look { path } => Some(path),
            Op::Now | Op::Append { .. } | Op::TryLock { .. } | Op::InodeOf { .. } | Op::TouchHeld { .. } | Op::Flush { .. } => None,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Op::Rename { from, to } | Op::Link { from, to } => write!(f, "{kind} {from} -> {to}"),
            Op::Draft { dir, bytes } => write!(f, "{kind} in {dir}: {:?}", String::from_utf8_lossy(bytes)),
            Op::Append { hold, bytes } => write!(f, "{kind} to #{}: {:?}", hold.1, String::from_utf8_lossy(bytes)),
            Op::TryLock { hold } | Op::InodeOf { hold } | Op::TouchHeld { hold } | Op::Flush { hold } => write!(f, "{kind} #{}", hold.1),
            Op::Now => f.write_str(kind),
            _ => write!(f, "{kind} {}", self.path().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Done => f.write_str("ok"),
            Reply::Entries(entries) => {
                let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
                write!(f, "[{}]", names.join(" "))
            }
            Reply::Drafted(path) => f.write_str(path),
            Reply::Opened(hold) => write!(f, "#{}", hold.1),
            Reply::Bytes(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
            Reply::Look(look) => write!(f, "inode {:?}, stamp {:#x}", look.inode, look.stamp),
            Reply::Lock(lock) => write!(f, "{lock:?}"),
            Reply::Inode(inode) => write!(f, "inode {inode:?}"),
            Reply::Now(now) => write!(f, "{now:?}"),
            Reply::Failed(kind) => write!(f, "{kind:?}"),
        }
    }
}
