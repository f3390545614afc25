//! One look at a farm, as a value: what `status FARM` shows as a table, and with `--json` as one object. Nothing here acts.
//!
//! Names and meanings of the fields are stable under `"version": 1`; new ones may be added.
//!
//! | field | meaning |
//! |---|---|
//! | `farm` | where |
//! | `jobs` | in the order in which they are served: unfinished ones by priority and age, then ended ones by age |
//! | `jobs[].job`, `id`, `app`, `submitted`, `priority` | which, what, since when |
//! | `jobs[].phase` | `waiting` (for the job that it starts after), `planning`, `map`, `reduce`, `finished`, `failed`, `cancelled`, or `unreadable` |
//! | `jobs[].paused` | a `pause` file holds it |
//! | `jobs[].tasks`, `done`, `claimed`, `pending` | of both phases together; 0 tasks before it is planned |
//! | `jobs[].workers` | registered at it now |
//! | `jobs[].note` | what it waits for, why it failed, or why it cannot be read; or null |
//!
//! Cost: of an unfinished job one listing per folder, of a finished one three small files.

use std::cmp::Reverse;
use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::tally;
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::error::{Error, Result};
use crate::ids::Phase;
use crate::job::end::{self, End, Outcome};
use crate::job::layout::JOB_JSON;
use crate::job::plan::Plan;
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::job::spec::{self, Spec};
use crate::planner::after::{Start, may_start};
use crate::units::{cut, for_terminal, on_one_line, plural};

/// Longest note in the table, in characters.
const NOTE_CHARS_MAX: usize = 60;

/// One look; see the file's head for the fields.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct FarmStatus {
    pub version: u32,
    pub farm: String,
    pub jobs: Vec<Row>,
}

/// One job of a farm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Row {
    pub job: String,
    pub id: String,
    pub app: String,
    pub submitted: String,
    pub priority: i32,
    pub phase: &'static str,
    pub paused: bool,
    pub tasks: usize,
    pub done: usize,
    pub claimed: usize,
    pub pending: usize,
    pub workers: usize,
    pub note: Option<String>,
}

/// Looks at the farm at `root`. A job that cannot be read is told in its row.
pub fn look(root: &Path) -> Result<FarmStatus> {
    let entries = RealDisk::at(root).list(".").map_err(|error| Error::io("cannot look into the farm", root, error))?;
    let mut jobs = Vec::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_file) {
        let job = root.join(&entry.name);
        let disk = RealDisk::at(&job);
        let unreadable = |error: &str| Row { phase: "unreadable", note: Some(error.to_owned()), ..Row::default() };
        let mut row = match disk.list(".") {
            Ok(names) if !names.iter().any(|name| name.name == JOB_JSON) => continue,
            Ok(_) => row(&disk, &job).unwrap_or_else(|error| unreadable(&error.to_string())),
            Err(error) => unreadable(&Error::io("cannot look into", &job, error).to_string()),
        };
        row.job = entry.name;
        jobs.push(row);
    }
    jobs.sort_by_key(order);
    Ok(FarmStatus { version: 1, farm: root.display().to_string(), jobs })
}

fn order(row: &Row) -> impl Ord + use<> {
    let has_ended = matches!(row.phase, "finished" | "failed" | "cancelled");
    (has_ended, (!has_ended).then_some(Reverse(row.priority)), row.submitted.clone(), row.job.clone())
}

fn row(disk: &RealDisk, root: &Path) -> Result<Row> {
    let spec = spec::load(disk, root)?;
    let mut row = Row {
        id: spec.id.clone(),
        app: spec.ask.app.clone(),
        submitted: spec.submitted.clone(),
        priority: spec.ask.priority,
        ..Row::default()
    };
    let end = end::load(disk, root)?;
    let maps = Plan::map(disk, root)?.map(|plan| plan.head().maps);
    let shape = maps.map(|maps| Shape { maps, reduces: spec.ask.reduces });
    row.tasks = shape.map_or(0, |shape| shape.maps as usize + shape.reduces as usize);
    match end {
        Some(End { outcome: Outcome::Finished, .. }) => {
            (row.phase, row.done) = ("finished", row.tasks);
            return Ok(row);
        }
        Some(end) => {
            row.phase = end.outcome.word();
            row.note = end.error.filter(|_| end.outcome == Outcome::Failed);
        }
        None if shape.is_none() => (row.phase, row.note) = unplanned(root, &spec)?,
        None => {}
    }
    count(disk, root, &spec, shape, &mut row)?;
    Ok(row)
}

