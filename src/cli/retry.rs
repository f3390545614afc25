//! `flockwork retry`: a failed or cancelled job gets another chance.
//!
//! How, says [`crate::job::retry`].

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use super::trust::TrustArgs;
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::error::Result;
use crate::say::say;
use crate::units::for_shell;

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
    say!(
        "flockwork: the job is open again; start `flockwork coordinator {root}` and `flockwork worker {root}`, or the same command as before with --job {root}"
    );
    Ok(ExitCode::SUCCESS)
}

/// Takes the end of a failed or cancelled job back.
pub(super) fn retry(job: &Job) -> Result<()> {
    crate::job::retry::retry(&*job.disk, &job.root)?;
    // Workers and coordinators of a farm look at ended jobs anew when its folder is touched; where it may not be, they come to this one by turns.
    let _ = RealDisk::at(job.root.join("..")).touch(".");
    Ok(())
}
