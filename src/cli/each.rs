//! `flockwork each`: a task farm, one command per item and no reduce.

use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::ask::{self, FarmArgs, LaterArgs, ms, parse_lease};
use super::joblog;
use super::open::{self, Job};
use super::run::{self, HereArgs};
use super::submit::check_served;
use crate::data::ShuffleForm;
use crate::disk::real::RealDisk;
use crate::each::APP;
use crate::each::items::{Form, Items};
use crate::each::orders::Orders;
use crate::each::template::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::job::end;
use crate::job::layout::OUTPUT;
use crate::job::plan::MAPS_MAX;
use crate::job::spec::{Ask, Bundle, TIME_MS_MAX};
use crate::say::say;
use crate::units::parse_time;
use crate::worker::slot::can_have_scratch;

/// What separates the command from items typed behind it.
const ITEMS_FOLLOW: &str = ":::";

#[derive(clap::Args)]
#[command(
    after_help = "In the command {} is the item, {.} the same without extension, {/} its last part, {//} its folder, {/.} its last part without extension, {#} its number, \
                  and with --json-items {name} a field. Without any of them the item is the last argument. No shell is used, unless you write `sh -c`.\n\
                  A command is told FLOCKWORK_TASK, FLOCKWORK_ATTEMPT, FLOCKWORK_JOB and FLOCKWORK_SCRATCH (an empty folder, removed afterwards).\n\
                  The same command with the same --job goes on where it stopped. Others may join with `flockwork worker JOB`.\n\
                  Exit: 0 all is well; 1 an item failed for good, or the job was cancelled or could not be run; 2 the command line is wrong; 130 interrupted.\n\
                  Examples: flockwork each --job thumbs -- convert {} -resize 200 small/{/} ::: *.jpg\n  \
                  find . -name '*.log' -print0 | flockwork each -0 --job packed -- gzip -k"
)]
pub(super) struct Args {
    /// Read the items from this file, one per line [default: from stdin, unless they follow :::]
    #[arg(short = 'a', long, value_name = "FILE")]
    arg_file: Option<PathBuf>,
    /// Items end with a NUL instead of a line end
    #[arg(short = '0', long, conflicts_with = "json_items")]
    null: bool,
    /// Items are JSON objects, one per line; {name} in the command is a field
    #[arg(long)]
    json_items: bool,
    /// The job's directory, on the mount that all workers share [default: a new flockwork-each-TIME here]
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
    /// End a command, and all it has started, that runs for so long; then it has failed
    #[arg(long, value_parser = parse_timeout, value_name = "TIME")]
    timeout: Option<Duration>,
    /// Run a command that failed again, so many times at most; a command whose worker was lost is run again in any case
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1_000_000), value_name = "N")]
    retries: u32,
    /// Run all items, whatever fails: this is the default
    #[arg(long, conflicts_with = "fail_fast")]
    keep_going: bool,
    /// End the job, and what runs, when so many items have failed for good
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    fail_fast: Option<u32>,
    /// In the end write a line per item that has ended, in the form of GNU parallel's
    #[arg(long, value_name = "FILE", conflicts_with = "submit")]
    joblog: Option<PathBuf>,
    /// How long a silent claim is believed; at least 1s
    #[arg(long, default_value = "10s", value_parser = parse_lease, value_name = "TIME")]
    lease: Duration,
    /// Lost leases of one task before it has failed
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    max_lost: u32,
    /// Print the commands and run none
    #[arg(long, conflicts_with = "submit")]
    dry_run: bool,
    #[command(flatten)]
    farm: FarmArgs,
    #[command(flatten)]
    later: LaterArgs,
    #[command(flatten)]
    here: HereArgs,
    /// The command, and behind ::: the items, if they are not read
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Result<ExitCode> {
    let started = Instant::now();
    args.later.check()?;
    let (command, typed) = split(&args.command)?;
    let (source, items) = items(&args, typed)?;
    let orders = Orders { command, form: items.form, timeout: args.timeout, fail_fast: args.fail_fast };
    if args.dry_run {
        return dry_run(&orders, &items);
    }
    let root = ask::dir_or_new(args.job.as_deref(), APP);
    args.joblog.iter().try_for_each(|path| joblog::check_early(path, &root))?;
    let trust = args.here.trust.resolve()?;
    let ask = ask(&args, &orders, &items, source);
    if args.later.submit {
        check_served(&root)?;
        match ask.after.is_empty() {
            true => _ = open::submit_commands(&root, &ask, &items, &trust)?,
            false => open::submit_commands_later(&root, &ask, &items, &trust)?,
        }
        super::submit::tell_ended(&root);
        super::print(&format!("{}\n", root.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.here.slots != Some(0) && !has_ended(&root) {
        // Else every slot here would leave, and the job wait for others.
        can_have_scratch()?;
    }
    let planned = open::submit_commands(&root, &ask, &items, &trust)?;
    drop(items);
    args.joblog.iter().try_for_each(|path| joblog::check(path))?;
    let code = run::drive(&root, planned, &args.here, &trust, started);
    if let Some(path) = &args.joblog
        && code.is_ok()
    {
        joblog::write(&Job::open(&root)?, path)?;
    }
    code
}

fn has_ended(root: &Path) -> bool {
    end::load(&RealDisk::at(root), root).is_ok_and(|end| end.is_some())
}

fn usage(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, text.into())
}

/// The command, and the items typed behind it.
fn split(words: &[OsString]) -> Result<(Vec<String>, Option<&[OsString]>)> {
    let at = words.iter().position(|word| word == ITEMS_FOLLOW);
    let (command, typed) = match at {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (words, None),
    };
    if typed.is_some_and(|typed| typed.iter().any(|word| word == ITEMS_FOLLOW)) {
        return Err(usage(format!("{ITEMS_FOLLOW} stands twice"))
            .advise("one list of items is combined with no other; write the pairs as JSON lines, and see --json-items"));
    }
    if command.first().is_none_or(|program| program.is_empty()) {
        return Err(usage("there is no command").advise("it stands behind `--`, and before `:::`"));
    }
    let as_text = |word: &OsString| {
        word.clone().into_string().map_err(|word| usage(format!("cannot write down `{}`: it is not UTF-8", word.display())))
    };
    Ok((command.iter().map(as_text).collect::<Result<_>>()?, typed))
}

/// What to do about items that cannot be taken.
fn remedy(form: Form) -> String {
    match form {
        Form::Json => "write one JSON object per line, for example {\"name\": \"a\"}".to_owned(),
        Form::Lines | Form::Null => "write long texts to files, and make their names the items".to_owned(),
    }
}

/// The items, and where they came from.
fn items(args: &Args, typed: Option<&[OsString]>) -> Result<(String, Items)> {
    let form = match (args.null, args.json_items) {
        (true, _) => Form::Null,
        (false, true) => Form::Json,
        (false, false) => Form::Lines,
    };
    let (source, made) = match (typed, &args.arg_file) {
        (Some(_), Some(_)) => return Err(usage(format!("the items come from --arg-file or follow {ITEMS_FOLLOW}, not both"))),
        (Some(typed), None) => {
            let typed: Vec<Vec<u8>> = typed.iter().map(|item| item.clone().into_vec()).collect();
            (ITEMS_FOLLOW.to_owned(), Items::of_args(&typed, form))
        }
        (None, Some(path)) if path != Path::new("-") => {
            let bytes =
                std::fs::read(path).map_err(|error| Error::io("cannot read the items from", path, error).of_kind(ErrorKind::Input))?;
            (path.to_string_lossy().into_owned(), Items::of_text(bytes, form))
        }
        (None, _) => {
            let mut stdin = std::io::stdin();
            if stdin.is_terminal() && !args.here.quiet {
                say!("flockwork: the items are read from the terminal, one per line; end with Ctrl-D");
            }
            let mut bytes = Vec::new();
            stdin.read_to_end(&mut bytes).map_err(|error| Error::io("cannot read the items from", "stdin", error))?;
            ("-".to_owned(), Items::of_text(bytes, form))
        }
    };
    let items = made.map_err(|why| {
        Error::new(ErrorKind::Input, "cannot take the items from").on(Path::new(&source)).because(why).advise(remedy(form))
    })?;
    if items.count() > MAPS_MAX as usize {
        let error = Error::new(ErrorKind::Input, format!("a job has {MAPS_MAX} items at most, not {}", items.count()));
        return Err(error.advise("make several jobs, or let a command take several (`xargs -n` in `sh -c`)"));
    }
    Ok((source, items))
}

fn ask(args: &Args, orders: &Orders, items: &Items, source: String) -> Ask {
    Ask {
        app: APP.to_owned(),
        options: orders.options(items),
        inputs: vec![source],
        reduces: 0,
        split_bytes: u64::MAX,
        split_lines: Some(1),
        shuffle: ShuffleForm::Run,
        memory_bytes: 1 << 20,
        lease_ms: ms(args.lease),
        max_errors: args.retries + 1,
        max_lost: args.max_lost,
        // A command may take its time; --timeout says how long.
        stall_ms: TIME_MS_MAX,
        skip_bad_records: false,
        // Nobody expects a command to run twice at a time.
        backup: false,
        // A command that ran is not run again because its neighbour failed.
        bundle: Bundle::ONE,
        output: OUTPUT.to_owned(),
        priority: args.farm.priority,
        after: args.later.after.clone(),
    }
}

fn dry_run(orders: &Orders, items: &Items) -> Result<ExitCode> {
    let template = orders.template();
    for ((from, to), number) in items.ranges().zip(1..) {
        let words = template.fill(&items.bytes[from as usize..to as usize], number);
        let words = words.map_err(|why| Error::new(ErrorKind::Input, format!("cannot run a command for item {number}")).because(why))?;
        super::print(&format!("{}\n", shown(&words)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_time(text)? {
        time if time.is_zero() => Err("a command needs some time".to_owned()),
        time => Ok(time),
    }
}
