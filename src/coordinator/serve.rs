//! Around the tick: the lock, the standby, the sentry that looks at heartbeats, and waiting.
//!
//! The lock and the sentry's touches of `coordinator.lock` only keep two coordinators from doing the same work; with both lying, two run at once and do no
//! harm. Any number stand by: one takes over when the lock falls free, or when the file's mtime has not changed for three leases, and adds a line that
//! says so. Whoever led before (it was stopped, or its lock keeps nobody out) finds a line behind its own: it is relieved. It lets its lock go and stands by,
//! and from then on believes in silence only, for its lock has proved nothing: else two that cannot see each other's locks would relieve each other for ever.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::leases::{Leases, Listing, Watched};
use super::probes::{Cause, Probes, Word};
use super::sightings::Sightings;
use super::trouble::Trouble;
use super::{Coordinator, backup, window};
use crate::disk::rename::is_gone;
use crate::disk::watch::{Waker, Watch};
use crate::disk::{Created, Disk, Flush, Hold, Lock, create, fresh};
use crate::error::{Error, Result};
use crate::ids::{ClaimName, WorkerName};
use crate::job::end::{self, End};
use crate::job::layout::{self, COORDINATOR_LOCK, State};
use crate::job::record::{Event, Line};
use crate::job::snapshot::Snapshot;

/// How often the locks of workers on this host are probed.
const PROBE_PERIOD: Duration = Duration::from_millis(250);
/// How often a standby tries the lock.
const STANDBY_PERIOD: Duration = Duration::from_millis(200);
/// While a backup may be wanted, no wait is longer.
const TAIL_WAIT_MAX: Duration = Duration::from_millis(500);
/// A disk that refuses is asked again after this long.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// What the coordinator tells whoever runs it.
#[derive(Debug)]
pub enum News<'a> {
    /// Another coordinator is at work; this one stands by.
    StandingBy,
    /// This one is at work.
    Serving,
    /// A tick saw this.
    Seen(&'a Snapshot),
    /// Tasks wait and no worker is alive.
    NoWorker,
    /// The disk refuses; the job waits and goes on by itself.
    Trouble(&'a Error),
}

type Shared = Arc<Mutex<Sightings>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Sightings> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a standby takes for proof that nobody leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// The lock is free, or the leader is silent.
    LockOrSilence,
    /// The leader is silent.
    Silence,
}

/// What the one that leads holds.
struct Office {
    hold: Box<dyn Hold>,
    locked: bool,
    /// The lock's file, and how long it was after our own line.
    line: Option<((u64, u64), u64)>,
}

impl Office {
    /// Adds our line to the lock's file: whoever led before is relieved.
    fn take(coordinator: &Coordinator, mut hold: Box<dyn Hold>, locked: bool) -> Office {
        let name = &coordinator.name;
        let line = Line::new(name, Event::Claimed { host: name.host().to_owned(), pid: name.pid() });
        let said = hold.append(&line.to_bytes()).and_then(|()| hold.flush(Flush::OnNetwork));
        let look = said.and_then(|()| coordinator.disk.look(COORDINATOR_LOCK));
        Office { hold, locked, line: look.ok().map(|look| (look.inode, look.len)) }
    }

    /// A line stands behind ours.
    fn is_relieved(&self, disk: &dyn Disk) -> bool {
        let Some((inode, len)) = self.line else { return false };
        disk.look(COORDINATOR_LOCK).is_ok_and(|look| look.inode == inode && look.len > len)
    }

    /// Whoever leads because another was silent gets the lock once that one has let it go.
    fn lock(&mut self) {
        self.locked = self.locked || self.hold.try_lock() == Lock::Taken;
    }
}

/// How leading came to its end.
enum Led {
    Ended(Box<End>),
    /// The end that was seen was retried before it was read.
    TakenBack,
    Stopped,
    Relieved,
}

/// With whom whoever serves a job has to do.
struct Duty<'a> {
    stop: &'a AtomicBool,
    tell: &'a mut dyn FnMut(News<'_>),
    trouble: Trouble,
}

