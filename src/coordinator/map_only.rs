//! The end of a job without a reduce phase: its maps' records are its result.
//!
//! Before it is decided, every record is read once, and of the segments that they name the length is looked at: a record torn by a power cut, or one whose segment is short, is
//! retracted as any other result is, and its task is done again.

use std::collections::HashMap;

use super::Coordinator;
use super::apply::Decision;
use crate::data::{Made, Stretch};
use crate::disk::rename::is_gone;
use crate::error::{Error, Result};
use crate::ids::{ClaimName, WorkerName};
use crate::job::end::Outcome;
use crate::job::layout;
use crate::job::outputs;
use crate::job::snapshot::Snapshot;

impl Coordinator {
    /// Decides a good end, if every task's result is good.
    pub(super) fn finish_map_only(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut lengths = HashMap::new();
        let mut complete = true;
        for claim in snapshot.maps.iter().filter_map(|view| view.done.first()) {
            // Not remembered: there may be a million.
            let read = outputs::done_record(&*self.disk, claim);
            let read = read.map_err(|error| Error::io("cannot read", self.root.join(layout::held(layout::State::Done, claim)), error))?;
            let is_good = match read {
                Some((made, _)) => self.has_its_segment(claim, &made, &mut lengths)?,
                None => false,
            };
            if !is_good {
                complete = false;
                self.hollow.insert(claim.clone());
            }
        }
        if !complete {
            return Ok(()); // Retracted by the next plan.
        }
        self.decide(snapshot, Decision { outcome: Outcome::Finished, error: None, blames: Vec::new(), outputs: Vec::new() }, &[])
    }

    fn has_its_segment(&self, claim: &ClaimName, made: &Made, lengths: &mut HashMap<WorkerName, u64>) -> Result<bool> {
        let stretches = made.ran.iter().flat_map(|ran| ran.out.iter().chain(&ran.err));
        let Some(end) = stretches.map(|Stretch(from, len, _)| from.saturating_add(*len)).max() else { return Ok(true) };
        if lengths.get(&claim.worker).is_some_and(|len| *len >= end) {
            return Ok(true);
        }
        // Grown since it was last looked at, or short.
        let path = layout::segment(&claim.worker);
        let len = match self.disk.look(&path) {
            Ok(look) => look.len,
            Err(error) if is_gone(&error) => 0,
            Err(error) => return Err(Error::io("cannot look at", self.root.join(path), error)),
        };
        lengths.insert(claim.worker.clone(), len);
        Ok(len >= end)
    }
}
