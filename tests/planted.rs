//! What strangers, or a bad disk, may lay into a job's directory: pipes, devices, files without end, names that lead elsewhere, text that steers a
//! terminal. Every command says what is wrong or passes over it: no hang, no panic, no memory without end, nothing read or removed outside.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::common::{FLOCKWORK, Farm, Program};

/// What may lie under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Pipe,
    Device,
    Endless,
    Folder,
    Closed,
}

const THINGS: [Thing; 5] = [Thing::Pipe, Thing::Device, Thing::Endless, Thing::Folder, Thing::Closed];

/// Far more than a command may take under [`limited`].
const ENDLESS_BYTES: u64 = 5 << 30;

fn plant(path: &Path, thing: Thing) {
    let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
    let file = |len| std::fs::File::create(path).and_then(|file| file.set_len(len));
    match thing {
        Thing::Pipe => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(Into::into),
        Thing::Device => symlink("/dev/zero", path),
        Thing::Endless => file(ENDLESS_BYTES),
        Thing::Folder => std::fs::create_dir(path),
        Thing::Closed => file(100).and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o000))),
    }
    .unwrap_or_else(|error| panic!("cannot plant {thing:?} at {}: {error}", path.display()));
}

/// Flockwork with 3 GiB of address space, interrupted after some seconds (and then told 124).
fn limited(farm: &Farm, seconds: &str, args: &[&str]) -> Rc<Program> {
    let script = "ulimit -v 3145728; exec timeout \"$0\" \"$@\"";
    let program = farm.start_as("sh", &[&["-c", script, seconds, FLOCKWORK], args].concat());
    program.wait();
    program
}

/// It says that it waits for something.
fn waits(program: &Program) -> bool {
    let said = program.stderr();
    said.contains("trying again") || said.contains("waiting")
}

/// It came back by itself, or said what it waits for; and without a panic or an abort.
fn copes(program: &Program, what: &str) {
    let (code, said) = (program.wait().code(), program.stderr());
    let good = match code {
        Some(0) => true,
        Some(1) => said.contains("flockwork: ") || !program.stdout().is_empty(),
        Some(124) => waits(program),
        _ => false,
    };
    assert!(good && !said.contains("panicked") && !said.contains("memory allocation"), "{what}: {code:?}: {said}");
}

fn copy(farm: &Farm, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(farm.path(to));
    farm.start_as("cp", &["-a", from, to]).ends_with(0);
}

#[test]
fn whatever_lies_under_a_name_the_commands_that_look_and_clean_come_back() {
    let farm = Farm::new();
    farm.write("a", "one two two\n");
    farm.ok(&["run", "wc", "a", "--job", "good", "-r", "1", "--slots", "1"]);
    let there = ["done", "shuffle", "output/.attempts"]
        .map(|dir| farm.names(&format!("good/{dir}")).into_iter().map(move |name| format!("{dir}/{name}")));
    let mut names: Vec<String> = there.into_iter().flatten().collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let more = [
        "job.json",
        "phase/map",
        "phase/reduce",
        "phase/end",
        "phase/failed.1",
        "coordinator.lock",
        "pause",
        "cancel",
        "output/mr-out-00000",
    ];
    names.extend(more.map(str::to_owned));
    let more = ["workers/h.1.x", "pending/map-00000.a7", "failed/map-00000.a7@h.1.x", "expired/map-00000.a7", "log/x.jsonl", "markers"];
    names.extend(more.map(str::to_owned));
    for (name, thing) in names.iter().flat_map(|name| THINGS.map(|thing| (name, thing))) {
        copy(&farm, "good", "job");
        plant(&farm.path(&format!("job/{name}")), thing);
        for args in [
            &["status", "job"][..],
            &["verify", "job"],
            &["cat", "job"],
            &["wait", "job", "--timeout", "0"],
            &["clean", "job", "--all", "--yes"],
        ] {
            copes(&limited(&farm, "120", args), &format!("{} with {thing:?} at {name}", args[0]));
        }
        assert!(Path::new("/dev/zero").symlink_metadata().is_ok(), "what a link leads to is not removed");
    }
}

