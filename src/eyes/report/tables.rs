//! The parts of the page behind the timeline: phases, the slowest, partitions, keys, workers, what went wrong.

use std::fmt::Write;

use super::markup::{Cell, grouped, several, table, text, time};
use crate::eyes::digest::{Digest, Partition};
use crate::eyes::lanes::Lane;
use crate::units::show_size;

/// Most rows of a table.
const ROWS_MAX: usize = 200;
/// Partitions told one by one; of more, the largest.
const PARTITIONS_MAX: usize = 24;
/// Most columns of the picture of all partitions.
const COLUMNS_MAX: usize = 400;
/// A partition or a task that is so many times the median is worth a word.
const ODD: f64 = 2.0;

/// When, since the start; clocks may say that it was before.
fn when(ms: i64) -> String {
    let shown = if ms == 0 { "0".to_owned() } else { time(ms.unsigned_abs()) };
    if ms < 0 { format!("−{shown}") } else { shown }
}

fn at(ms: Option<i64>) -> Cell {
    ms.map_or(Cell::Unknown, |ms| Cell::Number(when(ms), ms as f64))
}

pub(super) fn phases(out: &mut String, digest: &Digest) {
    out.push_str("<section id=\"phases\"><h2>Phases</h2>\n");
    let rows: Vec<Vec<Cell>> = digest
        .phases
        .iter()
        .map(|phase| {
            let tasks = format!("{} / {}", grouped(phase.tasks_done as u64), grouped(phase.tasks as u64));
            vec![
                Cell::Text(phase.phase.clone()),
                Cell::Number(tasks, phase.tasks as f64),
                Cell::count(phase.counts.failed as u64),
                Cell::count(phase.counts.lost as u64),
                Cell::count(phase.counts.other as u64),
                Cell::count(phase.backups as u64),
                at(phase.from_ms),
                at(phase.to_ms),
                Cell::Number(time(phase.busy_ms), phase.busy_ms as f64),
                Cell::maybe(phase.median_ms, time),
                Cell::maybe(phase.p90_ms, time),
                Cell::maybe(phase.max_ms, time),
            ]
        })
        .collect();
    let heads = [
        "phase",
        "#tasks done",
        "#failed",
        "#lost",
        "#dropped",
        "#backups",
        "#from",
        "#to",
        "#work",
        "#median task",
        "#9 in 10 under",
        "#longest",
    ];
    table(out, "Phases", &heads, &rows);
    out.push_str("</section>\n");
}

pub(super) fn slowest(out: &mut String, digest: &Digest) {
    let Some(most) = digest.slowest.iter().map(|slow| slow.took_ms).max() else { return };
    out.push_str("<section id=\"slowest\"><h2>Slowest tasks</h2>\n");
    let odd = digest.slowest.iter().filter(|slow| slow.times_median >= ODD).count();
    let words = match odd {
        0 => "No task took twice as long as the median of its phase.".to_owned(),
        n if n == digest.slowest.len() => {
            format!("At least {} took twice as long as the median of their phase, or longer.", several(n, "task"))
        }
        n => format!("{} took twice as long as the median of the phase, or longer.", several(n, "task")),
    };
    let words = if digest.bundles > 0 {
        "Tasks that share a file, a bundle, are told as one; a large bundle takes longer than a small one.".to_owned()
    } else {
        words
    };
    let _ = writeln!(out, "<p class=\"lead\">{words}</p>");
    let rows: Vec<Vec<Cell>> = digest
        .slowest
        .iter()
        .map(|slow| {
            vec![
                Cell::Code(slow.task.clone()),
                Cell::Bar(time(slow.took_ms), slow.took_ms as f64, slow.took_ms as f64 / most.max(1) as f64),
                Cell::Number(format!("{:.1}×", slow.times_median), slow.times_median),
                Cell::maybe(slow.records, grouped),
                Cell::maybe(slow.bytes, show_size),
                Cell::Code(slow.worker.clone()),
                Cell::Text(slow.what.clone().unwrap_or_default()),
            ]
        })
        .collect();
    table(out, "Slowest tasks", &["task", "#took", "#of the median", "#records in", "#bytes in", "worker", "what"], &rows);
    out.push_str("</section>\n");
}

