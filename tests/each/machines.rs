//! Machines and folders in which a command cannot be started, programs that are none, and what a worker that leaves clears away.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use super::{cat, shell, text};
use crate::common::{FLOCKWORK, Farm};

#[test]
fn a_command_runs_in_its_folder_or_not_at_all() {
    let farm = Farm::new();
    farm.write("cw/list", "a\nb\n");
    let script = "echo >> $FLOCKWORK_JOB/../begun; until test -e $FLOCKWORK_JOB/../go; do sleep 0.05; done; env pwd -P";
    let submit = format!("cd cw && $F each --submit --job ../job -a list -- sh -c '{script}'");
    shell(&farm, &submit).ends_with(0);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let worker = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    farm.wait_for("the first runs", || farm.has("begun").then_some(()));
    farm.start_as("mv", &["cw", "cw.gone"]).ends_with(0);
    farm.write("go", "");
    worker.fails_saying(1, &["no such folder here: ", "/cw; "]);
    assert_eq!(farm.read("begun"), b"\n", "the second has not run in the worker's folder");
    assert_eq!((farm.names("job/failed").len(), farm.names("job/expired").len()), (0, 1), "it was given back, and is nobody's error");
    farm.start_as("mv", &["cw.gone", "cw"]).ends_with(0);
    farm.start(&["worker", "job", "--slots", "1", "--quiet"]).ends_with(0);
    coordinator.ends_with(0);
    let here = farm.path(".").canonicalize().expect("the farm").display().to_string();
    let said = cat(&farm, &[]);
    let mut folders: Vec<&str> = said.lines().collect();
    folders.sort_unstable();
    assert_eq!(folders, [format!("{here}/cw"), format!("{here}/cw.gone")], "the first was in it when it was moved");
}

#[test]
fn where_no_folder_for_temporary_files_is_nobody_works() {
    let farm = Farm::new();
    farm.write("tmp/x", "");
    let tmp = format!("TMPDIR={}", farm.path("tmp").display());
    let with_tmp = |args: &[&str]| farm.start_as("env", &[&[tmp.as_str(), FLOCKWORK], args].concat());
    let script = "rm -rf \"$TMPDIR\"; echo $1";
    farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let said = ["cannot create a folder for temporary files in ", "/tmp: No such file or directory", "set TMPDIR to one that is there"];
    with_tmp(&["worker", "job", "--slots", "1", "--quiet"]).fails_saying(1, &said);
    let ends = || ["done", "failed", "expired"].map(|folder| farm.names(&format!("job/{folder}")).len());
    assert_eq!(ends(), [1, 0, 1], "the second was given back, and is nobody's error");
    let worker = with_tmp(&["worker", "job", "--slots", "3", "--quiet"]);
    worker.fails_saying(1, &said);
    assert_eq!(worker.stderr().matches(said[0]).count(), 1, "it is said once, and not by each slot: {}", worker.stderr());
    with_tmp(&["each", "--job", "new", "--", "true", ":::", "a"]).fails_saying(1, &said);
    assert_eq!((ends(), farm.has("new")), ([1, 0, 1], false), "nothing was even claimed, or made");
    farm.write("tmp/x", "");
    with_tmp(&["worker", "job", "--slots", "1", "--quiet"]).ends_with(0);
    coordinator.ends_with(0);
    assert_eq!(cat(&farm, &[]), "a\nb\n");
}

/// A job whose folder is shut afterwards, and a worker of it.
const SHUT: &str = r#"
f=$(realpath "$1")
mkdir shut
(cd shut && "$f" each --submit --job ../job -- echo {} ::: a)
chmod 000 shut
"$f" coordinator job --quiet & leader=$!
status=0
"$f" worker job --slots 1 --quiet 2> refused || status=$?
chmod 700 shut
kill $leader
cat refused >&2
exit $status
"#;

#[test]
fn a_folder_that_may_not_be_entered_refuses_the_worker_and_fails_no_item() {
    let farm = Farm::new();
    let args = ["bash", "-euc", SHUT, "script"];
    let program = if rustix::process::geteuid().is_root() {
        // Permissions do not bind root, and others may not look where its programs lie.
        std::fs::set_permissions(farm.path("."), std::fs::Permissions::from_mode(0o777)).expect("opened to all");
        farm.copy_program(FLOCKWORK, ".flockwork");
        farm.start_as("setpriv", &[&["--reuid=65534", "--regid=65534", "--clear-groups", "--"], &args[..], &["./.flockwork"]].concat())
    } else {
        farm.start_as("env", &[&args[..], &[FLOCKWORK]].concat())
    };
    program.fails_saying(1, &["cannot enter ", "/shut: Permission denied", "let this user in"]);
    assert_eq!((farm.names("job/failed").len(), farm.names("job/expired").len()), (0, 0), "nothing was even claimed");
}

