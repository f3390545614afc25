//! Chains of jobs: one that was submitted `--after` others is planned when they have finished, and not before.
//!
//! What is decided is a pure function of how the others stand; a job that failed and is retried holds its followers no longer once it has finished.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{cwd, make, make_dir, output_dir};
use crate::disk::real::RealDisk;
use crate::disk::{Created, Disk, fresh};
use crate::engine::AppEntry;
use crate::engine::input;
use crate::error::{Error, ErrorKind, Result};
use crate::job::end::{self, Attempts, End, Outcome};
use crate::job::layout::{ATTEMPTS, OUTPUT, PHASE, PHASE_END};
use crate::job::spec::{self, Ask, Spec};
use crate::units::stamp_utc;

/// Whether a job may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// All before it have finished.
    Now,
    /// This one has not ended yet.
    Later(String),
    /// This one is there no more, or ended without a result: only a `retry` of it helps. In words.
    Blocked(String),
}

/// How a job that another waits for stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Unfinished,
    Ended(Outcome),
    Gone,
}

/// The first that is in the way counts, and what ended badly before what goes on.
fn start(before: &[(String, Before)]) -> Start {
    let blocked = before.iter().find_map(|(job, stands)| match stands {
        Before::Ended(Outcome::Finished) | Before::Unfinished => None,
        Before::Ended(Outcome::Failed) => Some(format!("{job} failed")),
        Before::Ended(Outcome::Cancelled) => Some(format!("{job} was cancelled")),
        Before::Gone => Some(format!("there is no job in {job}")),
    });
    let later = || before.iter().find(|(_, stands)| *stands == Before::Unfinished);
    match blocked {
        Some(words) => Start::Blocked(words),
        None => later().map_or(Start::Now, |(job, _)| Start::Later(job.clone())),
    }
}

/// Whether the job `ask` at `root` may begin. One that has begun, or ended, asks nobody any more: what it waited for may be removed, or submitted again.
pub fn may_start(root: &Path, ask: &Ask) -> Result<Start> {
    if ask.after.is_empty() || has_begun(root)? {
        return Ok(Start::Now);
    }
    let mut before = Vec::new();
    for stored in &ask.after {
        let job = root.join(stored);
        before.push((shown(root, stored), stands(&job)?));
    }
    Ok(start(&before))
}

fn has_begun(root: &Path) -> Result<bool> {
    let disk = RealDisk::at(root);
    let names = disk.list(PHASE).map_err(|error| Error::io("cannot look into", root.join(PHASE), error))?;
    Ok(names.iter().any(|entry| matches!(entry.name.as_str(), "map" | "end")))
}

/// The path of a job that is waited for, as short as it may be: `farm/clean` rather than `farm/count/../clean`.
fn shown(root: &Path, stored: &str) -> String {
    match (stored.strip_prefix("../"), root.parent()) {
        (Some(beside), Some(parent)) if !beside.starts_with("..") => parent.join(beside).display().to_string(),
        _ => root.join(stored).display().to_string(),
    }
}

fn stands(job: &Path) -> Result<Before> {
    let disk = RealDisk::at(job);
    let gone = |error: &std::io::Error| matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory);
    match disk.refresh(PHASE) {
        Err(error) if gone(&error) => return Ok(Before::Gone),
        Err(error) => return Err(Error::io("cannot look at the job that is waited for", job, error)),
        Ok(()) => {}
    }
    Ok(end::load(&disk, job)?.map_or(Before::Unfinished, |end| Before::Ended(end.outcome)))
}

