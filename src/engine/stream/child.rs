//! One command of an attempt: fed with lines, its lines taken, its stderr read, its end judged.

use std::time::Duration;

use super::places::Place;
use super::report::Report;
use super::{Stream, Words, key_and_value, push_pair};
use crate::command::{Ears, Ended, Order, Running, Stdin, find_program};
use crate::control::Control;
use crate::data::Failure;
use crate::error::{Error, ErrorKind};
use crate::units::show_size;

/// Handed to a command at once.
const BLOCK_BYTES: usize = 128 << 10;

/// What a command is in its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Mapper,
    Combiner,
    Reducer,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Mapper => "mapper",
            Role::Combiner => "combiner",
            Role::Reducer => "reducer",
        }
    }
}

/// Takes what a command writes to stdout.
pub(super) trait Take {
    /// The next block, ending anywhere.
    fn block(&mut self, block: &[u8]) -> Result<(), Failure>;

    /// There is no more.
    fn end(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Makes pairs of lines.
pub(super) struct Lines<F> {
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    line_bytes_max: usize,
    each: F,
}

impl<F: FnMut(&[u8], &[u8]) -> Result<(), Failure>> Lines<F> {
    /// Calls `each` with every line's key and value.
    pub(super) fn new(line_bytes_max: usize, each: F) -> Lines<F> {
        Lines { rest: Vec::new(), line_bytes_max, each }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let (key, value) = key_and_value(line);
        (self.each)(key, value)
    }
}

impl<F: FnMut(&[u8], &[u8]) -> Result<(), Failure>> Take for Lines<F> {
    fn block(&mut self, block: &[u8]) -> Result<(), Failure> {
        let mut from = 0;
        for newline in memchr::memchr_iter(b'\n', block) {
            if self.rest.is_empty() {
                self.line(&block[from..newline])?;
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(&block[from..newline]);
                self.line(&line)?;
                line.clear();
                self.rest = line;
            }
            from = newline + 1;
        }
        self.rest.extend_from_slice(&block[from..]);
        if self.rest.len() > self.line_bytes_max {
            let most = show_size(self.line_bytes_max as u64);
            return Err(Failure::App(format!("a line that it wrote is longer than {most}, the most that --memory allows")));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.rest);
        if line.is_empty() { Ok(()) } else { self.line(&line) }
    }
}

struct Heard<'a> {
    out: &'a mut dyn Take,
    report: &'a mut Report,
}

impl Ears for Heard<'_> {
    fn out(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.out.block(block)
    }

    fn err(&mut self, block: &[u8]) {
        self.report.push(block);
    }
}

/// A command that runs.
pub(super) struct Child<'a> {
    running: Running,
    heard: Heard<'a>,
    control: &'a Control,
    /// `mapper` and its command line, for messages.
    name: String,
    /// Pairs on their way into it.
    pairs: Vec<u8>,
    timeout: Option<Duration>,
}

impl<'a> Child<'a> {
    /// Starts the command of `role`; `out` takes its stdout, `report` its stderr.
    pub(super) fn start(
        stream: &Stream,
        (role, words): (Role, &Words),
        place: &Place<'_>,
        control: &'a Control,
        out: &'a mut dyn Take,
        report: &'a mut Report,
    ) -> Result<Child<'a>, Failure> {
        let dir = place.dir();
        let mut found = words.words.clone();
        found[0] = find_program(&found[0], dir);
        let environment = place.environment();
        // A machine that has no such folder runs them where its worker was started: so it is promised.
        let dir = Some(dir).filter(|dir| dir.is_dir());
        let order = Order { words: &found, program: None, dir, env: &environment, timeout: stream.timeout };
        let name = format!("the {} `{}`", role.name(), words.typed);
        let running = Running::start(&order, Stdin::Fed).map_err(|error| cannot_start(&name, error))?;
        report.begin();
        Ok(Child { running, heard: Heard { out, report }, control, name, pairs: Vec::new(), timeout: stream.timeout })
    }

    /// Hands it bytes; false if it takes no more.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let fed = self.running.feed(bytes, self.control, &mut self.heard);
        fed.map_err(|failure| named(&self.name, failure))
    }

    /// Hands it a pair as a line; false if it takes no more.
    pub(super) fn pair(&mut self, key: &[u8], value: &[u8]) -> Result<bool, Failure> {
        push_pair(&mut self.pairs, key, value);
        if self.pairs.len() < BLOCK_BYTES { Ok(true) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<bool, Failure> {
        let mut pairs = std::mem::take(&mut self.pairs);
        let fed = self.feed(&pairs);
        pairs.clear();
        self.pairs = pairs;
        fed
    }

    /// Lets it end, and judges how it did.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        let Child { running, mut heard, control, name, timeout, .. } = self;
        let ended = running.finish(control, &mut heard).map_err(|failure| named(&name, failure))?;
        heard.report.end();
        if !ended.is_good() {
            return Err(Failure::App(words_of(&name, &ended, heard.report, timeout)));
        }
        heard.out.end().map_err(|failure| named(&name, failure))
    }
}

/// The machine's own trouble is no error of the task's.
#[cold]
fn cannot_start(name: &str, error: Error) -> Failure {
    match error.kind() {
        ErrorKind::App => Failure::App(format!("{name}: {error}")),
        _ => Failure::Disk(error),
    }
}

#[cold]
fn named(name: &str, failure: Failure) -> Failure {
    match failure {
        Failure::App(text) => Failure::App(format!("{name}: {text}")),
        other => other,
    }
}

fn words_of(name: &str, ended: &Ended, report: &Report, timeout: Option<Duration>) -> String {
    let mut text = format!("{name} {}", ended.words());
    if ended.timed_out && timeout.is_some() {
        text += " (--timeout)";
    }
    if let Some(status) = report.status() {
        text += &format!("; its last status was `{status}`");
    }
    match report.tail() {
        tail if tail.is_empty() => text + "; it wrote nothing to stderr",
        tail => match report.more() {
            Some(file) => format!("{text}; the end of its stderr, of which more is in {}:\n{tail}", file.display()),
            None => text + "; the end of its stderr:\n" + &tail,
        },
    }
}
