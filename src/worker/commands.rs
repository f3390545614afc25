//! An attempt that is a command: from a claim's name to a process, and back to how it went and what it wrote.
//!
//! What a command writes goes by pipes through this process into its worker's segment (see [`crate::each::segment`]); at most `KEPT_BYTES` of each stream are held
//! in memory. A command that ends with another status than 0, by a signal or by its timeout is a reported error. So is one that cannot be started; a machine
//! that can start nothing more just now is a refusal, which is tried again and then given back, as with a disk, and one without the job's folder gives back and leaves. Where the disk
//! refuses what a command has said, whoever holds its claim does not run it again for that: what it said is kept, and saved when the disk lets it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::scratch::Scratch;
use super::{Tasks, assign};
use crate::command::{Ears, Ended, Order, Programs, Running, Stdin, can_enter};
use crate::control::Control;
use crate::data::{Failure, Made, Ran, Split};
use crate::disk::rename::is_gone;
use crate::disk::{Disk, real};
use crate::each::ITEM_BYTES_MAX;
use crate::each::items::Form;
use crate::each::orders::{self, Orders, SUM};
use crate::each::segment::Writer;
use crate::each::template::Template;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Block, ClaimName, WorkerName};
use crate::job::layout::{self, ITEMS};
use crate::job::plan::Read;
use crate::job::spec::Spec;
use crate::units::{cut, now_ms};

/// What is held of a stream before it is written to the segment.
const KEPT_BYTES: usize = 1 << 20;
/// So much of an item is told in an error.
const ITEM_CHARS_TOLD: usize = 60;
/// What a shell says of a program that it does not find, and of one that it cannot run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

/// Runs attempts of one job of commands.
pub struct Commands {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// As commands are told it.
    job: OsString,
    dir: PathBuf,
    orders: Orders,
    template: Template,
    plan: Option<Read>,
    items: Option<File>,
    segment: Writer,
    scratch: Scratch,
    programs: Programs,
    /// A command that has ended, and what it said is not saved yet.
    unsaved: Option<Over>,
}

/// A command that has ended, with what is held of its words.
struct Over {
    claim: ClaimName,
    ended: Ended,
    out: Vec<u8>,
    err: Vec<u8>,
    ran: Ran,
}

impl Over {
    /// All that it said is held; nothing of it was given to the disk before.
    fn is_whole(&self) -> bool {
        self.ran.out.is_empty() && self.ran.err.is_empty()
    }
}

