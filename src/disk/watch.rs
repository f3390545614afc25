//! Waiting for news: a hint at once where the operating system gives one, a time-out everywhere.
//!
//! Problem: inotify tells nothing of what other machines do on a network mount, and says so to nobody; it tells us of every directory and file
//! that we read ourselves, so that a loop which lists when woken wakes itself for ever (measured: two events per listing); and a thread that reads what it
//! tells is woken by every rename of every process, at thousands of tasks a second (measured: a third of all the work). Workaround: the kernel is asked on local mounts only, and
//! only for names that *appear* or are removed, never for reading, touching or writing; it is listened to only by whoever waits, in the wait: what was
//! told meanwhile lies in the kernel's queue, is read in one go, and is dropped when there is too much of it. Names with a dot do not wake; any doubt (an overflow) does.
//!
//! An event is a hint and nothing else: it may be late, missing or false, carries no name, and several are one. Whoever is woken lists the directory,
//! and lists it anyway when the time is up.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// Bytes of events read at a time.
const EVENT_BYTES: usize = 16 << 10;

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Something may have happened.
    Event,
    /// The time is up.
    Timeout,
}

/// Something to wait at, for one waiting thread.
pub struct Watch {
    waker: Waker,
    ears: Option<Ears>,
}

/// What the kernel tells, and the bell that ends waiting for it.
struct Ears {
    told: OwnedFd,
    bell: Arc<OwnedFd>,
}

/// Ends another thread's wait; a wake before the wait ends it at once, and many are one.
#[derive(Clone, Default)]
pub struct Waker {
    pending: Arc<(Mutex<Pending>, Condvar)>,
    /// Rung where the kernel is listened to.
    bell: Option<Arc<OwnedFd>>,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Pending {
    #[default]
    Nothing,
    Wake,
}

impl Watch {
    /// Wakes by its [`Waker`] and by time only.
    pub fn polling() -> Watch {
        Watch { waker: Waker::default(), ears: None }
    }

    /// Wakes also when a name appears in or is removed from one of `dirs` (under `root`, not below them). On a network mount, or where the
    /// kernel cannot be asked (too many watches, a directory missing), it is [`Watch::polling`].
    pub fn local(root: &Path, dirs: &[&str]) -> Watch {
        if super::real::is_network(root) {
            return Watch::polling();
        }
        let Ok(ears) = Ears::at(root, dirs) else { return Watch::polling() };
        Watch { waker: Waker { bell: Some(Arc::clone(&ears.bell)), ..Waker::default() }, ears: Some(ears) }
    }

    /// True where events are to be expected, so that the time-out may be longer.
    pub fn hears(&self) -> bool {
        self.ears.is_some()
    }

    /// For other threads to end the wait with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits for news since the last wait, `at_most` so long.
    pub fn wait(&self, at_most: Duration) -> Woken {
        match &self.ears {
            Some(ears) => self.listen(ears, Instant::now() + at_most),
            None => self.waker.wait(at_most),
        }
    }

    fn listen(&self, ears: &Ears, until: Instant) -> Woken {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let news = ears.wait(left) | (self.waker.wait(Duration::ZERO) == Woken::Event);
            if news {
                return Woken::Event;
            }
            if left.is_zero() {
                return Woken::Timeout;
            }
        }
    }
}

impl Ears {
    fn at(root: &Path, dirs: &[&str]) -> rustix::io::Result<Ears> {
        let told = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        for dir in dirs {
            let of = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::DELETE_SELF;
            inotify::add_watch(&told, root.join(dir), of | WatchFlags::ONLYDIR)?;
        }
        let bell = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        Ok(Ears { told, bell })
    }

