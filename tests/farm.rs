//! Farms: many jobs, standing workers and coordinators, priorities, chains and hooks. Tasks that take their time are the example `dawdle`'s.

use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;

use super::common::{Farm, Program, changed, set_mode};
use super::stragglers::dawdle;

mod after;

/// A farm called `farm` with jobs of twenty lines, one task each: `wc` of the same input, so of the same output.
fn with_jobs(n: usize) -> Farm {
    let farm = Farm::new();
    farm.write("in", (0..20).map(|n| format!("word{} again\n", ["a", "b", "c"][n % 3])).collect::<String>());
    (0..n).for_each(|n| submit(&farm, &format!("job-{n:02}"), &[]));
    farm
}

fn submit(farm: &Farm, job: &str, options: &[&str]) {
    let job = format!("farm/{job}");
    farm.ok(&[&["submit", "wc", "in", "--split-lines", "1", "-r", "1", "--job", &job], options].concat());
}

/// A job whose twenty tasks take 100 ms each.
fn submit_slow(farm: &Farm, job: &str, options: &[&str]) {
    let job = format!("farm/{job}");
    let command = ["submit", "dawdle", "in", "--split-lines", "1", "-r", "1", "--job", &job];
    farm.start_as(dawdle(), &[&command, options].concat()).ends_with(0);
}

fn oracle(farm: &Farm) -> Vec<u8> {
    farm.sequential("wc", &["in", "-r", "1"])
}

fn coordinator(farm: &Farm, options: &[&str]) -> Rc<Program> {
    farm.start(&[&["coordinator", "farm"], options].concat())
}

fn worker(farm: &Farm, options: &[&str]) -> Rc<Program> {
    farm.start_as(dawdle(), &[&["worker", "farm"], options].concat())
}

/// One whose tasks take as many `times` as long, while there is a file `slow`.
fn slow_worker(farm: &Farm, options: &[&str]) -> Rc<Program> {
    let program = dawdle();
    let program = program.to_str().expect("a path in UTF-8");
    farm.start_as("env", &[&["DAWDLE=slow", program, "worker", "farm"], options].concat())
}

fn has_ended(farm: &Farm, job: &str) -> bool {
    farm.has(&format!("farm/{job}/phase/finished")) || farm.has(&format!("farm/{job}/phase/failed"))
}

fn wait_for_end(farm: &Farm, job: &str) {
    farm.wait_for(&format!("{job} has ended"), || has_ended(farm, job).then_some(()));
}

fn wait_for_words(farm: &Farm, program: &Program, words: &str) {
    farm.wait_for(words, || program.stderr().contains(words).then_some(()));
}

#[test]
fn fifty_jobs_in_one_farm_all_finish_and_the_poisoned_ones_fail_alone() {
    let farm = with_jobs(50);
    let expected = oracle(&farm);
    farm.write("gone", "word\n");
    farm.ok(&["submit", "wc", "gone", "--job", "farm/input-gone"]);
    std::fs::remove_file(farm.path("gone")).expect("removed");
    farm.ok(&["submit", "wc", "in", "--job", "farm/damaged"]);
    farm.write("farm/damaged/job.json", "{\"format\":1,");
    farm.write("farm/newer/job.json", "{\"format\":1000}");
    farm.write("farm/newer/phase/x", "");
    let leads = coordinator(&farm, &["--drain"]);
    let works = farm.start(&["worker", "farm", "--slots", "4", "--drain"]);
    works.ends_with(0);
    leads.ends_with(1);
    for n in 0..50 {
        farm.finished_with(&format!("farm/job-{n:02}"), &expected);
    }
    assert!(farm.has("farm/input-gone/phase/failed"), "the one whose input is gone has failed");
    for program in [leads, works] {
        let said = program.stderr();
        for (job, why) in [("farm/damaged", "cannot understand"), ("farm/newer", "format 1000")] {
            let lines = said.lines().filter(|line| line.contains(&format!("{job}: "))).count();
            assert!(lines == 1 && said.contains(why), "{job} is said once: {said}");
        }
    }
    for n in (0..50).step_by(10) {
        assert_eq!(farm.names(&format!("farm/job-{n:02}/workers")), [""; 0], "whoever left has signed off");
    }
}

