//! Clocks that are wrong, jump or run fast: nobody compares two machines' times, and stamps are compared for equality only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::job::record::{self, Ended};
use flockwork::job::spec::Spec;

use super::super::bench::{self, Size};
use super::crew::{Habits, Host, Leader, worker_on};
use super::shim::{Shim, Text};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 20_000;
const YEARS_NS: i128 = 10 * 366 * 24 * 3600 * 1_000_000_000;

/// Attempts longer than a lease, with a heartbeat every second.
const STEADY: Habits = Habits { takes: Duration::from_secs(15), beats: |_| Duration::from_secs(1) };
/// With heartbeats now and then.
const UNSTEADY: Habits = Habits { takes: Duration::from_secs(15), beats: |chance| Duration::from_secs(1 + chance.below(6) as u64) };

fn spec() -> Spec {
    let mut spec = bench::spec(SIZE);
    spec.ask.backup = false;
    spec.ask.max_lost = 1000;
    spec
}

/// Attempts whose claims were taken for dead.
fn lost(state: &DiskState) -> usize {
    let bytes = |name: &str| state.bytes(&format!("expired/{name}")).unwrap_or_default().to_owned();
    state.children("expired").iter().filter(|entry| record::why_ended(&entry.name, &bytes(&entry.name)) == Ended::Lost).count()
}

/// Runs the job with two workers and a coordinator whose disks are made so, and judges it.
fn run(seed: u64, habits: Habits, rate: u32, eyes: impl Fn(&str, Arc<dyn Disk>) -> Arc<dyn Disk>) -> DiskState {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let seen_by = |name: &'static str| eyes(name, Arc::new(disk.client(name)));
    let start = |host| Host::start(&disk, seen_by(host), &spec, worker_on(host), habits);
    let (mut far, mut near) = (start("far"), start("near"));
    let mut leader = Leader::start(seen_by("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
    leader.rate = rate;
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 3] = [Box::new(|| far.step()), Box::new(|| near.step()), Box::new(|| leader.step())];
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    assert_eq!(ending, Ending::AllEnded, "seed {seed}: it must end\n{}", bench::tree(&disk.state()));
    bench::assert_finished(&disk.state(), SIZE, &format!("seed {seed}"));
    disk.state()
}

/// Replaces the times that are written for people.
fn written_at(bytes: &[u8], when: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("\"at\":\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out += "\"at\":\"";
        out += when;
        out += &part[part.find('"').expect("the end of a string")..];
    }
    out.into_bytes()
}

#[test]
fn scenario_11_wall_clocks_that_are_years_off_and_stamps_set_by_hand_change_nothing() {
    // Whose clock is ten years late, ten years early, and an hour off.
    let texts: [Text; 3] = [
        |bytes| written_at(bytes, "2016-01-01T00:00:00Z"),
        |bytes| written_at(bytes, "2036-01-01T00:00:00Z"),
        |bytes| written_at(bytes, "an hour ago"),
    ];
    for (seed, turn) in (0..6).zip([0, 1, 2].into_iter().cycle()) {
        let state = run(seed, STEADY, 1, |name, disk| {
            let which = ["far", "near", "boss"].iter().position(|it| *it == name).expect("one of them");
            // Heartbeats bear the time of the machine that beats: some far in the future, some in the past.
            let stamp = move |stamp: i128| stamp + [-YEARS_NS, YEARS_NS, 0][(stamp % 3) as usize];
            Arc::new(Shim { text: texts[(which + turn) % 3], stamp: Arc::new(stamp), ..Shim::over(disk) })
        });
        assert_eq!(lost(&state), 0, "seed {seed}: nobody was taken for dead");
        assert!(state.children("done").iter().any(|entry| {
            let bytes = state.bytes(&format!("done/{}", entry.name)).expect("listed");
            String::from_utf8_lossy(bytes).contains("2036-01-01")
        }));
    }
}

#[test]
fn scenario_11_the_wall_clock_is_read_for_people_only() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
        let path = entry.expect("a readable tree").into_path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let reads = ["SystemTime", "Timestamp::now", "Zoned::now"].iter().any(|word| text.contains(word));
            found.extend(reads.then(|| path.strip_prefix(&root).expect("below").to_string_lossy().into_owned()));
        }
    }
    // `stamp_utc` in units.rs makes text; the doctor tells people how far the server's clock is off; a worker goes home at the hour that its user named.
    let known = ["doctor/alone.rs", "doctor/mod.rs", "farm/leaving.rs", "units.rs"];
    assert_eq!(found, known, "nothing about a task is decided by a wall clock");
}

#[test]
fn scenario_12_a_jump_of_the_servers_clock_changes_nothing() {
    const HOUR_NS: i128 = 3600 * 1_000_000_000;
    for jump in [HOUR_NS, -HOUR_NS, YEARS_NS, -YEARS_NS] {
        for seed in 0..8 {
            // What is stamped after so many others is stamped by the clock that has jumped; what was stamped before stays.
            let before = 4 + 5 * seed as usize;
            let stamped: Arc<Mutex<HashMap<i128, i128>>> = Arc::default();
            let state = run(seed, STEADY, 1, |_, disk| {
                let stamped = Arc::clone(&stamped);
                let stamp = move |stamp: i128| {
                    let mut stamped = stamped.lock().expect("nobody panics");
                    let has_jumped = stamped.len() >= before;
                    *stamped.entry(stamp).or_insert(if has_jumped { stamp + jump } else { stamp })
                };
                Arc::new(Shim { stamp: Arc::new(stamp), ..Shim::over(disk) })
            });
            assert_eq!(lost(&state), 0, "a jump of {jump} ns, seed {seed}");
            assert!(stamped.lock().expect("nobody panics").len() > before + 20, "it jumped in mid-job");
        }
    }
}

#[test]
fn scenario_13_an_observer_whose_clock_runs_twice_as_fast_takes_claims_back_early_and_no_byte_is_wrong() {
    let fast = |name: &str, disk: Arc<dyn Disk>| -> Arc<dyn Disk> {
        if name == "boss" { Arc::new(Shim { clock: |time| time * 2, ..Shim::over(disk) }) } else { disk }
    };
    let early: usize = (0..10).map(|seed| lost(&run(seed, UNSTEADY, 2, fast))).sum();
    let right: usize = (0..10).map(|seed| lost(&run(seed, UNSTEADY, 1, |_, disk| disk))).sum();
    assert!(early > 0 && right == 0, "{early} claims were taken back early, {right} by a clock that is right");
    assert_eq!(lost(&run(1, STEADY, 2, fast)), 0, "and none that beats in time");
}
