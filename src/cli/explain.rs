//! `flockwork explain`: the story of a task, or why a job moves or does not. It changes nothing there.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::{Job, is_seen_as_farm, refuse_farm};
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::explain;
use crate::units::json_for_terminal;

#[derive(clap::Args)]
#[command(
    after_help = "TASK is map-00042, map-42, reduce-3, mr-out-00003, an attempt (map-42.a2), the name of a file in the job's folders, or of `each` an item's number.\n\
                  No file is opened that may still move. Cost: that of `status`, and the files of the one task.\n\
                  Exit: 0 whenever the job could be read, also if it failed; 1 no such job; 2 no such task.\n\
                  Examples: flockwork explain count\n  flockwork explain count map-42"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// The task, by any of its names; without one, the job
    task: Option<String>,
    /// One JSON object on stdout; its fields stay under `"version": 1`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    if is_seen_as_farm(&args.job)? {
        return Err(refuse_farm(&args.job));
    }
    let job = Job::open(&args.job)?;
    let shape = job.shape()?;
    let Some(typed) = &args.task else {
        let story = explain::job::look(&*job.disk, &job.root, &job.spec, shape)?;
        return show(args.json, &story, || story.text());
    };
    let Some(shape) = shape else {
        let error = Error::new(ErrorKind::Failed, format!("no task `{typed}`, for the job is not planned yet:")).on(&job.root);
        return Err(error.advise("`flockwork explain JOB` says what it waits for"));
    };
    let (task, attempt) = explain::names::parse(typed, shape, job.spec.ask.is_of_commands())?;
    let story = explain::task(&*job.disk, &job.root, &job.spec, shape, task, attempt)?;
    if attempt.is_some() && story.attempts.is_empty() {
        let error = Error::new(ErrorKind::Usage, format!("{task} has no attempt `{typed}`"));
        return Err(error.advise(format!("`flockwork explain JOB {task}` tells of those that it has")));
    }
    show(args.json, &story, || story.text())
}

fn show(as_json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<ExitCode> {
    if as_json {
        let json = serde_json::to_string(value).expect("a story has string keys only");
        super::print(&format!("{}\n", json_for_terminal(&json)))?;
    } else {
        super::print(&text())?;
    }
    Ok(ExitCode::SUCCESS)
}
