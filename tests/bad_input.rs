//! What users type wrongly, what disks lose, and what others leave lying about: a message and an exit status, never a panic, a hang or another result.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::common::{FLOCKWORK, Farm};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap_or_else(|error| panic!("no fifo at {}: {error}", path.display()));
}

/// Everything below a folder, with lengths: to show that nothing was changed.
fn tree(farm: &Farm, folder: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in farm.names(folder) {
        let path = format!("{folder}/{name}");
        match farm.path(&path).is_dir() {
            true => found.extend(tree(farm, &path)),
            false => found.push(format!("{path} {}", farm.path(&path).symlink_metadata().map_or(0, |meta| meta.len()))),
        }
    }
    found
}

#[test]
fn an_input_that_is_not_there_is_named_and_nothing_is_left_behind() {
    let farm = Farm::new();
    farm.write("there", "word\n");
    for command in ["run", "submit"] {
        farm.run(&[command, "wc", "there", "nothing.txt", "--job", "job"]).fails_saying(1, &["nothing.txt", "o such file"]);
        farm.run(&[command, "wc", "no/*.txt", "--job", "job"]).fails_saying(1, &["no input matches no/*.txt"]);
    }
    farm.run(&["sequential", "wc", "nothing.txt"]).fails_saying(1, &["nothing.txt"]);
    assert_eq!(farm.names("."), ["there"]);
}

#[test]
fn a_fifo_or_a_device_is_no_input() {
    let farm = Farm::new();
    fifo(&farm.path("pipe"));
    for input in ["pipe", "/dev/null", "."] {
        farm.run(&["run", "wc", input, "--job", "job"]).fails_saying(1, &["cannot read input", "it is a fifo, socket or device"]);
    }
    assert_eq!(farm.names("."), ["pipe"]);
}

/// Starts flockwork as somebody whom permissions bind: as this user, or as `nobody` where this user is root.
pub(super) fn run_bound_by_permissions(farm: &Farm, args: &[&str], code: i32, parts: &[&str]) {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return farm.run(args).fails_saying(code, parts);
    }
    // The program may lie where nobody else may look.
    farm.copy_program(FLOCKWORK, "program");
    std::fs::set_permissions(farm.path("."), std::fs::Permissions::from_mode(0o777)).expect("opened to all");
    let program = farm.path("program").to_str().expect("UTF-8").to_owned();
    let who = ["--reuid=65534", "--regid=65534", "--clear-groups", "--", &program];
    farm.start_as("setpriv", &[&who, args].concat()).fails_saying(code, parts);
    std::fs::remove_file(farm.path("program")).expect("removed");
}

#[test]
fn what_may_not_be_read_or_written_is_named_with_a_remedy() {
    use std::os::unix::fs::PermissionsExt;
    let farm = Farm::new();
    farm.write("secret", "word\n");
    farm.write("open", "word\n");
    std::fs::create_dir(farm.path("closed")).expect("made");
    std::fs::set_permissions(farm.path("secret"), std::fs::Permissions::from_mode(0o000)).expect("closed");
    std::fs::set_permissions(farm.path("closed"), std::fs::Permissions::from_mode(0o555)).expect("closed");
    run_bound_by_permissions(
        &farm,
        &["run", "wc", "secret", "--job", "job"],
        1,
        &["cannot read input secret", "check the owner and the permissions"],
    );
    run_bound_by_permissions(
        &farm,
        &["run", "wc", "open", "--job", "closed/job"],
        1,
        &["closed/job", "check the owner and the permissions"],
    );
    assert_eq!(farm.names("."), ["closed", "open", "secret"], "nothing is left behind");
}

