//! A program whose tasks take as long as one likes, or until somebody lets them go on: for tests of tasks that last, and measurements of slow workers.
//!
//! `dawdle run dawdle FILES --split-lines 1 -o ms=200`: a map sleeps so long for every line. In a process whose environment has `DAWDLE=FILE`, and
//! while FILE is there, it sleeps `-o times=10` times as long; with `-o phase=reduce` reduces do all that, for every key. The answer is how often each line was there.
//!
//! `-o gate=FOLDER`: each such call then leaves a file of its own in FOLDER, and stays for as long as `FOLDER/shut` is there. So a test knows that a task is in its middle,
//! can hold it there for as long as a busy machine takes, and counts the calls.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, OptionDoc, Options, Output, Record, Values};
use flockwork::engine::{AnyApp, AppEntry};

/// How often a shut gate is looked at.
const LOOK: Duration = Duration::from_millis(20);

struct Dawdle {
    nap: Duration,
    times: u32,
    in_reduce: bool,
    gate: Option<PathBuf>,
}

impl Dawdle {
    fn dawdle(&self) -> std::io::Result<()> {
        let is_slow = std::env::var_os("DAWDLE").is_some_and(|file| std::fs::metadata(file).is_ok());
        std::thread::sleep(self.nap * if is_slow { self.times } else { 1 });
        if let Some(gate) = &self.gate {
            static CALLS: AtomicU32 = AtomicU32::new(0);
            std::fs::write(gate.join(format!("call.{}.{}", std::process::id(), CALLS.fetch_add(1, Relaxed))), "")?;
            while gate.join("shut").is_file() {
                std::thread::sleep(LOOK);
            }
        }
        Ok(())
    }
}

impl App for Dawdle {
    type Value = u64;

    fn map(&self, record: Record<'_>, out: &mut impl Emit<u64>) -> AppResult {
        if !self.in_reduce {
            self.dawdle()?;
        }
        out.count("lines", 1);
        out.emit(record.bytes, &1);
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, u64>, out: &mut Output<'_>) -> AppResult {
        if self.in_reduce {
            self.dawdle()?;
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
    let (nap, gate) = (Duration::from_millis(number("ms", 100)?.into()), options.get("gate").map(PathBuf::from));
    Ok(Box::new(Dawdle { nap, times: number("times", 10)?, in_reduce, gate }))
}

const OPTIONS: &[OptionDoc] = &[
    option("ms", "how long a line takes [default: 100]"),
    option("times", "how many times as long where it is slow [default: 10]"),
    option("phase", "map or reduce takes that long [default: map]"),
    option("gate", "a folder; while `shut` lies in it, nobody comes to an end"),
];

fn main() -> std::process::ExitCode {
    flockwork::main(&[AppEntry { name: "dawdle", about: "takes its time", options: OPTIONS, make }])
}
