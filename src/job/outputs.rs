//! Publishing: the counting attempt's output gets its final name by link, once; whoever linked it.
//!
//! Two coordinators may publish different attempts of one reduce; the link that came first stands, and which attempt it is of is told by
//! the inode. A final name is never replaced and never made of a file that is missing or short.

use std::io;
use std::path::Path;

use super::layout::{attempt_output, output_name};
use super::record::RECORD_BYTES_MAX;
use super::{layout, record};
use crate::data::Made;
use crate::disk::rename::is_gone;
use crate::disk::{Created, Disk, create, fresh};
use crate::error::{Error, Result};
use crate::ids::ClaimName;

/// What became of publishing one reduce task's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// This attempt's file bears the final name.
    By(ClaimName),
    /// These attempts' files are missing or short: their tasks must be done again.
    Bad(Vec<ClaimName>),
    /// The file of an attempt that was committed after the look bears the final name: another coordinator knew it. To be looked at anew.
    Since(ClaimName),
    /// A file that is none of ours bears the final name.
    Foreign(String),
}

/// A done record, read twice if need be; `None` if it holds no result of its own, or names files that are not the attempt's.
pub fn done_record(disk: &dyn Disk, claim: &ClaimName) -> io::Result<Option<(Made, u64)>> {
    let path = layout::held(layout::State::Done, claim);
    let name = claim.to_string();
    for _fresh in 0..2 {
        match disk.read(&path, RECORD_BYTES_MAX) {
            Ok(bytes) => match record::own_result(&name, &bytes).filter(|(made, _)| has_own_files(&name, made)) {
                Some(result) => return Ok(Some(result)),
                None => disk.refresh(layout::State::Done.dir())?,
            },
            Err(error) if is_gone(&error) || error.kind() == io::ErrorKind::InvalidData => disk.refresh(layout::State::Done.dir())?,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn has_own_files(name: &str, made: &Made) -> bool {
    made.files.iter().all(|file| record::is_file_of(name, &file.name))
}

/// Gives `partition`'s output its final name in `output` (a directory seen through `disk`), from the first good one of the done attempts.
pub fn publish(disk: &dyn Disk, root: &Path, output: &str, partition: u32, done: &[(ClaimName, Made)]) -> Result<Published> {
    let target = format!("{output}/{}", output_name(partition));
    let fail = |error| Error::io("cannot publish", root.join(&target), error);
    let mut bad = Vec::new();
    for (claim, made) in done {
        let attempt = attempt_output(output, claim);
        match disk.look(&attempt) {
            Ok(look) if made.files.first().is_some_and(|file| file.len == look.len) => {}
            Ok(_) => {
                bad.push(claim.clone());
                continue;
            }
            Err(error) if is_gone(&error) => {
                bad.push(claim.clone());
                continue;
            }
            Err(error) => return Err(fail(error)),
        }
        match create::link_once(disk, &attempt, &target).map_err(fail)? {
            Created::Now => return Ok(Published::By(claim.clone())),
            Created::Before => return published_before(disk, output, &target, done).map_err(fail),
        }
    }
    Ok(Published::Bad(bad))
}

/// Which attempt's file bears the final name already.
fn published_before(disk: &dyn Disk, output: &str, target: &str, done: &[(ClaimName, Made)]) -> io::Result<Published> {
    fresh::renew(disk, output)?;
    let inode = disk.look(target)?.inode;
    let bears_it = |claim: &ClaimName| match disk.look(&attempt_output(output, claim)) {
        Ok(look) => Ok(look.inode == inode),
        Err(error) if is_gone(&error) => Ok(false),
        Err(error) => Err(error),
    };
    for (claim, _) in done {
        if bears_it(claim)? {
            return Ok(Published::By(claim.clone()));
        }
    }
    // Foreign is only what is of none of those that are done *now*: the look may be older than a commit that another coordinator has published.
    let listed = fresh::list_surely(disk, layout::State::Done.dir())?;
    let now: Vec<ClaimName> = listed.iter().filter_map(|entry| entry.name.parse().ok()).collect();
    for claim in now.into_iter().filter(|claim| done.iter().any(|(known, _)| known.attempt.task == claim.attempt.task)) {
        if bears_it(&claim)? {
            return Ok(Published::Since(claim));
        }
    }
    Ok(Published::Foreign(target.to_owned()))
}
