//! How a job ended, in about five lines for people: where the outputs are, how long it took, what went through, and what was odd.
//!
//! What is odd is what one may want to look into: errors and losses on the way, records skipped, one partition far larger than the others. It is read from files
//! that move no more: the end, at most 200 of `expired/`, and the records of at most 1000 reduce tasks. What cannot be read is left out.

use std::path::Path;
use std::time::Duration;

use crate::data::HeavyKey;
use crate::disk::Disk;
use crate::disk::real::RealDisk;
use crate::engine::care::{KEYS_SKIPPED, RECORDS_SKIPPED};
use crate::engine::counters::{BYTES_IN, PAIRS_IN, RECORDS_IN, SHUFFLE_BYTES};
use crate::eyes::errors::{TakenBack, taken_back_in};
use crate::job::end::{End, Outcome};
use crate::job::layout::{OUTPUT, PHASE_END, PHASE_MAP, PHASE_REDUCE};
use crate::job::outputs::done_record;
use crate::job::spec;
use crate::units::{for_shell, for_terminal, on_one_line, plural, show_size, show_time};

/// Reduce tasks whose records are read.
const REDUCES_READ_MAX: usize = 1000;
/// So many times the median is worth a word.
const SKEW_TOLD_MIN: f64 = 3.0;
/// And so many pairs.
const SKEW_PAIRS_MIN: u64 = 10_000;

/// A key is named where it has such a share of the partition's pairs.
const KEY_TOLD_SHARE: f64 = 0.1;

/// What the end itself does not say.
#[derive(Debug, Clone, Default, PartialEq)]
struct Facts {
    /// Where the outputs lie.
    output: String,
    /// How long the phases took, by the server's stamps.
    map: Option<Duration>,
    reduce: Option<Duration>,
    taken: TakenBack,
    skew: Option<Skew>,
}

/// What one output was made of.
#[derive(Debug, Clone, Default)]
struct Share {
    file: String,
    pairs: u64,
    /// Those with the most values.
    keys: Vec<HeavyKey>,
}

/// One partition beside the others.
#[derive(Debug, Clone, PartialEq)]
struct Skew {
    /// Its output.
    largest: String,
    pairs: u64,
    /// How many times the median.
    times: f64,
    /// The keys that make most of it.
    keys: Vec<HeavyKey>,
}

/// How a job ended, in a few lines for people; `elapsed` is how long the command took that made it.
pub(super) fn words_of_end(root: &Path, end: &End, elapsed: Option<Duration>) -> String {
    let facts = if end.outcome == Outcome::Finished { facts(root, end) } else { Facts::default() };
    let lines = match end.outcome {
        Outcome::Finished => finished(root, end, elapsed, &facts),
        Outcome::Failed => failed(root, end),
        Outcome::Cancelled => {
            vec![format!("the job in {} was cancelled; `flockwork retry {}` lets it go on", root.display(), for_shell(root))]
        }
    };
    lines.into_iter().map(|line| format!("flockwork: {line}\n")).collect()
}

/// What is said of a job that is asked for again when it has ended: the outputs are of that time, whatever became of the inputs since.
pub(super) fn words_of_ended(root: &Path, end: &End) -> String {
    let typed = for_shell(root);
    let (how, advice) = match end.outcome {
        Outcome::Finished => ("had finished already", format!("to run it anew: `flockwork clean --all {typed}`, or choose another --job")),
        Outcome::Failed => ("had failed already", format!("`flockwork retry {typed}` gives it another chance")),
        Outcome::Cancelled => ("was cancelled already", format!("`flockwork retry {typed}` lets it go on")),
    };
    format!("the job in {} {how} (at {}), so nothing is run; {advice}", root.display(), on_one_line(&end.at))
}

