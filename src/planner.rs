//! From what was asked to a planned job: inputs checked, splits decided, `job.json` and `phase/map` written, each once.
//!
//! A role of its own because it is the only one that needs both the engine (what splits are) and the protocol (where they are written). Inputs
//! are checked before anything is created, so a mistyped name leaves nothing behind. A submitter that died between the two files is no loss: the
//! coordinator finds a job without a plan and plans it, from the folder the inputs were typed in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::Options;
use crate::data::{BadRecord, Failure, ShuffleForm, Split};
use crate::disk::Disk;
use crate::disk::real::{self, RealDisk};
use crate::each::orders;
use crate::engine::split::{SplitRule, plan_splits, whole_files};
use crate::engine::{self, AnyApp, AppEntry, input};
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::{ATTEMPTS, DIRS, ITEMS, JOB_JSON, OUTPUT, PHASE};
use crate::job::lost::{self, MapPlan};
use crate::job::plan::{self, Plan};
use crate::job::snapshot::Belief;
use crate::job::spec::{self, Ask, Bundle, REDUCES_MAX, Spec};
use crate::partition::RangeTable;
use crate::units::show_size;

pub mod after;
mod commands;

pub use commands::{submit_commands, submit_commands_later};

/// A planned job.
pub struct Planned {
    /// What was asked.
    pub spec: Spec,
    /// Its directory.
    pub disk: Arc<dyn Disk>,
    /// How many map tasks it has.
    pub maps: u32,
}

/// Makes the job `ask` at `root`, or opens it where the very same was asked there before.
pub fn submit(apps: &[AppEntry], root: &Path, ask: &Ask) -> Result<Planned> {
    let app = make(apps, ask)?;
    let ask = &with_reduces(&*app, ask);
    match holds(root)? {
        Holds::NoJobYet => {}
        Holds::Job => {
            let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
            let spec = spec::load(&*disk, root)?;
            check_same(root, &spec, ask)?;
            return plan_if_needed(|_| Ok(app), root, disk, spec);
        }
        Holds::OtherThings(name) => return Err(refuse_other_things(root, &name)),
    }
    // Everything that can be wrong is found before anything is made.
    let (splits, ranges) = splits(&*app, root, ask, Path::new(""))?;
    let mut ask = ask.clone();
    if ask.output != OUTPUT {
        ask.output = output_dir(Path::new(&ask.output), root, &ask.inputs)?;
    }
    check_room(&*app, &root.join(&ask.output), &ask, &splits)?;
    let here = cwd()?;
    make_dir(root)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
    ask.bundle = bundle(&ask, splits.len());
    let spec = Spec { format: ask.bundle.format(), id: crate::here::nonce(16), submitted: crate::units::stamp_utc(), cwd: here, ask };
    make_dir(&root.join(&spec.ask.output).join(ATTEMPTS))?;
    let (written, created) = spec::submit(&*disk, root, &spec)?;
    if created == crate::disk::Created::Before {
        check_same(root, &written, &spec.ask)?;
        return plan_if_needed(|_| Ok(app), root, disk, written);
    }
    announce(root);
    let _ = plan::create_map(&*disk, root, &written.id, &splits, ranges)?;
    let maps = maps(&*disk, root)?;
    Ok(Planned { spec: written, disk, maps })
}

/// Lets whoever serves the farm that the new job lies in see it, and that it is one; where that folder may not be touched, they see it with the next.
fn announce(root: &Path) {
    let _ = RealDisk::at(root).announce(".");
    let _ = RealDisk::at(root.join("..")).announce(".");
}

/// How many map tasks of such a job share a file at most. Where a map task makes an output none do, and by themselves none where people may count on their number: a mapper command is started once for each task's lines, and
/// readable shuffle files are held in memory whole.
fn bundle(ask: &Ask, maps: usize) -> Bundle {
    let is_plain = ask.app != engine::stream::NAME && ask.shuffle == ShuffleForm::Run;
    if ask.reduces == 0 || ask.bundle == Bundle::Auto && !is_plain { Bundle::ONE } else { ask.bundle.settled(maps) }
}

fn refuse_other_things(root: &Path, name: &str) -> Error {
    let error = Error::new(ErrorKind::NotThisJob, "cannot use as a job's directory").on(root);
    let error = error.because(format!("it is no job, and holds other things (`{name}`)"));
    error.advise("name a new or an empty directory with --job")
}

/// Opens the job at `root` and plans it if its submitter died before that.
pub fn open(apps: &[AppEntry], root: &Path) -> Result<Planned> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
    let spec = spec::load(&*disk, root)?;
    plan_if_needed(|ask| make(apps, ask), root, disk, spec)
}

fn make(apps: &[AppEntry], ask: &Ask) -> Result<Box<dyn AnyApp>> {
    engine::make(apps, &ask.app, &Options(ask.options.clone()))
}

