//! `flockwork top`: a job or a farm, live, on a terminal (ratatui's home, with the files below it). Reading order: `view`, `screen`, `draw`, `panes`, `terminal`.
//!
//! One thread looks, another draws and listens to keys: a mount that hangs delays what is shown, never the keys. A look is that of `status`; the next one is begun
//! after the interval, and after four times as long as the last one took. Nothing is changed in the job, but by `p` and only when that is confirmed.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::open::{Job, is_seen_as_farm};
use super::run::on_signals;
use super::trust::TrustArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::{farm as farm_eyes, status};
use crate::units::{json_for_terminal, parse_time};
use screen::Screen;
use view::{Seen, View};

mod draw;
#[cfg(test)]
mod draw_tests;
mod panes;
mod screen;
mod terminal;
mod view;

/// A look is rested from this many times as long as it took.
const REST_PER_LOOK: u32 = 4;
/// The size of a frame that is printed where there is no terminal.
const PLAIN: (u16, u16) = (80, 24);

#[derive(clap::Args)]
#[command(
    after_help = "Keys: q quit, ? help, tab the next pane, arrows scroll, s sort, p pause or resume (asks first); of a farm: enter looks into a job, esc back.\n\
                  Cost: that of `status` per interval; after a look that took long, four times as long is rested. NO_COLOR is honoured.\n\
                  Exit: 0 left by key or signal, or the job has ended with --json; 1 the job cannot be read; 2 there is no terminal to draw on.\n\
                  Examples: flockwork top count\n  flockwork top count --once\n  flockwork top count --json --interval 10s >> count.jsonl"
)]
pub(super) struct Args {
    /// The directory of a job or of a farm
    #[arg(value_name = "JOB|FARM")]
    job: PathBuf,
    /// Between two looks; at least 100ms
    #[arg(long, default_value = "1s", value_parser = parse_interval, value_name = "TIME")]
    interval: Duration,
    /// Print one frame as plain text, and end
    #[arg(long)]
    once: bool,
    /// One JSON object per look on stdout, a line each, as `status --json` has it, until the job has ended
    #[arg(long, conflicts_with = "once")]
    json: bool,
    #[command(flatten)]
    trust: TrustArgs,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let time = parse_time(text)?;
    if time < Duration::from_millis(100) { Err("less than 100ms is no interval".to_owned()) } else { Ok(time) }
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let first = look(&args.job)?;
    if args.json {
        return lines(args, first);
    }
    let out = std::io::stdout();
    if args.once {
        let (width, height) = if out.is_terminal() { terminal::size().unwrap_or(PLAIN) } else { PLAIN };
        let view = View { seen: Some(first), ..View::default() };
        super::print(&without_keys(&draw::plain(&view, &Screen::default(), width, height)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if !out.is_terminal() {
        let error = Error::new(ErrorKind::Usage, "cannot draw a dashboard: stdout is no terminal");
        return Err(error.advise("--once prints one plain frame, --json a line per look, and `flockwork status` a page"));
    }
    terminal::show(args, first)
}

/// A frame without its last line, which tells the keys, and without what is blank above that: nobody presses a key here.
fn without_keys(frame: &str) -> String {
    frame.trim_end().rsplit_once('\n').map_or("", |(body, _)| body.trim_end()).to_owned() + "\n"
}

/// One look at whatever is there.
fn look(path: &Path) -> Result<Seen> {
    if is_seen_as_farm(path)? {
        return farm_eyes::look(path).map(Seen::Farm);
    }
    let job = Job::open(path)?;
    let status = status::look(&*job.disk, &job.root, &job.spec, job.shape()?)?;
    Ok(Seen::Job(Box::new(status)))
}

fn lines(args: &Args, first: Seen) -> Result<ExitCode> {
    let (stop, looker) = (Arc::new(AtomicBool::new(false)), std::thread::current());
    let stopping = Arc::clone(&stop);
    on_signals(move |_| {
        stopping.store(true, Relaxed);
        looker.unpark();
    })?;
    // Until then, or the end.
    let rest = |time: Duration| {
        let begun = Instant::now();
        while begun.elapsed() < time && !stop.load(Relaxed) {
            std::thread::park_timeout(time.saturating_sub(begun.elapsed()));
        }
    };
    let mut seen = first;
    while !stop.load(Relaxed) {
        let begun = Instant::now();
        let (json, ended) = match &seen {
            Seen::Job(status) => (serde_json::to_string(status), status.end.is_some()),
            Seen::Farm(status) => (serde_json::to_string(status), false),
        };
        super::print(&format!("{}\n", json_for_terminal(&json.expect("a status has string keys only"))))?;
        if ended {
            return Ok(ExitCode::SUCCESS);
        }
        rest(args.interval);
        seen = look(&args.job)?;
        rest(begun.elapsed().saturating_sub(args.interval) * REST_PER_LOOK);
    }
    Ok(ExitCode::SUCCESS)
}