fn failed(root: &Path, end: &End) -> Vec<String> {
    let (typed, root) = (for_shell(root), root.display());
    let error = for_terminal(end.error.as_deref().unwrap_or("no reason is written down"));
    vec![
        format!("the job in {root} failed: {error}"),
        format!("its attempts are in {root}/failed and {root}/expired; `flockwork retry {typed}` gives it another chance"),
    ]
}

fn finished(root: &Path, end: &End, elapsed: Option<Duration>, facts: &Facts) -> Vec<String> {
    let typed = for_shell(root);
    let elapsed = elapsed.map_or_else(|| "finished".to_owned(), |time| format!("finished in {}", show_time(time)));
    let mut lines = vec![if end.outputs.is_empty() {
        format!("{elapsed}: {}; read what they wrote with `flockwork cat {typed}`", plural(end.attempts.done, "task"))
    } else {
        let (files, size) = (plural(end.outputs.len() as u64, "output file"), show_size(end.output_bytes()));
        format!("{elapsed}: {files}, {size}, in {}; read them with `flockwork cat {typed}`", facts.output)
    }];
    lines.push(times(end, facts));
    lines.extend(went_through(end));
    lines.extend(odd_attempts(end, facts));
    if let Some(skipped) = words_of_skipped(end) {
        lines.push(format!("{skipped} skipped; {}/phase/end lists them", root.display()));
    }
    lines.extend(facts.skew.as_ref().map(words_of_skew));
    lines
}

/// Which partition is too large, and whether it is a few keys that make it so: others cannot be helped by more reduces.
fn words_of_skew(skew: &Skew) -> String {
    let Skew { largest, pairs, times, keys } = skew;
    let keys: Vec<String> = keys.iter().map(|heavy| format!("`{}` ({} values)", on_one_line(&heavy.key), heavy.values)).collect();
    let keys = if keys.is_empty() { String::new() } else { format!("; its heaviest keys: {}", keys.join(", ")) };
    format!("skew: {largest} was made of {pairs} pairs, {times:.0} times the median of all partitions{keys}")
}

fn times(end: &End, facts: &Facts) -> String {
    let phases = [("map", facts.map), ("reduce", facts.reduce)];
    let told: Vec<String> = phases.iter().filter_map(|(name, time)| Some(format!("{name} took {}", show_time((*time)?)))).collect();
    let worked = format!("tasks worked {} together", show_time(Duration::from_millis(end.busy_ms)));
    if told.is_empty() { worked } else { format!("{}; {worked}", told.join(", ")) }
}

/// `1000 records, 64.0 MiB in; 2.1 MiB shuffled`
fn went_through(end: &End) -> Option<String> {
    let n = |name: &str| end.counters.get(name).copied();
    let read = n(RECORDS_IN)?;
    let bytes = n(BYTES_IN).map_or_else(String::new, |bytes| format!(", {}", show_size(bytes)));
    let shuffled = n(SHUFFLE_BYTES).map_or_else(String::new, |bytes| format!("; {} shuffled", show_size(bytes)));
    Some(format!("{}{bytes} in{shuffled}", plural(read, "record")))
}

fn odd_attempts(end: &End, facts: &Facts) -> Option<String> {
    let (failed, expired) = (end.attempts.failed, end.attempts.expired);
    if failed + expired == 0 {
        return None;
    }
    let taken = &facts.taken;
    let kinds = [
        (taken.lost, "lost"),
        (taken.given_back, "given back"),
        (taken.dropped, "dropped, for another was quicker"),
        (taken.retracted, "retracted"),
    ];
    let kinds: Vec<String> = kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let reported = (failed > 0).then(|| format!("{} reported errors", plural(failed, "attempt")));
    let who = if failed > 0 { expired.to_string() } else { plural(expired, "attempt") };
    let were = if expired == 1 { "was" } else { "were" };
    let lost = (expired > 0).then(|| format!("{who} {were} lost or taken back{kinds}"));
    let told: Vec<String> = reported.into_iter().chain(lost).collect();
    Some(format!("on the way {}", told.join(" and ")))
}

