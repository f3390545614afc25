//! `flockwork sequential`: the same job in one thread, without a directory: the oracle.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use super::ask::AppArgs;
use crate::app::{Options, Unit};
use crate::command::leash;
use crate::data::{BadRecord, Failure};
use crate::engine::split::{SplitRule, plan_splits};
use crate::engine::{self, AppEntry, input};
use crate::error::{Error, ErrorKind, Result};

#[derive(clap::Args)]
#[command(
    after_help = "Memory: proportional to everything the maps emit.\nExit: 0 printed; 1 the app failed, or an input could not be read; 2 the command line is wrong.\nExample: flockwork sequential wc books/*.txt | sort -k2nr | head"
)]
pub(super) struct Args {
    #[command(flatten)]
    app: AppArgs,
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    // A command of `stream` ends with this process.
    leash::arm(std::env::current_exe().unwrap_or_default(), &["leash"]);
    let app = engine::make(apps, &args.app.app, &Options(args.app.options()))?;
    let files = input::resolve(&args.app.inputs, Path::new("/"))?;
    let whole = plan_splits(&files, Unit::Files, &SplitRule { bytes: u64::MAX, lines: None })?;
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let ran = app.run_sequential(&whole, args.app.reduces, &mut out);
    match ran {
        Ok(_) => out.flush().map_err(|error| Error::io("cannot write to", "stdout", error))?,
        Err(Failure::App(text) | Failure::Command(text, _) | Failure::Record(BadRecord { why: text, .. })) => {
            return Err(Error::new(ErrorKind::App, format!("the app `{}` failed: {text}", args.app.app)));
        }
        Err(Failure::Input(text)) => return Err(Error::new(ErrorKind::Input, text)),
        Err(Failure::Disk(error)) => return Err(error),
        Err(Failure::Damaged(_) | Failure::Cancelled) => return Err(Error::new(ErrorKind::Failed, "interrupted")),
    }
    Ok(ExitCode::SUCCESS)
}
