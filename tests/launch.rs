//! Starting workers on other machines, and when they leave by themselves. `ssh`, `sbatch` and `scontrol` are stand-ins that write down what they were told.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::rc::Rc;

use super::common::{FLOCKWORK, Farm, Program};

/// A farm with one job of some lines, and stand-ins in `bin/`. The one of ssh runs the command here, unless the host is called `dead`.
fn with_stand_ins() -> Farm {
    let farm = Farm::new();
    farm.write("in", "one two\nthree\n");
    farm.ok(&["submit", "wc", "in", "--split-lines", "1", "-r", "1", "--job", "farm/job"]);
    let note = |name: &str, then: &str| {
        farm.write_program(
            &format!("bin/{name}"),
            format!("#!/bin/sh\nprintf '%s|' \"$@\" >> {}\necho >> {0}\n{then}\n", farm.path(&format!("{name}.told")).display()),
        );
    };
    note("ssh", "for last; do :; done\ncase \"$*\" in *dead*) echo 'connection refused' >&2; exit 255;; esac\nexec sh -c \"$last\"");
    note(
        "sbatch",
        &format!("cat > {}; case \"$(cat {0})\" in *refuse*) exit 1;; esac; echo Submitted batch job 7", farm.path("script").display()),
    );
    note("scontrol", "");
    farm
}

/// Runs flockwork with the stand-ins, and with more in its environment.
fn with(farm: &Farm, environment: &[&str], args: &[&str]) -> Rc<Program> {
    let path = format!("PATH={}:{}", farm.path("bin").display(), std::env::var("PATH").expect("a path"));
    farm.start_as("env", &[&[path.as_str()], environment, &[FLOCKWORK], args].concat())
}

fn told(farm: &Farm, name: &str) -> String {
    if farm.has(&format!("{name}.told")) { String::from_utf8(farm.read(&format!("{name}.told"))).expect("UTF-8") } else { String::new() }
}

/// The process numbers that `launch` printed.
fn started(launch: &Program) -> Vec<Pid> {
    let text = String::from_utf8(launch.stdout()).expect("UTF-8");
    let pids = text.lines().filter_map(|line| line.split_once(": worker ")?.1.split(' ').next()?.parse().ok().and_then(Pid::from_raw));
    pids.collect()
}

#[test]
fn workers_are_started_by_ssh_and_each_host_is_told() {
    let farm = with_stand_ins();
    farm.write("hosts", "# nodes\n2/ssh -p 2222 ann@node7\n1/:\n3/dead\n");
    let launch = with(&farm, &[], &["launch", "farm", "--hosts", "hosts", "--idle", "60s"]);
    launch.fails_saying(1, &["dead: no worker was started: connection refused", "2 of 3 hosts have a worker"]);
    let pids = started(&launch);
    assert_eq!(pids.len(), 2, "{}", String::from_utf8_lossy(&launch.stdout()));
    let text = String::from_utf8(launch.stdout()).expect("UTF-8");
    let stop = format!("ann@node7: worker {} with 2 slots", pids[0].as_raw_nonzero());
    assert!(text.contains(&stop) && text.contains(&format!("ssh -p 2222 ann@node7 kill {}", pids[0].as_raw_nonzero())), "{text}");
    let ssh = told(&farm, "ssh");
    assert!(ssh.contains("-o|BatchMode=yes|-o|ConnectTimeout=15|-p|2222|--|ann@node7|"), "{ssh}");
    let command = format!("{FLOCKWORK} worker {} --slots 2 --idle=60s --quiet", farm.path("farm").display());
    assert!(ssh.contains(&command), "{ssh}");
    farm.ok(&["coordinator", "farm", "--drain"]);
    assert_eq!(farm.outputs("farm/job"), b"one 1\nthree 1\ntwo 1\n", "they have done the work");
    for pid in pids {
        kill_process(pid, Signal::TERM).expect("it lives");
        farm.wait_for("it has left", || test_kill_process(pid).is_err().then_some(()));
    }
}

