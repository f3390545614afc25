//! Doing what was planned: dull, one function per action, each harmless if done twice, late, or by two coordinators.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::Coordinator;
use super::plan::{Action, Ending};
use crate::data::{Counters, Made};
use crate::disk::rename::{is_gone, rename};
use crate::disk::together::{self, Failed};
use crate::disk::{Disk, Flush, Moved, Soon, create};
use crate::error::{Error, Result};
use crate::ids::{AttemptId, Block, ClaimName, Cover, Phase, TaskFile, cover};
use crate::job::end::{self, Attempts, End, Outcome, OutputSum, SKIPPED_TOLD_MAX, Skipped};
use crate::job::layout::{self, State};
use crate::job::outputs::{self, Published};
use crate::job::plan::Counted;
use crate::job::record::{Ended, Event, Line};
use crate::job::snapshot::{Snapshot, TaskView};
use crate::units::stamp_utc;

/// An open that hangs longer is a dead machine's delegation: the next attempt goes out beside the claim.
const OPEN_PATIENCE: Duration = Duration::from_secs(1);

/// Tasks issued together: few enough that what was planned is not too old for the last of them.
const ISSUED_AT_ONCE: usize = 256;
/// Done records read together, and after one look while workers are at work.
pub(super) const READ_AT_ONCE: usize = 4096;

/// How the job is to end.
pub(super) struct Decision {
    pub(super) outcome: Outcome,
    pub(super) error: Option<String>,
    pub(super) blames: Vec<String>,
    pub(super) outputs: Vec<OutputSum>,
    /// How long the attempts worked that count and are not among those handed over beside it.
    pub(super) busy_ms: u64,
}

impl Decision {
    fn failed(error: String, blames: Vec<String>) -> Decision {
        Decision { outcome: Outcome::Failed, error: Some(error), blames, outputs: Vec::new(), busy_ms: 0 }
    }
}

/// The blocks of several tasks that the reduce plan names, of those that lie within the job; `None` if there is no plan.
pub(super) fn planned_blocks(disk: &dyn Disk, root: &Path) -> Result<Option<BTreeSet<Block>>> {
    let Some(plan) = crate::job::plan::Plan::reduce(disk, root)? else { return Ok(None) };
    let (mut blocks, maps) = (BTreeSet::new(), plan.head().maps);
    plan.for_each_counted(|counted| {
        let claim = counted.attempt.parse::<ClaimName>().ok();
        blocks.extend(claim.map(|claim| claim.attempt.block()).filter(|block| block.order() > 0 && block.tasks().end <= maps));
    })?;
    Ok(Some(blocks))
}

impl Coordinator {
    /// Does one action; [`Coordinator::tick`] is what calls it. `snapshot` is the one it was planned from.
    pub fn apply(&mut self, snapshot: &Snapshot, action: &Action) -> Result<()> {
        match action {
            Action::Issue(attempt) => self.issue(&[*attempt]),
            Action::Backup(attempt, slow) => {
                self.log.event("backup", &attempt.to_string(), &format!("beside {slow}, which runs far longer than others did"));
                self.issue(&[*attempt])
            }
            Action::Expire(claim, why) => self.expire(claim, *why),
            Action::DropPending(attempt) => self.drop_pending(*attempt),
            Action::Retract(claim) => self.retract(claim),
            Action::PlanReduce => self.plan_reduce(snapshot),
            Action::Finish if self.spec.ask.is_of_commands() => self.finish_commands(snapshot),
            Action::Finish => self.finish(snapshot),
            Action::Fail { error, blames, .. } => {
                self.log.event("failed", "", error);
                self.decide(snapshot, Decision::failed(error.clone(), blames.clone()), &[])
            }
            Action::Cancel => {
                self.log.event("cancelled", "", "");
                let decision = Decision { outcome: Outcome::Cancelled, ..Decision::failed("cancelled".to_owned(), Vec::new()) };
                self.decide(snapshot, decision, &[])
            }
            Action::NameEnd => end::name(&*self.disk, &self.root, &self.name.to_string()),
        }
    }

