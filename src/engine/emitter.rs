//! Where a map attempt's pairs go when shuffle files are runs: a table of totals (where the app combines) or of lists (where it does not) while keys repeat,
//! otherwise an arena; spilled when the memory is used up; at the end one sorted run.
//!
//! Contract: equal keys' values keep the order of their emission. What goes wrong inside `emit`, which cannot return it, is kept and asked for after
//! every record; nothing is taken any more then. Where emits are gathered, an app's panic in `combine` may be told with a record a few
//! later than the one it was about.

use std::borrow::Borrow;
use std::mem::needs_drop;

use super::arena::Arena;
use super::draft::Flush;
use super::lists::Lists;
use super::reduce::at_key;
use super::run::{PAIR_BYTES_MAX, PARTITIONS_MAX, RunWriter, SECTIONS_MAX};
use super::spill::{Merging, Spill};
use super::table::{self, Room, TOTALS, Table};
use super::{MapWork, counters, guard, key, order};
use crate::app::{App, Context, Emit, Value};
use crate::data::{Counters, Failure, FileSum};

type Owned<A> = <<A as App>::Value as ToOwned>::Owned;

/// Input bytes per distinct key that a table is first made for; it grows where there are more. The shorter a text, the more of its words are new: of short ones
/// [`BYTES_PER_EARLY_KEY`], up to so many keys.
const BYTES_PER_KEY: u64 = 256;
/// See [`BYTES_PER_KEY`].
const BYTES_PER_EARLY_KEY: u64 = 40;
/// See [`BYTES_PER_KEY`].
const EARLY_KEYS: u64 = 1 << 17;

/// What the app emitted so far.
pub(super) struct Emitter<'a, A: App> {
    app: &'a A,
    work: &'a MapWork<'a>,
    /// `None` where the app does not combine or it did not pay. One of table, lists and arena holds pairs.
    table: Option<Table<Owned<A>>>,
    /// `None` where the app combines or keys do not repeat.
    lists: Option<Lists>,
    arena: Arena,
    /// The bytes of the value at hand.
    scratch: Vec<u8>,
    /// What was spilled, a section each time.
    spilled: Option<RunWriter>,
    counters: Counters,
    n_pairs: u64,
    fault: Option<Failure>,
}

