//! What the README shows works as printed: its scripts are run, on the farm's own books.

use super::common::{FLOCKWORK, Farm};

/// The README's shell scripts, in order; the first one is cargo's and run by the gate.
fn scripts() -> Vec<String> {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap_or_default().to_owned());
    let scripts: Vec<String> = blocks.collect();
    assert_eq!(scripts.len(), 5, "the README has five scripts");
    scripts
}

/// Runs a script of the README in a farm with books; `/mnt/share` is the farm itself.
fn run(number: usize) -> String {
    let farm = Farm::with_books();
    let home = farm.path("");
    let folder = std::path::Path::new(FLOCKWORK).parent().expect("the program lies in a folder").display();
    let head = format!("set -u\nexport PATH=\"{folder}:$PATH\"\n");
    let script = scripts()[number].replace("/mnt/share", home.to_string_lossy().trim_end_matches('/'));
    farm.write("script.sh", head + &script);
    let program = farm.start_as("sh", &["script.sh"]);
    program.wait();
    program.ends_with(0);
    String::from_utf8_lossy(&program.stdout()).into_owned()
}

#[test]
fn the_first_steps_on_ones_own_text_count_words() {
    let said = run(1);
    assert!(said.lines().all(|line| line.rsplit_once(' ').is_some_and(|(_, n)| n.parse::<u64>().is_ok())), "{said}");
    assert!(said.lines().count() > 10, "{said}");
}

#[test]
fn several_machines_share_one_job() {
    assert!(run(2).lines().count() > 10);
}

#[test]
fn a_command_runs_once_per_line() {
    let said = run(3);
    assert_eq!(said.lines().count(), 8, "one per book: {said}");
    assert!(said.lines().all(|line| line.ends_with(".txt")), "{said}");
}

#[test]
fn the_crash_script_survives() {
    let said = run(4);
    assert!(said.ends_with("survived\n"), "{said}");
}
