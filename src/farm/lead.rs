//! The coordinator of a farm: one of each unfinished job, each in a thread of its own, so that a job in trouble holds up no other.
//!
//! What is done for a job is what `flockwork coordinator JOB` does. A job that starts after others is planned here, when its time has come; where its inputs are
//! missing then, it fails. What makes a job unreadable or untrusted is said once. Cost: two threads per unfinished job, and its coordinator's looks (about once a second while nothing
//! happens).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::hook::Hook;
use super::survey::{Found, Survey};
use crate::coordinator::Coordinator;
use crate::coordinator::serve::{self, News};
use crate::disk::real::RealDisk;
use crate::disk::watch::{Waker, Watch, Woken};
use crate::disk::{Disk, fresh};
use crate::engine::AppEntry;
use crate::error::said::Said;
use crate::error::{Error, ErrorKind, Result};
use crate::here;
use crate::job::end::{End, Outcome};
use crate::job::layout::{CANCEL, PHASE, PHASE_END, State, WORKERS};
use crate::job::log::Log;
use crate::job::spec::Spec;
use crate::planner::after::{Start, end_unplanned, may_start};
use crate::planner::{self, Planned};
use crate::say::say;
use crate::units::{for_terminal, plural};

/// The farm's folder is looked at so often, and sooner where a watcher says that something has come.
const LOOK: Duration = Duration::from_secs(1);
/// Of so many jobs at once the folders are watched; of more, looked at: a user has 128 watchers.
const WATCHED: usize = 24;
/// What keeps a job from being planned and passes by itself, or is this machine's own.
const PASSING: [Errno; 8] = [Errno::IO, Errno::STALE, Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::AGAIN, Errno::TIMEDOUT, Errno::BUSY];

/// How a farm is led.
pub struct Terms {
    /// Leave when no job in the farm is unfinished that can be led.
    pub drain: bool,
    /// Run when a job has ended.
    pub hook: Option<Hook>,
    /// Say only what is wrong.
    pub quiet: bool,
    /// Makes the witness of a job that is to be led.
    pub watch: fn(&Path, &Spec) -> Witness,
}

/// Is told what a job's coordinator tells, and is dropped when that has ended. It has no say.
pub type Witness = Box<dyn FnMut(&News<'_>)>;

/// How leading a farm came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Led {
    /// It was told to leave.
    Told,
    /// No job that can be led is unfinished; whether all that were led have finished well, and none was left out.
    Drained {
        /// True if so.
        well: bool,
    },
    /// The farm has become a job.
    Job,
    /// The farm is not there any more.
    Gone,
}

/// How a job's thread came to its end.
enum Report {
    Ended(Box<End>),
    Stopped,
    Failed(Error),
}

/// What the threads share.
struct Shared {
    apps: Vec<AppEntry>,
    stop: AtomicBool,
    /// Of the threads that lead, by their job's name.
    wakers: Mutex<BTreeMap<String, Waker>>,
    hook: Option<Hook>,
    watch: fn(&Path, &Spec) -> Witness,
}

impl Shared {
    fn wakers(&self) -> MutexGuard<'_, BTreeMap<String, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the lead from another thread.
#[derive(Clone)]
pub struct Leash(Arc<Shared>, Waker);

impl Leash {
    /// Every job is left as it is; another coordinator goes on.
    pub fn leave(&self) {
        self.0.stop.store(true, Relaxed);
        self.0.wakers().values().for_each(Waker::wake);
        self.1.wake();
    }
}

/// The coordinator of a farm.
pub struct Lead {
    survey: Survey,
    terms: Terms,
    shared: Arc<Shared>,
    led: BTreeMap<String, std::thread::JoinHandle<()>>,
    reports: Receiver<(String, Report)>,
    report: Sender<(String, Report)>,
    watch: Watch,
    well: bool,
    blocked: usize,
    trouble: Option<String>,
}

impl Lead {
    /// A coordinator of the farm at `root`, which the survey looks at.
    pub fn new(root: &Path, survey: Survey, apps: &[AppEntry], mut terms: Terms) -> Lead {
        let (report, reports) = channel();
        let shared = Shared {
            apps: apps.to_vec(),
            stop: AtomicBool::new(false),
            wakers: Mutex::default(),
            hook: terms.hook.take(),
            watch: terms.watch,
        };
        Lead {
            survey,
            terms,
            shared: Arc::new(shared),
            led: BTreeMap::new(),
            reports,
            report,
            watch: Watch::local(root, &["."]),
            well: true,
            blocked: 0,
            trouble: None,
        }
    }

    /// To end it with.
    pub fn leash(&self) -> Leash {
        Leash(Arc::clone(&self.shared), self.watch.waker())
    }

