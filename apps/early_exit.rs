//! `early-exit`: some reduces take long, so that a worker or coordinator that leaves too early is found out. Input: whole files.
//! Output: each file's name with how often it was given.

use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

/// The lab's test of leaving early.
pub struct EarlyExit;

impl App for EarlyExit {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, record: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        out.emit(record.file.as_bytes(), "1");
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        if contains(key, b"sherlock") || contains(key, b"tom") {
            std::thread::sleep(Duration::from_secs(3));
        }
        out.pair(key, &values.count());
        Ok(())
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