pub(super) fn partitions(out: &mut String, digest: &Digest) {
    if digest.partitions.is_empty() {
        return;
    }
    out.push_str("<section id=\"partitions\"><h2>Partitions</h2>\n");
    let odd = digest.skew.pairs.filter(|pairs| *pairs >= ODD);
    if digest.partitions.iter().all(|partition| partition.pairs.unwrap_or_default() == 0) {
        out.push_str("<p class=\"lead\">No pair reached a reduce.</p></section>\n");
        return;
    }
    let words = match (odd, digest.skew.pairs) {
        (Some(pairs), _) => format!("Uneven: the largest partition has {pairs:.1} times the pairs of the median one."),
        (None, Some(pairs)) => format!("Even: the largest partition has {pairs:.1} times the pairs of the median one."),
        (None, None) => "One partition.".to_owned(),
    };
    let _ = writeln!(out, "<p class=\"lead\">{words}</p>");
    picture(out, &digest.partitions);
    let mut largest: Vec<&Partition> = digest.partitions.iter().collect();
    if largest.len() > PARTITIONS_MAX {
        largest.sort_by_key(|partition| std::cmp::Reverse(partition.pairs));
        largest.truncate(PARTITIONS_MAX);
        let _ = writeln!(out, "<p class=\"note\">The largest {PARTITIONS_MAX} of {}:</p>", grouped(digest.partitions.len() as u64));
    }
    let most = largest.iter().filter_map(|partition| partition.pairs).max().unwrap_or(1).max(1) as f64;
    let rows: Vec<Vec<Cell>> = largest
        .iter()
        .map(|partition| {
            vec![
                Cell::Code(format!("{:05}", partition.partition)),
                partition.pairs.map_or(Cell::Unknown, |pairs| Cell::Bar(grouped(pairs), pairs as f64, pairs as f64 / most)),
                Cell::maybe(partition.keys, grouped),
                Cell::maybe(partition.bytes, show_size),
                Cell::maybe(partition.output_bytes, show_size),
                Cell::maybe(partition.took_ms, time),
            ]
        })
        .collect();
    table(out, "Partitions", &["partition", "#pairs in", "#keys", "#bytes in", "#output", "#took"], &rows);
    out.push_str("</section>\n");
}

/// A column per partition, or of very many per group of neighbours, the largest of each.
fn picture(out: &mut String, partitions: &[Partition]) {
    const HIGH: f64 = 60.0;
    let group = partitions.len().div_ceil(COLUMNS_MAX).max(1);
    let columns: Vec<u64> =
        partitions.chunks(group).map(|of| of.iter().filter_map(|partition| partition.pairs).max().unwrap_or_default()).collect();
    let most = columns.iter().copied().max().unwrap_or(1).max(1) as f64;
    let (n, gap) = (columns.len() as f64, if columns.len() > 120 { 0.0 } else { 0.15 });
    let mut path = String::new();
    for (at, pairs) in columns.iter().enumerate() {
        let height = (*pairs as f64 / most * HIGH * 10.0).round() / 10.0;
        let _ = write!(path, "M{} {HIGH}v{}h{}V{HIGH}z", at as f64 + gap / 2.0, -height.max(0.4), 1.0 - gap);
    }
    let width = n.max(12.0);
    let of = if group > 1 { format!("of each {group} neighbours the largest") } else { "one column each".to_owned() };
    let _ = writeln!(
        out,
        "<figure class=\"columns\"><svg viewBox=\"0 0 {width} {HIGH}\" preserveAspectRatio=\"none\" height=\"{HIGH}\" role=\"img\" aria-label=\"Pairs per partition\">\
         <path class=\"r\" d=\"{path}\"/></svg><figcaption>pairs per partition, in their order, {of}; the highest is {}</figcaption></figure>",
        grouped(most as u64)
    );
}

pub(super) fn heavy_keys(out: &mut String, digest: &Digest) {
    let Some(most) = digest.heavy_keys.first() else { return };
    let maps = digest.phases.iter().find(|phase| phase.phase == "map").map_or(0, |phase| phase.tasks as u64);
    let even = if most.values <= maps { " None has more values than there are map tasks, so none stands out." } else { "" };
    let _ = writeln!(
        out,
        "<section id=\"keys\"><h2>Heaviest keys</h2>\n<p class=\"lead\">Those with the most values that reached reduce, after combining; three of each partition are known.{even}</p>",
    );
    let rows: Vec<Vec<Cell>> = digest
        .heavy_keys
        .iter()
        .map(|heavy| {
            let share = heavy.values as f64 / most.values.max(1) as f64;
            vec![
                Cell::Code(heavy.key.clone()),
                Cell::Bar(grouped(heavy.values), heavy.values as f64, share),
                Cell::Code(format!("{:05}", heavy.partition)),
            ]
        })
        .collect();
    table(out, "Heaviest keys", &["key", "#values", "partition"], &rows);
    out.push_str("</section>\n");
}

