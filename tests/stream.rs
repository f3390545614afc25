//! `flockwork stream`: mappers and reducers as people have them, unchanged, against the plain pipe; and commands that behave badly, each in its own way.

use std::process::Command;
use std::rc::Rc;

use rustix::process::Signal;
use serde_json::Value;

use super::common::{Farm, Program};

mod kept;
mod no_reduce;
mod started;

/// The fixtures, by name.
const SCRIPTS: [(&str, &str); 6] = [
    ("wc_map.py", include_str!("stream/wc_map.py")),
    ("wc_reduce.py", include_str!("stream/wc_reduce.py")),
    ("hits_map.awk", include_str!("stream/hits_map.awk")),
    ("hits_reduce.awk", include_str!("stream/hits_reduce.awk")),
    ("lengths_map.sh", include_str!("stream/lengths_map.sh")),
    ("lengths_reduce.sh", include_str!("stream/lengths_reduce.sh")),
];

/// A farm with the books and the scripts.
fn farm() -> Farm {
    let farm = Farm::with_books();
    SCRIPTS.iter().for_each(|(name, text)| farm.write_program(name, text));
    farm
}

/// Runs a job over `inputs`; its end. Its outputs are those of the oracle.
fn stream(farm: &Farm, commands: &[&str], more: &[&str]) -> Value {
    let job = format!("job-{}", farm.names(".").len());
    let ran = farm.ok(&[&["stream", "--job", &job, "--slots", "2", "--quiet", "--json"], commands, more].concat());
    farm.is_settled(&job);
    farm.ok(&["verify", &job]);
    let mut end: Value = serde_json::from_slice(&ran.stdout()).expect("--json prints how it ended");
    end["job"] = job.into();
    end
}

fn sorted(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort_unstable();
    lines
}

fn lines_of(farm: &Farm, end: &Value) -> Vec<String> {
    let outputs = farm.outputs(end["job"].as_str().expect("its job"));
    sorted(&outputs).into_iter().map(|line| String::from_utf8(line).expect("text").trim_end_matches('\n').to_owned()).collect()
}

/// The job's lines are those of the plain pipe in a shell. (`awk 1` is a `cat` that ends every file's last line.)
fn as_the_pipe(farm: &Farm, end: &Value, pipe: &str) {
    let said = Command::new("sh").args(["-c", pipe]).current_dir(farm.path(".")).output().expect("a shell");
    assert!(said.status.success(), "{pipe}: {}", String::from_utf8_lossy(&said.stderr));
    let outputs = farm.outputs(end["job"].as_str().expect("its job"));
    assert!(!outputs.is_empty(), "something came out");
    assert!(sorted(&outputs) == sorted(&said.stdout), "{} bytes, not {}", outputs.len(), said.stdout.len());
}

#[test]
fn a_python_word_count_runs_unchanged() {
    let farm = farm();
    let commands = ["--mapper", "python3 wc_map.py", "--reducer", "wc_reduce.py"];
    let end = stream(&farm, &commands, &["--split-size", "100000", "-r", "4", "books"]);
    as_the_pipe(&farm, &end, "LC_ALL=C awk 1 books/* | python3 wc_map.py | LC_ALL=C sort | python3 wc_reduce.py");
    // Byte for byte what one thread makes of it.
    let oracle = farm.sequential("stream", &["-r", "4", "-o", "mapper=./wc_map.py", "-o", "reducer=python3 wc_reduce.py", "books"]);
    farm.finished_with(end["job"].as_str().expect("its job"), &oracle);
}

#[test]
fn without_a_reducer_the_outputs_are_the_sorted_lines() {
    let farm = farm();
    let end = stream(&farm, &["--mapper", "python3 wc_map.py"], &["-r", "1", "books"]);
    as_the_pipe(&farm, &end, "LC_ALL=C awk 1 books/* | python3 wc_map.py | LC_ALL=C sort");
}

#[test]
fn an_awk_pair_runs_unchanged_and_its_counters_are_summed() {
    let farm = farm();
    let line = |n: u32| if n.is_multiple_of(97) { "garbage\n".to_owned() } else { format!("host{} GET {}\n", n * n % 31, n * 7919 % 4001) };
    farm.write("logs/a.log", (0..3000).map(line).collect::<String>());
    farm.write("logs/b.log", (3000..5000).map(line).collect::<String>());
    let commands = ["--mapper", "awk -f hits_map.awk", "--reducer", "awk -f hits_reduce.awk"];
    let end = stream(&farm, &commands, &["--split-lines", "700", "-r", "3", "logs"]);
    as_the_pipe(&farm, &end, "cat logs/* | awk -f hits_map.awk 2>/dev/null | LC_ALL=C sort | awk -f hits_reduce.awk");
    assert_eq!(end["counters"]["Log:Malformed"], 52);
    assert_eq!(end["counters"]["records in"], 5000);
}

