//! The heartbeat of a real worker: a thread that touches, and a thread that minds.
//!
//! The beating thread touches `workers/me` and the claim *by path* (by descriptor the touch would follow the file wherever it is moved, and a claim taken away would
//! be kept alive). A claim that is gone cancels its attempt; a missing `workers/me` means that we are asked to leave. The minding thread never
//! touches the disk, so it sees when the beating one hangs: no beat for a lease means that the claim may have been taken, and the attempt is held until a
//! beat comes back. It also ends attempts that make no progress, and processes whose user code does not notice that it was cancelled.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Pulse;
use crate::control::Control;
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::error::said::gist;
use crate::ids::WorkerName;
use crate::job::claim::Claim;
use crate::job::layout;
use crate::job::record::TaskError;
use crate::job::register::Presence;
use crate::job::spec::Ask;
use crate::say::say;

/// How long user code may take to notice that it was cancelled, before its process is ended.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// How long a command that was cancelled has to end, and its folder to be cleared, before its process ends: longer than it takes to kill it.
const FAREWELL: Duration = Duration::from_secs(6);
/// The pause before a disk that refuses is asked again.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// The heartbeat of one worker incarnation.
#[derive(Clone)]
pub struct Heart(Arc<Shared>);

struct Shared {
    disk: Arc<dyn Disk>,
    worker: WorkerName,
    worker_path: String,
    beat: Duration,
    lease: Duration,
    stall: Duration,
    /// How long the working thread may take to go by itself, once its claim was given back.
    farewell: Duration,
    leaving: AtomicBool,
    /// It also gives back what it claims from now on: told to leave just before an attempt began.
    gives_back: AtomicBool,
    exit: fn(Exit) -> !,
    chest: Mutex<Chest>,
    /// The last trouble told, so that it is told once.
    said: Mutex<String>,
}

/// Why the minding thread ends the process: the slot knows the status for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// User code went on although its claim was taken away, or made no progress: a fresh process takes its place.
    Restart,
    /// Asked to leave; the claim was given back.
    Left,
}

#[derive(Default)]
struct Chest {
    /// While the attempt runs; taken out to be ended.
    claim: Option<Claim>,
    /// Beaten for, from start to rest.
    path: Option<String>,
    control: Arc<Control>,
    beaten: Duration,
    records: u64,
    moved: Duration,
    cancelled: Option<Duration>,
}

impl Heart {
    /// Starts the two threads for `worker`. `exit` ends the process.
    pub fn start(disk: Arc<dyn Disk>, worker: &WorkerName, ask: &Ask, exit: fn(Exit) -> !) -> Heart {
        let shared = Shared {
            disk,
            worker: worker.clone(),
            worker_path: layout::worker(worker),
            beat: ask.beat(),
            lease: ask.lease(),
            stall: Duration::from_millis(ask.stall_ms),
            // An app's own code may not look up for long, and leaves nothing elsewhere.
            farewell: if ask.is_of_commands() { FAREWELL } else { Duration::ZERO },
            leaving: AtomicBool::new(false),
            gives_back: AtomicBool::new(false),
            exit,
            chest: Mutex::default(),
            said: Mutex::default(),
        };
        let heart = Heart(Arc::new(shared));
        let (beating, minding) = (Arc::clone(&heart.0), Arc::clone(&heart.0));
        std::thread::spawn(move || beating.beat());
        std::thread::spawn(move || minding.mind());
        heart
    }

    /// Other work waits for this process: the worker leaves when the attempt that runs has ended.
    pub fn leave_soon(&self) {
        self.0.leaving.store(true, Relaxed);
    }

    /// Somebody wants this worker to go: the claim of a running attempt is given back, and the process ends, by itself as soon as the attempt heeds
    /// that it was cancelled, or else from here; without one the worker leaves at its next turn.
    pub fn leave(&self) {
        if self.give_back() {
            std::thread::sleep(self.0.farewell);
            (self.0.exit)(Exit::Left);
        }
    }

