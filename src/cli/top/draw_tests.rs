//! Frames as people see them, at sizes from a split pane to a wall.

use super::draw::{HELP, plain};
use super::screen::{Act, Pane, Screen};
use super::view::{Seen, View};
use crate::data::Counters;
use crate::eyes::ages::{Ages, Row, UPTO_S};
use crate::eyes::farm::{FarmStatus, Row as Job};
use crate::eyes::status::{EndSeen, ErrorSeen, HostSeen, Lead, Pace, Slow, Status, Tasks, WorkerSeen};
use crate::job::end::{Attempts, Outcome};

fn worker(n: usize) -> WorkerSeen {
    WorkerSeen {
        name: format!("node{}.41{n:02}.k3f", n % 3),
        host: format!("node{}", n % 3),
        pid: 4100,
        quiet_ms: Some(400),
        running_ms: (n == 1).then_some(12_300),
        claim: (!n.is_multiple_of(4)).then(|| format!("map-{n:05}.a1@node.1.x")),
        trouble: (n == 5).then(|| "No space left on device".to_owned()),
    }
}

fn running() -> Status {
    let pace = Pace {
        sampled: 12,
        mean_task_ms: 2100,
        median_task_ms: 2000,
        tasks_per_second: Some(4.0),
        bytes_per_second: Some(12_582_912.0),
        records_per_second: Some(1000.0),
        eta_ms: Some(95_000),
    };
    let slow = Slow {
        claim: "map-00013.a2@node1.4101.k3f".to_owned(),
        task: "map-00013".to_owned(),
        attempt: 2,
        worker: "node1.4101.k3f".to_owned(),
        host: "node1".to_owned(),
        running_ms: 75_000,
        quiet_ms: Some(300),
    };
    let error = ErrorSeen {
        attempt: "map-00013.a1@node2.4102.k3f".to_owned(),
        text: "line 7 is no number\x1b[2J".to_owned(),
        output: Some("Traceback\nValueError".to_owned()),
        age_ms: Some(80_000),
    };
    Status {
        job: "/mnt/share/count".to_owned(),
        app: "wc".to_owned(),
        phase: "map",
        percent: 37.5,
        map: Tasks { total: 40, waiting: 0, pending: 17, claimed: 8, done: 15 },
        reduce: Tasks { total: 10, waiting: 10, ..Tasks::default() },
        attempts: Attempts { done: 15, failed: 1, expired: 2 },
        pace: Some(pace),
        coordinator: Some(Lead { quiet_ms: Some(0), trouble: None }),
        workers: (0..11).map(worker).collect(),
        hosts: (0..3).map(|n| HostSeen { host: format!("node{n}"), slots: 4, busy: 3, quiet_ms: Some(400) }).collect(),
        slowest: vec![slow],
        ages: Ages { upto_s: UPTO_S, pending: Row::of(17, [100; 17]), claimed: Row::of(8, [3000, 75_000]) },
        errors: vec![error],
        ..Status::default()
    }
}

fn ended(phase: &'static str, outcome: Outcome, error: Option<&str>) -> Status {
    let end = EndSeen {
        outcome,
        at: "2026-11-29T20:00:00Z".to_owned(),
        error: error.map(str::to_owned),
        outputs: if error.is_none() { 10 } else { 0 },
        output_bytes: 1 << 20,
        counters: Counters::new(),
        busy_ms: 9000,
    };
    let map = Tasks { total: 40, done: 40, ..Tasks::default() };
    let hints = error.map(|_| "`flockwork retry /mnt/share/count` gives it another chance".to_owned()).into_iter().collect();
    Status { phase, end: Some(end), map, workers: Vec::new(), pace: None, hints, ..running() }
}

fn shown(status: Status, screen: &Screen, width: u16, height: u16) -> String {
    let view = View { seen: Some(Seen::Job(Box::new(status))), rates: vec![0, 10, 40, 80], ..View::default() };
    let text = plain(&view, screen, width, height);
    assert_eq!(text.lines().count(), usize::from(height), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{text}");
    assert!(!text.contains('\x1b'), "nothing steers the terminal: {text}");
    text
}

fn at(pane: Pane) -> Screen {
    Screen { pane, ..Screen::default() }
}

#[test]
fn a_running_job_is_clear_on_a_terminal_of_80_by_24() {
    let text = shown(running(), &Screen::default(), 80, 24);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("/mnt/share/count (wc)") && lines[0].ends_with("map 15/40 37.5%"), "{text}");
    assert!(lines[1].starts_with("map      █") && lines[1].contains('▒') && lines[1].ends_with("15/40  8 claimed, 17 pending"), "{text}");
    assert!(lines[2].starts_with("reduce   ·") && lines[2].contains(" 0/10"), "{text}");
    assert_eq!(lines[3], "pace     ▁▁▄█ 1m 35s to go, 4 tasks/s, 12.0 MiB/s, 2 s a task");
    assert!(lines[4].starts_with("attempts 15 done, 1 failed, 2 lost or taken back"), "{text}");
    assert!(lines[5].contains(" workers 11 ") && lines[5].ends_with(" errors 1"), "{text}");
    assert!(text.contains("node1.4101.k3f") && text.contains("map-00001.a1 for 12 s") && text.contains("idle"), "{text}");
    assert!(text.contains("in trouble: No space left on device"), "{text}");
    assert!(lines[23].starts_with("q quit  ? help  tab pane"), "{text}");
}

