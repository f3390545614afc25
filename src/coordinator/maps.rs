//! What is to be done about map tasks, which may lie in blocks of several: pure, a part of [`plan`](super::plan).
//!
//! A task is done when a block that holds it is done; once the reduce plan is written, only a block within the one that the plan names for it. It is *nowhere* when no block that
//! holds it waits, runs or is done. What is nowhere is issued again:
//!
//! | the tasks were | and are issued as |
//! |---|---|
//! | never tried | blocks of the size that [`bundling`](super::bundling) says, while the window has room |
//! | in a block that was given back or dropped | the same block |
//! | in a block that failed, was lost or retracted, or hangs | its halves, which counts against nobody |
//! | in a block of one | the task again, within its limits |
//!
//! So a task that brings its block down is alone after as many halvings as its block is large, and none of its neighbours has an error in its book; and every loss makes a block
//! smaller or counts, so that nothing goes on for ever. A number is one above the highest of all attempts that hold the task.

use std::collections::BTreeSet;
use std::ops::Range;

use super::bundling::Sizes;
use super::plan::{Action, Ending, Facts, drop_copies, verdict};
use crate::ids::{Block, ClaimName, TaskFile};
use crate::job::record::Ended;
use crate::job::snapshot::{Snapshot, TaskView};
use crate::job::walk::{Done, Holder, Walker, Within, walk};

/// What came of looking at all map tasks.
pub(super) struct Maps<'a> {
    facts: &'a Facts<'a>,
    retracted: &'a BTreeSet<ClaimName>,
    pause: bool,
    room: usize,
    sizes: Sizes,
    /// In order.
    pub(super) actions: Vec<Action>,
    /// Tasks past their limit that are left out.
    pub(super) left_out: Vec<Action>,
    /// The first task past its limit, where none may be left out.
    pub(super) failure: Option<Action>,
    /// Tasks that are done.
    pub(super) n_done: usize,
}

impl<'a> Maps<'a> {
    /// Looks at all of them; of those never tried so many files are issued, at most.
    pub(super) fn look(snapshot: &Snapshot, facts: &'a Facts<'a>, retracted: &'a BTreeSet<ClaimName>, room: usize) -> Maps<'a> {
        let sizes = facts.bundling.sizes(snapshot);
        let (actions, left_out) = (Vec::new(), Vec::new());
        let mut maps = Maps { facts, retracted, pause: snapshot.pause, room, sizes, actions, left_out, failure: None, n_done: 0 };
        walk(snapshot, &mut maps);
        maps
    }

    /// Issues `tasks`, which are nowhere, as blocks of at most this order; `None`: they were never tried.
    fn issue(&mut self, mut tasks: Range<u32>, order: Option<u8>, highest: u32, own: Option<&TaskView>) {
        while !tasks.is_empty() && (order.is_some() || self.room > 0) {
            let block = Block::first_of(&tasks, order.unwrap_or_else(|| self.sizes.order()));
            tasks.start = block.tasks().end;
            let none = TaskView::default();
            let view = own.unwrap_or(&none);
            if let Some(failure) = verdict(block.first(), view, highest, self.facts) {
                match self.facts.leave_out {
                    None => self.failure = self.failure.take().or(Some(failure)),
                    Some(_) => self.left_out.push(failure),
                }
                continue;
            }
            if self.pause {
                return;
            }
            if order.is_none() {
                self.room = self.room.saturating_sub(1);
                self.sizes.take(block);
            }
            self.actions.push(Action::Issue(block.attempt(highest + 1)));
        }
    }
}

impl Walker for Maps<'_> {
    fn stretch(&mut self, tasks: Range<u32>, holders: &[Holder<'_>]) -> Done {
        let planned = self.facts.bundling.planned_for(tasks.start);
        let counting = || within(planned, holders);
        let is_done = |holder: &Holder<'_>| holder.view.done.iter().any(|claim| !self.retracted.contains(claim));
        if counting().any(is_done) {
            self.n_done += tasks.len();
            return Done::All;
        }
        // What is just being taken back or retracted is issued again from the next snapshot, when it has really left, and counts as lost.
        let is_somewhere = |holder: &Holder<'_>| !is_nowhere(holder.view, self.facts);
        if counting().any(is_somewhere) || self.failure.is_some() {
            return Done::NotAll;
        }
        let highest = holders.iter().map(|holder| holder.view.highest).max().unwrap_or(0);
        let own = holders.last().filter(|holder| holder.block.order() == 0).map(|holder| holder.view);
        let orders = counting().map(|holder| order_after(holder, self.facts));
        let order = orders.chain(planned.map(Block::order)).min();
        // Planned tasks were tried, though their files may have been removed by hand.
        let order = order.filter(|_| highest > 0 || planned.is_some());
        self.issue(tasks, order, highest, own);
        Done::NotAll
    }

    fn block(&mut self, holder: Holder<'_>, done: Done, _: Within) {
        match done {
            Done::All => drop_copies(holder.block, holder.view, &mut self.actions),
            Done::NotAll => {
                let stale = holder.view.claimed.iter().filter(|claim| self.facts.stale.contains(claim));
                self.actions.extend(stale.cloned().map(|claim| Action::Expire(claim, Ended::Lost)));
            }
        }
    }
}

/// The blocks whose attempts count: all, or those within the reduce plan's line.
pub(super) fn within<'h, 's>(planned: Option<Block>, holders: &'h [Holder<'s>]) -> impl Iterator<Item = &'h Holder<'s>> {
    holders.iter().filter(move |holder| planned.is_none_or(|planned| planned.holds(holder.block)))
}

/// In none of `pending`, `claimed` and `done`, where a claim that hangs is not believed to be.
pub(super) fn is_nowhere(view: &TaskView, facts: &Facts<'_>) -> bool {
    view.pending.is_empty() && view.done.is_empty() && view.claimed.iter().all(|claim| facts.stuck.contains(claim))
}

/// How large a block may be when tasks of this one are issued again.
fn order_after(holder: &Holder<'_>, facts: &Facts<'_>) -> u8 {
    let is_free = |file: &TaskFile| facts.endings.get(&file.to_string()) == Some(&Ending::Free);
    let view = holder.view;
    let broke = !view.failed.is_empty() || !view.claimed.is_empty() || holder.block.order() > 0 && !view.expired.iter().all(is_free);
    holder.block.order().saturating_sub(u8::from(broke))
}
