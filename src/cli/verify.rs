//! `flockwork verify`: every law and checksum on a job's directory. It changes nothing in it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use crate::error::Result;
use crate::eyes::verify::{self, Report};
use crate::say::say;
use crate::units::on_one_line;

#[derive(clap::Args)]
#[command(after_help = "One line per fault on stdout: `FAULT path: what`; notes, which are harmless, as `note: path: what`.\n\
                        Reads every counting data file once. Works on a running job too.\n\
                        Exit: 0 no fault; 1 faults, or the job could not be read.\n\
                        Example: flockwork verify count && echo sound")]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Print faults only
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open(&args.job)?;
    let report = verify::verify(&*job.disk, &job.root, &job.spec)?;
    let mut text = String::new();
    for fault in &report.faults {
        let _ = writeln!(text, "FAULT {}: {}", on_one_line(&fault.path), on_one_line(&fault.what));
    }
    for note in report.notes.iter().filter(|_| !args.quiet) {
        let _ = writeln!(text, "note: {}: {}", on_one_line(&note.path), on_one_line(&note.what));
    }
    super::print_if_read(&text)?;
    if !args.quiet {
        say!("flockwork: {}", verdict(&report));
    }
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

fn verdict(report: &Report) -> String {
    match report.faults.len() {
        0 => format!("ok: {} tasks, {} files, {} bytes checked", report.tasks, report.files, report.bytes),
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    }
}