#[test]
fn a_shell_pair_runs_unchanged() {
    let farm = farm();
    let commands = ["--mapper", "sh lengths_map.sh", "--reducer", "./lengths_reduce.sh"];
    let end = stream(&farm, &commands, &["-r", "2", "books"]);
    as_the_pipe(&farm, &end, "LC_ALL=C awk 1 books/* | sh lengths_map.sh | LC_ALL=C sort | ./lengths_reduce.sh");
}

#[test]
fn a_combiner_sees_sorted_lines_and_makes_the_shuffle_small() {
    let farm = farm();
    // It fails where a key comes back, or lines are not sorted.
    farm.write_program("combine.py",
        "import sys\nlast, n = None, 0\nfor line in sys.stdin.buffer:\n    key, value = line.rstrip(b'\\n').split(b'\\t')\n    if key != last:\n        \
         assert last is None or key > last, (last, key)\n        if last is not None:\n            sys.stdout.buffer.write(b'%s\\t%d\\n' % (last, n))\n        \
         last, n = key, 0\n    n += int(value)\nif last is not None:\n    sys.stdout.buffer.write(b'%s\\t%d\\n' % (last, n))\n\
         sys.stderr.write('reporter:counter:Combiner,Runs,1\\n')\n",
    );
    let commands = ["--mapper", "python3 wc_map.py", "--reducer", "python3 wc_reduce.py"];
    let more = ["--memory", "1MiB", "-r", "3", "all"];
    let all: Vec<u8> = farm.names("books").iter().flat_map(|name| farm.read(&format!("books/{name}"))).collect();
    farm.write("all", all);
    let plain = stream(&farm, &commands, &more);
    let combined = stream(&farm, &[&commands[..], &["--combiner", "python3 combine.py"]].concat(), &more);
    farm.same_bytes(
        &farm.outputs(combined["job"].as_str().expect("a job")),
        &farm.outputs(plain["job"].as_str().expect("a job")),
        "combined",
    );
    let n = |end: &Value, name: &str| end["counters"][name].as_u64().unwrap_or(0);
    assert!(n(&combined, "pairs shuffled") * 2 < n(&plain, "pairs shuffled"), "{combined}");
    assert_eq!(n(&combined, "combiner pairs in"), n(&plain, "pairs out"));
    assert_eq!(n(&combined, "combiner pairs out"), n(&combined, "pairs out"));
    let maps = combined["attempts"]["done"].as_u64().expect("a number") - 3;
    assert!(n(&combined, "Combiner:Runs") > maps, "so little memory takes more than one run: {combined}");
    assert!(n(&plain, "combiner pairs in") == 0 && n(&plain, "spills") > 0, "{plain}");
}

#[test]
fn keys_end_at_the_first_tab_and_any_bytes_come_through() {
    let farm = Farm::new();
    farm.write("a", b"x\ty\tz\nno tab\n\n\tempty key\nx\t\n\xff\x00\t\xfe\r\nlast line without end");
    farm.write("b", b"x\tagain\n");
    // Over one partition the order is that of the keys, and of equal ones that of the input.
    let end = stream(&farm, &["--mapper", "cat", "--reducer", "cat"], &["-r", "1", "a", "b"]);
    let expected = b"\t\n\tempty key\nlast line without end\t\nno tab\t\nx\ty\tz\nx\t\nx\tagain\n\xff\x00\t\xfe\r\n";
    farm.same_bytes(&farm.outputs(end["job"].as_str().expect("a job")), expected, "cat and cat");
    for form in ["run", "json"] {
        let end = stream(&farm, &["--mapper", "cat", "--reducer", "cat"], &["-r", "3", "--shuffle", form, "a", "b"]);
        assert!(sorted(&farm.outputs(end["job"].as_str().expect("a job"))) == sorted(expected), "{form}");
    }
    let end = stream(&farm, &["--mapper", "cat", "--reducer", "wc -l"], &["-r", "2", "b"]);
    assert_eq!(lines_of(&farm, &end), ["0", "1"], "a reducer runs also where its partition is empty");
}