/// `3 bad records were`, where something was skipped.
fn words_of_skipped(end: &End) -> Option<String> {
    let n = |name| end.counters.get(name).copied().unwrap_or(0);
    match (n(RECORDS_SKIPPED), n(KEYS_SKIPPED)) {
        (0, 0) => None,
        (1, 0) => Some("1 bad record was".to_owned()),
        (records, 0) => Some(format!("{records} bad records were")),
        (0, 1) => Some("1 bad key was".to_owned()),
        (0, keys) => Some(format!("{keys} bad keys were")),
        (records, keys) => Some(format!("bad records ({records}) and bad keys ({keys}) were")),
    }
}

fn facts(root: &Path, end: &End) -> Facts {
    let disk = RealDisk::at(root);
    let output = spec::load(&disk, root).map_or_else(|_| OUTPUT.to_owned(), |spec| spec.ask.output);
    let stamp = |path: &str| disk.look(path).ok().map(|look| look.stamp);
    let between = |from: Option<i128>, to: Option<i128>| u64::try_from(to? - from?).ok().map(Duration::from_nanos);
    let (map, reduce, ended) = (stamp(PHASE_MAP), stamp(PHASE_REDUCE), stamp(PHASE_END));
    Facts {
        output: on_one_line(&root.join(output).to_string_lossy()).into_owned(),
        map: between(map, reduce.or(ended)),
        reduce: between(reduce, ended),
        taken: if end.attempts.expired > 0 { taken_back_in(&disk) } else { TakenBack::default() },
        skew: skew(&drawn_of(&disk, end)),
    }
}

/// Of how many pairs each output was made, as far as that is written down.
fn drawn_of(disk: &dyn Disk, end: &End) -> Vec<Share> {
    let read = end.outputs.iter().take(REDUCES_READ_MAX).filter_map(|output| {
        let claim = output.attempt.parse().ok()?;
        let (made, _) = done_record(disk, &claim).ok()??;
        let keys = made.drawn.map(|drawn| drawn.heaviest).unwrap_or_default();
        Some(Share { file: output.file.clone(), pairs: *made.counters.get(PAIRS_IN)?, keys })
    });
    read.collect()
}