#[test]
fn equal_jobs_take_turns_also_with_one_slot() {
    let farm = with_jobs(0);
    for job in ["a", "b"] {
        submit_slow(&farm, job, &["-o", "ms=400"]);
    }
    let leads = coordinator(&farm, &["--drain"]);
    // A job that has nothing to be done yet is not begun.
    let _ = ["a", "b"].map(|job| farm.wait_for_name(&format!("farm/{job}/pending"), "map-"));
    let works = worker(&farm, &["--slots", "1", "--drain"]);
    works.ends_with(0);
    leads.ends_with(0);
    // By the stamps of their commits, from the first map's to the last one's.
    let [a, b] = ["a", "b"].map(|job| {
        let names = farm.names(&format!("farm/{job}/done")).into_iter().filter(|name| name.starts_with("map-"));
        let mut stamps: Vec<f64> = names.map(|name| changed(&farm.path(&format!("farm/{job}/done/{name}")))).collect();
        stamps.sort_by(f64::total_cmp);
        assert_eq!(stamps.len(), 20);
        (stamps[0], stamps[19])
    });
    assert!(b.0 < a.1, "b has begun while a is not done: {a:?}, {b:?}");
    assert!(a.0 < b.0, "the older began first: {a:?}, {b:?}");
    for job in ["a", "b"] {
        assert_eq!(farm.names(&format!("farm/{job}/expired")), [""; 0], "a turn ends at a task's end: nothing is given back");
    }
}

#[test]
fn a_higher_priority_goes_first_though_it_came_later() {
    let farm = with_jobs(0);
    farm.write("slow", "");
    submit_slow(&farm, "low", &["--priority", "-1", "-o", "ms=10", "-o", "times=300"]);
    let leads = coordinator(&farm, &["--drain"]);
    let works = slow_worker(&farm, &["--slots", "1", "--drain"]);
    farm.wait_for_names("farm/low/done", 1);
    submit_slow(&farm, "high", &["--priority", "3", "-o", "ms=50", "-o", "times=1"]);
    wait_for_end(&farm, "high");
    let done = farm.names("farm/low/done").len();
    assert!(done < 20 && !has_ended(&farm, "low"), "the later job overtook: {done} of the other are done");
    std::fs::remove_file(farm.path("slow")).expect("it is there"); // The rest is quick.
    works.ends_with(0);
    leads.ends_with(0);
    assert!(farm.has("farm/low/phase/finished"));
}

#[test]
fn jobs_are_added_cancelled_and_retried_while_the_farm_runs() {
    let farm = with_jobs(0);
    std::fs::create_dir(farm.path("farm")).expect("made");
    let expected = oracle(&farm);
    farm.write("slow", "");
    let (leads, works) = (coordinator(&farm, &[]), slow_worker(&farm, &["--slots", "2"]));
    wait_for_words(&farm, &works, "at work in the farm");
    submit_slow(&farm, "slow", &["-o", "ms=20", "-o", "times=200"]);
    farm.wait_for_names("farm/slow/done", 1);
    farm.ok(&["cancel", "farm/slow"]);
    wait_for_end(&farm, "slow");
    farm.wait_for("nothing is left to be claimed", || farm.names("farm/slow/pending").is_empty().then_some(()));
    assert!(farm.names("farm/slow/done").len() < 20, "it was cancelled in the middle");
    std::fs::remove_file(farm.path("slow")).expect("it is there");
    farm.ok(&["retry", "farm/slow"]);
    farm.wait_for("it goes on", || farm.has("farm/slow/phase/finished").then_some(()));
    // The dawdler knows no wc: said once, and no harm to others.
    submit(&farm, "wc", &[]);
    wait_for_words(&farm, &works, "farm/wc: ");
    let other = farm.start(&["worker", "farm", "--slots", "1", "--drain"]);
    other.ends_with(0);
    wait_for_end(&farm, "wc");
    farm.finished_with("farm/wc", &expected);
    assert!(leads.look().is_none() && works.look().is_none(), "both stay");
    for program in [leads, works] {
        program.signal(Signal::TERM);
        program.ends_with(0);
    }
}

