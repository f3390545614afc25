//! Processes that bear what the scenarios do to them: a worker on a thread of its own, so that it can be stopped in the middle of a call and waits as
//! a real one does, and a coordinator that goes on after a refusal.

use std::cell::RefCell;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::control::Control;
use flockwork::coordinator::Coordinator;
use flockwork::coordinator::leases::Leases;
use flockwork::data::{Failure, Made};
use flockwork::disk::Disk;
use flockwork::disk::rename::is_gone;
use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::{Chance, Turn};
use flockwork::ids::{ClaimName, WorkerName};
use flockwork::job::claim::Claim;
use flockwork::job::log::Log;
use flockwork::job::register::Presence;
use flockwork::job::spec::Spec;
use flockwork::job::{end, layout};
use flockwork::worker::{self, Pulse, Tasks};

use super::super::bench::{self, Mini, root};
use super::super::puppet::{Puppet, Said};

/// What was refused, in words.
pub type Troubles = Arc<Mutex<Vec<String>>>;

/// The thread's side of the talk.
struct Baton {
    go: Receiver<()>,
    tell: Sender<Said>,
}

impl Baton {
    /// Says what a step came to, and waits for the next.
    fn pass(&self, turn: Turn) {
        if self.tell.send(Said::Turn(turn)).is_err() {
            std::panic::resume_unwind(Box::new(())); // The scene is over.
        }
        self.wait();
    }

    fn wait(&self) {
        if self.go.recv().is_err() {
            std::panic::resume_unwind(Box::new(()));
        }
    }
}

/// A worker on a thread of its own.
pub struct Host {
    puppet: Puppet,
    pub troubles: Troubles,
}

/// How a worker's attempts go.
#[derive(Clone, Copy)]
pub struct Habits {
    /// How long an attempt takes, and how long after a heartbeat the next one comes.
    pub takes: Duration,
    pub beats: fn(&mut Chance) -> Duration,
}

pub const QUICK: Habits = Habits { takes: Duration::ZERO, beats: |_| Duration::from_secs(1) };
/// Long enough that everybody sees everybody's claims.
pub const CALM: Habits = Habits { takes: Duration::from_secs(3), ..QUICK };

impl Host {
    /// A worker whose calls go to `eyes`.
    pub fn start(disk: &Arc<SimDisk>, eyes: Arc<dyn Disk>, spec: &Spec, name: WorkerName, habits: Habits) -> Host {
        let (puppet, go, tell) = Puppet::new(disk);
        let (spec, troubles) = (spec.clone(), Troubles::default());
        let (baton, noted) = (Baton { go, tell }, Arc::clone(&troubles));
        std::thread::spawn(move || live(&eyes, &spec, &name, &baton, &noted, habits));
        Host { puppet, troubles }
    }

    /// The first of its calls that matches hangs for so long; `client` is the name by which it calls.
    pub fn hang(&mut self, client: &'static str, stays: Duration, matches: impl FnMut(&Op) -> bool + Send + 'static) {
        self.puppet.hang(client, stays, matches);
    }

    /// Since when it hangs.
    pub fn stopped(&self) -> Option<Duration> {
        self.puppet.stopped
    }

    pub fn step(&mut self) -> Turn {
        self.puppet.step()
    }
}

/// What a slot's process does, in steps.
fn live(disk: &Arc<dyn Disk>, spec: &Spec, name: &WorkerName, baton: &Baton, troubles: &Troubles, habits: Habits) {
    baton.wait();
    let note = |error: &dyn ToString| troubles.lock().expect("nobody panics").push(error.to_string());
    let presence = loop {
        match Presence::register(&**disk, name, 0) {
            Ok(presence) => break presence,
            Err(error) => {
                note(&error);
                baton.pass(Turn::Wait(Duration::from_secs(1)));
            }
        }
    };
    let seed = u64::from(name.pid());
    let mut worker = worker::Worker::new(Arc::clone(disk), root().to_owned(), spec.clone(), name.clone(), seed, Log::none());
    let pulse =
        Calm { disk: Arc::clone(disk), baton, troubles, claim: RefCell::default(), path: RefCell::default(), control: RefCell::default() };
    let mini = Mini::new(Arc::clone(disk), spec.ask.reduces);
    let mut tasks = Slow { mini, pulse: &pulse, habits, chance: Chance::from_seed(seed) };
    loop {
        let turn = match worker.turn(&mut tasks, &pulse) {
            Ok(worker::Turn::Worked(_) | worker::Turn::Superseded(_) | worker::Turn::Missed) => Turn::Ready,
            Ok(worker::Turn::Idle | worker::Turn::Paused) => Turn::Wait(Duration::from_secs(1)),
            Ok(worker::Turn::Unfit(trouble)) => {
                pulse.trouble(&trouble);
                Turn::Ready
            }
            Ok(worker::Turn::Ended(_) | worker::Turn::Leave) => break,
            Err(error) => {
                note(&error);
                Turn::Wait(Duration::from_secs(1))
            }
        };
        baton.pass(turn);
    }
    presence.leave(&**disk);
    let _ = baton.tell.send(Said::Turn(Turn::Done));
}

