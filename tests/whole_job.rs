//! Jobs from their command line to their bytes, with nothing going wrong.

use rustix::process::Signal;

use super::common::{BOOKS, Farm};
use super::stragglers::dawdle;

/// Every word with its count, sorted by bytes: letters are Unicode's general category L, bytes that are not UTF-8 separate.
const COUNT_IN_PYTHON: &str = r"
import collections, sys, unicodedata
count = collections.Counter()
for name in sys.argv[1:]:
    text = open(name, 'rb').read().decode('utf-8', 'replace')
    count.update(''.join(c if unicodedata.category(c)[0] == 'L' else ' ' for c in text).split(' '))
del count['']
sys.stdout.buffer.write(b''.join(sorted(f'{word} {n}\n'.encode() for word, n in count.items())))
";

fn sorted_lines(bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&b| b == b'\n').collect();
    lines.sort_unstable();
    lines.concat()
}

fn books() -> Vec<String> {
    BOOKS.iter().map(|name| format!("books/{name}")).collect()
}

#[test]
fn run_gives_the_bytes_of_sequential_and_both_agree_with_an_independent_count() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    farm.ok(&["run", "wc", "books", "--job", "job"]);
    farm.finished_with("job", &oracle);
    assert_eq!(farm.names("job/output").len(), 10, "ten reduces unless said otherwise");
    let mut args = vec!["-c", COUNT_IN_PYTHON];
    let names = books();
    args.extend(names.iter().map(String::as_str));
    let found = std::process::Command::new("python3").arg("--version").output();
    assert!(found.is_ok_and(|output| output.status.success()), "this test needs python3 (any version 3) in PATH: install it");
    let independent = farm.start_as("python3", &args);
    independent.ends_with(0);
    farm.same_bytes(&sorted_lines(&oracle), &independent.stdout(), "the count in Python");
}

#[test]
fn a_coordinator_and_several_workers_give_the_same_bytes() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books", "-r", "7"]);
    let early: Vec<_> = (0..2).map(|_| farm.start(&["worker", "farm/job", "--slots", "1"])).collect();
    let coordinator = farm.start(&["coordinator", "farm/job"]);
    farm.wait_for("an early worker says that it waits", || early[0].stderr().contains("there is no job in").then_some(()));
    farm.wait_for("an early coordinator says so too", || coordinator.stderr().contains("there is no job in").then_some(()));
    let printed = farm.ok(&["submit", "wc", "books", "-r", "7", "--split-lines", "150", "--job", "farm/job"]).stdout();
    assert_eq!(printed, b"farm/job\n", "submit prints where the job is");
    farm.wait_for_names("farm/job/done", 3);
    let late = farm.start(&["worker", "farm/job", "--slots", "2"]);
    let leaver = &early[1];
    leaver.signal(Signal::TERM);
    leaver.ends_with(0);
    coordinator.ends_with(0);
    farm.finished_with("farm/job", &oracle);
    early[0].ends_with(0);
    late.ends_with(0);
    assert_eq!(farm.names("farm/job/workers"), [""; 0], "workers that leave take their names with them");
    assert_eq!(farm.names("farm/job/failed"), [""; 0], "leaving is no error");
}

#[test]
fn the_bytes_do_not_depend_on_how_the_input_is_split() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books", "-r", "3"]);
    for (job, options) in [("whole", ["--split-size", "64MiB"]), ("small", ["--split-size", "7KiB"]), ("lines", ["--split-lines", "61"])] {
        farm.ok(&[&["run", "wc", "books", "-r", "3", "--job", job], &options[..]].concat());
        farm.finished_with(job, &oracle);
    }
    let maps = |job: &str| farm.names(&format!("{job}/done")).iter().filter(|name| name.starts_with("map-")).count();
    assert!(maps("small") > 60, "7 KiB of half a megabyte: {}", maps("small"));
    assert!(maps("lines") > 60, "61 lines a task: {}", maps("lines"));
    assert!((8..=16).contains(&maps("whole")), "small files are combined, but parallelism is not lost: {}", maps("whole"));
}

#[test]
fn the_same_command_again_finds_the_job_finished() {
    let farm = Farm::with_books();
    let command = ["run", "wc", "books", "--job", "job"];
    let first = farm.ok(&command).stderr();
    assert!(first.starts_with("flockwork: job job\n") && !first.contains("already"), "{first}");
    let (oracle, before) = (farm.outputs("job"), farm.names("job/done"));
    let again = farm.ok(&command).stderr();
    assert!(again.starts_with("flockwork: the job in job had finished already (at 2"), "its first line says so: {again}");
    assert!(again.contains("so nothing is run; to run it anew: `flockwork clean --all job`, or choose another --job"), "{again}");
    assert_eq!(farm.ok(&[&command[..], &["--quiet"]].concat()).stderr(), "", "nothing is wrong");
    farm.finished_with("job", &oracle);
    assert_eq!(farm.names("job/done"), before, "nothing is done twice");
    farm.ok(&["coordinator", "job"]);
    farm.ok(&["worker", "job", "--slots", "1"]);
    farm.finished_with("job", &oracle);
}

#[test]
fn of_a_job_that_is_submitted_again_it_is_told_when_it_has_ended() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    let said = || {
        let submitted = farm.ok(&["submit", "wc", "a", "--job", "job", "-r", "1"]);
        assert_eq!(submitted.stdout(), b"job\n", "scripts read where it is");
        submitted.stderr()
    };
    assert_eq!([said(), said()], ["", ""], "it has not ended");
    farm.ok(&["cancel", "job"]);
    farm.run(&["coordinator", "job", "--quiet"]).ends_with(1);
    let cancelled = said();
    assert!(cancelled.starts_with("flockwork: the job in job was cancelled already (at 2"), "{cancelled}");
    farm.ok(&["retry", "job"]);
    assert_eq!(said(), "", "it is open again");
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "1", "--quiet"]);
    let finished = said();
    assert!(finished.starts_with("flockwork: the job in job had finished already (at 2"), "{finished}");
}