/// A job whose app has no reduce has no reduce tasks.
fn with_reduces(app: &dyn AnyApp, ask: &Ask) -> Ask {
    Ask { reduces: if app.has_reduce() { ask.reduces } else { 0 }, ..ask.clone() }
}

fn plan_if_needed(make: impl FnOnce(&Ask) -> Result<Box<dyn AnyApp>>, root: &Path, disk: Arc<dyn Disk>, spec: Spec) -> Result<Planned> {
    if is_planned(&*disk, root)? {
        // Nothing is to be done.
    } else if spec.ask.is_of_commands() {
        commands::plan_commands(&*disk, root, &spec)?;
    } else {
        // File names in an app's output are as the user typed them, whoever plans.
        let (splits, ranges) = splits(&*make(&spec.ask)?, root, &spec.ask, Path::new(&spec.cwd))?;
        let _ = plan::create_map(&*disk, root, &spec.id, &splits, ranges)?;
    }
    let maps = maps(&*disk, root)?;
    Ok(Planned { spec, disk, maps })
}

/// Whether the job has its plan; refuses one that has lost it.
fn is_planned(disk: &dyn Disk, root: &Path) -> Result<bool> {
    disk.refresh(PHASE).map_err(|error| Error::io("cannot open", root.join(PHASE), error))?;
    match lost::map_plan(disk, root, Belief::Sure)? {
        MapPlan::Here(_) => Ok(true),
        MapPlan::NotYet => Ok(false),
        MapPlan::Lost(trace) => Err(lost::refusal(root, &trace)),
    }
}

fn maps(disk: &dyn Disk, root: &Path) -> Result<u32> {
    let plan = Plan::map(disk, root)?;
    plan.map(|plan| plan.head().maps).ok_or_else(|| Error::new(ErrorKind::Vanished, "cannot find the plan just written in").on(root))
}

/// The map tasks of inputs that were typed in the folder `here`, and the ranges of keys where the app asks for them.
fn splits(app: &dyn AnyApp, root: &Path, ask: &Ask, here: &Path) -> Result<(Vec<Split>, Option<RangeTable>)> {
    let files = input::resolve_in(here, &ask.inputs, root)?;
    let splits = plan_splits(&files, app.unit(), &SplitRule { bytes: ask.split_bytes, lines: ask.split_lines })?;
    if !app.has_reduce() && splits.len() > REDUCES_MAX as usize {
        let error = Error::new(ErrorKind::Input, format!("a job has {REDUCES_MAX} output files at most, not {}", splits.len()));
        return Err(error.advise("every map task writes one: choose a larger --split-size, or --split-lines"));
    }
    let ranges = app.sample_ranges(&whole_files(&files), Path::new("/"), ask.reduces).map_err(|failure| match failure {
        Failure::Input(text) => Error::new(ErrorKind::Input, text),
        Failure::Disk(error) => error,
        Failure::App(text) | Failure::Command(text, _) | Failure::Record(BadRecord { why: text, .. }) => Error::new(ErrorKind::App, text),
        Failure::Damaged(_) | Failure::Cancelled => Error::new(ErrorKind::Failed, "interrupted"),
    })?;
    Ok((splits, ranges))
}

/// Refuses a job whose outputs have no room for sure, as far as the app can tell.
fn check_room(app: &dyn AnyApp, outputs: &Path, ask: &Ask, splits: &[Split]) -> Result<()> {
    let input_bytes = splits.iter().flat_map(|split| &split.pieces).map(|piece| piece.to.saturating_sub(piece.from)).sum();
    let least = app.least_output(input_bytes);
    // They are not made yet: the nearest folder that is there lies on the same file system, or is refused soon enough.
    let there = outputs.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    match real::available_bytes(there) {
        Ok(free) if free < least => {
            let (least, free) = (show_size(least), show_size(free));
            let error = Error::new(ErrorKind::Input, "cannot find room for the outputs in").on(outputs);
            let error = error.because(format!("`{}` writes at least {least} of these inputs, and {free} are free", ask.app));
            Err(error.advise("free space there, or name a roomier folder with --output"))
        }
        // What cannot be told is no reason not to start.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// What a directory that was named as a job's holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A job.
    Job,
    /// Nothing, or what a submitter leaves that died half-way, or it does not exist yet.
    NoJobYet,
    /// Something else, for example this name.
    OtherThings(String),
}

/// Looks what `root` holds.
pub fn holds(root: &Path) -> Result<Holds> {
    let entries = match RealDisk::at(root).list(".") {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Holds::NoJobYet),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            let error =
                Error::new(ErrorKind::NotThisJob, "cannot use as a job's directory").on(root).because("it is a file, or lies in one");
            return Err(error.advise("name a folder"));
        }
        Err(error) => return Err(Error::io("cannot use as a job's directory", root, error)),
    };
    if entries.iter().any(|entry| entry.name == JOB_JSON) {
        return Ok(Holds::Job);
    }
    let other = entries.into_iter().find(|entry| !DIRS.contains(&entry.name.as_str()) && entry.name != ITEMS);
    Ok(other.map_or(Holds::NoJobYet, |entry| Holds::OtherThings(entry.name)))
}