/// A heart without threads: it beats whenever its worker waits.
struct Calm<'a> {
    disk: Arc<dyn Disk>,
    baton: &'a Baton,
    troubles: &'a Troubles,
    /// While the attempt runs.
    claim: RefCell<Option<Claim>>,
    /// Beaten for until the claim has ended.
    path: RefCell<Option<String>>,
    control: RefCell<Arc<Control>>,
}

impl Calm<'_> {
    /// Beats for the claim, if there is one, and waits.
    fn beat(&self, time: Duration) {
        let path = self.path.borrow().clone();
        let is_taken = path.is_some_and(|path| self.disk.touch(&path).is_err_and(|error| is_gone(&error)));
        if is_taken && self.claim.borrow().is_some() {
            self.control.borrow().cancel();
        }
        self.baton.pass(Turn::Wait(time));
    }
}

impl Pulse for Calm<'_> {
    fn start(&self, claim: Claim) -> Arc<Control> {
        self.path.replace(Some(claim.path()));
        self.claim.replace(Some(claim));
        self.control.replace(Arc::default());
        Arc::clone(&self.control.borrow())
    }

    fn finish(&self) -> Option<Claim> {
        self.claim.take()
    }

    fn rest(&self) {
        self.path.take();
    }

    fn well(&self) {}

    fn trouble(&self, text: &str) {
        self.troubles.lock().expect("nobody panics").push(text.to_owned());
        self.beat(Duration::from_secs(1));
    }

    fn is_leaving(&self) -> bool {
        false
    }

    fn gives_back(&self) -> bool {
        false
    }
}

/// The miniature word count, in its own time.
struct Slow<'a> {
    mini: Mini,
    pulse: &'a Calm<'a>,
    habits: Habits,
    chance: Chance,
}

impl Tasks for Slow<'_> {
    fn run(&mut self, claim: &ClaimName, control: &Control) -> Result<Made, Failure> {
        let until = self.mini.disk.now() + self.habits.takes;
        while self.mini.disk.now() < until {
            self.pulse.beat((self.habits.beats)(&mut self.chance));
            if control.is_cancelled() {
                return Err(Failure::Cancelled);
            }
        }
        self.mini.run(claim, control)
    }

    fn discard(&mut self, claim: &ClaimName) {
        self.mini.discard(claim);
    }
}

/// A coordinator that waits where the disk refuses, as [`serve`](flockwork::coordinator::serve) does.
pub struct Leader {
    disk: Arc<dyn Disk>,
    coordinator: Coordinator,
    leases: Leases,
    /// How many of its seconds are one.
    pub rate: u32,
    pub troubles: Vec<String>,
}

impl Leader {
    pub fn start(disk: Arc<dyn Disk>, spec: &Spec, maps: u32, name: &WorkerName) -> Leader {
        // As its process does: again, where it was refused.
        let made = (0..3).any(|_| flockwork::disk::create::create_once(&*disk, layout::COORDINATOR_LOCK, b"").is_ok());
        assert!(made, "the lock's file can be made");
        let coordinator = Coordinator::new(Arc::clone(&disk), root().to_owned(), name.clone(), spec.clone(), maps, Log::none());
        Leader { disk, coordinator, leases: Leases::new(spec.ask.lease()), rate: 1, troubles: Vec::new() }
    }

    pub fn step(&mut self) -> Turn {
        if let Ok(listed) = self.disk.list("claimed") {
            let claims: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
            let _ = self.leases.look(&*self.disk, &claims);
        }
        match self.coordinator.tick(&self.leases.watched()) {
            Ok(tick) if tick.ended => match end::load(&*self.disk, root()) {
                Ok(Some(_)) => Turn::Done,
                Ok(None) => Turn::Wait(Duration::from_secs(1)),
                Err(error) => self.refused(&error),
            },
            Ok(_) => Turn::Wait(self.leases.period() / self.rate),
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&mut self, error: &flockwork::Error) -> Turn {
        self.troubles.push(error.to_string());
        Turn::Wait(Duration::from_secs(1))
    }
}

/// A worker's name on `host`.
pub fn worker_on(host: &str) -> WorkerName {
    bench::name(host, u32::from(host.bytes().next().unwrap_or_default()))
}
