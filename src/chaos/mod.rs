//! A crash kit for a user's own job: kills and stops its processes on this machine, and starts again what it killed.
//!
//! Contract: only processes that are proved to work on this very job as this user are touched ([`crew`]), through handles that cannot meet another one
//! ([`process`]); of those that serve a farm only the slots on this job. What is done when is drawn from a seed ([`schedule`]). However the chaos ends, short
//! of its own `kill -9`, what is stopped goes on again, and what was started for the chaos itself leaves. What was started in the place of a user's stays.
//!
//! It takes no part in the protocol, and decides nothing about tasks: it sees names in `workers/` and processes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
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
pub mod line;
pub mod process;
pub mod schedule;

use crew::{Crew, Slot};
use process::{Process, Recipe};
use schedule::{Act, Schedule, pick};

/// Between two looks at the schedule.
const TURN: Duration = Duration::from_millis(50);
/// Between two looks at who is there, and whether the job has ended.
const LOOK: Duration = Duration::from_millis(300);
/// Nobody works any more, nor whoever was started again: given up after this, also on a busy machine.
const GIVE_UP: Duration = Duration::from_secs(30);
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

/// For whom a process was started here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// For the chaos: it leaves with it.
    Ours,
    /// In the place of one of the user's: it stays, as that one would have.
    Users,
}

/// A process that was started here.
struct Started {
    child: Child,
    whose: Whose,
}

impl Started {
    /// How it has ended, if it has.
    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

/// Havoc on one job.
pub struct Havoc<'a> {
    disk: &'a dyn Disk,
    root: PathBuf,
    restarts: bool,
    say: &'a dyn Fn(&str),
    started: Vec<Started>,
    stopped: Option<Slot>,
    /// The processes of a farm that were told of.
    standing: Vec<u32>,
    /// When somebody was seen at work last.
    seen: Instant,
    /// That nobody is, and a farm's worker is waited for, was told.
    waits: bool,
    tally: Tally,
}

