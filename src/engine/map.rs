//! One map attempt: split -> records -> the app -> pairs by partition (combined where the app can) -> shuffle data.
//!
//! Contract: every partition gets its part, also an empty one, except that nothing emitted makes no run at all; all files are complete and described when the call
//! returns, and none counts before the caller says so in the attempt's result. A deterministic app's shuffle files are the same bytes on every machine.
//!
//! As a run (see [`run`](super::run)) the pairs are sorted, within the memory budget. In the readable form they lie in the order of emission, combined ones in that of
//! their keys, and all pairs of one attempt are held in memory until its split is read.

use std::borrow::Borrow;
use std::collections::HashMap;

use super::draft::{Draft, Flush};
use super::emitter::{Emitter, no_partition};
use super::reader::Reader;
use super::{MapWork, care, counters, shuffle_json};
use crate::app::{App, Context, Emit, Record, Unit, Value};
use crate::data::{Counters, Failure, FileSum, Made, ShuffleForm};
use crate::partition::RangeTable;

/// Runs one map attempt of `app`.
pub(super) fn run<A: App>(app: &A, work: &MapWork<'_>) -> Result<Made, Failure> {
    match work.form {
        ShuffleForm::Run => run_to_run(app, work),
        ShuffleForm::Json => run_to_json(app, work),
    }
}

fn run_to_run<A: App>(app: &A, work: &MapWork<'_>) -> Result<Made, Failure> {
    let unit = app.unit();
    let mut emitter = Emitter::new(app, work);
    let tally = reader(unit, work).read(work.split, &mut |record| {
        let result = super::guard::call(|| app.map(record, &mut emitter));
        match (result, emitter.take_fault()) {
            (Ok(()), None) => Ok(()),
            (Err(text), None) => Err(care::failure_at(&text, unit, record, work.care)),
            // Also of earlier records, when memory was used up at this one.
            (_, Some(Failure::App(text))) => Err(Failure::App(at_record(&text, unit, record))),
            (_, Some(failure)) => Err(failure),
        }
    })?;
    let skipped = care::skipped(work.care);
    let (file, mut counters) = emitter.finish()?;
    let shuffle_bytes = file.as_ref().map_or(0, |file| file.len);
    counters::add_read(&mut counters, tally);
    counters::add_some(&mut counters, &[(counters::RECORDS_SKIPPED, skipped.len() as u64)]);
    counters::add(&mut counters, counters::SHUFFLE_BYTES, shuffle_bytes);
    Ok(Made { files: file.into_iter().collect(), counters, skipped, ..Made::default() })
}

fn run_to_json<A: App>(app: &A, work: &MapWork<'_>) -> Result<Made, Failure> {
    let unit = app.unit();
    let mut pairs = Pairs { ranges: work.ranges, ..Pairs::new(app, work.context, work.partitions) };
    let tally = reader(unit, work).read(work.split, &mut |record| {
        let result = super::guard::call(|| app.map(record, &mut pairs));
        match (result, pairs.fault.take()) {
            (Ok(()), None) => Ok(()),
            (Err(text), _) => Err(care::failure_at(&text, unit, record, work.care)),
            (Ok(()), Some(text)) => Err(Failure::App(at_record(&text, unit, record))),
        }
    })?;
    let skipped = care::skipped(work.care);
    let (files, mut counters) = pairs.write(work)?;
    counters::add_read(&mut counters, tally);
    counters::add(&mut counters, counters::SHUFFLE_BYTES, files.iter().map(|file| file.len).sum());
    counters::add_some(&mut counters, &[(counters::RECORDS_SKIPPED, skipped.len() as u64)]);
    Ok(Made { files, counters, skipped, ..Made::default() })
}

/// A line may take the memory budget, and what a slot may take beside it for reading.
pub(super) fn reader<'a>(unit: Unit, work: &MapWork<'a>) -> Reader<'a> {
    let reader = Reader::new(work.base, unit, work.control).with_block_bytes_for(work.split);
    reader.with_line_bytes_max(work.budget.memory.max(16 << 20)).with_care(work.care)
}

/// An app's message with the place of the record it was about.
#[cold]
pub(super) fn at_record(text: &str, unit: Unit, record: Record<'_>) -> String {
    match unit {
        Unit::Lines => format!("{text} (in the line at byte {} of {})", record.offset, record.file),
        Unit::Blocks => format!("{text} (in the lines from byte {} of {})", record.offset, record.file),
        Unit::Files => format!("{text} (in {})", record.file),
    }
}

