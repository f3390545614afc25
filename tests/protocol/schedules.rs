//! Random schedules: four workers, two coordinators, thirty tasks, on a disk where everything goes wrong that may: stale listings and attributes, replies
//! that are late, lost or repeated, mounts that hang, disks that are full, servers that restart, processes and machines that die; workers stopped past
//! their lease, or so slow that they are backed up.
//!
//! A seed decides everything. `FLOCKWORK_SEEDS=100000 cargo test --release --test tests schedules -- --nocapture` tries more of them than the gate does; a
//! seed that fails is in the message. [`audit`](super::audit) judges every change of a name, [`bench`](super::bench) the end.

use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::sim::run::{SimClientDirect, SimDisk, Weather, survives};
use flockwork::disk::sim::stage::{Part, perform};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Chance, Ending, Turn};
use flockwork::ids::{Block, ClaimName, TaskFile};
use flockwork::job::spec::{Bundle, Spec};

use super::audit::Audit;
use super::bench::{self, Boss, Size};
use super::sleeper::{Habits, Sleeper, Vice};

const SIZE: Size = Size { maps: 26, reduces: 4 };
const STEPS_MAX: usize = 50_000;
const SEEDS: u64 = 2_000;
const WORKERS: u32 = 4;
const COORDINATORS: u32 = 2;
const MOMENT: Duration = Duration::from_secs(1);
/// Between two rounds of a coordinator: just under a fifth of a lease, beyond which a gap no longer counts as silence.
const ROUND: Duration = Duration::from_millis(1700);

/// What a run came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Attempts that ended in `expired/`.
    expired: usize,
    /// Those of them that had been claimed, and were dropped because another was quicker.
    dropped: usize,
    /// Tasks of which two attempts committed.
    both: usize,
    /// Attempts beyond the first.
    second: usize,
    /// Workers beyond the first four.
    reborn: usize,
    /// Blocks of several tasks that are done.
    bundles: usize,
    /// Attempts that are done within a larger block that is done as well.
    nested: usize,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Seen) {
        self.expired += other.expired;
        self.dropped += other.dropped;
        self.both += other.both;
        self.second += other.second;
        self.reborn += other.reborn;
        self.bundles += other.bundles;
        self.nested += other.nested;
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
    let blocks: Vec<Block> = done.iter().map(|claim| claim.attempt.block()).collect();
    let names = ["done", "expired", "failed"].into_iter().flat_map(|dir| state.children(dir));
    let attempts = names.filter_map(|entry| Some(entry.name.parse::<TaskFile>().ok()?.attempt().number));
    Seen {
        expired: expired.len(),
        dropped: expired.iter().filter(|entry| says_dropped(&entry.name)).count(),
        both: done.windows(2).filter(|pair| pair[0].attempt.block() == pair[1].attempt.block()).count(),
        second: attempts.filter(|number| *number > 1).count(),
        reborn: state.children("workers").len().saturating_sub(WORKERS as usize),
        bundles: blocks.iter().filter(|block| block.order() > 0).count(),
        nested: blocks.iter().filter(|block| blocks.iter().any(|larger| larger.order() > block.order() && larger.holds(**block))).count(),
    }
}

/// Whether second attempts beside slow ones are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backup {
    Asked,
    NotAsked,
}

/// How a process's disk is made of its client.
pub type Eyes = fn(SimClientDirect) -> Arc<dyn Disk>;

/// What is tried under many seeds.
#[derive(Clone, Copy)]
pub struct Plot {
    pub habits: Habits,
    pub backup: Backup,
    pub weather: Weather,
    pub workers_see: Eyes,
    pub coordinators_see: Eyes,
    /// Tasks issued at once.
    pub window: usize,
    /// Map tasks in one file, at most. One coordinator makes blocks of so many, the other of two, until they know better.
    pub bundle: u32,
}

fn honest(client: SimClientDirect) -> Arc<dyn Disk> {
    Arc::new(client)
}

const WORST: Weather = Weather {
    lost_replies_per_mille: 50,
    stale_per_mille: 100,
    stale_attributes_per_mille: 30,
    broken_locks_per_mille: 100,
    delays_per_100_000: 600,
    hangs_per_100_000: 20,
    full_per_100_000: 20,
    restarts_per_100_000: 10,
    deaths_per_100_000: 60,
};

/// One in six attempts takes 5 to 20 s, the others no time.
fn at_times_slow(chance: &mut Chance) -> Duration {
    if chance.below(6) == 0 { Duration::from_secs(5 + chance.below(15) as u64) } else { Duration::ZERO }
}

