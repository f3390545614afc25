//! A slot: one worker as one process. It dies with its parent, leaves on a signal, and waits at little cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGUSR1;

use super::commands::Commands;
use super::execute::Engine;
use super::pulse::{Exit, Heart};
use super::{Pulse, Tasks, Turn, Worker};
use crate::app::Options;
use crate::command::leash;
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::disk::rename::is_gone;
use crate::disk::watch::{Backoff, Watch, Woken};
use crate::engine::{self, AppEntry};
use crate::error::said::{self, gist};
use crate::error::{Error, ErrorKind, Result};
use crate::here;
use crate::ids::WorkerName;
use crate::job::layout::{PHASE, State};
use crate::job::log::Log;
use crate::job::plan::Plan;
use crate::job::register::Presence;
use crate::job::spec::{self, Spec};
use crate::job::trust::Trust;
use crate::say::say;
use crate::units::for_shell;

pub use super::scratch::can_have_scratch;

/// The job has ended: nothing to restart. A status that apps do not use by chance.
pub const STATUS_ENDED: i32 = 80;
/// Asked to leave.
pub const STATUS_LEFT: i32 = 81;
/// The job cannot be worked on here; the reason is on stderr.
pub const STATUS_CANNOT: i32 = 82;
/// The disk refuses it, which may pass; the reason is on stderr.
pub const STATUS_REFUSED: i32 = 85;
/// The job is gone: said once, by the supervisor.
pub const STATUS_VANISHED: i32 = 84;
/// A fresh process is to take this one's place.
pub const STATUS_RESTART: i32 = 83;

/// Waits between two looks for work begin here (a phase has just changed, or the job just begun), and grow.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The largest: jitter takes off up to a quarter, and waiting costs at most one listing a second.
const LARGEST_WAIT: Duration = Duration::from_millis(1340);

/// Who is woken so soon after it had something to do waits for this long, so that there is more of it.
const SHORT_WAIT: Duration = Duration::from_millis(20);
/// See [`SHORT_WAIT`].
const GATHER: Duration = Duration::from_millis(2);

/// A job that nobody has led by then needs somebody to do it.
pub(crate) const LED_BY_THEN: Duration = Duration::from_secs(5);

/// A disk that refuses is asked again after this long.
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What a slot does that the disk refuses while it begins. Once it has begun it waits anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It ends, for somebody is there to read why.
    Ends,
    /// It says why, and tries again until it may begin.
    Waits,
}

/// How talkative a slot is on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// Says when it waits, and which attempts fail.
    Plain,
    /// Says only what is wrong.
    Quiet,
}

/// Runs one worker in the job at `root` until the job ends or it is asked to leave; returns the process's exit status.
pub fn run(root: &Path, parent: u32, voice: Voice, patience: Patience, apps: &[AppEntry], trust: &Trust) -> i32 {
    if !die_with(parent) {
        return STATUS_LEFT;
    }
    leash::arm(std::env::current_exe().unwrap_or_default(), &["leash"]);
    // Only the beginning is done again: the heartbeat and the signals of this process are there once.
    begin_in_time(root, patience, apps, trust).and_then(|begun| work(begun, root, voice)).unwrap_or_else(|error| match error {
        error if error.kind() == ErrorKind::Vanished => STATUS_VANISHED,
        error => {
            say!("flockwork: {error}");
            if error.may_pass() { STATUS_REFUSED } else { STATUS_CANNOT }
        }
    })
}

/// Begins, as soon as the disk lets it.
fn begin_in_time(root: &Path, patience: Patience, apps: &[AppEntry], trust: &Trust) -> Result<Begun> {
    let mut said = said::Said::default();
    loop {
        match begin(root, apps, trust) {
            Err(error) if error.may_pass() && patience == Patience::Waits => {
                if said.is_news(&error.to_string()) {
                    say!("flockwork: {error}; waiting, and trying again");
                }
                std::thread::sleep(REFUSED_PAUSE);
            }
            begun => return begun,
        }
    }
}

/// Asks the kernel to end this process with its parent; false if the parent is gone already.
fn die_with(parent: u32) -> bool {
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    rustix::process::getppid().is_some_and(|pid| pid.as_raw_nonzero().get().unsigned_abs() == parent)
}

fn end_process(exit: Exit) -> ! {
    std::process::exit(match exit {
        Exit::Restart => STATUS_RESTART,
        Exit::Left => STATUS_LEFT,
    })
}

/// A worker that is registered and has claimed nothing yet.
struct Begun {
    disk: Arc<dyn Disk>,
    spec: Spec,
    name: WorkerName,
    tasks: Box<dyn Tasks>,
    presence: Presence,
}