fn write_file(work: &MapWork<'_>, partition: usize, text: &[u8]) -> Result<FileSum, Failure> {
    let mut draft = Draft::create(work.shuffle_dir)?;
    draft.write(text)?;
    let flush = if work.sync { Flush::ToDisk } else { Flush::ToCache };
    let target = work.shuffle_dir.join(format!("{}-{partition:05}.json", work.name));
    work.control.at_disk(|| draft.finish(&target, flush))
}

/// A combined value and the partition of its key, which is asked for once per key.
struct Total<V> {
    partition: u32,
    value: V,
}

/// What the app emitted so far. One of `texts` and `totals` is used: it is the app's constant that decides.
pub(super) struct Pairs<'a, A: App> {
    app: &'a A,
    context: &'a Context,
    ranges: Option<&'a RangeTable>,
    /// One per partition, in its final form.
    texts: Vec<Vec<u8>>,
    totals: HashMap<Box<[u8]>, Total<<A::Value as ToOwned>::Owned>>,
    /// The bytes of the value at hand.
    scratch: Vec<u8>,
    counters: Counters,
    n_pairs: u64,
    /// What is wrong with what the app emitted; `emit` cannot return it.
    fault: Option<String>,
}

impl<'a, A: App> Pairs<'a, A> {
    pub(super) fn new(app: &'a A, context: &'a Context, partitions: u32) -> Pairs<'a, A> {
        let texts = vec![Vec::new(); partitions.max(1) as usize];
        Pairs {
            app,
            context,
            ranges: None,
            texts,
            totals: HashMap::new(),
            scratch: Vec::new(),
            counters: Counters::new(),
            n_pairs: 0,
            fault: None,
        }
    }

    fn partition(&mut self, key: &[u8]) -> Option<u32> {
        let parts = self.texts.len() as u32;
        let partition = self.ranges.map_or_else(|| self.app.partition(key, parts), |ranges| ranges.partition(key));
        if partition < parts {
            return Some(partition);
        }
        if let Failure::App(text) = no_partition(key, partition, parts) {
            self.fault = Some(text);
        }
        None
    }

    /// Writes the files; the counters say how many pairs there were.
    pub(super) fn write(self, work: &MapWork<'_>) -> Result<(Vec<FileSum>, Counters), Failure> {
        let n_pairs = self.n_pairs;
        let (texts, n_shuffled, mut counters) = self.finish();
        let mut files = Vec::with_capacity(texts.len());
        for (partition, text) in texts.iter().enumerate() {
            if work.control.is_cancelled() {
                return Err(Failure::Cancelled);
            }
            files.push(write_file(work, partition, text)?);
        }
        counters::add_all(&mut counters, &[(counters::PAIRS_OUT, n_pairs), (counters::PAIRS_SHUFFLED, n_shuffled)]);
        Ok((files, counters))
    }

    /// The files' contents, how many pairs they hold, and the app's counters.
    fn finish(mut self) -> (Vec<Vec<u8>>, u64, Counters) {
        if !A::COMBINES {
            return (self.texts, self.n_pairs, self.counters);
        }
        let mut totals: Vec<_> = self.totals.into_iter().collect();
        totals.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (key, total) in &totals {
            self.scratch.clear();
            total.value.borrow().write(&mut self.scratch);
            shuffle_json::write_pair(&mut self.texts[total.partition as usize], key, &self.scratch);
        }
        (self.texts, totals.len() as u64, self.counters)
    }
}

impl<A: App> Emit<A::Value> for Pairs<'_, A> {
    fn emit(&mut self, key: &[u8], value: &A::Value) {
        self.n_pairs += 1;
        if A::COMBINES {
            if let Some(total) = self.totals.get_mut(key) {
                self.app.combine(&mut total.value, value);
            } else if let Some(partition) = self.partition(key) {
                self.totals.insert(key.into(), Total { partition, value: value.to_owned() });
            }
        } else if let Some(partition) = self.partition(key) {
            self.scratch.clear();
            value.write(&mut self.scratch);
            shuffle_json::write_pair(&mut self.texts[partition as usize], key, &self.scratch);
        }
    }

    fn count(&mut self, counter: &str, n: u64) {
        counters::add(&mut self.counters, counter, n);
    }

    fn context(&self) -> &Context {
        self.context
    }
}
