//! Calls that were done although the reply says otherwise, and names that some cannot see for a while: only delay.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::disk::Disk;
use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::{SimDisk, What};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::job::record::{self, Ended};

use super::super::bench::{self, Size};
use super::crew::{CALM, Host, Leader, worker_on};
use super::shim::Shim;

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 5_000;
const MINUTE: Duration = Duration::from_secs(60);

/// How the disk of a process of that name is made of its client.
type Eyes<'a> = &'a dyn Fn(&str, Arc<dyn Disk>) -> Arc<dyn Disk>;

/// Runs the job with two workers and a coordinator whose disks are made so, and judges it.
fn run(disk: &Arc<SimDisk>, about: &str, eyes: Eyes<'_>) -> DiskState {
    let mut spec = bench::spec(SIZE);
    spec.ask.backup = false;
    let seen_by = |name: &'static str| eyes(name, Arc::new(disk.client(name)));
    let start = |host| Host::start(disk, seen_by(host), &spec, worker_on(host), CALM);
    let (mut far, mut near) = (start("far"), start("near"));
    let mut leader = Leader::start(seen_by("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
    // Whatever was injected lasts for a minute.
    let heals = || {
        let left = MINUTE.saturating_sub(disk.now());
        if left.is_zero() {
            disk.heal();
        }
        if left.is_zero() || bench::end(&disk.state()).is_some() { Turn::Done } else { Turn::Wait(Duration::from_secs(1)) }
    };
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] =
        [Box::new(|| far.step()), Box::new(|| near.step()), Box::new(|| leader.step()), Box::new(heals)];
    let ending = take_turns(disk, 1, STEPS_MAX, &mut actors);
    drop(actors);
    let state = disk.state();
    assert_eq!(ending, Ending::AllEnded, "{about}: it must end; {:?}\n{}", leader.troubles, bench::tree(&state));
    bench::assert_finished(&state, SIZE, about);
    state
}

fn fresh() -> Arc<SimDisk> {
    SimDisk::holding(bench::submitted(SIZE))
}

fn honest(_: &str, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
    disk
}

#[test]
fn scenario_18_a_lost_reply_of_any_rename_link_or_removal_costs_no_attempt() {
    let count = Arc::new(AtomicU64::new(0));
    let losing = |nth: u64| {
        let (disk, counted) = (fresh(), Arc::clone(&count));
        counted.store(0, Relaxed);
        let is_it = move |_: &str, op: &Op| op.may_lose_its_reply() && counted.fetch_add(1, Relaxed) + 1 == nth;
        disk.inject(1, is_it, What::LoseReply);
        run(&disk, &format!("the reply of call {nth} is lost"), &honest)
    };
    assert!(losing(0).children("expired").is_empty());
    let calls = count.load(Relaxed);
    assert!(calls > 30, "{calls} calls");
    for nth in 1..=calls {
        let state = losing(nth);
        assert!(state.children("expired").is_empty(), "reply {nth}: a second look shows that it was done\n{}", bench::tree(&state));
    }
}

#[test]
fn scenario_18_a_call_that_was_done_and_answers_with_an_error_is_looked_at_again() {
    for kind in [ErrorKind::NotFound, ErrorKind::AlreadyExists, ErrorKind::Other, ErrorKind::TimedOut] {
        let total = answered(u64::MAX, kind).1;
        assert!(total > 20, "{total} calls");
        for nth in 1..=total {
            let (state, _) = answered(nth, kind);
            let lost = state.children("expired").len();
            // Only a claim that its worker does not know it has is waited for.
            assert!(lost <= usize::from(kind != ErrorKind::NotFound), "{kind:?} of call {nth}\n{}", bench::tree(&state));
        }
    }
}

/// The n-th rename, link or removal is done and answers with an error.
fn answered(nth: u64, kind: ErrorKind) -> (DiskState, u64) {
    let count = Arc::new(AtomicU64::new(0));
    let lies = |_: &str, disk: Arc<dyn Disk>| -> Arc<dyn Disk> {
        let count = Arc::clone(&count);
        let reply = move |path: &str, result: io::Result<()>| {
            // What an attempt does with its own data is its own matter: it is done again.
            let is_data = path.starts_with("shuffle/") || path.starts_with("output/.attempts/");
            let is_it = result.is_ok() && !is_data && count.fetch_add(1, Relaxed) + 1 == nth;
            if is_it { Err(kind.into()) } else { result }
        };
        Arc::new(Shim { reply: Arc::new(reply), ..Shim::over(disk) })
    };
    let state = run(&fresh(), &format!("call {nth} answers {kind:?}"), &lies);
    (state, count.load(Relaxed))
}

/// Whoever it is cannot see names that begin so, for a minute from when there was first something to see.
fn hidden(who: &str, prefix: &'static str) -> (bool, Duration) {
    let (disk, since) = (fresh(), Arc::new(Mutex::new(None)));
    let blind = |name: &str, inner: Arc<dyn Disk>| -> Arc<dyn Disk> {
        if name != who {
            return inner;
        }
        let (since, clock) = (Arc::clone(&since), Arc::clone(&inner));
        let hides = move |path: &str| {
            let now = clock.now();
            path.starts_with(prefix) && now < *since.lock().expect("nobody panics").get_or_insert(now) + MINUTE
        };
        Arc::new(Shim { hides: Arc::new(hides), ..Shim::over(inner) })
    };
    run(&disk, &format!("{who} cannot see {prefix}"), &blind);
    let met = since.lock().expect("nobody panics").is_some();
    (met, disk.now())
}

#[test]
fn scenario_20_a_name_that_somebody_cannot_see_for_a_minute_is_only_a_delay() {
    let mut looked_for = 0;
    for prefix in ["pending/map-", "claimed/map-00001", "done/map-00001", "done/reduce-00000", "phase/reduce", "phase/end", "workers/"] {
        for who in ["boss", "far"] {
            let (met, took) = hidden(who, prefix);
            looked_for += u32::from(met);
            assert!(took < Duration::from_secs(180), "{who} without {prefix}: {took:?}");
        }
    }
    assert!(looked_for >= 9, "mostly it was looked for: {looked_for}");
}

#[test]
fn scenario_20_listings_that_stay_old_until_the_client_changes_the_directory_cost_no_attempt() {
    let disk = fresh();
    disk.inject(u64::MAX, |_, _| true, What::Stale);
    let state = run(&disk, "everything that may be stale is", &honest);
    let lost = |name: &str| {
        let bytes = state.bytes(&format!("expired/{name}")).unwrap_or_default();
        record::why_ended(name, bytes) == Ended::Lost
    };
    assert!(!state.children("expired").iter().any(|entry| lost(&entry.name)), "{}", bench::tree(&state));
}

/// NFSv3 tells that a directory has changed by its stamp, and a server's clock ticks: whoever listed `phase/` in the tick in which the end got its name would
/// believe that listing for ever, and wait. (Two slots on a real NFSv3 mount did.)
#[test]
fn whoever_has_named_the_end_touches_phase_once_more_before_it_goes() {
    let (disk, calls) = (fresh(), Arc::new(Mutex::new(Vec::new())));
    let said = Arc::clone(&calls);
    let hear = move |_: &str, op: &Op| {
        match op {
            Op::Link { to, .. } if to.starts_with("phase/") => said.lock().expect("nobody panicked").push("a name"),
            Op::Touch { path } if path == "phase" => said.lock().expect("nobody panicked").push("a touch"),
            _ => {}
        }
        false
    };
    disk.inject(1, hear, What::Stale);
    run(&disk, "the last touch", &honest);
    assert_eq!(calls.lock().expect("nobody panicked").last(), Some(&"a touch"), "{calls:?}");
}
