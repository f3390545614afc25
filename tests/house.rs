//! The style as a test: the floors of the house, the homes of the hazards and of the packages, the sizes of files and functions.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, tests and docs included.
const FILE_LINES_MAX: usize = 500;
/// Longest function.
const FUNCTION_LINES_MAX: usize = 70;

struct Source {
    /// Relative to the project, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// Without its unit tests, which may look anywhere.
    fn code(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        if name == "fixture.rs" || name == "tests.rs" || name.ends_with("_tests.rs") {
            return "";
        }
        self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
    }

    fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inner.split(['/', '.']).next().unwrap_or(inner)
    }
}

fn sources(dirs: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for dir in dirs {
        for entry in walkdir::WalkDir::new(root.join(dir)).sort_by_file_name() {
            let path: PathBuf = entry.expect("a readable tree").into_path();
            if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "no source found in {dirs:?}");
    found
}

const WORDS: [&str; 8] = ["app", "control", "data", "error", "here", "ids", "partition", "units"];

/// What each floor's modules may use of ours, beside themselves.
fn may_use(module: &str) -> Vec<&'static str> {
    let below = |more: &[&'static str]| WORDS.iter().chain(more).copied().collect();
    match module {
        "disk" | "command" => below(&[]),
        // For the one way in which files of ours are opened, and commands are run.
        "engine" => below(&["disk", "command"]),
        "job" | "doctor" => below(&["disk"]),
        "chaos" => below(&["disk", "job"]),
        "coordinator" => below(&["disk", "job"]),
        "each" => below(&["disk", "job", "engine"]),
        "worker" => below(&["disk", "job", "engine", "command", "each"]),
        "planner" => below(&["disk", "job", "engine", "each"]),
        "farm" => below(&["disk", "job", "each", "engine", "coordinator", "worker", "planner", "command"]),
        "eyes" => below(&["disk", "job", "engine", "each", "planner"]),
        "cli" => {
            below(&["disk", "command", "job", "each", "engine", "coordinator", "worker", "planner", "farm", "eyes", "doctor", "chaos"])
        }
        "lib" => below(&[
            "chaos",
            "cli",
            "command",
            "coordinator",
            "disk",
            "doctor",
            "each",
            "engine",
            "eyes",
            "farm",
            "job",
            "planner",
            "worker",
        ]),
        _ => WORDS.to_vec(),
    }
}

#[test]
fn each_floor_uses_only_those_below_it() {
    let modules =
        ["chaos", "cli", "command", "coordinator", "disk", "doctor", "each", "engine", "eyes", "farm", "job", "planner", "worker"];
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        let allowed = may_use(source.module());
        for module in modules.iter().filter(|module| **module != source.module() && !allowed.contains(module)) {
            let uses = source.code().lines().filter(|line| !line.trim_start().starts_with("//"));
            if uses.into_iter().any(|line| line.contains(&format!("crate::{module}::")) || line.contains(&format!("crate::{module};"))) {
                wrong.push(format!("{} uses {module}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn apps_see_the_public_api_only() {
    for source in sources(&["apps", "bin"]) {
        assert!(!source.code().contains("crate::") || source.path.ends_with("tests.rs"), "{} reaches inside", source.path);
    }
}

#[test]
fn the_protocol_reaches_the_file_system_only_through_the_disk() {
    for source in sources(&["src/job", "src/coordinator"]) {
        assert!(!source.code().contains("std::fs"), "{} uses std::fs", source.path);
    }
}

#[test]
fn deciding_is_pure() {
    let plan = sources(&["src/coordinator"]).into_iter().find(|source| source.path.ends_with("plan.rs")).expect("the plan");
    for word in ["Disk", "Instant", "thread", "std::fs"] {
        let uses = plan.code().lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| line.contains(word));
        assert!(!uses, "coordinator/plan.rs knows of {word}");
    }
}

#[test]
fn every_package_stays_in_its_home() {
    let homes: [(&str, &[&str]); 14] = [
        ("fs2::", &["src/disk/real.rs"]),
        ("notify::", &["src/disk/watch.rs"]),
        ("tempfile::", &["src/disk/", "src/engine/draft.rs", "src/engine/sequential.rs"]),
        ("lz4_flex::", &["src/engine/run/block.rs"]),
        ("clap::", &["src/cli/"]),
        ("walkdir::", &["src/engine/input.rs"]),
        ("indicatif::", &["src/cli/progress.rs"]),
        ("ratatui::", &["src/cli/top"]),
        ("crc32fast::", &["src/engine/sum.rs", "src/job/seal.rs"]),
        ("xxhash_rust::", &["src/partition.rs"]),
        ("globset::", &["src/engine/input.rs"]),
        ("flate2::", &["src/engine/unpack.rs"]),
        ("wait4::", &["src/command/running.rs"]),
        ("ruzstd::", &["src/engine/unpack.rs"]),
    ];
    for source in sources(&["src"]) {
        for (package, home) in homes {
            let uses = source.code().lines().any(|line| !line.trim_start().starts_with("//") && line.contains(package));
            assert!(!uses || home.iter().any(|home| source.path.starts_with(home)), "{} uses {package}", source.path);
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for source in sources(&["src", "apps", "bin", "tests"]) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{}: {lines} lines", source.path));
        }
        long.extend(long_functions(&source));
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// By indentation, which rustfmt guarantees: a function ends at the first `}` as deep as its `fn`.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let depth = |line: &str| line.len() - line.trim_start().len();
    let is_head = |line: &str| {
        let words = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
        words.trim_start_matches("const ").starts_with("fn ")
    };
    let mut long = Vec::new();
    for (at, head) in lines.iter().enumerate().filter(|(_, line)| is_head(line) && !line.trim_end().ends_with(['}', ';'])) {
        let end = lines[at..].iter().position(|line| depth(line) == depth(head) && line.trim_start() == "}").unwrap_or(0);
        if end + 1 > FUNCTION_LINES_MAX {
            long.push(format!("{}:{}: {} lines", source.path, at + 1, end + 1));
        }
    }
    long
}

#[test]
fn every_file_says_what_it_is() {
    for source in sources(&["src", "apps", "bin", "tests"]) {
        assert!(source.text.starts_with("//!"), "{} has no header", source.path);
    }
}

#[test]
fn no_file_is_named_after_nothing() {
    for source in sources(&["src", "apps"]) {
        let name = source.path.rsplit('/').next().unwrap_or_default();
        assert!(!["util.rs", "utils.rs", "helpers.rs", "misc.rs", "common.rs", "manager.rs"].contains(&name), "{}", source.path);
    }
}

/// The numbered rows of the table of fault scenarios: the number, and the row.
fn scenario_rows() -> Vec<(u32, String)> {
    let text = include_str!("../docs/fault-scenarios.md");
    let row = |line: &str| {
        let number = line.strip_prefix("| ")?.split(" |").next()?.parse().ok()?;
        Some((number, line.to_owned()))
    };
    text.lines().filter_map(row).collect()
}

/// The names of tests that bear a scenario's number, with it.
fn scenario_tests(text: &str, before: &str) -> Vec<(u32, String)> {
    let begin = format!("{before}scenario_");
    let names = text.match_indices(&begin).map(|(at, _)| {
        let name = &text[at + before.len()..];
        name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())].to_owned()
    });
    names.filter_map(|name| Some((name.split('_').nth(1)?.parse().ok()?, name))).collect()
}

#[test]
fn the_table_of_fault_scenarios_and_the_tests_agree() {
    let rows = scenario_rows();
    let numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=28).collect::<Vec<_>>(), "one row each, in order");
    let is_test =
        |text: &str, name: &str| text.contains(&format!("#[test]\nfn {name}()")) || text.contains(&format!("#[test]\n    fn {name}()"));
    let (mut there, mut told) = (Vec::new(), Vec::new());
    for source in sources(&["src", "tests"]) {
        there.extend(scenario_tests(&source.text, "fn ").into_iter().filter(|(_, name)| is_test(&source.text, name)));
    }
    for (number, row) in &rows {
        let named = scenario_tests(row, "`");
        assert!(named.iter().all(|(of, _)| of == number), "row {number} names its own tests");
        assert!(!named.is_empty() || row.contains("not covered: "), "row {number} has a test, or a reason");
        told.extend(named);
    }
    there.sort();
    told.sort();
    assert_eq!(there, told, "every numbered test is in its row, and every test named there exists");
}
