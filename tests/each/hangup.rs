//! Under `nohup` a hangup is none: neither for whoever leads and works, nor for the commands.

use std::rc::Rc;

use rustix::process::Signal;

use super::cat;
use crate::common::{FLOCKWORK, Farm, Program};

/// Starts flockwork as `nohup` does.
fn without_hangups(farm: &Farm, args: &[&str]) -> Rc<Program> {
    farm.start_as("sh", &[&["-c", "trap '' HUP; exec \"$@\"", "sh", FLOCKWORK], args].concat())
}

const SCRIPT: &str = "echo x >> ran; until test -e go; do sleep 0.05; done; echo attempt $FLOCKWORK_ATTEMPT";

#[test]
fn a_hangup_ends_nothing_that_was_started_to_outlive_it() {
    let farm = Farm::new();
    let program = without_hangups(&farm, &["each", "--job", "job", "--slots", "1", "--", "sh", "-c", SCRIPT, ":::", "a"]);
    farm.wait_for("it runs", || farm.has("ran").then_some(()));
    program.signal_all(Signal::HUP);
    farm.write("go", "");
    program.ends_with(0);
    assert_eq!((cat(&farm, &[]), farm.names("job/expired")), ("attempt 1\n".to_owned(), Vec::new()));
}

#[test]
fn neither_worker_nor_coordinator_leaves_on_one() {
    let farm = Farm::new();
    farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", SCRIPT, ":::", "a"]);
    let coordinator = without_hangups(&farm, &["coordinator", "job"]);
    let worker = without_hangups(&farm, &["worker", "job", "--slots", "1"]);
    farm.wait_for("it runs", || farm.has("ran").then_some(()));
    for program in [&coordinator, &worker] {
        program.signal_all(Signal::HUP);
    }
    farm.write("go", "");
    coordinator.ends_with(0);
    worker.ends_with(0);
    assert_eq!((cat(&farm, &[]), farm.names("job/expired")), ("attempt 1\n".to_owned(), Vec::new()));
}

#[test]
fn otherwise_it_is_an_order_to_leave() {
    let farm = Farm::new();
    // (These tests themselves may run under `nohup`.)
    let each = ["--default-signal=HUP", FLOCKWORK, "each", "--job", "job", "--slots", "1", "--", "sh", "-c", SCRIPT, ":::", "a"];
    let program = farm.start_as("env", &each);
    farm.wait_for("it runs", || farm.has("ran").then_some(()));
    program.signal(Signal::HUP);
    program.fails_saying(130, &["interrupted"]);
    farm.write("go", "");
}
