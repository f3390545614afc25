//! Planning a job of commands: its items are written down first, then what was asked, then which bytes are whose item; each once.
//!
//! A submitter that dies in between is no loss: before `job.json` there is no job, and after it whoever opens the job finds the items and plans it.

use std::path::Path;
use std::sync::Arc;

use super::{Holds, Planned, announce, check_same, cwd, holds, is_planned, make_dir, maps, refuse_other_things};
use crate::data::{Piece, Split};
use crate::disk::real::RealDisk;
use crate::disk::{Created, Disk, create};
use crate::each::items::{Form, Items};
use crate::each::orders::{self, Orders, SUM};
use crate::error::{Error, ErrorKind, Result};
use crate::job::layout::ITEMS;
use crate::job::plan;
use crate::job::spec::{self, Ask, FORMAT, Spec};

/// Most bytes of items that one job has.
const ITEMS_BYTES_MAX: u64 = 16 << 30;

/// Makes the job `ask` of these items at `root`, or opens it where the very same was asked there before.
pub fn submit_commands(root: &Path, ask: &Ask, items: &Items) -> Result<Planned> {
    let (disk, spec) = write_commands(root, ask, items)?;
    if !is_planned(&*disk, root)? {
        plan_items(&*disk, root, &spec, items)?;
    }
    let maps = maps(&*disk, root)?;
    Ok(Planned { spec, disk, maps })
}

/// Writes the job `ask` of these items at `root`, to be planned when the jobs of `ask.after` (as typed) have finished.
pub fn submit_commands_later(root: &Path, ask: &Ask, items: &Items) -> Result<()> {
    write_commands(root, &super::after::with_stored_names(root, ask)?, items).map(|_| ())
}

fn write_commands(root: &Path, ask: &Ask, items: &Items) -> Result<(Arc<dyn Disk>, Spec)> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::at(root));
    match holds(root)? {
        Holds::NoJobYet => {}
        Holds::Job => {
            let spec = spec::load(&*disk, root)?;
            check_same(root, &spec, ask)?;
            return Ok((disk, spec));
        }
        Holds::OtherThings(name) => return Err(refuse_other_things(root, &name)),
    }
    let here = cwd()?;
    make_dir(root)?;
    write_items(&*disk, root, ask, items)?;
    let spec = Spec { format: FORMAT, id: crate::here::nonce(16), submitted: crate::units::stamp_utc(), cwd: here, ask: ask.clone() };
    let (written, created) = spec::submit(&*disk, root, &spec)?;
    match created {
        Created::Now => announce(root),
        Created::Before => check_same(root, &written, ask)?,
    }
    Ok((disk, written))
}

fn write_items(disk: &dyn Disk, root: &Path, ask: &Ask, items: &Items) -> Result<()> {
    let path = root.join(ITEMS);
    let created = create::create_once(disk, ITEMS, &items.bytes).map_err(|error| Error::io("cannot create", &path, error))?;
    if created == Created::Before && ask.options.get(SUM) != Some(&orders::sum_of(&read_items(disk, root, items.form)?)) {
        let error = Error::new(ErrorKind::NotThisJob, "other items than these lie in").on(&path);
        return Err(error.advise("somebody submits another job there, or died doing so; choose another --job, or remove that folder"));
    }
    Ok(())
}

fn read_items(disk: &dyn Disk, root: &Path, form: Form) -> Result<Items> {
    let bytes = disk.read(ITEMS, ITEMS_BYTES_MAX).map_err(|error| Error::io("cannot read", root.join(ITEMS), error))?;
    Ok(Items { bytes, form })
}

/// Plans the job from its items.
pub(super) fn plan_commands(disk: &dyn Disk, root: &Path, spec: &Spec) -> Result<()> {
    let items = read_items(disk, root, Orders::of(&spec.ask)?.form)?;
    if spec.ask.options.get(SUM) != Some(&orders::sum_of(&items)) {
        return Err(orders::other_items(&root.join(ITEMS)));
    }
    plan_items(disk, root, spec, &items)
}

fn plan_items(disk: &dyn Disk, root: &Path, spec: &Spec, items: &Items) -> Result<()> {
    let len = items.bytes.len() as u64;
    let piece = |(from, to)| Piece { name: String::new(), path: ITEMS.to_owned(), file: 0, from, to, len, mtime_ns: 0 };
    let splits = items.ranges().map(|range| Split { pieces: vec![piece(range)] });
    plan::create_map_of(disk, root, &spec.id, items.count(), splits, None).map(|_| ())
}
