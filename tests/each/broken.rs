//! Commands whose workers are killed, whose job is stopped, or whose files are damaged.

use std::time::Duration;

use rustix::process::{Signal, kill_process};

use super::{cat, each, is_alive, text};
use crate::common::{Farm, pid_of};

/// So many items in the job that is broken.
const ITEMS: usize = 40;

#[test]
fn every_items_output_is_there_once_whoever_is_killed() {
    let farm = Farm::new();
    let items: Vec<String> = (0..ITEMS).map(|n| format!("i{n}")).collect();
    farm.write("list", items.join("\n"));
    let script = "echo begin $1; echo $$ >> pids; yes $1 | head -c 20000; sleep 0.08; echo end $1; echo err $1 >&2";
    farm.ok(&["each", "--submit", "--job", "job", "--max-lost", "1000", "-a", "list", "--", "sh", "-c", script, "sh", "{}"]);
    let worker = farm.start(&["worker", "job", "--slots", "3", "--quiet"]);
    let mut coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let mut killed = 0;
    while coordinator.look().is_none() && !farm.has("job/phase/end") && killed < 60 {
        std::thread::sleep(Duration::from_millis(70));
        if let Some(slot) = farm.slots("job").get(killed % 3) {
            killed += usize::from(kill_process(*slot, Signal::KILL).is_ok());
        }
        if killed % 20 == 10 {
            coordinator.kill_alone();
            coordinator = farm.start(&["coordinator", "job", "--quiet"]);
        }
    }
    coordinator.ends_with(0);
    worker.ends_with(0);
    assert!(killed >= 5, "only {killed} were killed");
    let expected = |item: &String| format!("begin {item}\n{}end {item}\n", &format!("{item}\n").repeat(20000)[..20000]);
    farm.same_bytes(cat(&farm, &[]).as_bytes(), items.iter().map(expected).collect::<String>().as_bytes(), "every item's output once");
    let said = farm.ok(&["cat", "job"]).stderr();
    assert_eq!(said, items.iter().map(|item| format!("err {item}\n")).collect::<String>());
    farm.ok(&["verify", "job"]);
    let pids = String::from_utf8(farm.read("pids")).expect("numbers");
    farm.wait_for("no command has outlived its worker", || pids.lines().all(|pid| !is_alive(pid)).then_some(()));
}

#[test]
fn a_command_dies_with_its_worker_and_its_supervisor() {
    let farm = Farm::new();
    let script = "echo $$ > pid-$FLOCKWORK_ATTEMPT; test $FLOCKWORK_ATTEMPT -gt 1 || sleep 600";
    farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", script, ":::", "a"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let worker = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    let pid = farm.wait_for("it runs", || farm.has("pid-1").then(|| farm.read("pid-1")).filter(|pid| !pid.is_empty()));
    worker.kill_alone();
    let pid = String::from_utf8(pid).expect("a number");
    farm.wait_for("it is gone", || (!is_alive(pid.trim())).then_some(()));
    farm.start(&["worker", "job", "--slots", "1", "--quiet"]).ends_with(0);
    coordinator.ends_with(0);
}

