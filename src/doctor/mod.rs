//! What a mount can do for flockwork: measured, judged, and told with advice.
//!
//! Contract: everything happens in a folder of the doctor's own in the examined directory, which goes when the examination ends. Alone it
//! takes about five seconds, with a second machine about twenty; more where calls are slow. A mount that flockwork can run on is never failed:
//! slow locks, late listings and missing notification are advice, for results rest on none of them.
//!
//! Reading order: `facts` (what is measured), `alone`, `pair`, `sight` (how), `verdict` and `mounts` (what it means; pure), `report` (how it is told).
//!
//! Not here: replies lost on the wire cannot be provoked from a client; see `disk/rename.rs` and `disk/create.rs` for how they are met. Whether the
//! server keeps what it has acknowledged (`sync`) cannot be seen from here either.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::units::for_shell;

pub mod alone;
pub mod facts;
pub mod folder;
pub mod mount;
pub mod mounts;
pub mod pair;
pub mod report;
pub mod sight;
pub mod talk;
pub mod verdict;
#[cfg(test)]
mod verdict_tests;

use facts::Facts;
use folder::Folder;
use report::Report;

/// How long a doctor stays at least, so that a peer that waits already sees it twice and greets: on a quick disk all else is done within a third of a second.
const PEER_COMES: Duration = Duration::from_secs(2);

/// How an examination goes.
pub struct Manner<'a> {
    /// How long a second machine is waited for, once the first has done what it can alone.
    pub wait: Duration,
    /// Makes the doctor's folder, and notes that it is there.
    pub create: &'a dyn Fn(&Path) -> std::io::Result<()>,
    /// Told what is being done, for people.
    pub say: &'a dyn Fn(&str),
}

/// Examines `dir`, together with a peer if one comes.
pub fn examine(dir: &Path, manner: &Manner<'_>) -> Result<Report> {
    let begun = Instant::now();
    check(dir)?;
    let before = stamps(dir)?;
    let folder = Folder::make(dir, manner.create)?;
    let made = Instant::now();
    let disk = folder.disk();
    let mount = mount::of(dir);
    let mut alone = alone::examine(&folder)?;
    if !manner.wait.is_zero() {
        (manner.say)(&format!("waiting for `flockwork doctor {} --peer` on another machine", for_shell(dir)));
    }
    let (mut pair, mut peer_lost) = (None, None);
    match pair::await_peer(disk, manner.wait.max(PEER_COMES.saturating_sub(made.elapsed()))) {
        Ok(Some(peer)) => {
            (manner.say)(&format!("examining together with {}", peer.host));
            match pair::lead(disk, peer) {
                Ok(made) => pair = Some(made),
                Err(error) => peer_lost = Some(error.to_string()),
            }
        }
        Ok(None) if manner.wait.is_zero() => {}
        Ok(None) => peer_lost = Some(format!("no second machine answered within {} s", manner.wait.as_secs())),
        Err(error) => peer_lost = Some(error.to_string()),
    }
    alone.leftovers = stamps(dir)?.into_iter().filter(|left| before.contains(left)).map(|(name, _)| name).collect();
    let facts = Facts { mount, alone, pair, peer_lost };
    Ok(Report::new(dir, facts, begun.elapsed()))
}

/// Answers the doctor of another machine in `dir`, waiting for one as long as `limit`.
pub fn answer(dir: &Path, limit: Duration, say: &dyn Fn(&str)) -> Result<()> {
    check(dir)?;
    say(&format!("waiting for `flockwork doctor {}` on another machine", for_shell(dir)));
    // The offset of the clock is for information: it needs no folder of its own, and no more than one touch of the directory.
    let me = pair::introduction(&mount::of(dir), offset_ms(dir));
    let disk = pair::find(dir, &me, limit)?;
    say(&format!("answering in {}", disk.root().display()));
    pair::answer(&disk)
}

fn offset_ms(dir: &Path) -> f64 {
    use crate::disk::Disk;
    let disk = crate::disk::real::RealDisk::at(dir);
    let before = jiff::Timestamp::now().as_nanosecond();
    let stamp = disk.touch(".").and_then(|()| disk.look("."));
    let after = jiff::Timestamp::now().as_nanosecond();
    stamp.map_or(0.0, |look| (look.stamp - (before + after) / 2) as f64 / 1e6)
}

fn check(dir: &Path) -> Result<()> {
    let refuse = |text: &str, advice: &'static str| {
        Err(Error::new(ErrorKind::Failed, "cannot examine").on(dir).because(text.to_owned()).advise(advice))
    };
    match std::fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => refuse("it is no folder", "name the folder that jobs are to lie in"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse("there is no such folder", "check the path, and that the share is mounted here (findmnt); or make the folder")
        }
        Err(error) => Err(Error::io("cannot examine", dir, error)),
    }
}

/// The doctors' folders in `dir` with their stamps: those that stay the same have no doctor any more.
fn stamps(dir: &Path) -> Result<Vec<(String, i128)>> {
    let names = folder::listed(dir).map_err(|error| Error::io("cannot list", dir, error))?;
    Ok(names.into_iter().map(|name| (folder::stamp(dir, &name).unwrap_or_default(), name)).map(|(stamp, name)| (name, stamp)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_waits_already_is_met_on_the_quickest_disk_without_being_waited_for() {
        // On a busy machine it may not come in time: then once more.
        assert!((0..5).any(|_| is_met()), "the peer waited, and was never met");
    }

    fn is_met() -> bool {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a temporary directory");
        let report = std::thread::scope(|scope| {
            let (waits, waiting) = std::sync::mpsc::channel();
            let peer = scope.spawn({
                let dir = dir.path();
                move || answer(dir, Duration::from_secs(8), &|_| _ = waits.send(()))
            });
            waiting.recv().expect("it waits");
            let report = examine(dir.path(), &Manner { wait: Duration::ZERO, create: &|path| std::fs::create_dir(path), say: &|_| {} })
                .expect("examined");
            peer.join().expect("no panic").is_ok().then_some(report)
        });
        let report: Option<serde_json::Value> = report.map(|report| serde_json::from_str(&report.json()).expect("JSON"));
        report.is_some_and(|report| report["peer"].is_string())
    }
}
