//! `flockwork coordinator`: the daemon that leads a job, or the jobs of a farm, to their end.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::board::Notice;
use super::run::{exit_of, on_signals, watch_for};
use super::summary::words_of_end;
use super::trust::TrustArgs;
use crate::coordinator::Coordinator;
use crate::coordinator::serve::{self, News};
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::engine::AppEntry;
use crate::error::said::Said;
use crate::error::{Error, ErrorKind, Result};
use crate::farm::hook::Hook;
use crate::farm::lead::{self, Lead, Led};
use crate::farm::survey::Survey;
use crate::farm::{self, Place};
use crate::here;
use crate::job::end::End;
use crate::job::layout::CANCEL;
use crate::job::log::Log;
use crate::job::spec::{self, Ask, Spec};
use crate::job::trust::Trust;
use crate::planner::Planned;
use crate::planner::after::{Start, may_start};
use crate::say::{self, say};
use crate::units::for_shell;

/// Between two looks at a job whose time has not come.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
#[command(
    after_help = "Any number may run: one leads, the others stand by and take over. In a farm (an empty folder, or one with a job in it) it stays, and leads every job there.\n\
                        Exit: 0 the job finished; 1 it failed or was cancelled; 130 interrupted (start it again at any time).\n\
                        In a farm: 0 told to leave, or drained and all jobs that were led finished; 1 drained, and one did not or could not be led.\n\
                        Example: flockwork coordinator /mnt/share/farm --hook './tell.sh' &"
)]
pub(super) struct Args {
    /// The directory of a job or of a farm
    #[arg(value_name = "JOB|FARM")]
    job: PathBuf,
    /// In a farm: leave when no job in it is unfinished that can be led
    #[arg(long)]
    drain: bool,
    /// Run this command, without a shell, when a job has ended; FLOCKWORK_JOB and FLOCKWORK_OUTCOME (finished, failed, cancelled) tell it which and how
    #[arg(long, value_parser = Hook::parse, value_name = "CMD")]
    hook: Option<Hook>,
    /// Say only what is wrong
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let trust = args.trust.resolve()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    on_signals(move |_| stopping.store(true, Relaxed))?;
    loop {
        match farm::wait_for(&args.job, &mut |words| say!("flockwork: {words}"), &|| stop.load(Relaxed))? {
            Some(Place::Job) => return lead_job(args, apps, &trust),
            Some(_) => {}
            None => return Ok(ExitCode::from(super::INTERRUPTED)),
        }
        if let Some(status) = lead_farm(args, apps, &trust)? {
            return Ok(status);
        }
    }
}

fn lead_job(args: &Args, apps: &[AppEntry], trust: &Trust) -> Result<ExitCode> {
    let root = &args.job;
    trust.check(root)?;
    let stop = Arc::new(AtomicBool::new(false));
    let watch = watch_for(root);
    let (stopping, waker) = (Arc::clone(&stop), watch.waker());
    on_signals(move |times| {
        stopping.store(true, Relaxed);
        waker.wake();
        if times > 1 {
            std::process::exit(i32::from(super::INTERRUPTED));
        }
    })?;
    let planned = match plan_in_time(apps, root, &stop)? {
        Some(Ok(planned)) => planned,
        Some(Err(end)) => return Ok(tell_end(args, &end)),
        None => return Ok(ExitCode::from(super::INTERRUPTED)),
    };
    trust.check_output(root, &planned.spec.ask.output)?;
    let mut notice = Notice::of(root, &planned.spec);
    let mut coordinator = make(root, planned);
    let mut teller = Teller { root, quiet: args.quiet, phase: None, said: Said::default() };
    let end = serve::serve(&mut coordinator, &watch, &stop, &mut |news| {
        notice.tell(&news);
        teller.tell(&news);
    })?;
    drop(notice);
    let Some(end) = end else { return Ok(ExitCode::from(super::INTERRUPTED)) };
    Ok(tell_end(args, &end))
}

fn tell_end(args: &Args, end: &End) -> ExitCode {
    if !args.quiet || end.error.is_some() {
        say::text(&words_of_end(&args.job, end, None));
    }
    if let Some(hook) = &args.hook {
        lead::run_hook(hook, &args.job, end);
    }
    exit_of(end)
}

/// Plans the job, if nobody did, once the jobs that it starts after have finished; `None` if told to leave before.
fn plan_in_time(apps: &[AppEntry], root: &Path, stop: &AtomicBool) -> Result<Option<Result<Planned, End>>> {
    let disk = RealDisk::at(root);
    let ask = spec::load(&disk, root)?.ask;
    let mut said = None;
    loop {
        let planned = what_it_waits_for(&disk, root, &ask).and_then(|waits| match waits {
            None => lead::plan(apps, root).map(ControlFlow::Break),
            Some(words) => Ok(ControlFlow::Continue(words)),
        });
        let words = match planned {
            Ok(ControlFlow::Break(planned)) => return Ok(Some(planned)),
            Ok(ControlFlow::Continue(words)) => format!("{} {words}", root.display()),
            // The first look tells whoever asked for it; later nobody is there, and it may pass.
            Err(error) if said.is_some() && error.may_pass() => format!("{error}; waiting, and trying again"),
            Err(error) => return Err(error),
        };
        if said.as_ref() != Some(&words) {
            say!("flockwork: coordinator: {words}");
            said = Some(words);
        }
        if stop.load(Relaxed) {
            return Ok(None);
        }
        std::thread::sleep(PATIENCE);
    }
}