    /// Does the first of these actions, and those behind it that may be done at the same time; how many.
    pub(super) fn apply_some(&mut self, snapshot: &Snapshot, actions: &[Action]) -> Result<usize> {
        let issued = actions.iter().map_while(|action| if let Action::Issue(attempt) = action { Some(*attempt) } else { None });
        let issued: Vec<AttemptId> = issued.take(ISSUED_AT_ONCE).collect();
        match issued.len() {
            0 => self.apply(snapshot, &actions[0]).map(|()| 1),
            count => self.issue(&issued).map(|()| count),
        }
    }

    fn issue(&mut self, attempts: &[AttemptId]) -> Result<()> {
        let (disk, name, job) = (&*self.disk, &self.name, &self.spec.id);
        let write = |number: usize| {
            let event = Event::Issued { task: attempts[number].to_string(), job: job.clone() };
            create::write_whole(disk, &layout::pending(attempts[number]), &Line::new(name, event).to_bytes(), Flush::OnNetwork)
        };
        let failed = |(number, error): Failed| Error::io("cannot issue", self.root.join(layout::pending(attempts[number])), error);
        disk.at_once(attempts.len(), &write).map_err(failed)?;
        for again in attempts.iter().filter(|attempt| attempt.number > 1) {
            self.log.event("issued", &again.to_string(), "");
        }
        Ok(())
    }

    fn expire(&mut self, claim: &ClaimName, why: Ended) -> Result<()> {
        let from = layout::held(State::Claimed, claim);
        let fail = |error| Error::io("cannot take back", self.root.join(&from), error);
        let hold = match self.disk.open_soon(&from, OPEN_PATIENCE) {
            Ok(Soon::Back(hold)) => Some(hold),
            Ok(Soon::Hanging) => {
                // Renaming it now would stall every listing of claimed/ on this machine.
                self.stuck.insert(claim.clone(), self.disk.now());
                self.log.event("stuck", &claim.to_string(), "its file hangs; the next attempt is issued beside it");
                return Ok(());
            }
            Err(error) if is_gone(&error) => return Ok(()),
            // Somebody else's, made with another umask: it can be moved all the same, and does not say why.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) => return Err(fail(error)),
        };
        self.stuck.remove(claim);
        let to = layout::held(State::Expired, claim);
        if rename(&*self.disk, &from, &to).map_err(fail)? == Moved::Here {
            // Said only now: written before the rename, it could tear the result of a worker that is not dead after all.
            self.say_ended(hold, &claim.to_string(), why);
            self.log.event("expired", &claim.to_string(), if why == Ended::Lost { "lost" } else { "dropped" });
        }
        Ok(())
    }

    fn say_ended(&mut self, hold: Option<Box<dyn crate::disk::Hold>>, name: &str, why: Ended) {
        // For people: a file in expired/ that does not say why counts as lost, which is what most are.
        let mut bytes = vec![b'\n'];
        bytes.extend(Line::new(&self.name, Event::Ended(why)).to_bytes());
        if let Some(mut hold) = hold {
            let _ = hold.append(&bytes).and_then(|()| hold.flush(Flush::OnNetwork));
        }
        let ending = match why {
            Ended::Lost | Ended::Retracted => Ending::Lost,
            Ended::GivenBack | Ended::Dropped => Ending::Free,
        };
        if self.spec.ask.skip_bad_records && why == Ended::Lost {
            return; // The ledger reads where it was.
        }
        self.ledger.endings.insert(name.to_owned(), ending);
    }

    fn drop_pending(&mut self, attempt: AttemptId) -> Result<()> {
        let from = layout::pending(attempt);
        // The target is made by whoever drops this number, each meaning the same; an expired file without a worker's name says "dropped".
        let moved = rename(&*self.disk, &from, &State::Expired.path(&TaskFile::Free(attempt)));
        moved.map(|_| ()).map_err(|error| Error::io("cannot drop", self.root.join(&from), error))
    }

