//! A [`Status`] in words, for people, and the hints on what to do where nothing can move.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::span;
use super::status::{HostSeen, Status, Tasks};
use crate::engine::care::{KEYS_SKIPPED, RECORDS_SKIPPED};
use crate::job::end::Outcome;
use crate::planner::after::Start;
use crate::units::{for_shell, for_terminal, on_one_line, plural, show_size, show_time};

/// Workers told one by one; of more, the quietest.
const WORKERS_MAX: usize = 20;
/// Slow claims told one by one.
const SLOW_MAX: usize = 5;
/// Machines told one by one.
const HOSTS_MAX: usize = 20;

impl Status {
    /// `phase map 3/8`, for sentences of other commands.
    pub fn where_it_is(&self) -> String {
        let paused = if self.paused { ", paused" } else { "" };
        match self.phase {
            "map" => format!("phase map {}/{}{paused}", self.map.done, self.map.total),
            "reduce" => format!("phase reduce {}/{}{paused}", self.reduce.done, self.reduce.total),
            other => format!("{other}{paused}"),
        }
    }

    /// How many tasks are done, where those are more than the attempts that did them: bundles have several.
    pub fn bundled(&self) -> Option<usize> {
        let tasks = self.map.done + self.reduce.done;
        (tasks as u64 > self.attempts.done).then_some(tasks)
    }

    /// For how long no worker has been seen, up to now where everybody is silent: that part is told by this machine's clock.
    pub(super) fn no_worker_until_now_ms(&self, lease: Duration) -> Option<u64> {
        let silent = self.newest_ago_ms.filter(|ms| Duration::from_millis(*ms) > lease.saturating_mul(3)).unwrap_or(0);
        let seen_before = if silent > 0 && !self.workers.is_empty() { Some(0) } else { None };
        self.no_worker_ms.or(seen_before).map(|ms| ms.saturating_add(silent))
    }

