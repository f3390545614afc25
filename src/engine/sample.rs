//! A sample of a job's keys, from which ranges are made: `map` is run on records from evenly spaced places of the input, and the keys it emits are kept.
//!
//! Contract: the same files, app and number of partitions give the same ranges, whoever plans; so the oracle has the ranges of the job. What is read is bounded: some 32 KiB (at
//! least one record) at each place, at 64 to 2048 places. A small input is read whole, so its ranges are exact.
//!
//! Limits: of a packed file only the beginning is looked at, for as many places as fall into it; whole-file records up to 64 MiB in all. Keys are
//! cut to 1 KiB. A record that the app refuses is passed over: the task that reads it will say so.

use std::path::Path;

use super::reader::Reader;
use super::run::PAIR_BYTES_MAX;
use super::unpack::Packing;
use crate::app::{App, Context, Emit, JobFacts, Partitioning, Record, Unit, Value};
use crate::control::Control;
use crate::data::{Failure, Piece, Split};
use crate::ids::TaskId;
use crate::partition::RangeTable;

/// Read at each place.
const PLACE_BYTES: u64 = 32 << 10;
/// How far a record's beginning is looked for at a place.
const SEARCH_BYTES: u64 = 1 << 20;
/// Whole-file records are read up to this many bytes in all.
const FILES_BYTES_MAX: u64 = 64 << 20;
/// Places in the whole input: eight per partition, and never more than this, for each is a seek.
const PLACES_MAX: u64 = 2048;
const PLACES_MIN: u64 = 64;
/// Files looked at for one place, where they are tiny.
const PLACE_FILES_MAX: usize = 32;
/// Keys kept of one place.
const PLACE_KEYS_MAX: usize = 1024;
/// Kept of a key.
const KEY_BYTES_MAX: usize = 1024;

/// The ranges of `app`'s keys over these whole files; `None` where it does not ask for any.
pub(super) fn ranges<A: App>(app: &A, files: &[Piece], base: &Path, partitions: u32) -> Result<Option<RangeTable>, Failure> {
    match app.partitioning() {
        Partitioning::Hash => Ok(None),
        Partitioning::Range if partitions <= 1 => Ok(Some(RangeTable::of_sample(Vec::new(), 1))),
        Partitioning::Range => Ok(Some(RangeTable::of_sample(keys(app, files, base, partitions)?, partitions))),
    }
}

fn keys<A: App>(app: &A, files: &[Piece], base: &Path, partitions: u32) -> Result<Vec<Vec<u8>>, Failure> {
    let context = Context { job_dir: base.to_owned(), attempt: TaskId::map(0).attempt(1), job: JobFacts::default() };
    let control = Control::default();
    // Whether a line is too long is for the tasks to say: how much memory they have is not known here.
    let mut reader = Reader::new(base, app.unit(), &control).with_block_bytes(PLACE_BYTES as usize).with_line_bytes_max(PAIR_BYTES_MAX);
    let mut all = Vec::new();
    for place in places(files, app.unit(), (8 * u64::from(partitions)).clamp(PLACES_MIN, PLACES_MAX)) {
        let mut found = Keys { keys: Vec::new(), context: &context };
        let until = place.piece.from.saturating_add(place.bytes);
        let split = Split { pieces: vec![place.piece] };
        // The reader stops where it is told to cancel; any other failure is the input's.
        let read = reader.read(&split, &mut |record| {
            if record.offset >= until && !found.keys.is_empty() {
                return Err(Failure::Cancelled);
            }
            sample_record(app, record, &mut found);
            Ok(())
        });
        match read {
            Ok(_) | Err(Failure::Cancelled) => {}
            Err(failure) => return Err(failure),
        }
        let n_places = usize::try_from(place.bytes.div_ceil(PLACE_BYTES)).unwrap_or(1);
        let step = found.keys.len().div_ceil(PLACE_KEYS_MAX * n_places).max(1);
        all.extend(found.keys.into_iter().step_by(step));
    }
    Ok(all)
}

