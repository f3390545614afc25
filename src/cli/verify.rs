//! To be written.
use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::Result;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let _ = super::open::Job::open(&args.job)?;
    Ok(ExitCode::SUCCESS)
}
