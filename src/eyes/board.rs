//! What the leading coordinator sees, for whoever opens the job's folder: `status.json` and `status.html`. Pure but for the few errors, and the trouble, that are read.
//!
//! Made of the coordinator's own snapshot, so it costs no look at the directory. `status.json` is the object of `status --json`, with `written` (when, by the coordinator's clock)
//! beside its fields. What only a look of one's own tells is null or empty in it: heartbeats (`quiet_ms` and all that rests on it), `storage`, `data`, `ages`, `slowest`, `claims`,
//! `taken_back`, `hints`. Its `pace` is measured: tasks done in the last minute, and how many were under way meanwhile.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::ages::{Ages, UPTO_S};
use super::report::markup::{grouped, text};
use super::status::{ErrorSeen, Lead, Pace, Status, Tasks, WorkerSeen};
use super::{errors, lead, tally};
use crate::disk::Disk;
use crate::ids::ClaimName;
use crate::job::end::End;
use crate::job::snapshot::{Shape, Snapshot};
use crate::job::spec::Spec;
use crate::units::{show_size, show_time};

/// Most workers told one by one.
const WORKERS_MAX: usize = 200;
/// Most errors told.
const TOLD_MAX: usize = 5;
/// The pace is that of the last so long.
const PACE_WINDOW: Duration = Duration::from_secs(60);
/// With less than this nobody can tell a rate.
const PACE_MIN: Duration = Duration::from_secs(2);
/// The page asks for itself again after so many seconds.
const REFRESH_SECONDS: u32 = 10;
/// The page's looks, which are the report's.
const STYLE: &str = include_str!("report/page.css");
/// And what only this page has.
const OWN_STYLE: &str = include_str!("board.css");

/// Samples of how many tasks were done, of one phase.
#[derive(Debug, Default)]
pub struct Pacer {
    phase: &'static str,
    /// When, how many were done, and how many claims there were.
    samples: VecDeque<(Duration, usize, usize)>,
}

impl Pacer {
    /// Adds what is seen at `now`, and tells the pace.
    fn pace(&mut self, now: Duration, phase: &'static str, tasks: &Tasks, n_claims: usize) -> Option<Pace> {
        if self.phase != phase {
            *self = Pacer { phase, samples: VecDeque::new() };
        }
        self.samples.push_back((now, tasks.done, n_claims));
        while self.samples.len() > 2 && now.saturating_sub(self.samples[1].0) >= PACE_WINDOW {
            self.samples.pop_front();
        }
        let (since, before, _) = *self.samples.front()?;
        let (time, done) = (now.saturating_sub(since), tasks.done.checked_sub(before)?);
        if time < PACE_MIN || done == 0 {
            return None;
        }
        let rate = done as f64 / time.as_secs_f64();
        let hands = self.samples.iter().map(|(_, _, claims)| *claims as f64).sum::<f64>() / self.samples.len() as f64;
        // So many under way, and so many done in a time: that is how long one takes.
        let mean_task_ms = (hands / rate * 1000.0) as u64;
        let left = (tasks.total - tasks.done.min(tasks.total)) as f64;
        Some(Pace {
            sampled: done,
            mean_task_ms,
            median_task_ms: mean_task_ms,
            tasks_per_second: Some((rate * 10.0).round() / 10.0),
            eta_ms: (tasks.claimed > 0).then_some((left / rate * 1000.0) as u64),
            ..Pace::default()
        })
    }
}

/// What is to be written, but for what has to be read first.
#[derive(Debug, Clone, Serialize)]
pub struct Board {
    /// When, by the clock of the coordinator's machine.
    pub written: String,
    /// What it sees.
    #[serde(flatten)]
    pub status: Status,
    /// The attempts that reported an error last, as far as their numbers tell.
    #[serde(skip)]
    failed: Vec<ClaimName>,
}

