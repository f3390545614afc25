//! One state of an exploration: the disk, how far each actor is, what is on the wire; and the moves that lead on from it.

use std::fmt;

use super::client::{History, Ran, Request, SimClient, replay};
use super::op::{Op, Reply};
use super::state::{DiskState, Variant};
use crate::disk::Lock;

/// An actor: what it does on its client, given what it remembers from its last step (at first an empty text).
pub type Actor = Box<dyn Fn(&SimClient, &str) -> Step>;

/// How a step of an actor ends. Its open files are closed, and its replies forgotten: only so may an actor go round for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// It goes on, remembering this.
    Again(String),
    /// It is done, with this result for the checks.
    Done(String),
}

/// An actor of a single step.
pub fn actor(act: impl Fn(&SimClient) -> String + 'static) -> Actor {
    Box::new(move |client, _| Step::Done(act(client)))
}

/// How many of each fault may still happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A rename, link or remove is done and sent again, and the second answer is the one that arrives.
    pub lost_replies: u32,
    /// A call is answered by what the client believes.
    pub stale: u32,
    /// An actor dies between two calls.
    pub crashes: u32,
    /// An actor dies and leaves its call on the wire, which the server does at any later time. (Not counted as a crash.)
    pub delays: u32,
    /// A try to lock is answered wrongly.
    pub lying_locks: u32,
    /// A draft or an append finds the disk full.
    pub full_disk: u32,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The directory.
    pub disk: DiskState,
    /// What has become of each actor so far.
    pub actors: Vec<Fate>,
    /// Calls of the dead that have not arrived.
    wire: Vec<(usize, Op)>,
    left: Faults,
}

/// How far an actor is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It waits for this call to be done.
    Running(Progress),
    /// It returned this.
    Finished(String),
    /// It is no more.
    Crashed,
}

/// Where a running actor is, and what it wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Progress {
    memory: String,
    told: History,
    wants: Request,
    sent: Sent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sent {
    Once,
    Again,
}

/// One thing that happened: a call of an actor, or to it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Whose call.
    pub actor: usize,
    /// The call.
    pub op: Op,
    /// What was special about it.
    pub how: How,
    /// What the actor was told, if anything.
    pub reply: Option<Reply>,
}

/// What was special about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// It was answered in this way.
    Answered(Variant),
    /// It was done, and the reply was lost: it will be sent again.
    ReplyLost,
    /// It was not done: the actor died before.
    Crashed,
    /// The actor died, with the call on the wire.
    CrashedInFlight,
    /// It arrived after its caller's death.
    Late,
}

impl World {
    /// The beginning.
    pub(super) fn new(mut disk: DiskState, actors: &[Actor], faults: Faults) -> World {
        let running = |actor: &Actor| {
            let client = disk.add_client();
            start(&mut disk, client, actor, String::new())
        };
        let fates = actors.iter().map(running).collect();
        let mut world = World { disk, actors: fates, wire: Vec::new(), left: faults };
        world.forget_what_no_longer_matters();
        world
    }

    /// All that may happen next.
    pub(super) fn moves(&self) -> Vec<(usize, How)> {
        let mut moves = Vec::new();
        for (number, fate) in self.actors.iter().enumerate() {
            if let Fate::Running(progress) = fate {
                moves.extend(self.moves_of(number, progress).into_iter().map(|how| (number, how)));
            }
        }
        moves.extend((0..self.wire.len()).map(|at| (at, How::Late)));
        moves
    }

    fn moves_of(&self, number: usize, progress: &Progress) -> Vec<How> {
        let op = &progress.wants.op;
        let (answered, left) = (|variant| How::Answered(variant), &self.left);
        let mut moves = vec![answered(Variant::True)];
        if left.stale > 0 && self.disk.may_be_stale(number, op) {
            moves.push(answered(Variant::Stale));
        }
        if left.lost_replies > 0 && op.may_lose_its_reply() && progress.sent == Sent::Once && self.would_succeed(number, op) {
            moves.push(How::ReplyLost);
        }
        if left.lying_locks > 0 && matches!(op, Op::TryLock { .. }) {
            moves.extend([Lock::Taken, Lock::Refused, Lock::Broken].map(|lock| answered(Variant::Lock(lock))));
        }
        if left.full_disk > 0 && matches!(op, Op::Draft { .. } | Op::Append { .. }) {
            moves.push(answered(Variant::Fails(std::io::ErrorKind::StorageFull)));
        }
        if left.crashes > 0 {
            moves.push(How::Crashed);
        }
        if left.delays > 0 && op.may_outlive_its_caller() {
            moves.push(How::CrashedInFlight);
        }
        moves
    }

