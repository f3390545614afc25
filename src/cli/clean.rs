//! `flockwork clean`: remove what an ended job no longer needs, or with `--all` the job.
//!
//! Without `--all`: the shuffle data and the output attempts go, outputs and task files stay, and `phase/cleaned` is created *first*, so that `verify` knows
//! that they are missing on purpose. With `--all` everything goes that bears a name of ours, `job.json` last, so that a clean which died half-way can be
//! run again. Symbolic links and foreign files are never followed or removed; they are named, and the directories they lie in stay.
//!
//! This is no part of the protocol: it uses the file system directly, for only one who cleans up needs to see names with a dot. Whether the job runs is
//! asked of locks; where they do not work, a job must have ended before all of it is removed.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::open::Job;
use super::sweep::{self, Swept};
use super::trust::TrustArgs;
use crate::disk::rename::is_gone;
use crate::disk::{Disk, Hold, Lock};
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::{self, ATTEMPTS, COORDINATOR_LOCK, OUTPUT, PHASE_CLEANED, SHUFFLE, WORKERS};
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
    if !job.has_ended()? {
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

fn empty_attempts(job: &Job, swept: &mut Swept) {
    let output = job.root.join(&job.spec.ask.output);
    // A link in the place of our folder leads to somebody else's; another output directory was named by the user, link or not.
    if job.spec.ask.output == OUTPUT && !sweep::is_real_dir(&output) {
        return;
    }
    sweep::empty(&output.join(ATTEMPTS), &|name| sweep::is_ours(ATTEMPTS, name), swept);
}

/// Removes everything that bears a name of ours, and the directory if nothing else is left.
pub(super) fn remove_all(job: &Job) -> Result<Swept> {
    let root = &job.root;
    let mut swept = Swept::default();
    empty_attempts(job, &mut swept);
    let output = root.join(&job.spec.ask.output);
    if job.spec.ask.output != OUTPUT || sweep::is_real_dir(&output) {
        sweep::remove_dir(&output.join(ATTEMPTS), &mut swept);
    }
    // `phase` last: until then the job is still what it was, an ended one.
    for dir in layout::DIRS.iter().rev().copied().chain([layout::MARKERS]).filter(|dir| *dir != layout::PHASE).chain([layout::PHASE]) {
        let path = root.join(dir);
        sweep::empty(&path, &|name| sweep::is_ours(dir, name), &mut swept);
        sweep::remove_dir(&path, &mut swept);
    }
    sweep::empty(root, &|name| sweep::is_ours(".", name) && name != layout::JOB_JSON, &mut swept);
    // Also where foreign files stay: a `job.json` without its phases would be a new job to the next coordinator.
    swept.left.retain(|(path, _)| *path != root.join(layout::JOB_JSON));
    sweep::remove_file(&root.join(layout::JOB_JSON), &mut swept);
    sweep::remove_dir(root, &mut swept);
    Ok(swept)
}

/// Holds the coordinator's lock, so that none begins meanwhile; refuses where somebody is at work, as far as locks tell.
pub(super) fn refuse_running(job: &Job) -> Result<Option<Box<dyn Hold>>> {
    let disk = &*job.disk;
    let ended = job.has_ended()?;
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
