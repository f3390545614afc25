//! A worker in small steps, which may be stopped for longer than its lease, or be slow and beat all the while; it waits where there is no room.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use flockwork::control::Control;
use flockwork::data::{Failure, Made};
use flockwork::disk::Disk;
use flockwork::disk::fresh::is_there;
use flockwork::disk::rename::is_gone;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::{Chance, Turn};
use flockwork::error::is_no_room;
use flockwork::ids::{AttemptId, ClaimName, WorkerName};
use flockwork::job::claim::{Claim, Claimer, Commit, Manners, Tried};
use flockwork::job::layout;
use flockwork::job::record::TaskError;
use flockwork::job::register::Presence;
use flockwork::job::spec::Spec;
use flockwork::worker::Tasks;

use super::bench::{self, Mini};

/// What a worker does that it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vice {
    None,
    /// Where its claim was taken away, it makes its name in `done/` all the same.
    JumpsTheFence,
    /// It gives a claim back by renaming it to `pending/`.
    GivesBackToPending,
    /// It claims what it has held before.
    ForgetsWhatItHeld,
    /// It removes the data of an attempt whose commit was refused.
    DiscardsInDoubt,
}

/// What a worker is like.
#[derive(Clone, Copy)]
pub struct Habits {
    /// How often it is stopped, at most: between any two steps, for 5 to 20 s.
    pub naps: u32,
    /// How long an attempt takes, during which it beats.
    pub takes: fn(&mut Chance) -> Duration,
    /// Of a hundred attempts, so many are given back.
    pub gives_back_percent: u8,
    /// Attempts that report an error.
    pub fails: fn(&ClaimName) -> bool,
    pub vice: Vice,
}

impl Habits {
    /// Attempts take no time, none is given back, and nobody is stopped.
    pub const STEADY: Habits = Habits { naps: 0, takes: |_| Duration::ZERO, gives_back_percent: 0, fails: |_| false, vice: Vice::None };
}

/// What it works on.
struct Work {
    claim: Claim,
    until: Duration,
    /// What was made, where the disk refused the commit.
    made: Option<Made>,
}

/// List, claim, run, commit; a step each.
pub struct Sleeper {
    sim: Arc<SimDisk>,
    disk: Arc<dyn Disk>,
    claimer: Claimer,
    tasks: Mini,
    chance: Chance,
    free: Vec<AttemptId>,
    holds: Option<Work>,
    habits: Habits,
    _presence: Presence,
}

const MOMENT: Duration = Duration::from_secs(1);

impl Sleeper {
    pub fn start(sim: &Arc<SimDisk>, spec: &Spec, number: u32, seed: u64, habits: Habits) -> Sleeper {
        let client: Arc<dyn Disk> = Arc::new(sim.client(&format!("w{number}")));
        Sleeper::start_on(sim, client, spec, bench::name("w", number), seed * 8 + u64::from(number), habits).expect("register")
    }

    /// The same on any disk, which may refuse.
    pub fn start_on(
        sim: &Arc<SimDisk>,
        disk: Arc<dyn Disk>,
        spec: &Spec,
        name: WorkerName,
        seed: u64,
        habits: Habits,
    ) -> io::Result<Sleeper> {
        let presence = Presence::register(&*disk, &name, 0)?;
        let tasks = Mini::new(Arc::clone(&disk), spec.ask.reduces);
        let (sim, claimer, chance) = (Arc::clone(sim), Claimer::new(name), Chance::from_seed(seed));
        Ok(Sleeper { sim, disk, claimer, tasks, chance, free: Vec::new(), holds: None, habits, _presence: presence })
    }

    pub fn step(&mut self) -> Turn {
        match self.go() {
            Ok(turn) => turn,
            Err(error) if is_no_room(&error) => Turn::Wait(MOMENT),
            Err(error) => panic!("only a lack of room may come to a worker: {error}"),
        }
    }

