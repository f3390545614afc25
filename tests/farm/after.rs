//! Jobs that start after others: planned when their time has come, and not before.

use rustix::process::Signal;

use super::{coordinator, has_ended, oracle, wait_for_words, with_jobs};
use crate::common::Farm;

#[test]
fn a_job_after_another_is_planned_when_that_has_finished() {
    let farm = with_jobs(1);
    let chain = ["submit", "wc", "farm/job-00/output", "-r", "1", "--after", "farm/job-00", "--job", "farm/next"];
    farm.ok(&chain);
    farm.ok(&chain);
    assert!(!farm.has("farm/next/phase/map"), "its inputs are not there yet");
    let table = String::from_utf8(farm.ok(&["status", "farm"]).stdout()).expect("UTF-8");
    assert!(table.contains("starts after farm/job-00"), "{table}");
    farm.run(&["submit", "wc", "in", "--job", "farm/next"]).fails_saying(1, &["another job lies in"]);
    let (leads, works) = (coordinator(&farm, &["--drain"]), farm.start(&["worker", "farm", "--slots", "2", "--drain"]));
    works.ends_with(0);
    leads.ends_with(0);
    let expected = farm.sequential("wc", &["farm/job-00/output", "-r", "1"]);
    farm.finished_with("farm/next", &expected);
}

#[test]
fn a_job_after_one_that_failed_does_not_start_before_that_was_helped() {
    let farm = with_jobs(0);
    farm.write("later", "one two\n");
    farm.ok(&["submit", "wc", "later", "--job", "farm/first"]);
    farm.ok(&["submit", "wc", "in", "--job", "farm/second", "--after", "farm/first", "-r", "1"]);
    farm.ok(&["cancel", "farm/first"]);
    let (leads, works) = (coordinator(&farm, &["--drain"]), farm.start(&["worker", "farm", "--slots", "1", "--drain"]));
    leads.fails_saying(1, &["farm/second: it does not start, for farm/first was cancelled"]);
    works.ends_with(0);
    assert!(!farm.has("farm/second/phase/map") && !has_ended(&farm, "second"));
    let single = farm.start(&["coordinator", "farm/second"]);
    wait_for_words(&farm, &single, "does not start, for farm/first was cancelled");
    farm.ok(&["retry", "farm/first"]);
    wait_for_words(&farm, &single, "starts after farm/first, which has not ended");
    let (leads, works) = (coordinator(&farm, &["--drain"]), farm.start(&["worker", "farm", "--slots", "1", "--drain"]));
    leads.ends_with(0);
    works.ends_with(0);
    single.ends_with(0);
    assert!(farm.has("farm/second/phase/finished"));
}

#[test]
fn a_job_whose_inputs_are_missing_when_its_time_has_come_fails_and_one_that_waits_can_be_cancelled() {
    let farm = with_jobs(1);
    farm.ok(&["submit", "wc", "nowhere", "--job", "farm/missing", "--after", "farm/job-00"]);
    farm.ok(&["submit", "wc", "in", "--job", "farm/cancelled", "--after", "farm/missing"]);
    farm.ok(&["cancel", "farm/cancelled"]);
    let (leads, works) = (coordinator(&farm, &["--drain"]), farm.start(&["worker", "farm", "--slots", "1", "--drain"]));
    leads.fails_saying(1, &["missing: failed: cannot read input", "nowhere", "cancelled: was cancelled"]);
    works.ends_with(0);
    farm.run(&["wait", "farm/missing"]).fails_saying(1, &["nowhere"]);
    farm.ok(&["verify", "farm/missing"]);
    farm.write("nowhere", "here now\n");
    farm.ok(&["retry", "farm/missing"]);
    let works = farm.start(&["worker", "farm/missing", "--slots", "1"]);
    farm.ok(&["coordinator", "farm/missing"]);
    works.ends_with(0);
}

