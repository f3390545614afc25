//! Claim, commit, fail, give back: a worker's hold on an attempt, and the renames that begin and end it.
//!
//! Claiming renames `pending/T.an` to `claimed/T.an@me`; exactly one machine wins. A [`Claim`] ends by one of three consuming verbs, each one more
//! rename *whose source is the claim*: that rename is both the commit and the fence. Whoever was declared dead meanwhile finds the source gone and gets
//! [`Commit::Superseded`], an ordinary value. Checking before committing would not help and is not done. A verb that the disk refuses (full,
//! read-only) gives the claim back to its caller, who still holds it and may try again.
//!
//! Cost of a claim: RENAME, OPEN, SETATTR; with the lock OPEN, LOCK, RENAME, GETATTR, SETATTR, and two more when it is closed. Of a commit: WRITE, CLOSE, RENAME.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use super::layout::{self, State};
use super::record::{Ended, Event, Line, TaskError};
use crate::data::Made;
use crate::disk::rename::{is_gone, rename};
use crate::disk::{Disk, Flush, Hold, Lock, Moved, fresh};
use crate::error::is_no_room;
use crate::ids::{AttemptId, ClaimName, TaskFile, WorkerName};

/// One worker incarnation's memory of what it has held: it never holds a `T.an` twice (names are used once).
pub struct Claimer {
    name: WorkerName,
    held: HashSet<AttemptId>,
}

/// What became of a try to claim.
#[must_use = "a claim that is dropped stays claimed until its lease is over"]
pub enum Tried {
    /// It is ours.
    Held(Claim),
    /// Somebody else was quicker, or it is held by a number issued twice: on to the next candidate.
    Lost,
    /// Somebody is about to claim it (its file is locked): on to the next candidate, and back to this one later.
    Refused,
    /// Our file in `workers/` is gone: we are asked to leave, or the directory is another job by now. What was claimed was given back.
    AskedToLeave,
}

/// What the descriptor's lock is to a claim. It proves nothing in any case: the rename decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// None is taken: it costs three calls, and saves some only where workers meet.
    Direct,
    /// A locked descriptor is left to whoever locked it: fewer races.
    Polite,
    /// The lock stayed refused: a stopped process may hold it for ever, and it proves nothing.
    Insistent,
}

/// A held attempt.
#[must_use = "a claim that is dropped stays claimed until its lease is over"]
pub struct Claim {
    name: ClaimName,
    hold: Box<dyn Hold>,
    since: Duration,
    /// What the last append said, so that a verb tried again does not say it twice.
    said: Option<Event>,
    /// An append failed, perhaps half-way: the next one begins a new line.
    torn: bool,
}

/// What became of ending a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "the claim may have been taken away meanwhile"]
pub enum Commit {
    /// It counts.
    Done,
    /// The claim had been taken away; nothing was changed.
    Superseded,
}

/// The claim, still held, and why its verb was refused.
pub type Refusal = Box<(Claim, io::Error)>;

impl Claimer {
    /// For the worker `name`, which must be a new incarnation.
    pub fn new(name: WorkerName) -> Claimer {
        Claimer { name, held: HashSet::new() }
    }

    /// The worker's name.
    pub fn name(&self) -> &WorkerName {
        &self.name
    }

    /// Tries to claim `attempt`, seen in a listing of `pending/`.
    pub fn claim(&mut self, disk: &dyn Disk, attempt: AttemptId, manners: Manners) -> io::Result<Tried> {
        let free = layout::pending(attempt);
        if self.held.contains(&attempt) {
            // Two coordinators issued one number twice. Ours is spent: a second claim would bear the name of the first.
            let _ = rename(disk, &free, &State::Expired.path(&TaskFile::Free(attempt)))?;
            return Ok(Tried::Lost);
        }
        let name = attempt.held_by(&self.name);
        let tried = match manners {
            Manners::Direct => self.rename_then_open(disk, &name)?,
            Manners::Polite | Manners::Insistent => self.lock_then_rename(disk, &name, manners)?,
        };
        match tried {
            Ok(hold) => self.present(disk, Claim { name, hold, since: disk.now(), said: None, torn: false }),
            Err(not_held) => Ok(not_held),
        }
    }

    fn rename_then_open(&mut self, disk: &dyn Disk, name: &ClaimName) -> io::Result<Result<Box<dyn Hold>, Tried>> {
        match self.take(disk, name)? {
            Moved::Here => or_lost(disk.open(&layout::held(State::Claimed, name))),
            Moved::Gone => Ok(Err(Tried::Lost)),
        }
    }

    fn lock_then_rename(&mut self, disk: &dyn Disk, name: &ClaimName, manners: Manners) -> io::Result<Result<Box<dyn Hold>, Tried>> {
        let hold = match or_lost(disk.open(&layout::pending(name.attempt)))? {
            Ok(hold) => hold,
            lost => return Ok(lost),
        };
        if hold.try_lock() == Lock::Refused && manners == Manners::Polite {
            return Ok(Err(Tried::Refused));
        }
        if self.take(disk, name)? == Moved::Gone {
            return Ok(Err(Tried::Lost));
        }
        // Between our open and our rename the name may have been claimed, ended and issued again: then we hold an old inode.
        let path = layout::held(State::Claimed, name);
        let inode = match or_lost(disk.look(&path))? {
            Ok(look) => look.inode,
            Err(lost) => return Ok(Err(lost)),
        };
        if hold.inode().ok() == Some(inode) {
            return Ok(Ok(hold));
        }
        let opened = or_lost(disk.open(&path))?;
        drop(hold);
        let _ = opened.as_ref().map(|hold| hold.try_lock());
        Ok(opened)
    }

