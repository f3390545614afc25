//! Holes that a model of the protocol has found, each as a named test. Those that need an interleaving are explored, with the old way as a mutant.
//!
//! | hole | test |
//! |---|---|
//! | a descriptor issued again between a claimer's open and its rename | `interleavings::an_attempt_issued_twice_…`, `…without_the_look_at_the_inode_…` |
//! | damage found by a reduce with no way out of `done/` | `damage::scenario_14_a_shuffle_file_…`, `damage::a_shuffle_file_…` |
//! | an output published by another coordinator from a later look taken for a stranger's file: a healthy job failed | here, `schedules_that_once_failed_…` |
//! | all others | here |

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flockwork::control::Control;
use flockwork::coordinator::backup::Limits;
use flockwork::coordinator::leases::Leases;
use flockwork::coordinator::plan::{Action, Facts, plan};
use flockwork::data::{Counters, Failure, Made};
use flockwork::disk::sim::client::SimClient;
use flockwork::disk::sim::explore::{Explorer, Report, Violation};
use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::{SimDisk, What};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::Turn;
use flockwork::disk::sim::world::{Actor, Faults, World, actor};
use flockwork::disk::{Disk, Lock, create};
use flockwork::ids::{ClaimName, TaskFile, TaskId};
use flockwork::job::claim::{Claimer, Commit, Manners, Tried};
use flockwork::job::end::{self, Attempts, End, Outcome};
use flockwork::job::snapshot::{Belief, Shape, Snapshot};
use flockwork::job::{layout, outputs};
use flockwork::worker::{Tasks, assign};

use super::bench::{self, Boss, Size, Slot, root};
use super::interleavings::scene;
use super::lens::{Lens, Mutant};

const ONE: Size = Size { maps: 1, reduces: 1 };

fn explore(
    initial: DiskState,
    actors: Vec<Actor>,
    lost_replies: u32,
    at_end: impl Fn(&World) -> Result<(), String>,
) -> Result<Report, Violation> {
    Explorer { actors, initial, faults: Faults { lost_replies, ..Faults::default() }, states_max: 500_000 }.explore(|_| Ok(()), at_end)
}

fn states(result: Result<Report, Violation>) -> usize {
    result.unwrap_or_else(|violation| panic!("{violation}")).states
}

fn claim(disk: &dyn Disk, claimer: &mut Claimer) -> flockwork::job::claim::Claim {
    match claimer.claim(disk, TaskId::map(0).attempt(1), Manners::Polite).expect("a disk without errors") {
        Tried::Held(claim) => claim,
        Tried::Lost | Tried::Refused | Tried::AskedToLeave => panic!("it is free"),
    }
}

/// Looks once, while `mover` has a claim and ends it: the attempt must be seen somewhere.
fn scanned_while(mover: impl Fn(&SimClient, flockwork::job::claim::Claim) + 'static) -> Result<Report, Violation> {
    let scene = scene(1, 1);
    let canned = scene.clone();
    let moves = actor(move |client| {
        let lens = Lens::new(client, Mutant::None);
        mover(client, claim(&lens, &mut Claimer::new(bench::name("w", 1))));
        String::new()
    });
    let looks = actor(move |client| {
        let lens = Lens::new(client, Mutant::None).with_canned(&canned, &[".", "workers", "phase"]);
        let snapshot = Snapshot::take(&lens, Shape { maps: 1, reduces: 1 }, Belief::Sure).expect("a look");
        snapshot.maps[0].highest.to_string()
    });
    explore(scene, vec![moves, looks], 0, |world| {
        if world.results().any(|highest| highest == "0") { Err("the attempt was seen nowhere".to_owned()) } else { Ok(()) }
    })
}

#[test]
fn giving_back_is_never_missed_by_a_scan_and_moving_back_to_pending_is() {
    let given_back = scanned_while(|client, claim| {
        assert!(matches!(claim.give_back(&Lens::new(client, Mutant::None)), Ok(Commit::Done)));
    });
    assert!(states(given_back) > 50);
    let back = scanned_while(|client, claim| client.rename(&claim.path(), "pending/map-00000.a1").expect("rename"));
    assert!(back.expect_err("must be found").what.contains("nowhere"));
}

