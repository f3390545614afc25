//! What became of the items of a job of commands: each task's item, and how its command went.

use std::io;
use std::path::Path;

use crate::data::{Ran, Stretch};
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::ClaimName;
use crate::job::layout::{self, ITEMS, State};
use crate::job::outputs;
use crate::job::plan::Plan;
use crate::job::record::{self, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::TaskView;

/// The items of a planned job.
pub struct Items<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    plan: Plan<'a>,
}

impl<'a> Items<'a> {
    /// Those of the job at `root`.
    pub fn open(disk: &'a dyn Disk, root: &'a Path) -> Result<Items<'a>> {
        let plan = Plan::map(disk, root)?;
        let plan = plan.ok_or_else(|| Error::new(ErrorKind::Failed, "the job is not planned yet:").on(root))?;
        Ok(Items { disk, root, plan })
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
    /// The attempt that counts, or the last one that failed.
    pub claim: ClaimName,
    /// How, and what it wrote; none where it was not even tried.
    pub ran: Option<Ran>,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

/// How a task's command went; `None` if it has not ended yet. Of several good attempts the one with the lowest number counts.
pub fn went(disk: &dyn Disk, view: &TaskView) -> io::Result<Option<Went>> {
    for claim in &view.done {
        if let Some((made, _)) = outputs::done_record(disk, claim)? {
            return Ok(Some(Went { claim: claim.clone(), ran: made.ran.map(|ran| *ran), error: None }));
        }
    }
    let Some(claim) = view.failed.last().filter(|_| view.pending.is_empty() && view.claimed.is_empty()) else { return Ok(None) };
    let bytes = match disk.read(&layout::held(State::Failed, claim), RECORD_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if is_gone(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let (error, ran) = match record::own_error(&claim.to_string(), &bytes) {
        TaskError::Command { why, ran } => (why, Some(*ran)),
        TaskError::App(text) | TaskError::Input(text) => (text, None),
        TaskError::Record(bad) => (bad.why, None),
        TaskError::Damaged(_) => ("found files damaged".to_owned(), None),
    };
    Ok(Some(Went { claim: claim.clone(), ran, error: Some(error) }))
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
