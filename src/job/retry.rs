//! Taking the end of a failed or cancelled job back.
//!
//! `cancel` is removed, then `phase/failed` and after it `phase/end` get the first free number: `failed.1`, `end.1`. What was done stays done. The attempts that the
//! old end blames count no more: a coordinator reads their names from `phase/failed.N`. The order matters: whoever dies in between leaves a
//! job that is still ended, and to retry it again completes it.
//!
//! `failed.N` is made by link and not by rename, and its inode says which end it is of: so evidence of an earlier end is never overwritten, whoever
//! retries at the same time. Between that and the rename of the end, and after it, the names that coordinators hold ends by are taken away (see [`end`]): so
//! none that was decided before comes after, and none gets a second name. (Of a retry that is itself stopped, and goes on when another has retried the job, that cannot be said.)

use std::io;
use std::path::Path;

use super::end::{self, Outcome};
use super::layout::{self, CANCEL, PHASE, PHASE_CLEANED, PHASE_END, PHASE_FAILED};
use crate::disk::rename::{is_gone, rename};
use crate::disk::{Created, Disk, Entry, create, fresh};
use crate::error::{Error, ErrorKind, Result};

/// Ends of one job that were retried: more is somebody's loop gone wild.
const RETRIES_MAX: u32 = 100_000;

/// Takes the end of a failed or cancelled job back.
pub fn retry(disk: &dyn Disk, root: &Path) -> Result<()> {
    let fail = |error| Error::io("cannot retry the job in", root, error);
    let announce = || disk.announce(PHASE).map_err(fail);
    if !fresh::is_there(disk, PHASE_END).map_err(fail)? {
        return match complete(disk).map_err(fail)? {
            Found::Rest => announce(),
            Found::Nothing => Err(refusal(root, "the job has not ended, so there is nothing to retry:")),
        };
    }
    match end::load(disk, root)?.map(|end| end.outcome) {
        Some(Outcome::Finished) => return Err(refusal(root, "the job has finished, so there is nothing to retry:")),
        Some(Outcome::Failed | Outcome::Cancelled) | None => {}
    }
    for control in [CANCEL, PHASE_CLEANED] {
        remove_if_there(disk, control).map_err(fail)?;
    }
    let number = keep_evidence(disk).map_err(fail)?;
    take_endings_away(disk).map_err(fail)?;
    remove_if_there(disk, PHASE_FAILED).map_err(fail)?;
    let _ = rename(disk, PHASE_END, &format!("{PHASE_END}.{number}")).map_err(fail)?;
    complete(disk).map_err(fail)?;
    announce()
}

fn refusal(root: &Path, text: &'static str) -> Error {
    Error::new(ErrorKind::Failed, text).on(root).advise("`flockwork status` says how far it is")
}

/// Links the end as the first free `failed.N`; one that is this end's already is taken, for a retry may have died after making it.
fn keep_evidence(disk: &dyn Disk) -> io::Result<u32> {
    let names: Vec<String> = fresh::list_surely(disk, PHASE)?.into_iter().map(|entry| entry.name).collect();
    for number in 1..RETRIES_MAX {
        if names.contains(&format!("end.{number}")) {
            continue;
        }
        match create::link_once(disk, PHASE_END, &format!("{PHASE_FAILED}.{number}"))? {
            Created::Now => return Ok(number),
            Created::Before => {}
        }
    }
    Err(io::Error::other("it was retried too often"))
}

enum Found {
    Rest,
    Nothing,
}

/// Takes away the names of ends on their way: what was to be decided, or named, without knowledge of this retry.
fn take_endings_away(disk: &dyn Disk) -> io::Result<Vec<Entry>> {
    let (endings, others): (Vec<_>, Vec<_>) =
        fresh::list_surely(disk, PHASE)?.into_iter().partition(|entry| layout::is_ending(&entry.name));
    for entry in endings {
        remove_if_there(disk, &format!("{PHASE}/{}", entry.name))?;
    }
    Ok(others)
}

/// Takes away a `failed` that is the second name of an end already taken back, once nobody can give it to one any more.
fn complete(disk: &dyn Disk) -> io::Result<Found> {
    let names = take_endings_away(disk)?;
    let failed = match disk.look(PHASE_FAILED) {
        Ok(look) => look.inode,
        Err(error) if is_gone(&error) => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    for entry in names.iter().filter(|entry| entry.name.starts_with("end.")) {
        if disk.look(&format!("{PHASE}/{}", entry.name))?.inode == failed {
            remove_if_there(disk, PHASE_FAILED)?;
            return Ok(Found::Rest);
        }
    }
    Ok(Found::Nothing)
}

fn remove_if_there(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}
