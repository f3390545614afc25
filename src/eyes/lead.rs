//! What the disk refuses the coordinator that leads, in the words of its own log.
//!
//! Its name is that of the last line of `coordinator.lock`, which it holds open for writing while it lives, as it does its log: then to read them hinders nobody. Cost: two small reads and two looks.

use serde::Deserialize;

use crate::disk::Disk;
use crate::ids::WorkerName;
use crate::job::layout::{self, COORDINATOR_LOCK};
use crate::job::log::{TROUBLE, WELL};
use crate::job::record;

/// Read of either file, from its end.
const TAIL_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    text: String,
}

/// `None` where it is well, or that cannot be told.
pub(super) fn trouble(disk: &dyn Disk) -> Option<String> {
    let leads = record::parse(&tail(disk, COORDINATOR_LOCK)?).pop()?;
    let name: WorkerName = leads.by.parse().ok()?;
    let log = tail(disk, &layout::log(&name))?;
    let lines = log.rsplit(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    let last = lines.into_iter().find(|line| [TROUBLE, WELL].contains(&line.event.as_str()))?;
    (last.event == TROUBLE).then_some(last.text)
}

fn tail(disk: &dyn Disk, path: &str) -> Option<Vec<u8>> {
    let from = disk.look(path).ok()?.len.saturating_sub(TAIL_BYTES);
    disk.read_part(path, from, TAIL_BYTES as usize).ok()
}
