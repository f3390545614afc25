//! The page of jobs that nobody has to run: very many tasks, very many hosts.

use super::*;
use crate::eyes::history::{Attempt, Clocks, Fate, Marks, Read, Told};
use crate::ids::{TaskId, WorkerName};
use crate::job::record::Ended;
use crate::job::spec;

fn spec() -> Spec {
    let text = r#"{"format":1,"id":"x","submitted":"then","cwd":"/","app":"wc","options":{},"inputs":["in"],"reduces":1,"split_bytes":1,
        "split_lines":null,"shuffle":"run","lease_ms":10000,"max_errors":4,"max_lost":16,"stall_ms":600000,"output":"output"}"#;
    spec::parse(text.as_bytes(), Path::new("job.json")).expect("a job")
}

/// So many map tasks one behind the other on each slot, some of them lost or failed.
fn history(tasks: u32, slots: u32, slots_per_host: u32) -> History {
    let attempts = (0..tasks).map(|task| {
        let slot = task % slots;
        let worker = WorkerName::new(&format!("node{:05}", slot / slots_per_host), slot + 1, "x");
        let begun = 1_000_000 + i64::from(task / slots) * 100;
        Attempt {
            name: TaskId::map(task).attempt(1).held_by(&worker),
            fate: match task % 50 {
                7 => Fate::Ended(Ended::Lost),
                8 => Fate::Failed,
                _ => Fate::Done,
            },
            begun: Some(begun),
            ended: Some(begun + 90),
            elapsed_ms: Some(90),
            backup: task % 50 == 9,
            counts: task % 50 != 7,
            told: (task % 50 == 8).then(|| Box::new(Told { error: Some("no <luck>".to_owned()), ..Told::default() })),
        }
    });
    let attempts: Vec<Attempt> = attempts.collect();
    let now = attempts.iter().filter_map(|attempt| attempt.ended).max().unwrap_or(1_000_000);
    History {
        shape: Shape { maps: tasks, reduces: 1 },
        done: [tasks as usize, 0],
        attempts,
        unclaimed: 0,
        incidents: Vec::new(),
        end: None,
        marks: Marks { map: Some(1_000_000), reduce: None, end: None },
        now,
        clocks: Clocks::default(),
        read: Read::default(),
        paused: false,
        registered: Vec::new(),
    }
}

fn page(history: History) -> String {
    let slots = lanes::pack(&history).len();
    let digest = Digest::of("/mnt/job", &spec(), &history, slots);
    Report { history, spec: spec(), digest }.html()
}

fn lanes_in(page: &str) -> usize {
    page.matches("<g class=\"lane\">").count()
}

#[test]
fn ten_tasks_have_a_bar_each_and_a_lane_per_slot() {
    let page = page(history(10, 3, 2));
    assert_eq!((lanes_in(&page), page.matches("<rect ").count()), (3, 10));
    assert!(page.contains("node00000 <em>×2</em>") && page.contains("no &lt;luck&gt;"), "{page}");
}

#[test]
fn a_page_of_a_hundred_thousand_tasks_on_a_thousand_slots_is_short_and_still_shows_what_went_wrong() {
    let crowd = page(history(100_000, 1000, 20));
    assert_eq!(lanes_in(&crowd), 50, "a lane per host");
    assert!(crowd.len() < 1_000_000, "{} bytes", crowd.len());
    assert!(crowd.matches("<rect class=\"f").count() > 100, "failures have bars of their own");
    assert!(crowd.contains("Each lane is a host: 1\u{202f}000 slots on 50 hosts."));
    let few = page(history(100_000, 8, 4));
    assert!(lanes_in(&few) == 8 && few.len() < 1_000_000, "{} bytes", few.len());
}

#[test]
fn no_attempt_and_no_time_at_all_make_a_page_too() {
    assert!(page(history(0, 1, 1)).contains("No attempt has begun so far."));
    let mut still = history(1, 1, 1);
    (still.attempts[0].begun, still.attempts[0].ended, still.read.untimed) = (None, None, 1);
    assert!(page(still).contains("of which nobody wrote when they were are not drawn"));
}

#[test]
fn a_record_may_say_that_its_attempt_took_for_ever() {
    let mut history = history(3, 1, 1);
    history.attempts.iter_mut().for_each(|attempt| attempt.elapsed_ms = Some(u64::MAX));
    assert!(page(history).contains("map-00002"), "times are added up, and none of them is believed to be small");
}

#[test]
fn a_slot_whose_process_died_keeps_its_lane() {
    let mut history = history(3, 1, 1);
    history.attempts[1].fate = Fate::Ended(Ended::Lost);
    // Taken back long after its slot went on under another name.
    history.attempts[1].ended = Some(2_000_000);
    history.attempts[2].name.worker = WorkerName::new("node00000", 77, "y");
    let lanes = lanes::pack(&history);
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].bars.iter().map(|bar| (bar.from, bar.to)).collect::<Vec<_>>(), [(0, 90), (100, 200), (200, 290)]);
}