impl Duty<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Relaxed)
    }

    fn tell(&mut self, news: News<'_>) {
        (self.tell)(news);
    }

    /// The disk has refused something, which may pass: tells of it, and rests.
    fn refused(&mut self, coordinator: &Coordinator, error: &Error) {
        self.trouble.is_met(coordinator, error, self.tell);
        self.rest();
    }

    /// Rests before a disk that refuses is asked again, whatever happens meanwhile; no longer than until told to stop.
    fn rest(&self) {
        let begun = Instant::now();
        while begun.elapsed() < TROUBLE_PAUSE && !self.is_over() {
            std::thread::sleep(STANDBY_PERIOD);
        }
    }
}

/// Serves the job until its end, standing by while another coordinator is at work. `stop` is asked at every turn.
pub fn serve(coordinator: &mut Coordinator, watch: &Watch, stop: &AtomicBool, tell: &mut dyn FnMut(News<'_>)) -> Result<Option<End>> {
    let mut proof = Proof::LockOrSilence;
    let mut duty = Duty { stop, tell, trouble: Trouble::default() };
    loop {
        let Some(mut office) = stand_by(coordinator, proof, &mut duty)? else { return Ok(None) };
        duty.tell(News::Serving);
        coordinator.expect_this_job();
        let shared = Shared::default();
        let over = Arc::new(AtomicBool::new(false));
        let sentry = start_sentry(coordinator, watch.waker(), &shared, &over)?;
        let led = lead(coordinator, &mut office, &mut duty, watch, &shared, sentry.thread());
        over.store(true, Relaxed);
        sentry.thread().unpark();
        // Not joined if it hangs in a call: the process may go all the same.
        match led? {
            Led::Ended(end) => return Ok(Some(*end)),
            Led::Stopped => return Ok(None),
            Led::TakenBack => duty.rest(),
            Led::Relieved => {
                coordinator.log.event("relieved", "", "another coordinator leads");
                proof = Proof::Silence;
            }
        }
    }
}

fn start_sentry(coordinator: &Coordinator, waker: Waker, shared: &Shared, over: &Arc<AtomicBool>) -> Result<JoinHandle<()>> {
    let (disk, host, ask) = (Arc::clone(&coordinator.disk), coordinator.name.clone(), &coordinator.spec.ask);
    let (shared, over) = (Arc::clone(shared), Arc::clone(over));
    let (leases, probes, beat) = (Leases::new(ask.lease()), Probes::default(), ask.beat());
    let sentry = Sentry { disk, host, leases, probes, beat, shared, over, waker, lock: None };
    let started = std::thread::Builder::new().spawn(move || sentry.run());
    started.map_err(|error| Error::io("cannot start a thread to watch the claims of", &coordinator.root, error))
}

/// Ticks until the end.
fn lead(
    coordinator: &mut Coordinator,
    office: &mut Office,
    duty: &mut Duty<'_>,
    watch: &Watch,
    shared: &Shared,
    sentry: &Thread,
) -> Result<Led> {
    let mut backoff =
        crate::disk::watch::Backoff::new(Duration::from_millis(20), Duration::from_secs(1), u64::from(coordinator.name.pid()));
    let (mut worker_seen, mut waited) = (coordinator.disk.now(), 0);
    while !duty.is_over() {
        let begun = coordinator.disk.now();
        if office.is_relieved(&*coordinator.disk) {
            return Ok(Led::Relieved);
        }
        office.lock();
        let watched = lock(shared).watched(begun, coordinator.spec.ask.lease());
        let tick = match coordinator.tick(&watched) {
            Ok(tick) => tick,
            Err(error) if error.may_pass() => {
                duty.refused(coordinator, &error);
                continue;
            }
            Err(error) => return Err(error),
        };
        duty.trouble.may_be_over(coordinator);
        duty.tell(News::Seen(&tick.snapshot));
        if tick.ended {
            return read_end(coordinator, duty);
        }
        bury(coordinator, shared);
        let is_tail = coordinator.spec.ask.backup && backup::may_be_wanted(&tick.snapshot);
        if lock(shared).sight(&tick.snapshot, is_tail) {
            sentry.unpark();
        }
        let waiting = window::waiting(&tick.snapshot);
        if !tick.snapshot.workers.is_empty() || waiting == 0 {
            worker_seen = coordinator.disk.now();
        } else if coordinator.disk.now().saturating_sub(worker_seen) > Duration::from_secs(5) {
            duty.tell(News::NoWorker);
            worker_seen = coordinator.disk.now() + Duration::from_secs(25);
        }
        std::thread::sleep(coordinator.rest(&tick));
        coordinator.keep(tick.snapshot);
        // While enough is there, what every commit tells would be listened to in vain.
        let is_under_way = waiting >= window::PLENTY && waiting != std::mem::replace(&mut waited, waiting);
        if tick.done > 0 || is_under_way {
            backoff.reset();
            watch.busy();
            continue;
        }
        let wait = if is_tail { backoff.next_wait().min(TAIL_WAIT_MAX) } else { backoff.next_wait() };
        if watch.wait(wait) == crate::disk::watch::Woken::Event {
            backoff.reset();
        }
    }
    Ok(Led::Stopped)
}

/// The end that was decided, read as soon as the disk lets us.
fn read_end(coordinator: &Coordinator, duty: &mut Duty<'_>) -> Result<Led> {
    while !duty.is_over() {
        match end::load(&*coordinator.disk, &coordinator.root) {
            Ok(end) => return Ok(end.map_or(Led::TakenBack, |end| Led::Ended(Box::new(end)))),
            Err(error) if error.may_pass() => duty.refused(coordinator, &error),
            Err(error) => return Err(error),
        }
    }
    Ok(Led::Stopped)
}

/// Takes dead workers of this machine out of the listing, once none of their claims is left. Elsewhere a lock found free is good enough to issue a task
/// again, but not to send a worker away that may live after all.
fn bury(coordinator: &Coordinator, shared: &Shared) {
    let seen = lock(shared);
    let done: Vec<WorkerName> = seen
        .dead
        .iter()
        .filter(|worker| seen.workers.contains(worker) && !seen.claims.iter().any(|claim| claim.worker == **worker))
        .cloned()
        .collect();
    drop(seen);
    for worker in done {
        let _ = coordinator.disk.remove(&layout::worker(&worker));
    }
}

/// Waits until this coordinator may serve; `None` if stopped before. Where the disk refuses it goes on waiting, but for the very first try: somebody is there to read why.
fn stand_by(coordinator: &Coordinator, proof: Proof, duty: &mut Duty<'_>) -> Result<Option<Office>> {
    let disk = &*coordinator.disk;
    let mut silence = Leases::new(coordinator.spec.ask.lease() * 3);
    let mut told = false;
    let mut has_begun = proof == Proof::Silence;
    loop {
        match try_office(coordinator, proof, &mut silence) {
            Ok((hold, locked, true)) => return Ok(Some(Office::take(coordinator, hold, locked))),
            Ok((hold, locked, false)) => {
                if end::load(disk, &coordinator.root).is_ok_and(|end| end.is_some()) || duty.is_over() {
                    return Ok((!duty.is_over()).then_some(Office { hold, locked, line: None }));
                }
            }
            Err(error) => match coordinator.told_apart(error) {
                error if !error.may_pass() || !(has_begun || error.is_not_found()) => return Err(error),
                _ if duty.is_over() => return Ok(None),
                error => {
                    duty.refused(coordinator, &error);
                    continue;
                }
            },
        }
        has_begun = true;
        duty.trouble.may_be_over(coordinator);
        if !told {
            duty.tell(News::StandingBy);
            told = true;
        }
        std::thread::sleep(STANDBY_PERIOD);
    }
}

/// Tries whether nobody leads: the lock's file, whether it is locked now, and whether this coordinator may take the office.
fn try_office(coordinator: &Coordinator, proof: Proof, silence: &mut Leases) -> Result<(Box<dyn Hold>, bool, bool)> {
    let disk = &*coordinator.disk;
    let fail = |error| Error::io("cannot open", coordinator.root.join(COORDINATOR_LOCK), error);
    let own: ClaimName = crate::ids::TaskId::map(0).attempt(1).held_by(&coordinator.name);
    let (hold, created) = open_lock(disk).map_err(fail)?;
    let (locked, alone) = match proof {
        Proof::Silence => (false, false),
        Proof::LockOrSilence => match hold.try_lock() {
            Lock::Taken => (true, true),
            Lock::Refused => (false, false),
            // No working locks here: only the mtime tells whether another is at work, unless nobody can have been before us.
            Lock::Broken => (false, created == Created::Now),
        },
    };
    let begun = disk.now();
    let stamp = disk.look(COORDINATOR_LOCK).map_err(fail)?.stamp;
    silence.note(&own, super::leases::Reading { begun, back: disk.now(), stamp: Some(stamp) });
    let may_lead = alone || silence.stale().next().is_some();
    Ok((hold, locked, may_lead))
}

fn open_lock(disk: &dyn Disk) -> std::io::Result<(Box<dyn Hold>, Created)> {
    match disk.open(COORDINATOR_LOCK) {
        Err(error) if is_gone(&error) => {
            let draft = disk.draft(".", b"", Flush::OnNetwork)?;
            let created = create::link_once(disk, &draft, COORDINATOR_LOCK);
            let _ = disk.remove(&draft);
            let created = created?;
            fresh::renew(disk, ".")?;
            Ok((disk.open(COORDINATOR_LOCK)?, created))
        }
        opened => Ok((opened?, Created::Before)),
    }
}

/// The thread that looks at heartbeats and probes locks: it never waits for the main loop, nor that for it.
struct Sentry {
    disk: Arc<dyn Disk>,
    host: WorkerName,
    leases: Leases,
    probes: Probes,
    beat: Duration,
    shared: Shared,
    over: Arc<AtomicBool>,
    waker: Waker,
    /// The lock made anew, where somebody removed `coordinator.lock`.
    lock: Option<Box<dyn Hold>>,
}

impl Sentry {
    fn run(mut self) {
        let mut next_look = self.disk.now();
        while !self.over.load(Relaxed) {
            let look_now = std::mem::take(&mut lock(&self.shared).look_now);
            if look_now || self.disk.now() >= next_look {
                next_look = self.disk.now() + self.leases.period();
                self.look();
            }
            self.probe();
            std::thread::park_timeout(PROBE_PERIOD.min(self.leases.period()));
        }
    }

    /// A fresh listing of its own: the main loop may be busy, or stalled.
    fn look(&mut self) {
        let Ok(entries) = self.disk.list(State::Claimed.dir()) else { return };
        let claims: Vec<ClaimName> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        match self.leases.look(&*self.disk, &claims) {
            Ok(Listing::True) => {}
            // It would stay, and hold its tasks for ever, where nothing changes there any more.
            Ok(Listing::Old) => _ = self.disk.touch(State::Claimed.dir()),
            Err(error) => {
                // Without the file no touch would ever come back, and no lease would ever end.
                if is_gone(&error)
                    && let Ok((hold, _)) = open_lock(&*self.disk)
                {
                    let _ = hold.try_lock();
                    self.lock = Some(hold);
                }
                return;
            }
        }
        let Watched { stale: silent, running } = self.leases.watched();
        let mut seen = lock(&self.shared);
        let news = !silent.is_subset(&seen.silent);
        (seen.silent, seen.running, seen.looked) = (silent, running, self.disk.now());
        seen.claims.extend(claims);
        drop(seen);
        if news {
            self.waker.wake();
        }
    }

    fn probe(&mut self) {
        let (workers, claims) = {
            let seen = lock(&self.shared);
            (seen.workers.clone(), seen.claims.clone())
        };
        self.probes.keep(&workers);
        let late: BTreeSet<&ClaimName> = claims.iter().filter(|claim| self.leases.silent(claim) > self.beat * 2).collect();
        let (mut dead, mut doubted) = (BTreeSet::new(), BTreeSet::new());
        for worker in &workers {
            let claims_late = || late.iter().filter(|claim| claim.worker == *worker);
            let cause = Cause { is_near: worker.host() == self.host.host(), is_late: claims_late().next().is_some() };
            match self.probes.ask(&*self.disk, worker, cause) {
                Word::Nothing => {}
                Word::Doubt => doubted.extend(claims_late().copied().cloned()),
                Word::Dead => _ = dead.insert(worker.clone()),
            }
        }
        let mut seen = lock(&self.shared);
        let news = !dead.is_subset(&seen.dead) || !doubted.is_subset(&seen.doubted);
        seen.dead.extend(dead);
        seen.doubted = doubted;
        drop(seen);
        if news {
            self.waker.wake();
        }
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