impl Board {
    /// What `snapshot` shows of the job `spec` at `root`. Costs one pass over its tasks, and no call.
    pub fn of(root: &Path, spec: &Spec, snapshot: &Snapshot, pacer: &mut Pacer) -> Board {
        let shape = Shape { maps: snapshot.maps.len() as u32, reduces: snapshot.reduces.len() as u32 };
        let seen = Status::seen(root, spec, Some(shape), snapshot, None);
        let workers = workers(snapshot);
        let tasks = if snapshot.phases.reduce { &seen.reduce } else { &seen.map };
        let status = Status {
            pace: pacer.pace(snapshot.taken, seen.phase, tasks, snapshot.claims().count()),
            coordinator: Some(Lead::default()),
            hosts: tally::hosts(&workers),
            workers,
            ages: Ages { upto_s: UPTO_S, ..Ages::default() },
            ..seen
        };
        let mut failed: Vec<ClaimName> = snapshot.blocks().flat_map(|(_, view)| view.failed.iter().rev().take(1)).cloned().collect();
        failed.sort_by_key(|claim| std::cmp::Reverse(claim.attempt.number));
        failed.truncate(TOLD_MAX);
        Board { written: crate::units::stamp_utc(), status, failed }
    }

    /// The same once more, now.
    pub fn anew(&self) -> Board {
        Board { written: crate::units::stamp_utc(), ..self.clone() }
    }

    /// Reads the errors that were not read before, which is at most five small files.
    pub fn read_errors(&mut self, disk: &dyn Disk, known: &mut HashMap<ClaimName, ErrorSeen>) {
        known.retain(|claim, _| self.failed.contains(claim));
        for claim in &self.failed {
            if !known.contains_key(claim)
                && let Some(error) = errors::one(disk, claim)
            {
                known.insert(claim.clone(), error);
            }
        }
        self.status.errors = self.failed.iter().filter_map(|claim| known.get(claim).cloned()).collect();
    }

    /// Looks whether the disk refuses its coordinator something, which is two small reads.
    pub fn read_trouble(&mut self, disk: &dyn Disk) {
        self.status.coordinator = Some(Lead { trouble: lead::trouble(disk), ..Lead::default() });
    }

    /// The job has ended so.
    pub fn ended(&mut self, end: End) {
        self.status.ended(end);
    }

    /// `status.json`.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a board has string keys only") + "\n"
    }

    /// True if both say the same, but for when.
    pub fn says_what(&self, other: &Board) -> bool {
        let said = |board: &Board| serde_json::to_string(&board.status).unwrap_or_default();
        said(self) == said(other)
    }

    /// `status.html`: a small page that asks for itself again while the job runs.
    pub fn html(&self) -> String {
        let status = &self.status;
        let name = Path::new(&status.job).file_name().map_or_else(|| status.job.clone(), |name| name.to_string_lossy().into_owned());
        let verdict = match (&status.end, status.paused) {
            (Some(_), _) => status.phase,
            (None, true) => "paused",
            (None, false) => "running",
        };
        let refresh = match status.end {
            None => format!("<meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">"),
            Some(_) => String::new(),
        };
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">{refresh}\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\"><title>{percent} % {name}</title>\n<style>{STYLE}{OWN_STYLE}</style></head><body><main>\n\
             <header><p class=\"kind\">{app} job</p><h1>{name} <span class=\"verdict {verdict}\">{verdict}</span></h1><p class=\"where\">{job}</p></header>\n",
            percent = status.percent,
            name = text(&name),
            app = text(&status.app),
            job = text(&status.job),
        );
        bar(&mut out, "map", &status.map);
        if status.reduce.total > 0 {
            bar(&mut out, "reduce", &status.reduce);
        }
        self.figures(&mut out);
        let why = status.end.as_ref().and_then(|end| end.error.clone());
        let trouble = status.coordinator.as_ref().and_then(|lead| lead.trouble.as_ref());
        for told in why.into_iter().chain(trouble.map(|trouble| format!("the coordinator is in trouble: {trouble}"))) {
            let _ = writeln!(out, "<pre class=\"why\">{}</pre>", text(&told));
        }
        self.errors(&mut out);
        let stale =
            if status.end.is_some() { "The job has ended." } else { "Where that is minutes ago, no coordinator leads the job now." };
        let _ = writeln!(
            out,
            "<p class=\"note\">Written at {}. {stale} <code>flockwork status</code> and <code>flockwork report</code> tell more.</p></main></body></html>",
            text(&self.written)
        );
        out
    }

    fn figures(&self, out: &mut String) {
        let status = &self.status;
        let mut figures: Vec<(String, String)> = Vec::new();
        if let Some(pace) = &status.pace {
            figures.extend(pace.tasks_per_second.map(|rate| (format!("{rate}/s"), "tasks, over the last minute".to_owned())));
            let eta = pace.eta_ms.map(|eta| show_time(Duration::from_millis(eta)));
            figures.extend(eta.map(|eta| (eta, format!("to the end of {}, at this pace", status.phase))));
        }
        if status.end.is_none() {
            let busy: usize = status.hosts.iter().map(|host| host.busy).sum();
            let slots: usize = status.hosts.iter().map(|host| host.slots).sum();
            let hosts = if status.hosts.len() == 1 { "on 1 host".to_owned() } else { format!("on {} hosts", status.hosts.len()) };
            figures.push((format!("{busy} of {slots}"), format!("slots at work, {hosts}")));
        }
        figures.push((grouped(status.attempts.failed), "attempts reported an error".to_owned()));
        figures.push((grouped(status.attempts.expired), "were lost or taken back".to_owned()));
        if let Some(end) = status.end.as_ref().filter(|end| end.outputs > 0) {
            figures.push((show_size(end.output_bytes), format!("output in {} files", end.outputs)));
        }
        out.push_str("<dl class=\"figures\">");
        for (value, words) in figures {
            let _ = write!(out, "<div><dd>{}</dd><dt>{}</dt></div>", text(&value), text(&words));
        }
        out.push_str("</dl>\n");
    }

    fn errors(&self, out: &mut String) {
        if self.status.errors.is_empty() {
            return;
        }
        out.push_str("<section><h2>Errors</h2><ol class=\"troubles\">");
        for error in &self.status.errors {
            let _ = write!(out, "<li><p><i class=\"f\"></i><code>{}</code></p><pre>{}</pre>", text(&error.attempt), text(&error.text));
            if let Some(output) = &error.output {
                let _ = write!(out, "<pre class=\"said\">{}</pre>", text(output));
            }
            out.push_str("</li>\n");
        }
        out.push_str("</ol></section>\n");
    }
}