#[test]
fn a_wrong_command_line_exits_with_2_and_makes_nothing() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    let cases: [(&[&str], &str); 22] = [
        (&[], "Usage"),
        (&["walk"], "walk"),
        (&["run"], "required"),
        (&["run", "wc"], "required"),
        (&["run", "cw", "a"], "cw"),
        (&["submit", "cw", "a"], "cw"),
        (&["sequential", "cw", "a"], "cw"),
        (&["run", "gerp", "a"], "did you mean `grep`? this program knows: "),
        (&["run", "wc", "a", "-o", "Combin=false"], "did you mean `combine`? it knows: "),
        (&["run", "wc", "a", "-o", "colour=red"], "the app `wc` has no option `colour`; it knows"),
        (&["run", "wc", "a", "-o", "colour"], "key=value"),
        (&["run", "wc", "a", "--fast"], "--fast"),
        (&["run", "wc", "a", "-r", "0"], "0 is not in 1..=100000"),
        (&["run", "wc", "a", "--split-size", "0"], "at least one byte"),
        (&["run", "wc", "a", "--split-size", "big"], "big"),
        (&["run", "wc", "a", "--split-lines", "0"], "0 is not in 1.."),
        (&["run", "wc", "a", "--lease", "10ms"], "the smallest lease is 1s"),
        (&["run", "wc", "a", "--lease", "99999d"], "write at most 36600d"),
        (&["run", "wc", "a", "--stall", "36601d"], "write at most 36600d"),
        (&["each", "--lease", "36601d", "--", "true", ":::", "a"], "write at most 36600d"),
        (&["run", "wc", "a", "--shuffle", "xml"], "xml"),
        (&["worker", "job", "--slots", "none"], "none"),
    ];
    for (args, part) in cases {
        farm.run(args).fails_saying(2, &[part]);
    }
    assert_eq!(farm.names("."), ["a"]);
}

#[test]
fn nothing_is_submitted_from_a_folder_whose_name_is_not_utf_8() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["submit", "wc", "a", "--job", "i"]);
    for typed in ["submit wc $h/a --job $h/j", "submit wc $h/a --job $h/j --after $h/i", "each --submit --job $h/j -- true ::: a"] {
        let script = format!("h=$PWD; odd=$(printf '.odd\\377'); mkdir -p \"$odd\" && cd \"$odd\" && exec \"$0\" {typed}");
        farm.start_as("sh", &["-c", &script, FLOCKWORK])
            .fails_saying(2, &["cannot submit a job from the folder", "its path is not UTF-8", "from another folder"]);
    }
    assert_eq!(farm.names("."), ["a", "i"], "not even an empty folder is left");
}

#[test]
fn a_folder_with_another_job_is_refused_and_left_alone() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.write("b", "other\n");
    farm.ok(&["run", "wc", "a", "--job", "job"]);
    let before = tree(&farm, "job");
    farm.run(&["run", "wc", "b", "--job", "job"]).fails_saying(1, &["another job lies in job", "`inputs` is [\"a\"] there, not [\"b\"]"]);
    farm.run(&["submit", "wc", "a", "-r", "3", "--job", "job"])
        .fails_saying(1, &["another job lies in job", "`reduces` is 10 there, not 3", "the same options"]);
    farm.run(&["run", "indexer", "a", "--job", "job"]).fails_saying(1, &["`app` is \"wc\" there, not \"indexer\""]);
    assert_eq!(tree(&farm, "job"), before);
}

#[test]
fn a_folder_that_is_no_job_is_refused_and_left_alone() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.write("home/letter", "dear");
    for args in
        [&["run", "wc", "a", "--job", "home"][..], &["submit", "wc", "a", "--job", "home"], &["worker", "home"], &["coordinator", "home"]]
    {
        farm.run(args).fails_saying(1, &["home", "holds other things (`letter`)"]);
    }
    for command in ["status", "wait", "cat", "verify", "pause", "resume", "cancel", "retry", "clean"] {
        farm.run(&[command, "home"]).fails_saying(1, &["no job in home"]);
        farm.run(&[command, "nowhere"]).fails_saying(1, &["no job in nowhere"]);
    }
    assert_eq!(tree(&farm, "home"), ["home/letter 4"]);
    assert!(!farm.has("nowhere"));
}

