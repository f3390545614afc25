//! Every interleaving of small cases: real claims, commits, ticks of the coordinator; crashes, lost replies, calls that arrive from the dead.
//!
//! A coordinator may expire any claim at any time here, which stands for every clock, pause and stall. The number of states is pinned, so a change
//! of the protocol cannot pass unnoticed; each invariant is shown to be able to fail by a mutant that must be found. From every end a fresh
//! worker and a fresh coordinator must lead the job to its end, with the right bytes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flockwork::coordinator::Coordinator;
use flockwork::coordinator::leases::Watched;
use flockwork::coordinator::plan::Action;
use flockwork::disk::Disk;
use flockwork::disk::sim::client::SimClient;
use flockwork::disk::sim::explore::{Explorer, Report, Violation};
use flockwork::disk::sim::run::{SimClientDirect, SimDisk};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, take_turns};
use flockwork::disk::sim::world::{Actor, Fate, Faults, Step, World, actor};
use flockwork::ids::{AttemptId, ClaimName, TaskId, WorkerName};
use flockwork::job::claim::{Claimer, Commit, Manners, Tried};
use flockwork::job::log::Log;
use flockwork::job::record::Ended;
use flockwork::job::snapshot::{Belief, Shape, Snapshot};

use super::bench::{self, Boss, Size, Slot};
use super::lens::{Lens, Mutant};

const STATES_MAX: usize = 3_000_000;

/// Map tasks issued, workers registered.
pub fn scene(maps: u32, workers: u32) -> DiskState {
    let mut state = bench::submitted(Size { maps, reduces: 1 });
    for task in 0..maps {
        let issued = format!(
            "{{\"by\":\"boss.0.x\",\"at\":\"then\",\"event\":{{\"issued\":{{\"task\":\"map-0000{task}.a1\",\"job\":\"bench\"}}}}}}\n"
        );
        state = state.with_file(&format!("pending/map-0000{task}.a1"), issued.as_bytes());
    }
    (1..=workers).fold(state.with_file("coordinator.lock", b""), |state, n| state.with_file(&format!("workers/w.{n}.x"), b""))
}

/// How a worker ends what it has claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Commit,
    GiveBack,
}

/// How well a worker remembers what it has held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    Good,
    /// A new [`Claimer`] of the same name for every listing.
    None,
}

/// A worker that lists `pending/` so often and tries everything in it; what it believes to have done, in words.
pub struct Hand {
    pub name: WorkerName,
    pub listings: u32,
    pub manners: Manners,
    pub verb: Verb,
    pub recall: Recall,
    pub mutant: Mutant,
}

impl Hand {
    pub fn number(n: u32) -> Hand {
        Hand {
            name: bench::name("w", n),
            listings: 1,
            manners: Manners::Polite,
            verb: Verb::Commit,
            recall: Recall::Good,
            mutant: Mutant::None,
        }
    }

    /// All of it in one step.
    pub fn actor(self) -> Actor {
        actor(move |client| self.act(client))
    }

    /// One listing, and then a step per attempt: between two attempts it remembers only what it has said and what it has not tried yet, so that ways
    /// that differ in nothing else meet again. (No name is issued twice in its scenes, so its claimer has nothing to remember.)
    pub fn stepwise(self) -> Actor {
        Box::new(move |client, memory| {
            let disk = Lens::new(client, self.mutant);
            let (said, rest) = memory.split_once('|').unwrap_or_default();
            let mut rest: Vec<AttemptId> = rest.split_whitespace().filter_map(|name| name.parse().ok()).collect();
            let mut said = said.to_owned();
            match rest.pop() {
                None if memory.is_empty() => rest = self.list(&disk),
                None => return Step::Done(said),
                Some(attempt) => {
                    let more = self.attempt(&disk, &mut Claimer::new(self.name.clone()), attempt);
                    said = format!("{said} {}", more.unwrap_or_default()).trim().to_owned();
                }
            }
            let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
            if rest.is_empty() { Step::Done(said) } else { Step::Again(format!("{said}|{}", rest.join(" "))) }
        })
    }

    /// Two workers begin at different ends.
    fn list(&self, disk: &Lens) -> Vec<AttemptId> {
        let mut free: Vec<AttemptId> = disk.list("pending").expect("list").iter().filter_map(|entry| entry.name.parse().ok()).collect();
        if self.name.pid().is_multiple_of(2) {
            free.reverse();
        }
        free
    }

