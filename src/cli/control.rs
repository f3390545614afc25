//! To be written.
use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;

#[derive(clap::Args)]
pub(super) struct PauseArgs {
    /// The job's directory
    job: PathBuf,
}
#[derive(clap::Args)]
pub(super) struct ResumeArgs {
    /// The job's directory
    job: PathBuf,
}
#[derive(clap::Args)]
pub(super) struct CancelArgs {
    /// The job's directory
    job: PathBuf,
}

pub(super) fn pause(args: &PauseArgs) -> Result<ExitCode> {
    let _ = super::open::Job::open(&args.job)?;
    Ok(ExitCode::SUCCESS)
}
pub(super) fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let _ = super::open::Job::open(&args.job)?;
    Ok(ExitCode::SUCCESS)
}
pub(super) fn cancel(args: &CancelArgs) -> Result<ExitCode> {
    let _ = super::open::Job::open(&args.job)?;
    Ok(ExitCode::SUCCESS)
}
