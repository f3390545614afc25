//! Opening a job: for the commands that look at one, and, with a check of who has a say in it, for those that act.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::trust::TrustArgs;
use crate::disk::Disk;
use crate::disk::fresh;
use crate::disk::real::RealDisk;
use crate::each::items::Items;
use crate::engine::AppEntry;
use crate::error::{Error, ErrorKind, Result};
use crate::farm::{self, Place};
use crate::job::layout::{OUTPUT, PHASE_END};
use crate::job::plan::Plan;
use crate::job::snapshot::Shape;
use crate::job::spec::{self, Ask, Spec};
use crate::job::trust::Trust;
use crate::planner::{self, Planned};

/// An opened job.
pub(super) struct Job {
    /// Where it is, as the user typed it.
    pub root: PathBuf,
    /// Its directory.
    pub disk: Arc<dyn Disk>,
    /// What was asked.
    pub spec: Spec,
}

/// True if jobs lie in it.
fn is_farm(root: &Path) -> bool {
    let is_empty = root.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    !is_empty && farm::place(root).is_ok_and(|place| place == Place::Farm)
}

/// Who wants one job is told which there are.
pub(super) fn refuse_farm(root: &Path) -> Error {
    let error = Error::new(ErrorKind::NotThisJob, "no job, but a farm of jobs, is in").on(root);
    error.advise("name one of its jobs; `flockwork status` lists them")
}

impl Job {
    /// Opens the job at `root` to act on it, if it is this user's or a trusted one's.
    pub fn open_to_act(root: &Path, trust: &TrustArgs) -> Result<Job> {
        let trust = trust.resolve()?;
        trust.check(root)?;
        let job = Job::open(root)?;
        trust.check_output(root, &job.spec.ask.output)?;
        Ok(job)
    }

    /// Opens the job at `root` to look at it; whose it is does not matter.
    pub fn open(root: &Path) -> Result<Job> {
        if !root.is_dir() {
            let error = Error::new(ErrorKind::NotThisJob, "no job in").on(root).because("there is no such folder");
            return Err(error.advise("`flockwork run` or `flockwork submit` makes one"));
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
        let spec = spec::load(&*disk, root).map_err(|error| match error.kind() {
            ErrorKind::NotThisJob if is_farm(root) => refuse_farm(root),
            _ => error,
        })?;
        Ok(Job { root: root.to_owned(), disk, spec })
    }

    /// How many tasks it has; `None` while its map plan is not written yet.
    pub fn shape(&self) -> Result<Option<Shape>> {
        let plan = Plan::map(&*self.disk, &self.root)?;
        Ok(plan.map(|plan| Shape { maps: plan.head().maps, reduces: self.spec.ask.reduces }))
    }

    /// True if its end is decided, by a fresh look.
    pub fn has_ended(&self) -> Result<bool> {
        fresh::is_there(&*self.disk, PHASE_END).map_err(|error| Error::io("cannot look at", self.root.join(PHASE_END), error))
    }
}

/// Makes the job `ask` at `root`, closed to everybody who is not trusted; or opens it where the very same was asked there before, if it is trusted.
pub(super) fn submit(apps: &[AppEntry], root: &Path, ask: &Ask, trust: &Trust) -> Result<Planned> {
    trust.check(root)?;
    trust.close();
    if ask.output != OUTPUT {
        // As typed, from here; planning makes the path the job's.
        trust.check_output(Path::new(""), &ask.output)?;
    }
    let planned = planner::submit(apps, root, ask)?;
    // What was made meanwhile, or gets its permissions from an access list of the folder above, is seen only now.
    trust.check(root)?;
    trust.check_output(root, &planned.spec.ask.output)?;
    Ok(planned)
}

/// The same of a job of commands.
pub(super) fn submit_commands(root: &Path, ask: &Ask, items: &Items, trust: &Trust) -> Result<Planned> {
    trust.check(root)?;
    trust.close();
    let planned = planner::submit_commands(root, ask, items)?;
    trust.check(root)?;
    Ok(planned)
}

/// The same of one that starts after others: it is planned when they have finished.
pub(super) fn submit_commands_later(root: &Path, ask: &Ask, items: &Items, trust: &Trust) -> Result<()> {
    trust.check(root)?;
    trust.close();
    planner::submit_commands_later(root, ask, items)?;
    trust.check(root)
}

/// The same for a job that starts after others: it is planned when they have finished.
pub(super) fn submit_later(apps: &[AppEntry], root: &Path, ask: &Ask, trust: &Trust) -> Result<()> {
    trust.check(root)?;
    trust.close();
    if ask.output != OUTPUT {
        trust.check_output(Path::new(""), &ask.output)?;
    }
    planner::after::submit_later(apps, root, ask)?;
    trust.check(root)
}