#[test]
fn packed_files_are_unpacked_for_the_mapper() {
    let farm = farm();
    assert!(Command::new("gzip").args(["-k", "books/pg-grimm.txt"]).current_dir(farm.path(".")).status().expect("gzip").success());
    let end = stream(&farm, &["--mapper", "python3 wc_map.py", "--reducer", "python3 wc_reduce.py"], &["books/pg-grimm.txt.gz"]);
    as_the_pipe(&farm, &end, "python3 wc_map.py < books/pg-grimm.txt | LC_ALL=C sort | python3 wc_reduce.py");
}

#[test]
fn commands_find_the_names_that_scripts_read() {
    let farm = Farm::new();
    farm.write("in/one", "1\n2\n3\n4\n");
    farm.write("in/two", "5\n");
    let names = "echo \"m\t$map_input_file $mapreduce_map_input_file $mapreduce_map_input_start $map_input_length $mapreduce_task_partition \
                 $mapred_task_is_map $mapreduce_job_reduces $FLOCKWORK_TASK $FLOCKWORK_ATTEMPT $FLOCKWORK_JOB $(pwd)\"";
    let mapper =
        format!("sh -c '{names}; env | grep -E \"^mapred_(task|tip|job)_id=|^mapreduce_(task_attempt|task|job)_id=\" | sed \"s/^/z/\"'");
    let reducer =
        "sh -c 'cat; echo r $mapreduce_task_partition $mapreduce_task_ismap $mapred_reduce_tasks ${map_input_file-none} $FLOCKWORK_TASK'";
    let end = stream(&farm, &["--mapper", &mapper, "--reducer", reducer], &["--split-lines", "2", "-r", "1", "in"]);
    let (lines, job) = (lines_of(&farm, &end), end["job"].as_str().expect("its job"));
    let here = farm.path(".").canonicalize().expect("there");
    let told: Vec<&String> = lines.iter().filter(|line| line.starts_with("m\t")).collect();
    assert_eq!(told.len(), 3);
    for (line, (file, from, length, task)) in told.iter().zip([("in/one", 0, 4, 0), ("in/one", 4, 4, 1), ("in/two", 0, 2, 2)]) {
        let start = format!("m\t{file} {file} {from} {length} {task} true 1 map-0000{task} 1 ");
        assert!(line.starts_with(&start) && line.ends_with(&format!("{job} {}", here.display())), "{line}\n{start}");
    }
    assert!(lines.contains(&"r 0 false 1 none reduce-00000".to_owned()), "{lines:?}");
    let id = |name: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(&format!("z{name}="))).unwrap_or_else(|| panic!("{name}: {lines:?}"));
        line.trim_end().split('_').map(str::to_owned).collect::<Vec<_>>()
    };
    for (new, old) in
        [("mapreduce_job_id", "mapred_job_id"), ("mapreduce_task_id", "mapred_tip_id"), ("mapreduce_task_attempt_id", "mapred_task_id")]
    {
        assert_eq!(id(new), id(old));
    }
    let attempt = id("mapred_task_id");
    assert_eq!((attempt.len(), attempt[0].as_str(), attempt[3].as_str(), attempt[5].as_str()), (6, "attempt", "m", "0"), "{attempt:?}");
}

#[test]
fn each_file_of_a_split_has_a_mapper_of_its_own() {
    let farm = Farm::new();
    for n in 0..40 {
        farm.write(&format!("in/{n:02}"), "line\n");
    }
    let mapper = "sh -c 'echo \"$map_input_file\t$(wc -l)\"'";
    let end = stream(&farm, &["--mapper", mapper, "--reducer", "cat"], &["-r", "1", "in"]);
    assert_eq!(lines_of(&farm, &end), (0..40).map(|n| format!("in/{n:02}\t1")).collect::<Vec<_>>());
    assert!(end["attempts"]["done"].as_u64().expect("a number") < 40, "although splits hold more than one: {end}");
}

/// Starts a job of one map task that is bound to fail, and asserts its words.
fn fails(commands: &[&str], more: &[&str], parts: &[&str]) -> Farm {
    let farm = Farm::new();
    farm.write("in", "a line\n".repeat(50_000));
    let ran = farm.run(&[&["stream", "--job", "job", "--max-errors", "1", "--slots", "1", "in"], commands, more].concat());
    ran.fails_saying(1, parts);
    assert!(farm.has("job/phase/failed"));
    farm
}

