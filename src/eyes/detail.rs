//! What the tasks are that a digest names: their items, their pieces of the input, and the last words of their commands. Best effort: what cannot be read is left out.
//!
//! Cost: two small reads for each of the slowest and of the attempts that went wrong, which are few.

use std::collections::HashMap;
use std::path::Path;

use super::digest::Digest;
use super::history::History;
use super::items::{self, Items};
use crate::data::{Piece, Ran};
use crate::disk::Disk;
use crate::ids::{Block, ClaimName, Phase};
use crate::job::plan::Plan;
use crate::job::spec::Spec;
use crate::units::{cut, on_one_line};

/// Most characters of an item or a piece that are shown.
const WHAT_CHARS_MAX: usize = 200;

/// Adds to `digest` what can be read of the tasks that it names.
pub(super) fn fill(digest: &mut Digest, disk: &dyn Disk, root: &Path, spec: &Spec, history: &History) {
    let mut what = What::open(disk, root, spec);
    for slow in &mut digest.slowest {
        slow.what = slow.task.parse().ok().and_then(|block| what.of(block));
    }
    let ran: HashMap<String, &Ran> = history
        .attempts
        .iter()
        .filter(|attempt| attempt.told.as_ref().is_some_and(|told| told.error.is_some()))
        .filter_map(|attempt| Some((attempt.name.to_string(), attempt.told.as_ref()?.ran.as_ref()?)))
        .collect();
    for trouble in &mut digest.troubles {
        let Ok(claim) = trouble.attempt.parse::<ClaimName>() else { continue };
        trouble.what = what.of(claim.attempt.block());
        trouble.output = ran.get(&trouble.attempt).and_then(|ran| items::stderr_end(disk, &claim, ran));
    }
}

/// Of one task; or of a bundle, `last` being those of its last task.
fn pieces_in_words(pieces: &[Piece], last: &[Piece]) -> Option<String> {
    let first = pieces.first()?;
    let bytes = |to| format!("{}, bytes {} to {to}", first.name, first.from);
    Some(match (pieces.len(), last.last()) {
        (_, Some(last)) if last.name == first.name => bytes(last.to),
        (_, Some(last)) => format!("{} to {}", first.name, last.name),
        (1, None) if first.from == 0 && first.to == first.len => first.name.clone(),
        (1, None) => bytes(first.to),
        (n, None) => format!("{} and {} more", first.name, n - 1),
    })
}

/// What tasks are.
enum What<'a> {
    Items(Items<'a>),
    Pieces(Plan<'a>),
    Nothing,
}

impl<'a> What<'a> {
    fn open(disk: &'a dyn Disk, root: &'a Path, spec: &Spec) -> What<'a> {
        match spec.ask.is_of_commands() {
            true => Items::open(disk, root).map_or(What::Nothing, What::Items),
            false => Plan::map(disk, root).ok().flatten().map_or(What::Nothing, What::Pieces),
        }
    }

    fn of(&mut self, block: Block) -> Option<String> {
        let task = block.first();
        let text = match (self, task.phase) {
            (What::Items(items), Phase::Map) => String::from_utf8_lossy(&items.item(task.number).ok()?).into_owned(),
            (What::Pieces(plan), Phase::Map) => {
                let pieces = plan.split(task.number).ok()?.pieces;
                let last = if block.order() == 0 { Vec::new() } else { plan.split(block.tasks().end - 1).ok()?.pieces };
                pieces_in_words(&pieces, &last)?
            }
            (_, Phase::Reduce) | (What::Nothing, Phase::Map) => return None,
        };
        Some(cut(&on_one_line(&text), WHAT_CHARS_MAX).into_owned())
    }
}
