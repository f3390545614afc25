//! Whether the directory still is the job that this coordinator leads.
//!
//! Problem: between two looks somebody may remove or move a job away and put another one in its place (one line of a script does). Led on by what the old one asked, the new one would
//! end without most of its input, or never. Workaround: what was seen is acted on only after a later look at `job.json`. That is written once and never changes; where it is another
//! file than it was, it is read for its job's id.
//!
//! Cost: one GETATTR per round that does something. What it does *not* see is a change between that look and the act.

use super::Coordinator;
use crate::disk::Look;
use crate::disk::rename::is_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::JOB_JSON;
use crate::job::spec;

/// What is known of the file in which this job was asked.
#[derive(Debug, Default)]
pub(super) enum Identity {
    /// Nobody has asked yet.
    #[default]
    Unasked,
    /// It is to be read before anything is done.
    Expected,
    /// As it was when it was read last.
    Seen(Look),
}

impl Coordinator {
    /// From here on each round makes sure that the job is this one before it acts.
    pub(super) fn expect_this_job(&mut self) {
        self.identity = Identity::Expected;
    }

    /// `Vanished` where no job lies there any more, or another one.
    pub(super) fn is_still_this_job(&mut self) -> Result<()> {
        if matches!(self.identity, Identity::Unasked) {
            return Ok(());
        }
        let look = match self.disk.look(JOB_JSON) {
            Err(error) if is_gone(&error) => return Err(Error::vanished(&self.root)),
            look => look.map_err(|error| Error::io("cannot look at", self.root.join(JOB_JSON), error))?,
        };
        if matches!(self.identity, Identity::Seen(seen) if seen == look) {
            return Ok(());
        }
        match spec::load(&*self.disk, &self.root) {
            Ok(found) if found.id != self.spec.id => {
                let another = Error::new(ErrorKind::Vanished, "another job lies in").on(&self.root);
                return Err(another.advise("the one that was led here was removed or moved away while it ran"));
            }
            // Edited or damaged by hand, which says nothing of another: what ran before may finish.
            Err(error) if error.kind() != ErrorKind::Damaged => return Err(error),
            Ok(_) | Err(_) => self.identity = Identity::Seen(look),
        }
        Ok(())
    }
}