/// The first of the workers, and what each holds.
fn workers(snapshot: &Snapshot) -> Vec<WorkerSeen> {
    let claims = tally::claim_of_each(snapshot);
    let seen = snapshot.workers.iter().take(WORKERS_MAX).map(|worker| WorkerSeen {
        name: worker.to_string(),
        host: worker.host().to_owned(),
        pid: worker.pid(),
        claim: claims.get(worker).map(ToString::to_string),
        ..WorkerSeen::default()
    });
    seen.collect()
}

/// How far a phase is.
fn bar(out: &mut String, phase: &str, tasks: &Tasks) {
    let share = |n: usize| if tasks.total == 0 { 0.0 } else { n as f64 * 100.0 / tasks.total as f64 };
    let class = if phase == "map" { "m" } else { "r" };
    let waiting = tasks.pending + tasks.waiting;
    let _ = writeln!(
        out,
        "<section class=\"phase\"><p><b>{phase}</b> {} of {} done <span>{} under way, {} waiting</span></p>\
         <div class=\"bar {class}\" role=\"progressbar\" aria-label=\"{phase}\" aria-valuemin=\"0\" aria-valuemax=\"{}\" aria-valuenow=\"{}\"><i style=\"width:{:.2}%\"></i><i class=\"go\" style=\"width:{:.2}%\"></i></div></section>",
        grouped(tasks.done as u64),
        grouped(tasks.total as u64),
        grouped(tasks.claimed as u64),
        grouped(waiting as u64),
        tasks.total,
        tasks.done,
        share(tasks.done),
        share(tasks.claimed),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_minute_of_one_phase() {
        let mut pacer = Pacer::default();
        let tasks = |done| Tasks { total: 1000, claimed: 4, done, ..Tasks::default() };
        let seconds = Duration::from_secs;
        assert!(pacer.pace(seconds(0), "map", &tasks(0), 4).is_none(), "nothing to compare with");
        assert!(pacer.pace(seconds(1), "map", &tasks(9), 4).is_none(), "too soon");
        let pace = pacer.pace(seconds(10), "map", &tasks(20), 4).expect("a pace");
        assert_eq!((pace.sampled, pace.tasks_per_second, pace.mean_task_ms, pace.eta_ms), (20, Some(2.0), 2000, Some(490_000)));
        (2..20).for_each(|n| _ = pacer.pace(seconds(n * 10), "map", &tasks(20), 4));
        let pace = pacer.pace(seconds(200), "map", &tasks(80), 4).expect("a pace");
        assert_eq!((pace.sampled, pace.tasks_per_second), (60, Some(1.0)), "what was long ago is forgotten");
        assert!(pacer.pace(seconds(210), "reduce", &tasks(3), 4).is_none(), "another phase has another pace");
    }
}
