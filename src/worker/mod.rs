//! A worker: find, claim, run, commit; one attempt at a time, one incarnation per process and job.
//!
//! [`Worker::turn`] is the whole protocol side of it and runs on any [`Disk`]; what an attempt *does* is behind [`Tasks`], its heartbeat behind [`Pulse`].
//! Around it, `slot.rs` is a real process and `supervisor.rs` keeps several of them alive. Reading order: this file, `fitness`, `assign`, `execute`, `commands`, `pulse`, `slot`,
//! `supervisor`.
//!
//! Cost of waiting: one listing of `pending/` and two looks a turn, a turn a second. Of a task: one claim, one commit (see `job/claim.rs`); `pending/` is listed once for
//! all the candidates it shows, never once per claim.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::control::Control;
use crate::data::{Failure, Made};
use crate::disk::rename::is_gone;
use crate::disk::{Disk, fresh};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{AttemptId, Block, ClaimName, Phase, WorkerName};
use crate::job::claim::{Claim, Claimer, Commit, Manners, Refusal, Tried};
use crate::job::end::{self, End};
use crate::job::layout::{self, PHASE, State};
use crate::job::log::Log;
use crate::job::plan::Plan;
use crate::job::record::TaskError;
use crate::job::spec::{self, Spec};
use fitness::{Fitness, Remedy};

pub mod assign;
pub mod commands;
pub mod execute;
mod fitness;
pub mod pulse;
mod scratch;
pub mod slot;
pub mod supervisor;

/// What attempts do: the engine, or a stand-in under simulation.
pub trait Tasks {
    /// Runs one attempt to its end.
    fn run(&mut self, claim: &ClaimName, control: &Control) -> Result<Made, Failure>;

    /// Removes what an attempt wrote, once its name lies in `expired/` or `failed/` and so can never count.
    fn discard(&mut self, claim: &ClaimName);
}

/// Where the claim is kept while its attempt runs, so that it is beaten for and can be given back from outside.
pub trait Pulse {
    /// Starts beating for the claim; the control is cancelled when the claim is found taken away, or given back from outside.
    fn start(&self, claim: Claim) -> Arc<Control>;

    /// Stops watching, goes on beating, and gives the claim back to be ended; `None` if it was ended from outside.
    fn finish(&self) -> Option<Claim>;

    /// The claim has ended.
    fn rest(&self);

    /// Says what the disk refused, and waits a moment before it is asked again.
    fn trouble(&self, text: &str);

    /// Trouble is over, if there was any.
    fn well(&self);

    /// True if the worker is to leave once it is free.
    fn is_leaving(&self) -> bool;

    /// True if it is to leave now: nothing is waited for any more.
    fn gives_back(&self) -> bool;
}

/// One worker incarnation in one job.
pub struct Worker {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    spec: Spec,
    claimer: Claimer,
    candidates: Vec<AttemptId>,
    refused: HashMap<AttemptId, Duration>,
    /// Tried in vain since the last pause: gone, though listed (a listing may be stale for long), or locked.
    missed: BTreeSet<AttemptId>,
    chance: u64,
    /// Candidates missed since the last claim or pause, and how many names the last listing had.
    in_vain: usize,
    listed: usize,
    /// So many of the next claims are made by the lock.
    polite_claims: u32,
    looks: Looks,
    fitness: Fitness,
    /// Why no command of this job can be run here, once that has been seen.
    unfit: Option<Error>,
    /// How many map tasks the plan has, once it has been read.
    maps: Option<u32>,
    log: Log,
}

/// What was last seen of the two directories that are looked at while waiting.
#[derive(Default)]
struct Looks {
    root: Option<i128>,
    phase: Option<i128>,
    turns: u32,
    at: Duration,
    paused: bool,
    led: bool,
}

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// An attempt was run and committed, or reported its error.
    Worked(ClaimName),
    /// An attempt was run, but its claim had been taken away.
    Superseded(ClaimName),
    /// A candidate was gone or locked; there may be others.
    Missed,
    /// Nothing can be claimed now.
    Idle,
    /// Somebody touched `pause`.
    Paused,
    /// The disk refuses this worker what tasks need, in these words; it claims nothing until that is over.
    Unfit(String),
    /// The job has ended.
    Ended(Box<End>),
    /// Asked to leave; nothing is held any more.
    Leave,
}

