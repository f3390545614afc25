//! Which slot goes to which job: a pure function. No disk, no clock, no process.
//!
//! A job with something to claim is served in the order: higher priority, fewer slots of ours at it, served least recently, older. A slot moves at the end of a task,
//! never in the middle of one, and only where another job needs it: at once where it has nothing to do or the other job's priority is higher, after its turn where the
//! other is an equal that fewer slots serve. So a slot alone with a job stays there, and with many equals each gets its turn.

use std::cmp::Reverse;
use std::time::Duration;

/// A slot stays so long with a job while equals wait.
pub const TURN: Duration = Duration::from_secs(3);

/// An unfinished job, as a choice needs it.
#[derive(Debug, Clone)]
pub struct JobView<'a> {
    /// Its folder in the farm.
    pub name: &'a str,
    /// Higher goes first.
    pub priority: i32,
    /// RFC 3339: older sorts first.
    pub submitted: &'a str,
    /// Tasks that may be claimed.
    pub pending: usize,
    /// When a slot was last sent there, by a count of such; 0 for never.
    pub served: u64,
}

/// A slot, as a choice needs it.
#[derive(Debug, Clone, Copy)]
pub struct SlotView<'a> {
    /// Where it is; `None`: nowhere.
    pub job: Option<&'a str>,
    /// It holds a claim.
    pub is_busy: bool,
    /// It was asked to leave its job.
    pub is_leaving: bool,
    /// For how long it has been there.
    pub held: Duration,
}

/// What a slot is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Join this job.
    Join {
        /// Which slot.
        slot: usize,
        /// The job's name.
        job: String,
    },
    /// Leave the job it is at, at the end of its task.
    Leave {
        /// Which slot.
        slot: usize,
    },
}

struct Tally<'a> {
    job: &'a JobView<'a>,
    serving: usize,
    room: usize,
}

/// What is to be done now.
pub fn moves(jobs: &[JobView<'_>], slots: &[SlotView<'_>]) -> Vec<Move> {
    let mut tallies: Vec<Tally<'_>> = jobs.iter().map(|job| tally(job, slots)).collect();
    let mut taken = vec![false; slots.len()];
    let mut moves = Vec::new();
    while let Some(at) = best(&tallies) {
        let Some((slot, step)) = pick(&tallies, at, slots, &taken) else { break };
        taken[slot] = true;
        if step == Step::Ask
            && let Some(old) = tallies.iter_mut().find(|old| slots[slot].job == Some(old.job.name))
        {
            old.serving -= 1;
        }
        tallies[at].serving += 1;
        tallies[at].room -= 1;
        match step {
            Step::Send => moves.push(Move::Join { slot, job: tallies[at].job.name.to_owned() }),
            Step::Ask => moves.push(Move::Leave { slot }),
            Step::Expect => {}
        }
    }
    moves
}

fn tally<'a>(job: &'a JobView<'a>, slots: &[SlotView<'_>]) -> Tally<'a> {
    let there = || slots.iter().filter(|slot| slot.job == Some(job.name) && !slot.is_leaving);
    let about_to_claim = there().filter(|slot| !slot.is_busy).count();
    Tally { job, serving: there().count(), room: job.pending.saturating_sub(about_to_claim) }
}

fn best(tallies: &[Tally<'_>]) -> Option<usize> {
    let ready = tallies.iter().enumerate().filter(|(_, tally)| tally.room > 0);
    let order = |tally: &Tally<'_>| (Reverse(tally.job.priority), tally.serving, tally.job.served);
    let names = |tally: &Tally<'_>| (tally.job.submitted.to_owned(), tally.job.name.to_owned());
    ready.min_by(|(_, a), (_, b)| order(a).cmp(&order(b)).then_with(|| names(a).cmp(&names(b)))).map(|(at, _)| at)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is free: it is sent.
    Send,
    /// It is asked to leave where it is.
    Ask,
    /// It was asked before, and will come.
    Expect,
}

/// A slot for the job `at`: one that loses least by it.
fn pick(tallies: &[Tally<'_>], at: usize, slots: &[SlotView<'_>], taken: &[bool]) -> Option<(usize, Step)> {
    let wanted = &tallies[at];
    let of = |slot: &SlotView<'_>| tallies.iter().find(|tally| slot.job == Some(tally.job.name));
    let others = || slots.iter().enumerate().filter(|(n, slot)| !taken[*n] && slot.job != Some(wanted.job.name));
    let staying = || others().filter(|(_, slot)| slot.job.is_some() && !slot.is_leaving);
    let free = others().find(|(_, slot)| slot.job.is_none()).map(|(n, _)| (n, Step::Send));
    let idle = || staying().find(|(_, slot)| !slot.is_busy && of(slot).is_none_or(|tally| tally.job.pending == 0));
    let expected = || slots.iter().enumerate().find(|(n, slot)| !taken[*n] && slot.job.is_some() && slot.is_leaving);
    let lower = || {
        let below = staying().filter(|(_, slot)| of(slot).is_some_and(|tally| tally.job.priority < wanted.job.priority));
        below.min_by_key(|(_, slot)| (of(slot).map(|tally| tally.job.priority), Reverse(slot.held)))
    };
    let turn_over = || {
        let equals = staying().filter(|(_, slot)| {
            slot.held >= TURN && of(slot).is_some_and(|tally| tally.job.priority == wanted.job.priority && tally.serving > wanted.serving)
        });
        equals.max_by_key(|(_, slot)| slot.held)
    };
    let asked = |(n, _): (usize, &SlotView<'_>)| (n, Step::Ask);
    free.or_else(|| idle().map(asked))
        .or_else(|| expected().map(|(n, _)| (n, Step::Expect)))
        .or_else(|| lower().map(asked))
        .or_else(|| turn_over().map(asked))
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
