//! Items that are to be run again: until then `cat` misses them.

use super::{cat, each};
use crate::common::Farm;

#[test]
fn what_is_to_be_run_again_is_missing_until_it_was() {
    let farm = Farm::new();
    let script = "echo try $FLOCKWORK_ATTEMPT; test $1 = good && exit 0; test -e go";
    each(&farm, &[], script, &["good", "bad"]).fails_saying(1, &["1 of 2 tasks failed for good"]);
    assert_eq!(cat(&farm, &[]), "try 1\ntry 1\n", "the end is decided: nothing is missing");
    farm.ok(&["retry", "job"]);
    let again = farm.run(&["cat", "job"]);
    again.fails_saying(1, &["1 of 2 tasks have not ended yet"]);
    assert_eq!(again.stdout(), b"try 1\n");
    farm.run(&["cat", "job", "2"]).fails_saying(1, &["not ended yet"]);
    farm.write("go", "");
    each(&farm, &[], script, &["good", "bad"]).ends_with(0);
    assert_eq!(cat(&farm, &[]), "try 1\ntry 2\n");
}

#[test]
fn between_two_tries_an_item_has_not_ended() {
    let farm = Farm::new();
    let script = "test $FLOCKWORK_ATTEMPT -gt 1 || exit 7; until test -e go; do sleep 0.05; done; exit 7";
    let program = farm.start(&["each", "--job", "job", "--slots", "1", "--retries", "1", "--", "sh", "-c", script, "sh", "{}", ":::", "a"]);
    farm.wait_for_name("job/claimed", "map-00000.a2@");
    farm.run(&["cat", "job"]).fails_saying(1, &["1 of 1 tasks have not ended yet"]);
    farm.write("go", "");
    program.fails_saying(1, &["map-00000 failed 2 times"]);
    farm.ok(&["cat", "job"]);
}

#[test]
fn what_the_jobs_end_cut_off_is_told_as_such() {
    let farm = Farm::new();
    each(&farm, &["--fail-fast", "1"], "test $1 = bad && exit 1; sleep 600", &["bad", "long"]).fails_saying(1, &["1 of 2 tasks"]);
    farm.run(&["cat", "job"]).fails_saying(1, &["1 of 2 tasks were not run to their end before the job's"]);
}
