//! What the pages name is there: the files that links lead to, the program that the guide shows, the messages that it explains, the files and functions of the architecture.

use std::path::Path;

use super::pages;

/// Where a link of a page leads that is not on the web.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://") && !target.starts_with('#')).collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dead = Vec::new();
    for (page, text) in pages() {
        let folder = root.join(&page);
        for link in links(&text) {
            let file = link.split('#').next().unwrap_or_default();
            if folder.parent().expect("a folder").join(file).metadata().is_err() {
                dead.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

const GUIDE: &str = include_str!("../../docs/guide.md");

#[test]
fn the_guides_program_is_the_one_that_the_tests_build_and_run() {
    let shown = GUIDE.split("```rust,no_run\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("the guide has a program");
    assert_eq!(shown, include_str!("../own_program/longest_line.rs").trim_end());
}

/// The words of a message that stand in the source as they are: no number, no name, nothing left out.
fn fixed_part(message: &str) -> &str {
    let is_open = |letter: char| letter.is_ascii_digit() || "…<>".contains(letter) || letter.is_ascii_uppercase();
    let parts = message.split(is_open).max_by_key(|part| part.len());
    parts.unwrap_or_default().trim()
}

#[test]
fn every_message_that_the_guide_explains_is_said_somewhere() {
    let sources = walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).into_iter().flatten();
    let texts = sources.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"));
    let said: String = texts.map(|entry| std::fs::read_to_string(entry.path()).expect("a source")).collect();
    let said = said.replace("\\\"", "\"");
    let rows = GUIDE.split("## Troubleshooting by message").nth(1).expect("the section").lines().filter(|line| line.starts_with("| `"));
    let (mut looked_at, mut unsaid) = (0, Vec::new());
    for row in rows {
        let cell = row.trim_start_matches("| ").split(" | ").next().unwrap_or_default();
        for message in cell.trim_matches('`').split('`').step_by(2).filter(|message| message.len() > 3) {
            looked_at += 1;
            if !said.contains(fixed_part(message)) {
                unsaid.push(message.to_owned());
            }
        }
    }
    assert!(looked_at > 40, "the tables were found: {looked_at}");
    assert!(unsaid.is_empty(), "nothing says {unsaid:#?}");
}

const ARCHITECTURE: &str = include_str!("../../docs/architecture.md");

/// The words in backquotes, in order, each with what stands between it and the one before.
fn quoted(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts: Vec<&str> = line.split('`').collect();
    (1..parts.len()).step_by(2).map(move |at| (parts[at - 1], parts[at]))
}

#[test]
fn every_file_and_function_that_the_architecture_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_path = |word: &str| ["src/", "tests/", "apps/", "bin/", "fuzz/"].iter().any(|folder| word.starts_with(folder));
    let (mut paths, mut missing) = (0, Vec::new());
    for line in ARCHITECTURE.lines() {
        let mut last = "";
        for (between, word) in quoted(line) {
            let text = std::fs::read_to_string(root.join(word)).unwrap_or_default();
            let defines = |name: &str| ["fn ", "enum ", "trait ", "const "].iter().any(|kind| text.contains(&format!("{kind}{name}")));
            if is_path(word) {
                paths += 1;
                // As in "`function` in `file`", or "`Type::function` in `file`".
                let function = Some(last.rsplit("::").next().unwrap_or(last)).filter(|_| between == " in ");
                if root.join(word).metadata().is_err() || function.is_some_and(|function| !defines(function)) {
                    missing.push(format!("{last}{between}{word}"));
                }
            }
            last = word;
        }
    }
    assert!(paths > 60, "the page names files: {paths}");
    assert!(missing.is_empty(), "docs/architecture.md names what is not there: {missing:#?}");
}

#[test]
fn every_rule_that_the_architecture_says_is_held_is_a_test_of_the_house() {
    let floors = ARCHITECTURE.split("## The floors").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("the section");
    let rules: Vec<&str> = floors
        .lines()
        .flat_map(quoted)
        .map(|(_, word)| word)
        .filter(|word| word.matches('_').count() > 1)
        .filter(|word| !word.contains('/'))
        .collect();
    assert!(rules.len() > 3, "{rules:?}");
    let house = include_str!("../house.rs");
    let missing: Vec<_> = rules.into_iter().filter(|rule| !house.contains(&format!("#[test]\nfn {rule}()"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
