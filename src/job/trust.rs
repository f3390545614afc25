//! Whose jobs this process works on: those of its own user, and of the users and groups it was told to trust.
//!
//! A job says which program runs, what it reads and where it writes, all in the name of whoever starts a worker. So nobody may have a say in it whom that
//! user does not trust, and who has a say is whoever may write the job's folders. The rule, for the job's folder and each folder in it:
//!
//! 1. it is a real folder, no symbolic link (the path to the job itself may be one: what it leads to is looked at);
//! 2. not everybody may write it, sticky bit or not;
//! 3. its owner is this user, or a trusted user, or the folder's group is trusted, or its owner is in a trusted group;
//! 4. if its group may write it, the group is trusted, or is the private group of the owner (called like the user, nobody else in it).
//!
//! `job.json` is held to the same; of the plans only that no others may write them, for whoever put them there may write the folder. After a check the
//! umask is closed to the extent that the rule demands, so that nothing this process makes can be written by others.
//!
//! Looking at a job needs no trust. What is checked is what there was when it was checked: only those who passed may change it later, and whoever may
//! rename the folders *above* the job. It asks [`owner`], for who owns what is no part of the protocol and not of [`crate::disk::Disk`].

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::layout::{ATTEMPTS, DIRS, JOB_JSON, MARKERS, OUTPUT, PHASE_END, PHASE_MAP, PHASE_REDUCE};
use crate::disk::owner::{self, Kind, Owned};
use crate::error::{Error, ErrorKind, Result};
use crate::here;

/// What servers and kernels show where they cannot or will not say who it is.
const NOBODY: [u32; 2] = [65_534, u32::MAX - 1];

/// Who is trusted, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The user this process runs as.
    pub me: u32,
    /// Users it was told to trust.
    pub users: BTreeSet<u32>,
    /// Groups it was told to trust.
    pub groups: BTreeSet<u32>,
}

/// What a thing in the job must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The job's folder, wherever its path leads.
    Job,
    /// A folder in it.
    Folder,
    /// `job.json`.
    Spec,
    /// A file that was put there by whoever may write its folder.
    Plan,
}

/// Why something is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// A link, or not what bears such a name.
    Kind,
    /// Everybody may write it.
    Everybody,
    /// It belongs to a stranger.
    Stranger,
    /// A group that is not trusted may write it.
    Group,
}

impl Trust {
    /// The rule. The two questions are put only where the answer depends on them.
    fn doubt(&self, part: Part, seen: Owned, is_member: impl Fn(u32, u32) -> bool, is_private: impl Fn(u32, u32) -> bool) -> Option<Doubt> {
        let kind = match part {
            Part::Job | Part::Folder => Kind::Folder,
            Part::Spec | Part::Plan => Kind::File,
        };
        if seen.kind != kind {
            return Some(Doubt::Kind);
        }
        if seen.mode & 0o002 != 0 {
            return Some(Doubt::Everybody);
        }
        let known = seen.uid == self.me || self.users.contains(&seen.uid) || self.groups.contains(&seen.gid);
        if part != Part::Plan && !known && !self.groups.iter().any(|group| is_member(seen.uid, *group)) {
            return Some(Doubt::Stranger);
        }
        let shared = seen.mode & 0o020 != 0 && !self.groups.contains(&seen.gid) && !is_private(seen.uid, seen.gid);
        shared.then_some(Doubt::Group)
    }

    fn check_part(&self, part: Part, path: &Path) -> Result<Option<Owned>> {
        let seen = match part {
            Part::Job => owner::behind(path),
            Part::Folder | Part::Spec | Part::Plan => owner::of(path),
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(Error::io("cannot look whose job this is:", path, error)),
        };
        if part == Part::Job && seen.kind != Kind::Folder {
            return Ok(None);
        }
        match self.doubt(part, seen, owner::is_member, owner::is_private) {
            None => Ok(Some(seen)),
            Some(doubt) => Err(self.refusal(part, path, seen, doubt)),
        }
    }

