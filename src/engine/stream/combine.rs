//! The combiner: what the mappers wrote, as much as the memory holds, sorted and run through it before it goes on.
//!
//! One run of it is over keys in the order of their bytes, all partitions together. Its lines may come in any order, and may have other keys: they are sorted and
//! dealt out like a mapper's. What several runs of it made of one key is not combined once more.

use super::child::{Child, Lines, Role};
use super::places::Place;
use super::report::Report;
use super::{Stream, Words, line_bytes_max};
use crate::data::Failure;
use crate::engine::MapWork;
use crate::engine::arena::Arena;

/// Pairs on their way through the combiner.
pub(super) struct Combining<'a> {
    stream: &'a Stream,
    words: &'a Words,
    work: &'a MapWork<'a>,
    arena: Arena,
    report: Report,
    pairs_in: u64,
    pairs_out: u64,
}

/// Where its pairs go.
pub(super) type Onward<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), Failure>;

/// Why no more pairs are handed on.
enum Stop {
    /// It reads no more.
    Enough,
    Failed(Failure),
}

impl<'a> Combining<'a> {
    pub(super) fn new(stream: &'a Stream, words: &'a Words, work: &'a MapWork<'a>, report: Report) -> Combining<'a> {
        Combining { stream, words, work, arena: Arena::default(), report, pairs_in: 0, pairs_out: 0 }
    }

    /// Takes a pair; combines when the memory is used up.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8], emit: Onward<'_>) -> Result<(), Failure> {
        self.arena.push(0, key, |bytes| bytes.extend_from_slice(value));
        self.pairs_in += 1;
        if self.arena.bytes() >= self.work.budget.memory { self.combine(emit) } else { Ok(()) }
    }

    /// Runs the combiner over what is held.
    pub(super) fn combine(&mut self, emit: Onward<'_>) -> Result<(), Failure> {
        if self.arena.is_empty() {
            return Ok(());
        }
        let mut arena = std::mem::take(&mut self.arena);
        let mut pairs_out = 0;
        let mut lines = Lines::new(line_bytes_max(self.work.budget.memory), |key: &[u8], value: &[u8]| {
            pairs_out += 1;
            emit(key, value)
        });
        let place = Place { context: self.work.context, piece: None };
        let role = (Role::Combiner, self.words);
        let mut child = Child::start(self.stream, role, &place, self.work.control, &mut lines, &mut self.report)?;
        let fed = arena.drain_sorted(|_, key, value| match child.pair(key, value) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Enough),
            Err(failure) => Err(Stop::Failed(failure)),
        });
        match fed {
            Ok(()) | Err(Stop::Enough) => child.finish()?,
            Err(Stop::Failed(failure)) => return Err(failure),
        }
        self.pairs_out += pairs_out;
        Ok(())
    }

    /// Adds what the combiners reported, and how much they did.
    pub(super) fn add_to(self, report: &mut Report) {
        report.add(self.report);
        report.count("combiner pairs in", self.pairs_in);
        report.count("combiner pairs out", self.pairs_out);
    }
}
