//! Any commands as mapper, combiner and reducer, the way Hadoop Streaming does it: lines in, lines `key TAB value` out.
//!
//! Contract: the commands are children of the attempt (see [`crate::command`]); everything between them is the engine's own: pairs, sort, spills, shuffle files, merge, output.
//! A line's key is what stands before its first TAB, its value the rest; a line without one is a key with an empty value. The mapper reads its file's lines as they are, and is started anew
//! for each file of a split; the reducer reads `key TAB value` for each pair of its partition, keys in the order of their bytes, and what it writes is the output byte for byte. The combiner reads
//! the same of what memory held, and its lines take the place of what it read. A command that does not end with status 0 fails the attempt, with the end of its stderr as the reason.
//!
//! Reading order: this file, `child` (one command), `report` and `complaints` (its stderr), `places` (its environment), `map`, `map_only`, `combine`, `reduce`, `sequential`.
//!
//! Limits: a line of a command has at most the memory of a slot, and at least 16 MiB. `combine` takes half of the slot's memory.

mod child;
mod combine;
mod complaints;
mod map;
mod map_only;
mod places;
mod reduce;
mod report;
mod sequential;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::{AnyApp, AppEntry, MapWork, ReduceWork};
use crate::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Unit, Values};
use crate::command::split_words;
use crate::data::{Counters, Failure, Made, Piece, Split};
use crate::partition::RangeTable;
use crate::units::parse_time;

/// The app's name: every program knows it beside its own.
pub const NAME: &str = "stream";

/// The option of a job whose maps write the outputs.
pub const NO_REDUCE: &str = "no-reduce";

/// The app as the registry sees it.
pub static ENTRY: AppEntry = AppEntry {
    name: NAME,
    about: "any commands as mapper and reducer, as Hadoop Streaming runs them; `flockwork stream` is the short way to it",
    options: &[
        OptionDoc { key: Cow::Borrowed("mapper"), about: Cow::Borrowed("the mapper's command line") },
        OptionDoc { key: Cow::Borrowed("combiner"), about: Cow::Borrowed("the combiner's command line; none unless given") },
        OptionDoc { key: Cow::Borrowed("reducer"), about: Cow::Borrowed("the reducer's command line") },
        OptionDoc { key: Cow::Borrowed(NO_REDUCE), about: Cow::Borrowed("true: no reducer, what the mappers write are the outputs") },
        OptionDoc {
            key: Cow::Borrowed("timeout"),
            about: Cow::Borrowed("a command that runs for longer is ended, and its attempt has failed"),
        },
    ],
    make: |options| Ok(Box::new(Stream::of(options)?)),
};

/// The commands of a job.
struct Stream {
    mapper: Words,
    combiner: Option<Words>,
    /// None where what the mappers write are the outputs.
    reducer: Option<Words>,
    timeout: Option<Duration>,
}

/// A command line, as typed and as it is run.
struct Words {
    typed: String,
    words: Vec<OsString>,
}

impl Words {
    fn of(options: &Options, key: &str) -> Result<Option<Words>, String> {
        let Some(typed) = options.get(key) else { return Ok(None) };
        let words = split_words(typed).map_err(|text| format!("the {key}: {text}"))?;
        Ok(Some(Words { typed: typed.to_owned(), words: words.into_iter().map(OsString::from).collect() }))
    }
}

impl Stream {
    fn of(options: &Options) -> Result<Stream, String> {
        let missing = |key: &str| format!("the option `{key}` is missing; give it as -o {key}=COMMAND");
        let timeout = options.get("timeout").map(parse_time).transpose().map_err(|text| format!("the option `timeout`: {text}"))?;
        if timeout == Some(Duration::ZERO) {
            return Err("the option `timeout`: no command ends in no time".to_owned());
        }
        let mapper = Words::of(options, "mapper")?.ok_or_else(|| missing("mapper"))?;
        let (combiner, reducer) = (Words::of(options, "combiner")?, Words::of(options, "reducer")?);
        match (options.get(NO_REDUCE), &reducer, &combiner) {
            (None, Some(_), _) | (Some("true"), None, None) => Ok(Stream { mapper, combiner, reducer, timeout }),
            (None, None, _) => Err(format!("{}, or -o {NO_REDUCE}=true where what the mappers write are the outputs", missing("reducer"))),
            (Some("true"), _, _) => Err(format!("where there is no reduce (`{NO_REDUCE}`) there is no reducer and no combiner")),
            (Some(other), _, _) => Err(format!("the option `{NO_REDUCE}` is true or not there, not `{other}`")),
        }
    }
}

impl AnyApp for Stream {
    fn unit(&self) -> Unit {
        Unit::Blocks
    }

    fn has_reduce(&self) -> bool {
        self.reducer.is_some()
    }

    fn least_output(&self, _input_bytes: u64) -> u64 {
        0
    }

    fn sample_ranges(&self, _: &[Piece], _: &Path, _: u32) -> Result<Option<RangeTable>, Failure> {
        Ok(None)
    }

    fn run_map(&self, work: &MapWork<'_>) -> Result<Made, Failure> {
        map::run(self, work)
    }

    fn run_reduce(&self, work: &ReduceWork<'_>) -> Result<Made, Failure> {
        reduce::run(self, work)
    }

    fn run_sequential(&self, files: &[Split], partitions: u32, out: &mut dyn Write) -> Result<Counters, Failure> {
        sequential::run(self, files, partitions, out)
    }
}

/// What the lines of commands are to the rest of the engine: pairs of bytes, dealt out by the hash of the key and combined by nobody. By itself it is the
/// app that changes nothing.
struct Pairs;

impl App for Pairs {
    type Value = [u8];

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        let (key, value) = key_and_value(record.bytes);
        out.emit(key, value);
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        while let Some(value) = values.next() {
            let mut line = Vec::with_capacity(key.len() + value.len() + 2);
            push_pair(&mut line, key, value);
            out.write(&line);
        }
        Ok(())
    }
}

/// A line without its newline, at its first TAB.
#[inline]
fn key_and_value(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\t', line) {
        Some(tab) => (&line[..tab], &line[tab + 1..]),
        None => (line, b""),
    }
}

/// The pair as a command reads it.
#[inline]
fn push_pair(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    bytes.extend_from_slice(key);
    bytes.push(b'\t');
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

/// Longest line of a command under so much memory.
fn line_bytes_max(memory: usize) -> usize {
    memory.clamp(16 << 20, super::run::PAIR_BYTES_MAX)
}
