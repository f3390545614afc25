//! A user's command: started, fed, listened to, held, ended and paid for. The one home of running it.
//!
//! Contract: no shell, a process group of its own, and `posix_spawn` (nothing is done between fork and exec, which keeps starting quick). Reading, writing and
//! waiting are one loop over `poll`, so a child that does not read, does not stop writing, fills stderr or closes everything blocks nobody, and no more is
//! held in memory than one pipe's worth. The `Control` is heeded all along: hold stops the group, go on continues it, cancel ends it. When the first process of the group
//! has ended, what it left in its pipes is read, what others add for [`LINGER`] at most where they keep them open, and what is left of the group is killed.
//!
//! The group dies with this process where [`leash::arm`] was called. What has left the group (a daemon with a session of its own) is
//! not followed while this process lives; it only loses its pipes.
//!
//! Cost: one `posix_spawn`, about ten calls more, no thread. Peak memory is the kernel's `ru_maxrss`: of the largest process that was waited for, and never less than this process had
//! when it started the command.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::data::Failure;
use crate::error::Result;

pub mod leash;
mod programs;
mod running;
mod start;
mod tail;
#[cfg(test)]
mod tests;
mod words;

pub use programs::Programs;
pub use running::Running;
pub use start::{Stdin, can_enter};
pub use tail::Tail;
pub use words::split_words;

/// How long after its first process's end others are listened to that keep a command's pipes open.
pub const LINGER: Duration = Duration::from_secs(1);
/// Between being asked to end and being killed.
pub const GRACE: Duration = Duration::from_secs(1);

/// What is to be run, and where.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The program and its arguments; at least one.
    pub words: &'a [OsString],
    /// Where the program lies, if that is known; it is still told its name as in `words`.
    pub program: Option<&'a Path>,
    /// Where it runs; here if none is named. In one that is not there it is not started.
    pub dir: Option<&'a Path>,
    /// Beside this process's own environment. Without `PATH`, which would make starting slow.
    pub env: &'a [(OsString, OsString)],
    /// It is ended when it has run for so long, held times not counted.
    pub timeout: Option<Duration>,
}

/// Who takes what a command says. Blocks end anywhere.
pub trait Ears {
    /// A block of its stdout; an error ends the command.
    fn out(&mut self, block: &[u8]) -> Result<(), Failure>;

    /// A block of its stderr.
    fn err(&mut self, block: &[u8]);
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// How its first process ended.
    pub status: ExitStatus,
    /// It was ended because it ran for too long.
    pub timed_out: bool,
    /// From start to end.
    pub wall: Duration,
    /// Processor time in the program, with that of the children it has waited for.
    pub user: Duration,
    /// The same in the kernel.
    pub system: Duration,
    /// Peak memory in bytes; see the module.
    pub max_rss: u64,
}

impl Ended {
    /// True if it ended well.
    pub fn is_good(&self) -> bool {
        self.status.success() && !self.timed_out
    }

    /// How it ended, as what follows its name.
    pub fn words(&self) -> String {
        if self.timed_out {
            return format!("ran for longer than {} and was ended", crate::units::show_time(self.wall));
        }
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("ended with status {code}"),
            (None, Some(signal)) => {
                let name = signal_hook::low_level::signal_name(signal).map_or_else(String::new, |name| format!(" ({name})"));
                format!("was killed by signal {signal}{name}")
            }
            (None, None) => "ended in a way unknown".to_owned(),
        }
    }
}

/// Where a program called `name` lies: as it stands with a slash in it; else in `dir` if it can be run there; else as `PATH` will tell.
pub fn find_program(name: &OsString, dir: &Path) -> OsString {
    if Path::new(name).components().count() > 1 || name.is_empty() {
        return name.clone();
    }
    let here: PathBuf = dir.join(name);
    if programs::can_run(&here) { here.into_os_string() } else { name.clone() }
}
