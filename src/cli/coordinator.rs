//! `flockwork coordinator`: the daemon that leads a job to its end.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::open;
use super::run::{exit_of, on_signals, watch_for, words_of_end};
use super::trust::TrustArgs;
use crate::coordinator::Coordinator;
use crate::coordinator::serve::{self, News};
use crate::engine::AppEntry;
use crate::error::Result;
use crate::here;
use crate::job::log::Log;
use crate::planner::{self, Planned};
use crate::units::for_shell;

#[derive(clap::Args)]
#[command(after_help = "Any number may run: one leads, the others stand by and take over.\n\
                        Exit: 0 the job finished; 1 it failed or was cancelled; 130 interrupted (start it again at any time).\n\
                        Example: flockwork coordinator /mnt/share/count --quiet &")]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Say only what is wrong
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let root = &args.job;
    let trust = args.trust.resolve()?;
    open::wait_for_job(root)?;
    trust.check(root)?;
    let planned = planner::open(apps, root)?;
    trust.check_output(root, &planned.spec.ask.output)?;
    let watch = watch_for(root);
    let stop = Arc::new(AtomicBool::new(false));
    let (stopping, waker) = (Arc::clone(&stop), watch.waker());
    on_signals(move |times| {
        stopping.store(true, Relaxed);
        waker.wake();
        if times > 1 {
            std::process::exit(i32::from(super::INTERRUPTED));
        }
    })?;
    let mut coordinator = make(root, planned);
    let mut teller = Teller { root, quiet: args.quiet, phase: None, troubles: None };
    let end = serve::serve(&mut coordinator, &watch, &stop, &mut |news| teller.tell(&news))?;
    let Some(end) = end else { return Ok(ExitCode::from(super::INTERRUPTED)) };
    if !args.quiet || end.error.is_some() {
        eprint!("{}", words_of_end(root, &end, None));
    }
    Ok(exit_of(&end))
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
    troubles: Option<String>,
}

impl Teller<'_> {
    fn tell(&mut self, news: &News<'_>) {
        match news {
            News::StandingBy => self.say("another coordinator leads this job; standing by"),
            News::Serving => self.say("leading the job"),
            News::NoWorker => {
                eprintln!("flockwork: coordinator: no worker is alive; start one with `flockwork worker {}`", for_shell(self.root));
            }
            News::Trouble(error) => {
                let text = error.to_string();
                if self.troubles.as_ref() != Some(&text) {
                    eprintln!("flockwork: coordinator: {text}; waiting, and trying again");
                    self.troubles = Some(text);
                }
            }
            News::Seen(snapshot) => {
                self.troubles = None;
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
            eprintln!("flockwork: coordinator: {text}");
        }
    }
}
