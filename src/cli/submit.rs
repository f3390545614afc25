//! `flockwork submit`: write the job directory and print its path; run nothing.

use std::path::Path;
use std::process::ExitCode;

use super::ask::{self, AppArgs, JobArgs, RecordArgs};
use super::open;
use super::trust::TrustArgs;
use crate::engine::AppEntry;
use crate::error::Result;
use crate::job::spec::Ask;
use crate::job::trust::Trust;

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 planned; 1 it could not be; 2 the command line is wrong.\n\
                        Example: flockwork coordinator $(flockwork submit wc books/*.txt --job /mnt/share/count)")]
pub(super) struct Args {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    job: JobArgs,
    /// Start only when this job has finished; may be given again. The inputs need not exist before that
    #[arg(long, value_name = "JOB")]
    after: Vec<String>,
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let root = ask::job_dir(&args.app, &args.job)?;
    let trust = args.trust.resolve()?;
    submit(apps, &root, ask::ask(&args.app, &args.job, &args.records), &args.after, &trust)
}

/// Writes the job and prints its path; it starts after those of `after`.
pub(super) fn submit(apps: &[AppEntry], root: &Path, ask: Ask, after: &[String], trust: &Trust) -> Result<ExitCode> {
    if after.is_empty() {
        open::submit(apps, root, &ask, trust)?;
    } else {
        open::submit_later(apps, root, &Ask { after: after.to_vec(), ..ask }, trust)?;
    }
    super::print(&format!("{}\n", root.display()))?;
    Ok(ExitCode::SUCCESS)
}
