//! `flockwork stream`: any commands as mapper and reducer; a form of `run`, and with `--submit` of `submit`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::ask::{self, JobArgs, LaterArgs};
use super::open;
use super::run::{HereArgs, drive};
use super::submit::submit;
use crate::command::split_words;
use crate::engine::{AppEntry, stream};
use crate::error::Result;
use crate::job::spec::REDUCES_MAX;
use crate::units::parse_time;

#[derive(clap::Args)]
#[command(
    after_help = "CMD is words parted by blanks; '...' and \"...\" hold blanks together, and a backslash is a backslash. There is no shell: for pipes and\n\
                  variables write sh -c '...'. Commands run where the job was submitted, on every machine that has that folder.\n\
                  The mapper reads lines and writes lines `key TAB value`; the reducer reads those of its keys, sorted. docs/stream.md tells the rest.\n\
                  The same job in one thread: flockwork sequential stream -o mapper=CMD -o reducer=CMD INPUT...\n\
                  Exit: 0 the job finished; 1 it failed, was cancelled, or could not be planned; 2 the command line is wrong; 130 interrupted (the job stays).\n\
                  Example: flockwork stream --mapper 'python3 map.py' --reducer 'python3 reduce.py' --job count books/*.txt"
)]
pub(super) struct Args {
    /// Reads the lines of its split, writes lines `key TAB value`
    #[arg(long, value_name = "CMD", value_parser = parse_command)]
    mapper: String,
    /// Reads sorted lines before they leave the map task, and writes fewer; it may run any number of times
    #[arg(long, value_name = "CMD", value_parser = parse_command)]
    combiner: Option<String>,
    /// Reads the sorted lines of its keys, writes an output file [default: cat, the sorted lines themselves]
    #[arg(long, value_name = "CMD", value_parser = parse_command)]
    reducer: Option<String>,
    /// No reducer: what the mappers write are the outputs, one file per map task
    #[arg(long, conflicts_with_all = ["reducer", "combiner", "reduces", "shuffle", "bundle"])]
    no_reduce: bool,
    /// Files, folders (walked) or quoted patterns
    #[arg(required = true)]
    inputs: Vec<String>,
    /// Number of reduce tasks, and so of output files
    #[arg(short, long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=i64::from(REDUCES_MAX)), value_name = "N")]
    reduces: u32,
    /// End a command that runs for longer, and take its attempt for failed [default: none is too long]
    #[arg(long, value_name = "TIME", value_parser = parse_timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    job: JobArgs,
    #[command(flatten)]
    later: LaterArgs,
    #[command(flatten)]
    here: HereArgs,
}

/// The reducer of those who name none, as Hadoop Streaming has it.
const IDENTITY: &str = "cat";

impl Args {
    /// The commands as the app gets them.
    fn options(&self) -> BTreeMap<String, String> {
        let timeout = self.timeout.map(|timeout| format!("{}ms", ask::ms(timeout)));
        let options = [
            ("mapper", Some(self.mapper.clone())),
            ("combiner", self.combiner.clone()),
            ("reducer", self.reducer.clone().or_else(|| (!self.no_reduce).then(|| IDENTITY.to_owned()))),
            (stream::NO_REDUCE, self.no_reduce.then(|| "true".to_owned())),
            ("timeout", timeout),
        ];
        options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

pub(super) fn run(args: &Args, apps: &[AppEntry]) -> Result<ExitCode> {
    let started = Instant::now();
    args.later.check()?;
    let root = ask::dir_or_new(args.job.job.as_deref(), stream::NAME);
    let trust = args.here.trust.resolve()?;
    let asked = ask::ask_of((stream::NAME, args.options()), args.inputs.clone(), args.reduces, &args.job);
    if args.later.submit {
        return submit(apps, &root, asked, &args.later.after, &trust);
    }
    let planned = open::submit(apps, &root, &asked, &trust)?;
    drive(&root, planned, &args.here, &trust, started)
}

fn parse_command(text: &str) -> Result<String, String> {
    split_words(text).map(|_| text.to_owned())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_time(text)?;
    if timeout.is_zero() { Err("no command ends in no time".to_owned()) } else { Ok(timeout) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_job_and_the_engine_mean_the_same_app() {
        assert_eq!(crate::engine::stream::NAME, crate::job::spec::STREAM_APP);
    }
}