#[test]
fn a_claim_taken_from_a_stopped_worker_is_lost_whatever_that_says_when_it_wakes() {
    let farm = Farm::new();
    let script = "until test -e go; do sleep 0.05; done; echo $1";
    farm.ok(&["each", "--submit", "--job", "job", "--lease", "1s", "--max-lost", "2", "--", "sh", "-c", script, "sh", "{}", ":::", "a"]);
    let worker = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    for attempt in [1, 2] {
        let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
        let claim = farm.wait_for_name("job/claimed", &format!("map-00000.a{attempt}@"));
        assert!(farm.signal_slot(&claim, Signal::STOP), "it lives");
        farm.wait_for_name("job/expired", &claim);
        assert!(farm.signal_slot(&claim, Signal::CONT), "it wakes");
        let said = || String::from_utf8_lossy(&farm.read(&format!("job/expired/{claim}"))).into_owned();
        if attempt == 1 {
            // It has heeded, and goes on.
            farm.wait_for_name("job/claimed", "map-00000.a2@");
            coordinator.kill();
        } else {
            coordinator.ends_with(1);
        }
        assert!(said().trim_end().lines().last().is_some_and(|line| line.contains("\"lost\"")), "{}", said());
    }
    let status: serde_json::Value = serde_json::from_slice(&farm.ok(&["status", "job", "--json"]).stdout()).expect("JSON");
    assert_eq!((status["taken_back"]["lost"].as_u64(), status["phase"].as_str()), (Some(2), Some("failed")));
    farm.write("go", "");
    worker.ends_with(0);
}

#[test]
fn a_slot_whose_folder_becomes_a_loop_of_links_leaves_once_and_for_all() {
    let farm = Farm::new();
    farm.write("cw/x", "");
    let script = "cd .. && mv cw cw.gone && ln -s cw cw && echo $1";
    let program = "cd cw && exec $F each --slots 1 --job ../job -- sh -c \"$0\" sh {} ::: a b";
    let each = farm.start_as("env", &[&format!("F={FLOCKWORK}"), "sh", "-c", program, script]);
    farm.wait_for("it says why nobody works", || each.stderr().contains("cannot enter ").then_some(()));
    farm.wait_for("its slot has left", || farm.names("job/workers").is_empty().then_some(()));
    // As long as a slot would take that begins again and again.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((farm.names("job/expired").len(), each.stderr().matches("cannot enter ").count()), (1, 1), "{}", each.stderr());
    each.signal(Signal::INT);
    each.ends_with(130);
}

#[test]
fn a_script_that_names_no_program_is_the_shells() {
    let farm = Farm::new();
    farm.write_program("bin/tool", b"echo \"$0: $*\"; exit 3\n");
    farm.run(&["each", "--job", "job", "--joblog", "log", "--", "bin/tool", "x", "{}", ":::", "a b"])
        .fails_saying(1, &["ended with status 3"]);
    assert_eq!(cat(&farm, &[]), "bin/tool: x a b\n");
    shell(&farm, "PATH=$PWD/bin:$PATH $F each --job found -- tool ::: c").fails_saying(1, &["`tool` for `c` ended with status 3"]);
    let here = farm.path("bin/tool").canonicalize().expect("there").display().to_string();
    assert_eq!(text(&farm.ok(&["cat", "found"])), format!("{here}: c\n"));
    farm.write_program("empty", b"");
    farm.ok(&["each", "--job", "nothing", "--", "./empty", ":::", "a"]);
}

#[test]
fn a_program_that_is_none_and_an_argument_that_is_too_long_are_told_apart() {
    let farm = Farm::new();
    farm.write_program("alien", b"\x7fELF\x02\x01\x01\0of another machine's\n");
    let run = |job: &str, words: &[&str]| farm.run(&[&["each", "--job", job, "--joblog", "log"], words].concat());
    run("one", &["--", "./alien", ":::", "a"]).fails_saying(1, &["cannot start `./alien`", "this kind of machine"]);
    assert!(String::from_utf8_lossy(&farm.read("log")).contains("\t126\t0\t./alien a"), "as a shell says of what it cannot run");
    farm.write("list", vec![b'x'; 140_000]);
    run("two", &["-a", "list", "--", "true"]).fails_saying(1, &["cannot start `true`", "less than 128 KiB"]);
}

#[test]
fn a_worker_that_leaves_clears_its_commands_folder_away() {
    let farm = Farm::new();
    farm.write("tmp/others", "");
    let script = "echo x > $FLOCKWORK_SCRATCH/left; echo > begun-$FLOCKWORK_ATTEMPT; exec sleep 600";
    farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", script, ":::", "a"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let tmp = format!("TMPDIR={}", farm.path("tmp").display());
    for (attempt, signal) in [(1, Signal::INT), (2, Signal::TERM)] {
        let worker = farm.start_as("env", &[&tmp, FLOCKWORK, "worker", "job", "--slots", "1", "--quiet"]);
        farm.wait_for("it runs", || farm.has(&format!("begun-{attempt}")).then_some(()));
        assert_eq!(farm.names("tmp").len(), 2, "it has a folder");
        worker.signal(signal);
        worker.ends_with(0);
        assert_eq!(farm.names("tmp"), ["others"], "and that is gone");
        assert!(farm.names("job/expired").len() >= attempt, "its claim was given back");
    }
    coordinator.kill();
}
