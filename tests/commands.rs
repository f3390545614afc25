//! The commands that look at a job or steer it.

use std::process::{Command, Stdio};
use std::rc::Rc;

use super::common::{FLOCKWORK, Farm, Program};
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
        farm.write("script", format!("{{ {FLOCKWORK} {command} -o /dev/stdout && echo; echo after; }} >> out"));
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
fn a_worker_of_an_ended_job_says_how_that_ended() {
    let farm = Farm::new();
    for (command, job, code, how) in [("true", "good", 0, "finished"), ("false", "bad", 1, "failed")] {
        farm.run(&["each", "--job", job, "--quiet", "--", command, ":::", "a"]).ends_with(code);
        let worker = farm.ok(&["worker", job, "--slots", "1"]);
        assert_eq!(worker.stderr(), format!("flockwork: the job in {job} has ended: {how}\n"));
        assert_eq!(farm.ok(&["worker", job, "--slots", "1", "--quiet"]).stderr(), "");
    }
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
fn what_lies_in_a_job_is_refused_with_the_jobs_name() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["run", "wc", "a", "--job", "jobs/count", "-r", "1", "--quiet"]);
    let advice = "it lies in the job `jobs/count`: name that";
    for command in ["status", "explain", "metrics", "report", "wait", "cat", "verify", "pause", "retry", "clean"] {
        farm.run(&[command, "a"]).fails_saying(1, &["no job in a: it is a file; name the job's folder"]);
        let output = "jobs/count/output/mr-out-00000";
        farm.run(&[command, output]).fails_saying(1, &["no job in jobs/count/output/mr-out-00000: it is a file", advice]);
        for folder in ["jobs/count/output", "jobs/count/pending"] {
            farm.run(&[command, folder]).fails_saying(1, &[&format!("no job in {folder}"), advice]);
        }
        farm.run(&[command, "jobs/count/nothing"]).fails_saying(1, &["there is no such folder; `flockwork run` or"]);
        farm.run(&[command, "jobs/count/../none"]).fails_saying(1, &["there is no such folder; `flockwork run` or"]);
    }
    let script = "cd jobs/count/output && exec \"$0\" cat mr-out-00000";
    let job = farm.path("jobs/count").canonicalize().expect("it is there");
    let from_within = farm.start_as("sh", &["-c", script, FLOCKWORK]);
    from_within.fails_saying(1, &[&format!("it lies in the job `{}`: name that", job.display())]);
    farm.ok(&["verify", "jobs/count"]);
    std::fs::create_dir(farm.path("empty")).expect("made");
    farm.ok(&["status", "empty"]);
}

/// The exit status of flockwork where nobody reads what it prints.
fn unread(farm: &Farm, args: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(FLOCKWORK);
    command.args(args).current_dir(farm.path(".")).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    command.status().expect("started").code()
}

#[test]
fn the_exit_status_is_the_jobs_though_nobody_reads_what_is_printed() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    let run = ["run", "wc", "a", "--job", "good", "-r", "1", "--slots", "1", "--json"];
    let each = ["each", "--job", "bad", "--slots", "1", "--json", "--", "false", ":::", "a"];
    for _ in 0..2 {
        assert_eq!((unread(&farm, &run), unread(&farm, &each)), (Some(0), Some(1)));
    }
    assert_eq!((unread(&farm, &["wait", "good", "--json"]), unread(&farm, &["wait", "bad", "--json"])), (Some(0), Some(1)));
    farm.write("good/output/mr-out-00000", "words 1\n");
    assert_eq!(unread(&farm, &["verify", "good"]), Some(1));
    assert_eq!(unread(&farm, &["apps"]), Some(0), "where it says nothing more, it is a quiet success");
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

/// Submits or runs a job that shares its output folder with others.
fn shares(farm: &Farm, command: &str, job: &str) -> Rc<Program> {
    farm.run(&[command, "wc", "books", "--job", job, "-r", "3", "--output", "out"])
}

/// The reduce attempts of a job that were committed.
fn reduces(farm: &Farm, job: &str) -> Vec<String> {
    farm.names(&format!("{job}/done")).into_iter().filter(|name| name.starts_with("reduce-")).collect()
}

fn move_outputs_away(farm: &Farm) {
    farm.names("out").iter().for_each(|name| std::fs::remove_file(farm.path(&format!("out/{name}"))).expect("moved away"));
}

#[test]
fn clean_leaves_what_another_job_has_in_the_same_output_folder() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books", "-r", "3"]);
    for job in ["first", "second"] {
        shares(&farm, "submit", job).ends_with(0);
        farm.write("out/mr-out-00000", "somebody's\n");
        shares(&farm, "run", job).ends_with(1);
        move_outputs_away(&farm);
    }
    farm.write("out/.attempts/.tmp-k3f-0", "of whom nobody can tell");
    let second = reduces(&farm, "second");
    assert!(reduces(&farm, "first").iter().chain(&second).all(|name| farm.has(&format!("out/.attempts/{name}"))), "both have some");
    for args in [&["clean", "first"][..], &["clean", "first", "--all", "--yes"]] {
        let said = farm.ok(args).stderr();
        assert!(said.contains("files in first/../out/.attempts stay, for they may be another job's"), "{said}");
        assert_eq!(farm.names("out/.attempts"), second, "{args:?}");
        assert!(farm.has("out/.attempts/.tmp-k3f-0"), "{args:?}");
    }
    assert!(!farm.has("first"));
    farm.ok(&["retry", "second"]);
    shares(&farm, "run", "second").ends_with(0);
    assert_eq!(reduces(&farm, "second"), second, "nothing had to be done again");
    farm.same_bytes(&farm.ok(&["cat", "second"]).stdout(), &oracle, "second");
    farm.ok(&["clean", "second", "--all", "--yes"]);
    assert!(!farm.has("out/.attempts") && !farm.has("second"), "where it finished, no other job can");
    assert_eq!(farm.names("out"), ["mr-out-00000", "mr-out-00001", "mr-out-00002"]);
}

#[test]
fn clean_of_a_job_leaves_the_next_one_the_place_for_its_outputs() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books", "-r", "3"]);
    for job in ["first", "second"] {
        shares(&farm, "submit", job).ends_with(0);
    }
    farm.ok(&["clean", "first", "--all", "--yes"]);
    assert!(!farm.has("first") && farm.has("out/.attempts"));
    shares(&farm, "run", "second").ends_with(0);
    farm.same_bytes(&farm.ok(&["cat", "second"]).stdout(), &oracle, "second");
}

#[test]
fn a_clean_that_died_before_it_removed_job_json_can_be_run_again() {
    let farm = Farm::with_books();
    finished(&farm);
    std::fs::remove_dir_all(farm.path("job/phase")).expect("removed");
    farm.run(&["clean", "job"]).fails_saying(1, &["cannot clean a job that has not ended: job", "`--all` removes"]);
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert!(!farm.has("job"));
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
