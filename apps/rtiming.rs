//! `rtiming`: shows that reduces run at once. Input: whole files, which are not looked at. Output: `a` to `j`, each with how many processes were
//! in a reduce then.

use flockwork::app::{App, AppResult, Emit, Output, Record, Unit, Values};

use super::markers;

/// The lab's test of reduce parallelism.
pub struct ReduceTiming;

impl App for ReduceTiming {
    type Value = str;

    fn unit(&self) -> Unit {
        Unit::Files
    }

    fn map(&self, _: Record<'_>, out: &mut impl Emit<str>) -> AppResult {
        for key in b"abcdefghij".chunks(1) {
            out.emit(key, "1");
        }
        Ok(())
    }

    fn reduce(&self, key: &[u8], _: &mut Values<'_, str>, out: &mut Output<'_>) -> AppResult {
        let n = markers::n_parallel(out.context(), "reduce")?;
        out.pair(key, &n.to_string()[..]);
        Ok(())
    }
}