    fn retract(&mut self, claim: &ClaimName) -> Result<()> {
        let from = layout::held(State::Done, claim);
        let to = layout::held(State::Expired, claim);
        let moved = rename(&*self.disk, &from, &to).map_err(|error| Error::io("cannot retract", self.root.join(&from), error))?;
        self.results.remove(claim);
        if moved == Moved::Here {
            self.log.event("retracted", &claim.to_string(), "its files are missing or damaged; the task is done again");
            if let Ok(hold) = self.disk.open(&to) {
                self.say_ended(Some(hold), &claim.to_string(), Ended::Retracted);
            }
        }
        Ok(())
    }

    /// The result of a done attempt; `None` marks it hollow, to be retracted.
    pub(super) fn result(&mut self, claim: &ClaimName) -> Result<Option<(Made, u64)>> {
        if !self.results.has(claim) {
            self.learn(&[claim])?;
        }
        Ok(self.results.get(claim))
    }

    /// Reads the results of these done attempts; those that have none are hollow from here on.
    pub(super) fn learn(&mut self, claims: &[&ClaimName]) -> Result<()> {
        for (claim, result) in claims.iter().copied().zip(self.records(claims)?) {
            let Some(result) = result else {
                self.hollow.insert(claim.clone());
                continue;
            };
            if claim.attempt.task.phase == Phase::Map {
                self.pace.add(claim.attempt.block(), result.1);
            }
            self.results.insert(claim, &result);
        }
        Ok(())
    }

    /// What the files of these done attempts say, in their order.
    pub(super) fn records(&self, claims: &[&ClaimName]) -> Result<Vec<Option<(Made, u64)>>> {
        let disk = &*self.disk;
        let failed = |(number, error): Failed| Error::io("cannot read", self.root.join(layout::held(State::Done, claims[number])), error);
        together::all(disk, claims.len(), |number| outputs::done_record(disk, claims[number])).map_err(failed)
    }

