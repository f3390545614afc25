//! Starting a command: in its folder and in no other, and by the shell where it is a script that names no program. And what is said of one that cannot be started.
//!
//! The kind of the error tells whose trouble it is. [`ErrorKind::App`]: the command's. [`ErrorKind::Unfit`]: this machine's, which has no such folder. [`ErrorKind::Exhausted`] and
//! [`ErrorKind::Io`]: this machine's, for now. A command that starts is not looked at twice: its folder is asked about only when `posix_spawn`, which enters it, has failed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;

use super::{Order, leash, programs};
use crate::error::{Error, ErrorKind, Result};

/// Runs scripts that do not say who does.
const SHELL: &str = "/bin/sh";
/// So much of a file is looked at to tell a script from a program of another machine's.
const FIRST_BYTES: usize = 256;

/// What a command reads. What it writes is listened to in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing.
    Empty,
    /// What it is fed with.
    Fed,
}

/// Starts it.
pub(super) fn start(order: &Order<'_>, stdin: Stdin) -> Result<Child> {
    let Some(name) = order.words.first() else { return Err(cannot_start(order, io::ErrorKind::InvalidInput.into())) };
    let mark = leash::mark().map_err(|cause| cannot_start(order, cause))?;
    let mut command = Command::new(order.program.map_or(name.as_os_str(), Path::as_os_str));
    command.arg0(name);
    let started = match spawn(command, order, stdin, mark) {
        Err(cause) if errno(&cause) == Some(Errno::NOEXEC) => match script(order, name) {
            Some(script) => {
                let mut shell = Command::new(SHELL);
                shell.arg(script);
                spawn(shell, order, stdin, mark)
            }
            None => Err(cause),
        },
        started => started,
    };
    started.map_err(|cause| match order.dir.map(can_enter) {
        Some(Err(refused)) => refused,
        Some(Ok(())) | None => cannot_start(order, cause),
    })
}

fn spawn(mut command: Command, order: &Order<'_>, stdin: Stdin, mark: Option<(&str, &str)>) -> io::Result<Child> {
    let arguments = order.words.get(1..).unwrap_or_default();
    command.args(arguments).process_group(0).envs(order.env.iter().map(|(name, value)| (name, value)));
    command.stdin(if stdin == Stdin::Fed { Stdio::piped() } else { Stdio::null() }).stdout(Stdio::piped()).stderr(Stdio::piped());
    order.dir.map(|dir| command.current_dir(dir));
    mark.map(|(name, value)| command.env(name, value));
    command.spawn()
}

/// What the kernel would not run, where it is a script for the shell, as `execvp` takes it. What has a NUL in its first line is none.
fn script(order: &Order<'_>, name: &OsStr) -> Option<PathBuf> {
    let dir = order.dir.unwrap_or(Path::new(""));
    let place = match order.program {
        Some(place) => place.to_owned(),
        None => programs::find(name, dir)?,
    };
    let mut first = [0; FIRST_BYTES];
    // One that may not be read is the shell's to refuse.
    let n = File::open(dir.join(&place)).and_then(|mut file| file.read(&mut first)).unwrap_or(0);
    let line = first[..n].split(|&byte| byte == b'\n').next().unwrap_or_default();
    (!line.contains(&0)).then_some(place)
}

/// Whether commands can run in the folder `dir` here; if not, why.
pub fn can_enter(dir: &Path) -> Result<()> {
    // To look at what lies in a folder takes the right to enter it.
    let Err(cause) = dir.join(".").metadata() else { return Ok(()) };
    const ADVICE: &str = "the job's commands run in the folder where it was submitted";
    match errno(&cause) {
        Some(Errno::NOENT | Errno::NOTDIR) => Err(Error::new(ErrorKind::Unfit, "no such folder here:")
            .on(dir)
            .advise(format!("{ADVICE}: mount it here, too, or submit from one that every machine has"))),
        Some(Errno::ACCESS | Errno::PERM | Errno::LOOP) => Err(Error::new(ErrorKind::Unfit, "cannot enter")
            .on(dir)
            .because(cause)
            .advise(format!("{ADVICE}: let this user in (ls -ld, id), or submit from one that all who work may enter"))),
        _ => Err(Error::io("cannot enter", dir, cause)),
    }
}

