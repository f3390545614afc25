//! A job that is cancelled, retried and finished, while a coordinator that was to end it, or to name its end, goes on late: it ends nothing and names nothing.
//!
//! Every interleaving of the calls that decide, name and take back; and the real coordinator stopped at every single disk call of a job that is cancelled, and
//! resumed after its retry. Each is shown to fail where a retry leaves alone what coordinators hold ends by.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use flockwork::disk::sim::client::SimClient;
use flockwork::disk::sim::explore::{Explorer, Report, Violation};
use flockwork::disk::sim::run::{SimDisk, Weather};
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::disk::sim::world::{Actor, Fate, Faults, Step, World};
use flockwork::disk::{Disk, create};
use flockwork::job::end::{self, Attempts, End, Outcome};
use flockwork::job::{layout, retry};

use super::bench::{self, Boss, Size};
use super::lens::{Lens, Mutant};
use super::puppet::{Puppet, Said};
use super::scenarios::shim::Shim;
use super::sleeper::{Habits, Sleeper};

const STATES_MAX: usize = 300_000;

/// What somebody cannot see.
type Hides = fn(&str) -> bool;

const NOTHING: Hides = |_| false;
const ENDINGS: Hides = |path| path.starts_with("phase/ending.");
const RETRIES: Hides = |path| path.starts_with("phase/failed.");

fn seen_through(disk: Arc<dyn Disk>, hides: Hides) -> Shim {
    Shim { hides: Arc::new(hides), ..Shim::over(disk) }
}

fn eyes(client: &SimClient, hides: Hides) -> Shim {
    seen_through(Arc::new(Lens::new(client, Mutant::None)), hides)
}

fn an_end(by: u32, outcome: Outcome) -> End {
    let by = bench::name("boss", by).to_string();
    let (blames, outputs, skipped, counters) = Default::default();
    End { outcome, at: String::new(), by, error: None, blames, outputs, skipped, counters, attempts: Attempts::default(), busy_ms: 0 }
}

fn lies_in(disk: &dyn Disk, dir: &str, name: &str) -> bool {
    disk.list(dir).expect("listed").iter().any(|entry| entry.name == name)
}

/// A coordinator that sees that the job was cancelled, or that a task failed too often, looks into `phase/` as it does after everything else, and then ends the job, or
/// names an end without a name. What a retry has forgiven is no reason any more.
/// (Between its steps it remembers only what it decides by: ways that differ in nothing else meet again.)
fn ender(outcome: Outcome, hides: Hides) -> Actor {
    Box::new(move |client, memory| {
        let disk = eyes(client, hides);
        let (step, retried) = memory.split_once(' ').unwrap_or((memory, ""));
        match step {
            "" if lies_in(&disk, ".", layout::CANCEL) || outcome == Outcome::Failed => return Step::Again("look".to_owned()),
            "look" => {
                let names: Vec<String> = disk.list("phase").expect("listed").into_iter().map(|entry| entry.name).collect();
                let has = |name: &str| names.iter().any(|found| found == name);
                let retried: Vec<String> = names.iter().filter(|name| layout::is_taken_back(name)).cloned().collect();
                match has("end") {
                    false if outcome == Outcome::Failed && !retried.is_empty() => {}
                    false => return Step::Again(format!("decide {}", retried.join(" "))),
                    true if !has("finished") && !has("failed") => return Step::Again("name".to_owned()),
                    true => {}
                }
            }
            "decide" => {
                let retried: Vec<String> = retried.split_whitespace().map(str::to_owned).collect();
                end::decide(&disk, bench::root(), &an_end(1, outcome), &retried).expect("decided");
            }
            "name" => end::name(&disk, bench::root(), &bench::name("boss", 1).to_string()).expect("named"),
            _ => {}
        }
        Step::Done("went on".to_owned())
    })
}

