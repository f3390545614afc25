//! One reduce attempt: its partition of every map task's shuffle data -> verified -> grouped -> the app -> the output file.
//!
//! Contract: a damaged input never reaches the output. One that is missing or differs is read a second time from a fresh open; all that are still wrong are
//! named at once, so that one round of map tasks mends them. What an app says is reported only if all inputs verify. Runs are merged as they are read
//! (`reduce_runs`); files of the readable form are read and verified whole before the app sees the first pair.
//!
//! On NFS: the fresh open asks the server again, so a stale attribute or a name not yet visible is not taken for damage.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::draw::Draw;
use super::group::Groups;
use super::output::OutputFile;
use super::reduce_runs::{self, Inputs, Stop};
use super::{ReduceWork, ShuffleInput, care, counters, shuffle_json, sum};
use crate::app::{App, Output, ValueSource, Values};
use crate::control::Cancelled;
use crate::data::{BadRecord, Failure, FileSum, Made, ShuffleForm};
use crate::error::Error;
use crate::partition::fingerprint;

/// Runs one reduce attempt of `app`.
pub(super) fn run<A: App>(app: &A, work: &ReduceWork<'_>) -> Result<Made, Failure> {
    match work.form {
        ShuffleForm::Json => reduce_groups(app, work),
        ShuffleForm::Run => reduce_merged(app, work).or_else(|stop| Err(failure_of(work, stop)?)),
    }
}

/// What to report, now that all inputs are looked through.
pub(super) fn failure_of(work: &ReduceWork<'_>, stop: Stop) -> Result<Failure, Failure> {
    match stop {
        Stop::Damaged(input) => Ok(Failure::Damaged(reduce_runs::damaged(work, Some(input))?)),
        Stop::Failure(failure @ (Failure::App(_) | Failure::Record(_))) => {
            let names = reduce_runs::damaged(work, None)?;
            Ok(if names.is_empty() { failure } else { Failure::Damaged(names) })
        }
        Stop::Failure(failure) => Ok(failure),
    }
}

fn reduce_merged<A: App>(app: &A, work: &ReduceWork<'_>) -> Result<Made, Stop> {
    let mut inputs = Inputs::open(app, work)?;
    let (mut draw, mut key) = (Draw::of(inputs.bytes), Vec::new());
    let file = OutputFile::create(&work.output)?;
    let mut sink = file.sink();
    let mut out = Output::new(&mut sink, work.context);
    while inputs.next_key(&mut key) {
        work.control.step().map_err(|Cancelled| Failure::Cancelled)?;
        let mut group = inputs.group(&key, work.control);
        if admits(work, &key) {
            draw.keys += 1;
            let called = call(app, &key, &mut group, &mut out);
            // The app saw a key's values end early: whatever it made of that says nothing about the app.
            group.take_stop().map_or(Ok(()), Err)?;
            called?;
        }
        group.finish()?;
        let values = group.n_pairs;
        draw.group(&key, values);
        file.check()?;
    }
    out.flush();
    let mut made = finish(file, work, &draw)?;
    let rare = [(counters::MERGE_PASSES, inputs.passes), (counters::BAD_BLOCKS, inputs.bad_blocks())];
    counters::add_some(&mut made.counters, &rare);
    Ok(made)
}

fn reduce_groups<A: App>(app: &A, work: &ReduceWork<'_>) -> Result<Made, Failure> {
    let mut groups = gather(work)?;
    let mut draw = Draw::of(work.inputs.iter().map(|input| input.file.len).fold(0, u64::saturating_add));
    let file = OutputFile::create(&work.output)?;
    let mut sink = file.sink();
    let mut out = Output::new(&mut sink, work.context);
    groups.for_each(work.control, |key, group| {
        work.control.step().map_err(|Cancelled| Failure::Cancelled)?;
        draw.group(key, group.n_values());
        if !admits(work, key) {
            return Ok(());
        }
        draw.keys += 1;
        let called = call(app, key, group, &mut out);
        // As above: the values ended early.
        group.cancelled.map_or(Ok(()), |Cancelled| Err(Failure::Cancelled))?;
        called.and_then(|()| file.check())
    })?;
    out.flush();
    finish(file, work, &draw)
}

/// False if the key is to be passed over.
#[inline]
fn admits(work: &ReduceWork<'_>, key: &[u8]) -> bool {
    work.care.is_none_or(|care| care.admits(fingerprint(key), || care::place_of(key)))
}

