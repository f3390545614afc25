//! The attempts of one task: what their files say, where these do not move any more; of the others only names and stamps.

use super::Attempt;
use crate::data::{Made, bytes_of};
use crate::disk::Disk;
use crate::eyes::errors::{last_lines, words};
use crate::eyes::items::stderr_end;
use crate::eyes::slow;
use crate::eyes::tally::Beats;
use crate::ids::{AttemptId, Block, ClaimName, TaskFile};
use crate::job::end::End;
use crate::job::layout::{self, State};
use crate::job::record::{self, Ended, Event, Line, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::TaskView;

/// All attempts that hold a task, alone or with others, in order.
pub(super) fn read(disk: &dyn Disk, holders: &[(Block, &TaskView)], beats: &Beats) -> Vec<Attempt> {
    let held = |state, claims: &[ClaimName]| -> Vec<Attempt> {
        claims.iter().map(|claim| ended(disk, state, &TaskFile::Held(claim.clone()))).collect()
    };
    let mut attempts = Vec::new();
    for (block, view) in holders {
        attempts.extend(view.pending.iter().map(|number| pending(disk, block.attempt(*number), beats)));
        attempts.extend(view.claimed.iter().map(|claim| claimed(disk, claim, beats)));
        attempts.extend(held(State::Done, &view.done));
        attempts.extend(held(State::Failed, &view.failed));
        attempts.extend(view.expired.iter().map(|file| ended(disk, State::Expired, file)));
    }
    attempts.sort_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    attempts
}

fn named(file: &TaskFile, state: State) -> Attempt {
    let worker = match file {
        TaskFile::Held(claim) => Some(&claim.worker),
        TaskFile::Free(_) => None,
    };
    Attempt {
        name: file.to_string(),
        number: file.attempt().number,
        state: state.dir(),
        worker: worker.map(ToString::to_string),
        host: worker.map(|worker| worker.host().to_owned()),
        pid: worker.map(crate::ids::WorkerName::pid),
        ..Attempt::default()
    }
}

fn pending(disk: &dyn Disk, attempt: AttemptId, beats: &Beats) -> Attempt {
    let issued = disk.look(&layout::pending(attempt)).ok();
    let waiting_ms = issued.and_then(|look| beats.since_ms(look.stamp));
    Attempt { waiting_ms, ..named(&TaskFile::Free(attempt), State::Pending) }
}

fn claimed(disk: &dyn Disk, claim: &ClaimName, beats: &Beats) -> Attempt {
    let quiet_ms = beats.quiet_ms(&layout::held(State::Claimed, claim));
    let running_ms = slow::running_ms(disk, claim, beats).filter(|_| slow::is_told(disk, claim));
    Attempt { quiet_ms, running_ms, ..named(&TaskFile::Held(claim.clone()), State::Claimed) }
}

/// One whose file moves no more.
fn ended(disk: &dyn Disk, state: State, file: &TaskFile) -> Attempt {
    let bytes = disk.read(&state.path(file), RECORD_BYTES_MAX).unwrap_or_default();
    let mut attempt = of_lines(named(file, state), &record::parse(&bytes));
    match state {
        State::Done => attempt.outcome = Some("result").filter(|_| record::own_result(&attempt.name, &bytes).is_some()),
        State::Failed => {
            let error = record::own_error(&attempt.name, &bytes);
            attempt.outcome = Some(if matches!(error, TaskError::Damaged(_)) { "damaged" } else { "error" });
            let (text, ran) = words(error);
            if let (TaskFile::Held(claim), Some(ran)) = (file, &ran) {
                attempt.output = stderr_end(disk, claim, ran).map(|text| last_lines(&text));
            }
            attempt.error = Some(text);
        }
        State::Expired => attempt.outcome = Some(outcome(record::why_ended(&attempt.name, &bytes))),
        State::Pending | State::Claimed => {}
    }
    attempt
}

fn outcome(ended: Ended) -> &'static str {
    match ended {
        Ended::Lost => "lost",
        Ended::GivenBack => "given_back",
        Ended::Dropped => "dropped",
        Ended::Retracted => "retracted",
    }
}

/// What the lines of its file add; of results only its own counts.
fn of_lines(mut attempt: Attempt, lines: &[Line]) -> Attempt {
    for Line { by, at, event } in lines {
        let is_own = *by == attempt.name;
        match event {
            Event::Issued { .. } => (attempt.issued_by, attempt.issued) = (Some(by.clone()), Some(at.clone())),
            Event::Claimed { .. } if is_own => attempt.claimed = Some(at.clone()),
            Event::Result { made, elapsed_ms } if is_own => {
                (attempt.ended, attempt.elapsed_ms) = (Some(at.clone()), Some(*elapsed_ms));
                (attempt.bytes, attempt.skipped) = (Some(bytes_made(made)), made.skipped.len());
                attempt.counters.clone_from(&made.counters);
            }
            Event::Error(_) if is_own => attempt.ended = Some(at.clone()),
            Event::Ended(_) => attempt.ended = Some(at.clone()),
            Event::Claimed { .. } | Event::Result { .. } | Event::Error(_) | Event::Reached(_) => {}
        }
    }
    attempt
}

/// Of its files, or where it is a command, of what it wrote.
fn bytes_made(made: &Made) -> u64 {
    let written = made.ran.as_ref().map_or(0, |ran| bytes_of(&ran.out).saturating_add(bytes_of(&ran.err)));
    made.files.iter().fold(written, |sum, file| sum.saturating_add(file.len))
}

/// Marks the attempt that counts: the one that the end names, or else of those with a result the first of the largest block.
pub(super) fn mark_counting(attempts: &mut [Attempt], end: Option<&End>) {
    let named = |attempt: &Attempt| end.is_some_and(|end| end.outputs.iter().any(|output| output.attempt == attempt.name));
    let at = attempts.iter().position(named).or_else(|| largest_done(attempts));
    if let Some(at) = at {
        attempts[at].counts = true;
    }
}

/// All of them hold one task: the name that is sorted first is of the largest block.
fn largest_done(attempts: &[Attempt]) -> Option<usize> {
    let done = attempts.iter().enumerate().filter(|(_, attempt)| attempt.outcome == Some("result"));
    done.min_by_key(|(_, attempt)| attempt.name.parse::<ClaimName>().ok()).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_results_that_of_the_largest_block_counts() {
        let counting = |names: &[&str]| {
            let result = |name: &&str| Attempt { name: (*name).to_owned(), outcome: Some("result"), ..Attempt::default() };
            let mut attempts: Vec<Attempt> = names.iter().map(result).collect();
            mark_counting(&mut attempts, None);
            attempts.into_iter().filter(|attempt| attempt.counts).map(|attempt| attempt.name).collect::<Vec<_>>()
        };
        assert_eq!(counting(&["map-00005.a1@n.1.x", "map-00004+1.a2@n.1.x", "map-00004+3.a3@n.1.x"]), ["map-00004+3.a3@n.1.x"]);
        assert_eq!(counting(&["reduce-00005.a2@n.1.x", "reduce-00005.a1@n.1.x"]), ["reduce-00005.a1@n.1.x"]);
        assert_eq!(counting(&[]), [""; 0]);
    }
}
