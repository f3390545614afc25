//! A client that is replayed: the disk as an actor of the [explorer](super::explore) sees it.
//!
//! Problem: exploring every interleaving needs to stop the protocol's code at each call and to go on from there in several ways, which a thread
//! cannot do. Workaround: an actor is a deterministic function of the replies it gets. It is run from its beginning with the replies it has had;
//! its first call beyond them unwinds it (without a panic message), and the call is the explorer's to execute.
//!
//! An actor must do nothing that differs from run to run: no clock, no random number, no map in random order. A call that differs from the
//! recorded one is found and reported. It may catch panics; it is then stopped by its next call again.

use std::hash::{Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::fingerprint::fingerprint;
use super::op::{HoldId, Inode, Op, Reply};
use crate::disk::{Disk, Entry, Flush, Hold, Lock, Look};

/// What an actor wants next: to close what it dropped, and then this call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// Files dropped since the last call.
    pub closes: Vec<HoldId>,
    /// The call.
    pub op: Op,
}

/// The replies an actor has had so far. Cheap to clone and to hash, for the explorer does little else.
#[derive(Debug, Clone, Default)]
pub struct History {
    told: Arc<Vec<Arc<Recorded>>>,
    fingerprint: (u64, u64),
}

#[derive(Debug)]
struct Recorded {
    op: Op,
    reply: Reply,
}

/// How a run of an actor over its replies ended.
#[derive(Debug)]
pub enum Ran<T> {
    /// It wants more.
    Wants(Request),
    /// It returned.
    Returned(T),
}

/// One client, replaying what it was told so far. Clones are the same client.
#[derive(Clone)]
pub struct SimClient {
    tape: Arc<Mutex<Tape>>,
}

struct Tape {
    told: Arc<Vec<Arc<Recorded>>>,
    at: usize,
    closes: Vec<HoldId>,
    wants: Option<Request>,
}

/// What unwinds a stopped actor.
struct Stopped;

struct SimHold {
    client: SimClient,
    id: HoldId,
}

impl History {
    /// One reply more, for this call.
    pub fn push(&mut self, op: &Op, reply: Reply) {
        self.fingerprint = fingerprint(&(self.fingerprint, op, &reply));
        Arc::make_mut(&mut self.told).push(Arc::new(Recorded { op: op.clone(), reply }));
    }

    /// Nothing yet.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }
}

impl PartialEq for History {
    fn eq(&self, other: &History) -> bool {
        (self.fingerprint, self.told.len()) == (other.fingerprint, other.told.len())
    }
}

impl Eq for History {}

impl Hash for History {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.fingerprint, self.told.len()).hash(state);
    }
}

/// Runs `actor` over what it was told before.
pub fn replay<T>(history: &History, actor: impl FnOnce(&SimClient) -> T) -> Ran<T> {
    let tape = Tape { told: Arc::clone(&history.told), at: 0, closes: Vec::new(), wants: None };
    let client = SimClient { tape: Arc::new(Mutex::new(tape)) };
    let result = catch_unwind(AssertUnwindSafe(|| actor(&client)));
    let wants = client.tape().wants.take();
    match (wants, result) {
        (Some(request), _) => Ran::Wants(request),
        (None, Ok(value)) => Ran::Returned(value),
        (None, Err(panic)) => resume_unwind(panic),
    }
}

impl SimClient {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, op: Op) -> io::Result<Reply> {
        let mut tape = self.tape();
        if tape.wants.is_none()
            && let Some(recorded) = tape.told.get(tape.at).cloned()
        {
            assert!(recorded.op == op, "the actor is not deterministic: after `{}` it now wants `{op}`", recorded.op);
            tape.at += 1;
            tape.closes.clear();
            return match &recorded.reply {
                Reply::Failed(kind) => Err((*kind).into()),
                reply => Ok(reply.clone()),
            };
        }
        let closes = std::mem::take(&mut tape.closes);
        tape.wants.get_or_insert(Request { closes, op });
        drop(tape);
        resume_unwind(Box::new(Stopped));
    }

    fn hold(&self, id: HoldId) -> Box<dyn Hold> {
        Box::new(SimHold { client: self.clone(), id })
    }
}

