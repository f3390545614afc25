//! The shared directory, and every hazard of it in one home.
//!
//! [`Disk`] is what an operating system offers of one directory on a shared mount, as *one client* sees it: a dozen calls that may be stale, may
//! hang, and may answer wrongly when a reply was lost. What the protocol may rely on is built from them once, in the files beside this one:
//!
//! | hazard | home |
//! |---|---|
//! | rename and link that succeeded and say they did not (a lost reply) | `rename.rs`, `create.rs` |
//! | a listing or a name that is stale, for a minute or for good | `fresh.rs` |
//! | a last change that others never see | `announce.rs` |
//! | a half-written file under a final name; tempfile's 0600 | `real.rs` (`draft`) |
//! | a lock that is missing, local, or lost silently | `real.rs` (`try_lock`); nothing depends on it |
//! | notification that does not cross machines, and our own reads waking us | `watch.rs` |
//! | a call that never comes back | `patience.rs` |
//! | a round trip for every call | `together.rs` |
//! | other people: who owns a file, who may write it | `owner.rs`; [`crate::job::trust`] decides |
//!
//! The same code runs on [`real::RealDisk`] and on the simulated disk of `sim/`; the calls it hides are forbidden elsewhere by `clippy.toml`.
//! All paths are relative to the job directory, with `/`.

use std::io;
use std::time::Duration;

mod announce;
pub mod create;
pub mod fresh;
pub mod owner;
pub mod patience;
pub mod real;
pub mod rename;
#[doc(hidden)]
pub mod sim;
pub mod together;
pub mod watch;
mod whole;

/// One name in a listing. Names that begin with a dot (`.nfsXXXX`, our own temporaries) are never listed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The name; bytes that are not UTF-8 are replaced, which makes the name foreign.
    pub name: String,
    /// What it is. A name of ours that is not a plain file is foreign.
    pub is_file: bool,
}

/// What a fresh look at a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Look {
    /// The file's modification time in nanoseconds, by the server's clock: only ever compared for equality.
    pub stamp: i128,
    /// The inode (device and number): two names with the same one are the same file.
    pub inode: (u64, u64),
    /// Length in bytes.
    pub len: u64,
}

/// What became of a try to lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lock {
    /// We hold it; or this mount's locks are local, which we cannot see. It proves nothing.
    Taken,
    /// Somebody else holds it.
    Refused,
    /// This mount has no working locks, or the server is in a grace period.
    Broken,
}

/// The answer to a call that may hang for ever, where one file's holder is a machine that died.
#[derive(Debug)]
pub enum Soon<T> {
    /// It came back.
    Back(T),
    /// It did not, so far.
    Hanging,
}

/// Whether what is written must be on the server's disk before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flush {
    /// Flushed and checked, whatever the mount: for what must not be lost (outputs, phase files).
    Always,
    /// Flushed and checked on a network mount, where write errors appear only then; not on a local disk.
    OnNetwork,
}

/// One client's view of one directory on a shared mount. See the module's table for what the calls do *not* promise.
pub trait Disk: Send + Sync {
    /// The names in `dir` now, opened afresh by path (1 GETATTR, +1 READDIR per ~700 names when changed). May still be stale:
    /// see [`fresh`].
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>>;

    /// Opens and closes `dir` by path, so that the next look-up in it asks the server (1 GETATTR).
    fn refresh(&self, dir: &str) -> io::Result<()>;

    /// rename(2). `NotFound` does not mean that somebody else won: see [`rename`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// link(2): `to` becomes a second name of `from`. `AlreadyExists` does not mean that somebody else won: see [`create`].
    fn link(&self, from: &str, to: &str) -> io::Result<()>;

    /// unlink(2).
    fn remove(&self, path: &str) -> io::Result<()>;

    /// mkdir(2); an existing directory is fine.
    fn make_dir(&self, path: &str) -> io::Result<()>;

    /// A complete, closed file with these bytes and the umask's permissions, under a temporary name in `dir`; returns its path.
    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String>;

    /// Opens an existing file for appending only: never for reading, which would hand this machine a read delegation, and never creating it.
    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>>;

    /// [`Disk::open`] with patience: gives up waiting after `limit` (the call itself cannot be given up and may still be under way).
    fn open_soon(&self, path: &str, limit: Duration) -> io::Result<Soon<Box<dyn Hold>>> {
        let _ = limit;
        self.open(path).map(Soon::Back)
    }

    /// [`Disk::look`] with patience; while an earlier look at the same path still hangs, no other is begun.
    fn look_soon(&self, path: &str, limit: Duration) -> io::Result<Soon<Look>> {
        let _ = limit;
        self.look(path).map(Soon::Back)
    }

    /// Adds `bytes` behind the end of an existing file, to be written over in place. Not everywhere to be had (`Unsupported`).
    fn slate(&self, path: &str, bytes: &[u8]) -> io::Result<Box<dyn Slate>> {
        let _ = (path, bytes);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The whole of a file that does not move any more. Refuses (`InvalidData`) more than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>>;

    /// At most `len` bytes from `from` of a file that does not move any more.
    fn read_part(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let all = self.read(path, u64::MAX)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
        Ok(all[from..all.len().min(from.saturating_add(len))].to_vec())
    }

    /// Sets the mtime of a file or directory to the *server's* now, by path (1 SETATTR).
    fn touch(&self, path: &str) -> io::Result<()>;

    /// Said of a directory by whoever made its last change for some time: lets all other clients see it. See `announce.rs`.
    fn announce(&self, dir: &str) -> io::Result<()> {
        self.touch(dir)
    }

    /// Asks the server for a file's or directory's attributes (1 GETATTR). A name that may have been absent before: see [`fresh`].
    fn look(&self, path: &str) -> io::Result<Look>;

    /// Does so many pieces of work that do not depend on each other, in any order: several at once where a call has far to go. After an error, which is told
    /// with the number of its piece, no more are begun.
    fn at_once(&self, count: usize, work: &together::Work<'_>) -> Result<(), together::Failed> {
        together::Pile::new(count, work).in_turn()
    }

    /// This client's monotonic clock.
    fn now(&self) -> Duration;

    /// True if the directory lies on a network or shared file system, as far as one can see; only makes things slower and safer.
    fn is_network(&self) -> bool;
}

/// A file held open for appending. Dropping it closes it, and with it goes the lock.
pub trait Hold: Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Tries to lock the file, never waits.
    fn try_lock(&self) -> Lock;

    /// The inode held, whatever it is called by now.
    fn inode(&self) -> io::Result<(u64, u64)>;

    /// Sets the held file's mtime to the server's now, wherever it is called by now.
    fn touch(&self) -> io::Result<()>;

    /// Makes sure that what was appended has arrived, and says so; keeps the file open (and locked).
    fn flush(&mut self, flush: Flush) -> io::Result<()>;
}

/// A few bytes of a file that are written over again and again, wherever the file is called by now.
pub trait Slate {
    /// Writes over what stands at byte `at` of the slate. What was written outlives this process at once, and this machine not before a flush.
    fn write(&mut self, bytes: &[u8], at: usize) -> io::Result<()>;
}

/// What became of a rename to a name that only its caller makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a rename may have found its source gone"]
pub enum Moved {
    /// It lies under the new name.
    Here,
    /// The source was gone: somebody else was quicker. An ordinary value, not an error.
    Gone,
}

/// What became of creating something that exists once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "something else may already bear the name"]
pub enum Created {
    /// By this call.
    Now,
    /// The name was there before; what it holds is somebody else's, or our own from an earlier try.
    Before,
}
