//! `flockwork run`: plan, coordinate and work here until the end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::ask::{self, AppArgs, JobArgs, RecordArgs};
use super::board::Notice;
use super::open;
use super::progress::Progress;
use super::summary::{words_of_end, words_of_ended};
use super::trust::{self, TrustArgs};
use crate::coordinator::serve::{self, News};
use crate::engine::AppEntry;
use crate::error::{Error, Result};
pub(super) use crate::farm::lead::watch_for;
use crate::here;
use crate::job::end::{self, End, Outcome as JobOutcome};
use crate::job::trust::Trust;
use crate::planner::Planned;
use crate::say::{self, say};
use crate::units::{for_shell, json_for_terminal};
use crate::worker::slot::{Patience, Voice};
use crate::worker::supervisor::Supervisor;

#[derive(clap::Args)]
#[command(after_help = "The same command with the same --job goes on where it stopped. Others may join with `flockwork worker JOB`.\n\
                        Exit: 0 the job finished; 1 it failed, was cancelled, or could not be planned; 2 the command line is wrong; 130 interrupted (the job stays).\n\
                        Example: flockwork run wc books/*.txt --job count && flockwork cat count | sort -k2nr | head")]
pub(super) struct Args {
    #[command(flatten)]
    app: AppArgs,
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    records: RecordArgs,
    #[command(flatten)]
    here: HereArgs,
}

pub(super) fn run(args: Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let started = Instant::now();
    let root = ask::job_dir(&args.app, &args.job)?;
    let trust = args.here.trust.resolve()?;
    let planned = open::submit(apps, &root, &ask::ask(&args.app, &args.job, &args.records), &trust)?;
    drive(&root, planned, &args.here, &trust, started)
}

/// How a planned job is led and worked on here: what `run`, `each` and `stream` share.
#[derive(clap::Args)]
pub(super) struct HereArgs {
    /// Slots to work with here, one process each [default: the cores]
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=4096), value_name = "N")]
    pub slots: Option<u32>,
    /// Say only what is wrong
    #[arg(short, long)]
    pub quiet: bool,
    /// Print how the job ended as JSON on stdout
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Leads a planned job and works on it until its end. The command was given when it `started`.
pub(super) fn drive(root: &Path, planned: Planned, how: &HereArgs, trust: &Trust, started: Instant) -> Result<ExitCode> {
    let before = end::load(&*planned.disk, root)?;
    let progress = begin(root, before.as_ref(), how.quiet);
    if planned.maps == 0 {
        progress.say("nothing was found to work on, neither a line nor an item: the outputs will be empty");
    }
    let slots = if before.is_some() { Some(0) } else { how.slots }.unwrap_or_else(cores);
    // They wait where the disk refuses, as the coordinator does that runs beside them.
    let supervisor = (slots > 0).then(|| Supervisor::start(root, slots, Voice::Quiet, Patience::Waits, trust::words(trust)));
    let leash = supervisor.as_ref().map(Supervisor::leash);
    let watch = watch_for(root);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopping, waker, hand) = (Arc::clone(&stop), watch.waker(), leash.clone());
    on_signals(move |times| {
        stopping.store(true, Relaxed);
        waker.wake();
        match &hand {
            Some(leash) if times == 1 => leash.leave(),
            Some(leash) => leash.kill(),
            None => {}
        }
        if times > 1 {
            std::process::exit(i32::from(super::INTERRUPTED));
        }
    })?;
    let mut notice = Notice::of(root, &planned.spec);
    let mut coordinator = super::coordinator::make(root, planned);
    let end = serve::serve(&mut coordinator, &watch, &stop, &mut |news| {
        if let Some(trouble) = supervisor.as_ref().and_then(Supervisor::trouble) {
            progress.trouble(&trouble);
        }
        notice.tell(&news);
        tell(&progress, root, &news);
    });
    drop(notice);
    if let Some(leash) = leash {
        leash.leave();
    }
    progress.clear();
    if let Some(supervisor) = supervisor {
        supervisor.wait(&mut |words| progress.trouble(words));
    }
    let Some(end) = end? else {
        say!(
            "flockwork: interrupted; the job stays in {}: the same command with --job {} goes on with it",
            root.display(),
            for_shell(root)
        );
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    if !how.quiet || end.error.is_some() {
        say::text(&words_of_end(root, &end, before.is_none().then(|| started.elapsed())));
    }
    if how.json {
        print_end(&end)?;
    }
    Ok(exit_of(&end))
}

/// Begins to show the job. That it had ended `before` is the first thing said: who asks for it gets the outputs of that time.
fn begin(root: &Path, before: Option<&End>, quiet: bool) -> Progress {
    let Some(end) = before else { return Progress::start(root, quiet) };
    let progress = Progress::silent(quiet);
    progress.say(&words_of_ended(root, end));
    progress
}

/// How the job ended, as one JSON object on stdout, whether anybody reads it or not.
pub(super) fn print_end(end: &End) -> Result<()> {
    let json = serde_json::to_string(end).expect("an end has string keys only");
    super::print_if_read(&format!("{}\n", json_for_terminal(&json)))
}

fn tell(progress: &Progress, root: &Path, news: &News<'_>) {
    match news {
        News::StandingBy => progress.say("another coordinator leads this job; its work is shared here"),
        News::Serving => {}
        News::Seen(snapshot) => progress.show(snapshot),
        News::NoWorker => progress.say(&format!("no worker is alive; start one with `flockwork worker {}`", for_shell(root))),
        News::Trouble(error) => progress.trouble(&format!("{error}; waiting, and trying again")),
    }
}

/// How many slots fit this machine (and this process's share of it).
pub(super) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}

/// Calls `act` with how many signals to end there have been, on each SIGINT, SIGTERM and, but under `nohup`, SIGHUP.
pub(super) fn on_signals(act: impl Fn(u32) + Send + 'static) -> Result<()> {
    let signals = signal_hook::iterator::Signals::new(here::signals_to_end());
    let mut signals = signals.map_err(|error| Error::io("cannot watch for signals in", "this process", error))?;
    std::thread::spawn(move || {
        for (_, times) in signals.forever().zip(1..) {
            act(times);
        }
    });
    Ok(())
}

/// The exit status of a job's end.
pub(super) fn exit_of(end: &End) -> ExitCode {
    match end.outcome {
        JobOutcome::Finished => ExitCode::SUCCESS,
        JobOutcome::Failed | JobOutcome::Cancelled => ExitCode::from(super::FAILED),
    }
}
