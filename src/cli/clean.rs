//! `flockwork clean`: remove what an ended job no longer needs, or with `--all` the job.
//!
//! Without `--all`: the shuffle data and the output attempts go, outputs and task files stay, and `phase/cleaned` is created *first*, so that `verify` knows
//! that they are missing on purpose. With `--all` everything goes that bears a name of ours, `job.json` last, so that a clean which died half-way can be
//! run again. Symbolic links and foreign files are never followed or removed; they are named, and the directories they lie in stay.
//!
//! Problem: jobs may share a folder that `--output` names, as where one failed and another is to do better. What waits in its `.attempts`
//! bears no job's name, and a draft not even a worker's. Workaround: there only those attempts go whose workers are in this job's task folders,
//! for a worker's name is of one job; so they go before these. Drafts go, and with `--all` the empty `.attempts`, only where this job's outputs
//! lie: they are never replaced, so no other job is let in there any more, and none that was let in before can finish there. Else they stay.
//!
//! This is no part of the protocol: it uses the file system directly, for only one who cleans up needs to see names with a dot. Whether the job runs is
//! asked of locks; where they do not work, a job must have ended before all of it is removed.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::open::Job;
use super::sweep::{self, Swept};
use super::trust::TrustArgs;
use crate::disk::rename::is_gone;
use crate::disk::{Disk, Hold, Lock};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ClaimName, WorkerName};
use crate::job::end::{self, Outcome, OutputSum};
use crate::job::layout::{self, ATTEMPTS, COORDINATOR_LOCK, OUTPUT, PHASE, PHASE_CLEANED, SHUFFLE, State, WORKERS};
use crate::say::{self, say};
use crate::units::{on_one_line, show_size, stamp_utc};

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 removed; 1 the job runs, or something that is not flockwork's lies in it and stays.\n\
                        Example: flockwork clean count; flockwork clean --all --yes count")]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Remove the whole job with the outputs in it; those that --output has put elsewhere stay
    #[arg(long)]
    all: bool,
    /// Do not ask before removing the whole job; nobody is asked where stdin is no terminal
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open_to_act(&followed(&args.job)?, &args.trust)?;
    let root = job.root.display();
    let swept = if args.all {
        let _held = refuse_running(&job)?;
        if !args.yes && io::stdin().is_terminal() && !confirmed(&job.root)? {
            say!("flockwork: nothing was removed");
            return Ok(ExitCode::from(super::FAILED));
        }
        let swept = remove_all(&job)?;
        if job.spec.ask.output != OUTPUT {
            say!("flockwork: the outputs in {} stay", job.root.join(&job.spec.ask.output).display());
        }
        swept
    } else {
        remove_data(&job)?
    };
    if swept.spared > 0 {
        say!("flockwork: {} files in {} stay, for they may be another job's", swept.spared, attempts_dir(&job).display());
    }
    say!("flockwork: removed {} files, {}", swept.files, show_size(swept.bytes));
    if swept.left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for (path, why) in swept.left.iter().take(20) {
        say!("flockwork: left {}: {why}", on_one_line(&path.to_string_lossy()));
    }
    if swept.left.len() > 20 {
        say!("flockwork: and {} more in {root}", swept.left.len() - 20);
    }
    Ok(ExitCode::from(super::FAILED))
}

/// The folder itself, where the path is a link to one: followed once, so that what is checked is what is emptied. The link stays.
fn followed(typed: &Path) -> Result<PathBuf> {
    let typed: PathBuf = typed.components().collect();
    match typed.is_symlink() {
        true => typed.canonicalize().map_err(|error| Error::io("cannot follow the link", &typed, error)),
        false => Ok(typed),
    }
}

/// Removes the data that nobody needs after the end.
pub(super) fn remove_data(job: &Job) -> Result<Swept> {
    if !has_ended(job)? {
        let error = Error::new(ErrorKind::Failed, "cannot clean a job that has not ended:").on(&job.root);
        return Err(error.advise("wait for it or cancel it; `--all` removes a job that nobody works on"));
    }
    let text = format!("cleaned at {}\n", stamp_utc());
    let _ = super::control::create_saying(job, PHASE_CLEANED, &text)?;
    let mut swept = Swept::default();
    sweep::empty(&job.root.join(SHUFFLE), &|name| sweep::is_ours(SHUFFLE, name), &mut swept);
    empty_attempts(job, &mut swept);
    Ok(swept)
}

/// Like [`Job::has_ended`]; false where `phase/` is gone, as `--all` leaves it that dies before it has removed `job.json`.
fn has_ended(job: &Job) -> Result<bool> {
    match job.disk.refresh(PHASE) {
        Err(error) if is_gone(&error) => Ok(false),
        _ => job.has_ended(),
    }
}

/// Where the job's output attempts wait.
fn attempts_dir(job: &Job) -> PathBuf {
    job.root.join(layout::attempts_dir(&job.spec.ask.output))
}

