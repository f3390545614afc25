//! A user's own job broken on purpose, and found right.

use std::rc::Rc;

use rustix::process::Signal;

use super::common::{Farm, Program};

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
