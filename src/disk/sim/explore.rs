//! Every interleaving of a few actors, breadth first: the shortest way to a violation is the one that is found.
//!
//! States are told apart by a 128-bit fingerprint of the disk, each actor's replies, the wire and the faults left; so the number of states is exact
//! and can be pinned by a test, and a change of the protocol cannot pass unnoticed. A state without moves is an end: all actors have
//! returned or died. (That a call hangs for any time is among the interleavings anyway.)

use std::collections::{HashSet, VecDeque};
use std::fmt;

use super::fingerprint::fingerprint;
use super::state::DiskState;
use super::world::{Actor, Event, Faults, World};

/// What is to be explored.
pub struct Explorer {
    /// Who acts; actor n is client n.
    pub actors: Vec<Actor>,
    /// On what.
    pub initial: DiskState,
    /// What may go wrong.
    pub faults: Faults,
    /// More states than this are an error: the actors probably go round without coming back to where they were.
    pub states_max: usize,
}

/// What was found where nothing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Different states.
    pub states: usize,
    /// States in which nothing more can happen.
    pub ends: usize,
    /// Moves from state to state.
    pub moves: usize,
}

/// What is wrong, and the shortest way there.
#[derive(Debug, Clone)]
pub struct Violation {
    /// In the words of the check.
    pub what: String,
    /// What happened, from the beginning.
    pub trace: Vec<Event>,
}

impl Explorer {
    /// Explores all there is; `always` is asked in every state, `at_end` in those where nothing more can happen.
    pub fn explore(
        &self,
        mut always: impl FnMut(&World) -> Result<(), String>,
        mut at_end: impl FnMut(&World) -> Result<(), String>,
    ) -> Result<Report, Violation> {
        let mut report = Report { states: 1, ends: 0, moves: 0 };
        let first = World::new(self.initial.clone(), &self.actors, self.faults);
        let mut seen = HashSet::from([fingerprint(&first)]);
        let mut ways = Ways::default();
        let mut queue = VecDeque::from([(first, Ways::BEGINNING)]);
        while let Some((world, here)) = queue.pop_front() {
            always(&world).map_err(|what| ways.violation(what, here))?;
            let moves = world.moves();
            if moves.is_empty() {
                report.ends += 1;
                at_end(&world).map_err(|what| ways.violation(what, here))?;
            }
            for (number, how) in moves {
                report.moves += 1;
                let (next, event) = world.after(number, how, &self.actors);
                if seen.insert(fingerprint(&next)) {
                    report.states += 1;
                    queue.push_back((next, ways.add(here, event)));
                }
            }
            if report.states > self.states_max {
                return Err(ways.violation(format!("more than {} states", self.states_max), here));
            }
        }
        Ok(report)
    }
}

/// How each state was reached first.
#[derive(Default)]
struct Ways {
    steps: Vec<(usize, Event)>,
}

impl Ways {
    const BEGINNING: usize = usize::MAX;

    fn add(&mut self, from: usize, event: Event) -> usize {
        self.steps.push((from, event));
        self.steps.len() - 1
    }

    fn violation(&self, what: String, mut at: usize) -> Violation {
        let mut trace = Vec::new();
        while let Some((from, event)) = self.steps.get(at) {
            trace.push(event.clone());
            at = *from;
        }
        trace.reverse();
        Violation { what, trace }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, after", self.what)?;
        self.trace.iter().enumerate().try_for_each(|(n, event)| writeln!(f, "{:4}  {event}", n + 1))
    }
}

impl std::error::Error for Violation {}
