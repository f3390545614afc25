//! A task farm: what commands are run with, what they wrote, and what becomes of those that fail.

use super::common::{FLOCKWORK, Farm, Program};
use std::rc::Rc;

mod again;
mod broken;
mod chained;
mod hangup;
mod joblog;
mod killed;
mod machines;
mod refused;

/// `each` with one slot and these options, a shell script as the command, and items.
fn each(farm: &Farm, options: &[&str], script: &str, items: &[&str]) -> Rc<Program> {
    farm.run(
        &[&["each", "--job", "job", "--slots", "2", "--quiet"], options, &["--", "sh", "-c", script, "sh", "{}", ":::"], items].concat(),
    )
}

fn text(program: &Program) -> String {
    String::from_utf8(program.stdout()).expect("UTF-8")
}

fn cat(farm: &Farm, more: &[&str]) -> String {
    text(&farm.ok(&[&["cat", "job"], more].concat()))
}

/// Runs a line of shell with `flockwork` as `$F`.
fn shell(farm: &Farm, line: &str) -> Rc<Program> {
    let program = farm.start_as("env", &[&format!("F={FLOCKWORK}"), "sh", "-c", line]);
    program.wait();
    program
}

#[test]
fn items_come_from_stdin_a_file_or_the_command_line() {
    let farm = Farm::new();
    farm.write("list", "a b\r\nc\n\nd");
    shell(&farm, "$F each --job j1 -- echo < list").ends_with(0);
    farm.ok(&["each", "--job", "j2", "-a", "list", "--", "echo"]);
    farm.ok(&["each", "--job", "j3", "--", "echo", ":::", "a b", "c", "", "d"]);
    for job in ["j1", "j2", "j3"] {
        assert_eq!(text(&farm.ok(&["cat", job])), "a b\nc\n\nd\n", "{job}");
    }
    farm.write("nulls", "one\ntwo\0three\0");
    farm.ok(&["each", "--job", "j4", "-0", "-a", "nulls", "--", "printf", "<%s>"]);
    assert_eq!(text(&farm.ok(&["cat", "j4"])), "<one\ntwo><three>");
    shell(&farm, "$F each --job none -- false < /dev/null").ends_with(0);
    assert_eq!(text(&farm.ok(&["cat", "none"])), "", "no items are no error");
}

#[test]
fn json_items_fill_the_command_by_their_fields() {
    let farm = Farm::new();
    farm.write("list", "{\"id\":1,\"name\":\"a b\"}\n\n{\"id\":[2],\"name\":\"c\"}\n");
    farm.ok(&["each", "--job", "job", "--json-items", "-a", "list", "--", "echo", "{id}:{name}", "{#}"]);
    assert_eq!(cat(&farm, &[]), "1:a b 1\n[2]:c 2\n");
    let items = ["{\"v\":12345678901234567890123}", "{\"v\":0.10}", "{\"v\":{\"z\":1, \"a\":2}}", "{\"v\":1e400}"];
    farm.ok(&[&["each", "--job", "exact", "--json-items", "--", "echo", "{v}", ":::"], &items[..]].concat());
    let exact = "12345678901234567890123\n0.10\n{\"z\":1, \"a\":2}\n1e400\n";
    assert_eq!(text(&farm.ok(&["cat", "exact"])), exact, "as they stand there");
    farm.run(&["each", "--job", "other", "--json-items", "-a", "list", "--", "echo", "{nmae}"])
        .fails_saying(1, &["2 of 2 tasks", "the item has no field `nmae`"]);
}

#[test]
fn holes_are_filled_and_no_shell_reads_what_fills_them() {
    let farm = Farm::new();
    let item = "d/$(touch oops) a'b.tar.gz";
    farm.ok(&["each", "--job", "job", "--", "printf", "%s|", "{}", "x{.}y", "{/}", "{//}", "{/.}", "{#}", ":::", item]);
    assert_eq!(cat(&farm, &[]), "d/$(touch oops) a'b.tar.gz|xd/$(touch oops) a'b.tary|$(touch oops) a'b.tar.gz|d|$(touch oops) a'b.tar|1|");
    assert!(!farm.has("oops"), "no shell was at work");
}

#[test]
fn a_command_is_told_its_task_and_given_an_empty_folder() {
    let farm = Farm::new();
    let script = "echo $FLOCKWORK_TASK.a$FLOCKWORK_ATTEMPT; test -f $FLOCKWORK_JOB/job.json && ls -A $FLOCKWORK_SCRATCH; \
                  touch $FLOCKWORK_SCRATCH/.x; mkdir $FLOCKWORK_SCRATCH/y; echo $FLOCKWORK_SCRATCH >> scratches; cat";
    each(&farm, &[], script, &["a", "b", "c", "d"]).ends_with(0);
    assert_eq!(cat(&farm, &[]), "map-00000.a1\nmap-00001.a1\nmap-00002.a1\nmap-00003.a1\n", "and stdin is empty");
    let scratches = String::from_utf8(farm.read("scratches")).expect("text");
    assert_eq!(scratches.lines().count(), 4);
    assert!(scratches.lines().all(|path| !std::path::Path::new(path).exists_now()), "they are gone: {scratches}");
}

