//! Opening a job: for the commands that look at one, and, with a check of who has a say in it, for those that act.

use std::io;
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
use crate::job::layout::{JOB_JSON, OUTPUT, PHASE_END};
use crate::job::plan::Plan;
use crate::job::snapshot::Shape;
use crate::job::spec::{self, Ask, Spec};
use crate::job::trust::Trust;
use crate::planner::{self, Planned};
use crate::units::for_shell;

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

/// Whether to look at `root` as a farm. An empty folder is one, unless it is a job's own.
pub(super) fn is_seen_as_farm(root: &Path) -> Result<bool> {
    if !root.is_dir() {
        return Ok(false);
    }
    let place = farm::place(root).map_err(|error| name_job_above(error, root))?;
    Ok(place == Place::Farm && (job_above(root).is_none() || is_farm(root)))
}

/// Refuses what is no folder. Where that cannot be told, a job may well be there.
fn check_folder(root: &Path) -> Result<()> {
    let refuse = |why: &'static str| Error::new(ErrorKind::NotThisJob, "no job in").on(root).because(why);
    match root.metadata() {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(name_job_above(refuse("it is a file").advise("name the job's folder"), root)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(refuse("there is no such folder").advise("`flockwork run` or `flockwork submit` makes one"))
        }
        Err(error) => Err(Error::io("cannot open the job", root, error)),
    }
}

/// That no job is there, with the job to name instead where it lies in one.
fn name_job_above(error: Error, root: &Path) -> Error {
    match job_above(root).filter(|_| error.kind() == ErrorKind::NotThisJob) {
        Some(job) => error.advise(format!("it lies in the job `{}`: name that", for_shell(&job))),
        None => error,
    }
}

/// The job that `path` lies in, as it was typed where that is a part of it.
fn job_above(path: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    let job = real.ancestors().skip(1).find(|folder| folder.join(JOB_JSON).is_file())?;
    let is_it = |folder: &&Path| folder.canonicalize().is_ok_and(|folder| folder == job);
    Some(path.ancestors().skip(1).find(is_it).unwrap_or(job).to_owned())
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
        check_folder(root)?;
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
        let spec = spec::load(&*disk, root).map_err(|error| match error.kind() {
            ErrorKind::NotThisJob if is_farm(root) => refuse_farm(root),
            _ => name_job_above(error, root),
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
