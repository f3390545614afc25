//! Random schedules in virtual time: actors as step functions that say when they want their next turn.
//!
//! What one step does is not interleaved with the others (that is [`super::explore`]): the finer the steps, the more schedules there are.

use std::time::Duration;

use super::run::{SimDisk, survives};
use crate::disk::watch::split_mix_64;

/// What an actor of [`take_turns`] says after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It can go on at once.
    Ready,
    /// It has nothing to do for so long.
    Wait(Duration),
    /// It has ended.
    Done,
}

/// How a run by [`take_turns`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All actors are done or dead.
    AllEnded,
    /// The steps allowed were used up.
    OutOfSteps,
}

/// Lets the actors take steps in a random order until all have ended; time passes only while all wait. A step whose client dies ends its actor.
pub fn take_turns(disk: &SimDisk, seed: u64, steps_max: usize, actors: &mut [Box<dyn FnMut() -> Turn + '_>]) -> Ending {
    let mut chance = Chance::from_seed(seed);
    let mut wakes: Vec<Option<Duration>> = vec![Some(Duration::ZERO); actors.len()];
    for _ in 0..steps_max {
        let Some(earliest) = wakes.iter().flatten().min().copied() else { return Ending::AllEnded };
        let now = disk.sleep_until(earliest);
        let ready: Vec<usize> = (0..actors.len()).filter(|n| wakes[*n].is_some_and(|wake| wake <= now)).collect();
        let turn = ready[chance.below(ready.len())];
        wakes[turn] = match survives(&mut actors[turn]).unwrap_or(Turn::Done) {
            Turn::Ready => Some(disk.now()),
            Turn::Wait(time) => Some(disk.now() + time),
            Turn::Done => None,
        };
    }
    if wakes.iter().all(Option::is_none) { Ending::AllEnded } else { Ending::OutOfSteps }
}

/// Draws that a seed decides.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same draws.
    pub fn from_seed(seed: u64) -> Chance {
        Chance(seed)
    }

    /// A number below `limit` (which is not 0).
    pub fn below(&mut self, limit: usize) -> usize {
        (split_mix_64(&mut self.0) % limit as u64) as usize
    }

    pub(super) fn hits(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.below(1000) < usize::from(per_mille)
    }
}
