//! Keeps N slots alive: each a process of its own, so that an app that ends its process takes nobody with it.
//!
//! A slot that dies is started again, at once the first time and then with growing pauses; a slot whose job has ended, or that was asked to leave, is not. Where no process can be
//! started (a limit, too little memory) the same pauses are taken, and the other slots live on. A slot that takes a dead one's place waits where the disk refuses. The slots
//! die with the supervisor, whatever kills it. A thread stands behind each slot for as long as the slot lives, because the kernel counts the
//! death of the *thread* that started a child as the death of its parent.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::slot::{self, Patience, Voice};
use crate::error::said::Said;
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
    threads: Vec<std::thread::JoinHandle<Outcome>>,
    /// Why slots cannot be started, each reason once; no more comes when all slots have come to their end.
    troubles: Receiver<String>,
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
    /// That of the slots that are started first.
    patience: Patience,
    /// Further options of each slot.
    options: Vec<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leaving: bool,
    pids: Vec<u32>,
    said: Said,
}

/// Ends the slots from another thread.
#[derive(Clone)]
pub struct Leash(Arc<Shared>);

impl Supervisor {
    /// Starts `slots` slots in the job at `job`, by this very program; each is given `options`, too.
    pub fn start(job: &Path, slots: u32, voice: Voice, patience: Patience, options: Vec<String>) -> Supervisor {
        let shared = Arc::new(Shared { job: job.to_owned(), voice, patience, options, state: Mutex::default() });
        let (tell, troubles) = channel();
        let threads = (0..slots.max(1)).map(|_| {
            let (shared, tell) = (Arc::clone(&shared), tell.clone());
            std::thread::spawn(move || shared.keep(&tell))
        });
        Supervisor { threads: threads.collect(), shared, troubles }
    }

    /// To end the slots with.
    pub fn leash(&self) -> Leash {
        Leash(Arc::clone(&self.shared))
    }

    /// Why a slot could not be started just now, if that was not told yet; it is tried again.
    pub fn trouble(&self) -> Option<String> {
        self.troubles.try_recv().ok()
    }

    /// Waits until every slot has come to its end, and gives the gravest outcome; `say` is told why slots cannot be started meanwhile.
    pub fn wait(self, say: &mut dyn FnMut(&str)) -> Outcome {
        self.troubles.iter().for_each(|trouble| say(&trouble));
        let outcomes: Vec<Outcome> = self.threads.into_iter().map(|thread| thread.join().unwrap_or(Outcome::Cannot)).collect();
        let gravest = [Outcome::Cannot, Outcome::Vanished, Outcome::Left].into_iter().find(|outcome| outcomes.contains(outcome));
        gravest.unwrap_or(Outcome::Ended)
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
        self.0.state().pids.clone()
    }

    fn signal(&self, signal: Signal) {
        let mut state = self.0.state();
        state.leaving = true;
        for pid in state.pids.iter().filter_map(|&pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a slot, and another whenever it dies.
    fn keep(&self, tell: &Sender<String>) -> Outcome {
        let (mut pause, mut patience) = (FIRST_PAUSE, self.patience);
        loop {
            let started = Instant::now();
            match self.spawn(patience) {
                Ok(None) => return Outcome::Left,
                Ok(Some(child)) => {
                    if let Some(outcome) = self.see_out(child) {
                        return outcome;
                    }
                    patience = Patience::Waits;
                }
                Err(error) => {
                    let text = format!("{error}; trying again");
                    if self.state().said.is_news(&text) {
                        let _ = tell.send(text);
                    }
                }
            }
            if started.elapsed() >= LIVED_WELL {
                pause = FIRST_PAUSE;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LARGEST_PAUSE);
        }
    }

    /// `None` once leaving: checked and entered under one lock, so that no slot is started that nobody ends.
    fn spawn(&self, patience: Patience) -> Result<Option<Child>> {
        let mut state = self.state();
        if state.leaving {
            return Ok(None);
        }
        let child = start_slot(&self.job, self.voice, patience, &self.options)?;
        state.pids.push(child.id());
        Ok(Some(child))
    }

    /// Waits for a slot's end; `None` if another is to take its place.
    fn see_out(&self, mut child: Child) -> Option<Outcome> {
        let status = child.wait();
        self.state().pids.retain(|&pid| pid != child.id());
        match status.ok().and_then(|status| status.code()) {
            Some(slot::STATUS_ENDED) => Some(Outcome::Ended),
            Some(slot::STATUS_LEFT) => Some(Outcome::Left),
            Some(slot::STATUS_VANISHED) => Some(Outcome::Vanished),
            Some(slot::STATUS_CANNOT | slot::STATUS_REFUSED) => Some(Outcome::Cannot),
            Some(_) | None => None,
        }
    }
}

/// Starts a slot in `job` by this very program. It dies with the thread that calls this.
pub fn start_slot(job: &Path, voice: Voice, patience: Patience, options: &[String]) -> Result<Child> {
    let program = std::env::current_exe().map_err(|error| Error::io("cannot find", "this program's own file", error))?;
    // A program that was replaced or removed while it runs (an upgrade) is still to be had under this name.
    let found = if program.is_file() { program.as_path() } else { Path::new("/proc/self/exe") };
    let mut command = Command::new(found);
    command.arg("slot").arg("--parent").arg(std::process::id().to_string()).stdin(Stdio::null());
    if voice == Voice::Quiet {
        command.arg("--quiet");
    }
    if patience == Patience::Waits {
        command.arg("--patient");
    }
    command.args(options);
    // A folder may be called like a flag.
    command.arg("--").arg(job);
    command.spawn().map_err(|error| Error::io("cannot start a worker with", program, error))
}
