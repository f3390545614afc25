//! What a history comes to in numbers: phases, the slowest, partitions, workers, what went wrong. Pure. `flockwork report --json` writes it as one object.
//!
//! Names and meanings of the fields are stable under `"version": 1`; new ones may be added. Times are milliseconds, since the job was planned where they say when
//! (`from_ms`, `to_ms`), by the clock that `clock` names.
//!
//! | field | meaning |
//! |---|---|
//! | `job`, `id`, `app`, `submitted` | where, which, what, since when |
//! | `verdict`, `error` | `planning`, `running`, `paused`, `finished`, `failed` or `cancelled`; why it failed |
//! | `clock`, `clocks_off_ms` | `server` or `writers`; by host, what was added to its times |
//! | `wall_ms`, `busy_ms`, `slots`, `share_busy` | from its plan (or first attempt) to the end (or now); all attempts' times together; most slots that were there at once; of the slots' time, how much was worked |
//! | `records_read`, `records`, `logs_cut`, `untimed` | biographies read and in all; logs left out; attempts without times |
//! | `bundles` | attempts of several tasks, which share a file; everything below that counts attempts counts each once |
//! | `phases` | `phase`, `tasks`, `done`, `failed`, `lost`, `other`, `backups`, `from_ms`, `to_ms`, `busy_ms`, `median_ms`, `p90_ms`, `max_ms` |
//! | `slowest` | at most 10 of the done, those farthest over their phase's median first: `task` (of a bundle its name, as `map-00064+63`), `attempt`, `worker`, `took_ms`, `times_median`, `records`, `bytes`, `what` (its item or its piece of the input) |
//! | `partitions`, `skew` | of the reduces, by number: `partition`, `bytes`, `pairs`, `keys`, `output_bytes`, `took_ms`; largest over median of `pairs`, and of `took_ms` |
//! | `heavy_keys` | at most 12, most values first: `key`, `values`, `partition` |
//! | `workers` | `name`, `host`, `pid`, `from_ms`, `to_ms`, `done`, `failed`, `lost`, `other`, `busy_ms`, `present` |
//! | `troubles`, `trouble_count` | at most 100 attempts that went wrong, in the order of time: `attempt`, `fate`, `at_ms`, `text`, `what`, `output` (the end of what its command wrote to stderr) |
//! | `incidents` | at most 100: `at_ms`, `kind`, `task`, `text`, `by` |
//! | `counters`, `counters_of` | sums; `end` where the job's end says them, else `records` (of those read that count) |
//! | `outputs`, `output_bytes`, `skipped` | of a finished job |

use std::collections::BTreeMap;

use serde::Serialize;

use super::history::{Attempt, Fate, History};
use crate::data::Counters;
use crate::ids::{Phase, WorkerName};
use crate::job::record::Ended;
use crate::job::spec::Spec;

/// Most of the slowest told.
const SLOWEST_MAX: usize = 10;
/// Most heavy keys told.
const KEYS_MAX: usize = 12;
/// Most troubles and incidents told, of each.
pub const TOLD_MAX: usize = 100;

/// See the file's head.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Digest {
    pub version: u32,
    pub job: String,
    pub id: String,
    pub app: String,
    pub submitted: String,
    pub verdict: &'static str,
    pub error: Option<String>,
    pub clock: &'static str,
    pub clocks_off_ms: BTreeMap<String, i64>,
    pub wall_ms: u64,
    pub busy_ms: u64,
    pub slots: usize,
    pub share_busy: f64,
    pub records_read: usize,
    pub records: usize,
    pub logs_cut: usize,
    pub untimed: usize,
    pub bundles: usize,
    pub phases: Vec<PhaseSum>,
    pub slowest: Vec<Slow>,
    pub partitions: Vec<Partition>,
    pub skew: Skew,
    pub heavy_keys: Vec<Heavy>,
    pub workers: Vec<WorkerSum>,
    pub troubles: Vec<Trouble>,
    pub trouble_count: usize,
    pub incidents: Vec<IncidentSeen>,
    pub counters: Counters,
    pub counters_of: &'static str,
    pub outputs: usize,
    pub output_bytes: u64,
    pub skipped: usize,
}

/// Attempts by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Counts {
    pub done: usize,
    pub failed: usize,
    pub lost: usize,
    pub other: usize,
}

