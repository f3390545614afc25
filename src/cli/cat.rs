//! `flockwork cat`: the outputs of a finished job, in order, on stdout; length and checksum are verified on the way.
//!
//! Memory: one block. A file that is not what the end says is an error naming it, after what was written; a reader that goes away is a quiet success.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::open::Job;
use crate::engine::sum;
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::{self, status};
use crate::job::end::{self, End, Outcome, OutputSum};
use crate::units::{for_shell, on_one_line};

#[derive(clap::Args)]
#[command(
    after_help = "Exit: 0 written; 1 there are no outputs, tasks of a job of commands are missing, or the outputs are not what the job made; 2 no such task.\n\
                        Example: flockwork cat count | sort -k2nr | head"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// Of a job of commands: this task only, by its name (map-00002) or its item's number (3)
    task: Option<String>,
    /// Of a job of commands: before each line its item and a tab
    #[arg(long)]
    tag: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let job = Job::open(&args.job)?;
    if job.spec.ask.is_of_commands() {
        return super::cat_items::cat(&job, args.task.as_deref(), args.tag, &mut io::stdout().lock(), &mut io::stderr().lock());
    }
    if args.task.is_some() || args.tag {
        let error = Error::new(ErrorKind::Usage, "a task's own output and --tag are of jobs of commands; this is none:").on(&job.root);
        return Err(error.advise("read the files in its output folder, or all with `flockwork cat JOB`"));
    }
    cat(&job, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the outputs to `out`.
pub(super) fn cat(job: &Job, out: &mut dyn Write) -> Result<()> {
    let end = finished(job)?;
    for output in &end.outputs {
        copy(job, output, out)?;
    }
    out.flush().map_err(|error| Error::io("cannot write to", "stdout", error))
}

fn finished(job: &Job) -> Result<End> {
    let root = for_shell(&job.root);
    match end::load(&*job.disk, &job.root)? {
        Some(end) if end.outcome == Outcome::Finished => Ok(end),
        Some(end) => {
            let how = if end.outcome == Outcome::Cancelled { "was cancelled" } else { "failed" };
            let error = Error::new(ErrorKind::Failed, format!("no outputs: the job {how}:")).on(&job.root);
            Err(error.advise(format!("`flockwork status {root}` says why; `flockwork retry {root}` lets it go on")))
        }
        None => {
            let status = status::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
            let text = format!("no outputs: the job has not finished ({}):", status.where_it_is());
            Err(Error::new(ErrorKind::Failed, text).on(&job.root).advise(format!("`flockwork wait {root}` waits for it")))
        }
    }
}

fn copy(job: &Job, output: &OutputSum, out: &mut dyn Write) -> Result<()> {
    let dir = job.root.join(&job.spec.ask.output);
    if eyes::output_number(&output.file).is_none() {
        let error = Error::new(ErrorKind::Damaged, "cannot believe the end of the job in").on(&job.root);
        let error = error.because(format!("it names `{}` as an output", on_one_line(&output.file)));
        return Err(error.advise("no flockwork writes that, so phase/end was edited"));
    }
    let path = dir.join(&output.file);
    // Nothing is written of a file that cannot be the one; what is behind the path is judged when it is opened.
    if let Ok(meta) = path.symlink_metadata()
        && meta.is_file()
        && meta.len() != output.len
    {
        let error = Error::new(ErrorKind::Damaged, "not what the job made is").on(&path);
        let error = error.because(format!("{} bytes, not {}", meta.len(), output.len));
        return Err(error.advise("it was edited, or the disk damaged it; run the job anew in another directory"));
    }
    let mut refused = None;
    let read = sum::of_file(&path, &mut |block| {
        out.write_all(block).map_err(|error| {
            let kind = error.kind();
            refused = Some(error);
            kind.into()
        })
    });
    if let Some(error) = refused {
        return Err(Error::io("cannot write to", "stdout", error));
    }
    let found = read.map_err(|error| Error::io("cannot read the output", &path, error))?;
    if (found.len, found.crc32) == (output.len, output.crc32) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Damaged, "what was just written is not what the job made: damaged is").on(&path);
    let error =
        error.because(format!("{} bytes with checksum {:08x}, not {} with {:08x}", found.len, found.crc32, output.len, output.crc32));
    Err(error.advise("it was edited, or the disk damaged it; run the job anew in another directory"))
}