    /// The rename that claims. Whatever its error: it may have been done, or may still be, and then the name is spent.
    fn take(&mut self, disk: &dyn Disk, name: &ClaimName) -> io::Result<Moved> {
        let moved = rename(disk, &layout::pending(name.attempt), &layout::held(State::Claimed, name));
        if !matches!(moved, Ok(Moved::Gone)) {
            self.held.insert(name.attempt);
        }
        moved
    }

    /// Shows that we are alive, and learns whether we are still wanted.
    fn present(&self, disk: &dyn Disk, mut claim: Claim) -> io::Result<Tried> {
        match disk.touch(&layout::worker(&self.name)) {
            Ok(()) => {
                let line = Line::new(&claim.name, Event::Claimed { host: self.name.host().to_owned(), pid: self.name.pid() });
                // For people only: where there is no room for it, the claim is as good without.
                claim.torn = claim.hold.append(&line.to_bytes()).is_err();
                Ok(Tried::Held(claim))
            }
            Err(error) if is_gone(&error) => match claim.give_back(disk) {
                Ok(_) => Ok(Tried::AskedToLeave),
                Err(refusal) => Err(refusal.1),
            },
            Err(error) => Err(error),
        }
    }
}

/// What is gone was somebody else's, or was taken back already.
fn or_lost<T>(found: io::Result<T>) -> io::Result<Result<T, Tried>> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(error) if is_gone(&error) => Ok(Err(Tried::Lost)),
        Err(error) => Err(error),
    }
}

impl Claim {
    /// The claim's full name, which everything the attempt writes bears.
    pub fn name(&self) -> &ClaimName {
        &self.name
    }

    /// The file whose mtime is the heartbeat.
    pub fn path(&self) -> String {
        layout::held(State::Claimed, &self.name)
    }

    /// Commits what was made: complete, closed and described before this is called.
    pub fn commit(self, disk: &dyn Disk, made: &Made) -> Result<Commit, Refusal> {
        let elapsed_ms = u64::try_from(disk.now().saturating_sub(self.since).as_millis()).unwrap_or(u64::MAX);
        // A commit that is tried again says what it has said: the time since would make it another line.
        let event = match &self.said {
            Some(said @ Event::Result { made: before, .. }) if before == made => said.clone(),
            Some(_) | None => Event::Result { made: made.clone(), elapsed_ms },
        };
        self.end(disk, event, State::Done)
    }

    /// Reports an error.
    pub fn fail(self, disk: &dyn Disk, error: TaskError) -> Result<Commit, Refusal> {
        self.end(disk, Event::Error(error), State::Failed)
    }

    /// Gives the attempt up without fault; the coordinator issues the next at once. Never back to `pending/`: scans would miss a
    /// backward move, and the name would be used twice.
    pub fn give_back(self, disk: &dyn Disk) -> Result<Commit, Refusal> {
        // What was taken away already is not to say that it was given back.
        if !fresh::is_there(disk, &self.path()).unwrap_or(true) {
            return Ok(Commit::Superseded);
        }
        self.end(disk, Event::Ended(Ended::GivenBack), State::Expired)
    }

    fn end(mut self, disk: &dyn Disk, event: Event, to: State) -> Result<Commit, Refusal> {
        if let Err(error) = self.say(event)
            && (is_no_room(&error) || self.reopen(disk))
        {
            return Err(Box::new((self, error)));
        }
        // (a claim that could not be opened again is gone, and the rename tells by whom)
        match rename(disk, &self.path(), &layout::held(to, &self.name)) {
            Ok(Moved::Here) => Ok(Commit::Done),
            Ok(Moved::Gone) => Ok(Commit::Superseded),
            Err(error) => Err(Box::new((self, error))),
        }
    }

    /// Problem: a server that has forgotten what this machine had locked (after a cut longer than its patience) answers every further write by that
    /// open file with EIO, for ever, while touches by path go on as if nothing had happened. Workaround: the file is opened anew, and told all again.
    /// False if it is gone.
    fn reopen(&mut self, disk: &dyn Disk) -> bool {
        match disk.open(&self.path()) {
            Ok(hold) => {
                let _ = hold.try_lock();
                (self.hold, self.said, self.torn) = (hold, None, true);
                true
            }
            Err(error) => !is_gone(&error) || fresh::is_there(disk, &self.path()).unwrap_or(true),
        }
    }

    fn say(&mut self, event: Event) -> io::Result<()> {
        if self.said.as_ref() != Some(&event) {
            let mut bytes = if self.torn { vec![b'\n'] } else { Vec::new() };
            bytes.extend_from_slice(&Line::new(&self.name, event.clone()).to_bytes());
            self.torn = true;
            self.hold.append(&bytes)?;
            self.torn = false;
            self.said = Some(event);
        }
        // On a network mount the write errors (ENOSPC, EDQUOT, EIO) appear only here, and what could not be written may be gone: it is said again.
        self.hold.flush(Flush::OnNetwork).inspect_err(|_| (self.said, self.torn) = (None, true))
    }
}