    /// Leads until it is to leave; `say` is told what people should know.
    pub fn run(mut self, say: &mut dyn FnMut(&str)) -> Led {
        let led = loop {
            self.collect(say);
            if self.shared.stop.load(Relaxed) {
                break Led::Told;
            }
            match self.survey.look() {
                Ok(Found::Farm) => {
                    self.trouble = None;
                    self.begin();
                }
                Ok(Found::Job) => break Led::Job,
                Ok(Found::Gone) => break Led::Gone,
                Err(error) => self.tell_trouble(&error, say),
            }
            self.survey.news().iter().for_each(|words| say(words));
            if self.terms.drain && self.trouble.is_none() && self.led.is_empty() && self.survey.jobs().count() == self.blocked {
                break Led::Drained { well: self.well && self.survey.refused() == 0 && self.blocked == 0 };
            }
            if self.watch.wait(LOOK) == Woken::Event {
                // Many may come at once.
                std::thread::sleep(LOOK / 10);
            }
        };
        self.leash().leave();
        for (_, thread) in std::mem::take(&mut self.led) {
            let _ = thread.join();
        }
        led
    }

    fn tell_trouble(&mut self, error: &Error, say: &mut dyn FnMut(&str)) {
        let words = format!("{error}; waiting, and trying again");
        if self.trouble.as_ref() != Some(&words) {
            say(&words);
            self.trouble = Some(words);
        }
    }

    fn collect(&mut self, say: &mut dyn FnMut(&str)) {
        while let Ok((name, report)) = self.reports.try_recv() {
            if let Some(thread) = self.led.remove(&name) {
                let _ = thread.join();
            }
            match report {
                Report::Ended(end) => {
                    self.well &= end.outcome == Outcome::Finished;
                    self.survey.has_ended(&name);
                    if !self.terms.quiet || end.outcome == Outcome::Failed {
                        say(&format!("{name}: {}", words_of(&end)));
                    }
                }
                Report::Stopped => {}
                Report::Failed(error) if error.kind() == ErrorKind::Vanished => self.survey.forget(&name),
                Report::Failed(error) => {
                    self.well = false;
                    self.survey.refuse(&name, &error.to_string());
                }
            }
        }
        // A thread that came to its end without a word has panicked.
        let silent: Vec<String> = self.led.iter().filter(|(_, thread)| thread.is_finished()).map(|(name, _)| name.clone()).collect();
        for name in silent {
            if let Ok((name, report)) = self.reports.try_recv() {
                let _ = self.report.send((name, report));
                continue;
            }
            self.led.remove(&name);
            self.well = false;
            self.survey.refuse(&name, "its coordinator panicked; it is tried again later");
        }
    }

    /// Begins to lead what is not led yet.
    fn begin(&mut self) {
        let new: Vec<(String, PathBuf)> = self
            .survey
            .jobs()
            .filter(|(name, _)| !self.led.contains_key(*name))
            .map(|(name, open)| (name.to_owned(), open.root.clone()))
            .collect();
        self.blocked = 0;
        for (name, root) in new {
            match self.is_time(&name, &root) {
                Ok(Start::Now) => self.lead(&name, root),
                Ok(Start::Later(_)) => {}
                Ok(Start::Blocked(why)) => {
                    self.blocked += 1;
                    let words =
                        format!("it does not start, for {why}; `flockwork retry` of that one, or `flockwork cancel` of this one, helps");
                    self.survey.say_once(&name, &words);
                }
                Err(error) => self.survey.refuse(&name, &error.to_string()),
            }
        }
    }

    /// A job that starts after others and was cancelled meanwhile is ended at once.
    fn is_time(&self, name: &str, root: &Path) -> Result<Start> {
        let Some(open) = self.survey.job(name).filter(|open| !open.spec.ask.after.is_empty()) else { return Ok(Start::Now) };
        let names = open.disk.list(".").map_err(|error| Error::io("cannot look into the job", root, error))?;
        if names.iter().any(|entry| entry.name == CANCEL) {
            return Ok(Start::Now);
        }
        may_start(root, &open.spec.ask)
    }

