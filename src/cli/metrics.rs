//! `flockwork metrics`: a job or a farm in Prometheus's text format.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::open::{Job, is_seen_as_farm};
use super::outfile;
use crate::error::Result;
use crate::eyes::{self, metrics, status};

#[derive(clap::Args)]
#[command(
    after_help = "For node_exporter's textfile collector: run it every minute, say, and write into the collector's folder a file that ends in .prom; it is put in place by one rename.\n\
                        Cost: as `flockwork status`. Of a farm every job is looked at.\n\
                        Exit: 0 written, also of a failed job; 1 not a job or farm, or it could not be read or written; 2 the command line is wrong.\n\
                        Example: flockwork metrics /mnt/share/farm -o /var/lib/prometheus/node-exporter/flockwork.prom"
)]
pub(super) struct Args {
    /// The directory of a job or of a farm
    #[arg(value_name = "JOB|FARM")]
    job: PathBuf,
    /// Write to this file, or with - to stdout [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string();
    let text = if is_seen_as_farm(&args.job)? {
        let status = eyes::farm::look(&args.job)?;
        metrics::of_farm(|job| full(&args.job.join(job)), &status)
    } else {
        let job = Job::open(&args.job)?;
        let status = status::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
        metrics::of_job(&full(&job.root), &status)
    };
    outfile::write_or_print("the metrics", args.output.as_deref(), &text)?;
    Ok(ExitCode::SUCCESS)
}
