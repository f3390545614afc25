//! `--skip-bad-records`: records that make attempts fail, or take the process along, are passed over after two attempts; nothing else is lost.
//! The app is the example `brittle`, which Cargo builds beside these tests.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::common::{FLOCKWORK, Farm};

fn program() -> PathBuf {
    let program = PathBuf::from(FLOCKWORK).with_file_name("examples").join("brittle");
    assert!(program.is_file(), "{} is missing: `cargo test` builds it, or say `cargo build --examples`", program.display());
    program
}

/// Runs `brittle` over `input` with bad records skipped; it finishes with what the oracle says of `clean`. How it ended.
fn skips(farm: &Farm, input: &str, clean: &str, more: &[&str]) -> Value {
    let job = format!("job-{}", farm.names(".").len());
    let command = ["run", "brittle", input, "--job", &job, "--skip-bad-records", "--slots", "1", "-r", "2", "--json"];
    let ran = farm.start_as(program(), &[&command, more].concat());
    ran.ends_with(0);
    let oracle = farm.start_as(program(), &["sequential", "brittle", clean, "-r", "2"]);
    oracle.ends_with(0);
    farm.finished_with(&job, &oracle.stdout());
    farm.ok(&["verify", &job]);
    let mut end: Value = serde_json::from_slice(&ran.stdout()).expect("--json prints how it ended");
    assert_eq!(end["skipped"].is_array(), ran.stderr().contains(&format!(" skipped; {job}/phase/end lists them")), "{}", ran.stderr());
    end["job"] = job.into();
    end
}

/// Where the skipped records were, and why.
fn listed(end: &Value) -> Vec<(Value, &str)> {
    let all = end["skipped"].as_array().expect("a list").iter();
    all.map(|bad| {
        (if bad["key"].is_null() { json!([bad["file"], bad["offset"]]) } else { bad["key"].clone() }, bad["why"].as_str().expect("why"))
    })
    .collect()
}

/// Two hundred good lines with these in between, evenly, and the same without them; where these begin.
fn texts(bad: &[&str]) -> (String, String, Vec<usize>) {
    let (mut with, mut without, mut places) = (String::new(), String::new(), Vec::new());
    let step = 200 / (bad.len() + 1);
    for n in 0..200 {
        if n > 0 && n % step == 0 && n / step <= bad.len() {
            places.push(with.len());
            with += &format!("before {} behind\n", bad[n / step - 1]);
        }
        let line = format!("sheep{} of {}\n", n % 7, n % 3);
        with += &line;
        without += &line;
    }
    (with, without, places)
}

#[test]
fn several_bad_lines_of_one_split_are_skipped_and_listed_and_nothing_else_is_lost() {
    let farm = Farm::new();
    let (with, without, places) = texts(&["error", "panic", "error", "error"]);
    farm.write("in.txt", with);
    farm.write("clean.txt", without);
    for (form, unit, n_failed) in [("run", "lines", 8), ("json", "lines", 8), ("run", "blocks", 9), ("json", "blocks", 9)] {
        // More failed attempts than a task may have: those at a record that is skipped do not count.
        let end = skips(&farm, "in.txt", "clean.txt", &["--shuffle", form, "-o", &format!("unit={unit}"), "--max-errors", "3"]);
        assert_eq!((&end["counters"]["records skipped"], &end["counters"]["records in"]), (&json!(4), &json!(200)), "{form} {unit}");
        let said = ["a word I cannot take", "panicked: do not", "a word I cannot take", "a word I cannot take"];
        let expected: Vec<_> =
            places.iter().zip(said).map(|(at, said)| (*at, format!("{said} (in the line at byte {at} of in.txt)"))).collect();
        let found: Vec<_> = listed(&end).into_iter().map(|(place, why)| (place, why.to_owned())).collect();
        assert_eq!(found, expected.into_iter().map(|(at, why)| (json!(["in.txt", at]), why)).collect::<Vec<_>>());
        let job = end["job"].as_str().expect("its name");
        assert_eq!(
            farm.names(&format!("{job}/failed")).len(),
            n_failed,
            "two attempts a line, and one that did not know which line of its block"
        );
        let status = String::from_utf8(farm.ok(&["status", job]).stdout()).expect("UTF-8");
        assert!(status.contains("counter  records skipped: 4\n") && status.contains(&format!("{job}/phase/end")), "{status}");
    }
}

