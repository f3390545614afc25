//! Who works on a job on this machine: only what can be proved.
//!
//! A *slot* is a process of this user that is called one and holds its own `workers/` file open; a *supervisor* is its parent. A *coordinator* that leads holds
//! `coordinator.lock` open. The files themselves are not read: an open for reading would leave a delegation with this machine.
//!
//! A supervisor or a coordinator is the job's own where this very job is what it was given. One that was given a farm is *standing*: other jobs are its own, too.

use std::io;

use super::process::Process;
use crate::disk::Disk;
use crate::here;
use crate::ids::WorkerName;
use crate::job::layout::{self, COORDINATOR_LOCK, WORKERS};

/// A worker's process.
#[derive(Debug)]
pub struct Slot {
    /// Its name in the job.
    pub name: WorkerName,
    /// The process.
    pub process: Process,
}

/// Everybody who works on a job here.
#[derive(Debug)]
pub struct Crew {
    /// In the order of their names.
    pub slots: Vec<Slot>,
    /// `worker` processes of this job that have slots.
    pub supervisors: Vec<Process>,
    /// `coordinator` and `run` processes of this job that lead.
    pub leaders: Vec<Process>,
    /// `worker` and `coordinator` processes of a farm that have slots here, or lead.
    pub standing: Vec<Process>,
    /// Workers listed for other machines.
    pub elsewhere: usize,
}

impl Crew {
    /// Looks who is there.
    pub fn look(disk: &dyn Disk) -> io::Result<Crew> {
        let job = disk.look(".")?.inode;
        let (slots, elsewhere) = slots(disk)?;
        // A `run` has one job alone.
        let is_own = |process: &Process| process.command() == Some("run") || process.is_given(job);
        let (supervisors, mut standing): (Vec<Process>, Vec<Process>) = parents(&slots).into_iter().partition(is_own);
        let (leaders, others): (Vec<Process>, Vec<Process>) = leaders(disk)?.into_iter().partition(is_own);
        standing.extend(others);
        Ok(Crew { slots, supervisors, leaders, standing, elsewhere })
    }

    /// How many slots this process has started.
    pub fn slots_of(&self, supervisor: u32) -> usize {
        self.slots.iter().filter(|slot| slot.process.parent == supervisor).count()
    }

    /// True if nobody works on the job, here or elsewhere, as far as can be seen.
    pub fn is_nobody(&self) -> bool {
        self.slots.is_empty() && self.elsewhere == 0
    }
}

fn slots(disk: &dyn Disk) -> io::Result<(Vec<Slot>, usize)> {
    let names = disk.list(WORKERS)?.into_iter().filter_map(|entry| entry.name.parse::<WorkerName>().ok());
    let here = here::new_name();
    let (mut names, elsewhere): (Vec<_>, Vec<_>) = names.partition(|name| name.host() == here.host());
    names.sort_unstable();
    let slot = |name: WorkerName| {
        let process = Process::open(name.pid()).filter(|process| process.command() == Some("slot"))?;
        let inode = disk.look(&layout::worker(&name)).ok()?.inode;
        process.holds(inode).then_some(Slot { name, process })
    };
    Ok((names.into_iter().filter_map(slot).collect(), elsewhere.len()))
}

/// The `worker` processes that these slots belong to.
fn parents(slots: &[Slot]) -> Vec<Process> {
    let mut parents: Vec<u32> = slots.iter().map(|slot| slot.process.parent).collect();
    parents.sort_unstable();
    parents.dedup();
    parents.into_iter().filter_map(Process::open).filter(|parent| parent.command() == Some("worker")).collect()
}

fn leaders(disk: &dyn Disk) -> io::Result<Vec<Process>> {
    disk.refresh(".")?;
    let inode = match disk.look(COORDINATOR_LOCK) {
        Ok(look) => look.inode,
        Err(error) if crate::disk::rename::is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let leads = |process: &Process| matches!(process.command(), Some("coordinator" | "run")) && process.holds(inode);
    Ok(Process::all().into_iter().filter(leads).collect())
}
