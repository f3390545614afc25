//! Workers that are killed, stopped, cut off, or doubled; and a task that kills whoever works on it.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flockwork::control::Control;
use flockwork::data::{Failure, Made};
use flockwork::disk::Disk;
use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::{SimClientDirect, SimDisk, What, survives};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::ids::{ClaimName, Phase, WorkerName};
use flockwork::job::claim::{Claimer, Commit, Manners, Tried};
use flockwork::job::end::Outcome;
use flockwork::job::register::Presence;
use flockwork::worker::Tasks;

use super::super::bench::{self, Boss, Size, Slot};
use super::super::puppet::{Over, healer};
use super::crew::{Host, Leader, QUICK, worker_on};

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 3_000;

/// A job whose slow attempts are waited for: every second attempt is one that was taken back.
fn spec() -> flockwork::job::spec::Spec {
    let mut spec = bench::spec(SIZE);
    spec.ask.backup = false;
    spec
}

fn names(state: &DiskState, dir: &str) -> Vec<String> {
    state.children(dir).into_iter().map(|entry| entry.name).collect()
}

/// What decides: the names in these folders, with their files.
fn decided(state: &DiskState) -> Vec<(String, Option<(u64, u64)>)> {
    let dirs = ["done", "failed", "expired", "phase", "output"];
    let paths = dirs.iter().flat_map(|dir| names(state, dir).into_iter().map(move |name| format!("{dir}/{name}")));
    paths.map(|path| (path.clone(), state.inode(&path))).collect()
}

/// What is left of an attempt's data.
fn data_of(state: &DiskState, claim: &str) -> Vec<String> {
    let all = ["shuffle", "output/.attempts"].into_iter().flat_map(|dir| names(state, dir));
    all.filter(|name| name.starts_with(claim)).collect()
}

/// Works until its client is dead: `dies` says at which call, given the calls before it and the call. How many it made.
fn killed(disk: &Arc<SimDisk>, client: &SimClientDirect, dies_at: u64) {
    client.die_at(dies_at);
    let spec = spec();
    let mut boss = Boss::start(&disk.client("first boss"), &spec, SIZE.maps, &bench::name("boss", 1));
    let dead = survives(|| {
        let mut slot = Slot::start(client, &spec, &worker_on("far"));
        for _ in 0..100 {
            let _ = boss.step();
            let _ = slot.step();
        }
    });
    assert!(dead.is_none(), "it is killed before it has nothing to do any more");
}

/// The number of the first call of a worker that matches, counted from 1.
fn number_of(matches: fn(&Op) -> bool, nth: u64) -> u64 {
    let (disk, found) = (SimDisk::holding(bench::submitted(SIZE)), Arc::new(AtomicU64::new(0)));
    let (calls, met, noted) = (AtomicU64::new(0), AtomicU64::new(0), Arc::clone(&found));
    let watches = move |name: &str, op: &Op| {
        let call = if name == "far" { calls.fetch_add(1, Relaxed) + 1 } else { return false };
        if matches(op) && met.fetch_add(1, Relaxed) + 1 == nth {
            noted.store(call, Relaxed);
        }
        false
    };
    disk.inject(1, watches, What::Stale);
    killed(&disk, &disk.client("far"), 60);
    assert!(found.load(Relaxed) > 0, "it comes to that");
    found.load(Relaxed)
}

fn renames_to(op: &Op, dir: &str) -> bool {
    matches!(op, Op::Rename { to, .. } if to.starts_with(dir))
}

/// Kills a worker in its first attempt, just before its call of that number; lets another finish the job.
fn after_the_death(dies_at: u64) -> DiskState {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    killed(&disk, &disk.client("far"), dies_at);
    let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 2));
    let mut heir = Slot::start(&disk.client("heir"), &spec, &bench::name("heir", 1));
    let ending = take_turns(&disk, 1, STEPS_MAX, &mut [Box::new(move || boss.step()), Box::new(move || heir.step())]);
    assert_eq!(ending, Ending::AllEnded, "killed at its call {dies_at}");
    bench::assert_finished(&disk.state(), SIZE, &format!("killed at its call {dies_at}"));
    disk.state()
}

