//! `flockwork worker`: work on a job with some slots.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use super::open;
use super::run::{cores, on_signals};
use super::trust::{self, TrustArgs};
use crate::app::Options;
use crate::each::orders::is_each;
use crate::engine::{self, AppEntry};
use crate::error::{Error, Result};
use crate::job::spec;
use crate::worker::slot::Voice;
use crate::worker::supervisor::{Leash, Outcome, Supervisor};

#[derive(clap::Args)]
#[command(
    after_help = "Waits for a job that does not exist yet, and ends with it. SIGTERM gives claims back, a second one leaves at once.\n\
                        Exit: 0 the job has ended or the worker was asked to leave; 1 the job cannot be worked on here.\n\
                        Example, on any machine of the mount: flockwork worker /mnt/share/count --slots 8"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Slots, one process each [default: the cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    slots: Option<u32>,
    /// Say only what is wrong
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let trust = args.trust.resolve()?;
    let leash: Arc<OnceLock<Leash>> = Arc::default();
    let hand = Arc::clone(&leash);
    on_signals(move |times| match hand.get() {
        Some(leash) if times == 1 => leash.leave(),
        Some(leash) => leash.kill(),
        // Still waiting for the job: nothing is held.
        None => std::process::exit(0),
    })?;
    let disk = open::wait_for_job(&args.job)?;
    // Refused here, once, rather than by each slot.
    trust.check(&args.job)?;
    let ask = spec::load(&*disk, &args.job)?.ask;
    trust.check_output(&args.job, &ask.output)?;
    if !is_each(&ask) {
        engine::make(apps, &ask.app, &Options(ask.options))?;
    }
    let voice = if args.quiet { Voice::Quiet } else { Voice::Plain };
    let supervisor = Supervisor::start(&args.job, args.slots.unwrap_or_else(cores), voice, trust::words(&trust));
    let _ = leash.set(supervisor.leash());
    Ok(match supervisor.wait()? {
        Outcome::Ended | Outcome::Left => ExitCode::SUCCESS,
        Outcome::Vanished => return Err(Error::vanished(&args.job)),
        Outcome::Cannot => ExitCode::from(super::FAILED),
    })
}
