//! The run form against the oracle: any budget, any fan-in, any damage.

use std::fs;

use super::fixture::{Bench, Random, input_file};
use super::split::{SplitRule, plan_splits};
use super::tests::{Count, Naughty, Places, bench, temp, whole};
use super::*;
use crate::app::{App, AppResult, Emit, Output, Record, Values};
use crate::data::BadRecord;

/// The values of each key joined, in order, by a combiner whose totals live on the heap.
struct Join;

impl App for Join {
    type Value = [u8];
    const COMBINES: bool = true;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<[u8]>) -> AppResult {
        for (n, word) in record.bytes.split(|&byte| byte == b' ').enumerate() {
            out.emit(word, format!("{}:{}:{n};", record.file, record.offset).as_bytes());
        }
        Ok(())
    }

    fn combine(&self, total: &mut Vec<u8>, next: &[u8]) {
        total.extend_from_slice(next);
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, [u8]>, out: &mut Output<'_>) -> AppResult {
        out.write(key);
        while let Some(value) = values.next() {
            out.write(value);
        }
        out.write(b"\n");
        Ok(())
    }
}

/// Emits each line's bytes as `n` pairs of one key, and sums them up.
struct One {
    n: u64,
}

impl App for One {
    type Value = u64;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        (0..self.n).for_each(|n| out.emit(record.bytes, &n));
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        let mut n = 0;
        while let Some(value) = values.next() {
            n += u64::from(*value == n % self.n);
        }
        out.pair(key, &n);
        Ok(())
    }
}

fn runs<'a>(job: &Bench<'a>, memory: usize, fan_in: usize) -> Bench<'a> {
    Bench {
        ranges: None,
        app: job.app,
        dir: job.dir,
        control: job.control,
        partitions: job.partitions,
        form: ShuffleForm::Run,
        budget: Budget { memory, fan_in },
        care: job.care,
    }
}

fn leftovers(dir: &Path) -> usize {
    let hidden = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".tmp-");
    fs::read_dir(dir.join("shuffle")).expect("readable").filter(|entry| entry.as_ref().is_ok_and(hidden)).count()
}

#[test]
fn any_input_under_any_budget_gives_the_oracles_bytes() {
    let (control, mut random) = (Control::default(), Random(71));
    let (lines, files) = (Places { unit: Unit::Lines }, Places { unit: Unit::Files });
    let (mut spills, mut passes) = (0, 0);
    for round in 0..60u64 {
        let dir = temp();
        let long = random.below(4) == 0;
        let mut most_of_all = 0;
        let inputs: Vec<_> = (0..1 + random.below(6))
            .map(|n| {
                let most = *random.pick(&[150, 150, 4000]);
                most_of_all = most.max(most_of_all);
                let len = random.below(most);
                let alphabet: &[u8] = if long { b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaab \n" } else { b"ab  \n\r\xff\x00\"\xc3\xa9" };
                let bytes: Vec<u8> = (0..len).map(|_| *random.pick(alphabet)).collect();
                input_file(dir.path(), &format!("f{n}"), &bytes)
            })
            .collect();
        let app: &dyn AnyApp = *random.pick(&[&lines as &dyn AnyApp, &files, &Count, &Join]);
        let splits = plan_splits(&inputs, app.unit(), &SplitRule { bytes: 1 + random.below(3000), lines: None }).expect("planned");
        let plain = Bench { partitions: 1 + random.below(5) as u32, ..bench(app, dir.path(), &control) };
        let job =
            runs(&plain, *random.pick(&[if most_of_all > 200 { 1000 } else { 0 }, 2000, 40_000, 1 << 24]), 2 + random.below(3) as usize);
        let (bytes, mut counters) = job.run(&splits).expect("run");
        let (expected, oracle) = job.oracle(&inputs).expect("run");
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string(), "round {round}");
        spills += counters.remove(counters::SPILLS).unwrap_or(0);
        let n_passes = counters.remove(counters::MERGE_PASSES).unwrap_or(0);
        passes += n_passes;
        assert_eq!(counters.get(counters::PAIRS_OUT), oracle.get(counters::PAIRS_OUT), "round {round}");
        assert_eq!(counters.get(counters::KEYS_IN), oracle.get(counters::KEYS_IN), "round {round}");
        let (shuffled, read) = (counters[counters::PAIRS_SHUFFLED], counters[counters::PAIRS_IN]);
        assert!(read == shuffled || n_passes > 0 && read < shuffled, "round {round}: {read} of {shuffled} were read");
        assert_eq!(leftovers(dir.path()), 0, "round {round}: spills are gone");
    }
    assert!(spills > 100 && passes > 100, "the case of {spills} spills and {passes} passes");
}