pub(super) fn troubles(out: &mut String, digest: &Digest) {
    if digest.troubles.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section id=\"troubles\"><h2>What went wrong</h2>\n<ol class=\"troubles\">");
    for trouble in &digest.troubles {
        let class = if trouble.fate == "failed" { "f" } else { "l" };
        let _ = write!(
            out,
            "<li><p><i class=\"{class}\"></i><b>{}</b> <code>{}</code> {}</p>",
            trouble.fate,
            text(&trouble.attempt),
            trouble.at_ms.map_or_else(String::new, |ms| format!("<span>at {}</span>", when(ms)))
        );
        if let Some(what) = &trouble.what {
            let _ = write!(out, "<p class=\"what\">{}</p>", text(what));
        }
        let _ = match trouble.fate {
            "failed" => write!(out, "<pre>{}</pre>", text(&trouble.text)),
            _ => write!(out, "<p class=\"what\">{}</p>", text(&trouble.text)),
        };
        if let Some(output) = &trouble.output {
            let _ = write!(out, "<pre class=\"said\" aria-label=\"the end of what it wrote\">{}</pre>", text(output));
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
    if digest.trouble_count > digest.troubles.len() {
        let more = digest.trouble_count - digest.troubles.len();
        let _ = writeln!(
            out,
            "<p class=\"note\">And {} more; they lie in <code>failed/</code> and <code>expired/</code>.</p>",
            grouped(more as u64)
        );
    }
    out.push_str("</section>\n");
}

pub(super) fn workers(out: &mut String, digest: &Digest, lanes: &[Lane<'_>]) {
    if digest.workers.is_empty() {
        return;
    }
    out.push_str("<section id=\"workers\"><h2>Workers</h2>\n");
    let (slots, processes) = (lanes.len(), digest.workers.len());
    if processes > slots {
        let _ = writeln!(
            out,
            "<p class=\"lead\">{} took turns in {}: one that dies is followed by another.</p>",
            several(processes, "process").replace("processs", "processes"),
            several(slots, "slot")
        );
    }
    let most = digest.workers.iter().map(|worker| worker.busy_ms).max().unwrap_or(1).max(1) as f64;
    let mut workers: Vec<_> = digest.workers.iter().collect();
    workers.sort_by(|a, b| (&a.host, a.from_ms, &a.name).cmp(&(&b.host, b.from_ms, &b.name)));
    let rows: Vec<Vec<Cell>> = workers
        .iter()
        .take(ROWS_MAX)
        .map(|worker| {
            vec![
                Cell::Text(worker.host.clone()),
                Cell::Number(worker.pid.to_string(), f64::from(worker.pid)),
                at(worker.from_ms),
                at(worker.to_ms),
                Cell::count(worker.counts.done as u64),
                Cell::count(worker.counts.failed as u64),
                Cell::count(worker.counts.lost as u64),
                Cell::count(worker.counts.other as u64),
                Cell::Bar(time(worker.busy_ms), worker.busy_ms as f64, worker.busy_ms as f64 / most),
                Cell::Text(if worker.present { "there now" } else { "" }.to_owned()),
            ]
        })
        .collect();
    table(out, "Workers", &["host", "#process", "#first", "#last", "#done", "#failed", "#lost", "#dropped", "#worked", ""], &rows);
    if processes > ROWS_MAX {
        let _ = writeln!(out, "<p class=\"note\">And {} more.</p>", grouped((processes - ROWS_MAX) as u64));
    }
    out.push_str("</section>\n");
}

pub(super) fn counters(out: &mut String, digest: &Digest) {
    if digest.counters.is_empty() {
        return;
    }
    out.push_str("<section id=\"counters\"><h2>Counters</h2>\n");
    if digest.counters_of == "records" {
        out.push_str("<p class=\"lead\">Of the records that were read; the job has not ended, or not well.</p>\n");
    }
    let rows: Vec<Vec<Cell>> = digest
        .counters
        .iter()
        .take(ROWS_MAX)
        .map(|(name, n)| {
            let shown = if *n >= 1024 && name.split(' ').any(|word| word == "bytes") {
                format!("{} ({})", grouped(*n), show_size(*n))
            } else {
                grouped(*n)
            };
            vec![Cell::Text(name.clone()), Cell::Number(shown, *n as f64)]
        })
        .collect();
    table(out, "Counters", &["counter", "#sum"], &rows);
    if digest.counters.len() > ROWS_MAX {
        let _ = writeln!(out, "<p class=\"note\">And {} more.</p>", grouped((digest.counters.len() - ROWS_MAX) as u64));
    }
    out.push_str("</section>\n");
}

pub(super) fn incidents(out: &mut String, digest: &Digest) {
    if digest.incidents.is_empty() {
        return;
    }
    out.push_str("<section id=\"incidents\"><h2>Incidents</h2>\n");
    let rows: Vec<Vec<Cell>> = digest
        .incidents
        .iter()
        .map(|incident| {
            vec![
                at(Some(incident.at_ms)),
                Cell::Text(incident.kind.clone()),
                Cell::Code(incident.task.split('@').next().unwrap_or_default().to_owned()),
                Cell::Text(incident.text.clone()),
                Cell::Code(incident.by.clone()),
            ]
        })
        .collect();
    table(out, "Incidents", &["#at", "what", "task", "in words", "written by"], &rows);
    out.push_str("</section>\n");
}