impl Commands {
    /// For the worker `name` in the job `spec` at `root`.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, spec: &Spec, name: &WorkerName) -> Result<Commands> {
        let dir = PathBuf::from(&spec.cwd);
        can_enter(&dir)?;
        let orders = Orders::of(&spec.ask)?;
        check_items(&*disk, &root, spec, orders.form)?;
        let job = std::path::absolute(&root).map_err(|error| Error::io("cannot resolve", &root, error))?.into_os_string();
        let segment = Writer::new(root.join(layout::segment(name)));
        let template = orders.template();
        let (scratch, programs) = (Scratch::new(name), Programs::default());
        Ok(Commands { disk, root, job, dir, template, orders, plan: None, items: None, segment, scratch, programs, unsaved: None })
    }

    /// The item of the map task.
    fn item(&mut self, task: Block) -> Result<Vec<u8>> {
        let split = assign::split(&*self.disk, &self.root, task, &mut self.plan)?;
        let path = self.root.join(ITEMS);
        let range = range_of(&split).ok_or_else(|| {
            Error::new(ErrorKind::Damaged, "cannot believe the plan of").on(&self.root).advise("it was edited; submit the job anew")
        })?;
        let file = match &self.items {
            Some(file) => file,
            None => {
                let opened = real::open_plain(&path, OpenOptions::new().read(true));
                self.items.insert(opened.map_err(|error| Error::io("cannot open", &path, error))?)
            }
        };
        let mut item = vec![0; (range.1 - range.0) as usize];
        file.read_exact_at(&mut item, range.0).map_err(|error| Error::io("cannot read", &path, error))?;
        Ok(item)
    }

    /// Runs the command for `claim`, unless that was done; how it ended, with what it wrote in the segment.
    fn command(&mut self, claim: &ClaimName, control: &Control, words: &[OsString]) -> Result<(Option<Ended>, Ran, String), Failure> {
        let over = match self.unsaved.take().filter(|over| over.claim == *claim) {
            Some(over) => over,
            None => match self.run_command(claim, control, words)? {
                Ok(over) => over,
                Err((ran, why)) => return Ok((None, ran, why)),
            },
        };
        match control.at_disk(|| self.save(&over)) {
            Ok(ran) => {
                let words = over.ended.words();
                Ok((Some(over.ended), ran, words))
            }
            Err(error) => {
                // Of what a network has refused nothing is known, not even of what it took before.
                self.unsaved = Some(over).filter(|over| over.is_whole() || !self.disk.is_network());
                Err(Failure::Disk(error))
            }
        }
    }

    /// How the command went, all of what it said in the segment.
    fn save(&mut self, over: &Over) -> Result<Ran> {
        let mut ran = over.ran.clone();
        self.segment.add(&over.out, &mut ran.out)?;
        self.segment.add(&over.err, &mut ran.err)?;
        if self.disk.is_network() {
            self.segment.sync()?;
        }
        Ok(ran)
    }

    /// Runs the command to its end; in it why it could not be started.
    fn run_command(&mut self, claim: &ClaimName, control: &Control, words: &[OsString]) -> Result<Result<Over, (Ran, String)>, Failure> {
        let scratch = self.scratch.fresh().map_err(Failure::Disk)?;
        let attempt = claim.attempt;
        let env = [
            ("FLOCKWORK_JOB".into(), self.job.clone()),
            ("FLOCKWORK_TASK".into(), attempt.task.to_string().into()),
            ("FLOCKWORK_ATTEMPT".into(), attempt.number.to_string().into()),
            ("FLOCKWORK_SCRATCH".into(), scratch.into()),
        ];
        let program = self.programs.place(&words[0]);
        let order = Order { words, program, dir: Some(&self.dir), env: &env, timeout: self.orders.timeout };
        let start_ms = now_ms();
        let mut catch =
            Catch { segment: &mut self.segment, out: Vec::new(), err: Vec::new(), ran: Ran { start_ms, ..Ran::default() }, refused: None };
        let running = match Running::start(&order, Stdin::Empty) {
            Ok(running) => running,
            Err(error) => return cannot_start(error, catch.ran).map(Err),
        };
        let ended = running.finish(control, &mut catch)?;
        let Catch { out, err, mut ran, refused, .. } = catch;
        refused.map_or(Ok(()), Err).map_err(Failure::Disk)?;
        // As it is told by people: the kernel's clock for how long, the machine's for when.
        ran.end_ms = start_ms.saturating_add(i64::try_from(ended.wall.as_millis()).unwrap_or(i64::MAX));
        (ran.exit, ran.signal, ran.peak_bytes) = (ended.status.code(), ended.status.signal(), ended.max_rss);
        ran.timed_out = ended.timed_out;
        Ok(Ok(Over { claim: claim.clone(), ended, out, err, ran }))
    }
}

/// The items are those that the job was made of: seen once, before any of them is run.
fn check_items(disk: &dyn Disk, root: &Path, spec: &Spec, form: Form) -> Result<()> {
    let path = root.join(ITEMS);
    let look = || orders::sum_of_file(&path, form);
    let found = match look() {
        // They are older than the job: this machine may have looked before.
        Err(error) if is_gone(&error) => disk.refresh(".").and_then(|()| look()),
        found => found,
    };
    let found = found.map_err(|error| Error::io("cannot read", &path, error))?;
    if spec.ask.options.get(SUM) == Some(&found) { Ok(()) } else { Err(orders::other_items(&path)) }
}

