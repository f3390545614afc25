//! What counts against a task, as its coordinator reckons: reported errors and losses, but for those that a retry has forgiven.

use std::collections::HashSet;

use crate::disk::Disk;
use crate::ids::{Block, TaskFile, TaskId};
use crate::job::end::{END_BYTES_MAX, End};
use crate::job::layout::{PHASE, State};
use crate::job::record::{self, Ended, RECORD_BYTES_MAX, TaskError};
use crate::job::skip::{self, Said};
use crate::job::snapshot::{Snapshot, TaskView};
use crate::job::spec::Spec;

/// So much counts against a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Reported errors.
    pub errors: usize,
    /// Lost leases, and results taken back.
    pub losses: usize,
}

impl Tally {
    /// The task is not tried again.
    pub fn is_past(&self, spec: &Spec) -> bool {
        self.errors >= spec.ask.max_errors as usize || self.losses >= spec.ask.max_lost as usize
    }
}

/// The attempts that earlier, retried ends blamed: they count no more.
pub(super) fn blamed(disk: &dyn Disk, snapshot: &Snapshot) -> HashSet<String> {
    let ends = snapshot.phases.retried.iter().filter_map(|name| disk.read(&format!("{PHASE}/{name}"), END_BYTES_MAX).ok());
    ends.filter_map(|bytes| serde_json::from_slice::<End>(&bytes).ok()).flat_map(|end| end.blames).collect()
}

/// Counts what stands against the task: only what was tried alone does.
pub(super) fn count(disk: &dyn Disk, spec: &Spec, task: TaskId, view: &TaskView, blamed: &HashSet<String>) -> Tally {
    let failed = view.failed.iter().map(|claim| (State::Failed, TaskFile::Held(claim.clone())));
    let files = failed.chain(view.expired.iter().map(|file| (State::Expired, file.clone())));
    let mut read: Vec<(State, TaskFile, Vec<u8>)> = files
        .filter(|(_, file)| file.attempt().block() == Block::one(task) && !blamed.contains(&file.to_string()))
        .map(|(state, file)| {
            let bytes = disk.read(&state.path(&file), RECORD_BYTES_MAX).unwrap_or_default();
            (state, file, bytes)
        })
        .collect();
    read.sort_by_key(|(_, file, _)| (file.attempt().number, file.to_string()));
    let spot = |(state, file, bytes): &(State, TaskFile, Vec<u8>)| match skip::said(*state, &file.to_string(), bytes) {
        Said::FailedAt(spot, _) if spec.ask.skip_bad_records => Some(spot),
        Said::FailedAt(..) | Said::Failed | Said::Nothing => None,
    };
    let bad = skip::bad(read.iter().filter_map(spot));
    let mut tally = Tally::default();
    for entry in read.iter().filter(|entry| !spot(entry).is_some_and(|spot| bad.contains(&spot))) {
        let (state, file, bytes) = entry;
        let name = file.to_string();
        match state {
            State::Failed => tally.errors += usize::from(!matches!(record::own_error(&name, bytes), TaskError::Damaged(_))),
            State::Expired => tally.losses += usize::from(matches!(record::why_ended(&name, bytes), Ended::Lost | Ended::Retracted)),
            State::Pending | State::Claimed | State::Done => {}
        }
    }
    tally
}
