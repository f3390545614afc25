//! The oracle: each file through a mapper, all pairs in memory, each partition through a reducer, in one thread. No combiner, no splits.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::child::{Child, Lines, Role, Take};
use super::map::map_piece;
use super::map_only::WholeLines;
use super::places::Place;
use super::report::Report;
use super::{Stream, line_bytes_max};
use crate::app::{Context, JobFacts, Unit};
use crate::control::Control;
use crate::data::{Counters, Failure, Split};
use crate::engine::counters;
use crate::engine::reader::Reader;
use crate::engine::sequential::unwritable;
use crate::ids::{AttemptId, TaskId};
use crate::partition::by_hash;

type Keys = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// What goes on as it comes.
struct Printed<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Take for &mut Printed<'_> {
    fn block(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.bytes += block.len() as u64;
        self.out.write_all(block).map_err(unwritable)
    }
}

/// Runs the commands over `files`, and writes what the reducers write, one partition after the other.
pub(super) fn run(stream: &Stream, files: &[Split], partitions: u32, out: &mut dyn Write) -> Result<Counters, Failure> {
    let cwd = std::env::current_dir().unwrap_or_default();
    let job = JobFacts { id: "sequential".to_owned(), cwd: cwd.clone(), reduces: if stream.reducer.is_some() { partitions } else { 0 } };
    let context = |attempt: AttemptId| Context { job_dir: cwd.clone(), attempt, job: job.clone() };
    let (control, mut report, mut counters) = (Control::default(), Report::default(), Counters::new());
    let mut printed = Printed { out, bytes: 0 };
    let mut keys = vec![Keys::new(); partitions.max(1) as usize];
    let mut reader = Reader::new(Path::new("/"), Unit::Blocks, &control);
    for (piece, number) in files.iter().flat_map(|file| &file.pieces).zip(0..) {
        let mut pairs = Lines::new(line_bytes_max(usize::MAX), |key: &[u8], value: &[u8]| {
            let partition = by_hash(key, partitions.max(1)) as usize;
            keys[partition].entry(key.to_vec()).or_default().push(value.to_vec());
            Ok(())
        });
        let mut lines = WholeLines::new(&mut printed);
        let take: &mut dyn Take = if stream.reducer.is_some() { &mut pairs } else { &mut lines };
        let context = context(TaskId::map(number).attempt(1));
        // A job makes no map task of nothing.
        if piece.len > 0 {
            let tally = map_piece(stream, piece, &mut reader, (&context, &control), take, &mut report)?;
            counters::add_read(&mut counters, tally);
        }
    }
    let reducer = stream.reducer.as_ref();
    for ((keys, number), reducer) in keys.into_iter().zip(0..).zip(reducer.into_iter().cycle()) {
        let context = context(TaskId::reduce(number).attempt(1));
        let (place, mut out) = (Place { context: &context, piece: None }, &mut printed);
        let mut child = Child::start(stream, (Role::Reducer, reducer), &place, &control, &mut out, &mut report)?;
        for (key, values) in keys {
            counters::add(&mut counters, counters::KEYS_IN, 1);
            counters::add_all(&mut counters, &[(counters::PAIRS_OUT, values.len() as u64), (counters::PAIRS_IN, values.len() as u64)]);
            for value in values {
                child.pair(&key, &value)?;
            }
        }
        child.finish()?;
    }
    counters::add(&mut counters, counters::OUTPUT_BYTES, printed.bytes);
    report.add_to(&mut counters)?;
    printed.out.flush().map_err(unwritable)?;
    Ok(counters)
}
