//! Waiting for news: a hint at once where the operating system gives one, a time-out everywhere.
//!
//! Problem: inotify tells nothing of what other machines do on a network mount, and says so to nobody; it tells us of every directory and file
//! that we read ourselves, so that a loop which lists when woken wakes itself for ever (measured: two events per listing); and the thread that hears what it
//! tells is woken by every rename of every process, at thousands of tasks a second (measured: a third of all the work). Workaround: the watcher is used on
//! local mounts only; only names that *appear* or are removed wake, never reading, touching, or names with a dot; any doubt (an error, an overflow) wakes;
//! and who is too busy to wait gives it up ([`Watch::busy`]), until the next wait.
//!
//! An event is a hint and nothing else: it may be late, missing or false, carries no name, and several are one. Whoever is woken lists the directory,
//! and lists it anyway when the time is up.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

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
    dirs: Vec<PathBuf>,
    // Held for its thread, which calls the waker until this is dropped.
    watcher: Mutex<Option<RecommendedWatcher>>,
    /// What that thread has heard since the last wait.
    heard: Arc<AtomicU32>,
}

/// Who has heard so much since its last wait has better things to do than to listen.
const HEARD_MAX: u32 = 200;

/// Ends another thread's wait; a wake before the wait ends it at once, and many are one.
#[derive(Clone, Default)]
pub struct Waker {
    pending: Arc<(Mutex<Pending>, Condvar)>,
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
        Watch { waker: Waker::default(), dirs: Vec::new(), watcher: Mutex::default(), heard: Arc::default() }
    }

    /// Wakes also when a name appears in or is removed from one of `dirs` (under `root`, not below them). On a network mount, or where no
    /// watcher is to be had (too many watches, a directory missing), it is [`Watch::polling`].
    pub fn local(root: &Path, dirs: &[&str]) -> Watch {
        if super::real::is_network(root) {
            return Watch::polling();
        }
        let mut watch = Watch { dirs: dirs.iter().map(|dir| root.join(dir)).collect(), ..Watch::polling() };
        if !watch.listen() {
            watch.dirs.clear();
        }
        watch
    }

    /// True where events are to be expected, so that the time-out may be longer.
    pub fn hears(&self) -> bool {
        !self.dirs.is_empty()
    }

    /// Said between two pieces of work: where much was heard meanwhile, nobody listens any more before the next wait.
    pub fn busy(&self) {
        if self.heard.load(Relaxed) > HEARD_MAX {
            drop(self.watcher().take());
            self.heard.store(0, Relaxed);
        }
    }

    fn watcher(&self) -> MutexGuard<'_, Option<RecommendedWatcher>> {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the kernel asked; false where it cannot be.
    fn listen(&self) -> bool {
        let (ears, heard) = (self.waker.clone(), Arc::clone(&self.heard));
        let hear = move |event: notify::Result<Event>| {
            heard.fetch_add(1, Relaxed);
            if event.as_ref().map_or(true, is_news) {
                ears.wake();
            }
        };
        let watching = notify::recommended_watcher(hear).and_then(|mut watcher| {
            self.dirs.iter().try_for_each(|dir| watcher.watch(dir, RecursiveMode::NonRecursive))?;
            Ok(watcher)
        });
        *self.watcher() = watching.ok();
        self.watcher().is_some()
    }

    /// For other threads to end the wait with.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits for news since the last wait, `at_most` so long.
    pub fn wait(&self, at_most: Duration) -> Woken {
        self.heard.store(0, Relaxed);
        if self.hears() && self.watcher().is_none() && self.listen() {
            return Woken::Event; // What happened while nobody listened is not known.
        }
        let (pending, changed) = &*self.waker.pending;
        let guard = pending.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing = |pending: &mut Pending| *pending == Pending::Nothing;
        let (mut guard, _) = changed.wait_timeout_while(guard, at_most, nothing).unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *guard) {
            Pending::Wake => Woken::Event,
            Pending::Nothing => Woken::Timeout,
        }
    }
}

impl Waker {
    /// Ends the wait under way, or the next one.
    pub fn wake(&self) {
        let (pending, changed) = &*self.pending;
        *pending.lock().unwrap_or_else(PoisonError::into_inner) = Pending::Wake;
        changed.notify_one();
    }
}

fn is_news(event: &Event) -> bool {
    if event.need_rescan() {
        return true; // the queue overflowed: whatever was in it is lost
    }
    let name = event.paths.first().and_then(|path| path.file_name()).unwrap_or(OsStr::new(""));
    match event.kind {
        EventKind::Create(_) | EventKind::Remove(_) => !is_hidden(name),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => !is_hidden(name),
        // Reading, touching, writing and being renamed away (which is an appearance elsewhere) are no news; a rename between two watched
        // directories comes once more as `Both`, after its `To`.
        EventKind::Modify(_) | EventKind::Access(_) | EventKind::Any | EventKind::Other => false,
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().first() == Some(&b'.')
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
    use std::time::Instant;

    const QUIET: Duration = Duration::from_millis(200);
    /// Nobody waits for so long, but on a machine that is busy with other things.
    const SOON: Duration = Duration::from_secs(60);

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
    fn who_is_busy_stops_listening_and_is_woken_once_when_it_waits_again() {
        let Some((_dir, disk, watch)) = watched() else { return };
        watch.busy();
        assert!(watch.watcher().is_some(), "little was heard");
        for n in 0..2000 {
            let (from, to) = [("elsewhere/new", "pending/new"), ("pending/new", "elsewhere/new")][n % 2];
            disk.rename(from, to).expect("rename");
        }
        let begun = Instant::now();
        while watch.heard.load(Relaxed) <= HEARD_MAX && begun.elapsed() < SOON {
            std::thread::yield_now();
        }
        watch.busy();
        assert!(watch.watcher().is_none(), "much was heard");
        assert_eq!(watch.wait(SOON), Woken::Event, "nobody knows what happened meanwhile");
        assert!(watch.watcher().is_some());
        while watch.wait(QUIET) == Woken::Event {} // what was heard before
        disk.rename("elsewhere/new", "pending/other").expect("rename");
        assert_eq!(watch.wait(SOON), Woken::Event);
    }

    #[test]
    fn doubt_wakes() {
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert!(is_news(&overflow), "an overflow has no path, and anything may be behind it");
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
        let other = std::thread::spawn(move || waker.wake());
        assert_eq!(watch.wait(SOON), Woken::Event);
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
