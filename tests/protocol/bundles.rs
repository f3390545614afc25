//! Map tasks that share files, where it matters: who counts what when blocks lie within each other, death and damage at every step, poison, and slow blocks.
//!
//! The random schedules do the same at large (`schedules`); here every case is set up by hand, and for each rule the bug is planted that it keeps out.

use std::sync::Arc;
use std::time::Duration;

use flockwork::data::Failure;
use flockwork::disk::Disk;
use flockwork::disk::sim::run::{SimDisk, Weather};
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::ids::{AttemptId, Block, ClaimName};
use flockwork::job::claim::{Claim, Claimer, Commit, Manners, Tried};
use flockwork::job::end::{End, Outcome};
use flockwork::job::register::Presence;
use flockwork::job::spec::{Bundle, Spec};
use flockwork::worker::Tasks;

use super::bench::{self, Boss, Mini, Size, Slot};
use super::die_at_k::{Deaths, reborn};

const SIZE: Size = Size { maps: 8, reduces: 2 };
const STEPS_MAX: usize = 3_000;

fn spec() -> Spec {
    let mut spec = bench::spec(SIZE);
    spec.ask.bundle = Bundle::AtMost(4);
    spec
}

fn submitted() -> Arc<SimDisk> {
    SimDisk::holding(bench::submitted(SIZE))
}

fn attempt(text: &str) -> AttemptId {
    text.parse().expect("an attempt")
}

fn block(text: &str) -> Block {
    text.parse().expect("a block")
}