#[test]
fn scenario_01_a_worker_killed_before_its_claim_or_after_its_commit_costs_no_second_attempt() {
    let (claims, commits) = (number_of(|op| renames_to(op, "claimed/"), 1), number_of(|op| renames_to(op, "done/"), 1));
    for (dies_at, done) in [(claims, 0), (commits + 1, 1)] {
        let state = after_the_death(dies_at);
        assert_eq!(names(&state, "expired"), [""; 0], "nothing was lost\n{}", bench::tree(&state));
        let its_own = names(&state, "done").iter().filter(|name| name.contains("@far")).count();
        assert_eq!(its_own, done, "what it has committed counts\n{}", bench::tree(&state));
    }
}

#[test]
fn scenario_01_a_worker_killed_between_claim_and_commit_loses_this_task_only_and_its_data_stay_for_whoever_cleans() {
    let (claims, commits) = (number_of(|op| renames_to(op, "claimed/"), 1), number_of(|op| renames_to(op, "done/"), 1));
    let writes = number_of(|op| renames_to(op, "shuffle/"), 2);
    assert!(claims < writes && writes < commits, "{claims} {writes} {commits}");
    for (dies_at, files) in [(claims + 1, 0), (writes, 1), (commits - 1, 2), (commits, 2)] {
        let state = after_the_death(dies_at);
        let lost = names(&state, "expired");
        assert!(lost.len() == 1 && lost[0].contains(".a1@far"), "{lost:?}");
        let task = lost[0].split_once(".a1@").expect("a first attempt").0;
        assert!(names(&state, "done").iter().any(|name| name.starts_with(&format!("{task}.a2@heir"))), "{}", bench::tree(&state));
        assert_eq!(data_of(&state, &lost[0]).len(), files, "killed at its call {dies_at}");
    }
}

/// What a run with a hanging worker came to.
struct Seen {
    /// Its calls.
    calls: u64,
    /// It did hang.
    hung: bool,
    /// The job had ended when it went on.
    ended_before: bool,
    state: DiskState,
}

/// Runs the job to its end while the worker `far` hangs for so long in the first of its calls that matches, given its number; and judges it.
fn hanging(seed: u64, stays: Duration, mut matches: impl FnMut(u64, &Op) -> bool + Send + 'static) -> Seen {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let start = |host| Host::start(&disk, Arc::new(disk.client(host)), &spec, worker_on(host), QUICK);
    let (mut far, mut near) = (start("far"), start("near"));
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    far.hang("far", stays, move |op| matches(counted.fetch_add(1, Relaxed) + 1, op));
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    let (mut hung, mut before) = (false, None);
    let mut steps_far = || {
        let (was, state) = (far.stopped(), far.stopped().map(|_| disk.state()));
        let turn = far.step();
        hung |= far.stopped().is_some();
        if was.is_some() && far.stopped().is_none() {
            before = state;
        }
        turn
    };
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 3] = [Box::new(&mut steps_far), Box::new(|| near.step()), Box::new(|| leader.step())];
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    disk.heal();
    let state = disk.state();
    assert_eq!(ending, Ending::AllEnded, "seed {seed}: it must end\n{}", bench::tree(&state));
    bench::assert_finished(&state, SIZE, &format!("seed {seed}, hung for {stays:?}"));
    let before = before.filter(|before| bench::end(before).is_some());
    if let Some(before) = &before {
        assert_eq!(decided(before), decided(&state), "whoever wakes up late changes nothing that counts");
    }
    for lost in names(&state, "expired").iter().filter(|name| name.contains("@far")) {
        assert_eq!(data_of(&state, lost), [""; 0], "it lives, so it removes the data of what it lost");
    }
    Seen { calls: calls.load(Relaxed), hung, ended_before: before.is_some(), state }
}

const LONG: Duration = Duration::from_secs(40);

/// Hangs at every call of a run without faults.
fn at_every_call(seed: u64, stays: Duration) -> Vec<Seen> {
    let calls = hanging(seed, stays, |_, _| false).calls;
    assert!(calls > 30, "it does its share: {calls} calls");
    (1..=calls).map(|k| hanging(seed, stays, move |call, _| call == k)).collect()
}

#[test]
fn scenario_02_a_worker_stopped_at_any_call_for_longer_than_its_lease_touches_nothing_when_it_wakes_up() {
    for seed in 0..3 {
        let all = at_every_call(seed, LONG);
        let ended_before = all.iter().filter(|seen| seen.ended_before).count();
        assert!(ended_before * 2 > all.len(), "mostly the others have ended the job before: {ended_before} of {}", all.len());
        let lost = all.iter().filter(|seen| names(&seen.state, "expired").iter().any(|name| name.contains("@far"))).count();
        assert!(lost > 10, "and sometimes it held a task: {lost}");
    }
}