/// Why the command is not running.
pub(super) fn cannot_start(order: &Order<'_>, cause: io::Error) -> Error {
    let name = order.words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
    let (kind, advice) = match errno(&cause) {
        Some(Errno::NOENT) if name.contains(char::is_whitespace) => (
            ErrorKind::App,
            "it was given as one word: write it without quotes (`-- wc -c {}`), or for a line of the shell's `-- sh -c '...' sh {}`",
        ),
        Some(Errno::NOENT) => (
            ErrorKind::App,
            "install it on every machine that works, or name it with its path (a script also needs the program in its first line)",
        ),
        Some(Errno::ACCESS | Errno::PERM) => {
            (ErrorKind::App, "make it executable (chmod +x), or name the program that runs it first, as in `python3 map.py`")
        }
        Some(Errno::TOOBIG) => (
            ErrorKind::App,
            "an argument has less than 128 KiB, and all of them with the environment a quarter of `ulimit -s`: hand over what is longer in a file",
        ),
        Some(Errno::NOEXEC) => (ErrorKind::App, "it is neither a script nor a program for this kind of machine (`file` tells what it is)"),
        Some(Errno::MFILE | Errno::NFILE) => (ErrorKind::Exhausted, "raise the limit of open files (ulimit -n)"),
        Some(Errno::AGAIN | Errno::NOMEM) => (ErrorKind::Exhausted, "look at this machine's limits (ulimit -a)"),
        Some(Errno::TXTBSY) => (ErrorKind::Io, "somebody has it open for writing: put a new one in its place with `mv`"),
        Some(Errno::IO | Errno::STALE) => (ErrorKind::Io, "look at the disk or the mount that it lies on"),
        _ => (ErrorKind::App, "look at this machine's limits (ulimit -a)"),
    };
    Error::new(kind, format!("cannot start `{name}`")).because(cause).advise(advice)
}

fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_says_whose_trouble_it_is() {
        let words = ["tool".into()];
        let order = Order { words: &words, program: None, dir: None, env: &[], timeout: None };
        for (errors, kind, advice) in [
            (&[Errno::NOENT][..], ErrorKind::App, "install it"),
            (&[Errno::ACCESS, Errno::PERM], ErrorKind::App, "chmod +x"),
            (&[Errno::TOOBIG], ErrorKind::App, "128 KiB"),
            (&[Errno::NOEXEC], ErrorKind::App, "this kind of machine"),
            (&[Errno::MFILE, Errno::NFILE], ErrorKind::Exhausted, "ulimit -n"),
            (&[Errno::AGAIN, Errno::NOMEM], ErrorKind::Exhausted, "ulimit -a"),
            (&[Errno::TXTBSY], ErrorKind::Io, "open for writing"),
            (&[Errno::IO, Errno::STALE], ErrorKind::Io, "mount"),
        ] {
            for &errno in errors {
                let error = cannot_start(&order, errno.into());
                assert_eq!(error.kind(), kind, "{error}");
                let text = error.to_string();
                assert!(text.starts_with("cannot start `tool`: ") && text.contains(advice), "{text}");
            }
        }
    }

    #[test]
    fn a_command_in_one_word_is_not_to_be_installed() {
        let words = ["wc -c f".into()];
        let order = Order { words: &words, program: None, dir: None, env: &[], timeout: None };
        let text = cannot_start(&order, Errno::NOENT.into()).to_string();
        assert!(text.starts_with("cannot start `wc -c f`: No such file") && text.contains("; it was given as one word: "), "{text}");
        let text = cannot_start(&order, Errno::ACCESS.into()).to_string();
        assert!(text.contains("chmod +x"), "it is there: {text}");
    }

    #[test]
    fn a_folder_is_one_that_can_be_entered() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link, round) = (dir.path().join("file"), dir.path().join("link"), dir.path().join("round"));
        std::fs::write(&file, "").expect("written");
        std::os::unix::fs::symlink(".", &link).expect("a link");
        std::os::unix::fs::symlink("round", &round).expect("a link");
        assert!(can_enter(dir.path()).is_ok() && can_enter(&link).is_ok());
        for (place, text) in
            [(&dir.path().join("gone"), "no such folder here: "), (&file, "no such folder here: "), (&round, "cannot enter ")]
        {
            let error = can_enter(place).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Unfit, "{error}");
            assert!(error.to_string().starts_with(text), "{error}");
        }
    }
}