#[test]
fn a_worker_that_does_not_stay_is_told_with_its_words() {
    let farm = with_stand_ins();
    farm.write("hosts", "node7\n");
    let binary = ["launch", "farm", "--hosts", "hosts", "--binary", "/no/such/program"];
    with(&farm, &[], &binary).fails_saying(1, &["node7: no worker was started: no program /no/such/program", "0 of 1 hosts"]);
    farm.write("other/file", "x");
    with(&farm, &[], &["launch", "other", "--hosts", "hosts"]).fails_saying(1, &["it holds other things (`file`)"]);
    assert!(!farm.has("other/.launch"), "nothing is made in it");
    // One that has nothing to do.
    with(&farm, &[], &["cancel", "farm/job"]).ends_with(0);
    with(&farm, &[], &["coordinator", "farm/job", "--quiet"]).ends_with(1);
    with(&farm, &[], &["launch", "farm", "--hosts", "hosts", "--drain"])
        .fails_saying(1, &["node7: no worker was started: it left at once"]);
    // One that leaves at once.
    farm.write_program("leaver", "#!/bin/sh\necho nothing to do here\n");
    let leaver = farm.path("leaver").display().to_string();
    with(&farm, &[], &["launch", "farm", "--hosts", "hosts", "--binary", &leaver])
        .fails_saying(1, &["node7: no worker was started: nothing to do here"]);
}

#[test]
fn slots_that_are_typed_count_before_those_of_the_file() {
    let farm = with_stand_ins();
    farm.write("hosts", "3/dead\nnode7\t# the new one\n2/:\n");
    let launch = with(&farm, &[], &["launch", "farm", "--hosts", "hosts", "--slots", "1", "--idle", "60s"]);
    launch.fails_saying(1, &["2 of 3 hosts have a worker"]);
    for pid in started(&launch) {
        let _ = kill_process(pid, Signal::TERM);
        farm.wait_for("it has left", || test_kill_process(pid).is_err().then_some(()));
    }
    let text = String::from_utf8(launch.stdout()).expect("UTF-8");
    assert!(text.lines().count() == 2 && text.lines().all(|line| line.contains(" with 1 slot; ")), "{text}");
    let ssh = told(&farm, "ssh");
    assert_eq!(ssh.matches(" --slots 1 ").count(), 2, "{ssh}");
    // What is only printed can be given to sbatch, also where there is no farm yet.
    with(&farm, &[], &["launch", "fresh", "--slurm"]).ends_with(0);
    assert!(farm.has("fresh/.launch"));
}

#[test]
fn what_was_launched_for_a_job_goes_with_the_job() {
    let farm = with_stand_ins();
    farm.ok(&["run", "wc", "in", "--job", "job", "--slots", "1", "--quiet"]);
    with(&farm, &[], &["launch", "job", "--slurm"]).ends_with(0);
    farm.write("job/.launch/slurm-7.txt", "at work\n");
    farm.ok(&["verify", "job"]);
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert!(!farm.has("job"));
}

#[test]
fn the_batch_script_drains_before_the_time_limit_and_is_requeued() {
    let farm = with_stand_ins();
    let dawdle = super::stragglers::dawdle();
    farm.start_as(&dawdle, &["submit", "dawdle", "in", "-o", "ms=60000", "--job", "farm/long"]).ends_with(0);
    let leads = farm.start(&["coordinator", "farm"]);
    let binary = dawdle.to_string_lossy();
    let args = ["launch", "farm", "--slurm", "--slots", "1", "--binary", &binary, "--", "--time=2:00:00", "-p", "short"];
    let printed = with(&farm, &[], &args);
    printed.ends_with(0);
    let script = String::from_utf8(printed.stdout()).expect("UTF-8");
    for line in ["#SBATCH --time=2:00:00", "#SBATCH -p short", "#SBATCH --signal=B:USR1@120", "#SBATCH --requeue"] {
        assert!(script.lines().any(|there| there == line), "{line}: {script}");
    }
    assert!(farm.has("farm/.launch"), "Slurm starts nothing where its words have no folder to go to");
    farm.write("batch.sh", &script);
    let path = format!("PATH={}:{}", farm.path("bin").display(), std::env::var("PATH").expect("a path"));
    for (signal, requeued) in [(Signal::TERM, ""), (Signal::USR1, "requeue|7|\n")] {
        let batch = farm.start_as("env", &[&path, "SLURM_JOB_ID=7", "bash", "batch.sh"]);
        farm.wait_for_name("farm/long/claimed", "map");
        batch.signal(signal);
        batch.ends_with(0);
        assert_eq!(told(&farm, "scontrol"), requeued, "{signal:?}");
        assert_eq!(farm.slots("farm/long"), [], "the worker has left");
        farm.wait_for("its claim was given back", || farm.names("farm/long/claimed").is_empty().then_some(()));
    }
    leads.signal(Signal::TERM);
    leads.ends_with(0);
}

