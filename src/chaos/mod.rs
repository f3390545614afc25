//! A crash kit for a user's own job: kills and stops its processes on this machine, and starts again what it killed.
//!
//! Contract: only processes that are proved to work on this very job as this user are touched ([`crew`]), through handles that cannot meet another one
//! ([`process`]). What is done when is drawn from a seed ([`schedule`]). What is stopped goes on again, however the chaos ends, short of its own `kill -9`.
//!
//! It takes no part in the protocol, and decides nothing about tasks: it sees names in `workers/` and processes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::job::end::{self, End};
use crate::job::layout::PHASE;
use crate::units::plural;

pub mod compare;
pub mod crew;
pub mod process;
pub mod schedule;

use crew::{Crew, Slot};
use process::{Process, Recipe};
use schedule::{Act, Schedule, pick};

/// Between two looks at the schedule.
const TURN: Duration = Duration::from_millis(50);
/// Between two looks at who is there, and whether the job has ended.
const LOOK: Duration = Duration::from_millis(300);
/// Nobody works any more, and nobody is started again: given up after this.
const GIVE_UP: Duration = Duration::from_secs(20);
/// Started processes leave an ended job within this.
const SEE_OFF: Duration = Duration::from_secs(30);

/// What was done, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Slots killed.
    pub slots: u32,
    /// Supervisors killed, with their slots.
    pub supervisors: u32,
    /// Coordinators killed.
    pub coordinators: u32,
    /// Slots stopped for a while.
    pub stopped: u32,
}

/// Havoc on one job.
pub struct Havoc<'a> {
    disk: &'a dyn Disk,
    root: PathBuf,
    restarts: bool,
    say: &'a dyn Fn(&str),
    started: Vec<Child>,
    stopped: Option<Slot>,
    tally: Tally,
}

