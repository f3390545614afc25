//! Commands die with the process that started them, however it dies: kill -9 included.
//!
//! A child's own parent-death signal could only be asked for between fork and exec, which would cost the quick way to start it, and would spare its children.
//! So one small process, the warden, is started beside this one with the first command. It holds the reading end of a pipe that only this process could write to, and a piece of memory in which this process
//! notes the groups that are running (one write per command, and one after it). When the pipe ends, this process is dead: the warden asks the groups to end, and kills them after [`GRACE`](super::GRACE).
//! Not all may be noted: this process may have died right after starting one. So every command has a mark in its environment, and the warden looks for that, too; daemons with a session of
//! their own are found so, unless they have cleared their environment.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// Groups at a time: a place is this many bytes.
const PLACE_BYTES: usize = 4;
/// Most groups at a time that are noted.
const PLACES: usize = 256;

/// The mark's name.
const MARK: &str = "FLOCKWORK_LEASH";

/// How the warden is started; none where nobody armed it.
static WARDEN: OnceLock<(PathBuf, Vec<String>)> = OnceLock::new();
static OWN_MARK: LazyLock<String> = LazyLock::new(|| crate::here::nonce(24));
static LEASH: Mutex<Option<Leash>> = Mutex::new(None);

/// From now on this process's commands die with it. `program` with `words`, and a mark behind them, is to call [`watch`].
pub fn arm(program: PathBuf, words: &[&str]) {
    let _ = WARDEN.set((program, words.iter().map(|&word| word.to_owned()).collect()));
}

/// The living warden, and what is noted for it.
struct Leash {
    warden: Child,
    memory: File,
    taken: [bool; PLACES],
}

/// A group that is noted until this is dropped.
pub(super) struct Tied(usize);

/// Sees that the warden lives, and gives the mark for the next command's environment; none if this process was not armed.
pub(super) fn mark() -> io::Result<Option<(&'static str, &'static str)>> {
    let Some((program, words)) = WARDEN.get() else { return Ok(None) };
    let mut leash = lock();
    if !leash.as_mut().is_some_and(|leash| matches!(leash.warden.try_wait(), Ok(None))) {
        *leash = Some(Leash::start(program, words)?);
    }
    Ok(Some((MARK, &OWN_MARK)))
}

/// Notes a running group, if there is a warden.
pub(super) fn tie(group: Pid) -> io::Result<Option<Tied>> {
    let mut leash = lock();
    let Some(leash) = &mut *leash else { return Ok(None) };
    let Some(place) = leash.taken.iter().position(|taken| !taken) else { return Ok(None) };
    leash.note(place, Some(group))?;
    leash.taken[place] = true;
    Ok(Some(Tied(place)))
}

fn lock() -> MutexGuard<'static, Option<Leash>> {
    LEASH.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Tied {
    fn drop(&mut self) {
        if let Some(leash) = &mut *lock() {
            let _ = leash.note(self.0, None);
            leash.taken[self.0] = false;
        }
    }
}

impl Leash {
    fn start(program: &Path, words: &[String]) -> io::Result<Leash> {
        let memory = File::from(memfd_create("flockwork-groups", MemfdFlags::CLOEXEC)?);
        let found = if program.is_file() { program } else { Path::new("/proc/self/exe") };
        let mut command = Command::new(found);
        // In a group of its own: what ends this process's group must leave it alive. Nowhere, so that it keeps no mount busy.
        command
            .args(words)
            .arg(&*OWN_MARK)
            .env_remove(MARK)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(memory.try_clone()?);
        Ok(Leash { warden: command.spawn()?, memory, taken: [false; PLACES] })
    }

    fn note(&self, place: usize, group: Option<Pid>) -> io::Result<()> {
        let number = group.map_or(0, |group| group.as_raw_nonzero().get());
        self.memory.write_all_at(&number.to_le_bytes(), (place * PLACE_BYTES) as u64)
    }
}

/// What the warden does: waits for the end of stdin, then ends the groups noted in stdout, and those of processes with this mark.
pub fn watch(mark: &str) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        // Whoever signals everything of a batch job still wants its commands to end.
        signal_hook::flag::register(signal, std::sync::Arc::default())?;
    }
    let mut stdin = io::stdin().lock();
    while stdin.read(&mut [0; 16]).or_else(|error| if error.kind() == io::ErrorKind::Interrupted { Ok(1) } else { Err(error) })? > 0 {}
    let memory = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut noted = [0; PLACES * PLACE_BYTES];
    let n = memory.read_at(&mut noted, 0)?;
    let numbers = noted[..n].chunks_exact(PLACE_BYTES).filter_map(|place| place.try_into().ok().map(i32::from_le_bytes));
    end_groups(numbers.filter(|number| *number > 1).filter_map(Pid::from_raw).collect(), mark);
    Ok(())
}

/// Asks groups to end, and kills those that do not.
fn end_groups(mut groups: Vec<Pid>, mark: &str) {
    groups.extend(marked(mark));
    for signal in [Signal::TERM, Signal::CONT] {
        groups.iter().for_each(|&group| _ = kill_process_group(group, signal));
    }
    let asked = Instant::now();
    while !groups.is_empty() && asked.elapsed() < super::GRACE {
        std::thread::sleep(Duration::from_millis(10));
        groups.retain(|&group| test_kill_process_group(group).is_ok());
    }
    // Once more: a command that was only just being started had no mark yet.
    groups.extend(marked(mark));
    groups.iter().for_each(|&group| _ = kill_process_group(group, Signal::KILL));
}

/// The groups of the processes that have the mark.
fn marked(mark: &str) -> Vec<Pid> {
    let line = format!("{MARK}={mark}");
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_marked = |pid: &i32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == line.as_bytes())
    };
    pids.filter(is_marked).filter_map(|pid| rustix::process::getpgid(Pid::from_raw(pid)).ok()).collect()
}