#[test]
fn a_command_that_fails_fails_its_attempt_with_its_last_words() {
    let mapper = "sh -c 'echo first >&2; echo the disk is on fire >&2; echo reporter:status:burning >&2; exit 3'";
    fails(
        &["--mapper", mapper, "--reducer", "cat"],
        &[],
        &["on input in: the mapper `sh -c", "ended with status 3", "its last status was `burning`", "first\nthe disk is on fire"],
    );
    fails(
        &["--mapper", "sh -c 'kill -SEGV $$'", "--reducer", "cat"],
        &[],
        &["was killed by signal 11 (SIGSEGV)", "it wrote nothing to stderr"],
    );
    fails(&["--mapper", "cat", "--reducer", "sh -c 'cat; exit 5'"], &[], &["the reducer `sh -c 'cat; exit 5'` ended with status 5"]);
    fails(&["--mapper", "cat", "--combiner", "false", "--reducer", "cat"], &[], &["the combiner `false` ended with status 1"]);
    fails(
        &["--mapper", "no-such-program", "--reducer", "cat"],
        &[],
        &["cannot start `no-such-program`: No such file", "install it on every machine"],
    );
    fails(&["--mapper", "./in", "--reducer", "cat"], &[], &["cannot start `./in`: Permission denied", "chmod +x"]);
}

#[test]
fn a_command_that_hangs_is_ended_after_its_timeout_and_so_are_its_children() {
    let farm = Farm::new();
    farm.write("in", "a line\n".repeat(50_000));
    let mapper = "sh -c 'sleep 600 & echo $! > pid; wait'";
    let command =
        ["stream", "--job", "job", "--max-errors", "1", "--timeout", "1s", "--slots", "1", "in", "--reducer", "cat", "--mapper", mapper];
    farm.run(&command).fails_saying(1, &["ran for longer than 1.", "(--timeout)"]);
    is_gone(&farm, &pid_in(&farm));
}

#[test]
fn a_command_that_reads_nothing_or_says_much_is_no_trouble() {
    let farm = Farm::new();
    farm.write("in", "a line\n".repeat(300_000));
    for (mapper, lines) in [
        ("true", 0),
        ("head -n 3", 3),
        ("sh -c 'exec <&-; sleep 0.3; echo x'", 1),
        ("sh -c 'yes | head -n 400000'", 400_000),
        ("sh -c 'yes complaint | head -n 400000 >&2; wc -l'", 1),
        ("sh -c 'sleep 1; wc -l'", 1),
        ("sh -c 'yes | head -n 400000; cat > /dev/null'", 400_000),
    ] {
        let end = stream(&farm, &["--mapper", mapper, "--reducer", "wc -l"], &["-r", "1", "in"]);
        assert_eq!(lines_of(&farm, &end), [lines.to_string()], "{mapper}");
    }
    // A reducer that stops early, too.
    let end = stream(&farm, &["--mapper", "cat", "--reducer", "head -n 2"], &["-r", "1", "in"]);
    assert_eq!(lines_of(&farm, &end), ["a line\t", "a line\t"]);
}

#[test]
fn a_daemon_that_keeps_a_commands_pipes_does_not_keep_the_job() {
    let farm = Farm::new();
    farm.write("in", "a line\n");
    // It lives for longer than any of these tests waits.
    let mapper = "sh -c 'setsid sleep 3600 & echo $! > pid; echo said'";
    let end = stream(&farm, &["--mapper", mapper, "--reducer", "cat"], &["-r", "1", "in"]);
    assert_eq!(lines_of(&farm, &end), ["said\t"]);
    farm.start_as("kill", &["-9", &pid_in(&farm)]).ends_with(0);
}