impl Counts {
    fn add(&mut self, fate: Fate) {
        match fate {
            Fate::Done => self.done += 1,
            Fate::Failed => self.failed += 1,
            Fate::Ended(Ended::Lost | Ended::Retracted) => self.lost += 1,
            Fate::Ended(Ended::GivenBack | Ended::Dropped) => self.other += 1,
            Fate::Running => {}
        }
    }
}

/// One phase.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct PhaseSum {
    pub phase: String,
    pub tasks: usize,
    /// Tasks, not attempts.
    pub tasks_done: usize,
    #[serde(flatten)]
    pub counts: Counts,
    pub backups: usize,
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    pub busy_ms: u64,
    pub median_ms: Option<u64>,
    pub p90_ms: Option<u64>,
    pub max_ms: Option<u64>,
}

/// A task that took long.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Slow {
    pub task: String,
    pub attempt: u32,
    pub worker: String,
    pub took_ms: u64,
    pub times_median: f64,
    pub records: Option<u64>,
    pub bytes: Option<u64>,
    pub what: Option<String>,
}

/// What one reduce had to do.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Partition {
    pub partition: u32,
    pub bytes: Option<u64>,
    pub pairs: Option<u64>,
    pub keys: Option<u64>,
    pub output_bytes: Option<u64>,
    pub took_ms: Option<u64>,
}

/// The largest partition over the median one.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Skew {
    pub pairs: Option<f64>,
    pub took_ms: Option<f64>,
}

/// A key with many values.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Heavy {
    pub key: String,
    pub values: u64,
    pub partition: u32,
}

/// One worker: a slot's process.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct WorkerSum {
    pub name: String,
    pub host: String,
    pub pid: u32,
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    #[serde(flatten)]
    pub counts: Counts,
    pub busy_ms: u64,
    pub present: bool,
}

/// An attempt that went wrong.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct Trouble {
    pub attempt: String,
    pub fate: &'static str,
    pub at_ms: Option<i64>,
    pub text: String,
    pub what: Option<String>,
    pub output: Option<String>,
}

/// Something that was written down.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are the table above")]
pub struct IncidentSeen {
    pub at_ms: i64,
    pub kind: String,
    pub task: String,
    pub text: String,
    pub by: String,
}

impl Digest {
    /// Of the job `spec`, called `job` by its user, with the most slots at once as the timeline found them.
    pub fn of(job: &str, spec: &Spec, history: &History, slots: usize) -> Digest {
        let start = history.start();
        let wall_ms = u64::try_from(history.now - start).unwrap_or_default();
        let busy_ms = history.attempts.iter().filter_map(|attempt| attempt.took(history.now)).fold(0, u64::saturating_add);
        let phases: Vec<PhaseSum> = [Phase::Map, Phase::Reduce].into_iter().filter_map(|phase| phase_sum(history, phase, start)).collect();
        let partitions = partitions(history);
        let (troubles, trouble_count) = troubles(history, start);
        let (counters, counters_of) = counters(history);
        let capacity = wall_ms.saturating_mul(slots as u64);
        Digest {
            version: 1,
            job: job.to_owned(),
            id: spec.id.clone(),
            app: spec.ask.app.clone(),
            submitted: spec.submitted.clone(),
            verdict: verdict(history),
            error: history.end.as_ref().and_then(|end| end.error.clone()),
            clock: if history.clocks.are_the_servers() { "server" } else { "writers" },
            clocks_off_ms: history.clocks.off.clone(),
            wall_ms,
            busy_ms,
            slots,
            share_busy: if capacity == 0 { 0.0 } else { (busy_ms as f64 * 1000.0 / capacity as f64).round().min(1000.0) / 1000.0 },
            records_read: history.read.records,
            records: history.read.of,
            logs_cut: history.read.logs_cut,
            untimed: history.read.untimed,
            bundles: history.attempts.iter().filter(|attempt| attempt.name.attempt.block().order() > 0).count(),
            slowest: slowest(history, &phases),
            phases,
            skew: skew(&partitions),
            partitions,
            heavy_keys: heavy_keys(history),
            workers: workers(history, start),
            troubles,
            trouble_count,
            incidents: incidents(history, start),
            counters,
            counters_of,
            outputs: history.end.as_ref().map_or(0, |end| end.outputs.len()),
            output_bytes: history.end.as_ref().map_or(0, |end| end.output_bytes()),
            skipped: history.end.as_ref().map_or(0, |end| end.skipped.len()),
        }
    }
}

