//! `flockwork chaos`: break a job of one's own on purpose, and see that its result is right.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::open::Job;
use super::run::on_signals;
use super::summary::words_of_end;
use super::trust::{self, TrustArgs};
use crate::chaos::compare::{Difference, first_difference};
use crate::chaos::schedule::{Mischief, Rate, Schedule, parse_rate};
use crate::chaos::{Havoc, Tally};
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::verify;
use crate::here;
use crate::job::end::{End, Outcome};
use crate::job::layout::JOB_JSON;
use crate::job::trust::Trust;
use crate::say::{self, say};
use crate::units::{parse_time, plural};

/// Workers that are just starting are waited for so long.
const CREW_LIMIT: Duration = Duration::from_secs(5);
/// With `--slots` the first slot must appear within this, also on a busy machine.
const OWN_CREW_LIMIT: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
#[command(
    after_help = "Touches only processes on this machine, of this user, that provably work on this very job; starts again what it killed.\n\
                  Workers and coordinators of a farm are left alone, but for the slots on this job, which their worker replaces.\n\
                  A RATE is 0.2/s, 12/min or 100/h (kills in all, on average), or 10% (of the slots, every second). Three kills of four are of a slot,\n\
                  which its worker replaces; one is of a worker with all its slots. A task lost 16 times fails the job (--max-lost): be patient with long tasks.\n\
                  When the job has ended it is verified, and its outputs are compared with `flockwork sequential` (memory: all that the maps emit).\n\
                  Exit: 0 the job finished and its bytes are the same; 1 it failed, or they differ, or nobody works on it; 130 interrupted.\n\
                  Example: flockwork submit wc books/*.txt --lease 2s --job count && flockwork chaos count --slots 4 --stop 5s --kill-coordinator"
)]
pub(super) struct Args {
    /// The job's directory
    job: PathBuf,
    /// How often a slot or a whole worker is killed
    #[arg(long, default_value = "0.5/s", value_parser = parse_rate, value_name = "RATE")]
    kill_workers: Rate,
    /// Stop one slot after the other (SIGSTOP) for so long each, with pauses as long on average
    #[arg(long, value_parser = parse_stop, value_name = "TIME")]
    stop: Option<Duration>,
    /// Kill the coordinator, after so long on average
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "10s", value_parser = parse_stop, value_name = "TIME")]
    kill_coordinator: Option<Duration>,
    /// Leave the job in peace after so long, and wait for its end
    #[arg(long = "for", value_parser = parse_time, value_name = "TIME")]
    lasts: Option<Duration>,
    /// Draw the same times and choices again [default: new ones]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Start a coordinator and a worker of so many slots first
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096), value_name = "N")]
    slots: Option<u32>,
    /// Start nothing again; somebody else does
    #[arg(long)]
    no_restart: bool,
    /// Verify only; do not run the job sequentially as well
    #[arg(long)]
    no_compare: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let trust = args.trust.resolve()?;
    let job = Job::open(&args.job)?;
    check(&job)?;
    if args.slots.is_some() {
        may_be_worked_on(&job, &trust)?;
    }
    if !args.no_compare {
        can_be_compared(&job)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    on_signals(move |_| stopping.store(true, Relaxed))?;
    // Whatever is started is started elsewhere, perhaps.
    let root = job.root.canonicalize().map_err(|error| Error::io("cannot open", &job.root, error))?;
    let say = |text: &str| say!("flockwork: chaos: {text}");
    let mut havoc = Havoc::new(&*job.disk, root, !args.no_restart, &say);
    let trust: Vec<OsString> = trust::words(&trust).into_iter().map(OsString::from).collect();
    // An error on the way drops the havoc, and what it has started for itself leaves.
    let Some(end) = rage(args, &job, &mut havoc, &trust, &stop)? else {
        havoc.leave();
        say(&words_of_interrupt(args.slots.is_some(), havoc.still_running()));
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    let tally = havoc.see_off();
    say(&words_of(&tally));
    verdict(args, &job, &end, &say)
}

/// Havoc until the job ends; `None` if interrupted.
fn rage(args: &Args, job: &Job, havoc: &mut Havoc<'_>, trust: &[OsString], stop: &AtomicBool) -> Result<Option<End>> {
    if let Some(slots) = args.slots {
        havoc.start_own(slots, trust)?;
    }
    let limit = if args.slots.is_some() { OWN_CREW_LIMIT } else { CREW_LIMIT };
    let met = havoc.await_crew(limit, stop)?;
    if stop.load(Relaxed) {
        return Ok(None);
    }
    if !met && !job.has_ended()? {
        let error = Error::new(ErrorKind::Failed, "on this machine nobody of this user works on").on(&job.root);
        let advice = "start `flockwork coordinator` and `flockwork worker` on it first, or let `flockwork chaos --slots 4` do that";
        return Err(error.advise(advice));
    }
    let seed = args.seed.unwrap_or_else(|| here::chance() % 1_000_000);
    say!("flockwork: chaos: the seed is {seed}; --seed {seed} draws the same times and choices again");
    let mischief =
        Mischief { kill_workers: args.kill_workers, stop: args.stop, kill_coordinator: args.kill_coordinator, lasts: args.lasts };
    havoc.rage(&mut Schedule::new(mischief, seed), stop)
}

/// Refuses a job of another user's, and one with nothing left to break.
fn check(job: &Job) -> Result<()> {
    let path = job.root.join(JOB_JSON);
    let owner = std::fs::metadata(&path).map_err(|error| Error::io("cannot look at", &path, error))?.uid();
    if owner != here::uid() {
        let error = Error::new(ErrorKind::Failed, "cannot break another user's job in").on(&job.root);
        return Err(error.because(format!("it belongs to user {owner}, and this is user {}", here::uid())).advise("break one of your own"));
    }
    if job.has_ended()? {
        let error = Error::new(ErrorKind::Failed, "there is nothing to break in").on(&job.root).because("the job has ended");
        return Err(error.advise("`flockwork verify` checks it; submit another one to be broken"));
    }
    Ok(())
}

/// Refuses here, once, what the coordinator and the worker that are to be started would refuse. Nothing is made here, so the umask stays.
fn may_be_worked_on(job: &Job, trust: &Trust) -> Result<()> {
    trust.examine(&job.root)?;
    trust.check_output(&job.root, &job.spec.ask.output)
}

/// What was started for the chaos has left; so many processes that were started in the place of others are still there.
fn words_of_interrupt(had_own: bool, again: usize) -> String {
    match (had_own, again) {
        (true, 0) => {
            "interrupted; what was started here has left; `flockwork coordinator` and `flockwork worker` go on with the job".to_owned()
        }
        (true, _) => format!("interrupted; what --slots started has left; {again} processes that were started again stay with the job"),
        (false, _) => format!("interrupted; the job goes on, and {again} processes that were started again stay with it"),
    }
}

fn words_of(tally: &Tally) -> String {
    format!(
        "killed {}, {} and {}; stopped {} for a while",
        plural(tally.slots.into(), "slot"),
        plural(tally.supervisors.into(), "worker"),
        plural(tally.coordinators.into(), "coordinator"),
        plural(tally.stopped.into(), "slot")
    )
}

/// What became of the job: its end, its laws, its bytes.
fn verdict(args: &Args, job: &Job, end: &End, say: &dyn Fn(&str)) -> Result<ExitCode> {
    let failed = Ok(ExitCode::from(super::FAILED));
    if end.outcome != Outcome::Finished {
        say::text(&words_of_end(&job.root, end, None));
        say("the job did not finish: fewer kills, or a larger --max-lost, leave long tasks a chance");
        return failed;
    }
    let report = verify::verify(&*job.disk, &job.root, &job.spec)?;
    for fault in &report.faults {
        say(&format!("FAULT {}: {}", fault.path, fault.what));
    }
    if !report.faults.is_empty() {
        return failed;
    }
    say(&format!("the job finished, and {} tasks and {} files are in order", report.tasks, report.files));
    if args.no_compare {
        return Ok(ExitCode::SUCCESS);
    }
    say("running it sequentially, to compare");
    match compare(job, end)? {
        None => {
            say("the bytes are the same");
            Ok(ExitCode::SUCCESS)
        }
        Some(difference) => {
            say(&place(end, difference));
            say("an app that is not deterministic differs by itself: compare two runs without chaos");
            failed
        }
    }
}

/// Refuses a job whose outputs no other run has again.
fn can_be_compared(job: &Job) -> Result<()> {
    if !job.spec.ask.is_of_commands() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Failed, "cannot compare the outputs of").on(&job.root);
    Err(error.because("its tasks are commands, which are not run again for that").advise("--no-compare leaves it out"))
}

