//! Progress on stderr: a bar per phase on a terminal (indicatif's home), plain lines elsewhere, nothing when quiet. How fast: see `speed.rs`.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::speed::Speed;
use crate::error::said::Said;
use crate::eyes::status::Tasks;
use crate::eyes::tally;
use crate::ids::Phase;
use crate::job::snapshot::Snapshot;
use crate::say::say;
use crate::units::show_time;

/// Between two plain lines of one phase.
const LINE_PERIOD: Duration = Duration::from_secs(10);
/// Frames a second.
const HERTZ: u8 = 8;

/// What is shown while a job runs.
pub(super) struct Progress {
    form: Form,
    begun: Instant,
    shown: RefCell<Shown>,
    said: RefCell<Said>,
}

enum Form {
    Bars(Bars),
    Lines,
    Nothing,
}

/// One bar per phase, the second from its beginning on.
struct Bars {
    all: MultiProgress,
    of: RefCell<Vec<ProgressBar>>,
}

#[derive(Default)]
struct Shown {
    phase: &'static str,
    /// When the phase was first seen.
    since: Duration,
    at: Option<Instant>,
    speed: Speed,
}

/// How far a phase is.
struct Far {
    phase: &'static str,
    done: usize,
    total: usize,
    text: String,
    /// Rate and time left, where they are known.
    speed: Option<String>,
}

impl Progress {
    /// Begins to show the job at `root`.
    pub fn start(root: &Path, quiet: bool) -> Progress {
        let progress = Progress::silent(quiet);
        progress.say(&format!("job {}", root.display()));
        progress
    }

    /// The same without naming the job.
    pub fn silent(quiet: bool) -> Progress {
        let form = if quiet {
            Form::Nothing
        } else if std::io::stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(HERTZ));
            Form::Bars(Bars { all, of: RefCell::default() })
        } else {
            Form::Lines
        };
        Progress { form, begun: Instant::now(), shown: RefCell::default(), said: RefCell::default() }
    }

    /// How often it is worth looking for something to show; `None`: never.
    pub fn period(&self) -> Option<Duration> {
        match self.form {
            Form::Bars(_) => Some(Duration::from_secs(1)),
            Form::Lines => Some(LINE_PERIOD),
            Form::Nothing => None,
        }
    }

    /// Shows what a tick saw.
    pub fn show(&self, snapshot: &Snapshot) {
        let mut shown = self.shown.borrow_mut();
        let now = self.begun.elapsed();
        let mut far = far(snapshot);
        let is_new = shown.phase != far.phase;
        if is_new {
            (shown.phase, shown.since, shown.speed) = (far.phase, now, Speed::default());
        }
        shown.speed.add(now, far.done);
        far.speed = shown.speed.text(far.total.saturating_sub(far.done));
        let in_phase = now.saturating_sub(shown.since);
        match &self.form {
            Form::Bars(bars) => bars.show(&far, is_new, in_phase),
            Form::Lines if is_new || shown.at.is_some_and(|at| at.elapsed() > LINE_PERIOD) => {
                shown.at = Some(Instant::now());
                let speed = far.speed.map_or_else(String::new, |speed| format!(", {speed}"));
                say!("flockwork: {} {}/{}, {}{speed}", far.phase, far.done, far.total, far.text);
            }
            Form::Lines | Form::Nothing => {}
        }
    }

    /// Says a thing.
    pub fn say(&self, text: &str) {
        match &self.form {
            Form::Nothing => {}
            Form::Bars(_) | Form::Lines => self.print(text),
        }
    }

    /// Says what is wrong, also when quiet, and the same thing once.
    pub fn trouble(&self, text: &str) {
        if self.said.borrow_mut().is_news(text) {
            self.print(text);
        }
    }

    fn print(&self, text: &str) {
        match &self.form {
            Form::Bars(bars) => bars.all.suspend(|| say!("flockwork: {text}")),
            Form::Lines | Form::Nothing => say!("flockwork: {text}"),
        }
    }

    /// Ends the bars: what they said is said by the summary.
    pub fn clear(&self) {
        if let Form::Bars(bars) = &self.form {
            bars.of.borrow().iter().for_each(ProgressBar::finish_and_clear);
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn show(&self, far: &Far, is_new: bool, in_phase: Duration) {
        let mut bars = self.of.borrow_mut();
        if is_new {
            if let Some(last) = bars.last() {
                last.set_position(last.length().unwrap_or_default());
                last.set_message(format!("in {}", show_time(last.elapsed())));
                last.abandon();
            }
            let bar = self.all.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("{prefix:>6} [{bar:24}] {pos}/{len} {wide_msg}");
            bar.set_style(style.map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> ")));
            bar.set_prefix(far.phase);
            bars.push(bar);
        }
        if let Some(bar) = bars.last() {
            bar.set_length(far.total as u64);
            bar.set_position(far.done as u64);
            // What matters most stands first: a narrow terminal cuts the rest.
            let speed = far.speed.as_ref().map_or_else(String::new, |speed| format!("{speed}, "));
            bar.set_message(format!("{speed}{}, {}", far.text, show_time(in_phase)));
        }
    }
}

fn far(snapshot: &Snapshot) -> Far {
    let (phase, name) = if snapshot.phases.reduce { (Phase::Reduce, "reduce") } else { (Phase::Map, "map") };
    let Tasks { total, done, claimed, .. } = tally::tasks(snapshot, phase);
    let errors: usize = snapshot.blocks().map(|(_, view)| view.failed.len()).sum();
    let mut text = match snapshot.workers.len() {
        1 => format!("{claimed} claimed, 1 worker"),
        workers => format!("{claimed} claimed, {workers} workers"),
    };
    match errors {
        0 => {}
        1 => text += ", 1 error",
        errors => text += &format!(", {errors} errors"),
    }
    if snapshot.pause {
        text += ", paused";
    }
    Far { phase: name, done, total, text, speed: None }
}
