//! Keeps N slots alive: each a process of its own, so that an app that ends its process takes nobody with it.
//!
//! A slot that dies is started again, at once the first time and then with growing pauses; a slot whose job has ended, or that was asked to leave, is not. The slots
//! die with the supervisor, whatever kills it. A thread stands behind each slot for as long as the slot lives, because the kernel counts the
//! death of the *thread* that started a child as the death of its parent.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::slot::{self, Voice};
use crate::error::{Error, Result};

/// A slot that lived shorter is started again only after a pause.
const LIVED_WELL: Duration = Duration::from_secs(2);
/// The pause grows from here,
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// to here.
const LARGEST_PAUSE: Duration = Duration::from_secs(1);

/// Several slots of one job.
pub struct Supervisor {
    shared: Arc<Shared>,
    threads: Vec<std::thread::JoinHandle<Result<Outcome>>>,
}

/// How a slot came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The job has ended.
    Ended,
    /// Asked to leave.
    Left,
    /// The job is gone.
    Vanished,
    /// The job cannot be worked on here; the slot said why.
    Cannot,
}

struct Shared {
    job: PathBuf,
    voice: Voice,
    /// Further options of each slot.
    options: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leaving: bool,
    pids: Vec<u32>,
    /// Why a slot could not be started, until it was told.
    trouble: Option<String>,
}

/// Ends the slots from another thread.
#[derive(Clone)]
pub struct Leash(Arc<Shared>);

impl Supervisor {
    /// Starts `slots` slots in the job at `job`, by this very program; each is given `options`, too.
    pub fn start(job: &Path, slots: u32, voice: Voice, options: Vec<String>) -> Supervisor {
        let shared = Arc::new(Shared { job: job.to_owned(), voice, options, state: Mutex::default() });
        let threads = (0..slots.max(1)).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.keep())
        });
        Supervisor { threads: threads.collect(), shared }
    }

    /// To end the slots with.
    pub fn leash(&self) -> Leash {
        Leash(Arc::clone(&self.shared))
    }

    /// Waits until every slot has come to its end; the gravest outcome.
    pub fn wait(self) -> Result<Outcome> {
        let mut outcomes = Vec::new();
        for thread in self.threads {
            outcomes.push(thread.join().unwrap_or(Ok(Outcome::Cannot))?);
        }
        let gravest = [Outcome::Cannot, Outcome::Vanished, Outcome::Left].into_iter().find(|outcome| outcomes.contains(outcome));
        Ok(gravest.unwrap_or(Outcome::Ended))
    }
}

impl Leash {
    /// Asks every slot to give its claim back and go; nothing is started again.
    pub fn leave(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends every slot at once.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// The processes of the slots that live.
    pub fn pids(&self) -> Vec<u32> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).pids.clone()
    }

    /// Why a slot could not be started; told once, and long before all others have come to their end.
    pub fn trouble(&self) -> Option<String> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).trouble.take()
    }

    fn signal(&self, signal: Signal) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.leaving = true;
        for pid in state.pids.iter().filter_map(|&pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Shared {
    /// Starts a slot, and another whenever it dies.
    fn keep(&self) -> Result<Outcome> {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(mut child) = self.spawn()? else { return Ok(Outcome::Left) };
            let started = Instant::now();
            let status = child.wait();
            self.state.lock().unwrap_or_else(PoisonError::into_inner).pids.retain(|&pid| pid != child.id());
            match status.ok().and_then(|status| status.code()) {
                Some(slot::STATUS_ENDED) => return Ok(Outcome::Ended),
                Some(slot::STATUS_LEFT) => return Ok(Outcome::Left),
                Some(slot::STATUS_VANISHED) => return Ok(Outcome::Vanished),
                Some(slot::STATUS_CANNOT) => return Ok(Outcome::Cannot),
                Some(_) | None => {}
            }
            if started.elapsed() >= LIVED_WELL {
                pause = FIRST_PAUSE;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LARGEST_PAUSE);
        }
    }

    /// `None` once leaving: checked and entered under one lock, so that no slot is started that nobody ends.
    fn spawn(&self) -> Result<Option<Child>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.leaving {
            return Ok(None);
        }
        let child = start_slot(&self.job, self.voice, &self.options).inspect_err(|error| state.trouble = Some(error.to_string()))?;
        state.pids.push(child.id());
        Ok(Some(child))
    }
}

/// Starts a slot in `job` by this very program. It dies with the thread that calls this.
pub fn start_slot(job: &Path, voice: Voice, options: &[String]) -> Result<Child> {
    let program = std::env::current_exe().map_err(|error| Error::io("cannot find", "this program's own file", error))?;
    // A program that was replaced or removed while it runs (an upgrade) is still to be had under this name.
    let found = if program.is_file() { program.as_path() } else { Path::new("/proc/self/exe") };
    let mut command = Command::new(found);
    command.arg("slot").arg("--parent").arg(std::process::id().to_string()).stdin(Stdio::null());
    if voice == Voice::Quiet {
        command.arg("--quiet");
    }
    command.args(options);
    // A folder may be called like a flag.
    command.arg("--").arg(job);
    command.spawn().map_err(|error| Error::io("cannot start a worker with", program, error))
}