#[test]
fn whatever_lies_under_a_name_the_commands_that_work_go_on_or_say_why_not() {
    let farm = Farm::new();
    farm.write("a", "one two two\n");
    let ask = ["run", "wc", "a", "--job", "job", "-r", "1", "--lease", "1s", "--max-errors", "1", "--slots", "1"];
    farm.ok(&[&["submit"], &ask[1..ask.len() - 2]].concat());
    rustix::fs::rename(farm.path("job"), farm.path("good")).expect("moved");
    let want = farm.sequential("wc", &["a", "-r", "1"]);
    let names = [
        "job.json",
        "phase/map",
        "phase/reduce",
        "phase/end",
        "phase/failed.1",
        "coordinator.lock",
        "workers/h.1.x",
        "pending/map-00000.a1",
        "claimed/map-00000.a1@h.1.x",
        "done/map-00000.a1@h.1.x",
        "failed/map-00000.a1@h.1.x",
        "expired/map-00000.a1",
        "shuffle/map-00000.a1@h.1.x.run",
        "output/mr-out-00000",
        "output/.attempts/reduce-00000.a1@h.1.x",
        "log/x.jsonl",
    ];
    for (name, thing) in names.iter().flat_map(|name| THINGS.map(|thing| (name, thing))) {
        copy(&farm, "good", "job");
        plant(&farm.path(&format!("job/{name}")), thing);
        let mut program = limited(&farm, "10", &ask);
        if program.wait().code() == Some(124) && !waits(&program) {
            // At work, on a machine that is busy with other things: once more, with more time.
            copy(&farm, "good", "job");
            plant(&farm.path(&format!("job/{name}")), thing);
            program = limited(&farm, "120", &ask);
        }
        copes(&program, &format!("run with {thing:?} at {name}"));
        if program.wait().success() {
            assert_eq!(farm.outputs("job"), want, "{thing:?} at {name}");
        }
    }
}

/// The checksum that records hold, by its definition.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1))))
}

/// A good shuffle file that lies outside, and how a record describes it under some name.
const SECRET: &str = "{\"key\":\"stolen\",\"value\":\"1\"}\n";

fn described(name: &str) -> String {
    let name = serde_json::to_string(name).expect("written");
    format!("{{\"name\":{name},\"len\":{},\"crc32\":{}}}", SECRET.len(), crc32(SECRET.as_bytes()))
}

#[test]
fn a_record_that_names_files_elsewhere_makes_nobody_read_or_remove_them() {
    let farm = Farm::new();
    farm.write("secret.json", SECRET);
    farm.write("job2", "");
    let own = |task: usize| format!("map-{task:05}.a1@h.1.x");
    let absolute = farm.path("secret.json").to_str().expect("UTF-8").to_owned();
    let long = format!("{}../../secret.json", "./".repeat(3000));
    let in_own = format!("{}/../../../secret.json", own(4));
    let hostile =
        ["../../secret.json", &absolute, "./../../secret.json", &long, &in_own, "", "..", "\0", "\u{1b}[2J", "../../secret.json\0.run"];
    farm.write("a", "one two two\n".repeat(hostile.len()));
    farm.ok(&["submit", "wc", "a", "--job", "job", "-r", "1", "--split-lines", "1", "--shuffle", "json"]);
    for (task, name) in hostile.iter().enumerate() {
        let made = format!("{{\"files\":[{}],\"counters\":{{}}}}", described(name));
        let record = format!(
            "{{\"by\":\"{}\",\"at\":\"\",\"event\":{{\"result\":{{\"made\":{made},\"elapsed_ms\":18446744073709551615}}}}}}\n",
            own(task)
        );
        farm.write(&format!("job/done/{}", own(task)), record);
    }
    copes(&limited(&farm, "120", &["status", "job"]), "status");
    limited(&farm, "120", &["verify", "job"]).fails_saying(1, &[]);
    let worker = farm.start(&["worker", "job", "--slots", "2"]);
    farm.ok(&["coordinator", "job"]);
    worker.ends_with(0);
    farm.finished_with("job", &farm.sequential("wc", &["a", "-r", "1"]));
    assert_eq!(farm.names("job/expired").len(), hostile.len(), "every such record was taken back, and its task done again");
    farm.ok(&["verify", "job"]);
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert_eq!(farm.read("secret.json"), SECRET.as_bytes());
}

#[test]
fn a_plan_that_names_files_elsewhere_makes_nobody_read_them() {
    for name in ["../../secret.json", "../../../../../../../../../../etc/hostname"] {
        let farm = Farm::new();
        farm.write("secret.json", SECRET);
        farm.write("a", "one two two\n");
        farm.ok(&["submit", "wc", "a", "--job", "job", "-r", "1", "--shuffle", "json", "--max-errors", "1"]);
        let id = serde_json::from_slice::<serde_json::Value>(&farm.read("job/job.json")).expect("JSON")["id"].to_string();
        let line = format!("{{\"task\":0,\"attempt\":\"map-00000.a1@h.1.x\",\"files\":[{}]}}\n", described(name));
        farm.write("job/phase/reduce", format!("{{\"format\":1,\"job\":{id},\"maps\":1}}\n{line}"));
        let _worker = farm.start(&["worker", "job", "--slots", "1"]);
        farm.run(&["coordinator", "job"]).fails_saying(1, &["cannot find every map task's file in the reduce plan", "submit the job anew"]);
        assert_eq!(farm.outputs("job"), b"", "{name}");
    }
}