#[test]
fn scenario_03_a_worker_stopped_at_any_call_for_less_than_its_lease_keeps_its_claim() {
    for seed in 0..3 {
        for seen in at_every_call(seed, Duration::from_secs(8)) {
            assert_eq!(names(&seen.state, "expired"), [""; 0], "no second attempt");
        }
    }
}

#[test]
fn scenario_04_a_worker_that_has_just_beaten_and_is_stopped_before_its_commit_is_fenced_by_the_commit_itself() {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let (far, boss) = (disk.client("far"), disk.client("boss"));
    let _presence = Presence::register(&far, &worker_on("far"), 0).expect("register");
    let mut leader = Boss::start(&boss, &spec, SIZE.maps, &bench::name("boss", 1));
    let _ = leader.step();
    let first = flockwork::ids::TaskId::map(0).attempt(1);
    let tried = Claimer::new(worker_on("far")).claim(&far, first, Manners::Polite).expect("claim");
    let Tried::Held(claim) = tried else { panic!("it is free") };
    let (name, path) = (claim.name().clone(), claim.path());
    far.touch(&path).expect("a beat comes through: it still holds the claim");
    let mut heir = Slot::start(&disk.client("heir"), &spec, &bench::name("heir", 1));
    let ending = take_turns(&disk, 1, STEPS_MAX, &mut [Box::new(|| leader.step()), Box::new(|| heir.step())]);
    assert_eq!(ending, Ending::AllEnded);
    let before = disk.state();
    let (made, _) = bench::map_made(&name, SIZE.reduces);
    assert!(matches!(claim.commit(&far, &made), Ok(Commit::Superseded)));
    assert_eq!(decided(&before), decided(&disk.state()), "what it was about to do is not done");
    bench::assert_finished(&disk.state(), SIZE, "fenced");
}

#[test]
fn scenario_16_a_host_whose_mount_hangs_for_minutes_loses_its_claims_and_is_fenced_when_it_is_back() {
    for stays in [30, 300].map(Duration::from_secs) {
        let mut hung = 0;
        for seed in 0..10 {
            let seen = hanging(seed, stays, |_, op| matches!(op, Op::Draft { dir, .. } if dir == "shuffle"));
            if seen.hung {
                assert!(seen.ended_before, "seed {seed}: the others have done all of it meanwhile");
                let lost = names(&seen.state, "expired");
                assert!(lost.len() == 1 && lost[0].contains("@far"), "seed {seed}: {lost:?}");
                hung += 1;
            }
        }
        assert!(hung > 5, "mostly it came to that: {hung}");
    }
}

#[test]
fn scenario_19_a_rename_that_is_executed_after_its_claim_was_taken_back_does_nothing() {
    let renames = |op: &Op| renames_to(op, "claimed/") || renames_to(op, "done/");
    let mut late = 0;
    for nth in 1..6 {
        let mut met = 0;
        let seen = hanging(1, LONG, move |_, op| {
            met += u64::from(renames(op));
            met == nth && renames(op)
        });
        late += usize::from(seen.hung);
    }
    assert!(late > 2, "it came to that: {late}");
}

/// A run in which every call of the worker `far` fails with `kind` from its k-th on, until the others have been at work for `LONG`.
fn cut_off(seed: u64, k: u64, kind: ErrorKind) -> (u64, DiskState) {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    let start = |host| Host::start(&disk, Arc::new(disk.client(host)), &spec, worker_on(host), QUICK);
    let (mut far, mut near) = (start("far"), start("near"));
    let (calls, is_cut) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (counted, cut) = (Arc::clone(&calls), Arc::clone(&is_cut));
    let fails = move |name: &str, _: &Op| {
        let fails = name == "far" && counted.fetch_add(1, Relaxed) + 1 >= k;
        cut.fetch_or(fails, Relaxed);
        fails
    };
    disk.inject(u64::MAX, fails, What::Fail(kind));
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    let heals = healer(&disk, || is_cut.load(Relaxed), Over::After(LONG));
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] =
        [Box::new(|| far.step()), Box::new(|| near.step()), Box::new(|| leader.step()), Box::new(heals)];
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut actors);
    drop(actors);
    let about = format!("seed {seed}, cut off at its call {k}: {:?}", far.troubles.lock().expect("nobody panics"));
    assert_eq!(ending, Ending::AllEnded, "{about}\n{}", bench::tree(&disk.state()));
    bench::assert_finished(&disk.state(), SIZE, &about);
    (calls.load(Relaxed), disk.state())
}