    fn go(&mut self) -> io::Result<Turn> {
        if self.habits.naps > 0 && self.chance.below(12) == 0 {
            self.habits.naps -= 1;
            return Ok(Turn::Wait(Duration::from_secs(5 + self.chance.below(15) as u64)));
        }
        if let Some(work) = self.holds.take() {
            return self.go_on(work);
        }
        if let Some(attempt) = self.free.pop() {
            return self.claim(attempt);
        }
        if is_there(&*self.disk, "phase/end")? {
            return Ok(Turn::Done);
        }
        let listed = self.disk.list("pending")?;
        self.free = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        // From a beginning of its own, so that few meet.
        let own = self.chance.below(self.free.len().max(1));
        self.free.rotate_left(own);
        Ok(if self.free.is_empty() { Turn::Wait(MOMENT) } else { Turn::Ready })
    }

    fn claim(&mut self, attempt: AttemptId) -> io::Result<Turn> {
        if self.habits.vice == Vice::ForgetsWhatItHeld {
            self.claimer = Claimer::new(self.claimer.name().clone());
        }
        match self.claimer.claim(&*self.disk, attempt, Manners::Insistent)? {
            Tried::Held(claim) => {
                let until = self.disk.now() + (self.habits.takes)(&mut self.chance);
                self.holds = Some(Work { claim, until, made: None });
                Ok(Turn::Ready)
            }
            Tried::Lost | Tried::Refused => Ok(Turn::Ready),
            Tried::AskedToLeave => panic!("nobody is asked to leave"),
        }
    }

    /// A claim that is gone cancels its attempt; to try the commit all the same is what the fence is for.
    fn go_on(&mut self, work: Work) -> io::Result<Turn> {
        let left = work.until.saturating_sub(self.disk.now());
        let is_taken = !left.is_zero() && self.disk.touch(&work.claim.path()).is_err_and(|error| is_gone(&error));
        if left.is_zero() || is_taken {
            return self.work(work);
        }
        self.holds = Some(work);
        Ok(Turn::Wait(left.min(MOMENT)))
    }

    fn work(&mut self, Work { claim, until, made }: Work) -> io::Result<Turn> {
        let name = claim.name().clone();
        if made.is_none() && self.chance.below(100) < usize::from(self.habits.gives_back_percent) {
            return self.give_back(claim);
        }
        if (self.habits.fails)(&name) {
            let failed = claim.fail(&*self.disk, TaskError::App("poison".to_owned()));
            return self.ended(&name, failed.map_err(|refusal| refusal.1)?);
        }
        let made = match made.map_or_else(|| self.tasks.run(&name, &Control::default()), Ok) {
            Ok(made) => made,
            Err(Failure::Damaged(names)) => {
                let failed = claim.fail(&*self.disk, TaskError::Damaged(names));
                return self.ended(&name, failed.map_err(|refusal| refusal.1)?);
            }
            Err(Failure::Disk(error)) if error.is_no_room() => {
                self.holds = Some(Work { claim, until, made: None });
                return Ok(Turn::Wait(MOMENT));
            }
            Err(other) => panic!("{name}: {other:?}"),
        };
        match claim.commit(&*self.disk, &made) {
            Ok(commit) => self.ended(&name, commit),
            Err(refusal) => {
                if self.habits.vice == Vice::DiscardsInDoubt {
                    self.tasks.discard(&name);
                }
                self.holds = Some(Work { claim: refusal.0, until, made: Some(made) });
                Err(refusal.1)
            }
        }
    }

    fn give_back(&mut self, claim: Claim) -> io::Result<Turn> {
        if self.habits.vice == Vice::GivesBackToPending {
            let _ = self.disk.rename(&claim.path(), &layout::pending(claim.name().attempt));
            return Ok(Turn::Ready);
        }
        // Where it is refused, its lease ends without us.
        let _ = claim.give_back(&*self.disk).map_err(|refusal| refusal.1)?;
        Ok(Turn::Ready)
    }

    fn ended(&mut self, name: &ClaimName, commit: Commit) -> io::Result<Turn> {
        if commit == Commit::Done {
            return Ok(Turn::Ready);
        }
        if self.sim.has(&format!("done/{name}")) {
            self.sim.accuse(format!("{name} was told that its claim had been taken away, and its result counts"));
        }
        if self.habits.vice == Vice::JumpsTheFence {
            let _ = flockwork::disk::create::create_once(&*self.disk, &format!("done/{name}"), b"");
        } else if is_there(&*self.disk, &format!("expired/{name}"))? {
            self.tasks.discard(name);
        }
        Ok(Turn::Ready)
    }
}
