//! Processes of this user, as `/proc` tells, and signals that cannot meet another one.
//!
//! A number of a process is used again after its death. So a handle (pidfd) is opened first, what `/proc` says of the number is judged next, and the signal
//! goes through the handle: should the process have died in between, whatever was judged, nobody gets the signal.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::line;

/// A process of this user.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of the process that started it, if that lives.
    pub parent: u32,
    handle: OwnedFd,
    line: Vec<OsString>,
}

/// What it takes to start a process again.
#[derive(Debug, Clone)]
pub struct Recipe {
    program: PathBuf,
    line: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Process {
    /// The process of this number, if it lives and is of this user.
    pub fn open(pid: u32) -> Option<Process> {
        let handle = pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::empty()).ok()?;
        let proc = folder(pid);
        if std::fs::metadata(&proc).ok()?.uid() != rustix::process::geteuid().as_raw() {
            return None;
        }
        let stat = std::fs::read(proc.join("stat")).ok()?;
        Some(Process { pid, parent: parent_in(&stat)?, handle, line: words(&std::fs::read(proc.join("cmdline")).ok()?) })
    }

    /// All processes of this user.
    pub fn all() -> Vec<Process> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::open).collect()
    }

    /// Its first argument: the command, for a program of ours.
    pub fn command(&self) -> Option<&str> {
        self.line.get(1)?.to_str()
    }

    /// True if the job or the farm that it was given, as a `worker` or a `coordinator`, is the folder of this inode.
    pub fn is_given(&self, inode: (u64, u64)) -> bool {
        let Some(path) = line::place(&self.line) else { return false };
        // The path is its own: it leads from where it is.
        std::fs::metadata(folder(self.pid).join("cwd").join(path)).is_ok_and(|meta| (meta.dev(), meta.ino()) == inode)
    }

    /// The options that say whom it trusts.
    pub fn trust(&self) -> Vec<OsString> {
        line::trust(&self.line)
    }

    /// True if it holds the file of this inode open.
    pub fn holds(&self, inode: (u64, u64)) -> bool {
        let entries = std::fs::read_dir(folder(self.pid).join("fd")).into_iter().flatten().flatten();
        // The handle itself is asked, not the name that it was opened under.
        entries.into_iter().any(|entry| std::fs::metadata(entry.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == inode))
    }

    /// Sends a signal; false if the process is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        pidfd_send_signal(&self.handle, signal).is_ok()
    }

    /// How to start it again; to be asked before it is killed.
    pub fn recipe(&self) -> Option<Recipe> {
        let proc = folder(self.pid);
        let program = std::fs::read_link(proc.join("exe")).ok()?;
        // A program that was replaced while it runs (an upgrade) is started as what lies there now.
        let program = program.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map_or(program.clone(), PathBuf::from);
        let environment = std::fs::read(proc.join("environ")).ok()?;
        let pairs = environment.split(|&b| b == 0).filter_map(|pair| {
            let at = pair.iter().position(|&b| b == b'=')?;
            Some((OsStr::from_bytes(&pair[..at]).to_owned(), OsStr::from_bytes(&pair[at + 1..]).to_owned()))
        });
        Some(Recipe { program, line: self.line.clone(), folder: std::fs::read_link(proc.join("cwd")).ok()?, environment: pairs.collect() })
    }
}

impl Recipe {
    /// A recipe for this very program with these arguments, here.
    pub fn own(arguments: &[&OsStr]) -> std::io::Result<Recipe> {
        let line = std::iter::once(OsStr::new("flockwork")).chain(arguments.iter().copied()).map(OsStr::to_owned).collect();
        let (program, folder) = (std::env::current_exe()?, std::env::current_dir()?);
        Ok(Recipe { program, line, folder, environment: std::env::vars_os().collect() })
    }

    /// The same program, folder and environment with other arguments.
    pub fn with(&self, arguments: &[&OsStr]) -> Recipe {
        let first = self.line.first().cloned().unwrap_or_default();
        let line = std::iter::once(first).chain(arguments.iter().map(|word| (*word).to_owned())).collect();
        Recipe { line, ..self.clone() }
    }

    /// As it is typed.
    pub fn words(&self) -> String {
        self.line.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Starts it, in a process group of its own, so that Ctrl-C here is none there. What it says on stderr is seen here.
    pub fn start(&self) -> std::io::Result<std::process::Child> {
        let mut command = Command::new(&self.program);
        if let Some(name) = self.line.first() {
            command.arg0(name);
        }
        command.args(self.line.iter().skip(1)).current_dir(&self.folder).env_clear().envs(self.environment.iter().cloned());
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
    }
}

fn folder(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn words(line: &[u8]) -> Vec<OsString> {
    line.strip_suffix(b"\0").unwrap_or(line).split(|&b| b == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// `4121 (a name (with) blanks) S 4100 ...`
fn parent_in(stat: &[u8]) -> Option<u32> {
    let after = stat.iter().rposition(|&b| b == b')')?;
    String::from_utf8_lossy(&stat[after + 1..]).split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent_in(b"4121 (a) R (x) S 4100 4100 0"), Some(4100));
        assert_eq!(parent_in(b"4121"), None);
    }

    /// A child just started, once the kernel tells its arguments.
    fn opened(child: &std::process::Child) -> Process {
        let look = || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            Process::open(child.id()).filter(|process| process.command().is_some())
        };
        (0..12_000).find_map(|_| look()).expect("it lives")
    }

    #[test]
    fn a_process_is_known_by_what_it_holds_open_and_a_dead_one_gets_no_signal() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let meta = file.as_file().metadata().expect("metadata");
        let me = Process::open(std::process::id()).expect("this process is of this user");
        assert!(me.holds((meta.dev(), meta.ino())));
        assert!(!me.holds((meta.dev(), 0)));
        assert!(Process::all().iter().any(|process| process.pid == me.pid));

        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let sleep = opened(&child);
        assert_eq!((sleep.command(), sleep.parent), (Some("60"), me.pid));
        assert!(sleep.signal(Signal::KILL));
        child.wait().expect("reaped");
        assert!(!sleep.signal(Signal::KILL), "its number may be another's by now");
        assert!(Process::open(child.id()).is_none_or(|process| process.command() != Some("60")));
    }

    #[test]
    fn what_a_process_was_given_is_looked_for_from_its_own_folder() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = dir.path().join("0");
        std::fs::create_dir(&given).expect("made");
        let inode = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).expect("it is there");
        // It lasts for the sum of both.
        let mut child = Command::new("sleep").args(["60", "0"]).current_dir(dir.path()).spawn().expect("sleep");
        let sleep = opened(&child);
        assert!(sleep.is_given(inode(&given)));
        assert!(!sleep.is_given(inode(dir.path())));
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    #[test]
    fn a_recipe_starts_the_same_with_other_arguments() {
        let mut child = Command::new("sh").args(["-c", "sleep 60; true"]).env("FLOCKWORK_MARK", "1").spawn().expect("sh");
        let recipe = opened(&child).recipe().expect("its recipe");
        assert_eq!(recipe.words(), "sh -c sleep 60; true");
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let mut again = recipe.with(&["-c", "exit 4$FLOCKWORK_MARK"].map(OsStr::new)).start().expect("started");
        assert_eq!(again.wait().expect("ended").code(), Some(41), "the same program and environment");
    }
}