fn verdict(history: &History) -> &'static str {
    match &history.end {
        Some(end) => end.outcome.word(),
        None if history.paused => "paused",
        None if history.marks.map.is_none() && history.shape.maps == 0 => "planning",
        None => "running",
    }
}

/// `None` for a phase that the job does not have.
fn phase_sum(history: &History, phase: Phase, start: i64) -> Option<PhaseSum> {
    let (tasks, tasks_done) = match phase {
        Phase::Map => (history.shape.maps, history.done[0]),
        Phase::Reduce => (history.shape.reduces, history.done[1]),
    };
    if tasks == 0 {
        return None;
    }
    let of: Vec<&Attempt> = history.attempts.iter().filter(|attempt| attempt.name.attempt.task.phase == phase).collect();
    let mut counts = Counts::default();
    of.iter().for_each(|attempt| counts.add(attempt.fate));
    let mut took: Vec<u64> =
        of.iter().filter(|attempt| attempt.fate == Fate::Done).filter_map(|attempt| attempt.took(history.now)).collect();
    took.sort_unstable();
    let ends = of.iter().filter_map(|attempt| attempt.ended.or((attempt.fate == Fate::Running).then_some(history.now)));
    Some(PhaseSum {
        phase: phase.to_string(),
        tasks: tasks as usize,
        tasks_done,
        counts,
        backups: of.iter().filter(|attempt| attempt.backup).count(),
        from_ms: of.iter().filter_map(|attempt| attempt.begun).min().map(|at| at - start),
        to_ms: ends.max().map(|at| at - start),
        busy_ms: of.iter().filter_map(|attempt| attempt.took(history.now)).fold(0, u64::saturating_add),
        median_ms: quantile(&took, 0.5),
        p90_ms: quantile(&took, 0.9),
        max_ms: took.last().copied(),
    })
}

/// Of a sorted list.
fn quantile(sorted: &[u64], share: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last as f64 * share).round() as usize])
}

fn slowest(history: &History, phases: &[PhaseSum]) -> Vec<Slow> {
    let median = |phase: Phase| {
        let sum = phases.iter().find(|sum| sum.phase == phase.to_string());
        sum.and_then(|sum| sum.median_ms).unwrap_or_default().max(1)
    };
    let medians = [median(Phase::Map), median(Phase::Reduce)];
    let times = |attempt: &Attempt, took: u64| took as f64 / medians[attempt.name.attempt.task.phase as usize] as f64;
    let done = history.attempts.iter().filter(|attempt| attempt.counts);
    let mut slow: Vec<(f64, u64, &Attempt)> = done
        .filter_map(|attempt| {
            let took = attempt.took(history.now)?;
            Some((times(attempt, took), took, attempt))
        })
        .collect();
    slow.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then_with(|| a.2.name.cmp(&b.2.name)));
    slow.truncate(SLOWEST_MAX);
    let told = slow.into_iter().map(|(times, took, attempt)| Slow {
        task: attempt.name.attempt.block().to_string(),
        attempt: attempt.name.attempt.number,
        worker: attempt.name.worker.to_string(),
        took_ms: took,
        times_median: (times * 10.0).round() / 10.0,
        records: attempt.counter("records in").or_else(|| attempt.counter("pairs in")),
        bytes: attempt.counter("bytes in").or_else(|| attempt.told.as_ref()?.drawn.as_ref().map(|drawn| drawn.bytes)),
        what: None,
    });
    told.collect()
}

fn partitions(history: &History) -> Vec<Partition> {
    let reduces = history.attempts.iter().filter(|attempt| attempt.counts && attempt.name.attempt.task.phase == Phase::Reduce);
    let told = reduces.filter(|attempt| attempt.told.is_some()).map(|attempt| Partition {
        partition: attempt.name.attempt.task.number,
        bytes: attempt.told.as_ref().and_then(|told| told.drawn.as_ref()).map(|drawn| drawn.bytes),
        pairs: attempt.counter("pairs in"),
        keys: attempt.counter("keys in"),
        output_bytes: attempt.counter("output bytes"),
        took_ms: attempt.took(history.now),
    });
    told.collect()
}

