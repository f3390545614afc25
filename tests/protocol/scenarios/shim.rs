//! A disk that lies to one process: about the time, stamps, names and replies.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flockwork::disk::{Disk, Entry, Flush, Hold, Lock, Look};

/// What bytes become.
pub type Text = fn(&[u8]) -> Vec<u8>;
/// What becomes of the reply of a call about that path.
pub type Reply = Arc<dyn Fn(&str, io::Result<()>) -> io::Result<()> + Send + Sync>;

/// A disk seen through the lies of whoever sets them; without any it is the disk.
#[derive(Clone)]
pub struct Shim {
    pub disk: Arc<dyn Disk>,
    /// What the process's monotonic clock says, given the time.
    pub clock: fn(Duration) -> Duration,
    /// What is written instead of these bytes.
    pub text: Text,
    /// The stamp it sees instead of this one.
    pub stamp: Arc<dyn Fn(i128) -> i128 + Send + Sync>,
    /// Names it cannot see.
    pub hides: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// What it hears of a rename, link or removal that was done or not: given the path.
    pub reply: Reply,
}

impl Shim {
    pub fn over(disk: Arc<dyn Disk>) -> Shim {
        Shim {
            disk,
            clock: |time| time,
            text: <[u8]>::to_vec,
            stamp: Arc::new(|stamp| stamp),
            hides: Arc::new(|_| false),
            reply: Arc::new(|_, result| result),
        }
    }

    fn see(&self, path: &str) -> io::Result<()> {
        if (self.hides)(path) { Err(io::ErrorKind::NotFound.into()) } else { Ok(()) }
    }
}

impl Disk for Shim {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let mut entries = self.disk.list(dir)?;
        entries.retain(|entry| !(self.hides)(&format!("{dir}/{}", entry.name)));
        Ok(entries)
    }

    fn refresh(&self, dir: &str) -> io::Result<()> {
        self.disk.refresh(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.see(from)?;
        (self.reply)(to, self.disk.rename(from, to))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.see(from)?;
        (self.reply)(to, self.disk.link(from, to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.see(path)?;
        (self.reply)(path, self.disk.remove(path))
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        self.disk.make_dir(path)
    }

    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String> {
        self.disk.draft(dir, &(self.text)(bytes), flush)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        self.see(path)?;
        Ok(Box::new(ShimHold { hold: self.disk.open(path)?, text: self.text }))
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        self.see(path)?;
        self.disk.read(path, limit)
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        self.see(path)?;
        self.disk.touch(path)
    }

    fn look(&self, path: &str) -> io::Result<Look> {
        self.see(path)?;
        let look = self.disk.look(path)?;
        Ok(Look { stamp: (self.stamp)(look.stamp), ..look })
    }

    fn now(&self) -> Duration {
        (self.clock)(self.disk.now())
    }

    fn is_network(&self) -> bool {
        self.disk.is_network()
    }
}

struct ShimHold {
    hold: Box<dyn Hold>,
    text: Text,
}

impl Hold for ShimHold {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hold.append(&(self.text)(bytes))
    }

    fn try_lock(&self) -> Lock {
        self.hold.try_lock()
    }

    fn inode(&self) -> io::Result<(u64, u64)> {
        self.hold.inode()
    }

    fn touch(&self) -> io::Result<()> {
        self.hold.touch()
    }

    fn flush(&mut self, flush: Flush) -> io::Result<()> {
        self.hold.flush(flush)
    }
}
