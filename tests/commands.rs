//! The commands that look at a job or steer it.

use std::rc::Rc;

use super::common::{Farm, Program};
use super::stragglers::dawdle;

/// A coordinator and a worker.
fn crew(farm: &Farm) -> [Rc<Program>; 2] {
    [farm.start(&["coordinator", "job"]), farm.start_as(dawdle(), &["worker", "job", "--slots", "1"])]
}

/// A job of one map, a coordinator, and a worker that has it in hand until the gate is opened.
fn at_work(farm: &Farm) -> [Rc<Program>; 2] {
    farm.write("in", "word\n");
    farm.shut();
    let submit = ["submit", "dawdle", "in", "--job", "job", "-r", "1", "-o", "ms=0", "-o", "gate=gate"];
    farm.start_as(dawdle(), &submit).ends_with(0);
    let programs = crew(farm);
    farm.wait_for_calls(1);
    programs
}

/// A finished job of the eight books.
fn finished(farm: &Farm) {
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "3"]);
}

fn text(program: &Program) -> String {
    String::from_utf8(program.stdout()).expect("UTF-8")
}

#[test]
fn status_tells_how_a_job_stands() {
    let farm = Farm::new();
    let programs = at_work(&farm);
    let status = text(&farm.ok(&["status", "job"]));
    assert!(status.contains("map") && status.contains("0/1"), "the phase and its counts: {status}");
    let json: serde_json::Value = serde_json::from_slice(&farm.ok(&["status", "job", "--json"]).stdout()).expect("--json is JSON");
    assert!(json.is_object(), "{json}");
    farm.open_gate();
    programs.iter().for_each(|program| program.ends_with(0));
    let status = text(&farm.ok(&["status", "job"]));
    assert!(status.contains("finished"), "{status}");
}

#[test]
fn what_is_written_to_stdout_by_its_path_replaces_nothing() {
    let farm = Farm::with_books();
    finished(&farm);
    for command in ["metrics job", "trace job", "report job"] {
        farm.write("out", "before\n");
        farm.write("script", format!("{{ {} {command} -o /dev/stdout && echo; echo after; }} >> out", super::common::FLOCKWORK));
        farm.start_as("sh", &["script"]).ends_with(0);
        let out = String::from_utf8(farm.read("out")).expect("UTF-8");
        assert!(out.starts_with("before\n") && out.ends_with("\nafter\n") && out.len() > 100, "{command}: {out}");
    }
}

#[test]
fn looking_at_a_job_changes_nothing_in_it() {
    let farm = Farm::with_books();
    finished(&farm);
    let names = || ["", "phase", "done", "output", "log", "workers", "shuffle"].map(|folder| farm.names(&format!("job/{folder}")));
    let before = names();
    for command in ["status", "wait", "cat", "verify"] {
        farm.ok(&[command, "job"]);
    }
    assert_eq!(names(), before);
}

#[test]
fn wait_blocks_until_the_end_and_exits_as_the_job_ended() {
    let farm = Farm::new();
    let programs = at_work(&farm);
    let waiting = farm.start(&["wait", "job"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(waiting.look().is_none(), "it waits while the job runs");
    farm.open_gate();
    waiting.ends_with(0);
    assert!(farm.has("job/phase/finished"));
    programs.iter().for_each(|program| program.ends_with(0));
    let told = farm.ok(&["wait", "job", "--json"]).stdout();
    assert!(told.starts_with(b"{\"outcome\":\"finished\""), "{}", String::from_utf8_lossy(&told));
}

#[test]
fn cat_gives_the_outputs_in_order() {
    let farm = Farm::with_books();
    finished(&farm);
    let oracle = farm.sequential("wc", &["books", "-r", "3"]);
    farm.same_bytes(&farm.ok(&["cat", "job"]).stdout(), &oracle, "cat");
}

#[test]
fn cat_of_outputs_elsewhere_finds_them() {
    let farm = Farm::with_books();
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "3", "--output", "result"]);
    let oracle = farm.sequential("wc", &["books", "-r", "3"]);
    farm.same_bytes(&farm.ok(&["cat", "job"]).stdout(), &oracle, "cat");
}

#[test]
fn cat_of_an_unfinished_job_prints_nothing_and_fails() {
    let farm = Farm::new();
    farm.write("in", "word\n");
    farm.ok(&["submit", "wc", "in", "--job", "job"]);
    let cat = farm.run(&["cat", "job"]);
    cat.ends_with(1);
    assert_eq!(cat.stdout(), b"");
}