/// Another coordinator that ends the job, where it has not ended; whoever retries it then; and the coordinator that leads it to its good end.
fn others(hides: Hides) -> Actor {
    Box::new(move |client, memory| {
        let disk = eyes(client, if memory == "retry" { hides } else { NOTHING });
        match memory {
            "" if !lies_in(&disk, "phase", "end") => {
                end::decide(&disk, bench::root(), &an_end(2, Outcome::Cancelled), &[]).expect("decided");
            }
            "retry" => match retry::retry(&disk, bench::root()) {
                Ok(()) => return Step::Again("finish".to_owned()),
                Err(_) => return Step::Done("refused".to_owned()),
            },
            "finish" => {
                let retried = end::taken_back(&disk).expect("listed");
                end::decide(&disk, bench::root(), &an_end(9, Outcome::Finished), &retried).expect("decided");
                return Step::Done("retried".to_owned());
            }
            _ => {}
        }
        Step::Again("retry".to_owned())
    })
}

fn outcome(state: &DiskState) -> Option<Outcome> {
    bench::end(state).map(|end| end.outcome)
}

/// In any state: a good end is not called a bad one.
fn is_called_rightly(world: &World) -> Result<(), String> {
    let inode = |name: &str| world.disk.inode(&format!("phase/{name}"));
    match outcome(&world.disk) {
        Some(Outcome::Finished) if inode("failed") == inode("end") => Err("a good end is called failed".to_owned()),
        Some(Outcome::Cancelled) if inode("finished") == inode("end") => Err("a bad end is called finished".to_owned()),
        Some(_) | None => Ok(()),
    }
}

/// Where nothing more happens.
fn is_ended_rightly(world: &World) -> Result<(), String> {
    let names: Vec<String> = world.disk.children("phase").into_iter().map(|entry| entry.name).collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    let somebody_died = world.actors.contains(&Fate::Crashed);
    if !somebody_died && names.iter().any(|name| layout::is_ending(name)) {
        return Err(format!("an end is on its way for ever: {names:?}"));
    }
    if world.results().any(|said| said == "retried")
        && !(outcome(&world.disk) == Some(Outcome::Finished) && !has("failed") && !has("end.2"))
    {
        return Err(format!("it was retried and finished, and lies there as {:?}: {names:?}", outcome(&world.disk)));
    }
    Ok(())
}

/// A job that was cancelled; `is_ended`: and has its end, without a second name.
fn scene(is_ended: bool) -> DiskState {
    let state = bench::submitted(Size { maps: 1, reduces: 1 }).with_file("cancel", b"");
    let end = serde_json::to_vec(&an_end(8, Outcome::Cancelled)).expect("an end");
    if is_ended { state.with_file("phase/end", &end) } else { state }
}

fn explore(scene: DiskState, actors: Vec<Actor>, faults: Faults) -> Result<Report, Violation> {
    Explorer { actors, initial: scene, faults, states_max: STATES_MAX }.explore(is_called_rightly, is_ended_rightly)
}

fn proven(result: Result<Report, Violation>) {
    let report = result.unwrap_or_else(|violation| panic!("{violation}"));
    println!("{report:?}");
    assert!(report.states > 100 && report.ends > 1, "{report:?}");
}

#[test]
fn scenario_06_no_coordinator_ends_or_names_a_job_that_was_retried_since_it_looked() {
    let (none, one) = (Faults::default(), Faults { lost_replies: 1, ..Faults::default() });
    for faults in [none, one, Faults { crashes: 1, ..none }, Faults { delays: 1, ..none }] {
        for outcome in [Outcome::Cancelled, Outcome::Failed] {
            proven(explore(scene(false), vec![ender(outcome, NOTHING), others(NOTHING)], faults));
            proven(explore(scene(true), vec![ender(outcome, NOTHING), others(NOTHING)], faults));
        }
    }
}

#[test]
fn a_retry_that_leaves_the_names_that_ends_are_held_by_and_a_coordinator_that_sees_no_retry_do_harm() {
    use Outcome::{Cancelled, Failed};
    let cases = [(false, Cancelled, NOTHING, ENDINGS), (false, Failed, RETRIES, NOTHING), (true, Cancelled, NOTHING, ENDINGS)];
    for (is_ended, outcome, of_coordinator, of_retry) in cases {
        let actors = vec![ender(outcome, of_coordinator), others(of_retry)];
        let violation = explore(scene(is_ended), actors, Faults::default());
        let violation = violation.expect_err(&format!("must be found: {outcome:?}, ended: {is_ended}"));
        assert!(violation.what.contains("it was retried"), "{violation}");
    }
}