    /// False if no claim is held.
    fn give_back(&self) -> bool {
        self.0.leaving.store(true, Relaxed);
        self.0.gives_back.store(true, Relaxed);
        // Kept until it is given back: the working thread, which asks for its claim as soon as it is cancelled, must not end it half-way through.
        let mut chest = self.0.chest();
        // A claim that is just being ended is left in peace: it ends, and the worker leaves at its next turn.
        let Some(claim) = chest.claim.take() else { return false };
        chest.path = None;
        chest.control.cancel();
        // If it cannot be given back, its lease ends without us.
        let _ = claim.give_back(&*self.0.disk);
        let _ = self.0.disk.remove(&self.0.worker_path);
        true
    }
}

impl Pulse for Heart {
    fn start(&self, claim: Claim) -> Arc<Control> {
        let now = self.0.disk.now();
        let mut chest = self.0.chest();
        *chest = Chest { path: Some(claim.path()), claim: Some(claim), beaten: now, moved: now, ..Chest::default() };
        let control = Arc::clone(&chest.control);
        drop(chest);
        // Whoever told it to leave while it claimed has found nothing to give back.
        if self.0.gives_back.load(Relaxed) {
            self.give_back();
        }
        control
    }

    fn finish(&self) -> Option<Claim> {
        self.0.chest().claim.take()
    }

    fn rest(&self) {
        *self.0.chest() = Chest::default();
    }

    fn trouble(&self, text: &str) {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        let gist = gist(text);
        if *said != gist {
            say!("flockwork: {text}; waiting, and trying again");
            let _ = Presence::say_trouble(&*self.0.disk, &self.0.worker, text);
            *said = gist.into_owned();
        }
        drop(said);
        std::thread::sleep(REFUSED_PAUSE);
        // What it waited for was the disk.
        let now = self.0.disk.now();
        self.0.chest().moved = now;
    }

    fn well(&self) {
        let mut said = self.0.said.lock().unwrap_or_else(PoisonError::into_inner);
        if !said.is_empty() && Presence::say_trouble(&*self.0.disk, &self.0.worker, "").is_ok() {
            say!("flockwork: worker {} goes on", self.0.worker);
            said.clear();
        }
    }

    fn is_leaving(&self) -> bool {
        self.0.leaving.load(Relaxed)
    }

    fn gives_back(&self) -> bool {
        self.0.gives_back.load(Relaxed)
    }
}

/// A wait for the disk, which may take as long as it takes, but not without a word.
#[derive(Default)]
struct LongWait {
    since: Option<Duration>,
    is_told: bool,
}

impl LongWait {
    /// True once for each wait that lasts longer than `limit`.
    fn has_become_long(&mut self, waits: bool, now: Duration, limit: Duration) -> bool {
        if !waits {
            *self = LongWait::default();
            return false;
        }
        let lasts = now.saturating_sub(*self.since.get_or_insert(now));
        let is_news = lasts > limit && !self.is_told;
        self.is_told |= is_news;
        is_news
    }
}

impl Shared {
    fn chest(&self) -> MutexGuard<'_, Chest> {
        self.chest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn beat(&self) {
        loop {
            std::thread::sleep(self.beat);
            if self.disk.touch(&self.worker_path).is_err_and(|error| is_gone(&error)) {
                self.leaving.store(true, Relaxed);
            }
            let Some(path) = self.chest().path.clone() else { continue };
            let touched = self.disk.touch(&path);
            let mut chest = self.chest();
            if chest.path.as_ref() != Some(&path) {
                continue; // Another attempt by now.
            }
            match touched {
                Ok(()) => {
                    chest.beaten = self.disk.now();
                    chest.control.go_on();
                }
                // While a commit is under way (the claim is taken out) it means nothing.
                Err(error) if is_gone(&error) && chest.claim.is_some() => {
                    chest.control.cancel();
                    chest.cancelled = Some(self.disk.now());
                    chest.path = None;
                }
                Err(_) => {}
            }
        }
    }

