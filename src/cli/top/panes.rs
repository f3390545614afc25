//! The lines of each pane, cut to the width there is.

use std::cmp::Reverse;

use ratatui::text::{Line, Span};

use super::draw::Paint;
use super::screen::{Pane, Sort};
use crate::eyes::farm::{FarmStatus, Row, first_words};
use crate::eyes::span;
use crate::eyes::status::{Status, WorkerSeen};
use crate::units::on_one_line;

/// A pane's head, and its lines.
pub(super) type Lines = (Option<Line<'static>>, Vec<Line<'static>>);

/// How much there is of it.
pub(super) fn count(pane: Pane, status: &Status) -> usize {
    match pane {
        Pane::Workers => status.workers.len(),
        Pane::Slowest => status.slowest.len(),
        Pane::Ages => status.ages.pending.total + status.ages.claimed.total,
        Pane::Errors => usize::try_from(status.attempts.failed).unwrap_or(usize::MAX),
    }
}

/// Of a job.
pub(super) fn job(pane: Pane, status: &Status, sort: Sort, width: u16, paint: Paint) -> Lines {
    let width = usize::from(width);
    match pane {
        Pane::Workers => workers(status, sort, width, paint),
        Pane::Slowest => slowest(status, width, paint),
        Pane::Ages => ages(status, paint),
        Pane::Errors => errors(status, width, paint),
    }
}

fn head(text: String, paint: Paint) -> Option<Line<'static>> {
    Some(Line::styled(text, paint.dim()))
}

fn workers(status: &Status, sort: Sort, width: usize, paint: Paint) -> Lines {
    let mut workers: Vec<&WorkerSeen> = status.workers.iter().collect();
    match sort {
        Sort::Name => {}
        Sort::Quiet => workers.sort_by_key(|worker| Reverse(worker.quiet_ms)),
        Sort::Idle => workers.sort_by_key(|worker| worker.claim.is_some()),
    }
    let name = widest(workers.iter().map(|worker| worker.name.as_str()), 10, width.saturating_sub(30));
    let line = |worker: &&WorkerSeen| {
        let task = worker.claim.as_deref().and_then(|claim| claim.split('@').next()).unwrap_or("idle").to_owned();
        let (task, style) = match &worker.trouble {
            Some(trouble) => (format!("in trouble: {}", on_one_line(trouble)), paint.bad()),
            None if worker.claim.is_none() => (task, paint.dim()),
            None => {
                let since = worker.running_ms.map_or_else(String::new, |ms| format!(" for {}", span(ms)));
                (task + &since, ratatui::style::Style::new())
            }
        };
        let seen = worker.quiet_ms.map_or_else(|| "?".to_owned(), span);
        let before = format!("{} {:>9}  ", fit(&worker.name, name), seen);
        let room = width.saturating_sub(before.chars().count());
        Line::from(vec![Span::raw(before), Span::styled(fit(&task, room), style)])
    };
    let busy = status.workers.iter().filter(|worker| worker.claim.is_some()).count();
    let hosts = if status.hosts.len() == 1 { "1 host".to_owned() } else { format!("{} hosts", status.hosts.len()) };
    let title = format!("{} {:>9}  task ({busy} at work, {hosts}, {})", fit("worker", name), "seen", sort.name());
    (head(fit(&title, width), paint), workers.iter().map(line).collect())
}

fn slowest(status: &Status, width: usize, paint: Paint) -> Lines {
    let name = widest(status.slowest.iter().map(|slow| slow.worker.as_str()), 10, width.saturating_sub(44));
    let lines = status.slowest.iter().map(|slow| {
        let seen = slow.quiet_ms.map_or_else(|| "?".to_owned(), span);
        let attempt = format!("{}.a{}", slow.task, slow.attempt);
        let text = format!("{:>9}  {} {:<16} seen {seen}", span(slow.running_ms), fit(&slow.worker, name), attempt);
        let is_retry = slow.attempt > 1;
        Line::styled(fit(&text, width), if is_retry { paint.warn() } else { ratatui::style::Style::new() })
    });
    (head(format!("{:>9}  {} task", "runs", fit("worker", name)), paint), lines.collect())
}

fn ages(status: &Status, paint: Paint) -> Lines {
    let mut lines = status.ages.lines().into_iter();
    (lines.next().and_then(|text| head(text, paint)), lines.map(Line::raw).collect())
}

fn errors(status: &Status, width: usize, paint: Paint) -> Lines {
    let mut lines = Vec::new();
    for error in &status.errors {
        let ago = error.age_ms.map_or_else(String::new, |ms| format!(", {} before the newest sign of life", span(ms)));
        lines.push(Line::styled(fit(&format!("{}{ago}", error.attempt), width), paint.bold()));
        lines.extend(error.text.lines().map(|text| Line::styled(fit(&format!("  {text}"), width), paint.bad())));
        lines.extend(error.output.iter().flat_map(|output| output.lines()).map(|text| Line::raw(fit(&format!("  | {text}"), width))));
    }
    (None, lines)
}

/// Of a farm: its jobs, one of them chosen.
pub(super) fn farm(farm: &FarmStatus, chosen: usize, width: u16, paint: Paint) -> Lines {
    let width = usize::from(width);
    let name = widest(farm.jobs.iter().map(|job| job.job.as_str()), 8, width.saturating_sub(48));
    let columns = |job: &str, phase: &str, done: &str, claimed: &str, workers: &str, note: &str| {
        format!("{} {} {done:>11} {claimed:>7} {workers:>7}  {note}", fit(job, name), fit(phase, 9))
    };
    let line = |(at, row): (usize, &Row)| {
        let phase = if row.paused { "paused" } else { row.phase };
        let (done, claimed, workers) = (format!("{}/{}", row.done, row.tasks), row.claimed.to_string(), row.workers.to_string());
        let text = columns(&row.job, phase, &done, &claimed, &workers, &row.note.as_deref().map(first_words).unwrap_or_default());
        let style = match row.phase {
            _ if at == chosen => paint.chosen(),
            "failed" | "unreadable" => paint.bad(),
            "finished" => paint.good(),
            _ => ratatui::style::Style::new(),
        };
        Line::styled(fit(&text, width), style)
    };
    let title = columns("job", "phase", "done", "claimed", "workers", "note");
    (head(fit(&title, width), paint), farm.jobs.iter().enumerate().map(line).collect())
}

/// A column as wide as its longest name, within bounds.
fn widest<'a>(names: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0).min(most).max(least)
}

/// The text on one line, exactly so wide: cut, or filled with blanks.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = on_one_line(text);
    let chars = text.chars().count();
    if chars <= width {
        return format!("{text}{}", " ".repeat(width - chars));
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}