/// As in the lab's job-count test.
fn two_to_five_seconds(chance: &mut Chance) -> Duration {
    Duration::from_millis(2000 + chance.below(3001) as u64)
}

const WILD: Habits = Habits { naps: 3, takes: at_times_slow, gives_back_percent: 3, fails: |_| false, vice: Vice::None };

impl Plot {
    /// Everything goes wrong, and nobody does.
    pub const WORST: Plot = Plot {
        habits: WILD,
        backup: Backup::Asked,
        weather: WORST,
        workers_see: honest,
        coordinators_see: honest,
        window: usize::MAX,
        bundle: 1,
    };

    /// The same with tasks that share files, one of which brings down every block that it is in.
    pub const BUNDLED: Plot = Plot { habits: Habits { fails: fails_in_company, ..WILD }, window: 2, bundle: 8, ..Plot::WORST };
}

/// Map task 13 cannot be done but alone.
fn fails_in_company(claim: &ClaimName) -> bool {
    let block = claim.attempt.block();
    block.order() > 0 && block.tasks().contains(&13)
}

/// A process, and after its death the next one in its place.
fn reborn<L: Send + 'static>(
    disk: &Arc<SimDisk>,
    host: &'static str,
    eyes: Eyes,
    start: impl Fn(Arc<dyn Disk>, u32) -> Option<L> + Send + 'static,
    step: fn(&mut L) -> Turn,
    number: u32,
) -> Part {
    let (disk, mut life, mut number) = (Arc::clone(disk), None, number);
    Box::new(move || {
        let lived = survives(|| {
            if life.is_none() {
                number += 10;
                life = start(eyes(disk.client(host).mortal()), number);
            }
            life.as_mut().map_or(Turn::Wait(MOMENT), step)
        });
        lived.unwrap_or_else(|| {
            life = None;
            Turn::Wait(MOMENT)
        })
    })
}

fn boss_step(boss: &mut Boss) -> Turn {
    match boss.try_step() {
        Ok(Turn::Done) => Turn::Done,
        Ok(Turn::Ready | Turn::Wait(_)) => Turn::Wait(ROUND),
        Err(error) if error.is_no_room() => Turn::Wait(MOMENT),
        Err(error) => panic!("only a lack of room may come to a coordinator: {error}"),
    }
}

fn parts(disk: &Arc<SimDisk>, spec: &Spec, seed: u64, plot: &Plot) -> Vec<Part> {
    let mut parts = Vec::new();
    for n in 1..=WORKERS {
        let (sim, spec, habits) = (Arc::clone(disk), spec.clone(), plot.habits);
        let start = move |disk, number| {
            Sleeper::start_on(&sim, disk, &spec, bench::name("w", number), seed * 1009 + u64::from(number), habits).ok()
        };
        parts.push(reborn(disk, "w", plot.workers_see, start, Sleeper::step, n));
    }
    for n in 1..=COORDINATORS {
        let (spec, window, bundle) = (spec.clone(), plot.window, if n == 1 { plot.bundle } else { plot.bundle.min(2) });
        let start = move |disk, number| {
            let boss = Boss::try_start(disk, &spec, SIZE.maps, &bench::name("boss", number)).ok()?.with_window(window);
            Some(if bundle > 1 { boss.that_saw(bundle) } else { boss })
        };
        parts.push(reborn(disk, "boss", plot.coordinators_see, start, boss_step, n));
    }
    parts
}

/// What the dead have sent may arrive when everybody else has gone: whoever coordinates next clears it up, and changes nothing else.
fn clear_up(disk: &Arc<SimDisk>, spec: &Spec) {
    disk.heal();
    disk.advance(Duration::from_secs(60));
    let mut boss = Boss::start(&disk.client("boss"), spec, SIZE.maps, &bench::name("boss", 99));
    for _ in 0..100 {
        if !disk.has("phase/end") || boss.step() == Turn::Done {
            return;
        }
        disk.advance(MOMENT);
    }
}

fn try_run(submitted: DiskState, seed: u64, plot: &Plot) -> Result<Seen, String> {
    let (disk, mut spec) = (SimDisk::holding(submitted), bench::spec(SIZE));
    spec.ask.backup = plot.backup == Backup::Asked;
    spec.ask.bundle = Bundle::AtMost(plot.bundle);
    disk.weather(seed, plot.weather);
    let mut audit = Audit::new(SIZE);
    disk.audit(move |change| audit.judge(change));
    let parts = parts(&disk, &spec, seed, plot);
    let ending = catch_unwind(AssertUnwindSafe(|| {
        let ending = perform(&disk, seed, STEPS_MAX, parts);
        if disk.n_late() > 0 {
            clear_up(&disk, &spec);
        }
        ending
    }));
    let state = disk.state();
    let judged = match (disk.wrong(), ending) {
        (Some(what), _) => Err(what),
        (None, Err(panic)) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned())),
        (None, Ok(Ending::OutOfSteps)) => Err("it does not end".to_owned()),
        (None, Ok(Ending::AllEnded)) => bench::check_finished(&state, SIZE),
    };
    judged.map_err(|what| format!("seed {seed}: {what}\n{}", bench::tree(&state)))?;
    Ok(seen(&state))
}