#[test]
fn a_job_with_the_longest_lease_that_may_be_asked_for_runs() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "1", "--lease", "36600d", "--stall", "36600d", "--slots", "1"]);
    farm.finished_with("job", b"word 1\n");
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let farm = Farm::new();
    farm.write("in", (0..60).map(|n| format!("line {}\n", n % 7)).collect::<String>());
    farm.write("slow", "");
    let (program, app) = (dawdle(), ["dawdle", "in", "-o", "ms=5", "-o", "times=100"]);
    let sequential = farm.start_as(&program, &[&["sequential"], &app[..]].concat());
    sequential.ends_with(0);
    let oracle = sequential.stdout();
    let command = [&["run"], &app[..], &["--job", "job", "--split-lines", "1", "--slots", "2"]].concat();
    let first = farm.start_as("env", &[&["DAWDLE=slow", program.to_str().expect("a path in UTF-8")], &command[..]].concat());
    farm.wait_for_names("job/done", 5);
    first.signal_all(Signal::INT);
    first.ends_with(130);
    assert!(first.stderr().contains("interrupted; the job stays in job"), "it says how to go on: {}", first.stderr());
    assert!(!farm.has("job/phase/end"), "it was interrupted before its end");
    assert_eq!(farm.names("job/claimed"), [""; 0], "claims are given back");
    let before = farm.names("job/done");
    let second = farm.start_as(&program, &command); // Where it is not slow.
    second.ends_with(0);
    assert!(!second.stderr().contains("already"), "it had not ended: {}", second.stderr());
    farm.finished_with("job", &oracle);
    let after = farm.names("job/done");
    assert!(before.iter().all(|name| after.contains(name)), "what was done stays done");
}

#[test]
fn an_empty_input_is_a_finished_job_with_empty_outputs() {
    let farm = Farm::new();
    farm.write("empty", b"");
    std::fs::create_dir(farm.path("folder")).expect("made");
    for (job, input) in [("file", "empty"), ("nothing", "folder")] {
        farm.ok(&["run", "wc", input, "--job", job, "-r", "3"]);
        farm.finished_with(job, b"");
        assert_eq!(farm.names(&format!("{job}/output")), ["mr-out-00000", "mr-out-00001", "mr-out-00002"]);
    }
}

#[test]
fn a_folder_is_walked_and_a_quoted_pattern_is_expanded() {
    let farm = Farm::new();
    farm.write("in/a.txt", "one two\n");
    farm.write("in/deep/b.txt", "two three\n");
    farm.write("in/deep/c.md", "four\n");
    farm.write("in/.hidden", "five\n");
    for (job, input, oracle) in [
        ("folder", "in", "four 1 in/deep/c.md\none 1 in/a.txt\nthree 1 in/deep/b.txt\ntwo 2 in/a.txt,in/deep/b.txt\n"),
        ("pattern", "in/**/*.txt", "one 1 in/a.txt\nthree 1 in/deep/b.txt\ntwo 2 in/a.txt,in/deep/b.txt\n"),
        ("flat", "in/*.txt", "one 1 in/a.txt\ntwo 1 in/a.txt\n"),
    ] {
        farm.ok(&["run", "indexer", input, "--job", job, "-r", "1"]);
        farm.finished_with(job, oracle.as_bytes());
    }
}

#[test]
fn outputs_go_where_the_user_wants_them() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books", "-r", "2"]);
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "2", "--output", "result"]);
    assert_eq!(farm.names("result"), ["mr-out-00000", "mr-out-00001"]);
    let found = [farm.read("result/mr-out-00000"), farm.read("result/mr-out-00001")].concat();
    farm.same_bytes(&found, &oracle, "--output");
    let again = farm.run(&["run", "wc", "books", "--job", "other", "-r", "2", "--output", "result"]);
    again.fails_saying(1, &["cannot write the outputs to", "outputs are never replaced"]);
    assert!(!farm.has("other"), "refused before anything is made");
}

#[test]
fn a_job_gets_a_folder_of_its_own_here_unless_told_where() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    for _ in 0..2 {
        farm.ok(&["run", "wc", "a"]);
    }
    let jobs: Vec<_> = farm.names(".").into_iter().filter(|name| name.starts_with("flockwork-wc-")).collect();
    assert_eq!(jobs.len(), 2, "each run has its own: {jobs:?}");
    jobs.iter().for_each(|job| farm.finished_with(job, b"word 1\n"));
}

#[test]
fn the_readable_shuffle_has_a_file_of_json_lines_for_every_map_and_partition() {
    let farm = Farm::with_books();
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "3", "--shuffle", "json"]);
    let maps: Vec<_> = farm.names("job/done").into_iter().filter(|name| name.starts_with("map-")).collect();
    let expected: Vec<String> = maps.iter().flat_map(|map| (0..3).map(move |part| format!("{map}-{part:05}.json"))).collect();
    assert_eq!(farm.names("job/shuffle"), expected);
    let mut pairs = 0;
    for name in expected {
        for line in farm.read(&format!("job/shuffle/{name}")).split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            let pair: serde_json::Value = serde_json::from_slice(line).unwrap_or_else(|error| panic!("{name}: {error}"));
            let keys: Vec<_> = pair.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["key", "value"], "{name}");
            pairs += 1;
        }
    }
    assert!(pairs > 1000, "the words of eight books: {pairs}");
}
