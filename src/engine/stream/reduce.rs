//! One reduce attempt: its partition of all maps' pairs, merged as they are read, through the reducer into the output file.
//!
//! Contract: as of any reduce (see `engine/reduce.rs`): a damaged input never reaches the output, and what a command says is believed only where all inputs verify. What it does
//! not read is not read here either.

use super::child::{Child, Role};
use super::complaints::Complaints;
use super::map_only::Written;
use super::places::Place;
use super::report::Report;
use super::{Stream, Words};
use crate::app::ValueSource;
use crate::control::Cancelled;
use crate::data::{Failure, Made, ShuffleForm};
use crate::engine::draw::Draw;
use crate::engine::output::OutputFile;
use crate::engine::reduce::{failure_of, finish, gather};
use crate::engine::reduce_runs::{Inputs, Stop};
use crate::engine::{ReduceWork, counters};

/// Runs one reduce attempt.
pub(super) fn run(stream: &Stream, work: &ReduceWork<'_>) -> Result<Made, Failure> {
    let reducer = stream.reducer.as_ref().ok_or_else(|| Failure::App("the job has no reducer".to_owned()))?;
    match work.form {
        ShuffleForm::Run => merged(stream, reducer, work).or_else(|stop| Err(failure_of(work, stop)?)),
        ShuffleForm::Json => gathered(stream, reducer, work),
    }
}

fn merged(stream: &Stream, reducer: &Words, work: &ReduceWork<'_>) -> Result<Made, Stop> {
    let mut inputs = Inputs::open(&super::Pairs, work)?;
    let file = OutputFile::create(&work.output)?;
    let (mut out, mut report) = (Written(&file), Report::new(Complaints::at(work.stderr)));
    let place = Place { context: work.context, piece: None };
    let mut child = Child::start(stream, (Role::Reducer, reducer), &place, work.control, &mut out, &mut report)?;
    let (mut draw, mut key, mut takes_more) = (Draw::of(inputs.bytes), Vec::new(), true);
    while takes_more && inputs.next_key(&mut key) {
        work.control.step().map_err(|Cancelled| Failure::Cancelled)?;
        draw.keys += 1;
        let mut group = inputs.group(&key, work.control);
        while takes_more && let Some(value) = group.next_value() {
            takes_more = child.pair(&key, value)?;
        }
        let (values, stop) = (group.n_pairs, group.take_stop());
        draw.group(&key, values);
        stop.map_or(Ok(()), Err)?;
    }
    child.finish()?;
    let mut made = finish(file, work, &draw)?;
    let rare = [(counters::MERGE_PASSES, inputs.passes), (counters::BAD_BLOCKS, inputs.bad_blocks())];
    counters::add_some(&mut made.counters, &rare);
    report.add_to(&mut made.counters)?;
    Ok(made)
}

fn gathered(stream: &Stream, reducer: &Words, work: &ReduceWork<'_>) -> Result<Made, Failure> {
    let mut groups = gather(work)?;
    let file = OutputFile::create(&work.output)?;
    let (mut out, mut report) = (Written(&file), Report::new(Complaints::at(work.stderr)));
    let place = Place { context: work.context, piece: None };
    let mut child = Child::start(stream, (Role::Reducer, reducer), &place, work.control, &mut out, &mut report)?;
    let bytes = work.inputs.iter().map(|input| input.file.len).fold(0, u64::saturating_add);
    let (mut draw, mut takes_more) = (Draw::of(bytes), true);
    groups.for_each(work.control, |key, group| {
        draw.keys += u64::from(takes_more);
        let mut values = 0;
        while takes_more && let Some(value) = group.next_value() {
            values += 1;
            takes_more = child.pair(key, value)?;
        }
        draw.group(key, values);
        group.cancelled.map_or(Ok(()), |Cancelled| Err(Failure::Cancelled))
    })?;
    child.finish()?;
    let mut made = finish(file, work, &draw)?;
    report.add_to(&mut made.counters)?;
    Ok(made)
}