#[test]
fn an_end_that_names_an_output_elsewhere_makes_nobody_print_it() {
    let farm = Farm::new();
    farm.write("secret", "stolen\n");
    farm.write("a", "word\n");
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "1"]);
    let end = String::from_utf8(farm.read("job/phase/end")).expect("UTF-8");
    for name in ["../../secret", "/etc/passwd", "mr-out-00000/../../../secret", ""] {
        farm.write("job/phase/end", end.replace("\"mr-out-00000\"", &format!("{name:?}")));
        let cat = farm.run(&["cat", "job"]);
        cat.fails_saying(1, &["cannot believe the end of the job in job", "phase/end was edited"]);
        assert_eq!(cat.stdout(), b"");
        farm.run(&["verify", "job"]).fails_saying(1, &[]);
    }
}

#[test]
fn numbers_beyond_reason_are_refused_and_cost_nothing() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["submit", "wc", "a", "--job", "job", "-r", "3"]);
    let (spec, plan) =
        (String::from_utf8(farm.read("job/job.json")).expect("UTF-8"), String::from_utf8(farm.read("job/phase/map")).expect("UTF-8"));
    let looks = [&["status", "job"][..], &["verify", "job"], &["coordinator", "job"], &["worker", "job", "--slots", "1"]];
    let most = u64::MAX.to_string();
    for (from, to) in [
        ("\"reduces\": 3", "\"reduces\": 4294967295".to_owned()),
        ("\"reduces\": 3", "\"reduces\": 0".to_owned()),
        ("\"lease_ms\": 10000", format!("\"lease_ms\": {most}")),
        ("\"lease_ms\": 10000", "\"lease_ms\": 0".to_owned()),
        ("\"stall_ms\": 600000", format!("\"stall_ms\": {most}")),
    ] {
        assert!(spec.contains(from), "{spec}");
        farm.write("job/job.json", spec.replace(from, &to));
        for args in looks {
            limited(&farm, "120", args).fails_saying(1, &["cannot believe job/job.json: `", "which is not in 1..="]);
        }
    }
    farm.write("job/job.json", &spec);
    for maps in ["4294967295", "4000000", "100"] {
        farm.write("job/phase/map", plan.replace("\"maps\":1", &format!("\"maps\":{maps}")));
        for args in [looks[0], looks[2]] {
            limited(&farm, "120", args).fails_saying(1, &["cannot believe the plan job/phase/map", "map tasks are not in it"]);
        }
        limited(&farm, "120", looks[1]).ends_with(1);
    }
}

#[test]
fn text_from_the_directory_steers_no_terminal_and_forges_no_line() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "1", "--slots", "1"]);
    let steering = "\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}";
    for dir in ["pending", "workers", "phase", "shuffle", "output", "log"] {
        farm.write(&format!("job/{dir}/{steering}\nFAULT forged"), "");
    }
    farm.write(&format!("job/{steering}\nFAULT forged"), "");
    let text = serde_json::to_string(steering).expect("written");
    let by = "map-00000.a7@h.1.x";
    farm.write(&format!("job/failed/{by}"), format!("{{\"by\":\"{by}\",\"at\":\"\",\"event\":{{\"error\":{{\"app\":{text}}}}}}}\n"));
    let end = String::from_utf8(farm.read("job/phase/end")).expect("UTF-8");
    farm.write("job/phase/end", end.replace("\"counters\": {", &format!("\"counters\": {{{text}: 1,")));
    let spec = String::from_utf8(farm.read("job/job.json")).expect("UTF-8");
    farm.write("job/job.json", spec.replace("\"submitted\": \"", &format!("\"submitted\": \"{}", &text[1..text.len() - 1])));
    let all = [
        &["status", "job"][..],
        &["status", "job", "--json"],
        &["verify", "job"],
        &["wait", "job"],
        &["run", "indexer", "a", "--job", "job"],
        &["clean", "job", "--all", "--yes"],
    ];
    for args in all {
        let program = farm.run(args);
        let said = String::from_utf8(program.stdout()).expect("UTF-8") + &program.stderr();
        let steers = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        assert!(!said.contains(|c| steers(&c)), "{args:?} says {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("FAULT forged")), "{args:?} says {said}");
    }
}
