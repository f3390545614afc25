//! Virtual time for many threads: each actor is one, only one of them runs, and it is always the one whose time has come first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flockwork::disk::sim::run::SimDisk;

use super::toll::Server;

/// The time, and the server that takes it.
pub struct Clockwork {
    disk: Arc<SimDisk>,
    inner: Mutex<Inner>,
    turns: Vec<Condvar>,
}

struct Inner {
    server: Server,
    waiting: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    count: u64,
    actors: Vec<Actor>,
}

#[derive(Default, Clone)]
struct Actor {
    /// Which of its entries in the queue is true: one that was woken has an older one as well.
    entry: u64,
    is_parked: bool,
    is_woken: bool,
}

impl Inner {
    fn wait(&mut self, actor: usize, until: Duration) {
        self.count += 1;
        self.actors[actor].entry = self.count;
        self.waiting.push(Reverse((until, self.count, actor)));
    }

    /// Whose turn it is, and when.
    fn next(&mut self) -> Option<(Duration, usize)> {
        while let Some(Reverse((time, entry, actor))) = self.waiting.peek().copied() {
            if self.actors[actor].entry == entry {
                return Some((time, actor));
            }
            self.waiting.pop();
        }
        None
    }
}

impl Clockwork {
    /// For `actors` actors, all of which wait for their first turn but those that are to be hired.
    pub fn new(disk: &Arc<SimDisk>, actors: usize, hired: Range<usize>) -> Arc<Clockwork> {
        let waiting = (0..actors).filter(|actor| !hired.contains(actor)).map(|actor| Reverse((Duration::ZERO, 0, actor))).collect();
        let inner = Mutex::new(Inner { server: Server::default(), waiting, count: 0, actors: vec![Actor::default(); actors] });
        Arc::new(Clockwork { disk: Arc::clone(disk), inner, turns: (0..actors).map(|_| Condvar::new()).collect() })
    }

    /// Gives an actor a turn from now on.
    pub fn hire(&self, actor: usize) {
        let now = self.disk.now();
        self.inner().wait(actor, now);
    }

    /// What an actor does first: waits for its first turn.
    pub fn begin(&self, actor: usize) {
        self.wait_for_turn(self.inner(), actor);
    }

    /// What it does last.
    pub fn leave(&self) {
        self.call_next(&mut self.inner());
    }

    /// Asks the server for so many things, one after the other, and has the answers.
    pub fn call(&self, actor: usize, calls: u32) {
        let until = self.ask(actor, calls);
        self.sleep(self.inner(), actor, until);
    }

    /// Asks the server for so many things, one after the other; when it will have the answers.
    pub fn ask(&self, actor: usize, calls: u32) -> Duration {
        self.inner().server.serve(self.disk.now(), calls, super::role(actor))
    }

    /// Does nothing until then.
    pub fn rest_until(&self, actor: usize, time: Duration) {
        self.sleep(self.inner(), actor, time);
    }

    /// Does nothing for so long.
    pub fn rest(&self, actor: usize, time: Duration) {
        self.sleep(self.inner(), actor, self.disk.now() + time);
    }

    /// Does nothing for so long, or until it is woken; a wake before the rest ends it at once, as `unpark` does.
    pub fn park(&self, actor: usize, at_most: Duration) {
        let mut inner = self.inner();
        if !std::mem::take(&mut inner.actors[actor].is_woken) {
            inner.actors[actor].is_parked = true;
            self.sleep(inner, actor, self.disk.now() + at_most);
            inner = self.inner();
        }
        (inner.actors[actor].is_parked, inner.actors[actor].is_woken) = (false, false);
    }

    /// Ends another's rest, this one or the next.
    pub fn wake(&self, actor: usize) {
        let mut inner = self.inner();
        let other = &mut inner.actors[actor];
        if other.is_parked && !other.is_woken {
            let now = self.disk.now();
            inner.wait(actor, now);
        }
        inner.actors[actor].is_woken = true;
    }

    /// The calls of each second so far.
    pub fn calls(&self) -> Vec<[u64; 2]> {
        self.inner().server.calls.clone()
    }

    fn sleep(&self, mut inner: MutexGuard<'_, Inner>, actor: usize, until: Duration) {
        inner.wait(actor, until);
        self.call_next(&mut inner);
        self.wait_for_turn(inner, actor);
    }

    fn call_next(&self, inner: &mut Inner) {
        if let Some((_, next)) = inner.next() {
            self.turns[next].notify_one();
        }
    }

    fn wait_for_turn(&self, mut inner: MutexGuard<'_, Inner>, actor: usize) {
        let time = loop {
            match inner.next() {
                Some((time, next)) if next == actor => break time,
                _ => inner = self.turns[actor].wait(inner).unwrap_or_else(PoisonError::into_inner),
            }
        };
        inner.waiting.pop();
        self.disk.sleep_until(time);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
