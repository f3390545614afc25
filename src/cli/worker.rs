//! `flockwork worker`: work on a job, or on the jobs of a farm, with some slots.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::leave::{LeaveArgs, Reins};
use super::run::{cores, on_signals};
use super::trust::{self, TrustArgs};
use crate::app::Options;
use crate::disk::real::RealDisk;
use crate::engine::{self, AppEntry};
use crate::error::{Error, Result};
use crate::farm::crew::{self, Crew, Left};
use crate::farm::survey::Survey;
use crate::farm::{self, Place};
use crate::job::end;
use crate::job::plan::Plan;
use crate::job::spec::{self, Spec};
use crate::job::trust::Trust;
use crate::say::say;
use crate::worker::slot::{Patience, Voice, can_have_scratch};
use crate::worker::supervisor::{Outcome, Supervisor};

#[derive(clap::Args)]
#[command(
    after_help = "Waits for a job that does not exist yet, and ends with it. In a farm (an empty folder, or one with a job in it) it stays, and works on every job there.\n\
                  SIGTERM gives claims back, a second one leaves at once. It leaves a minute before a Slurm allocation ends (SLURM_JOB_END_TIME).\n\
                  Exit: 0 the job has ended, however it did, or the worker was to leave; 1 the job cannot be worked on here.\n\
                  Example, on any machine of the mount: flockwork worker /mnt/share/farm --slots 8 --idle 1h"
)]
pub(super) struct Args {
    /// The directory of a job or of a farm
    #[arg(value_name = "JOB|FARM")]
    job: PathBuf,
    /// Slots, one process each [default: the cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    slots: Option<u32>,
    #[command(flatten)]
    leave: LeaveArgs,
    /// Say only what is wrong
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let trust = args.trust.resolve()?;
    let reins = Reins::default();
    let hand = reins.clone();
    on_signals(move |_| hand.tell())?;
    reins.set_clock(args.leave.until);
    let started = Instant::now();
    let is_idle = || args.leave.idle.is_some_and(|idle| started.elapsed() >= idle);
    loop {
        let place = farm::wait_for(&args.job, &mut |words| say!("flockwork: {words}"), &is_idle)?;
        match place {
            None => return Ok(ExitCode::SUCCESS),
            Some(Place::Job) => return work_on_job(args, apps, &trust, &reins),
            Some(Place::Farm | Place::Nowhere) => {
                if let Some(status) = work_on_farm(args, apps, &trust, &reins)? {
                    return Ok(status);
                }
            }
        }
    }
}

fn voice(args: &Args) -> Voice {
    if args.quiet { Voice::Quiet } else { Voice::Plain }
}

fn work_on_job(args: &Args, apps: &[AppEntry], trust: &Trust, reins: &Reins) -> Result<ExitCode> {
    // Refused here, once, rather than by each slot.
    trust.check(&args.job)?;
    let disk = RealDisk::at(&args.job);
    let ask = spec::load(&disk, &args.job)?.ask;
    trust.check_output(&args.job, &ask.output)?;
    let is_of_commands = ask.is_of_commands();
    if !is_of_commands {
        engine::make(apps, &ask.app, &Options(ask.options))?;
    }
    let _ = Plan::map(&disk, &args.job)?;
    // (what cannot be read is the slots' to say)
    if let Ok(Some(end)) = end::load(&disk, &args.job) {
        if !args.quiet {
            say!("flockwork: the job in {} has ended: {}", args.job.display(), end.outcome.word());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if is_of_commands {
        can_have_scratch()?;
    }
    let slots = args.slots.unwrap_or_else(cores);
    let supervisor = Supervisor::start(&args.job, slots, voice(args), Patience::Ends, trust::words(trust));
    let leash = supervisor.leash();
    reins.hand_to(move |times| if times == 1 { leash.leave() } else { leash.kill() });
    if let Some(idle) = args.leave.idle {
        reins.watch_idle(&args.job, idle, supervisor.leash());
    }
    Ok(match supervisor.wait(&mut |words| say!("flockwork: {words}")) {
        Outcome::Ended | Outcome::Left => ExitCode::SUCCESS,
        Outcome::Vanished => return Err(Error::vanished(&args.job)),
        Outcome::Cannot => ExitCode::from(super::FAILED),
    })
}

/// `None`: it has become a job.
fn work_on_farm(args: &Args, apps: &[AppEntry], trust: &Trust, reins: &Reins) -> Result<Option<ExitCode>> {
    let quiet = args.quiet;
    let (known, asker) = (apps.to_vec(), trust.clone());
    let survey = Survey::new(&args.job, Box::new(move |root| check(&known, &asker, root)));
    let terms = crew::Terms {
        slots: args.slots.unwrap_or_else(cores),
        voice: Voice::Quiet,
        options: trust::words(trust),
        drain: args.leave.drain,
        idle: args.leave.idle,
    };
    let crew = Crew::new(&args.job, survey, terms);
    let leash = crew.leash();
    reins.hand_to(move |times| if times == 1 { leash.leave() } else { leash.kill() });
    if !quiet {
        say!("flockwork: worker: at work in the farm {}", args.job.display());
    }
    let left = crew.run(&mut |words| say!("flockwork: worker: {words}"));
    let why = match left {
        Left::Job => return Ok(None),
        Left::Gone => return Err(gone(&args.job)),
        Left::Told => "told to leave",
        Left::Drained => "no job that can be worked on here is unfinished",
        Left::Idle => "no task for as long as --idle says",
        Left::Retired => "every slot was retired: its file in workers/ was removed",
    };
    if !quiet {
        say!("flockwork: worker: {why}; left");
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// The error of a farm that is not there any more.
pub(super) fn gone(root: &Path) -> Error {
    Error::vanished(root).advise("the farm's folder was removed")
}

/// Whether this worker can serve a job; what takes long is left to its slots.
fn check(apps: &[AppEntry], trust: &Trust, root: &Path) -> Result<Spec> {
    trust.examine(root)?;
    let spec = spec::load(&RealDisk::at(root), root)?;
    trust.check_output(root, &spec.ask.output)?;
    if !spec.ask.is_of_commands() && !apps.iter().any(|entry| entry.name == spec.ask.app) {
        engine::make(apps, &spec.ask.app, &Options(spec.ask.options.clone()))?;
    }
    Ok(spec)
}
