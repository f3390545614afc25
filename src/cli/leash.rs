//! `flockwork leash`: ends a dead worker's commands, as the worker starts it. Not for people.

use std::process::ExitCode;

use crate::command::leash;

#[derive(clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> ExitCode {
    match leash::watch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flockwork: cannot watch over commands: {error}");
            ExitCode::from(super::FAILED)
        }
    }
}
