//! Every app's answer on a small input, by way of the public API only.

use std::path::Path;

use flockwork::app::{Options, Unit};
use flockwork::engine::AnyApp;
use flockwork::engine::input::resolve;
use flockwork::engine::split::{SplitRule, plan_splits};

use super::ALL;

fn make(name: &str) -> Box<dyn AnyApp> {
    let entry = ALL.iter().find(|entry| entry.name == name).expect("listed");
    (entry.make)(&Options::default()).expect("no options are needed")
}

/// What `app` says about files `b` and `a`, in this order; `DIR` stands for their folder.
fn answer(app: &str, b: &str, a: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let here = dir.path().to_str().expect("UTF-8");
    std::fs::write(dir.path().join("a"), a).expect("written");
    std::fs::write(dir.path().join("b"), b).expect("written");
    let files = resolve(&[format!("{here}/b"), format!("{here}/a")], Path::new("/")).expect("there");
    let app = make(app);
    let splits = plan_splits(&files, Unit::Files, &SplitRule { bytes: 1, lines: None }).expect("planned");
    let mut out = Vec::new();
    app.run_sequential(&splits, 1, &mut out).expect("run");
    String::from_utf8(out).expect("UTF-8").replace(here, "DIR")
}

#[test]
fn names_are_distinct_and_as_the_lab_calls_them() {
    let names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["wc", "indexer", "noop", "mtiming", "rtiming", "jobcount", "early-exit", "crash", "nocrash"]);
}

#[test]
fn all_but_wc_and_noop_read_whole_files() {
    for entry in ALL {
        let expected = if ["wc", "noop"].contains(&entry.name) { Unit::Lines } else { Unit::Files };
        assert_eq!(make(entry.name).unit(), expected, "{}", entry.name);
    }
}

#[test]
fn wc_counts_words_over_all_files() {
    assert_eq!(answer("wc", "the cat\r\nthe é", "The cat"), "The 1\ncat 2\nthe 2\né 1\n");
}

#[test]
fn indexer_names_each_file_once_in_order() {
    assert_eq!(answer("indexer", "cat cat dog", "cat"), "cat 2 DIR/a,DIR/b\ndog 1 DIR/b\n");
}

#[test]
fn nocrash_tells_names_and_lengths() {
    let text = answer("nocrash", "12345", "");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[2], lines[3]), ("a DIR/a DIR/b", "c 0 5", "d xyzzy xyzzy"));
}

#[test]
fn early_exit_counts_each_file() {
    assert_eq!(answer("early-exit", "", ""), "DIR/a 1\nDIR/b 1\n");
}

#[test]
fn the_timing_apps_see_one_process_here() {
    let pid = std::process::id();
    let text = answer("mtiming", "", "");
    assert!(text.starts_with(&format!("parallel-{pid} 1 1\ntimes-{pid} ")), "{text}");
    assert_eq!(answer("jobcount", "", ""), "a 2\n");
}

#[test]
#[ignore = "ten keys take a second each; the tests with real processes run it in parallel"]
fn rtiming_sees_one_process_here() {
    let expected: String = ('a'..='j').map(|key| format!("{key} 1\n")).collect();
    assert_eq!(answer("rtiming", "", ""), expected);
}

#[test]
fn noop_says_nothing() {
    assert_eq!(answer("noop", "x\ny\n", ""), "");
}
