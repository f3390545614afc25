//! Where a map attempt's pairs go when shuffle files are runs: a combining table while it pays, otherwise an arena; spilled when the memory is used up; at
//! the end one sorted run.
//!
//! Contract: equal keys' values keep the order of their emission. What goes wrong inside `emit`, which cannot return it, is kept and asked for after
//! every record; nothing is taken any more then. Where emits are gathered, an app's panic in `combine` may be told with a record a few
//! later than the one it was about.

use std::borrow::Borrow;
use std::mem::needs_drop;

use super::arena::Arena;
use super::draft::Flush;
use super::run::{PAIR_BYTES_MAX, PARTITIONS_MAX, RunWriter};
use super::spill::{Merging, Spill};
use super::table::{self, Room, Table};
use super::{MapWork, counters, guard, key, order};
use crate::app::{App, Context, Emit, Value};
use crate::data::{Counters, Failure, FileSum};

type Owned<A> = <<A as App>::Value as ToOwned>::Owned;

/// Input bytes per distinct key that a table is first made for; it grows where there are more.
const BYTES_PER_KEY: u64 = 256;

/// What the app emitted so far.
pub(super) struct Emitter<'a, A: App> {
    app: &'a A,
    work: &'a MapWork<'a>,
    /// `None` where the app does not combine or it did not pay. One of table and arena holds pairs.
    table: Option<Table<Owned<A>>>,
    arena: Arena,
    spills: Vec<Spill>,
    counters: Counters,
    n_pairs: u64,
    fault: Option<Failure>,
}

impl<'a, A: App> Emitter<'a, A> {
    pub(super) fn new(app: &'a A, work: &'a MapWork<'a>) -> Emitter<'a, A> {
        let bytes: u64 = work.split.pieces.iter().map(|piece| piece.to.saturating_sub(piece.from)).sum();
        let keys = usize::try_from(bytes / BYTES_PER_KEY).unwrap_or(usize::MAX / 4);
        let table = A::COMBINES.then(|| Table::new(keys, work.budget.memory));
        let (arena, spills, counters) = (Arena::default(), Vec::new(), Counters::new());
        let too_many = format!("{} partitions are too many; at most {PARTITIONS_MAX} are possible", work.partitions);
        let fault = (work.partitions > PARTITIONS_MAX).then(|| Failure::App(too_many));
        Emitter { app, work, table, arena, spills, counters, n_pairs: 0, fault }
    }

    /// What went wrong since it was last asked.
    #[inline]
    pub(super) fn take_fault(&mut self) -> Option<Failure> {
        self.fault.take()
    }

    /// Writes everything into one run, described, and its counters.
    pub(super) fn finish(mut self) -> Result<(FileSum, Counters), Failure> {
        guarded(|| self.flush())?;
        let spilled = self.spills.len() as u64;
        let mut run = RunWriter::create(self.work.shuffle_dir, self.work.partitions)?;
        let mut passes = 0;
        if spilled == 0 {
            guarded(|| self.write_all(&mut run))?;
        } else {
            guarded(|| self.spill())?;
            let (app, work, spills) = (self.app, self.work, std::mem::take(&mut self.spills));
            // The merge needs the memory.
            (self.table, self.arena) = (None, Arena::default());
            let merging = Merging { dir: work.shuffle_dir, partitions: work.partitions.max(1), budget: work.budget, control: work.control };
            passes = merging.merge(app, spills, &mut run)?;
        }
        let target = self.work.shuffle_dir.join(format!("{}.run", self.work.name));
        let (file, n_shuffled) = run.finish(&target, if self.work.sync { Flush::ToDisk } else { Flush::ToCache })?;
        let mut counters = self.counters;
        counters::add_all(&mut counters, &[(counters::PAIRS_OUT, self.n_pairs), (counters::PAIRS_SHUFFLED, n_shuffled)]);
        counters::add_some(&mut counters, &[(counters::SPILLS, spilled), (counters::MERGE_PASSES, passes)]);
        Ok((file, counters))
    }

    /// Combines what was gathered, and makes room for more.
    fn flush(&mut self) -> Result<(), Failure> {
        if self.make_room()? {
            let app = self.app;
            if let Some(table) = &mut self.table {
                self.n_pairs += table.flush(|total, next| app.combine(total, (*next).borrow()));
            }
        }
        Ok(())
    }

    /// Makes room for a batch in the table, by a spill if need be; false if there is no table (any more).
    #[inline]
    fn make_room(&mut self) -> Result<bool, Failure> {
        let memory = self.work.budget.memory;
        match self.table.as_mut().map(|table| table.room(memory)) {
            Some(Room::Enough) => Ok(true),
            Some(Room::Full) => self.make_room_again(),
            Some(Room::Futile) => self.give_up_table().map(|()| false),
            None => Ok(false),
        }
    }

    #[cold]
    fn make_room_again(&mut self) -> Result<bool, Failure> {
        let memory = self.work.budget.memory;
        if let Some(table) = self.table.as_mut().filter(|_| needs_drop::<Owned<A>>()) {
            table.weigh(table::value_bytes::<A::Value, _>);
            if table.room(memory / 2) == Room::Enough {
                return Ok(true);
            }
        }
        self.spill().map(|()| true)
    }

    /// Combining does not pay: from here on the arena takes everything, after what the table holds and what was gathered for it.
    #[cold]
    fn give_up_table(&mut self) -> Result<(), Failure> {
        let (app, work) = (self.app, self.work);
        let Some(mut table) = self.table.take() else { return Ok(()) };
        let arena = &mut self.arena;
        table.drain_sorted(
            |key| partition(app, work, key),
            |partition, key, total| {
                arena.push(partition, key, |bytes| (*total).borrow().write(bytes));
                Ok(())
            },
        )?;
        self.n_pairs += table.ungather(|key, value| append(app, work, arena, key, (*value).borrow()))?;
        Ok(())
    }

    #[cold]
    fn spill(&mut self) -> Result<(), Failure> {
        if self.arena.is_empty() && self.table.as_ref().is_none_or(|table| table.len() == 0) {
            return Ok(());
        }
        let mut run = RunWriter::create(self.work.shuffle_dir, self.work.partitions)?;
        self.write_all(&mut run)?;
        self.spills.push(Spill::of(run)?);
        Ok(())
    }

    /// Writes what is in memory, sorted; then nothing is.
    fn write_all(&mut self, run: &mut RunWriter) -> Result<(), Failure> {
        let (app, work) = (self.app, self.work);
        if let Some(table) = &mut self.table {
            let mut bytes = Vec::new();
            table.drain_sorted(
                |key| partition(app, work, key),
                |partition, key, total| {
                    bytes.clear();
                    (*total).borrow().write(&mut bytes);
                    run.push(partition, key, &bytes)
                },
            )?;
        }
        self.arena.drain_sorted(|partition, key, value| run.push(partition, key, value))
    }

    /// A pair whose key is long or whose values live on the heap.
    fn combine_now(&mut self, key: &[u8], value: &A::Value) -> Result<(), Failure> {
        check_length(key, value)?;
        if !self.make_room()? {
            return self.append(key, value);
        }
        let app = self.app;
        if let Some(table) = &mut self.table {
            table.add(key, size_of_val(value), || value.to_owned(), |total| app.combine(total, value));
            self.n_pairs += 1;
        }
        Ok(())
    }

    #[inline]
    fn append(&mut self, key: &[u8], value: &A::Value) -> Result<(), Failure> {
        append(self.app, self.work, &mut self.arena, key, value)?;
        self.n_pairs += 1;
        if self.arena.bytes() >= self.work.budget.memory { self.spill() } else { Ok(()) }
    }

    #[inline]
    fn keep(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.fault = Some(failure);
        }
    }
}

