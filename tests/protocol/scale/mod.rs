//! A thousand workers by simulation: the real coordinator and the real workers on the simulated disk, in virtual time, every call at its price over NFS.
//!
//! What it cannot show: one server with one queue and one speed; tasks that do nothing, so that only the protocol is seen; heartbeats, which tasks of no
//! length do not need. `cargo test --release --test tests scale -- --ignored --nocapture` prints the table of docs/scale.md, and with
//! `FLOCKWORK_SCALE_WORKERS="10 100"` and `FLOCKWORK_SCALE_TASKS=10000` a part of it; the gate runs a small one.

mod clockwork;
mod toll;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::control::Control;
use flockwork::coordinator::Coordinator;
use flockwork::coordinator::leases::Leases;
use flockwork::data::{Failure, FileSum, Made};
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::watch::Backoff;
use flockwork::disk::{Disk, Flush};
use flockwork::ids::{ClaimName, Phase};
use flockwork::job::log::Log;
use flockwork::job::register::Presence;
use flockwork::job::spec::Spec;
use flockwork::worker::{Tasks, Turn, Worker};

use super::bench::{self, Size, Still};
use clockwork::Clockwork;
use toll::Priced;

/// As `worker/slot.rs` and `coordinator/serve.rs` wait.
const WORKER_WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1340)];
const BOSS_WAITS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// What a job came to.
#[derive(Debug, Default, Clone)]
struct Seen {
    /// From the first step to the end.
    whole: Duration,
    /// When each worker had its first task.
    first_tasks: Vec<Duration>,
    /// When the last map task was committed, and when the first reduce task was.
    last_map: Duration,
    first_reduce: Option<Duration>,
    /// Candidates that were gone.
    missed: u64,
}

/// A task that does nothing: a map task makes no file, a reduce task an empty output.
struct Nothing(Priced);

impl Tasks for Nothing {
    fn run(&mut self, claim: &ClaimName, _: &Control) -> Result<Made, Failure> {
        if claim.attempt.task.phase == Phase::Map {
            return Ok(Made::default());
        }
        let failed = |error| Failure::Disk(flockwork::Error::io("cannot write", "output", error));
        let draft = self.0.draft("output/.attempts", b"", Flush::Always).map_err(failed)?;
        self.0.rename(&draft, &format!("output/.attempts/{claim}")).map_err(failed)?;
        Ok(Made { files: vec![FileSum { name: claim.to_string(), len: 0, crc32: 0, sections: 1 }], ..Made::default() })
    }

    fn discard(&mut self, _: &ClaimName) {}
}

/// One job: who takes part, and what is seen of it.
struct Play {
    disk: Arc<SimDisk>,
    time: Arc<Clockwork>,
    spec: Spec,
    size: Size,
    seen: Mutex<Seen>,
    missed: AtomicU64,
}

impl Play {
    /// The whole job of `size` with so many workers.
    fn of(size: Size, workers: usize) -> (Seen, Vec<u64>) {
        let disk = SimDisk::holding(bench::submitted(size));
        let time = Clockwork::new(&disk, workers + 1);
        let play = Play { disk, time, spec: bench::spec(size), size, seen: Mutex::default(), missed: AtomicU64::new(0) };
        std::thread::scope(|scope| {
            for actor in 0..=workers {
                let play = &play;
                let thread = std::thread::Builder::new().stack_size(512 << 10);
                let run = move || {
                    play.time.begin(actor);
                    if actor == 0 {
                        play.lead()
                    } else {
                        play.work(actor)
                    }
                    play.time.leave();
                };
                thread.spawn_scoped(scope, run).expect("a thread");
            }
        });
        let mut seen = play.seen.into_inner().expect("nobody panicked");
        seen.missed = play.missed.into_inner();
        (seen, play.time.calls())
    }

    fn client(&self, actor: usize) -> Priced {
        Priced::new(self.disk.client(&format!("a{actor}")), &self.time, actor)
    }