pub(super) fn finish(file: OutputFile, work: &ReduceWork<'_>, draw: &Draw) -> Result<Made, Failure> {
    let skipped = care::skipped(work.care);
    let (described, mut counters) = work.control.at_disk(|| file.finish(&work.output))?;
    draw.add_to(&mut counters);
    counters::add_all(&mut counters, &[(counters::OUTPUT_BYTES, described.len)]);
    counters::add_some(&mut counters, &[(counters::KEYS_SKIPPED, skipped.len() as u64)]);
    Ok(Made { files: vec![described], counters, skipped, drawn: Some(Box::new(draw.told())), ..Made::default() })
}

/// Calls the app for one key; the caller looks first whether the values ended as they should.
fn call<A: App>(app: &A, key: &[u8], group: &mut dyn ValueSource, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut values = Values::new(group);
    let result = super::guard::call(|| app.reduce(key, &mut values, out));
    if values.met_bad_value() {
        let text = "a value in the shuffle data is none of the app's type; its map and reduce may be of different versions";
        return Err(Failure::App(at_key(text, key)));
    }
    result.map_err(|text| Failure::Record(BadRecord { spot: fingerprint(key), place: care::place_of(key), why: at_key(&text, key) }))
}

/// An app's message with the key it was about.
#[cold]
pub(super) fn at_key(text: &str, key: &[u8]) -> String {
    format!("{text} (in the key `{}`)", care::show_key(key))
}

pub(super) fn gather(work: &ReduceWork<'_>) -> Result<Groups, Failure> {
    let mut groups = Groups::default();
    let mut damaged: Vec<String> = Vec::new();
    for input in work.inputs {
        if work.control.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        match read_twice(&input.file, || read_fresh(work.shuffle_dir, &input.file))? {
            Some(bytes) if shuffle_json::read_pairs(&bytes, |key, value| groups.push(key, value)).is_ok() => {}
            _ => blame(&mut damaged, input),
        }
    }
    if damaged.is_empty() { Ok(groups) } else { Err(Failure::Damaged(damaged)) }
}

fn blame(damaged: &mut Vec<String>, input: &ShuffleInput) {
    if !damaged.contains(&input.attempt) {
        damaged.push(input.attempt.clone());
    }
}

/// The whole of a file, or `None` where two fresh reads did not give what was described.
fn read_twice(file: &FileSum, mut read: impl FnMut() -> Result<Option<Vec<u8>>, Failure>) -> Result<Option<Vec<u8>>, Failure> {
    for _ in 0..2 {
        match read()? {
            Some(bytes) if sum::is_whole(&bytes, file) => return Ok(Some(bytes)),
            Some(_) | None => {}
        }
    }
    Ok(None)
}

/// What a file holds, asked of the server anew; `None` if it is not there, is no plain file, or has another length: then nothing of it is read.
fn read_fresh(dir: &Path, file: &FileSum) -> Result<Option<Vec<u8>>, Failure> {
    use io::ErrorKind::{InvalidData, NotFound, StaleNetworkFileHandle};
    let path = dir.join(&file.name);
    let read = || -> io::Result<Vec<u8>> {
        let opened = sum::open_plain(&path)?;
        let mut bytes = Vec::new();
        if opened.metadata()?.len() == file.len {
            opened.take(file.len).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), InvalidData | NotFound | StaleNetworkFileHandle) => {
            // Opening the directory by path makes an NFS client forget a cached "no such name".
            let _ = fs::read_dir(dir);
            Ok(None)
        }
        // Any other error is of the mount or of this machine, and says nothing about the map attempt.
        Err(error) => Err(Failure::Disk(Error::io("cannot read shuffle file", &path, error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_as_damaged_only_after_two_fresh_reads() {
        let mut sum = sum::Sum::default();
        sum.update(b"whole");
        let file = sum.describe("x");
        let given = |answers: &[Option<&str>]| {
            let mut answers = answers.iter().map(|answer| answer.map(|text| text.as_bytes().to_vec()));
            read_twice(&file, || Ok(answers.next().expect("no third read"))).expect("no error")
        };
        for first in [None, Some("cut"), Some("w0ole")] {
            assert_eq!(given(&[first, Some("whole")]), Some(b"whole".to_vec()), "the second read was right: {first:?}");
            assert_eq!(given(&[first, first]), None, "both were wrong: {first:?}");
        }
    }
}