    /// Waits until something is told or the bell is rung; true if there was news in what was told.
    fn wait(&self, at_most: Duration) -> bool {
        let mut ears = [PollFd::new(&self.told, PollFlags::IN), PollFd::new(&*self.bell, PollFlags::IN)];
        let at_most = Timespec::try_from(at_most).ok();
        if let Err(error) = poll(&mut ears, at_most.as_ref())
            && error != rustix::io::Errno::INTR
        {
            return true;
        }
        if ears[1].revents().contains(PollFlags::IN) {
            let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        }
        ears[0].revents().contains(PollFlags::IN) && self.drain()
    }

    /// Reads all that was told; true if there is news in it.
    fn drain(&self) -> bool {
        let mut room = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = inotify::Reader::new(&self.told, &mut room);
        let mut news = false;
        loop {
            match events.next() {
                Ok(event) => news |= is_news(event.events(), event.file_name().map_or(b"", |name| name.to_bytes())),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return news,
                Err(_) => return true,
            }
        }
    }
}

impl Waker {
    /// Ends the wait under way, or the next one.
    pub fn wake(&self) {
        let (pending, changed) = &*self.pending;
        *pending.lock().unwrap_or_else(PoisonError::into_inner) = Pending::Wake;
        changed.notify_one();
        if let Some(bell) = &self.bell {
            // It can refuse only when it is ringing already.
            let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
        }
    }

    fn wait(&self, at_most: Duration) -> Woken {
        let (pending, changed) = &*self.pending;
        let guard = pending.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |pending: &mut Pending| *pending == Pending::Nothing;
        let (mut guard, _) = changed.wait_timeout_while(guard, at_most, nothing).unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *guard) {
            Pending::Wake => Woken::Event,
            Pending::Nothing => Woken::Timeout,
        }
    }
}

/// A name without a dot is news; so is the end of a watch, and an overflow, behind which anything may be.
fn is_news(events: ReadFlags, name: &[u8]) -> bool {
    events.contains(ReadFlags::QUEUE_OVERFLOW) || name.first() != Some(&b'.')
}

/// Growing waits between looks: each twice the last up to a largest, a quarter of it up to chance, so that many machines do not look in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    largest: Duration,
    next: Duration,
    chance: u64,
}

impl Backoff {
    /// Waits from `first` to `largest`; the same seed gives the same waits.
    pub fn new(first: Duration, largest: Duration, seed: u64) -> Backoff {
        Backoff { first, largest, next: first.min(largest), chance: seed }
    }

    /// The next wait: never more than the largest, never less than three quarters of what it grew to.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.largest);
        let quarter = u64::try_from(wait.as_nanos() / 4).unwrap_or(u64::MAX);
        wait - Duration::from_nanos(split_mix_64(&mut self.chance) % quarter.saturating_add(1).max(1))
    }

    /// Begins anew with the first wait: something happened.
    pub fn reset(&mut self) {
        self.next = self.first.min(self.largest);
    }
}

