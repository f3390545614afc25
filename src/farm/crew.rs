//! The slots of one machine in a farm: processes, each at one job at a time, moved between jobs as [`super::choice`] says.
//!
//! A slot that joins a job is a new process with a new name and a presence file of its own, and ends when it leaves. So nothing of one job (an umask, memory, an app that ends
//! its process) reaches the next. When slots are sent to a job again whose slots die or are refused, `note.rs` says. Where no process can be started, that slot rests for pauses
//! that grow to a second, and the others go on. Removing a slot's file in `workers/` retires the slot.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::choice::{self, JobView, Move, SlotView};
use super::note::{FIRST_PAUSE, Fate, LARGEST_PAUSE, Note};
use super::survey::{Found, Survey};
use crate::disk::rename::is_gone;
use crate::disk::watch::{Waker, Watch, Woken};
use crate::disk::{Disk, Entry};
use crate::error::Error;
use crate::error::said::Said;
use crate::here;
use crate::ids::{AttemptId, ClaimName};
use crate::job::layout::{COORDINATOR_LOCK, PAUSE, PHASE, State};
use crate::planner::after::{Start, may_start};
use crate::units::for_shell;
use crate::worker::slot::{self, Patience, Voice};
use crate::worker::supervisor::start_slot;

/// The farm's folder is looked at so often, and sooner where a watcher says that something has come.
const LOOK: Duration = Duration::from_secs(1);
/// While slots are free and jobs unfinished, their `pending/` are looked at so often.
const EAGER: Duration = Duration::from_millis(200);
/// After a round, this many times as long as it took is rested,
const REST_PER_ROUND: u32 = 20;
/// but no longer than this.
const REST_MAX: Duration = Duration::from_secs(10);
/// Jobs that no slot is at, whose `pending/` is looked at in one round.
const WEIGHED: usize = 64;
/// How a crew works.
pub struct Terms {
    /// How many slots.
    pub slots: u32,
    /// How talkative they are.
    pub voice: Voice,
    /// Further options of each.
    pub options: Vec<String>,
    /// Leave when no job that can be served is unfinished.
    pub drain: bool,
    /// Leave when no slot has had a task for so long.
    pub idle: Option<Duration>,
}

/// Why a crew has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// It was told to.
    Told,
    /// No job that can be served is unfinished.
    Drained,
    /// There was nothing to do for as long as was allowed.
    Idle,
    /// Every slot was retired.
    Retired,
    /// The farm has become a job.
    Job,
    /// The farm is not there any more.
    Gone,
}

#[derive(Default)]
struct Seat {
    pid: Option<u32>,
    /// The exit status of the process that sat here; `None` in it: killed.
    ended: Option<Option<i32>>,
    failed: Option<Error>,
}

#[derive(Default)]
struct Shared {
    leaving: bool,
    seats: Vec<Seat>,
}

type Seats = Arc<Mutex<Shared>>;

fn lock(seats: &Seats) -> MutexGuard<'_, Shared> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the crew from another thread.
#[derive(Clone)]
pub struct Leash(Seats, Waker);

impl Leash {
    /// Every slot gives its claim back and goes; none is started again.
    pub fn leave(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends every slot at once.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let mut shared = lock(&self.0);
        shared.leaving = true;
        shared.seats.iter().filter_map(|seat| seat.pid).for_each(|pid| send(pid, signal));
        drop(shared);
        self.1.wake();
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ = kill_process(pid, signal);
    }
}

/// A slot as the crew sees it.
struct Post {
    orders: Sender<PathBuf>,
    job: Option<String>,
    since: Duration,
    is_busy: bool,
    is_leaving: bool,
    is_retired: bool,
    /// No process could be started for it: it rests for so long, until then.
    pause: Duration,
    not_before: Duration,
}

/// The slots of this process.
pub struct Crew {
    survey: Survey,
    terms: Terms,
    seats: Seats,
    posts: Vec<Post>,
    notes: BTreeMap<String, Note>,
    watch: Watch,
    host: String,
    joined: u64,
    last_task: Duration,
    trouble: Option<String>,
    said: Said,
    /// The job that nobody was seen to lead, and since when.
    unled: Option<(String, Duration)>,
    /// That was said.
    is_unled_told: bool,
}