impl<'a> Havoc<'a> {
    /// Havoc on the job in `disk`, whose directory is `root`.
    pub fn new(disk: &'a dyn Disk, root: PathBuf, restarts: bool, say: &'a dyn Fn(&str)) -> Havoc<'a> {
        Havoc { disk, root, restarts, say, started: Vec::new(), stopped: None, tally: Tally::default() }
    }

    /// Starts a coordinator and a worker of so many slots.
    pub fn start_own(&mut self, slots: u32) -> Result<()> {
        let fail = |error| Error::io("cannot start", "this program", error);
        let (leads, works) = commands(&self.root, slots as usize);
        self.start(&Recipe::own(&refs(&leads)).map_err(fail)?)?;
        self.start(&Recipe::own(&refs(&works)).map_err(fail)?)
    }

    /// Waits until somebody works here; false if nobody does within `limit`, or until it is stopped.
    pub fn await_crew(&mut self, limit: Duration, stop: &AtomicBool) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let crew = self.crew()?;
            if !crew.slots.is_empty() {
                (self.say)(&format!(
                    "{} of {} and {} of this job run here",
                    plural(crew.slots.len() as u64, "slot"),
                    plural(crew.supervisors.len() as u64, "worker"),
                    plural(crew.leaders.len() as u64, "coordinator")
                ));
                return Ok(true);
            }
            if begun.elapsed() > limit || stop.load(Relaxed) || self.ended()?.is_some() {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Follows the schedule until the job ends; `None` if stopped before.
    pub fn rage(&mut self, schedule: &mut Schedule, stop: &AtomicBool) -> Result<Option<End>> {
        let begun = Instant::now();
        let mut looked = None::<Instant>;
        let mut seen = begun;
        let mut workers = 0;
        while !stop.load(Relaxed) {
            self.started.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                if let Some(end) = self.ended()? {
                    return Ok(Some(end));
                }
                let crew = self.crew()?;
                workers = crew.slots.len();
                if self.restarts || !crew.is_nobody() {
                    seen = Instant::now();
                } else if seen.elapsed() > GIVE_UP {
                    let error = Error::new(ErrorKind::Failed, "nobody works any more on the job in").on(&self.root);
                    return Err(error.advise(
                        "with --no-restart somebody else must start what was killed: `flockwork worker`, `flockwork coordinator`",
                    ));
                }
                looked = Some(Instant::now());
            }
            for act in schedule.due(begun.elapsed(), workers) {
                self.act(act)?;
            }
            std::thread::sleep(TURN);
        }
        Ok(None)
    }

    /// Lets go on what is stopped, and waits for what was started, which ends with the job.
    pub fn see_off(&mut self) -> Tally {
        self.go_on();
        let begun = Instant::now();
        while begun.elapsed() < SEE_OFF && !self.started.is_empty() {
            self.started.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
            std::thread::sleep(TURN);
        }
        self.leave();
        self.tally
    }

    /// Asks what was started here to leave.
    pub fn leave(&mut self) {
        self.go_on();
        for mut child in self.started.drain(..) {
            // A child that was not waited for keeps its number.
            if let Some(process) = Process::open(child.id()) {
                process.signal(Signal::TERM);
                let _ = child.wait();
            }
        }
    }

    /// How many processes that were started here still run.
    pub fn still_running(&mut self) -> usize {
        self.started.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        self.started.len()
    }

    fn ended(&self) -> Result<Option<End>> {
        let listed = self.disk.list(PHASE).map_err(|error| Error::io("cannot list", self.root.join(PHASE), error))?;
        match listed.iter().any(|entry| entry.name == "end") {
            true => end::load(self.disk, &self.root),
            false => Ok(None),
        }
    }

    fn crew(&self) -> Result<Crew> {
        Crew::look(self.disk).map_err(|error| Error::io("cannot see who works in", &self.root, error))
    }

    fn act(&mut self, act: Act) -> Result<()> {
        let crew = self.crew()?;
        match act {
            Act::KillSlot(choice) => self.kill_slot(&crew, choice),
            Act::KillSupervisor(choice) => match pick(&crew.supervisors, choice) {
                Some(supervisor) => self.kill_supervisor(&crew, supervisor)?,
                None => self.kill_slot(&crew, choice),
            },
            Act::KillCoordinator(choice) => {
                if let Some(leader) = pick(&crew.leaders, choice) {
                    self.kill_leader(&crew, leader)?;
                }
            }
            Act::Stop(choice) => {
                let chosen = usize::try_from(choice % crew.slots.len().max(1) as u64).unwrap_or(0);
                if let Some(slot) = crew.slots.into_iter().nth(chosen).filter(|slot| slot.process.signal(Signal::STOP)) {
                    (self.say)(&format!("stopped slot {}", slot.name));
                    self.tally.stopped += 1;
                    self.stopped = Some(slot);
                }
            }
            Act::Continue => self.go_on(),
        }
        Ok(())
    }

    fn kill_slot(&mut self, crew: &Crew, choice: u64) {
        if let Some(slot) = pick(&crew.slots, choice).filter(|slot| slot.process.signal(Signal::KILL)) {
            (self.say)(&format!("killed slot {}; its worker starts another", slot.name));
            self.tally.slots += 1;
        }
    }

    fn kill_supervisor(&mut self, crew: &Crew, supervisor: &Process) -> Result<()> {
        let Some(recipe) = supervisor.recipe() else { return Ok(()) };
        if supervisor.signal(Signal::KILL) {
            (self.say)(&format!("killed worker {} with its {}", supervisor.pid, plural(crew.slots_of(supervisor.pid) as u64, "slot")));
            self.tally.supervisors += 1;
            self.start_again(&recipe)?;
        }
        Ok(())
    }

    fn kill_leader(&mut self, crew: &Crew, leader: &Process) -> Result<()> {
        let Some(recipe) = leader.recipe() else { return Ok(()) };
        let slots = crew.slots_of(leader.pid);
        if !leader.signal(Signal::KILL) {
            return Ok(());
        }
        self.tally.coordinators += 1;
        if leader.command() != Some("run") {
            (self.say)(&format!("killed coordinator {}", leader.pid));
            return self.start_again(&recipe);
        }
        // The same `run` again might make a job of its own: its two parts are started instead.
        (self.say)(&format!("killed run {} with its {}", leader.pid, plural(slots as u64, "slot")));
        let (leads, works) = commands(&self.root, slots);
        self.start_again(&recipe.with(&refs(&leads)))?;
        if slots > 0 { self.start_again(&recipe.with(&refs(&works))) } else { Ok(()) }
    }

    fn start_again(&mut self, recipe: &Recipe) -> Result<()> {
        if self.restarts { self.start(recipe) } else { Ok(()) }
    }

    fn start(&mut self, recipe: &Recipe) -> Result<()> {
        let words = recipe.words();
        let child = recipe.start().map_err(|error| Error::io("cannot start", &words, error))?;
        (self.say)(&format!("started {words} as process {}", child.id()));
        self.started.push(child);
        Ok(())
    }

    fn go_on(&mut self) {
        if let Some(slot) = self.stopped.take() {
            let lives = slot.process.signal(Signal::CONT);
            (self.say)(&format!("slot {} {}", slot.name, if lives { "goes on" } else { "is gone" }));
        }
    }
}

impl Drop for Havoc<'_> {
    fn drop(&mut self) {
        self.go_on();
    }
}

/// The arguments of a coordinator and of a worker.
fn commands(root: &std::path::Path, slots: usize) -> ([std::ffi::OsString; 4], [std::ffi::OsString; 6]) {
    let job = root.as_os_str().to_owned();
    let word = |text: &str| std::ffi::OsString::from(text);
    let leads = [word("coordinator"), word("--quiet"), word("--"), job.clone()];
    (leads, [word("worker"), word("--quiet"), word("--slots"), word(&slots.to_string()), word("--"), job])
}

fn refs(words: &[std::ffi::OsString]) -> Vec<&OsStr> {
    words.iter().map(std::ffi::OsString::as_os_str).collect()
}