/// A long list of candidates is no reason not to see that the job was paused.
const CONTROL_PERIOD: Duration = Duration::from_secs(1);
/// So many misses in a row tell that a list is not true any more; a new one may take as many as it costs calls.
const IN_VAIN_MAX: usize = 3;
/// About so many names of a listing come with one call.
const NAMES_PER_CALL: usize = 600;
/// After another was quicker. A claim lost by the lock costs one or two calls, one lost by the rename five.
const POLITE_CLAIMS: u32 = 16;
/// While it waits, a worker looks at everything anew after this many turns, whatever the stamps say.
const TURNS_PER_FULL_LOOK: u32 = 8;

impl Worker {
    /// The worker `name` in the job `spec` at `root`; `chance` decides in which order it tries candidates.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, spec: Spec, name: WorkerName, chance: u64, log: Log) -> Worker {
        let (claimer, fitness) = (Claimer::new(name), Fitness::new(&spec.ask));
        let (candidates, refused, missed) = (Vec::new(), HashMap::new(), BTreeSet::new());
        Worker {
            disk,
            root,
            spec,
            claimer,
            candidates,
            refused,
            missed,
            chance,
            in_vain: 0,
            listed: 0,
            polite_claims: 0,
            looks: Looks::default(),
            fitness,
            unfit: None,
            maps: None,
            log,
        }
    }

    /// The worker's name.
    pub fn name(&self) -> &WorkerName {
        self.claimer.name()
    }

    /// False where the job was removed or moved away, be there another one in its place or none.
    pub fn has_its_job(&self) -> bool {
        match spec::load(&*self.disk, &self.root) {
            Ok(found) => found.id == self.spec.id,
            Err(error) => !spec::says_no_job(&error),
        }
    }

    /// True if a coordinator has led the job, as far as was seen.
    pub fn is_led(&self) -> bool {
        self.looks.led
    }

    /// Claims and runs one attempt, or finds out that there is none. An error of the kind `Unfit` is final: a worker here can run none of the job's.
    pub fn turn(&mut self, tasks: &mut dyn Tasks, pulse: &dyn Pulse) -> Result<Turn> {
        if pulse.is_leaving() {
            self.log.flush();
            return Ok(Turn::Leave);
        }
        if let Some(error) = self.unfit.take() {
            self.log.flush();
            return Err(error);
        }
        // Once a turn: every eighth look is a full one, and with two of them that may never be the one that matters.
        let looked = self.disk.now().saturating_sub(self.looks.at) > CONTROL_PERIOD;
        if looked {
            self.look_at_control()?;
            if self.looks.paused {
                self.candidates.clear();
            }
        }
        if let Some(unfit) = self.unfit()? {
            return Ok(unfit);
        }
        let Some(attempt) = self.candidates.pop() else {
            return match self.look_around(looked) {
                Err(error) if error.may_pass() => Ok(self.look_for_end()?.unwrap_or(Turn::Unfit(error.to_string()))),
                turn => turn.inspect(|_| pulse.well()),
            };
        };
        match self.claimer.claim(&*self.disk, attempt, self.manners(attempt)) {
            Ok(Tried::Held(claim)) => {
                pulse.well();
                self.polite_claims = self.polite_claims.saturating_sub(1);
                self.in_vain = 0;
                self.refused.remove(&attempt);
                self.work(claim, tasks, pulse)
            }
            Ok(Tried::Lost) => {
                self.polite_claims = POLITE_CLAIMS;
                Ok(self.miss(attempt))
            }
            Ok(Tried::Refused) => {
                let now = self.disk.now();
                self.refused.entry(attempt).or_insert(now);
                Ok(self.miss(attempt))
            }
            Ok(Tried::AskedToLeave) => Ok(Turn::Leave),
            Err(error) => self.cannot_claim(Error::io("cannot claim tasks in", self.root.join(State::Claimed.dir()), error)),
        }
    }

    /// What the disk refuses this worker, if it still does; the job may have ended meanwhile.
    fn unfit(&mut self) -> Result<Option<Turn>> {
        let Some(trouble) = self.fitness.trouble(&*self.disk) else { return Ok(None) };
        let trouble = format!("{trouble}; no task is claimed before this worker can write again");
        Ok(Some(self.look_for_end()?.unwrap_or(Turn::Unfit(trouble))))
    }

    /// Refused while it held nothing: its own trouble where it cannot write, and otherwise that of one file.
    fn cannot_claim(&mut self, error: Error) -> Result<Turn> {
        self.fitness.cannot_claim(&error);
        // Where it may rename files that it may not open, each claim made at once would be a lost one.
        self.polite_claims = POLITE_CLAIMS;
        self.unfit()?.ok_or(error)
    }

    /// Others are at work here: on elsewhere in the list. Where it is not true any more there are more hands than tasks: a pause before the next one, or
    /// a thousand workers would leave the server no time for the coordinator that issues them.
    fn miss(&mut self, attempt: AttemptId) -> Turn {
        self.missed.insert(attempt);
        self.in_vain += 1;
        let is_untrue = self.in_vain >= IN_VAIN_MAX + self.listed / NAMES_PER_CALL;
        if is_untrue {
            self.candidates.clear();
            self.in_vain = 0;
        }
        if !self.disk.is_network() {
            // Here a listing is true, and no server has to be spared: behind another's trail a new one shows what is left.
            return Turn::Missed;
        }
        if is_untrue {
            self.missed.clear();
            return Turn::Idle;
        }
        self.turn_elsewhere();
        Turn::Missed
    }

    /// Candidates are tried in order from a place by chance, so that few workers meet.
    fn turn_elsewhere(&mut self) {
        let place = (self.chance >> 33) as usize % self.candidates.len().max(1);
        self.candidates.rotate_left(place);
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    }

    /// Over a network the lock is taken only among workers that meet: where one was too late, its next claims are polite, and so are those of whoever it
    /// met. A lock that stays refused for a lease is some stopped process's, and proves nothing.
    fn manners(&self, attempt: AttemptId) -> Manners {
        if self.polite_claims == 0 && self.disk.is_network() {
            return Manners::Direct;
        }
        let since = self.refused.get(&attempt);
        let stays = since.is_some_and(|since| self.disk.now().saturating_sub(*since) > self.spec.ask.lease());
        if stays { Manners::Insistent } else { Manners::Polite }
    }

    /// Lists what can be claimed; where nothing can, looks whether the job was paused or has ended.
    fn look_around(&mut self, looked: bool) -> Result<Turn> {
        self.log.flush();
        if !looked {
            self.look_at_control()?;
        }
        if self.looks.paused {
            return Ok(self.look_for_end()?.unwrap_or(Turn::Paused));
        }
        let listed = self.disk.list(State::Pending.dir()).map_err(|error| self.unreadable(error))?;
        let mut free: BTreeSet<AttemptId> =
            listed.iter().filter(|entry| entry.is_file).filter_map(|entry| entry.name.parse().ok()).collect();
        if !free.is_empty() {
            self.read_shape()?;
            // A task that the plan does not have is foreign, however well its name is formed.
            free.retain(|attempt| self.has(attempt.block()));
        }
        self.refused.retain(|attempt, _| free.contains(attempt));
        self.missed.retain(|attempt| free.contains(attempt));
        self.listed = free.len();
        self.candidates = free.into_iter().rev().filter(|attempt| !self.missed.contains(attempt)).collect();
        if self.candidates.is_empty() {
            // Nothing is listed, or nothing that was not tried in vain already: a pause before it is tried again, for a stale listing
            // may last for a minute and a stopped process's lock for ever. The job may have ended meanwhile.
            self.missed.clear();
            let idle = self.look_for_end()?.unwrap_or(Turn::Idle);
            return Ok(idle);
        }
        self.turn_elsewhere();
        Ok(Turn::Missed)
    }

    fn read_shape(&mut self) -> Result<()> {
        if self.maps.is_none() {
            self.maps = Plan::map(&*self.disk, &self.root)?.map(|plan| plan.head().maps);
        }
        Ok(())
    }

    fn has(&self, block: Block) -> bool {
        match block.first().phase {
            Phase::Map if block.order() > 0 && self.spec.ask.is_map_only() => false,
            Phase::Map => self.maps.is_none_or(|maps| block.tasks().end <= maps),
            Phase::Reduce => block.tasks().end <= self.spec.ask.reduces,
        }
    }

    fn look_at_control(&mut self) -> Result<()> {
        let stamp = self.disk.look(".").map_err(|error| self.unreadable(error))?.stamp;
        self.looks.turns = self.looks.turns.wrapping_add(1);
        self.looks.at = self.disk.now();
        if self.looks.root != Some(stamp) || self.looks.turns.is_multiple_of(TURNS_PER_FULL_LOOK) {
            let entries = self.disk.list(".").map_err(|error| self.unreadable(error))?;
            self.looks.led = entries.iter().any(|entry| entry.name == layout::COORDINATOR_LOCK);
            self.looks.paused = entries.iter().any(|entry| entry.name == layout::PAUSE);
            if !entries.iter().any(|entry| entry.name == layout::JOB_JSON) {
                return Err(Error::vanished(&self.root));
            }
            self.looks.root = Some(stamp);
        }
        Ok(())
    }

    fn look_for_end(&mut self) -> Result<Option<Turn>> {
        let stamp = self.disk.look(PHASE).map_err(|error| self.unreadable(error))?.stamp;
        if self.looks.phase == Some(stamp) && !self.looks.turns.is_multiple_of(TURNS_PER_FULL_LOOK) {
            return Ok(None);
        }
        let entries = self.disk.list(PHASE).map_err(|error| self.unreadable(error))?;
        self.looks.phase = Some(stamp);
        if entries.iter().any(|entry| entry.name == "end") {
            return Ok(end::load(&*self.disk, &self.root)?.map(|end| Turn::Ended(Box::new(end))));
        }
        Ok(None)
    }

    fn unreadable(&self, error: std::io::Error) -> Error {
        let gone = is_gone(&error);
        let error = Error::io("cannot look into the job", &self.root, error);
        if gone { error.of_kind(ErrorKind::Vanished).advise("the job directory was removed while it ran") } else { error }
    }

    fn work(&mut self, claim: Claim, tasks: &mut dyn Tasks, pulse: &dyn Pulse) -> Result<Turn> {
        let name = claim.name().clone();
        self.log.event("claimed", &name.to_string(), "");
        let control = pulse.start(claim);
        // Told to leave while it claimed: the claim is given back already.
        let ran = if control.is_cancelled() { Err(Failure::Cancelled) } else { self.run(&name, &control, tasks, pulse) };
        let Some(claim) = pulse.finish() else { return Ok(Turn::Leave) };
        // Cancelled: its name was found gone from `claimed/`. Giving it back then finds it gone, and says nothing.
        let was_taken = matches!(ran, Err(Failure::Cancelled));
        let commit = self.end(claim, ran, pulse, &control);
        pulse.rest();
        let superseded = was_taken || commit == Commit::Superseded;
        // With the line of the next claim, or as soon as there is none.
        self.log.event_soon(if superseded { "superseded" } else { "ended" }, &name.to_string(), "");
        if !superseded {
            return Ok(Turn::Worked(name));
        }
        // Not having been able to commit is no evidence; the name in expired/ is.
        let is_expired = match commit {
            Commit::Done => true,
            Commit::Superseded => fresh::is_there(&*self.disk, &layout::held(State::Expired, &name)).unwrap_or(false),
        };
        if is_expired {
            tasks.discard(&name);
        }
        Ok(Turn::Superseded(name))
    }

    /// Runs the attempt, again and again where the disk refuses and waiting may help.
    fn run(&mut self, name: &ClaimName, control: &Control, tasks: &mut dyn Tasks, pulse: &dyn Pulse) -> Result<Made, Failure> {
        let mut refused: Option<Duration> = None;
        loop {
            let error = match tasks.run(name, control) {
                Err(Failure::Disk(error)) if !control.is_cancelled() && !pulse.gives_back() => error,
                // Whoever leaves now does not wait for the disk, and it is nobody's error.
                Err(Failure::Disk(_)) if pulse.gives_back() => return Err(Failure::Cancelled),
                ran => return ran,
            };
            if self.is_removed() {
                return Err(Failure::Disk(error));
            }
            let now = self.disk.now();
            let since = now.saturating_sub(*refused.get_or_insert(now));
            self.log.event("refused", &name.to_string(), &error.to_string());
            match self.fitness.remedy(name.attempt.block(), &error, since, self.spec.ask.lease()) {
                Remedy::TryAgain => pulse.trouble(&error.to_string()),
                Remedy::GiveBack => return Err(Failure::Cancelled),
                Remedy::Leave => {
                    self.unfit = Some(error);
                    return Err(Failure::Cancelled);
                }
                Remedy::Report => return Err(Failure::Disk(error)),
            }
        }
    }

    /// True if there is no directory to look into: then waiting for it helps nobody.
    fn is_removed(&self) -> bool {
        self.disk.look(".").is_err_and(|error| is_gone(&error))
    }

    /// Ends the claim as the attempt ended, trying while the disk refuses and the claim has not been taken away. A worker that is refused for too long
    /// gives the claim back, if it can do that: it may be the only one that is refused.
    fn end(&mut self, mut claim: Claim, ran: Result<Made, Failure>, pulse: &dyn Pulse, control: &Control) -> Commit {
        let mut refused: Option<Duration> = None;
        loop {
            let refusal: Refusal = match verb(&*self.disk, claim, &ran) {
                Ok(commit) => return commit,
                Err(refusal) => refusal,
            };
            let (held, error) = *refusal;
            let error = Error::io("cannot end the claim", self.root.join(held.path()), error);
            let text = error.to_string();
            self.log.event("trouble", &held.name().to_string(), &text);
            // Cancelled: taken away. No directory to look into: the whole job was.
            if control.is_cancelled() || self.is_removed() {
                return Commit::Superseded;
            }
            if pulse.gives_back() {
                // Where it cannot be given back either, its lease ends without us.
                let _ = held.give_back(&*self.disk);
                return Commit::Superseded;
            }
            let now = self.disk.now();
            let since = now.saturating_sub(*refused.get_or_insert(now));
            let block = held.name().attempt.block();
            claim = match self.fitness.remedy(block, &error, since, self.spec.ask.lease()) {
                Remedy::TryAgain => held,
                Remedy::GiveBack | Remedy::Leave | Remedy::Report => match held.give_back(&*self.disk) {
                    Ok(_) => return Commit::Superseded,
                    Err(refusal) => refusal.0,
                },
            };
            pulse.trouble(&text);
        }
    }
}

fn verb(disk: &dyn Disk, claim: Claim, ran: &Result<Made, Failure>) -> Result<Commit, Refusal> {
    match ran {
        Ok(made) => claim.commit(disk, made),
        Err(Failure::Cancelled) => claim.give_back(disk),
        Err(Failure::App(text)) => claim.fail(disk, TaskError::App(text.clone())),
        Err(Failure::Record(bad)) => claim.fail(disk, TaskError::Record(bad.clone())),
        Err(Failure::Command(why, ran)) => claim.fail(disk, TaskError::Command { why: why.clone(), ran: ran.clone() }),
        Err(Failure::Input(text)) => claim.fail(disk, TaskError::Input(text.clone())),
        Err(Failure::Damaged(names)) => claim.fail(disk, TaskError::Damaged(names.clone())),
        Err(Failure::Disk(error)) => claim.fail(disk, TaskError::App(error.to_string())),
    }
}