/// The calls of [`Disk`], by [`Op`] and [`Reply`], for whatever has a `call` and a `hold`.
macro_rules! disk_by_calls {
    () => {
        fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
            expect_reply!(self.call(Op::List { dir: dir.to_owned() })?, Reply::Entries(entries) => entries)
        }

        fn refresh(&self, dir: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::Refresh { dir: dir.to_owned() })?, Reply::Done => ())
        }

        fn rename(&self, from: &str, to: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::Rename { from: from.to_owned(), to: to.to_owned() })?, Reply::Done => ())
        }

        fn link(&self, from: &str, to: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::Link { from: from.to_owned(), to: to.to_owned() })?, Reply::Done => ())
        }

        fn remove(&self, path: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::Remove { path: path.to_owned() })?, Reply::Done => ())
        }

        fn make_dir(&self, path: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::MakeDir { path: path.to_owned() })?, Reply::Done => ())
        }

        fn draft(&self, dir: &str, bytes: &[u8], _: Flush) -> io::Result<String> {
            expect_reply!(self.call(Op::Draft { dir: dir.to_owned(), bytes: bytes.to_owned() })?, Reply::Drafted(path) => path)
        }

        fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
            expect_reply!(self.call(Op::Open { path: path.to_owned() })?, Reply::Opened(id) => self.hold(id))
        }

        fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
            expect_reply!(self.call(Op::Read { path: path.to_owned(), limit })?, Reply::Bytes(bytes) => bytes)
        }

        fn touch(&self, path: &str) -> io::Result<()> {
            expect_reply!(self.call(Op::Touch { path: path.to_owned() })?, Reply::Done => ())
        }

        fn look(&self, path: &str) -> io::Result<Look> {
            expect_reply!(self.call(Op::Look { path: path.to_owned() })?, Reply::Look(look) => look)
        }

        fn now(&self) -> Duration {
            match self.call(Op::Now) {
                Ok(Reply::Now(now)) => now,
                other => unreachable!("the clock answered {other:?}"),
            }
        }

        fn is_network(&self) -> bool {
            true
        }
    };
}

/// The calls of [`Hold`], for whatever has a `client` with a `call`, and an `id`.
macro_rules! hold_by_calls {
    () => {
        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            expect_reply!(self.client.call(Op::Append { hold: self.id, bytes: bytes.to_owned() })?, Reply::Done => ())
        }

        fn try_lock(&self) -> Lock {
            match self.client.call(Op::TryLock { hold: self.id }) {
                Ok(Reply::Lock(lock)) => lock,
                _ => Lock::Broken,
            }
        }

        fn inode(&self) -> io::Result<Inode> {
            expect_reply!(self.client.call(Op::InodeOf { hold: self.id })?, Reply::Inode(inode) => inode)
        }

        fn touch(&self) -> io::Result<()> {
            expect_reply!(self.client.call(Op::TouchHeld { hold: self.id })?, Reply::Done => ())
        }

        fn flush(&mut self, _: Flush) -> io::Result<()> {
            expect_reply!(self.client.call(Op::Flush { hold: self.id })?, Reply::Done => ())
        }
    };
}

macro_rules! expect_reply {
    ($reply:expr, $pattern:pat => $value:expr) => {
        match $reply {
            $pattern => Ok($value),
            other => unreachable!("the simulated disk answered {other:?}"),
        }
    };
}

pub(super) use {disk_by_calls, expect_reply, hold_by_calls};

impl Disk for SimClient {
    disk_by_calls!();
}

impl Hold for SimHold {
    hold_by_calls!();
}

impl Drop for SimHold {
    fn drop(&mut self) {
        let mut tape = self.client.tape();
        // What a stopped actor drops while it unwinds, it does not close: it has not come to that yet.
        if tape.wants.is_none() {
            tape.closes.push(self.id);
        }
    }
}