#[test]
fn a_slot_whose_file_in_workers_is_removed_finishes_its_task_and_is_retired() {
    let farm = with_jobs(0);
    submit_slow(&farm, "job", &["-o", "ms=2000"]);
    let (leads, works) = (coordinator(&farm, &[]), worker(&farm, &["--slots", "2"]));
    for left in [1, 0] {
        let names = farm.wait_for_names("farm/job/workers", left + 1);
        farm.wait_for_names("farm/job/claimed", left + 1);
        std::fs::remove_file(farm.path(&format!("farm/job/workers/{}", names[0]))).expect("removed");
        farm.wait_for("it has left", || (farm.slots("farm/job").len() <= left).then_some(()));
    }
    works.fails_saying(0, &["every slot was retired"]);
    // One that had just claimed another gives that back.
    for name in farm.names("farm/job/expired") {
        assert!(String::from_utf8_lossy(&farm.read(&format!("farm/job/expired/{name}"))).contains("given_back"), "{name} was not lost");
    }
    assert!(!has_ended(&farm, "job"), "and the job waits for others");
    leads.signal(Signal::TERM);
    leads.ends_with(0);
}

#[test]
fn a_farm_whose_coordinator_and_workers_are_killed_goes_on_with_others() {
    let farm = with_jobs(0);
    for n in 0..4 {
        submit_slow(&farm, &format!("job-{n}"), &["--lease", "1s"]);
    }
    for round in 0..3 {
        let (leads, works) = (coordinator(&farm, &[]), worker(&farm, &["--slots", "3"]));
        farm.wait_for("something more is done", || {
            let done: usize = (0..4).map(|n| farm.names(&format!("farm/job-{n}/done")).len()).sum();
            (done > round * 4).then_some(())
        });
        leads.kill_alone();
        works.kill_alone();
    }
    let (leads, works) = (coordinator(&farm, &["--drain"]), worker(&farm, &["--slots", "3", "--drain"]));
    works.ends_with(0);
    leads.ends_with(0);
    let outputs: Vec<_> = (0..4).map(|n| farm.outputs(&format!("farm/job-{n}"))).collect();
    assert!(outputs.iter().all(|output| *output == outputs[0]), "the same bytes of all");
    let sum: usize = String::from_utf8_lossy(&outputs[0]).lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<usize>().ok()).sum();
    assert_eq!(sum, 20, "every line once");
    (0..4).for_each(|n| _ = farm.ok(&["verify", &format!("farm/job-{n}")]));
}

#[test]
fn a_job_that_is_not_trusted_is_said_once_and_others_are_served() {
    let farm = with_jobs(2);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        for path in walkdir::WalkDir::new(farm.path("farm/job-01")) {
            std::os::unix::fs::chown(path.expect("readable").path(), Some(4_000_001), Some(4_000_001)).expect("given away");
        }
    } else {
        // Nobody else can give it away.
        set_mode(&farm.path("farm/job-01"), 0o777);
    }
    let (leads, works) = (coordinator(&farm, &["--drain"]), farm.start(&["worker", "farm", "--slots", "1", "--drain"]));
    works.ends_with(0);
    leads.ends_with(1);
    for program in [leads, works] {
        assert_eq!(program.stderr().matches("not trusted").count(), 1, "{}", program.stderr());
    }
    farm.finished_with("farm/job-00", &oracle(&farm));
    assert_eq!(farm.names("farm/job-01/log"), [""; 0], "nobody went in");
    let trust = ["--drain", "--trust-user", "4000001"];
    if !is_root {
        set_mode(&farm.path("farm/job-01"), 0o755);
    }
    let (leads, works) = (coordinator(&farm, &trust), farm.start(&[&["worker", "farm", "--slots", "1"][..], &trust].concat()));
    works.ends_with(0);
    leads.ends_with(0);
}

#[test]
fn a_worker_of_a_farm_that_nobody_leads_says_so() {
    let farm = with_jobs(1);
    let works = farm.start(&["worker", "farm", "--slots", "1"]);
    wait_for_words(&farm, &works, "no coordinator has led job-00 so far; start one with `flockwork coordinator farm`");
    works.signal(Signal::TERM);
    works.ends_with(0);
}