#[test]
fn each_pane_shows_its_own() {
    let slowest = shown(running(), &at(Pane::Slowest), 80, 24);
    assert!(slowest.contains("1m 15s  node1.4101.k3f") && slowest.contains("map-00013.a2"), "{slowest}");
    let ages = shown(running(), &at(Pane::Ages), 80, 24);
    assert!(
        ages.contains("  pending    17    0") && ages.contains("  claimed     0    0    1    0") && ages.contains("(2 of 8 asked)"),
        "{ages}"
    );
    let errors = shown(running(), &at(Pane::Errors), 80, 24);
    assert!(errors.contains("line 7 is no number\\u{1b}[2J") && errors.contains("  | ValueError"), "{errors}");
}

#[test]
fn a_small_screen_shows_the_most_important_and_a_large_one_everything() {
    let small = shown(running(), &Screen::default(), 40, 10);
    assert!(small.contains("15/40") && small.contains("to go") && small.contains("q quit"), "{small}");
    let large = shown(running(), &Screen::default(), 200, 60);
    for words in [" workers 11 ", " slowest 1 ", " ages 25 ", " errors 1 ", "node1.4110.k3f", "1m 15s", "ValueError"] {
        assert!(large.contains(words), "{words}: {large}");
    }
    for (width, height) in [(1, 1), (5, 3), (20, 2), (80, 1), (300, 100)] {
        shown(running(), &Screen::default(), width, height);
        shown(running(), &Screen { help: true, asks: Some(Act::Pause), ..Screen::default() }, width, height);
    }
}

#[test]
fn an_ended_job_says_how_it_ended_and_what_to_do() {
    let finished = shown(ended("finished", Outcome::Finished, None), &Screen::default(), 80, 24);
    assert!(finished.contains("finished") && finished.contains("10 output files, 1.0 MiB"), "{finished}");
    assert!(!finished.contains("p pause"), "{finished}");
    let failed = shown(ended("failed", Outcome::Failed, Some("map-00003 failed 4 times")), &at(Pane::Errors), 80, 24);
    for words in ["failed", "map-00003 failed 4 times", "flockwork retry", "ValueError"] {
        assert!(failed.contains(words), "{words}: {failed}");
    }
}

#[test]
fn a_job_that_cannot_move_says_why_above_everything_else() {
    let hints = vec!["no worker has been seen for 40 s; start one with `flockwork worker count`".to_owned()];
    let status = Status { hints, paused: true, workers: Vec::new(), pace: None, ..running() };
    let text = shown(status, &Screen::default(), 80, 24);
    assert!(text.contains("no worker has been seen for 40 s") && text.contains("paused") && text.contains("p resume"), "{text}");
    let narrow = vec!["no coordinator has led this job so far; start one with `flockwork coordinator /mnt/share/count`".to_owned()];
    let text = shown(Status { hints: narrow, ..running() }, &Screen::default(), 80, 24);
    assert!(text.contains("so far;\n  start one with `flockwork coordinator /mnt/share/count`\n"), "to be pasted whole: {text}");
    let planning = shown(Status { phase: "planning", ..Status::default() }, &Screen::default(), 80, 24);
    assert!(planning.contains("planning") && planning.contains("nothing is done yet"), "{planning}");
}

#[test]
fn nobody_scrolls_beyond_the_last_line() {
    let screen = Screen { scroll: 1_000_000, ..Screen::default() };
    let text = shown(running(), &screen, 80, 12);
    assert!(text.contains("node1.4110.k3f"), "the last worker: {text}");
}

#[test]
fn help_and_questions_lie_above_the_rest() {
    let help = shown(running(), &Screen { help: true, ..Screen::default() }, 80, 24);
    assert!(HELP.lines().filter(|line| !line.is_empty()).all(|line| help.contains(line)), "{help}");
    let asks = shown(running(), &Screen { asks: Some(Act::Pause), ..Screen::default() }, 80, 24);
    assert!(asks.contains("Pause this job?") && asks.contains("any other key: no"), "{asks}");
}

#[test]
fn a_farm_is_a_table_with_one_row_chosen() {
    let job = |name: &str, phase| Job { job: name.to_owned(), phase, tasks: 50, done: 20, claimed: 3, workers: 4, ..Job::default() };
    let mut jobs: Vec<Job> = (0..30).map(|n| job(&format!("job-{n:02}"), "map")).collect();
    jobs[1].note = Some("starts after job-00".to_owned());
    let view = View { seen: Some(Seen::Farm(FarmStatus { version: 1, farm: "/mnt/farm".to_owned(), jobs })), ..View::default() };
    let text = plain(&view, &Screen::default(), 80, 24);
    assert!(text.starts_with("farm /mnt/farm") && text.contains("30 jobs"), "{text}");
    assert!(text.contains("job-00") && text.contains("20/50") && text.contains("starts after job-00"), "{text}");
    let last = plain(&view, &Screen { scroll: 29, ..Screen::default() }, 80, 24);
    assert!(last.contains("job-29") && !last.contains("job-00 "), "the chosen row is in sight: {last}");
}