fn names(disk: &SimDisk, dir: &str) -> Vec<String> {
    let mut names: Vec<String> = disk.state().children(dir).into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

/// The attempts in a folder, without who holds them.
fn attempts(disk: &SimDisk, dir: &str) -> Vec<String> {
    names(disk, dir).iter().map(|name| name.split('@').next().unwrap_or_default().to_owned()).collect()
}

/// A coordinator that takes four tasks to be as many as should share a file.
fn boss(disk: &Arc<SimDisk>, number: u32) -> Boss {
    Boss::start(&disk.client("boss"), &spec(), SIZE.maps, &bench::name("boss", number)).that_saw(4)
}

/// A worker whose every step is told by the test.
struct Hand {
    disk: Arc<dyn Disk>,
    claimer: Claimer,
    tasks: Mini,
    _presence: Presence,
}

impl Hand {
    fn new(sim: &Arc<SimDisk>, number: u32) -> Hand {
        let disk: Arc<dyn Disk> = Arc::new(sim.client("hand"));
        let presence = Presence::register(&*disk, &bench::name("hand", number), 0).expect("registered");
        let (claimer, tasks) = (Claimer::new(bench::name("hand", number)), Mini::new(Arc::clone(&disk), SIZE.reduces));
        Hand { disk, claimer, tasks, _presence: presence }
    }

    fn claim(&mut self, name: &str) -> Claim {
        match self.claimer.claim(&*self.disk, attempt(name), Manners::Polite).expect("a disk that refuses nothing") {
            Tried::Held(claim) => claim,
            Tried::Lost | Tried::Refused | Tried::AskedToLeave => panic!("{name} is free"),
        }
    }

    fn finish(&mut self, claim: Claim) -> String {
        let name = claim.name().clone();
        let made = self.tasks.run(&name, &flockwork::control::Control::default()).expect("made");
        assert_eq!(claim.commit(&*self.disk, &made).map_err(|refusal| refusal.1).expect("committed"), Commit::Done, "{name}");
        name.to_string()
    }

    fn does(&mut self, name: &str) -> String {
        let claim = self.claim(name);
        self.finish(claim)
    }
}

/// A coordinator that nobody told how large blocks are issues this one all the same.
fn issue(disk: &Arc<SimDisk>, attempt: AttemptId) {
    let client = disk.client("another coordinator");
    let path = flockwork::job::layout::pending(attempt);
    flockwork::disk::create::write_whole(&client, &path, b"", flockwork::disk::Flush::Always).expect("issued");
}

/// Lets one worker and one coordinator bring the job to its end; `meddle` is called between their turns.
fn until_its_end(disk: &Arc<SimDisk>, boss: &mut Boss, slot: &mut Slot, mut meddle: impl FnMut(&SimDisk)) -> End {
    for _ in 0..STEPS_MAX {
        if boss.step() == Turn::Done {
            return bench::end(&disk.state()).expect("an end");
        }
        let _ = slot.step();
        meddle(disk);
        disk.advance(Duration::from_millis(500));
    }
    panic!("it must end\n{}", bench::tree(&disk.state()));
}

fn slot(disk: &Arc<SimDisk>) -> Slot {
    Slot::start(&disk.client("worker"), &spec(), &bench::name("w", 1))
}

#[test]
fn what_is_never_tried_is_issued_in_blocks_and_each_is_one_file() {
    let disk = submitted();
    let (mut boss, mut slot) = (boss(&disk, 1), slot(&disk));
    let _ = boss.step();
    assert_eq!(attempts(&disk, "pending"), ["map-00000+3.a1", "map-00004+3.a1"]);
    let end = until_its_end(&disk, &mut boss, &mut slot, |_| {});
    bench::assert_finished(&disk.state(), SIZE, "two blocks");
    assert_eq!((end.attempts.done, names(&disk, "shuffle").len()), (4, 4), "two maps and two reduces, each map one file for each reduce");
}

/// One coordinator made blocks of four, another knew of tasks that had been tried alone: 1 and 2 are done twice.
#[test]
fn of_blocks_within_each_other_the_largest_counts_and_no_task_twice() {
    let disk = submitted();
    let mut hand = Hand::new(&disk, 1);
    for (name, done) in [("map-00001.a1", 1), ("map-00002+1.a1", 2)] {
        issue(&disk, attempt(name));
        hand.does(name);
        assert_eq!(names(&disk, "done").len(), done);
    }
    issue(&disk, attempt("map-00000+3.a1"));
    hand.does("map-00000+3.a1");
    let _ = until_its_end(&disk, &mut boss(&disk, 1), &mut slot(&disk), |_| {});
    bench::assert_finished(&disk.state(), SIZE, "each task is counted once");
    let plan = String::from_utf8(disk.state().bytes("phase/reduce").expect("a plan").to_vec()).expect("text");
    assert_eq!(plan.matches("\"attempt\"").count(), 2, "{plan}");
    assert!(plan.contains("map-00000+3.a1@") && !plan.contains("map-00001.a1@"), "{plan}");
}

#[test]
fn what_lies_around_a_done_part_is_issued_in_the_blocks_that_are_left() {
    let disk = submitted();
    let mut hand = Hand::new(&disk, 1);
    issue(&disk, attempt("map-00005.a1"));
    hand.does("map-00005.a1");
    let _ = boss(&disk, 1).step();
    assert_eq!(attempts(&disk, "pending"), ["map-00000+3.a1", "map-00004.a1", "map-00006+1.a1"]);
}

#[test]
fn a_copy_is_dropped_when_every_task_of_it_is_done_and_not_before() {
    let disk = submitted();
    let (mut hand, mut boss) = (Hand::new(&disk, 1), boss(&disk, 1));
    issue(&disk, attempt("map-00000+3.a1"));
    let slow = hand.claim("map-00000+3.a1");
    for (part, dropped) in [("map-00000.a2", false), ("map-00001.a2", false), ("map-00002+1.a2", true)] {
        issue(&disk, attempt(part));
        hand.does(part);
        let _ = boss.step();
        assert_eq!(names(&disk, "claimed").is_empty(), dropped, "after {part}\n{}", bench::tree(&disk.state()));
    }
    let made = hand.tasks.run(slow.name(), &flockwork::control::Control::default()).expect("made");
    assert_eq!(slow.commit(&*hand.disk, &made).map_err(|refusal| refusal.1).expect("no refusal"), Commit::Superseded);
}

#[test]
fn a_block_that_fails_or_is_lost_is_issued_as_its_halves_and_one_given_back_as_itself() {
    let disk = submitted();
    let (mut hand, mut boss) = (Hand::new(&disk, 1), boss(&disk, 1));
    let _ = boss.step();
    let failed = hand.claim("map-00000+3.a1").fail(&*hand.disk, flockwork::job::record::TaskError::App("no".to_owned()));
    assert_eq!(failed.map_err(|refusal| refusal.1).expect("reported"), Commit::Done);
    let given_back = hand.claim("map-00004+3.a1").give_back(&*hand.disk);
    assert_eq!(given_back.map_err(|refusal| refusal.1).expect("given back"), Commit::Done);
    let _ = boss.step();
    assert_eq!(attempts(&disk, "pending"), ["map-00000+1.a2", "map-00002+1.a2", "map-00004+3.a2"]);
    let _dies = hand.claim("map-00004+3.a2");
    for _ in 0..20 {
        disk.advance(Duration::from_secs(1));
        let _ = boss.step();
    }
    assert_eq!(attempts(&disk, "pending"), ["map-00000+1.a2", "map-00002+1.a2", "map-00004+1.a3", "map-00006+1.a3"]);
}

/// Task 2 cannot be done, whoever tries.
fn poison(claim: &ClaimName) -> Option<Failure> {
    claim.attempt.block().holds(block("map-00002")).then(|| Failure::App(format!("poison in {}", claim.attempt)))
}

#[test]
fn a_poisoned_task_fails_alone_and_its_neighbours_have_no_error_in_their_book() {
    let disk = submitted();
    let mut slot = slot(&disk);
    slot.tasks.mishap = poison;
    let end = until_its_end(&disk, &mut boss(&disk, 1), &mut slot, |_| {});
    assert_eq!(end.outcome, Outcome::Failed);
    assert_eq!(end.error.as_deref(), Some("map-00002 failed 4 times, at last with: poison in map-00002.a6"));
    assert!(end.blames.len() == 4 && end.blames.iter().all(|name| name.starts_with("map-00002.a")), "{:?}", end.blames);
    let failed = ["map-00000+3.a1", "map-00002+1.a2", "map-00002.a3", "map-00002.a4", "map-00002.a5", "map-00002.a6"];
    assert_eq!(attempts(&disk, "failed"), failed);
    assert!(attempts(&disk, "done").contains(&"map-00003.a3".to_owned()), "its neighbour is done\n{}", bench::tree(&disk.state()));
}

#[test]
fn a_task_that_fails_only_in_company_or_at_first_changes_no_byte() {
    let disk = submitted();
    let mut slot = slot(&disk);
    slot.tasks.mishap = |claim| poison(claim).filter(|_| claim.attempt.number < 5);
    let _ = until_its_end(&disk, &mut boss(&disk, 1), &mut slot, |_| {});
    bench::assert_finished(&disk.state(), SIZE, "two halvings and two errors");
}

#[test]
fn a_slow_block_is_backed_up_by_its_halves() {
    let disk = submitted();
    let (mut hand, mut idle, mut boss) = (Hand::new(&disk, 1), Hand::new(&disk, 2), boss(&disk, 1));
    let _third = Hand::new(&disk, 3);
    issue(&disk, attempt("map-00000+1.a1"));
    let slow = hand.claim("map-00000+1.a1");
    let _ = boss.step();
    // More than half of the tasks are done, so it is known what they take.
    ["map-00002+1.a1", "map-00004+3.a1"].iter().for_each(|name| _ = idle.does(name));
    for _ in 0..8 {
        disk.advance(Duration::from_millis(900));
        hand.disk.touch(&slow.path()).expect("it beats");
        let _ = boss.step();
    }
    assert_eq!(attempts(&disk, "pending"), ["map-00000.a2", "map-00001.a2"], "\n{}", bench::tree(&disk.state()));
    idle.does("map-00000.a2");
    let _ = boss.step();
    assert_eq!(names(&disk, "claimed").len(), 1, "half of it is not all of it");
    idle.does("map-00001.a2");
    let _ = until_its_end(&disk, &mut boss, &mut Slot::start(&disk.client("worker"), &spec(), &bench::name("w", 1)), |_| {});
    bench::assert_finished(&disk.state(), SIZE, "the halves were quicker");
}

/// After the reduce plan the files of `map-00004+3` are lost, while a larger block, which holds tasks that other lines count as well, has come to lie in `done/` since.
fn lost_after_the_plan(tasks_see: fn(Mini) -> Box<dyn Tasks>) -> (Arc<SimDisk>, End) {
    let disk = submitted();
    let (mut hand, mut boss) = (Hand::new(&disk, 1), boss(&disk, 1));
    issue(&disk, attempt("map-00000+7.a1"));
    let late = hand.claim("map-00000+7.a1");
    // (another coordinator knows nothing of it)
    for name in ["map-00000+3.a1", "map-00004+3.a1"] {
        issue(&disk, attempt(name));
        hand.does(name);
    }
    let planner = disk.client("planner");
    let counted = names(&disk, "done").into_iter().map(|attempt| {
        let claim: ClaimName = attempt.parse().expect("a claim");
        let (made, _) = bench::map_made(&claim, SIZE.reduces);
        flockwork::job::plan::Counted { task: claim.attempt.task.number, attempt, files: made.files }
    });
    let _ = flockwork::job::plan::create_reduce(&planner, bench::root(), "bench", SIZE.maps, counted).expect("planned");
    hand.finish(late);
    for name in names(&disk, "shuffle").iter().filter(|name| name.starts_with("map-00004+3")) {
        planner.remove(&format!("shuffle/{name}")).expect("lost");
    }
    let mut slot = slot(&disk);
    let mut tasks = tasks_see(Mini::new(Arc::new(disk.client("worker")), SIZE.reduces));
    for _ in 0..STEPS_MAX {
        if boss.step() == Turn::Done {
            break;
        }
        let _ = slot.turn(&mut *tasks);
        disk.advance(Duration::from_millis(500));
    }
    let end = bench::end(&disk.state()).unwrap_or_else(|| panic!("it must end\n{}", bench::tree(&disk.state())));
    (disk, end)
}

#[test]
fn what_is_lost_after_the_reduce_plan_is_made_anew_within_its_line() {
    let (disk, _) = lost_after_the_plan(|mini| Box::new(mini));
    bench::assert_finished(&disk.state(), SIZE, "a larger block in done/ is left where it is");
    let anew: Vec<String> = attempts(&disk, "done").into_iter().filter(|name| name.starts_with("map-") && name.ends_with(".a2")).collect();
    assert_eq!(anew, ["map-00004+1.a2", "map-00006+1.a2"], "the halves of what was lost\n{}", bench::tree(&disk.state()));
}

#[test]
fn a_reduce_plan_with_a_line_beyond_the_job_fails_it_and_is_not_worked_on_for_ever() {
    for lines in [["map-00000+15.a1@w-1.1.x"].as_slice(), &["map-00000+3.a1@w-1.1.x", "map-00004+3.a1@w-1.1.x", "map-00008+3.a1@w-1.1.x"]] {
        let disk = submitted();
        let counted = lines.iter().map(|attempt| {
            let claim: ClaimName = attempt.parse().expect("a claim");
            let (made, _) = bench::map_made(&claim, SIZE.reduces);
            flockwork::job::plan::Counted { task: claim.attempt.task.number, attempt: (*attempt).to_owned(), files: made.files }
        });
        let planner = disk.client("planner");
        let _ = flockwork::job::plan::create_reduce(&planner, bench::root(), "bench", SIZE.maps, counted).expect("planned");
        let end = until_its_end(&disk, &mut boss(&disk, 1), &mut slot(&disk), |_| {});
        assert_eq!(end.outcome, Outcome::Failed, "{lines:?}");
        assert!(end.error.is_some_and(|error| error.contains("the reduce plan")), "{lines:?}");
    }
}

/// A worker that reads a larger block for one that was retracted.
struct Greedy(Mini);

impl Tasks for Greedy {
    fn run(&mut self, claim: &ClaimName, control: &flockwork::control::Control) -> Result<flockwork::data::Made, Failure> {
        self.0.takes_larger = true;
        self.0.run(claim, control)
    }

    fn discard(&mut self, claim: &ClaimName) {
        self.0.discard(claim);
    }
}

#[test]
fn planted_13_a_larger_block_taken_for_a_retracted_one_is_found() {
    let (disk, _) = lost_after_the_plan(|mini| Box::new(Greedy(mini)));
    let judged = bench::check_finished(&disk.state(), SIZE);
    assert!(judged.as_ref().is_err_and(|what| what.contains("mr-out")), "tasks are counted twice: {judged:?}");
}

/// Worker and coordinator die at every call of a job of two blocks, one of whose files is lost once, after the reduce plan.
fn run(deaths: Deaths, seed: u64, weather: Weather) -> (u64, u64) {
    let disk = submitted();
    disk.weather(seed, weather);
    let spec = spec();
    let worker = |host, dies_at| {
        let spec = spec.clone();
        reborn(&disk, host, dies_at, move |client, n| Slot::start(client, &spec, &bench::name(host, n)), Slot::step)
    };
    let boss_spec = spec.clone();
    let start = move |client: &_, n| Boss::start(client, &boss_spec, SIZE.maps, &bench::name("boss", n)).that_saw(4);
    let (boss_client, boss) = reborn(&disk, "boss", deaths.coordinator, start, Boss::step);
    let (victim, one) = worker("victim", deaths.worker);
    let (_, other) = worker("other", None);
    let (meddler, seen, mut lost) = (disk.client("meddler"), Arc::clone(&disk), false);
    let meddle: Box<dyn FnMut() -> Turn> = Box::new(move || {
        if lost || seen.has("phase/end") {
            return Turn::Done;
        }
        if seen.has("phase/reduce") && !names(&seen, "done").iter().any(|name| name.starts_with("reduce-")) {
            let files = names(&seen, "shuffle");
            let first = files.iter().find(|name| name.starts_with("map-00004"));
            lost = first.is_some_and(|name| meddler.remove(&format!("shuffle/{name}")).is_ok());
        }
        Turn::Wait(Duration::from_millis(100))
    });
    let about = format!("{deaths:?}, seed {seed}");
    let ending = take_turns(&disk, seed, STEPS_MAX, &mut [boss, one, other, meddle]);
    assert_eq!(ending, Ending::AllEnded, "{about}: it must end\n{}", bench::tree(&disk.state()));
    bench::assert_finished(&disk.state(), SIZE, &about);
    (victim.calls_total(), boss_client.calls_total())
}

const SEEDS: std::ops::Range<u64> = 0..4;

#[test]
fn a_worker_of_blocks_killed_at_any_disk_call_changes_no_byte() {
    for seed in SEEDS {
        let (calls, _) = run(Deaths::default(), seed, Weather::default());
        (1..=calls).for_each(|k| _ = run(Deaths { worker: Some(k), ..Deaths::default() }, seed, Weather::default()));
    }
}

#[test]
fn a_coordinator_of_blocks_killed_at_any_disk_call_changes_no_byte() {
    for seed in SEEDS {
        let (_, calls) = run(Deaths::default(), seed, Weather::default());
        assert!(calls > 50, "{calls} calls");
        (1..=calls).for_each(|k| _ = run(Deaths { coordinator: Some(k), ..Deaths::default() }, seed, Weather::default()));
    }
}