/// Removes the output attempts that are the job's. True if no other job needs the folder they waited in.
fn empty_attempts(job: &Job, swept: &mut Swept) -> bool {
    let is_attempt = |name: &str| sweep::is_ours(ATTEMPTS, name);
    if job.spec.ask.output == OUTPUT {
        // A link in the place of our folder leads to somebody else's; another output directory was named by the user, link or not.
        let is_real = sweep::is_real_dir(&job.root.join(OUTPUT));
        if is_real {
            sweep::empty(&attempts_dir(job), &is_attempt, swept);
        }
        return is_real;
    }
    let (workers, has_published) = (workers(job, swept), has_published(job));
    let is_own = |name: &str| match name.parse::<ClaimName>() {
        Ok(claim) => workers.contains(&claim.worker),
        Err(_) => has_published && is_attempt(name),
    };
    sweep::empty_sparing(&attempts_dir(job), &is_own, &is_attempt, swept);
    has_published && swept.spared == 0
}

/// Whoever has had a task of the job's in hand.
fn workers(job: &Job, swept: &mut Swept) -> HashSet<WorkerName> {
    let mut workers = HashSet::new();
    for dir in State::FORWARD.map(State::dir) {
        match job.disk.list(dir) {
            Ok(entries) => workers.extend(entries.iter().filter_map(|entry| Some(entry.name.parse::<ClaimName>().ok()?.worker))),
            Err(error) if is_gone(&error) => {}
            Err(error) => swept.left.push((job.root.join(dir), error.to_string())),
        }
    }
    workers
}

/// True if the job has finished and its outputs lie where it was to put them.
fn has_published(job: &Job) -> bool {
    let output = job.root.join(&job.spec.ask.output);
    let is_there = |made: &OutputSum| output.join(&made.file).symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == made.len);
    let end = end::load(&*job.disk, &job.root).ok().flatten();
    end.is_some_and(|end| end.outcome == Outcome::Finished && !end.outputs.is_empty() && end.outputs.iter().all(is_there))
}

/// Removes everything that bears a name of ours, and the directory if nothing else is left.
pub(super) fn remove_all(job: &Job) -> Result<Swept> {
    let root = &job.root;
    let mut swept = Swept::default();
    if empty_attempts(job, &mut swept) {
        sweep::remove_dir(&attempts_dir(job), &mut swept);
    }
    for dir in layout::DIRS.iter().rev().copied().chain([layout::MARKERS, layout::LAUNCH]).filter(|dir| *dir != PHASE) {
        remove_folder(job, dir, &mut swept);
    }
    // Before `phase`: where locks do not work, what has a lock file and no end is refused, and this must not be when it is run again.
    sweep::empty(root, &|name| sweep::is_ours(".", name) && name != layout::JOB_JSON, &mut swept);
    // `phase` last: until then the job is still what it was, an ended one.
    remove_folder(job, PHASE, &mut swept);
    // Also where foreign files stay: a `job.json` without its phases would be a new job to the next coordinator.
    swept.left.retain(|(path, _)| *path != root.join(layout::JOB_JSON));
    sweep::remove_file(&root.join(layout::JOB_JSON), &mut swept);
    sweep::remove_dir(root, &mut swept);
    Ok(swept)
}

fn remove_folder(job: &Job, dir: &str, swept: &mut Swept) {
    let path = job.root.join(dir);
    sweep::empty(&path, &|name| sweep::is_ours(dir, name), swept);
    sweep::remove_dir(&path, swept);
}

/// Holds the coordinator's lock, so that none begins meanwhile; refuses where somebody is at work, as far as locks tell.
pub(super) fn refuse_running(job: &Job) -> Result<Option<Box<dyn Hold>>> {
    let disk = &*job.disk;
    let ended = has_ended(job)?;
    let refuse = |text: String| {
        let error = Error::new(ErrorKind::Failed, "cannot remove a job that runs:").on(&job.root).because(text);
        Err(error.advise("wait for its end, or `flockwork cancel` it"))
    };
    let held = match locked(disk, COORDINATOR_LOCK).map_err(|error| Error::io("cannot open", job.root.join(COORDINATOR_LOCK), error))? {
        Some((_, Lock::Refused)) => return refuse("a coordinator leads it".to_owned()),
        Some((_, Lock::Broken)) if !ended => {
            return refuse("it has not ended, and locks do not work here, so nobody can tell whether it is still worked on".to_owned());
        }
        Some((hold, _)) => Some(hold),
        None => None,
    };
    let workers = disk.list(WORKERS).unwrap_or_default();
    for entry in workers.iter().filter(|entry| entry.is_file && sweep::is_ours(WORKERS, &entry.name)) {
        if matches!(locked(disk, &format!("{WORKERS}/{}", entry.name)), Ok(Some((_, Lock::Refused)))) {
            return refuse(format!("worker {} works on it", entry.name));
        }
    }
    Ok(held)
}

fn locked(disk: &dyn Disk, path: &str) -> io::Result<Option<(Box<dyn Hold>, Lock)>> {
    match disk.open(path) {
        Ok(hold) => {
            let lock = hold.try_lock();
            Ok(Some((hold, lock)))
        }
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn confirmed(root: &Path) -> Result<bool> {
    say::text(&format!("flockwork: remove the whole job {} with its outputs? [y/N] ", root.display()));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Error::io("cannot read the answer from", "stdin", error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
