//! `flockwork retry`: a failed or cancelled job gets another chance.
//!
//! `cancel` is removed, then `phase/failed` and after it `phase/end` get the first free number: `failed.1`, `end.1`. What was done stays done. The attempts that the
//! old end blames count no more: a coordinator reads their names from `phase/failed.N`. The order matters: whoever dies in between leaves a
//! job that is still ended, and running `retry` again completes it.
//!
//! `failed.N` is made by link and not by rename, and its inode says which end it is of: so evidence of an earlier end is never overwritten, whoever
//! retries at the same time. A coordinator that is just naming the old end may put `failed` back; so that name is looked for once more at the end.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use super::trust::TrustArgs;
use crate::disk::real::RealDisk;
use crate::disk::rename::{is_gone, rename};
use crate::disk::{Created, Disk, create, fresh};
use crate::error::{Error, ErrorKind, Result};
use crate::job::end::{self, Outcome};
use crate::job::layout::{CANCEL, PHASE, PHASE_CLEANED, PHASE_END, PHASE_FAILED};
use crate::units::for_shell;

/// Ends of one job that were retried: more is somebody's loop gone wild.
const RETRIES_MAX: u32 = 100_000;

#[derive(clap::Args)]
#[command(
    after_help = "What was done stays done. Needs a coordinator and workers again: `flockwork coordinator JOB`, `flockwork worker JOB`, \
                        or the same `flockwork run ... --job JOB` as before.\n\
                  Exit: 0 done; 1 the job has not failed, or may not be acted on.\n\
                  Example: flockwork retry count && flockwork run wc books/*.txt --job count"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open_to_act(&args.job, &args.trust)?;
    retry(&job)?;
    let root = for_shell(&args.job);
    eprintln!(
        "flockwork: the job is open again; start `flockwork coordinator {root}` and `flockwork worker {root}`, or the same command as before with --job {root}"
    );
    Ok(ExitCode::SUCCESS)
}

/// Takes the end of a failed or cancelled job back.
pub(super) fn retry(job: &Job) -> Result<()> {
    let disk = &*job.disk;
    let fail = |error| Error::io("cannot retry the job in", &job.root, error);
    if !fresh::is_there(disk, PHASE_END).map_err(fail)? {
        return match complete(disk).map_err(fail)? {
            Found::Rest => Ok(()),
            Found::Nothing => Err(refusal(job, "the job has not ended, so there is nothing to retry:")),
        };
    }
    match end::load(disk, &job.root)?.map(|end| end.outcome) {
        Some(Outcome::Finished) => return Err(refusal(job, "the job has finished, so there is nothing to retry:")),
        Some(Outcome::Failed | Outcome::Cancelled) | None => {}
    }
    for control in [CANCEL, PHASE_CLEANED] {
        remove_if_there(disk, control).map_err(fail)?;
    }
    let number = keep_evidence(disk).map_err(fail)?;
    remove_if_there(disk, PHASE_FAILED).map_err(fail)?;
    let _ = rename(disk, PHASE_END, &format!("{PHASE_END}.{number}")).map_err(fail)?;
    let _ = complete(disk).map_err(fail)?;
    // Workers and coordinators of a farm look at ended jobs anew when its folder is touched; where it may not be, they come to this one by turns.
    let _ = RealDisk::at(job.root.join("..")).touch(".");
    Ok(())
}

fn refusal(job: &Job, text: &'static str) -> Error {
    Error::new(ErrorKind::Failed, text).on(&job.root).advise("`flockwork status` says how far it is")
}

/// Links the end as the first free `failed.N`; one that is this end's already is taken, for a retry may have died after making it.
fn keep_evidence(disk: &dyn Disk) -> std::io::Result<u32> {
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
    Err(std::io::Error::other("it was retried too often"))
}

enum Found {
    Rest,
    Nothing,
}

/// Takes away a `failed` that is the second name of an end already taken back.
fn complete(disk: &dyn Disk) -> std::io::Result<Found> {
    let names = fresh::list_surely(disk, PHASE)?;
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

fn remove_if_there(disk: &dyn Disk, path: &str) -> std::io::Result<()> {
    match disk.remove(path) {
        Err(error) if !is_gone(&error) => Err(error),
        _ => Ok(()),
    }
}