/// The outputs, one after the other, beside what `sequential` of this very program writes.
fn compare(job: &Job, end: &End) -> Result<Option<Difference>> {
    if !end.skipped.is_empty() {
        let error = Error::new(ErrorKind::Failed, "cannot compare the outputs of").on(&job.root);
        return Err(error.because("bad records were skipped, and a sequential run skips none").advise("--no-compare leaves it out"));
    }
    let ask = &job.spec.ask;
    let program = std::env::current_exe().map_err(|error| Error::io("cannot find", "this program's own file", error))?;
    let mut command = Command::new(&program);
    command.arg("sequential").arg("--reduces").arg(ask.reduces.max(1).to_string());
    for (key, value) in &ask.options {
        command.arg("--option").arg(format!("{key}={value}"));
    }
    command.arg("--").arg(&ask.app).args(&ask.inputs).current_dir(&job.spec.cwd).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Error::io("cannot start", &program, error))?;
    let mut expected = child.stdout.take().expect("it was piped");
    let mut found: Box<dyn Read> = Box::new(std::io::empty());
    for output in &end.outputs {
        let path = job.root.join(&ask.output).join(&output.file);
        let file = File::open(&path).map_err(|error| Error::io("cannot open the output", &path, error))?;
        found = Box::new(found.chain(file));
    }
    let compared = first_difference(&mut *found, &mut expected);
    // One that is not read to its end ends by itself.
    drop(expected);
    let status = child.wait().map_err(|error| Error::io("cannot wait for", &program, error))?;
    let difference = compared.map_err(|error| Error::io("cannot compare the outputs in", &job.root, error))?;
    if !status.success() {
        let error = Error::new(ErrorKind::Failed, "cannot compare: the sequential run of the job failed for").on(&job.root);
        return Err(error.advise("its words are above; --no-compare leaves it out"));
    }
    Ok(difference)
}

