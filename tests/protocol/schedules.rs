//! Random schedules: four workers, two coordinators, ten tasks, lost replies, stale listings, broken locks, workers stopped past their lease or so slow
//! that they are backed up.
//!
//! A seed decides everything. `FLOCKWORK_SEEDS=10000` tries more of them; a seed that fails is in the message.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::sim::run::{SimClientDirect, SimDisk, Weather};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Chance, Ending, Turn, take_turns};
use flockwork::ids::{ClaimName, TaskFile};

use super::bench::{self, Boss, Size};
use super::lens::CountsBoth;
use super::sleeper::{Fence, Habits, Sleeper};

const SIZE: Size = Size { maps: 7, reduces: 3 };
const STEPS_MAX: usize = 20_000;
const SEEDS: u64 = 2_000;

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// Attempts that ended in `expired/`.
    expired: usize,
    /// Those of them that had been claimed, and were dropped because another was quicker.
    dropped: usize,
    /// Tasks of which two attempts committed.
    both: usize,
    /// Attempts beyond the first.
    second: usize,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.expired += other.expired;
        self.dropped += other.dropped;
        self.both += other.both;
        self.second += other.second;
    }
}

fn seen(state: &DiskState) -> Seen {
    let says_dropped = |name: &str| {
        let bytes = state.bytes(&format!("expired/{name}")).unwrap_or_default();
        name.contains('@') && String::from_utf8_lossy(bytes).contains("\"dropped\"")
    };
    let expired = state.children("expired");
    let mut done: Vec<ClaimName> = state.children("done").iter().filter_map(|entry| entry.name.parse().ok()).collect();
    done.sort_unstable();
    let names = ["done", "expired", "failed"].into_iter().flat_map(|dir| state.children(dir));
    let attempts = names.filter_map(|entry| Some(entry.name.parse::<TaskFile>().ok()?.attempt().number));
    Seen {
        expired: expired.len(),
        dropped: expired.iter().filter(|entry| says_dropped(&entry.name)).count(),
        both: done.windows(2).filter(|pair| pair[0].attempt.task == pair[1].attempt.task).count(),
        second: attempts.filter(|number| *number > 1).count(),
    }
}

/// Whether second attempts beside slow ones are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backup {
    Asked,
    NotAsked,
}

const WORST: Weather = Weather { lost_replies_per_mille: 100, stale_per_mille: 150, broken_locks_per_mille: 100 };

/// One in six attempts takes 5 to 35 s, the others no time.
fn at_times_slow(chance: &mut Chance) -> Duration {
    if chance.below(6) == 0 { Duration::from_secs(5 + chance.below(30) as u64) } else { Duration::ZERO }
}

/// As in the lab's job-count test.
fn two_to_five_seconds(chance: &mut Chance) -> Duration {
    Duration::from_millis(2000 + chance.below(3001) as u64)
}

const WILD: Habits = Habits { naps: 3, takes: at_times_slow, fence: Fence::Respected };

/// How a coordinator's disk is made of its client.
type Eyes = fn(SimClientDirect) -> Arc<dyn Disk>;

fn honest(client: SimClientDirect) -> Arc<dyn Disk> {
    Arc::new(client)
}

/// What a seed came to; or what is wrong.
fn run(seed: u64, habits: Habits, backup: Backup, weather: Weather, eyes: Eyes) -> Result<Seen, String> {
    let (disk, mut spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    spec.ask.backup = backup == Backup::Asked;
    disk.weather(seed, weather);
    let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
    for number in 1..=4 {
        let mut worker = Sleeper::start(&disk, &spec, number, seed, habits);
        actors.push(Box::new(move || worker.step()));
    }
    for number in 1..=2 {
        let mut boss = Boss::start_on(eyes(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", number));
        actors.push(Box::new(move || boss.step()));
    }
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    if ending != Ending::AllEnded {
        return Err(format!("seed {seed}: it does not end\n{}", bench::tree(&state)));
    }
    bench::check_finished(&state, SIZE).map_err(|what| format!("seed {seed}: {what}\n{}", bench::tree(&state)))?;
    Ok(seen(&state))
}

fn n_seeds() -> u64 {
    std::env::var("FLOCKWORK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn all(habits: Habits, backup: Backup, weather: Weather) -> Seen {
    let mut sum = Seen::default();
    for seed in 0..n_seeds() {
        sum += run(seed, habits, backup, weather, honest).unwrap_or_else(|what| panic!("{what}"));
    }
    println!("{backup:?}: {sum:?}");
    sum
}

#[test]
fn any_schedule_ends_with_the_same_bytes() {
    let sum = all(WILD, Backup::NotAsked, WORST);
    assert!(sum.expired > 0, "some worker was stopped past its lease: {sum:?}");
}

#[test]
fn any_schedule_with_backups_ends_with_the_same_bytes() {
    let sum = all(WILD, Backup::Asked, WORST);
    assert!(sum.dropped > 0, "some backup won, or lost, and the other was dropped: {sum:?}");
    assert!(sum.both > 0, "and sometimes both committed: {sum:?}");
}

#[test]
fn no_healthy_task_runs_twice() {
    let habits = Habits { naps: 0, takes: two_to_five_seconds, fence: Fence::Respected };
    assert_eq!(all(habits, Backup::Asked, Weather::default()), Seen::default());
}

#[test]
fn without_backups_slow_attempts_are_waited_for() {
    let habits = Habits { naps: 0, ..WILD };
    assert_eq!(all(habits, Backup::NotAsked, Weather::default()), Seen::default());
    assert!(all(habits, Backup::Asked, Weather::default()).dropped > 0, "with them some are dropped");
}

#[test]
fn schedules_find_a_worker_that_jumps_the_fence() {
    let habits = Habits { fence: Fence::Jumped, ..WILD };
    let found = (0..100).find_map(|seed| run(seed, habits, Backup::NotAsked, WORST, honest).err());
    assert!(found.is_some_and(|what| what.contains("two directories")), "a result that counts although its claim was taken away");
}

#[test]
fn schedules_find_a_dropped_worker_that_jumps_the_fence() {
    let habits = Habits { naps: 0, fence: Fence::Jumped, ..WILD };
    let found = (0..100).find_map(|seed| run(seed, habits, Backup::Asked, Weather::default(), honest).err());
    assert!(found.is_some_and(|what| what.contains("two directories")), "a result that counts although its attempt was dropped");
}

#[test]
fn schedules_find_a_coordinator_that_counts_both_attempts() {
    let found = (0..n_seeds()).find_map(|seed| run(seed, WILD, Backup::Asked, WORST, |client| Arc::new(CountsBoth(client))).err());
    assert!(found.as_ref().is_some_and(|what| what.contains("counted")), "the counters of both: {found:?}");
}
