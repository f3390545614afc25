//! A thousand workers by simulation: the real coordinator and the real workers on the simulated disk, in virtual time, every call at its price over NFS.
//!
//! Who acts: the coordinator, its sentry, which looks at heartbeats beside it, and the workers, each of which touches its files as its heart does. What this cannot
//! show: one server with one queue and one speed; what tasks read and write of their own, as a map task its part of the plan; and a worker's heart beats between its
//! calls, not beside them. `cargo test --release --test tests scale -- --ignored --nocapture` prints the tables of docs/scale.md, and with
//! `FLOCKWORK_SCALE_TABLES="nothing idle"`, `FLOCKWORK_SCALE_WORKERS="10 100"` and `FLOCKWORK_SCALE_TASKS=10000` a part of them; the gate runs small ones.

mod clockwork;
mod crew;
mod lead;
mod table;
mod toll;

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::coordinator::sightings::Sightings;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::together::AT_ONCE;
use flockwork::ids::{ClaimName, Phase};
use flockwork::job::spec::{Bundle, Spec};

use super::bench::{self, Size};
use clockwork::Clockwork;
use toll::Priced;

/// The first actors; all others are workers.
const BOSS: usize = 0;
const SENTRY: usize = 1;
/// Threads of the coordinator that make calls beside its own; they are hired for one pile of work after the other.
const HANDS: Range<usize> = 2..1 + AT_ONCE;
const FIRST_WORKER: usize = HANDS.end;

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Lead,
    Work,
}

fn role(actor: usize) -> Role {
    if actor < FIRST_WORKER { Role::Lead } else { Role::Work }
}

/// What a job came to.
#[derive(Debug, Default, Clone)]
struct Seen {
    /// From the first step to the end.
    whole: Duration,
    /// When each worker had its first task.
    first_tasks: Vec<Duration>,
    /// Files of map tasks that were committed.
    map_claims: u64,
    /// When the last map task was committed, and when the first and the last reduce task were begun.
    last_map: Duration,
    first_reduce: Option<Duration>,
    last_reduce: Duration,
}

/// One job: who takes part, and what is seen of it.
struct Play {
    disk: Arc<SimDisk>,
    time: Arc<Clockwork>,
    spec: Spec,
    maps: u32,
    /// How long a map task takes.
    task: Duration,
    seen: Mutex<Seen>,
    sightings: Mutex<Sightings>,
    over: AtomicBool,
}

impl Play {
    /// The whole job of `size` with so many workers; what came of it, and the calls of each second.
    fn of(size: Size, workers: usize, bundle: Bundle, task: Duration) -> (Seen, Vec<[u64; 2]>) {
        let mut spec = bench::spec(size);
        spec.ask.bundle = bundle.settled(size.maps as usize);
        spec.format = spec.ask.bundle.format();
        let disk = SimDisk::new();
        bench::submit(&disk.client("submitter"), &spec, size.maps);
        let time = Clockwork::new(&disk, FIRST_WORKER + workers, HANDS);
        let (seen, sightings, over) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        let play = Play { disk, time, spec, maps: size.maps, task, seen, sightings, over };
        std::thread::scope(|scope| {
            for actor in (0..FIRST_WORKER + workers).filter(|actor| !HANDS.contains(actor)) {
                let play = &play;
                let thread = std::thread::Builder::new().stack_size(512 << 10);
                let run = move || {
                    play.time.begin(actor);
                    match actor {
                        BOSS => play.lead(),
                        SENTRY => play.watch(),
                        _ => play.work(actor),
                    }
                    play.time.leave();
                };
                thread.spawn_scoped(scope, run).expect("a thread");
            }
        });
        (play.seen.into_inner().expect("nobody panicked"), play.time.calls())
    }

    fn client(&self, actor: usize) -> Priced {
        Priced::new(self.disk.client(&format!("a{actor}")), &self.time, actor)
    }

    fn note(&self, claim: &ClaimName, begun: Duration, is_first: bool) {
        let mut seen = self.seen.lock().expect("nobody panicked");
        if is_first {
            seen.first_tasks.push(begun);
        }
        match claim.attempt.task.phase {
            Phase::Map => (seen.last_map, seen.map_claims) = (self.disk.now(), seen.map_claims + 1),
            Phase::Reduce => {
                seen.first_reduce.get_or_insert(begun);
                seen.last_reduce = begun.max(seen.last_reduce);
            }
        }
    }
}

#[test]
fn a_hundred_workers_share_a_thousand_tasks_at_the_price_of_nfs() {
    let seen = table::row(100, 1000, Bundle::ONE, Duration::ZERO);
    assert!(seen.whole < Duration::from_secs(30) && seen.first_tasks.len() >= 50, "{seen:?}");
}

#[test]
fn a_hundred_workers_share_a_hundred_thousand_tasks_in_few_files() {
    let seen = table::row(100, 100_000, Bundle::Auto, Duration::from_millis(1));
    assert!(seen.whole < Duration::from_secs(30) && seen.map_claims < 5000, "{seen:?}");
}

#[test]
fn a_worker_that_waits_asks_for_a_few_attributes_a_second() {
    let [lead, work] = table::idle(10);
    assert!(lead < 60.0 && work < 100.0, "{lead} {work}");
}
