//! `--joblog`: what stands in it, and where it is written to.

use super::{each, shell};
use crate::common::Farm;

/// `Seq`, `Exitval` and `Signal` of each item told, and what was run.
fn rows(farm: &Farm, log: &str) -> Vec<(String, String, String, String)> {
    let log = String::from_utf8(farm.read(log)).expect("text");
    assert!(log.starts_with("Seq\tHost\t"), "{log}");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        assert!(cells.len() == 9 && !cells[1].is_empty() && cells[2].parse::<f64>().is_ok_and(|at| at > 1e9), "{line}");
        (cells[0].to_owned(), cells[6].to_owned(), cells[7].to_owned(), cells[8].to_owned())
    };
    log.lines().skip(1).map(row).collect()
}

#[test]
fn a_command_that_ran_out_of_time_did_not_end_well_however_it_ended() {
    let farm = Farm::new();
    // On a busy machine it may be ended before it has set its trap: then a signal is told.
    let script = "trap 'exit 0' TERM; sleep 600 & wait";
    each(&farm, &["--timeout", "1s", "--joblog", "log"], script, &["a"]).fails_saying(1, &["ran for longer than"]);
    let rows = rows(&farm, "log");
    assert!(rows.len() == 1 && rows[0].1 == "-1", "as GNU parallel says it: {rows:?}");
}

#[test]
fn what_failed_without_a_commands_end_has_a_line_too() {
    let farm = Farm::new();
    // Its parent is the slot.
    each(&farm, &["--max-lost", "1", "--joblog", "log"], "test $1 = b && kill -9 $PPID; true", &["a", "b"])
        .fails_saying(1, &["map-00001 was lost once"]);
    let told: Vec<_> = rows(&farm, "log").into_iter().map(|(seq, exit, signal, _)| (seq, exit, signal)).collect();
    let row = |seq: &str, exit: &str| (seq.to_owned(), exit.to_owned(), "0".to_owned());
    assert_eq!(told, [row("1", "0"), row("2", "-1")]);
    farm.run(&["cat", "job"]).ends_with(0);

    let args = ["each", "--job", "json", "--json-items", "--joblog", "json.log", "--", "echo", "{a}", ":::", "{\"a\":1}", "{\"b\":1}"];
    farm.run(&args).fails_saying(1, &["the item has no field `a`"]);
    let told = rows(&farm, "json.log");
    assert_eq!((told[0].1.as_str(), told[0].3.as_str(), told[1].1.as_str()), ("0", "echo 1", "-1"));
    assert!(told[1].3.contains("no field `a`"), "{told:?}");
}

#[test]
fn a_descriptor_is_written_to_where_it_stands_and_its_file_is_kept() {
    let farm = Farm::new();
    farm.write("appended", "before\n");
    shell(&farm, "$F each --job j1 -q --json --joblog /dev/stdout -- true ::: a >> appended").ends_with(0);
    let text = |name: &str| String::from_utf8(farm.read(name)).expect("text");
    let lines = text("appended");
    let begins: Vec<&str> = lines.lines().map(|line| line.get(..4).unwrap_or(line)).collect();
    assert!(begins.len() == 4 && begins[..3] == ["befo", "{\"ou", "Seq\t"] && begins[3].starts_with("1\t"), "{lines}");
    // Another link to it, another descriptor, and others that write behind it.
    shell(&farm, "ln -s /dev/stdout link; { echo one; $F each --job j2 -q --joblog link -- true ::: a; echo two; } > shared").ends_with(0);
    shell(&farm, "{ echo one >&7; $F each --job j3 -q --joblog /proc/self/fd/7 -- true ::: a; echo two >&7; } 7> other").ends_with(0);
    for name in ["shared", "other"] {
        let lines = text(name);
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines.len() == 4 && lines[0] == "one" && lines[1].starts_with("Seq\t") && lines[3] == "two", "{name}: {lines:?}");
    }
    // A link to a file is followed, and the file put in place whole.
    shell(&farm, "echo old > real; ln -s real alias; $F each --job j4 -q --joblog alias -- true ::: a; test -L alias").ends_with(0);
    assert_eq!(rows(&farm, "real").len(), 1);
}

#[test]
fn where_it_cannot_be_written_is_told_before_anything_is_run() {
    let farm = Farm::new();
    farm.write("file", "x");
    for (path, part) in [
        ("nowhere/log", "there is no folder nowhere; make it, or name another with --joblog"),
        (".", "it is a folder"),
        ("file/log", "file is not a folder; name another with --joblog"),
        ("file/x/log", "a part of file/x is a file, not a folder; name another with --joblog"),
    ] {
        let args = ["each", "--job", "job", "--joblog", path, "--", "sh", "-c", "echo x >> ran", ":::", "a"];
        farm.run(&args).fails_saying(1, &["cannot write the joblog to", part]);
    }
    shell(&farm, "exec $F each --job job --joblog /dev/fd/7 -- sh -c 'echo x >> ran' ::: a 7< file")
        .fails_saying(1, &["cannot write the joblog to /dev/fd/7", "not open for writing"]);
    assert_eq!(farm.names("."), ["file"], "nothing was made");
    // A folder that comes with the job is no reason to refuse.
    farm.ok(&["each", "--job", "new/job", "--joblog", "new/job/log/all", "--", "true", ":::", "a"]);
    farm.ok(&["each", "--job", "newer/job", "--joblog", "newer/log", "--", "true", ":::", "a"]);
    assert_eq!((rows(&farm, "new/job/log/all").len(), rows(&farm, "newer/log").len()), (1, 1));
    farm.run(&["each", "--job", "last", "--joblog", "last/none/log", "--", "sh", "-c", "echo x >> ran", ":::", "a"])
        .fails_saying(1, &["there is no folder"]);
    assert!(!farm.has("ran"));
}
