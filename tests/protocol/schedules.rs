//! Random schedules: four workers, two coordinators, ten tasks, lost replies, stale listings, broken locks, workers stopped past their lease.
//!
//! A seed decides everything. `FLOCKWORK_SEEDS=10000` tries more of them; a seed that fails is in the message.

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
const SEEDS: u64 = 2_000;

/// Whether a worker respects that its claim was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    Respected,
    /// It makes its name in `done/` all the same.
    Jumped,
}

/// A worker in small steps: list, claim, run, sleep, commit; it may be stopped between any two of them for longer than its lease.
struct Sleeper {
    disk: Arc<dyn Disk>,
    claimer: Claimer,
    tasks: Mini,
    chance: Chance,
    free: Vec<AttemptId>,
    holds: Option<Claim>,
    naps: u32,
    fence: Fence,
    _presence: Presence,
}

impl Sleeper {
    fn start(disk: &Arc<SimDisk>, spec: &Spec, number: u32, seed: u64, fence: Fence) -> Sleeper {
        let client: Arc<dyn Disk> = Arc::new(disk.client(&format!("w{number}")));
        let name = bench::name("w", number);
        let presence = Presence::register(&*client, &name, 0).expect("register");
        let tasks = Mini::new(Arc::clone(&client), spec.ask.reduces);
        let chance = Chance::from_seed(seed * 8 + u64::from(number));
        Sleeper {
            disk: client,
            claimer: Claimer::new(name),
            tasks,
            chance,
            free: Vec::new(),
            holds: None,
            naps: 3,
            fence,
            _presence: presence,
        }
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
        if superseded && self.fence == Fence::Jumped {
            let _ = flockwork::disk::create::create_once(&*self.disk, &format!("done/{name}"), b"");
        } else if superseded && is_there(&*self.disk, &format!("expired/{name}")).expect("look") {
            self.tasks.discard(&name);
        }
    }
}

/// What a seed came to: attempts that ended in `expired/`; or what is wrong.
fn run(seed: u64, fence: Fence) -> Result<usize, String> {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    disk.weather(seed, Weather { lost_replies_per_mille: 100, stale_per_mille: 150, broken_locks_per_mille: 100 });
    let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
    for number in 1..=4 {
        let mut worker = Sleeper::start(&disk, &spec, number, seed, fence);
        actors.push(Box::new(move || worker.step()));
    }
    for number in 1..=2 {
        let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", number));
        actors.push(Box::new(move || boss.step()));
    }
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    if ending != Ending::AllEnded {
        return Err(format!("seed {seed}: it does not end\n{}", bench::tree(&state)));
    }
    bench::check_finished(&state, SIZE).map_err(|what| format!("seed {seed}: {what}\n{}", bench::tree(&state)))?;
    Ok(state.children("expired").len())
}

#[test]
fn any_schedule_ends_with_the_same_bytes() {
    let seeds = std::env::var("FLOCKWORK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let expired: usize = (0..seeds).map(|seed| run(seed, Fence::Respected).unwrap_or_else(|what| panic!("{what}"))).sum();
    assert!(expired > 0, "some worker was stopped past its lease");
}

#[test]
fn schedules_find_a_worker_that_jumps_the_fence() {
    let found = (0..100).find_map(|seed| run(seed, Fence::Jumped).err());
    assert!(found.is_some_and(|what| what.contains("two directories")), "a result that counts although its claim was taken away");
}
