//! The whole data plane against the oracle, and every way an attempt can fail.

use std::fs;
use std::io::{self, Write};

use super::fixture::{Bench, Random, input_file, piece_of};
use super::split::{SplitRule, plan_splits};
use super::*;
use crate::app::{App, AppResult, Emit, Output, Record, Values};
use crate::data::Piece;
use crate::error::ErrorKind;

/// Emits every byte run between spaces with its place; `reduce` prints key and values in order, so any lost or reordered pair shows.
pub(super) struct Places {
    pub(super) unit: Unit,
}

impl App for Places {
    type Value = [u8];

    fn unit(&self) -> Unit {
        self.unit
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        for (n, word) in record.bytes.split(|&byte| byte == b' ').enumerate() {
            let mut value = format!("{}:{}:{n}:", record.file, record.offset).into_bytes();
            value.extend_from_slice(word);
            out.emit(word, &value[..]);
        }
        out.count("seen", record.bytes.len() as u64);
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        out.write(key);
        while let Some(value) = values.next() {
            out.write(b"|");
            out.write(value);
        }
        out.write(b"\n");
        out.count("reduced", 1);
        Ok(())
    }
}

/// Word count, combining.
pub(super) struct Count;

impl App for Count {
    type Value = u64;
    const COMBINES: bool = true;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        for word in record.bytes.split(|&byte| byte == b' ') {
            out.emit(word, &1);
        }
        Ok(())
    }

    fn combine(&self, total: &mut u64, next: &u64) {
        *total += next;
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        let mut sum = 0;
        while let Some(n) = values.next() {
            sum += n;
        }
        out.pair(key, &sum);
        Ok(())
    }
}

/// Misbehaves as the record or key says.
pub(super) struct Naughty;

impl App for Naughty {
    type Value = str;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        match record.bytes {
            b"error" => return Err("bad line".into()),
            b"panic" => panic!("at the {}", "disco"),
            b"notext" => out.emit(b"notext", "x"),
            bytes => out.emit(bytes, "x"),
        }
        Ok(())
    }

    fn reduce(&self, key: &[u8], _: &mut Values<'_, str>, _: &mut Output<'_>) -> AppResult {
        match key {
            b"reduce error" => Err("bad key".into()),
            b"reduce panic" => panic!("{}", 42),
            _ => Ok(()),
        }
    }

    fn partition(&self, key: &[u8], parts: u32) -> u32 {
        if key == b"nowhere" { parts } else { 0 }
    }
}

pub(super) fn temp() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

pub(super) fn bench<'a>(app: &'a dyn AnyApp, dir: &'a Path, control: &'a Control) -> Bench<'a> {
    Bench { app, dir, partitions: 3, ranges: None, form: ShuffleForm::Json, budget: Budget::new(1 << 20), control, care: None }
}

pub(super) fn whole(file: &input::InputFile) -> Split {
    Split { pieces: vec![piece_of(file, 0, file.len)] }
}

#[test]
fn any_input_however_split_gives_the_oracles_bytes() {
    let control = Control::default();
    let mut random = Random(11);
    let lines = Places { unit: Unit::Lines };
    let files = Places { unit: Unit::Files };
    for round in 0..60u64 {
        let dir = temp();
        let n_files = 1 + random.below(4);
        let inputs: Vec<_> = (0..n_files)
            .map(|n| {
                let bytes: Vec<u8> = (0..random.below(80)).map(|_| *random.pick(b"ab  \n\r\xff\x00\"\xc3\xa9")).collect();
                input_file(dir.path(), &format!("f{n}"), &bytes)
            })
            .collect();
        let app: &dyn AnyApp = *random.pick(&[&lines as &dyn AnyApp, &files, &Count]);
        let rule = SplitRule { bytes: 1 + random.below(40), lines: (round % 3 == 0).then(|| 1 + random.below(3)) };
        let splits = plan_splits(&inputs, app.unit(), &rule).expect("planned");
        let job = Bench { app, dir: dir.path(), partitions: 1 + random.below(5) as u32, ..bench(app, dir.path(), &control) };
        let (bytes, mut counters) = job.run(&splits).expect("run");
        let (expected, oracle_counters) = job.oracle(&inputs).expect("run");
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string(), "round {round}, {rule:?}");
        for name in [counters::PAIRS_SHUFFLED, counters::SHUFFLE_BYTES] {
            counters.remove(name);
        }
        counters.insert(counters::PAIRS_IN.into(), oracle_counters[counters::PAIRS_IN]);
        let nonzero = |counters: Counters| counters.into_iter().filter(|(_, n)| *n > 0).collect::<Counters>();
        assert_eq!(nonzero(counters), nonzero(oracle_counters), "round {round}: only combining and the shuffle count differently");
    }
}

#[test]
fn a_map_leaves_one_described_file_per_partition_and_nothing_else() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a a b\n");
    let job = bench(&Count, dir.path(), &control);
    let made = job.map(4, &whole(&file)).expect("run");
    let names: Vec<_> = made.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["map-4-00000.json", "map-4-00001.json", "map-4-00002.json"]);
    for file in &made.files {
        let bytes = fs::read(dir.path().join("shuffle").join(&file.name)).expect("written");
        assert!(sum::is_whole(&bytes, file), "{} is as described", file.name);
    }
    assert_eq!(fs::read_dir(dir.path().join("shuffle")).expect("readable").count(), 3, "no draft is left");
    let expected = [("bytes in", 6), ("pairs out", 3), ("pairs shuffled", 2), ("records in", 1), ("shuffle bytes", 48)];
    assert_eq!(made.counters, expected.map(|(name, n)| (name.to_owned(), n)).into());
}

