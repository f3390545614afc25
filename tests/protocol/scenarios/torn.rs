//! A flipped bit, a missing end, a file of zeros, in the files that decide: whoever reads one stops and names it, or its bytes are right all the same.

use std::cell::Cell;
use std::sync::Arc;

use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::{Turn, take_turns};
use flockwork::disk::{Disk, Flush};
use flockwork::job::end::{End, Outcome};

use super::super::bench::{self, Size};
use super::crew::{Host, Leader, QUICK, worker_on};
use super::shim::Text;

const SIZE: Size = Size { maps: 2, reduces: 2 };
/// Enough for a job without faults, and several more.
const STEPS_MAX: usize = 400;

/// How a run went in which `path` is spoiled as soon as it is there.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// To its good end, with the right bytes.
    Right,
    /// To a stop, or a bad end, that names the file.
    Stopped,
}

fn spoiled(path: &str, harm: &dyn Fn(&[u8]) -> Vec<u8>) -> Came {
    let (disk, mut spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    spec.ask.max_errors = 1;
    let (hand, done) = (disk.client("hand"), Cell::new(false));
    let spoil = || {
        let state = disk.state();
        if let Some(bytes) = state.bytes(path).filter(|_| !done.get()) {
            let draft = hand.draft("phase", &harm(bytes), Flush::Always).expect("draft");
            hand.rename(&draft, path).expect("rename");
            done.set(true);
        }
    };
    spoil();
    let mut worker = Host::start(&disk, Arc::new(disk.client("w")), &spec, worker_on("w"), QUICK);
    let mut leader = Leader::start(Arc::new(disk.client("boss")), &spec, SIZE.maps, &bench::name("boss", 1));
    let then = |turn: Turn| {
        spoil();
        turn
    };
    let _ = take_turns(&disk, 1, STEPS_MAX, &mut [Box::new(|| then(worker.step())), Box::new(|| then(leader.step()))]);
    assert!(done.get(), "there was something to spoil at {path}");
    judge(&disk, path, [worker.troubles.lock().expect("nobody panics").join("\n"), leader.troubles.join("\n")])
}

fn judge(disk: &SimDisk, path: &str, mut said: [String; 2]) -> Came {
    let state = disk.state();
    for of in 0..SIZE.reduces {
        if let Some(bytes) = state.bytes(&format!("output/mr-out-{of:05}")) {
            assert_eq!(String::from_utf8_lossy(bytes), bench::expected(SIZE, of), "{path}: no output is ever wrong");
        }
    }
    let end: Option<End> = state.bytes("phase/end").and_then(|bytes| serde_json::from_slice(bytes).ok());
    said[0] += end.as_ref().and_then(|end| end.error.as_deref()).unwrap_or_default();
    let names_it = said.iter().any(|text| text.contains(&format!("/job/{path}")) || text.contains("plan of /job"));
    match end {
        Some(end) if end.outcome == Outcome::Finished && !names_it => Came::Right,
        _ => {
            assert!(names_it, "{path}: it is named: {said:?}\n{}", bench::tree(&state));
            Came::Stopped
        }
    }
}

#[test]
fn scenario_14_a_plan_or_an_end_that_was_cut_zeroed_or_emptied_stops_whoever_reads_it_and_is_named() {
    let harms: [Text; 3] = [|bytes| bytes[..bytes.len() / 2].to_vec(), |bytes| vec![0; bytes.len()], |_| Vec::new()];
    for path in ["phase/map", "phase/reduce", "phase/end"] {
        for harm in harms {
            assert_eq!(spoiled(path, &harm), Came::Stopped, "{path}");
        }
    }
}

#[test]
fn scenario_14_a_flipped_bit_of_a_plan_never_gives_another_result() {
    for path in ["phase/map", "phase/reduce"] {
        let mut stopped = 0;
        for bit in (0..2400).step_by(7) {
            let flip = |bytes: &[u8]| {
                let mut bytes = bytes.to_owned();
                let at = bit / 8 % bytes.len();
                bytes[at] ^= 1 << (bit % 8);
                bytes
            };
            stopped += u32::from(spoiled(path, &flip) == Came::Stopped);
        }
        assert!(stopped > 250, "nearly every one is found: {path}, {stopped}");
    }
}