impl<'a, A: App> Emitter<'a, A> {
    pub(super) fn new(app: &'a A, work: &'a MapWork<'a>) -> Emitter<'a, A> {
        let bytes: u64 = work.split.pieces.iter().map(|piece| piece.to.saturating_sub(piece.from)).sum();
        let keys = usize::try_from((bytes / BYTES_PER_KEY).max((bytes / BYTES_PER_EARLY_KEY).min(EARLY_KEYS))).unwrap_or(usize::MAX / 4);
        let table = A::COMBINES.then(|| Table::new(keys, work.budget.memory, TOTALS));
        // Where it matters which record made the app panic, none waits to be combined while the next is read.
        let table = if work.care.is_some() { table.map(Table::one_by_one) } else { table };
        let lists = (!A::COMBINES).then(|| Lists::new(work.budget.memory));
        let (arena, scratch, counters) = (Arena::default(), Vec::new(), Counters::new());
        let too_many = format!("{} partitions are too many; at most {PARTITIONS_MAX} are possible", work.partitions);
        let fault = (work.partitions > PARTITIONS_MAX).then(|| Failure::App(too_many));
        Emitter { app, work, table, lists, arena, scratch, spilled: None, counters, n_pairs: 0, fault }
    }

    /// What went wrong since it was last asked.
    #[inline]
    pub(super) fn take_fault(&mut self) -> Option<Failure> {
        self.fault.take()
    }

    /// Writes everything into one run, described, and its counters. Where nothing was emitted, no run is written.
    pub(super) fn finish(mut self) -> Result<(Option<FileSum>, Counters), Failure> {
        guarded(|| self.flush())?;
        let n_spilled = self.spilled.as_ref().map_or(0, RunWriter::sections);
        guarded(|| self.spill())?;
        if self.n_pairs == 0 && self.spilled.is_none() {
            counters::add_all(&mut self.counters, &[(counters::PAIRS_OUT, 0), (counters::PAIRS_SHUFFLED, 0)]);
            return Ok((None, self.counters));
        }
        let (run, passes) = self.merge_where_it_pays()?;
        let target = self.work.shuffle_dir.join(format!("{}.run", self.work.name));
        let flush = if self.work.sync { Flush::ToDisk } else { Flush::ToCache };
        let (file, n_shuffled) = self.work.control.at_disk(|| run.finish(&target, flush))?;
        let mut counters = self.counters;
        counters::add_all(&mut counters, &[(counters::PAIRS_OUT, self.n_pairs), (counters::PAIRS_SHUFFLED, n_shuffled)]);
        counters::add_some(&mut counters, &[(counters::SPILLS, u64::from(n_spilled)), (counters::MERGE_PASSES, passes)]);
        Ok((Some(file), counters))
    }

    /// What was spilled as the run to publish, and the merge passes before the last. Sections are left to the reduces' merge unless they are many or combining makes
    /// them less.
    fn merge_where_it_pays(&mut self) -> Result<(RunWriter, u64), Failure> {
        let (app, work) = (self.app, self.work);
        let create = || RunWriter::create(work.shuffle_dir, work.partitions);
        let spilled = match self.spilled.take() {
            None => return Ok((create()?, 0)),
            Some(run) if run.sections() == 1 || !A::COMBINES && run.sections() <= SECTIONS_MAX => return Ok((run, 0)),
            Some(run) => Spill::all_of(run)?,
        };
        // The merge needs the memory.
        (self.table, self.lists, self.arena) = (None, None, Arena::default());
        let mut run = create()?;
        let merging = Merging { dir: work.shuffle_dir, partitions: work.partitions.max(1), budget: work.budget, control: work.control };
        let passes = merging.merge(app, spilled, &mut run)?;
        Ok((run, passes))
    }

    /// Takes what was gathered, and makes room for more.
    fn flush(&mut self) -> Result<(), Failure> {
        if self.make_room()? {
            let app = self.app;
            if let Some(table) = &mut self.table {
                self.n_pairs += table.flush(|total, next| next.map_or((), |next| app.combine(total, (*next).borrow())));
            }
            if let Some(lists) = &mut self.lists {
                self.n_pairs += lists.flush();
            }
        }
        Ok(())
    }

    /// Makes room for a batch in the table or the lists, by a spill if need be; false if there are none (any more).
    #[inline]
    fn make_room(&mut self) -> Result<bool, Failure> {
        let memory = self.work.budget.memory;
        let room = match (&mut self.table, &mut self.lists) {
            (Some(table), _) => table.room(memory),
            (None, Some(lists)) => lists.room(memory),
            (None, None) => return Ok(false),
        };
        match room {
            Room::Enough => Ok(true),
            Room::Full => self.make_room_again(),
            Room::Futile => self.give_up().map(|()| false),
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

    /// Keys hardly repeat: from here on the arena takes everything, after what is held and what was gathered.
    #[cold]
    fn give_up(&mut self) -> Result<(), Failure> {
        let (app, work) = (self.app, self.work);
        if self.held_bytes() > work.budget.memory / 8 {
            // The arena takes more memory for the same pairs.
            self.spill()?;
        }
        let arena = &mut self.arena;
        if let Some(mut table) = self.table.take() {
            table.drain_sorted(
                |key| partition(app, work, key),
                |partition, key, total| {
                    arena.push(partition, key, |bytes| (*total).borrow().write(bytes));
                    Ok(())
                },
            )?;
            self.n_pairs += table.ungather(|key, value| append(app, work, arena, key, (*value).borrow()))?;
        }
        if let Some(mut lists) = self.lists.take() {
            let push =
                |arena: &mut Arena, partition, key: &[u8], value: &[u8]| arena.push(partition, key, |bytes| bytes.extend_from_slice(value));
            lists.drain_sorted(
                |key| partition(app, work, key),
                |partition, key, value, _| {
                    push(arena, partition, key, value);
                    Ok(())
                },
            )?;
            self.n_pairs += lists.ungather(|key, value| {
                check_length(key, value)?;
                push(arena, partition(app, work, key)?, key, value);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.table.as_ref().map_or(0, Table::bytes) + self.lists.as_ref().map_or(0, Lists::bytes)
    }

    fn is_empty(&self) -> bool {
        self.arena.is_empty() && self.table.as_ref().is_none_or(|table| table.len() == 0) && self.lists.as_ref().is_none_or(Lists::is_empty)
    }

    /// Writes what is in memory as a section of its own.
    #[cold]
    fn spill(&mut self) -> Result<(), Failure> {
        if self.is_empty() {
            return Ok(());
        }
        let mut run = match self.spilled.take() {
            None => RunWriter::create(self.work.shuffle_dir, self.work.partitions)?,
            Some(mut run) => {
                run.next_section()?;
                run
            }
        };
        self.write_all(&mut run)?;
        self.spilled = Some(run);
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
        if let Some(lists) = &mut self.lists {
            let push = |partition, key: &[u8], value: &[u8], again| {
                if again { run.push_again(partition, key, value) } else { run.push(partition, key, value) }
            };
            lists.drain_sorted(|key| partition(app, work, key), push)?;
        }
        self.arena.drain_sorted(|partition, key, value| run.push(partition, key, value))
    }

    /// A pair that is not gathered: its key is long, or its value lives on the heap, or there is neither table nor lists.
    fn take_now(&mut self, key: &[u8], value: &A::Value) -> Result<(), Failure> {
        if self.table.is_none() && self.lists.is_none() {
            return self.append(key, value);
        }
        check_length(key, value)?;
        self.scratch.clear();
        if let Some(lists) = &mut self.lists {
            value.write(&mut self.scratch);
            lists.meet(&self.scratch);
        }
        if !self.make_room()? {
            return self.append(key, value);
        }
        let app = self.app;
        if let Some(table) = &mut self.table
            && let Some(total) = table.add(key, size_of_val(value), || value.to_owned())
        {
            app.combine(total, value);
        }
        if let Some(lists) = &mut self.lists {
            lists.add(key, &self.scratch);
        }
        self.n_pairs += 1;
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
        if key.len() <= key::HEAD_BYTES {
            if A::COMBINES
                && !needs_drop::<Owned<A>>()
                && let Some(table) = &mut self.table
            {
                if table.gather(key, value.to_owned()) {
                    self.flush_gathered();
                }
                return;
            }
            if !A::COMBINES
                && let Some(lists) = &mut self.lists
            {
                if lists.gather(key, |bytes| value.write(bytes)) {
                    self.flush_gathered();
                }
                return;
            }
        }
        if self.fault.is_none() {
            let result = self.take_now(key, value);
            self.keep(result);
        }
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
            (self.table, self.lists) = (None, None);
            return;
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
    if partition < parts { Ok(partition) } else { Err(no_partition(key, partition, parts)) }
}

#[cold]
pub(super) fn no_partition(key: &[u8], partition: u32, parts: u32) -> Failure {
    Failure::App(at_key(&format!("the app's partition() answered {partition}, and there are {parts}, counted from 0"), key))
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
