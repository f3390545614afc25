//! The data plane: inputs to splits, splits to shuffle files, shuffle files to output files. It knows no protocol: it is told where to read
//! and write, and says what it made. Reading order: `input`, `split`, `reader`, `window`, `unpack`, `sample`, `map`, `emitter` (with `table`, `lists` and `pool`, `arena`, `spill`), `run`, `merge`, `reduce`, `reduce_runs`,
//! `output`, `sequential`; any commands as an app are `stream`; the readable form is `shuffle_json` and `group`. Beneath them `key` and `order` (keys as integers), `budget`, `draft` (a file not yet
//! visible), `sum` (checksums), `guard` (panics), `care` (bad records), `counters`.
//!
//! How far combining went is `pairs shuffled` / `pairs out`.
//!
//! Every attempt counts, beside what the app counts (an app's counter of one of these names adds to it):
//!
//! | counter | of | counts |
//! |---|---|---|
//! | `records in` | map | lines or files handed to the app |
//! | `bytes in` | map | their bytes, newlines included |
//! | `pairs out` | map | pairs the app emitted |
//! | `pairs shuffled` | map | pairs left after combining |
//! | `shuffle bytes` | map | the shuffle files' length |
//! | `combiner pairs in`, `combiner pairs out` | map | of a job with a combiner command (see [`stream`]): pairs it read and wrote; `pairs out` are then those it wrote |
//! | `spills` | map | sorted runs written because the memory was used up; absent where there were none |
//! | `merge passes` | both | merges before the last one, because of too many runs; absent where there were none |
//! | `bad blocks` | reduce | blocks of shuffle files that were wrong in a first read and right in a second; absent where there were none |
//! | `records skipped` | map | lines or files not handed to the app, because attempts had failed at them (see [`care`]); absent where there were none |
//! | `keys skipped` | reduce | the same of keys with their values |
//! | `pairs in` | reduce | pairs read from the shuffle files; fewer where further passes have combined them |
//! | `keys in` | reduce | distinct keys, each one call of the app's reduce |
//! | `output bytes` | the last phase | the output file's length |

mod arena;
mod budget;
pub mod care;
#[cfg(test)]
mod care_tests;
pub(crate) mod counters;
mod draft;
mod draw;
mod emitter;
mod erased;
#[cfg(test)]
mod fixture;
mod group;
mod guard;
pub mod input;
mod key;
mod lists;
mod map;
mod merge;
mod order;
mod output;
mod pool;
mod reader;
mod reduce;
mod reduce_runs;
pub mod run;
#[cfg(test)]
mod run_tests;
mod sample;
mod sequential;
mod shuffle_json;
mod spill;
pub mod split;
pub mod stream;
pub mod sum;
mod table;
#[cfg(test)]
mod tests;
mod unpack;
mod window;

use std::io::Write;
use std::path::{Path, PathBuf};

pub use budget::Budget;
pub use care::Care;

use crate::app::{Context, OptionDoc, Options, Unit};
use crate::control::Control;
use crate::data::{Counters, Failure, FileSum, Made, Piece, ShuffleForm, Split};
use crate::partition::RangeTable;

/// An app as the engine and the registry see it: any [`App`](crate::app::App), its types erased.
///
/// Implemented for every `App`; nobody else needs to.
pub trait AnyApp: Send + Sync {
    /// What one record is.
    fn unit(&self) -> Unit;

    /// False if what its maps write is the job's output.
    fn has_reduce(&self) -> bool {
        true
    }

    /// See [`crate::app::App::least_output`].
    fn least_output(&self, input_bytes: u64) -> u64;

    /// The ranges of keys of a job over these whole files, by a sample of what `map` makes of them; `None` if the app's keys are not dealt out by
    /// range. The same files give the same ranges.
    fn sample_ranges(&self, files: &[Piece], base: &Path, partitions: u32) -> Result<Option<RangeTable>, Failure>;

