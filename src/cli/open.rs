//! Opening a job for the commands that look at one or steer one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::fresh;
use crate::disk::real::RealDisk;
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::PHASE_END;
use crate::job::plan::Plan;
use crate::job::snapshot::Shape;
use crate::job::spec::{self, Spec};
use crate::planner::{self, Holds};

/// An opened job.
pub(super) struct Job {
    /// Where it is, as the user typed it.
    pub root: PathBuf,
    /// Its directory.
    pub disk: Arc<dyn Disk>,
    /// What was asked.
    pub spec: Spec,
}

impl Job {
    /// Opens the job at `root`.
    pub fn open(root: &Path) -> Result<Job> {
        if !root.is_dir() {
            let error = Error::new(ErrorKind::NotThisJob, "no job in").on(root).because("there is no such folder");
            return Err(error.advise("`flockwork run` or `flockwork submit` makes one"));
        }
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
        let spec = spec::load(&*disk, root)?;
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

/// Waits until there is a job at `root`, and says so once. A folder that holds other things is refused.
pub(super) fn wait_for_job(root: &Path) -> Result<Arc<dyn Disk>> {
    let mut waits = crate::disk::watch::Backoff::new(Duration::from_millis(50), Duration::from_millis(500), crate::here::chance());
    let mut said = false;
    loop {
        match planner::holds(root)? {
            Holds::Job => return Ok(Arc::new(RealDisk::at(root))),
            Holds::NoJobYet => {}
            Holds::OtherThings(name) => {
                let error = Error::new(ErrorKind::NotThisJob, "no job in").on(root).because(format!("it holds other things (`{name}`)"));
                return Err(error.advise("a job is a folder with a job.json; check the path"));
            }
        }
        if !said {
            eprintln!("flockwork: there is no job in {} yet; waiting for it", root.display());
            said = true;
        }
        std::thread::sleep(waits.next_wait());
    }
}
