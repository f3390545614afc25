//! An app that some of its records break, for the tests of `--skip-bad-records`: it counts words, and dies of some of them.
//!
//! In `map` the word `error` is an error, `panic` a panic, `abort` the end of the process, and `stuck` takes a minute; in `reduce` the keys `bad-key` (an error)
//! and `fatal-key` (the end of the process). With `-o unit=blocks` it takes many lines at a time. The word `first` is an error in the first attempt of a task only.

use std::borrow::Cow;

use flockwork::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Unit, Values};
use flockwork::engine::AppEntry;

struct Brittle {
    unit: Unit,
}

impl App for Brittle {
    type Value = u64;
    const COMBINES: bool = true;

    fn unit(&self) -> Unit {
        self.unit
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        for word in record.bytes.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            match word {
                b"error" => return Err("a word I cannot take".into()),
                b"panic" => panic!("do not"),
                b"abort" => std::process::abort(),
                b"stuck" => std::thread::sleep(std::time::Duration::from_secs(60)),
                b"first" if out.context().attempt.number == 1 => return Err("not at first".into()),
                word => out.emit(word, &1),
            }
        }
        Ok(())
    }

    fn combine(&self, total: &mut u64, next: &u64) {
        *total += next;
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        match key {
            b"bad-key" => return Err("a key I cannot take".into()),
            b"fatal-key" => std::process::abort(),
            _ => {}
        }
        let mut sum = 0;
        while let Some(n) = values.next() {
            sum += n;
        }
        out.pair(key, &sum);
        Ok(())
    }
}

const APPS: &[AppEntry] = &[AppEntry {
    name: "brittle",
    about: "counts words, and breaks on some",
    options: &[OptionDoc { key: Cow::Borrowed("unit"), about: Cow::Borrowed("lines or blocks [default: lines]") }],
    make,
}];

fn make(options: &Options) -> Result<Box<dyn flockwork::engine::AnyApp>, String> {
    match options.get("unit") {
        None | Some("lines") => Ok(Box::new(Brittle { unit: Unit::Lines })),
        Some("blocks") => Ok(Box::new(Brittle { unit: Unit::Blocks })),
        Some(other) => Err(format!("there is no unit {other}")),
    }
}

fn main() -> std::process::ExitCode {
    flockwork::main(APPS)
}
