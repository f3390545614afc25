//! What became of the items of a job of commands: each task's item, and how its command went.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use super::against;
use crate::data::{Ran, Stretch};
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ClaimName, TaskFile, TaskId};
use crate::job::layout::{self, ITEMS, State};
use crate::job::lost::{self, MapPlan};
use crate::job::outputs;
use crate::job::plan::Plan;
use crate::job::record::{self, Event, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::{Belief, Snapshot, TaskView};
use crate::job::spec::Spec;
use crate::units::parse_stamp;

/// The items of a planned job.
pub struct Items<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    plan: Plan<'a>,
}

impl<'a> Items<'a> {
    /// Those of the job at `root`.
    pub fn open(disk: &'a dyn Disk, root: &'a Path) -> Result<Items<'a>> {
        match lost::map_plan(disk, root, Belief::Glance)? {
            MapPlan::Here(plan) => Ok(Items { disk, root, plan }),
            MapPlan::NotYet => Err(Error::new(ErrorKind::Failed, "the job is not planned yet:").on(root)),
            MapPlan::Lost(trace) => Err(lost::refusal(root, &trace)),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.plan.head().maps
    }

    /// That of map task `task`.
    pub fn item(&mut self, task: u32) -> Result<Vec<u8>> {
        let split = self.plan.split(task)?;
        let range = split.pieces.first().map_or(0..0, |piece| piece.from..piece.to);
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX).min(crate::each::ITEM_BYTES_MAX);
        self.disk.read_part(ITEMS, range.start, len).map_err(|error| Error::io("cannot read", self.root.join(ITEMS), error))
    }
}

/// How the command of one task went.
pub struct Went {
    /// The attempt that counts, or the last one that failed or was lost.
    pub claim: ClaimName,
    /// When it was claimed, in milliseconds since 1970, by its machine's clock; 0 where that is not told.
    pub claimed_ms: i64,
    /// How, and what it wrote; none where it was not even tried, or nobody lived to tell.
    pub ran: Option<Ran>,
}

/// Tells which tasks have ended, and how.
pub struct Fates<'a> {
    disk: &'a dyn Disk,
    spec: &'a Spec,
    /// The job's end is decided: nothing is tried again.
    has_ended: bool,
    /// Attempts that a retry has forgiven.
    blamed: HashSet<String>,
}

impl<'a> Fates<'a> {
    /// Of the tasks that `snapshot` shows.
    pub fn of(disk: &'a dyn Disk, spec: &'a Spec, snapshot: &Snapshot) -> Fates<'a> {
        Fates { disk, spec, has_ended: snapshot.phases.end, blamed: against::blamed(disk, snapshot) }
    }

    /// How the command of map task `task` went; `None` if it has not ended yet, or is to be run again. Of several good attempts the one with the lowest number counts.
    pub fn went(&self, task: u32, view: &TaskView) -> io::Result<Option<Went>> {
        for claim in &view.done {
            if let Some((made, _)) = outputs::done_record(self.disk, claim)? {
                return Ok(Some(Went { claim: claim.clone(), claimed_ms: 0, ran: made.ran.map(|ran| *ran) }));
            }
        }
        if !view.pending.is_empty() || !view.claimed.is_empty() {
            return Ok(None);
        }
        let against = against::count(self.disk, self.spec, TaskId::map(task), view, &self.blamed);
        let is_over = against.is_past(self.spec) || self.has_ended && against.errors > 0;
        let failed = view.failed.last().map(|claim| (State::Failed, claim)).filter(|_| against.errors > 0);
        match failed.or_else(|| last_held(view).map(|claim| (State::Expired, claim))).filter(|_| is_over) {
            Some((state, claim)) => self.tried(state, claim).map(Some),
            None => Ok(None),
        }
    }

    fn tried(&self, state: State, claim: &ClaimName) -> io::Result<Went> {
        let bytes = match self.disk.read(&layout::held(state, claim), RECORD_BYTES_MAX) {
            Err(error) if is_gone(&error) => Vec::new(),
            other => other?,
        };
        let name = claim.to_string();
        let ran = match (state, record::own_error(&name, &bytes)) {
            (State::Failed, TaskError::Command { ran, .. }) => Some(*ran),
            (_, TaskError::Command { .. } | TaskError::App(_) | TaskError::Input(_) | TaskError::Record(_) | TaskError::Damaged(_)) => None,
        };
        let lines = record::parse(&bytes);
        let claimed = lines.iter().find(|line| line.by == name && matches!(line.event, Event::Claimed { .. }));
        let claimed_ms = claimed.and_then(|line| parse_stamp(&line.at)).unwrap_or(0);
        Ok(Went { claim: claim.clone(), claimed_ms, ran })
    }
}

/// The last attempt that ended without result or error in a worker's hands.
fn last_held(view: &TaskView) -> Option<&ClaimName> {
    let held = view.expired.iter().filter_map(|file| if let TaskFile::Held(claim) = file { Some(claim) } else { None });
    held.max_by_key(|claim| claim.attempt.number)
}

/// Of what a command wrote to stderr so many bytes are shown, at most.
const STDERR_BYTES_MAX: u64 = 4096;

/// The end of what a command wrote to stderr, as far as it can be read; `None` if it wrote nothing.
pub fn stderr_end(disk: &dyn Disk, claim: &ClaimName, ran: &Ran) -> Option<String> {
    let path = layout::segment(&claim.worker);
    let (mut parts, mut left) = (Vec::new(), STDERR_BYTES_MAX);
    for Stretch(from, len, _) in ran.err.iter().rev() {
        let want = (*len).min(left);
        parts.push(disk.read_part(&path, from.saturating_add(len - want), usize::try_from(want).unwrap_or(0)).ok()?);
        left -= want;
        if left == 0 {
            break;
        }
    }
    parts.reverse();
    let bytes = parts.concat();
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}
