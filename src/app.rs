//! What a user writes: the [`App`] trait and the few things its functions are handed.
//!
//! An app is a value shared by nobody: each slot process makes its own from the job's options. It must be deterministic for the
//! promise "same bytes whatever crashes"; one that is not still gets whole attempts, never mixtures within one output file.
//!
//! Limits: a key or value may be any bytes; the values of one key arrive in (map task, emission) order; output keys are
//! sorted bytewise within each output file. A panic or an error fails the attempt, not the worker.
//!
//! ```
//! use flockwork::app::{App, AppResult, Emit, Output, Record, Values};
//!
//! /// The longest line of each first letter.
//! struct Longest;
//!
//! impl App for Longest {
//!     type Value = [u8];
//!
//!     fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
//!         if let Some(first) = record.bytes.get(..1) {
//!             out.emit(first, record.bytes);
//!         }
//!         Ok(())
//!     }
//!
//!     fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
//!         let mut longest = Vec::new();
//!         while let Some(line) = values.next() {
//!             if line.len() > longest.len() {
//!                 longest = line.to_vec();
//!             }
//!         }
//!         out.pair(key, &longest[..]);
//!         Ok(())
//!     }
//! }
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ids::AttemptId;

/// What an app's functions return; `?` works on any error.
pub type AppResult = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// What one record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// One line without its newline (and without a carriage return before it).
    Lines,
    /// Many whole lines at a time, their ends included: as many as the reader has in memory, so that an app which goes through bytes faster than
    /// through lines need not be called for each. The app's answer must not depend on where one block ends and the next begins: where bad records may be
    /// skipped, further attempts of a failed task are given line by line.
    Blocks,
    /// One whole file; each file is a map task of its own.
    Files,
}

/// How keys find their output file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// As [`App::partition`] says: by the published hash, unless the app has its own way.
    Hash,
    /// In ranges of keys, so that the output files one behind the other are sorted. The ranges come from a sample: `map` is run on some of the
    /// input while the job is planned (what it returns as an error there does not matter).
    Range,
}

/// One record as `map` sees it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// The line, the lines, or the whole file.
    pub bytes: &'a [u8],
    /// The file's name as the user typed it.
    pub file: &'a str,
    /// Which of the job's files it is, counted from 0 in the order of the input.
    pub file_number: u32,
    /// Where the record begins in the file, in bytes (of the unpacked content where the file is compressed).
    pub offset: u64,
}

/// The MapReduce paper's user functions, typed by the value.
///
/// Keys are bytes. `map: (record) -> [(key, value)]`, `combine: (value, value) -> value`, `reduce: (key, [value]) -> bytes`.
pub trait App: Send + Sync + 'static {
    /// The values' type: `[u8]`, `str`, `u64` or `i64`.
    type Value: Value + ?Sized;

    /// True if [`App::combine`] may be used. It must then be associative, and `reduce` must not care how far values were combined.
    const COMBINES: bool = false;

    /// What one record is; lines unless said otherwise.
    fn unit(&self) -> Unit {
        Unit::Lines
    }

    /// Called once per record of a split; emits any number of pairs.
    fn map(&self, record: Record<'_>, out: &mut impl Emit<Self::Value>) -> AppResult;

    /// Folds `next` into `total`, both of one key. Only called where [`App::COMBINES`].
    fn combine(&self, total: &mut <Self::Value as ToOwned>::Owned, next: &Self::Value) {
        let _ = (total, next);
    }

    /// Called once per key of a partition, keys in ascending order of their bytes; writes any bytes.
    fn reduce(&self, key: &[u8], values: &mut Values<'_, Self::Value>, out: &mut Output<'_>) -> AppResult;

    /// Bytes that the outputs will have at least, of inputs of so many bytes; a job that has no room for them is refused before it starts. 0 unless said
    /// otherwise.
    fn least_output(&self, input_bytes: u64) -> u64 {
        let _ = input_bytes;
        0
    }

    /// How keys find their output file; by [`App::partition`] unless said otherwise.
    fn partitioning(&self) -> Partitioning {
        Partitioning::Hash
    }

    /// Which of `parts` output files gets this key; the published hash unless said otherwise. Not asked under [`Partitioning::Range`].
    fn partition(&self, key: &[u8], parts: u32) -> u32 {
        crate::partition::by_hash(key, parts)
    }
}

