//! The tables of docs/scale.md, row by row, and what decides which rows are made.

use std::time::Duration;

use flockwork::job::spec::Bundle;

use super::super::bench::Size;
use super::{Play, Seen};

const WORKERS: [u32; 3] = [10, 100, 1000];
/// The idle job's one task takes so long; its calls are counted after the first ten seconds.
const IDLE: Duration = Duration::from_secs(60);
const SETTLED: usize = 10;

/// Rows that belong together.
struct Table {
    name: &'static str,
    about: &'static str,
    bundle: Bundle,
    task: Duration,
    tasks: &'static [u32],
}

const MANY: [u32; 3] = [10_000, 100_000, 1_000_000];

const TABLES: [Table; 4] = [
    Table { name: "nothing", about: "in bundles, tasks that take nothing", bundle: Bundle::Auto, task: Duration::ZERO, tasks: &MANY },
    Table { name: "10ms", about: "in bundles, tasks of 10 ms", bundle: Bundle::Auto, task: Duration::from_millis(10), tasks: &MANY },
    Table { name: "1s", about: "tasks of 1 s, which share no files", bundle: Bundle::Auto, task: Duration::from_secs(1), tasks: &[10_000] },
    Table {
        name: "alone",
        about: "one file each, tasks that take nothing",
        bundle: Bundle::ONE,
        task: Duration::ZERO,
        tasks: &[10_000, 100_000],
    },
];

fn asked<T: std::str::FromStr>(name: &str) -> Option<Vec<T>> {
    let read = |word: &str| word.parse().unwrap_or_else(|_| panic!("{name}: `{word}`"));
    std::env::var(name).ok().map(|text| text.split_whitespace().map(read).collect())
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

/// Two digits or three that say something.
fn short(n: f64) -> String {
    match n {
        10.0.. => format!("{n:.1}"),
        0.1.. => format!("{n:.2}"),
        _ => format!("{n:.4}"),
    }
}

fn of_all(calls: &[[u64; 2]]) -> impl Iterator<Item = u64> {
    calls.iter().map(|calls| calls[0] + calls[1])
}

/// The job of `maps` map tasks and so many workers, as a row.
pub fn row(workers: usize, maps: u32, bundle: Bundle, task: Duration) -> Seen {
    let size = Size { maps, reduces: u32::try_from(workers).expect("few") };
    let (seen, calls) = Play::of(size, workers, bundle, task);
    let tasks = f64::from(size.maps + size.reduces);
    let by = |n: usize| calls.iter().map(|calls| calls[n]).sum::<u64>() as f64;
    let per_second = |n: f64, time: Duration| n / time.as_secs_f64();
    let (all, last_map) = (by(0) + by(1), seen.last_map);
    let change = last_map.as_secs() as usize..=seen.first_reduce.unwrap_or_default().as_secs() as usize + 1;
    let at_change = of_all(&calls).enumerate().filter(|(second, _)| change.contains(second)).map(|(_, calls)| calls).max();
    println!(
        "| {workers} | {maps} | {:.1} | {:.0} | {:.0} | {} + {} | {:.0} | {} | {} | {} | {} | {} | {} |",
        seen.whole.as_secs_f64(),
        per_second(f64::from(maps), last_map),
        per_second(seen.map_claims as f64, last_map),
        short(by(0) / tasks),
        short(by(1) / tasks),
        per_second(all, seen.whole),
        of_all(&calls).max().unwrap_or(0),
        seconds(seen.first_tasks.iter().max().copied().unwrap_or_default()),
        of_all(&calls).next().unwrap_or(0),
        seconds(seen.first_reduce.unwrap_or_default().saturating_sub(last_map)),
        seconds(seen.last_reduce.saturating_sub(seen.first_reduce.unwrap_or_default())),
        at_change.unwrap_or(0),
    );
    seen
}

/// One long task, and so many workers less one that wait; what the coordinator and what they ask in a second.
pub fn idle(workers: usize) -> [f64; 2] {
    let (_, calls) = Play::of(Size { maps: 1, reduces: 1 }, workers, Bundle::ONE, IDLE);
    let settled = &calls[SETTLED..IDLE.as_secs() as usize];
    let [lead, work] = [0, 1].map(|n| settled.iter().map(|calls| calls[n]).sum::<u64>() as f64 / settled.len() as f64);
    let most = of_all(settled).max().unwrap_or(0);
    println!("| {workers} | {lead:.1} | {:.2} | {:.0} | {most} | {} |", work / workers as f64, lead + work, calls[0][0] + calls[0][1]);
    [lead, work]
}

#[test]
#[ignore = "a measurement: minutes, for docs/scale.md"]
fn scale() {
    let wanted = asked::<String>("FLOCKWORK_SCALE_TABLES");
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name));
    let all_workers = asked("FLOCKWORK_SCALE_WORKERS").unwrap_or(WORKERS.to_vec());
    for table in TABLES.iter().filter(|table| is_wanted(table.name)) {
        println!("\n### {}: {}\n", table.name, table.about);
        println!(
            "| workers | map tasks | s | map tasks/s | files/s | RPCs per task, coordinator + workers | RPCs/s | most RPCs in a second | all at work after, s | RPCs in the first second | last map to first reduce, s | first to last reduce begun, s | most RPCs in a second then |"
        );
        println!("|{}", "---|".repeat(13));
        for maps in asked("FLOCKWORK_SCALE_TASKS").unwrap_or(table.tasks.to_vec()) {
            for workers in &all_workers {
                row(*workers as usize, maps, table.bundle, table.task);
            }
        }
    }
    if is_wanted("idle") {
        println!("\n### idle: one task of 60 s, and all others wait\n");
        println!("| workers | RPCs/s of the coordinator | of each worker | of all | most in a second | in the first second |");
        println!("|{}", "---|".repeat(6));
        for workers in all_workers {
            idle(workers as usize);
        }
    }
}
