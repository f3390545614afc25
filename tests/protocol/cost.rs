//! Disk calls per task, counted: a change that makes a task dearer must say so here.
//!
//! A job of N map tasks, one worker alone, everything quick. Per task, without the engine's own files (calls of the protocol; a LOOK is a GETATTR, a
//! rename a RENAME, a flush is part of the write and close):
//!
//! | call | what for | per task |
//! |---|---|---|
//! | rename | claim, commit | 2 |
//! | open | the descriptor, write-only | 1 |
//! | touch | `workers/me`: still wanted? | 1 |
//! | append | the claim's line, the result | 2 |
//! | flush | the result has arrived | 1 |
//! | list, look, touch | `pending/`, `.` and `phase/`, shared by all candidates of a listing | < 0.1 |

use std::collections::BTreeMap;
use std::sync::Arc;

use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::Turn;
use flockwork::disk::{Disk, Flush, create};
use flockwork::worker::Tasks;

use super::bench::{self, Boss, Size, Slot};

const SIZE: Size = Size { maps: 200, reduces: 1 };

/// Per task, in hundredths: an upper bound of what the protocol may cost.
const HUNDREDTHS_MAX: [(&str, u64); 8] = [
    ("append", 202),
    ("flush", 102),
    ("list", 3),
    ("look", 3),
    ("open", 101),
    ("read", 1), // the head of the plan, once
    ("rename", 201),
    ("touch", 100),
];

/// An attempt that makes nothing.
struct Nothing;

impl Tasks for Nothing {
    fn run(
        &mut self,
        _: &flockwork::ids::ClaimName,
        _: &flockwork::control::Control,
    ) -> Result<flockwork::data::Made, flockwork::data::Failure> {
        Ok(flockwork::data::Made::default())
    }

    fn discard(&mut self, _: &flockwork::ids::ClaimName) {}
}

fn after(calls: &BTreeMap<&'static str, u64>, before: &BTreeMap<&'static str, u64>) -> BTreeMap<&'static str, u64> {
    calls.iter().map(|(kind, n)| (*kind, n - before.get(kind).copied().unwrap_or(0))).filter(|(_, n)| *n > 0).collect()
}

#[test]
fn a_healthy_task_costs_its_worker_seven_calls() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    let _ = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 1)).step();
    let client = disk.client("worker");
    let mut slot = Slot::start(&client, &spec, &bench::name("w", 1));
    let tasks = u64::from(SIZE.maps);
    let begun = client.calls();
    while slot.turn(&mut Nothing) != Turn::Wait(std::time::Duration::from_secs(1)) {}
    assert_eq!(disk.state().children("done").len() as u64, tasks, "one worker did them all");
    let calls = after(&client.calls(), &begun);
    for (kind, n) in &calls {
        let max = HUNDREDTHS_MAX.iter().find(|(name, _)| name == kind).map_or(0, |(_, max)| *max);
        assert!(n * 100 <= max * tasks, "{kind}: {n} calls for {tasks} tasks, of {calls:?}");
    }
    assert!(calls.values().sum::<u64>() <= 712 * tasks / 100, "{calls:?}");
}

#[test]
fn the_coordinator_costs_a_task_five_calls() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    let client = disk.client("boss");
    let mut boss = Boss::start(&client, &spec, SIZE.maps, &bench::name("boss", 1));
    let mut slot = Slot::start(&disk.client("worker"), &spec, &bench::name("w", 1));
    let mut turns = 0;
    while boss.step() != Turn::Done {
        while slot.step() == Turn::Ready {}
        turns += 1;
        assert!(turns < 100, "it must end");
    }
    bench::assert_finished(&disk.state(), SIZE, "a healthy job");
    let calls = client.calls();
    let of = |kind| calls.get(kind).copied().unwrap_or(0);
    let tasks = u64::from(SIZE.maps + SIZE.reduces);
    assert!(of("draft") <= tasks + 10 && of("rename") <= tasks + 2, "a descriptor is a draft and a rename: {calls:?}");
    assert!(of("read") <= tasks + 20, "a result is read once: {calls:?}");
    assert!(calls.values().sum::<u64>() <= 5 * tasks, "{calls:?}");
}

#[test]
fn while_enough_tasks_wait_the_largest_directory_is_not_listed() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    for (window, lists) in [(1, 8), (1000, 9)] {
        let client = disk.client("boss");
        let mut boss = Boss::start(&client, &spec, SIZE.maps, &bench::name("boss", window)).with_window(window as usize);
        let _ = boss.step();
        let issued = disk.state().children("pending").len();
        assert_eq!(issued, if window == 1 { 25 } else { 200 }, "an eighth of a job that is larger than its window");
        let begun = client.calls();
        let rounds = 10;
        for _ in 0..rounds {
            disk.advance(std::time::Duration::from_millis(100));
            let _ = boss.step();
        }
        assert_eq!(after(&client.calls(), &begun)["list"], rounds * lists, "one of them is the sentry's");
    }
}

#[test]
fn an_idle_worker_lists_at_most_once_a_turn() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    let client = disk.client("worker");
    let mut slot = Slot::start(&client, &spec, &bench::name("w", 1));
    let _ = slot.step();
    let (begun, turns) = (client.calls(), 80);
    for _ in 0..turns {
        disk.advance(std::time::Duration::from_secs(1));
        assert!(matches!(slot.step(), Turn::Wait(_)), "there is nothing to do");
    }
    let calls = after(&client.calls(), &begun);
    let of = |kind| calls.get(kind).copied().unwrap_or(0);
    // Every eighth turn it lists `.` and `phase/` as well, whatever the stamps say.
    assert!(of("list") <= turns + 2 * turns / 8 && of("look") <= 2 * turns, "{calls:?}");
    assert_eq!(calls.len(), 2, "and does nothing else: {calls:?}");
}

#[test]
fn a_worker_does_not_spin_where_all_candidates_are_locked() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(Size { maps: 3, reduces: 1 })), bench::spec(Size { maps: 3, reduces: 1 }));
    let _ = Boss::start(&disk.client("boss"), &spec, 3, &bench::name("boss", 1)).step();
    let client = disk.client("worker");
    let mut slot = Slot::start(&client, &spec, &bench::name("w", 1));
    let _ = slot.step();
    // It has listed them; another is quicker, at every one, and a third stands still with the locks of what is issued next.
    let (quick, stopped): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(disk.client("quick")), Arc::new(disk.client("stopped")));
    let listed = disk.state().children("pending");
    let held: Vec<_> = listed
        .iter()
        .map(|entry| {
            quick.rename(&format!("pending/{}", entry.name), &format!("claimed/{}@h.1.quick", entry.name)).expect("claimed");
            let next = format!("pending/{}", entry.name.replace(".a1", ".a2"));
            create::write_whole(&*quick, &next, b"", Flush::OnNetwork).expect("issued");
            stopped.open(&next).expect("open")
        })
        .collect();
    held.iter().for_each(|hold| _ = hold.try_lock());
    let mut ready = 0;
    for _ in 0..600 {
        match slot.step() {
            Turn::Ready => ready += 1,
            Turn::Wait(time) => disk.advance(time),
            Turn::Done => panic!("the job cannot end"),
        }
        if disk.now() >= spec.ask.lease() / 2 {
            break;
        }
    }
    assert!(disk.now() >= spec.ask.lease() / 2, "{ready} turns without a pause, each of them calls: {:?}", client.calls());
    assert!(disk.state().children("done").is_empty(), "they were left to whoever locked them");
}
