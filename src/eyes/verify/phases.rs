//! The phase files: that they parse, are of this job, and agree with the task folders.

use std::ops::Range;
use std::path::Path;

use super::{Inspection, Report};
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::error::{Error, Result};
use crate::ids::{Block, ClaimName, Phase, TaskFile, TaskId, cover};
use crate::job::end::{self, END_BYTES_MAX, End};
use crate::job::layout::{self, PHASE, PHASE_END, PHASE_FAILED, PHASE_FINISHED, PHASE_MAP, PHASE_REDUCE, State};
use crate::job::lost::{self, MapPlan};
use crate::job::plan::{Counted, Head, MAPS_MAX, Plan};
use crate::job::snapshot::Belief;
use crate::job::spec::Spec;

/// The number of map tasks; `None` if there is no plan yet, or none that can be understood.
pub(super) fn map_plan(disk: &dyn Disk, root: &Path, spec: &Spec, report: &mut Report) -> Result<Option<u32>> {
    let plan = match lost::map_plan(disk, root, Belief::Glance) {
        Ok(MapPlan::Here(plan)) => plan,
        Ok(MapPlan::NotYet) => {
            report.note(PHASE_MAP, "is not written yet; there is nothing to check");
            return Ok(None);
        }
        Ok(MapPlan::Lost(trace)) => {
            report.fault(PHASE_MAP, format!("is missing, and the job was planned, as {trace} shows; restore it from a copy"));
            return Ok(None);
        }
        Err(error) => return damaged(error, PHASE_MAP, report).map(|()| None),
    };
    check_head(plan.head(), PHASE_MAP, spec, report);
    let maps = plan.head().maps;
    match plan.splits() {
        Ok(splits) if splits.len() == maps as usize => {}
        Ok(splits) => report.fault(PHASE_MAP, format!("has {} tasks, and says it has {maps}", splits.len())),
        Err(error) => damaged(error, PHASE_MAP, report)?,
    }
    Ok(Some(maps))
}

/// The number of map tasks of a job whose plan does not tell it: what the reduce plan says, or the files of tasks show.
pub(super) fn maps_without_plan(disk: &dyn Disk, root: &Path) -> Result<u32> {
    if let Ok(Some(plan)) = Plan::reduce(disk, root) {
        return Ok(plan.head().maps);
    }
    let mut maps = 0;
    for state in State::FORWARD {
        let listed = disk.list(state.dir()).map_err(|error| Error::io("cannot list the job", root, error))?;
        let blocks = listed.iter().filter_map(|entry| Some(entry.name.parse::<TaskFile>().ok()?.attempt().block()));
        let ends = blocks.filter(|block| block.first().phase == Phase::Map).map(|block| block.tasks().end);
        maps = ends.filter(|end| *end <= MAPS_MAX).max().unwrap_or(0).max(maps);
    }
    Ok(maps)
}

fn check_head(head: &Head, path: &str, spec: &Spec, report: &mut Report) {
    if head.job != spec.id {
        report.fault(path, format!("is of the job {}, not of {}", head.job, spec.id));
    }
}

/// What is wrong with a file is a fault; that the disk refuses is an error.
fn damaged(error: Error, path: &str, report: &mut Report) -> Result<()> {
    if error.io_error().is_some() {
        return Err(error);
    }
    report.fault(path, error.to_string());
    Ok(())
}

