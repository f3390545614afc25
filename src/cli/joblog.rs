//! `each --joblog FILE`: a line per item that has ended, in the form of GNU parallel's.
//!
//! Written whole at the end, also of an interrupted run, and put in place by one rename; whether that can be is looked at before any command is run. The last attempt of an item is told.
//! `Receive` is the length of its stdout, `Send` is always 0. `Exitval` is -1 of a command that ran out of time, as GNU parallel has it, and of an item that failed without a command's
//! end: so no 0 stands for what has failed, but where a signal is named.

use std::io::Write;
use std::path::Path;

use super::open::Job;
use super::outfile::{self, What};
use crate::data::{Ran, bytes_of};
use crate::each::orders::Orders;
use crate::each::template::shown;
use crate::error::{Error, Result};
use crate::eyes::items::{Fates, Items};
use crate::job::snapshot::{Belief, Shape, Snapshot};

const HEAD: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const JOBLOG: What = What { name: "the joblog", option: "--joblog" };

/// Refuses a path that nothing can be written to.
pub(super) fn check(path: &Path) -> Result<()> {
    outfile::check(JOBLOG, path)
}

/// The same before the job at `root` is made, which may bring the log's folder with it.
pub(super) fn check_early(path: &Path, root: &Path) -> Result<()> {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (path_full, root) = (full(path), full(root));
    let is_made_later = path_full.parent().is_some_and(|dir| !dir.is_dir() && (root.starts_with(dir) || dir.starts_with(&root)));
    if is_made_later { Ok(()) } else { check(path) }
}

/// Writes the log of the job to `path`.
pub(super) fn write(job: &Job, path: &Path) -> Result<()> {
    let text = text(job)?;
    outfile::write(JOBLOG, path, &text)
}

fn text(job: &Job) -> Result<Vec<u8>> {
    let template = Orders::of(&job.spec.ask)?.template();
    let mut items = Items::open(&*job.disk, &job.root)?;
    let unreadable = |error| Error::io("cannot read the job", &job.root, error);
    let shape = Shape { maps: items.count(), reduces: 0 };
    let snapshot = Snapshot::take(&*job.disk, shape, Belief::Glance).map_err(unreadable)?;
    let fates = Fates::of(&*job.disk, &job.spec, &snapshot);
    let mut text = HEAD.as_bytes().to_vec();
    for (task, view) in (0..).zip(&snapshot.maps) {
        let Some(went) = fates.went(task, view).map_err(unreadable)? else { continue };
        let seq = u64::from(task) + 1;
        let command = template.fill(&items.item(task)?, seq).map_or_else(|error| error, |words| shown(&words));
        let host = went.claim.worker.host();
        let (exit, signal) = ended(went.ran.as_ref());
        let ran = went.ran.unwrap_or_else(|| Ran { start_ms: went.claimed_ms, end_ms: went.claimed_ms, ..Ran::default() });
        let (start, took) = (ran.start_ms as f64 / 1000.0, ran.end_ms.saturating_sub(ran.start_ms) as f64 / 1000.0);
        let received = bytes_of(&ran.out);
        let line = command.replace('\n', "\\n").replace('\t', "\\t");
        let _ = writeln!(text, "{seq}\t{host}\t{start:.3}\t{took:>10.3}\t0\t{received}\t{exit}\t{signal}\t{line}");
    }
    Ok(text)
}

/// `Exitval` and `Signal`.
fn ended(ran: Option<&Ran>) -> (i32, i32) {
    match ran {
        None => (-1, 0),
        Some(ran) if ran.timed_out => (-1, ran.signal.unwrap_or(0)),
        // GNU parallel says 0 of one that a signal ended, too.
        Some(ran) => (ran.exit.unwrap_or(0), ran.signal.unwrap_or(0)),
    }
}
