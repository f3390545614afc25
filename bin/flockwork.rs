//! The program: the built-in apps and the command line.

#[path = "../apps/mod.rs"]
mod apps;

fn main() -> std::process::ExitCode {
    flockwork::main(apps::ALL)
}