#[test]
fn scenario_26_what_a_mapper_left_running_writes_later_changes_no_result() {
    let farm = Farm::new();
    farm.write("in", "a line\nhold\n");
    let daemon =
        "trap '' PIPE\necho $$ > pid\nuntil test -e go; do sleep 0.05; done\nwhile :; do echo late; echo x >> written; sleep 0.02; done\n";
    farm.write_program("daemon.sh", format!("#!/bin/sh\n{daemon}"));
    // The second mapper ends when it is told to: until then the workers live, and so does the first one's daemon.
    let mapper = "read -r line\nif test \"$line\" = hold; then until test -e end; do sleep 0.05; done\n\
                  else setsid ./daemon.sh & until test -s pid; do sleep 0.02; done; fi\necho \"$line\"\n";
    farm.write_program("map.sh", format!("#!/bin/sh\n{mapper}"));
    farm.ok(&["stream", "--submit", "--job", "job", "--split-lines", "1", "-r", "1", "--mapper", "map.sh", "--reducer", "cat", "in"]);
    let programs = [farm.start(&["coordinator", "job"]), farm.start(&["worker", "job", "--slots", "2"])];
    farm.wait_for_name("job/done", "map-00000");
    farm.write("go", "");
    farm.wait_for("it has written much", || farm.path("written").metadata().is_ok_and(|meta| meta.len() > 20).then_some(()));
    farm.write("end", "");
    programs.iter().for_each(|program| program.ends_with(0));
    farm.finished_with("job", b"a line\t\nhold\t\n");
    farm.ok(&["verify", "job"]);
    is_gone(&farm, &pid_in(&farm)); // With its worker.
}

fn pid_in(farm: &Farm) -> String {
    farm.wait_for("the command told its number", || {
        Some(String::from_utf8_lossy(&std::fs::read(farm.path("pid")).unwrap_or_default()).trim().to_owned()).filter(|pid| !pid.is_empty())
    })
}

fn is_gone(farm: &Farm, pid: &str) {
    let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    farm.wait_for("the command is gone", || Some(()).filter(|()| stat().is_empty() || stat().contains(") Z ")));
}

/// A job whose first mapper hangs with a child, and a worker that is at it.
fn hanging(farm: &Farm) -> (Rc<Program>, String) {
    farm.write("in", "a line\n");
    farm.write_program("map.sh", "#!/bin/sh\nif mkdir once 2> /dev/null; then\n  sleep 600 &\n  echo $! > pid\n  wait\nfi\ncat\n");
    farm.ok(&["stream", "--submit", "--job", "job", "-r", "1", "--mapper", "map.sh", "--reducer", "cat", "in"]);
    farm.start(&["coordinator", "job"]);
    let worker = farm.start(&["worker", "job", "--slots", "1"]);
    (worker, pid_in(farm))
}

#[test]
fn a_killed_worker_takes_its_command_along() {
    let farm = Farm::new();
    let (worker, pid) = hanging(&farm);
    worker.kill_alone();
    is_gone(&farm, &pid);
    farm.ok(&["worker", "job", "--slots", "1"]);
    farm.finished_with("job", b"a line\t\n");
}

#[test]
fn a_killed_slot_takes_its_command_along_and_the_task_is_done_again() {
    let farm = Farm::new();
    let (worker, pid) = hanging(&farm);
    let claim = farm.wait_for_name("job/claimed", "map-00000.a1@");
    assert!(farm.signal_slot(&claim, Signal::KILL));
    is_gone(&farm, &pid);
    worker.ends_with(0);
    farm.finished_with("job", b"a line\t\n");
}

#[test]
fn a_worker_that_is_told_to_go_ends_its_command_and_gives_the_task_back() {
    let farm = Farm::new();
    let (worker, pid) = hanging(&farm);
    worker.signal(Signal::TERM);
    worker.ends_with(0);
    is_gone(&farm, &pid);
    farm.wait_for_name("job/expired", "map-00000.a1@");
    farm.ok(&["worker", "job", "--slots", "1"]);
    farm.finished_with("job", b"a line\t\n");
}

#[test]
fn commands_run_where_the_job_was_submitted_wherever_the_worker_stands() {
    let farm = Farm::new();
    farm.write("here/in", "a line\n");
    farm.write_program("here/map.sh", "#!/bin/sh\ncat words\n");
    farm.write("here/words", "found\n");
    let submit = "cd here && exec \"$0\" stream --submit --job ../job -r 1 --mapper map.sh --reducer cat in";
    farm.start_as("sh", &["-c", submit, super::common::FLOCKWORK]).ends_with(0);
    let leader = farm.start(&["coordinator", "job"]);
    farm.ok(&["worker", "job", "--slots", "1"]);
    leader.ends_with(0);
    farm.finished_with("job", b"found\t\n");
}