fn begin(root: &Path, apps: &[AppEntry], trust: &Trust) -> Result<Begun> {
    // In each anew: a later slot must not work on what has taken the job's place.
    trust.check(root)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
    // There was a job when the supervisor started: this may be a later slot of a job that was removed.
    let spec = spec::load(&*disk, root).map_err(|error| match spec::says_no_job(&error) {
        true => error.of_kind(ErrorKind::Vanished),
        false => error,
    })?;
    // Before anything rests on it: that it is what the job was planned from.
    let _ = Plan::map(&*disk, root)?;
    trust.check_output(root, &spec.ask.output)?;
    let name = here::new_name();
    let tasks: Box<dyn Tasks> = if spec.ask.is_of_commands() {
        can_have_scratch()?;
        Box::new(Commands::new(Arc::clone(&disk), root.to_owned(), &spec, &name)?)
    } else {
        let app = engine::make(apps, &spec.ask.app, &Options(spec.ask.options.clone()))?;
        Box::new(Engine::new(Arc::clone(&disk), root.to_owned(), spec.ask.clone(), app).of_job(&spec.id, &spec.cwd))
    };
    let presence = Presence::register(&*disk, &name, here::uid()).map_err(|error| match is_gone(&error) {
        true => Error::io("cannot register a worker in", root.join("workers"), error).of_kind(ErrorKind::Vanished),
        false => Error::io("cannot register a worker in", root.join("workers"), error),
    })?;
    Ok(Begun { disk, spec, name, tasks, presence })
}

fn work(begun: Begun, root: &Path, voice: Voice) -> Result<i32> {
    let Begun { disk, spec, name, mut tasks, presence } = begun;
    let heart = Heart::start(Arc::clone(&disk), &name, &spec.ask, end_process);
    let watch = Watch::local(root, &[State::Pending.dir(), PHASE, "."]);
    let status = leave_on_signals(&heart, &watch).and_then(|told| {
        let log = Log::open(&*disk, &name);
        let mut worker = Worker::new(Arc::clone(&disk), root.to_owned(), spec, name, here::chance(), log);
        match turns(&mut worker, &mut *tasks, root, &heart, &watch, voice)? {
            // Its file in `workers/` is gone: taken away by somebody who wants it to leave, or with all of the job.
            STATUS_LEFT if !told.load(Relaxed) && !worker.has_its_job() => Err(Error::vanished(root)),
            status => Ok(status),
        }
    });
    presence.leave(&*disk);
    status
}

fn turns(worker: &mut Worker, tasks: &mut dyn Tasks, root: &Path, heart: &Heart, watch: &Watch, voice: Voice) -> Result<i32> {
    let mut backoff = Backoff::new(FIRST_WAIT, LARGEST_WAIT, here::chance());
    let mut said = Said::default();
    let mut worked = Instant::now();
    let unled = format!("no coordinator has led the job so far; start one with `flockwork coordinator {}`", for_shell(root));
    loop {
        let wait = match worker.turn(tasks, heart) {
            Ok(Turn::Worked(_) | Turn::Superseded(_)) => {
                backoff.reset();
                None
            }
            Ok(Turn::Missed) => None,
            Ok(Turn::Idle) => {
                if worked.elapsed() > LED_BY_THEN && !worker.is_led() {
                    said.once(voice, worker, &unled);
                }
                said.once(voice, worker, "no task is available; waiting");
                Some(backoff.next_wait())
            }
            Ok(Turn::Paused) => {
                said.once(voice, worker, "the job is paused; waiting");
                Some(backoff.next_wait())
            }
            Ok(Turn::Unfit(trouble)) => {
                heart.trouble(&trouble);
                None
            }
            Ok(Turn::Ended(_)) => return Ok(STATUS_ENDED),
            Ok(Turn::Leave) => return Ok(STATUS_LEFT),
            // What this process knows of the job may be wrong: it ends, also if `job.json` should be restored.
            Err(error) if matches!(error.kind(), ErrorKind::Vanished | ErrorKind::NotThisJob | ErrorKind::Unfit) => return Err(error),
            Err(error) => {
                // Also where little is to be said: nothing goes on until somebody mends it.
                said.once(Voice::Plain, worker, &format!("{error}; trying again"));
                Some(LARGEST_WAIT)
            }
        };
        if wait.is_none() {
            worked = Instant::now();
            watch.busy();
        } else if wait.is_some_and(|wait| watch.wait(wait) == Woken::Event) {
            backoff.reset();
            // Tasks that take no time are issued one after the other: to look for each as soon as it appears would cost more than to do it.
            if worked.elapsed() < SHORT_WAIT {
                std::thread::sleep(GATHER);
            }
        }
    }
}

/// What has been said: an idle worker says once that no task is available.
#[derive(Default)]
struct Said(std::collections::BTreeSet<String>);

impl Said {
    fn once(&mut self, voice: Voice, worker: &Worker, text: &str) {
        if voice == Voice::Plain && self.0.insert(gist(text).into_owned()) {
            say!("flockwork: worker {}: {text}", worker.name());
        }
    }
}

/// A signal: give back and go. Further ones change nothing, because one order to leave often comes as two: a terminal, a batch system or systemd
/// signals the whole group, and the supervisor passes its own on. Whoever insists signals the supervisor twice, which kills. SIGUSR1: finish the task, then go. Gives what
/// is true once one has come.
fn leave_on_signals(heart: &Heart, watch: &Watch) -> Result<Arc<AtomicBool>> {
    let signals = signal_hook::iterator::Signals::new(here::signals_to_end().into_iter().chain([SIGUSR1]));
    let mut signals = signals.map_err(|error| Error::io("cannot watch for signals in", PathBuf::from("this process"), error))?;
    let (heart, waker, told) = (heart.clone(), watch.waker(), Arc::new(AtomicBool::new(false)));
    let tell = Arc::clone(&told);
    std::thread::spawn(move || {
        for signal in signals.forever() {
            tell.store(true, Relaxed);
            if signal == SIGUSR1 {
                heart.leave_soon();
            } else {
                heart.leave();
            }
            waker.wake();
        }
    });
    Ok(told)
}