impl Inspection<'_> {
    /// `phase/end`, its second name, and the ends that were retried.
    pub(super) fn check_end_file(&mut self) -> Result<()> {
        if self.snapshot.phases.end {
            match end::load(self.disk, self.root) {
                Ok(end) => self.end = end,
                Err(error) => damaged(error, PHASE_END, &mut self.report)?,
            }
        }
        self.check_verdict();
        for name in self.snapshot.phases.retried.clone() {
            let path = format!("{PHASE}/{name}");
            let whole = self.disk.read(&path, END_BYTES_MAX).is_ok_and(|bytes| serde_json::from_slice::<End>(&bytes).is_ok());
            if !whole {
                self.report.note(path, "cannot be understood: the attempts it blamed count again");
            }
        }
        Ok(())
    }

    fn check_verdict(&mut self) {
        let decided = self.inode(PHASE_END).filter(|_| self.snapshot.phases.end);
        let right = self.end.as_ref().map(|end| end::verdict_path(end.outcome));
        for path in [PHASE_FINISHED, PHASE_FAILED] {
            match (self.disk.look(path), decided) {
                (Err(error), _) if is_gone(&error) => {
                    if right == Some(path) {
                        self.report.note(path, "the end has no second name yet; `flockwork coordinator` gives it");
                    }
                }
                (Err(error), _) => self.report.fault(path, format!("cannot be looked at: {error}")),
                (Ok(_), None) if self.snapshot.phases.end => {}
                (Ok(_), None) => {
                    if !self.is_there(PHASE_END).unwrap_or(true) {
                        self.report.fault(path, "is there without an end; `flockwork retry` completes a retry that was interrupted");
                    }
                }
                (Ok(look), Some(inode)) if look.inode != inode => {
                    self.report.fault(path, "is not a second name (link) of phase/end");
                }
                (Ok(_), Some(_)) if right.is_some_and(|right| right != path) => {
                    self.report.fault(path, "is not how phase/end says that the job ended");
                }
                (Ok(_), Some(_)) => {}
            }
        }
    }

    /// `phase/reduce`, and which map attempts count.
    pub(super) fn check_reduce_plan(&mut self) -> Result<()> {
        if !self.snapshot.phases.reduce {
            let is_needed =
                self.snapshot.reduces.iter().any(|view| view.highest > 0) || self.finished().is_some() && !self.spec.ask.is_map_only();
            if is_needed && !self.is_there(PHASE_REDUCE).unwrap_or(true) {
                self.report.fault(PHASE_REDUCE, "is missing, and there were reduce tasks; restore it from a copy");
            }
            self.counting = self.good_within(0..self.snapshot.n_maps());
            return Ok(());
        }
        let mut lines = Vec::new();
        let read = Plan::reduce(self.disk, self.root).and_then(|plan| {
            let Some(plan) = plan else { return Ok(()) };
            check_head(plan.head(), PHASE_REDUCE, self.spec, &mut self.report);
            plan.for_each_counted(|counted| lines.push(counted))
        });
        if let Err(error) = read {
            return damaged(error, PHASE_REDUCE, &mut self.report);
        }
        // Each line begins where the one before ends: so every task is counted, and once.
        let (mut next, maps) = (0, self.snapshot.n_maps());
        for counted in lines {
            let named = counted.attempt.parse::<ClaimName>().ok();
            let block = named.as_ref().map_or(Block::one(TaskId::map(next)), |claim| claim.attempt.block());
            let begins = next;
            next = next.saturating_add(block.n_tasks());
            if next > maps {
                break;
            }
            self.check_counted(begins, named, &counted);
        }
        if next != maps {
            self.report.fault(PHASE_REDUCE, format!("names {next} map tasks, and the job has {maps}"));
        }
        Ok(())
    }

    /// Of the good results in `done/` those that count for these tasks.
    fn good_within(&self, tasks: Range<u32>) -> Vec<ClaimName> {
        let good = self.snapshot.done_maps(tasks.clone()).filter(|claim| self.made.contains_key(*claim));
        cover(tasks, good).counted.into_iter().cloned().collect()
    }

    fn check_counted(&mut self, task: u32, named: Option<ClaimName>, counted: &Counted) {
        let name = named.filter(|claim| claim.attempt.task == TaskId::map(task));
        let Some(claim) = name.filter(|_| counted.task == task) else {
            let what = format!("names {} for {} in the line of {}", counted.attempt, TaskId::map(counted.task), TaskId::map(task));
            return self.report.fault(PHASE_REDUCE, what);
        };
        let block = claim.attempt.block();
        let view = self.snapshot.view(block).cloned().unwrap_or_default();
        if view.done.contains(&claim) {
            if self.made.get(&claim).is_some_and(|made| made.files != counted.files) {
                self.report.fault(layout::held(State::Done, &claim), "says other files than phase/reduce does");
            }
            self.counting.push(claim);
            return;
        }
        // Retracted since: what is good within its block counts instead, once all of it is made.
        let replacements = self.good_within(block.tasks());
        let n_replaced: u32 = replacements.iter().map(|claim| claim.attempt.block().n_tasks()).sum();
        let retracted = view.expired.contains(&TaskFile::Held(claim.clone()));
        if !retracted && !self.is_there(&layout::held(State::Done, &claim)).unwrap_or(true) {
            self.report.fault(PHASE_REDUCE, format!("counts {claim}, which lies neither in done/ nor in expired/"));
        } else if n_replaced < block.n_tasks() && self.finished().is_some() {
            self.report.fault(PHASE_REDUCE, format!("counts {claim}, which was retracted, and nothing has replaced it"));
        }
        self.replaced.insert(task);
        self.counting.extend(replacements);
    }
}