#[test]
fn keys_that_stop_repeating_come_out_as_the_oracles_do() {
    let (dir, control) = (temp(), Control::default());
    let mut text: Vec<u8> =
        (0..30_000u32).flat_map(|n| format!("w{} a-word-of-more-than-sixteen-{} ", n % 100, n % 7).into_bytes()).collect();
    text.extend((0..60_000u32).flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761)).into_bytes()));
    text.extend_from_slice(&b"w1 w2 ".repeat(100));
    let long_value = [&b"w3"[..], &[b'x'; 5000], b" w3"].concat();
    for end in [&b""[..], &long_value] {
        let file = input_file(dir.path(), "x", &[&text[..], end].concat());
        let app = Places { unit: Unit::Lines };
        let plain = bench(&app, dir.path(), &control);
        let (expected, _) = plain.oracle(std::slice::from_ref(&file)).expect("run");
        for (memory, spills) in [(1 << 30, false), (4 << 20, true)] {
            let (bytes, counters) = runs(&plain, memory, 8).run(&[whole(&file)]).expect("run");
            assert!(bytes == expected, "with a memory of {memory}");
            assert_eq!(counters.contains_key(counters::SPILLS), spills, "with a memory of {memory}");
        }
    }
}

#[test]
fn a_map_attempt_is_the_same_bytes_again() {
    let (dir, control) = (temp(), Control::default());
    let text: Vec<u8> = (0..5000u32).flat_map(|n| format!("w{} ", n * 7919 % 1000).into_bytes()).collect();
    let file = input_file(dir.path(), "x", &text);
    for memory in [1000, 1 << 24] {
        let job = runs(&bench(&Count, dir.path(), &control), memory, 2);
        let made = [0, 0].map(|n| job.map(n, &whole(&file)).expect("run"));
        assert_eq!(made[0], made[1], "with a memory of {memory}");
    }
}

#[test]
fn damaged_and_missing_runs_are_all_named_also_when_the_output_has_begun() {
    let (dir, control) = (temp(), Control::default());
    let text: Vec<u8> = (0..20_000u32).flat_map(|n| format!("{n}{} ", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let file = input_file(dir.path(), "x", &text);
    for fan_in in [2, 100] {
        let job = runs(&bench(&Count, dir.path(), &control), 1 << 24, fan_in);
        let maps: Vec<_> = (0..5).map(|n| job.map(n, &whole(&file)).expect("run")).collect();
        let path = |n: usize| dir.path().join("shuffle").join(&maps[n].files[0].name);
        let slice = |n: usize| run::RunFile::open(&dir.path().join("shuffle"), &maps[n].files[0]).map(|run| run.slice(1)).expect("whole");
        let last_byte = |n: usize| (slice(n).offset + slice(n).bytes) as usize - 1;
        let mut bytes = fs::read(path(1)).expect("there");
        bytes[last_byte(1)] ^= 1;
        fs::write(path(1), &bytes).expect("damaged at its slice's end");
        let at = last_byte(4);
        fs::File::options().write(true).open(path(4)).and_then(|file| file.set_len(at as u64)).expect("cut off");
        let Err(Failure::Damaged(named)) = job.reduce(1, &maps) else { panic!("damage is found") };
        assert_eq!(named, ["map-1", "map-4"], "fan-in {fan_in}");
        fs::remove_file(path(2)).expect("removed");
        let Err(Failure::Damaged(named)) = job.reduce(1, &maps) else { panic!("damage is found") };
        assert_eq!(named, ["map-1", "map-2", "map-4"], "fan-in {fan_in}");
        assert!(dir.path().join("out-1").metadata().is_err(), "and nothing is written");
        assert_eq!(leftovers(dir.path()), 0, "nor left");
        let whole_ones = [maps[0].clone(), maps[1].clone(), maps[3].clone()];
        job.reduce(0, &whole_ones).expect("another partition of the first is whole");
        fs::remove_file(dir.path().join("out-0")).expect("written");
    }
}

#[test]
fn what_the_app_says_counts_only_if_all_inputs_are_whole() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"reduce error\nz\n");
    let job = runs(&bench(&Naughty, dir.path(), &control), 1 << 20, 10);
    let maps = [0, 1].map(|n| job.map(n, &whole(&file)).expect("run"));
    let Err(Failure::Record(BadRecord { why: text, .. })) = job.reduce(0, &maps) else { panic!("the app fails") };
    assert_eq!(text, "bad key (in the key `reduce error`)");
    let path = dir.path().join("shuffle").join(&maps[1].files[0].name);
    let mut bytes = fs::read(&path).expect("there");
    bytes[20] ^= 1;
    fs::write(&path, bytes).expect("damaged");
    let Err(Failure::Damaged(named)) = job.reduce(0, &maps) else { panic!("damage is found first") };
    assert_eq!(named, ["map-1"]);
    let bad = input_file(dir.path(), "y", b"ok\nnowhere\n");
    let Err(Failure::App(text)) = job.map(2, &whole(&bad)) else { panic!("no such partition") };
    assert_eq!(text, "the app's partition() answered 3, and there are 3, counted from 0 (in the key `nowhere`)");
}

