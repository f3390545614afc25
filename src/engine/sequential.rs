//! The oracle: the same job in one thread, in the plainest way there is, to compare everything else with.
//!
//! Contract: writes what the job's output files hold, one partition after the other. It shares the record reader and the sample of keys with the engine and nothing else: no
//! combining, no shuffle files, no checksums; all pairs in memory. Counters that speak of those are absent.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use super::counters;
use super::map::at_record;
use super::reader::Reader;
use super::reduce::at_key;
use super::run::PAIR_BYTES_MAX;
use crate::app::{App, Context, Emit, JobFacts, Output, Sink, Value, ValueSource, Values};
use crate::control::Control;
use crate::data::{Counters, Failure, Piece, Split};
use crate::error::{Error, ErrorKind};
use crate::ids::TaskId;
use crate::partition::RangeTable;

/// Runs `app` over `files` (whole files, their paths absolute or relative to `/`) and writes all partitions to `out` in order.
///
/// A reader that went away is a [`Failure::Disk`] whose `io_kind` is `BrokenPipe`.
pub(super) fn run<A: App>(app: &A, files: &[Split], partitions: u32, out: &mut dyn Write) -> Result<Counters, Failure> {
    let dir = tempfile::Builder::new().prefix("flockwork-sequential-").tempdir();
    let dir = dir.map_err(|error| Failure::Disk(Error::io("cannot create a directory in", std::env::temp_dir(), error)))?;
    let context = Context { job_dir: dir.path().to_owned(), attempt: TaskId::map(0).attempt(1), job: JobFacts::default() };
    let pieces: Vec<Piece> = files.iter().flat_map(|file| file.pieces.iter().cloned()).collect();
    let ranges = super::sample::ranges(app, &pieces, Path::new("/"), partitions)?;
    let partitions = vec![Keys::new(); partitions.max(1) as usize];
    let mut tables = Tables { app, context: &context, ranges, partitions, n_pairs: 0, counters: Counters::new() };
    let control = Control::default();
    let unit = app.unit();
    let mut reader = Reader::new(Path::new("/"), unit, &control).with_line_bytes_max(PAIR_BYTES_MAX);
    for file in files {
        let tally = reader.read(file, &mut |record| {
            super::guard::call(|| app.map(record, &mut tables)).map_err(|text| Failure::App(at_record(&text, unit, record)))
        })?;
        counters::add_read(&mut tables.counters, tally);
    }
    let Tables { partitions, n_pairs, mut counters, .. } = tables;
    let n_keys = partitions.iter().map(|keys| keys.len() as u64).sum();
    let context = Context { attempt: TaskId::reduce(0).attempt(1), ..context };
    let n_bytes = reduce_all(app, partitions, &context, &mut counters, out)?;
    let made = [(counters::PAIRS_OUT, n_pairs), (counters::PAIRS_IN, n_pairs)];
    counters::add_all(&mut counters, &made);
    counters::add_all(&mut counters, &[(counters::KEYS_IN, n_keys), (counters::OUTPUT_BYTES, n_bytes)]);
    Ok(counters)
}

type Keys = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Reduces one partition after the other; returns how many bytes that wrote.
fn reduce_all<A: App>(
    app: &A,
    partitions: Vec<Keys>,
    context: &Context,
    counters: &mut Counters,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    let failure = Cell::new(None);
    let mut sink = StreamSink { out, counters, bytes: 0, failure: &failure };
    let mut output = Output::new(&mut sink, context);
    for (key, values) in partitions.into_iter().flatten() {
        let mut source = List { values, at: 0 };
        let mut values = Values::new(&mut source);
        super::guard::call(|| app.reduce(&key, &mut values, &mut output)).map_err(|text| Failure::App(at_key(&text, &key)))?;
        if values.met_bad_value() {
            return Err(Failure::App(at_key("a value is none of the app's type", &key)));
        }
        failure.take().map_or(Ok(()), Err).map_err(unwritable)?;
    }
    output.flush();
    failure.take().map_or_else(|| sink.out.flush(), Err).map_err(unwritable)?;
    Ok(sink.bytes)
}

pub(super) fn unwritable(error: io::Error) -> Failure {
    Failure::Disk(Error::new(ErrorKind::Io, "cannot write the result").because(error))
}

/// All pairs, by partition and key.
struct Tables<'a, A: App> {
    app: &'a A,
    context: &'a Context,
    ranges: Option<RangeTable>,
    partitions: Vec<Keys>,
    n_pairs: u64,
    counters: Counters,
}

impl<A: App> Emit<A::Value> for Tables<'_, A> {
    fn emit(&mut self, key: &[u8], value: &A::Value) {
        self.n_pairs += 1;
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        let parts = self.partitions.len() as u32;
        let partition = self.ranges.as_ref().map_or_else(|| self.app.partition(key, parts), |ranges| ranges.partition(key)) as usize;
        assert!(partition < self.partitions.len(), "the app's partition() answered {partition}, and there are {}", self.partitions.len());
        self.partitions[partition].entry(key.to_vec()).or_default().push(bytes);
    }

    fn count(&mut self, counter: &str, n: u64) {
        counters::add(&mut self.counters, counter, n);
    }

    fn context(&self) -> &Context {
        self.context
    }
}

struct List {
    values: Vec<Vec<u8>>,
    at: usize,
}

impl ValueSource for List {
    fn next_value(&mut self) -> Option<&[u8]> {
        let value = self.values.get(self.at)?;
        self.at += 1;
        Some(value)
    }
}

/// The app's way to the stream; the first write error is kept for the loop that watches over it.
struct StreamSink<'a> {
    out: &'a mut dyn Write,
    counters: &'a mut Counters,
    bytes: u64,
    failure: &'a Cell<Option<io::Error>>,
}

impl Sink for StreamSink<'_> {
    fn take(&mut self, block: &[u8]) {
        self.bytes += block.len() as u64;
        if let Err(error) = self.out.write_all(block) {
            self.failure.set(Some(error));
        }
    }

    fn count(&mut self, counter: &str, n: u64) {
        counters::add(self.counters, counter, n);
    }
}