/// `None`: for nothing more, or it was cancelled meanwhile.
fn what_it_waits_for(disk: &RealDisk, root: &Path, ask: &Ask) -> Result<Option<String>> {
    let words = match may_start(root, ask)? {
        Start::Now => return Ok(None),
        Start::Later(job) => format!("starts after {job}, which has not ended; waiting"),
        Start::Blocked(why) => format!("does not start, for {why}; waiting for somebody to help that one, or cancel this one"),
    };
    let names = disk.list(".").map_err(|error| Error::io("cannot look into the job", root, error))?;
    Ok((!names.iter().any(|entry| entry.name == CANCEL)).then_some(words))
}

/// `None`: it has become a job.
fn lead_farm(args: &Args, apps: &[AppEntry], trust: &Trust) -> Result<Option<ExitCode>> {
    let root = &args.job;
    let is_shared = trust.close_for_farm(root);
    let asker = trust.clone();
    let survey = Survey::new(root, Box::new(move |job| check(&asker, is_shared, job)));
    let lead = Lead::new(root, survey, apps, terms(args));
    let leash = lead.leash();
    on_signals(move |times| {
        leash.leave();
        if times > 1 {
            std::process::exit(i32::from(super::INTERRUPTED));
        }
    })?;
    if !args.quiet {
        say!("flockwork: coordinator: leading the jobs of the farm {}", root.display());
    }
    Ok(Some(match lead.run(&mut |words| say!("flockwork: coordinator: {words}")) {
        Led::Job => return Ok(None),
        Led::Gone => return Err(super::worker::gone(root)),
        Led::Told | Led::Drained { well: true } => ExitCode::SUCCESS,
        Led::Drained { well: false } => ExitCode::from(super::FAILED),
    }))
}

fn terms(args: &Args) -> lead::Terms {
    let watch = |root: &Path, spec: &Spec| -> lead::Witness {
        let mut notice = Notice::of(root, spec);
        Box::new(move |news| notice.tell(news))
    };
    lead::Terms { drain: args.drain, hook: args.hook.clone(), quiet: args.quiet, watch }
}

/// Whether this coordinator can lead a job of the farm. Its umask is one for all jobs.
fn check(trust: &Trust, is_farm_shared: bool, root: &Path) -> Result<Spec> {
    let is_shared = trust.examine(root)?.unwrap_or(is_farm_shared);
    let spec = spec::load(&RealDisk::at(root), root)?;
    trust.check_output(root, &spec.ask.output)?;
    if is_shared == is_farm_shared {
        return Ok(spec);
    }
    let (cause, advice) = match is_shared {
        true => (
            "a trusted group may write the job and not the farm's folder",
            "let the group write both (chmod g+ws), or lead the job by a coordinator of its own",
        ),
        false => (
            "a trusted group may write the farm's folder and not the job",
            "let the group write both (umask 002 when submitting), or lead the job by a coordinator of its own",
        ),
    };
    Err(Error::new(ErrorKind::NotTrusted, "cannot lead beside others the job in").on(root).because(cause).advise(advice))
}

/// A coordinator of a planned job.
pub(super) fn make(root: &Path, planned: Planned) -> Coordinator {
    let name = here::new_name();
    let log = Log::open(&*planned.disk, &name);
    Coordinator::new(planned.disk, root.to_owned(), name, planned.spec, planned.maps, log)
}

/// Plain lines, each thing once.
struct Teller<'a> {
    root: &'a Path,
    quiet: bool,
    phase: Option<&'static str>,
    said: Said,
}

impl Teller<'_> {
    fn tell(&mut self, news: &News<'_>) {
        match news {
            News::StandingBy => self.say("another coordinator leads this job; standing by"),
            News::Serving => self.say("leading the job"),
            News::NoWorker => {
                say!("flockwork: coordinator: no worker is alive; start one with `flockwork worker {}`", for_shell(self.root));
            }
            News::Trouble(error) => {
                let text = error.to_string();
                if self.said.is_news(&text) {
                    say!("flockwork: coordinator: {text}; waiting, and trying again");
                }
            }
            News::Seen(snapshot) => {
                let phase = if snapshot.phases.reduce { "reduce" } else { "map" };
                if self.phase != Some(phase) {
                    self.phase = Some(phase);
                    self.say(&format!("phase {phase}: {} map and {} reduce tasks", snapshot.maps.len(), snapshot.reduces.len()));
                }
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            say!("flockwork: coordinator: {text}");
        }
    }
}
