//! `flockwork slot`: one worker process, as the supervisor starts it. Not for people.

use std::path::PathBuf;
use std::process::ExitCode;

use super::trust::TrustArgs;
use crate::engine::AppEntry;
use crate::say::say;
use crate::worker::slot::{self, Patience, Voice};

#[derive(clap::Args)]
pub(super) struct Args {
    job: PathBuf,
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    quiet: bool,
    /// Wait where the disk refuses
    #[arg(long)]
    patient: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> ExitCode {
    let voice = if args.quiet { Voice::Quiet } else { Voice::Plain };
    let patience = if args.patient { Patience::Waits } else { Patience::Ends };
    let status = match args.trust.resolve() {
        Ok(trust) => slot::run(&args.job, args.parent, voice, patience, apps, &trust),
        Err(error) => {
            say!("flockwork: {error}");
            slot::STATUS_CANNOT
        }
    };
    // Not returned: threads that hang in a call must not keep the process.
    std::process::exit(status)
}
