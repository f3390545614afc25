//! What a command says on stderr: `reporter:counter:GROUP,NAME,N`, `reporter:status:TEXT`, and everything else, of which the end is kept for an error, and more in a file.

use std::path::PathBuf;

use super::complaints::Complaints;
use crate::command::Tail;
use crate::data::{Counters, Failure};

/// Longest line that is looked at; what is longer is no report.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Most counters of an attempt.
const COUNTERS_MAX: usize = 1000;

/// All that the commands of an attempt have reported.
#[derive(Default)]
pub(super) struct Report {
    counters: Counters,
    status: Option<String>,
    tail: Tail,
    complaints: Complaints,
    /// A line whose end has not come yet.
    rest: Vec<u8>,
    /// The line at hand is too long to be a report.
    is_long: bool,
    too_many: bool,
}

impl Report {
    /// Of an attempt whose stderr is kept there.
    pub(super) fn new(complaints: Complaints) -> Report {
        Report { complaints, ..Report::default() }
    }

    /// Another command begins.
    pub(super) fn begin(&mut self) {
        (self.tail, self.status, self.is_long) = (Tail::default(), None, false);
        self.rest.clear();
    }

    /// The next block of its stderr, ending anywhere.
    pub(super) fn push(&mut self, block: &[u8]) {
        for part in block.split_inclusive(|&byte| byte == b'\n') {
            if self.is_long {
                self.keep(part);
            } else {
                self.rest.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                self.end();
                self.is_long = false;
            } else if self.rest.len() > LINE_BYTES_MAX {
                let rest = std::mem::take(&mut self.rest);
                self.keep(&rest);
                self.is_long = true;
            }
        }
        self.complaints.flush();
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.push(bytes);
        self.complaints.add(bytes);
    }

    /// The line at hand has ended.
    pub(super) fn end(&mut self) {
        let line = std::mem::take(&mut self.rest);
        if !self.takes(String::from_utf8_lossy(&line).trim_end()) {
            self.keep(&line);
        }
    }

    /// False if it is no report.
    fn takes(&mut self, line: &str) -> bool {
        if let Some(status) = line.strip_prefix("reporter:status:") {
            self.status = Some(status.to_owned());
            return true;
        }
        let Some((name, n)) = line.strip_prefix("reporter:counter:").and_then(counter) else { return false };
        if self.counters.len() >= COUNTERS_MAX && !self.counters.contains_key(&name) {
            self.too_many = true;
        } else {
            crate::engine::counters::add(&mut self.counters, &name, n);
        }
        true
    }

    /// The last status that was told.
    pub(super) fn status(&self) -> Option<&str> {
        self.status.as_deref()
    }

    /// The end of the rest.
    pub(super) fn tail(&self) -> String {
        self.tail.text()
    }

    /// The file that has more of it, where there is more.
    pub(super) fn more(&self) -> Option<PathBuf> {
        self.complaints.path().filter(|_| self.tail.is_cut())
    }

    /// Adds `n` to a counter.
    pub(super) fn count(&mut self, counter: &str, n: u64) {
        crate::engine::counters::add(&mut self.counters, counter, n);
    }

    /// Adds what another counted.
    pub(super) fn add(&mut self, other: Report) {
        self.too_many |= other.too_many;
        other.counters.iter().for_each(|(name, n)| self.count(name, *n));
    }

    /// Adds what was counted to an attempt's counters.
    pub(super) fn add_to(self, counters: &mut Counters) -> Result<(), Failure> {
        if self.too_many {
            return Err(Failure::App(format!("more than {COUNTERS_MAX} counters were reported by `reporter:counter:` lines")));
        }
        self.counters.iter().for_each(|(name, n)| crate::engine::counters::add(counters, name, *n));
        Ok(())
    }
}

/// `GROUP,NAME,N` as `GROUP:NAME` and N.
fn counter(text: &str) -> Option<(String, u64)> {
    let (rest, n) = text.rsplit_once(',')?;
    let (group, name) = rest.split_once(',')?;
    Some((format!("{}:{}", group.trim(), name.trim()), n.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(blocks: &[&str]) -> Report {
        let mut report = Report::default();
        report.begin();
        blocks.iter().for_each(|block| report.push(block.as_bytes()));
        report.end();
        report
    }

    #[test]
    fn counters_and_status_are_taken_out_and_the_rest_is_kept() {
        let report = report(&[
            "one\nreporter:coun",
            "ter:Words,a b,2\nreporter:counter:Words,a b,40\nreporter:status:half",
            " way\nreporter:counter:x,y\ntwo",
        ]);
        assert_eq!(report.counters, Counters::from([("Words:a b".to_owned(), 42)]));
        assert_eq!(report.status(), Some("half way"));
        assert_eq!(report.tail(), "one\nreporter:counter:x,y\ntwo", "a report that is none is left where it was");
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_counters_have_an_end() {
        let mut report = report(&[]);
        for _ in 0..1000 {
            report.push(&[b'x'; 4000]);
            assert!(report.rest.len() <= LINE_BYTES_MAX + 4000);
        }
        report.push(b"\nreporter:counter:a,b,1\n");
        assert_eq!(report.counters.len(), 1, "the next line is looked at again");
        for n in 0..=COUNTERS_MAX {
            report.push(format!("reporter:counter:a,{n},1\n").as_bytes());
        }
        assert!(matches!(report.add_to(&mut Counters::new()), Err(Failure::App(text)) if text.contains("1000 counters")));
    }
}