    fn lead(&mut self, name: &str, root: PathBuf) {
        let is_watched = self.led.len() < WATCHED;
        let (shared, report, waker, own) = (Arc::clone(&self.shared), self.report.clone(), self.watch.waker(), name.to_owned());
        let led = std::thread::Builder::new().spawn(move || {
            let outcome = serve_job(&shared, &own, &root, is_watched);
            shared.wakers().remove(&own);
            let _ = report.send((own, outcome.unwrap_or_else(Report::Failed)));
            waker.wake();
        });
        match led {
            Ok(thread) => _ = self.led.insert(name.to_owned(), thread),
            Err(error) => self.survey.refuse(name, &format!("cannot start a thread to lead it: {error}")),
        }
    }
}

fn words_of(end: &End) -> String {
    match end.outcome {
        Outcome::Finished if end.outputs.is_empty() => format!("finished: {}", plural(end.attempts.done, "task")),
        Outcome::Finished => format!("finished: {}", plural(end.outputs.len() as u64, "output file")),
        Outcome::Failed => format!("failed: {}", for_terminal(end.error.as_deref().unwrap_or("no reason is written down"))),
        Outcome::Cancelled => "was cancelled".to_owned(),
    }
}

/// Leads one job to its end.
fn serve_job(shared: &Shared, name: &str, root: &Path, is_watched: bool) -> Result<Report> {
    let planned = match plan(&shared.apps, root)? {
        Ok(planned) => planned,
        Err(end) => return Ok(ended(shared, root, end)),
    };
    let watch = if is_watched { watch_for(root) } else { Watch::polling() };
    shared.wakers().insert(name.to_owned(), watch.waker());
    let name = here::new_name();
    let log = Log::open(&*planned.disk, &name);
    let mut witness = (shared.watch)(root, &planned.spec);
    let mut coordinator = Coordinator::new(planned.disk, root.to_owned(), name, planned.spec, planned.maps, log);
    let mut said = Said::default();
    let end = serve::serve(&mut coordinator, &watch, &shared.stop, &mut |news| {
        witness(&news);
        if let News::Trouble(error) = news
            && said.is_news(&error.to_string())
        {
            say!("flockwork: coordinator: {}: {error}; waiting, and trying again", root.display());
        }
    })?;
    drop(witness);
    Ok(end.map_or(Report::Stopped, |end| ended(shared, root, end)))
}

fn ended(shared: &Shared, root: &Path, end: End) -> Report {
    if let Some(hook) = &shared.hook {
        run_hook(hook, root, &end);
    }
    Report::Ended(Box::new(end))
}

/// Runs the hook of a job that has ended, and says how that failed.
pub fn run_hook(hook: &Hook, root: &Path, end: &End) {
    let disk = RealDisk::at(root);
    if let Err(words) = hook.run_once(&disk, root, end.outcome) {
        say!("flockwork: coordinator: {words}");
    }
}

/// Plans the job at `root`, if nobody did; one whose time has come and whose inputs are missing has failed, and one that was cancelled before it began has ended: then its end is given.
pub fn plan(apps: &[AppEntry], root: &Path) -> Result<Result<Planned, End>> {
    let disk = RealDisk::at(root);
    let spec = crate::job::spec::load(&disk, root)?;
    if spec.ask.after.is_empty() || is_planned(&disk, root)? {
        return planner::open(apps, root).map(Ok);
    }
    let fail = |path: &str, error| Error::io("cannot look at", root.join(path), error);
    let by = here::new_name().to_string();
    for path in [PHASE_END, CANCEL] {
        if fresh::is_there(&disk, path).map_err(|error| fail(path, error))? {
            return end_unplanned(&disk, root, &by, Outcome::Cancelled, "cancelled").map(Err);
        }
    }
    if may_start(root, &spec.ask)? != Start::Now {
        // Another job lies there than was asked about, or one before it was retried.
        let error = Error::new(ErrorKind::Vanished, "it is not time yet for the job in").on(root);
        return Err(error.advise("what it starts after has changed; start the coordinator again"));
    }
    let error = match plan_afresh(apps, root) {
        Err(error) if is_final(&error) => error,
        planned => return planned.map(Ok),
    };
    disk.refresh(PHASE).map_err(|error| fail(PHASE, error))?;
    match is_planned(&disk, root)? {
        // By another coordinator, meanwhile: what was wrong was wrong here.
        true => planner::open(apps, root).map(Ok),
        false => end_unplanned(&disk, root, &by, Outcome::Failed, &error.to_string()).map(Err),
    }
}

fn is_planned(disk: &dyn Disk, root: &Path) -> Result<bool> {
    Ok(crate::job::plan::Plan::map(disk, root)?.is_some())
}

/// An input that is not there may be one that was not there when this machine looked before.
fn plan_afresh(apps: &[AppEntry], root: &Path) -> Result<Planned> {
    match planner::open(apps, root) {
        Err(error) if error.is_not_found() => {
            if let Some(folder) = error.path().and_then(Path::parent) {
                let _ = RealDisk::at(folder).refresh(".");
            }
            planner::open(apps, root)
        }
        planned => planned,
    }
}

/// Nothing that passes by itself: a trouble of the storage's, or of this machine's.
fn is_final(error: &Error) -> bool {
    let errno = error.io_error().and_then(std::io::Error::raw_os_error);
    let is_of_the_job = matches!(error.kind(), ErrorKind::Input | ErrorKind::App);
    is_of_the_job && !errno.is_some_and(|errno| PASSING.iter().any(|passing| passing.raw_os_error() == errno))
}

/// What a coordinator listens to.
pub fn watch_for(root: &Path) -> Watch {
    let [_, claimed, done, failed, expired] = State::FORWARD.map(State::dir);
    Watch::local(root, &[claimed, done, failed, expired, WORKERS, PHASE, "."])
}
