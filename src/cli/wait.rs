//! `flockwork wait`: block until the job ends.
//!
//! It looks at a fresh listing of `phase/` when a watcher says so (local disks) and once a second anyway, and changes nothing. Where that is refused it says so once, and goes
//! on. A job directory that goes away, or is another job by the end, is an error. Progress is shown from a listing of all folders: every second on a terminal, every ten in plain lines, and after
//! ten times as long as it took; with `--quiet` never.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::open::Job;
use super::progress::Progress;
use super::run::{exit_of, on_signals, print_end};
use super::summary::words_of_end;
use crate::disk::Disk;
use crate::disk::rename::is_gone;
use crate::disk::watch::Watch;
use crate::error::said::Said;
use crate::error::{Error, ErrorKind, Result};
use crate::job::end::{self, End};
use crate::job::layout::PHASE;
use crate::job::snapshot::{Belief, Snapshot};
use crate::job::spec;
use crate::say::{self, say};
use crate::units::{parse_time, show_time};

/// Between two looks where no watcher tells.
const PERIOD: Duration = Duration::from_secs(1);
/// A look for progress is rested from so many times as long as it took.
const RESTS: u32 = 10;

#[derive(clap::Args)]
#[command(
    after_help = "Exit: 0 the job finished; 1 it failed, was cancelled or removed, or the time is up; 130 interrupted (the job goes on).\n\
                  Example: flockwork wait count && flockwork cat count"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Wait no longer than this
    #[arg(long, value_parser = parse_time, value_name = "TIME")]
    timeout: Option<Duration>,
    /// Say only what is wrong
    #[arg(short, long)]
    quiet: bool,
    /// Print how the job ended, as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    on_signals(|_| std::process::exit(i32::from(super::INTERRUPTED)))?;
    let root = &args.job;
    let deadline = args.timeout.and_then(|time| Instant::now().checked_add(time));
    let job = Job::open(root)?;
    let time = show_time(args.timeout.unwrap_or_default());
    let mut sight = Sight { job: &job, progress: None, quiet: args.quiet, due: Instant::now() };
    let mut said = Said::default();
    let ended = until_end(&*job.disk, root, deadline, &mut |trouble| match trouble {
        None => sight.look(),
        Some(error) if said.is_news(&error.to_string()) => say!("flockwork: {error}; waiting, and trying again"),
        Some(_) => {}
    });
    sight.end();
    let Some(end) = ended? else {
        let error = Error::new(ErrorKind::Failed, format!("waited {time} and there is no end yet of the job in")).on(root);
        return Err(error.advise("waiting changed nothing; `flockwork status` says how far it is"));
    };
    if !args.quiet || end.error.is_some() {
        say::text(&words_of_end(root, &end, None));
    }
    if args.json {
        print_end(&end)?;
    }
    Ok(exit_of(&end))
}

/// The end of the job, once it has one; `None` when the time is up. `meanwhile` is called between two looks, with the reason where the last one was refused.
pub(super) fn until_end(
    disk: &dyn Disk,
    root: &Path,
    deadline: Option<Instant>,
    meanwhile: &mut dyn FnMut(Option<&Error>),
) -> Result<Option<End>> {
    let id = spec::load(disk, root)?.id;
    let watch = Watch::local(root, &[PHASE]);
    let mut missing = 0;
    loop {
        match look(disk, root, &id, &mut missing) {
            Ok(Some(end)) => return Ok(Some(end)),
            Ok(None) => meanwhile(None),
            // What may pass is no end of the job.
            Err(error) if error.may_pass() => meanwhile(Some(&error)),
            Err(error) => return Err(error),
        }
        let left = deadline.map_or(PERIOD, |at| at.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            return Ok(None);
        }
        watch.wait(left.min(PERIOD));
    }
}

/// Looks whether the job has ended.
fn look(disk: &dyn Disk, root: &Path, id: &str, missing: &mut u32) -> Result<Option<End>> {
    let names = match disk.list(PHASE) {
        Ok(names) => names,
        Err(error) if is_gone(&error) => {
            // A directory that a server restart hides for a moment is not gone.
            *missing += 1;
            return if *missing > 2 { Err(vanished(root)) } else { Ok(None) };
        }
        Err(error) => return Err(Error::io("cannot list", root.join(PHASE), error)),
    };
    *missing = 0;
    if !names.iter().any(|entry| entry.name == "end") {
        return Ok(None);
    }
    // `retry` may have taken it back between the listing and the reading.
    let Some(end) = end::load(disk, root)? else { return Ok(None) };
    check_same(disk, root, id)?;
    Ok(Some(end))
}

/// What is shown meanwhile.
struct Sight<'a> {
    job: &'a Job,
    progress: Option<Progress>,
    quiet: bool,
    due: Instant,
}

impl Sight<'_> {
    fn look(&mut self) {
        let quiet = self.quiet;
        let progress = self.progress.get_or_insert_with(|| Progress::silent(quiet));
        let Some(period) = progress.period().filter(|_| Instant::now() >= self.due) else { return };
        let begun = Instant::now();
        // Not planned yet, or not to be read now: the next turn tells.
        if let Ok(Some(shape)) = self.job.shape()
            && let Ok(snapshot) = Snapshot::take(&*self.job.disk, shape, Belief::Glance)
        {
            progress.show(&snapshot);
        }
        self.due = begun + period.max(begun.elapsed() * RESTS);
    }

    fn end(&self) {
        self.progress.iter().for_each(Progress::clear);
    }
}

fn check_same(disk: &dyn Disk, root: &Path, id: &str) -> Result<()> {
    if spec::load(disk, root)?.id == id {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotThisJob, "while waiting, another job has taken the place of the one in").on(root))
}

fn vanished(root: &Path) -> Error {
    Error::new(ErrorKind::Vanished, "while waiting, the job went away from").on(root).advise("somebody removed its directory")
}
