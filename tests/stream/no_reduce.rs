//! `stream --no-reduce`: each map task's lines are an output file, published and checked as those of reducers are.

use rustix::process::Signal;

use super::stream;
use crate::common::Farm;

fn job_of(end: &serde_json::Value) -> &str {
    end["job"].as_str().expect("its job")
}

/// What the oracle prints for the mapper over the inputs.
fn oracle(farm: &Farm, mapper: &str, inputs: &[&str]) -> Vec<u8> {
    let option = format!("mapper={mapper}");
    farm.ok(&[&["sequential", "stream", "-o", &option, "-o", "no-reduce=true"], inputs].concat()).stdout()
}

#[test]
fn the_outputs_in_order_are_what_the_mapper_makes_of_the_input() {
    let farm = Farm::with_books();
    let mapper = "tr a-z A-Z";
    let end = stream(&farm, &["--mapper", mapper, "--no-reduce"], &["--split-lines", "500", "books"]);
    let job = job_of(&end);
    let expected = oracle(&farm, mapper, &["books"]);
    farm.same_bytes(&farm.outputs(job), &expected, "as sequential prints it");
    farm.same_bytes(&farm.ok(&["cat", job]).stdout(), &expected, "as cat prints it");
    let maps = end["attempts"]["done"].as_u64().expect("a number");
    assert!(maps > 8, "{end}");
    let outputs: Vec<String> = (0..maps).map(|n| format!("mr-out-{n:05}")).collect();
    let found: Vec<String> = farm.names(&format!("{job}/output")).into_iter().filter(|name| name.starts_with("mr-out-")).collect();
    assert_eq!(found, outputs, "one for each map task, numbered as it is");
    assert_eq!(end["counters"]["output bytes"].as_u64(), Some(expected.len() as u64));
    assert!(farm.names(&format!("{job}/shuffle")).is_empty() && !farm.has(&format!("{job}/phase/reduce")));
    farm.ok(&["clean", job]);
    farm.ok(&["verify", job]);
}

#[test]
fn lines_are_never_glued_together_and_a_mapper_that_says_nothing_has_an_empty_output() {
    let farm = Farm::new();
    farm.write("in/a", "1\n2\n");
    farm.write("in/b", "3\n");
    let mapper = "sh -c 'printf \"%s of %s\" \"$map_input_file\" \"$mapreduce_job_reduces\"'";
    let end = stream(&farm, &["--mapper", mapper, "--no-reduce"], &["in"]);
    assert_eq!(String::from_utf8(farm.outputs(job_of(&end))).expect("text"), "in/a of 0\nin/b of 0\n");
    farm.same_bytes(&oracle(&farm, mapper, &["in"]), b"in/a of 0\nin/b of 0\n", "sequential");
    let end = stream(&farm, &["--mapper", "grep -v 3", "--no-reduce", "--max-errors", "1"], &["--split-lines", "1", "in/a"]);
    assert_eq!(farm.outputs(job_of(&end)), b"1\n2\n");
    let end = stream(&farm, &["--mapper", "sed /1/d", "--no-reduce"], &["--split-lines", "1", "in/a"]);
    assert_eq!(farm.read(&format!("{}/output/mr-out-00000", job_of(&end))), b"", "there, and empty");
    assert_eq!(farm.outputs(job_of(&end)), b"2\n");
}

#[test]
fn binary_output_comes_through_and_output_names_another_folder() {
    let farm = Farm::new();
    farm.write("in", b"\xff\x00\t\t\xfe\r\nx\n");
    let end = stream(&farm, &["--mapper", "cat", "--no-reduce"], &["--output", "out", "in"]);
    assert_eq!(farm.read("out/mr-out-00000"), b"\xff\x00\t\t\xfe\r\nx\n");
    assert_eq!(farm.ok(&["cat", job_of(&end)]).stdout(), farm.read("in"));
}

#[test]
fn a_mapper_that_fails_fails_the_job_after_its_attempts() {
    let farm = Farm::new();
    farm.write("in", "1\n2\n3\n");
    let mapper = "sh -c 'read n; echo $n; test $n != 2'";
    let options = ["--no-reduce", "--split-lines", "1", "--max-errors", "2", "in"];
    farm.run(&[&["stream", "--job", "job", "--mapper", mapper], &options[..]].concat())
        .fails_saying(1, &["map-00001 failed 2 times", "ended with status 1"]);
    assert!(farm.names("job/output").iter().all(|name| !name.starts_with("mr-out-")), "no outputs of a job that failed");
}

