//! `flockwork report`: a job as one page of HTML.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::open::Job;
use super::outfile;
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::report::Report;
use crate::units::json_for_terminal;

#[derive(clap::Args)]
#[command(
    after_help = "The page needs nothing else: send it, open it, print it. It may be made at any time, of a running job too, and changes nothing in the job.\n\
                  Cost: one listing, the event logs, and at most 20,000 task files; of larger jobs those are a sample, and the page says so.\n\
                  Exit: 0 written; 1 not a job, or it could not be read or written; 2 the command line is wrong.\n\
                  Example: flockwork report count -o count.html"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Write to this file, or with - to stdout [default: NAME-report.html in this folder, NAME being the job's]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object with the same numbers, to stdout unless -o is given; its fields stay under `"version": 1`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open(&args.job)?;
    let report = Report::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
    if args.json {
        let json = serde_json::to_string(&report.digest).expect("a digest has string keys only");
        outfile::write_or_print("the numbers", args.output.as_deref(), &format!("{}\n", json_for_terminal(&json)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let page = report.html();
    match &args.output {
        Some(path) => outfile::write_or_print("the report", Some(path), &page)?,
        None => {
            let path = default_name(&job.root)?;
            outfile::write_or_print("the report", Some(&path), &page)?;
            super::print(&format!("{}\n", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Beside whoever asked: the job may be another's, and its folder is for flockwork's names.
fn default_name(root: &Path) -> Result<PathBuf> {
    let full = root.canonicalize().map_err(|error| Error::io("cannot resolve", root, error))?;
    let name =
        full.file_name().ok_or_else(|| Error::new(ErrorKind::Usage, "cannot name a report after").on(root).advise("name it with -o"))?;
    Ok(PathBuf::from(format!("{}-report.html", name.to_string_lossy())))
}