    fn mind(&self) {
        let (mut minded, mut wait) = (self.disk.now(), LongWait::default());
        loop {
            std::thread::sleep(self.beat / 2);
            let now = self.disk.now();
            // Stopped for a while, with all its threads, as by Ctrl-Z.
            let was_stopped = now.saturating_sub(minded) > self.lease;
            minded = now;
            let mut chest = self.chest();
            if chest.claim.is_none() {
                continue;
            }
            let (is_silent, is_at_disk) = (now.saturating_sub(chest.beaten) > self.lease, chest.control.is_at_disk());
            if chest.path.is_some() && is_silent {
                chest.control.hold();
            }
            if chest.cancelled.is_some_and(|at| now.saturating_sub(at) > CANCEL_GRACE) {
                (self.exit)(Exit::Restart);
            }
            let records = chest.control.records();
            let is_long = wait.has_become_long(is_at_disk && records == chest.records, now, self.stall);
            if records != chest.records || is_at_disk || is_silent || was_stopped {
                (chest.records, chest.moved) = (records, now);
            } else if now.saturating_sub(chest.moved) > self.stall {
                // Kept locked until the process ends: the working thread must not end it half-way through.
                let claim = chest.claim.take();
                self.report_stall(claim);
            }
            drop(chest);
            if is_long {
                let time = crate::units::show_time(self.stall);
                say!("flockwork: worker {} has waited {time} for the disk to take what its task made; it goes on waiting", self.worker);
            }
        }
    }

    fn report_stall(&self, claim: Option<Claim>) -> ! {
        let text =
            format!("no progress for {}: no record was begun (raise --stall if records take longer)", crate::units::show_time(self.stall));
        if let Some(claim) = claim {
            let _ = claim.fail(&*self.disk, TaskError::App(text));
        }
        (self.exit)(Exit::Restart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;
    use crate::disk::sim::run::SimDisk;
    use crate::disk::sim::state::DiskState;
    use crate::job::claim::{Claimer, Manners, Tried};

    /// The process does not end.
    fn never(exit: Exit) -> ! {
        panic!("{exit:?}")
    }

    /// The one task that waits.
    fn claimed(disk: &dyn Disk, name: WorkerName) -> Claim {
        let attempt = "map-00000.a1".parse().expect("an attempt");
        let Ok(Tried::Held(claim)) = Claimer::new(name).claim(disk, attempt, Manners::Direct) else { panic!("nobody else is there") };
        claim
    }

    static STALLED: AtomicBool = AtomicBool::new(false);

    /// The process does not end, but would.
    fn stalled(_: Exit) -> ! {
        STALLED.store(true, Relaxed);
        loop {
            std::thread::park();
        }
    }

    #[test]
    fn waiting_for_the_disk_is_no_stall_and_waiting_for_user_code_is() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(dir.path()));
        ["pending", "claimed", "failed", "workers"].iter().for_each(|dir| disk.make_dir(dir).expect("made"));
        ["pending/map-00000.a1", "workers/w.1.x"].iter().for_each(|path| std::fs::write(dir.path().join(path), "{}\n").expect("written"));
        let name: WorkerName = "w.1.x".parse().expect("a name");
        let heart = Heart::start(Arc::clone(&disk), &name, &Ask { lease_ms: 1_000, stall_ms: 2_000, ..Ask::plain("wc") }, stalled);
        let control = heart.start(claimed(&*disk, name));
        control.at_disk(|| std::thread::sleep(Duration::from_secs(4)));
        assert!(!STALLED.load(Relaxed), "the disk took its time");
        let has_failed = || disk.look("failed/map-00000.a1@w.1.x").is_ok() && STALLED.load(Relaxed);
        let began = std::time::Instant::now();
        while !has_failed() {
            assert!(began.elapsed() < Duration::from_secs(120), "no record is begun, and nobody sees it");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_worker_told_to_leave_between_its_claim_and_its_attempt_gives_the_claim_back() {
        let state = ["pending", "claimed", "expired", "workers"].into_iter().fold(DiskState::new(), |state, dir| state.with_dir(dir));
        let state = state.with_file("pending/map-00000.a1", b"{}\n").with_file("workers/w.1.x", b"");
        let sim = SimDisk::holding(state);
        let disk: Arc<dyn Disk> = Arc::new(sim.client("w"));
        let name: WorkerName = "w.1.x".parse().expect("a name");
        let heart = Heart::start(Arc::clone(&disk), &name, &Ask { lease_ms: 3_600_000, ..Ask::plain("wc") }, never);
        let claim = claimed(&*disk, name);
        heart.leave();
        assert!(heart.is_leaving() && sim.has("claimed/map-00000.a1@w.1.x"), "it knows of none to be given back");
        assert!(heart.start(claim).is_cancelled() && heart.finish().is_none(), "the attempt does not begin");
        assert!(sim.has("expired/map-00000.a1@w.1.x") && !sim.has("workers/w.1.x"), "given back, and signed off");
    }
}
