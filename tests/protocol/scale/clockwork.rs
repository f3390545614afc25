//! Virtual time for many threads: each actor is one, only one of them runs, and it is always the one whose time has come first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
}

impl Clockwork {
    /// For `actors` actors, all of which wait for their first turn.
    pub fn new(disk: &Arc<SimDisk>, actors: usize) -> Arc<Clockwork> {
        let waiting = (0..actors).map(|actor| Reverse((Duration::ZERO, 0, actor))).collect();
        let inner = Mutex::new(Inner { server: Server::default(), waiting, count: 0 });
        Arc::new(Clockwork { disk: Arc::clone(disk), inner, turns: (0..actors).map(|_| Condvar::new()).collect() })
    }

    /// What an actor does first: waits for its first turn.
    pub fn begin(&self, actor: usize) {
        self.wait_for_turn(self.inner(), actor);
    }

    /// What it does last.
    pub fn leave(&self) {
        self.call_next(&self.inner());
    }

    /// Asks the server for so many things, one after the other, and has the answers.
    pub fn call(&self, actor: usize, calls: u32) {
        let mut inner = self.inner();
        let until = inner.server.serve(self.disk.now(), calls);
        self.sleep(inner, actor, until);
    }

    /// Does nothing for so long.
    pub fn rest(&self, actor: usize, time: Duration) {
        self.sleep(self.inner(), actor, self.disk.now() + time);
    }

    /// The calls of each second so far.
    pub fn calls(&self) -> Vec<u64> {
        self.inner().server.calls.clone()
    }

    fn sleep(&self, mut inner: MutexGuard<'_, Inner>, actor: usize, until: Duration) {
        inner.count += 1;
        let count = inner.count;
        inner.waiting.push(Reverse((until, count, actor)));
        self.call_next(&inner);
        self.wait_for_turn(inner, actor);
    }

    fn call_next(&self, inner: &Inner) {
        if let Some(Reverse((_, _, next))) = inner.waiting.peek() {
            self.turns[*next].notify_one();
        }
    }

    fn wait_for_turn(&self, mut inner: MutexGuard<'_, Inner>, actor: usize) {
        while inner.waiting.peek().is_some_and(|Reverse((_, _, next))| *next != actor) {
            inner = self.turns[actor].wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let Reverse((time, _, _)) = inner.waiting.pop().expect("this actor waits");
        self.disk.sleep_until(time);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
