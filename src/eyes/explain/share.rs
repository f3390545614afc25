//! What a task is to do, in a line: its pieces of the input, its item and command, or its partition.

use std::path::Path;

use crate::data::{Piece, Split};
use crate::disk::Disk;
use crate::each::orders::Orders;
use crate::each::template::shown;
use crate::error::Result;
use crate::eyes::items::Items;
use crate::ids::{Phase, TaskId};
use crate::job::layout::output_name;
use crate::job::plan::Plan;
use crate::job::spec::Spec;
use crate::units::{on_one_line, show_size};

/// Pieces told one by one.
const PIECES_MAX: usize = 3;
/// Longest command told, in characters.
const COMMAND_CHARS_MAX: usize = 200;

/// Of `task`; where that cannot be read, why.
pub(super) fn of(disk: &dyn Disk, root: &Path, spec: &Spec, task: TaskId) -> String {
    let share = match task.phase {
        Phase::Map if spec.ask.is_of_commands() => item(disk, root, spec, task.number),
        Phase::Map => split(disk, root, task.number),
        Phase::Reduce => Ok(partition(spec, task.number)),
    };
    share.unwrap_or_else(|error| error.to_string())
}

fn item(disk: &dyn Disk, root: &Path, spec: &Spec, number: u32) -> Result<String> {
    let item = Items::open(disk, root)?.item(number)?;
    let seq = u64::from(number) + 1;
    let command = Orders::of(&spec.ask)?.template().fill(&item, seq).map_or_else(|why| why, |words| shown(&words));
    let short: String = on_one_line(&command).chars().take(COMMAND_CHARS_MAX).collect();
    Ok(format!("item {seq}: {short}"))
}

fn split(disk: &dyn Disk, root: &Path, number: u32) -> Result<String> {
    let Some(mut plan) = Plan::map(disk, root)? else { return Ok("it is not planned yet".to_owned()) };
    plan.split(number).map(|split| words(&split))
}

fn words(split: &Split) -> String {
    let bytes = split.pieces.iter().fold(0u64, |sum, piece| sum.saturating_add(piece.to.saturating_sub(piece.from)));
    let one = |piece: &Piece| {
        let name = on_one_line(&piece.name);
        let Piece { from, to, len, .. } = piece;
        if *from == 0 && to >= len { name.into_owned() } else { format!("{name} from byte {from} to {to} of {len}") }
    };
    let mut told: Vec<String> = split.pieces.iter().take(PIECES_MAX).map(one).collect();
    if split.pieces.len() > PIECES_MAX {
        told.push(format!("{} more", split.pieces.len() - PIECES_MAX));
    }
    if told.is_empty() { "it reads nothing".to_owned() } else { format!("it reads {}: {}", show_size(bytes), told.join(", ")) }
}

fn partition(spec: &Spec, number: u32) -> String {
    format!("it reads partition {number} of {} of every map task's output, and writes {}", spec.ask.reduces, output_name(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_input_is_told_in_a_line() {
        let piece = |name: &str, from, to| Piece { name: name.to_owned(), path: String::new(), file: 0, from, to, len: 100, mtime_ns: 0 };
        let split = |pieces| words(&Split { pieces });
        assert_eq!(split(vec![piece("a\nb", 0, 100), piece("c", 10, 60)]), "it reads 150 B: a\\u{a}b, c from byte 10 to 60 of 100");
        assert!(split(vec![piece("x", 0, 100); 9]).ends_with(": x, x, x, 6 more"));
        assert_eq!(split(Vec::new()), "it reads nothing");
    }
}
