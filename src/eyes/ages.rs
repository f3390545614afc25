//! How old what waits and what is worked on is: counts on an axis whose steps double, as Postfix's `qshape` shows its queues.
//!
//! Pending tasks by the time since they were issued, claims by the time that they have run. Both are distances of two mtimes that the server stamped: of the newest
//! one seen, and of the descriptor (which nobody touches before it is claimed) or of the worker's event file (see `slow.rs`).

use serde::Serialize;

/// Upper ends of the age classes, in seconds; beyond the last one there is one more class.
pub const UPTO_S: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];
const CLASSES: usize = UPTO_S.len() + 1;

/// The table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ages {
    /// [`UPTO_S`].
    pub upto_s: [u64; 13],
    /// Since they were issued.
    pub pending: Row,
    /// Since they were claimed.
    pub claimed: Row,
}

/// Of so many, so many were asked, and this is how old those are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How many there are.
    pub total: usize,
    /// How many were asked and answered.
    pub sampled: usize,
    /// By age, of those.
    pub counts: [usize; CLASSES],
}

impl Row {
    /// Of `total`, those that were asked have these ages in milliseconds.
    pub fn of(total: usize, ages_ms: impl IntoIterator<Item = u64>) -> Row {
        let mut row = Row { total, ..Row::default() };
        for age_ms in ages_ms {
            let class = UPTO_S.iter().position(|upto| age_ms < upto * 1000).unwrap_or(UPTO_S.len());
            row.counts[class] += 1;
            row.sampled += 1;
        }
        row
    }

    fn highest(&self) -> Option<usize> {
        self.counts.iter().rposition(|count| *count > 0)
    }
}

impl Ages {
    /// The table as text, as far as there is something in it; empty where nothing is pending or claimed.
    pub fn lines(&self) -> Vec<String> {
        let Some(last) = self.pending.highest().max(self.claimed.highest()) else { return Vec::new() };
        let name = |class: usize| match UPTO_S.get(class) {
            Some(upto) => format!("<{}", short(*upto)),
            None => "more".to_owned(),
        };
        let cells = |texts: Vec<String>| texts.into_iter().map(|text| format!("{text:>5}")).collect::<String>();
        let mut lines = vec![format!("{:<10}{}", "age", cells((0..=last).map(name).collect()))];
        for (what, row) in [("pending", &self.pending), ("claimed", &self.claimed)] {
            let sample = if row.sampled < row.total { format!(" ({} of {} asked)", row.sampled, row.total) } else { String::new() };
            lines.push(format!("  {what:<8}{}{sample}", cells(row.counts[..=last].iter().map(ToString::to_string).collect())));
        }
        lines
    }
}

/// `32s`, `2m`, `1h`: at most three characters for each step of the axis.
fn short(seconds: u64) -> String {
    match seconds {
        0..=63 => format!("{seconds}s"),
        64..=3599 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_counted_on_an_axis_whose_steps_double() {
        let row = Row::of(9, [0, 999, 1000, 3999, 4000, 5_000_000]);
        assert_eq!((row.total, row.sampled), (9, 6));
        assert_eq!((row.counts[0], row.counts[1], row.counts[2], row.counts[3], row.counts[13]), (2, 1, 1, 1, 1));
        assert!(UPTO_S.windows(2).all(|pair| pair[1] == pair[0] * 2), "{UPTO_S:?}");
    }

    #[test]
    fn the_table_is_as_wide_as_its_oldest_and_never_wider_than_a_terminal() {
        let ages = |pending, claimed| Ages { upto_s: UPTO_S, pending, claimed };
        assert!(ages(Row::default(), Row::default()).lines().is_empty());
        let lines = ages(Row::of(3, [10, 20, 30]), Row::of(4, [2500, 100])).lines();
        assert_eq!(lines[0], "age         <1s  <2s  <4s");
        assert_eq!(lines[1], "  pending     3    0    0");
        assert_eq!(lines[2], "  claimed     1    0    1 (2 of 4 asked)");
        let full = ages(Row::of(2000, std::iter::repeat_n(9_000_000, 2000)), Row::default()).lines();
        assert!(full.iter().all(|line| line.len() <= 80), "{full:?}");
    }
}