#[test]
fn attempt_numbers_go_one_above_the_highest_and_counting_would_use_a_name_twice() {
    let disk = SimDisk::holding(bench::submitted(ONE));
    let names = ["map-00000.a1@w.1.x", "map-00000.a3@w.2.x"];
    let state = names.iter().fold(disk.state(), |state, name| state.with_file(&format!("expired/{name}"), b""));
    let disk = SimDisk::holding(state);
    let snapshot = Snapshot::take(&disk.client("c"), Shape { maps: 1, reduces: 1 }, Belief::Sure).expect("a look");
    let (endings, none, blamed) = (HashMap::new(), BTreeSet::new(), HashSet::new());
    let (running, limits) = (BTreeMap::new(), Limits::default());
    let facts = Facts {
        endings: &endings,
        blamed: &blamed,
        stale: &none,
        stuck: &none,
        hollow: &none,
        running: &running,
        limits,
        max_errors: 4,
        max_lost: 16,
        bundling: flockwork::coordinator::bundling::Bundling::default(),
        window: 9,
        leave_out: None,
    };
    let by_counting = TaskId::map(0).attempt(u32::try_from(snapshot.maps[0].expired.len()).expect("two") + 1);
    assert_eq!(plan(&snapshot, &facts), [Action::Issue(TaskId::map(0).attempt(4))]);
    let used = |file: &TaskFile| file.attempt() == by_counting;
    assert!(snapshot.maps[0].expired.iter().any(used), "the number by counting was used before");
}

fn an_end(outcome: Outcome) -> End {
    End {
        outcome,
        at: "then".to_owned(),
        by: bench::name(&format!("{outcome:?}").to_lowercase(), 1).to_string(),
        error: None,
        blames: Vec::new(),
        outputs: Vec::new(),
        skipped: Vec::new(),
        counters: Counters::new(),
        attempts: Attempts::default(),
        busy_ms: 0,
    }
}

#[test]
fn scenario_07_two_coordinators_that_disagree_never_write_both_finished_and_failed() {
    let honest = |outcome| {
        actor(move |client| {
            let end = an_end(outcome);
            end::decide(client, root(), &end, &[]).expect("decide");
            end::name(client, root(), &end.by).expect("name");
            String::new()
        })
    };
    let headstrong = |outcome| {
        actor(move |client| {
            end::decide(client, root(), &an_end(outcome), &[]).expect("decide");
            let _ = create::link_once(client, layout::PHASE_END, end::verdict_path(outcome)).expect("link");
            String::new()
        })
    };
    let one = |world: &World| {
        let names = ["phase/finished", "phase/failed"].map(|path| world.disk.inode(path));
        let (there, end) = (names.iter().flatten().count(), world.disk.inode("phase/end"));
        if there == 1 && names.contains(&end) { Ok(()) } else { Err(format!("{there} second names")) }
    };
    let scene = || DiskState::new().with_dir("phase");
    assert!(states(explore(scene(), vec![honest(Outcome::Finished), honest(Outcome::Failed)], 2, one)) > 100);
    explore(scene(), vec![headstrong(Outcome::Finished), headstrong(Outcome::Failed)], 0, one).expect_err("must be found");
}

/// Two coordinators that saw the done attempts in different order publish by `publish`; both must name the attempt that is published.
fn published_by(publish: fn(&SimClient, &[(ClaimName, Made)]) -> String) -> Result<Report, Violation> {
    let names = ["reduce-00000.a1@w.1.x", "reduce-00000.a1@w.2.x"];
    let mut state = DiskState::new().with_dir("output").with_dir("output/.attempts");
    let mut done = Vec::new();
    for name in names {
        state = state.with_file(&format!("output/.attempts/{name}"), name.as_bytes());
        let file = flockwork::data::FileSum { name: name.to_owned(), len: name.len() as u64, crc32: 0, sections: 1 };
        done.push((name.parse().expect("a claim's name"), Made { files: vec![file], ..Made::default() }));
    }
    let reversed: Vec<_> = done.iter().rev().cloned().collect();
    let actors = [done, reversed].map(|done| actor(move |client| publish(client, &done)));
    explore(state, actors.into_iter().collect(), 2, |world| {
        let published = world.disk.bytes("output/mr-out-00000").map(String::from_utf8_lossy).unwrap_or_default();
        if world.disk.deeds().replaced.iter().any(|path| path.contains("mr-out")) {
            return Err("a published output was replaced".to_owned());
        }
        match world.results().find(|said| *said != published) {
            Some(said) => Err(format!("{published} is published, and {said} believed to be")),
            None => Ok(()),
        }
    })
}