/// A look that is fresh: these folders are local.
trait Look {
    fn exists_now(&self) -> bool;
}

impl Look for std::path::Path {
    fn exists_now(&self) -> bool {
        self.symlink_metadata().is_ok()
    }
}

#[test]
fn stdout_and_stderr_are_kept_apart_per_task_however_long() {
    let farm = Farm::new();
    let script = "yes out$1 | head -c 2500000; yes err$1 | head -c 1200000 >&2; echo; echo out > /dev/stdout";
    each(&farm, &[], script, &["1", "2", "3"]).ends_with(0);
    for item in ["1", "2", "3"] {
        let program = farm.ok(&["cat", "job", item]);
        let expected = |word: &str, len: usize| format!("{word}{item}\n").repeat(len).into_bytes()[..len].to_vec();
        farm.same_bytes(&program.stdout(), &[expected("out", 2_500_000), b"\nout\n".to_vec()].concat(), "stdout");
        farm.same_bytes(program.stderr().as_bytes(), &expected("err", 1_200_000), "stderr");
    }
    assert!(farm.names("job/output").len() <= 2, "one file per worker: {:?}", farm.names("job/output"));
    farm.ok(&["verify", "job"]);
}

#[test]
fn cat_gives_one_task_or_tags_every_line() {
    let farm = Farm::new();
    each(&farm, &[], "echo 1 $1; printf '2 %s' $1; echo oh >&2", &["a", "b"]).ends_with(0);
    assert_eq!(cat(&farm, &[]), "1 a\n2 a1 b\n2 b");
    assert_eq!((cat(&farm, &["2"]), cat(&farm, &["map-00000"])), ("1 b\n2 b".to_owned(), "1 a\n2 a".to_owned()));
    let tagged = farm.ok(&["cat", "job", "--tag"]);
    assert_eq!((text(&tagged), tagged.stderr()), ("a\t1 a\na\t2 a\nb\t1 b\nb\t2 b\n".to_owned(), "a\toh\nb\toh\n".to_owned()));
    for task in ["0", "3", "map-00002", "reduce-00000", "x"] {
        farm.run(&["cat", "job", task]).fails_saying(2, &["the job has no task", task]);
    }
}

#[test]
fn a_command_that_fails_is_not_run_again_and_named_at_the_end() {
    let farm = Farm::new();
    let script = "echo x >> ran-$1; echo said $1; test $1 != b";
    each(&farm, &[], script, &["a", "b", "c"])
        .fails_saying(1, &["1 of 3 tasks failed for good", "map-00001", "`sh` for `b` ended with status 1"]);
    assert_eq!(cat(&farm, &[]), "said a\nsaid b\nsaid c\n", "also what the failed one said");
    each(&farm, &[], script, &["a", "b", "c"]).fails_saying(1, &["1 of 3 tasks failed for good"]);
    for item in ["a", "b", "c"] {
        assert_eq!(farm.read(&format!("ran-{item}")), b"x\n", "{item} ran once, also when asked again");
    }
    farm.ok(&["retry", "job"]);
    each(&farm, &[], script, &["a", "b", "c"]).fails_saying(1, &["map-00001"]);
    assert_eq!((farm.read("ran-a"), farm.read("ran-b")), (b"x\n".to_vec(), b"x\nx\n".to_vec()), "retry runs only what failed");
    assert_eq!(farm.names("job/failed").len(), 2);
    farm.is_settled("job");
    farm.ok(&["verify", "job"]);
}

#[test]
fn retries_run_a_command_so_often_again() {
    let farm = Farm::new();
    let script = "echo x >> ran-$1; test $1 = never && exit 7; test $FLOCKWORK_ATTEMPT -ge $1";
    let program = each(&farm, &["--retries", "2"], script, &["1", "3", "never"]);
    program.fails_saying(1, &["1 of 3 tasks", "map-00002 failed 3 times", "status 7"]);
    let ran = |item: &str| farm.read(&format!("ran-{item}")).len() / 2;
    assert_eq!((ran("1"), ran("3"), ran("never")), (1, 3, 3));
}

#[test]
fn a_timeout_ends_a_command_with_all_it_has_started() {
    let farm = Farm::new();
    // Long enough for the other item's command also on a busy machine.
    let program = each(&farm, &["--timeout", "8s"], "test $1 = b && { sleep 600 & echo $! > pid; wait; }; echo done", &["a", "b"]);
    program.fails_saying(1, &["1 of 2 tasks", "for `b` ran for longer than"]);
    let pid = String::from_utf8(farm.read("pid")).expect("a number");
    farm.wait_for("its child is gone", || (!is_alive(pid.trim())).then_some(()));
}

