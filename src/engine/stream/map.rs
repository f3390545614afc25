//! One map attempt: each file of the split through a mapper of its own, its lines to pairs, those through the combiner if there is one, and into the shuffle data.

use super::child::{Child, Lines, Role, Take};
use super::combine::{Combining, Onward};
use super::complaints::Complaints;
use super::places::Place;
use super::report::Report;
use super::{Pairs, Stream, line_bytes_max, map_only};
use crate::app::{Context, Emit, Unit};
use crate::control::Control;
use crate::data::{Counters, Failure, Made, Piece, ShuffleForm, Split};
use crate::engine::emitter::Emitter;
use crate::engine::reader::{Reader, Tally};
use crate::engine::{Budget, MapWork, counters, map};

/// Runs one map attempt.
pub(super) fn run(stream: &Stream, work: &MapWork<'_>) -> Result<Made, Failure> {
    if let Some(target) = work.output {
        return map_only::run(stream, work, target);
    }
    // What waits for the combiner, and what comes from it, share the memory.
    let memory = if stream.combiner.is_some() { work.budget.memory / 2 } else { work.budget.memory };
    let work = &MapWork { budget: Budget { memory, ..work.budget }, ..*work };
    match work.form {
        ShuffleForm::Run => {
            let mut emitter = Emitter::new(&Pairs, work);
            let (tally, report) = emit_all(stream, work, &mut |key, value| {
                emitter.emit(key, value);
                emitter.take_fault().map_or(Ok(()), Err)
            })?;
            let (file, counters) = emitter.finish()?;
            let bytes = file.as_ref().map_or(0, |file| file.len);
            made(file.into_iter().collect(), counters, bytes, tally, report)
        }
        ShuffleForm::Json => {
            let mut pairs = map::Pairs::new(&Pairs, work.context, work.partitions);
            let (tally, report) = emit_all(stream, work, &mut |key, value| {
                pairs.emit(key, value);
                Ok(())
            })?;
            let (files, counters) = pairs.write(work)?;
            let bytes = files.iter().map(|file| file.len).sum();
            made(files, counters, bytes, tally, report)
        }
    }
}

fn made(files: Vec<crate::data::FileSum>, mut counters: Counters, bytes: u64, tally: Tally, report: Report) -> Result<Made, Failure> {
    counters::add_read(&mut counters, tally);
    counters::add(&mut counters, counters::SHUFFLE_BYTES, bytes);
    report.add_to(&mut counters)?;
    Ok(Made { files, counters, ..Made::default() })
}

/// Calls `emit` with every pair that the mapper, or the combiner after it, makes of the split.
fn emit_all(stream: &Stream, work: &MapWork<'_>, emit: Onward<'_>) -> Result<(Tally, Report), Failure> {
    let complaints = Complaints::at(work.stderr);
    let (mut report, mut tally) = (Report::new(complaints.clone()), Tally::default());
    let mut combining = stream.combiner.as_ref().map(|words| Combining::new(stream, words, work, Report::new(complaints)));
    let mut reader = map::reader(Unit::Blocks, work);
    let max = line_bytes_max(work.budget.memory);
    for piece in &work.split.pieces {
        let mut lines = Lines::new(max, |key: &[u8], value: &[u8]| match &mut combining {
            Some(combining) => combining.push(key, value, emit),
            None => emit(key, value),
        });
        let seen = map_piece(stream, piece, &mut reader, (work.context, work.control), &mut lines, &mut report)?;
        tally.records += seen.records;
        tally.bytes += seen.bytes;
    }
    if let Some(mut combining) = combining {
        combining.combine(emit)?;
        combining.add_to(&mut report);
    }
    Ok((tally, report))
}

/// One piece of a file through a mapper.
pub(super) fn map_piece(
    stream: &Stream,
    piece: &Piece,
    reader: &mut Reader<'_>,
    (context, control): (&Context, &Control),
    lines: &mut dyn Take,
    report: &mut Report,
) -> Result<Tally, Failure> {
    let place = Place { context, piece: Some(piece) };
    let mut child = Child::start(stream, (Role::Mapper, &stream.mapper), &place, control, lines, report)?;
    let (mut tally, mut enough) = (Tally::default(), false);
    let read = reader.read(&Split { pieces: vec![piece.clone()] }, &mut |record| {
        let unended = !record.bytes.ends_with(b"\n");
        tally.records += memchr::memchr_iter(b'\n', record.bytes).count() as u64 + u64::from(unended);
        tally.bytes += record.bytes.len() as u64;
        let takes_more = child.feed(record.bytes)? && (!unended || child.feed(b"\n")?);
        enough = !takes_more;
        // It will not read the rest, so nobody need.
        if enough { Err(Failure::Cancelled) } else { Ok(()) }
    });
    match read {
        Err(Failure::Cancelled) if enough => {}
        read => _ = read?,
    }
    child.finish().map_err(|failure| at_piece(failure, piece))?;
    Ok(tally)
}

#[cold]
fn at_piece(failure: Failure, piece: &Piece) -> Failure {
    match failure {
        Failure::App(text) if piece.from > 0 => Failure::App(format!("on input {} from byte {}: {text}", piece.name, piece.from)),
        Failure::App(text) => Failure::App(format!("on input {}: {text}", piece.name)),
        other => other,
    }
}
