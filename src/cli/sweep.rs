//! Removing files and folders by name, carefully: what `clean` is made of.
//!
//! Only plain files whose names are ours go. `.nfsXXXX` names are files that were removed while somebody still held them open; they go by
//! themselves when that process ends, so a folder that holds one is tried a few times more and then named.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::real::DRAFT_PREFIX;
use crate::ids::{ClaimName, TaskFile, WorkerName};
use crate::job::layout;

/// How often a folder that is not empty is tried.
const TRIES: u32 = 5;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// What was removed and what was not.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// How many files went.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// What stays, and why.
    pub left: Vec<(PathBuf, String)>,
    /// How many files stay because they may be another job's.
    pub spared: u64,
}

/// True if `name` is one that flockwork gives in the job's directory `dir` (`.` for the job itself).
pub(super) fn is_ours(dir: &str, name: &str) -> bool {
    if name.starts_with(DRAFT_PREFIX) {
        return true;
    }
    match dir {
        "." => {
            let files = [layout::JOB_JSON, layout::ITEMS, layout::COORDINATOR_LOCK, layout::PAUSE, layout::CANCEL];
            files.contains(&name) || layout::BOARDS.contains(&name)
        }
        layout::PHASE => is_phase(name),
        layout::WORKERS => name.parse::<WorkerName>().is_ok(),
        layout::SHUFFLE => crate::eyes::is_shuffle_name(name),
        layout::OUTPUT => crate::eyes::output_number(name).is_some() || crate::eyes::is_segment_name(name),
        layout::ATTEMPTS => name.parse::<ClaimName>().is_ok(),
        // Events and the stderr of commands; and what apps keep.
        layout::LOG | layout::MARKERS | layout::LAUNCH => !name.starts_with('.'),
        _ => name.parse::<TaskFile>().is_ok(),
    }
}

fn is_phase(name: &str) -> bool {
    let numbered = |kind: &str| name.strip_prefix(kind).is_some_and(|digits| digits.parse::<u32>().is_ok());
    ["map", "reduce", "end", "finished", "failed", "cleaned"].contains(&name)
        || layout::is_taken_back(name)
        || layout::is_ending(name)
        || numbered("end.")
        || numbered("hooked.")
}

/// True if `path` itself is a folder, not a link to one.
pub(super) fn is_real_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Removes the plain files in `dir` that are `ours`.
pub(super) fn empty(dir: &Path, ours: &dyn Fn(&str) -> bool, swept: &mut Swept) {
    empty_sparing(dir, ours, &|_| false, swept);
}

/// The same of a folder in which others have theirs, too: what is not `ours` and may be `theirs` stays, and is no fault.
pub(super) fn empty_sparing(dir: &Path, ours: &dyn Fn(&str) -> bool, theirs: &dyn Fn(&str) -> bool, swept: &mut Swept) {
    match dir.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return swept.left.push((dir.to_owned(), "it is no folder".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return swept.left.push((dir.to_owned(), error.to_string())),
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return swept.left.push((dir.to_owned(), error.to_string())),
    };
    // Collected first: a listing that goes on while names are removed may skip some on a network mount.
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    for name in names {
        let path = dir.join(&name);
        match name.to_str() {
            Some(name) if ours(name) => remove_file(&path, swept),
            Some(name) if theirs(name) => swept.spared += 1,
            Some(name) if name.starts_with(".nfs") || is_known_dir(dir, name) => {}
            _ => swept.left.push((path, "it is not flockwork's".to_owned())),
        }
    }
}

/// Folders of ours are emptied and removed one by one.
fn is_known_dir(parent: &Path, name: &str) -> bool {
    let known = layout::DIRS.contains(&name) || [layout::ATTEMPTS, layout::MARKERS, layout::LAUNCH].contains(&name);
    known && is_real_dir(&parent.join(name))
}

/// Removes one plain file.
pub(super) fn remove_file(path: &Path, swept: &mut Swept) {
    let meta = match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => meta,
        Ok(_) => return swept.left.push((path.to_owned(), "it is no plain file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return swept.left.push((path.to_owned(), error.to_string())),
    };
    match std::fs::remove_file(path) {
        Ok(()) => {
            swept.files += 1;
            swept.bytes += meta.len();
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => swept.left.push((path.to_owned(), error.to_string())),
    }
}

/// Removes a folder that should be empty by now.
pub(super) fn remove_dir(path: &Path, swept: &mut Swept) {
    if !is_real_dir(path) {
        return;
    }
    // Where something in it was left on purpose, that is said already.
    if swept.left.iter().any(|(left, _)| left.starts_with(path)) {
        return;
    }
    for attempt in 1..=TRIES {
        match std::fs::remove_dir(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && attempt < TRIES => std::thread::sleep(PAUSE),
            Err(error) => {
                let why = format!("{error} (a process may still hold a removed file in it open: `.nfs...`); run it again later");
                return swept.left.push((path.to_owned(), why));
            }
        }
    }
}
