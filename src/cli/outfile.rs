//! Where a command writes what was asked for with `-o`: a file, put in place whole by one rename, or stdout.
//!
//! What is no plain file (`/dev/stdout`, a pipe) is written to as it is; it is never replaced. A symbolic link is followed, so that the file behind it is what changes.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::disk::real::RealDisk;
use crate::disk::{Flush, create};
use crate::error::{Error, ErrorKind, Result};

/// Writes `bytes` to `path`; `what` is said where that fails.
pub(super) fn write(what: &str, path: &Path, bytes: &[u8]) -> Result<()> {
    let fail = |error| Error::io(format!("cannot write {what} to"), path, error);
    let real: PathBuf = match path.metadata() {
        Ok(meta) if meta.is_dir() => {
            let error = Error::new(ErrorKind::Io, format!("cannot write {what} to")).on(path).because("it is a folder");
            return Err(error.advise("name a file in it"));
        }
        Ok(meta) if !meta.is_file() => {
            let opened = std::fs::OpenOptions::new().write(true).open(path);
            return opened.and_then(|mut file| file.write_all(bytes)).map_err(fail);
        }
        Ok(_) => path.canonicalize().map_err(fail)?,
        Err(_) => path.to_owned(),
    };
    let dir = real.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !dir.is_dir() {
        let error = Error::new(ErrorKind::Io, format!("cannot write {what} to")).on(path);
        return Err(error.because(format!("there is no folder {}", dir.display())).advise("make it, or name another with -o"));
    }
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    create::write_whole(&RealDisk::at(dir), &name, bytes, Flush::OnNetwork).map_err(fail)
}

/// Writes `text` to `path`, or to stdout for `-` or nothing.
pub(super) fn write_or_print(what: &str, path: Option<&Path>, text: &str) -> Result<()> {
    match path.filter(|path| *path != Path::new("-")) {
        Some(path) => write(what, path, text.as_bytes()),
        None => super::print(text),
    }
}
