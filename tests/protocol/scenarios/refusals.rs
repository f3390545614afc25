//! Disks that are full, read-only, slow, or refuse one host: everybody waits, nobody is blamed, nothing short gets a final name.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::{SimDisk, What};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::job::record::{self, Ended, Event};
use flockwork::job::spec::Spec;

use super::super::bench::{self, Size};
use super::super::puppet::{Over, healer};
use super::crew::{Habits, Host, Leader, QUICK, worker_on};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 20_000;

fn spec() -> Spec {
    let mut spec = bench::spec(SIZE);
    spec.ask.backup = false;
    spec
}

/// Attempts that ended so.
fn ended(state: &DiskState, how: Ended) -> usize {
    let bytes = |name: &str| state.bytes(&format!("expired/{name}")).unwrap_or_default().to_owned();
    state.children("expired").iter().filter(|entry| record::why_ended(&entry.name, &bytes(&entry.name)) == how).count()
}

/// What a run came to.
struct Seen {
    /// Calls that could suffer.
    calls: u64,
    /// What workers were refused, and the coordinator.
    troubles: Vec<String>,
    state: DiskState,
}

/// Which calls of which client suffer.
type Suffers = fn(&str, &Op) -> bool;

/// From the k-th call on of those that `suffers`, all of them fail with `kind`, for so long. The job ends well all the same.
fn refused(seed: u64, k: u64, lasts: Duration, kind: ErrorKind, suffers: Suffers) -> Seen {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let start = |host| Host::start(&disk, Arc::new(disk.client(host)), &spec, worker_on(host), QUICK);
    let (mut far, mut near) = (start("far"), start("near"));
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    let (calls, refuses) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, began) = (Arc::clone(&calls), Arc::clone(&refuses));
    let fails = move |name: &str, op: &Op| {
        let fails = suffers(name, op) && counted.fetch_add(1, Relaxed) + 1 >= k;
        began.fetch_or(fails, Relaxed);
        fails
    };
    disk.inject(u64::MAX, fails, What::Fail(kind));
    let heals = healer(&disk, || refuses.load(Relaxed), Over::AfterOrAtTheEnd(lasts));
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] =
        [Box::new(|| far.step()), Box::new(|| near.step()), Box::new(|| leader.step()), Box::new(heals)];
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    let mut troubles = far.troubles.lock().expect("nobody panics").clone();
    troubles.extend(near.troubles.lock().expect("nobody panics").clone());
    troubles.extend(leader.troubles);
    let about = format!("{kind:?} from call {k} on: {troubles:?}");
    assert_eq!(ending, Ending::AllEnded, "{about}\n{}", bench::tree(&state));
    bench::assert_finished(&state, SIZE, &about);
    assert!(state.children("failed").is_empty(), "{about}: nobody is blamed\n{}", bench::tree(&state));
    Seen { calls: calls.load(Relaxed), troubles, state }
}

/// At every such call of a healthy run.
fn at_every_call(lasts: Duration, kind: ErrorKind, suffers: Suffers) -> Vec<Seen> {
    let calls = refused(1, u64::MAX, lasts, kind, suffers).calls;
    assert!(calls > 20, "{calls} calls");
    (1..=calls).map(|k| refused(1, k, lasts, kind, suffers)).collect()
}

fn grows(op: &Op) -> bool {
    matches!(op, Op::Draft { .. } | Op::Append { .. } | Op::MakeDir { .. })
}

fn changes(op: &Op) -> bool {
    let moves = matches!(op, Op::Rename { .. } | Op::Link { .. } | Op::Remove { .. });
    grows(op) || moves || matches!(op, Op::Touch { .. } | Op::TouchHeld { .. } | Op::Open { .. })
}

