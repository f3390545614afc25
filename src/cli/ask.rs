//! What a job is asked with: the options that `run`, `submit` and `sequential` share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::data::ShuffleForm;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::ORDER_MAX;
use crate::job::layout::OUTPUT;
use crate::job::spec::{Ask, Bundle, REDUCES_MAX, TIME_MS_MAX};
use crate::units::{parse_size, parse_time};

/// The app, its inputs and options.
#[derive(clap::Args)]
pub(super) struct AppArgs {
    /// The app to run; `flockwork apps` lists them
    pub app: String,
    /// Files, folders (walked) or quoted patterns
    #[arg(required = true)]
    pub inputs: Vec<String>,
    /// Number of reduce tasks, and so of output files
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(REDUCES_MAX)), value_name = "N")]
    pub reduces: u32,
    /// An option of the app's; `flockwork apps` lists them
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = parse_option)]
    pub options: Vec<(String, String)>,
}

/// How the job is cut and how patient it is.
#[derive(clap::Args)]
pub(super) struct JobArgs {
    /// The job's directory, on the mount that all workers share [default: a new flockwork-APP-TIME here]
    #[arg(long, value_name = "DIR")]
    pub job: Option<PathBuf>,
    /// Largest piece of the input that is one map task
    #[arg(long, default_value = "64MiB", value_parser = parse_split, value_name = "SIZE")]
    pub split_size: u64,
    /// A map task per so many lines instead
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    pub split_lines: Option<u64>,
    /// So many map tasks may share one file, a power of two; 1: each has its own [default: as many as take a second by what is measured, in jobs of 1024 map tasks and more; 1 in stream, without reduces and with --shuffle json]
    #[arg(long, value_parser = parse_bundle, value_name = "TASKS")]
    pub bundle: Option<u32>,
    /// How shuffle files are written: run (sorted, compressed, checked) or json (lines that people and jq can read, held in memory whole)
    #[arg(long, default_value = "run", value_parser = parse_form, value_name = "FORM")]
    pub shuffle: ShuffleForm,
    /// Memory of a slot for sorting and merging, beside 64MiB at most for all else
    #[arg(long, default_value = "256MiB", value_parser = parse_memory, value_name = "SIZE")]
    pub memory: u64,
    /// How long a silent claim is believed; at least 1s
    #[arg(long, default_value = "10s", value_parser = parse_lease, value_name = "TIME")]
    pub lease: Duration,
    /// Reported errors of one task before the job fails
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub max_errors: u32,
    /// Lost leases of one task before the job fails
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub max_lost: u32,
    /// Never start a second attempt beside one that is far slower than the others
    #[arg(long)]
    pub no_backup: bool,
    /// Where the outputs go [default: JOB/output]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub output: Option<String>,
    #[command(flatten)]
    pub farm: FarmArgs,
}

/// What matters where there are other jobs.
#[derive(clap::Args)]
pub(super) struct FarmArgs {
    /// In a farm, jobs of a higher priority go first; may be negative
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "N")]
    pub priority: i32,
}

/// What makes a form of `run` one of `submit`.
#[derive(clap::Args)]
pub(super) struct LaterArgs {
    /// Write the job's directory and print its path; run nothing
    #[arg(long, conflicts_with_all = ["slots", "quiet", "json"])]
    pub submit: bool,
    /// With --submit: start only when this job has finished; may be given again. The inputs need not exist before that
    #[arg(long, value_name = "JOB")]
    pub after: Vec<String>,
}

impl LaterArgs {
    /// Refuses `--after` without `--submit`. Problem: clap waives `requires` where the command line has an option that `--submit` excludes. Workaround: here.
    pub fn check(&self) -> Result<()> {
        if self.submit || self.after.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Usage, "cannot start a job here --after another");
        Err(error.advise("add --submit, and `flockwork coordinator` and `flockwork worker` run it in its turn; or let `flockwork wait JOB` go before this command"))
    }
}

/// What is done about records that an app cannot take.
#[derive(clap::Args)]
pub(super) struct RecordArgs {
    /// A task that begins no record for so long has failed
    #[arg(long, default_value = "10m", value_parser = parse_stall, value_name = "TIME")]
    pub stall: Duration,
    /// Pass over a record that made two attempts of its task fail, also by ending their process; at most 100 a task, told at the end
    #[arg(long)]
    pub skip_bad_records: bool,
}

