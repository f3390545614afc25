//! Whose jobs are worked on, and that no command that writes or removes is led out of a job.
//!
//! As root, folders are given to users that nobody is; as anybody else, what root owns stands in for a stranger's, mounted into the job in a namespace of one's own.

use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use super::common::{FLOCKWORK, Farm, set_mode};

/// Users and groups that no machine has.
const ANN: u32 = 4_000_001;
const LAB: u32 = 4_000_002;

/// Every command that acts on a job that is there, as typed.
const ACTS: [&[&str]; 9] = [
    &["worker", "job", "--slots", "1"],
    &["coordinator", "job"],
    &["run", "wc", "a", "--job", "job"],
    &["submit", "wc", "a", "--job", "job"],
    &["pause", "job"],
    &["resume", "job"],
    &["cancel", "job"],
    &["retry", "job"],
    &["clean", "job", "--all", "--yes"],
];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn planned() -> Farm {
    let farm = Farm::new();
    farm.write("a", "one two two\n");
    farm.ok(&["submit", "wc", "a", "--job", "job", "-r", "2"]);
    farm
}

/// Every path below `folder` with what it is, whose, and how long.
fn tree(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.expect("readable"));
    let line = |entry: walkdir::DirEntry| {
        let meta = entry.path().symlink_metadata().expect("there");
        format!("{} {:o} {} {} {}", entry.path().display(), meta.mode(), meta.uid(), meta.gid(), if meta.is_dir() { 0 } else { meta.len() })
    };
    entries.map(line).collect()
}

fn give(path: &Path, uid: Option<u32>, gid: Option<u32>) {
    for entry in walkdir::WalkDir::new(path) {
        chown(entry.expect("readable").path(), uid, gid).expect("given away");
    }
}

/// Every command that acts refuses in these words, and nothing is changed.
fn all_refuse(farm: &Farm, parts: &[&str]) {
    let before = tree(&farm.path("."));
    let of_farm = |tree: Vec<String>| tree.into_iter().filter(|line| !line.contains("/.said-")).collect::<Vec<_>>();
    for act in ACTS {
        farm.run(act).fails_saying(1, &[&["not trusted: "], parts].concat());
    }
    assert_eq!(of_farm(tree(&farm.path("."))), of_farm(before), "nothing was touched");
}

/// The same of the commands in a namespace where `mounts` were made first: its root is this user, and what is root's outside is nobody's there.
fn all_refuse_where(farm: &Farm, mounts: &str, what: &str) {
    let acts: String = ACTS.iter().map(|act| format!("refuses {}\n", act.join(" "))).collect();
    let script = format!(
        r#"
f=$1
refuses() {{
  if "$f" "$@" 2> said; then echo "not refused: $*"; exit 6; fi
  grep -q 'not trusted: {what}: it belongs to user .*uid 65534' said || {{ cat said; exit 7; }}
}}
{mounts}
{acts}"#
    );
    let before = tree(&farm.path("job"));
    farm.start_as("unshare", &["--user", "--map-root-user", "--mount", "bash", "-euc", &script, "script", FLOCKWORK]).ends_with(0);
    assert_eq!(tree(&farm.path("job")), before, "nothing was touched");
}

#[test]
fn a_strangers_job_is_neither_worked_on_nor_changed() {
    if !is_root() {
        let farm = Farm::new();
        farm.write("a", "word\n");
        for command in
            [&["cancel", "/etc"][..], &["pause", "/etc"], &["clean", "/etc", "--all", "--yes"], &["run", "wc", "a", "--job", "/etc"]]
        {
            farm.run(command)
                .fails_saying(1, &["not trusted: the job directory /etc: it belongs to user root (uid 0)", "`--trust-user root`"]);
        }
        return;
    }
    let farm = planned();
    give(&farm.path("job"), Some(ANN), Some(ANN));
    all_refuse(
        &farm,
        &["the job directory job: it belongs to user uid 4000001, and this process is root (uid 0)", "`--trust-user 4000001`"],
    );
    for look in [&["status", "job"][..], &["verify", "job"]] {
        farm.ok(look);
    }
    farm.run(&["wait", "job", "--timeout", "0"]).fails_saying(1, &["there is no end yet"]);
    farm.run(&["cat", "job"]).fails_saying(1, &["has not finished"]);
}

#[test]
fn a_trusted_users_or_groups_job_is_worked_on() {
    if !is_root() {
        return own_job_as_another();
    }
    for trust in [["--trust-user", "4000001"], ["--trust-group", "4000002"]] {
        let farm = planned();
        give(&farm.path("job"), Some(ANN), Some(LAB));
        farm.run(&["coordinator", "job", "--trust-user", "4000009"]).fails_saying(1, &["not trusted"]);
        let worker = farm.start(&[&["worker", "job", "--slots", "1"], &trust[..]].concat());
        farm.ok(&[&["coordinator", "job"], &trust[..]].concat());
        worker.ends_with(0);
        farm.finished_with("job", &farm.sequential("wc", &["a", "-r", "2"]));
        farm.ok(&[&["clean", "job", "--all", "--yes"], &trust[..]].concat());
        assert!(!farm.has("job"));
    }
}

