//! Where a command writes what was asked for with `-o`: a file, put in place whole by one rename, or stdout.
//!
//! What is no plain file (a pipe, a device) is written to as it is; it is never replaced. Nor is what a descriptor of this process leads to, however its path is written
//! (`/dev/stdout`, `/dev/fd/3`): it is written to where the descriptor stands. Any other symbolic link is followed, so that the file behind it is what changes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags, access, fcntl_getfl};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::disk::real::RealDisk;
use crate::disk::{Flush, create};
use crate::error::{Error, ErrorKind, Result};

/// Links that are followed on the way to a descriptor or to a file, as many as the kernel follows.
const LINKS_MAX: usize = 40;

/// What is written, and by which option it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct What {
    pub name: &'static str,
    pub option: &'static str,
}

/// What a path leads to.
enum Target {
    /// An open file of this process, by its number.
    Descriptor(i32),
    /// A pipe, a device.
    Stream,
    /// A file in a folder that is there.
    File { dir: PathBuf, name: String },
}

/// Writes `bytes` to `path`.
pub(super) fn write(what: What, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = match target(what, path)? {
        Target::Descriptor(number) => write_to_descriptor(number, bytes),
        Target::Stream => OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(bytes)),
        Target::File { dir, name } => create::write_whole(&RealDisk::at(dir), &name, bytes, Flush::OnNetwork),
    };
    written.map_err(|error| failed(what, path, error))
}

/// Refuses a `path` that nothing can be written to, and writes nothing.
pub(super) fn check(what: What, path: &Path) -> Result<()> {
    let may = match target(what, path)? {
        Target::Descriptor(number) => may_write_to_descriptor(number),
        Target::Stream => access(path, Access::WRITE_OK).map_err(io::Error::from),
        Target::File { dir, .. } => access(dir, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from),
    };
    may.map_err(|error| failed(what, path, error))
}

/// Writes `text` to `path`, or to stdout for `-` or nothing.
pub(super) fn write_or_print(name: &'static str, path: Option<&Path>, text: &str) -> Result<()> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => write(What { name, option: "-o" }, path, text.as_bytes()),
        None => super::print(text),
    }
}

fn failed(what: What, path: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot write {} to", what.name), path, error)
}

fn target(what: What, path: &Path) -> Result<Target> {
    if let Some(number) = descriptor(path) {
        return Ok(Target::Descriptor(number));
    }
    let refused = |cause: String| Error::new(ErrorKind::Io, format!("cannot write {} to", what.name)).on(path).because(cause);
    let real: PathBuf = match path.metadata() {
        Ok(meta) if meta.is_dir() => return Err(refused("it is a folder".to_owned()).advise("name a file in it")),
        Ok(meta) if !meta.is_file() => return Ok(Target::Stream),
        Ok(_) => path.canonicalize().map_err(|error| failed(what, path, error))?,
        Err(_) => behind_links(path),
    };
    let dir = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some((why, remedy)) = no_folder(dir) {
        return Err(refused(why).advise(format!("{remedy} with {}", what.option)));
    }
    match real.file_name().unwrap_or_default().to_str() {
        Some(name) => Ok(Target::File { dir: dir.to_owned(), name: name.to_owned() }),
        None => Err(refused("its name is not UTF-8".to_owned()).advise(format!("name another with {}", what.option))),
    }
}

/// Why no file can be put in `dir`, and what to do about it; nothing where it is a folder.
fn no_folder(dir: &Path) -> Option<(String, &'static str)> {
    let shown = dir.display();
    match dir.metadata() {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some((format!("{shown} is not a folder"), "name another")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Some((format!("a part of {shown} is a file, not a folder"), "name another"))
        }
        Err(_) => Some((format!("there is no folder {shown}"), "make it, or name another")),
    }
}

/// The file that links lead to and that is not there yet.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(to) = path.read_link() else { break };
        path = path.parent().unwrap_or(Path::new("")).join(to);
    }
    path
}

/// The number of this process's descriptor that `path` names. Problem: such a path looks like a link to the file behind it, which may be one that others append to.
fn descriptor(path: &Path) -> Option<i32> {
    let own = Path::new("/proc/self/fd").canonicalize().ok()?;
    let mut path = std::path::absolute(path).ok()?;
    for _ in 0..LINKS_MAX {
        let dir = path.parent()?.canonicalize().ok()?;
        if dir == own {
            return path.file_name()?.to_str()?.parse().ok();
        }
        path = dir.join(path.read_link().ok()?);
    }
    None
}

fn may_write_to_descriptor(number: i32) -> io::Result<()> {
    let file = open_file(number)?;
    match fcntl_getfl(&file)? & OFlags::RWMODE {
        OFlags::WRONLY | OFlags::RDWR => Ok(()),
        _ => Err(io::Error::other("that descriptor is not open for writing")),
    }
}

fn write_to_descriptor(number: i32, bytes: &[u8]) -> io::Result<()> {
    match number {
        1 => {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
        2 => io::stderr().lock().write_all(bytes),
        other => open_file(other)?.write_all(bytes),
    }
}

/// The open file itself; where the kernel does not give it, the same file opened anew, at its end.
fn open_file(number: i32) -> io::Result<File> {
    let own = pidfd_open(getpid(), PidfdFlags::empty()).and_then(|me| pidfd_getfd(me, number, PidfdGetfdFlags::empty()));
    own.map(File::from).or_else(|_| OpenOptions::new().append(true).open(format!("/proc/self/fd/{number}")))
}
