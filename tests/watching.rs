//! `status`, `top`, `explain`, progress and the summary, on jobs as users have them: at work, paused, failed, alone, ended, damaged.

use std::rc::Rc;

use serde_json::Value;

use super::common::{Farm, Program};

/// Items that wait for the file `go`; the third one fails.
const GATED: &str = "until [ -e go ]; do sleep 0.02; done; [ $1 != 3 ] || { echo oh no >&2; exit 3; }";

fn text(program: &Rc<Program>) -> String {
    String::from_utf8(program.stdout()).expect("UTF-8")
}

fn json(farm: &Farm, args: &[&str]) -> Value {
    let said = text(&farm.ok(args));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

/// Four gated items on two slots, two of them claimed.
fn gated(farm: &Farm) -> Rc<Program> {
    let program = farm.start(&["each", "--job", "job", "--slots", "2", "--", "sh", "-c", GATED, "sh", "{}", ":::", "1", "2", "3", "4"]);
    farm.wait_for_names("job/claimed", 2);
    program
}

#[test]
fn every_eye_sees_a_job_at_work_and_what_became_of_it() {
    let farm = Farm::new();
    let each = gated(&farm);
    let seen = farm.wait_for("both claims are told with how long they run", || {
        Some(json(&farm, &["status", "job", "--json"])).filter(|status| status["slowest"].as_array().is_some_and(|slow| slow.len() == 2))
    });
    assert_eq!((seen["hosts"][0]["slots"].as_u64(), seen["hosts"][0]["busy"].as_u64()), (Some(2), Some(2)), "{seen}");
    assert_eq!((seen["ages"]["pending"]["total"].as_u64(), seen["ages"]["claimed"]["total"].as_u64()), (Some(2), Some(2)), "{seen}");
    let task = seen["slowest"][0]["task"].as_str().expect("a task").to_owned();
    let claimed = json(&farm, &["explain", "job", &task, "--json"]);
    assert_eq!((claimed["state"].as_str(), claimed["attempts"][0]["state"].as_str()), (Some("claimed"), Some("claimed")));
    assert!(claimed["share"].as_str().is_some_and(|share| share.contains("sh -c")), "{claimed}");
    assert_eq!(json(&farm, &["explain", "job", "--json"])["moves"], true);
    let frame = text(&farm.ok(&["top", "job", "--once"]));
    assert!(
        frame.lines().count() < 24 && !frame.contains("q quit") && frame.contains("0/4  2 claimed, 2 pending") && frame.contains(&task),
        "{frame}"
    );

    farm.write("go", "");
    each.ends_with(1);
    let failed = text(&farm.ok(&["explain", "job", "3"]));
    for words in ["state    failed", "ended with status 3", "| oh no", "flockwork retry job"] {
        assert!(failed.contains(words), "{words}: {failed}");
    }
    let ended = json(&farm, &["status", "job", "--json"]);
    assert_eq!(ended["errors"][0]["output"], "oh no", "{ended}");
    let lines = text(&farm.ok(&["top", "job", "--json"]));
    assert_eq!(lines.lines().count(), 1, "a job that has ended is told once: {lines}");
    let line: Value = serde_json::from_str(&lines).expect("JSON");
    assert_eq!((line["version"].as_u64(), line["phase"].as_str()), (Some(1), Some("failed")));
}

#[test]
fn what_is_no_task_or_no_job_is_answered_with_what_there_is() {
    let farm = Farm::with_books();
    farm.ok(&["run", "wc", "books", "-r", "2", "--job", "farm/count", "--quiet"]);
    for typed in ["map-77", "reduce-2", "7", "nonsense"] {
        farm.run(&["explain", "farm/count", typed]).fails_saying(2, &["the job has no task `", "map-00000 to map-"]);
    }
    farm.run(&["explain", "farm/count", "map-0.a9"]).fails_saying(2, &["map-00000 has no attempt `map-0.a9`"]);
    farm.run(&["explain", "farm/count", "reduce-2"]).fails_saying(2, &["reduce-00000 to reduce-00001"]);
    for typed in ["map-0", "map-00000.a1", "reduce-1", "mr-out-00001"] {
        farm.ok(&["explain", "farm/count", typed]);
    }
    farm.run(&["explain", "farm"]).fails_saying(1, &["a farm of jobs", "flockwork status"]);
    for command in ["explain", "top"] {
        farm.run(&[command, "nowhere"]).fails_saying(1, &["nowhere"]);
        farm.run(&[command, "books"]).fails_saying(1, &["books"]);
    }
    farm.run(&["top", "farm/count"]).fails_saying(2, &["no terminal", "--once"]);
    farm.run(&["top", "farm/count", "--interval", "1ms"]).fails_saying(2, &["no interval"]);
    let table = text(&farm.ok(&["top", "farm", "--once"]));
    assert!(table.starts_with("farm farm") && table.contains("count") && table.contains("finished"), "{table}");
    farm.write("farm/count/job.json", "{");
    for command in ["explain", "top"] {
        farm.run(&[command, "farm/count", if command == "top" { "--once" } else { "map-0" }]).fails_saying(1, &["job.json"]);
    }
}

#[test]
fn a_job_that_nobody_serves_says_so_and_how_to_serve_it() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "wc", "books", "--job", "count"]);
    let said = text(&farm.ok(&["explain", "count"]));
    for words in
        ["no coordinator has led it so far", "start one with `flockwork coordinator count`", "start one with `flockwork worker count`"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(json(&farm, &["explain", "count", "--json"])["moves"], false);
    farm.ok(&["cancel", "count"]);
    assert!(text(&farm.ok(&["status", "count"])).contains("hint     it is to be cancelled: its coordinator ends it"));
    std::fs::remove_file(farm.path("count/cancel")).expect("it was asked for");
    let coordinator = farm.start(&["coordinator", "count", "--quiet"]);
    farm.wait_for("it is told for how long no worker has been seen", || {
        Some(text(&farm.ok(&["status", "count"]))).filter(|said| said.contains("hint     no worker has been seen for "))
    });
    let task = text(&farm.ok(&["explain", "count", "map-0"]));
    assert!(task.contains("state    pending") && task.contains("no worker is registered"), "{task}");
    farm.ok(&["pause", "count"]);
    assert!(text(&farm.ok(&["explain", "count"])).contains("it is paused"));
    farm.ok(&["cancel", "count"]);
    coordinator.ends_with(1);
    assert!(text(&farm.ok(&["explain", "count"])).contains("it has ended: cancelled"));
    assert!(text(&farm.ok(&["top", "count", "--once"])).contains("cancelled"));
}

