//! The calls of [`Disk`] on the operating system, each in the one form that works over NFS. Linux only.
//!
//! | call | the form, and why |
//! |---|---|
//! | `list`, `refresh` | opens the directory by path, every time: a kept handle is up to 60 s late; no `stat` per name |
//! | `draft` | a temporary name with a dot, the umask's permissions (tempfile's own 0600 would shut other users out), neither exclusive nor readable (two calls saved), `fsync` checked where write errors show only then |
//! | `open` | write-only: opening for reading would leave a delegation with this machine, and everybody waits 100 s for it when it dies |
//! | `slate` | write-only as well, and not for appending: that would write behind the end, wherever it is told to write |
//! | `touch` | `UTIME_NOW`: the server stamps; an explicit time would put this machine's clock on the wire |
//! | `look` | `statx` with `AT_STATX_FORCE_SYNC`: a plain `stat` is up to 60 s late |
//! | `try_lock` | `flock`, tried and never waited for; refused, local and broken locks are all to be lived with |
//!
//! What it does *not* do: it retries nothing, and believes no reply more than the operating system does (that is `rename.rs`, `create.rs` and
//! `fresh.rs`); every call may hang for as long as the server does (`patience.rs`). What is opened is a plain file: symbolic links under our names are
//! refused, not followed, and so are pipes and devices, without waiting for their other end.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, OFlags, StatxFlags, Timespec, Timestamps, UTIME_NOW};
use tempfile::NamedTempFile;

use super::patience::{self, Hanging};
use super::rename::is_gone;
use super::together::{Failed, Pile, Work};
use super::{Disk, Entry, Flush, Hold, Lock, Look, Slate, Soon, whole};
use crate::here;

/// Temporary files begin with this; the dot keeps them out of every listing.
pub const DRAFT_PREFIX: &str = ".tmp-";

/// Most names in one directory that are listed: twice what the largest plan can put there, and some 2 GiB of memory.
const NAMES_MAX: usize = 10_000_000;