const SIZE: Size = Size { maps: 3, reduces: 2 };
const STEPS_MAX: usize = 5_000;

/// When the old coordinator stops, and for how long.
#[derive(Debug, Clone, Copy)]
struct Stop {
    at: Option<u64>,
    stays: Duration,
    seed: u64,
}

/// The old coordinator, on a thread of its own; it counts its calls.
fn old(disk: &Arc<SimDisk>, stop: Stop) -> (Puppet, Arc<AtomicU64>) {
    let (mut puppet, go, tell) = Puppet::new(disk);
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    puppet.hang("old", stop.stays, move |_| Some(counted.fetch_add(1, Relaxed) + 1) == stop.at);
    let client = disk.client("old");
    std::thread::spawn(move || {
        let mut boss = None;
        while go.recv().is_ok() {
            let boss = boss.get_or_insert_with(|| Boss::start(&client, &bench::spec(SIZE), SIZE.maps, &bench::name("boss", 1)));
            if tell.send(Said::Turn(boss.step())).is_err() {
                return;
            }
        }
    });
    (puppet, calls)
}

/// What people do: they cancel the job when something of it is done, and when it has ended, they retry it, once.
fn people<'a>(disk: &'a Arc<SimDisk>, hides: Hides, retried: &'a Cell<bool>) -> impl FnMut() -> Turn + 'a {
    let hand = disk.client("people");
    let mut is_cancelled = false;
    move || {
        let state = disk.state();
        if is_cancelled && bench::end(&state).is_some() {
            let through = seen_through(Arc::new(hand.clone()), hides);
            retry::retry(&through, bench::root()).expect("retried");
            retried.set(true);
            return Turn::Done;
        }
        if !is_cancelled && !state.children("done").is_empty() {
            let _ = create::create_once(&hand, layout::CANCEL, b"").expect("created");
            is_cancelled = true;
        }
        Turn::Wait(Duration::from_millis(300))
    }
}

/// One life after the other, until the retried job has ended: whoever finds the job ended goes.
fn lives<'a, L: 'a>(
    disk: &'a Arc<SimDisk>,
    retried: &'a Cell<bool>,
    mut start: impl FnMut(u32) -> Option<L> + 'a,
    step: fn(&mut L) -> Turn,
) -> impl FnMut() -> Turn + 'a {
    let (mut number, mut life) = (1, None);
    move || {
        let is_over = || retried.get() && bench::end(&disk.state()).is_some();
        if life.is_none() {
            number += 1;
            life = start(number);
        }
        match life.as_mut().map_or(Turn::Done, step) {
            Turn::Done if is_over() => Turn::Done,
            Turn::Done => {
                life = None;
                Turn::Wait(Duration::from_millis(700))
            }
            turn => turn,
        }
    }
}