#[test]
fn a_record_that_ends_its_process_is_found_and_skipped_also_in_a_packed_file() {
    let farm = Farm::new();
    let (with, without, places) = texts(&["abort", "abort"]);
    farm.write("in.txt", &with);
    farm.write("packed.txt", &with);
    assert!(Command::new("gzip").arg("packed.txt").current_dir(farm.path(".")).status().expect("gzip is installed").success());
    farm.write("clean.txt", without);
    for (input, more) in [("in.txt", ["--shuffle", "json"]), ("packed.txt.gz", ["-o", "unit=blocks"])] {
        // The first attempt has no note; the next four have, and do not count once their record is skipped.
        let end = skips(&farm, input, "clean.txt", &[&more[..], &["--max-lost", "3"]].concat());
        let died = "the process that worked on it died";
        assert_eq!(listed(&end), [(json!([input, places[0]]), died), (json!([input, places[1]]), died)]);
        assert_eq!((&end["counters"]["records skipped"], &end["attempts"]["expired"]), (&json!(2), &json!(5)));
    }
}

#[test]
fn lines_that_fail_in_every_way_are_all_skipped_in_one_job() {
    let farm = Farm::new();
    let (with, without, places) = texts(&["abort", "error", "panic"]);
    farm.write("in.txt", with);
    farm.write("clean.txt", without);
    let end = skips(&farm, "in.txt", "clean.txt", &["-o", "unit=blocks"]);
    assert_eq!(end["counters"]["records skipped"], 3);
    let found: Vec<_> = listed(&end).into_iter().map(|(place, _)| place).collect();
    assert_eq!(found, places.iter().map(|at| json!(["in.txt", at])).collect::<Vec<_>>());
}

#[test]
fn bad_keys_are_skipped_in_reduce() {
    let farm = Farm::new();
    farm.write("in.txt", "a bad-key b\nfatal-key a bad-key\nc\n");
    farm.write("clean.txt", "a b\na\nc\n");
    for form in ["run", "json"] {
        let end = skips(&farm, "in.txt", "clean.txt", &["--shuffle", form]);
        assert_eq!((&end["counters"]["keys skipped"], &end["counters"]["records skipped"]), (&json!(2), &Value::Null));
        let mut found = listed(&end);
        found.sort_by_key(|(key, _)| key.to_string());
        let expected =
            [(json!("bad-key"), "a key I cannot take (in the key `bad-key`)"), (json!("fatal-key"), "the process that worked on it died")];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_record_that_takes_for_ever_is_skipped() {
    let farm = Farm::new();
    let (with, without, places) = texts(&["stuck"]);
    farm.write("in.txt", with);
    farm.write("clean.txt", without);
    let end = skips(&farm, "in.txt", "clean.txt", &["--stall", "1s", "--lease", "1s"]);
    let found = listed(&end);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, json!(["in.txt", places[0]]));
    assert!(found[0].1.starts_with("no progress for 1.00 s"), "{found:?}");
}

#[test]
fn a_record_that_failed_once_is_not_skipped() {
    let farm = Farm::new();
    farm.write("in.txt", "a\nfirst\nb\n");
    let ran = farm.start_as(program(), &["run", "brittle", "in.txt", "--job", "job", "--skip-bad-records", "-r", "1", "--json"]);
    ran.ends_with(0);
    farm.finished_with("job", b"a 1\nb 1\nfirst 1\n");
    let end: Value = serde_json::from_slice(&ran.stdout()).expect("--json prints how it ended");
    assert_eq!((&end["skipped"], &end["counters"]["records skipped"], &end["attempts"]["failed"]), (&Value::Null, &Value::Null, &json!(1)));
}

#[test]
fn without_the_option_the_job_fails_and_names_the_record() {
    let farm = Farm::new();
    farm.write("in.txt", "a\nerror\nb\n");
    let failed = farm.start_as(program(), &["run", "brittle", "in.txt", "--job", "job"]);
    failed.fails_saying(1, &["map-00000 failed 4 times, at last with: a word I cannot take (in the line at byte 2 of in.txt)"]);
    for name in farm.names("job/failed") {
        let text = String::from_utf8(farm.read(&format!("job/failed/{name}"))).expect("UTF-8");
        let last: Value = serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
        let record = &last["event"]["error"]["record"];
        assert_eq!((&record["file"], &record["offset"]), (&json!("in.txt"), &json!(2)), "{text}");
        assert!(!text.contains("reached"), "no note is written: {text}");
    }
}
