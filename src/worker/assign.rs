//! What a claimed attempt has to read: from the plan, which is written once and never moves; never from the task's own file.

use std::io;
use std::path::Path;

use crate::data::{FileSum, Split};
use crate::disk::{Disk, fresh};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{Block, ClaimName, Phase, TaskId, cover};
use crate::job::layout::{PHASE, State};
use crate::job::outputs;
use crate::job::plan::{Plan, Read};
use crate::job::record;
use crate::partition::RangeTable;

/// The input of a map task, or of several: to the engine they are one larger split. `read` is what earlier attempts have read of the plan.
pub fn split(disk: &dyn Disk, root: &Path, block: Block, read: &mut Option<Read>) -> Result<Split> {
    let mut plan = match read.take() {
        Some(read) => Plan::map_again(disk, root, read),
        None => found(disk, root, "map", Plan::map)?,
    };
    let split = match block.order() {
        0 => plan.split(block.first().number),
        _ => plan.splits_of(block.tasks()),
    };
    *read = Some(plan.into_read());
    split
}

/// The ranges of keys that a plan read so far has; its first line is read first.
pub fn ranges(read: Option<&Read>) -> Option<RangeTable> {
    read?.head()?.ranges.clone()
}

/// What a reduce task reads of every map task that emitted anything, in the order of the map tasks: the counting attempt and its file for `partition`.
pub fn shuffle_inputs(disk: &dyn Disk, root: &Path, partition: u32) -> Result<Vec<(String, FileSum)>> {
    let plan = found(disk, root, "reduce", Plan::reduce)?;
    let (mut inputs, mut found) = (Vec::new(), 0);
    plan.for_each_counted(|counted| {
        // What is no name of an attempt of the next tasks is nobody's, and is missed below.
        let named = counted.attempt.parse().ok().map(|claim: ClaimName| claim.attempt.block());
        let Some(block) = named.filter(|block| block.first() == TaskId::map(found) && counted.task == found) else { return };
        let is_empty = counted.files.is_empty();
        let file = file_of(counted.files, partition).filter(|file| record::is_file_of(&counted.attempt, &file.name));
        if is_empty || file.is_some() {
            found = found.saturating_add(block.n_tasks());
        }
        inputs.extend(file.map(|file| (counted.attempt, file)));
    })?;
    if found != plan.head().maps {
        let error = Error::new(ErrorKind::Damaged, "cannot find every map task's file in the reduce plan of").on(root);
        return Err(error.advise("it was edited or the disk damaged it; submit the job anew"));
    }
    Ok(inputs)
}

/// Replaces those of `damaged` that have been retracted since the plan was made by what a fresh listing of `done/` has within their block: of each task the largest
/// one that holds it, and never a larger one, which other inputs count as well. The others are damaged where they stand, or not made anew yet. Where another attempt emitted nothing,
/// nothing takes its place.
pub fn replace_retracted(
    disk: &dyn Disk,
    root: &Path,
    partition: u32,
    inputs: &mut Vec<(String, FileSum)>,
    damaged: &[String],
) -> Result<Replaced> {
    let fail = |error| Error::io("cannot list", root.join(State::Done.dir()), error);
    let listed = fresh::list_surely(disk, State::Done.dir()).map_err(fail)?;
    let mut done: Vec<ClaimName> = listed
        .iter()
        .filter(|entry| entry.is_file)
        .filter_map(|entry| entry.name.parse().ok())
        .filter(|claim: &ClaimName| claim.attempt.task.phase == Phase::Map)
        .collect();
    done.sort_unstable();
    let (mut replaced, mut all) = (Replaced::default(), Vec::with_capacity(inputs.len()));
    for input in std::mem::take(inputs) {
        let planned =
            input.0.parse::<ClaimName>().ok().filter(|planned| damaged.contains(&input.0) && done.binary_search(planned).is_err());
        let others = match planned {
            Some(planned) => made_within(disk, planned.attempt.block(), partition, &done, &mut replaced.unreadable).map_err(fail)?,
            None => None,
        };
        match others {
            Some(others) => {
                replaced.count += 1;
                all.extend(others);
            }
            None => all.push(input),
        }
    }
    *inputs = all;
    Ok(replaced)
}

/// What became of damaged inputs.
#[derive(Debug, Default)]
pub struct Replaced {
    /// How many were replaced.
    pub count: usize,
    /// The attempts in `done/` that might have taken their place and whose results cannot be read: nobody else may ever look at them.
    pub unreadable: Vec<String>,
}

/// What counts for the tasks of `block` now, of the attempts of it and of blocks within it; `None` if some of it is not made yet. A result that cannot be read is passed over.
fn made_within(
    disk: &dyn Disk,
    block: Block,
    partition: u32,
    done: &[ClaimName],
    unreadable: &mut Vec<String>,
) -> io::Result<Option<Vec<(String, FileSum)>>> {
    let from = done.partition_point(|claim| claim.attempt.block() < block);
    let within = done[from..].iter().take_while(|claim| claim.attempt.task.number < block.tasks().end);
    let mut left: Vec<&ClaimName> = within.collect();
    loop {
        let chosen = cover(block.tasks(), left.iter().copied());
        if !chosen.missing.is_empty() {
            return Ok(None);
        }
        let (mut files, mut bad) = (Vec::new(), None);
        for claim in chosen.counted {
            match outputs::done_record(disk, claim)? {
                Some((made, _)) if made.files.is_empty() => {}
                made => match made.and_then(|(made, _)| file_of(made.files, partition)) {
                    Some(file) => files.push((claim.to_string(), file)),
                    None => bad = Some(claim),
                },
            }
        }
        match bad {
            Some(bad) => {
                unreadable.push(bad.to_string());
                left.retain(|claim| *claim != bad);
            }
            None => return Ok(Some(files)),
        }
    }
}