/// The machine's own trouble is no error of the item's.
fn cannot_start(error: Error, ran: Ran) -> Result<(Ran, String), Failure> {
    if error.kind() != ErrorKind::App {
        return Err(Failure::Disk(error));
    }
    let exit = if error.is_not_found() { NOT_FOUND } else { NOT_RUN };
    let ran = Ran { exit: Some(exit), end_ms: ran.start_ms, ..ran };
    Ok((ran, error.to_string()))
}

/// An item as it is told in an error.
fn short(item: &[u8]) -> String {
    cut(&String::from_utf8_lossy(item), ITEM_CHARS_TOLD).into_owned()
}

fn range_of(split: &Split) -> Option<(u64, u64)> {
    let [piece] = &split.pieces[..] else { return None };
    let is_item = piece.path == ITEMS && piece.to.checked_sub(piece.from).is_some_and(|len| len <= ITEM_BYTES_MAX as u64);
    is_item.then_some((piece.from, piece.to))
}

impl Tasks for Commands {
    fn run(&mut self, claim: &ClaimName, control: &Control) -> Result<Made, Failure> {
        let task = claim.attempt.task.number;
        let item = self.item(claim.attempt.block()).map_err(Failure::Disk)?;
        let words = self.template.fill(&item, u64::from(task) + 1).map_err(Failure::Input)?;
        let went = self.command(claim, control, &words);
        self.scratch.clear();
        let (ended, ran, how) = went?;
        match ended {
            Some(ended) if ended.is_good() => Ok(Made { ran: Some(Box::new(ran)), ..Made::default() }),
            Some(_) => Err(Failure::Command(format!("`{}` for `{}` {how}", words[0].to_string_lossy(), short(&item)), Box::new(ran))),
            None => Err(Failure::Command(how, Box::new(ran))),
        }
    }

    /// Nothing: what counts is what a task's file in `done/` or `failed/` names, and a stretch that none names is no file of its own.
    fn discard(&mut self, _claim: &ClaimName) {}
}

/// Takes what a command says into the segment.
struct Catch<'a> {
    segment: &'a mut Writer,
    out: Vec<u8>,
    err: Vec<u8>,
    ran: Ran,
    refused: Option<Error>,
}

impl Ears for Catch<'_> {
    fn out(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.out.extend_from_slice(block);
        if self.out.len() < KEPT_BYTES {
            return Ok(());
        }
        let kept = std::mem::take(&mut self.out);
        self.segment.add(&kept, &mut self.ran.out).map_err(Failure::Disk)
    }

    fn err(&mut self, block: &[u8]) {
        self.err.extend_from_slice(block);
        if self.err.len() >= KEPT_BYTES {
            let kept = std::mem::take(&mut self.err);
            self.refused = self.segment.add(&kept, &mut self.ran.err).err().or(self.refused.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_command_that_is_to_blame_itself_has_failed() {
        for (kind, cause, exit) in [
            (ErrorKind::App, std::io::ErrorKind::NotFound, Some(NOT_FOUND)),
            (ErrorKind::App, std::io::ErrorKind::PermissionDenied, Some(NOT_RUN)),
            (ErrorKind::Exhausted, std::io::ErrorKind::WouldBlock, None),
            (ErrorKind::Io, std::io::ErrorKind::ExecutableFileBusy, None),
            (ErrorKind::Unfit, std::io::ErrorKind::NotFound, None),
        ] {
            let error = Error::new(kind, "cannot start").because(std::io::Error::from(cause));
            match cannot_start(error, Ran::default()) {
                Ok((ran, _)) => assert!(exit.is_some() && ran.exit == exit, "{kind:?}"),
                Err(failure) => assert!(exit.is_none() && matches!(failure, Failure::Disk(_)), "{kind:?}: {failure:?}"),
            }
        }
    }
}
