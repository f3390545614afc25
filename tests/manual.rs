//! What the program tells of itself: completions, manual pages, its version.

use std::process::Command;

use super::common::Farm;

/// The commands that `--help` lists.
fn commands(farm: &Farm) -> Vec<String> {
    let help = String::from_utf8(farm.ok(&["--help"]).stdout()).expect("text");
    let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list of commands");
    let names =
        list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_shell_gets_completions_of_every_command_that_is_for_people() {
    let farm = Farm::new();
    let commands = commands(&farm);
    assert!(commands.len() >= 20, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = String::from_utf8(farm.ok(&["completions", shell]).stdout()).expect("text");
        for command in &commands {
            assert!(text.contains(command), "{shell} has no {command}");
        }
        for hidden in ["slot --", "slot)", "leash"] {
            assert!(!text.contains(hidden), "{shell} has {hidden}");
        }
    }
    farm.run(&["completions", "nonesuch"]).ends_with(2);
}

/// What bash offers after these words.
fn offered(farm: &Farm, words: &[&str]) -> String {
    let text =
        "set -e\n. ./completions\nCOMP_WORDS=(\"$@\" '')\nCOMP_CWORD=$#\n_flockwork flockwork '' \"${!#}\"\necho \"${COMPREPLY[*]}\"\n";
    farm.write("completions", farm.ok(&["completions", "bash"]).stdout());
    farm.write("offer", text);
    let said = Command::new("bash").arg("offer").args(words).current_dir(farm.path("")).output().expect("a shell");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("text")
}

#[test]
fn bash_offers_commands_and_their_options() {
    let farm = Farm::new();
    let first = offered(&farm, &["flockwork"]);
    assert!(
        ["run", "each", "worker", "completions"].iter().all(|command| first.split_whitespace().any(|word| word == *command)),
        "{first}"
    );
    assert!(!first.contains("leash"), "{first}");
    let after = offered(&farm, &["flockwork", "run"]);
    assert!(["--job", "--slots", "--trust-group"].iter().all(|option| after.contains(option)), "{after}");
}

#[test]
fn there_is_a_manual_page_for_every_command_and_one_for_all() {
    let farm = Farm::new();
    farm.ok(&["man", "--dir", "a/man1"]);
    let mut pages: Vec<String> = commands(&farm).iter().map(|command| format!("flockwork-{command}.1")).collect();
    pages.push("flockwork.1".to_owned());
    pages.sort_unstable();
    assert_eq!(farm.names("a/man1"), pages);
    let first = farm.ok(&["man"]).stdout();
    assert_eq!(first, farm.read("a/man1/flockwork.1"), "the first page is what is printed");
    let first = String::from_utf8(first).expect("text");
    assert!(first.contains(".TH FLOCKWORK 1") && first.contains("flockwork\\-run(1)") && !first.contains("leash"), "{first}");
    let page = String::from_utf8(farm.read("a/man1/flockwork-run.1")).expect("text");
    assert!(page.contains("flockwork\\-run") && page.contains("\\-\\-split\\-size") && page.contains("\n.br\nExample: "), "{page}");
    farm.write("file", "");
    let refused = farm.run(&["man", "--dir", "file"]);
    refused.ends_with(1);
    assert!(refused.stderr().contains("cannot make the folder for the manual file"), "{}", refused.stderr());
}

#[test]
fn the_version_is_a_line_and_then_facts() {
    let farm = Farm::new();
    let short = String::from_utf8(farm.ok(&["-V"]).stdout()).expect("text");
    let long = String::from_utf8(farm.ok(&["--version"]).stdout()).expect("text");
    assert!(short.starts_with(&format!("flockwork {}", env!("CARGO_PKG_VERSION"))), "{short}");
    assert_eq!(long.lines().next(), Some(short.trim_end()));
    for fact in ["built: ", "compiler: ", "job format: "] {
        assert!(long.lines().any(|line| line.starts_with(fact)), "{long}");
    }
}