impl Crew {
    /// A crew for the farm at `root`, which the survey looks at.
    pub fn new(root: &Path, survey: Survey, terms: Terms) -> Crew {
        let watch = Watch::local(root, &["."]);
        let seats = Seats::default();
        lock(&seats).seats.resize_with(terms.slots.max(1) as usize, Seat::default);
        let posts = (0..terms.slots.max(1) as usize).map(|at| Post::start(at, &seats, watch.waker(), &terms)).collect();
        let last_task = survey.now();
        Crew {
            survey,
            terms,
            seats,
            posts,
            notes: BTreeMap::new(),
            watch,
            host: here::new_name().host().to_owned(),
            joined: 0,
            last_task,
            trouble: None,
            said: Said::default(),
            unled: None,
            is_unled_told: false,
        }
    }

    /// To end it with.
    pub fn leash(&self) -> Leash {
        Leash(Arc::clone(&self.seats), self.watch.waker())
    }

    /// Works until it is to leave; `say` is told what people should know.
    pub fn run(mut self, say: &mut dyn FnMut(&str)) -> Left {
        let (mut next_look, mut next_weigh, mut rest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let left = loop {
            let mut has_news = self.collect(say);
            if lock(&self.seats).leaving {
                break Left::Told;
            }
            if self.survey.now() >= next_look {
                next_look = self.survey.now() + LOOK;
                has_news = true;
                if let Some(left) = self.look(say) {
                    break left;
                }
                if let Some(left) = self.is_over() {
                    break left;
                }
            }
            let begun = self.survey.now();
            if begun >= next_weigh || has_news && rest < EAGER {
                self.weigh();
                let now = self.survey.now();
                // Many tasks make long listings: they are looked at the less often.
                rest = (now.saturating_sub(begun) * REST_PER_ROUND).min(REST_MAX);
                next_weigh = now + self.wait().max(rest);
            }
            self.act();
            if self.watch.wait(next_look.min(next_weigh).saturating_sub(self.survey.now())) == Woken::Event {
                next_look = next_look.min(self.survey.now() + EAGER / 2);
            }
        };
        self.leash().leave();
        while lock(&self.seats).seats.iter().any(|seat| seat.pid.is_some()) {
            self.watch.wait(LOOK);
        }
        left
    }

    fn look(&mut self, say: &mut dyn FnMut(&str)) -> Option<Left> {
        let found = self.survey.look();
        self.survey.news().iter().for_each(|words| say(words));
        match found {
            Ok(Found::Farm) => self.trouble = None,
            Ok(Found::Job) => return Some(Left::Job),
            Ok(Found::Gone) => return Some(Left::Gone),
            Err(error) => {
                let words = format!("{error}; waiting, and trying again");
                if self.trouble.as_ref() != Some(&words) {
                    say(&words);
                    self.trouble = Some(words);
                }
            }
        }
        let survey = &self.survey;
        self.notes.retain(|name, _| survey.job(name).is_some());
        if !self.is_unled_told
            && let Some(words) = self.who_leads()
        {
            say(&words);
            self.is_unled_told = true;
        }
        None
    }

    /// What to say where nothing is to be done because nobody leads: the first job stands for all, for one call.
    fn who_leads(&mut self) -> Option<String> {
        let now = self.survey.now();
        if now.saturating_sub(self.last_task) <= slot::LED_BY_THEN || self.posts.iter().any(|post| post.job.is_some()) {
            return None;
        }
        let found = self.survey.jobs().find(|(_, open)| open.spec.ask.after.is_empty());
        let unled = found.filter(|(_, open)| open.disk.look(COORDINATOR_LOCK).is_err_and(|error| is_gone(&error)));
        let Some((name, open)) = unled else {
            self.unled = None;
            return None;
        };
        let since = self.unled.take().filter(|(known, _)| known == name).map_or(now, |(_, since)| since);
        let farm = for_shell(open.root.parent()?);
        let words = format!("no coordinator has led {name} so far; start one with `flockwork coordinator {farm}`");
        self.unled = Some((name.to_owned(), since));
        (now.saturating_sub(since) > slot::LED_BY_THEN).then_some(words)
    }

    /// Takes note of the slots whose process has ended, or could not be started; true if there was one.
    fn collect(&mut self, say: &mut dyn FnMut(&str)) -> bool {
        let now = self.survey.now();
        let mut any = false;
        for at in 0..self.posts.len() {
            let (ended, failed) = {
                let seat = &mut lock(&self.seats).seats[at];
                (seat.ended.take(), seat.failed.take())
            };
            let post = &mut self.posts[at];
            if let Some(error) = failed {
                any = true;
                post.rest(now);
                let words = format!("{error}; trying again");
                if self.said.is_news(&words) {
                    say(&words);
                }
            }
            let Some(status) = ended else { continue };
            any = true;
            let Some(job) = post.job.take() else { continue };
            let (was_asked, lived) = (post.is_leaving, now.saturating_sub(post.since));
            if status == Some(slot::STATUS_LEFT) && !was_asked {
                post.is_retired = true;
            }
            (post.is_busy, post.is_leaving, post.pause) = (false, false, Duration::ZERO);
            match self.notes.entry(job.clone()).or_default().settle(status, was_asked, lived, now) {
                Fate::GoesOn => {}
                Fate::HasEnded => self.survey.has_ended(&job),
                Fate::IsGone => self.survey.forget(&job),
            }
        }
        any
    }

    /// Looks where there is something to do: at the jobs that slots are at, and of the others at those seen longest ago.
    fn weigh(&mut self) {
        let pids: Vec<Option<u32>> = lock(&self.seats).seats.iter().map(|seat| seat.pid).collect();
        let served: BTreeSet<String> = self.posts.iter().filter_map(|post| post.job.clone()).collect();
        for job in &served {
            let Some(open) = self.survey.job(job) else { continue };
            let busy = busy_pids(&*open.disk, &self.host);
            for (post, pid) in self.posts.iter_mut().zip(&pids).filter(|(post, _)| post.job.as_ref() == Some(job)) {
                post.is_busy = pid.is_some_and(|pid| busy.contains(&pid));
                if post.is_busy {
                    self.notes.entry(job.clone()).or_default().is_worked_on();
                }
            }
        }
        let now = self.survey.now();
        if self.posts.iter().any(|post| post.is_busy) {
            self.last_task = now;
        }
        let mut others: Vec<(Duration, String)> = Vec::new();
        for (name, _) in self.survey.jobs().filter(|(name, _)| !served.contains(*name)) {
            others.push((self.notes.get(name).map_or(Duration::ZERO, |note| note.weighed), name.to_owned()));
        }
        others.sort_unstable();
        let others = others.into_iter().take(WEIGHED).map(|(_, name)| name);
        for name in served.iter().cloned().chain(others).collect::<Vec<_>>() {
            let Some(open) = self.survey.job(&name) else { continue };
            let (pending, has_ended) = claimable(&*open.disk);
            let note = self.notes.entry(name.clone()).or_default();
            (note.pending, note.weighed) = (pending, now);
            if has_ended && !served.contains(&name) {
                self.survey.has_ended(&name);
            }
        }
    }

    /// Sends slots where they are needed.
    fn act(&mut self) {
        let now = self.survey.now();
        let jobs: Vec<JobView<'_>> = self.survey.jobs().filter_map(|(name, open)| view(name, open, self.notes.get(name)?, now)).collect();
        let posts: Vec<usize> = (0..self.posts.len()).filter(|at| self.posts[*at].may_move(now)).collect();
        let slots: Vec<SlotView<'_>> = posts.iter().map(|at| self.posts[*at].view(now)).collect();
        for step in choice::moves(&jobs, &slots) {
            match step {
                Move::Leave { slot } => {
                    self.posts[posts[slot]].is_leaving = true;
                    if let Some(pid) = lock(&self.seats).seats[posts[slot]].pid {
                        send(pid, Signal::USR1);
                    }
                }
                Move::Join { slot, job } => self.join(posts[slot], &job),
            }
        }
    }

    fn join(&mut self, at: usize, job: &str) {
        let Some(open) = self.survey.job(job) else { return };
        self.joined += 1;
        let (root, now) = (open.root.clone(), self.survey.now());
        let note = self.notes.entry(job.to_owned()).or_default();
        note.served = self.joined;
        // To try again in vain is no task.
        if note.is_well() {
            self.last_task = now;
        }
        let post = &mut self.posts[at];
        if post.orders.send(root).is_ok() {
            (post.job, post.since, post.is_busy, post.is_leaving) = (Some(job.to_owned()), now, false, false);
        }
    }

    fn is_over(&self) -> Option<Left> {
        let now = self.survey.now();
        if self.posts.iter().all(|post| post.is_retired) {
            return Some(Left::Retired);
        }
        if self.terms.idle.is_some_and(|idle| now.saturating_sub(self.last_task) >= idle) {
            return Some(Left::Idle);
        }
        let at_rest = || self.posts.iter().all(|post| post.job.is_none());
        (self.terms.drain && self.trouble.is_none() && at_rest() && !self.waits_for_any()).then_some(Left::Drained)
    }

    /// True if a job that can be served here is unfinished and may still go on.
    fn waits_for_any(&self) -> bool {
        let now = self.survey.now();
        self.survey.jobs().any(|(name, open)| {
            let is_barred = self.notes.get(name).is_some_and(|note| note.is_barred(now));
            let is_blocked = || matches!(may_start(&open.root, &open.spec.ask), Ok(Start::Blocked(_)));
            !is_barred && !is_blocked()
        })
    }

    /// Until the next round.
    fn wait(&self) -> Duration {
        let is_unmet = self.posts.iter().any(|post| !post.is_retired && !post.is_busy) && self.survey.jobs().next().is_some();
        if is_unmet { EAGER } else { LOOK }
    }
}

impl Post {
    fn start(at: usize, seats: &Seats, waker: Waker, terms: &Terms) -> Post {
        let (orders, jobs) = channel();
        let (seats, voice, options) = (Arc::clone(seats), terms.voice, terms.options.clone());
        // The kernel counts the death of the thread that started a child as the death of its parent: so one thread for each slot, for good.
        std::thread::spawn(move || sit(at, &seats, &waker, &jobs, voice, &options));
        let (since, pause, not_before) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        Post { orders, job: None, since, is_busy: false, is_leaving: false, is_retired: false, pause, not_before }
    }

