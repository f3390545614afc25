//! `flockwork slot`: one worker process, as the supervisor starts it. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::engine::AppEntry;
use crate::worker::slot::{self, Voice};

#[derive(clap::Args)]
pub(super) struct Args {
    job: PathBuf,
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    quiet: bool,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> ExitCode {
    let voice = if args.quiet { Voice::Quiet } else { Voice::Plain };
    let status = slot::run(&args.job, args.parent, voice, apps);
    // Not returned: threads that hang in a call must not keep the process.
    std::process::exit(status)
}