#[test]
fn a_place_where_no_job_can_be_is_refused() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    for job in ["a", "a/job", "/proc/flockwork/job"] {
        farm.run(&["run", "wc", "a", "--job", job]).fails_saying(1, &[job]);
        farm.run(&["submit", "wc", "a", "--job", job]).fails_saying(1, &[job]);
    }
    farm.run(&["worker", "a"]).fails_saying(1, &["cannot use as a job's directory a"]);
    farm.run(&["coordinator", "a"]).fails_saying(1, &["cannot use as a job's directory a"]);
    assert_eq!(farm.names("."), ["a"]);
}

/// A job that vanishes while a map sleeps and others wait: whoever works on it ends with a line that says so.
fn vanishes(app: &str) {
    let farm = Farm::with_books();
    farm.ok(&["submit", app, "books", "--job", "job", "--lease", "1s"]);
    let ask = ["run", app, "books", "--job", "job", "--lease", "1s", "--slots", "1"];
    let programs = [farm.start(&["coordinator", "job"]), farm.start(&ask), farm.start(&["worker", "job", "--slots", "2"])];
    farm.wait_for_names("job/claimed", 3);
    // Moved away first: a folder that is being filled cannot be removed in one go.
    rustix::fs::rename(farm.path("job"), farm.path("gone")).expect("moved");
    std::fs::remove_dir_all(farm.path("gone")).or_else(|_| std::fs::remove_dir_all(farm.path("gone"))).expect("removed");
    for program in &programs {
        program.fails_saying(1, &["job"]);
        let said = program.stderr();
        let about: Vec<_> =
            said.lines().filter(|line| line.contains("removed") || line.contains("no job") || line.contains("cannot")).collect();
        assert_eq!(about.len(), 1, "one line says why: {said}");
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(!farm.has("job"), "nobody makes it again: {:?}", tree(&farm, "job"));
}

#[test]
fn scenario_21_a_job_that_vanishes_in_mid_run_ends_everybody_and_stays_away() {
    vanishes("jobcount");
}

#[test]
fn a_worker_that_waits_in_a_job_says_so_when_the_job_goes_away() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "wc", "books", "--job", "job", "--lease", "1s"]);
    let worker = farm.start(&["worker", "job", "--slots", "2"]);
    farm.wait_for_names("job/workers", 2);
    rustix::fs::rename(farm.path("job"), farm.path("gone")).expect("moved");
    worker.fails_saying(1, &["no job any more in"]);
    assert!(!farm.has("job"), "nobody makes it again: {:?}", tree(&farm, "job"));
}

#[test]
fn a_coordinator_leaves_another_job_alone_that_takes_the_place_of_its_own() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "wc", "books", "--job", "job", "-r", "2", "--lease", "1s"]);
    farm.ok(&["submit", "wc", "books", "--job", "next", "-r", "9", "--lease", "1s"]);
    let coordinator = farm.start(&["coordinator", "job"]);
    farm.wait_for_name("job/pending", "map-");
    rustix::fs::rename(farm.path("job"), farm.path("gone")).expect("moved");
    rustix::fs::rename(farm.path("next"), farm.path("job")).expect("moved");
    coordinator.fails_saying(1, &["another job lies in"]);
    assert!(farm.names("job/pending").is_empty(), "it issued nothing there");
    farm.ok(&["run", "wc", "books", "--job", "job", "-r", "9", "--lease", "1s"]);
    assert_eq!(farm.names("job/output").iter().filter(|name| name.starts_with("mr-out-")).count(), 9);
}

#[test]
fn a_coordinator_ends_where_a_folder_that_is_no_job_takes_the_place_of_its_own() {
    let farm = Farm::with_books();
    farm.ok(&["submit", "wc", "books", "--job", "job", "--lease", "1s"]);
    let coordinator = farm.start(&["coordinator", "job"]);
    farm.wait_for_name("job/pending", "map-");
    rustix::fs::rename(farm.path("job"), farm.path("gone")).expect("moved");
    std::fs::create_dir(farm.path("job")).expect("made");
    coordinator.fails_saying(1, &["no job any more in"]);
}

#[test]
fn a_stderr_that_cannot_be_written_changes_nothing_else() {
    let farm = Farm::with_books();
    let with_full = |args: &str| farm.start_as("sh", &["-c", &format!("exec '{FLOCKWORK}' {args} 2> /dev/full")]);
    with_full("run wc books --job job").ends_with(0);
    farm.finished_with("job", &farm.sequential("wc", &["books"]));
    with_full("status nothing").ends_with(1);
    with_full("nonsense").ends_with(2);
}

