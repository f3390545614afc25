//! `flockwork submit`: write the job directory and print its path; run nothing.

use std::path::Path;
use std::process::ExitCode;

use super::ask::{self, AppArgs, JobArgs, RecordArgs};
use super::open;
use super::summary::words_of_ended;
use super::trust::TrustArgs;
use crate::disk::real::RealDisk;
use crate::engine::AppEntry;
use crate::error::{Error, ErrorKind, Result};
use crate::farm::{self, Place};
use crate::job::end;
use crate::job::spec::Ask;
use crate::job::trust::Trust;
use crate::say::say;

#[derive(clap::Args)]
#[command(after_help = "Exit: 0 written; 1 it could not be; 2 the command line is wrong.\n\
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

/// Refuses a job that nobody would serve: in a farm, one whose name is hidden or cannot be written down.
pub(super) fn check_served(root: &Path) -> Result<()> {
    let full = std::path::absolute(root).map_err(|error| Error::io("cannot resolve", root, error))?;
    let (Some(above), Some(name)) = (full.parent(), full.file_name()) else { return Ok(()) };
    let cause = match name.to_str() {
        None => "its name is not UTF-8",
        Some(name) if name.starts_with('.') => "its name begins with a dot",
        Some(_) => return Ok(()),
    };
    // In a folder of other things it is served by its own path.
    if !matches!(farm::place(above), Ok(Place::Farm | Place::Nowhere)) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Usage, "cannot submit a job that no worker of its farm would see, in").on(root).because(cause);
    Err(error.advise("choose another --job"))
}

/// Writes the job and prints its path; it starts after those of `after`.
pub(super) fn submit(apps: &[AppEntry], root: &Path, ask: Ask, after: &[String], trust: &Trust) -> Result<ExitCode> {
    check_served(root)?;
    if after.is_empty() {
        open::submit(apps, root, &ask, trust)?;
    } else {
        open::submit_later(apps, root, &Ask { after: after.to_vec(), ..ask }, trust)?;
    }
    tell_ended(root);
    super::print(&format!("{}\n", root.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says so where the job had ended before: submitted again, it is not begun again. What cannot be looked at is not told.
pub(super) fn tell_ended(root: &Path) {
    if let Ok(Some(end)) = end::load(&RealDisk::at(root), root) {
        say!("flockwork: {}", words_of_ended(root, &end));
    }
}
