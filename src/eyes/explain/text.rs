//! A story in words: a sentence per attempt, and the page.

use std::fmt::Write;

use super::{Attempt, Story};
use crate::engine::counters::{BYTES_IN, PAIRS_IN, RECORDS_IN};
use crate::eyes::span;
use crate::ids::{Block, TaskFile};
use crate::units::{for_terminal, show_size};

/// An attempt in a sentence.
pub(super) fn story(attempt: &Attempt) -> String {
    let mut parts = Vec::new();
    if let Some(at) = &attempt.issued {
        parts.push(format!("issued at {at}"));
    }
    if let Some(worker) = &attempt.worker {
        let at = attempt.claimed.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
        let (host, pid) = (attempt.host.as_deref().unwrap_or_default(), attempt.pid.unwrap_or_default());
        parts.push(format!("claimed{at} by {worker} (process {pid} on {host})"));
    }
    if let Some(bundle) = bundle(attempt) {
        let counted = match attempt.outcome {
            Some("error" | "lost") => "against none of which this counts",
            _ => "which are counted together",
        };
        parts.push(format!("one of {} tasks of the bundle {bundle}, {counted}", bundle.n_tasks()));
    }
    parts.push(end(attempt));
    parts.join("; ")
}

/// What shares its file, where that is more than one task.
fn bundle(attempt: &Attempt) -> Option<Block> {
    let file: TaskFile = attempt.name.parse().ok()?;
    Some(file.attempt().block()).filter(|block| block.order() > 0)
}

fn end(attempt: &Attempt) -> String {
    let at = attempt.ended.as_ref().map_or_else(String::new, |at| format!(" at {at}"));
    match (attempt.outcome, attempt.state) {
        (Some("result"), _) => result(attempt, &at),
        (Some("error"), _) => format!("reported an error{at}: {}", attempt.error.as_deref().unwrap_or("of an unknown kind")),
        (Some("damaged"), _) => format!("{}{at}: those map tasks are done again", attempt.error.as_deref().unwrap_or("found damage")),
        (Some("lost"), _) => format!("lost{at}: its worker died, or fell silent for a lease, and it was taken back"),
        (Some("given_back"), _) => format!("given back{at}: its worker was told to leave"),
        (Some("dropped"), _) => format!("dropped{at}: the task was done already, or the job had ended"),
        (Some("retracted"), _) => format!("retracted{at}: its result was found missing or damaged"),
        (_, "claimed") => match attempt.running_ms {
            Some(ms) => format!("at work for {} at least", span(ms)),
            None => "at work".to_owned(),
        },
        (_, "pending") => "not claimed yet".to_owned(),
        (_, state) => format!("its file lies in {state}/ and says nothing of its own: damaged by hand, or by the disk"),
    }
}

fn result(attempt: &Attempt, at: &str) -> String {
    let mut text = format!("committed{at} after {}", span(attempt.elapsed_ms.unwrap_or_default()));
    let n = |name: &str| attempt.counters.get(name).copied();
    let told = [
        n(RECORDS_IN).map(|n| format!("{n} records in")),
        n(PAIRS_IN).map(|n| format!("{n} pairs in")),
        n(BYTES_IN).map(|n| format!("{} read", show_size(n))),
        attempt.bytes.map(|n| format!("{} written", show_size(n))),
        (attempt.skipped > 0).then(|| format!("{} bad records skipped", attempt.skipped)),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    let _ = write!(text, " ({})", told.join(", "));
    text + if attempt.counts { "; this one counts" } else { "; another attempt counts" }
}

/// The three lists, each sentence on a line of its own.
pub(super) fn lists(text: &mut String, now: &[String], next: &[String], hints: &[String]) {
    for (name, sentences) in [("now", now), ("next", next), ("hint", hints)] {
        for sentence in sentences {
            let _ = writeln!(text, "{name:<8} {}", sentence.replace('\n', "\n         "));
        }
    }
}

impl Story {
    /// The page for people.
    pub fn text(&self) -> String {
        let mut text = format!("task     {} of {} ({}), which is in phase {}\n", self.task, self.job, self.app, self.phase);
        let _ = writeln!(text, "share    {}", self.share);
        let _ = writeln!(text, "state    {}", self.state);
        for attempt in &self.attempts {
            let name = format!("a{}", attempt.number);
            let _ = writeln!(text, "{name:<8} {}", attempt.story.replace('\n', "\n         "));
            if let Some(output) = &attempt.output {
                let _ = writeln!(text, "         | {}", output.replace('\n', "\n         | "));
            }
        }
        lists(&mut text, &self.now, &self.next, &self.hints);
        // Much of it was read in the directory, where anybody who may write it has a say.
        for_terminal(&text).into_owned()
    }
}