fn sample_record<A: App>(app: &A, record: Record<'_>, found: &mut Keys<'_>) {
    let n = found.keys.len();
    if super::guard::call(|| app.map(record, found)).is_err() {
        found.keys.truncate(n);
    }
}

/// Where a sample is taken: from a piece's beginning, about so many bytes of content.
struct Place {
    piece: Piece,
    bytes: u64,
}

fn places(files: &[Piece], unit: Unit, n: u64) -> Vec<Place> {
    let mut left = FILES_BYTES_MAX;
    let takes = takes(files, n);
    let of_one_file = takes.chunk_by(|a, b| a.file == b.file);
    let mut places = Vec::new();
    for takes in of_one_file {
        let file = &files[takes[0].file];
        if unit == Unit::Files {
            if file.len <= left {
                left -= file.len;
                places.push(Place { piece: file.clone(), bytes: file.len });
            }
        } else if Packing::of(&file.name) == Packing::Plain {
            places.extend(takes.iter().map(|take| {
                let to = (take.from + take.bytes.max(SEARCH_BYTES)).min(file.len);
                Place { piece: Piece { from: take.from, to, ..file.clone() }, bytes: take.bytes }
            }));
        } else {
            places.push(Place { piece: file.clone(), bytes: takes.iter().map(|take| take.bytes).sum() });
        }
    }
    places
}

/// A part of one file that is to be read.
struct Take {
    file: usize,
    from: u64,
    bytes: u64,
}

/// The first bytes of each of `n` equal parts of the input, as if the files were one; all of it where that is no more.
fn takes(files: &[Piece], n: u64) -> Vec<Take> {
    let total: u64 = files.iter().map(|file| file.len).sum();
    let step = total.div_ceil(n).max(PLACE_BYTES);
    let mut takes = Vec::new();
    let (mut file, mut start) = (0, 0);
    for part in 0..total.div_ceil(step) {
        let (mut at, mut left, mut n_files) = (part * step, PLACE_BYTES, 0);
        while at < total && left > 0 && n_files < PLACE_FILES_MAX {
            while start + files[file].len <= at {
                start += files[file].len;
                file += 1;
            }
            let bytes = left.min(start + files[file].len - at);
            takes.push(Take { file, from: at - start, bytes });
            (at, left, n_files) = (at + bytes, left - bytes, n_files + 1);
        }
    }
    takes
}

/// Keeps the keys of what is emitted.
struct Keys<'a> {
    keys: Vec<Vec<u8>>,
    context: &'a Context,
}

