//! What one machine can prove by itself, in about three seconds.
//!
//! Threads stand in for machines: a mount on which they win one name twice is no mount for flockwork; that they do not is no proof for two
//! machines (see `pair.rs`).

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::facts::{Alone, Locks, Over, Owner, Race, Rate, Rates, Touch};
use super::folder::Folder;
use super::mount;
use crate::disk::real::RealDisk;
use crate::disk::rename::is_gone;
use crate::disk::{Created, Disk, Flush, Lock, Moved, create, fresh, rename};
use crate::error::{Error, Result};

/// Threads that race.
pub const THREADS: usize = 4;
/// Names they race for.
const NAMES: usize = 100;
/// Longest time for measuring one rate.
const RATE_TIME: Duration = Duration::from_millis(400);
/// Most calls for measuring one rate.
const RATE_CALLS: usize = 400;

/// Tries everything. Errors are those of plain reading and writing; what a mount may lack is in the facts.
pub fn examine(folder: &Folder) -> Result<Alone> {
    let disk = folder.disk();
    let fail = |error| Error::io("cannot go on examining", folder.path(), error);
    Ok(Alone {
        rename: rename_race(disk).map_err(fail)?,
        over: over(disk, folder.path()).unwrap_or_else(|error| Over { refused: Some(error.to_string()), ..Over::default() }),
        link: link_race(disk).map_err(fail)?,
        exclusive: exclusive_race(folder.path()),
        locks: locks(disk).map_err(fail)?,
        touch: touch(disk).unwrap_or_else(|error| Touch { refused: Some(error.to_string()), ..Touch::default() }),
        long_name_refused: long_name(disk).err().map(|error| error.to_string()),
        folds_case: folds_case(disk).map_err(fail)?,
        owner: owner(folder.path()).map_err(fail)?,
        rates: rates(disk).map_err(fail)?,
        room: mount::room(folder.path()).map_err(fail)?,
        leftovers: Vec::new(),
    })
}

/// Every thread tries every name in the same order; who won what.
fn race(try_one: impl Fn(usize, usize) -> io::Result<bool> + Sync) -> Race {
    let start = Barrier::new(THREADS);
    let run = |thread: usize| -> io::Result<Vec<usize>> {
        start.wait();
        let mut won = Vec::new();
        for name in 0..NAMES {
            if try_one(thread, name)? {
                won.push(name);
            }
        }
        Ok(won)
    };
    let run = &run;
    let ended: Vec<io::Result<Vec<usize>>> = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))).collect()
    });
    match ended.into_iter().collect::<io::Result<Vec<_>>>() {
        Ok(won) => Race::of(NAMES, won.into_iter().flatten()),
        Err(error) => Race::refused(error),
    }
}

/// Names as the protocol has them.
pub fn task_name(n: usize) -> String {
    format!("map-{n:05}.a1")
}

fn rename_race(disk: &RealDisk) -> io::Result<Race> {
    for n in 0..NAMES {
        create::write_whole(disk, &format!("race/{}", task_name(n)), b"", Flush::OnNetwork)?;
    }
    Ok(race(|thread, n| {
        let name = task_name(n);
        Ok(rename::rename(disk, &format!("race/{name}"), &format!("won/{name}@node.{thread}.x"))? == Moved::Here)
    }))
}

fn link_race(disk: &RealDisk) -> io::Result<Race> {
    let drafts: Vec<String> = (0..THREADS).map(|_| disk.draft("link", b"whose", Flush::OnNetwork)).collect::<io::Result<_>>()?;
    let race = race(|thread, n| Ok(create::link_once(disk, &drafts[thread], &format!("link/{}", task_name(n)))? == Created::Now));
    drafts.iter().for_each(|draft| _ = disk.remove(draft));
    Ok(race)
}

fn exclusive_race(root: &Path) -> Race {
    race(|_, n| match OpenOptions::new().write(true).create_new(true).open(root.join(format!("bench/exclusive-{n}"))) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    })
}

fn over(disk: &RealDisk, root: &Path) -> io::Result<Over> {
    const NAME: &str = "bench/over";
    create::write_whole(disk, NAME, b"first", Flush::OnNetwork)?;
    let ended = AtomicBool::new(false);
    let path = root.join(NAME);
    let (renamed, (opens, missing)) = std::thread::scope(|scope| {
        let opener = scope.spawn(|| {
            let (mut opens, mut missing) = (0, 0);
            while !ended.load(Relaxed) {
                opens += 1;
                missing += usize::from(std::fs::File::open(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound));
            }
            (opens, missing)
        });
        let renamed = for_a_while(|_| {
            let draft = disk.draft("bench", b"next", Flush::OnNetwork)?;
            let begun = Instant::now();
            disk.rename(&draft, NAME)?;
            Ok(begun.elapsed())
        });
        ended.store(true, Relaxed);
        (renamed, opener.join().unwrap_or_default())
    });
    Ok(Over { renames: renamed?.len(), opens, missing, refused: None })
}

