//! What the main loop and the sentry that looks at heartbeats beside it tell each other. Free of threads and clocks: the simulation of a thousand workers has it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::leases::Watched;
use crate::ids::{ClaimName, WorkerName};
use crate::job::snapshot::Snapshot;

/// What is known of claims and workers beside their names.
#[derive(Debug, Default)]
pub struct Sightings {
    /// Claims that were seen last.
    pub claims: BTreeSet<ClaimName>,
    /// Workers that were seen last.
    pub workers: BTreeSet<WorkerName>,
    /// Claims without a heartbeat for a lease.
    pub silent: BTreeSet<ClaimName>,
    /// How long claims had run when they were looked at.
    pub running: BTreeMap<ClaimName, Duration>,
    /// Workers of this machine whose lock was found free.
    pub dead: BTreeSet<WorkerName>,
    /// Claims without a heartbeat for two beats whose workers' locks were found free.
    pub doubted: BTreeSet<ClaimName>,
    /// When the claims were last looked at.
    pub looked: Duration,
    /// They are to be looked at now: there are new ones, and how long they run will matter.
    pub look_now: bool,
}

impl Sightings {
    /// For the next tick: the claims that nobody works on, and how long the others have run.
    pub fn watched(&self, now: Duration, lease: Duration) -> Watched {
        let of_dead = self.claims.iter().filter(|claim| self.dead.contains(&claim.worker));
        // They have run on since they were looked at, unless the sentry is stalled.
        let since = Some(now.saturating_sub(self.looked)).filter(|since| *since <= lease / 5).unwrap_or_default();
        let running = self.running.iter().map(|(claim, run)| (claim.clone(), *run + since)).collect();
        Watched { stale: of_dead.chain(&self.silent).chain(&self.doubted).cloned().collect(), running }
    }

    /// Takes down what a tick saw; true if the sentry is to look at once. New workers are probed at once: only a lock that was found taken can be found free,
    /// however short its worker's life. New claims are looked at at once where it matters soon for how long they have run.
    pub fn sight(&mut self, snapshot: &Snapshot, is_tail: bool) -> bool {
        let claims: BTreeSet<ClaimName> = snapshot.claims().cloned().collect();
        self.look_now |= is_tail && !claims.is_subset(&self.claims);
        self.claims = claims;
        let has_news = !snapshot.workers.is_subset(&self.workers) || self.look_now;
        self.workers.clone_from(&snapshot.workers);
        has_news
    }
}
