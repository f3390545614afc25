//! A look at a job or a farm in Prometheus's text format, for the textfile collector of node_exporter. Pure.
//!
//! Every series bears `job`, the job's directory. What is not known has no line. All are gauges: a job's numbers may fall when it is retried or removed.
//!
//! | series | of |
//! |---|---|
//! | `flockwork_job_info` | 1, with `id`, `app` |
//! | `flockwork_job_state` | 1 for the `state` that it is in, 0 for the others |
//! | `flockwork_job_paused` | 1 while a `pause` file holds it |
//! | `flockwork_job_tasks` | tasks by `state`: `done`, `claimed`, `pending`, `waiting` |
//! | `flockwork_job_workers` | workers registered |
//! | `flockwork_job_priority` | of a job in a farm |
//! | `flockwork_job_phase_tasks` | of one job: the same by `phase` |
//! | `flockwork_job_attempts` | of one job: attempts in the folders `done`, `failed`, `expired`, by `fate` |
//! | `flockwork_job_tasks_per_second`, `flockwork_job_task_mean_seconds`, `flockwork_job_eta_seconds` | of one job that runs |
//! | `flockwork_job_newest_sign_of_life_timestamp_seconds`, `flockwork_job_coordinator_quiet_seconds` | of one job that runs |
//! | `flockwork_job_storage_troubles` | of one job that runs: places where nothing can be written |
//! | `flockwork_job_busy_seconds`, `flockwork_job_output_bytes`, `flockwork_job_counter` | of one job that has ended |

use std::collections::BTreeMap;
use std::fmt::Write;

use super::farm::FarmStatus;
use super::status::{Status, Tasks};
use crate::units::{for_terminal, parse_stamp};

/// All states of a job.
const STATES: [&str; 8] = ["waiting", "planning", "map", "reduce", "finished", "failed", "cancelled", "unreadable"];

/// What each series is, in their order.
const HELP: [(&str, &str); 17] = [
    ("flockwork_job_info", "A job, by its directory."),
    ("flockwork_job_state", "1 for the state that the job is in."),
    ("flockwork_job_paused", "1 while a pause file holds the job."),
    ("flockwork_job_priority", "The job's priority in its farm."),
    ("flockwork_job_tasks", "Tasks by state, both phases together."),
    ("flockwork_job_phase_tasks", "Tasks by phase and state."),
    ("flockwork_job_attempts", "Attempts that have ended, by how."),
    ("flockwork_job_workers", "Workers registered at the job."),
    ("flockwork_job_tasks_per_second", "Tasks done a second in the running phase, from a sample."),
    ("flockwork_job_task_mean_seconds", "Mean time of a task of the running phase, from a sample."),
    ("flockwork_job_eta_seconds", "Time to the end of the running phase, roughly."),
    ("flockwork_job_newest_sign_of_life_timestamp_seconds", "Newest heartbeat of anybody, by the file server's clock."),
    ("flockwork_job_coordinator_quiet_seconds", "How much older the coordinator's last sign of life is than the newest."),
    ("flockwork_job_storage_troubles", "Places of the job where nothing can be written."),
    ("flockwork_job_busy_seconds", "Time of all attempts that count together, of an ended job."),
    ("flockwork_job_output_bytes", "Length of all outputs, of a finished job."),
    ("flockwork_job_counter", "The counters of an ended job."),
];

