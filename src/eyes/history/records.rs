//! The biographies that move no more: which are read, and what each says.

use super::clocks::Sample;
use super::logs::Gathered;
use super::{Draft, Fate, RECORDS_MAX, Told, fates, place};
use crate::disk::Disk;
use crate::eyes::errors;
use crate::ids::{ClaimName, Phase, WorkerName};
use crate::job::layout;
use crate::job::record::{self, Ended, Event, Line, RECORD_BYTES_MAX, TaskError};
use crate::job::snapshot::Snapshot;
use crate::units::parse_stamp;

/// Most of the attempts that went wrong whose biographies are read.
const WRONG_MAX: usize = 5000;
/// Samples of one machine's clock.
const SAMPLES_PER_HOST: usize = 9;
/// Longest error text kept, in bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Reads them into what the logs said; gives how many of how many were read, and samples of the clocks.
pub(super) fn read(disk: &dyn Disk, snapshot: &Snapshot, gathered: &mut Gathered) -> (usize, usize, Vec<Sample>) {
    let (chosen, of) = choose(snapshot);
    let mut samples: Vec<Sample> = Vec::new();
    let mut read = 0;
    for (claim, fate) in chosen {
        let Some(state) = place(fate) else { continue };
        let path = layout::held(state, claim);
        let Ok(bytes) = disk.read(&path, RECORD_BYTES_MAX) else { continue };
        read += 1;
        let (draft, written) = fold(claim, fate, &bytes);
        if let Some(written) = written
            && samples.iter().filter(|sample| sample.host == claim.worker.host()).count() < SAMPLES_PER_HOST
            && let Some(stamped) = disk.look(&path).ok().and_then(|look| i64::try_from(look.stamp / 1_000_000).ok())
        {
            samples.push(Sample { host: claim.worker.host().to_owned(), written, stamped });
        }
        let known = gathered.drafts.entry(claim.clone()).or_default();
        *known = Draft {
            begun: draft.begun.or(known.begun),
            ended: draft.ended.or(known.ended),
            ended_at: draft.ended_at,
            elapsed_ms: draft.elapsed_ms,
            backup: known.backup,
            ending: draft.ending,
            told: draft.told,
        };
    }
    (read, of, samples)
}

/// All of a small job; of a large one what went wrong, the reduces, and the rest evenly.
fn choose(snapshot: &Snapshot) -> (Vec<(&ClaimName, Fate)>, usize) {
    let (mut wrong, mut reduces, mut maps) = (Vec::new(), Vec::new(), Vec::new());
    for (block, view) in snapshot.blocks() {
        for (claim, fate) in fates(view) {
            match (fate, block.first().phase) {
                (Fate::Running, _) => {}
                (Fate::Failed | Fate::Ended(_), _) => wrong.push((claim, fate)),
                (Fate::Done, Phase::Reduce) => reduces.push((claim, fate)),
                (Fate::Done, Phase::Map) => maps.push((claim, fate)),
            }
        }
    }
    let of = wrong.len() + reduces.len() + maps.len();
    let mut chosen = evenly(wrong, WRONG_MAX);
    chosen.extend(evenly(reduces, (RECORDS_MAX - chosen.len()).div_ceil(2)));
    let left = RECORDS_MAX - chosen.len();
    chosen.extend(evenly(maps, left));
    (chosen, of)
}

fn evenly<T>(all: Vec<T>, most: usize) -> Vec<T> {
    let step = all.len().div_ceil(most.max(1)).max(1);
    all.into_iter().step_by(step).collect()
}

/// What one biography says of its attempt, and when its owner wrote the last line, if that was the last of all.
pub(super) fn fold(claim: &ClaimName, fate: Fate, bytes: &[u8]) -> (Draft, Option<i64>) {
    let name = claim.to_string();
    let lines = record::parse(bytes);
    let mut draft = Draft::default();
    for line in &lines {
        let (at, own) = (parse_stamp(&line.at), line.by == name);
        match &line.event {
            Event::Claimed { .. } if own => draft.begun = at,
            Event::Result { made, elapsed_ms } if own => {
                (draft.ended, draft.elapsed_ms) = (at, Some(*elapsed_ms));
                draft.told = Some(Box::new(Told {
                    counters: made.counters.clone(),
                    drawn: made.drawn.as_deref().cloned(),
                    ran: made.ran.as_deref().cloned(),
                    error: None,
                    skipped: made.skipped.len(),
                }));
            }
            Event::Error(error) if own => {
                draft.ended = at;
                draft.told = Some(Box::new(told_of(error)));
            }
            // What was retracted had ended long before.
            Event::Ended(Ended::Retracted) if draft.ended.is_some() => draft.ending = Some(Ended::Retracted),
            Event::Ended(ended) => {
                (draft.ended, draft.ending) = (at, Some(*ended));
                draft.ended_at = host_of(&line.by).filter(|host| host != claim.worker.host());
            }
            Event::Issued { .. } | Event::Claimed { .. } | Event::Reached(_) | Event::Result { .. } | Event::Error(_) => {}
        }
    }
    match fate {
        Fate::Ended(_) => draft.ending = Some(draft.ending.unwrap_or(Ended::Lost)),
        // A file there without an error of its own reports an unknown one.
        Fate::Failed if draft.told.is_none() => draft.told = Some(Box::new(told_of(&record::own_error(&name, bytes)))),
        Fate::Done | Fate::Failed | Fate::Running => {}
    }
    let last = lines.last().filter(|line| is_final(line, claim));
    (draft, last.and_then(|line| parse_stamp(&line.at)))
}

/// A line behind which nothing is written, and which its machine's clock has stamped.
fn is_final(line: &Line, claim: &ClaimName) -> bool {
    let by: Option<ClaimName> = line.by.parse().ok();
    by.is_some_and(|by| by == *claim) && matches!(line.event, Event::Result { .. } | Event::Error(_) | Event::Ended(Ended::GivenBack))
}

fn told_of(error: &TaskError) -> Told {
    let (text, ran) = errors::words(error.clone());
    Told { error: Some(cut(text)), ran, ..Told::default() }
}

/// The end of what is too long: there the reason stands mostly.
fn cut(text: String) -> String {
    let from = text.len().saturating_sub(TEXT_BYTES_MAX);
    match (from..text.len()).find(|at| text.is_char_boundary(*at)) {
        Some(at) if from > 0 => format!("…{}", &text[at..]),
        _ => text,
    }
}

/// The machine of a coordinator's or worker's name, as it stands behind `by`.
pub(super) fn host_of(by: &str) -> Option<String> {
    let worker = by.rsplit('@').next()?;
    worker.parse::<WorkerName>().ok().map(|name| name.host().to_owned())
}
