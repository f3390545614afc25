//! A user's own program has the whole command line. It is the example `longest_line`, which Cargo builds beside these tests.

use std::path::PathBuf;

use super::common::{FLOCKWORK, Farm, book};

fn program() -> PathBuf {
    let program = PathBuf::from(FLOCKWORK).with_file_name("examples").join("longest_line");
    assert!(
        program.is_file(),
        "{} is missing: `cargo test` builds examples; after `cargo test --test tests` say `cargo build --examples`",
        program.display()
    );
    program
}

/// The longest line of every book, plainly: what the program is to say, sorted.
fn expected(farm: &Farm) -> Vec<Vec<u8>> {
    let answer = |name: &String| {
        let text = farm.read(&format!("books/{name}"));
        let lines = text.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let longest = lines.rev().max_by_key(|line| line.len()).unwrap_or_default();
        [format!("books/{name} {} ", longest.len()).as_bytes(), longest].concat()
    };
    let mut all: Vec<_> = farm.names("books").iter().map(answer).collect();
    all.sort_unstable();
    all
}

fn sorted(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = bytes.strip_suffix(b"\n").unwrap_or_default().split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn an_own_program_runs_its_app_by_one_command() {
    let farm = Farm::with_books();
    let ran = farm.start_as(program(), &["run", "longest-line", "books", "--job", "job", "--split-lines", "200", "--json"]);
    ran.ends_with(0);
    assert_eq!(sorted(&farm.outputs("job")), expected(&farm));
    let end: serde_json::Value = serde_json::from_slice(&ran.stdout()).expect("--json prints how it ended");
    assert_eq!(end["counters"]["files"], 8, "its own counter: {end}");
    let oracle = farm.start_as(program(), &["sequential", "longest-line", "books"]);
    oracle.ends_with(0);
    farm.finished_with("job", &oracle.stdout());
}

#[test]
fn an_own_program_lists_its_own_apps_and_no_others() {
    let farm = Farm::new();
    let listed = farm.start_as(program(), &["apps"]);
    listed.ends_with(0);
    let text = String::from_utf8(listed.stdout()).expect("UTF-8");
    assert!(text.starts_with("longest-line  the longest line of every file\n"), "{text}");
    assert!(text.contains("-o limit=…"), "with its options: {text}");
    farm.start_as(program(), &["run", "wc", "a"]).fails_saying(2, &["no app is called `wc`", "longest-line"]);
}

#[test]
fn workers_of_an_own_program_share_a_job() {
    let farm = Farm::with_books();
    farm.start_as(program(), &["submit", "longest-line", "books", "--job", "job"]).ends_with(0);
    let workers: Vec<_> = (0..2).map(|_| farm.start_as(program(), &["worker", "job", "--slots", "1"])).collect();
    // The app is not known to flockwork itself: it cannot work here, but it can coordinate, for a coordinator runs no user code.
    farm.run(&["worker", "job"]).fails_saying(2, &["no app is called `longest-line`"]);
    farm.ok(&["coordinator", "job"]);
    workers.iter().for_each(|worker| worker.ends_with(0));
    assert_eq!(sorted(&farm.outputs("job")), expected(&farm));
}

#[test]
fn an_error_of_the_app_fails_the_job_with_its_words() {
    let farm = Farm::new();
    farm.write("books/short", "one\n");
    farm.write("books/long", book(0));
    let command = ["run", "longest-line", "books", "--job", "job", "-o", "limit=50", "--max-errors", "2"];
    farm.start_as(program(), &command)
        .fails_saying(1, &["the job in job failed: map-00000 failed 2 times", "books/long: a line of", "begins at byte"]);
    assert!(farm.has("job/phase/failed") && !farm.has("job/phase/finished"));
    assert_eq!(farm.names("job/failed").len(), 2, "as many attempts as were allowed");
    farm.is_settled("job");
    let bad = ["run", "longest-line", "books", "--job", "other", "-o", "limit=low"];
    farm.start_as(program(), &bad).fails_saying(2, &["limit is no number: low"]);
}
