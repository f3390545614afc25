//! A user's own job broken on purpose, and found right.

use std::os::unix::fs::chown;
use std::rc::Rc;

use rustix::process::Signal;

use super::common::{FLOCKWORK, Farm, Program, set_mode};
use super::stragglers::dawdle;

/// Many small tasks, a few seconds of work for two slots.
fn submit(farm: &Farm, app: &str) {
    farm.ok(&["submit", app, "books", "--job", "job", "--split-lines", "12", "--bundle", "1", "--lease", "1s", "--max-lost", "1000"]);
}

fn said(program: &Program, text: &str) -> usize {
    program.stderr().matches(text).count()
}

#[test]
fn a_job_under_chaos_ends_with_the_same_bytes() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    // On an idle machine one job may be over before everything was met: then another is broken.
    let mut met = [0; 3];
    for seed in 0..15 {
        submit(&farm, "wc");
        let seed = seed.to_string();
        let rates = ["--kill-workers", "4/s", "--stop", "1500ms", "--kill-coordinator=500ms", "--seed", &seed];
        let chaos = farm.start(&[&["chaos", "job", "--slots", "2"], &rates[..]].concat());
        chaos.ends_with(0);
        for text in [&format!("the seed is {seed};"), "the job finished", "the bytes are the same"] {
            assert!(said(&chaos, text) == 1, "it says {text:?}: {}", chaos.stderr());
        }
        let kinds = ["killed slot ", "killed worker ", "killed coordinator "].map(|kind| said(&chaos, kind));
        let started = said(&chaos, "started flockwork");
        assert_eq!(started, 2 + kinds[1] + kinds[2], "what is killed is started again: {}", chaos.stderr());
        farm.finished_with("job", &oracle);
        assert_eq!(farm.slots("job"), [], "nobody is left");
        met.iter_mut().zip(kinds).for_each(|(met, n)| *met += n);
        if met.iter().all(|n| *n > 0) {
            return;
        }
        std::fs::remove_dir_all(farm.path("job")).expect("removed");
    }
    panic!("slots, workers and coordinators that were met: {met:?}");
}

/// Their own coordinator and worker, started as users do, in the background.
fn crew(farm: &Farm) -> [Rc<Program>; 2] {
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let worker = farm.start(&["worker", "job", "--slots", "2", "--quiet"]);
    farm.wait_for_names("job/claimed", 2);
    [coordinator, worker]
}

#[test]
fn processes_that_others_started_are_met_and_a_result_that_differs_is_told() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "jobcount", "books", "--job", "job", "-r", "1", "--lease", "2s", "--max-lost", "1000"]);
    let [coordinator, worker] = crew(&farm);
    // Of another job in the same place, and so on the same machine: it must not be met.
    farm.ok(&["submit", "jobcount", "books", "--job", "other", "-r", "1"]);
    let bystander = farm.start(&["worker", "other", "--slots", "2", "--quiet"]);
    farm.wait_for_names("other/workers", 2);
    let before = farm.slots("other");
    // It counts how often its maps were called, which chaos changes.
    let chaos = farm.start(&["chaos", "job", "--kill-workers", "2/s", "--kill-coordinator=1s", "--for", "6s"]);
    chaos.ends_with(1);
    assert!(said(&chaos, "the bytes differ: at byte 2 of mr-out-00000 (line 1") == 1, "{}", chaos.stderr());
    coordinator.wait();
    worker.wait();
    let kills = said(&chaos, "killed slot") + said(&chaos, "killed worker") + said(&chaos, "killed coordinator");
    assert!(kills > 0, "somebody was met: {}", chaos.stderr());
    assert_eq!(farm.slots("other"), before, "the other job's slots live: {}", chaos.stderr());
    assert!(bystander.look().is_none());
    assert!(farm.has("job/phase/finished"), "{}", chaos.stderr());
}

#[test]
fn an_interrupted_chaos_lets_go_on_what_it_stopped() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "jobcount", "books", "--job", "job", "-r", "1", "--lease", "60s"]);
    let [coordinator, worker] = crew(&farm);
    let chaos = farm.start(&["chaos", "job", "--kill-workers", "0/s", "--stop", "1m"]);
    let stopped = |farm: &Farm| {
        let state =
            |pid: &rustix::process::Pid| std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        farm.slots("job").iter().filter(|pid| state(pid).contains(") T ")).count()
    };
    farm.wait_for("a slot is stopped", || (stopped(&farm) == 1).then_some(()));
    chaos.signal(Signal::INT);
    chaos.ends_with(130);
    assert!(said(&chaos, "goes on\n") == 1, "{}", chaos.stderr());
    assert_eq!(stopped(&farm), 0, "nobody stays stopped");
    coordinator.ends_with(0);
    worker.ends_with(0);
}