impl<V: Value + ?Sized> Emit<V> for Keys<'_> {
    fn emit(&mut self, key: &[u8], _: &V) {
        self.keys.push(key[..key.len().min(KEY_BYTES_MAX)].to_vec());
    }

    fn count(&mut self, _: &str, _: u64) {}

    fn context(&self) -> &Context {
        self.context
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::app::{AppResult, Output, Values};
    use crate::engine::fixture::{Bench, Random, gzip, input_file, piece_of, zstd};
    use crate::engine::split::{SplitRule, plan_splits};

    /// Sorts lines; refuses one.
    struct Lines {
        unit: Unit,
    }

    impl App for Lines {
        type Value = [u8];

        fn unit(&self) -> Unit {
            self.unit
        }

        fn partitioning(&self) -> Partitioning {
            Partitioning::Range
        }

        fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
            for line in record.bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                out.emit(line, b"");
            }
            if record.bytes == b"bad" { Err("bad".into()) } else { Ok(()) }
        }

        fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
            while values.next().is_some() {
                out.pair(key, &b""[..]);
            }
            Ok(())
        }
    }

    fn random_lines(n: usize, width: usize) -> Vec<u8> {
        let mut random = Random(3);
        (0..n).flat_map(|_| format!("{:016x}{}\n", random.next(), "-".repeat(width)).into_bytes()).collect()
    }

    #[test]
    fn random_keys_are_dealt_out_evenly_however_they_are_packed_and_read() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (text, parts) = (random_lines(60_000, 60), 10);
        let half = text.len() / 2 - text.len() / 2 % 77;
        for (name, bytes) in
            [("plain", text.clone()), ("x.gz", [gzip(&text[..half]), gzip(&text[half..])].concat()), ("x.zst", zstd(&text))]
        {
            let file = input_file(dir.path(), name, &bytes);
            for unit in [Unit::Lines, Unit::Blocks, Unit::Files] {
                let ranges =
                    ranges(&Lines { unit }, &[piece_of(&file, 0, file.len)], dir.path(), parts).expect("readable").expect("asked for");
                let mut seen = vec![0; parts as usize];
                text.split(|&byte| byte == b'\n').for_each(|line| seen[ranges.partition(line) as usize] += 1);
                let most = seen.iter().max().expect("ten");
                assert!(*most * 10 <= 60_000 * 5 / 4, "{name} by {unit:?}: {seen:?}");
            }
        }
    }

    #[test]
    fn a_small_input_is_read_whole_whatever_the_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let names: Vec<String> = (0..40).map(|n| format!("f{n}")).collect();
        let files: Vec<_> = names.iter().map(|name| input_file(dir.path(), name, format!("{name}\nbad\n").as_bytes())).collect();
        let pieces: Vec<_> = files.iter().map(|file| piece_of(file, 0, file.len)).collect();
        let found = keys(&Lines { unit: Unit::Lines }, &pieces, dir.path(), 4).expect("readable");
        let expected: Vec<_> = names[..PLACE_FILES_MAX].iter().map(|name| name.clone().into_bytes()).collect();
        assert_eq!(found, expected, "a refused record leaves nothing, and files are many but not all");
        assert_eq!(
            ranges(&Lines { unit: Unit::Lines }, &[], dir.path(), 4).expect("nothing to read").expect("asked for").partition(b"x"),
            0
        );
    }

    #[test]
    fn lines_far_longer_than_a_place_are_found_too() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = input_file(dir.path(), "x", &random_lines(60, 200_000));
        let found = keys(&Lines { unit: Unit::Lines }, &[piece_of(&file, 0, file.len)], dir.path(), 4).expect("readable");
        assert!(found.len() >= 50 && found.iter().all(|key| key.len() == KEY_BYTES_MAX), "{} keys", found.len());
    }

    #[test]
    fn the_job_in_ranges_gives_the_oracles_bytes_in_order() {
        let (dir, control) = (tempfile::tempdir().expect("a temporary directory"), Control::default());
        let files = [input_file(dir.path(), "a", &random_lines(3000, 9)), input_file(dir.path(), "b", &random_lines(500, 0))];
        let app = Lines { unit: Unit::Lines };
        let pieces: Vec<_> = files.iter().map(|file| piece_of(file, 0, file.len)).collect();
        let ranges = ranges(&app, &pieces, dir.path(), 7).expect("readable");
        let job = Bench { partitions: 7, ranges, ..crate::engine::tests::bench(&app, dir.path(), &control) };
        let splits = plan_splits(&files, Unit::Lines, &SplitRule { bytes: 10_000, lines: None }).expect("planned");
        let (bytes, _) = job.run(&splits).expect("run");
        assert!(
            bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).is_sorted(),
            "the files one behind the other are sorted"
        );
        assert!(bytes == job.oracle(&files).expect("run").0, "the oracle has the same ranges");
        let largest = (0..7).map(|n| fs::metadata(dir.path().join(format!("out-{n}"))).expect("made").len()).max().expect("seven");
        assert!(largest * 7 <= bytes.len() as u64 * 3 / 2, "balanced");
    }
}
