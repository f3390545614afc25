//! Every app's answer on a small input, by way of the public API only.

use std::path::Path;

use flockwork::app::{Options, Unit};
use flockwork::engine::AnyApp;
use flockwork::engine::input::resolve;
use flockwork::engine::split::{SplitRule, plan_splits};

use super::ALL;

fn make(name: &str) -> Box<dyn AnyApp> {
    make_with(name, &[])
}

fn make_with(name: &str, options: &[(&str, &str)]) -> Box<dyn AnyApp> {
    let entry = ALL.iter().find(|entry| entry.name == name).expect("listed");
    let options = options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    (entry.make)(&Options(options)).expect("these options will do")
}

/// What `app` says about files `b` and `a`, in this order; `DIR` stands for their folder.
fn answer(app: &str, b: &str, a: &str) -> String {
    answer_with(make(app), 1, b, a)
}

/// The same of an app with options, and with so many output files.
fn answer_with(app: Box<dyn AnyApp>, reduces: u32, b: &str, a: &str) -> String {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let here = dir.path().to_str().expect("UTF-8");
    std::fs::write(dir.path().join("a"), a).expect("written");
    std::fs::write(dir.path().join("b"), b).expect("written");
    let files = resolve(&[format!("{here}/b"), format!("{here}/a")], Path::new("/")).expect("there");
    let splits = plan_splits(&files, Unit::Files, &SplitRule { bytes: 1, lines: None }).expect("planned");
    let mut out = Vec::new();
    app.run_sequential(&splits, reduces, &mut out).expect("run");
    String::from_utf8(out).expect("UTF-8").replace(here, "DIR")
}

#[test]
fn names_are_distinct_and_as_the_lab_calls_them() {
    let names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
    let lab = ["mtiming", "rtiming", "jobcount", "early-exit", "crash", "nocrash"];
    assert_eq!(names[..7], ["wc", "indexer", "grep", "sort", "url-count", "reverse-links", "term-vector"]);
    assert_eq!((names[7], &names[8..]), ("noop", &lab[..]));
}

#[test]
fn the_labs_apps_read_whole_files_and_the_others_lines() {
    for entry in ALL {
        let app = if entry.name == "grep" { make_with("grep", &[("pattern", "x")]) } else { make(entry.name) };
        let expected = match entry.name {
            "wc" | "grep" | "sort" => Unit::Blocks,
            "noop" | "url-count" | "reverse-links" | "term-vector" => Unit::Lines,
            _ => Unit::Files,
        };
        assert_eq!(app.unit(), expected, "{}", entry.name);
    }
}

#[test]
fn grep_tells_path_number_and_text_in_the_order_of_the_input() {
    let find =
        |options: &[(&str, &str)]| answer_with(make_with("grep", options), 3, "one cat\r\n\ntwo cats\nno newline: cat", "dog\ncat\n");
    let lines = "DIR/b:1:one cat\nDIR/b:3:two cats\nDIR/b:4:no newline: cat\nDIR/a:2:cat\n";
    assert_eq!(find(&[("pattern", "cat")]), lines);
    assert_eq!(find(&[("pattern", "(?i)CATS?$")]), lines);
    assert_eq!(find(&[("pattern", "^$")]), "DIR/b:2:\n");
    assert_eq!(find(&[("pattern", "cat"), ("count", "true")]), "DIR/b:3\nDIR/a:1\n");
    assert_eq!(find(&[("pattern", "mouse"), ("count", "true")]), "");
}

#[test]
fn sort_orders_lines_byte_for_byte_over_all_files() {
    let (b, a) = ("b\r\na2\n\nb\n", "a10\nb\nc1");
    assert_eq!(answer_with(make("sort"), 4, b, a), "\na10\na2\nb\nb\nb\r\nc1\n");
    assert_eq!(answer_with(make_with("sort", &[("key", "2-2")]), 4, b, a), "\nb\nb\nb\r\na10\nc1\na2\n", "equal keys stay in order");
    let wrong = |text: &str| {
        (ALL.iter().find(|entry| entry.name == "sort").expect("listed").make)(&Options([("key".into(), text.into())].into())).is_err()
    };
    assert!(wrong("2") && wrong("0-2") && wrong("3-2") && wrong("a-b"));
}

#[test]
fn url_count_counts_the_field_asked_for() {
    assert_eq!(answer("url-count", "/a x\n/b y\n\n", " /a\n"), "/a 2\n/b 1\n");
    assert_eq!(answer_with(make_with("url-count", &[("field", "2")]), 1, "/a x\n/b\ty z\n\n", "/a x\n"), "x 2\ny 1\n");
}

#[test]
fn reverse_links_lists_the_sources_of_each_target() {
    assert_eq!(answer("reverse-links", "x y z\nw y\nlonely\n", "v\ty\n"), "y x,w,v\nz x\n");
}

#[test]
fn term_vector_has_the_most_frequent_words_of_each_host_first() {
    let (b, a) = ("http://h.org/p?q\tsea sun sea\nno tab\nh2\tx", "h.org\tsun moon sea!\n");
    assert_eq!(answer("term-vector", b, a), "h.org sea:3,sun:2,moon:1\nh2 x:1\n");
    assert_eq!(answer_with(make_with("term-vector", &[("top", "1")]), 1, b, a), "h.org sea:3\nh2 x:1\n");
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