#[test]
fn what_cannot_be_broken_is_said_with_what_to_do() {
    let farm = Farm::with_books();
    farm.run(&["chaos", "nowhere"]).fails_saying(1, &["no job in nowhere"]);
    submit(&farm, "wc");
    farm.run(&["chaos", "job"]).fails_saying(1, &["nobody of this user works on job", "flockwork worker", "--slots"]);
    farm.run(&["chaos", "job", "--kill-workers", "3"]).fails_saying(2, &["is not a rate", "0.2/s"]);
    farm.ok(&["cancel", "job"]);
    farm.run(&["coordinator", "job", "--quiet"]).ends_with(1);
    farm.run(&["chaos", "job", "--slots", "1"]).fails_saying(1, &["nothing to break in job", "has ended"]);
}

#[test]
fn an_interrupt_is_heeded_while_nobody_works_yet_and_what_chaos_started_leaves_with_it() {
    let farm = Farm::with_books();
    submit(&farm, "wc");
    let lone = farm.start(&["chaos", "job"]);
    farm.wait_for("it heeds an interrupt", || lone.heeds_interrupts().then_some(()));
    lone.signal(Signal::INT);
    lone.ends_with(130);
    let own = farm.start(&["chaos", "job", "--slots", "2", "--kill-workers", "0/s"]);
    farm.wait_for("it has begun", || (said(&own, "the seed is") == 1).then_some(()));
    own.signal(Signal::INT);
    own.ends_with(130);
    assert_eq!(said(&own, "what was started here has left"), 1, "{}", own.stderr());
    assert_eq!(farm.slots("job"), [], "nobody is left");
}

/// Submits a job of a task per line, all of which wait at this gate; to be run by the example `dawdle`.
fn submit_gated(farm: &Farm, job: &str, lines: usize, gate: &str, options: &[&str]) {
    let (input, gated) = (format!("{lines}-lines"), format!("gate={gate}"));
    farm.write(&input, (0..lines).map(|n| format!("line {n}\n")).collect::<String>());
    farm.write(&format!("{gate}/shut"), "");
    let command = ["submit", "dawdle", &input, "--job", job, "--split-lines", "1", "-r", "1", "--no-backup", "-o", "ms=0", "-o", &gated];
    farm.start_as(dawdle(), &[&command, options].concat()).ends_with(0);
}

fn wait_for_words(farm: &Farm, program: &Program, words: &str, times: usize) {
    farm.wait_for(words, || (said(program, words) >= times).then_some(()));
}

/// A task that is lost is soon begun again, as often as it may be.
const LOSES: [&str; 4] = ["--lease", "1s", "--max-lost", "1000"];

#[test]
fn of_a_farm_only_the_slots_on_the_job_are_met_and_its_standing_crew_stays() {
    let farm = Farm::new();
    submit_gated(&farm, "farm/other", 2, "gate", &["--lease", "60s"]);
    let coordinator = farm.start(&["coordinator", "farm", "--quiet"]);
    let worker = farm.start_as(dawdle(), &["worker", "farm", "--slots", "4", "--quiet"]);
    farm.wait_for_calls(2);
    submit_gated(&farm, "farm/job", 12, "hold", &LOSES);
    farm.wait_for_names("farm/job/claimed", 2);
    let others = farm.names("farm/other/claimed");
    let chaos = farm.start_as(dawdle(), &["chaos", "farm/job", "--kill-workers", "4/s", "--kill-coordinator=200ms"]);
    wait_for_words(&farm, &chaos, "killed slot ", 3);
    std::fs::remove_file(farm.path("hold/shut")).expect("it is there");
    chaos.ends_with(0);
    for text in [" serves a farm, and so other jobs: it is left alone", " leads a farm, and so other jobs: it is left alone"] {
        assert_eq!(said(&chaos, text), 1, "it says {text:?} once: {}", chaos.stderr());
    }
    for text in ["killed worker ", "killed coordinator ", ": started "] {
        assert_eq!(said(&chaos, text), 0, "{}", chaos.stderr());
    }
    assert!(worker.look().is_none() && coordinator.look().is_none(), "the crew stays: {}", chaos.stderr());
    assert_eq!(farm.names("farm/other/claimed"), others, "the other job's slots are at their tasks");
    farm.open_gate();
    farm.wait_for("the other job has finished", || farm.has("farm/other/phase/finished").then_some(()));
    assert_eq!(farm.names("farm/other/expired"), [""; 0], "nothing of the other job was lost");
    for program in [worker, coordinator] {
        program.signal(Signal::TERM);
        program.ends_with(0);
    }
}

