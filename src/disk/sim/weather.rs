//! What may go wrong by chance on a simulated disk run directly, and what is under way because of it.
//!
//! A reply that is lost, an answer that is stale and a lock that lies are of one call. The others last: a mount that hangs, a disk without room, a server
//! that restarts (it forgets its locks; what a living client has not had acknowledged, that client sends again, so nothing else is seen of it), a call of the
//! dead that is still on the wire. What was appended and neither flushed nor closed is lost with its *machine*, not with its process.

use std::collections::BTreeMap;
use std::time::Duration;

use super::op::{HoldId, Inode, Op, Reply};
use super::state::DiskState;
use super::turns::Chance;
use crate::disk::Look;

/// Faults by chance: of a thousand calls that may suffer them, so many do; of a hundred thousand, where they are rare or last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Renames, links and removals whose reply is lost: the client sends them again, and they are done a second time.
    pub lost_replies_per_mille: u16,
    /// Calls answered by what the client believes.
    pub stale_per_mille: u16,
    /// Looks answered with the attributes that the client saw last.
    pub stale_attributes_per_mille: u16,
    /// Tries to lock that are answered `Broken`.
    pub broken_locks_per_mille: u16,
    /// Requests or replies that are under way for up to three seconds.
    pub delays_per_100_000: u32,
    /// Calls from which on their client's mount hangs for 5 to 40 s.
    pub hangs_per_100_000: u32,
    /// Calls from which on the disk is full for 1 to 20 s, for their client alone or for all.
    pub full_per_100_000: u32,
    /// Calls at which the server restarts, which takes it 1 to 20 s.
    pub restarts_per_100_000: u32,
    /// Calls at which their client dies, if it is mortal: its process, or its whole machine.
    pub deaths_per_100_000: u32,
}

impl Weather {
    /// Nothing goes wrong.
    pub const CALM: Weather = Weather {
        lost_replies_per_mille: 0,
        stale_per_mille: 0,
        stale_attributes_per_mille: 0,
        broken_locks_per_mille: 0,
        delays_per_100_000: 0,
        hangs_per_100_000: 0,
        full_per_100_000: 0,
        restarts_per_100_000: 0,
        deaths_per_100_000: 0,
    };

    /// The rare event that befalls a call, if any; one draw.
    pub(super) fn event(&self, chance: &mut Chance) -> Option<Event> {
        let rates = [
            (self.delays_per_100_000, Event::Delay),
            (self.hangs_per_100_000, Event::Hang),
            (self.full_per_100_000, Event::Full),
            (self.restarts_per_100_000, Event::Restart),
            (self.deaths_per_100_000, Event::Death),
        ];
        if rates.iter().all(|(rate, _)| *rate == 0) {
            return None;
        }
        let mut drawn = chance.below(100_000) as u64;
        for (rate, event) in rates {
            match drawn.checked_sub(u64::from(rate)) {
                Some(rest) => drawn = rest,
                None => return Some(event),
            }
        }
        None
    }
}

/// What befalls a call, and perhaps others after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Delay,
    Hang,
    Full,
    Restart,
    Death,
}

/// When a delayed call is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    /// The request: it is done when it has arrived.
    Request,
    /// The reply: it has been done.
    Reply,
}

/// How a client dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Its process: the kernel closes its files, and what was written arrives.
    Process,
    /// Its machine: what was neither flushed nor closed is lost.
    Machine,
}

/// What is under way.
#[derive(Default)]
pub(super) struct Skies {
    hung: BTreeMap<usize, Duration>,
    full: BTreeMap<usize, Duration>,
    down: Duration,
    full_for_all: Duration,
    wire: Vec<(Duration, usize, Op)>,
    n_late: usize,
    attributes: BTreeMap<(usize, Inode), Look>,
    dirty: BTreeMap<HoldId, Vec<Piece>>,
}

/// Bytes that were appended and neither flushed nor closed.
struct Piece {
    inode: Inode,
    from: usize,
    len: usize,
}

fn seconds(chance: &mut Chance, from: usize, to: usize) -> Duration {
    Duration::from_millis((from * 1000 + chance.below((to - from) * 1000)) as u64)
}

impl Skies {
    /// From now on the client's mount hangs.
    pub(super) fn hang(&mut self, client: usize, now: Duration, chance: &mut Chance) {
        self.hung.insert(client, now + seconds(chance, 5, 40));
    }

