//! Worker and coordinator killed at every single disk call: whatever k it was, the job must end with the same bytes.
//!
//! A first run without deaths counts each process's calls; then, for every k, the victim dies at its k-th call and a fresh incarnation takes its
//! place, as a supervisor would see to. Time is virtual; the dead one's claim is taken back by the real [`Leases`](flockwork::coordinator::leases::Leases).

use std::sync::Arc;

use flockwork::disk::sim::run::{SimClientDirect, SimDisk, Weather, survives};
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};

use super::bench::{self, Boss, Size, Slot};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 2_000;

/// When whose first incarnation dies.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deaths {
    pub worker: Option<u64>,
    pub coordinator: Option<u64>,
}

/// A process and its next incarnations: `start` begins a life, which takes its steps until its client dies.
pub fn reborn<L: 'static>(
    disk: &Arc<SimDisk>,
    host: &'static str,
    dies_at: Option<u64>,
    start: impl Fn(&SimClientDirect, u32) -> L + 'static,
    step: impl Fn(&mut L) -> Turn + 'static,
) -> (SimClientDirect, Box<dyn FnMut() -> Turn>) {
    let first = disk.client(host);
    if let Some(k) = dies_at {
        first.die_at(k);
    }
    let (disk, mut client) = (Arc::clone(disk), first.clone());
    let (mut number, mut life) = (1, None);
    let turn = move || {
        let lived = survives(|| step(life.get_or_insert_with(|| start(&client, number))));
        lived.unwrap_or_else(|| {
            (life, number) = (None, number + 1);
            client = disk.client(host);
            Turn::Ready
        })
    };
    (first, Box::new(turn))
}

/// Runs the job to its end and judges it; the calls that the first worker and the first coordinator made.
fn run(deaths: Deaths, seed: u64, weather: Weather) -> (u64, u64) {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    disk.weather(seed, weather);
    let worker = |host, dies_at| {
        let spec = spec.clone();
        reborn(&disk, host, dies_at, move |client, n| Slot::start(client, &spec, &bench::name(host, n)), Slot::step)
    };
    let boss_spec = spec.clone();
    let start_boss = move |client: &SimClientDirect, n| Boss::start(client, &boss_spec, SIZE.maps, &bench::name("boss", n));
    let (boss_client, boss) = reborn(&disk, "boss", deaths.coordinator, start_boss, Boss::step);
    let (victim, one) = worker("victim", deaths.worker);
    let (_, other) = worker("other", None);
    let about = format!("{deaths:?}, seed {seed}");
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut [boss, one, other]);
    assert_eq!(ending, Ending::AllEnded, "{about}: it must end\n{}", bench::tree(&disk.state()));
    bench::assert_finished(&disk.state(), SIZE, &about);
    (victim.calls_total(), boss_client.calls_total())
}

const LOSSES: Weather = Weather { lost_replies_per_mille: 150, stale_per_mille: 0, ..Weather::CALM };

#[test]
fn a_job_without_deaths_ends_with_the_right_bytes() {
    (0..20).for_each(|seed| _ = run(Deaths::default(), seed, Weather::default()));
}

/// Schedules in which the deaths are tried.
const SEEDS: std::ops::Range<u64> = 0..10;

#[test]
fn scenario_01_a_worker_killed_at_any_disk_call_changes_no_byte() {
    for seed in SEEDS {
        let (calls, _) = run(Deaths::default(), seed, Weather::default());
        assert!(calls > 20, "the victim did its share: {calls} calls");
        (1..=calls).for_each(|k| _ = run(Deaths { worker: Some(k), ..Deaths::default() }, seed, Weather::default()));
    }
}

#[test]
fn scenario_05_a_coordinator_killed_at_any_disk_call_changes_no_byte() {
    for seed in SEEDS {
        let (_, calls) = run(Deaths::default(), seed, Weather::default());
        assert!(calls > 100, "{calls} calls");
        (1..=calls).for_each(|k| _ = run(Deaths { coordinator: Some(k), ..Deaths::default() }, seed, Weather::default()));
    }
}

#[test]
fn both_killed_at_any_disk_call_and_replies_lost_change_no_byte() {
    for seed in SEEDS {
        let (worker, coordinator) = run(Deaths::default(), seed, LOSSES);
        for k in 1..=coordinator {
            run(Deaths { worker: Some(1 + k * 7 % worker), coordinator: Some(k) }, seed, LOSSES);
        }
    }
}
