//! The survey of mistakes: what a user does wrongly, and what is said of it. Each is made for real; docs/messages.md is the table of what was said.
//!
//! Held for every one: the exit status; that the message says what was attempted, on what, and what to do next (in the words of the table in
//! `mistakes.rs`); and that nothing half-made is left behind. `FLOCKWORK_BLESS=1 cargo test --test tests survey` writes the page anew where messages were changed.

use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use super::common::{FLOCKWORK, Farm};
use mistakes::{GROUPS, Leaves, Mistake, Place};

mod mistakes;

const PAGE: &str = "docs/messages.md";
const BEGIN: &str = "<!-- made by tests/survey.rs from here on -->\n";
/// Mistakes that are made at the same time.
const AT_ONCE: usize = 3;

/// What a mistake came to.
struct Outcome {
    message: String,
    faults: Vec<String>,
}

/// The shell that makes the mistake: as it stands, or where its place wants that, as somebody or somewhere else.
fn script(mistake: &Mistake, home: &str) -> String {
    let folder = Path::new(FLOCKWORK).parent().expect("the program lies in a folder").display();
    let mount = |options: &str| format!("mkdir small; mount -t tmpfs -o {options} none small\n");
    let before = match mistake.place {
        Place::Here | Place::AsNobody => String::new(),
        Place::FullDisk => mount("size=64k,nr_inodes=6"),
        Place::ReadOnly => mount("size=64k") + "mount -o remount,ro small\n",
    };
    format!("umask 022\nexport PATH=\"{home}/.bin:{folder}:$PATH\"\n{before}{}\n", mistake.typed)
}

fn make(mistake: &Mistake) -> Outcome {
    let farm = Farm::new();
    farm.write("a.txt", "to be or not\nto be\n");
    let home = farm.path("").to_string_lossy().trim_end_matches('/').to_owned();
    farm.write(".first.sh", script(&Mistake { typed: mistake.first, place: Place::Here, ..*mistake }, &home));
    farm.start_as("bash", &[".first.sh"]).wait();
    farm.write(".script.sh", script(mistake, &home));
    let before = tree(&farm, ".");
    let shell = match mistake.place {
        Place::Here => farm.start_as("bash", &[".script.sh"]),
        Place::FullDisk | Place::ReadOnly => farm.start_as("unshare", &["--user", "--map-root-user", "--mount", "bash", ".script.sh"]),
        Place::AsNobody => as_nobody(&farm),
    };
    let status = shell.wait();
    let said = shell.stderr() + &String::from_utf8_lossy(&shell.stdout());
    let mut faults = Vec::new();
    if status.code() != Some(mistake.exit) {
        faults.push(format!("it ends with {status}, not {}", mistake.exit));
    }
    faults.extend(mistake.says.iter().filter(|part| !said.contains(*part)).map(|part| format!("it does not say {part:?}")));
    if said.contains("panicked") {
        faults.push("it panics".to_owned());
    }
    let after = tree(&farm, ".");
    if matches!((mistake.leaves, mistake.place), (Leaves::Nothing, Place::Here | Place::AsNobody)) && after != before {
        faults.push(format!("it leaves {after:?} where {before:?} was"));
    }
    let mut message = message(&said, &home);
    if mistake.exit == 0 {
        // What else is said while a job runs is no answer to a mistake.
        message = message.lines().filter(|line| line.contains(mistake.says[0])).collect();
    }
    let faults = faults.into_iter().map(|fault| format!("{}: `{}`: {fault}; it said:\n{said}", mistake.what, mistake.typed)).collect();
    Outcome { message, faults }
}

