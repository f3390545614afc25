//! A client of the simulated disk run directly that takes one safeguard out of the protocol: it answers the real code as if that were not there.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flockwork::disk::sim::run::SimClientDirect;
use flockwork::disk::{Disk, Entry, Flush, Hold, Lock, Look};
use flockwork::ids::{AttemptId, ClaimName, TaskFile};
use flockwork::job::record::{self, Event, Line};

/// What is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The look for one's own name after ENOENT of a rename: the ENOENT is believed.
    NoLostReplyCheck,
    /// The flush before a record is renamed.
    NoFlush,
    /// The link by which an output is published once: a rename does it.
    PublishesByRename,
    /// The link by which a phase file is made once: a rename does it.
    PhasesByRename,
    /// The highest number: attempts are numbered by counting those that have ended.
    NumbersByCounting,
    /// The touch before a listing from which absence is concluded.
    BelievesAnyListing,
    /// The choice of one attempt where two are done: the counters of all are summed.
    CountsBoth,
}

/// The client.
pub struct Bent {
    disk: SimClientDirect,
    bug: Bug,
    gone: Mutex<Option<String>>,
}

struct Unflushed(Box<dyn Hold>);

impl Bent {
    pub fn boxed(disk: SimClientDirect, bug: Bug) -> Arc<dyn Disk> {
        Arc::new(Bent { disk, bug, gone: Mutex::default() })
    }

    fn counted(&self, to: &str) -> io::Result<String> {
        let Some(attempt) = to.strip_prefix("pending/").and_then(|name| name.parse::<AttemptId>().ok()) else { return Ok(to.to_owned()) };
        let mut ended = 0;
        for dir in ["failed", "expired"] {
            let names = self.disk.list(dir)?.into_iter().filter_map(|entry| entry.name.parse::<TaskFile>().ok());
            ended += names.filter(|file| file.attempt().block() == attempt.block()).count();
        }
        Ok(format!("pending/{}", attempt.block().attempt(u32::try_from(ended).expect("few") + 1)))
    }

    fn with_others(&self, claim: &ClaimName, mut lines: Vec<Line>) -> io::Result<Vec<u8>> {
        for entry in self.disk.list("done")? {
            let other: ClaimName = entry.name.parse().expect("ours");
            if other.attempt.block() != claim.attempt.block() || other == *claim {
                continue;
            }
            let more = record::own_result(&entry.name, &self.disk.read(&format!("done/{other}"), u64::MAX)?);
            let results =
                lines.iter_mut().filter_map(|line| if let Event::Result { made, .. } = &mut line.event { Some(made) } else { None });
            for made in results {
                more.iter().flat_map(|(made, _)| &made.counters).for_each(|(name, n)| *made.counters.entry(name.clone()).or_default() += n);
            }
        }
        Ok(lines.iter().flat_map(Line::to_bytes).collect())
    }
}

impl Disk for Bent {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn refresh(&self, dir: &str) -> io::Result<()> {
        self.disk.refresh(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match self.bug {
            Bug::NumbersByCounting => self.disk.rename(from, &self.counted(to)?),
            Bug::NoLostReplyCheck => self.disk.rename(from, to).inspect_err(|_| {
                *self.gone.lock().unwrap_or_else(PoisonError::into_inner) = Some(to.to_owned());
            }),
            _ => self.disk.rename(from, to),
        }
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        match self.bug {
            Bug::PublishesByRename if to.starts_with("output/mr-") => self.disk.rename(from, to),
            Bug::PhasesByRename if to.starts_with("phase/") && (from.contains("/.") || from.contains("/ending.")) => {
                let _ = self.disk.rename(from, to);
                Ok(())
            }
            _ => self.disk.link(from, to),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String> {
        self.disk.draft(dir, bytes, flush)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        let hold = self.disk.open(path)?;
        Ok(if self.bug == Bug::NoFlush { Box::new(Unflushed(hold)) } else { hold })
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let bytes = self.disk.read(path, limit)?;
        match path.strip_prefix("done/").and_then(|name| name.parse().ok()) {
            Some(claim) if self.bug == Bug::CountsBoth => self.with_others(&claim, record::parse(&bytes)),
            _ => Ok(bytes),
        }
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        if self.bug == Bug::BelievesAnyListing && !path.contains('/') { Ok(()) } else { self.disk.touch(path) }
    }

    fn look(&self, path: &str) -> io::Result<Look> {
        if self.gone.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.disk.look(path)
    }

    fn now(&self) -> Duration {
        self.disk.now()
    }

    fn is_network(&self) -> bool {
        true
    }
}

impl Hold for Unflushed {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn try_lock(&self) -> Lock {
        self.0.try_lock()
    }

    fn inode(&self) -> io::Result<(u64, u64)> {
        self.0.inode()
    }

    fn touch(&self) -> io::Result<()> {
        self.0.touch()
    }

    fn flush(&mut self, _: Flush) -> io::Result<()> {
        Ok(())
    }
}