/// What a seed comes to; or what is wrong.
pub fn run(seed: u64, plot: &Plot) -> Result<Seen, String> {
    try_run(bench::submitted(SIZE), seed, plot)
}

fn n_seeds() -> u64 {
    std::env::var("FLOCKWORK_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn all(plot: &Plot, seeds: u64) -> Seen {
    let submitted = bench::submitted(SIZE);
    // Two schedules a core: where one changes threads, the other has the core meanwhile.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let share = |thread: usize| {
        let mut sum = Seen::default();
        for seed in (thread as u64..seeds).step_by(threads) {
            sum += try_run(submitted.clone(), seed, plot).unwrap_or_else(|what| panic!("{what}"));
        }
        sum
    };
    let mut sum = Seen::default();
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        for done in shares {
            match done.join() {
                Ok(seen) => sum += seen,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    println!("{seeds} seeds, {:?}: {sum:?}", plot.backup);
    sum
}

#[test]
fn any_schedule_ends_with_the_same_bytes() {
    let sum = all(&Plot::WORST, n_seeds());
    assert!(sum.expired > 0, "some worker was stopped past its lease: {sum:?}");
    assert!(sum.dropped > 0, "some backup won, or lost, and the other was dropped: {sum:?}");
    assert!(sum.both > 0, "and sometimes both committed: {sum:?}");
    assert!(sum.reborn > 0, "some worker died: {sum:?}");
}

/// Two coordinators, one of which had looked before a second attempt committed, failed a healthy job: it took the other's output for a stranger's.
#[test]
fn schedules_that_once_failed_end_with_the_same_bytes() {
    let late = Plot { weather: Weather { delays_per_100_000: 5_000, ..WORST }, ..Plot::WORST };
    for seed in [1933, 2193] {
        run(seed, &late).unwrap_or_else(|what| panic!("{what}"));
    }
}

/// Those that do not decide how much is proved are tried this often.
const FEW: u64 = SEEDS / 10;

#[test]
fn any_schedule_without_backups_ends_with_the_same_bytes() {
    all(&Plot { backup: Backup::NotAsked, ..Plot::WORST }, FEW);
}

#[test]
fn any_schedule_of_a_job_that_is_issued_in_parts_ends_with_the_same_bytes() {
    for window in [1, 5] {
        let sum = all(&Plot { window, ..Plot::WORST }, FEW);
        assert!(sum.expired > 0 && sum.both > 0 && sum.reborn > 0, "{sum:?}");
    }
}

#[test]
fn any_schedule_of_tasks_that_share_files_ends_with_the_same_bytes() {
    let sum = all(&Plot::BUNDLED, n_seeds() / 2);
    assert!(sum.bundles > 0 && sum.expired > 0 && sum.both > 0 && sum.reborn > 0, "{sum:?}");
    assert!(sum.nested > 0, "two coordinators cut differently, and both pieces were done: {sum:?}");
}

#[test]
fn any_schedule_of_shared_files_without_backups_ends_with_the_same_bytes() {
    for bundle in [2, 16] {
        let sum = all(&Plot { backup: Backup::NotAsked, bundle, ..Plot::BUNDLED }, FEW);
        assert!(sum.bundles > 0 && sum.expired > 0 && sum.reborn > 0, "{sum:?}");
    }
}

#[test]
fn no_healthy_task_runs_twice() {
    let habits = Habits { takes: two_to_five_seconds, ..Habits::STEADY };
    for window in [Plot::WORST.window, 5] {
        assert_eq!(all(&Plot { habits, weather: Weather::CALM, window, ..Plot::WORST }, FEW), Seen::default());
    }
}

#[test]
fn without_backups_slow_attempts_are_waited_for() {
    let habits = Habits { naps: 0, gives_back_percent: 0, ..WILD };
    let calm = Plot { habits, weather: Weather::CALM, ..Plot::WORST };
    assert_eq!(all(&Plot { backup: Backup::NotAsked, ..calm }, FEW), Seen::default());
    assert!(all(&calm, FEW).dropped > 0, "with them some are dropped");
}
