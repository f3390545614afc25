//! Keeps `JOB/status.html` and `JOB/status.json` fresh, beside the coordinator and never in its way.
//!
//! The coordinator hands over what it has seen anyway; a thread of its own writes. While it still writes, or its disk hangs, what comes meanwhile is forgotten but for the
//! newest. Nothing that goes wrong here is an error of the job: a page that cannot be written is a page less.
//!
//! Cost: two whole files and two small reads each time (less than twenty calls), and at most five small reads where there are new errors; at most every [`PERIOD`], every
//! [`IDLE_PERIOD`] where nothing has changed, once at the end, and for a job that ends within [`FIRST_AFTER`] only then. Each write changes the job's folder, which its workers then
//! list once more.
//!
//! Both files are written under a temporary name and renamed, so a link that somebody has laid under their names leads nowhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::coordinator::serve::News;
use crate::disk::real::RealDisk;
use crate::disk::{Disk, Flush};
use crate::eyes::board::{Board, Pacer};
use crate::job::end;
use crate::job::layout::BOARDS;
use crate::job::spec::Spec;

/// Between two writes.
const PERIOD: Duration = Duration::from_secs(5);
/// The same, while nothing has changed.
const IDLE_PERIOD: Duration = Duration::from_secs(30);
/// A look at very many tasks takes a while: at least so many times as long lies between two.
const PERIOD_PER_LOOK: u32 = 200;
/// The first write.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// The end waits no longer than this for the last write.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Hands what a coordinator sees to whoever writes it.
pub(super) struct Notice {
    root: PathBuf,
    spec: Spec,
    pacer: Pacer,
    /// What was seen last.
    last: Option<Board>,
    next: Instant,
    desk: Arc<Desk>,
}

#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    changed: Condvar,
}

#[derive(Default)]
struct Papers {
    /// To be written; whether it is of the end.
    newest: Option<(Board, bool)>,
    is_over: bool,
    /// The writer has gone.
    is_left: bool,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notice {
    /// Of the job `spec` at `root`; nothing is written before something is seen.
    pub(super) fn of(root: &Path, spec: &Spec) -> Notice {
        let desk = Arc::new(Desk::default());
        let full = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let (theirs, place) = (Arc::clone(&desk), full.clone());
        // Without the thread there is no page, and the job goes on.
        let started = std::thread::Builder::new().name("status page".to_owned()).spawn(move || write_all(&theirs, &place));
        desk.papers().is_left = started.is_err();
        Notice { root: full, spec: spec.clone(), pacer: Pacer::default(), last: None, next: Instant::now() + FIRST_AFTER, desk }
    }

    /// What the coordinator tells.
    pub(super) fn tell(&mut self, news: &News<'_>) {
        let is_end = matches!(news, News::Seen(snapshot) if snapshot.phases.end);
        if !is_end && Instant::now() < self.next {
            return;
        }
        let begun = Instant::now();
        let board = match news {
            News::Seen(snapshot) => Some(Board::of(&self.root, &self.spec, snapshot, &mut self.pacer)),
            // It may see nothing at all now, but it is there, and the page says what holds it up.
            News::Trouble(_) => self.last.as_ref().map(Board::anew),
            _ => None,
        };
        let Some(board) = board else { return };
        self.next = Instant::now() + PERIOD.max(begun.elapsed() * PERIOD_PER_LOOK);
        self.last = Some(board.clone());
        self.desk.papers().newest = Some((board, is_end));
        self.desk.changed.notify_all();
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let mut papers = self.desk.papers();
        papers.is_over = true;
        self.desk.changed.notify_all();
        let until = Instant::now() + LAST_PATIENCE;
        while !papers.is_left {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            papers = self.desk.changed.wait_timeout(papers, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Writes what lies on the desk until it is over.
fn write_all(desk: &Desk, root: &Path) {
    let disk = RealDisk::at(root);
    let (mut errors, mut last): (HashMap<_, _>, Option<(Board, Instant)>) = (HashMap::new(), None);
    loop {
        let mut papers = desk.papers();
        while papers.newest.is_none() && !papers.is_over {
            papers = desk.changed.wait(papers).unwrap_or_else(PoisonError::into_inner);
        }
        let Some((mut board, is_end)) = papers.newest.take() else { break };
        drop(papers);
        board.read_errors(&disk, &mut errors);
        match is_end.then(|| end::load(&disk, root)) {
            Some(Ok(Some(end))) => board.ended(end),
            _ => board.read_trouble(&disk),
        }
        let is_news = last.as_ref().is_none_or(|(before, at)| at.elapsed() >= IDLE_PERIOD || !board.says_what(before));
        if is_news && write(&disk, &board) {
            last = Some((board, Instant::now()));
        }
    }
    desk.papers().is_left = true;
    desk.changed.notify_all();
}

fn write(disk: &RealDisk, board: &Board) -> bool {
    let [html, json] = BOARDS;
    put(disk, json, &board.json()) & put(disk, html, &board.html())
}

/// False if it could not be written: a folder bears the name, the disk is full. Nothing stays behind then.
fn put(disk: &RealDisk, name: &str, text: &str) -> bool {
    let Ok(draft) = disk.draft(".", text.as_bytes(), Flush::OnNetwork) else { return false };
    match disk.rename(&draft, name) {
        Ok(()) => true,
        Err(_) => {
            let _ = disk.remove(&draft);
            false
        }
    }
}
