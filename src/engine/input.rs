//! What the user typed, as a list of files: each argument is a file, a quoted pattern, or a folder (walkdir's and globset's home).
//!
//! Contract: the order is the one typed, and sorted by name within a pattern or folder; a file given twice counts twice. Every file returned was a
//! plain file that could be opened for reading. Names are kept as typed (apps print them); where the file lies is kept apart.
//!
//! - A *pattern* contains one of `*?[{` and names no file that exists; `*` and `?` stop at `/`, `**` does not. Matching nothing is an error.
//! - A *folder* is walked, links are followed (a loop of links is an error), names that begin with a dot are skipped, and so are directories of jobs: what lies in them are
//!   records, logs and pieces. One that is typed itself is refused; folders in it may be.
//! - A pattern passes over names that begin with a dot unless it spells the dot, as shells do, and over directories of jobs where it matches them, or has come to them by `**`.
//!   Links that lead nowhere, or back, matter only where they match.
//!
//! Limits: paths that are not UTF-8 are refused, for they could not be written down in the plan. A fifo, socket or device is refused: a task may have
//! to read its input twice.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

use super::unpack::Packing;
use crate::error::{Error, ErrorKind, Result};

/// What every job's directory holds.
pub const OF_A_JOB: [&str; 3] = ["job.json", "pending", "phase"];

/// One input file as it was when the job was planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// As the user typed it; within a folder the typed folder joined with the inner path.
    pub name: String,
    /// Absolute, its links not resolved.
    pub path: PathBuf,
    /// What the plan says: see [`stored_path`].
    pub stored: String,
    /// Length in bytes.
    pub len: u64,
    /// Modification time in nanoseconds.
    pub mtime_ns: i64,
}

/// The files that `inputs` mean, in order. `base` is the job directory (it may not exist yet): paths are stored relative to it, and it is no input.
pub fn resolve(inputs: &[String], base: &Path) -> Result<Vec<InputFile>> {
    resolve_in(Path::new(""), inputs, base)
}

/// The same where they were typed in the folder `here`, and not in this process's.
pub fn resolve_in(here: &Path, inputs: &[String], base: &Path) -> Result<Vec<InputFile>> {
    let job = fs::metadata(base).ok().map(|meta| (meta.dev(), meta.ino()));
    let mut found = Found { here, files: Vec::new(), anchor: Anchor::of(base)?, job };
    for typed in inputs {
        let place = found.place(Path::new(typed));
        match fs::metadata(&place) {
            Ok(meta) if meta.is_dir() && holds_a_job(&place) => return Err(is_of_a_job(&place)),
            Ok(meta) if meta.is_dir() => found.folder(Path::new(typed))?,
            Ok(_) => found.file(Path::new(typed))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && typed.contains(['*', '?', '[', '{']) => found.pattern(typed)?,
            Err(error) => return Err(unreadable(&place, error)),
        }
    }
    Ok(found.files)
}

/// How a plan writes down where `file` is: relative to `job_dir` (which may not exist yet) where both lie on one device, because mount points
/// differ between machines; absolute otherwise. Not UTF-8 is an error.
pub fn stored_path(file: &Path, job_dir: &Path) -> Result<String> {
    Anchor::of(job_dir)?.stored(file)
}

/// The same of a folder, which like `job_dir` may not exist yet.
pub fn stored_folder(folder: &Path, job_dir: &Path) -> Result<String> {
    let (anchor, folder) = (Anchor::of(job_dir)?, Anchor::of(folder)?);
    let relative = anchor.relative_to(&folder.job).map_err(|error| Error::io("cannot find the place of", &folder.job, error))?;
    let stored = relative.unwrap_or(folder.job).into_os_string().into_string();
    stored.map_err(|path| not_utf8(Path::new(&path)))
}

