//! `flockwork cat` of a job of commands: what they wrote, in the order of the items, stdout to stdout and stderr to stderr; verified on the way.
//!
//! Commands that failed for good are among them: by then what they said matters most. What has not ended yet, or is to be run again, is missing, and that is said.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use super::open::Job;
use crate::data::Stretch;
use crate::each::segment::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::eyes::items::{Fates, Items, Went};
use crate::ids::{ClaimName, Phase, TaskId};
use crate::job::layout;
use crate::job::snapshot::{Belief, Shape, Snapshot};
use crate::say::say;

/// Segments held open: there is one per worker process that ever was.
const OPEN_MAX: usize = 64;

/// Writes what one task's command wrote, or all.
pub(super) fn cat(job: &Job, task: Option<&str>, tag: bool, out: &mut dyn Write, err: &mut dyn Write) -> Result<ExitCode> {
    let mut items = Items::open(&*job.disk, &job.root)?;
    let wanted = task.map(|typed| number_of(typed, items.count())).transpose()?;
    let shape = Shape { maps: items.count(), reduces: 0 };
    let unreadable = |error| Error::io("cannot read the job", &job.root, error);
    let snapshot = Snapshot::take(&*job.disk, shape, Belief::Glance).map_err(unreadable)?;
    let fates = Fates::of(&*job.disk, &job.spec, &snapshot);
    let (mut readers, mut missing) = (HashMap::new(), 0u64);
    for (number, view) in (0..).zip(&snapshot.maps).filter(|(number, _)| wanted.is_none_or(|wanted| wanted == *number)) {
        let Some(Went { claim, ran, .. }) = fates.went(number, view).map_err(unreadable)? else {
            missing += 1;
            continue;
        };
        // Of one that was given up without a command's end nothing was kept.
        let Some(ran) = ran else { continue };
        let tag = if tag { Some([items.item(number)?, b"\t".to_vec()].concat()) } else { None };
        copy(job, &claim, &ran.out, &mut readers, tag.as_deref(), out)?;
        out.flush().map_err(|error| Error::io("cannot write to", "stdout", error))?;
        copy(job, &claim, &ran.err, &mut readers, tag.as_deref(), err)?;
    }
    if missing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let why = if snapshot.phases.end { "were not run to their end before the job's" } else { "have not ended yet" };
    say!("flockwork: {missing} of {} tasks {why}", snapshot.maps.len());
    Ok(ExitCode::from(super::FAILED))
}

/// `map-00002` is its name, and `3` the item's number, counted as `{#}` does.
fn number_of(typed: &str, count: u32) -> Result<u32> {
    let by_name = typed.parse::<TaskId>().ok().filter(|task| task.phase == Phase::Map).map(|task| task.number);
    let by_number = || typed.parse::<u32>().ok().and_then(|number| number.checked_sub(1));
    match by_name.or_else(by_number).filter(|number| *number < count) {
        Some(number) => Ok(number),
        None => {
            let error = Error::new(ErrorKind::Usage, format!("the job has no task `{typed}`"));
            Err(error.advise(format!("name one as map-00000, or by its item's number, 1 to {count}")))
        }
    }
}

fn copy(
    job: &Job,
    claim: &ClaimName,
    stretches: &[Stretch],
    readers: &mut HashMap<String, Reader>,
    tag: Option<&[u8]>,
    out: &mut dyn Write,
) -> Result<()> {
    if stretches.is_empty() {
        return Ok(());
    }
    let path = layout::segment(&claim.worker);
    if !readers.contains_key(&path) {
        if readers.len() >= OPEN_MAX {
            readers.clear();
        }
        readers.insert(path.clone(), Reader::open(&job.root.join(&path))?);
    }
    let reader = &readers[&path];
    match tag {
        None => stretches.iter().try_for_each(|stretch| reader.copy(*stretch, out)),
        Some(tag) => {
            let mut tagged = Tagged { out, tag, begins: true };
            stretches.iter().try_for_each(|stretch| reader.copy(*stretch, &mut tagged))?;
            tagged.end().map_err(|error| Error::io("cannot write to", "stdout", error))
        }
    }
}

/// Puts a tag before every line; the last line gets its end.
struct Tagged<'a> {
    out: &'a mut dyn Write,
    tag: &'a [u8],
    begins: bool,
}

impl Tagged<'_> {
    fn end(self) -> io::Result<()> {
        if self.begins { Ok(()) } else { self.out.write_all(b"\n") }
    }
}

impl Write for Tagged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if self.begins {
                self.out.write_all(self.tag)?;
            }
            self.out.write_all(line)?;
            self.begins = line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_tagged_wherever_blocks_end() {
        let mut out = Vec::new();
        let mut tagged = Tagged { out: &mut out, tag: b"a\t", begins: true };
        for block in ["on", "e\ntwo\n\nth", "ree"] {
            tagged.write_all(block.as_bytes()).expect("written");
        }
        tagged.end().expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), "a\tone\na\ttwo\na\t\na\tthree\n");
    }

    #[test]
    fn a_task_is_named_by_its_name_or_by_its_items_number() {
        assert_eq!((number_of("map-00002", 3).ok(), number_of("3", 3).ok(), number_of("1", 3).ok()), (Some(2), Some(2), Some(0)));
        for typed in ["0", "4", "map-00003", "reduce-00000", "x", "-1", ""] {
            assert_eq!(number_of(typed, 3).expect_err(typed).kind(), ErrorKind::Usage);
        }
    }
}