    /// Runs one map attempt: reads the split, writes the shuffle files, closed and described.
    fn run_map(&self, work: &MapWork<'_>) -> Result<Made, Failure>;

    /// Runs one reduce attempt: verifies and merges its partition of the inputs, writes the output file, closed and described.
    fn run_reduce(&self, work: &ReduceWork<'_>) -> Result<Made, Failure>;

    /// Runs the whole job plainly in this thread: the oracle. `files` are whole files, as `plan_splits` gives them
    /// for [`Unit::Files`], their paths absolute or relative to `/` (`resolve` them with `/` as the base). All output files' bytes go to `out`,
    /// in order. A reader of `out` that went away is a [`Failure::Disk`] whose `io_kind` is `BrokenPipe`.
    fn run_sequential(&self, files: &[Split], partitions: u32, out: &mut dyn Write) -> Result<Counters, Failure>;
}

/// One map attempt's orders.
pub struct MapWork<'a> {
    /// What to read.
    pub split: &'a Split,
    /// Relative paths in the split start here (the job directory).
    pub base: &'a Path,
    /// Where the shuffle files go.
    pub shuffle_dir: &'a Path,
    /// The claim's full name, which every file made bears.
    pub name: &'a str,
    /// How many partitions (reduce tasks).
    pub partitions: u32,
    /// The plan's ranges of keys, where the app asks for them.
    pub ranges: Option<&'a RangeTable>,
    /// Where what the map made goes in a job without a reduce: the output file, complete when the call returns. No shuffle file is written then.
    pub output: Option<&'a Path>,
    /// Where what commands write to stderr is kept, if it is.
    pub stderr: Option<&'a Path>,
    /// How shuffle files are written.
    pub form: ShuffleForm,
    /// How much memory and how many files it may use; the readable form keeps to neither.
    pub budget: Budget,
    /// Flush files to the server's disk before they are described (on a network mount).
    pub sync: bool,
    /// Handed to the app.
    pub context: &'a Context,
    /// Asked at every record.
    pub control: &'a Control,
    /// How to go about records that may be bad; `None`: at full speed, nothing is skipped.
    pub care: Option<&'a Care>,
}

/// One reduce attempt's orders.
pub struct ReduceWork<'a> {
    /// Which partition.
    pub partition: u32,
    /// One per map task, in the order of the map tasks.
    pub inputs: &'a [ShuffleInput],
    /// Where the shuffle files are.
    pub shuffle_dir: &'a Path,
    /// The output file, complete when the call returns: written beside, flushed, renamed.
    pub output: PathBuf,
    /// Where what commands write to stderr is kept, if it is.
    pub stderr: Option<&'a Path>,
    /// How shuffle files are written.
    pub form: ShuffleForm,
    /// How much memory and how many files it may use; the readable form keeps to neither.
    pub budget: Budget,
    /// Handed to the app.
    pub context: &'a Context,
    /// Asked at every key.
    pub control: &'a Control,
    /// How to go about keys that may be bad; `None`: nothing is skipped.
    pub care: Option<&'a Care>,
}

/// What one map attempt left for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShuffleInput {
    /// The map attempt's full name.
    pub attempt: String,
    /// The file to read and verify.
    pub file: FileSum,
}

/// One app by name: what a program hands to [`crate::main`].
#[derive(Clone)]
pub struct AppEntry {
    /// What the user types.
    pub name: &'static str,
    /// One line for `flockwork apps`.
    pub about: &'static str,
    /// The `-o` options it knows; others are refused.
    pub options: &'static [OptionDoc],
    /// Makes the app from its options; the message of an `Err` goes to the user.
    pub make: fn(&Options) -> Result<Box<dyn AnyApp>, String>,
}

/// Makes the app called `name`, or says which there are.
pub fn make(apps: &[AppEntry], name: &str, options: &Options) -> crate::Result<Box<dyn AnyApp>> {
    let Some(entry) = apps.iter().chain([&stream::ENTRY]).find(|entry| entry.name == name) else {
        let known: Vec<&str> = apps.iter().map(|entry| entry.name).collect();
        let error = crate::Error::new(crate::ErrorKind::Usage, format!("no app is called `{name}`"));
        let order = if name.contains(['/', '.', '*']) { "; the app comes first, then the inputs" } else { "" };
        return Err(error.advise(format!("{}this program knows: {}{order}", tip(name, &known), known.join(", "))));
    };
    if let Some(key) = options.0.keys().find(|key| entry.options.iter().all(|option| option.key != key.as_str())) {
        let known: Vec<&str> = entry.options.iter().map(|option| option.key.as_ref()).collect();
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("{}it knows: {}", tip(key, &known), known.join(", ")) };
        return Err(crate::Error::new(crate::ErrorKind::Usage, format!("the app `{name}` has no option `{key}`")).advise(known));
    }
    (entry.make)(options).map_err(|text| crate::Error::new(crate::ErrorKind::Usage, format!("cannot make the app `{name}`: {text}")))
}

/// The known name that was probably meant, as a question; nothing where none is near.
fn tip(typed: &str, known: &[&str]) -> String {
    let letters = typed.to_lowercase();
    let near = known.iter().map(|name| (strsim::osa_distance(&letters, name), name));
    let nearest = near.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= (letters.chars().count() / 3).max(1));
    nearest.map_or_else(String::new, |(_, name)| format!("did you mean `{name}`? "))
}
