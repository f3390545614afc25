//! What must be true of every single change of a name, judged at the moment it is made.
//!
//! | invariant | judged at |
//! |---|---|
//! | files only move forward, nothing leaves `done/` (nothing is damaged here), `failed/`, `expired/` or a final name | every rename and removal |
//! | no name is used twice, none is replaced, none lies in two directories | every name made |
//! | no coordinator issues one number twice | every issue |
//! | what is done is complete: one result of its own, flushed, and all its data there with length and checksum | every commit |
//! | data of a result that counts stays | every removal |
//! | a phase ends only when all its tasks are done, once; the reduce plan counts each map task once; an output is whole under its final name | every phase file, every output |

use std::collections::{HashMap, HashSet};

use flockwork::disk::sim::op::Op;
use flockwork::disk::sim::run::Change;
use flockwork::disk::sim::state::DiskState;
use flockwork::ids::{ClaimName, Phase};
use flockwork::job::plan::Counted;
use flockwork::job::record;

use super::bench::{self, Size};

/// What it has to remember from change to change.
pub struct Audit {
    size: Size,
    made: HashMap<String, u32>,
    issued: HashSet<(usize, String)>,
}

fn split(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((".", path))
}

/// The name by which a coordinator holds an end before it gives it its names: those are judged.
fn is_on_its_way(path: &str) -> bool {
    path.starts_with("phase/ending.")
}

fn is_final(path: &str) -> bool {
    let (dir, name) = split(path);
    let is_final = matches!(dir, "claimed" | "done" | "failed" | "phase" | "output") && !is_on_its_way(path);
    is_final || (dir == "expired" && name.contains('@'))
}

impl Audit {
    pub fn new(size: Size) -> Audit {
        Audit { size, made: HashMap::new(), issued: HashSet::new() }
    }

    pub fn judge(&mut self, change: &Change<'_>) -> Result<(), String> {
        let judged = match change.op {
            Op::Rename { from, to } | Op::Link { from, to } => self.judge_move(change, from, to),
            Op::Remove { path } => judge_removal(change.state, path),
            _ => Ok(()),
        };
        judged.map_err(|what| format!("{what} ({}: {})", change.name, change.op))
    }

    fn judge_move(&mut self, change: &Change<'_>, from: &str, to: &str) -> Result<(), String> {
        if is_on_its_way(to) {
            return Ok(()); // judged with the commit that names it
        }
        let made = change.state.deeds().made.get(to).copied().unwrap_or_default();
        if made == self.made.get(to).copied().unwrap_or_default() {
            return Ok(()); // it was not done
        }
        self.made.insert(to.to_owned(), made);
        let (was, is, name) = (split(from).0, split(to).0, split(to).1);
        if is == "shuffle" {
            // Judged with the commit that names it; from then on it stays.
            let counts = change.state.inode(&format!("done/{}", attempt_of(name))).is_some();
            return if made > 1 && counts { Err(format!("{to} was replaced, and its attempt counts")) } else { Ok(()) };
        }
        if is_final(to) && (made > 1 || change.state.deeds().replaced.contains(to)) {
            return Err(format!("{to} was made {made} times"));
        }
        match (was, is) {
            ("pending", "claimed" | "expired") | ("claimed", "done" | "failed" | "expired") => {}
            ("done", other) if other != "done" => return Err(format!("a result left done/ as {to}")),
            ("pending", "pending") if !self.issued.insert((change.client, to.to_owned())) => {
                return Err(format!("{to} was issued twice by one coordinator"));
            }
            ("claimed" | "failed" | "expired", _) => return Err(format!("{to} came from {was}/, which is not forward")),
            _ => {}
        }
        let twice = ["claimed", "done", "failed", "expired"].iter().filter(|dir| change.state.inode(&format!("{dir}/{name}")).is_some());
        if name.contains('@') && is != "output" && twice.count() > 1 {
            return Err(format!("{name} lies in two directories"));
        }
        match is {
            "done" => judge_commit(change, name),
            "phase" => self.judge_phase(change.state, name),
            "output" => self.judge_output(change.state, to),
            _ => Ok(()),
        }
    }