/// Where in the outputs that is.
fn place(end: &End, difference: Difference) -> String {
    let mut before = 0;
    for output in &end.outputs {
        if difference.at < before + output.len {
            let at = difference.at - before;
            return format!("the bytes differ: at byte {at} of {} (line {} of all outputs)", output.file, difference.line);
        }
        before += output.len;
    }
    format!("the bytes differ: the outputs end after {before} bytes, and the sequential run goes on (line {})", difference.line)
}

fn parse_stop(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if time < Duration::from_millis(100) { Err("write at least 100ms".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::chaos::line::VALUED;
    use crate::cli::fixture::Bench;

    #[test]
    fn the_options_of_workers_and_coordinators_are_known_where_their_command_lines_are_read() {
        let whole = crate::cli::Cli::command();
        let mut valued = BTreeSet::new();
        for name in ["worker", "coordinator"] {
            let command = whole.find_subcommand(name).expect("a command");
            assert_eq!(command.get_positionals().count(), 1, "of {name}: the job");
            let with_value = command.get_arguments().filter(|arg| !arg.is_positional() && arg.get_action().takes_values());
            valued.extend(with_value.map(|arg| (arg.get_short(), arg.get_long().unwrap_or_default())));
        }
        assert_eq!(valued, BTreeSet::from(VALUED.map(|name| (None::<char>, name))));
    }

    #[test]
    fn an_interrupt_tells_who_is_still_there() {
        assert!(words_of_interrupt(true, 0).contains("what was started here has left"));
        assert!(words_of_interrupt(true, 2).contains("what --slots started has left; 2 processes"));
        assert!(words_of_interrupt(false, 2).contains("the job goes on, and 2 processes"));
    }

    #[test]
    fn one_of_a_kind_is_told_as_one() {
        let tally = Tally { slots: 1, supervisors: 2, coordinators: 1, stopped: 0 };
        assert_eq!(words_of(&tally), "killed 1 slot, 2 workers and 1 coordinator; stopped 0 slots for a while");
    }

    #[test]
    fn a_difference_is_told_by_file_and_byte() {
        let bench = Bench::finished();
        let end = crate::job::end::load(&*bench.job().disk, &bench.root()).expect("read").expect("ended");
        let first = end.outputs[0].len;
        let text = place(&end, Difference { at: first + 3, line: 9 });
        assert!(text.contains(&format!("at byte 3 of {}", end.outputs[1].file)), "{text}");
        let all: u64 = end.outputs.iter().map(|output| output.len).sum();
        assert!(place(&end, Difference { at: all, line: 9 }).contains("the sequential run goes on"));
    }

    #[test]
    fn a_job_that_skipped_records_is_not_compared_with_a_run_that_would_fail_by_them() {
        let bench = Bench::finished();
        let mut end = crate::job::end::load(&*bench.job().disk, &bench.root()).expect("read").expect("ended");
        let skipped = r#"{"attempt":"map-00000.a3@node7.1.x","spot":[0,0],"file":"a","offset":0,"why":"bad"}"#;
        end.skipped.push(serde_json::from_str(skipped).expect("a skipped record"));
        let error = compare(&bench.job(), &end).expect_err("nothing to compare with").to_string();
        assert!(error.contains("a sequential run skips none") && error.contains("--no-compare"), "{error}");
    }

    #[test]
    fn commands_are_not_run_again_to_compare() {
        let bench = Bench::finished();
        let mut job = bench.job();
        can_be_compared(&job).expect("an app is run again");
        job.spec.ask.app = crate::each::APP.to_owned();
        let error = can_be_compared(&job).expect_err("nothing to compare with").to_string();
        assert!(error.contains("commands") && error.contains("--no-compare"), "{error}");
    }

    #[test]
    fn an_ended_job_has_nothing_to_break() {
        let error = check(&Bench::finished().job()).expect_err("it has ended").to_string();
        assert!(error.contains("the job has ended") && error.contains("submit another"), "{error}");
        check(&Bench::planned().job()).expect("this one runs");
    }
}
