//! Silence, added up on the observer's own monotonic clock. Nobody compares two machines' clocks.
//!
//! A claim is stale when it has been silent for a lease. Silence is only what lies between two *good* looks at one unchanged mtime: both reads back within
//! a tenth of a lease, begun at most a fifth apart, and the observer's own touch of `coordinator.lock` back as quickly. So a stall of the server (also of
//! its writes alone) or of the observer adds nothing, while a hiccup only delays; a restarted coordinator starts every claim at zero. A read that hangs
//! while the observer's own touch comes back counts as silence: that file is held by a machine that died. How long a claim has *run* is added up in the same
//! way, whatever its mtime does: never more than is true, so no stall and no new coordinator makes a healthy task look slow.
//!
//! Cost: one SETATTR and one GETATTR per claim every tenth of a lease. The rule of two successful unchanged reads is sanlock's (its fix 1d8cda2).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::time::Duration;

use crate::disk::rename::is_gone;
use crate::disk::{Disk, Soon};
use crate::ids::ClaimName;
use crate::job::layout::{self, COORDINATOR_LOCK, State};

/// What an observer has found out about claims, beside their names.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// To be taken back: silent for a lease, or their worker is known to be dead.
    pub stale: BTreeSet<ClaimName>,
    /// For how long each has run, as far as is known for certain.
    pub running: BTreeMap<ClaimName, Duration>,
}

/// What is known of the claims' heartbeats.
pub struct Leases {
    lease: Duration,
    claims: HashMap<ClaimName, Silence>,
    /// Those that the last look found gone.
    gone: BTreeSet<ClaimName>,
}

/// How true a listing of claims is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// As far as can be told.
    True,
    /// It has a claim that two looks running have found gone.
    Old,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    stamp: Option<i128>,
    /// When the last good look came back.
    good: Duration,
    silent: Duration,
    run: Duration,
}

/// One read of one claim's mtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When it was asked for, on the observer's clock.
    pub begun: Duration,
    /// When the answer came.
    pub back: Duration,
    /// The mtime; `None` if the read hangs.
    pub stamp: Option<i128>,
}

impl Leases {
    /// For claims believed for `lease`.
    pub fn new(lease: Duration) -> Leases {
        Leases { lease, claims: HashMap::new(), gone: BTreeSet::new() }
    }

    /// How often to look.
    pub fn period(&self) -> Duration {
        self.lease / 10
    }

    /// Looks at all of `claims`, which a listing has, once; forgets every other. One that cannot be looked at is as silent as it was; an error is the observer's own.
    pub fn look(&mut self, disk: &dyn Disk, claims: &[ClaimName]) -> io::Result<Listing> {
        let patience = self.lease / 10;
        let begun = disk.now();
        disk.touch(COORDINATOR_LOCK)?;
        let healthy = disk.now().saturating_sub(begun) <= patience;
        let known: BTreeSet<&ClaimName> = claims.iter().collect();
        self.claims.retain(|claim, _| known.contains(claim));
        let mut gone = BTreeSet::new();
        for claim in claims {
            let begun = disk.now();
            let stamp = match disk.look_soon(&layout::held(State::Claimed, claim), patience) {
                Ok(Soon::Back(look)) => Some(look.stamp),
                Ok(Soon::Hanging) => None,
                Err(error) if is_gone(&error) => {
                    self.claims.remove(claim);
                    gone.insert(claim.clone());
                    continue;
                }
                Err(_) => continue,
            };
            if healthy {
                self.note(claim, Reading { begun, back: disk.now(), stamp });
            }
        }
        let is_old = gone.intersection(&self.gone).next().is_some();
        self.gone = gone;
        Ok(if is_old { Listing::Old } else { Listing::True })
    }

    /// Takes one reading into account; the observer's own touch came back in time before it.
    pub fn note(&mut self, claim: &ClaimName, reading: Reading) {
        let quick = reading.stamp.is_none() || reading.back.saturating_sub(reading.begun) <= self.lease / 10;
        if !quick {
            return;
        }
        let Some(silence) = self.claims.get_mut(claim) else {
            let (silent, run) = (Duration::ZERO, Duration::ZERO);
            self.claims.insert(claim.clone(), Silence { stamp: reading.stamp, good: reading.back, silent, run });
            return;
        };
        // A longer gap may be a stall, of the server or of the observer.
        let gap = Some(reading.begun.saturating_sub(silence.good)).filter(|gap| *gap <= self.lease / 5).unwrap_or_default();
        silence.run += gap;
        if reading.stamp.is_some() && reading.stamp != silence.stamp {
            silence.stamp = reading.stamp;
            silence.silent = Duration::ZERO;
        } else {
            silence.silent += gap;
        }
        silence.good = reading.back;
    }