/// Where `folder` lies below the job directory, either of which may not exist yet; `None` if it lies elsewhere.
pub fn place_in_job(folder: &Path, job_dir: &Path) -> Result<Option<PathBuf>> {
    let (job, folder) = (Anchor::of(job_dir)?.job, Anchor::of(folder)?.job);
    Ok(folder.strip_prefix(&job).ok().map(Path::to_owned))
}

/// The first of `inputs` that is a folder and whose walk would come to `place` (which may not exist yet), if the job lay at `base`.
pub fn walked_to<'a>(inputs: &'a [String], base: &Path, place: &Path) -> Result<Option<&'a str>> {
    let (job, place) = (Anchor::of(base)?.job, Anchor::of(place)?.job);
    let walks = |typed: &&String| {
        let Some(folder) = Path::new(typed).canonicalize().ok().filter(|folder| folder.is_dir()) else { return false };
        let Ok(inner) = place.strip_prefix(&folder) else { return false };
        let is_passed_over = inner.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."));
        !(is_passed_over || place.starts_with(&job) && job.starts_with(&folder))
    };
    Ok(inputs.iter().find(walks).map(String::as_str))
}

struct Found<'a> {
    /// Where the inputs were typed; empty for this process's folder.
    here: &'a Path,
    files: Vec<InputFile>,
    anchor: Anchor,
    job: Option<(u64, u64)>,
}

impl Found<'_> {
    /// Where a name as typed is found.
    fn place(&self, name: &Path) -> PathBuf {
        self.here.join(name)
    }

    fn file(&mut self, name: &Path) -> Result<()> {
        let path = &*self.place(name);
        let name = name.to_str().ok_or_else(|| not_utf8(path))?;
        let meta = fs::metadata(path).map_err(|error| unreadable(path, error))?;
        if !meta.is_file() {
            let error = Error::new(ErrorKind::Input, "cannot read input").on(path).because("it is a fifo, socket or device");
            return Err(error.advise("write what it gives to a file first: a task may have to read its input twice"));
        }
        let meta = File::open(path).and_then(|file| file.metadata()).map_err(|error| unreadable(path, error))?;
        let packing = Packing::of(name);
        if meta.len() == 0 && packing != Packing::Plain {
            let error = Error::new(ErrorKind::Input, "cannot read input").on(path).because("it is empty, which no archive is");
            return Err(error.advise(format!("it was cut off: `{}` says so, too; get it anew, or remove it", packing.test_command())));
        }
        let mtime_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        let absolute = std::path::absolute(path).map_err(|error| unreadable(path, error))?;
        let stored = self.anchor.stored(path)?;
        self.files.push(InputFile { name: name.to_owned(), path: absolute, stored, len: meta.len(), mtime_ns });
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<()> {
        let (job, place) = (self.job, self.place(folder));
        let walk = WalkDir::new(&place).follow_links(true).sort_by_file_name();
        for entry in
            walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !(is_hidden(entry) || is_job(entry, job) || is_another_job(entry)))
        {
            let entry = entry.map_err(|error| unwalkable(&place, error))?;
            if !entry.file_type().is_dir() {
                self.file(&folder.join(below(&place, entry.path())))?;
            }
        }
        Ok(())
    }

    fn pattern(&mut self, typed: &str) -> Result<()> {
        let pattern = Pattern::parse(typed)?;
        let before = self.files.len();
        let (job, place) = (self.job, self.place(pattern.root));
        let walk = WalkDir::new(&place).follow_links(true).sort_by_file_name().max_depth(pattern.depth);
        let is_passed = |entry: &DirEntry| {
            (is_hidden(entry) && !pattern.spells_dots) || is_job(entry, job) || (pattern.goes_deep && is_another_job(entry))
        };
        let mut walk = walk.into_iter().filter_entry(|entry| entry.depth() == 0 || !is_passed(entry));
        while let Some(entry) = walk.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // A folder part that does not exist matches nothing, which is reported below as such.
                Err(error) if error.depth() == 0 && is_not_found(&error) => break,
                Err(error) if pattern.is_beside(&place, &error) => continue,
                Err(error) => return Err(unwalkable(Path::new(typed), error)),
            };
            let inner = below(&place, entry.path());
            if entry.depth() == 0 || !pattern.matcher.is_match(inner) {
                continue;
            }
            let name = if pattern.is_rootless { inner.to_owned() } else { pattern.root.join(inner) };
            if entry.file_type().is_dir() {
                if !is_another_job(&entry) {
                    self.folder(&name)?;
                }
                walk.skip_current_dir();
            } else {
                self.file(&name)?;
            }
        }
        if self.files.len() == before {
            let error = Error::new(ErrorKind::Input, "no input matches").on(typed);
            return Err(error.advise("check the pattern with ls; * does not cross a /, ** does"));
        }
        Ok(())
    }
}

