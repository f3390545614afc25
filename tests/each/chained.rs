//! Jobs of commands among others: `--priority` and `--after` do for them what they do for any job.

use super::cat;
use crate::common::Farm;

/// Submits a job of commands that write down when they ran.
fn submit(farm: &Farm, job: &str, options: &[&str], word: &str) {
    let command = format!("echo {word} >> order");
    farm.ok(&[&["each", "--submit", "--job", job], options, &["--", "sh", "-c", &command, ":::", "1", "2"]].concat());
}

#[test]
fn a_job_of_higher_priority_goes_first_and_one_after_another_waits_for_it() {
    let farm = Farm::new();
    submit(&farm, "farm/a", &[], "low");
    submit(&farm, "farm/b", &["--priority", "5"], "high");
    submit(&farm, "farm/c", &["--priority", "9", "--after", "farm/a", "--after", "farm/b"], "last");
    submit(&farm, "farm/c", &["--priority", "9", "--after", "farm/a", "--after", "farm/b"], "last");
    assert!(!farm.has("farm/c/phase/map"), "it is planned when its time has come");
    let asked: serde_json::Value = serde_json::from_slice(&farm.read("farm/c/job.json")).expect("JSON");
    assert_eq!((&asked["priority"], &asked["after"]), (&9.into(), &serde_json::json!(["../a", "../b"])));
    let leads = farm.start(&["coordinator", "farm", "--drain"]);
    farm.wait_for_names("farm/a/pending", 2);
    farm.wait_for_names("farm/b/pending", 2);
    farm.ok(&["worker", "farm", "--slots", "1", "--drain"]);
    leads.ends_with(0);
    assert_eq!(farm.read("order"), b"high\nhigh\nlow\nlow\nlast\nlast\n");
}

#[test]
fn streams_wait_for_jobs_of_commands_too() {
    let farm = Farm::new();
    farm.ok(&["each", "--submit", "--job", "farm/make", "--", "sh", "-c", "echo made > late", ":::", "x"]);
    let stream = ["stream", "--submit", "--mapper", "cat", "--no-reduce", "--after", "farm/make", "--job", "farm/read", "late"];
    farm.ok(&stream);
    farm.ok(&stream);
    let leads = farm.start(&["coordinator", "farm", "--drain"]);
    farm.ok(&["worker", "farm", "--slots", "1", "--drain"]);
    leads.ends_with(0);
    farm.finished_with("farm/read", b"made\n");
}

#[test]
fn a_job_that_is_not_there_cannot_be_waited_for() {
    let farm = Farm::new();
    farm.run(&["each", "--submit", "--after", "nowhere", "--job", "job", "--", "echo", ":::", "a"]).fails_saying(1, &["nowhere"]);
    farm.write("in", "x\n");
    let stream = ["stream", "--mapper", "cat", "--no-reduce", "--after", "job", "in"];
    for more in [&[][..], &["-q"], &["--slots", "1"], &["--json"]] {
        farm.run(&[&stream[..], more].concat()).fails_saying(2, &["add --submit"]);
    }
    assert_eq!(farm.names("."), ["in"], "nothing is left behind");
    farm.ok(&["each", "--job", "job", "--priority", "-3", "--", "echo", ":::", "a"]);
    assert_eq!(cat(&farm, &[]), "a\n");
}
