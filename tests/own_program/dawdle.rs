//! A program whose tasks take as long as one likes, and on one machine longer: for tests and measurements of slow workers.
//!
//! `dawdle run dawdle FILES --split-lines 1 -o ms=200`: a map sleeps so long for every line. In a process whose environment has `DAWDLE=FILE`, and
//! while FILE is there, it sleeps `-o times=10` times as long; with `-o phase=reduce` reduces do all that, for every key. The answer is how often each line was there.

use std::borrow::Cow;
use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Values};
use flockwork::engine::{AnyApp, AppEntry};

struct Dawdle {
    nap: Duration,
    times: u32,
    in_reduce: bool,
}

impl Dawdle {
    fn sleep(&self) {
        let is_slow = std::env::var_os("DAWDLE").is_some_and(|file| std::fs::metadata(file).is_ok());
        std::thread::sleep(self.nap * if is_slow { self.times } else { 1 });
    }
}

impl App for Dawdle {
    type Value = u64;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        if !self.in_reduce {
            self.sleep();
        }
        out.count("lines", 1);
        out.emit(record.bytes, &1);
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        if self.in_reduce {
            self.sleep();
        }
        out.count("keys", 1);
        let mut sum = 0;
        while let Some(n) = values.next() {
            sum += n;
        }
        out.pair(key, &sum);
        Ok(())
    }
}

const fn option(key: &'static str, about: &'static str) -> OptionDoc {
    OptionDoc { key: Cow::Borrowed(key), about: Cow::Borrowed(about) }
}

fn make(options: &Options) -> Result<Box<dyn AnyApp>, String> {
    let number =
        |key: &str, other: u32| options.get(key).map_or(Ok(other), |text| text.parse().map_err(|_| format!("{key} is no number: {text}")));
    let in_reduce = options.get("phase").is_some_and(|phase| phase == "reduce");
    Ok(Box::new(Dawdle { nap: Duration::from_millis(number("ms", 100)?.into()), times: number("times", 10)?, in_reduce }))
}

const OPTIONS: &[OptionDoc] = &[
    option("ms", "how long a line takes [default: 100]"),
    option("times", "how many times as long where it is slow [default: 10]"),
    option("phase", "map or reduce takes that long [default: map]"),
];

fn main() -> std::process::ExitCode {
    flockwork::main(&[AppEntry { name: "dawdle", about: "takes its time", options: OPTIONS, make }])
}
