//! `each --joblog FILE`: a line per item whose command has ended, in the form of GNU parallel's.
//!
//! Written whole at the end, also of an interrupted run, and put in place by one rename. The last attempt of an item is told. `Receive` is the length of its stdout, `Send` is always 0.

use std::io::Write;
use std::path::Path;

use super::open::Job;
use super::outfile;
use crate::data::bytes_of;
use crate::each::orders::Orders;
use crate::each::template::shown;
use crate::error::{Error, Result};
use crate::eyes::items::{Items, went};
use crate::job::snapshot::{Belief, Shape, Snapshot};

const HEAD: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// Writes the log of the job to `path`.
pub(super) fn write(job: &Job, path: &Path) -> Result<()> {
    let text = text(job)?;
    outfile::write("the joblog", path, &text)
}

fn text(job: &Job) -> Result<Vec<u8>> {
    let template = Orders::of(&job.spec.ask)?.template();
    let mut items = Items::open(&*job.disk, &job.root)?;
    let unreadable = |error| Error::io("cannot read the job", &job.root, error);
    let shape = Shape { maps: items.count(), reduces: 0 };
    let snapshot = Snapshot::take(&*job.disk, shape, Belief::Glance).map_err(unreadable)?;
    let mut text = HEAD.as_bytes().to_vec();
    for (task, view) in (0..).zip(&snapshot.maps) {
        let Some(went) = went(&*job.disk, view).map_err(unreadable)? else { continue };
        let Some(ran) = went.ran else { continue };
        let seq = u64::from(task) + 1;
        let command = template.fill(&items.item(task)?, seq).map_or_else(|error| error, |words| shown(&words));
        let (start, took) = (ran.start_ms as f64 / 1000.0, ran.end_ms.saturating_sub(ran.start_ms) as f64 / 1000.0);
        let host = went.claim.worker.host();
        let received = bytes_of(&ran.out);
        // GNU parallel says 0 of one that a signal ended, too.
        let (exit, signal) = (ran.exit.unwrap_or(0), ran.signal.unwrap_or(0));
        let line = command.replace('\n', "\\n").replace('\t', "\\t");
        let _ = writeln!(text, "{seq}\t{host}\t{start:.3}\t{took:>10.3}\t0\t{received}\t{exit}\t{signal}\t{line}");
    }
    Ok(text)
}