#[test]
fn a_worker_of_a_job_that_nobody_leads_says_so() {
    let farm = Farm::new();
    farm.write("in", "one two\n");
    farm.ok(&["submit", "wc", "in", "-r", "1", "--job", "job"]);
    let worker = farm.start(&["worker", "job", "--slots", "1"]);
    wait_for_words(&farm, &worker, "no coordinator has led the job so far; start one with `flockwork coordinator job`");
    farm.ok(&["coordinator", "job", "-q"]);
    worker.ends_with(0);
}

#[test]
fn a_hook_is_run_once_for_each_end_and_its_failure_changes_nothing() {
    let farm = with_jobs(2);
    farm.write_program("tell.sh", "#!/bin/sh\necho \"$1 $FLOCKWORK_OUTCOME $FLOCKWORK_JOB\" >> ended\nexit 3\n");
    farm.ok(&["cancel", "farm/job-01"]);
    let hook = ["--drain", "--hook", "./tell.sh 'it is'"];
    let (leads, beside) = (coordinator(&farm, &hook), coordinator(&farm, &hook));
    let works = farm.start(&["worker", "farm", "--slots", "1", "--drain"]);
    works.ends_with(0);
    leads.wait();
    beside.wait();
    let ended = |farm: &Farm| {
        let mut lines: Vec<String> = String::from_utf8_lossy(&farm.read("ended")).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let line = |outcome: &str, job: &str| format!("it is {outcome} {}", farm.path(&format!("farm/{job}")).display());
    assert_eq!(ended(&farm), [line("cancelled", "job-01"), line("finished", "job-00")]);
    assert!((leads.stderr() + &beside.stderr()).contains("the hook of farm/job-00 failed"), "{}", leads.stderr());
    farm.ok(&["retry", "farm/job-01"]);
    let works = farm.start(&["worker", "farm/job-01", "--slots", "1"]);
    farm.ok(&["coordinator", "farm/job-01", "--hook", "sh -c './tell.sh now'"]);
    works.ends_with(0);
    assert_eq!(ended(&farm).len(), 3, "its second end is an end of its own: {:?}", ended(&farm));
    farm.ok(&["coordinator", "farm/job-01", "--hook", "./no-such-program"]);
    assert_eq!(farm.names("farm/job-01/phase").iter().filter(|name| name.starts_with("hooked.")).count(), 2);
    farm.ok(&["verify", "farm/job-01"]);
    farm.ok(&["clean", "farm/job-01", "--all", "--yes"]);
    assert!(!farm.has("farm/job-01"));
}

#[test]
fn what_is_neither_job_nor_farm_is_refused_and_what_is_not_there_is_waited_for() {
    let farm = with_jobs(0);
    farm.write("other/file", "x");
    for command in ["worker", "coordinator"] {
        farm.run(&[command, "other"]).fails_saying(1, &["no job in other", "it holds other things (`file`)"]);
        farm.run(&[command, "in"]).fails_saying(1, &["cannot use as a job's directory in: it is a file"]);
    }
    let programs = [coordinator(&farm, &[]), farm.start(&["worker", "farm", "--slots", "1"])];
    for program in &programs {
        wait_for_words(&farm, program, "there is no job in farm yet; waiting for it");
    }
    std::fs::create_dir(farm.path("farm")).expect("made");
    wait_for_words(&farm, &programs[1], "at work in the farm");
    // An empty folder may also become a job.
    farm.ok(&["submit", "wc", "in", "--job", "farm", "-r", "1"]);
    programs.iter().for_each(|program| program.ends_with(0));
    farm.finished_with("farm", &oracle(&farm));
}

#[test]
fn the_table_of_a_farm_tells_each_job_and_the_json_the_same() {
    let farm = with_jobs(1);
    farm.ok(&["run", "wc", "in", "-r", "1", "--slots", "1", "--job", "farm/done", "--priority", "7"]);
    submit(&farm, "urgent", &["--priority", "2"]);
    farm.ok(&["pause", "farm/urgent"]);
    farm.ok(&["submit", "wc", "in", "--job", "farm/bad"]);
    farm.write("farm/bad/job.json", "{");
    let table = String::from_utf8(farm.ok(&["status", "farm"]).stdout()).expect("UTF-8");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["JOB", "PRIORITY", "PHASE", "DONE", "CLAIMED", "PENDING", "WORKERS", "NOTE"]);
    assert_eq!(rows[1], ["urgent", "2", "map,", "paused", "0/21", "0", "0", "0"], "{table}");
    assert_eq!(rows.last().map(|row| row.join(" ")), Some("4 jobs, 3 not ended".to_owned()), "{table}");
    assert!(rows.iter().any(|row| row[..] == ["done", "7", "finished", "2/2", "0", "0", "0"]), "{table}");
    assert!(table.contains("unreadable") && table.contains("cannot understand"), "{table}");
    let json: serde_json::Value = serde_json::from_slice(&farm.ok(&["status", "farm", "--json"]).stdout()).expect("JSON");
    let jobs: Vec<&str> = json["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["job"].as_str()).collect();
    assert_eq!((json["version"].as_u64(), jobs[0], jobs.len()), (Some(1), "urgent", 4));
}

#[test]
fn an_idle_worker_in_a_farm_of_a_thousand_ended_jobs_costs_next_to_nothing() {
    let farm = Farm::new();
    for n in 0..1000 {
        farm.write(&format!("farm/job-{n}/job.json"), "{}");
        farm.write(&format!("farm/job-{n}/phase/end"), "");
        farm.write(&format!("farm/job-{n}/phase/finished"), "");
    }
    for command in [&["worker", "farm", "--slots", "2"][..], &["coordinator", "farm"]] {
        let program = farm.start(command);
        // On a busy machine it takes a while until it has seen all of them.
        let used = || {
            let before = program.cpu();
            std::thread::sleep(Duration::from_secs(5));
            program.cpu() - before
        };
        std::thread::sleep(Duration::from_secs(3));
        farm.wait_for(&format!("{command:?} uses less than 0.15 s of processor in 5 s"), || (used() < 0.15).then_some(()));
        program.signal(Signal::TERM);
        program.ends_with(0);
        assert!(!program.stderr().contains("job-"), "and says nothing of them: {}", program.stderr());
    }
}

#[test]
fn wrong_values_of_the_options_of_farms_are_refused() {
    let farm = with_jobs(1);
    for (command, words) in [
        (&["submit", "wc", "in", "--priority", "high"][..], "invalid value 'high'"),
        (&["submit", "wc", "in", "--priority", "9999999999"], "invalid value '9999999999'"),
        (&["worker", "farm", "--until", "soon"], "is no time to leave at"),
        (&["worker", "farm", "--until", "2020-01-01T00:00"], "is over"),
        (&["worker", "farm", "--idle", "0.5s"], "write at least 1s"),
        (&["worker", "farm", "--idle", "never"], "is not a time"),
        (&["coordinator", "farm", "--hook", ""], "write a command"),
        (&["coordinator", "farm", "--hook", "sh -c 'x"], "is not closed"),
        (&["launch", "farm"], "--hosts"),
        (&["launch", "farm", "--hosts", "in", "--slurm"], "cannot be used with"),
        (&["launch", "farm", "--hosts", "in", "--submit"], "--slurm"),
        (&["launch", "farm", "--hosts", "in", "--", "--time=1"], "--slurm"),
        (&["launch", "farm", "--slurm", "--idle", "x"], "is not a time"),
        (&["launch", "farm", "--slurm", "--", "short"], "is no option of sbatch"),
        (&["launch", "farm", "--hosts", "in"], "line 1"),
    ] {
        farm.run(command).fails_saying(2, &[words]);
    }
    farm.run(&["submit", "wc", "in", "--job", "farm/x", "--after", "farm/y"]).fails_saying(1, &["farm/y"]);
    farm.run(&["submit", "wc", "in", "--job", "farm/job-00", "--after", "farm/job-00"]).fails_saying(2, &["cannot start after itself"]);
    assert!(!farm.has("farm/x"), "nothing is left behind");
}
