//! The coordinator: a reconciler without memory. It reads the directory, compares it with the plan, and does what is missing.
//!
//! [`Coordinator::tick`] is the whole of it: snapshot -> plan -> apply. It opens no input, shuffle or output data, runs no user code, and keeps only caches of files that
//! never change. Two at once do no harm. Around it, `serve.rs` holds the lock, looks at heartbeats and waits. Reading order: `plan`, `maps`, `bundling`, `window`, `backup`, `apply`, `commands`,
//! `results`, `ledger`, `leases`, `probes`, `sightings`, `serve`, `identity`, `trouble`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::error::{Error, Result};
use crate::ids::{Block, ClaimName, WorkerName};
use crate::job::layout::{self, JOB_JSON, PHASE};
use crate::job::log::Log;
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::Spec;

mod apply;
pub mod backup;
pub mod bundling;
mod commands;
mod identity;
pub mod leases;
pub mod ledger;
mod maps;
pub mod plan;
mod probes;
mod results;
pub mod serve;
pub mod sightings;
mod trouble;
pub mod window;

use backup::Limits;
use bundling::{Bundling, Pace};
use leases::Watched;
use ledger::Ledger;
use plan::Facts;
use results::Results;
use window::Window;

/// While something lies unclaimed in `pending/`, the directory is touched this often: one touch ends everybody's wrong listing.
const TOUCH_PENDING: Duration = Duration::from_secs(3);
/// How often a claim whose file hung is tried again.
const STUCK_RETRY: Duration = Duration::from_secs(10);
/// `phase/` is touched this long after each new file in it, for the same reason.
const TOUCH_PHASE: Duration = Duration::from_secs(1);

/// In a job of very many tasks `done/` is listed anew after this long, whatever its stamp says; or after ten times as long as a look takes.
const FULL_LOOK_PERIOD: Duration = Duration::from_secs(5);
/// After a round, this many times as long as its look took is rested,
const REST_PER_ROUND: u32 = 3;
/// but no longer than this;
const REST_MAX: Duration = Duration::from_millis(500);
/// while plenty of tasks wait so many times as long,
const REST_WHILE_PLENTY: u32 = 24;
/// but no longer than this;
const REST_WHILE_PLENTY_MAX: Duration = Duration::from_millis(250);
/// while the window is filled between these.
const REST_WHILE_FILLED_MIN: Duration = Duration::from_millis(40);
/// See [`REST_WHILE_FILLED_MIN`].
const REST_WHILE_FILLED_MAX: Duration = Duration::from_secs(1);

/// One coordinator of one job.
pub struct Coordinator {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    name: WorkerName,
    spec: Spec,
    shape: Shape,
    log: Log,
    ledger: Ledger,
    results: Results,
    hollow: BTreeSet<ClaimName>,
    stuck: BTreeMap<ClaimName, Duration>,
    pending_touched: Duration,
    phase_changed: Option<Duration>,
    window: usize,
    /// Map tasks whose own done record was read ahead.
    read: Vec<bool>,
    /// How long map tasks took, by the records that were read.
    pace: Pace,
    /// The blocks of several tasks in the reduce plan, once it was read.
    planned: Option<BTreeSet<Block>>,
    /// What was seen last, if it was handed back.
    kept: Option<Snapshot>,
    full_look: FullLook,
    identity: identity::Identity,
}

/// The last look at everything, `done/` included.
#[derive(Default)]
struct FullLook {
    at: Duration,
    took: Duration,
    /// That of `done/` before it was listed.
    stamp: Option<i128>,
    /// There may be done records in it that were not read.
    is_news: bool,
}

/// What one tick saw and did.
#[derive(Debug)]
pub struct Tick {
    /// What was seen, before anything was done.
    pub snapshot: Snapshot,
    /// How many actions were done; 0 means that there is nothing to do but wait.
    pub done: usize,
    /// The job has ended and nothing is left to clear up.
    pub ended: bool,
    /// How long it took to look and plan.
    pub looked: Duration,
}

