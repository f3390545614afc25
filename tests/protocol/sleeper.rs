//! A worker in small steps, which may be stopped for longer than its lease, or be slow and beat all the while.

use std::sync::Arc;
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::fresh::is_there;
use flockwork::disk::rename::is_gone;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::{Chance, Turn};
use flockwork::ids::AttemptId;
use flockwork::job::claim::{Claim, Claimer, Commit, Manners, Tried};
use flockwork::job::register::Presence;
use flockwork::job::spec::Spec;
use flockwork::worker::Tasks;

use super::bench::{self, Mini};

/// Whether a worker respects that its claim was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    Respected,
    /// It makes its name in `done/` all the same.
    Jumped,
}

/// What a worker is like.
#[derive(Clone, Copy)]
pub struct Habits {
    /// How often it is stopped, at most: between any two steps, for 5 to 35 s.
    pub naps: u32,
    /// How long an attempt takes, during which it beats.
    pub takes: fn(&mut Chance) -> Duration,
    pub fence: Fence,
}

/// List, claim, run, commit; a step each.
pub struct Sleeper {
    disk: Arc<dyn Disk>,
    claimer: Claimer,
    tasks: Mini,
    chance: Chance,
    free: Vec<AttemptId>,
    /// What it works on, and until when.
    holds: Option<(Claim, Duration)>,
    habits: Habits,
    _presence: Presence,
}

impl Sleeper {
    pub fn start(disk: &Arc<SimDisk>, spec: &Spec, number: u32, seed: u64, habits: Habits) -> Sleeper {
        let client: Arc<dyn Disk> = Arc::new(disk.client(&format!("w{number}")));
        let name = bench::name("w", number);
        let presence = Presence::register(&*client, &name, 0).expect("register");
        let tasks = Mini::new(Arc::clone(&client), spec.ask.reduces);
        let chance = Chance::from_seed(seed * 8 + u64::from(number));
        Sleeper { disk: client, claimer: Claimer::new(name), tasks, chance, free: Vec::new(), holds: None, habits, _presence: presence }
    }

    pub fn step(&mut self) -> Turn {
        if self.habits.naps > 0 && self.chance.below(12) == 0 {
            self.habits.naps -= 1;
            return Turn::Wait(Duration::from_secs(5 + self.chance.below(30) as u64));
        }
        if let Some((claim, until)) = self.holds.take() {
            return self.go_on(claim, until);
        }
        if let Some(attempt) = self.free.pop() {
            if let Tried::Held(claim) = self.claimer.claim(&*self.disk, attempt, Manners::Insistent).expect("claim") {
                self.holds = Some((claim, self.disk.now() + (self.habits.takes)(&mut self.chance)));
            }
            return Turn::Ready;
        }
        if is_there(&*self.disk, "phase/end").expect("look") {
            return Turn::Done;
        }
        let listed = self.disk.list("pending").expect("list");
        self.free = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        if self.free.is_empty() { Turn::Wait(Duration::from_secs(1)) } else { Turn::Ready }
    }

    /// A claim that is gone cancels its attempt; to try the commit all the same is what the fence is for.
    fn go_on(&mut self, claim: Claim, until: Duration) -> Turn {
        let left = until.saturating_sub(self.disk.now());
        let is_taken = !left.is_zero() && self.disk.touch(&claim.path()).is_err_and(|error| is_gone(&error));
        if left.is_zero() || is_taken {
            self.work(claim);
            return Turn::Ready;
        }
        self.holds = Some((claim, until));
        Turn::Wait(left.min(Duration::from_secs(1)))
    }

    fn work(&mut self, claim: Claim) {
        let name = claim.name().clone();
        let ended = match self.tasks.run(&name, &flockwork::control::Control::default()) {
            Ok(made) => claim.commit(&*self.disk, &made),
            Err(flockwork::data::Failure::Damaged(names)) => claim.fail(&*self.disk, flockwork::job::record::TaskError::Damaged(names)),
            Err(other) => panic!("{name}: {other:?}"),
        };
        let superseded = ended.map_err(|refusal| refusal.1).expect("a disk with room") == Commit::Superseded;
        if superseded && self.habits.fence == Fence::Jumped {
            let _ = flockwork::disk::create::create_once(&*self.disk, &format!("done/{name}"), b"");
        } else if superseded && is_there(&*self.disk, &format!("expired/{name}")).expect("look") {
            self.tasks.discard(&name);
        }
    }
}