/// Runs the job to its good end; what is wrong with that, and whether the old one went on after the retry.
fn run(stop: Stop, weather: Weather, hides: Hides) -> (u64, bool, Result<(), String>) {
    let (disk, spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    disk.weather(stop.seed, weather);
    let (puppet, calls) = old(&disk, stop);
    let (puppet, retried, late) = (RefCell::new(puppet), Cell::new(false), Cell::new(false));
    let habits = Habits { takes: |_| Duration::from_secs(4), ..Habits::STEADY };
    let mut works = lives(&disk, &retried, |n| Some(Sleeper::start(&disk, &spec, n, stop.seed, habits)), Sleeper::step);
    let leads = |n| {
        let is_needed = puppet.borrow().stopped.is_some() || retried.get();
        is_needed.then(|| Boss::start(&disk.client("new"), &spec, SIZE.maps, &bench::name("boss", n)))
    };
    let mut leads = lives(&disk, &retried, leads, Boss::step);
    let mut acts = people(&disk, hides, &retried);
    let mut actors: [Box<dyn FnMut() -> Turn + '_>; 4] = [
        Box::new(&mut works),
        Box::new(&mut leads),
        Box::new(&mut acts),
        Box::new(|| {
            let was_stopped = puppet.borrow().stopped.is_some();
            let turn = puppet.borrow_mut().step();
            late.set(late.get() || was_stopped && retried.get() && puppet.borrow().stopped.is_none());
            turn
        }),
    ];
    let ending = take_turns(&disk, stop.seed, STEPS_MAX, &mut actors);
    drop(actors);
    disk.heal();
    let state = disk.state();
    let judged = if ending == Ending::AllEnded { judge(&state) } else { Err("it does not end".to_owned()) };
    (calls.load(Relaxed), late.get(), judged.map_err(|what| format!("{stop:?}: {what}\n{}", bench::tree(&state))))
}

/// It was cancelled once, and once retried; then it finished, with the right bytes and names.
fn judge(state: &DiskState) -> Result<(), String> {
    let there = |path: &str| state.inode(path).is_some();
    if outcome(state) != Some(Outcome::Finished) {
        return Err(format!("nobody cancelled it again, and it ended {:?}", outcome(state)));
    }
    if state.inode("phase/finished") != state.inode("phase/end")
        || there("phase/failed")
        || there("phase/failed.2")
        || !there("phase/failed.1")
    {
        return Err("its end has wrong names".to_owned());
    }
    if state.children("phase").iter().any(|entry| layout::is_ending(&entry.name)) {
        return Err("an end is on its way for ever".to_owned());
    }
    let wrong = (0..SIZE.reduces)
        .find(|of| state.bytes(&format!("output/{}", layout::output_name(*of))) != Some(bench::expected(SIZE, *of).as_bytes()));
    wrong.map_or(Ok(()), |of| Err(format!("output {of} is wrong")))
}

/// Stops the old one at each call of a run in which it is never stopped; how often it went on after the retry, and what was wrong.
fn at_every_call(stays: Duration, seed: u64, weather: Weather, hides: Hides) -> (usize, Vec<String>) {
    let never = Stop { at: None, stays, seed };
    let (calls, _, judged) = run(never, weather, NOTHING);
    judged.unwrap_or_else(|what| panic!("{what}"));
    let runs = (1..=calls).map(|k| run(Stop { at: Some(k), ..never }, weather, hides));
    let (late, wrong): (Vec<bool>, Vec<_>) = runs.map(|(_, late, judged)| (late, judged.err())).unzip();
    (late.into_iter().filter(|late| *late).count(), wrong.into_iter().flatten().collect())
}

const SPELLS: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(9), Duration::from_secs(300)];
const LOSSES: Weather = Weather { lost_replies_per_mille: 150, stale_per_mille: 50, ..Weather::CALM };

#[test]
fn scenario_06_a_coordinator_stopped_at_any_disk_call_and_resumed_after_a_retry_does_no_harm() {
    let mut late = 0;
    for (stays, seed) in SPELLS.into_iter().zip(0..) {
        for weather in [Weather::default(), LOSSES] {
            let (times, wrong) = at_every_call(stays, seed, weather, NOTHING);
            assert!(wrong.is_empty(), "{} times: {}", wrong.len(), wrong[0]);
            late += times;
        }
    }
    assert!(late > 100, "it went on after the retry {late} times");
}

#[test]
fn a_name_that_is_given_by_the_file_after_a_retry_took_the_name_away_is_taken_back() {
    let disk = SimDisk::holding(scene(true));
    let (old, retries) = (disk.client("old"), disk.client("people"));
    let by = bench::name("boss", 1).to_string();
    // As a client of NFS that was stopped before the link, and sends it all the same: the name is gone, and what it led to is there.
    let reply = move |path: &str, done: std::io::Result<()>| {
        if path != layout::PHASE_FAILED || lies_in(&retries, "phase", "end.1") {
            return done;
        }
        retry::retry(&retries, bench::root()).expect("retried");
        retries.link("phase/end.1", path)
    };
    end::name(&Shim { reply: Arc::new(reply), ..Shim::over(Arc::new(old.clone())) }, bench::root(), &by).expect("nothing is wrong");
    assert!(lies_in(&old, "phase", "end.1") && !lies_in(&old, "phase", "end"), "it was retried");
    assert!(!lies_in(&old, "phase", "failed"), "a job that runs has not failed");
}

#[test]
fn it_does_harm_where_a_retry_leaves_the_names_that_ends_are_held_by() {
    let wrong: usize = SPELLS.into_iter().map(|stays| at_every_call(stays, 0, Weather::default(), ENDINGS).1.len()).sum();
    assert!(wrong > 0, "it must be found");
}
