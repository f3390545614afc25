//! What the coordinator last said of its job, `status.json`: one small file, whatever the number of tasks.
//!
//! It is the object of `status --json` as far as a coordinator knows it by itself: counts, pace, errors, who is registered. How old it is tell two stamps of the server's: its own, and that
//! of `coordinator.lock`, which a coordinator that leads touches all the time. Cost: one read and two looks.

use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use super::show::line_of_tasks;
use super::span;
use super::status::Tasks;
use crate::disk::Disk;
use crate::error::{Error, ErrorKind, Result};
use crate::job::end::Attempts;
use crate::job::layout::{COORDINATOR_LOCK, STATUS_JSON};
use crate::units::{for_shell, for_terminal, on_one_line};

/// Largest one that is read, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// The coordinator's words.
#[derive(Debug)]
pub struct Brief {
    /// The object as it was written.
    pub json: String,
    said: Said,
    /// How much older than the coordinator's last sign of life it is.
    age_ms: Option<u64>,
}

/// The fields that are told; others may be there.
#[derive(Debug, Deserialize)]
struct Said {
    job: String,
    app: String,
    phase: String,
    percent: f64,
    map: Tasks,
    reduce: Tasks,
    attempts: Attempts,
    pace: Option<SaidPace>,
    #[serde(default)]
    errors: Vec<SaidError>,
}

#[derive(Debug, Deserialize)]
struct SaidPace {
    tasks_per_second: Option<f64>,
    eta_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct SaidError {
    attempt: String,
    text: String,
}

/// Reads it.
pub fn look(disk: &dyn Disk, root: &Path) -> Result<Brief> {
    let path = root.join(STATUS_JSON);
    let bytes = disk.read(STATUS_JSON, BYTES_MAX).map_err(|error| {
        let is_missing = error.kind() == std::io::ErrorKind::NotFound;
        let error = Error::io("cannot read what the coordinator says in", &path, error);
        let advice = format!("its coordinator has written none so far; `flockwork status {}` looks for itself", for_shell(root));
        if is_missing { error.advise(advice) } else { error }
    })?;
    let said = serde_json::from_slice(&bytes).map_err(|cause| {
        let error = Error::new(ErrorKind::Damaged, "cannot understand").on(&path).because(cause);
        error.advise(
            "it was edited or damaged; a coordinator that leads writes it again, and `flockwork status` without --brief does not need it",
        )
    })?;
    let stamp = |path: &str| disk.look(path).ok().map(|look| look.stamp);
    let age = stamp(COORDINATOR_LOCK).zip(stamp(STATUS_JSON)).map(|(lock, own)| (lock - own).max(0) / 1_000_000);
    Ok(Brief { json: String::from_utf8_lossy(&bytes).into_owned(), said, age_ms: age.and_then(|ms| u64::try_from(ms).ok()) })
}

impl Brief {
    /// For people, in a few lines.
    pub fn text(&self) -> String {
        let Said { job, app, phase, percent, map, reduce, attempts, pace, errors } = &self.said;
        let age = self.age_ms.map_or_else(String::new, |ms| format!(", {} before its last sign of life", span(ms)));
        let mut text = format!("job      {} ({}), as its coordinator saw it{age}\n", on_one_line(job), on_one_line(app));
        let _ = writeln!(text, "phase    {}, {percent}% of the tasks done", on_one_line(phase));
        line_of_tasks(&mut text, "map", map);
        if reduce.total > 0 {
            line_of_tasks(&mut text, "reduce", reduce);
        }
        let Attempts { done, failed, expired } = attempts;
        let _ = writeln!(text, "attempts {done} done, {failed} failed, {expired} lost or taken back");
        if let Some(SaidPace { tasks_per_second: Some(rate), eta_ms }) = pace {
            let eta = eta_ms.map_or_else(String::new, |ms| format!(", about {} to the end of this phase", span(ms)));
            let _ = writeln!(text, "pace     {rate} tasks/s{eta}");
        }
        for SaidError { attempt, text: words } in errors {
            let _ = writeln!(text, "error    {}: {}", on_one_line(attempt), words.replace('\n', "\n         "));
        }
        for_terminal(&text).into_owned()
    }
}