#[test]
fn a_key_with_very_many_values_streams_through_little_memory() {
    let (dir, control) = (temp(), Control::default());
    let app = One { n: 100_000 };
    let file = input_file(dir.path(), "x", b"k\n");
    let job = runs(&bench(&app, dir.path(), &control), 40_000, 3);
    let (bytes, counters) = job.run(&vec![whole(&file); 4]).expect("run");
    assert_eq!(String::from_utf8_lossy(&bytes), "k 400000\n", "every value came, in order");
    assert!(counters[counters::SPILLS] > 40 && counters[counters::MERGE_PASSES] > 8, "{counters:?}");
}

#[test]
fn many_distinct_keys_pass_through_little_memory() {
    let (dir, control) = (temp(), Control::default());
    let text: Vec<u8> = (0..100_000u32).flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
    let file = input_file(dir.path(), "x", &text);
    let job = runs(&bench(&Count, dir.path(), &control), 200_000, 3);
    let (bytes, counters) = job.run(&vec![whole(&file); 2]).expect("run");
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert_eq!(text.lines().filter(|line| line.ends_with(" 2")).count(), 100_001, "each twice, and the empty word");
    assert!(counters[counters::SPILLS] > 10, "{counters:?}");
}

#[test]
fn a_cancelled_merge_makes_nothing() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "x", b"a b c\n");
    let job = runs(&bench(&Count, dir.path(), &control), 1 << 20, 2);
    let maps = [0, 1, 2].map(|n| job.map(n, &whole(&file)).expect("run"));
    control.cancel();
    assert!(matches!(job.map(3, &whole(&file)), Err(Failure::Cancelled)));
    assert!((0..3).all(|partition| !matches!(job.reduce(partition, &maps), Err(Failure::Damaged(_)))));
    assert!((0..3).any(|partition| matches!(job.reduce(partition, &maps), Err(Failure::Cancelled))));
}

/// Emits the lines that begin with `x`.
struct Marked;

impl App for Marked {
    type Value = u64;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        if record.bytes.starts_with(b"x") {
            out.emit(record.bytes, &record.offset);
        }
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        while let Some(value) = values.next() {
            out.pair(key, value);
        }
        Ok(())
    }
}

#[test]
fn a_map_that_emits_nothing_writes_no_run_and_the_others_give_the_same_output() {
    let (dir, control) = (temp(), Control::default());
    let file = input_file(dir.path(), "in", b"a\nx1\nb\nx1\nc\n");
    let bench = Bench { form: ShuffleForm::Run, ..bench(&Marked, dir.path(), &control) };
    let splits = plan_splits(std::slice::from_ref(&file), Unit::Lines, &SplitRule { bytes: 1, lines: Some(1) }).expect("planned");
    let (output, counters) = bench.run(&splits).expect("it runs");
    assert_eq!((output, counters["pairs out"]), (bench.oracle(&[file]).expect("the oracle").0, 2));
    let runs = fs::read_dir(dir.path().join("shuffle")).expect("readable").count();
    assert_eq!(runs, 2, "of five map tasks");
    let nothing = bench.map(0, &splits[0]).expect("it runs");
    assert_eq!((nothing.files.len(), nothing.counters["shuffle bytes"], nothing.counters["pairs shuffled"]), (0, 0, 0));
}
