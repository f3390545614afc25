//! Random schedules in which a call may be under way for a while, and the others go on meanwhile.
//!
//! As [`take_turns`](super::turns::take_turns), but a call that the [weather](super::weather) holds up stops its actor in the middle of its step. Problem: a
//! stopped step keeps its stack, and there are no coroutines. Workaround: it keeps its thread, and another thread goes on with the others. Exactly one thread
//! runs at any time (it has the *baton*), so the same seed gives the same run; only a call that is held up costs a change of threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::run::{SimDisk, stop_for_good, survives};
use super::turns::{Chance, Ending, Turn};

/// An actor: one step at a time.
pub type Part = Box<dyn FnMut() -> Turn + Send>;

struct Stage {
    disk: Arc<SimDisk>,
    show: Mutex<Show>,
    /// One per thread: it waits there for the baton.
    doors: Vec<Condvar>,
}

struct Show {
    roles: Vec<Role>,
    chance: Chance,
    steps_left: usize,
    /// The actor whose step is being done.
    on: usize,
    /// The thread that runs.
    baton: usize,
    idle: Vec<usize>,
    threads: Vec<JoinHandle<()>>,
    over: Option<Result<Ending, Box<dyn Any + Send>>>,
}

#[derive(Default)]
struct Role {
    part: Option<Part>,
    wake: Option<Duration>,
    /// The thread that its stopped step is on.
    stopped: Option<usize>,
}

enum Next {
    Over(Ending),
    Step(Part),
    GoOn(usize),
}

/// Lets the actors take steps in a random order until all have ended; time passes only while all wait. A step whose client dies ends its actor.
pub fn perform(disk: &Arc<SimDisk>, seed: u64, steps_max: usize, parts: Vec<Part>) -> Ending {
    let doors = (0..=parts.len()).map(|_| Condvar::new()).collect();
    let roles = parts.into_iter().map(|part| Role { part: Some(part), wake: Some(Duration::ZERO), stopped: None }).collect();
    let (idle, threads, chance) = (Vec::new(), Vec::new(), Chance::from_seed(seed));
    let show = Show { roles, chance, steps_left: steps_max, on: 0, baton: 0, idle, threads, over: None };
    let stage = Arc::new(Stage { disk: Arc::clone(disk), show: Mutex::new(show), doors });
    let own = Arc::clone(&stage);
    disk.held_up_by(Some(Arc::new(move |until| own.stop(until))));
    stage.conduct(0);
    disk.held_up_by(None);
    let threads = std::mem::take(&mut stage.show().threads);
    threads.into_iter().for_each(|thread| _ = thread.join());
    let over = stage.show().over.take();
    match over {
        Some(Ok(ending)) => ending,
        Some(Err(panic)) => resume_unwind(panic),
        None => unreachable!("the conductor leaves at the end only"),
    }
}

impl Stage {
    fn show(&self) -> MutexGuard<'_, Show> {
        self.show.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, show: MutexGuard<'a, Show>, me: usize) -> MutexGuard<'a, Show> {
        let door = &self.doors[me];
        door.wait_while(show, |show| show.baton != me && show.over.is_none()).unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, show: &mut Show, to: usize) {
        show.baton = to;
        self.doors[to].notify_one();
    }

    /// The life of a thread: whenever it has the baton and no stopped step of its own, it chooses who is next.
    fn conduct(self: &Arc<Stage>, me: usize) {
        let mut show = self.show();
        loop {
            show = self.wait(show, me);
            if show.over.is_some() {
                return;
            }
            match self.next(&mut show) {
                Next::Over(ending) => return self.end(&mut show, Ok(ending)),
                Next::GoOn(thread) => {
                    show.idle.push(me);
                    self.pass(&mut show, thread);
                }
                Next::Step(mut part) => {
                    drop(show);
                    let turn = catch_unwind(AssertUnwindSafe(|| survives(&mut part).unwrap_or(Turn::Done)));
                    show = self.show();
                    if show.over.is_some() {
                        return;
                    }
                    let now = self.disk.now();
                    let on = show.on;
                    match turn {
                        Ok(turn) => show.roles[on].has_done(part, turn, now),
                        Err(panic) => return self.end(&mut show, Err(panic)),
                    }
                }
            }
        }
    }

    fn end(&self, show: &mut Show, how: Result<Ending, Box<dyn Any + Send>>) {
        show.over = Some(how);
        self.doors.iter().for_each(Condvar::notify_one);
    }

    fn next(&self, show: &mut Show) -> Next {
        let Some(earliest) = show.roles.iter().filter_map(|role| role.wake).min() else { return Next::Over(Ending::AllEnded) };
        if show.steps_left == 0 {
            return Next::Over(Ending::OutOfSteps);
        }
        show.steps_left -= 1;
        let now = self.disk.sleep_until(earliest);
        let is_ready = |role: &Role| role.wake.is_some_and(|wake| wake <= now);
        let ready = show.roles.iter().filter(|role| is_ready(role)).count();
        let drawn = show.chance.below(ready);
        let (on, role) = show.roles.iter_mut().enumerate().filter(|(_, role)| is_ready(role)).nth(drawn).unwrap_or_else(|| unreachable!());
        show.on = on;
        match (role.stopped.take(), role.part.take()) {
            (Some(thread), _) => Next::GoOn(thread),
            (None, Some(part)) => Next::Step(part),
            (None, None) => unreachable!("an actor is stopped, or it can take a step"),
        }
    }

    /// Called in the middle of a step: it goes on when the time has come. Where the performance ends meanwhile, it never does.
    fn stop(self: &Arc<Stage>, until: Duration) {
        let mut show = self.show();
        let (me, on) = (show.baton, show.on);
        show.roles[on].wake = Some(until);
        show.roles[on].stopped = Some(me);
        let other = show.idle.pop().unwrap_or_else(|| {
            let (stage, number) = (Arc::clone(self), show.threads.len() + 1);
            show.threads.push(std::thread::spawn(move || stage.conduct(number)));
            number
        });
        self.pass(&mut show, other);
        let show = self.wait(show, me);
        let over = show.over.is_some();
        drop(show);
        if over {
            stop_for_good();
        }
    }
}

impl Role {
    fn has_done(&mut self, part: Part, turn: Turn, now: Duration) {
        self.wake = match turn {
            Turn::Ready => Some(now),
            Turn::Wait(time) => Some(now + time),
            Turn::Done => None,
        };
        self.part = Some(part);
    }
}
