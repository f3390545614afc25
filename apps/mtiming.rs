//! `mtiming`: shows that maps run at once, and in several processes. Input: whole files, which are not looked at.
//! Output: `times-PID` with start times, `parallel-PID` with how many processes were in a map then.

use std::time::{SystemTime, UNIX_EPOCH};

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

use super::markers;

/// The lab's test of map parallelism.
pub struct MapTiming;

impl App for MapTiming {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, _: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        #[expect(clippy::disallowed_methods, reason = "the lab's output says when each map ran; nothing is decided by it")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let pid = std::process::id();
        let n = markers::n_parallel(out.context(), "map")?;
        out.emit(format!("times-{pid}").as_bytes(), &format!("{now:.1}"));
        out.emit(format!("parallel-{pid}").as_bytes(), &n.to_string());
        Ok(())
    }

    fn reduce(&self, key: &[u8], values: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        let mut values = values.collect();
        values.sort_unstable();
        out.pair(key, &values.join(" ")[..]);
        Ok(())
    }
}
