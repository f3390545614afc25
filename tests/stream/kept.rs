//! What commands write to stderr is kept under `log/`, a file per attempt that says anything.

use super::{fails, stream};
use crate::common::Farm;

/// The names and contents of what was kept in a job.
fn kept(farm: &Farm, job: &str) -> Vec<(String, String)> {
    let names = farm.names(&format!("{job}/log")).into_iter().filter(|name| name.ends_with(".stderr"));
    names.map(|name| (name.clone(), String::from_utf8_lossy(&farm.read(&format!("{job}/log/{name}"))).into_owned())).collect()
}

#[test]
fn each_attempt_that_complains_has_a_file_and_no_other_has() {
    let farm = Farm::new();
    farm.write("in", "1\n2\n3\n");
    let mapper = "sh -c 'read n; echo \"reporter:counter:a,b,1\" >&2; echo reporter:status:fine >&2; if [ $n = 2 ]; then echo map $n >&2; fi; echo $n'";
    let reducer = "sh -c 'cat; printf reduced >&2'";
    let end = stream(
        &farm,
        &["--mapper", mapper, "--combiner", "sh -c 'cat; echo combined >&2'", "--reducer", reducer],
        &["-r", "1", "--split-lines", "1", "in"],
    );
    let kept = kept(&farm, end["job"].as_str().expect("its job"));
    let texts: Vec<(&str, &str)> = kept.iter().map(|(name, text)| (name.split('@').next().unwrap_or(name), text.as_str())).collect();
    let expected = [
        ("map-00000.a1", "combined\n"),
        ("map-00001.a1", "map 2\ncombined\n"),
        ("map-00002.a1", "combined\n"),
        ("reduce-00000.a1", "reduced"),
    ];
    assert_eq!(texts, expected, "reports are no complaints");
}

#[test]
fn without_complaints_there_is_no_file() {
    let farm = Farm::new();
    farm.write("in", "1\n2\n");
    for commands in [&["--mapper", "cat", "--reducer", "cat"][..], &["--mapper", "sh -c 'cat; echo reporter:status:x >&2'", "--no-reduce"]]
    {
        let end = stream(&farm, commands, &["in"]);
        assert_eq!(kept(&farm, end["job"].as_str().expect("its job")), []);
    }
}

#[test]
fn of_much_the_beginning_and_the_end_are_kept_and_the_error_says_where() {
    let farm = fails(
        &["--mapper", "sh -c 'seq 1000000 >&2; exit 3'", "--no-reduce"],
        &[],
        &["ended with status 3", "the end of its stderr, of which more is in ", "/log/map-00000.a1@", ".stderr:", "999999\n1000000"],
    );
    let kept = kept(&farm, "job");
    let [(name, text)] = &kept[..] else { panic!("one attempt: {kept:?}") };
    assert!(name.starts_with("map-00000.a1@"), "{name}");
    assert!(text.starts_with("1\n2\n") && text.ends_with("\n999999\n1000000\n") && text.contains(" bytes are left out ...]"));
    assert!(text.len() < 140_000, "{}", text.len());
}
