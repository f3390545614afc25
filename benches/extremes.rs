//! The program of `extremes.sh`: apps that make their pairs themselves, so that large jobs need no large inputs, and a generator of text that knows its words' counts.
//!
//! `extremes text FOLDER` writes sixteen files of 64 MiB, and beside them what words the first 1, 4 and 16 hold: `want-1`, `want-4`, `want-16`. All else is flockwork's
//! command line.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use flockwork::app::{App, AppResult, Emit, Output, Record, Values};
use flockwork::engine::AppEntry;

/// Odd, so that multiplying by it deals every number a key of its own; and its inverse.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const GATHER: u64 = inverse(SPREAD);
const FILE_BYTES: usize = 64 << 20;

const APPS: &[AppEntry] = &[
    AppEntry {
        name: "values",
        about: "lines `FROM TO`: the numbers between as values of one key",
        options: &[],
        make: |_| Ok(Box::new(OneKey)),
    },
    AppEntry { name: "keys", about: "lines `FROM TO`: the numbers between as keys", options: &[], make: |_| Ok(Box::new(ManyKeys)) },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [text, folder] if text == "text" => write_text(Path::new(folder)),
        _ => flockwork::main(APPS),
    }
}

/// By Newton's iteration: each round doubles the bits that are right.
const fn inverse(odd: u64) -> u64 {
    let (mut guess, mut round) = (odd, 0);
    while round < 6 {
        guess = guess.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(guess)));
        round += 1;
    }
    guess
}

fn numbers(record: Record<'_>) -> Result<std::ops::Range<u64>, Box<dyn std::error::Error + Send + Sync>> {
    let text = std::str::from_utf8(record.bytes)?;
    let (from, to) = text.split_once(' ').ok_or("a line is `FROM TO`")?;
    Ok(from.parse()?..to.parse()?)
}

/// All numbers under one key, uncombined; the reduce says how many came, their sum, and how many were smaller than the one before.
struct OneKey;

impl App for OneKey {
    type Value = u64;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        numbers(record)?.for_each(|n| out.emit(b"the one", &n));
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        let (mut n_values, mut sum, mut last, mut backwards) = (0u64, 0u64, 0, 0);
        while let Some(n) = values.next() {
            backwards += u64::from(*n < last);
            (n_values, sum, last) = (n_values + 1, sum + n, *n);
        }
        out.pair(key, &format!("{n_values} {sum} {backwards}").into_bytes()[..]);
        Ok(())
    }
}

/// Every number a key that occurs once per line that has it. The reduce writes nothing: its counters say what there was.
struct ManyKeys;

impl App for ManyKeys {
    type Value = u64;
    const COMBINES: bool = true;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        numbers(record)?.for_each(|n| out.emit(&n.wrapping_mul(SPREAD).to_be_bytes(), &1));
        Ok(())
    }

    fn combine(&self, total: &mut u64, next: &u64) {
        *total += next;
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        let number = u64::from_be_bytes(key.try_into()?).wrapping_mul(GATHER);
        let times = values.sum();
        out.count("keys", 1);
        out.count("times", times);
        out.count("numbers", number);
        out.count("weighed", number * times);
        Ok(())
    }
}

fn write_text(folder: &Path) -> ExitCode {
    let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
    let mut random = 1u64;
    for file in 1..=16 {
        let text = some_text(&mut random, &mut counts);
        fs::write(folder.join(format!("words-{file:02}")), text).expect("there is room for the text");
        if [1, 4, 16].contains(&file) {
            write_counts(&folder.join(format!("want-{file}")), &counts);
        }
    }
    ExitCode::SUCCESS
}

/// Words of small letters, shorter ones more often: a third of them from a hundred, a third from ten thousand, a third from four million.
fn some_text(random: &mut u64, counts: &mut HashMap<Vec<u8>, u64>) -> Vec<u8> {
    let mut text = Vec::with_capacity(FILE_BYTES + 20);
    let mut column = 0;
    while text.len() < FILE_BYTES {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = *random >> 33;
        let start = text.len();
        let mut rest = (number / 3) % [100, 10_000, 4_000_000][(number % 3) as usize];
        while rest > 0 || text.len() == start {
            text.push(b'a' + (rest % 26) as u8);
            rest /= 26;
        }
        match counts.get_mut(&text[start..]) {
            Some(n) => *n += 1,
            None => drop(counts.insert(text[start..].to_vec(), 1)),
        }
        column = (column + 1) % 12;
        text.push(if column == 0 { b'\n' } else { b' ' });
    }
    text
}

/// `word count`, sorted by bytes.
fn write_counts(path: &Path, counts: &HashMap<Vec<u8>, u64>) {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_unstable();
    let mut out = BufWriter::new(File::create(path).expect("the folder is there"));
    for (word, n) in sorted {
        out.write_all(word).and_then(|()| writeln!(out, " {n}")).expect("there is room for the counts");
    }
    out.flush().expect("there is room for the counts");
}