#[test]
fn scenario_17_a_worker_cut_off_at_any_call_and_back_after_its_task_was_done_again_does_no_harm() {
    for kind in [ErrorKind::TimedOut, ErrorKind::Other] {
        let (calls, _) = cut_off(1, u64::MAX, kind);
        let lost = (1..=calls).filter(|k| names(&cut_off(1, *k, kind).1, "expired").iter().any(|name| name.contains("@far"))).count();
        assert!(lost > 10, "its tasks were done by another: {lost} of {calls}");
    }
}

#[test]
fn scenario_24_two_workers_of_one_host_name_and_process_number_are_two_workers() {
    for seed in 0..20 {
        let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
        let clones = ["aaa", "bbb"].map(|nonce| WorkerName::new("clone", 7, nonce));
        let clients = [disk.client("one"), disk.client("other")];
        clients[0].die_at(25 + seed);
        let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
        for (client, name) in clients.iter().zip(&clones) {
            let mut slot = Slot::start(client, &spec, name);
            actors.push(Box::new(move || slot.step()));
        }
        let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
        actors.push(Box::new(move || boss.step()));
        assert_eq!(take_turns(&disk, seed, STEPS_MAX, &mut actors), Ending::AllEnded, "seed {seed}");
        let state = disk.state();
        bench::assert_finished(&state, SIZE, &format!("seed {seed}"));
        assert!(
            names(&state, "expired").iter().all(|name| name.ends_with("aaa")),
            "the death of one is not the other's\n{}",
            bench::tree(&state)
        );
        assert!(names(&state, "done").iter().any(|name| name.ends_with("bbb")), "and the other works on");
    }
}

/// Tasks one of which ends the process that begins it.
struct Poison {
    mini: bench::Mini,
    client: SimClientDirect,
}

impl Tasks for Poison {
    fn run(&mut self, claim: &ClaimName, control: &Control) -> Result<Made, Failure> {
        if claim.attempt.task == flockwork::ids::TaskId::map(1) {
            self.client.die_at(1);
        }
        self.mini.run(claim, control)
    }

    fn discard(&mut self, claim: &ClaimName) {
        self.mini.discard(claim);
    }
}

#[test]
fn scenario_28_a_task_that_kills_every_worker_fails_the_job_by_name_after_its_limit_and_the_others_are_done() {
    let (disk, mut spec) = (SimDisk::holding(bench::submitted(SIZE)), spec());
    spec.ask.max_lost = 4;
    let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
    let (deaths, mut life) = (Arc::new(Mutex::new(0)), None);
    let (died, reborn, job) = (Arc::clone(&deaths), Arc::clone(&disk), spec.clone());
    let worker = move || {
        let lived = survives(|| {
            let (slot, tasks) = life.get_or_insert_with(|| {
                let client = reborn.client("mortal");
                let number = *died.lock().expect("nobody panics");
                let slot = Slot::start(&client, &job, &bench::name("mortal", number));
                (slot, Poison { mini: bench::Mini::new(Arc::new(client.clone()), SIZE.reduces), client })
            });
            slot.turn(tasks)
        });
        lived.unwrap_or_else(|| {
            life = None;
            *died.lock().expect("nobody panics") += 1;
            Turn::Ready
        })
    };
    assert_eq!(take_turns(&disk, 1, STEPS_MAX, &mut [Box::new(move || boss.step()), Box::new(worker)]), Ending::AllEnded);
    let state = disk.state();
    let end = bench::end(&state).expect("an end");
    assert_eq!((end.outcome, *deaths.lock().expect("nobody panics")), (Outcome::Failed, 4), "{end:?}");
    assert!(end.error.as_deref().is_some_and(|text| text.starts_with("map-00001 was lost 4 times")), "it says which: {:?}", end.error);
    let done: Vec<String> = names(&state, "done");
    assert!(["map-00000", "map-00002"].iter().all(|task| done.iter().any(|name| name.starts_with(task))), "{done:?}");
    assert!(done.iter().all(|name| name.parse::<ClaimName>().is_ok_and(|claim| claim.attempt.task.phase == Phase::Map)));
    assert_eq!(end.blames.len(), 4, "and which attempts: {:?}", end.blames);
    bench::check_always(&state).expect("no law is broken");
}