/// Whether a process runs; one that was ended and not yet waited for does not.
fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn everything_is_tried_unless_failing_fast() {
    let farm = Farm::new();
    each(&farm, &["--keep-going"], "exit 1", &["a", "b", "c"]).fails_saying(1, &["3 of 3 tasks failed for good"]);
    let fast = Farm::new();
    each(&fast, &["--fail-fast", "2"], "case $1 in a|b) exit 1;; c) sleep 600;; *) echo $1 >> later;; esac", &["a", "b", "c", "d"])
        .fails_saying(1, &["2 of 4 tasks failed for good"]);
    // What ran was ended, or it would have been waited for in vain.
    fast.is_settled("job");
}

#[test]
fn the_joblog_is_gnu_parallels() {
    let farm = Farm::new();
    let script = "test $1 = b && exit 3; test $1 = c && kill -9 $$; printf 12345";
    each(&farm, &["--joblog", "log"], script, &["a", "b", "c", "d e"]).ends_with(1);
    let log = String::from_utf8(farm.read("log")).expect("text");
    let rows: Vec<Vec<&str>> = log.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]);
    assert_eq!(rows.len(), 5);
    for (row, (seq, received, exit, signal, item)) in rows[1..].iter().zip([
        ("1", "5", "0", "0", "a"),
        ("2", "0", "3", "0", "b"),
        ("3", "0", "0", "9", "c"),
        ("4", "5", "0", "0", "'d e'"),
    ]) {
        assert_eq!((row[0], row[4], row[5], row[6], row[7]), (seq, "0", received, exit, signal));
        assert!(row[2].parse::<f64>().is_ok_and(|at| at > 1e9) && row[3].trim().parse::<f64>().is_ok(), "{row:?}");
        assert!(row[8].starts_with("sh -c '") && row[8].ends_with(&format!(" sh {item}")), "{row:?}");
    }
}

#[test]
fn the_record_says_how_a_command_went() {
    let farm = Farm::new();
    each(&farm, &[], "sleep 0.1; exit 0", &["a"]).ends_with(0);
    let record = String::from_utf8(farm.read(&format!("job/done/{}", farm.names("job/done")[0]))).expect("text");
    let line: serde_json::Value = serde_json::from_str(record.lines().last().expect("the result")).expect("JSON");
    let ran = &line["event"]["result"]["made"]["ran"];
    let number = |name: &str| ran[name].as_i64().unwrap_or(-1);
    assert_eq!(number("exit"), 0);
    assert!(number("end_ms") - number("start_ms") >= 100 && number("start_ms") > 1_600_000_000_000, "{ran}");
    assert!(number("peak_bytes") > 100_000, "{ran}");
    assert!(record.contains("\"host\""), "{record}");
}

#[test]
fn a_lost_worker_is_no_failure_of_its_item_unless_too_many_are_lost() {
    let farm = Farm::new();
    // Its parent is the slot.
    let script = "test $1 = always || test $FLOCKWORK_ATTEMPT -gt 2 || kill -9 $PPID; test $1 = always && kill -9 $PPID; echo attempt $FLOCKWORK_ATTEMPT";
    each(&farm, &["--max-lost", "3"], script, &["a", "always"]).fails_saying(1, &["1 of 2 tasks", "map-00001 was lost 3 times"]);
    assert_eq!(cat(&farm, &["1"]), "attempt 3\n", "without --retries");
}

#[test]
fn so_many_run_at_a_time_as_there_are_slots() {
    let farm = Farm::new();
    let script = "mkdir busy || echo $1 >> both; sleep 0.05; rmdir busy; echo $$ >> ran";
    farm.ok(&["each", "--job", "job", "--slots", "1", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b", "c", "d", "e"]);
    assert!(!farm.has("both"));
    assert_eq!(farm.read("ran").iter().filter(|&&byte| byte == b'\n').count(), 5);
}

#[test]
fn quiet_says_nothing_of_a_good_end_and_json_says_it_to_programs() {
    let farm = Farm::new();
    let program = each(&farm, &["--json"], "echo $1", &["a", "b"]);
    program.ends_with(0);
    assert_eq!(program.stderr(), "");
    let end: serde_json::Value = serde_json::from_slice(&program.stdout()).expect("JSON");
    assert_eq!((&end["outcome"], &end["attempts"]["done"]), (&"finished".into(), &2.into()), "{end}");
    let loud = farm.ok(&["each", "--job", "loud", "--", "echo", ":::", "a"]);
    assert!(loud.stderr().contains("finished in") && loud.stderr().contains("flockwork cat loud"), "{}", loud.stderr());
}