    /// No process could be started for it.
    fn rest(&mut self, now: Duration) {
        (self.job, self.is_leaving) = (None, false);
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LARGEST_PAUSE);
        self.not_before = now + self.pause;
    }

    fn may_move(&self, now: Duration) -> bool {
        !self.is_retired && self.not_before <= now
    }

    fn view(&self, now: Duration) -> SlotView<'_> {
        SlotView { job: self.job.as_deref(), is_busy: self.is_busy, is_leaving: self.is_leaving, held: now.saturating_sub(self.since) }
    }
}

/// A slot's thread: starts a process for each job it is sent to, and waits for its end.
fn sit(at: usize, seats: &Seats, waker: &Waker, jobs: &Receiver<PathBuf>, voice: Voice, options: &[String]) {
    while let Ok(job) = jobs.recv() {
        let mut shared = lock(seats);
        if shared.leaving {
            shared.seats[at].ended = Some(Some(slot::STATUS_RESTART));
            continue;
        }
        match start_slot(&job, voice, Patience::Ends, options) {
            Ok(mut child) => {
                shared.seats[at].pid = Some(child.id());
                drop(shared);
                let status = child.wait();
                let mut shared = lock(seats);
                let seat = &mut shared.seats[at];
                (seat.pid, seat.ended) = (None, Some(status.ok().and_then(|status| status.code())));
            }
            Err(error) => {
                shared.seats[at].failed = Some(error);
                drop(shared);
            }
        }
        waker.wake();
    }
}