#[test]
fn a_job_that_has_begun_asks_no_more_for_what_it_started_after() {
    let farm = with_jobs(1);
    farm.ok(&["submit", "wc", "in", "--split-lines", "1", "-r", "1", "--after", "farm/job-00", "--job", "farm/next"]);
    let leads = coordinator(&farm, &[]);
    farm.start(&["worker", "farm/job-00", "--slots", "1"]).ends_with(0);
    farm.wait_for("it is planned", || farm.has("farm/next/phase/map").then_some(()));
    leads.signal(Signal::TERM);
    leads.ends_with(0);
    farm.ok(&["clean", "farm/job-00", "--all", "--yes"]);
    let works = farm.start(&["worker", "farm/next", "--slots", "1"]);
    farm.ok(&["coordinator", "farm/next"]);
    works.ends_with(0);
    farm.finished_with("farm/next", &oracle(&farm));
    farm.ok(&["coordinator", "farm/next"]);
}

#[test]
fn a_job_whose_time_has_not_come_is_not_planned_whoever_believes_that_it_has() {
    let farm = with_jobs(1);
    farm.ok(&["submit", "wc", "in", "--after", "farm/job-00", "--job", "farm/next"]);
    let refused = flockwork::farm::lead::plan(&[], &farm.path("farm/next")).err();
    assert!(refused.is_some_and(|error| error.to_string().starts_with("it is not time yet for the job in ")), "another job lies there now");
    assert!(!farm.has("farm/next/phase/map"));
}

#[test]
fn a_job_that_waits_for_another_says_so_in_status() {
    let farm = Farm::new();
    farm.write("in", "one two\n");
    farm.ok(&["submit", "wc", "in", "--job", "first"]);
    farm.ok(&["submit", "wc", "in", "--job", "second", "--after", "first"]);
    let hints = |job: &str| {
        let said = String::from_utf8(farm.ok(&["status", job]).stdout()).expect("UTF-8");
        said.lines().filter_map(|line| Some(line.strip_prefix("hint     ")?.to_owned())).collect::<Vec<_>>()
    };
    let [hint] = &hints("second")[..] else { panic!("one: {:?}", hints("second")) };
    assert!(hint.starts_with("it starts after ") && hint.contains("first"), "{hint}");
    farm.start_as("mv", &["first/phase", "first/kept"]).ends_with(0);
    std::os::unix::fs::symlink("phase", farm.path("first/phase")).expect("a loop");
    assert!(hints("second").iter().any(|hint| hint.starts_with("cannot look at ")), "and what it cannot see: {:?}", hints("second"));
    std::fs::remove_file(farm.path("first/phase")).expect("removed");
    farm.start_as("mv", &["first/kept", "first/phase"]).ends_with(0);
    farm.ok(&["cancel", "first"]);
    farm.run(&["coordinator", "first", "-q"]).ends_with(1);
    let [hint] = &hints("second")[..] else { panic!("one: {:?}", hints("second")) };
    assert!(hint.starts_with("it does not start, for ") && hint.contains("`flockwork cancel second`"), "{hint}");
}

#[test]
fn a_coordinator_that_waits_for_another_job_waits_on_where_that_one_cannot_be_looked_at_for_a_while() {
    let farm = Farm::new();
    farm.write("in", "one two\n");
    farm.ok(&["submit", "wc", "in", "-r", "1", "--job", "first"]);
    farm.ok(&["submit", "wc", "in", "-r", "1", "--job", "second", "--after", "first"]);
    let waits = farm.start(&["coordinator", "second"]);
    farm.wait_for("it waits", || waits.stderr().contains("starts after ").then_some(()));
    farm.start_as("mv", &["first/phase", "first/kept"]).ends_with(0);
    std::os::unix::fs::symlink("phase", farm.path("first/phase")).expect("a loop");
    farm.wait_for("it says what it meets", || waits.stderr().contains("; waiting, and trying again").then_some(()));
    std::fs::remove_file(farm.path("first/phase")).expect("removed");
    farm.start_as("mv", &["first/kept", "first/phase"]).ends_with(0);
    let (first, works) = (farm.start(&["coordinator", "first", "-q"]), farm.start(&["worker", "first", "--slots", "1", "-q"]));
    [first, works, farm.start(&["worker", "second", "--slots", "1", "-q"]), waits].iter().for_each(|program| program.ends_with(0));
    assert!(farm.has("second/phase/finished"));
}