/// Of commands nobody knows which record they are at.
const NO_RECORDS: RecordArgs = RecordArgs { stall: Duration::from_secs(600), skip_bad_records: false };

impl AppArgs {
    /// The options as the app gets them; the last of one key counts.
    pub fn options(&self) -> BTreeMap<String, String> {
        self.options.iter().cloned().collect()
    }
}

/// Whole milliseconds.
pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The ask of these arguments.
pub(super) fn ask(app: &AppArgs, job: &JobArgs, records: &RecordArgs) -> Ask {
    Ask {
        stall_ms: ms(records.stall),
        skip_bad_records: records.skip_bad_records,
        ..ask_of((&app.app, app.options()), app.inputs.clone(), app.reduces, job)
    }
}

/// The ask of commands.
pub(super) fn ask_of((app, options): (&str, BTreeMap<String, String>), inputs: Vec<String>, reduces: u32, job: &JobArgs) -> Ask {
    Ask {
        app: app.to_owned(),
        options,
        inputs,
        reduces,
        split_bytes: job.split_size,
        split_lines: job.split_lines,
        shuffle: job.shuffle,
        memory_bytes: job.memory,
        lease_ms: ms(job.lease),
        max_errors: job.max_errors,
        max_lost: job.max_lost,
        stall_ms: ms(NO_RECORDS.stall),
        skip_bad_records: NO_RECORDS.skip_bad_records,
        backup: !job.no_backup,
        priority: job.farm.priority,
        bundle: job.bundle.map_or(Bundle::Auto, Bundle::AtMost),
        after: Vec::new(),
        output: job.output.clone().unwrap_or_else(|| OUTPUT.to_owned()),
    }
}

/// The job's directory: the one named, or a new one here.
pub(super) fn job_dir(app: &AppArgs, job: &JobArgs) -> Result<PathBuf> {
    Ok(dir_or_new(job.job.as_deref(), &app.app))
}

/// The directory `named`, or a new one here for the app.
pub(super) fn dir_or_new(named: Option<&Path>, app: &str) -> PathBuf {
    if let Some(dir) = named {
        return dir.to_owned();
    }
    let name = format!("flockwork-{app}-{}", crate::units::stamp_compact());
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}"))).map(PathBuf::from);
    let free = names.into_iter().find(|path| path.symlink_metadata().is_err());
    free.unwrap_or_else(|| PathBuf::from(name))
}

fn parse_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value; it is an option of the app's, and where outputs go says --output".to_owned()),
    }
}

fn parse_split(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("a split holds at least one byte".to_owned()),
        bytes => Ok(bytes),
    }
}

fn parse_bundle(text: &str) -> Result<u32, String> {
    let most = 1 << ORDER_MAX;
    let tasks = text.parse().ok().filter(|tasks: &u32| tasks.is_power_of_two() && *tasks <= most);
    tasks.ok_or_else(|| format!("write a power of two from 1 to {most}"))
}

fn parse_memory(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        bytes if bytes < 1 << 20 => Err("write at least 1MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

pub(super) fn parse_lease(text: &str) -> Result<Duration, String> {
    let lease = not_too_long(parse_time(text)?)?;
    if lease < Duration::from_secs(1) { Err("the smallest lease is 1s: heartbeats come five times a lease".to_owned()) } else { Ok(lease) }
}

fn parse_stall(text: &str) -> Result<Duration, String> {
    let stall = not_too_long(parse_time(text)?)?;
    if stall < Duration::from_secs(1) { Err("write at least 1s".to_owned()) } else { Ok(stall) }
}

/// Refuses what nobody would believe of a job that is there.
fn not_too_long(time: Duration) -> Result<Duration, String> {
    let most = Duration::from_millis(TIME_MS_MAX);
    if time > most { Err(format!("write at most {}d, which is a hundred years", most.as_secs() / 86_400)) } else { Ok(time) }
}

fn parse_form(text: &str) -> Result<ShuffleForm, String> {
    match text {
        "run" => Ok(ShuffleForm::Run),
        "json" => Ok(ShuffleForm::Json),
        _ => Err("the forms are run and json".to_owned()),
    }
}