/// Lines by series.
#[derive(Default)]
struct Series(BTreeMap<&'static str, Vec<String>>);

impl Series {
    fn add(&mut self, series: &'static str, labels: &[(&str, &str)], value: f64) {
        debug_assert!(HELP.iter().any(|(name, _)| *name == series), "{series} has no help");
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.0.entry(series).or_default().push(format!("{series}{{{}}} {value}", labels.join(",")));
    }

    fn state(&mut self, job: &str, state: &str) {
        for one in STATES {
            self.add("flockwork_job_state", &[("job", job), ("state", one)], f64::from(u8::from(one == state)));
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (series, help) in HELP {
            let Some(lines) = self.0.get(series) else { continue };
            let _ = writeln!(out, "# HELP {series} {help}\n# TYPE {series} gauge\n{}", lines.join("\n"));
        }
        out
    }
}

/// A label's value as the format wants it, with nothing in it that steers a terminal.
fn escaped(value: &str) -> String {
    for_terminal(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Of one job.
pub fn of_job(job: &str, status: &Status) -> String {
    let mut series = Series::default();
    series.add("flockwork_job_info", &[("job", job), ("id", &status.id), ("app", &status.app)], 1.0);
    series.state(job, status.phase);
    series.add("flockwork_job_paused", &[("job", job)], f64::from(u8::from(status.paused)));
    for ((state, maps), (_, reduces)) in by_state(&status.map).into_iter().zip(by_state(&status.reduce)) {
        series.add("flockwork_job_tasks", &[("job", job), ("state", state)], (maps + reduces) as f64);
        for (phase, tasks) in [("map", maps), ("reduce", reduces)] {
            series.add("flockwork_job_phase_tasks", &[("job", job), ("phase", phase), ("state", state)], tasks as f64);
        }
    }
    let attempts = [("done", status.attempts.done), ("failed", status.attempts.failed), ("expired", status.attempts.expired)];
    attempts.iter().for_each(|(fate, n)| series.add("flockwork_job_attempts", &[("job", job), ("fate", fate)], *n as f64));
    series.add("flockwork_job_workers", &[("job", job)], status.workers.len() as f64);
    match &status.end {
        None => running(&mut series, job, status),
        Some(end) => {
            series.add("flockwork_job_busy_seconds", &[("job", job)], end.busy_ms as f64 / 1000.0);
            series.add("flockwork_job_output_bytes", &[("job", job)], end.output_bytes as f64);
            for (counter, n) in &end.counters {
                series.add("flockwork_job_counter", &[("job", job), ("counter", counter)], *n as f64);
            }
        }
    }
    series.text()
}

/// Tasks by state.
fn by_state(tasks: &Tasks) -> [(&'static str, usize); 4] {
    [("done", tasks.done), ("claimed", tasks.claimed), ("pending", tasks.pending), ("waiting", tasks.waiting)]
}

fn running(series: &mut Series, job: &str, status: &Status) {
    let at = [("job", job)];
    if let Some(pace) = &status.pace {
        series.add("flockwork_job_task_mean_seconds", &at, pace.mean_task_ms as f64 / 1000.0);
        pace.tasks_per_second.iter().for_each(|rate| series.add("flockwork_job_tasks_per_second", &at, *rate));
        pace.eta_ms.iter().for_each(|eta| series.add("flockwork_job_eta_seconds", &at, *eta as f64 / 1000.0));
    }
    if let Some(ms) = status.newest_sign_of_life.as_deref().and_then(parse_stamp) {
        series.add("flockwork_job_newest_sign_of_life_timestamp_seconds", &at, ms as f64 / 1000.0);
    }
    if let Some(ms) = status.coordinator.as_ref().and_then(|lead| lead.quiet_ms) {
        series.add("flockwork_job_coordinator_quiet_seconds", &at, ms as f64 / 1000.0);
    }
    series.add("flockwork_job_storage_troubles", &at, status.storage.len() as f64);
}

/// Of all jobs of a farm; `name` says how a job there is called.
pub fn of_farm(name: impl Fn(&str) -> String, farm: &FarmStatus) -> String {
    let mut series = Series::default();
    for row in &farm.jobs {
        let job = &name(&row.job);
        series.add("flockwork_job_info", &[("job", job), ("id", &row.id), ("app", &row.app)], 1.0);
        series.state(job, row.phase);
        series.add("flockwork_job_paused", &[("job", job)], f64::from(u8::from(row.paused)));
        series.add("flockwork_job_priority", &[("job", job)], f64::from(row.priority));
        let waiting = row.tasks.saturating_sub(row.done + row.claimed + row.pending);
        for (state, n) in [("done", row.done), ("claimed", row.claimed), ("pending", row.pending), ("waiting", waiting)] {
            series.add("flockwork_job_tasks", &[("job", job), ("state", state)], n as f64);
        }
        series.add("flockwork_job_workers", &[("job", job)], row.workers as f64);
    }
    series.text()
}