#[test]
fn an_output_that_was_damaged_before_the_end_is_made_again_and_after_it_is_told() {
    let farm = Farm::new();
    farm.write("in", "1\n2\n");
    // The second map waits until somebody has cut the first one's output.
    farm.write_program("map.sh", "#!/bin/sh\nread n\necho $n\nif [ $n = 2 ]; then while [ ! -e cut ]; do sleep 0.05; done; fi\n");
    farm.ok(&["stream", "--submit", "--job", "job", "--no-reduce", "--split-lines", "1", "--mapper", "map.sh", "in"]);
    let leader = farm.start(&["coordinator", "job"]);
    let worker = farm.start(&["worker", "job", "--slots", "2"]);
    let done = farm.wait_for_name("job/done", "map-00000.a1@");
    farm.write(&format!("job/output/.attempts/{done}"), "");
    farm.write("cut", "");
    leader.ends_with(0);
    worker.ends_with(0);
    farm.wait_for_name("job/expired", &done);
    farm.finished_with("job", b"1\n2\n");
    farm.ok(&["verify", "job"]);
    farm.write("job/output/mr-out-00001", "3\n");
    farm.run(&["cat", "job"]).fails_saying(1, &["damaged", "mr-out-00001"]);
    let faults = farm.run(&["verify", "job"]);
    faults.fails_saying(1, &["fault"]);
    assert!(String::from_utf8_lossy(&faults.stdout()).contains("mr-out-00001"));
}

#[test]
fn a_worker_killed_in_mid_write_leaves_nothing_of_its_lines() {
    let farm = Farm::new();
    farm.write("in", "1\n");
    farm.write_program(
        "map.sh",
        "#!/bin/sh\nif mkdir once 2> /dev/null; then\n  yes | head -n 100000\n  touch half\n  sleep 600\nfi\ncat\n",
    );
    farm.ok(&["stream", "--submit", "--job", "job", "--no-reduce", "--mapper", "map.sh", "in"]);
    farm.start(&["coordinator", "job"]);
    let worker = farm.start(&["worker", "job", "--slots", "1"]);
    farm.wait_for("half of it is written", || farm.has("half").then_some(()));
    worker.signal(Signal::KILL);
    farm.ok(&["worker", "job", "--slots", "1"]);
    farm.finished_with("job", b"1\n");
}

#[test]
fn run_knows_the_app_too_and_chaos_compares_it() {
    let farm = Farm::new();
    farm.write("in", "b\na\n");
    farm.ok(&["run", "stream", "-o", "mapper=cat", "-o", "no-reduce=true", "--job", "job", "in"]);
    farm.finished_with("job", b"b\na\n");
    farm.ok(&["stream", "--no-reduce", "--mapper", "cat", "--job", "job", "in"]);
}

#[test]
fn what_has_no_meaning_without_a_reduce_is_refused() {
    let farm = Farm::new();
    farm.write("in", "x\n");
    for more in [&["--reducer", "cat"][..], &["--combiner", "cat"], &["-r", "3"], &["--shuffle", "json"]] {
        let words = [&["stream", "--mapper", "cat", "--no-reduce", "in"], more].concat();
        farm.run(&words).fails_saying(2, &["cannot be used with"]);
    }
    for (options, part) in [
        (&["-o", "no-reduce=true", "-o", "reducer=cat"][..], "no reducer and no combiner"),
        (&["-o", "no-reduce=true", "-o", "combiner=cat"], "no reducer and no combiner"),
        (&["-o", "no-reduce=yes"], "true or not there"),
        (&[], "-o no-reduce=true"),
    ] {
        farm.run(&[&["sequential", "stream", "in", "-o", "mapper=cat"], options].concat()).fails_saying(2, &[part]);
    }
    assert_eq!(farm.names("."), ["in"], "nothing is left behind");
    farm.ok(&["stream", "--submit", "--mapper", "cat", "--no-reduce", "--job", "job", "in"]);
    let asked = String::from_utf8(farm.read("job/job.json")).expect("text");
    farm.write("job/job.json", asked.replace("\"no-reduce\": \"true\"", "\"reducer\": \"cat\""));
    farm.run(&["coordinator", "job"]).fails_saying(1, &["`reduces` is 0"]);
}

#[test]
fn more_outputs_than_a_job_can_have_are_refused_before_anything_is_made() {
    let farm = Farm::new();
    farm.write("in", "\n".repeat(100_001));
    farm.run(&["stream", "--mapper", "cat", "--no-reduce", "--split-lines", "1", "in"])
        .fails_saying(1, &["100000 output files at most, not 100001", "--split-size"]);
    assert_eq!(farm.names("."), ["in"]);
}

#[test]
fn an_empty_file_has_no_mapper() {
    let farm = Farm::new();
    farm.write("empty", "");
    farm.write("one", "x\n");
    farm.ok(&["stream", "--mapper", "wc -l", "--no-reduce", "--job", "job", "empty", "one"]);
    farm.finished_with("job", b"1\n");
}

#[test]
fn explain_and_the_report_know_what_a_map_task_of_it_is() {
    let farm = Farm::new();
    farm.write("in", "1\n2\n");
    let end = stream(&farm, &["--mapper", "cat", "--no-reduce"], &["--split-lines", "1", "in"]);
    let job = job_of(&end);
    let told = String::from_utf8(farm.ok(&["explain", job, "mr-out-00001"]).stdout()).expect("text");
    assert!(told.starts_with("task     map-00001 of") && !told.contains("flockwork cat"), "{told}");
    let report: serde_json::Value = serde_json::from_slice(&farm.ok(&["report", job, "--json"]).stdout()).expect("JSON");
    assert!(report.to_string().contains("in, bytes 0 to 2"), "its pieces are told: {report}");
}