    /// The whole look, a page for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "job      {} ({}, {}, submitted {})",
            self.job,
            on_one_line(&self.app),
            on_one_line(&self.id),
            on_one_line(&self.submitted)
        );
        let _ = writeln!(text, "phase    {}, {}% of the tasks done", self.where_it_is().trim_start_matches("phase "), self.percent);
        if !self.controls.is_empty() {
            let _ = writeln!(text, "control  {}", self.controls.join(", "));
        }
        if self.phase != "planning" {
            line_of_tasks(&mut text, "map", &self.map);
        }
        if self.reduce.total > 0 {
            line_of_tasks(&mut text, "reduce", &self.reduce);
        }
        let _ = writeln!(
            text,
            "attempts {} done{}, {} failed, {} lost or taken back",
            self.attempts.done,
            self.bundled().map_or_else(String::new, |tasks| format!(" (of {tasks} tasks: many share a file)")),
            self.attempts.failed,
            self.attempts.expired
        );
        self.taken_back_text(&mut text);
        self.pace_text(&mut text);
        self.data_text(&mut text);
        self.end_text(&mut text);
        if self.end.is_none() {
            self.people_text(&mut text);
            self.slow_text(&mut text);
        }
        for error in &self.errors {
            let ago = error.age_ms.filter(|_| self.end.is_none()).map_or_else(String::new, |ms| format!(" ({} ago)", span(ms)));
            let _ = writeln!(text, "error    {}{ago}: {}", error.attempt, error.text.replace('\n', "\n         "));
            if let Some(output) = &error.output {
                let _ = writeln!(text, "         | {}", output.replace('\n', "\n         | "));
            }
        }
        for path in self.foreign.iter().map(|path| on_one_line(path)) {
            let _ = writeln!(text, "foreign  {path} is not flockwork's; it is left alone");
        }
        if self.foreign_count > self.foreign.len() {
            let _ = writeln!(text, "foreign  and {} more", self.foreign_count - self.foreign.len());
        }
        for hint in &self.hints {
            let _ = writeln!(text, "hint     {hint}");
        }
        // Much of it was read in the directory, where anybody who may write it has a say.
        for_terminal(&text).into_owned()
    }

    fn pace_text(&self, text: &mut String) {
        let Some(pace) = self.pace else { return };
        let mean = if pace.mean_task_ms < 10 { "under 0.01 s".to_owned() } else { show_time(Duration::from_millis(pace.mean_task_ms)) };
        let _ = write!(text, "pace     {mean} a task, half of them under {}", span(pace.median_task_ms.max(100)));
        if let Some(rate) = pace.tasks_per_second {
            let _ = write!(text, ", {rate} tasks/s");
        }
        if let Some(rate) = pace.bytes_per_second {
            let _ = write!(text, ", {}/s", show_size(rate as u64));
        }
        if let Some(rate) = pace.records_per_second {
            let _ = write!(text, ", {} {}/s", rate as u64, if self.phase == "reduce" { "pairs" } else { "records" });
        }
        if let Some(eta) = pace.eta_ms {
            let _ = write!(text, ", about {} to the end of this phase", show_time(Duration::from_millis(eta)));
        }
        text.push('\n');
    }

    fn taken_back_text(&self, text: &mut String) {
        let taken = &self.taken_back;
        let kinds = [(taken.lost, "lost"), (taken.given_back, "given back"), (taken.dropped, "dropped"), (taken.retracted, "retracted")];
        let told: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !told.is_empty() {
            let of =
                if taken.sampled < self.attempts.expired as usize { format!(" (of {} looked at)", taken.sampled) } else { String::new() };
            let _ = writeln!(text, "         of those taken back {}{of}", told.join(", "));
        }
    }

    fn data_text(&self, text: &mut String) {
        let data = &self.data;
        let told = [
            data.records_in.map(|n| format!("{n} records in")),
            data.bytes_in.map(|n| format!("{} in", show_size(n))),
            data.shuffle_bytes.map(|n| format!("{} shuffled", show_size(n))),
            data.output_bytes.map(|n| format!("{} out", show_size(n))),
        ];
        let told: Vec<String> = told.into_iter().flatten().collect();
        if !told.is_empty() {
            let about = if data.estimated { "about " } else { "" };
            let _ = writeln!(text, "data     {about}{}", told.join(", "));
        }
    }

    fn slow_text(&self, text: &mut String) {
        for slow in self.slowest.iter().take(SLOW_MAX) {
            let _ = writeln!(text, "slowest  {} has run for {} at least", slow.claim, span(slow.running_ms));
        }
        for line in self.ages.lines() {
            let _ = writeln!(text, "{line}");
        }
    }

    fn end_text(&self, text: &mut String) {
        let Some(end) = &self.end else { return };
        // Only of a job that finished its coordinator sums that up.
        let busy = if end.outcome == Outcome::Finished {
            format!(", tasks worked {} together", show_time(Duration::from_millis(end.busy_ms)))
        } else {
            String::new()
        };
        let _ = writeln!(text, "ended    {}{busy}", on_one_line(&end.at));
        if let Some(error) = &end.error {
            let _ = writeln!(text, "reason   {}", error.replace('\n', "\n         "));
        }
        if end.outputs > 0 {
            let _ = writeln!(text, "outputs  {}, {}", plural(end.outputs as u64, "file"), show_size(end.output_bytes));
        }
        for (name, count) in &end.counters {
            let _ = writeln!(text, "counter  {}: {count}", on_one_line(name));
        }
        if end.counters.contains_key(RECORDS_SKIPPED) || end.counters.contains_key(KEYS_SKIPPED) {
            let _ = writeln!(text, "skipped  what is not in the outputs is listed in {}/phase/end", self.job);
        }
    }

    fn people_text(&self, text: &mut String) {
        if let Some(at) = &self.newest_sign_of_life {
            let ago = self.newest_ago_ms.map_or_else(String::new, |ms| format!(", {} ago by this machine's", span(ms)));
            let _ = writeln!(text, "newest sign of life: {at} by the server's clock{ago}");
        }
        match &self.coordinator {
            Some(lead) => {
                let _ = writeln!(text, "coordinator: seen {}", quiet(lead.quiet_ms));
                if let Some(trouble) = &lead.trouble {
                    let _ = writeln!(text, "         in trouble: {}", on_one_line(trouble));
                }
            }
            None => text.push_str("coordinator: none so far\n"),
        }
        let mut workers: Vec<_> = self.workers.iter().collect();
        if workers.len() > WORKERS_MAX {
            workers.sort_by_key(|worker| std::cmp::Reverse(worker.quiet_ms));
        }
        for trouble in &self.storage {
            let _ = writeln!(text, "storage  {}; everybody waits, and goes on when that is over", on_one_line(trouble));
        }
        for HostSeen { host, slots, busy, quiet_ms } in self.hosts.iter().take(HOSTS_MAX) {
            let slots = if *slots == 1 { "1 slot".to_owned() } else { format!("{slots} slots") };
            let _ = writeln!(text, "host     {host}: {slots}, {busy} at work, seen {}", quiet(*quiet_ms));
        }
        if self.hosts.len() > HOSTS_MAX {
            let _ = writeln!(text, "host     and {} more", self.hosts.len() - HOSTS_MAX);
        }
        for worker in workers.iter().take(WORKERS_MAX) {
            let claim = worker.claim.as_deref().and_then(|claim| claim.split('@').next()).unwrap_or("nothing");
            let since = worker.running_ms.map_or_else(String::new, |ms| format!(" for {}", span(ms)));
            let _ = writeln!(text, "worker   {}: on {claim}{since}, seen {}", worker.name, quiet(worker.quiet_ms));
            if let Some(trouble) = &worker.trouble {
                let _ = writeln!(text, "         in trouble: {}", on_one_line(trouble));
            }
        }
        if workers.len() > WORKERS_MAX {
            let _ = writeln!(text, "worker   and {} more", workers.len() - WORKERS_MAX);
        }
        for claim in self.claims.iter().filter(|claim| claim.attempt > 1) {
            let _ = writeln!(text, "claim    {} is attempt {} of its task, seen {}", claim.claim, claim.attempt, quiet(claim.quiet_ms));
        }
    }
}