fn locks(disk: &RealDisk) -> io::Result<Locks> {
    let file = disk.draft("bench", b"", Flush::OnNetwork)?;
    let (first, second) = (disk.open(&file)?, disk.open(&file)?);
    let found = match (first.try_lock(), second.try_lock()) {
        (Lock::Taken, Lock::Refused) => {
            drop(first);
            if second.try_lock() == Lock::Taken { Locks::Exclude } else { Locks::Stuck }
        }
        (Lock::Taken, Lock::Taken) => Locks::DoNotExclude,
        _ => Locks::Missing,
    };
    disk.remove(&file)?;
    Ok(found)
}

fn touch(disk: &RealDisk) -> io::Result<Touch> {
    const NAME: &str = "bench/touched";
    create::write_whole(disk, NAME, b"", Flush::OnNetwork)?;
    let (mut grain, mut best, mut last) = (None::<i128>, None::<(i128, i128)>, None);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(150) {
        let before = jiff::Timestamp::now().as_nanosecond();
        disk.touch(NAME)?;
        let after = jiff::Timestamp::now().as_nanosecond();
        let stamp = disk.look(NAME)?.stamp;
        if best.is_none_or(|(took, _)| after - before < took) {
            best = Some((after - before, stamp - (before + after) / 2));
        }
        let step = last.map(|last| stamp - last).filter(|step| *step > 0);
        grain = [grain, step].into_iter().flatten().min();
        last = Some(stamp);
    }
    let (took, offset) = best.unwrap_or_default();
    let ms = |ns: i128| ns as f64 / 1e6;
    Ok(Touch {
        grain_us: grain.and_then(|ns| u64::try_from(ns / 1000).ok()),
        offset_ms: ms(offset),
        unsure_ms: ms(took / 2) + ms(grain.unwrap_or_default()),
        refused: None,
    })
}

/// As long as the longest names of a job: a host of 64 characters, a process, chance.
fn long_name(disk: &RealDisk) -> io::Result<()> {
    let name = format!("bench/{}@{}.1234567.abcdef", task_name(0), "n".repeat(170));
    create::write_whole(disk, &name, b"", Flush::OnNetwork)?;
    disk.remove(&name)
}

fn folds_case(disk: &RealDisk) -> io::Result<bool> {
    create::write_whole(disk, "bench/Case", b"", Flush::OnNetwork)?;
    fresh::is_there(disk, "bench/case")
}

fn owner(root: &Path) -> io::Result<Owner> {
    let of_file = std::fs::symlink_metadata(root.join("bench/Case"))?.uid();
    Ok(Owner { of_file, of_process: rustix::process::geteuid().as_raw() })
}

/// Calls `one` until the time or the number is up; it says how long the call took.
fn for_a_while(mut one: impl FnMut(usize) -> io::Result<Duration>) -> io::Result<Vec<Duration>> {
    let begun = Instant::now();
    let mut took = Vec::new();
    while took.len() < RATE_CALLS && begun.elapsed() < RATE_TIME {
        took.push(one(took.len())?);
    }
    Ok(took)
}

fn rates(disk: &RealDisk) -> io::Result<Rates> {
    let timed = |call: &dyn Fn(usize) -> io::Result<()>| {
        let took = for_a_while(|n| {
            let begun = Instant::now();
            call(n)?;
            Ok(begun.elapsed())
        });
        took.map(Rate::of)
    };
    let publish = timed(&|n| create::write_whole(disk, &format!("pair/{n}"), &[b'x'; 200], Flush::Always))?;
    // There and back: the names are as good as new.
    let rename = timed(&|n| {
        let (from, to) = if n.is_multiple_of(2) { ("pair/0", "bench/0") } else { ("bench/0", "pair/0") };
        match disk.rename(from, to) {
            Err(error) if is_gone(&error) => Ok(()),
            renamed => renamed,
        }
    })?;
    let touch = timed(&|_| disk.touch("bench/Case"))?;
    let look = timed(&|_| disk.look("bench/Case").map(drop))?;
    let list = timed(&|_| fresh::list_surely(disk, "link").map(drop))?;
    for entry in disk.list("pair")? {
        disk.remove(&format!("pair/{}", entry.name))?;
    }
    Ok(Rates { publish, rename, touch, look, list })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_disk_is_found_good() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let folder = Folder::make(dir.path(), &|path| std::fs::create_dir(path)).expect("made");
        let alone = examine(&folder).expect("examined");
        assert!(alone.rename.is_fair(), "{:?}", alone.rename);
        assert!(alone.link.is_fair() && alone.exclusive.is_fair(), "{alone:?}");
        assert_eq!((alone.over.missing, &alone.over.refused), (0, &None));
        assert!(alone.over.renames > 0 && alone.over.opens > 0);
        assert_eq!(alone.locks, Locks::Exclude);
        assert_eq!(alone.long_name_refused, None);
        assert!(!alone.folds_case, "Linux tells a from A");
        assert_eq!(alone.owner.of_file, alone.owner.of_process);
        assert!(alone.touch.offset_ms.abs() < 5000.0, "one clock: {:?}", alone.touch);
        assert!(alone.rates.publish.n > 0 && alone.rates.list.per_second > 0.0);
    }

    #[test]
    fn a_race_that_all_win_is_not_fair() {
        let race = race(|_, _| Ok(true));
        assert_eq!((race.twice, race.one_winner), (NAMES, 0));
        assert!(super::race(|_, n| if n > 3 { Err(io::Error::other("no")) } else { Ok(false) }).refused.is_some());
    }
}