    fn act(&self, client: &SimClient) -> String {
        let disk = Lens::new(client, self.mutant);
        let mut claimer = Claimer::new(self.name.clone());
        let mut said = Vec::new();
        for _ in 0..self.listings {
            if self.recall == Recall::None {
                claimer = Claimer::new(self.name.clone());
            }
            for attempt in self.list(&disk) {
                said.extend(self.attempt(&disk, &mut claimer, attempt));
            }
        }
        said.join(" ")
    }

    fn attempt(&self, disk: &Lens, claimer: &mut Claimer, attempt: AttemptId) -> Option<String> {
        match claimer.claim(disk, attempt, self.manners).expect("a disk without errors") {
            Tried::Held(claim) => {
                let name = claim.name().clone();
                let (made, _) = bench::map_made(&name, 1);
                let ended = match self.verb {
                    Verb::Commit => claim.commit(disk, &made),
                    Verb::GiveBack => claim.give_back(disk),
                };
                let word = match (ended.map_err(|refusal| refusal.1).expect("a disk without errors"), self.verb) {
                    (Commit::Done, Verb::Commit) => "done",
                    (Commit::Done, Verb::GiveBack) => "expired",
                    (Commit::Superseded, _) => "superseded",
                };
                Some(format!("{word}/{name}"))
            }
            Tried::Lost | Tried::Refused | Tried::AskedToLeave => None,
        }
    }
}

pub fn coordinator(client: &SimClient, scene: &DiskState, number: u32) -> Coordinator {
    // Nobody touches these in any scene here.
    let canned = Lens::new(client, Mutant::None).with_canned(scene, &[".", "workers", "phase", "failed"]);
    let (maps, spec) = (scene.children("pending").len().max(1), bench::spec(Size { maps: 1, reduces: 1 }));
    let name = bench::name("boss", number);
    Coordinator::new(Arc::new(canned), bench::root().to_owned(), name, spec, u32::try_from(maps).expect("few"), Log::none())
}

/// A snapshot for actions that do not look at theirs.
pub fn any_snapshot() -> Snapshot {
    let empty = SimDisk::holding(bench::submitted(Size { maps: 1, reduces: 1 }));
    Snapshot::take(&empty.client("c"), Shape { maps: 1, reduces: 1 }, Belief::Sure).expect("a snapshot")
}

/// What a reaper does after it has taken a claim back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// One whole tick, which issues anew.
    Tick,
    /// Nothing: whoever leads on from the end issues anew.
    Nothing,
}

/// A coordinator that once, at any time, takes the first claim it sees for dead, whatever else it could have seen.
pub fn reaper(scene: &DiskState, number: u32, after: After) -> Actor {
    let (scene, snapshot) = (scene.clone(), any_snapshot());
    Box::new(move |client, memory| match memory {
        "" => match client.list("claimed").expect("list").first() {
            Some(entry) => Step::Again(entry.name.clone()),
            None => Step::Done(String::new()),
        },
        "expired" => {
            let _ = coordinator(client, &scene, number).tick(&Watched::default()).expect("a tick");
            Step::Done(String::new())
        }
        claim => {
            let expire = Action::Expire(claim.parse().expect("ours"), Ended::Lost);
            coordinator(client, &scene, number).apply(&snapshot, &expire).expect("expire");
            if after == After::Tick { Step::Again("expired".to_owned()) } else { Step::Done(String::new()) }
        }
    })
}

/// The other coordinator's issue of `map-00000.a1`, from a look before the first one's.
fn late_issuer(scene: &DiskState) -> Actor {
    let (scene, snapshot) = (scene.clone(), any_snapshot());
    actor(move |client| {
        coordinator(client, &scene, 9).apply(&snapshot, &Action::Issue(TaskId::map(0).attempt(1))).expect("issue");
        String::new()
    })
}

/// What every state must be like. (What a file in `done/` holds need be looked at in the ends only: content is only ever appended.)
pub fn always(world: &World) -> Result<(), String> {
    bench::check_always(&world.disk)
}

/// What an end must be like: what live workers believe is so, and only the dead hold claims.
pub fn beliefs(world: &World) -> Result<(), String> {
    for fate in &world.actors {
        let Fate::Finished(said) = fate else { continue };
        for word in said.split_whitespace() {
            let (state, name) = word.split_once('/').expect("said so");
            let lies = |dir: &str| world.disk.inode(&format!("{dir}/{name}")).is_some();
            let ok = if state == "superseded" { lies("expired") } else { lies(state) || (state == "done" && lies("expired")) };
            if !ok {
                return Err(format!("a worker believes {word}\n{}", bench::tree(&world.disk)));
            }
        }
    }
    let dead = |name: &WorkerName| world.actors.get(name.pid() as usize - 1) == Some(&Fate::Crashed);
    for entry in world.disk.children("claimed") {
        let claim: ClaimName = entry.name.parse().expect("ours");
        if !dead(&claim.worker) {
            return Err(format!("claimed/{claim} is held by nobody who knows"));
        }
    }
    Ok(())
}