struct Pattern<'a> {
    /// The folders before the first special character, which are taken literally.
    root: &'a Path,
    /// Nothing stands before the pattern: names are then relative, without `./`.
    is_rootless: bool,
    matcher: GlobMatcher,
    /// How deep below the root a match can be.
    depth: usize,
    spells_dots: bool,
    /// It has a `**`.
    goes_deep: bool,
}

impl Pattern<'_> {
    fn parse(typed: &str) -> Result<Pattern<'_>> {
        let special = typed.find(['*', '?', '[', '{']).expect("only called for patterns");
        let (root, rest) = typed.split_at(typed[..special].rfind('/').map_or(0, |slash| slash + 1));
        let glob = GlobBuilder::new(rest).literal_separator(true).build().map_err(|error| {
            let error = Error::new(ErrorKind::Input, "cannot understand the pattern").on(typed).because(error);
            error.advise("write it as for a shell, for example 'logs/**/*.txt'")
        })?;
        let is_deep = rest.contains("**") || rest.contains('{');
        Ok(Pattern {
            root: Path::new(if root.is_empty() { "." } else { root }),
            is_rootless: root.is_empty(),
            matcher: glob.compile_matcher(),
            depth: if is_deep { usize::MAX } else { rest.split('/').filter(|part| !part.is_empty()).count() },
            goes_deep: rest.contains("**"),
            spells_dots: rest.split(['/', '{', ',']).any(|part| part.starts_with('.')),
        })
    }

    /// A link that leads nowhere, or back, where the pattern neither matches it nor would have to go on through it.
    fn is_beside(&self, place: &Path, error: &walkdir::Error) -> bool {
        let inner = error.path().and_then(|path| path.strip_prefix(place).ok());
        let is_through = error.loop_ancestor().is_some() && error.depth() < self.depth;
        (is_not_found(error) || error.loop_ancestor().is_some()) && !is_through && inner.is_some_and(|inner| !self.matcher.is_match(inner))
    }
}

/// The job directory, ready to say where files lie as seen from it.
struct Anchor {
    /// With links resolved as far as it exists.
    job: PathBuf,
    dev: u64,
    /// The last folder asked about and what it is relative to the job: inputs come folder by folder.
    last: Option<(PathBuf, Option<PathBuf>)>,
}

impl Anchor {
    fn of(job_dir: &Path) -> Result<Anchor> {
        let refused = |error| Error::io("cannot find the place of the job directory", job_dir, error);
        let absolute = std::path::absolute(job_dir).map_err(refused)?;
        let exists = absolute.ancestors().find(|path| path.metadata().is_ok()).unwrap_or(Path::new("/"));
        let missing = absolute.strip_prefix(exists).expect("an ancestor is a prefix");
        let settled = exists.canonicalize().map_err(refused)?;
        let dev = fs::metadata(&settled).map_err(refused)?.dev();
        // What is missing is made of plain folders: there `..` is what it looks like.
        let job = missing.components().fold(settled, |mut place, part| {
            match part {
                Component::ParentDir => _ = place.pop(),
                part => place.push(part),
            }
            place
        });
        Ok(Anchor { job, dev, last: None })
    }