/// Where `map` sends its pairs.
pub trait Emit<V: Value + ?Sized> {
    /// Sends one pair on its way to `reduce`.
    fn emit(&mut self, key: &[u8], value: &V);

    /// Adds `n` to a counter of the user's, counted once per committed attempt.
    fn count(&mut self, counter: &str, n: u64);

    /// Which attempt this is, and where its job lies.
    fn context(&self) -> &Context;
}

/// Which attempt the app is running in.
#[derive(Debug, Clone)]
pub struct Context {
    /// The job directory; a private directory under `sequential`. An app that keeps files keeps them here, under `markers/`.
    pub job_dir: PathBuf,
    /// The attempt.
    pub attempt: AttemptId,
    /// What it is a part of.
    pub job: JobFacts,
}

/// What is the same for all attempts of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFacts {
    /// The random id in its `job.json`.
    pub id: String,
    /// The folder where it was submitted, as it is called there; it need not be on this machine.
    pub cwd: PathBuf,
    /// How many reduce tasks it has.
    pub reduces: u32,
}

/// How a type of value is written to bytes and read back. The form is part of the on-disk format.
pub trait Value: ToOwned {
    /// Appends the value's bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Reads what [`Value::write`] wrote, borrowing from `bytes` or from `slot`.
    fn read<'a>(bytes: &'a [u8], slot: &'a mut Option<Self::Owned>) -> Result<&'a Self, BadValue>;
}

/// Bytes that are no value of the type expected: the shuffle data is of another app, or damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadValue;

impl std::fmt::Display for BadValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bytes are no value of the app's type")
    }
}

impl std::error::Error for BadValue {}

impl Value for [u8] {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self);
    }
    fn read<'a>(bytes: &'a [u8], _slot: &'a mut Option<Vec<u8>>) -> Result<&'a [u8], BadValue> {
        Ok(bytes)
    }
}

impl Value for str {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }
    fn read<'a>(bytes: &'a [u8], _slot: &'a mut Option<String>) -> Result<&'a str, BadValue> {
        std::str::from_utf8(bytes).map_err(|_| BadValue)
    }
}

macro_rules! decimal_value {
    ($($number:ty),*) => { $(
        /// Written in decimal, so that the readable shuffle form can be read.
        impl Value for $number {
            fn write(&self, bytes: &mut Vec<u8>) {
                #[allow(unused_comparisons, reason = "only one of the types has a sign")]
                if *self < 0 {
                    bytes.push(b'-');
                }
                // By hand: one number per pair makes the formatting machinery show in a profile.
                let (mut rest, mut digits, mut at) = (u64::from(self.abs_diff(0)), [0; 20], 20);
                loop {
                    at -= 1;
                    digits[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                    if rest == 0 {
                        break;
                    }
                }
                bytes.extend_from_slice(&digits[at..]);
            }
            fn read<'a>(bytes: &'a [u8], slot: &'a mut Option<$number>) -> Result<&'a $number, BadValue> {
                let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).ok_or(BadValue)?;
                Ok(slot.insert(number))
            }
        }
    )* };
}
decimal_value!(u64, i64);

/// Where the values of one key come from; the engine's side of [`Values`].
pub trait ValueSource {
    /// The next value's bytes, or `None` at the key's end or where the source failed (which the engine then reports).
    fn next_value(&mut self) -> Option<&[u8]>;
}

/// The values of one key, one after the other: a key with a billion values needs no more memory than one with two.
pub struct Values<'a, V: Value + ?Sized> {
    source: &'a mut dyn ValueSource,
    slot: Option<V::Owned>,
    bad: bool,
}