impl<A: App> Emit<A::Value> for Emitter<'_, A> {
    #[inline]
    fn emit(&mut self, key: &[u8], value: &A::Value) {
        if A::COMBINES
            && !needs_drop::<Owned<A>>()
            && key.len() <= key::HEAD_BYTES
            && let Some(table) = &mut self.table
        {
            if table.gather(key, value.to_owned()) {
                self.flush_gathered();
            }
            return;
        }
        if self.fault.is_some() {
            return;
        }
        let result = if A::COMBINES && self.table.is_some() { self.combine_now(key, value) } else { self.append(key, value) };
        self.keep(result);
    }

    fn count(&mut self, counter: &str, n: u64) {
        counters::add(&mut self.counters, counter, n);
    }

    fn context(&self) -> &Context {
        self.work.context
    }
}

impl<A: App> Emitter<'_, A> {
    #[inline(never)]
    fn flush_gathered(&mut self) {
        if self.fault.is_some() {
            // The attempt has failed; a batch must not grow.
            return self.table = None;
        }
        let result = self.flush();
        self.keep(result);
    }
}

#[inline]
fn append<A: App>(app: &A, work: &MapWork<'_>, arena: &mut Arena, key: &[u8], value: &A::Value) -> Result<(), Failure> {
    check_length(key, value)?;
    arena.push(partition(app, work, key)?, key, |bytes| value.write(bytes));
    Ok(())
}

#[inline]
fn check_length<V: ?Sized>(key: &[u8], value: &V) -> Result<(), Failure> {
    let bytes = key.len().saturating_add(size_of_val(value));
    if bytes <= PAIR_BYTES_MAX { Ok(()) } else { Err(too_long(bytes)) }
}

#[cold]
fn too_long(bytes: usize) -> Failure {
    Failure::App(format!("a key and its value have {bytes} bytes together; at most {PAIR_BYTES_MAX} are possible"))
}

#[inline]
fn partition<A: App>(app: &A, work: &MapWork<'_>, key: &[u8]) -> Result<u32, Failure> {
    let parts = work.partitions.max(1);
    let partition = work.ranges.map_or_else(|| app.partition(key, parts), |ranges| ranges.partition(key));
    if partition < parts { Ok(partition) } else { Err(no_partition(partition, parts)) }
}

#[cold]
pub(super) fn no_partition(partition: u32, parts: u32) -> Failure {
    Failure::App(format!("the app's partition() answered {partition}, and there are {parts}, counted from 0"))
}

/// Runs something that calls the app outside of its records.
fn guarded(work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    let mut result = Ok(());
    let called = guard::call(|| {
        result = work();
        Ok(())
    });
    called.map_err(Failure::App).and(result)
}

const _: () = assert!(order::PLACES > PAIR_BYTES_MAX as u64, "an arena has room for a pair");
