//! Map tasks that share files, in real processes: same bytes, counts exact, poison alone, and whoever is killed.

use std::path::PathBuf;

use serde_json::Value;

use super::common::{FLOCKWORK, Farm, Program};
use super::killed::storm;

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// How the job ended.
fn end(farm: &Farm) -> Value {
    json(&farm.read("job/phase/end"))
}

/// The names in `done/` of map attempts, without who made them.
fn done(farm: &Farm) -> Vec<String> {
    let names = farm.names("job/done").into_iter().filter(|name| name.starts_with("map-"));
    names.map(|name| name.split(".a").next().unwrap_or_default().to_owned()).collect()
}

fn lines(n: usize) -> String {
    (0..n).map(|n| format!("sheep{} of {}\n", n % 7, n % 31)).collect()
}

#[test]
fn whoever_resumes_a_job_goes_on_with_its_bundles_or_is_told_of_them() {
    let farm = Farm::new();
    farm.write("in", lines(300));
    let asked =
        |more: &[&str]| farm.run(&[&["run", "wc", "in", "--job", "job", "--split-lines", "1", "--slots", "1", "--quiet"], more].concat());
    asked(&["--bundle", "64"]).ends_with(0);
    asked(&[]).ends_with(0);
    asked(&["--bundle", "64"]).ends_with(0);
    asked(&["--bundle", "1"]).fails_saying(1, &["another job lies in", r#"`bundle` is {"at_most":64} there, not {"at_most":1}"#]);
    farm.ok(&["run", "wc", "in", "--job", "alone", "--slots", "1", "--quiet"]);
    let other = farm.run(&["run", "wc", "in", "--job", "alone", "--slots", "1", "--quiet", "--bundle", "64"]);
    other.fails_saying(1, &["another job lies in", "`bundle`"]);
}

#[test]
fn what_makes_an_output_each_shares_no_file_and_the_option_is_refused() {
    let farm = Farm::new();
    farm.write("in", lines(8));
    let args = ["stream", "--mapper", "cat", "--no-reduce", "--bundle", "4", "--job", "job", "in"];
    farm.run(&args).fails_saying(2, &["--no-reduce", "--bundle"]);
    assert!(!farm.has("job"));
}

#[test]
fn a_large_job_shares_files_by_itself_and_counts_every_task_once() {
    let farm = Farm::new();
    farm.write("in", lines(3000));
    let oracle = farm.sequential("wc", &["in"]);
    farm.ok(&["run", "wc", "in", "--job", "job", "--split-lines", "1", "--slots", "2", "--quiet"]);
    farm.finished_with("job", &oracle);
    farm.ok(&["verify", "job"]);
    assert_eq!(end(&farm)["counters"]["records in"], 3000);
    assert_eq!(json(&farm.read("job/job.json"))["format"], 2);
    let status = json(&farm.ok(&["status", "job", "--json"]).stdout());
    assert_eq!((&status["map"]["total"], &status["map"]["done"]), (&3000.into(), &3000.into()), "it counts tasks");
    let files = done(&farm);
    assert!(files.len() < 300 && files.iter().any(|name| name.contains('+')), "{} files: {files:?}", files.len());
    looked_at(&farm, &files);
    farm.ok(&["clean", "job"]);
    assert_eq!(farm.names("job/shuffle"), [""; 0]);
    farm.ok(&["verify", "job"]);
}

/// Who looks at such a job is told that attempts are not tasks, and which bundle a task is in.
fn looked_at(farm: &Farm, files: &[String]) {
    let page = String::from_utf8(farm.ok(&["status", "job"]).stdout()).expect("text");
    assert!(page.contains("tasks: many share a file), 0 failed"), "{page}");
    let bundle = files.iter().find(|name| name.contains('+')).expect("a bundle");
    let task = bundle.split('+').next().expect("its first task");
    let story = String::from_utf8(farm.ok(&["explain", "job", task]).stdout()).expect("text");
    assert!(story.contains(&format!("tasks of the bundle {bundle}, which are counted together; committed")), "{story}");
    let digest = json(&farm.ok(&["report", "job", "--json"]).stdout());
    assert_eq!(digest["bundles"], files.iter().filter(|name| name.contains('+')).count());
    let slowest = digest["slowest"].as_array().expect("a list");
    let told = slowest.iter().filter_map(|slow| slow["task"].as_str()).filter(|task| task.contains('+'));
    for task in told {
        assert!(files.iter().any(|name| name == task), "{task} of {files:?}");
    }
}

#[test]
fn a_small_job_and_one_that_is_asked_to_has_a_file_for_each_task() {
    let farm = Farm::new();
    farm.write("in", lines(1500));
    for (more, tasks) in [(&["--split-lines", "2"][..], 750), (&["--split-lines", "1", "--bundle", "1"], 1500)] {
        farm.ok(&[&["run", "wc", "in", "--job", "job", "--slots", "2", "--quiet"], more].concat());
        let spec = json(&farm.read("job/job.json"));
        assert_eq!((&spec["format"], &spec["bundle"]), (&1.into(), &Value::Null), "as every version reads it");
        assert_eq!(done(&farm).len(), tasks);
        std::fs::remove_dir_all(farm.path("job")).expect("removed");
    }
}

#[test]
fn what_is_asked_is_kept_and_whoever_says_nothing_goes_on_with_it() {
    let farm = Farm::new();
    farm.write("in", lines(200));
    let command =
        |more: &[&'static str]| [&["run", "wc", "in", "--job", "job", "--split-lines", "1", "--slots", "1", "--quiet"], more].concat();
    for wrong in ["0", "3", "8388608", "-1", "all"] {
        let option = format!("--bundle={wrong}");
        farm.run(&["run", "wc", "in", "--job", "job", &option]).fails_saying(2, &["--bundle", "a power of two from 1 to 4194304"]);
    }
    farm.ok(&command(&["--bundle", "8"]));
    let files = done(&farm);
    assert!(files.iter().any(|name| name.ends_with("+7")), "asked for, in however small a job: {files:?}");
    assert!(
        files.iter().all(|name| ["", "1", "3", "7"].contains(&name.split_once('+').map_or("", |(_, more)| more))),
        "and no larger: {files:?}"
    );
    farm.ok(&command(&[]));
    farm.ok(&command(&["--bundle=8"]));
    farm.run(&command(&["--bundle=16"])).fails_saying(1, &["another job lies in job", "`bundle`"]);
}

#[test]
fn mapper_commands_and_readable_shuffle_files_are_shared_only_where_that_is_asked_for() {
    let farm = Farm::new();
    farm.write("in", lines(1100));
    let json_form = ["run", "wc", "in", "--job", "job", "--split-lines", "1", "--shuffle", "json", "-r", "1", "--slots", "2", "--quiet"];
    let stream = ["stream", "--mapper", "cat", "--reducer", "wc -l", "in", "--job", "job", "--split-lines", "1", "-r", "1", "--submit"];
    farm.ok(&stream);
    assert_eq!(json(&farm.read("job/job.json"))["bundle"], Value::Null);
    std::fs::remove_dir_all(farm.path("job")).expect("removed");
    farm.ok(&json_form);
    assert_eq!(done(&farm).len(), 1100);
    std::fs::remove_dir_all(farm.path("job")).expect("removed");
    let oracle = farm.sequential("wc", &["in", "-r", "1"]);
    farm.ok(&[&json_form[..], &["--bundle", "64"]].concat());
    farm.finished_with("job", &oracle);
    farm.ok(&["verify", "job"]);
    assert!(done(&farm).len() < 300);
}

fn brittle(farm: &Farm, args: &[&str]) -> std::rc::Rc<Program> {
    let program = PathBuf::from(FLOCKWORK).with_file_name("examples").join("brittle");
    assert!(program.is_file(), "{} is missing: `cargo test` builds it, or say `cargo build --examples`", program.display());
    farm.start_as(program, args)
}

/// Some good lines, with a bad one among them.
fn poisoned(farm: &Farm, word: &str) {
    let (before, after) = (lines(700), lines(600));
    farm.write("clean", format!("{before}{after}"));
    farm.write("in", format!("{before}here is {word} now\n{after}"));
}

const BUNDLED: [&str; 10] = ["run", "brittle", "in", "--job", "job", "--split-lines", "1", "--bundle", "256", "--slots=2"];

#[test]
fn a_poisoned_record_fails_alone() {
    let farm = Farm::new();
    poisoned(&farm, "error");
    let ran = brittle(&farm, &[&BUNDLED[..], &["--max-errors", "2", "--max-lost", "1"]].concat());
    ran.fails_saying(1, &["map-00700 failed 2 times", "a word I cannot take"]);
    let blames = end(&farm)["blames"].as_array().expect("a list").clone();
    assert_eq!(blames.len(), 2, "{blames:?}");
    assert!(
        blames.iter().all(|name| name.as_str().is_some_and(|name| name.starts_with("map-00700.a"))),
        "no neighbour is blamed: {blames:?}"
    );
    farm.ok(&["verify", "job"]);
}

#[test]
fn a_bad_record_is_skipped_alone_whether_it_is_an_error_or_ends_the_process() {
    for word in ["error", "abort"] {
        let farm = Farm::new();
        poisoned(&farm, word);
        brittle(&farm, &[&BUNDLED[..], &["--skip-bad-records", "--quiet"]].concat()).ends_with(0);
        let oracle = brittle(&farm, &["sequential", "brittle", "clean"]);
        oracle.ends_with(0);
        farm.finished_with("job", &oracle.stdout());
        farm.ok(&["verify", "job"]);
        let end = end(&farm);
        let skipped = end["skipped"].as_array().expect("a list");
        assert!(skipped.len() == 1 && skipped[0]["offset"] == lines(700).len(), "{word}: {skipped:?}");
        assert_eq!((&end["counters"]["records in"], &end["counters"]["records skipped"]), (&1300.into(), &1.into()), "{word}");
    }
}

/// How many tasks of one line: `FLOCKWORK_BUNDLED_TASKS=100000 cargo test --release --test tests bundles -- --nocapture` takes as many as that.
fn n_tasks() -> usize {
    std::env::var("FLOCKWORK_BUNDLED_TASKS").ok().and_then(|text| text.parse().ok()).unwrap_or(6000)
}

#[test]
fn slots_and_coordinators_killed_all_through_a_bundled_job_change_nothing() {
    let (farm, n) = (Farm::new(), n_tasks());
    farm.write("in", lines(n));
    let oracle = farm.sequential("wc", &["in"]);
    // On an idle machine one job may be over before anybody was met in mid-task: then another is weathered.
    let mut lost = 0;
    for _ in 0..20 {
        storm(&farm, &["submit", "wc", "in", "--job", "job", "--split-lines", "1", "--bundle", "16", "--lease=1s"]);
        farm.finished_with("job", &oracle);
        farm.ok(&["verify", "job"]);
        assert_eq!(end(&farm)["counters"]["records in"], n, "each task is counted once");
        lost += farm.names("job/expired").len();
        println!("{n} tasks in {} files, {lost} attempts lost", done(&farm).len());
        if lost >= 3 {
            return;
        }
        // A slot that is just dying may still write into it.
        farm.wait_for("the job is removed", || std::fs::remove_dir_all(farm.path("job")).is_ok().then_some(()));
    }
    panic!("only {lost} claims were lost in the middle of their tasks");
}
