//! A farm: a directory of jobs that standing workers and coordinators serve, higher priority first, equals in turn, older first in a tie.
//!
//! A folder with `job.json` is a job; an empty one, or one with a job in it, is a farm; any other is refused. Nothing is written into the farm's own folder.
//! Reading order: this file, `choice` (who serves what: pure), `note` (and when again: pure), `survey` (what there is), `crew` (slots), `lead` (coordinators); and around them `leaving` (when),
//! `hook`, `hosts` and `batch` (starting workers elsewhere).
//!
//! Cost of waiting, per worker or coordinator and not per slot: one look at the farm's folder a second, listed anew when it has changed and every eighth time; of one ended job
//! a look, by turns, for it may have been retried; of each unfinished job a look into `pending/` while slots are free, at most 64 of them in a round, five rounds a second.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::error::said::Said;
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::{DIRS, JOB_JSON};
use crate::job::spec;

pub mod batch;
pub mod choice;
pub mod crew;
pub mod hook;
pub mod hosts;
pub mod lead;
pub mod leaving;
mod note;
pub mod survey;

/// What a path that was named as a job or a farm leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A job.
    Job,
    /// A farm.
    Farm,
    /// Nothing yet, or a job that is just being made.
    Nowhere,
}

/// Looks what `root` is; a folder of other things is refused.
pub fn place(root: &Path) -> Result<Place> {
    let disk = RealDisk::at(root);
    let entries = match disk.list(".") {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::Nowhere),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let error =
                Error::new(ErrorKind::NotThisJob, "cannot use as a job's directory").on(root).because("it is a file, or lies in one");
            return Err(error.advise("name a folder"));
        }
        Err(error) => return Err(Error::io("cannot look into", root, error)),
    };
    if entries.iter().any(|entry| entry.name == JOB_JSON) {
        return Ok(Place::Job);
    }
    let folders = || entries.iter().filter(|entry| !entry.is_file);
    if entries.is_empty() || folders().any(|entry| spec::is_job(&RealDisk::at(root.join(&entry.name))).unwrap_or(false)) {
        return Ok(Place::Farm);
    }
    match entries.iter().find(|entry| !DIRS.contains(&entry.name.as_str())) {
        None => Ok(Place::Nowhere),
        Some(other) => {
            let cause = format!("it holds other things (`{}`) and no job", other.name);
            let error = Error::new(ErrorKind::NotThisJob, "no job in").on(root).because(cause);
            Err(error.advise("a job is a folder with a job.json, a farm an empty folder or one with a job in it; check the path"))
        }
    }
}

/// Waits until there is a job or a farm at `root`; `say` is told once that it waits, and for what. What the first look meets is told whoever asked; later it may pass.
/// `None` when `is_over` says so.
pub fn wait_for(root: &Path, say: &mut dyn FnMut(&str), is_over: &dyn Fn() -> bool) -> Result<Option<Place>> {
    let mut waits = crate::disk::watch::Backoff::new(Duration::from_millis(50), Duration::from_millis(500), crate::here::chance());
    let (mut said, mut is_first) = (Said::default(), true);
    loop {
        let words = match place(root) {
            Ok(Place::Nowhere) => format!("there is no job in {} yet; waiting for it", root.display()),
            Ok(found) => return Ok(Some(found)),
            Err(error) if !is_first && error.may_pass() => format!("{error}; waiting, and trying again"),
            Err(error) => return Err(error),
        };
        is_first = false;
        if said.is_news(&words) {
            say(&words);
        }
        if is_over() {
            return Ok(None);
        }
        std::thread::sleep(waits.next_wait());
    }
}