#[test]
fn a_published_output_is_never_replaced_nor_described_as_another_attempts() {
    let honest = published_by(|client, done| match outputs::publish(client, root(), "output", 0, done).expect("publish") {
        outputs::Published::By(claim) => claim.to_string(),
        other => format!("{other:?}"),
    });
    assert!(states(honest) > 50);
    let renamed = published_by(|client, done| {
        let _ = client.rename(&format!("output/.attempts/{}", done[0].0), "output/mr-out-00000");
        done[0].0.to_string()
    });
    renamed.expect_err("a rename must be found out");
    let believed = published_by(|client, done| {
        let _ = client.link(&format!("output/.attempts/{}", done[0].0), "output/mr-out-00000");
        done[0].0.to_string()
    });
    assert!(believed.expect_err("a link believed to be one's own").what.contains("believed"));
}

#[test]
fn an_output_of_an_attempt_committed_since_the_look_is_not_taken_for_a_strangers() {
    let names = ["reduce-00000.a1@w.1.x", "reduce-00000.a2@w.2.x"];
    let mut state = DiskState::new().with_dir("done").with_dir("output").with_dir("output/.attempts");
    for name in names {
        state = state.with_file(&format!("output/.attempts/{name}"), name.as_bytes()).with_file(&format!("done/{name}"), b"");
    }
    let disk = SimDisk::holding(state);
    let client = disk.client("boss");
    let seen = |name: &str| {
        let file = flockwork::data::FileSum { name: name.to_owned(), len: name.len() as u64, crc32: 0, sections: 1 };
        [(name.parse::<ClaimName>().expect("a claim's name"), Made { files: vec![file], ..Made::default() })]
    };
    let publish = |name| outputs::publish(&client, root(), "output", 0, &seen(name)).expect("publish");
    assert_eq!(publish(names[0]), outputs::Published::By(seen(names[0])[0].0.clone()));
    assert_eq!(publish(names[1]), outputs::Published::Since(seen(names[0])[0].0.clone()), "who knew only the second looks anew");
    client.remove(&format!("done/{}", names[0])).expect("remove");
    assert!(matches!(publish(names[1]), outputs::Published::Foreign(_)), "what is of none that is done is foreign");
}

#[test]
fn a_claim_whose_lock_a_loser_holds_is_not_taken_for_dead() {
    let disk = SimDisk::holding(scene(1, 1));
    let (loser, winner) = (disk.client("loser"), disk.client("winner"));
    let held = loser.open("pending/map-00000.a1").expect("open");
    assert_eq!(held.try_lock(), Lock::Taken);
    let mut claimer = Claimer::new(bench::name("w", 1));
    let tried = claimer.claim(&winner, TaskId::map(0).attempt(1), Manners::Insistent).expect("claim");
    let Tried::Held(claim) = tried else { panic!("it is free") };
    drop(held); // The loser goes on to the next candidate: nobody holds the claim's lock.
    let boss_client = disk.client("boss");
    let mut boss = Boss::start(&boss_client, &bench::spec(ONE), 1, &bench::name("boss", 1));
    for _ in 0..30 {
        let _ = boss.step();
        disk.advance(Duration::from_secs(1));
        winner.touch(&claim.path()).expect("a beat");
    }
    assert_eq!(boss_client.calls().get("try_lock"), None, "a claim's lock proves nothing, so it is not even asked for");
    assert!(matches!(claim.commit(&winner, &Made::default()), Ok(Commit::Done)));
}