fn skew(shares: &[Share]) -> Option<Skew> {
    let mut counts: Vec<u64> = shares.iter().map(|share| share.pairs).collect();
    counts.sort_unstable();
    let median = *counts.get(counts.len() / 2)?;
    let Share { file, pairs, keys } = shares.iter().max_by_key(|share| share.pairs)?;
    let times = *pairs as f64 / median.max(1) as f64;
    let weighs = |heavy: &&HeavyKey| heavy.values as f64 >= *pairs as f64 * KEY_TOLD_SHARE;
    (times >= SKEW_TOLD_MIN && *pairs >= SKEW_PAIRS_MIN).then(|| Skew {
        largest: file.clone(),
        pairs: *pairs,
        times,
        keys: keys.iter().filter(weighs).cloned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::end::{Attempts, OutputSum};

    fn end() -> End {
        let output = OutputSum { file: "mr-out-00000".to_owned(), attempt: "reduce-00000.a1@n.1.x".to_owned(), len: 2048, crc32: 0 };
        let counters = [(RECORDS_IN, 1000), (BYTES_IN, 4096), (SHUFFLE_BYTES, 512), (RECORDS_SKIPPED, 2)];
        End {
            outcome: Outcome::Finished,
            at: String::new(),
            by: String::new(),
            error: None,
            blames: Vec::new(),
            outputs: vec![output],
            skipped: Vec::new(),
            counters: counters.into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
            attempts: Attempts { done: 9, failed: 1, expired: 3 },
            busy_ms: 18_000,
        }
    }

    fn share(file: &str, pairs: u64, keys: &[(&str, u64)]) -> Share {
        let keys = keys.iter().map(|(key, values)| HeavyKey { key: (*key).to_owned(), values: *values }).collect();
        Share { file: file.to_owned(), pairs, keys }
    }

    #[test]
    fn the_summary_says_where_how_long_how_much_and_what_was_odd() {
        let facts = Facts {
            output: "count/output".to_owned(),
            map: Some(Duration::from_secs(9)),
            reduce: Some(Duration::from_secs(2)),
            taken: TakenBack { sampled: 3, lost: 1, dropped: 2, ..TakenBack::default() },
            skew: skew(&[
                share("a", 10, &[]),
                share("b", 100_000, &[("the", 90_000), ("a\x1b", 10_000), ("of", 9_999)]),
                share("c", 20, &[]),
            ]),
        };
        let lines = finished(Path::new("count"), &end(), Some(Duration::from_secs(12)), &facts);
        let wanted = [
            "finished in 12 s: 1 output file, 2.0 KiB, in count/output; read them with `flockwork cat count`",
            "map took 9.00 s, reduce took 2.00 s; tasks worked 18 s together",
            "1000 records, 4.0 KiB in; 512 B shuffled",
            "on the way 1 attempt reported errors and 3 were lost or taken back (1 lost, 2 dropped, for another was quicker)",
            "2 bad records were skipped; count/phase/end lists them",
            "skew: b was made of 100000 pairs, 5000 times the median of all partitions; its heaviest keys: `the` (90000 values), `a\\u{1b}` (10000 values)",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn attempts_that_failed_and_attempts_that_were_lost_are_told_apart() {
        let told = |failed, expired| odd_attempts(&End { attempts: Attempts { done: 1, failed, expired }, ..end() }, &Facts::default());
        assert_eq!(told(0, 0), None);
        assert_eq!(told(2, 0).as_deref(), Some("on the way 2 attempts reported errors"));
        assert_eq!(told(0, 2).as_deref(), Some("on the way 2 attempts were lost or taken back"));
    }

    #[test]
    fn nothing_odd_is_not_told() {
        let quiet = End { attempts: Attempts { done: 9, ..Attempts::default() }, counters: crate::data::Counters::new(), ..end() };
        assert_eq!(finished(Path::new("count"), &quiet, None, &Facts::default()).len(), 2);
        let even: Vec<Share> = (0..9).map(|n| share(&n.to_string(), 1_000_000 + n, &[])).collect();
        assert_eq!(skew(&even), None);
        assert_eq!(skew(&[]), None);
    }

    #[test]
    fn a_bad_end_is_told_with_its_reason_and_the_way_on() {
        let failed = End { outcome: Outcome::Failed, error: Some("x\x1b[2J".to_owned()), ..end() };
        let said = words_of_end(Path::new("my job"), &failed, None);
        assert!(said.contains("failed: x\\u{1b}[2J") && said.contains("`flockwork retry 'my job'`"), "{said}");
        let cancelled = words_of_end(Path::new("j"), &End { outcome: Outcome::Cancelled, ..end() }, None);
        assert!(cancelled.contains("was cancelled"), "{cancelled}");
    }

    #[test]
    fn of_a_job_that_had_ended_before_it_is_said_when_and_how_to_go_on() {
        let cases = [
            (Outcome::Finished, "had finished", "to run it anew: `flockwork clean --all 'my job'`, or choose another --job"),
            (Outcome::Failed, "had failed", "`flockwork retry 'my job'` gives it another chance"),
            (Outcome::Cancelled, "was cancelled", "`flockwork retry 'my job'` lets it go on"),
        ];
        for (outcome, how, advice) in cases {
            let said = words_of_ended(Path::new("my job"), &End { outcome, at: "noon\x1b".to_owned(), ..end() });
            assert_eq!(said, format!("the job in my job {how} already (at noon\\u{{1b}}), so nothing is run; {advice}"));
        }
    }
}
