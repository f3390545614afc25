//! A worker around its turns, as `worker/slot.rs` and `worker/pulse.rs` have it: waiting, working for as long as a task takes, and touching its files meanwhile.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use flockwork::control::Control;
use flockwork::data::{Failure, FileSum, Made};
use flockwork::disk::rename::is_gone;
use flockwork::disk::watch::Backoff;
use flockwork::disk::{Disk, Flush};
use flockwork::ids::{ClaimName, Phase, WorkerName};
use flockwork::job::layout::{self, State};
use flockwork::job::log::Log;
use flockwork::job::register::Presence;
use flockwork::worker::{Tasks, Turn, Worker};

use super::super::bench::{self, Still};
use super::Play;
use super::toll::Priced;

const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1340)];

/// Touches the worker's file every beat, and its claim's; time passes here.
struct Heart<'a> {
    play: &'a Play,
    actor: usize,
    disk: Priced,
    worker: String,
    next: Cell<Duration>,
}

impl<'a> Heart<'a> {
    fn new(play: &'a Play, actor: usize, disk: Priced, name: &WorkerName) -> Heart<'a> {
        let next = Cell::new(play.disk.now() + play.spec.ask.beat());
        Heart { play, actor, disk, worker: layout::worker(name), next }
    }

    /// Lets so much time pass; false if the claim was taken away meanwhile.
    fn rest(&self, time: Duration, claim: Option<&ClaimName>) -> bool {
        let (now, until) = (|| self.play.disk.now(), self.play.disk.now() + time);
        while self.next.get() <= until {
            self.play.time.rest(self.actor, self.next.get().saturating_sub(now()));
            self.disk.touch(&self.worker).expect("a worker nobody sends away");
            let touched = claim.map_or(Ok(()), |claim| self.disk.touch(&layout::held(State::Claimed, claim)));
            self.next.set(now() + self.play.spec.ask.beat());
            if touched.is_err_and(|error| is_gone(&error)) {
                return false;
            }
        }
        if until > now() {
            self.play.time.rest(self.actor, until - now());
        }
        true
    }
}

/// Map tasks that take time and make no file, and reduce tasks that make an empty output at once.
struct Nothing<'a>(&'a Heart<'a>);

impl Tasks for Nothing<'_> {
    fn run(&mut self, claim: &ClaimName, _: &Control) -> Result<Made, Failure> {
        let Nothing(heart) = self;
        if claim.attempt.task.phase == Phase::Map {
            let all = heart.play.task * claim.attempt.block().n_tasks();
            return if heart.rest(all, Some(claim)) { Ok(Made::default()) } else { Err(Failure::Cancelled) };
        }
        let failed = |error| Failure::Disk(flockwork::Error::io("cannot write", "output", error));
        let draft = heart.disk.draft("output/.attempts", b"", Flush::Always).map_err(failed)?;
        heart.disk.rename(&draft, &format!("output/.attempts/{claim}")).map_err(failed)?;
        Ok(Made { files: vec![FileSum { name: claim.to_string(), len: 0, crc32: 0, sections: 1 }], ..Made::default() })
    }

    fn discard(&mut self, _: &ClaimName) {}
}

impl Play {
    pub fn work(&self, actor: usize) {
        let priced = self.client(actor);
        let disk: Arc<dyn Disk> = Arc::new(priced.clone());
        let name = bench::name(&format!("w{actor}"), 1);
        let _presence = Presence::register(&*disk, &name, 0).expect("registered");
        let chance = (actor as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let heart = Heart::new(self, actor, priced, &name);
        let mut worker = Worker::new(Arc::clone(&disk), bench::root().to_owned(), self.spec.clone(), name, chance, Log::none());
        let (mut tasks, pulse) = (Nothing(&heart), Still::default());
        let mut backoff = Backoff::new(WAITS[0], WAITS[1], chance);
        let mut worked_before = false;
        loop {
            let begun = self.disk.now();
            let mut wait = Duration::ZERO;
            match worker.turn(&mut tasks, &pulse).expect("a healthy disk") {
                Turn::Worked(claim) => {
                    backoff.reset();
                    self.note(&claim, begun, !worked_before);
                    worked_before = true;
                }
                Turn::Superseded(_) => backoff.reset(), // a backup was quicker
                Turn::Missed => {}
                Turn::Idle => wait = backoff.next_wait(),
                Turn::Ended(_) => return,
                other => panic!("in a healthy job: {other:?}"),
            }
            heart.rest(wait, None);
        }
    }
}
