//! Files removed by hand, and the whole directory set back to an older state by its server, while everybody is at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use flockwork::disk::Disk;
use flockwork::disk::sim::run::{SimDisk, What};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};

use super::super::bench::{self, Size};
use super::crew::{CALM, Host, Leader};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 5_000;

/// Runs the job with two workers and a coordinator; `meddle` is called after every step of anybody. Judges the end.
fn run(disk: &Arc<SimDisk>, seed: u64, about: &str, meddle: &dyn Fn()) -> DiskState {
    let mut spec = bench::spec(SIZE);
    spec.ask.backup = false;
    let start = |host, n| Host::start(disk, Arc::new(disk.client(host)), &spec, bench::name(host, n), CALM);
    let lives = |host: &'static str| {
        let (mut n, mut life) = (1, start(host, 1));
        move || match life.step() {
            // A worker whose file is gone leaves; people start another.
            Turn::Done if bench::end(&disk.state()).is_none() => {
                (n, life) = (n + 1, start(host, n + 1));
                Turn::Ready
            }
            turn => turn,
        }
    };
    let (mut far, mut near) = (lives("far"), lives("near"));
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    let then = |turn: Turn| {
        meddle();
        turn
    };
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 3] =
        [Box::new(|| then(far())), Box::new(|| then(near())), Box::new(|| then(leader.step()))];
    let ending = take_turns(disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    assert_eq!(ending, Ending::AllEnded, "{about}: it must end; {:?}\n{}", leader.troubles, bench::tree(&state));
    bench::assert_finished(&state, SIZE, about);
    state
}

fn fresh() -> Arc<SimDisk> {
    SimDisk::holding(bench::submitted(SIZE))
}

#[test]
fn scenario_21_any_file_of_a_task_removed_by_hand_in_mid_run_is_made_anew() {
    let places = [
        "pending/map",
        "claimed/map",
        "done/map",
        "pending/reduce",
        "claimed/reduce",
        "done/reduce",
        "shuffle/map",
        "output/.attempts/reduce",
    ];
    for prefix in places {
        for seed in 0..5 {
            let (disk, removed) = (fresh(), AtomicU64::new(0));
            let hand = disk.client("hand");
            run(&disk, seed, &format!("{prefix}… removed, seed {seed}"), &|| {
                let state = disk.state();
                let (dir, start) = prefix.rsplit_once('/').expect("a folder");
                let found = state.children(dir).into_iter().find(|entry| entry.name.starts_with(start));
                if let Some(entry) = found.filter(|_| bench::end(&state).is_none() && removed.load(Relaxed) == 0) {
                    hand.remove(&format!("{dir}/{}", entry.name)).expect("it is there");
                    removed.store(1, Relaxed);
                }
            });
            assert_eq!(removed.load(Relaxed), 1, "there was something to remove: {prefix}");
        }
    }
}

/// After so many calls the state of the directory is kept; so many calls later it is what there is again.
fn set_back(seed: u64, kept_after: u64, for_calls: u64) -> bool {
    let (disk, calls) = (fresh(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&calls);
    let counts = move |_: &str, _: &flockwork::disk::sim::op::Op| {
        counted.fetch_add(1, Relaxed);
        false
    };
    disk.inject(1, counts, What::Stale);
    let (kept, done) = (std::cell::RefCell::new(None), std::cell::Cell::new(false));
    let about = format!("seed {seed}: as after call {kept_after}, {for_calls} calls later");
    run(&disk, seed, &about, &|| {
        let calls = calls.load(Relaxed);
        if kept.borrow().is_none() && calls >= kept_after {
            kept.replace(Some(disk.state()));
        }
        if let Some(older) = kept.borrow().as_ref().filter(|_| !done.get() && calls >= kept_after + for_calls) {
            // An ended job has nobody left who could go on.
            if bench::end(&disk.state()).is_none() {
                disk.set_back(older);
                done.set(true);
            }
        }
    });
    done.get()
}

#[test]
fn scenario_25_a_directory_set_back_to_an_older_state_of_its_own_in_mid_job_ends_with_the_same_bytes() {
    let mut times = 0;
    for seed in 0..4 {
        for kept_after in (5..150).step_by(5) {
            for for_calls in [3, 10, 30, 60, 100] {
                times += u32::from(set_back(seed, kept_after, for_calls));
            }
        }
    }
    assert!(times > 200, "it was set back in mid-job {times} times");
}
