//! Progress on stderr: a bar on a terminal (indicatif's home), plain lines elsewhere, nothing when quiet.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::eyes::status::Tasks;
use crate::eyes::tally;
use crate::ids::Phase;
use crate::job::snapshot::Snapshot;

/// Between two plain lines of one phase.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// What is shown while a job runs.
pub(super) struct Progress {
    form: Form,
    said: RefCell<Said>,
}

enum Form {
    Bar(ProgressBar),
    Lines,
    Nothing,
}

#[derive(Default)]
struct Said {
    phase: Option<Phase>,
    at: Option<Instant>,
    trouble: String,
}

impl Progress {
    /// Begins to show the job at `root`.
    pub fn start(root: &Path, quiet: bool) -> Progress {
        let form = if quiet {
            Form::Nothing
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            let style =
                ProgressStyle::with_template("{prefix:>6} [{bar:30}] {pos}/{len} {msg} {elapsed}").map(|style| style.progress_chars("=> "));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            Form::Bar(bar)
        } else {
            Form::Lines
        };
        let progress = Progress { form, said: RefCell::default() };
        progress.say(&format!("job {}", root.display()));
        progress
    }

    /// Shows what a tick saw.
    pub fn show(&self, snapshot: &Snapshot) {
        let phase = if snapshot.phases.reduce { Phase::Reduce } else { Phase::Map };
        let Tasks { total, done, claimed: running, .. } = tally::tasks(snapshot, phase);
        let errors: usize = snapshot.blocks().map(|(_, view)| view.failed.len()).sum();
        let mut text = match snapshot.workers.len() {
            1 => format!("{running} running, 1 worker"),
            workers => format!("{running} running, {workers} workers"),
        };
        if errors > 0 {
            text += &format!(", {errors} errors");
        }
        if snapshot.pause {
            text += ", paused";
        }
        match &self.form {
            Form::Bar(bar) => {
                bar.set_length(total as u64);
                bar.set_prefix(phase.to_string());
                bar.set_message(text);
                bar.set_position(done as u64);
            }
            Form::Lines => {
                let mut said = self.said.borrow_mut();
                if said.phase != Some(phase) || said.at.is_some_and(|at| at.elapsed() > LINE_PERIOD) {
                    (said.phase, said.at) = (Some(phase), Some(Instant::now()));
                    eprintln!("flockwork: {phase} {done}/{total}, {text}");
                }
            }
            Form::Nothing => {}
        }
        self.said.borrow_mut().trouble.clear();
    }

    /// Says a thing.
    pub fn say(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| eprintln!("flockwork: {text}")),
            Form::Lines => eprintln!("flockwork: {text}"),
            Form::Nothing => {}
        }
    }

    /// Says what is wrong, also when quiet, and the same thing once.
    pub fn trouble(&self, text: &str) {
        if self.said.borrow().trouble != text {
            self.said.borrow_mut().trouble = text.to_owned();
            match &self.form {
                Form::Bar(bar) => bar.suspend(|| eprintln!("flockwork: {text}")),
                Form::Lines | Form::Nothing => eprintln!("flockwork: {text}"),
            }
        }
    }

    /// Ends the bar.
    pub fn clear(&self) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}
