//! Whether this worker's disk lets it work: one that alone has a trouble (a lost permission, an I/O error, a mount gone read-only) gives its claim back and claims
//! nothing until it can write again, so that the others go on.
//!
//! A refusal is tried again for a lease; a full or read-only disk or a used-up quota, which is mostly everybody's, for half a minute at least. Then the claim is given
//! back, which counts against nobody, and the worker tries from time to time whether it can write where tasks write. A task that meets another refusal than
//! that of room, or that its machine can start no more, again, although its worker could write in between, has a trouble of its own: that is an error, and counts.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::disk::{Disk, Flush};
use crate::error::{Error, ErrorKind};
use crate::ids::Block;
use crate::job::layout::{OUTPUT, SHUFFLE, State, attempts_dir};
use crate::job::spec::Ask;

/// Three of these, or of longer leases, room is waited for before a claim is given back.
const ROOM_LEASE: Duration = Duration::from_secs(10);

/// What to do about a refusal while a claim is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Keep the claim and try again.
    TryAgain,
    /// Give the claim back, and claim nothing until the disk is well.
    GiveBack,
    /// Give the claim back and leave: no command of this job can be run here.
    Leave,
    /// Report it as the task's error.
    Report,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Fitness {
    /// Where the job's tasks write: their data, and what becomes of them.
    dirs: Vec<String>,
    /// What the disk refused; none while it is well.
    trouble: Option<String>,
    /// What was given back for trouble.
    given_back: BTreeSet<Block>,
}

impl Fitness {
    /// Of a worker of the job `ask`.
    pub(super) fn new(ask: &Ask) -> Fitness {
        let mut dirs = [State::Pending, State::Claimed, State::Done].map(|state| state.dir().to_owned()).to_vec();
        if ask.is_of_commands() {
            // They write segments, and no attempt's output; and have folders of this machine's own.
            dirs.push(OUTPUT.to_owned());
            dirs.extend(super::scratch::place());
        } else {
            dirs.extend([SHUFFLE.to_owned(), attempts_dir(&ask.output)]);
        }
        Fitness { dirs, trouble: None, given_back: BTreeSet::new() }
    }

    /// What to do about a refusal that an attempt of `block` has met for so long.
    pub(super) fn remedy(&mut self, block: Block, error: &Error, since: Duration, lease: Duration) -> Remedy {
        if error.kind() == ErrorKind::Unfit {
            return Remedy::Leave;
        }
        if error.io_kind().is_none() {
            // Not refused: what was read is wrong.
            return Remedy::Report;
        }
        let patience = if error.is_no_room() { lease.max(ROOM_LEASE) * 3 } else { lease };
        if since < patience {
            return Remedy::TryAgain;
        }
        let is_nobodys = error.is_no_room() || error.kind() == ErrorKind::Exhausted;
        if !is_nobodys && !self.given_back.insert(block) {
            return Remedy::Report;
        }
        self.trouble = Some(error.to_string());
        Remedy::GiveBack
    }

    /// What the disk refused while nothing was held.
    pub(super) fn cannot_claim(&mut self, error: &Error) {
        self.trouble = Some(error.to_string());
    }

    /// Why nothing is claimed now, after a look whether that is over: a file is made and removed where maps write, where reduces do,
    /// and where tasks wait, are claimed and end.
    pub(super) fn trouble(&mut self, disk: &dyn Disk) -> Option<&str> {
        if self.trouble.is_some() && self.dirs.iter().all(|dir| can_write(disk, dir)) {
            self.trouble = None;
        }
        self.trouble.as_deref()
    }
}