    /// [`Self::learn`] of those that are not known, in portions: there may be a million.
    fn learn_all<'a>(&mut self, claims: impl Iterator<Item = &'a ClaimName>) -> Result<()> {
        let unknown: Vec<&ClaimName> = claims.filter(|claim| !self.results.has(claim)).collect();
        unknown.chunks(READ_AT_ONCE).try_for_each(|some| self.learn(some))
    }

    fn plan_reduce(&mut self, snapshot: &Snapshot) -> Result<()> {
        let tasks = 0..snapshot.n_maps();
        let Cover { counted: counting, missing } =
            cover(tasks.clone(), snapshot.done_maps(tasks).filter(|claim| !self.hollow.contains(*claim)));
        self.learn_all(counting.iter().copied())?;
        if !missing.is_empty() || !counting.iter().all(|claim| self.results.has(claim)) {
            return Ok(()); // Some are hollow now: the next plan retracts them.
        }
        let counted = counting.into_iter().filter_map(|claim| {
            let (made, _) = self.results.get(claim)?;
            Some(Counted { task: claim.attempt.task.number, attempt: claim.to_string(), files: made.files })
        });
        let _ = crate::job::plan::create_reduce(&*self.disk, &self.root, &self.spec.id, self.shape.maps, counted)?;
        self.log.event("phase", "", "reduce");
        self.phase_changed();
        Ok(())
    }

    /// Publishes the outputs, which the tasks of the last phase made, and decides a good end.
    fn finish(&mut self, snapshot: &Snapshot) -> Result<()> {
        let makers: Vec<&TaskView> =
            if self.spec.ask.is_map_only() { snapshot.maps.iter().collect() } else { snapshot.reduces.iter().collect() };
        self.learn_all(makers.iter().flat_map(|view| &view.done))?;
        let mut sums = Vec::with_capacity(makers.len());
        let mut counting = Vec::new();
        let mut complete = true;
        for (view, partition) in makers.into_iter().zip(0..) {
            let mut done = Vec::new();
            for claim in &view.done {
                match self.result(claim)? {
                    Some((made, _)) => done.push((claim.clone(), made)),
                    None => complete = false,
                }
            }
            match outputs::publish(&*self.disk, &self.root, &self.spec.ask.output, partition, &done)? {
                Published::By(claim) => {
                    let file = done.iter().find(|(name, _)| *name == claim).and_then(|(_, made)| made.files.first());
                    let (len, crc32) = file.map_or((0, 0), |file| (file.len, file.crc32));
                    sums.push(OutputSum { file: layout::output_name(partition), attempt: claim.to_string(), len, crc32 });
                    counting.push(claim);
                }
                Published::Bad(claims) => {
                    complete = false;
                    self.hollow.extend(claims);
                }
                Published::Since(_) => complete = false, // The next look shows it.
                Published::Foreign(path) => {
                    let error = format!(
                        "{} is of none of this job's done attempts, and outputs are never replaced: move it away, then `flockwork retry`",
                        self.root.join(path).display()
                    );
                    return self.decide(snapshot, Decision::failed(error, Vec::new()), &[]);
                }
            }
        }
        if !complete {
            return Ok(()); // Hollow ones are retracted by the next plan.
        }
        if !self.spec.ask.is_map_only() {
            let maps = self.counting_maps(snapshot)?;
            counting.extend(maps);
        }
        let decision = Decision { outcome: Outcome::Finished, error: None, blames: Vec::new(), outputs: sums, busy_ms: 0 };
        self.decide(snapshot, decision, &counting)
    }

    /// The map attempts that the reduce plan counts; for one retracted since, those that count within its block.
    fn counting_maps(&self, snapshot: &Snapshot) -> Result<Vec<ClaimName>> {
        let mut names = Vec::new();
        if let Some(plan) = crate::job::plan::Plan::reduce(&*self.disk, &self.root)? {
            plan.for_each_counted(|counted| {
                let Ok(planned) = counted.attempt.parse::<ClaimName>() else { return };
                let block = planned.attempt.block();
                // The name that was listed: of a million tasks few workers are kept, and not a million.
                if let Some(listed) = snapshot.view(block).and_then(|view| view.done.iter().find(|claim| **claim == planned)) {
                    names.push(listed.clone());
                } else if block.first().phase == Phase::Map {
                    names.extend(cover(block.tasks(), snapshot.done_maps(block.tasks())).counted.into_iter().cloned());
                }
            })?;
        }
        Ok(names)
    }

    pub(super) fn decide(&mut self, snapshot: &Snapshot, decision: Decision, counting: &[ClaimName]) -> Result<()> {
        let Decision { outcome, error, blames, outputs, mut busy_ms } = decision;
        let (mut counters, mut skipped) = (Counters::new(), Vec::new());
        self.learn_all(counting.iter())?;
        for claim in counting {
            if let Some((made, elapsed_ms)) = self.result(claim)? {
                for (name, n) in &made.counters {
                    let sum = counters.entry(name.clone()).or_default();
                    *sum = sum.saturating_add(*n);
                }
                skipped.extend(made.skipped.into_iter().map(|record| Skipped { attempt: claim.to_string(), record }));
                busy_ms = elapsed_ms.saturating_add(busy_ms);
            }
        }
        skipped.truncate(SKIPPED_TOLD_MAX);
        let mut attempts = Attempts::default();
        for (_, view) in snapshot.blocks() {
            attempts.done += view.done.len() as u64;
            attempts.failed += view.failed.len() as u64;
            attempts.expired += view.expired.len() as u64;
        }
        let by = self.name.to_string();
        let end = End { outcome, at: stamp_utc(), by, error, blames, outputs, skipped, counters, attempts, busy_ms };
        end::decide(&*self.disk, &self.root, &end, &snapshot.phases.retried)?;
        self.phase_changed();
        Ok(())
    }
}
