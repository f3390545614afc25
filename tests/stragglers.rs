//! One slow worker: its task is done by another, or waited for where that is asked. The program is the example `dawdle`.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::common::{FLOCKWORK, Farm, Program, worker_of};

/// In this folder of a farm, while it is there, the slow worker is slow.
const SLOW: &str = "slow";

pub fn dawdle() -> PathBuf {
    let program = PathBuf::from(FLOCKWORK).with_file_name("examples").join("dawdle");
    assert!(
        program.is_file(),
        "{} is missing: `cargo test` builds examples; after `cargo test --test tests` say `cargo build --examples`",
        program.display()
    );
    program
}

/// A job of so many lines, a task each.
pub fn submit(farm: &Farm, lines: usize, options: &[&str]) {
    let text: String = (0..lines).map(|n| format!("line {}\n", n % 20)).collect();
    farm.write("in", text);
    let command = ["submit", "dawdle", "in", "--job", "job", "--split-lines", "1"];
    farm.start_as(dawdle(), &[&command, options].concat()).ends_with(0);
}

fn worker(farm: &Farm) -> Rc<Program> {
    farm.start_as(dawdle(), &["worker", "job", "--slots", "1", "--quiet"])
}

fn slow_worker(farm: &Farm) -> Rc<Program> {
    let program = dawdle();
    let program = program.to_str().expect("a path in UTF-8");
    farm.start_as("env", &[&format!("DAWDLE={SLOW}"), program, "worker", "job", "--slots", "1", "--quiet"])
}

pub fn end(farm: &Farm) -> serde_json::Value {
    serde_json::from_slice(&farm.read("job/phase/finished")).expect("an end")
}

/// What a dropped claim's own file says.
fn says_dropped(farm: &Farm, claim: &str) -> bool {
    String::from_utf8_lossy(&farm.read(&format!("job/expired/{claim}"))).contains("\"ended\":\"dropped\"")
}

pub fn right_answer(farm: &Farm, lines: usize) {
    let outputs = String::from_utf8(farm.outputs("job")).expect("UTF-8");
    let sum: usize = outputs.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum();
    assert_eq!(sum, lines, "every line once: {outputs}");
    farm.is_settled("job");
    farm.ok(&["verify", "job"]);
}

/// A worker that is slow in `phase` holds a task that it would need minutes for, when two others come and do the rest.
fn is_backed_up(phase: &str, prefix: &str, counter: &str, counted: u64) {
    let farm = Farm::new();
    submit(&farm, 12, &["-r", "4", "-o", "ms=100", "-o", "times=3000", "-o", &format!("phase={phase}")]);
    farm.write(SLOW, "");
    let slow = slow_worker(&farm);
    let leader = farm.start(&["coordinator", "job"]);
    let claim = farm.wait_for_name("job/claimed", prefix);
    let others = [worker(&farm), worker(&farm)];
    leader.ends_with(0);
    assert!(says_dropped(&farm, &claim), "the slow attempt was dropped, minutes before it could have ended");
    let task = claim.split_once(".a1@").expect("a first attempt").0;
    let backup = farm.wait_for_name("job/done", &format!("{task}.a2@"));
    assert_ne!(worker_of(&backup), worker_of(&claim), "another worker did it");
    assert_eq!(farm.names("job/expired"), [claim.as_str()], "and no other task was begun twice");
    let end = end(&farm);
    assert_eq!(end["counters"][counter], counted, "counted once: {end}");
    right_answer(&farm, 12);
    others.iter().for_each(|worker| worker.ends_with(0));
    slow.ends_with(0); // Its process is ended, for it does not notice that it was cancelled, and the next one finds the job ended.
}

#[test]
fn a_map_on_a_slow_worker_is_done_by_another() {
    is_backed_up("map", "map-", "lines", 12);
}

#[test]
fn a_reduce_on_a_slow_worker_is_done_by_another() {
    is_backed_up("reduce", "reduce-", "keys", 12);
}

#[test]
fn with_no_backup_the_slow_one_is_waited_for() {
    let farm = Farm::new();
    // Eight seconds are four times what a backup would wait for.
    submit(&farm, 12, &["-r", "2", "-o", "ms=100", "-o", "times=80", "--no-backup"]);
    farm.write(SLOW, "");
    let slow = slow_worker(&farm);
    let leader = farm.start(&["coordinator", "job"]);
    let claim = farm.wait_for_name("job/claimed", "map-");
    std::fs::remove_file(farm.path(SLOW)).expect("it is there"); // Its next task is as quick as others.
    let others = [worker(&farm), worker(&farm)];
    leader.ends_with(0);
    assert!(farm.names("job/done").contains(&claim), "its own attempt has done it");
    assert_eq!(farm.names("job/expired"), [""; 0], "and nobody else has tried");
    right_answer(&farm, 12);
    others.iter().for_each(|worker| worker.ends_with(0));
    slow.ends_with(0);
}

/// A hundred tasks of a second for four workers, one of which is ten times as slow in its last task or last but one, if at all.
fn hundred(options: &[&str], is_slow_at_last: bool) -> Duration {
    let farm = Farm::new();
    submit(&farm, 100, &[&["-r", "4", "-o", "ms=1000"], options].concat());
    let programs = [slow_worker(&farm), worker(&farm), worker(&farm), worker(&farm)];
    farm.wait_for_names("job/workers", 4);
    let started = Instant::now();
    let leader = farm.start(&["coordinator", "job", "--quiet"]);
    if is_slow_at_last {
        farm.wait_for_names("job/done", 92);
        farm.write(SLOW, "");
    }
    leader.ends_with(0);
    let took = started.elapsed();
    right_answer(&farm, 100);
    programs.iter().for_each(|program| program.ends_with(0));
    println!("{options:?}, slow at last: {is_slow_at_last}: {took:.1?}, begun twice: {:?}", farm.names("job/expired"));
    took
}

#[test]
#[ignore = "a measurement of minutes: cargo test --test tests hundred -- --ignored --nocapture"]
fn a_hundred_tasks_with_one_slow_worker_take_hardly_longer_than_without() {
    let healthy = hundred(&[], false);
    let backed_up = hundred(&[], true);
    let waited = hundred(&["--no-backup"], true);
    let more = |took: Duration| (took.as_secs_f64() / healthy.as_secs_f64() - 1.0) * 100.0;
    println!("with backups {:+.1} %, without {:+.1} %", more(backed_up), more(waited));
    assert!(more(backed_up) < 15.0, "{:+.1} %", more(backed_up));
    assert!(waited > backed_up);
}