/// `map      3/8 done, 2 claimed, 3 pending, 0 not issued`
pub(super) fn line_of_tasks(text: &mut String, name: &str, tasks: &Tasks) {
    let Tasks { total, waiting, pending, claimed, done } = tasks;
    let _ = writeln!(text, "{name:<8} {done}/{total} done, {claimed} claimed, {pending} pending, {waiting} not issued");
}

fn quiet(ms: Option<u64>) -> String {
    ms.map_or_else(|| "at an unknown time".to_owned(), |ms| format!("{} before the newest sign of life", span(ms)))
}

fn without_a_leader(status: &Status, is_long: impl Fn(u64) -> bool, job: &str) -> Option<String> {
    match &status.coordinator {
        None => Some(format!("no coordinator has led this job so far; start one with `flockwork coordinator {job}`")),
        Some(lead) if lead.quiet_ms.is_some_and(is_long) => {
            Some(format!("the coordinator has fallen silent; start another with `flockwork coordinator {job}`"))
        }
        Some(_) => None,
    }
}

/// What to do where nothing can move, as far as one look can tell.
pub(super) fn hints(status: &Status, lease: Duration, waits_for: &Start) -> Vec<String> {
    let (mut hints, job) = (Vec::new(), for_shell(Path::new(&status.job)));
    if let Some(end) = &status.end {
        if end.outcome != Outcome::Finished {
            hints.push(format!("`flockwork retry {job}` gives it another chance"));
        }
        return hints;
    }
    let is_long = |ms: u64| Duration::from_millis(ms) > lease.saturating_mul(3);
    match waits_for {
        Start::Now => hints.extend(without_a_leader(status, is_long, &job)),
        Start::Later(other) => {
            hints.push(format!("it starts after {other}, which has not ended; a coordinator that waits for that shows nothing here"))
        }
        Start::Blocked(why) => {
            hints.push(format!("it does not start, for {why}; `flockwork retry` helps that one, `flockwork cancel {job}` ends this one"))
        }
    }
    if status.controls.contains(&"cancel") {
        hints.push("it is to be cancelled: its coordinator ends it as soon as it looks".to_owned());
    } else if status.paused {
        hints.push(format!("the job is paused; `flockwork resume {job}` lets it go on"));
    }
    if *waits_for != Start::Now {
        return hints;
    }
    let start = format!("start one with `flockwork worker {job}`");
    // Before a lease is over nobody is missed.
    let is_missed = |ms: &u64| !status.workers.is_empty() || Duration::from_millis(*ms) >= lease;
    match status.no_worker_until_now_ms(lease).filter(is_missed) {
        Some(ms) if status.workers.is_empty() => hints.push(format!("no worker has been seen for {}; {start}", span(ms))),
        Some(ms) => hints.push(format!("no worker has been seen for {}: those that are registered are silent; {start}", span(ms))),
        None if status.workers.is_empty() => hints.push(format!("no worker is registered; {start}")),
        None => {}
    }
    if let Some(ms) = status.newest_ago_ms.filter(|ms| is_long(*ms)) {
        let ago = span(ms);
        hints.push(format!(
            "nobody here has given a sign of life for {ago}, if this machine's clock and the server's agree; start a coordinator with `flockwork coordinator {job}`"
        ));
    }
    hints
}
