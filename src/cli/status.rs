//! `flockwork status`: one look at a job. It changes nothing in it.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use crate::error::Result;
use crate::eyes::status;
use crate::units::json_for_terminal;

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 whenever the job could be read, also if it failed.\n\
                        Example: watch -n 5 flockwork status count; flockwork status count --json | jq .percent")]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// One JSON object on stdout; its fields stay under `"version": 1`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open(&args.job)?;
    let status = status::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
    if args.json {
        let json = serde_json::to_string(&status).expect("a status has string keys only");
        super::print(&format!("{}\n", json_for_terminal(&json)))?;
    } else {
        super::print(&status.text())?;
    }
    Ok(ExitCode::SUCCESS)
}