    /// From now on there is no room.
    pub(super) fn fill(&mut self, client: usize, now: Duration, chance: &mut Chance) {
        let until = now + seconds(chance, 1, 20);
        if chance.below(2) == 0 {
            self.full.insert(client, until);
        } else {
            self.full_for_all = until;
        }
    }

    /// The server restarts.
    pub(super) fn restart(&mut self, state: &mut DiskState, chance: &mut Chance) {
        self.down = state.clock + seconds(chance, 1, 20);
        state.forget_locks();
    }

    /// When a call of the client gets through, if not now.
    pub(super) fn held_up(&self, client: usize, now: Duration) -> Option<Duration> {
        let until = self.hung.get(&client).copied().unwrap_or_default().max(self.down);
        (until > now).then_some(until)
    }

    /// Whether there is no room for what the client writes.
    pub(super) fn is_full(&self, client: usize, now: Duration) -> bool {
        self.full_for_all > now || self.full.get(&client).is_some_and(|until| *until > now)
    }

    /// A call of the dead arrives some time later.
    pub(super) fn send_late(&mut self, client: usize, op: &Op, now: Duration, chance: &mut Chance) {
        if op.may_outlive_its_caller() && chance.below(2) == 0 {
            self.wire.push((now + seconds(chance, 0, 30), client, op.clone()));
        }
    }

    /// The next call of the dead that has arrived by now.
    pub(super) fn arrived(&mut self, now: Duration) -> Option<(usize, Op)> {
        let at = self.wire.iter().position(|(when, ..)| *when <= now)?;
        let (_, client, op) = self.wire.remove(at);
        self.n_late += 1;
        Some((client, op))
    }

    /// How many calls of the dead have arrived.
    pub(super) fn n_late(&self) -> usize {
        self.n_late
    }

    /// What the client saw last of a file, where it has changed since.
    pub(super) fn old_attributes(&self, client: usize, op: &Op, state: &DiskState) -> Option<Look> {
        let Op::Look { path } = op else { return None };
        let inode = state.inode(path)?;
        let old = self.attributes.get(&(client, inode)).copied()?;
        (Some(old) != state.attributes(inode)).then_some(old)
    }

    /// Keeps account of what a call did.
    pub(super) fn note(&mut self, client: usize, op: &Op, reply: &Reply, state: &DiskState) {
        match (op, reply) {
            (Op::Look { .. }, Reply::Look(look)) => _ = self.attributes.insert((client, look.inode), *look),
            (Op::Append { hold, bytes }, Reply::Done) => {
                let Some((inode, now)) = state.held_bytes(*hold) else { return };
                self.dirty.entry(*hold).or_default().push(Piece { inode, from: now.saturating_sub(bytes.len()), len: bytes.len() });
            }
            (Op::Flush { hold }, Reply::Done) => self.closed(*hold),
            _ => {}
        }
    }

    /// The file was closed, or flushed: what was appended by it has arrived.
    pub(super) fn closed(&mut self, hold: HoldId) {
        self.dirty.remove(&hold);
    }

    /// A flush that fails loses what it was to write, as often as not.
    pub(super) fn flush_failed(&mut self, hold: HoldId, state: &mut DiskState, chance: &mut Chance) {
        if chance.below(2) == 0 {
            self.dirty.remove(&hold).into_iter().flatten().rev().for_each(|piece| state.lose(piece.inode, piece.from, piece.len));
        }
    }

    /// The client died, and what it had under way ends.
    pub(super) fn died(&mut self, client: usize, how: Death, state: &mut DiskState) {
        let holds: Vec<HoldId> = self.dirty.range((client, 0)..=(client, u32::MAX)).map(|(hold, _)| *hold).collect();
        for hold in holds {
            let pieces = self.dirty.remove(&hold).unwrap_or_default();
            if how == Death::Machine {
                pieces.into_iter().rev().for_each(|piece| state.lose(piece.inode, piece.from, piece.len));
            }
        }
        self.hung.remove(&client);
    }

    /// Whether something of the file has neither been flushed nor closed.
    pub(super) fn is_dirty(&self, inode: Inode) -> bool {
        self.dirty.values().flatten().any(|piece| piece.inode == inode)
    }
}