/// One run for all partitions, or one file per partition in order.
fn file_of(mut files: Vec<FileSum>, partition: u32) -> Option<FileSum> {
    match &files[..] {
        [file] if file.name.ends_with(".run") => files.pop(),
        _ => files.into_iter().nth(partition as usize),
    }
}

/// The plan, which is there, since one of its tasks is claimed; but this machine may have looked for it before, and believe that there is none.
fn found<'a>(
    disk: &'a dyn Disk,
    root: &Path,
    phase: &str,
    open: impl Fn(&'a dyn Disk, &Path) -> Result<Option<Plan<'a>>>,
) -> Result<Plan<'a>> {
    if let Some(plan) = open(disk, root)? {
        return Ok(plan);
    }
    fresh::renew(disk, PHASE).map_err(|error| Error::io("cannot open", root.join(PHASE), error))?;
    open(disk, root)?.ok_or_else(|| no_plan(root, phase))
}

fn no_plan(root: &Path, phase: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("cannot find the {phase} plan of"))
        .on(root)
        .advise("it was removed by hand, or the directory is not fresh yet")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Made;
    use crate::disk::real::RealDisk;
    use crate::job::plan::{self, Counted};
    use crate::job::record::{Event, Line};

    #[test]
    fn a_partition_is_in_the_one_run_or_in_the_file_of_its_number() {
        let file = |name: &str| FileSum { name: name.to_owned(), len: 1, crc32: 2, sections: 1 };
        let found = |names: &[&str], partition| file_of(names.iter().map(|name| file(name)).collect(), partition).map(|file| file.name);
        assert_eq!(found(&["m.run"], 7), Some("m.run".to_owned()));
        assert_eq!(found(&["m-00000.json", "m-00001.json"], 1), Some("m-00001.json".to_owned()));
        assert_eq!(found(&["m-00000.json"], 1), None, "a file that was never named");
        assert_eq!(found(&[], 0), None);
    }

    /// What `done/` holds of map task 1: an attempt that made these files.
    fn job_with(files: &[FileSum]) -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().expect("a directory");
        let disk = RealDisk::at(dir.path());
        ["done", "phase"].iter().for_each(|folder| disk.make_dir(folder).expect("a folder"));
        let name = "map-00001.a2@n.2.y";
        let made = Made { files: files.to_vec(), ..Made::default() };
        let line = Line::new(name, Event::Result { made, elapsed_ms: 0 });
        std::fs::write(dir.path().join("done").join(name), line.to_bytes()).expect("written");
        (dir, disk)
    }

    fn run_of(attempt: &str) -> FileSum {
        FileSum { name: format!("{attempt}.run"), len: 1, crc32: 2, sections: 1 }
    }

    #[test]
    fn a_map_task_that_emitted_nothing_counts_and_is_not_read() {
        let (dir, disk) = job_with(&[]);
        let (full, empty) = ("map-00000.a1@n.1.x".to_owned(), "map-00001.a2@n.2.y".to_owned());
        let counted = [
            Counted { task: 0, attempt: full.clone(), files: vec![run_of(&full)] },
            Counted { task: 1, attempt: empty.clone(), files: Vec::new() },
        ];
        let _ = plan::create_reduce(&disk, dir.path(), "j", 2, counted.clone().into_iter()).expect("planned");
        let inputs = shuffle_inputs(&disk, dir.path(), 3).expect("every task is found");
        assert_eq!(inputs, [(full.clone(), run_of(&full))]);
        std::fs::remove_file(dir.path().join("phase/reduce")).expect("removed");
        let of_nobody = Counted { task: 1, attempt: "map-00007.a2@n.2.y".to_owned(), files: Vec::new() };
        let _ = plan::create_reduce(&disk, dir.path(), "j", 2, [counted[0].clone(), of_nobody].into_iter()).expect("planned");
        assert!(shuffle_inputs(&disk, dir.path(), 3).is_err(), "an attempt of another task is no answer");
    }

    #[test]
    fn a_retracted_run_is_replaced_by_what_the_next_attempt_made_be_it_nothing() {
        let (old, new) = ("map-00001.a1@n.1.x".to_owned(), "map-00001.a2@n.2.y");
        for (files, left) in [(vec![run_of(new)], vec![(new.to_owned(), run_of(new))]), (Vec::new(), Vec::new())] {
            let (dir, disk) = job_with(&files);
            let mut inputs = vec![(old.clone(), run_of(&old))];
            let replaced = replace_retracted(&disk, dir.path(), 0, &mut inputs, std::slice::from_ref(&old));
            assert_eq!((replaced.expect("listed").count, inputs), (1, left));
        }
    }

    #[test]
    fn a_result_that_might_take_its_place_and_cannot_be_read_is_named() {
        let (old, new) = ("map-00001.a1@n.1.x".to_owned(), "map-00001.a2@n.2.y");
        let (dir, disk) = job_with(&[run_of(new)]);
        std::fs::write(dir.path().join("done").join(new), b"torn").expect("written");
        let mut inputs = vec![(old.clone(), run_of(&old))];
        let replaced = replace_retracted(&disk, dir.path(), 0, &mut inputs, std::slice::from_ref(&old)).expect("listed");
        assert_eq!((replaced.count, replaced.unreadable, inputs.len()), (0, vec![new.to_owned()], 1));
    }
}
