//! How fast tasks are done, and when they will be: from what was seen in the last while, by one clock. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use crate::eyes::span;

/// What lies further back does not count, as long as something newer tells.
const WINDOW: Duration = Duration::from_secs(30);
/// In less time nobody can tell a rate.
const SPAN_MIN: Duration = Duration::from_secs(2);

/// How many were done at which time, oldest first.
#[derive(Debug, Default)]
pub(super) struct Speed {
    seen: VecDeque<(Duration, usize)>,
}

impl Speed {
    /// So many are done at `at`.
    pub(super) fn add(&mut self, at: Duration, done: usize) {
        match self.seen.back() {
            // Twenty looks a second say no more than one.
            Some((last, before)) if self.seen.len() > 1 && at.saturating_sub(*last) < SPAN_MIN / 4 && *before == done => {}
            Some(_) | None => self.seen.push_back((at, done)),
        }
        // The last one before the window stays: from it to now is the whole window.
        while self.seen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) > WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Tasks a second.
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.seen.front()?, self.seen.back()?);
        let span = last.0.saturating_sub(first.0);
        let done = last.1.saturating_sub(first.1);
        (span >= SPAN_MIN && done > 0).then(|| done as f64 / span.as_secs_f64())
    }

    /// `4.2 tasks/s, about 12 s to go`, where so many are left; `None` while that is not known.
    pub(super) fn text(&self, left: usize) -> Option<String> {
        let rate = self.rate()?;
        let per_second = if rate < 10.0 { format!("{rate:.1} tasks/s") } else { format!("{rate:.0} tasks/s") };
        let to_go = span((left as f64 / rate * 1000.0) as u64);
        Some(if left == 0 { per_second } else { format!("{per_second}, about {to_go} to go") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(seen: impl IntoIterator<Item = (u64, usize)>) -> Speed {
        let mut speed = Speed::default();
        seen.into_iter().for_each(|(ms, done)| speed.add(Duration::from_millis(ms), done));
        speed
    }

    #[test]
    fn nothing_is_told_before_something_is_known() {
        assert_eq!(speed([]).text(5), None);
        assert_eq!(speed([(0, 0), (1000, 5)]).text(5), None, "too short a time");
        assert_eq!(speed([(0, 0), (9000, 0)]).text(5), None, "nothing was done");
    }

    #[test]
    fn the_rate_is_that_of_the_last_while() {
        assert_eq!(speed([(0, 0), (4000, 8)]).text(20).as_deref(), Some("2.0 tasks/s, about 10 s to go"));
        let slower = (0..=100).map(|s| (s * 1000, if s < 50 { s as usize * 100 } else { 4900 + s as usize }));
        assert_eq!(speed(slower).text(60).as_deref(), Some("1.0 tasks/s, about 1m 00s to go"), "it was quicker once");
        assert_eq!(speed([(0, 0), (4000, 80)]).text(0).as_deref(), Some("20 tasks/s"));
    }

    #[test]
    fn many_looks_cost_no_memory() {
        let often = speed((0..100_000).map(|n| (n * 10, 7)));
        assert!(often.seen.len() < 100, "{}", often.seen.len());
    }
}