    fn stored(&mut self, file: &Path) -> Result<String> {
        let absolute = std::path::absolute(file).map_err(|error| unreadable(file, error))?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        if self.last.as_ref().is_none_or(|(last, _)| last != folder) {
            let relative = self.relative(folder).map_err(|error| unreadable(file, error))?;
            self.last = Some((folder.to_owned(), relative));
        }
        let relative = self.last.as_ref().and_then(|(_, relative)| relative.as_ref());
        let stored = match (relative, absolute.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => absolute,
        };
        stored.into_os_string().into_string().map_err(|_| not_utf8(file))
    }

    /// Links in the folder's path are resolved, because the kernel resolves those of the job's own path before it goes up with `..`.
    fn relative(&self, folder: &Path) -> io::Result<Option<PathBuf>> {
        self.relative_to(&folder.canonicalize()?)
    }

    /// The same of a folder whose links are resolved as far as it exists.
    fn relative_to(&self, folder: &Path) -> io::Result<Option<PathBuf>> {
        let shared: PathBuf = folder.components().zip(self.job.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
        // The way up and down again must stay on the device: beyond it, other machines have other mounts.
        if dev_of(folder)? != self.dev || dev_of(&shared)? != self.dev {
            return Ok(None);
        }
        let steps = shared.components().count();
        let up = self.job.components().skip(steps).map(|_| Component::ParentDir);
        Ok(Some(up.chain(folder.components().skip(steps)).collect()))
    }
}

/// Of what exists of it.
fn dev_of(folder: &Path) -> io::Result<u64> {
    let missing = |result: &io::Result<fs::Metadata>| result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let found = folder.ancestors().map(fs::metadata).find(|result| !missing(result));
    found.unwrap_or_else(|| fs::metadata("/")).map(|meta| meta.dev())
}

/// What a walk that began at `place` has found, as seen from there.
fn below<'a>(place: &Path, found: &'a Path) -> &'a Path {
    found.strip_prefix(place).expect("a walk stays below its root")
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_job(entry: &DirEntry, job: Option<(u64, u64)>) -> bool {
    let here = || entry.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    job.is_some() && entry.file_type().is_dir() && here() == job
}

fn is_another_job(entry: &DirEntry) -> bool {
    entry.file_type().is_dir() && holds_a_job(entry.path())
}

fn holds_a_job(folder: &Path) -> bool {
    OF_A_JOB.iter().all(|name| folder.join(name).symlink_metadata().is_ok())
}

fn is_of_a_job(folder: &Path) -> Error {
    let error = Error::new(ErrorKind::Input, "cannot read input").on(folder).because("it is the directory of a job");
    error.advise("to read a job's outputs name the folder that they lie in, for example its `output`; otherwise leave it out")
}

fn is_not_found(error: &walkdir::Error) -> bool {
    error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let error = Error::io("cannot read input", path, error).of_kind(ErrorKind::Input);
    match is_missing {
        true if path.is_symlink() => error.advise("it is a link that leads nowhere: remove it, or mend it"),
        true => error.advise("check the path, it is taken as you typed it"),
        false => error,
    }
}

fn unwalkable(typed: &Path, error: walkdir::Error) -> Error {
    let path = error.path().unwrap_or(typed).to_owned();
    match error.into_io_error() {
        Some(error) => unreadable(&path, error),
        None => Error::new(ErrorKind::Input, "cannot read input")
            .on(&path)
            .because("a link in it leads back to a folder above")
            .advise("remove that link, or name the files"),
    }
}

fn not_utf8(path: &Path) -> Error {
    Error::new(ErrorKind::Input, "cannot use input")
        .on(path)
        .because("its path is not UTF-8")
        .advise("rename it, or link to it under another name")
}

#[cfg(test)]
mod tests;