/// SplitMix64: one word of state, and good enough to be out of step, or to choose a schedule.
pub(super) fn split_mix_64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;
    use crate::disk::{Disk, Flush};

    const QUIET: Duration = Duration::from_millis(200);
    const SOON: Duration = Duration::from_secs(1);

    fn watched() -> Option<(tempfile::TempDir, RealDisk, Watch)> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::at(dir.path());
        for name in ["pending", "elsewhere"] {
            disk.make_dir(name).expect("mkdir");
        }
        std::fs::write(dir.path().join("pending/here"), b"text").expect("write");
        std::fs::write(dir.path().join("elsewhere/new"), b"text").expect("write");
        let watch = Watch::local(dir.path(), &["pending"]);
        // A temporary directory on a network mount, or a machine without inotify instances to spare, has nothing to test.
        watch.hears().then_some((dir, disk, watch))
    }

    #[test]
    fn our_own_listing_reading_touching_and_drafting_does_not_wake() {
        let Some((_dir, disk, watch)) = watched() else { return };
        for _ in 0..3 {
            disk.list("pending").expect("list");
            disk.refresh("pending").expect("refresh");
            disk.read("pending/here", 100).expect("read");
            disk.touch("pending/here").expect("touch");
            disk.touch("pending").expect("touch");
            disk.look("pending/here").expect("look");
            disk.open("pending/here").expect("open").append(b"more").expect("append");
            let draft = disk.draft("pending", b"text", Flush::Always).expect("draft");
            disk.remove(&draft).expect("remove");
        }
        assert_eq!(watch.wait(QUIET), Woken::Timeout, "a loop that lists when woken must not wake itself");
    }

    #[test]
    fn a_rename_into_the_directory_wakes() {
        let Some((_dir, disk, watch)) = watched() else { return };
        disk.rename("elsewhere/new", "pending/new").expect("rename");
        assert_eq!(watch.wait(SOON), Woken::Event);
        assert_eq!(watch.wait(QUIET), Woken::Timeout, "and wakes once");
    }

    #[test]
    fn a_draft_that_gets_its_name_and_a_removal_wake() {
        let Some((_dir, disk, watch)) = watched() else { return };
        let draft = disk.draft("pending", b"text", Flush::OnNetwork).expect("draft");
        disk.rename(&draft, "pending/task").expect("rename");
        assert_eq!(watch.wait(SOON), Woken::Event, "the rename");
        assert_eq!(watch.wait(QUIET), Woken::Timeout);
        disk.remove("pending/task").expect("remove");
        assert_eq!(watch.wait(SOON), Woken::Event, "the removal");
    }

    #[test]
    fn what_is_told_while_nobody_waits_wakes_the_next_wait_once_however_much_it_is() {
        let Some((_dir, disk, watch)) = watched() else { return };
        for n in 0..40_000 {
            let (from, to) = [("elsewhere/new", "pending/new"), ("pending/new", "elsewhere/new")][n % 2];
            disk.rename(from, to).expect("rename");
        }
        assert_eq!(watch.wait(SOON), Woken::Event, "20,000 names appeared, more than the kernel keeps");
        assert_eq!(watch.wait(QUIET), Woken::Timeout, "one wait takes all of it");
    }

    #[test]
    fn doubt_wakes() {
        assert!(is_news(ReadFlags::QUEUE_OVERFLOW, b""), "an overflow has no name, and anything may be behind it");
        assert!(!is_news(ReadFlags::CREATE, b".tmp-1") && is_news(ReadFlags::IGNORED, b""), "a directory that is gone is news");
    }

    #[test]
    fn another_thread_ends_the_wait_and_a_wake_is_not_lost() {
        let watch = Watch::polling();
        assert!(!watch.hears());
        watch.waker().wake();
        watch.waker().wake();
        assert_eq!(watch.wait(SOON), Woken::Event, "a wake before the wait counts");
        assert_eq!(watch.wait(Duration::ZERO), Woken::Timeout, "two wakes are one");
        let waker = watch.waker();
        let begun = Instant::now();
        let other = std::thread::spawn(move || waker.wake());
        assert_eq!(watch.wait(Duration::from_secs(60)), Woken::Event);
        assert!(begun.elapsed() < Duration::from_secs(30));
        other.join().expect("the waking thread");
    }

    #[test]
    fn a_missing_directory_is_polled() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert!(!Watch::local(dir.path(), &["not-there"]).hears());
    }

    #[test]
    fn waits_grow_to_the_largest_and_begin_anew() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10), ms(1000), 7);
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next_wait()).collect();
        for (n, wait) in waits.iter().enumerate() {
            let grown = ms(10 << n).min(ms(1000));
            assert!(*wait <= grown && *wait >= grown * 3 / 4, "wait {n} is {wait:?}, of {grown:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= ms(10));
        let mut other = Backoff::new(ms(10), ms(1000), 8);
        assert_ne!(waits, (0..12).map(|_| other.next_wait()).collect::<Vec<_>>(), "two seeds are out of step");
        let mut nothing = Backoff::new(Duration::ZERO, Duration::ZERO, 1);
        assert_eq!(nothing.next_wait(), Duration::ZERO);
    }
}