#[test]
fn scenario_22_a_damaged_job_json_is_told_with_a_remedy() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["submit", "wc", "a", "--job", "job"]);
    let whole = farm.read("job/job.json");
    let newer = String::from_utf8(whole.clone()).expect("UTF-8").replace("\"format\": 1", "\"format\": 99");
    let cases: [(&[u8], &str); 4] = [
        (&whole[..whole.len() / 2], "the file was truncated or edited"),
        (b"", "the file was truncated or edited"),
        (b"\xff\xfe{}", "the file was truncated or edited"),
        (newer.as_bytes(), "a job of format 99 (this flockwork knows up to 2)"),
    ];
    for (bytes, part) in cases {
        farm.write("job/job.json", bytes);
        let before = tree(&farm, "job");
        for args in
            [&["worker", "job"][..], &["coordinator", "job"], &["run", "wc", "a", "--job", "job"], &["status", "job"], &["cat", "job"]]
        {
            farm.run(args).fails_saying(1, &["job/job.json", part]);
        }
        assert_eq!(tree(&farm, "job"), before);
    }
    farm.write("job/job.json", whole);
    farm.ok(&["run", "wc", "a", "--job", "job"]);
    farm.finished_with("job", b"word 1\n");
}

#[test]
fn a_worker_that_does_not_know_the_app_says_so() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["submit", "wc", "a", "--job", "job"]);
    let spec = String::from_utf8(farm.read("job/job.json")).expect("UTF-8");
    farm.write("job/job.json", spec.replace("\"wc\"", "\"mine\""));
    let worker = farm.run(&["worker", "job"]);
    assert!([1, 2].contains(&worker.wait().code().unwrap_or(0)), "{}", worker.stderr());
    assert!(worker.stderr().contains("mine"), "it names the app: {}", worker.stderr());
}

/// A job whose map tasks are all issued and none claimed.
fn issued(farm: &Farm, maps: usize) {
    farm.ok(&["submit", "wc", "books", "--job", "job", "--lease", "1s", "--split-size", "20KB"]);
    let coordinator = farm.start(&["coordinator", "job"]);
    farm.wait_for_names("job/pending", maps);
    coordinator.kill_alone();
}

/// The job comes to a good end, by a run with two slots.
fn ends_well(farm: &Farm, oracle: &[u8]) {
    farm.ok(&["run", "wc", "books", "--job", "job", "--lease", "1s", "--split-size", "20KB", "--slots", "2"]);
    assert!(farm.has("job/phase/finished"));
    farm.same_bytes(&farm.outputs("job"), oracle, "the outputs");
}

#[test]
fn scenario_22_descriptors_that_were_edited_or_replaced_are_no_matter() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    issued(&farm, 8);
    farm.write("job/pending/map-00000.a1", "{\"by\": nonsense\n\n\x00\x01");
    farm.write("job/pending/map-00001.a1", "");
    for name in ["map-00002.a1", "map-00003.a1", "map-00004.a1"] {
        std::fs::remove_file(farm.path(&format!("job/pending/{name}"))).expect("it is there");
    }
    std::fs::create_dir(farm.path("job/pending/map-00002.a1")).expect("made");
    fifo(&farm.path("job/pending/map-00003.a1"));
    symlink("/etc/hostname", farm.path("job/pending/map-00004.a1")).expect("made");
    ends_well(&farm, &oracle);
    assert_eq!(farm.names("job/pending"), ["map-00002.a1", "map-00003.a1", "map-00004.a1"], "what is not ours is left alone");
    assert_eq!(farm.names("job/claimed"), [""; 0]);
}