fn check_same(root: &Path, there: &Spec, asked: &Ask) -> Result<()> {
    let mut asked = asked.clone();
    // Whoever says nothing goes on with what is there.
    asked.bundle = if asked.bundle == Bundle::Auto { there.ask.bundle } else { bundle(&asked, usize::MAX) };
    if asked.output != OUTPUT {
        asked.output = input::stored_folder(Path::new(&asked.output), root)?;
    }
    let relative = asked.inputs.iter().any(|typed| Path::new(typed).is_relative());
    let are_commands = there.ask.is_of_commands() && asked.is_of_commands();
    let mut differs = if are_commands { orders::differences(&there.ask, &asked)? } else { there.ask.differences(&asked) };
    if relative && there.cwd != cwd()? {
        let what = if are_commands { "it was submitted" } else { "the inputs were typed" };
        differs.push(format!("{what} in {}", there.cwd));
    }
    if differs.is_empty() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::NotThisJob, "another job lies in").on(root).because(differs.join("; "));
    Err(error.advise("give the same options to go on with that job, or choose another --job"))
}

fn output_dir(typed: &Path, root: &Path, inputs: &[String]) -> Result<String> {
    let refuse = |why: &str| Error::new(ErrorKind::Usage, "cannot write the outputs to").on(typed).because(why.to_owned());
    if typed.ancestors().find_map(|place| place.metadata().ok()).is_some_and(|meta| !meta.is_dir()) {
        return Err(refuse("it is a file, or lies in one").advise("name a folder with --output"));
    }
    if let Some(inner) = input::place_in_job(typed, root)?
        && inner.components().next().is_none_or(|first| first.as_os_str() != OUTPUT && DIRS.iter().any(|dir| first.as_os_str() == *dir))
    {
        return Err(
            refuse("the job's own files lie there").advise(format!("leave --output away, and they lie in {}", root.join(OUTPUT).display()))
        );
    }
    if let Ok(entries) = std::fs::read_dir(typed) {
        let taken = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("mr-out-"));
        if let Some(entry) = taken {
            let cause = format!("`{}` is there already, and outputs are never replaced", entry.file_name().to_string_lossy());
            return Err(refuse(&cause).of_kind(ErrorKind::NotThisJob).advise("move it away, or choose another --output"));
        }
    }
    if let Some(folder) = input::walked_to(inputs, root, typed)? {
        let cause = format!("it lies in the input folder `{folder}`, and whoever reads that again reads the outputs, too");
        return Err(refuse(&cause).advise("choose an --output outside it, or leave them in the job directory"));
    }
    input::stored_folder(typed, root)
}

fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| Error::io("cannot create the folder", path, error))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io("cannot resolve", path, error))
}

fn cwd() -> Result<String> {
    let untold = |error| Error::io("cannot tell", "the current directory", error).advise("change into a folder that is there");
    let here = std::env::current_dir().map_err(untold)?;
    here.into_os_string().into_string().map_err(|here| {
        let error = Error::new(ErrorKind::Usage, "cannot submit a job from the folder").on(here).because("its path is not UTF-8");
        error.advise("do so from another folder, or through a link of another name")
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;
    use crate::app::{App, AppResult, Emit, Output, Record, Values};

    struct Nothing;

    impl App for Nothing {
        type Value = u64;

        fn map(&self, _: Record<'_>, _: &mut impl Emit<u64>) -> AppResult {
            Ok(())
        }

        fn reduce(&self, _: &[u8], _: &mut Values<'_, u64>, _: &mut Output<'_>) -> AppResult {
            Ok(())
        }
    }

    static MADE: AtomicU32 = AtomicU32::new(0);

    fn made(_: &Options) -> Result<Box<dyn AnyApp>, String> {
        MADE.fetch_add(1, Relaxed);
        Ok(Box::new(Nothing))
    }

    fn ask_of(dir: &Path) -> Ask {
        let input = dir.join("in");
        std::fs::write(&input, "word\n").expect("written");
        let ask = serde_json::json!({"app": "nothing", "options": {}, "inputs": [input], "reduces": 1, "split_bytes": 9, "split_lines": null, "shuffle": "run",
            "lease_ms": 10_000, "max_errors": 4, "max_lost": 16, "stall_ms": 600_000, "output": OUTPUT});
        serde_json::from_value(ask).expect("an ask")
    }

    #[test]
    fn an_app_is_made_once_to_submit_a_job_and_once_to_find_it_submitted() {
        let apps = [AppEntry { name: "nothing", about: "", options: &[], make: made }];
        let dir = tempfile::tempdir().expect("a directory");
        let ask = ask_of(dir.path());
        for times in [1, 2] {
            submit(&apps, &dir.path().join("job"), &ask).expect("submitted");
            assert_eq!(MADE.load(Relaxed), times, "making one may be dear: it may read a model");
        }
    }
}