    /// How long `claim` has been silent, as far as is known for certain.
    pub fn silent(&self, claim: &ClaimName) -> Duration {
        self.claims.get(claim).map_or(Duration::ZERO, |silence| silence.silent)
    }

    /// The claims that have been silent for a lease.
    pub fn stale(&self) -> impl Iterator<Item = &ClaimName> {
        self.claims.iter().filter(|(_, silence)| silence.silent >= self.lease).map(|(claim, _)| claim)
    }

    /// All that is known of the claims looked at last.
    pub fn watched(&self) -> Watched {
        let running = self.claims.iter().map(|(claim, silence)| (claim.clone(), silence.run)).collect();
        Watched { stale: self.stale().cloned().collect(), running }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::sim::run::SimDisk;
    use crate::disk::sim::state::DiskState;

    fn claim() -> ClaimName {
        "map-00000.a1@n.1.x".parse().expect("a claim's name")
    }

    fn reading(at_ms: u64, took_ms: u64, stamp: i128) -> Reading {
        let begun = Duration::from_millis(at_ms);
        Reading { begun, back: begun + Duration::from_millis(took_ms), stamp: Some(stamp) }
    }

    fn is_stale(readings: impl IntoIterator<Item = Reading>) -> bool {
        let mut leases = Leases::new(Duration::from_secs(10));
        readings.into_iter().for_each(|reading| leases.note(&claim(), reading));
        leases.stale().next().is_some()
    }

    #[test]
    fn a_silent_claim_is_stale_after_a_lease_and_not_before() {
        assert!(!is_stale((0..=9).map(|s| reading(s * 1000, 1, 7))), "nine seconds of silence are none");
        assert!(is_stale((0..=11).map(|s| reading(s * 1000, 1, 7))));
    }

    #[test]
    fn a_beat_ends_the_silence() {
        assert!(!is_stale((0..=60).map(|s| reading(s * 1000, 1, i128::from(s / 8)))), "a beat every 8 s is slow but alive");
    }

    #[test]
    fn a_stall_of_the_observer_adds_nothing() {
        let stalled =
            (0..5).map(|s| reading(s * 1000, 1, 7)).chain([reading(60_000, 1, 7)]).chain((61..65).map(|s| reading(s * 1000, 1, 7)));
        assert!(!is_stale(stalled));
    }

    #[test]
    fn slow_answers_of_the_server_add_nothing() {
        assert!(!is_stale((0..30).map(|s| reading(s * 1000, 1500, 7))));
    }

    #[test]
    fn hiccups_delay_but_do_not_hide_a_dead_worker() {
        let hiccups = (0..=20).map(|s| reading(s * 1000, if s % 4 == 3 { 1200 } else { 1 }, 7));
        assert!(is_stale(hiccups), "every fourth look is slow, the others still add up");
    }

    /// How long the claim has run, in seconds.
    fn run_for(readings: impl IntoIterator<Item = Reading>) -> f64 {
        let mut leases = Leases::new(Duration::from_secs(10));
        readings.into_iter().for_each(|reading| leases.note(&claim(), reading));
        leases.watched().running[&claim()].as_secs_f64()
    }

    #[test]
    fn a_claim_runs_whether_it_beats_or_not_and_a_stall_is_no_part_of_it() {
        let beating = |s: u64| reading(s * 1000, 0, i128::from(s / 2));
        assert!((run_for((0..=30).map(beating)) - 30.0).abs() < 0.1);
        assert!((run_for((0..=9).map(|s| reading(s * 1000, 0, 7))) - 9.0).abs() < 0.1);
        let stalled = (0..=3).chain(600..=602).map(beating);
        assert!((run_for(stalled) - 5.0).abs() < 0.1, "ten minutes in which nobody could look are not counted");
        assert!(run_for((0..=30).map(|s| reading(s * 1000, u64::from(s > 0) * 1500, 7))) < 0.1, "nor are looks that took long");
    }

    #[test]
    fn a_listing_with_a_claim_that_is_gone_for_two_looks_is_an_old_one() {
        let sim = SimDisk::holding(DiskState::new().with_dir("claimed").with_file(COORDINATOR_LOCK, b""));
        let (disk, mut leases) = (sim.client("c"), Leases::new(Duration::from_secs(10)));
        let mut look = |claims: &[ClaimName]| leases.look(&disk, claims).expect("looked");
        assert_eq!(look(&[claim()]), Listing::True, "it may just have been ended");
        assert_eq!(look(&[claim()]), Listing::Old);
        assert_eq!((look(&[]), look(&[claim()])), (Listing::True, Listing::True));
    }

    #[test]
    fn a_read_that_hangs_alone_counts_as_silence() {
        let hanging = |s: u64| Reading { begun: Duration::from_secs(s), back: Duration::from_secs(s), stamp: None };
        assert!(is_stale([reading(0, 1, 7)].into_iter().chain((1..=11).map(hanging))));
    }
}