#[test]
fn the_batch_script_is_given_to_sbatch_and_its_refusal_is_told() {
    let farm = with_stand_ins();
    let launch = with(&farm, &[], &["launch", "farm", "--slurm", "--submit", "--drain", "--until", "23:59", "--", "--array=0-3"]);
    launch.ends_with(0);
    assert_eq!(launch.stdout(), b"Submitted batch job 7\n");
    let script = String::from_utf8(farm.read("script")).expect("UTF-8");
    assert!(script.contains("#SBATCH --array=0-3\n") && script.contains(" --drain --until=23:59 --quiet &\n"), "{script}");
    assert!(farm.has("farm/.launch"), "where its words go");
    with(&farm, &[], &["launch", "farm", "--slurm", "--submit", "--", "--comment=refuse"]).fails_saying(1, &["sbatch refused the script"]);
    let nowhere = farm.start_as("env", &["PATH=/nonexistent", FLOCKWORK, "launch", "farm", "--slurm", "--submit"]);
    nowhere.fails_saying(1, &["cannot start sbatch"]);
}

#[test]
fn a_worker_leaves_at_its_time_when_idle_and_before_its_allocation_ends() {
    let farm = with_stand_ins();
    std::fs::create_dir(farm.path("empty")).expect("made");
    let now: u64 =
        std::fs::metadata(farm.path("in")).map(|meta| std::os::unix::fs::MetadataExt::mtime(&meta)).expect("there").cast_unsigned();
    let end = |seconds: u64| format!("SLURM_JOB_END_TIME={}", now + seconds);
    for (environment, options, words) in [
        ("A=b".to_owned(), &["--until", "2s"][..], "the time of --until has come"),
        ("A=b".to_owned(), &["--idle", "2s"], "no task for as long as --idle says"),
        (end(63), &[], "the batch allocation ends soon"),
        (end(63), &["--until", "1h"], "the batch allocation ends soon"),
        (end(9999), &["--until", "2s"], "the time of --until has come"),
    ] {
        // In a farm without a task, at a job without a coordinator, and where nothing is yet.
        for place in ["empty", "farm/job", "nowhere"] {
            let worker = with(&farm, &[&environment], &[&["worker", place, "--slots", "1"], options].concat());
            worker.ends_with(0);
            assert!(worker.stderr().contains(words) || place == "nowhere", "{place} {options:?}: {}", worker.stderr());
        }
    }
    assert_eq!(farm.names("farm/job/workers"), [""; 0], "whoever left has signed off");
}

#[test]
fn a_task_is_given_back_when_the_time_has_come() {
    let farm = Farm::new();
    farm.write("in", "line\n");
    let dawdle = super::stragglers::dawdle();
    farm.start_as(&dawdle, &["submit", "dawdle", "in", "-o", "ms=60000", "--job", "farm/job"]).ends_with(0);
    let leads = farm.start(&["coordinator", "farm"]);
    farm.wait_for_name("farm/job/pending", "map");
    // On a busy machine its time may be over before it has claimed anything.
    for until in ["4s", "12s", "36s"] {
        farm.start_as(&dawdle, &["worker", "farm", "--slots", "1", "--until", until]).ends_with(0);
        if !farm.names("farm/job/expired").is_empty() {
            break;
        }
    }
    let given = farm.names("farm/job/expired").remove(0);
    assert!(String::from_utf8_lossy(&farm.read(&format!("farm/job/expired/{given}"))).contains("given_back"));
    leads.signal(Signal::TERM);
    leads.ends_with(0);
}

#[test]
fn the_units_of_systemd_are_well_formed() {
    let farm = Farm::new();
    for unit in ["flockwork-worker@.service", "flockwork-coordinator@.service"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(unit);
        let text = std::fs::read_to_string(&path).expect("the unit");
        let has = |line: &str| text.lines().any(|there| there.starts_with(line));
        assert!(["[Unit]", "[Service]", "[Install]", "ExecStart=", "Restart=on-failure"].into_iter().all(has), "{text}");
        // As installed, with the program where it is here.
        let instance = unit.replace("@.", "@mnt-share-farm.");
        farm.write(&format!("units/{instance}"), text.replace("%h/.cargo/bin/flockwork", FLOCKWORK));
        let instance = farm.path(&format!("units/{instance}"));
        if std::process::Command::new("systemd-analyze").arg("--version").output().is_ok() {
            let place = format!("XDG_RUNTIME_DIR={}", farm.path("").display());
            let verify = farm.start_as("env", &[&place, "systemd-analyze", "--user", "--man=no", "verify", &instance.to_string_lossy()]);
            let status = verify.wait();
            // Where there is no manager to be had (a container), what can be read above is all.
            assert!(status.success() || verify.stderr().contains("Failed to initialize manager"), "{}", verify.stderr());
        }
    }
}
