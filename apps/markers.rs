//! Marker files for the test apps: how processes of one job see each other without talking. They lie in the job directory, under `markers/`.
//!
//! Limits: whether a process lives can be asked on its own host only, so those of other hosts do not count as running.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flockwork::app::Context;

/// The number of live processes with a marker of this `phase` now, this one included; takes a second, during which others see this one.
pub fn n_parallel(context: &Context, phase: &str) -> io::Result<usize> {
    let dir = dir(context)?;
    let stem = format!("mr-worker-{phase}-");
    let own = dir.join(format!("{stem}{}", std::process::id()));
    fs::write(&own, "x")?;
    let n = names(&dir)?.iter().filter_map(|name| name.strip_prefix(&stem)?.parse().ok()).filter(|pid| is_alive(*pid)).count();
    std::thread::sleep(Duration::from_secs(1));
    fs::remove_file(&own)?;
    Ok(n)
}

/// Leaves a marker `mr-worker-jobcount-PID-N` that no other call has left, also on another host with the same pid.
pub fn leave_one(context: &Context) -> io::Result<()> {
    let dir = dir(context)?;
    let mut n = 0;
    loop {
        match File::create_new(dir.join(format!("mr-worker-jobcount-{}-{n}", std::process::id()))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => n += 1,
            created => return created.map(drop),
        }
    }
}

/// How many markers [`leave_one`] has left.
pub fn n_left(context: &Context) -> io::Result<usize> {
    Ok(names(&dir(context)?)?.iter().filter(|name| name.starts_with("mr-worker-jobcount-")).count())
}

fn dir(context: &Context) -> io::Result<PathBuf> {
    let dir = context.job_dir.join("markers");
    match fs::create_dir(&dir) {
        // Not with its parents: a job that was removed while it ran must not come back as a folder with markers.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(dir),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn is_alive(pid: i32) -> bool {
    rustix::process::Pid::from_raw(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}