/// Writes the job `ask` at `root`, to be planned when the jobs of `ask.after` (as typed) have finished; its inputs need not exist before.
pub fn submit_later(apps: &[AppEntry], root: &Path, ask: &Ask) -> Result<()> {
    let mut ask = with_stored_names(root, &super::with_reduces(&*make(apps, ask)?, ask))?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
    match super::holds(root)? {
        super::Holds::NoJobYet => {}
        super::Holds::Job => return super::check_same(root, &spec::load(&*disk, root)?, &ask),
        super::Holds::OtherThings(name) => return Err(super::refuse_other_things(root, &name)),
    }
    if ask.output != OUTPUT {
        // Inputs that are not there yet cannot be walked into: then nothing is known against the folder.
        ask.output = output_dir(Path::new(&ask.output), root, &ask.inputs)?;
    }
    let here = cwd()?;
    make_dir(root)?;
    make_dir(&root.join(&ask.output).join(ATTEMPTS))?;
    // How many tasks there will be nobody knows yet.
    ask.bundle = super::bundle(&ask, usize::MAX);
    let spec = Spec { format: ask.bundle.format(), id: crate::here::nonce(16), submitted: stamp_utc(), cwd: here, ask };
    let (written, created) = spec::submit(&*disk, root, &spec)?;
    match created {
        Created::Now => {
            super::announce(root);
            Ok(())
        }
        Created::Before => super::check_same(root, &written, &spec.ask),
    }
}

/// The same ask, with the jobs it waits for as `job.json` names them.
pub(super) fn with_stored_names(root: &Path, ask: &Ask) -> Result<Ask> {
    let after = ask.after.iter().map(|typed| stored(Path::new(typed), root)).collect::<Result<_>>()?;
    Ok(Ask { after, ..ask.clone() })
}

/// How `job.json` says where a job is that must finish first.
fn stored(job: &Path, root: &Path) -> Result<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
    if real(job) == real(root) {
        return Err(Error::new(ErrorKind::Usage, "a job cannot start after itself:").on(job).advise("name another one with --after"));
    }
    let _ = spec::load(&RealDisk::at(job), job)?;
    input::stored_path(&super::absolute(job)?, root)
}

/// Ends a job that has no plan and gets none: it was cancelled, or its inputs are not there now that its time has come.
pub fn end_unplanned(disk: &dyn Disk, root: &Path, by: &str, outcome: Outcome, error: &str) -> Result<End> {
    let end = End {
        outcome,
        at: stamp_utc(),
        by: by.to_owned(),
        error: Some(error.to_owned()),
        blames: Vec::new(),
        outputs: Vec::new(),
        skipped: Vec::new(),
        counters: crate::data::Counters::default(),
        attempts: Attempts::default(),
        busy_ms: 0,
    };
    let fail = |error| Error::io("cannot look at", root.join(PHASE_END), error);
    let retried = end::taken_back(disk).map_err(fail)?;
    if !fresh::is_there(disk, PHASE_END).map_err(fail)? {
        end::decide(disk, root, &end, &retried)?;
    }
    disk.refresh(PHASE).map_err(fail)?;
    let again =
        || Error::new(ErrorKind::Failed, "the job was retried just when it was to end:").on(root).advise("start the coordinator again");
    let end = end::load(disk, root)?.ok_or_else(again)?;
    end::name(disk, root, by)?;
    disk.announce(PHASE).map_err(fail)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_begins_when_all_before_it_have_finished_and_never_after_one_that_failed() {
        let job = |name: &str, stands| (name.to_owned(), stands);
        let finished = || job("a", Before::Ended(Outcome::Finished));
        assert_eq!(start(&[]), Start::Now);
        assert_eq!(start(&[finished()]), Start::Now);
        assert_eq!(start(&[finished(), job("b", Before::Unfinished)]), Start::Later("b".to_owned()));
        let cases = [
            (Before::Ended(Outcome::Failed), "c failed"),
            (Before::Ended(Outcome::Cancelled), "c was cancelled"),
            (Before::Gone, "there is no job in c"),
        ];
        for (stands, words) in cases {
            let all = [finished(), job("b", Before::Unfinished), job("c", stands)];
            assert_eq!(start(&all), Start::Blocked(words.to_owned()));
        }
    }

    #[test]
    fn a_job_that_is_waited_for_is_told_by_its_short_path() {
        assert_eq!(shown(Path::new("farm/count"), "../clean"), "farm/clean");
        assert_eq!(shown(Path::new("farm/count"), "../../clean"), "farm/count/../../clean");
        assert_eq!(shown(Path::new("farm/count"), "/mnt/clean"), "/mnt/clean");
    }
}