impl Coordinator {
    /// A coordinator named `name` of the job `spec` at `root`, whose plan has `maps` map tasks.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, name: WorkerName, spec: Spec, maps: u32, log: Log) -> Coordinator {
        let shape = Shape { maps, reduces: spec.ask.reduces };
        let ledger = Ledger::new(spec.ask.skip_bad_records);
        Coordinator {
            pending_touched: disk.now(),
            disk,
            root,
            name,
            spec,
            shape,
            log,
            ledger,
            results: Results::default(),
            hollow: BTreeSet::new(),
            stuck: BTreeMap::new(),
            phase_changed: None,
            window: window::LEAST,
            read: Vec::new(),
            pace: Pace::default(),
            planned: None,
            kept: None,
            full_look: FullLook::default(),
            identity: identity::Identity::default(),
        }
    }

    /// The same, that issues no more than `least` tasks at once in a small job; for tests.
    #[must_use]
    pub fn with_window(mut self, least: usize) -> Coordinator {
        self.window = least;
        self
    }

    /// The same, that has seen these tasks take so many milliseconds; for tests.
    #[must_use]
    pub fn with_pace(mut self, block: Block, elapsed_ms: u64) -> Coordinator {
        self.pace.add(block, elapsed_ms);
        self
    }

    /// Takes a tick's snapshot back, so that the next look need not be at everything.
    pub fn keep(&mut self, snapshot: Snapshot) {
        self.kept = Some(snapshot).filter(|snapshot| self.window_of(snapshot).binds());
    }

    /// One round: look, plan, do. `watched` is what is known of claims beside their names.
    pub fn tick(&mut self, watched: &Watched) -> Result<Tick> {
        self.round(watched).map_err(|error| self.told_apart(error))
    }

    /// A name that is gone is one thing, a job that is gone another: waiting would not help.
    fn told_apart(&self, error: Error) -> Error {
        let has_no_job = || {
            let look = self.disk.refresh(".").and_then(|()| self.disk.look(JOB_JSON));
            look.is_err_and(|error| is_gone(&error))
        };
        if error.is_not_found() && has_no_job() { Error::vanished(&self.root) } else { error }
    }

    fn round(&mut self, watched: &Watched) -> Result<Tick> {
        self.touch_when_due()?;
        let begun = self.disk.now();
        let mut snapshot = self.glance()?;
        self.measure(&snapshot)?;
        let mut actions = self.plan(&snapshot, watched)?;
        if snapshot.belief != Belief::Sure && actions.iter().any(plan::Action::rests_on_absence) {
            drop(snapshot); // Two of a million tasks would be too many.
            snapshot = self.look(Belief::Sure)?;
            self.measure(&snapshot)?;
            actions = self.plan(&snapshot, watched)?;
        }
        let looked = self.disk.now().saturating_sub(begun);
        let ended = actions.is_empty() && snapshot.phases.end;
        if ended || !actions.is_empty() {
            self.is_still_this_job()?;
        }
        // A claim that hung a moment ago would hang again: nothing to be done now, or the rounds would follow each other without rest.
        actions.retain(|action| !self.is_stuck_for_now(action));
        let mut done = 0;
        // What was seen too long ago may be long untrue; the next tick looks anew.
        while done < actions.len() && self.disk.now().saturating_sub(snapshot.taken) <= self.spec.ask.lease() {
            done += self.apply_some(&snapshot, &actions[done..])?;
        }
        self.touch_pending(&snapshot)?;
        self.read_ahead(&snapshot)?;
        if ended {
            // Nobody leads from here on, and nobody will touch it again.
            self.disk.announce(PHASE).map_err(|error| self.unreadable(error))?;
        }
        Ok(Tick { snapshot, done, ended, looked })
    }

    /// A look at everything but `done/`, where that is enough for now: while enough tasks wait to be claimed, or nothing was done since. Where it is not, more
    /// tasks are to be issued mostly, and the look is a sure one at once.
    fn glance(&mut self) -> Result<Snapshot> {
        let FullLook { at, took, stamp, .. } = self.full_look;
        let is_recent = self.disk.now().saturating_sub(at) < FULL_LOOK_PERIOD.max(took * 10);
        if let Some(kept) = self.kept.take().filter(|_| is_recent) {
            let snapshot = kept.again_without_done(&*self.disk).map_err(|error| self.unreadable(error))?;
            let snapshot = self.with_planned(snapshot)?;
            if self.window_of(&snapshot).is_filled(&snapshot) || stamp.is_some() && self.stamp_of_done() == stamp {
                self.ledger.read(&*self.disk, &self.root, &snapshot)?;
                return Ok(snapshot);
            }
            // In the last phase there is nothing more to issue, and a sure look changes the stamp of `done/`.
            let belief = if snapshot.phases.reduce { Belief::Glance } else { Belief::Sure };
            drop(snapshot);
            return self.look(belief);
        }
        self.look(Belief::Glance)
    }

    fn stamp_of_done(&self) -> Option<i128> {
        self.disk.look(layout::State::Done.dir()).ok().map(|look| look.stamp)
    }

    /// Reads done records while workers are at work, which would all be to be read when the last has ended.
    fn read_ahead(&mut self, snapshot: &Snapshot) -> Result<()> {
        if snapshot.phases.end || !self.window_of(snapshot).is_filled(snapshot) {
            return Ok(());
        }
        self.read_news(snapshot)
    }

    /// What tasks take decides the size of the next blocks: of a job in bundles the news are read before it is planned.
    fn measure(&mut self, snapshot: &Snapshot) -> Result<()> {
        if self.order_max() == 0 || snapshot.phases.reduce { Ok(()) } else { self.read_news(snapshot) }
    }

    fn read_news(&mut self, snapshot: &Snapshot) -> Result<()> {
        if !self.full_look.is_news {
            return Ok(());
        }
        self.read.resize(snapshot.maps.len(), false);
        let done = snapshot.map_blocks(0..snapshot.n_maps()).filter_map(|(_, view)| view.done.first());
        let is_unread = |claim: &&ClaimName| match claim.attempt.block().order() {
            0 => !self.read[claim.attempt.task.number as usize],
            _ => !self.results.has(claim) && !self.hollow.contains(*claim),
        };
        let unread: Vec<&ClaimName> = done.filter(is_unread).take(apply::READ_AT_ONCE).collect();
        self.full_look.is_news = unread.len() == apply::READ_AT_ONCE;
        // What is hollow is retracted by the next plan.
        self.learn(&unread)?;
        for alone in unread.iter().filter(|claim| claim.attempt.block().order() == 0) {
            self.read[alone.attempt.task.number as usize] = true;
        }
        Ok(())
    }

    /// The rest after a round that took so long. It costs as much as the job has tasks, and every commit is an event: looking would be all that is done. While enough
    /// tasks wait to be claimed, thousands a second may end, and none of them need be seen at once.
    pub fn rest(&self, tick: &Tick) -> Duration {
        if self.window_of(&tick.snapshot).is_filled(&tick.snapshot) {
            return (tick.looked * REST_WHILE_PLENTY).clamp(REST_WHILE_FILLED_MIN, REST_WHILE_FILLED_MAX);
        }
        match window::waiting(&tick.snapshot) >= window::PLENTY {
            true => (tick.looked * REST_WHILE_PLENTY).min(REST_WHILE_PLENTY_MAX),
            false => (tick.looked * REST_PER_ROUND).min(REST_MAX),
        }
    }

    fn is_stuck_for_now(&self, action: &plan::Action) -> bool {
        let plan::Action::Expire(claim, _) = action else { return false };
        self.stuck.get(claim).is_some_and(|since| self.disk.now().saturating_sub(*since) < STUCK_RETRY)
    }

    fn look(&mut self, belief: Belief) -> Result<Snapshot> {
        let at = self.disk.now();
        let is_bundled = self.order_max() > 0;
        let is_large = is_bundled || (self.shape.maps as usize).saturating_add(self.shape.reduces as usize) > self.window;
        let stamp = if is_large { self.stamp_of_done() } else { None };
        let snapshot = Snapshot::take(&*self.disk, self.shape, belief).map_err(|error| self.unreadable(error))?;
        self.full_look = FullLook { at, took: self.disk.now().saturating_sub(at), stamp, is_news: is_large };
        self.ledger.read(&*self.disk, &self.root, &snapshot)?;
        self.with_planned(snapshot)
    }

    fn window_of(&self, snapshot: &Snapshot) -> Window {
        Window::of(snapshot, self.window, &self.bundling())
    }

    fn order_max(&self) -> u8 {
        self.spec.ask.bundle.order_max(self.shape.maps as usize)
    }

    fn bundling(&self) -> Bundling<'_> {
        Bundling { order_max: self.order_max(), pace: self.pace, planned: self.planned.as_ref() }
    }

    /// The blocks that the reduce plan names are in it, whatever became of their files. The plan is read once, where any block of several tasks was ever issued.
    fn with_planned(&mut self, mut snapshot: Snapshot) -> Result<Snapshot> {
        if !snapshot.phases.reduce || self.planned.is_none() && snapshot.bundles.is_empty() {
            return Ok(snapshot);
        }
        if self.planned.is_none() {
            self.planned = apply::planned_blocks(&*self.disk, &self.root)?;
        }
        for block in self.planned.iter().flatten() {
            snapshot.bundles.entry(*block).or_default();
        }
        Ok(snapshot)
    }

    fn plan(&mut self, snapshot: &Snapshot, watched: &Watched) -> Result<Vec<plan::Action>> {
        let limits = self.limits(snapshot, watched)?;
        // (one that beats again is believed again)
        let stuck = self.stuck.keys().filter(|claim| watched.stale.contains(*claim)).cloned().collect();
        let facts = Facts {
            endings: &self.ledger.endings,
            blamed: &self.ledger.blamed,
            stale: &watched.stale,
            stuck: &stuck,
            hollow: &self.hollow,
            running: &watched.running,
            limits,
            max_errors: self.spec.ask.max_errors,
            max_lost: self.spec.ask.max_lost,
            window: self.window,
            bundling: self.bundling(),
            leave_out: self.spec.ask.leave_out(),
        };
        Ok(plan::plan(snapshot, &facts))
    }

    /// The phases' limits, where a backup might be wanted: else nobody asks. Done records are read for the end of their phase anyway, and once.
    fn limits(&mut self, snapshot: &Snapshot, watched: &Watched) -> Result<Limits> {
        let mut limits = Limits::default();
        if !self.spec.ask.backup {
            return Ok(limits);
        }
        for phase in backup::suspected(snapshot, &watched.running) {
            let mut durations = Vec::new();
            for done in backup::sample(snapshot, phase) {
                let done = match done {
                    Some(claim) => self.result(claim)?,
                    None => None,
                };
                durations.push(done.map(|(_, elapsed_ms)| Duration::from_millis(elapsed_ms)));
            }
            limits.set(phase, backup::limit(&mut durations));
        }
        Ok(limits)
    }

    fn unreadable(&self, error: std::io::Error) -> Error {
        Error::io("cannot list the job", &self.root, error)
    }

    fn phase_changed(&mut self) {
        self.phase_changed = Some(self.disk.now());
    }

    fn touch_when_due(&mut self) -> Result<()> {
        if self.phase_changed.is_some_and(|at| self.disk.now().saturating_sub(at) >= TOUCH_PHASE) {
            self.phase_changed = None;
            self.touch(PHASE)?;
        }
        Ok(())
    }

    fn touch_pending(&mut self, snapshot: &Snapshot) -> Result<()> {
        let unclaimed = snapshot.blocks().any(|(_, view)| !view.pending.is_empty());
        if unclaimed && self.disk.now().saturating_sub(self.pending_touched) >= TOUCH_PENDING {
            self.pending_touched = self.disk.now();
            self.touch(layout::State::Pending.dir())?;
        }
        Ok(())
    }

    fn touch(&self, folder: &str) -> Result<()> {
        self.disk.touch(folder).map_err(|error| Error::io("cannot touch the folder", self.root.join(folder), error))
    }
}