#[test]
fn verify_finds_nothing_in_a_good_job_and_every_flipped_bit() {
    let farm = Farm::with_books();
    finished(&farm);
    farm.ok(&["verify", "job"]);
    for folder in ["output", "shuffle"] {
        let name = farm.names(&format!("job/{folder}")).pop().expect("some");
        let path = format!("job/{folder}/{name}");
        let whole = farm.read(&path);
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        farm.write(&path, &damaged);
        let found = farm.run(&["verify", "job"]);
        found.ends_with(1);
        let said = text(&found) + &found.stderr();
        assert!(said.contains(&name), "it names {name}: {said}");
        farm.write(&path, whole);
        farm.ok(&["verify", "job"]);
    }
}

#[test]
fn verify_misses_a_removed_output() {
    let farm = Farm::with_books();
    finished(&farm);
    std::fs::remove_file(farm.path("job/output/mr-out-00001")).expect("it is there");
    let found = farm.run(&["verify", "job"]);
    found.ends_with(1);
    assert!((text(&found) + &found.stderr()).contains("mr-out-00001"));
}

#[test]
fn a_paused_job_begins_nothing_until_it_is_resumed() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    farm.ok(&["submit", "wc", "books", "--job", "job"]);
    farm.ok(&["pause", "job"]);
    assert!(farm.has("job/pause"));
    farm.ok(&["pause", "job"]);
    let programs = [farm.start(&["coordinator", "job"]), farm.start(&["worker", "job", "--slots", "2"])];
    farm.wait_for("the worker says that it is paused", || programs[1].stderr().contains("paused").then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!((farm.names("job/claimed"), farm.names("job/done")), (Vec::new(), Vec::new()), "nothing begins");
    farm.ok(&["resume", "job"]);
    programs.iter().for_each(|program| program.ends_with(0));
    farm.finished_with("job", &oracle);
    farm.ok(&["resume", "job"]);
}

#[test]
fn a_cancelled_job_ends_without_a_result_and_retry_lets_it_go_on() {
    let farm = Farm::new();
    let programs = at_work(&farm);
    farm.ok(&["cancel", "job"]);
    farm.wait_for_name("job/phase", "failed");
    farm.open_gate();
    programs[0].fails_saying(1, &["was cancelled", "flockwork retry job"]);
    programs[1].ends_with(0);
    assert!(farm.has("job/phase/failed") && !farm.has("job/phase/finished"));
    assert_eq!(farm.names("job/output"), [""; 0]);
    farm.is_settled("job");
    farm.run(&["wait", "job"]).ends_with(1);
    farm.ok(&["retry", "job"]);
    assert!(!farm.has("job/phase/end") && farm.has("job/phase/end.1") && farm.has("job/phase/failed.1"), "{:?}", farm.names("job/phase"));
    crew(&farm).iter().for_each(|program| program.ends_with(0));
    assert_eq!((farm.outputs("job"), farm.calls()), (b"word 1\n".to_vec(), 2), "called once more");
}

#[test]
fn a_failed_job_is_tried_again_from_where_it_failed() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    farm.ok(&["submit", "wc", "books", "--job", "job"]);
    farm.write("job/output/mr-out-00003", "somebody's\n");
    let run = ["run", "wc", "books", "--job", "job"];
    farm.run(&run).fails_saying(1, &["mr-out-00003 is of none of this job's done attempts", "then `flockwork retry`"]);
    assert_eq!(farm.read("job/output/mr-out-00003"), b"somebody's\n", "never replaced");
    let done = farm.names("job/done");
    std::fs::remove_file(farm.path("job/output/mr-out-00003")).expect("moved away");
    farm.run(&run).ends_with(1);
    farm.ok(&["retry", "job"]);
    farm.ok(&run);
    farm.finished_with("job", &oracle);
    assert_eq!(farm.names("job/done"), done, "what was done stays done");
    farm.ok(&["verify", "job"]);
}

#[test]
fn clean_drops_the_shuffle_and_keeps_the_outputs() {
    let farm = Farm::with_books();
    finished(&farm);
    let outputs = farm.outputs("job");
    farm.ok(&["clean", "job"]);
    assert_eq!(farm.names("job/shuffle"), [""; 0]);
    farm.same_bytes(&farm.ok(&["cat", "job"]).stdout(), &outputs, "cat after clean");
    farm.ok(&["status", "job"]);
    farm.ok(&["clean", "job", "--all"]);
    assert!(!farm.has("job"), "the whole job is gone: nobody is asked where stdin is no terminal");
    assert!(farm.has("books"), "and nothing else");
}

#[test]
fn clean_leaves_a_job_alone_that_has_not_ended() {
    let farm = Farm::new();
    let programs = at_work(&farm);
    for args in [&["clean", "job"][..], &["clean", "job", "--all", "--yes"]] {
        farm.run(args).ends_with(1);
    }
    farm.open_gate();
    programs.iter().for_each(|program| program.ends_with(0));
    assert_eq!((farm.outputs("job"), farm.calls()), (b"word 1\n".to_vec(), 1));
}
