//! `flockwork trace`: a job's attempts in Chrome's trace format.

use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use super::outfile;
use crate::error::Result;
use crate::eyes::history::History;
use crate::eyes::trace;
use crate::units::json_for_terminal;

#[derive(clap::Args)]
#[command(after_help = "Open it in https://ui.perfetto.dev (which reads it in the browser and sends it nowhere) or chrome://tracing.\n\
                        Cost: as `flockwork report`; some 400 bytes an attempt.\n\
                        Exit: 0 written; 1 not a job, or it could not be read or written; 2 the command line is wrong.\n\
                        Example: flockwork trace count -o count.json")]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Write to this file, or with - to stdout [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open(&args.job)?;
    let history = History::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
    let json = trace::json(&job.root.display().to_string(), &job.spec, &history);
    outfile::write_or_print("the trace", args.output.as_deref(), &json_for_terminal(&json))?;
    Ok(ExitCode::SUCCESS)
}