/// From here a fresh worker and a fresh coordinator lead the job to its end.
fn goes_on_to_the_end(disk: &DiskState, maps: u32) -> Result<(), String> {
    goes_on_by(disk, maps, |client| Arc::new(client))
}

/// The same with a coordinator whose disk is made of its client so.
pub fn goes_on_by(disk: &DiskState, maps: u32, eyes: fn(SimClientDirect) -> Arc<dyn Disk>) -> Result<(), String> {
    let (size, mut state) = (Size { maps, reduces: 1 }, disk.clone());
    for entry in disk.children("done") {
        let claim: ClaimName = entry.name.parse().expect("ours");
        let (made, contents) = bench::map_made(&claim, 1);
        state = state.with_file(&format!("shuffle/{}", made.files[0].name), &contents[0]);
    }
    // The dead hold nothing open.
    (0..9).for_each(|client| state.close_all(client));
    let (disk, spec) = (SimDisk::holding(state), bench::spec(size));
    let mut slot = Slot::start(&disk.client("fresh"), &spec, &bench::name("fresh", 1));
    let mut boss = Boss::start_on(eyes(disk.client("boss")), &spec, maps, &bench::name("boss", 7));
    let ending = take_turns(&disk, 1, 500, &mut [Box::new(move || boss.step()), Box::new(move || slot.step())]);
    if ending != Ending::AllEnded {
        return Err(format!("nothing gets done any more\n{}", bench::tree(&disk.state())));
    }
    bench::check_finished(&disk.state(), size)
}

/// The names and contents of the task directories.
fn essence(state: &DiskState) -> BTreeMap<String, Vec<u8>> {
    let dirs = ["pending", "claimed", "done", "failed", "expired"];
    let paths = dirs.iter().flat_map(|dir| state.children(dir).into_iter().map(move |entry| format!("{dir}/{}", entry.name)));
    paths.map(|path| (path.clone(), state.bytes(&path).unwrap_or_default().to_owned())).collect()
}

/// Explores; at every end also `count`s.
pub fn explore(scene: DiskState, maps: u32, actors: Vec<Actor>, faults: Faults, count: impl Fn(&World)) -> Result<Report, Violation> {
    let ended = RefCell::new(BTreeSet::new());
    Explorer { actors, initial: scene, faults, states_max: STATES_MAX }.explore(always, |world| {
        beliefs(world)?;
        bench::check_records(&world.disk)?;
        count(world);
        if ended.borrow_mut().insert(essence(&world.disk)) { goes_on_to_the_end(&world.disk, maps) } else { Ok(()) }
    })
}

pub fn proven(result: Result<Report, Violation>) -> (usize, usize) {
    let report = result.unwrap_or_else(|violation| panic!("{violation}"));
    (report.states, report.ends)
}

fn two_by_two(mutant: Mutant, after: After, faults: Faults, count: impl Fn(&World)) -> Result<Report, Violation> {
    two_like(|n| Hand { mutant, ..Hand::number(n) }, after, faults, count)
}

fn two_like(hand: impl Fn(u32) -> Hand, after: After, faults: Faults, count: impl Fn(&World)) -> Result<Report, Violation> {
    let scene = scene(2, 2);
    let hand = |n| hand(n).stepwise();
    let actors = vec![hand(1), hand(2), reaper(&scene, 1, after)];
    explore(scene, 2, actors, faults, count)
}

/// Two hands at one task that is issued a second time, by a coordinator that looked before the first time.
fn issued_twice(hands: [Hand; 2], crashes: u32, count: impl Fn(&World)) -> Result<Report, Violation> {
    let scene = scene(1, 2);
    let mut actors: Vec<Actor> = hands.into_iter().map(Hand::actor).collect();
    actors.push(late_issuer(&scene));
    explore(scene, 1, actors, Faults { crashes, ..Faults::default() }, count)
}

pub fn superseded(world: &World) -> bool {
    world.results().any(|said| said.contains("superseded"))
}

#[test]
fn two_workers_two_tasks_one_expiry_one_crash() {
    let seen = Cell::new(0);
    let faults = Faults { crashes: 1, ..Faults::default() };
    let result = two_by_two(Mutant::None, After::Tick, faults, |world| seen.set(seen.get() + usize::from(superseded(world))));
    assert_eq!(proven(result), (143_993, 399));
    assert!(seen.get() > 0, "a commit is sometimes superseded");
}

