//! Spills: sorted sections written because the memory was used up, and their merge into one.
//!
//! Contract: a spill is in a temporary file of this process, removed when all of it are dropped (a process that is killed leaves it to `clean`). Those that are merged keep
//! their order, so equal keys' values stay in the order of their emission; where the app combines, its values are combined again on the way.

use std::borrow::Borrow;
use std::path::Path;
use std::rc::Rc;

use super::budget::{self, Budget};
use super::draft::Temporary;
use super::guard;
use super::key::Head;
use super::merge::{Broken, Merge};
use super::run::{RunFile, RunWriter, Slice, Stream, Trouble};
use crate::app::{App, BadValue, Value};
use crate::control::{Cancelled, Control};
use crate::data::Failure;
use crate::error::{Error, ErrorKind};

/// Pairs between two looks at the control.
const PAIRS_PER_LOOK: u64 = 1 << 12;

/// One sorted section of a run on disk, for this process only.
pub(super) struct Spill {
    file: Rc<Temporary>,
    slices: Vec<Slice>,
}

impl Spill {
    /// Completes what was written: one spill per section.
    pub(super) fn all_of(writer: RunWriter) -> Result<Vec<Spill>, Failure> {
        let sections = writer.sections() as usize;
        let (file, slices) = writer.keep()?;
        let file = Rc::new(file);
        let spill = |slices: &[Slice]| Spill { file: Rc::clone(&file), slices: slices.to_vec() };
        Ok(slices.chunks(slices.len() / sections).map(spill).collect())
    }

    /// Opens it for reading.
    pub(super) fn open(&self) -> Result<RunFile, Failure> {
        RunFile::own(self.file.path(), &self.slices).map_err(|trouble| self.spoilt(trouble))
    }

    /// What trouble with it means: nobody else's fault.
    pub(super) fn spoilt(&self, trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Damaged => {
                let error = Error::new(ErrorKind::Damaged, "cannot read back the temporary file").on(self.file.path());
                Failure::Disk(error.advise("somebody removed or changed it, or the disk damages what is written"))
            }
            Trouble::Disk(error) => Failure::Disk(error),
        }
    }
}

/// What the merges of an attempt share.
pub(super) struct Merging<'a> {
    pub(super) dir: &'a Path,
    pub(super) partitions: u32,
    pub(super) budget: Budget,
    pub(super) control: &'a Control,
}

impl Merging<'_> {
    /// Merges all spills into `out`, in further passes where they are too many; returns how many those were.
    pub(super) fn merge<A: App>(&self, app: &A, mut spills: Vec<Spill>, out: &mut RunWriter) -> Result<u64, Failure> {
        let mut passes = 0;
        while spills.len() > self.budget.fan_in {
            let groups = budget::groups(spills.len(), self.budget.fan_in);
            let mut rest = spills.into_iter();
            spills = Vec::with_capacity(groups.len());
            for group in groups {
                let mut group: Vec<Spill> = rest.by_ref().take(group.len()).collect();
                if group.len() > 1 {
                    let mut merged = RunWriter::create(self.dir, self.partitions)?;
                    self.merge_once(app, &group, &mut merged)?;
                    group = Spill::all_of(merged)?;
                }
                spills.append(&mut group);
            }
            passes += 1;
        }
        self.merge_once(app, &spills, out)?;
        Ok(passes)
    }

    fn merge_once<A: App>(&self, app: &A, spills: &[Spill], out: &mut RunWriter) -> Result<(), Failure> {
        let runs: Vec<RunFile> = spills.iter().map(Spill::open).collect::<Result<_, _>>()?;
        for partition in 0..self.partitions {
            let stream = |(run, spill): (&RunFile, &Spill)| run.stream(0, partition).map_err(|trouble| spill.spoilt(trouble));
            let streams = runs.iter().zip(spills).map(stream).collect::<Result<Vec<Stream>, _>>()?;
            let mut spoilt = |broken: Broken<Trouble>| spills[broken.stream].spoilt(broken.error);
            combine_into(app, streams, partition, out, self.control, &mut spoilt)?;
        }
        Ok(())
    }
}

/// Merges streams into one partition of `out`, combining where the app does.
pub(super) fn combine_into<A: App>(
    app: &A,
    streams: Vec<Stream>,
    partition: u32,
    out: &mut RunWriter,
    control: &Control,
    spoilt: &mut dyn FnMut(Broken<Trouble>) -> Failure,
) -> Result<u64, Failure> {
    let merge = Merge::new(streams).map_err(&mut *spoilt)?;
    let mut one = OnePartition { merge, partition, out, control, pairs: 0, spoilt };
    let mut merged = Ok(());
    let called = guard::call(|| {
        merged = if A::COMBINES { one.combine_all(app) } else { one.copy_all() };
        Ok(())
    });
    called.map_err(Failure::App).and(merged)?;
    Ok(one.merge.streams().iter().map(Stream::bad_blocks).sum())
}

/// The merge of one partition under way.
struct OnePartition<'a> {
    merge: Merge<Stream>,
    partition: u32,
    out: &'a mut RunWriter,
    control: &'a Control,
    /// Seen since it began.
    pairs: u64,
    spoilt: &'a mut dyn FnMut(Broken<Trouble>) -> Failure,
}

impl OnePartition<'_> {
    fn copy_all(&mut self) -> Result<(), Failure> {
        while let Some(pair) = self.merge.head() {
            look(self.control, &mut self.pairs)?;
            self.out.push(self.partition, pair.key(), pair.value())?;
            self.merge.advance().map_err(&mut *self.spoilt)?;
        }
        Ok(())
    }

    fn combine_all<A: App>(&mut self, app: &A) -> Result<(), Failure> {
        let bad = |BadValue| Failure::App("the app cannot read a value that it wrote".to_owned());
        let (mut key, mut value, mut slot) = (Vec::new(), Vec::new(), None);
        while let Some(pair) = self.merge.head() {
            look(self.control, &mut self.pairs)?;
            key.clear();
            key.extend_from_slice(pair.key());
            value.clear();
            value.extend_from_slice(pair.value());
            let head = Head::of(&key);
            self.merge.advance().map_err(&mut *self.spoilt)?;
            if self.merge.is_at(head, &key) {
                let mut total = A::Value::read(&value, &mut slot).map_err(bad)?.to_owned();
                while let Some(pair) = self.merge.head().filter(|_| self.merge.is_at(head, &key)) {
                    app.combine(&mut total, A::Value::read(pair.value(), &mut slot).map_err(bad)?);
                    self.merge.advance().map_err(&mut *self.spoilt)?;
                }
                value.clear();
                total.borrow().write(&mut value);
            }
            self.out.push(self.partition, &key, &value)?;
        }
        Ok(())
    }
}

#[inline]
fn look(control: &Control, n: &mut u64) -> Result<(), Failure> {
    *n += 1;
    if n.is_multiple_of(PAIRS_PER_LOOK) { control.step().map_err(|Cancelled| Failure::Cancelled) } else { Ok(()) }
}
