//! Random schedules: four workers, two coordinators, ten tasks, lost replies, stale listings, broken locks, workers stopped past their lease.
//!
//! A seed decides everything. `FLOCKWORK_SEEDS=10000` tries more of them; a seed that fails is in the message.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::fresh::is_there;
use flockwork::disk::sim::run::{SimDisk, Weather};
use flockwork::disk::sim::turns::{Chance, Ending, Turn, take_turns};
use flockwork::ids::AttemptId;
use flockwork::job::claim::{Claim, Claimer, Commit, Manners, Tried};
use flockwork::job::register::Presence;
use flockwork::job::spec::Spec;
use flockwork::worker::Tasks;

use super::bench::{self, Boss, Mini, Size};

const SIZE: Size = Size { maps: 7, reduces: 3 };
const STEPS_MAX: usize = 20_000;
const SEEDS: u64 = 3_000;

/// A worker in small steps: list, claim, run, sleep, commit; it may be stopped between any two of them for longer than its lease.
struct Sleeper {
    disk: Arc<dyn Disk>,
    claimer: Claimer,
    tasks: Mini,
    chance: Chance,
    free: Vec<AttemptId>,
    holds: Option<Claim>,
    naps: u32,
    _presence: Presence,
}

impl Sleeper {
    fn start(disk: &Arc<SimDisk>, spec: &Spec, number: u32, seed: u64) -> Sleeper {
        let client: Arc<dyn Disk> = Arc::new(disk.client(&format!("w{number}")));
        let name = bench::name("w", number);
        let presence = Presence::register(&*client, &name, 0).expect("register");
        let tasks = Mini::new(Arc::clone(&client), spec.ask.reduces);
        let chance = Chance::from_seed(seed * 8 + u64::from(number));
        Sleeper { disk: client, claimer: Claimer::new(name), tasks, chance, free: Vec::new(), holds: None, naps: 3, _presence: presence }
    }

    fn step(&mut self) -> Turn {
        if self.naps > 0 && self.chance.below(12) == 0 {
            self.naps -= 1;
            return Turn::Wait(Duration::from_secs(5 + self.chance.below(30) as u64));
        }
        if let Some(claim) = self.holds.take() {
            self.work(claim);
            return Turn::Ready;
        }
        if let Some(attempt) = self.free.pop() {
            if let Tried::Held(claim) = self.claimer.claim(&*self.disk, attempt, Manners::Insistent).expect("claim") {
                self.holds = Some(claim);
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

    fn work(&mut self, claim: Claim) {
        let name = claim.name().clone();
        let ended = match self.tasks.run(&name, &flockwork::control::Control::default()) {
            Ok(made) => claim.commit(&*self.disk, &made),
            Err(flockwork::data::Failure::Damaged(names)) => claim.fail(&*self.disk, flockwork::job::record::TaskError::Damaged(names)),
            Err(other) => panic!("{name}: {other:?}"),
        };
        let superseded = ended.map_err(|refusal| refusal.1).expect("a disk with room") == Commit::Superseded;
        if superseded && is_there(&*self.disk, &format!("expired/{name}")).expect("look") {
            self.tasks.discard(&name);
        }
    }
}

/// What a seed came to: attempts that ended in `expired/`.
fn run(seed: u64) -> usize {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    disk.weather(seed, Weather { lost_replies_per_mille: 100, stale_per_mille: 150, broken_locks_per_mille: 100 });
    let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
    for number in 1..=4 {
        let mut worker = Sleeper::start(&disk, &spec, number, seed);
        actors.push(Box::new(move || worker.step()));
    }
    for number in 1..=2 {
        let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", number));
        actors.push(Box::new(move || boss.step()));
    }
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    assert_eq!(ending, Ending::AllEnded, "seed {seed}: it must end\n{}", bench::tree(&state));
    bench::assert_finished(&state, SIZE, &format!("seed {seed}"));
    state.children("expired").len()
}

#[test]
fn any_schedule_ends_with_the_same_bytes() {
    let seeds = std::env::var("FLOCKWORK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let expired: BTreeSet<usize> = (0..seeds).map(run).collect();
    assert!(expired.iter().any(|n| *n > 0), "some worker was stopped past its lease");
}