/// What is trusted beside one's own user takes nothing away from that.
fn own_job_as_another() {
    let farm = planned();
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "2", "--trust-user", "root", "--trust-group", "0"]);
    farm.finished_with("job", &farm.sequential("wc", &["a", "-r", "2"]));
}

#[test]
fn a_job_of_roots_is_a_strangers_to_everybody_else() {
    if !is_root() {
        // Nobody else can make a job of root's, but every machine has a folder of root's. (Who waits for a job says first that there is none.)
        let farm = Farm::new();
        farm.write("a", "word\n");
        symlink("/etc", farm.path("job")).expect("linked");
        for act in ACTS.iter().filter(|act| !["worker", "coordinator"].contains(&act[0])) {
            farm.run(act).fails_saying(1, &["not trusted: the job directory ", ": it belongs to user root (uid 0)"]);
        }
        return;
    }
    let farm = planned();
    // The program may lie where nobody else may look.
    farm.copy_program(FLOCKWORK, "program");
    set_mode(&farm.path("."), 0o755);
    let program = farm.path("program").to_str().expect("UTF-8").to_owned();
    for act in ACTS {
        let who = ["--reuid=4000001", "--regid=4000001", "--clear-groups", "--", &program];
        farm.start_as("setpriv", &[&who, act].concat())
            .fails_saying(1, &["not trusted: the job directory job: it belongs to user root (uid 0)"]);
    }
}

#[test]
fn the_job_file_must_be_of_somebody_trusted_too_and_folders_in_it() {
    if !is_root() {
        for part in ["phase", "pending", "shuffle", "output/.attempts"] {
            all_refuse_where(&planned(), &format!("mount --bind /etc job/{part}"), &format!("the job.s folder job/{part}"));
        }
        return all_refuse_where(&planned(), "mount --bind /etc/passwd job/job.json", "the job.s file job/job.json");
    }
    for part in ["job.json", "phase", "pending", "shuffle", "output/.attempts"] {
        let farm = planned();
        chown(farm.path(&format!("job/{part}")), Some(ANN), None).expect("given away");
        all_refuse(&farm, &[&format!("job/{part}: it belongs to user uid 4000001")]);
    }
}

#[test]
fn what_everybody_may_write_is_refused_with_a_remedy_that_helps() {
    for (part, mode) in
        [(".", 0o777), (".", 0o1777), ("pending", 0o757), ("phase", 0o777), ("output/.attempts", 0o1777), ("workers", 0o707)]
    {
        let farm = planned();
        let path = farm.path(&format!("job/{part}"));
        set_mode(&path, mode);
        all_refuse(&farm, &[&format!("everybody may write it (mode {mode:04o})"), "`chmod o-w job"]);
        set_mode(&path, mode & 0o7775 & !0o020);
        farm.ok(&["run", "wc", "a", "--job", "job", "-r", "2", "--quiet"]);
    }
    for part in ["job.json", "phase/map"] {
        let farm = planned();
        set_mode(&farm.path(&format!("job/{part}")), 0o646);
        all_refuse(&farm, &[&format!("the job's file job/{part}: everybody may write it")]);
    }
}

#[test]
fn a_group_may_write_only_where_it_is_trusted_or_private() {
    let farm = planned();
    set_mode(&farm.path("job"), 0o775);
    if is_root() {
        chown(farm.path("job"), None, Some(LAB)).expect("given away");
        all_refuse(&farm, &["group gid 4000002 may write it (mode 0775)", "`chmod g-w job`", "`--trust-group 4000002`"]);
        farm.ok(&["run", "wc", "a", "--job", "job", "-r", "2", "--trust-group", "4000002"]);
        return;
    }
    let name = |option: &str| {
        let id = farm.start_as("id", &[option]);
        id.wait().success().then(|| String::from_utf8(id.stdout()).expect("UTF-8").trim().to_owned())
    };
    let (user, group) = (name("-un"), name("-gn"));
    match user.is_some() && user == group {
        true => farm.ok(&["pause", "job"]).ends_with(0),
        false => farm.run(&["pause", "job"]).fails_saying(1, &["not trusted", "may write it (mode 0775)"]),
    }
    farm.ok(&["pause", "job", "--trust-group", &rustix::process::getegid().as_raw().to_string()]);
}