    fn refusal(&self, part: Part, path: &Path, seen: Owned, doubt: Doubt) -> Error {
        let shown = path.display();
        let group = owner::group_name(seen.gid);
        let group_option = group.clone().unwrap_or_else(|| seen.gid.to_string());
        let (cause, advice) = match doubt {
            Doubt::Kind => {
                let what = if seen.kind == Kind::Link { "it is a symbolic link" } else { "it is not what bears such a name in a job" };
                (
                    what.to_owned(),
                    "a job's folders are real folders and its files plain ones; look who put it there, and remove it".to_owned(),
                )
            }
            Doubt::Everybody => (
                format!("everybody may write it (mode {:04o})", seen.mode),
                format!("`chmod o-w {shown}`, or use a job directory of your own"),
            ),
            Doubt::Stranger if NOBODY.contains(&seen.uid) => (
                format!(
                    "it belongs to user {}, which is what an NFS server shows for root that it squashes and for users it cannot map; this process is {}",
                    user(seen.uid),
                    user(self.me)
                ),
                format!(
                    "work as an ordinary user, or mend the export or the mapping; `--trust-user {}` would trust everybody who is shown so",
                    seen.uid
                ),
            ),
            Doubt::Stranger => {
                let name = owner::user_name(seen.uid).unwrap_or_else(|| seen.uid.to_string());
                (
                    format!("it belongs to user {}, and this process is {}", user(seen.uid), user(self.me)),
                    format!(
                        "if what {name} asks for may be done in your name, add `--trust-user {name}` or `--trust-group {group_option}`"
                    ),
                )
            }
            Doubt::Group => (
                format!("group {} may write it (mode {:04o})", named(group, "gid", seen.gid), seen.mode),
                format!("`chmod g-w {shown}`, or, if you trust everybody in that group, `--trust-group {group_option}`"),
            ),
        };
        let what = match part {
            Part::Job => "not trusted: the job directory",
            Part::Folder => "not trusted: the job's folder",
            Part::Spec | Part::Plan => "not trusted: the job's file",
        };
        Error::new(ErrorKind::NotTrusted, what).on(path).because(cause).advise(advice)
    }

    /// Checks the job's folder at `root` and all that lies in it, as far as it is there yet; then closes the umask accordingly. Where there is no folder
    /// at all, there is no job to trust: whoever opens it says so.
    pub fn check(&self, root: &Path) -> Result<()> {
        if let Some(is_shared) = self.examine(root)? {
            here::close_umask(is_shared);
        }
        Ok(())
    }

    /// The same check for a process that has to do with several jobs: it leaves the umask alone, and says whether a trusted group may write the job.
    pub fn examine(&self, root: &Path) -> Result<Option<bool>> {
        let Some(seen) = self.check_part(Part::Job, root)? else { return Ok(None) };
        for dir in DIRS.into_iter().chain([MARKERS]) {
            self.check_part(Part::Folder, &root.join(dir))?;
        }
        self.check_part(Part::Spec, &root.join(JOB_JSON))?;
        for plan in [PHASE_MAP, PHASE_REDUCE, PHASE_END] {
            self.check_part(Part::Plan, &root.join(plan))?;
        }
        self.check_output(root, OUTPUT)?;
        Ok(Some(self.is_shared(seen)))
    }

    fn is_shared(&self, seen: Owned) -> bool {
        seen.mode & 0o020 != 0 && self.groups.contains(&seen.gid)
    }

    /// Before a process has to do with the jobs in the folder `farm`: what it makes is closed to others, and to the group unless a trusted one may write
    /// `farm`. True if it may.
    pub fn close_for_farm(&self, farm: &Path) -> bool {
        let is_shared = owner::behind(farm).is_ok_and(|seen| self.is_shared(seen));
        here::close_umask(is_shared);
        is_shared
    }

    /// Checks where the attempts of the output folder `output` (see [`super::spec::Ask::output`]) wait. The folder itself, where it lies outside, is the user's.
    pub fn check_output(&self, root: &Path, output: &str) -> Result<()> {
        self.check_part(Part::Folder, &root.join(output).join(ATTEMPTS)).map(drop)
    }

    /// Before a new job's folder is made: what is made is closed to others, and to the group unless a trusted one may be meant.
    pub fn close(&self) {
        here::close_umask(!self.groups.is_empty());
    }
}

fn user(uid: u32) -> String {
    named(owner::user_name(uid), "uid", uid)
}

fn named(name: Option<String>, kind: &str, number: u32) -> String {
    name.map_or_else(|| format!("{kind} {number}"), |name| format!("{name} ({kind} {number})"))
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