#[test]
fn damaged_and_missing_shuffle_files_are_all_named() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a b c d e f g h\n");
    let job = bench(&Count, dir.path(), &control);
    let mut maps: Vec<_> = (0..5).map(|n| job.map(n, &whole(&file)).expect("run")).collect();
    let path = |n: usize| dir.path().join("shuffle").join(&maps[n].files[1].name);
    let mut bytes = fs::read(path(1)).expect("there");
    bytes[9] ^= 1;
    fs::write(path(1), &bytes).expect("damaged");
    fs::remove_file(path(2)).expect("removed");
    bytes.pop();
    fs::write(path(4), &bytes).expect("cut off");
    let Err(Failure::Damaged(named)) = job.reduce(1, &maps) else { panic!("damage is found") };
    assert_eq!(named, ["map-1", "map-2", "map-4"]);
    assert!(dir.path().join("out-1").metadata().is_err(), "and nothing is written");
    job.reduce(0, &maps).expect("another partition is whole");

    fs::write(path(3), b"{}\n").expect("written");
    maps[3].files[1] = {
        let mut sum = sum::Sum::default();
        sum.update(b"{}\n");
        sum.describe(&maps[3].files[1].name)
    };
    let Err(Failure::Damaged(named)) = job.reduce(1, &maps) else { panic!("damage is found") };
    assert_eq!(named, ["map-1", "map-2", "map-3", "map-4"], "what has its checksum and is no pair, too");
}

#[test]
fn what_the_app_says_reaches_the_failure_with_its_place() {
    let (dir, control) = (temp(), Control::default());
    let job = bench(&Naughty, dir.path(), &control);
    for (line, expected) in [
        ("error", "bad line (in the line at byte 3 of x)"),
        ("panic", "panicked: at the disco (in the line at byte 3 of x)"),
        (
            "nowhere",
            "the app's partition() answered 3, and there are 3, counted from 0 (in the key `nowhere`) (in the line at byte 3 of x)",
        ),
        ("reduce error", "bad key (in the key `reduce error`)"),
        ("reduce panic", "panicked: 42 (in the key `reduce panic`)"),
    ] {
        let file = input_file(dir.path(), "x", format!("ok\n{line}\n").as_bytes());
        let text = match job.run(&[whole(&file)]) {
            Err(Failure::Record(bad)) if line != "nowhere" => bad.why,
            Err(Failure::App(text)) if line == "nowhere" => text,
            _ => panic!("{line} fails the attempt"),
        };
        assert_eq!(text, expected);
        let Err(Failure::App(text)) = job.oracle(std::slice::from_ref(&file)) else { panic!("{line} fails the oracle") };
        assert!(text == expected || line == "nowhere", "the oracle says the same: {text}");
    }
}

#[test]
fn a_value_of_another_type_fails_the_attempt_clearly() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a\n");
    let maps = [bench(&Naughty, dir.path(), &control).map(0, &whole(&file)).expect("run")];
    let Err(Failure::App(text)) = bench(&Count, dir.path(), &control).reduce(0, &maps) else { panic!("x is no number") };
    assert!(text.starts_with("a value in the shuffle data is none of the app's type; ") && text.ends_with("(in the key `a`)"), "{text}");
}

#[test]
fn a_cancelled_attempt_makes_nothing() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a\n");
    let job = bench(&Count, dir.path(), &control);
    let maps = [job.map(0, &whole(&file)).expect("run")];
    control.cancel();
    assert!(matches!(job.map(1, &whole(&file)), Err(Failure::Cancelled)));
    assert!(matches!(job.reduce(0, &maps), Err(Failure::Cancelled)));
    assert!(dir.path().join("out-0").metadata().is_err(), "no output");
}

#[test]
fn a_changed_input_fails_the_attempt_as_an_input() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a\n");
    let piece = Piece { mtime_ns: 1, ..piece_of(&file, 0, 2) };
    let Err(Failure::Input(text)) = bench(&Count, dir.path(), &control).map(0, &Split { pieces: vec![piece] }) else { panic!("refused") };
    assert!(text.starts_with("input x changed since the job was planned"), "{text}");
}

#[test]
fn a_directory_that_is_gone_is_a_failure_of_the_disk() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a\n");
    let job = bench(&Count, dir.path(), &control);
    let maps = [job.map(0, &whole(&file)).expect("run")];
    fs::create_dir(dir.path().join("out-0")).expect("in the way");
    let Err(Failure::Disk(error)) = (0..3).map(|p| job.reduce(p, &maps)).find(Result::is_err).expect("one fails") else {
        panic!("the disk")
    };
    assert!(error.to_string().starts_with("cannot rename a finished file to "), "{error}");
}

#[test]
fn a_closed_pipe_is_told_by_its_kind() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = temp();
    let file = input_file(dir.path(), "x", b"a\n");
    let Err(Failure::Disk(error)) = Count.run_sequential(&[whole(&file)], 2, &mut Closed) else { panic!("nobody reads") };
    assert_eq!((error.kind(), error.io_kind()), (ErrorKind::Io, Some(io::ErrorKind::BrokenPipe)));
}
