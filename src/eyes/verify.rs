//! Every law and every checksum, checked on a job's directory: running, ended or cleaned.
//!
//! A *fault* is something that no crash, race or lost reply of flockwork's can leave behind, or that an ended job must not have; a *note* is worth knowing and
//! harmless. Only what is stable is judged: what moves meanwhile is looked for once more before it is called a fault, and files in `pending/` and
//! `claimed/` are never opened. Data files are checked where they count: shuffle files of the map attempts that `phase/reduce` names (or of what replaced
//! one that was retracted), outputs, and the output attempts they are links of. After `clean` (`phase/cleaned`) the shuffle data and the output attempts
//! are not missed.
//!
//! Cost: every record and every counting data file is read once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::data::{FileSum, Made};
use crate::disk::Disk;
use crate::disk::create::dir_of;
use crate::disk::rename::is_gone;
use crate::engine::{run, sum};
use crate::error::{Error, Result};
use crate::ids::ClaimName;
use crate::job::end::{End, Outcome};
use crate::job::layout::{self, State};
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::Spec;

mod data;
mod items;
mod names;
mod phases;
mod records;

/// An ended job's coordinator may be clearing up: what is left over is looked for again after this long.
const CLEAR_UP_PAUSE: Duration = Duration::from_millis(300);

/// Something found at a path, relative to the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub path: String,
    /// What.
    pub what: String,
}

/// What was found, and how much was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What must not be.
    pub faults: Vec<Finding>,
    /// What is worth knowing.
    pub notes: Vec<Finding>,
    /// Tasks looked at.
    pub tasks: usize,
    /// Data files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The job under inspection.
struct Inspection<'a> {
    disk: &'a dyn Disk,
    root: &'a Path,
    spec: &'a Spec,
    snapshot: Snapshot,
    end: Option<End>,
    /// The results in `done/` that are good.
    made: HashMap<ClaimName, Made>,
    /// Map attempts that count, or would.
    counting: Vec<ClaimName>,
    /// A counting map attempt was retracted and replaced since the reduce plan.
    replaced: HashSet<u32>,
    report: Report,
}

/// Checks the job `spec` at `root`.
pub fn verify(disk: &dyn Disk, root: &Path, spec: &Spec) -> Result<Report> {
    let mut report = Report::default();
    let maps = match phases::map_plan(disk, root, spec, &mut report)? {
        Some(maps) => maps,
        None if report.faults.is_empty() => return Ok(report),
        // The plan is lost or damaged: what was made of it is checked all the same.
        None => phases::maps_without_plan(disk, root)?,
    };
    let shape = Shape { maps, reduces: spec.ask.reduces };
    let unreadable = |error| Error::io("cannot list the job", root, error);
    let take = || Snapshot::take(disk, shape, Belief::Glance).map_err(unreadable);
    let mut snapshot = take()?;
    if snapshot.phases.reduce || snapshot.phases.end {
        // The phases are listed last: what they name lies in a snapshot that is begun after they were seen.
        snapshot = take()?;
    }
    report.tasks = snapshot.maps.len() + snapshot.reduces.len();
    let (made, counting, replaced) = (HashMap::new(), Vec::new(), HashSet::new());
    let mut inspection = Inspection { disk, root, spec, snapshot, end: None, made, counting, replaced, report };
    inspection.check_end_file()?;
    inspection.check_items();
    inspection.check_foreign(shape).map_err(unreadable)?;
    inspection.check_names_once(shape).map_err(unreadable)?;
    inspection.check_leftovers();
    inspection.check_records();
    inspection.check_reduce_plan()?;
    inspection.check_shuffle();
    inspection.check_segments();
    inspection.check_outputs().map_err(unreadable)?;
    inspection.check_counters();
    Ok(inspection.report)
}

impl Report {
    fn fault(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.faults.push(Finding { path: path.into(), what: what.into() });
    }

    fn note(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.notes.push(Finding { path: path.into(), what: what.into() });
    }
}

impl Inspection<'_> {
    /// The decided end, if it is a good one.
    fn finished(&self) -> Option<&End> {
        self.end.as_ref().filter(|end| end.outcome == Outcome::Finished)
    }

    /// Whether `path` is there, asked afresh without changing anything.
    fn is_there(&self, path: &str) -> io::Result<bool> {
        self.disk.refresh(dir_of(path))?;
        match self.disk.look(path) {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn inode(&self, path: &str) -> Option<(u64, u64)> {
        self.disk.look(path).ok().map(|look| look.inode)
    }

    /// Compares a data file with its description, in two reads; nothing is wrong with it if `owner` has left `done/` meanwhile.
    fn check_file(&mut self, path: &str, described: (u64, u32), owner: &ClaimName) {
        let full = self.root.join(path);
        let mut wrong = String::new();
        for _fresh in 0..2 {
            // A run's description is of its index, which has the checksums of the rest.
            // Nothing is read of a file whose length says enough.
            let len = self.disk.look(path).map_or(described.0, |look| look.len);
            if len != described.0 {
                wrong = wrong_len(len, described.0);
                let _ = self.disk.refresh(dir_of(path));
                continue;
            }
            let found = if path.ends_with(".run") { run::describe(&full) } else { sum::of_file(&full, &mut |_| Ok(())) };
            match found {
                Ok(found) if (found.len, found.crc32) == described => {
                    self.report.files += 1;
                    self.report.bytes += found.len;
                    return;
                }
                Ok(found) => wrong = difference(&found, described),
                Err(error) if is_gone(&error) => wrong = "is missing".to_owned(),
                Err(error) => wrong = format!("cannot be read: {error}"),
            }
            // An answer from a cache is no evidence.
            let _ = self.disk.refresh(dir_of(path));
        }
        if self.is_there(&layout::held(State::Done, owner)).unwrap_or(true) {
            self.report.fault(path, wrong);
        }
    }
}

fn wrong_len(found: u64, described: u64) -> String {
    format!("has {found} bytes, not {described}")
}

fn difference(found: &FileSum, described: (u64, u32)) -> String {
    if found.len != described.0 {
        return wrong_len(found.len, described.0);
    }
    format!("has the checksum {:08x}, not {:08x}: its content was changed", found.crc32, described.1)
}
