//! How ended attempts ended: each file in `failed/` and `expired/` is read once, for it never moves again. A cache, no memory: a new coordinator reads
//! them anew and knows the same.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::plan::Ending;
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::ids::{ClaimName, TaskFile, TaskId};
use crate::job::end::END_BYTES_MAX;
use crate::job::layout::{PHASE, State};
use crate::job::record::{self, Ended, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::Snapshot;

/// What has been read so far.
#[derive(Default)]
pub struct Ledger {
    /// By file name.
    pub endings: HashMap<String, Ending>,
    /// Attempts that a retried end blamed.
    pub blamed: HashSet<String>,
    retried: HashSet<String>,
}

impl Ledger {
    /// Reads what `snapshot` shows and the ledger does not know yet.
    pub fn read(&mut self, disk: &dyn Disk, root: &Path, snapshot: &Snapshot) -> crate::Result<()> {
        let maps = u32::try_from(snapshot.maps.len()).unwrap_or(u32::MAX);
        for (_, view) in snapshot.tasks() {
            for claim in &view.failed {
                self.enter(disk, root, State::Failed, &TaskFile::Held(claim.clone()), maps)?;
            }
            for file in &view.expired {
                self.enter(disk, root, State::Expired, file, maps)?;
            }
        }
        for name in &snapshot.phases.retried {
            if self.retried.contains(name) {
                continue;
            }
            let path = format!("{PHASE}/{name}");
            let bytes = match disk.read(&path, END_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => Vec::new(),
                Err(error) => return Err(crate::Error::io("cannot read", root.join(&path), error)),
            };
            // A retried end that was damaged blames nobody: then its attempts count on, and the job fails again rather than for ever.
            if let Ok(end) = serde_json::from_slice::<crate::job::end::End>(&bytes) {
                self.blamed.extend(end.blames);
            }
            self.retried.insert(name.clone());
        }
        Ok(())
    }

    fn enter(&mut self, disk: &dyn Disk, root: &Path, state: State, file: &TaskFile, maps: u32) -> crate::Result<()> {
        let name = file.to_string();
        if self.endings.contains_key(&name) {
            return Ok(());
        }
        let path = state.path(file);
        let bytes = match disk.read(&path, RECORD_BYTES_MAX) {
            Ok(bytes) => bytes,
            // Removed by hand, or grown beyond reason: it still was an attempt.
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => Vec::new(),
            Err(error) => return Err(crate::Error::io("cannot read", root.join(path), error)),
        };
        self.endings.insert(name.clone(), ending(state, &name, &bytes, maps));
        Ok(())
    }
}

fn ending(state: State, name: &str, bytes: &[u8], maps: u32) -> Ending {
    match state {
        State::Failed => match record::own_error(name, bytes) {
            TaskError::App(text) | TaskError::Input(text) => Ending::Error(text),
            TaskError::Damaged(names) => {
                let known = |name: &String| name.parse().ok().filter(|claim: &ClaimName| claim.attempt.task < TaskId::map(maps));
                match names.iter().map(known).collect() {
                    Some(claims) => Ending::Damaged(claims),
                    // Nothing can be retracted that would mend it: it must count, or it would be tried for ever.
                    None => Ending::Error(format!("the reduce plan names attempts that this job never had: {}", names.join(", "))),
                }
            }
        },
        State::Pending | State::Claimed | State::Done | State::Expired => match record::why_ended(name, bytes) {
            Ended::Lost | Ended::Retracted => Ending::Lost,
            Ended::GivenBack | Ended::Dropped => Ending::Free,
        },
    }
}