#[test]
fn the_summary_says_where_the_outputs_are_and_what_went_through() {
    let farm = Farm::with_books();
    let run = farm.ok(&["run", "wc", "books", "-r", "3", "--job", "count", "--json"]);
    let said = run.stderr();
    for words in [
        "finished in ",
        "3 output files, ",
        " in count/output; read them with `flockwork cat count`",
        "map took ",
        " records, ",
        " shuffled",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.contains("flockwork: map 0/") || said.contains("flockwork: map "), "progress in plain lines: {said}");
    assert!(!said.contains('\r') && !said.contains('\x1b'), "no bar where there is no terminal: {said}");
    let end: Value = serde_json::from_slice(&run.stdout()).expect("--json is JSON alone");
    assert_eq!(end["outcome"], "finished");
    let wait = farm.ok(&["wait", "count"]);
    assert!(wait.stderr().starts_with("flockwork: finished: 3 output files"), "no progress of what has ended: {}", wait.stderr());
    assert_eq!(farm.ok(&["wait", "count", "--quiet"]).stderr(), "");
    assert_eq!(farm.ok(&["run", "wc", "books", "-r", "3", "--job", "quiet", "--quiet"]).stderr(), "");
}

#[test]
fn what_the_coordinator_wrote_last_is_told_without_a_look_at_the_tasks() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "wc", "books", "-r", "2", "--job", "count"]);
    farm.run(&["status", "count", "--brief"]).fails_saying(1, &["status.json", "`flockwork status count` looks for itself"]);
    let json = text(&farm.ok(&["status", "count", "--json"]));
    farm.write("count/status.json", &json);
    std::fs::remove_dir_all(farm.path("count/done")).expect("removed");
    let said = text(&farm.ok(&["status", "count", "--brief"]));
    assert!(said.contains("as its coordinator saw it") && said.contains("reduce   0/2 done, 0 claimed"), "{said}");
    assert_eq!(text(&farm.ok(&["status", "count", "--brief", "--json"])), json);
    farm.write("count/status.json", "{}");
    farm.run(&["status", "count", "--brief"]).fails_saying(1, &["cannot understand", "status.json"]);
}

#[test]
fn who_waits_sees_how_far_it_is() {
    let farm = Farm::new();
    let each = gated(&farm);
    let wait = farm.start(&["wait", "job"]);
    farm.wait_for("it says how far the job is", || wait.stderr().contains("flockwork: map 0/4, 2 claimed, 2 workers").then_some(()));
    farm.write("go", "");
    each.ends_with(1);
    wait.fails_saying(1, &["1 of 4 tasks failed for good", "flockwork retry job"]);
}

#[test]
fn the_eyes_help_with_an_example_their_cost_and_their_exit_statuses() {
    let farm = Farm::new();
    for command in ["status", "top", "explain"] {
        let help = text(&farm.ok(&[command, "--help"]));
        for words in ["Example", "Cost: ", "Exit: 0 ", "--json"] {
            assert!(help.contains(words), "{command}: {words}: {help}");
        }
    }
}

#[test]
fn the_page_on_watching_names_every_field_that_there_is() {
    let page = include_str!("../docs/watching.md");
    let farm = Farm::with_books();
    farm.ok(&["run", "wc", "books", "-r", "2", "--job", "count", "--quiet"]);
    for args in [&["status", "count", "--json"][..], &["explain", "count", "--json"], &["explain", "count", "map-0", "--json"]] {
        let told = json(&farm, args);
        let mut fields: Vec<&String> = told.as_object().expect("an object").keys().collect();
        fields.extend(told["attempts"][0].as_object().into_iter().flat_map(|attempt| attempt.keys()));
        for field in fields {
            assert!(page.contains(&format!("`{field}`")), "docs/watching.md tells of `{field}` ({args:?})");
        }
    }
}