fn can_write(disk: &dyn Disk, dir: &str) -> bool {
    let draft = disk.draft(dir, b"can this worker write?\n", Flush::Always);
    draft.and_then(|path| disk.remove(&path)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::ids::TaskId;

    const LEASE: Duration = Duration::from_secs(10);

    fn error(kind: io::ErrorKind) -> Error {
        Error::io("cannot write", "x", io::Error::from(kind))
    }

    fn of(app: &str) -> Fitness {
        Fitness::new(&Ask::plain(app))
    }

    #[test]
    fn a_full_disk_is_waited_for_and_any_other_refusal_for_a_lease() {
        let mut fitness = of("wc");
        let task = Block::one(TaskId::map(1));
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::ReadOnlyFilesystem] {
            assert_eq!(fitness.remedy(task, &error(kind), LEASE * 3 - Duration::from_millis(1), LEASE / 10), Remedy::TryAgain, "{kind}");
            assert_eq!(fitness.remedy(task, &error(kind), LEASE * 3, LEASE), Remedy::GiveBack, "{kind}: it may be this worker's alone");
        }
        let denied = error(io::ErrorKind::PermissionDenied);
        assert_eq!(fitness.remedy(task, &denied, LEASE / 2, LEASE), Remedy::TryAgain);
        assert_eq!(fitness.remedy(task, &denied, LEASE, LEASE), Remedy::GiveBack);
        assert_eq!(fitness.remedy(Block::one(TaskId::map(2)), &denied, LEASE, LEASE), Remedy::GiveBack, "another task may meet it, too");
        assert_eq!(fitness.remedy(task, &denied, LEASE, LEASE), Remedy::Report, "again: it is this task's");
        for kind in [io::ErrorKind::OutOfMemory, io::ErrorKind::WouldBlock] {
            let exhausted = error(kind).of_kind(ErrorKind::Exhausted);
            assert_eq!(fitness.remedy(task, &exhausted, LEASE / 2, LEASE), Remedy::TryAgain);
            assert_eq!(fitness.remedy(task, &exhausted, LEASE, LEASE), Remedy::GiveBack, "however often: no task uses a machine up");
        }
        let unfit = denied.of_kind(ErrorKind::Unfit);
        assert_eq!(fitness.remedy(task, &unfit, Duration::ZERO, LEASE), Remedy::Leave, "waiting helps nobody");
        let damaged = Error::new(ErrorKind::Damaged, "cannot read");
        assert_eq!(fitness.remedy(Block::one(TaskId::map(3)), &damaged, Duration::ZERO, LEASE), Remedy::Report, "no refusal at all");
    }

    #[test]
    fn a_worker_in_trouble_is_well_again_when_it_can_write() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = crate::disk::real::RealDisk::at(dir.path());
        let mut fitness = of("wc");
        assert_eq!(fitness.trouble(&disk), None, "no look is needed while it is well");
        let _ = fitness.remedy(Block::one(TaskId::map(1)), &error(io::ErrorKind::PermissionDenied), LEASE, LEASE);
        assert!(fitness.trouble(&disk).is_some_and(|text| text.contains("cannot write x")), "there is no such folder to write in");
        ["shuffle", "output"].iter().for_each(|dir| disk.make_dir(dir).expect("made"));
        assert!(fitness.trouble(&disk).is_some(), "reduces could not write yet");
        disk.make_dir("output/.attempts").expect("made");
        assert!(fitness.trouble(&disk).is_some(), "nor could a task be ended");
        disk.make_dir("done").expect("made");
        assert!(fitness.trouble(&disk).is_some(), "nor claimed");
        ["pending", "claimed"].iter().for_each(|dir| disk.make_dir(dir).expect("made"));
        assert_eq!(fitness.trouble(&disk), None);
        assert!(disk.list("shuffle").expect("readable").is_empty(), "the trial leaves nothing");
    }

    #[test]
    fn a_worker_of_commands_needs_only_the_folders_that_such_a_job_has() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = crate::disk::real::RealDisk::at(dir.path());
        crate::job::layout::DIRS.iter().for_each(|dir| disk.make_dir(dir).expect("made"));
        for (app, is_well) in [(crate::each::APP, true), ("wc", false)] {
            let mut fitness = of(app);
            fitness.cannot_claim(&error(io::ErrorKind::StorageFull));
            assert_eq!(fitness.trouble(&disk).is_none(), is_well, "{app}");
        }
    }
}