/// Starts the script as somebody whom permissions bind: this user, or `nobody` where this user is root.
fn as_nobody(farm: &Farm) -> std::rc::Rc<super::common::Program> {
    if !rustix::process::geteuid().is_root() {
        return farm.start_as("bash", &[".script.sh"]);
    }
    // The program may lie where nobody else may look.
    farm.copy_program(FLOCKWORK, ".bin/flockwork");
    std::fs::set_permissions(farm.path("."), std::fs::Permissions::from_mode(0o777)).expect("opened to all");
    farm.start_as("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "--", "bash", ".script.sh"])
}

/// All that is not hidden, with lengths.
fn tree(farm: &Farm, folder: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for name in farm.names(folder) {
        let path = format!("{folder}/{name}");
        match farm.path(&path).is_dir() {
            true => found.extend([format!("{path}/")].into_iter().chain(tree(farm, &path))),
            false => found.push(format!("{path} {}", farm.path(&path).symlink_metadata().map_or(0, |meta| meta.len()))),
        }
    }
    found
}

/// What stays the same from run to run: no help, no path of the test's, no time.
fn message(said: &str, home: &str) -> String {
    let said = said.replace(&format!("{home}/"), "");
    let seconds = regex::Regex::new(r"\d+\.\d+ s\b").expect("a pattern");
    let users = regex::Regex::new(r"user \d+").expect("a pattern");
    let bytes = regex::Regex::new(r"\d+(\.\d+)? (B|KiB|MiB|GiB)\b").expect("a pattern");
    let stamps = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z").expect("a pattern");
    let help = said.find("\nUsage:").or_else(|| said.find("\nFor more information")).unwrap_or(said.len());
    let text = seconds.replace_all(&said[..help], "1.00 s").into_owned();
    let text = stamps.replace_all(&text, "2026-11-22T18:21:37.123Z").into_owned();
    let text = bytes.replace_all(&users.replace_all(&text, "user 1000"), "64 KiB").into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// One row of the page's table. (A bar would end the cell, also in code.)
fn row(mistake: &Mistake, outcome: &Outcome) -> String {
    let cell = |text: &str| {
        let lines = text.lines().map(|line| format!("`` {} ``", line.trim().replace('|', "\\|")));
        lines.collect::<Vec<_>>().join("<br>")
    };
    let place = match mistake.place {
        Place::Here => "",
        Place::AsNobody => " (no permission)",
        Place::FullDisk => " (`small` is full)",
        Place::ReadOnly => " (`small` is read-only)",
    };
    format!("| {} | {}{place} | {} | {} |\n", mistake.what, cell(mistake.typed), mistake.exit, cell(&outcome.message))
}

#[test]
fn every_mistake_is_answered_by_what_where_and_what_next_and_the_page_says_how() {
    let all: Vec<&Mistake> = GROUPS.iter().flat_map(|(_, mistakes)| mistakes.iter()).collect();
    assert!(all.len() >= 40, "{} mistakes", all.len());
    let queue = Mutex::new((0..all.len()).collect::<VecDeque<_>>());
    let outcomes = Mutex::new((0..all.len()).map(|_| None).collect::<Vec<Option<Outcome>>>());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(at) = { queue.lock().expect("no panic").pop_front() } {
                    let outcome = make(all[at]);
                    outcomes.lock().expect("no panic")[at] = Some(outcome);
                }
            });
        }
    });
    let outcomes: Vec<Outcome> = outcomes.into_inner().expect("no panic").into_iter().flatten().collect();
    let faults: Vec<&String> = outcomes.iter().flat_map(|outcome| &outcome.faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.iter().map(|fault| fault.as_str()).collect::<Vec<_>>().join("\n"));
    let mut outcomes = outcomes.iter();
    let mut tables = String::new();
    for (group, mistakes) in GROUPS {
        tables += &format!("\n## {group}\n\n| mistake | typed | exit | said |\n|---|---|---|---|\n");
        tables.extend(mistakes.iter().zip(outcomes.by_ref()).map(|(mistake, outcome)| row(mistake, outcome)));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).expect("there is docs/messages.md");
    let head = page.split(BEGIN).next().unwrap_or_default();
    let made = format!("{head}{BEGIN}{tables}");
    if std::env::var_os("FLOCKWORK_BLESS").is_some() {
        std::fs::write(&path, made).expect("written");
    } else if made != page {
        let differs = made.lines().zip(page.lines()).find(|(made, there)| made != there);
        panic!("{PAGE} is not what is said now; if that is meant, FLOCKWORK_BLESS=1 writes it anew. The first difference: {differs:#?}");
    }
}
