//! `flockwork status`: one look at a job, or at a farm. It changes nothing there.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::{Job, is_seen_as_farm};
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::{self, status};
use crate::units::json_for_terminal;

#[derive(clap::Args)]
#[command(
    after_help = "Cost: one listing of each of the job's folders, and some 600 small files at most, whatever the number of tasks and workers; with --brief one small file.\n\
                        Exit: 0 whenever the job could be read, also if it failed.\n\
                        Example: watch -n 5 flockwork status count; flockwork status count --json | jq .percent"
)]
pub(super) struct Args {
    /// The directory of a job or of a farm
    #[arg(value_name = "JOB|FARM")]
    job: PathBuf,
    /// What the job's coordinator wrote last, in status.json: costs one small file, whatever the number of tasks
    #[arg(long)]
    brief: bool,
    /// One JSON object on stdout; its fields stay under `"version": 1`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if is_seen_as_farm(&args.job)? {
        if args.brief {
            let error = Error::new(ErrorKind::Usage, "--brief is of one job, and this is a farm:").on(&args.job);
            return Err(error.advise("name one of its jobs"));
        }
        let status = eyes::farm::look(&args.job)?;
        return show(args.json, &status, || status.text());
    }
    let job = Job::open(&args.job)?;
    if args.brief {
        let brief = eyes::brief::look(&*job.disk, &job.root)?;
        super::print(&if args.json { format!("{}\n", json_for_terminal(brief.json.trim_end())) } else { brief.text() })?;
        return Ok(ExitCode::SUCCESS);
    }
    let status = status::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
    show(args.json, &status, || status.text())
}

fn show(as_json: bool, status: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<ExitCode> {
    if as_json {
        let json = serde_json::to_string(status).expect("a status has string keys only");
        super::print(&format!("{}\n", json_for_terminal(&json)))?;
    } else {
        super::print(&text())?;
    }
    Ok(ExitCode::SUCCESS)
}
