//! What calls cost over NFS: a disk that counts the RPCs of every call by the operation table of an NFS 4.2 client, and one server that serves them in turn.
//!
//! | call | RPCs | which |
//! |---|---|---|
//! | `list` | 1, and 1 per 600 names where the directory has changed since this client listed it | GETATTR, READDIR |
//! | `draft` | 3 | OPEN, WRITE, CLOSE |
//! | `open`, and its end | 1 and 1 | OPEN, CLOSE |
//! | `read` | 3 | OPEN, READ, CLOSE |
//! | `flush` | 1 | WRITE |
//! | `rename` | 2 | LOOKUP or GETATTR of its source, RENAME |
//! | all others | 1 | |
//!
//! Of the calls of one client that make or move a name in a directory its kernel lets one through at a time: OPEN of a draft, and what a rename takes.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flockwork::disk::create::dir_of;
use flockwork::disk::sim::run::SimClientDirect;
use flockwork::disk::together::{Failed, Pile, Work};
use flockwork::disk::{Disk, Entry, Flush, Hold, Lock, Look};

use super::clockwork::Clockwork;
use super::{BOSS, HANDS, Role};

/// One call and its reply, on the wire and in the client.
const ROUND_TRIP: Duration = Duration::from_micros(300);
/// What the server does in a second.
const SERVER_CALLS_PER_SECOND: u32 = 20_000;
const NAMES_PER_READDIR: usize = 600;

/// The server: calls wait for those that came before them.
#[derive(Default)]
pub struct Server {
    busy_until: Duration,
    /// In each second, those of the coordinator and those of the workers.
    pub calls: Vec<[u64; 2]>,
}

impl Server {
    /// When `calls` calls, one after the other, of a client that begins now have been answered.
    pub fn serve(&mut self, now: Duration, calls: u32, of: Role) -> Duration {
        let second = usize::try_from(now.as_secs()).expect("a job is not that long");
        self.calls.resize(self.calls.len().max(second + 1), [0; 2]);
        self.calls[second][of as usize] += u64::from(calls);
        self.busy_until = self.busy_until.max(now) + Duration::from_secs(1) * calls / SERVER_CALLS_PER_SECOND;
        self.busy_until.max(now + ROUND_TRIP * calls)
    }
}

/// A client of the simulated disk whose calls take the time of their RPCs.
#[derive(Clone)]
pub struct Priced {
    disk: SimClientDirect,
    time: Arc<Clockwork>,
    actor: usize,
    /// What every directory held when it was last listed. (The stamps of simulated directories tell nothing.)
    listed: Arc<Mutex<HashMap<String, u64>>>,
    /// Until when every directory is kept by a call that changes it.
    kept: Arc<Mutex<HashMap<String, Duration>>>,
}

thread_local! {
    /// Whose calls those of this thread are, where they are not the client's own.
    static HAND: Cell<Option<usize>> = const { Cell::new(None) };
}

struct PricedHold {
    hold: Box<dyn Hold>,
    by: Priced,
}

impl Priced {
    /// The disk of the actor of this number.
    pub fn new(disk: SimClientDirect, time: &Arc<Clockwork>, actor: usize) -> Priced {
        Priced { disk, time: Arc::clone(time), actor, listed: Arc::default(), kept: Arc::default() }
    }

    fn actor(&self) -> usize {
        HAND.get().unwrap_or(self.actor)
    }

    fn pay(&self, calls: u32) {
        self.time.call(self.actor(), calls);
    }

    /// Calls that change these directories.
    fn pay_in(&self, dirs: &[&str], calls: u32) {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(until) = dirs.iter().filter_map(|dir| kept().get(*dir).copied()).max().filter(|until| *until > self.disk.now()) {
            self.time.rest_until(self.actor(), until);
        }
        let until = self.time.ask(self.actor(), calls);
        dirs.iter().for_each(|dir| _ = kept().insert((*dir).to_owned(), until));
        self.time.rest_until(self.actor(), until);
    }
}

fn hash_of(names: &[Entry]) -> u64 {
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    hasher.finish()
}

impl Disk for Priced {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.pay(1);
        let names = self.disk.list(dir)?;
        let hash = hash_of(&names);
        let before = self.listed.lock().unwrap_or_else(PoisonError::into_inner).insert(dir.to_owned(), hash);
        if before != Some(hash) {
            self.pay(1 + (names.len() / NAMES_PER_READDIR) as u32);
        }
        Ok(names)
    }

    fn refresh(&self, dir: &str) -> io::Result<()> {
        self.pay(1);
        self.disk.refresh(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.pay_in(&[dir_of(from), dir_of(to)], 2);
        self.disk.rename(from, to)
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.pay(1);
        self.disk.link(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.pay(1);
        self.disk.remove(path)
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.pay(1);
        self.disk.make_dir(path)
    }

    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String> {
        self.pay_in(&[dir], 1);
        self.pay(2);
        self.disk.draft(dir, bytes, flush)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        self.pay(1);
        let hold = self.disk.open(path)?;
        Ok(Box::new(PricedHold { hold, by: self.clone() }))
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.pay(3);
        self.disk.read(path, limit)
    }

    fn read_part(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        self.pay(3);
        self.disk.read_part(path, from, len)
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        self.pay(1);
        self.disk.touch(path)
    }

    fn look(&self, path: &str) -> io::Result<Look> {
        self.pay(1);
        self.disk.look(path)
    }

    fn at_once(&self, count: usize, work: &Work<'_>) -> Result<(), Failed> {
        assert_eq!(self.actor, BOSS, "the hands are the coordinator's");
        let (pile, at_work) = (Pile::new(count, work), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for hand in HANDS.take(pile.helpers()) {
                self.time.hire(hand);
                at_work.fetch_add(1, Relaxed);
                let (pile, at_work) = (&pile, &at_work);
                scope.spawn(move || {
                    HAND.set(Some(hand));
                    self.time.begin(hand);
                    pile.work_off();
                    at_work.fetch_sub(1, Relaxed);
                    self.time.leave();
                });
            }
            pile.work_off();
            while at_work.load(Relaxed) > 0 {
                self.time.rest(self.actor, ROUND_TRIP / 4);
            }
        });
        pile.ended()
    }

    fn now(&self) -> Duration {
        self.disk.now()
    }

    fn is_network(&self) -> bool {
        true
    }
}

impl Hold for PricedHold {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hold.append(bytes)
    }

    fn try_lock(&self) -> Lock {
        self.by.pay(1);
        self.hold.try_lock()
    }

    fn inode(&self) -> io::Result<(u64, u64)> {
        self.hold.inode()
    }

    fn touch(&self) -> io::Result<()> {
        self.by.pay(1);
        self.hold.touch()
    }

    fn flush(&mut self, flush: Flush) -> io::Result<()> {
        self.by.pay(1);
        self.hold.flush(flush)
    }
}

impl Drop for PricedHold {
    fn drop(&mut self) {
        self.by.pay(1);
    }
}
