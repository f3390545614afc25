//! The coordinator around its tick, as `coordinator/serve.rs` has it: the main loop, and the sentry that looks at heartbeats beside it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use flockwork::coordinator::leases::{Leases, Watched};
use flockwork::coordinator::sightings::Sightings;
use flockwork::coordinator::{Coordinator, backup};
use flockwork::disk::Disk;
use flockwork::disk::watch::Backoff;
use flockwork::ids::ClaimName;
use flockwork::job::layout::{self, COORDINATOR_LOCK, State};
use flockwork::job::log::Log;

use super::super::bench;
use super::{BOSS, Play, SENTRY};

const WAITS: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
const TAIL_WAIT_MAX: Duration = Duration::from_millis(500);
const PROBE_PERIOD: Duration = Duration::from_millis(250);

impl Play {
    fn sightings(&self) -> MutexGuard<'_, Sightings> {
        self.sightings.lock().expect("nobody panicked")
    }

    pub fn lead(&self) {
        let disk: Arc<dyn Disk> = Arc::new(self.client(BOSS));
        let _ = flockwork::disk::create::create_once(&*disk, COORDINATOR_LOCK, b"").expect("created");
        let name = bench::name("boss", 1);
        let mut coordinator =
            Coordinator::new(Arc::clone(&disk), bench::root().to_owned(), name, self.spec.clone(), self.maps, Log::none());
        let mut backoff = Backoff::new(WAITS[0], WAITS[1], 1);
        loop {
            disk.look(COORDINATOR_LOCK).expect("still its own"); // whether another leads
            let watched = self.sightings().watched(self.disk.now(), self.spec.ask.lease());
            let tick = coordinator.tick(&watched).expect("a healthy disk");
            if tick.ended {
                self.seen.lock().expect("nobody panicked").whole = self.disk.now();
                self.over.store(true, Relaxed);
                self.time.wake(SENTRY);
                return;
            }
            let is_tail = backup::may_be_wanted(&tick.snapshot);
            if self.sightings().sight(&tick.snapshot, is_tail) {
                self.time.wake(SENTRY);
            }
            let rest = coordinator.rest(&tick);
            let wait = match (tick.done > 0, is_tail) {
                (true, _) => Duration::ZERO,
                (false, true) => backoff.next_wait().min(TAIL_WAIT_MAX),
                (false, false) => backoff.next_wait(),
            };
            if tick.done > 0 {
                backoff.reset();
            }
            coordinator.keep(tick.snapshot);
            self.time.rest(BOSS, rest + wait);
        }
    }

    /// The sentry.
    pub fn watch(&self) {
        let disk = self.client(SENTRY);
        let mut leases = Leases::new(self.spec.ask.lease());
        let mut probed = BTreeSet::new();
        let mut next_look = self.disk.now();
        while !self.over.load(Relaxed) {
            let look_now = std::mem::take(&mut self.sightings().look_now);
            // Before that there is no lock to touch.
            let is_led = self.disk.has(COORDINATOR_LOCK);
            if is_led && (look_now || self.disk.now() >= next_look) {
                next_look = self.disk.now() + leases.period();
                let listed = disk.list(State::Claimed.dir()).expect("a healthy disk");
                let claims: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
                leases.look(&disk, &claims).expect("a healthy disk");
                let mut seen = self.sightings();
                let Watched { stale, running } = leases.watched();
                (seen.silent, seen.running, seen.looked) = (stale, running, self.disk.now());
                seen.claims.extend(claims);
            }
            let workers = self.sightings().workers.clone();
            for worker in &workers - &probed {
                // Its lock, once: alive.
                if let Ok(hold) = disk.open(&layout::worker(&worker)) {
                    let _ = hold.try_lock();
                }
                probed.insert(worker);
            }
            self.time.park(SENTRY, PROBE_PERIOD.min(leases.period()));
        }
    }
}