#[test]
fn a_stopped_claimers_lock_on_a_pending_file_holds_nobody_up_for_ever() {
    let (disk, spec) = (SimDisk::holding(scene(1, 0)), bench::spec(ONE));
    let stopped = disk.client("stopped");
    let held = stopped.open("pending/map-00000.a1").expect("open");
    assert_eq!(held.try_lock(), Lock::Taken);
    let mut slot = Slot::start(&disk.client("worker"), &spec, &bench::name("w", 1));
    for _ in 0..200 {
        if let Turn::Wait(time) = slot.step() {
            disk.advance(time);
        }
    }
    assert_eq!(disk.state().children("done").len(), 1, "after a lease the lock is ignored");
}

#[test]
fn an_old_worker_does_nothing_in_a_new_job_at_the_same_path() {
    // The new job's directory has never heard of the worker.
    let disk = SimDisk::holding(scene(1, 0));
    let client = disk.client("old");
    let tried = Claimer::new(bench::name("old", 1)).claim(&client, TaskId::map(0).attempt(1), Manners::Polite).expect("claim");
    assert!(matches!(tried, Tried::AskedToLeave));
    let state = disk.state();
    let expired: Vec<String> = state.children("expired").into_iter().map(|entry| entry.name).collect();
    assert_eq!(expired, ["map-00000.a1@old.1.x"], "given back at once");
    assert!(state.children("claimed").is_empty() && state.children("done").is_empty());
}

/// An attempt during which `steal` happens to its claim; counts what is deleted.
struct Robbed {
    disk: Arc<dyn Disk>,
    to: &'static str,
    discarded: u32,
}

impl Tasks for Robbed {
    fn run(&mut self, claim: &ClaimName, _: &Control) -> Result<Made, Failure> {
        self.disk.rename(&format!("claimed/{claim}"), &format!("{}/{claim}", self.to)).expect("rename");
        Ok(Made::default())
    }

    fn discard(&mut self, _: &ClaimName) {
        self.discarded += 1;
    }
}

#[test]
fn data_is_deleted_only_where_the_name_lies_in_expired() {
    for (to, deleted) in [("expired", 1), ("log", 0)] {
        let disk = SimDisk::holding(scene(1, 0));
        let client = disk.client("worker");
        let mut slot = Slot::start(&client, &bench::spec(ONE), &bench::name("w", 1));
        let mut tasks = Robbed { disk: Arc::new(client), to, discarded: 0 };
        (0..3).for_each(|_| _ = slot.turn(&mut tasks));
        assert!(disk.state().inode(&format!("{to}/map-00000.a1@w.1.x")).is_some(), "the claim was taken away");
        assert_eq!(tasks.discarded, deleted, "not having been able to commit is no evidence: {to}");
    }
}

#[test]
fn scenario_15_no_worker_is_declared_dead_after_a_stall_of_the_server() {
    let disk = SimDisk::holding(scene(1, 1));
    let (worker, boss) = (disk.client("worker"), disk.client("boss"));
    let claim = claim(&worker, &mut Claimer::new(bench::name("w", 1)));
    let mut leases = Leases::new(Duration::from_secs(10));
    let mut looks = |times: u32, beats: bool| {
        (0..times).any(|_| {
            disk.advance(Duration::from_secs(1));
            if beats {
                worker.touch(&claim.path()).expect("a beat");
            }
            leases.look(&boss, std::slice::from_ref(claim.name())).expect("look");
            leases.stale().next().is_some()
        })
    };
    assert!(!looks(5, true), "alive");
    // The server stalls: beats do not get through, every answer takes 15 s.
    disk.latency(Duration::from_secs(15));
    assert!(!looks(6, false), "a stall adds nothing");
    disk.latency(Duration::ZERO);
    assert!(!looks(9, false), "and afterwards it has a whole lease");
    assert!(looks(3, false), "but not more");
}

#[test]
fn a_name_whose_claim_ended_in_an_error_is_never_claimed_again() {
    let disk = SimDisk::holding(scene(1, 1));
    let client = disk.client("worker");
    let mut claimer = Claimer::new(bench::name("w", 1));
    // The rename is done, its reply is lost, and the look for one's own name fails.
    disk.inject(1, |_, op| matches!(op, Op::Rename { .. }), What::LoseReply);
    disk.inject(1, |_, op| matches!(op, Op::Touch { path } if path == "claimed"), What::Fail(ErrorKind::TimedOut));
    let attempt = TaskId::map(0).attempt(1);
    assert!(claimer.claim(&client, attempt, Manners::Polite).is_err());
    assert!(disk.state().inode("claimed/map-00000.a1@w.1.x").is_some(), "it was done all the same");
    // Another coordinator issues the same number.
    flockwork::disk::create::write_whole(&client, "pending/map-00000.a1", b"", flockwork::disk::Flush::Always).expect("issue");
    assert!(matches!(claimer.claim(&client, attempt, Manners::Polite), Ok(Tried::Lost)));
    bench::check_always(&disk.state()).expect("no name is made twice");
}

