//! The one error of the library: what was attempted, on which path, why it failed, what to do next.
//!
//! The text is a lowercase fragment that reads well after `flockwork: `, for example
//! `cannot read input books/a.txt: No such file or directory (os error 2); check the path, it is taken as you typed it`.
//! Losing a race is never an `Error`: see [`Moved`](crate::disk::Moved) and [`Commit`](crate::job::claim::Commit).

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::units::{for_terminal, on_one_line};

pub mod said;

/// What went wrong, as far as a caller may want to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The operating system refused; see [`Error::io_kind`].
    Io,
    /// An input is missing, unreadable, or changed since the job was planned.
    Input,
    /// The directory is not a job, or is another job than the one asked for.
    NotThisJob,
    /// A file of the job does not hold what it must.
    Damaged,
    /// A file was written by a newer flockwork.
    Newer,
    /// The job directory went away while it was in use.
    Vanished,
    /// Somebody has a say in the job whom this process was not told to trust.
    NotTrusted,
    /// The job ended without a result, or cannot go on.
    Failed,
    /// The command line, an app's name or an option is wrong.
    Usage,
    /// This machine has not what the job's commands need: a worker here leaves, and it is nobody's error.
    Unfit,
    /// This machine can start no more processes, or open no more files, for now.
    Exhausted,
    /// The app itself reported an error or panicked.
    App,
}

/// An attempt that failed: operation, path, cause, advice.
pub struct Error {
    kind: ErrorKind,
    attempted: Cow<'static, str>,
    path: Option<PathBuf>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    advice: Option<Cow<'static, str>>,
}

/// The result of nearly everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; `attempted` is a fragment such as `cannot read input`.
    pub fn new(kind: ErrorKind, attempted: impl Into<Cow<'static, str>>) -> Error {
        Error { kind, attempted: attempted.into(), path: None, cause: None, advice: None }
    }

    /// An error the operating system gave for `attempted` on `path`.
    pub fn io(attempted: impl Into<Cow<'static, str>>, path: impl AsRef<Path>, cause: io::Error) -> Error {
        let error = Error::new(ErrorKind::Io, attempted).on(path);
        let advice = advice_for(&cause);
        let error = error.because(cause);
        match advice {
            Some(advice) => error.advise(advice),
            None => error,
        }
    }

    /// The job at `root` went away while it was in use.
    pub fn vanished(root: impl AsRef<Path>) -> Error {
        Error::new(ErrorKind::Vanished, "no job any more in").on(root).advise("it was removed while it ran")
    }

    /// The same error, naming the path it happened on.
    #[must_use]
    pub fn on(mut self, path: impl AsRef<Path>) -> Error {
        self.path = Some(path.as_ref().to_owned());
        self
    }

    /// The same error with the cause beneath it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// The same error with a sentence on what to do next.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Error {
        self.advice = Some(advice.into());
        self
    }

    /// The same error under another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Error {
        self.kind = kind;
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The path it happened on, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The operating system's error beneath, where there is one.
    pub fn io_error(&self) -> Option<&io::Error> {
        self.cause.as_ref()?.downcast_ref()
    }

    /// The kind of the operating system's error beneath, where there is one.
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        self.io_error().map(io::Error::kind)
    }

    /// True where the storage has no room or may not be written: nobody's fault, and worth waiting for.
    pub fn is_no_room(&self) -> bool {
        self.io_error().is_some_and(is_no_room)
    }

    /// True where the operating system refused, which may pass by itself: whoever is at work waits, and tries again. A job that is gone stays gone, what cannot be worked on
    /// here is left to others, and what is another thing than it should be stays that.
    pub fn may_pass(&self) -> bool {
        // Said by flockwork itself; of the operating system's own EINVAL nothing is known.
        let is_what_it_is = |cause: &io::Error| {
            cause.raw_os_error().is_none() && matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        };
        !matches!(self.kind, ErrorKind::Vanished | ErrorKind::Unfit) && self.io_error().is_some_and(|cause| !is_what_it_is(cause))
    }

    /// True where the file or folder was not there.
    pub fn is_not_found(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::NotFound)
    }
}

/// True for ENOSPC, EDQUOT and EROFS: a full disk or quota is nobody's error, so whoever meets it waits and then goes on.
pub fn is_no_room(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

fn advice_for(cause: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as K;
    Some(match cause.kind() {
        K::NotFound => "check the path, and that the share is mounted on this machine",
        K::IsADirectory => "it is a folder; name a file",
        K::NotADirectory => "a part of the path is a file, not a folder",
        K::AlreadyExists => "a file of that name is in the way",
        K::PermissionDenied => "check the owner and the permissions (ls -ld), and as which user this runs (id)",
        K::StorageFull => "free space on that file system; running jobs wait and go on by themselves",
        K::QuotaExceeded => "free space or raise the quota; running jobs wait and go on by themselves",
        K::ReadOnlyFilesystem => "mount it read-write, or choose another directory with --job",
        K::StaleNetworkFileHandle => "the mount lost that file; run the command again, and look at the mount if it stays",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths and causes may hold what somebody wrote into a directory.
        f.write_str(&for_terminal(&self.attempted))?;
        if let Some(path) = &self.path {
            write!(f, " {}", on_one_line(&path.to_string_lossy()))?;
        }
        if let Some(cause) = &self.cause {
            write!(f, ": {}", for_terminal(&cause.to_string()))?;
        }
        if let Some(advice) = &self.advice {
            write!(f, "; {}", for_terminal(advice))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind of the cause, and the whole text as the message.
    fn from(error: Error) -> io::Error {
        io::Error::new(error.io_kind().unwrap_or(io::ErrorKind::Other), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_act_the_path_the_cause_and_the_remedy() {
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = Error::io("cannot create", "/mnt/job/pending", cause).to_string();
        assert!(text.starts_with("cannot create /mnt/job/pending: permission denied; check the owner"), "{text}");
    }

    #[test]
    fn what_is_another_thing_than_it_should_be_is_told_from_what_is_not_there() {
        for (kind, advice) in [
            (io::ErrorKind::NotFound, "check the path, and that the share is mounted on this machine"),
            (io::ErrorKind::IsADirectory, "it is a folder; name a file"),
            (io::ErrorKind::NotADirectory, "a part of the path is a file, not a folder"),
            (io::ErrorKind::AlreadyExists, "a file of that name is in the way"),
        ] {
            let error = Error::io("cannot write", "a/b", io::Error::from(kind));
            assert!(error.to_string().ends_with(&format!("; {advice}")), "{error}");
            assert!(error.advise("or so").to_string().ends_with("; or so"), "who knows better says so");
        }
    }

    #[test]
    fn what_others_named_does_not_reach_the_terminal_as_it_is() {
        let text = Error::new(ErrorKind::Damaged, "no \x1b[1m").on("a\nb\x1b]0;x\x07").because("\x1b[31m").advise("\u{9b}").to_string();
        assert_eq!(text, "no \\u{1b}[1m a\\u{a}b\\u{1b}]0;x\\u{7}: \\u{1b}[31m; \\u{9b}");
    }

    #[test]
    fn a_full_disk_is_told_apart_from_an_error() {
        let full = Error::io("cannot write", "x", io::Error::from(io::ErrorKind::StorageFull));
        assert!(full.is_no_room(), "ENOSPC is nobody's error");
        assert!(!Error::new(ErrorKind::Input, "cannot read").is_no_room(), "an input error is somebody's");
    }
}