#[test]
fn an_interrupted_job_goes_on_with_the_same_command() {
    let farm = Farm::new();
    let script = "echo x >> ran-$1; test -e go || test $1 = a || sleep 600";
    let args = ["each", "--job", "job", "--slots", "2", "--joblog", "log", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b"];
    let program = farm.start(&args);
    farm.wait_for_names("job/done", 1);
    farm.wait_for("the other runs", || farm.has("ran-b").then_some(()));
    program.signal(Signal::INT);
    program.fails_saying(130, &["interrupted", "the same command"]);
    assert_eq!(String::from_utf8_lossy(&farm.read("log")).lines().count(), 2, "the log has the one that ended");
    assert_eq!(farm.names("job/expired").len(), 1, "given back");
    farm.write("go", "");
    farm.ok(&args);
    assert_eq!((farm.read("ran-a"), farm.read("ran-b")), (b"x\n".to_vec(), b"x\nx\n".to_vec()), "what was finished is not run again");
}

#[test]
fn cancelling_ends_what_runs() {
    let farm = Farm::new();
    let program = farm.start(&["each", "--job", "job", "--lease", "1s", "--", "sh", "-c", "echo $$ > pid; sleep 600", ":::", "a"]);
    let pid = farm.wait_for("it runs", || farm.has("pid").then(|| farm.read("pid")).filter(|pid| pid.ends_with(b"\n")));
    farm.ok(&["cancel", "job"]);
    program.fails_saying(1, &["was cancelled"]);
    let pid = String::from_utf8(pid).expect("a number");
    farm.wait_for("it is gone", || (!is_alive(pid.trim())).then_some(()));
}

#[test]
fn a_stopped_worker_wakes_up_to_find_its_command_taken_over() {
    let farm = Farm::new();
    let script = "test $FLOCKWORK_ATTEMPT -gt 1 || sleep 600; echo $FLOCKWORK_ATTEMPT";
    farm.ok(&["each", "--submit", "--job", "job", "--lease", "1s", "--", "sh", "-c", script, ":::", "a"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    let worker = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    let claim = farm.wait_for_name("job/claimed", "map-00000.a1@");
    assert!(farm.signal_slot(&claim, Signal::STOP));
    farm.start(&["worker", "job", "--slots", "1", "--quiet"]).ends_with(0);
    coordinator.ends_with(0);
    let pid = pid_of(&claim).expect("a process");
    kill_process(pid, Signal::CONT).expect("it is there");
    worker.ends_with(0);
    assert_eq!(cat(&farm, &[]), "2\n");
}

#[test]
fn a_segment_that_is_gone_sends_its_items_round_again() {
    let farm = Farm::new();
    let script = "echo $1 >> ran; echo said $1; test $1 = a || while ! test -e go; do sleep 0.05; done";
    farm.ok(&["each", "--submit", "--job", "job", "--", "sh", "-c", script, "sh", "{}", ":::", "a", "b"]);
    let coordinator = farm.start(&["coordinator", "job", "--quiet"]);
    // Two slots: either item may be the first to be begun.
    let first = farm.start(&["worker", "job", "--slots", "2", "--quiet"]);
    farm.wait_for_name("job/done", "map-00000");
    first.signal(Signal::TERM);
    first.ends_with(0);
    let segment = farm.names("job/output").remove(0);
    std::fs::remove_file(farm.path(&format!("job/output/{segment}"))).expect("removed");
    farm.write("go", "");
    let second = farm.start(&["worker", "job", "--slots", "1", "--quiet"]);
    coordinator.ends_with(0);
    second.ends_with(0);
    assert_eq!(cat(&farm, &[]), "said a\nsaid b\n");
}

/// What a command leaves behind: a child in its group, and a daemon in a session of its own, which says nothing before it is told to `go`, and then no end of it. The command
/// for `last` leaves nothing, and ends when it is told to: until then the workers live, and so do the daemons.
const LEAVES_A_DAEMON: &str = "test $1 = last && { until test -e end; do sleep 0.05; done; echo said last; exit; }
    sleep 3600 & echo $! > child-$1
    setsid sh -c 'trap \"\" PIPE; echo $$ > daemon-$0; until test -e go; do sleep 0.05; done; while :; do echo late; echo x >> written-$0; sleep 0.02; done' $1 &
    until test -s daemon-$1; do sleep 0.02; done; echo said $1";

#[test]
fn scenario_26_what_a_command_left_running_writes_later_is_in_nobodys_output_and_its_group_is_dead() {
    let farm = Farm::new();
    let submit = ["each", "--submit", "--job", "job", "--", "sh", "-c", LEAVES_A_DAEMON, "sh", "{}", ":::", "a", "b", "last"];
    farm.ok(&submit);
    let programs = [farm.start(&["coordinator", "job", "--quiet"]), farm.start(&["worker", "job", "--slots", "2", "--quiet"])];
    let number = |name: &str| String::from_utf8(farm.read(name)).expect("a number").trim().to_owned();
    for (item, task) in [("a", "map-00000"), ("b", "map-00001")] {
        farm.wait_for_name("job/done", task);
        farm.wait_for("its child is gone", || (!is_alive(&number(&format!("child-{item}")))).then_some(()));
        assert!(is_alive(&number(&format!("daemon-{item}"))), "nobody follows a daemon");
    }
    farm.write("go", "");
    let written = |item: &str| farm.path(&format!("written-{item}")).metadata().map_or(0, |meta| meta.len());
    farm.wait_for("both have written much", || (written("a") > 20 && written("b") > 20).then_some(()));
    farm.write("end", "");
    programs.iter().for_each(|program| program.ends_with(0));
    assert_eq!(cat(&farm, &[]), "said a\nsaid b\nsaid last\n", "nobody has read their pipes any more");
    farm.ok(&["verify", "job"]);
    for item in ["a", "b"] {
        farm.wait_for("a daemon goes with its worker", || (!is_alive(&number(&format!("daemon-{item}")))).then_some(()));
    }
}

#[test]
fn a_changed_byte_is_found_by_cat_and_verify() {
    let farm = Farm::new();
    each(&farm, &[], "echo hello $1", &["a"]).ends_with(0);
    let path = format!("job/output/{}", farm.names("job/output").remove(0));
    farm.write(&path, "hallo a\n");
    farm.run(&["cat", "job"]).fails_saying(1, &["not what the command wrote"]);
    farm.run(&["verify", "job"]).fails_saying(1, &[]);
}

#[test]
fn a_changed_byte_of_what_a_failed_command_wrote_is_found_too() {
    let farm = Farm::new();
    each(&farm, &[], "echo hello $1; exit 1", &["a"]).ends_with(1);
    farm.ok(&["verify", "job"]);
    let segment = farm.names("job/output").remove(0);
    farm.write(&format!("job/output/{segment}"), "hallo a\n");
    let said = farm.run(&["verify", "job"]);
    said.ends_with(1);
    assert!(text(&said).contains(&format!("{segment}: does not hold what map-00000.a1@")), "{}", text(&said));
}

#[test]
fn other_items_in_their_place_are_run_by_nobody_and_found() {
    let farm = Farm::new();
    farm.ok(&["each", "--submit", "--job", "job", "--", "touch", ":::", "aa", "bb", "cc"]);
    farm.ok(&["verify", "job"]);
    farm.write("job/items", "aa\nbx\ncc\n");
    farm.run(&["worker", "job", "--slots", "1", "--quiet"]).fails_saying(1, &["not the items that the job was made of are in job/items"]);
    assert!(!farm.has("aa") && !farm.has("bx") && !farm.has("cc"));
    let said = farm.run(&["verify", "job"]);
    said.ends_with(1);
    assert!(text(&said).contains("items: has 3 items, 9 bytes, "), "{}", text(&said));
    std::fs::remove_file(farm.path("job/items")).expect("removed");
    assert!(text(&farm.run(&["verify", "job"])).contains("items: is missing"));
}

#[test]
fn clean_removes_a_job_of_commands_whole() {
    let farm = Farm::new();
    each(&farm, &[], "echo $1", &["a", "b"]).ends_with(0);
    farm.ok(&["clean", "job"]);
    assert_eq!(cat(&farm, &[]), "a\nb\n", "what was written stays");
    let said = text(&farm.ok(&["status", "job"]));
    assert!(said.contains("map      2/2") && !said.contains("reduce"), "{said}");
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert!(!farm.has("job"));
}