#[test]
fn scenario_08_a_disk_that_is_full_from_any_write_on_is_waited_for_and_nothing_empty_counts() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        for seen in at_every_call(Duration::from_secs(20), kind, |_, op| grows(op)) {
            assert_eq!(ended(&seen.state, Ended::Lost), 0, "nobody is taken for dead\n{}", bench::tree(&seen.state));
            assert!(!seen.troubles.is_empty(), "somebody said so");
        }
    }
}

#[test]
fn scenario_09_a_disk_that_is_read_only_for_a_minute_costs_nobody_a_claim() {
    for seen in at_every_call(Duration::from_secs(60), ErrorKind::ReadOnlyFilesystem, |_, op| changes(op)) {
        // A worker that was refused in the middle of claiming does not know that it holds it: such a claim is over after a lease.
        assert!(ended(&seen.state, Ended::Lost) <= 1, "{}", bench::tree(&seen.state));
        for entry in seen.state.children("expired") {
            let bytes = seen.state.bytes(&format!("expired/{}", entry.name)).expect("listed");
            let held = record::parse(bytes).iter().any(|line| matches!(line.event, Event::Claimed { .. } | Event::Result { .. }));
            let lost = record::why_ended(&entry.name, bytes) == Ended::Lost;
            assert!(!(held && lost), "no heartbeat could get through, and none is missed: {}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn scenario_10_a_worker_that_may_not_end_tasks_or_write_or_look_says_where_and_leaves_them_to_others() {
    let refusals: [(&str, u64, Suffers); 3] = [
        ("/job/claimed/", 1, |name, op| name == "far" && matches!(op, Op::Rename { to, .. } if to.starts_with("done/"))),
        ("cannot write ", 1, |name, op| {
            let into = matches!(op, Op::Draft { dir, .. } if dir == "shuffle" || dir == "output/.attempts");
            name == "far" && into
        }),
        // It has registered before.
        ("/job", 10, |name, _| name == "far"),
    ];
    for (path, from, suffers) in refusals {
        // (now and then the other one is quicker at every task)
        let all: Vec<Seen> = (0..8).map(|seed| refused(seed, from, Duration::MAX / 4, ErrorKind::PermissionDenied, suffers)).collect();
        let said = all.iter().filter(|seen| seen.troubles.iter().any(|text| text.contains(path))).count();
        assert!(said >= 4, "{path}: said in {said} runs of 8");
        for seen in all {
            assert!(seen.state.children("done").iter().all(|entry| entry.name.contains("@near")), "{}", bench::tree(&seen.state));
        }
    }
}

/// How many attempts were lost where every call takes so long.
fn slow(each: Duration, seed: u64) -> usize {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let habits = Habits { takes: Duration::from_secs(15), ..QUICK };
    let start = |host| Host::start(&disk, Arc::new(disk.client(host)), &spec, worker_on(host), habits);
    let (mut far, mut near) = (start("far"), start("near"));
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    disk.latency(each);
    // Now and then everything stands still for a while.
    let mut stalls = 0;
    let storm = || {
        stalls += 1;
        let is_over = bench::end(&disk.state()).is_some();
        disk.latency(if stalls % 4 == 0 && !is_over { Duration::from_secs(5) } else { each });
        if is_over { Turn::Done } else { Turn::Wait(Duration::from_secs(7)) }
    };
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] =
        [Box::new(|| far.step()), Box::new(|| near.step()), Box::new(|| leader.step()), Box::new(storm)];
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    assert_eq!(ending, Ending::AllEnded, "seed {seed}\n{}", bench::tree(&disk.state()));
    bench::assert_finished(&disk.state(), SIZE, &format!("{each:?} per call, seed {seed}"));
    disk.state().children("expired").len()
}

#[test]
fn scenario_15_a_disk_that_takes_its_time_and_stalls_makes_nobody_dead() {
    for each in [50, 200].map(Duration::from_millis) {
        for seed in 0..5 {
            assert_eq!(slow(each, seed), 0, "{each:?} per call, seed {seed}");
        }
    }
}