#[test]
fn scenario_19_the_same_with_a_lost_reply_and_a_call_that_arrives_from_the_dead() {
    let seen = Cell::new(0);
    let faults = Faults { crashes: 1, delays: 1, lost_replies: 1, ..Faults::default() };
    let result = two_by_two(Mutant::None, After::Nothing, faults, |world| seen.set(seen.get() + usize::from(superseded(world))));
    assert_eq!(proven(result), (56_604, 932));
    assert!(seen.get() > 0, "a commit is sometimes superseded");
}

#[test]
fn two_workers_who_take_no_lock_one_expiry_one_crash_one_lost_reply() {
    let seen = Cell::new(0);
    let faults = Faults { crashes: 1, lost_replies: 1, ..Faults::default() };
    let direct = |n| Hand { manners: Manners::Direct, ..Hand::number(n) };
    let result = two_like(direct, After::Tick, faults, |world| seen.set(seen.get() + usize::from(superseded(world))));
    assert_eq!(proven(result), (485_444, 825));
    assert!(seen.get() > 0, "a commit is sometimes superseded");
}

#[test]
fn an_attempt_issued_twice_is_claimed_without_a_lock_and_counts_once() {
    let hand = |n| Hand { listings: 2, manners: Manners::Direct, ..Hand::number(n) };
    let both = Cell::new(0);
    let result = issued_twice([hand(1), hand(2)], 1, |world| both.set(both.get() + usize::from(world.disk.children("done").len() == 2)));
    assert_eq!(proven(result), (1_184, 50));
    assert!(both.get() > 0, "sometimes both reach done/: the plan of reduce counts one of them");
}

#[test]
fn an_attempt_issued_twice_counts_once_per_file_that_says_so() {
    let hand = |n| Hand { listings: 2, ..Hand::number(n) };
    let both = Cell::new(0);
    let result = issued_twice([hand(1), hand(2)], 1, |world| both.set(both.get() + usize::from(world.disk.children("done").len() == 2)));
    assert_eq!(proven(result), (2_964, 52));
    assert!(both.get() > 0, "sometimes both reach done/: the plan of reduce counts one of them");
}

#[test]
fn two_coordinators_expire_what_they_like() {
    let scene = scene(2, 2);
    let actors =
        vec![Hand::number(1).stepwise(), Hand::number(2).stepwise(), reaper(&scene, 1, After::Nothing), reaper(&scene, 2, After::Nothing)];
    let result = explore(scene, 2, actors, Faults::default(), |_| {});
    assert_eq!(proven(result), (72_772, 231));
}

#[test]
fn giving_back_races_with_expiry() {
    let scene = scene(1, 2);
    let actors =
        vec![Hand { verb: Verb::GiveBack, ..Hand::number(1) }.stepwise(), Hand::number(2).stepwise(), reaper(&scene, 1, After::Tick)];
    let result = explore(scene, 1, actors, Faults { crashes: 1, lost_replies: 1, ..Faults::default() }, |_| {});
    assert_eq!(proven(result), (15_209, 280));
}

#[test]
fn scenario_04_without_the_fence_a_dead_workers_result_counts() {
    let violation = two_by_two(Mutant::NoFence, After::Nothing, Faults::default(), |_| {}).expect_err("must be found");
    assert!(violation.what.contains("two directories"), "{violation}");
}

#[test]
fn without_the_look_after_a_lost_reply_a_worker_believes_what_is_not_so() {
    let faults = Faults { lost_replies: 1, ..Faults::default() };
    let violation = two_by_two(Mutant::NoLostReplyCheck, After::Nothing, faults, |_| {}).expect_err("must be found");
    assert!(violation.to_string().contains("reply lost"), "{violation}");
}

#[test]
fn without_the_look_at_the_inode_a_result_is_written_into_another_attempt() {
    let hand = |n| Hand { mutant: Mutant::NoInodeCheck, listings: 1, ..Hand::number(n) };
    let violation = issued_twice([hand(1), hand(2)], 0, |_| {}).expect_err("must be found");
    assert!(violation.what.contains("0 results of its own"), "{violation}");
}

#[test]
fn a_worker_without_memory_claims_one_name_twice() {
    let hand = |n| Hand { recall: Recall::None, listings: 2, ..Hand::number(n) };
    let violation = issued_twice([hand(1), hand(2)], 0, |_| {}).expect_err("must be found");
    assert!(violation.what.contains("was made 2 times"), "{violation}");
}