impl<'a> Havoc<'a> {
    /// Havoc on the job in `disk`, whose directory is `root`.
    pub fn new(disk: &'a dyn Disk, root: PathBuf, restarts: bool, say: &'a dyn Fn(&str)) -> Havoc<'a> {
        let (started, standing, tally) = (Vec::new(), Vec::new(), Tally::default());
        Havoc { disk, root, restarts, say, started, stopped: None, standing, seen: Instant::now(), waits: false, tally }
    }

    /// Starts a coordinator and a worker of so many slots, with these options that say whom they trust.
    pub fn start_own(&mut self, slots: u32, trust: &[OsString]) -> Result<()> {
        let fail = |error| Error::io("cannot start", "this program", error);
        let (leads, works) = commands(&self.root, slots as usize, trust);
        self.start(&Recipe::own(&refs(&leads)).map_err(fail)?, Whose::Ours)?;
        self.start(&Recipe::own(&refs(&works)).map_err(fail)?, Whose::Ours)
    }

    /// Waits until somebody works here; false if nobody does within `limit`, or until it is stopped.
    pub fn await_crew(&mut self, limit: Duration, stop: &AtomicBool) -> Result<bool> {
        let begun = Instant::now();
        loop {
            let crew = self.crew()?;
            if !crew.slots.is_empty() {
                (self.say)(&format!(
                    "{}, {} and {} of this job run here",
                    plural(crew.slots.len() as u64, "slot"),
                    plural(crew.supervisors.len() as u64, "worker"),
                    plural(crew.leaders.len() as u64, "coordinator")
                ));
                self.tell_of_standing(&crew);
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
        let mut workers = 0;
        self.seen = begun;
        while !stop.load(Relaxed) {
            self.tell_of_failed();
            if looked.is_none_or(|at| at.elapsed() >= LOOK) {
                if let Some(end) = self.ended()? {
                    return Ok(Some(end));
                }
                let crew = self.crew()?;
                workers = crew.slots.len();
                self.tell_of_standing(&crew);
                self.give_up_in_time()?;
                looked = Some(Instant::now());
            }
            for act in schedule.due(begun.elapsed(), workers) {
                self.act(act)?;
            }
            std::thread::sleep(TURN);
        }
        Ok(None)
    }

    /// An error where nobody has worked for long. Who was started again in the place of somebody at work has had as long to begin.
    fn give_up_in_time(&mut self) -> Result<()> {
        if self.seen.elapsed() <= GIVE_UP {
            return Ok(());
        }
        if self.has_standing_worker() {
            if !self.waits {
                (self.say)("nobody is at the job now; waiting for the worker of its farm to come back to it");
            }
            self.waits = true;
            return Ok(());
        }
        let advice = match self.restarts {
            true => "what was started again has ended, and said why above; `flockwork worker`, `flockwork coordinator` go on with it",
            false => "with --no-restart somebody else must start what was killed: `flockwork worker`, `flockwork coordinator`",
        };
        Err(Error::new(ErrorKind::Failed, "nobody works any more on the job in").on(&self.root).advise(advice))
    }

    /// A worker of a farm that was met on the job lives: it is elsewhere in its farm, and may come back.
    fn has_standing_worker(&self) -> bool {
        self.standing.iter().any(|pid| Process::open(*pid).is_some_and(|process| process.command() == Some("worker")))
    }

    /// Says once of each process of a farm that it is left alone.
    fn tell_of_standing(&mut self, crew: &Crew) {
        for process in crew.standing.iter().filter(|process| !self.standing.contains(&process.pid)) {
            (self.say)(&words_of_standing(process));
        }
        self.standing.extend(crew.standing.iter().map(|process| process.pid));
        self.standing.sort_unstable();
        self.standing.dedup();
    }

    /// Forgets what has ended of what was started, and says what of it has failed.
    fn tell_of_failed(&mut self) {
        let say = self.say;
        self.started.retain_mut(|started| {
            let Some(status) = started.status() else { return true };
            if status.code().is_some_and(|code| code != 0) {
                say(&format!("process {}, which was started here, has failed ({status})", started.child.id()));
            }
            false
        });
    }

    /// Lets go on what is stopped, and waits for what was started, which ends with the job; what is for the chaos is told to at last.
    pub fn see_off(&mut self) -> Tally {
        self.go_on();
        let begun = Instant::now();
        while self.still_running() > 0 && begun.elapsed() < SEE_OFF {
            std::thread::sleep(TURN);
        }
        self.leave();
        if self.still_running() > 0 {
            let pids: Vec<String> = self.started.iter().map(|started| started.child.id().to_string()).collect();
            (self.say)(&format!("what was started again still runs, though the job has ended: process {}", pids.join(", ")));
        }
        self.tally
    }

    /// Asks what was started here for the chaos to leave.
    pub fn leave(&mut self) {
        self.go_on();
        let started = std::mem::take(&mut self.started);
        let (ours, users): (Vec<Started>, Vec<Started>) = started.into_iter().partition(|started| started.whose == Whose::Ours);
        self.started = users;
        for mut started in ours {
            // A child that was not waited for keeps its number.
            if let Some(process) = Process::open(started.child.id()) {
                process.signal(Signal::TERM);
                let _ = started.child.wait();
            }
        }
    }

    /// How many processes that were started here still run.
    pub fn still_running(&mut self) -> usize {
        self.started.retain_mut(|started| started.status().is_none());
        self.started.len()
    }

    fn ended(&self) -> Result<Option<End>> {
        let listed = self.disk.list(PHASE).map_err(|error| Error::io("cannot list", self.root.join(PHASE), error))?;
        match listed.iter().any(|entry| entry.name == "end") {
            true => end::load(self.disk, &self.root),
            false => Ok(None),
        }
    }

    fn crew(&mut self) -> Result<Crew> {
        let crew = Crew::look(self.disk).map_err(|error| Error::io("cannot see who works in", &self.root, error))?;
        if !crew.is_nobody() {
            (self.seen, self.waits) = (Instant::now(), false);
        }
        Ok(crew)
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
        let whose = self.whose(supervisor);
        if supervisor.signal(Signal::KILL) {
            (self.say)(&format!("killed worker {} with its {}", supervisor.pid, plural(crew.slots_of(supervisor.pid) as u64, "slot")));
            self.tally.supervisors += 1;
            self.start_again(&recipe, whose)?;
        }
        Ok(())
    }

    fn kill_leader(&mut self, crew: &Crew, leader: &Process) -> Result<()> {
        let Some(recipe) = leader.recipe() else { return Ok(()) };
        let (slots, whose) = (crew.slots_of(leader.pid), self.whose(leader));
        if !leader.signal(Signal::KILL) {
            return Ok(());
        }
        self.tally.coordinators += 1;
        if leader.command() != Some("run") {
            (self.say)(&format!("killed coordinator {}", leader.pid));
            return self.start_again(&recipe, whose);
        }
        // The same `run` again might make a job of its own: its two parts are started instead.
        (self.say)(&format!("killed run {} with its {}", leader.pid, plural(slots as u64, "slot")));
        let (leads, works) = commands(&self.root, slots, &leader.trust());
        self.start_again(&recipe.with(&refs(&leads)), whose)?;
        if slots > 0 { self.start_again(&recipe.with(&refs(&works)), whose) } else { Ok(()) }
    }

    /// For whom whoever takes the place of this process is started.
    fn whose(&self, process: &Process) -> Whose {
        let before = self.started.iter().find(|started| started.child.id() == process.pid);
        before.map_or(Whose::Users, |started| started.whose)
    }

    fn start_again(&mut self, recipe: &Recipe, whose: Whose) -> Result<()> {
        if self.restarts { self.start(recipe, whose) } else { Ok(()) }
    }

    fn start(&mut self, recipe: &Recipe, whose: Whose) -> Result<()> {
        let words = recipe.words();
        let child = recipe.start().map_err(|error| Error::io("cannot start", &words, error))?;
        (self.say)(&format!("started {words} as process {}", child.id()));
        self.started.push(Started { child, whose });
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
        self.leave();
    }
}

fn words_of_standing(process: &Process) -> String {
    let pid = process.pid;
    match process.command() {
        Some("worker") => format!("worker {pid} serves a farm, and so other jobs: it is left alone, but for its slots on this job"),
        _ => format!("coordinator {pid} leads a farm, and so other jobs: it is left alone, also with --kill-coordinator"),
    }
}

/// The arguments of a coordinator and of a worker, with these options that say whom they trust.
fn commands(root: &Path, slots: usize, trust: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let slots = slots.to_string();
    let command = |words: &[&str]| -> Vec<OsString> {
        let words = words.iter().map(|word| OsString::from(*word)).chain(trust.iter().cloned());
        // A folder may be called like a flag.
        words.chain([OsString::from("--"), root.as_os_str().to_owned()]).collect()
    };
    (command(&["coordinator", "--quiet"]), command(&["worker", "--quiet", "--slots", slots.as_str()]))
}

fn refs(words: &[OsString]) -> Vec<&OsStr> {
    words.iter().map(OsString::as_os_str).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::disk::real::RealDisk;

    /// A process of `sleep 60` that was just started, once the kernel tells its arguments.
    fn opened(pid: u32) -> Process {
        let look = || {
            std::thread::sleep(Duration::from_millis(5));
            Process::open(pid).filter(|process| process.command() == Some("60"))
        };
        (0..12_000).find_map(|_| look()).expect("it lives")
    }

    fn recipe() -> Recipe {
        let mut sleep = Command::new("sleep").arg("60").spawn().expect("sleep");
        let recipe = opened(sleep.id()).recipe().expect("its recipe");
        sleep.kill().expect("killed");
        sleep.wait().expect("reaped");
        recipe
    }

    #[test]
    fn however_a_chaos_ends_what_was_started_for_it_leaves_and_what_was_in_the_place_of_others_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let (disk, recipe, say) = (RealDisk::at(dir.path()), recipe(), |_: &str| {});
        let mut havoc = Havoc::new(&disk, dir.path().to_owned(), true, &say);
        havoc.start(&recipe, Whose::Ours).expect("started");
        havoc.start(&recipe, Whose::Users).expect("started");
        let [ours, users] = [0, 1].map(|at: usize| opened(havoc.started[at].child.id()));
        // Whoever takes their place is as they are.
        assert_eq!([&ours, &users].map(|process| havoc.whose(process)), [Whose::Ours, Whose::Users]);
        drop(havoc);
        assert!(!ours.signal(Signal::KILL), "it has left, and was waited for");
        assert!(opened(users.pid).signal(Signal::KILL), "it stays");
    }

    #[test]
    fn what_is_started_trusts_as_it_is_told() {
        let trust = [OsString::from("--trust-group=lab")];
        let (leads, works) = commands(Path::new("/a/job"), 2, &trust);
        assert_eq!(leads, ["coordinator", "--quiet", "--trust-group=lab", "--", "/a/job"]);
        assert_eq!(works, ["worker", "--quiet", "--slots", "2", "--trust-group=lab", "--", "/a/job"]);
    }
}
