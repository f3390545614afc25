//! `jobcount`: shows that no map ran twice without need. Input: whole files, which are not looked at; each takes two to five seconds.
//! Output: `a` with how often map was called in this job.

use std::time::Duration;

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

use super::crash::random_below;
use super::markers;

/// The lab's test of duplicate work.
pub struct JobCount;

impl App for JobCount {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, _: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        markers::leave_one(out.context())?;
        std::thread::sleep(Duration::from_millis(2000 + random_below(3000)));
        out.emit(b"a", "x");
        Ok(())
    }

    fn reduce(&self, key: &[u8], _: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        let n = markers::n_left(out.context())?;
        out.pair(key, &n.to_string()[..]);
        Ok(())
    }
}