#[test]
fn scenario_22_a_job_json_or_a_plan_edited_after_the_planning_is_refused_by_name_until_it_is_restored() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    issued(&farm, 8);
    let cases = [
        ("job/job.json", "\"reduces\": 10", "\"reduces\": 9", "it is not what the job was planned from"),
        ("job/job.json", "\"lease_ms\": 1000", "\"lease_ms\": 2000", "it is not what the job was planned from"),
        ("job/phase/map", "\"maps\":", "\"maps\":0", "cannot understand the plan"),
        ("job/phase/map", "\"job\":\"", "\"job\":\"x", "a line is not what its checksum says"),
    ];
    for (name, from, to, part) in cases {
        let whole = String::from_utf8(farm.read(name)).expect("UTF-8");
        assert!(whole.contains(from), "{whole}");
        farm.write(name, whole.replacen(from, to, 1));
        for args in [&["coordinator", "job"][..], &["worker", "job", "--slots", "3"], &["status", "job"]] {
            let refused = farm.run(args);
            refused.fails_saying(1, &[name, part]);
            assert_eq!(refused.stderr().matches(part).count(), 1, "it is said once, and not by each slot: {}", refused.stderr());
        }
        farm.write(name, whole);
    }
    assert_eq!(farm.names("job/done"), [""; 0], "nothing was done by what was edited");
    ends_well(&farm, &oracle);
}

#[test]
fn scenario_23_foreign_files_in_every_folder_are_left_alone() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    issued(&farm, 8);
    let folders =
        [".", "pending", "claimed", "done", "failed", "expired", "workers", "phase", "shuffle", "output", "output/.attempts", "log"];
    let mut planted = Vec::new();
    for folder in folders {
        for name in [".nfs0001", "core", "x~", "map-00000.a1.swp", "map-00001.a1@host.1.X"] {
            planted.push(format!("job/{folder}/{name}"));
        }
        let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd-\xff\xfe\n");
        std::fs::write(farm.path(&format!("job/{folder}")).join(odd), "odd").expect("written");
        std::fs::create_dir(farm.path(&format!("job/{folder}/a folder"))).expect("made");
    }
    planted.iter().for_each(|path| farm.write(path, "foreign"));
    let claim = "map-00000.a1@elsewhere.1.abc";
    for folder in ["claimed", "done", "failed", "expired"] {
        fifo(&farm.path(&format!("job/{folder}/{claim}")));
        symlink("nowhere", farm.path(&format!("job/{folder}/map-00001.a1@elsewhere.1.abc"))).expect("made");
        std::fs::create_dir(farm.path(&format!("job/{folder}/reduce-00002.a1@elsewhere.1.abc"))).expect("made");
    }
    fifo(&farm.path("job/workers/elsewhere.1.abc"));
    ends_well(&farm, &oracle);
    planted.iter().for_each(|path| assert_eq!(farm.read(path), b"foreign", "{path} is left alone"));
    assert!(farm.has(&format!("job/claimed/{claim}")) && farm.has("job/workers/elsewhere.1.abc"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    let farm = Farm::new();
    // More than a pipe holds.
    farm.write("in", (0..60_000_u32).map(|n| format!("{}\n", super::common::word(n.into()))).collect::<String>());
    let mut child = Command::new(FLOCKWORK)
        .args(["sequential", "wc", "in"])
        .current_dir(farm.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut first = [0; 10];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("something is said");
    let done = child.wait_with_output().expect("it ends");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""), "quiet, as other filters");
}

#[test]
fn outputs_do_not_go_where_the_inputs_are_walked() {
    let farm = Farm::new();
    farm.write("in/a", "word\n");
    farm.write("in/deep/b", "word\n");
    std::os::unix::fs::symlink("in/deep", farm.path("link")).expect("linked");
    let before = farm.names(".");
    for output in ["in", "in/out", "in/deep/x/y", "link/out", "./in/../in/out"] {
        farm.run(&["run", "wc", "in", "--job", "job", "--output", output])
            .fails_saying(2, &["cannot write the outputs to", "it lies in the input folder `in`", "choose an --output outside it"]);
    }
    farm.run(&["submit", "wc", "in/deep/b", ".", "--job", "job", "--output", "out"]).fails_saying(2, &["the input folder `.`"]);
    assert_eq!(farm.names("."), before, "nothing was made");
    // What a walk passes over, or does not come to.
    std::fs::create_dir(farm.path("in/two")).expect("made");
    for (job, output) in [("one", "in/.out"), ("three", "in-out"), ("in/two", "in/two/result")] {
        farm.ok(&["run", "wc", "in", "--job", job, "--output", output, "-r", "1"]);
        assert_eq!(farm.read(&format!("{output}/mr-out-00000")), b"word 2\n");
    }
    farm.ok(&["run", "wc", "in/a", "--job", "four", "--output", "in/out"]);
}

