//! `flockwork leash`: ends a dead worker's commands, as the worker starts it. Not for people.

use std::process::ExitCode;

use crate::command::leash;
use crate::say::say;

#[derive(clap::Args)]
pub(super) struct Args {
    mark: String,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match leash::watch(&args.mark) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("flockwork: cannot watch over commands: {error}");
            ExitCode::from(super::FAILED)
        }
    }
}