#[test]
fn a_farms_worker_that_is_elsewhere_for_long_is_waited_for() {
    let farm = Farm::new();
    farm.write("in", (0..100).map(|n| format!("line {n}\n")).collect::<String>());
    farm.write("slow", "");
    let low = ["submit", "dawdle", "in", "--job", "farm/low", "--split-lines", "1", "-r", "1", "-o", "ms=5", "-o", "times=100"];
    farm.start_as(dawdle(), &low).ends_with(0);
    farm.start(&["coordinator", "farm", "--quiet"]);
    let program = dawdle();
    let program = program.to_str().expect("a path in UTF-8");
    farm.start_as("env", &["DAWDLE=slow", program, "worker", "farm", "--slots", "1", "--quiet"]);
    farm.wait_for_names("farm/low/claimed", 1);
    let chaos = farm.start(&["chaos", "farm/low", "--kill-workers", "0/s", "--no-compare"]);
    wait_for_words(&farm, &chaos, "the seed is", 1);
    submit_gated(&farm, "farm/high", 1, "gate", &["--priority", "3"]);
    wait_for_words(&farm, &chaos, "waiting for the worker of its farm", 1);
    farm.open_gate();
    std::fs::remove_file(farm.path("slow")).expect("it is there"); // The rest is quick.
    chaos.ends_with(0);
}

/// A folder `lab` of a trusted group, which is told; as root of one that no machine has, so that it is nobody's private one.
fn lab(farm: &Farm) -> String {
    let is_root = rustix::process::geteuid().is_root();
    let group = if is_root { 4_000_002 } else { rustix::process::getegid().as_raw() };
    let lab = farm.path("lab");
    std::fs::create_dir(&lab).expect("made");
    chown(&lab, None, Some(group)).expect("given away");
    set_mode(&lab, 0o2775);
    group.to_string()
}

/// Starts a program whose files the group may write.
fn start_as_group(farm: &Farm, program: &str, args: &[&str]) -> Rc<Program> {
    farm.start_as("sh", &[&["-c", "umask 002; exec \"$0\" \"$@\"", program], args].concat())
}

#[test]
fn what_takes_the_place_of_a_killed_run_trusts_whom_that_trusted() {
    let farm = Farm::new();
    let group = lab(&farm);
    farm.shut();
    farm.write("in", "a\nb\nc\nd\n");
    let program = dawdle();
    let program = program.to_str().expect("a path in UTF-8");
    let job = ["run", "dawdle", "in", "--job", "lab/job", "--split-lines", "1", "-r", "1", "-o", "ms=0", "-o", "gate=gate"];
    let how = ["--slots", "2", "--quiet", "--trust-group", &group];
    let run = start_as_group(&farm, program, &[&job[..], &LOSES, &how].concat());
    farm.wait_for_calls(2);
    let chaos = farm.start_as(program, &["chaos", "lab/job", "--kill-workers", "0/s", "--kill-coordinator=1s", "--for", "15s"]);
    wait_for_words(&farm, &chaos, "killed run ", 1);
    farm.open_gate();
    chaos.ends_with(0);
    run.is_killed_or_ended_well();
    for command in ["coordinator --quiet", "worker --quiet --slots 2"] {
        let part = format!(" {command} --trust-group={group} -- ");
        assert!(said(&chaos, &part) > 0, "it starts {part:?}: {}", chaos.stderr());
    }
}

#[test]
fn what_chaos_starts_for_itself_trusts_whom_chaos_was_told_to() {
    let farm = Farm::with_books();
    let group = lab(&farm);
    let submit = ["submit", "wc", "books", "--job", "lab/job", "--split-lines", "12", "--trust-group", &group];
    start_as_group(&farm, FLOCKWORK, &[&submit[..], &LOSES].concat()).ends_with(0);
    if rustix::process::geteuid().is_root() {
        farm.run(&["chaos", "lab/job", "--slots", "2"]).fails_saying(1, &["not trusted: ", "`--trust-group 4000002`"]);
        assert_eq!(farm.names("lab/job/log"), [""; 0], "nothing was started");
    }
    farm.ok(&["chaos", "lab/job", "--slots", "2", "--trust-group", &group]);
    farm.finished_with("lab/job", &farm.sequential("wc", &["books"]));
}

#[test]
fn what_ends_as_soon_as_it_is_started_again_is_not_waited_for_for_ever() {
    let farm = Farm::new();
    farm.copy_program(dawdle(), "mine");
    submit_gated(&farm, "job", 12, "gate", &LOSES);
    farm.start(&["coordinator", "job", "--quiet"]);
    farm.start_as(farm.path("mine"), &["worker", "job", "--slots", "2", "--quiet"]);
    farm.wait_for_calls(2);
    // What lies there now is started in the worker's place.
    std::fs::remove_file(farm.path("mine")).expect("it is there");
    farm.write_program("mine", "#!/bin/sh\nexit 3\n");
    let chaos = farm.start(&["chaos", "job", "--kill-workers", "4/s"]);
    chaos.fails_saying(1, &["killed worker ", "has failed (exit status: 3)", "nobody works any more on the job in", "said why above"]);
}
