//! For how long claims have run, known without opening a file that may still move.
//!
//! A claim's own mtime is its last heartbeat, so it does not tell when the claim was made. But a worker writes a line into its event file when it has
//! claimed, and none while it works: so that file's mtime, stamped by the server, is when its claim was made, or later (over NFS what is appended may arrive up to
//! half a minute late). What is told is therefore *at least*. The slowest (at most 32) are looked into, whether the file's end really names the claim: if not, its line is still
//! under way, the claim is new, and nothing is told of it.
//!
//! Cost: one look per claim (at most [`LOOKS_MAX`]), and the ends of a few event files, which never move.

use std::cmp::Reverse;

use super::tally::{Beats, PATIENCE};
use crate::disk::{Disk, Soon};
use crate::ids::ClaimName;
use crate::job::layout;
use crate::job::snapshot::Snapshot;

/// Most claims asked how long they have run.
const LOOKS_MAX: usize = 500;
/// Slowest claims told.
pub(super) const TOLD_MAX: usize = 10;
/// Event files looked into, at most.
const READS_MAX: usize = 32;
/// The end of an event file that is read, in bytes.
const END_BYTES: usize = 4096;

/// What is known of the claims of a look.
pub(super) struct Runs<'a> {
    /// Asked ones, longest first; `true`: checked.
    runs: Vec<(u64, &'a ClaimName, bool)>,
    /// How many claims there are.
    pub total: usize,
}

impl<'a> Runs<'a> {
    /// Looks at the event files of those that hold claims in unfinished tasks.
    pub(super) fn look(disk: &dyn Disk, snapshot: &'a Snapshot, beats: &Beats) -> Runs<'a> {
        let claims: Vec<&ClaimName> =
            snapshot.blocks().filter(|(_, view)| view.done.is_empty()).flat_map(|(_, view)| view.claimed.iter()).collect();
        let step = claims.len().div_ceil(LOOKS_MAX).max(1);
        let age = |claim: &&'a ClaimName| Some((running_ms(disk, claim, beats)?, *claim, false));
        let mut runs: Vec<_> = claims.iter().step_by(step).filter_map(age).collect();
        runs.sort_by_key(|(ms, claim, _)| (Reverse(*ms), *claim));
        let total = claims.len();
        check(disk, &mut runs);
        Runs { runs, total }
    }

    /// The slowest, longest first, and for how many milliseconds at least.
    pub(super) fn slowest(&self) -> impl Iterator<Item = (u64, &'a ClaimName)> {
        self.runs.iter().filter(|(_, _, checked)| *checked).take(TOLD_MAX).map(|(ms, claim, _)| (*ms, *claim))
    }

    /// For how long that worker's claim has run at least, as far as it was looked into.
    pub(super) fn of(&self, claim: &ClaimName) -> Option<u64> {
        self.runs.iter().find(|(_, known, checked)| *checked && *known == claim).map(|(ms, ..)| *ms)
    }

    /// All that are known, in milliseconds.
    pub(super) fn ms(&self) -> Vec<u64> {
        self.runs.iter().map(|(ms, ..)| *ms).collect()
    }
}

/// For how long the claim has run at least, as its worker's event file has it; `None` if there is none.
pub(super) fn running_ms(disk: &dyn Disk, claim: &ClaimName, beats: &Beats) -> Option<u64> {
    let log = match disk.look_soon(&layout::log(&claim.worker), PATIENCE) {
        Ok(Soon::Back(look)) => look,
        Ok(Soon::Hanging) | Err(_) => return None,
    };
    u64::try_from((beats.newest? - log.stamp) / 1_000_000).ok()
}

/// True if the last claim that its worker's event file tells of is this one.
pub(super) fn is_told(disk: &dyn Disk, claim: &ClaimName) -> bool {
    let path = layout::log(&claim.worker);
    let Ok(look) = disk.look(&path) else { return false };
    let from = look.len.saturating_sub(END_BYTES as u64);
    let Ok(end) = disk.read_part(&path, from, END_BYTES) else { return false };
    let end = String::from_utf8_lossy(&end).into_owned();
    let last = end.lines().rev().find(|line| line.contains("\"event\":\"claimed\""));
    last.is_some_and(|line| line.contains(&format!("\"{claim}\"")))
}

/// Marks the first ones that are true, and drops those among them that are not.
fn check(disk: &dyn Disk, runs: &mut Vec<(u64, &ClaimName, bool)>) {
    let mut rest = runs.split_off(runs.len().min(READS_MAX));
    runs.retain_mut(|(_, claim, checked)| {
        *checked = is_told(disk, claim);
        *checked
    });
    runs.append(&mut rest);
}
