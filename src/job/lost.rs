//! A map plan that is gone: what was made of it outlives it, and tells a job that lost its plan from one that has none yet.
//!
//! Planned anew over results of an old plan, the inputs of today would be split under yesterday's task numbers, and the outputs would be wrong without a word.
//! So whoever finds no plan looks for what only a planned job has. Its presence is proof however old the listing; and since a plan may have been written between
//! the two looks, it is looked for once more, in a folder opened afresh, before it is called lost.

use std::path::Path;

use super::end::{self, Outcome};
use super::layout::{PHASE, PHASE_END, PHASE_MAP, PHASE_REDUCE, State};
use super::plan::Plan;
use super::snapshot::Belief;
use crate::disk::rename::is_gone;
use crate::disk::{Disk, Entry, fresh};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TaskFile;

/// A job's map plan.
pub enum MapPlan<'a> {
    /// It is there.
    Here(Plan<'a>),
    /// The job was not planned yet.
    NotYet,
    /// It was there: this path shows it.
    Lost(String),
}

/// Opens the map plan, or says why there is none. What is there costs nothing more; 6 listings else.
pub fn map_plan<'a>(disk: &'a dyn Disk, root: &Path, belief: Belief) -> Result<MapPlan<'a>> {
    if let Some(plan) = Plan::map(disk, root)? {
        return Ok(MapPlan::Here(plan));
    }
    let Some(trace) = trace(disk, root, belief)? else { return Ok(MapPlan::NotYet) };
    let renewed = if belief == Belief::Sure { fresh::renew(disk, PHASE) } else { disk.refresh(PHASE) };
    renewed.map_err(|error| Error::io("cannot open", root.join(PHASE), error))?;
    Ok(Plan::map(disk, root)?.map_or(MapPlan::Lost(trace), MapPlan::Here))
}

/// The refusal of a job whose plan is lost, as `trace` shows.
pub fn refusal(root: &Path, trace: &str) -> Error {
    let error = Error::new(ErrorKind::Damaged, "cannot find the plan").on(root.join(PHASE_MAP));
    let error = error.because(format!("the job was planned, as {trace} shows, and another plan would not fit what is done"));
    error.advise("restore that file from a copy, or submit the job anew elsewhere")
}

/// The path of something that only a planned job has.
fn trace(disk: &dyn Disk, root: &Path, belief: Belief) -> Result<Option<String>> {
    let phases = list(disk, root, PHASE, belief)?;
    let is_there = |path: &str| phases.iter().any(|entry| path.strip_prefix("phase/") == Some(&entry.name));
    if is_there(PHASE_REDUCE) {
        return Ok(Some(PHASE_REDUCE.to_owned()));
    }
    // One that was cancelled, or found no inputs, before it was planned has an end as well, and no tasks.
    if is_there(PHASE_END) && end::load(disk, root)?.is_some_and(|end| end.outcome == Outcome::Finished) {
        return Ok(Some(PHASE_END.to_owned()));
    }
    for state in State::FORWARD {
        let found = list(disk, root, state.dir(), belief)?.into_iter().find(|entry| entry.name.parse::<TaskFile>().is_ok());
        if let Some(entry) = found {
            return Ok(Some(format!("{}/{}", state.dir(), entry.name)));
        }
    }
    Ok(None)
}

/// A folder that is not made yet holds nothing.
fn list(disk: &dyn Disk, root: &Path, dir: &str, belief: Belief) -> Result<Vec<Entry>> {
    let listed = if belief == Belief::Sure { fresh::list_surely(disk, dir) } else { disk.list(dir) };
    match listed {
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        listed => listed.map_err(|error| Error::io("cannot list", root.join(dir), error)),
    }
}
