//! An actor of the turns that is a thread of its own, so that it can be stopped in the middle of a disk call and goes on from there; and whoever ends what was injected.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::{SimDisk, What};
use flockwork::disk::sim::turns::Turn;

use super::bench;

/// In real time: a thread that says nothing for so long has panicked, and said why.
const ALIVE: Duration = Duration::from_secs(60);

/// What the thread says.
pub enum Said {
    /// A step came to this.
    Turn(Turn),
    /// It hangs in the middle of a call.
    Stopped,
}

/// The strings of the thread.
pub struct Puppet {
    disk: Arc<SimDisk>,
    go: Sender<()>,
    said: Receiver<Said>,
    tell: Sender<Said>,
    /// Since when it hangs.
    pub stopped: Option<Duration>,
    stays: Duration,
}

impl Puppet {
    /// One whose thread takes a step for whatever it receives, and tells what that came to.
    pub fn new(disk: &Arc<SimDisk>) -> (Puppet, Receiver<()>, Sender<Said>) {
        let (go, turns) = channel();
        let (tell, said) = channel();
        (Puppet { disk: Arc::clone(disk), go, said, tell: tell.clone(), stopped: None, stays: Duration::ZERO }, turns, tell)
    }

    /// The first of its calls that matches hangs for so long; `client` is the name by which it calls.
    pub fn hang(&mut self, client: &'static str, stays: Duration, mut matches: impl FnMut(&Op) -> bool + Send + 'static) {
        self.stays = stays;
        let (tell, matches) = (Mutex::new(self.tell.clone()), Mutex::new((false, move |op: &Op| matches(op))));
        let is_the_one = move |name: &str, op: &Op| {
            let (met, matches) = &mut *matches.lock().expect("nobody panics");
            let is_it = name == client && !*met && matches(op);
            if is_it {
                *met = true;
                tell.lock().expect("nobody panics").send(Said::Stopped).expect("the scene waits for it");
            }
            is_it
        };
        self.disk.inject(u64::MAX, is_the_one, What::Hang);
    }

    /// Lets it take a step, or hang on.
    pub fn step(&mut self) -> Turn {
        match self.stopped {
            None => self.go.send(()).expect("its thread lives"),
            Some(since) => {
                let left = (since + self.stays).saturating_sub(self.disk.now());
                if !left.is_zero() {
                    return Turn::Wait(left.min(Duration::from_secs(1)));
                }
                self.stopped = None;
                self.disk.heal();
            }
        }
        match self.said.recv_timeout(ALIVE).expect("its thread lives") {
            Said::Turn(turn) => turn,
            Said::Stopped => {
                self.stopped = Some(self.disk.now());
                Turn::Ready
            }
        }
    }
}

/// When a trouble that has begun is over.
#[derive(Clone, Copy)]
pub enum Over {
    /// When it has lasted for so long, though the job may have ended before.
    After(Duration),
    /// Then, or when the job has ended.
    AfterOrAtTheEnd(Duration),
}

/// Ends what was injected, once that has begun; where it never begins, when the job has ended.
pub fn healer<'a>(disk: &'a SimDisk, has_begun: impl Fn() -> bool + 'a, over: Over) -> impl FnMut() -> Turn + 'a {
    let (lasts, at_the_end) = match over {
        Over::After(lasts) => (lasts, false),
        Over::AfterOrAtTheEnd(lasts) => (lasts, true),
    };
    let mut since: Option<Duration> = None;
    move || {
        let ended = (since.is_none() || at_the_end) && bench::end(&disk.state()).is_some();
        if ended || since.is_some_and(|since| disk.now() >= since + lasts) {
            disk.heal();
            return Turn::Done;
        }
        match since {
            Some(_) => Turn::Wait(Duration::from_secs(1)),
            None => {
                since = has_begun().then(|| disk.now());
                Turn::Wait(Duration::from_millis(500))
            }
        }
    }
}
