//! An attempt as the engine runs it: from a claim's name to a call of the app, and back to what was made.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::{Tasks, assign};
use crate::app::{Context, JobFacts};
use crate::control::Control;
use crate::data::{Failure, FileSum, Made, ShuffleForm};
use crate::disk::Disk;
use crate::engine::{AnyApp, Budget, Care, MapWork, ReduceWork, ShuffleInput};
use crate::ids::{ClaimName, Phase};
use crate::job::layout::{self, SHUFFLE};
use crate::job::plan::Read;
use crate::job::skip::{self, Note, Past};
use crate::job::spec::Ask;

/// Runs attempts of one job by the engine.
pub struct Engine {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    ask: Ask,
    app: Box<dyn AnyApp>,
    budget: Budget,
    facts: JobFacts,
    plan: Option<Read>,
    /// That of a claim whose attempt met a full disk, and is tried again.
    note: Option<(ClaimName, Noting)>,
}

/// Shared with the engine; without a note the attempt is as good, only less is known should it die.
type Noting = Rc<RefCell<Option<Note>>>;

impl Engine {
    /// For the job `ask` at `root`, with the app it names.
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, ask: Ask, app: Box<dyn AnyApp>) -> Engine {
        let facts = JobFacts { id: String::new(), cwd: PathBuf::new(), reduces: ask.reduces };
        let budget = Budget::new(ask.memory_bytes);
        Engine { disk, root, ask, app, budget, facts, plan: None, note: None }
    }

    /// The same, telling its app which job this is, and where it was submitted.
    pub fn of_job(mut self, id: &str, cwd: &str) -> Engine {
        (self.facts.id, self.facts.cwd) = (id.to_owned(), PathBuf::from(cwd));
        self
    }

    fn run_map(&mut self, claim: &ClaimName, control: &Control, care: Option<&Care>) -> Result<Made, Failure> {
        let split = assign::split(&*self.disk, &self.root, claim.attempt.block(), &mut self.plan).map_err(Failure::Disk)?;
        let ranges = assign::ranges(self.plan.as_ref());
        let output = self.ask.is_map_only().then(|| self.root.join(layout::attempt_output(&self.ask.output, claim)));
        let work = MapWork {
            split: &split,
            base: &self.root,
            shuffle_dir: &self.root.join(SHUFFLE),
            name: &claim.to_string(),
            partitions: self.ask.reduces,
            ranges: ranges.as_ref(),
            output: output.as_deref(),
            stderr: Some(&self.root.join(layout::stderr(claim))),
            form: self.ask.shuffle,
            budget: self.budget,
            sync: self.disk.is_network(),
            context: &self.context(claim),
            control,
            care,
        };
        self.app.run_map(&work)
    }

    fn run_reduce(&self, claim: &ClaimName, control: &Control, care: Option<&Care>) -> Result<Made, Failure> {
        let partition = claim.attempt.task.number;
        let mut planned = assign::shuffle_inputs(&*self.disk, &self.root, partition).map_err(Failure::Disk)?;
        loop {
            let inputs: Vec<ShuffleInput> = planned.iter().map(|(attempt, file)| input(attempt, file)).collect();
            let work = ReduceWork {
                partition,
                inputs: &inputs,
                shuffle_dir: &self.root.join(SHUFFLE),
                output: self.root.join(layout::attempt_output(&self.ask.output, claim)),
                stderr: Some(&self.root.join(layout::stderr(claim))),
                form: self.ask.shuffle,
                budget: self.budget,
                context: &self.context(claim),
                control,
                care,
            };
            let ran = self.app.run_reduce(&work);
            let Err(Failure::Damaged(mut damaged)) = ran else { return ran };
            let replaced = assign::replace_retracted(&*self.disk, &self.root, partition, &mut planned, &damaged).map_err(Failure::Disk)?;
            if replaced.count < damaged.len() {
                damaged.extend(replaced.unreadable);
                return Err(Failure::Damaged(damaged));
            }
            if let Some(care) = care {
                care.begin_again();
            }
        }
    }

    fn attempt(&mut self, claim: &ClaimName, control: &Control, care: Option<&Care>) -> Result<Made, Failure> {
        match claim.attempt.task.phase {
            Phase::Map => self.run_map(claim, control, care),
            Phase::Reduce => self.run_reduce(claim, control, care),
        }
    }

    /// What earlier attempts have learned of bad records; `None` where there is nothing to be careful of, and in a block of several tasks: one that fails there is
    /// tried alone in the end, and that is soon enough.
    fn past(&self, claim: &ClaimName) -> Result<Option<Past>, Failure> {
        if !self.ask.skip_bad_records || claim.attempt.number == 1 || claim.attempt.block().order() > 0 {
            return Ok(None);
        }
        skip::past(&*self.disk, &self.root, claim.attempt.task).map_err(Failure::Disk)
    }

    fn noting(&mut self, claim: &ClaimName) -> Noting {
        match self.note.take() {
            Some((name, note)) if name == *claim => note,
            Some(_) | None => Rc::new(RefCell::new(Note::begin(&*self.disk, claim).ok())),
        }
    }

    fn context(&self, claim: &ClaimName) -> Context {
        Context { job_dir: self.root.clone(), attempt: claim.attempt, job: self.facts.clone() }
    }
}

fn input(attempt: &str, file: &FileSum) -> ShuffleInput {
    ShuffleInput { attempt: attempt.to_owned(), file: file.clone() }
}

impl Tasks for Engine {
    fn run(&mut self, claim: &ClaimName, control: &Control) -> Result<Made, Failure> {
        let Some(Past { bad, silent }) = self.past(claim)? else { return self.attempt(claim, control, None) };
        let noting = if silent { self.noting(claim) } else { Noting::default() };
        let write = |noting: &Noting, spot| {
            if let Some(note) = &mut *noting.borrow_mut() {
                // A note that cannot be written is a note less: it decides nothing here.
                let _ = note.write(spot);
            }
        };
        let noted = Rc::clone(&noting);
        let care = Care::new(bad, move |spot| write(&noted, spot));
        let ran = self.attempt(claim, control, Some(&care));
        write(&noting, None);
        if matches!(&ran, Err(Failure::Disk(error)) if error.is_no_room()) {
            self.note = Some((claim.clone(), noting));
        }
        ran
    }

    fn discard(&mut self, claim: &ClaimName) {
        // Best effort: what stays is found by `clean`.
        match claim.attempt.task.phase {
            Phase::Map if self.ask.is_map_only() => _ = self.disk.remove(&layout::attempt_output(&self.ask.output, claim)),
            Phase::Map => match self.ask.shuffle {
                ShuffleForm::Run => _ = self.disk.remove(&layout::shuffle_run(claim)),
                ShuffleForm::Json => (0..self.ask.reduces).for_each(|partition| {
                    let _ = self.disk.remove(&layout::shuffle_json(claim, partition));
                }),
            },
            Phase::Reduce => _ = self.disk.remove(&layout::attempt_output(&self.ask.output, claim)),
        }
    }
}