fn view<'a>(name: &'a str, open: &'a super::survey::Open, note: &Note, now: Duration) -> Option<JobView<'a>> {
    Some(JobView { name, priority: open.spec.ask.priority, submitted: &open.spec.submitted, pending: note.room(now), served: note.served })
}

/// How many tasks may be claimed, and whether the job has ended; a job that cannot be looked at has nothing to claim.
fn claimable(disk: &dyn Disk) -> (usize, bool) {
    let has = |dir: &str, name: &str| disk.list(dir).is_ok_and(|entries| entries.iter().any(|entry| entry.name == name));
    // What is no attempt's name is foreign: nobody could claim it.
    let is_attempt = |entry: &&Entry| entry.is_file && entry.name.parse::<AttemptId>().is_ok();
    let pending = disk.list(State::Pending.dir()).map_or(0, |entries| entries.iter().filter(is_attempt).count());
    match pending {
        0 => (0, has(PHASE, "end")),
        _ if has(".", PAUSE) => (0, false),
        _ => (pending, false),
    }
}

/// The processes of this machine that hold claims.
pub fn busy_pids(disk: &dyn Disk, host: &str) -> BTreeSet<u32> {
    let entries = disk.list(State::Claimed.dir()).unwrap_or_default();
    let claims = entries.iter().filter_map(|entry| entry.name.parse::<ClaimName>().ok());
    claims.filter(|claim| claim.worker.host() == host).map(|claim| claim.worker.pid()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::real::RealDisk;

    #[test]
    fn what_is_no_attempts_name_cannot_be_claimed() {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        ["pending", "phase"].iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        std::fs::write(dir.path().join("pending/Thumbs.db"), b"").expect("written");
        assert_eq!(claimable(&disk), (0, false));
        std::fs::write(dir.path().join("pending/map-00000.a1"), b"").expect("written");
        assert_eq!(claimable(&disk), (1, false));
    }
}
