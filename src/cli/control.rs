//! `flockwork pause`, `resume` and `cancel`: a file that is there, or not. `touch JOB/pause` and `rm JOB/pause` do the same.
//!
//! Each says in a sentence what will happen, and twice is as good as once. A job that has ended can be neither paused nor cancelled: nothing is
//! created then, and the exit status is 1.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use super::trust::TrustArgs;
use crate::disk::rename::is_gone;
use crate::disk::{Created, create};
use crate::error::{Error, ErrorKind, Result, is_no_room};
use crate::here;
use crate::job::layout::{CANCEL, PAUSE};
use crate::say::say;
use crate::units::{for_shell, stamp_utc};

#[derive(clap::Args)]
#[command(after_help = "What runs is finished first. The same as `touch JOB/pause`.\n\
                        Exit: 0 done; 1 the job has ended, or may not be acted on.\n\
                        Example: flockwork pause count")]
pub(super) struct PauseArgs {
    /// The job's directory
    job: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(clap::Args)]
#[command(after_help = "The same as `rm JOB/pause`.\n\
                        Exit: 0 done, or it was not paused; 1 it may not be acted on.\n\
                        Example: flockwork resume count")]
pub(super) struct ResumeArgs {
    /// The job's directory
    job: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

#[derive(clap::Args)]
#[command(after_help = "`flockwork retry JOB` lets a cancelled job go on. The same as `touch JOB/cancel`.\n\
                        Exit: 0 done; 1 the job has ended, or may not be acted on.\n\
                        Example: flockwork cancel count")]
pub(super) struct CancelArgs {
    /// The job's directory
    job: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn pause(args: &PauseArgs) -> Result<ExitCode> {
    say(&pause_job(&Job::open_to_act(&args.job, &args.trust)?)?)
}

pub(super) fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    say(&resume_job(&Job::open_to_act(&args.job, &args.trust)?)?)
}

pub(super) fn cancel(args: &CancelArgs) -> Result<ExitCode> {
    say(&cancel_job(&Job::open_to_act(&args.job, &args.trust)?)?)
}

fn say(sentence: &str) -> Result<ExitCode> {
    say!("flockwork: {sentence}");
    Ok(ExitCode::SUCCESS)
}

/// Creates `pause`; says what will happen.
pub(super) fn pause_job(job: &Job) -> Result<String> {
    let root = for_shell(&job.root);
    Ok(match control(job, PAUSE, "paused")? {
        Created::Now => {
            format!("paused: attempts that run are finished, no further one begins; `flockwork resume {root}` lets the job go on")
        }
        Created::Before => format!("the job is paused already; `flockwork resume {root}` lets it go on"),
    })
}

/// Removes `pause`; says what will happen.
pub(super) fn resume_job(job: &Job) -> Result<String> {
    // Removed without looking: an old "not there" in a cache must not keep it.
    match job.disk.remove(PAUSE) {
        Ok(()) if job.has_ended()? => Ok("`pause` is removed; the job had ended already".to_owned()),
        Ok(()) => Ok("resumed: workers that are there go on within a second or two".to_owned()),
        Err(error) if is_gone(&error) => Ok("the job is not paused".to_owned()),
        Err(error) => Err(Error::io("cannot remove", job.root.join(PAUSE), error)),
    }
}

/// Creates `cancel`; says what will happen.
pub(super) fn cancel_job(job: &Job) -> Result<String> {
    let root = for_shell(&job.root);
    Ok(match control(job, CANCEL, "cancelled")? {
        Created::Now => {
            format!("cancelled: the job's coordinator ends it now; where none runs, the next one does (`flockwork coordinator {root}`)")
        }
        Created::Before => {
            format!("the job is being cancelled already; where no coordinator runs, start one: `flockwork coordinator {root}`")
        }
    })
}

fn control(job: &Job, file: &str, word: &str) -> Result<Created> {
    if job.has_ended()? {
        let error = Error::new(ErrorKind::Failed, format!("the job has ended and cannot be {word}:")).on(&job.root);
        return Err(error.advise("`flockwork status` says how it ended"));
    }
    let text = format!("{word} by user {} on {} at {}\n", here::uid(), here::host(), stamp_utc());
    create_saying(job, file, &text)
}

/// Creates a file whose being there is all that counts, with a text for people. A full disk has room for a name: what frees it, or rests, must not wait for room.
pub(super) fn create_saying(job: &Job, file: &str, text: &str) -> Result<Created> {
    let created = match create::create_once(&*job.disk, file, text.as_bytes()) {
        Err(error) if is_no_room(&error) => create::create_once(&*job.disk, file, b""),
        created => created,
    };
    created.map_err(|error| Error::io("cannot create", job.root.join(file), error))
}
