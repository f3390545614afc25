//! The seven tests of the lab that this design comes from, with its eight books and ten reduces (checklist: MIT 6.5840, lab 1, `test-mr.sh`).

use std::rc::Rc;

use super::common::{Farm, Program};

const JOB: &str = "job";

/// A coordinator and so many workers, each of one slot.
fn start(farm: &Farm, app: &str, workers: usize, options: &[&str]) -> Vec<Rc<Program>> {
    farm.ok(&[&["submit", app, "books", "--job", JOB], options].concat());
    let coordinator = farm.start(&["coordinator", JOB]);
    let workers = (0..workers).map(|_| farm.start(&["worker", JOB, "--slots", "1"]));
    std::iter::once(coordinator).chain(workers).collect()
}

/// The outputs, as `sort mr-out* | grep .` gives them.
fn merged(farm: &Farm) -> Vec<String> {
    let text = String::from_utf8(farm.outputs(JOB)).expect("the lab's apps write UTF-8");
    let mut lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn all_end_well(programs: &[Rc<Program>]) {
    programs.iter().for_each(|program| program.ends_with(0));
}

#[test]
fn wc_is_right_as_soon_as_the_coordinator_exits() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    let programs = start(&farm, "wc", 3, &[]);
    programs[0].ends_with(0);
    farm.finished_with(JOB, &oracle);
    all_end_well(&programs);
}

#[test]
fn indexer_is_right_as_soon_as_the_coordinator_exits() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("indexer", &["books"]);
    let programs = start(&farm, "indexer", 2, &[]);
    programs[0].ends_with(0);
    farm.finished_with(JOB, &oracle);
    all_end_well(&programs);
}

#[test]
fn two_workers_run_maps_at_once() {
    let farm = Farm::with_books();
    all_end_well(&start(&farm, "mtiming", 2, &[]));
    let lines = merged(&farm);
    assert_eq!(lines.iter().filter(|line| line.starts_with("times-")).count(), 2, "both took part: {lines:?}");
    let at_once = |line: &&String| line.starts_with("parallel-") && line.split(' ').skip(1).any(|n| n == "2");
    assert!(lines.iter().any(|line| at_once(&line)), "two maps ran at once: {lines:?}");
}

#[test]
fn two_workers_run_reduces_at_once() {
    let farm = Farm::with_books();
    all_end_well(&start(&farm, "rtiming", 2, &[]));
    let lines = merged(&farm);
    assert!(lines.iter().filter(|line| line.ends_with(" 2")).count() >= 2, "two reduces ran at once: {lines:?}");
}

#[test]
fn no_map_runs_twice_without_need() {
    let farm = Farm::with_books();
    all_end_well(&start(&farm, "jobcount", 4, &[]));
    assert_eq!(merged(&farm), ["a 8"]);
}

#[test]
fn nobody_exits_before_the_output_is_final() {
    let farm = Farm::with_books();
    let programs = start(&farm, "early-exit", 3, &[]);
    farm.wait_for("one of coordinator and workers exits", || programs.iter().find_map(|program| program.look()));
    let first = merged(&farm);
    all_end_well(&programs);
    assert_eq!(merged(&farm), first, "the output was final when the first of them exited");
    let expected: Vec<String> = farm.names("books").iter().map(|name| format!("books/{name} 1")).collect();
    assert_eq!(first, expected);
}

/// The crash app under workers that are started again when they exit.
fn crash(options: &[&str]) {
    let farm = Farm::with_books();
    let oracle = farm.sequential("nocrash", &["books"]);
    let mut programs = start(&farm, "crash", 4, options);
    let coordinator = programs.remove(0);
    farm.wait_for("the coordinator exits", || {
        for worker in &mut programs {
            if worker.look().is_some() && coordinator.look().is_none() {
                *worker = farm.start(&["worker", JOB, "--slots", "1"]);
            }
        }
        coordinator.look()
    });
    coordinator.ends_with(0);
    farm.finished_with(JOB, &oracle);
    all_end_well(&programs);
}

#[test]
fn workers_that_die_or_dawdle_at_random_change_nothing() {
    crash(&[]);
}

#[test]
fn nor_do_they_under_a_lease_shorter_than_they_dawdle() {
    crash(&["--lease", "2s"]);
}