#[test]
fn what_a_flush_refused_is_said_again() {
    let disk = SimDisk::holding(scene(1, 1));
    let client = disk.client("worker");
    let claim = claim(&client, &mut Claimer::new(bench::name("w", 1)));
    let said = client.calls()["append"];
    disk.inject(1, |_, op| matches!(op, Op::Flush { .. }), What::Fail(ErrorKind::StorageFull));
    let Err(refusal) = claim.give_back(&client) else { panic!("the disk is full") };
    assert_eq!(client.calls()["append"], said + 1);
    assert!(matches!(refusal.0.give_back(&client), Ok(Commit::Done)));
    assert_eq!(client.calls()["append"], said + 2, "what could not be written may be gone");
}

/// From now on every write by the first file that is written to fails: a server that has forgotten a client's locks answers so for ever.
fn forget_the_next_written(disk: &SimDisk) {
    let forgotten = std::cell::Cell::new(None);
    let is_forgotten = move |_: &str, op: &Op| match op {
        Op::Append { hold, .. } | Op::Flush { hold } => {
            forgotten.set(forgotten.get().or(Some(*hold)));
            forgotten.get() == Some(*hold)
        }
        _ => false,
    };
    disk.inject(u64::MAX, is_forgotten, What::Fail(ErrorKind::Other));
}

#[test]
fn a_claim_whose_open_file_the_server_has_forgotten_is_committed_by_another() {
    let disk = SimDisk::holding(scene(1, 1));
    let client = disk.client("worker");
    let claim = claim(&client, &mut Claimer::new(bench::name("w", 1)));
    let name = claim.name().to_string();
    forget_the_next_written(&disk);
    let Err(refusal) = claim.commit(&client, &Made::default()) else { panic!("the write fails") };
    assert!(matches!(refusal.0.commit(&client, &Made::default()), Ok(Commit::Done)), "the second try writes by an open file of its own");
    let bytes = client.read(&format!("done/{name}"), 1 << 20).expect("committed");
    assert!(flockwork::job::record::own_result(&name, &bytes).is_some(), "with its result");
}

#[test]
fn a_claim_that_was_taken_while_its_open_file_was_forgotten_is_superseded_at_once() {
    let disk = SimDisk::holding(scene(1, 1));
    let client = disk.client("worker");
    let claim = claim(&client, &mut Claimer::new(bench::name("w", 1)));
    let (from, to) = (claim.path(), format!("expired/{}", claim.name()));
    disk.client("boss").rename(&from, &to).expect("taken back");
    forget_the_next_written(&disk);
    assert!(matches!(claim.commit(&client, &Made::default()), Ok(Commit::Superseded)), "or its worker would try for ever");
}

#[test]
fn a_plan_that_was_looked_for_too_early_is_found_all_the_same() {
    let disk = SimDisk::holding(DiskState::new().with_dir("phase"));
    let (worker, boss) = (disk.client("worker"), disk.client("boss"));
    assert!(flockwork::job::plan::Plan::reduce(&worker, root()).expect("a look").is_none());
    let file = flockwork::data::FileSum { name: "map-00000.a1@w.1.x.run".to_owned(), len: 0, crc32: 0, sections: 1 };
    let counted = flockwork::job::plan::Counted { task: 0, attempt: "map-00000.a1@w.1.x".to_owned(), files: vec![file] };
    let _ = flockwork::job::plan::create_reduce(&boss, Path::new("/job"), "bench", 1, std::iter::once(counted)).expect("plan");
    disk.inject(1, |_, op| matches!(op, Op::Look { .. }), What::Stale);
    assert_eq!(assign::shuffle_inputs(&worker, root(), 0).expect("the plan").len(), 1, "a cached absence is no error of the task");
}