/// One directory of a mounted file system.
#[derive(Debug, Clone)]
pub struct RealDisk {
    root: PathBuf,
    mount: Mount,
    /// Looks that have not come back: while one hangs, no other at the same path is begun.
    hanging: Arc<Mutex<HashMap<PathBuf, Hanging<io::Result<Look>>>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mount {
    Local,
    Network,
}

struct RealHold {
    file: File,
    /// What was opened, as it was then: asking again may cost a call.
    inode: (u64, u64),
    mount: Mount,
}

struct RealSlate {
    file: File,
    begins: u64,
}

/// A process that is killed may write half of what it was writing, but not within a page.
const PAGE_BYTES: u64 = 4096;

impl RealDisk {
    /// The directory `root`, which need not exist yet (then it counts as a network one). Looks at its mount, once.
    pub fn at(root: impl Into<PathBuf>) -> RealDisk {
        let root = root.into();
        let mount = mount_of(&root);
        RealDisk { root, mount, hanging: Arc::default() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// True if an earlier look at `path` still hangs. One that has come back meanwhile is forgotten: its answer is as old as its question.
    fn still_hangs(&self, path: &Path) -> bool {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        let back = hanging.get(path).map(|look| look.try_take().is_some());
        if back == Some(true) {
            hanging.remove(path);
        }
        back == Some(false)
    }
}

impl Disk for RealDisk {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.path(dir))? {
            let entry = entry?;
            if entries.len() >= NAMES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it holds more than {NAMES_MAX} names")));
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            match entry.file_type() {
                Ok(kind) => entries.push(Entry { name, is_file: kind.is_file() }),
                // Where a listing does not say what a name is (NFSv3 READDIR, some XFS), std asks for it: it has moved on meanwhile.
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn refresh(&self, dir: &str) -> io::Result<()> {
        OpenOptions::new().read(true).custom_flags(bits(OFlags::DIRECTORY)).open(self.path(dir)).map(drop)
    }

    #[expect(clippy::disallowed_methods, reason = "the home of rename(2); disk::rename makes its answer honest")]
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    #[expect(clippy::disallowed_methods, reason = "the home of link(2); disk::create makes its answer honest")]
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::hard_link(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(path))
    }

    fn make_dir(&self, path: &str) -> io::Result<()> {
        match std::fs::create_dir(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn draft(&self, dir: &str, bytes: &[u8], flush: Flush) -> io::Result<String> {
        let mut draft = create_draft(&self.path(dir))?;
        // An error on the way drops `draft`, which removes the file.
        draft.write_all(bytes)?;
        settle(draft.as_file(), flush, self.mount)?;
        let (_closed, path) = draft.keep()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(if dir == "." { name.into_owned() } else { format!("{dir}/{name}") })
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        let (file, meta) = open_described(&self.path(path), OpenOptions::new().append(true))?;
        if self.is_network() {
            whole::drop_pages(&file);
        }
        Ok(Box::new(RealHold { file, inode: (meta.dev(), meta.ino()), mount: self.mount }))
    }

    fn slate(&self, path: &str, bytes: &[u8]) -> io::Result<Box<dyn Slate>> {
        let (file, meta) = open_described(&self.path(path), OpenOptions::new().write(true))?;
        let end = meta.len();
        let left = PAGE_BYTES - end % PAGE_BYTES;
        let filler = if bytes.len() as u64 > left { left } else { 0 };
        file.write_all_at(&[&vec![b'\n'; filler as usize], bytes].concat(), end)?;
        Ok(Box::new(RealSlate { file, begins: end + filler }))
    }

    fn open_soon(&self, path: &str, limit: Duration) -> io::Result<Soon<Box<dyn Hold>>> {
        if self.mount == Mount::Local {
            return self.open(path).map(Soon::Back);
        }
        let (disk, path) = (self.clone(), path.to_owned());
        match patience::within(limit, move || disk.open(&path)) {
            Ok(opened) => opened.map(Soon::Back),
            Err(_still_under_way) => Ok(Soon::Hanging),
        }
    }

    fn look_soon(&self, path: &str, limit: Duration) -> io::Result<Soon<Look>> {
        if self.mount == Mount::Local {
            return self.look(path).map(Soon::Back);
        }
        let full = self.path(path);
        if self.still_hangs(&full) {
            return Ok(Soon::Hanging);
        }
        let (disk, path) = (self.clone(), path.to_owned());
        match patience::within(limit, move || disk.look(&path)) {
            Ok(look) => look.map(Soon::Back),
            Err(hanging) => {
                self.hanging.lock().unwrap_or_else(PoisonError::into_inner).insert(full, hanging);
                Ok(Soon::Hanging)
            }
        }
    }

    fn read_part(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = open_plain(&self.path(path), OpenOptions::new().read(true))?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match file.read_at(&mut bytes[filled..], from + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        let (mut file, meta) = open_described(&self.path(path), OpenOptions::new().read(true))?;
        whole::read(&mut file, meta.len(), limit, self.is_network())
    }

    fn touch(&self, path: &str) -> io::Result<()> {
        Ok(rustix::fs::utimensat(CWD, self.path(path), &server_now(), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn look(&self, path: &str) -> io::Result<Look> {
        let path = self.path(path);
        let flags = AtFlags::STATX_FORCE_SYNC | AtFlags::SYMLINK_NOFOLLOW;
        let stat = match rustix::fs::statx(CWD, &path, flags, StatxFlags::BASIC_STATS) {
            Ok(stat) => stat,
            // Kernels before 4.11, and containers whose filter does not know the call (EPERM is no answer of statx itself).
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => return Ok(plain_look(&path.symlink_metadata()?)),
            Err(error) => return Err(error.into()),
        };
        let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
        let stamp = nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into());
        Ok(Look { stamp, inode: (device, stat.stx_ino), len: stat.stx_size })
    }

    fn announce(&self, dir: &str) -> io::Result<()> {
        if self.is_network() { super::announce::announce(self, dir) } else { Ok(()) }
    }

    fn at_once(&self, count: usize, work: &Work<'_>) -> Result<(), Failed> {
        let pile = Pile::new(count, work);
        if self.is_network() { pile.on_threads() } else { pile.in_turn() }
    }

    fn now(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn is_network(&self) -> bool {
        self.mount == Mount::Network
    }
}

impl Hold for RealHold {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    #[expect(clippy::disallowed_methods, reason = "the home of locks")]
    fn try_lock(&self) -> Lock {
        match fs2::FileExt::try_lock_exclusive(&self.file) {
            Ok(()) => Lock::Taken,
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => Lock::Refused,
            Err(_) => Lock::Broken,
        }
    }

    fn inode(&self) -> io::Result<(u64, u64)> {
        Ok(self.inode)
    }

    fn touch(&self) -> io::Result<()> {
        Ok(rustix::fs::futimens(&self.file, &server_now())?)
    }

    fn flush(&mut self, flush: Flush) -> io::Result<()> {
        settle(&self.file, flush, self.mount)
    }
}

impl Slate for RealSlate {
    fn write(&mut self, bytes: &[u8], at: usize) -> io::Result<()> {
        self.file.write_all_at(bytes, self.begins + at as u64)
    }
}

/// An empty file of a name of its own in `dir`, hidden by a dot, with the umask's permissions; dropping it removes it.
///
/// Problem: over NFS an exclusive create costs a SETATTR more (the server keeps its verifier in the times), and one opened for reading too brings a
/// delegation that is to be returned. Workaround: neither; nobody else makes the name, for 82 bits of chance in it are this process's and the rest is counted.
pub fn create_draft(dir: &Path) -> io::Result<NamedTempFile> {
    static PROCESS: OnceLock<String> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = PROCESS.get_or_init(|| here::nonce(16));
    let name = format!("{DRAFT_PREFIX}{process}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let create =
        |path: &Path| File::options().write(true).create(true).truncate(false).mode(0o666).custom_flags(bits(OFlags::NOFOLLOW)).open(path);
    tempfile::Builder::new().prefix(&name).rand_bytes(0).make_in(dir, create)
}

/// Opens a plain file: no link is followed, and a pipe under the name is refused where it would wait for its other end.
pub(crate) fn open_plain(path: &Path, how: &OpenOptions) -> io::Result<File> {
    open_described(path, how).map(|(file, _)| file)
}

/// The same with what is known of it.
fn open_described(path: &Path, how: &OpenOptions) -> io::Result<(File, Metadata)> {
    let open = |flags| how.clone().custom_flags(bits(flags)).open(path);
    let file = match open(OFlags::NOFOLLOW | OFlags::NONBLOCK) {
        // The file is leased to a client of a server on this very machine: then it is a plain file, and worth the wait.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => open(OFlags::NOFOLLOW)?,
        // What a pipe without a reader says to a writer.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => return Err(no_plain_file()),
        opened => opened?,
    };
    let meta = file.metadata()?;
    if meta.is_file() { Ok((file, meta)) } else { Err(no_plain_file()) }
}

fn no_plain_file() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file")
}

/// Bytes that this user may still write on the file system of `path`.
pub fn available_bytes(path: impl AsRef<Path>) -> io::Result<u64> {
    fs2::available_space(path)
}

/// Why nothing can be written at `path` now, in words: its file system is mounted read-only here, or has no room; `None` where it can, or that cannot be told.
/// A quota is not seen.
pub fn no_room(path: &Path) -> Option<String> {
    let found = rustix::fs::statvfs(path).ok()?;
    let what = if found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        "is mounted read-only here".to_owned()
    } else if found.f_bavail.saturating_mul(found.f_frsize) < NO_ROOM_BYTES {
        format!("is full: {} are free", crate::units::show_size(found.f_bavail.saturating_mul(found.f_frsize)))
    } else if found.f_files > 0 && found.f_favail == 0 {
        "has no room for another file".to_owned()
    } else {
        return None;
    };
    Some(format!("the file system of {} {what}", path.display()))
}

/// With less than this left a file system counts as full: some keep a rest that nobody gets.
const NO_ROOM_BYTES: u64 = 64 << 10;

/// Whether `path` lies on a network or shared file system, or cannot be told: what is not known to be local is treated with more care.
pub fn is_network(path: impl AsRef<Path>) -> bool {
    mount_of(path.as_ref()) == Mount::Network
}

/// The local file systems: ext2/3/4, xfs, btrfs, tmpfs, ramfs, overlayfs, f2fs, zfs, bcachefs.
const LOCAL: [u32; 9] = [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x8584_58F6, 0x794C_7630, 0xF2F5_2010, 0x2FC1_2FC1, 0xCA45_1A4E];

fn mount_of(path: &Path) -> Mount {
    match rustix::fs::statfs(path) {
        // The type's width differs between machines, and some sign-extend it: 32 bits are all there is to it.
        Ok(stat) if LOCAL.contains(&(stat.f_type as u32)) => Mount::Local,
        _ => Mount::Network,
    }
}

fn settle(file: &File, flush: Flush, mount: Mount) -> io::Result<()> {
    match (flush, mount) {
        (Flush::Always, _) | (Flush::OnNetwork, Mount::Network) => file.sync_all(),
        (Flush::OnNetwork, Mount::Local) => Ok(()),
    }
}

/// Both times "now" and nothing else: only then does the kernel leave the stamping to the server.
fn server_now() -> Timestamps {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    Timestamps { last_access: now, last_modification: now }
}

fn plain_look(meta: &std::fs::Metadata) -> Look {
    Look { stamp: nanoseconds(meta.mtime(), meta.mtime_nsec()), inode: (meta.dev(), meta.ino()), len: meta.len() }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
}

/// The flags as std wants them.
fn bits(flags: OFlags) -> i32 {
    flags.bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, RealDisk) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let disk = RealDisk::at(dir.path());
        (dir, disk)
    }

    #[test]
    fn a_symbolic_link_under_our_name_is_refused_and_is_no_file() {
        let (dir, disk) = disk();
        std::fs::write(dir.path().join("target"), b"secret").expect("write");
        std::os::unix::fs::symlink("target", dir.path().join("planted")).expect("symlink");
        assert!(disk.open("planted").is_err(), "must not be opened for appending");
        assert!(disk.read("planted", 100).is_err(), "must not be read");
        let planted = disk.list(".").expect("list").into_iter().find(|e| e.name == "planted").expect("listed");
        assert!(!planted.is_file, "a link is foreign");
        let before = disk.look("target").expect("look");
        disk.touch("planted").expect("touches the link itself");
        assert_eq!(disk.look("target").expect("look"), before, "the target is left alone");
    }

    #[test]
    fn a_draft_has_the_umasks_permissions() {
        let (dir, disk) = disk();
        let usual = std::fs::File::create(dir.path().join("usual")).expect("create").metadata().expect("metadata").mode();
        let draft = disk.draft(".", b"x", Flush::Always).expect("draft");
        assert_eq!(dir.path().join(draft).metadata().expect("metadata").mode(), usual, "tempfile's 0600 shuts others out");
    }

    #[test]
    fn a_directory_under_our_name_cannot_be_opened() {
        let (_dir, disk) = disk();
        disk.make_dir("claimed").expect("mkdir");
        assert!(disk.open("claimed").is_err());
        assert!(disk.read("claimed", 10).is_err());
    }

    #[test]
    fn a_pipe_or_a_device_under_our_name_is_refused_at_once() {
        let (dir, disk) = disk();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR, 0).expect("a pipe");
        for opened in [disk.open("pipe").map(drop), disk.read("pipe", 10).map(drop), disk.read_part("pipe", 0, 10).map(drop)] {
            assert_eq!(opened.expect_err("refused").to_string(), "it is no plain file");
        }
        let dev = RealDisk::at("/dev");
        assert!(dev.open("null").is_err() && dev.read("zero", 10).is_err(), "devices");
    }

    #[test]
    fn a_mount_that_cannot_be_seen_counts_as_a_network_one() {
        assert!(is_network("/nowhere/at/all"));
        assert!(is_network("/proc"), "unknown types too");
    }

    #[test]
    fn there_is_room_to_be_told() {
        let (dir, _disk) = disk();
        assert!(available_bytes(dir.path()).is_ok());
        assert_eq!(no_room(dir.path()), None, "tests need some room");
        assert_eq!(no_room(Path::new("/proc/nothing")), None, "what cannot be told is no trouble");
    }
}