fn skew(partitions: &[Partition]) -> Skew {
    let over_median = |of: &dyn Fn(&Partition) -> Option<u64>| {
        let mut sizes: Vec<u64> = partitions.iter().filter_map(of).collect();
        sizes.sort_unstable();
        let median = quantile(&sizes, 0.5).filter(|_| sizes.len() > 1)?;
        Some((*sizes.last()? as f64 / median.max(1) as f64 * 10.0).round() / 10.0)
    };
    Skew { pairs: over_median(&|partition| partition.pairs), took_ms: over_median(&|partition| partition.took_ms) }
}

fn heavy_keys(history: &History) -> Vec<Heavy> {
    let reduces = history.attempts.iter().filter(|attempt| attempt.counts);
    let mut keys: Vec<Heavy> = reduces
        .filter_map(|attempt| Some((attempt.name.attempt.task.number, attempt.told.as_ref()?.drawn.as_ref()?)))
        .flat_map(|(partition, drawn)| {
            drawn.heaviest.iter().map(move |heavy| Heavy { key: heavy.key.clone(), values: heavy.values, partition })
        })
        .collect();
    keys.sort_by(|a, b| b.values.cmp(&a.values).then_with(|| a.key.cmp(&b.key)));
    keys.truncate(KEYS_MAX);
    keys
}

fn workers(history: &History, start: i64) -> Vec<WorkerSum> {
    let by_worker = history.by_worker();
    let idle = history.registered.iter().filter(|name| !by_worker.contains_key(name)).map(|name| (name, Vec::new()));
    let all: Vec<(&WorkerName, Vec<&Attempt>)> = by_worker.iter().map(|(name, of)| (*name, of.clone())).chain(idle).collect();
    let told = all.into_iter().map(|(name, of)| {
        let mut counts = Counts::default();
        of.iter().for_each(|attempt| counts.add(attempt.fate));
        WorkerSum {
            name: name.to_string(),
            host: name.host().to_owned(),
            pid: name.pid(),
            from_ms: of.iter().filter_map(|attempt| attempt.begun).min().map(|at| at - start),
            to_ms: of.iter().filter_map(|attempt| attempt.ended).max().map(|at| at - start),
            counts,
            busy_ms: of.iter().filter_map(|attempt| attempt.took(history.now)).fold(0, u64::saturating_add),
            present: history.end.is_none() && history.registered.contains(name),
        }
    });
    told.collect()
}

fn troubles(history: &History, start: i64) -> (Vec<Trouble>, usize) {
    let mut wrong: Vec<&Attempt> = history
        .attempts
        .iter()
        .filter(|attempt| matches!(attempt.fate, Fate::Failed | Fate::Ended(Ended::Lost | Ended::Retracted)))
        .collect();
    wrong.sort_by_key(|attempt| (attempt.ended.or(attempt.begun), attempt.name.clone()));
    let count = wrong.len();
    let told = wrong.into_iter().take(TOLD_MAX).map(|attempt| Trouble {
        attempt: attempt.name.to_string(),
        fate: attempt.fate.word(),
        at_ms: attempt.ended.or(attempt.begun).map(|at| at - start),
        what: None,
        output: None,
        text: match attempt.fate {
            Fate::Failed => {
                let text = attempt.told.as_ref().and_then(|told| told.error.clone());
                text.unwrap_or_else(|| "its record was not read".to_owned())
            }
            Fate::Ended(Ended::Retracted) => "its files were found missing or damaged; the task was done again".to_owned(),
            _ => "its worker fell silent or died; the task was issued again".to_owned(),
        },
    });
    (told.collect(), count)
}

fn incidents(history: &History, start: i64) -> Vec<IncidentSeen> {
    let told = history.incidents.iter().take(TOLD_MAX).map(|incident| IncidentSeen {
        at_ms: incident.at - start,
        kind: incident.kind.clone(),
        task: incident.task.clone(),
        text: incident.text.clone(),
        by: incident.by.clone(),
    });
    told.collect()
}

fn counters(history: &History) -> (Counters, &'static str) {
    if let Some(end) = history.end.as_ref().filter(|end| !end.counters.is_empty()) {
        return (end.counters.clone(), "end");
    }
    let mut sums = Counters::new();
    let counting = history.attempts.iter().filter(|attempt| attempt.counts).filter_map(|attempt| attempt.told.as_ref());
    for (name, n) in counting.flat_map(|told| &told.counters) {
        let sum = sums.entry(name.clone()).or_default();
        *sum = sum.saturating_add(*n);
    }
    (sums, "records")
}
