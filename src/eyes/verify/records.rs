//! The task files that do not move any more: that a done one holds a result of its own, and all are of this job.

use super::Inspection;
use crate::disk::rename::is_gone;
use crate::ids::{ClaimName, TaskFile};
use crate::job::layout::{self, State};
use crate::job::record::{self, Event, RECORD_BYTES_MAX, TaskError};

impl Inspection<'_> {
    /// Reads every file in `done/`, `failed/` and `expired/`.
    pub(super) fn check_records(&mut self) {
        let views: Vec<_> = self.snapshot.blocks().map(|(_, view)| view.clone()).collect();
        for view in views {
            let hollow: Vec<ClaimName> = view.done.iter().filter(|claim| !self.read_result(claim)).cloned().collect();
            for claim in &hollow {
                let path = layout::held(State::Done, claim);
                if !self.is_there(&path).unwrap_or(true) {
                    continue; // Retracted meanwhile.
                }
                if view.done.len() == hollow.len() {
                    self.report.fault(path, "holds no result of its own (damaged or edited)");
                } else {
                    self.report.note(path, "holds no result of its own; another attempt of its task does");
                }
            }
            for claim in &view.failed {
                self.read_ended(State::Failed, &TaskFile::Held(claim.clone()));
            }
            for file in &view.expired {
                self.read_ended(State::Expired, file);
            }
        }
    }

    /// True if the record is good, and then remembered.
    fn read_result(&mut self, claim: &ClaimName) -> bool {
        let path = layout::held(State::Done, claim);
        for _fresh in 0..2 {
            let bytes = match self.disk.read(&path, RECORD_BYTES_MAX) {
                Ok(bytes) => bytes,
                Err(error) if is_gone(&error) => return false,
                Err(_) => Vec::new(),
            };
            if let Some((made, _)) = record::own_result(&claim.to_string(), &bytes) {
                self.check_issue(&path, &TaskFile::Held(claim.clone()), &bytes);
                self.made.insert(claim.clone(), made);
                return true;
            }
            let _ = self.disk.refresh(State::Done.dir());
        }
        false
    }

    fn read_ended(&mut self, state: State, file: &TaskFile) {
        let path = state.path(file);
        match self.disk.read(&path, RECORD_BYTES_MAX) {
            Ok(bytes) => {
                self.check_issue(&path, file, &bytes);
                self.check_failed(state, file, &bytes);
            }
            Err(error) => self.report.fault(path, format!("cannot be read: {error}; evidence never leaves")),
        }
    }

    /// What a failed command wrote is shown as well.
    fn check_failed(&mut self, state: State, file: &TaskFile, bytes: &[u8]) {
        let TaskFile::Held(claim) = file else { return };
        if state != State::Failed {
            return;
        }
        if let TaskError::Command { ran, .. } = record::own_error(&claim.to_string(), bytes) {
            self.check_stretches(claim, &ran);
        }
    }

    /// The coordinator's line names this job and this attempt, where there is one.
    fn check_issue(&mut self, path: &str, file: &TaskFile, bytes: &[u8]) {
        for line in record::parse(bytes) {
            if let Event::Issued { task, job } = line.event {
                if job != self.spec.id {
                    self.report.fault(path, format!("is of the job {job}, not of {}", self.spec.id));
                }
                if task != file.attempt().to_string() {
                    self.report.fault(path, format!("was issued as {task}"));
                }
            }
        }
    }
}