    fn lead(&self) {
        let disk: Arc<dyn Disk> = Arc::new(self.client(0));
        let _ = flockwork::disk::create::create_once(&*disk, "coordinator.lock", b"").expect("created");
        let name = bench::name("boss", 1);
        let mut coordinator =
            Coordinator::new(Arc::clone(&disk), bench::root().to_owned(), name, self.spec.clone(), self.size.maps, Log::none());
        let mut leases = Leases::new(self.spec.ask.lease());
        let mut backoff = Backoff::new(BOSS_WAITS[0], BOSS_WAITS[1], 1);
        let mut looked = None;
        loop {
            let begun = self.disk.now();
            if looked.is_none_or(|at| begun.saturating_sub(at) >= leases.period()) {
                let listed = disk.list("claimed").expect("a healthy disk");
                let claims: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
                leases.look(&*disk, &claims).expect("a healthy disk");
                looked = Some(begun);
            }
            let tick = coordinator.tick(&leases.watched()).expect("a healthy disk");
            if tick.ended {
                self.seen.lock().expect("nobody panicked").whole = self.disk.now();
                return;
            }
            let rest = coordinator.rest(&tick);
            let wait = if tick.done > 0 { Duration::ZERO } else { backoff.next_wait() };
            if tick.done > 0 {
                backoff.reset();
            }
            coordinator.keep(tick.snapshot);
            self.time.rest(0, rest + wait);
        }
    }

    fn work(&self, actor: usize) {
        let priced = self.client(actor);
        let disk: Arc<dyn Disk> = Arc::new(priced.clone());
        let name = bench::name(&format!("w{actor}"), 1);
        let _presence = Presence::register(&*disk, &name, 0).expect("registered");
        let chance = (actor as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut worker = Worker::new(Arc::clone(&disk), bench::root().to_owned(), self.spec.clone(), name, chance, Log::none());
        let (mut tasks, pulse) = (Nothing(priced), Still::default());
        let mut backoff = Backoff::new(WORKER_WAITS[0], WORKER_WAITS[1], chance);
        let mut worked_before = false;
        loop {
            let begun = self.disk.now();
            match worker.turn(&mut tasks, &pulse).expect("a healthy disk") {
                Turn::Worked(claim) => {
                    backoff.reset();
                    self.note(&claim, begun, !worked_before);
                    worked_before = true;
                }
                Turn::Missed => _ = self.missed.fetch_add(1, Relaxed),
                Turn::Idle => self.time.rest(actor, backoff.next_wait()),
                Turn::Ended(_) => return,
                other => panic!("in a healthy job: {other:?}"),
            }
        }
    }

    fn note(&self, claim: &ClaimName, begun: Duration, is_first: bool) {
        let mut seen = self.seen.lock().expect("nobody panicked");
        if is_first {
            seen.first_tasks.push(begun);
        }
        match claim.attempt.task.phase {
            Phase::Map => seen.last_map = self.disk.now(),
            Phase::Reduce => _ = seen.first_reduce.get_or_insert(begun),
        }
    }
}

fn row(workers: usize, maps: u32) -> Seen {
    let size = Size { maps, reduces: u32::try_from(workers).expect("few") };
    let (seen, calls) = Play::of(size, workers);
    let (all, tasks) = (calls.iter().sum::<u64>(), u64::from(size.maps + size.reduces));
    let last_first = seen.first_tasks.iter().max().copied().unwrap_or_default();
    println!(
        "| {workers} | {maps} | {:.1} | {:.0} | {:.1} | {} | {:.2} | {:.2} | {:.2} |",
        seen.whole.as_secs_f64(),
        f64::from(maps) / seen.last_map.as_secs_f64(),
        all as f64 / tasks as f64,
        calls.iter().max().copied().unwrap_or(0),
        last_first.as_secs_f64(),
        seen.first_reduce.unwrap_or_default().saturating_sub(seen.last_map).as_secs_f64(),
        seen.missed as f64 / tasks as f64,
    );
    seen
}

#[test]
fn a_hundred_workers_share_a_thousand_tasks_at_the_price_of_nfs() {
    let seen = row(100, 1000);
    assert!(seen.whole < Duration::from_secs(30) && seen.first_tasks.len() >= 50, "{seen:?}");
}

#[test]
#[ignore = "a measurement: minutes, for docs/scale.md"]
fn scale() {
    println!(
        "| workers | map tasks | s | map tasks/s | RPCs per task | most RPCs in a second | all at work after, s | last map to first reduce, s | missed per task |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let asked = |name: &str, usual: &[u32]| match std::env::var(name) {
        Ok(text) => text.split_whitespace().map(|n| n.parse().expect("a number")).collect(),
        Err(_) => usual.to_vec(),
    };
    for maps in asked("FLOCKWORK_SCALE_TASKS", &[10_000, 100_000, 1_000_000]) {
        for workers in asked("FLOCKWORK_SCALE_WORKERS", &[10, 100, 1000]) {
            row(workers as usize, maps);
        }
    }
}