#[test]
fn a_suggested_command_can_be_pasted_whatever_the_jobs_name() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    let job = "my job; it's";
    farm.ok(&["submit", "wc", "a", "--job", job]);
    let typed = r"'my job; it'\''s'";
    let said = String::from_utf8(farm.ok(&["status", job]).stdout()).expect("UTF-8");
    assert!(said.contains(&format!("`flockwork worker {typed}`")) && said.contains(&format!("`flockwork coordinator {typed}`")), "{said}");
    assert!(farm.ok(&["pause", job]).stderr().contains(&format!("`flockwork resume {typed}`")));
    farm.ok(&["resume", job]);
    assert!(farm.ok(&["run", "wc", "a", "--job", job]).stderr().contains(&format!("`flockwork cat {typed}`")));
}

#[test]
fn a_task_whose_attempts_all_hang_fails_its_job_though_each_is_backed_up_before_it_ends() {
    let farm = Farm::new();
    for name in ["a", "b", "c"] {
        farm.write(&format!("in/{name}"), "some words\n");
    }
    let asked = ["wc", "in", "-r", "1", "--job", "job", "--stall", "3s", "--max-errors", "2"];
    farm.ok(&[&["submit"], &asked[..]].concat());
    std::fs::remove_file(farm.path("in/b")).expect("removed");
    mknodat(CWD, farm.path("in/b"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    // Two slots: the second is idle, and gets a backup after two seconds.
    let ran = farm.run(&[&["run"], &asked[..], &["--slots", "2"]].concat());
    ran.fails_saying(1, &["map-00001 failed", "no progress for 3.00 s"]);
    let n_failed = farm.names("job/failed").len();
    assert!((2..=3).contains(&n_failed), "two errors, and the one that ran beside the last: {:?}", farm.names("job/failed"));
}

#[test]
fn a_job_that_lost_its_plan_is_not_planned_anew_over_what_was_done() {
    let farm = Farm::new();
    farm.write("in", "one two two\n");
    let (wc, each) = (["run", "wc", "in", "-r", "1", "--slots", "1"], ["each", "--slots", "1", "-a", "in"]);
    let (counts, echoes): (&[&str], &[&str]) = (&["--job", "wc"], &["--job", "each", "--", "echo", "{}"]);
    for (job, typed) in [("wc", [&wc[..], counts].concat()), ("each", [&each[..], echoes].concat())] {
        let _ = farm.ok(&typed);
        let map = format!("{job}/phase/map");
        let kept = farm.read(&map);
        std::fs::remove_file(farm.path(&map)).expect("it is there");
        let says = [
            &format!("cannot find the plan {map}"),
            "the job was planned, as ",
            "restore that file from a copy, or submit the job anew elsewhere",
        ];
        farm.run(&typed).fails_saying(1, &says);
        farm.run(&["coordinator", job]).fails_saying(1, &says);
        assert!(String::from_utf8_lossy(&farm.ok(&["status", job]).stdout()).contains(says[0]), "status says so");
        if job == "each" {
            farm.run(&["cat", job]).fails_saying(1, &says);
        }
        // Any task file shows it.
        for name in ["end", "reduce", "finished"] {
            let _ = std::fs::remove_file(farm.path(&format!("{job}/phase/{name}")));
        }
        farm.run(&["coordinator", job]).fails_saying(1, &[&format!("cannot find the plan {map}"), "as done/"]);
        assert!(!farm.has(&map), "nothing was planned");
        farm.write(&map, kept);
        let _ = farm.ok(&typed);
        farm.ok(&["verify", job]);
    }
}