fn unplanned(root: &Path, spec: &Spec) -> Result<(&'static str, Option<String>)> {
    Ok(match may_start(root, &spec.ask)? {
        Start::Now => ("planning", None),
        Start::Later(job) => ("waiting", Some(format!("starts after {job}"))),
        Start::Blocked(why) => ("waiting", Some(format!("does not start: {why}"))),
    })
}

fn count(disk: &RealDisk, root: &Path, spec: &Spec, shape: Option<Shape>, row: &mut Row) -> Result<()> {
    let shape = shape.unwrap_or(Shape { maps: 0, reduces: spec.ask.reduces });
    let seen = Snapshot::take(disk, shape, Belief::Glance).map_err(|error| Error::io("cannot list the job", root, error))?;
    let (map, reduce) = (tally::tasks(&seen, Phase::Map), tally::tasks(&seen, Phase::Reduce));
    (row.done, row.claimed, row.pending) = (map.done + reduce.done, map.claimed + reduce.claimed, map.pending + reduce.pending);
    row.workers = seen.workers.len();
    row.paused = seen.pause && !seen.phases.end;
    if row.phase.is_empty() {
        row.phase = if seen.phases.reduce { "reduce" } else { "map" };
    }
    Ok(())
}

impl FarmStatus {
    /// The table, for people.
    pub fn text(&self) -> String {
        let mut lines = vec![["JOB", "PRIORITY", "PHASE", "DONE", "CLAIMED", "PENDING", "WORKERS", "NOTE"].map(str::to_owned)];
        for row in &self.jobs {
            let phase = if row.paused { format!("{}, paused", row.phase) } else { row.phase.to_owned() };
            let note = first_words(row.note.as_deref().unwrap_or_default());
            let short = cut(&on_one_line(&note), NOTE_CHARS_MAX).into_owned();
            let numbers = [row.claimed, row.pending, row.workers].map(|n| n.to_string());
            let [claimed, pending, workers] = numbers;
            let done = format!("{}/{}", row.done, row.tasks);
            lines.push([on_one_line(&row.job).into_owned(), row.priority.to_string(), phase, done, claimed, pending, workers, short]);
        }
        let mut widths = [0; 8];
        for line in &lines {
            widths.iter_mut().zip(line).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
        }
        let mut text = String::new();
        for line in &lines {
            let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let _ = writeln!(text, "{}", cells.join("  ").trim_end());
        }
        let unfinished = self.jobs.iter().filter(|row| !matches!(row.phase, "finished" | "failed" | "cancelled")).count();
        let _ = writeln!(text, "{}, {unfinished} not ended", plural(self.jobs.len() as u64, "job"));
        for_terminal(&text).into_owned()
    }
}

/// The first line, with the next where the first only leads to that.
pub fn first_words(note: &str) -> String {
    let mut lines = note.lines();
    let first = lines.next().unwrap_or_default();
    match lines.next().filter(|_| first.ends_with(':')) {
        Some(next) => format!("{first} {next}"),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_does_not_end_where_its_list_begins() {
        assert_eq!(
            first_words("1 of 2 tasks failed for good:\nmap-00001 failed once\nmore"),
            "1 of 2 tasks failed for good: map-00001 failed once"
        );
        assert_eq!((first_words("why\nmore"), first_words("why:"), first_words("")), ("why".to_owned(), "why:".to_owned(), String::new()));
    }

    #[test]
    fn jobs_stand_in_the_order_in_which_they_are_served_and_in_columns() {
        let row = |job: &str, phase, priority, submitted: &str| Row {
            job: job.to_owned(),
            phase,
            priority,
            submitted: submitted.to_owned(),
            ..Row::default()
        };
        let mut jobs =
            vec![row("old", "finished", 9, "1"), row("b", "map", 0, "3"), row("a", "map", 0, "2"), row("urgent", "reduce", 5, "4")];
        jobs.sort_by_key(order);
        jobs[0].note = Some("\x1b[2Jwhy\nmore".to_owned());
        let text = FarmStatus { version: 1, farm: "farm".to_owned(), jobs }.text();
        let names: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["JOB", "urgent", "a", "b", "old", "4"], "{text}");
        assert!(text.lines().nth(1).is_some_and(|line| line.ends_with("\\u{1b}[2Jwhy")), "{text}");
        assert!(text.ends_with("4 jobs, 3 not ended\n"), "{text}");
    }
}
