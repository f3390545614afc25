//! The command line: one file per command, each with its `Args` and its `run`. Data goes to stdout, words to stderr.
//!
//! Exit status: 0 finished; 1 the job failed or was cancelled, or could not be planned or opened; 2 the command line is wrong; 130 interrupted. A reader of
//! stdout that went away (`flockwork cat JOB | head`) is a quiet success, unless the status tells how a job ended or what is wrong with it.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::each::template;
use crate::engine::AppEntry;
use crate::error::{Error, ErrorKind, Result};
use crate::say::say;
use crate::units::cut;

mod app_list;
mod ask;
mod board;
mod cat;
mod cat_items;
mod chaos;
mod clean;
mod completions;
mod control;
mod coordinator;
mod doctor;
mod each;
mod explain;
#[cfg(test)]
mod explain_tests;
#[cfg(test)]
mod fixture;
mod joblog;
mod launch;
mod leash;
mod leave;
#[cfg(test)]
mod look_tests;
mod man;
mod metrics;
mod open;
mod outfile;
mod progress;
mod report;
mod retry;
mod run;
mod sequential;
mod shown;
mod slot;
mod speed;
mod status;
mod stream;
mod submit;
mod summary;
mod sweep;
mod top;
mod trace;
mod trust;
mod verify;
#[cfg(test)]
mod verify_tests;
mod version;
mod wait;
mod worker;

/// MapReduce over one shared directory: no server, no port, survives crashes.
#[derive(Parser)]
#[command(name = NAME, version = version::SHORT, long_version = version::long(), max_term_width = 110, arg_required_else_help = true, subcommand_required = true)]
#[command(after_help = "A job's directory says everything: ls JOB/pending JOB/claimed JOB/done\n\
                  Exit: 0 finished; 1 failed, cancelled, or could not be planned or opened; 2 the command line is wrong; 130 interrupted.\n\
                  Example: flockwork run wc books/*.txt")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plan a job, coordinate it and work on it here until its end; others may join with `flockwork worker`
    Run(run::Args),
    /// Any commands as mapper and reducer, as Hadoop Streaming runs them
    Stream(stream::Args),
    /// Write the job directory and print its path; run nothing
    Submit(submit::Args),
    /// A task farm: one command per item of a list
    Each(Box<each::Args>),
    /// The daemon that leads a job, or the jobs of a farm, from map to reduce to their end
    Coordinator(coordinator::Args),
    /// Work on a job, or on the jobs of a farm, with some slots, one process each
    Worker(worker::Args),
    /// Start workers of a farm on other machines, by ssh or by Slurm
    Launch(launch::Args),
    /// One look at a job: phase, counts, workers, last errors; or at a farm, as a table
    Status(status::Args),
    /// A job or a farm, live, on a terminal
    Top(top::Args),
    /// A job as one page of HTML: timeline, stragglers, skew, errors
    Report(report::Args),
    /// The attempts as a trace, for Perfetto and Chrome
    Trace(trace::Args),
    /// Numbers of a job or a farm as Prometheus reads them
    Metrics(metrics::Args),
    /// The whole story of a task; or why a job moves, or does not
    Explain(explain::Args),
    /// Block until the job ends
    Wait(wait::Args),
    /// The outputs, in order, on stdout
    Cat(cat::Args),
    /// Check the names, records and checksums in a job's directory
    Verify(verify::Args),
    /// Let no further task begin
    Pause(control::PauseArgs),
    /// Go on after a pause
    Resume(control::ResumeArgs),
    /// End a job now, without a result
    Cancel(control::CancelArgs),
    /// Give a failed or cancelled job another chance
    Retry(retry::Args),
    /// Remove an ended job's shuffle data, or the whole job
    Clean(clean::Args),
    /// The same job in one thread, without a directory: to compare with
    Sequential(sequential::Args),
    /// Kill and stop a job's processes here on purpose, and compare its result
    Chaos(chaos::Args),
    /// What a mount can do for flockwork, alone and from two machines at once
    Doctor(doctor::Args),
    /// The apps this program knows, and their options
    Apps(app_list::Args),
    /// What makes a shell complete commands and options
    Completions(completions::Args),
    /// The manual pages
    Man(man::Args),
    #[command(hide = true)]
    Slot(slot::Args),
    #[command(hide = true)]
    Leash(leash::Args),
}

/// Runs the command line with these apps: the whole of a user's own program.
pub fn main(apps: &[AppEntry]) -> ExitCode {
    main_from(apps, std::env::args_os())
}

fn main_from(apps: &[AppEntry], args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            let Some(tip) = tip(error.kind(), &args, apps) else { error.exit() };
            let _ = error.print();
            say!("\n  tip: {tip}");
            return ExitCode::from(USAGE);
        }
    };
    let done = match cli.command {
        Command::Run(args) => run::run(args, apps),
        Command::Stream(args) => stream::run(&args, apps),
        Command::Submit(args) => submit::run(args, apps),
        Command::Each(args) => each::run(*args),
        Command::Coordinator(args) => coordinator::run(&args, apps),
        Command::Worker(args) => worker::run(&args, apps),
        Command::Launch(args) => launch::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Wait(args) => wait::run(&args),
        Command::Cat(args) => cat::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Pause(args) => control::pause(&args),
        Command::Resume(args) => control::resume(&args),
        Command::Cancel(args) => control::cancel(&args),
        Command::Retry(args) => retry::run(&args),
        Command::Clean(args) => clean::run(&args),
        Command::Sequential(args) => sequential::run(&args, apps),
        Command::Chaos(args) => chaos::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Apps(args) => app_list::run(&args, apps),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Slot(args) => return slot::run(&args, apps),
        Command::Leash(args) => return leash::run(&args),
    };
    done.unwrap_or_else(|error| tell(&error))
}

/// What was most likely meant by a command line that is wrong, where nobody else says so.
fn tip(kind: clap::error::ErrorKind, args: &[OsString], apps: &[AppEntry]) -> Option<String> {
    use clap::error::ErrorKind as K;
    let command = args.get(1)?.to_str()?;
    match kind {
        K::UnknownArgument if command == "each" => {
            Some("the command stands behind --, as in `flockwork each -- wc -c {} ::: a.txt b.txt`".to_owned())
        }
        K::InvalidSubcommand if apps.iter().any(|entry| entry.name == command) => {
            Some(format!("{command} is an app: `flockwork run {}`", cut(&template::shown(&args[1..]), TYPED_CHARS_TOLD)))
        }
        _ => None,
    }
}

/// So much of what was typed is told.
const TYPED_CHARS_TOLD: usize = 60;

/// The program's name; also that of a user's own program, as far as its command line is told.
const NAME: &str = "flockwork";

/// Exit statuses.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn tell(error: &Error) -> ExitCode {
    if is_unread(error) {
        return ExitCode::SUCCESS;
    }
    say!("flockwork: {error}");
    ExitCode::from(match error.kind() {
        ErrorKind::Usage => USAGE,
        _ => FAILED,
    })
}

/// Writes to stdout; a reader that went away comes back as an error of kind `BrokenPipe`, which [`tell`] takes for success.
fn print(text: &str) -> Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::io("cannot write to", "stdout", error))
}

/// The same where the exit status says more than what is printed: that nobody reads it changes nothing.
fn print_if_read(text: &str) -> Result<()> {
    print(text).or_else(|error| if is_unread(&error) { Ok(()) } else { Err(error) })
}

/// True where the reader of stdout went away.
fn is_unread(error: &Error) -> bool {
    error.io_kind() == Some(std::io::ErrorKind::BrokenPipe)
}