#[test]
fn the_same_command_goes_on_and_another_is_refused() {
    let farm = Farm::new();
    farm.write("in", "b\na\n");
    let command = ["stream", "--job", "job", "-r", "2", "--mapper", "cat", "in", "--reducer"];
    farm.ok(&[&command[..], &["cat"]].concat());
    farm.ok(&[&command[..], &["cat"]].concat());
    farm.run(&[&command[..], &["wc"]].concat()).fails_saying(1, &["another job lies in", "reducer"]);
    let printed = farm.ok(&["stream", "--submit", "--job", "other", "--mapper", "cat", "--reducer", "cat", "--output", "out", "in"]);
    assert_eq!(printed.stdout(), b"other\n");
    assert!(!farm.has("other/phase/end"), "it only writes the job");
    assert_eq!(farm.names("job/output").len(), 2, "-r says how many outputs there are");
    assert!(farm.has("out"));
}

#[test]
fn every_option_is_in_the_job_as_it_was_asked() {
    let farm = Farm::new();
    farm.write("in", "x\n");
    let options = [
        "--lease",
        "3s",
        "--max-errors",
        "7",
        "--max-lost",
        "9",
        "--memory",
        "2MiB",
        "--split-lines",
        "5",
        "--split-size",
        "4k",
        "--no-backup",
    ];
    let more = ["--timeout", "1.5s", "--shuffle", "json", "-r", "6", "--combiner", "uniq", "--mapper", "cat", "--reducer", "wc", "in"];
    farm.ok(&[&["stream", "--submit", "--job", "job"], &options[..], &more[..]].concat());
    let asked: Value = serde_json::from_slice(&farm.read("job/job.json")).expect("JSON");
    for (name, value) in [
        ("lease_ms", 3000),
        ("max_errors", 7),
        ("max_lost", 9),
        ("memory_bytes", 2 << 20),
        ("split_lines", 5),
        ("split_bytes", 4096),
        ("reduces", 6),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert_eq!(
        (asked["backup"].as_bool(), asked["skip_bad_records"].as_bool(), asked["shuffle"].as_str()),
        (Some(false), Some(false), Some("json"))
    );
    let commands = serde_json::json!({"mapper": "cat", "combiner": "uniq", "reducer": "wc", "timeout": "1500ms"});
    assert_eq!((&asked["app"], &asked["options"]), (&"stream".into(), &commands));
}

#[test]
fn what_is_wrong_with_the_command_line_is_said() {
    let farm = Farm::new();
    farm.write("in", "x\n");
    let refused = |args: &[&str], parts: &[&str]| {
        farm.run(&[&["stream", "in"], args].concat()).fails_saying(2, parts);
        assert_eq!(farm.names("."), ["in"], "nothing is left behind");
    };
    let good = ["--mapper", "cat", "--reducer", "cat"];
    refused(&["--reducer", "cat"], &["--mapper"]);
    refused(&["--mapper", "awk '{print", "--reducer", "cat"], &["the quote ' is not closed"]);
    refused(&["--mapper", " ", "--reducer", "cat"], &["the command is empty"]);
    refused(&["--mapper", "cat", "--reducer", ""], &["the command is empty"]);
    for (option, value, part) in [
        ("--combiner", "'' x", "name is empty"),
        ("--timeout", "0", "no command ends in no time"),
        ("--timeout", "soon", "is not a time"),
        ("--reduces", "0", "--reduces"),
        ("--split-size", "0", "at least one byte"),
        ("--split-lines", "0", "--split-lines"),
        ("--memory", "1k", "at least 1MiB"),
        ("--lease", "1ms", "the smallest lease"),
        ("--max-errors", "0", "--max-errors"),
        ("--shuffle", "xml", "the forms are run and json"),
        ("--slots", "many", "--slots"),
        ("--stall", "1s", "unexpected argument"),
        ("--option", "a=b", "unexpected argument"),
    ] {
        refused(&[&good[..], &[option, value]].concat(), &[part]);
    }
    refused(&[&good[..], &["--submit", "--slots", "2"]].concat(), &["cannot be used with"]);
    farm.run(&[&["stream"], &good[..]].concat()).fails_saying(2, &["INPUTS"]);
    farm.run(&["sequential", "stream", "in", "-o", "mapper=cat"]).fails_saying(2, &["the option `reducer` is missing"]);
    farm.run(&["sequential", "stream", "in", "-o", "mapper=cat", "-o", "reducer=cat", "-o", "timeout=x"]).fails_saying(2, &["`timeout`"]);
}
