//! `crash` and `nocrash`: the same answer, with and without dying. Before every call a third of the time `crash` ends its process, and a third of
//! the time it sleeps up to ten seconds. Input: whole files. Output: `a` names, `b` lengths of names, `c` lengths of contents, `d` a constant, each sorted.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

/// The lab's test of crashing workers.
pub struct Crash {
    /// What happens before every call.
    pub mood: fn() -> Mood,
}

/// What happens before a call.
pub enum Mood {
    /// Nothing.
    Calm,
    /// The process ends with status 1.
    Die,
    /// It takes its time.
    Dawdle(Duration),
}

/// Never anything.
pub fn calm() -> Mood {
    Mood::Calm
}

/// 330 in 1000 die, 330 in 1000 sleep for up to ten seconds.
pub fn random_mood() -> Mood {
    match random_below(1000) {
        0..330 => Mood::Die,
        330..660 => Mood::Dawdle(Duration::from_millis(random_below(10_000))),
        _ => Mood::Calm,
    }
}

/// A number below `n`, different in every process: the standard library's hash keys are random, and that is random enough here.
pub fn random_below(n: u64) -> u64 {
    RandomState::new().hash_one(n) % n
}

impl Crash {
    fn maybe(&self) {
        match (self.mood)() {
            Mood::Calm => {}
            Mood::Die => std::process::exit(1),
            Mood::Dawdle(time) => std::thread::sleep(time),
        }
    }
}

impl App for Crash {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        self.maybe();
        out.emit(b"a", record.file);
        out.emit(b"b", &record.file.len().to_string());
        out.emit(b"c", &record.bytes.len().to_string());
        out.emit(b"d", "xyzzy");
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        self.maybe();
        let mut values = values.collect();
        values.sort_unstable();
        out.pair(key, &values.join(" ")[..]);
        Ok(())
    }
}