    fn judge_phase(&self, state: &DiskState, name: &str) -> Result<(), String> {
        let done = bench::done_tasks(state);
        let n_done = |phase| done.iter().filter(|task| task.phase == phase).count();
        let (maps, reduces) = (n_done(Phase::Map), n_done(Phase::Reduce));
        let needed = match name {
            "reduce" => (self.size.maps, 0),
            "end" | "finished" => (self.size.maps, self.size.reduces),
            _ => return Err(format!("phase/{name} was made: {:?}", bench::end(state).and_then(|end| end.error))),
        };
        if (maps, reduces) < (needed.0 as usize, needed.1 as usize) {
            return Err(format!("phase/{name} was made when {maps} maps and {reduces} reduces were done"));
        }
        if name == "reduce" { self.judge_reduce_plan(state) } else { Ok(()) }
    }

    /// Line by line, each task is counted once, by what is done.
    fn judge_reduce_plan(&self, state: &DiskState) -> Result<(), String> {
        let text = String::from_utf8_lossy(state.bytes("phase/reduce").unwrap_or_default()).into_owned();
        let mut next = 0;
        for line in text.lines().skip(1) {
            let counted: Counted = serde_json::from_str(line).map_err(|error| format!("phase/reduce has the line {line}: {error}"))?;
            let claim: ClaimName = counted.attempt.parse().map_err(|_| format!("phase/reduce names {}", counted.attempt))?;
            let tasks = claim.attempt.block().tasks();
            if tasks.start != next || counted.task != next {
                return Err(format!("phase/reduce counts {claim} where task {next} is the next"));
            }
            if state.inode(&format!("done/{claim}")).is_none() {
                return Err(format!("phase/reduce counts {claim}, which is not done"));
            }
            next = tasks.end;
        }
        if next == self.size.maps { Ok(()) } else { Err(format!("phase/reduce counts {next} tasks")) }
    }

    fn judge_output(&self, state: &DiskState, path: &str) -> Result<(), String> {
        let Some(of) = path.strip_prefix("output/mr-out-").and_then(|digits| digits.parse().ok()) else { return Ok(()) };
        if state.bytes(path) == Some(bench::expected(self.size, of).as_bytes()) {
            Ok(())
        } else {
            Err(format!("{path} is not what it must be"))
        }
    }
}

/// Of a shuffle file's name.
fn attempt_of(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(attempt, _)| attempt)
}

fn judge_removal(state: &DiskState, path: &str) -> Result<(), String> {
    let (dir, name) = split(path);
    if state.inode(path).is_some() || name.starts_with('.') {
        return Ok(());
    }
    if is_final(path) && !path.starts_with("output/.attempts/") {
        return Err(format!("{path} was removed"));
    }
    let attempt = name.strip_prefix(".attempts/").unwrap_or_else(|| attempt_of(name));
    if matches!(dir, "shuffle" | "output") && state.inode(&format!("done/{attempt}")).is_some() {
        return Err(format!("{path} was removed, and {attempt} counts"));
    }
    Ok(())
}

fn judge_commit(change: &Change<'_>, name: &str) -> Result<(), String> {
    let path = format!("done/{name}");
    let (claim, bytes): (ClaimName, _) = (name.parse().map_err(|_| format!("{path} is no claim's name"))?, change.state.bytes(&path));
    if change.is_dirty(&path) {
        return Err(format!("{path} would be lost with its worker's machine"));
    }
    let Some((made, _)) = record::own_result(name, bytes.unwrap_or_default()) else {
        return Err(format!("{path} holds no result of its own"));
    };
    let dir = if claim.attempt.task.phase == Phase::Map { "shuffle" } else { "output/.attempts" };
    let is_short = |file: &&flockwork::data::FileSum| {
        let bytes = change.state.bytes(&format!("{dir}/{}", file.name));
        bytes.is_none_or(|bytes| (bytes.len() as u64, crc32fast::hash(bytes)) != (file.len, file.crc32))
    };
    match made.files.iter().find(is_short) {
        Some(file) => Err(format!("{path} is done, and {dir}/{} is not there as described", file.name)),
        None => Ok(()),
    }
}
