//! A history as a trace in Chrome's event format, which Perfetto and `chrome://tracing` read.
//!
//! | in the trace | is |
//! |---|---|
//! | process 0, `job` | the phases as slices, incidents as instants |
//! | a process per host | its slots as threads (see `super::lanes`), each attempt a slice, each loss an instant at the time when it was noticed |
//!
//! A slice's `args` say what the attempt's record says: how it ended, its worker, its counters, its error. Times are microseconds since the job was planned; those whose clock is off are put
//! right as in the report. Slices of one thread never overlap. Memory and length: some 400 bytes an attempt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::history::{Attempt, Fate, History};
use super::lanes::{self, Bar};
use crate::ids::Phase;
use crate::job::record::Ended;
use crate::job::spec::Spec;

/// One event; of each kind only the fields that it has.
#[derive(Serialize)]
struct TraceEvent<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    ph: &'static str,
    ts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<i64>,
    pid: usize,
    tid: usize,
    /// Of an instant: what it is of, `t`hread, `p`rocess or everything (`g`).
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    args: Map<String, Value>,
}

/// The events, one per line.
struct Events {
    out: String,
    n: usize,
}

impl Events {
    fn push(&mut self, event: &TraceEvent<'_>) {
        self.out.push_str(if self.n == 0 { "\n" } else { ",\n" });
        self.out.push_str(&serde_json::to_string(event).expect("an event has string keys only"));
        self.n += 1;
    }

    /// A name of a process or a thread, and where it stands.
    fn name(&mut self, kind: &str, pid: usize, tid: usize, name: &str) {
        let args = object(json!({ "name": name }));
        self.push(&TraceEvent { name: &format!("{kind}_name"), cat: None, ph: "M", ts: 0, dur: None, pid, tid, s: None, args });
        let at = if kind == "process" { pid } else { tid };
        let args = object(json!({ "sort_index": at }));
        self.push(&TraceEvent { name: &format!("{kind}_sort_index"), cat: None, ph: "M", ts: 0, dur: None, pid, tid, s: None, args });
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The whole trace of the job `spec`, called `job`.
pub fn json(job: &str, spec: &Spec, history: &History) -> String {
    let mut events = Events { out: String::from("{\"displayTimeUnit\":\"ms\",\"traceEvents\":["), n: 0 };
    of_job(&mut events, history);
    let lanes = lanes::pack(history);
    for (host, lanes) in lanes.chunk_by(|a, b| a.host == b.host).enumerate() {
        let pid = host + 1;
        events.name("process", pid, 0, lanes[0].host);
        for (slot, lane) in lanes.iter().enumerate() {
            let tid = slot + 1;
            events.name("thread", pid, tid, &format!("slot {tid}"));
            lane.bars.iter().for_each(|bar| attempt(&mut events, bar, pid, tid));
        }
    }
    let other = json!({ "job": job, "id": spec.id, "app": spec.ask.app, "submitted": spec.submitted, "clock": if history.clocks.are_the_servers() { "server" } else { "writers" } });
    events.out.push_str(&format!("\n],\"otherData\":{other}}}\n"));
    events.out
}

/// Phases and incidents.
fn of_job(events: &mut Events, history: &History) {
    events.name("process", 0, 0, "job");
    events.name("thread", 0, 1, "phases");
    events.name("thread", 0, 2, "incidents");
    let start = history.start();
    let since = |at: i64| (at - start).max(0) * 1000;
    for phase in [Phase::Map, Phase::Reduce] {
        let of = history.attempts.iter().filter(|attempt| attempt.name.attempt.task.phase == phase);
        let times = of.filter_map(|attempt| {
            let begun = attempt.begun?;
            let ended = if attempt.fate == Fate::Running { Some(history.now) } else { attempt.ended };
            Some((begun, ended.unwrap_or(begun)))
        });
        let (from, to) = times.fold((i64::MAX, i64::MIN), |(from, to), (begun, ended)| (from.min(begun), to.max(ended)));
        if from <= to {
            let (ts, dur) = (since(from), Some((to - from) * 1000));
            let name = phase.to_string();
            events.push(&TraceEvent { name: &name, cat: Some("phase"), ph: "X", ts, dur, pid: 0, tid: 1, s: None, args: Map::new() });
        }
    }
    let marks = [("reduces may begin", history.marks.reduce), ("end", history.marks.end)];
    for (name, at) in marks.into_iter().filter_map(|(name, at)| Some((name, at?))) {
        events.push(&instant(name, "phase", since(at), (0, 1), "g", Map::new()));
    }
    for incident in &history.incidents {
        let args = object(json!({ "task": incident.task, "text": incident.text, "by": incident.by }));
        events.push(&instant(&incident.kind, "incident", since(incident.at), (0, 2), "p", args));
    }
}

fn instant<'a>(
    name: &'a str,
    cat: &'a str,
    ts: i64,
    (pid, tid): (usize, usize),
    s: &'static str,
    args: Map<String, Value>,
) -> TraceEvent<'a> {
    TraceEvent { name, cat: Some(cat), ph: "i", ts, dur: None, pid, tid, s: Some(s), args }
}

fn attempt(events: &mut Events, bar: &Bar<'_>, pid: usize, tid: usize) {
    let attempt = bar.attempt;
    let (name, phase) = (attempt.name.attempt.to_string(), attempt.name.attempt.task.phase.to_string());
    let (ts, dur) = (bar.from.max(0) * 1000, Some((bar.to - bar.from.max(0)).max(0) * 1000));
    events.push(&TraceEvent { name: &name, cat: Some(&phase), ph: "X", ts, dur, pid, tid, s: None, args: args(attempt) });
    if let Fate::Ended(Ended::Lost | Ended::Retracted) | Fate::Failed = attempt.fate {
        let args = object(json!({ "attempt": name }));
        events.push(&instant(attempt.fate.word(), "loss", bar.to.max(0) * 1000, (pid, tid), "t", args));
    }
}

fn args(attempt: &Attempt) -> Map<String, Value> {
    let mut args = object(json!({ "fate": attempt.fate.word(), "worker": attempt.name.worker.to_string() }));
    if attempt.backup {
        args.insert("backup".to_owned(), Value::Bool(true));
    }
    if let Some(told) = &attempt.told {
        if !told.counters.is_empty() {
            let counters: BTreeMap<&String, u64> = told.counters.iter().map(|(name, n)| (name, *n)).collect();
            args.insert("counters".to_owned(), json!(counters));
        }
        args.extend(told.drawn.as_ref().map(|drawn| ("shuffle bytes".to_owned(), json!(drawn.bytes))));
        args.extend(told.error.as_ref().map(|error| ("error".to_owned(), json!(error))));
    }
    args
}