impl<'a, V: Value + ?Sized> Values<'a, V> {
    /// The values that `source` yields.
    pub fn new(source: &'a mut dyn ValueSource) -> Values<'a, V> {
        Values { source, slot: None, bad: false }
    }

    /// The next value in (map task, emission) order.
    #[allow(clippy::should_implement_trait, reason = "a lending iterator: the value lives until the next call")]
    pub fn next(&mut self) -> Option<&V> {
        match V::read(self.source.next_value()?, &mut self.slot) {
            Ok(value) => Some(value),
            Err(BadValue) => {
                self.bad = true;
                None
            }
        }
    }

    /// True if a value was met that is none of the app's type; the engine fails the attempt then.
    pub fn met_bad_value(&self) -> bool {
        self.bad
    }

    /// All that are left, each on its own; only for keys known to have few.
    pub fn collect(&mut self) -> Vec<V::Owned> {
        let mut all = Vec::new();
        while let Some(value) = self.next() {
            all.push(value.to_owned());
        }
        all
    }

    /// The number of values left.
    pub fn count(&mut self) -> u64 {
        let mut n = 0;
        while self.next().is_some() {
            n += 1;
        }
        n
    }
}

impl Values<'_, u64> {
    /// The sum of the values left: what reducing counts comes to.
    pub fn sum(&mut self) -> u64 {
        let mut sum = 0;
        while let Some(n) = self.next() {
            sum += n;
        }
        sum
    }
}

/// Where finished output bytes go; the engine's side of [`Output`].
pub trait Sink {
    /// Takes a block of output; failures are kept and reported when the attempt ends.
    fn take(&mut self, block: &[u8]);

    /// Adds to a counter of the user's.
    fn count(&mut self, counter: &str, n: u64);
}

/// Where `reduce` writes: bytes as they are, in the order written.
pub struct Output<'a> {
    buffer: Vec<u8>,
    sink: &'a mut dyn Sink,
    context: &'a Context,
}

/// Output is handed on in blocks of about this size.
const OUTPUT_BLOCK_BYTES: usize = 64 << 10;

impl<'a> Output<'a> {
    /// An output that hands blocks to `sink`.
    pub fn new(sink: &'a mut dyn Sink, context: &'a Context) -> Output<'a> {
        Output { buffer: Vec::with_capacity(OUTPUT_BLOCK_BYTES + 4096), sink, context }
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= OUTPUT_BLOCK_BYTES {
            self.flush();
        }
    }

    /// Writes `key`, a space, `value` and a newline: the lab's form.
    pub fn pair<V: Value + ?Sized>(&mut self, key: &[u8], value: &V) {
        self.buffer.extend_from_slice(key);
        self.buffer.push(b' ');
        value.write(&mut self.buffer);
        self.write(b"\n");
    }

    /// Adds `n` to a counter of the user's, counted once per committed attempt.
    pub fn count(&mut self, counter: &str, n: u64) {
        self.sink.count(counter, n);
    }

    /// Which attempt this is, and where its job lies.
    pub fn context(&self) -> &Context {
        self.context
    }

    /// Hands on what is still buffered.
    pub fn flush(&mut self) {
        if !self.buffer.is_empty() {
            self.sink.take(&self.buffer);
            self.buffer.clear();
        }
    }
}

/// The app's options as the user gave them: `-o key=value`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(pub BTreeMap<String, String>);

impl Options {
    /// The option's text.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The option as a number, or `default` where it was not given.
    pub fn number<N: std::str::FromStr>(&self, key: &str, default: N) -> Result<N, String> {
        let Some(text) = self.get(key) else { return Ok(default) };
        text.parse().map_err(|_| format!("the option `{key}` is a number, not `{text}`"))
    }

    /// The option's text, or a message that it is missing.
    pub fn require(&self, key: &str) -> Result<&str, String> {
        self.get(key).ok_or_else(|| format!("the option `{key}` is missing; give it as -o {key}=VALUE"))
    }
}

/// One option of an app, for `flockwork apps` and for refusing the others.
#[derive(Debug, Clone)]
pub struct OptionDoc {
    /// The key in `-o key=value`.
    pub key: Cow<'static, str>,
    /// What it does, in one line.
    pub about: Cow<'static, str>,
}
