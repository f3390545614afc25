//! Finds out what `--version` says: the commit, and how the program is built. Needs neither git nor a checkout: what cannot be found is left out.

use std::env;
use std::path::Path;
use std::process::Command;

/// Letters of a commit's name that are told.
const COMMIT_LETTERS: usize = 12;

fn main() {
    println!("cargo:rerun-if-changed=bin/build.rs");
    println!("cargo:rerun-if-env-changed=FLOCKWORK_COMMIT");
    let profile = var("PROFILE");
    // Who works on the program need not build it anew after each commit.
    let commit = if profile == "release" { commit(Path::new(&var("CARGO_MANIFEST_DIR"))) } else { None };
    let version = commit.map_or_else(|| var("CARGO_PKG_VERSION"), |commit| format!("{} ({commit})", var("CARGO_PKG_VERSION")));
    let linked = if var("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static") { ", static" } else { "" };
    println!("cargo:rustc-env=FLOCKWORK_VERSION={version}");
    println!("cargo:rustc-env=FLOCKWORK_BUILT={profile} for {}{linked}", var("TARGET"));
    println!("cargo:rustc-env=FLOCKWORK_RUSTC={}", said(Command::new(var("RUSTC")).arg("--version")).unwrap_or_default());
}

fn var(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// `1a0aa22d0c11 of 2026-11-29`: as the packager says; or the checkout; or the package, which cargo tells where it was made of.
fn commit(root: &Path) -> Option<String> {
    let told = var("FLOCKWORK_COMMIT");
    if told.is_empty() { of_checkout(root).or_else(|| of_package(root)) } else { Some(told) }
}

fn of_checkout(root: &Path) -> Option<String> {
    // A source archive may have been unpacked in a checkout of something else.
    if root.join(".git").symlink_metadata().is_err() {
        return None;
    }
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        // A hook of git's says which repository it is called for.
        git.current_dir(root).env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        said(git.args(args))
    };
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| root.join(log).symlink_metadata().is_ok()) {
        println!("cargo:rerun-if-changed={log}");
    }
    git(&["log", "-1", &format!("--abbrev={COMMIT_LETTERS}"), "--format=%h of %cs"])
}

fn of_package(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let name: String = text.split_once("\"sha1\"")?.1.chars().filter(char::is_ascii_hexdigit).take(COMMIT_LETTERS).collect();
    (name.len() == COMMIT_LETTERS).then_some(name)
}

/// The first line of what a command says, if it ends well.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let line = String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned();
    (!line.is_empty()).then_some(line)
}