    fn would_succeed(&self, client: usize, op: &Op) -> bool {
        !matches!(self.disk.clone().execute(client, op, Variant::True), Reply::Failed(_))
    }

    /// What the world is after a move, and what happened.
    pub(super) fn after(&self, number: usize, how: How, actors: &[Actor]) -> (World, Event) {
        let mut world = self.clone();
        if how == How::Late {
            let (dead, op) = world.wire.remove(number);
            world.disk.execute_unheard(dead, &op);
            return (world, Event { actor: dead, op, how, reply: None });
        }
        let Fate::Running(mut progress) = std::mem::replace(&mut world.actors[number], Fate::Crashed) else {
            unreachable!("only the running move")
        };
        let op = progress.wants.op.clone();
        progress.wants.closes.drain(..).for_each(|hold| world.disk.close(hold));
        world.pay(how);
        let mut reply = None;
        match how {
            How::Answered(variant) => {
                let answer = world.disk.execute(number, &op, variant);
                reply = Some(answer.clone());
                progress.told.push(&op, answer);
                world.actors[number] = resume(&mut world.disk, number, &actors[number], progress.memory, progress.told);
            }
            How::ReplyLost => {
                world.disk.execute_unheard(number, &op);
                progress.sent = Sent::Again;
                world.actors[number] = Fate::Running(progress);
            }
            How::Crashed => world.disk.close_all(number),
            How::CrashedInFlight => {
                world.disk.close_all(number);
                world.wire.push((number, op.clone()));
            }
            How::Late => unreachable!("see above"),
        }
        world.forget_what_no_longer_matters();
        (world, Event { actor: number, op, how, reply })
    }

    fn pay(&mut self, how: How) {
        let left = &mut self.left;
        match how {
            How::Answered(Variant::True) | How::Late => {}
            How::Answered(Variant::Stale) => left.stale -= 1,
            How::Answered(Variant::Lock(_)) => left.lying_locks -= 1,
            How::Answered(Variant::Fails(_)) => left.full_disk -= 1,
            How::ReplyLost => left.lost_replies -= 1,
            How::Crashed => left.crashes -= 1,
            How::CrashedInFlight => left.delays -= 1,
        }
    }

    fn forget_what_no_longer_matters(&mut self) {
        if self.left.stale == 0 {
            self.disk.forget_caches();
        }
    }

    /// The results of the actors that have returned.
    pub fn results(&self) -> impl Iterator<Item = &str> {
        self.actors.iter().filter_map(|fate| match fate {
            Fate::Finished(result) => Some(result.as_str()),
            Fate::Running(_) | Fate::Crashed => None,
        })
    }
}

fn start(disk: &mut DiskState, client: usize, actor: &Actor, memory: String) -> Fate {
    resume(disk, client, actor, memory, History::default())
}

/// Runs an actor to its next call that others could notice.
fn resume(disk: &mut DiskState, client: usize, actor: &Actor, mut memory: String, mut told: History) -> Fate {
    loop {
        match replay(&told, |sim| actor(sim, &memory)) {
            // A file closed on the way may matter to others: then even this call is a move.
            Ran::Wants(Request { op, closes }) if op.is_private() && closes.is_empty() => {
                let answer = disk.execute(client, &op, Variant::True);
                told.push(&op, answer);
            }
            Ran::Wants(wants) => return Fate::Running(Progress { memory, told, wants, sent: Sent::Once }),
            Ran::Returned(step) => {
                disk.close_all(client);
                match step {
                    Step::Done(result) => return Fate::Finished(result),
                    Step::Again(_) if told.is_empty() => unreachable!("a step without a call never ends"),
                    Step::Again(next) => (memory, told) = (next, History::default()),
                }
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {}: {}", self.actor, self.op)?;
        match self.how {
            How::Answered(Variant::True) => {}
            How::Answered(Variant::Stale) => f.write_str(" (stale)")?,
            How::Answered(Variant::Lock(_)) => f.write_str(" (the lock may lie)")?,
            How::Answered(Variant::Fails(_)) => f.write_str(" (injected)")?,
            How::ReplyLost => f.write_str(": done, reply lost, sent again")?,
            How::Crashed => f.write_str(": not done, the actor died before")?,
            How::CrashedInFlight => f.write_str(": on the wire, the actor died")?,
            How::Late => f.write_str(": arrives from the dead")?,
        }
        match &self.reply {
            Some(reply) => write!(f, ": {reply}"),
            None => Ok(()),
        }
    }
}