#[test]
fn what_is_made_can_be_written_by_nobody_else_whatever_the_umask() {
    let farm = Farm::new();
    farm.write("a", "one two two\n");
    let script = "umask 000; exec \"$0\" \"$@\"";
    farm.start_as("sh", &["-c", script, FLOCKWORK, "run", "wc", "a", "--job", "job", "--output", "out", "--slots", "2"]).ends_with(0);
    let all = [tree(&farm.path("job")), tree(&farm.path("out"))].concat();
    assert!(all.len() > 30, "{all:#?}");
    for line in &all {
        let mode = u32::from_str_radix(line.split(' ').nth(1).expect("a mode"), 8).expect("octal");
        assert_eq!(mode & 0o022, 0, "{line}");
    }
    // A group that is trusted gets what the umask grants, and nobody else anything.
    let group = rustix::process::getegid().as_raw().to_string();
    farm.start_as("sh", &["-c", script, FLOCKWORK, "run", "wc", "a", "--job", "shared", "--trust-group", &group]).ends_with(0);
    for line in tree(&farm.path("shared")) {
        let mode = u32::from_str_radix(line.split(' ').nth(1).expect("a mode"), 8).expect("octal");
        assert_eq!(mode & 0o022, 0o020, "{line}");
    }
}

#[test]
fn a_link_in_the_place_of_a_folder_leads_nobody_outside() {
    let folders =
        ["phase", "pending", "claimed", "done", "failed", "expired", "workers", "shuffle", "output", "log", "output/.attempts", "markers"];
    for folder in folders {
        let farm = planned();
        let decoys = ["map-00000.a1", "map-00000.a1@h.1.x", "map-00000.a1@h.1.x.run", "mr-out-00000", "h.1.x", ".tmp-abc", "end", "marker"];
        for name in decoys {
            farm.write(&format!("outside/{name}"), "precious");
        }
        let path = farm.path(&format!("job/{folder}"));
        let _ = rustix::fs::rename(&path, farm.path("aside"));
        symlink(farm.path("outside"), &path).expect("linked");
        all_refuse(&farm, &[&format!("the job's folder job/{folder}: it is a symbolic link")]);
        assert_eq!(tree(&farm.path("outside")).len(), 1 + decoys.len());
    }
}

#[test]
fn a_name_that_is_not_on_this_machine_is_told_before_anything_is_done() {
    let farm = planned();
    farm.run(&["worker", "job", "--trust-user", "no-such-user"]).fails_saying(2, &["there is no user `no-such-user` on this machine"]);
    farm.run(&["cancel", "job", "--trust-group", "$(id)"]).fails_saying(2, &["there is no group `$(id)`"]);
    farm.run(&["cancel", "job", "--trust-group=--help"]).fails_saying(2, &["there is no group `--help`"]);
    assert!(!farm.has("job/cancel"));
}

#[test]
fn a_link_to_a_job_is_followed_once_and_stays() {
    let farm = planned();
    symlink("job", farm.path("link")).expect("linked");
    farm.ok(&["run", "wc", "a", "--job", "link", "-r", "2"]);
    farm.ok(&["clean", "link/", "--all", "--yes"]);
    assert_eq!(farm.names("."), ["a", "link"], "the job is gone, the link is its owner's");
}

#[test]
fn outputs_outside_the_job_stay_when_all_of_it_is_removed() {
    let farm = Farm::new();
    farm.write("a", "one two two\n");
    farm.write("out/letter", "dear");
    farm.ok(&["run", "wc", "a", "--job", "job", "-r", "2", "--output", "out"]);
    farm.ok(&["clean", "job", "--all", "--yes"]);
    assert_eq!(farm.names("out"), ["letter", "mr-out-00000", "mr-out-00001"]);
    assert!(!farm.has("out/.attempts") && !farm.has("job"));
}

#[test]
fn the_place_for_attempts_outside_the_job_is_held_to_the_same() {
    let farm = Farm::new();
    farm.write("a", "word\n");
    farm.write("outside/map-00000.a1@h.1.x", "precious");
    std::fs::create_dir(farm.path("out")).expect("made");
    symlink(farm.path("outside"), farm.path("out/.attempts")).expect("linked");
    let run = ["run", "wc", "a", "--job", "job", "--output", "out"];
    farm.run(&run).fails_saying(1, &["not trusted: the job's folder out/.attempts: it is a symbolic link"]);
    assert!(!farm.has("job"));
    std::fs::remove_file(farm.path("out/.attempts")).expect("removed");
    farm.ok(&run);
    rustix::fs::rename(farm.path("out/.attempts"), farm.path("aside")).expect("moved");
    symlink(farm.path("outside"), farm.path("out/.attempts")).expect("linked");
    farm.run(&["clean", "job", "--all", "--yes"]).fails_saying(1, &["out/.attempts: it is a symbolic link"]);
    assert_eq!(farm.names("outside"), ["map-00000.a1@h.1.x"]);
}
