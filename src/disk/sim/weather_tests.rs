//! The weather, and the stage on which calls are held up by it.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::run::{SimDisk, survives};
use super::stage::{Part, perform};
use super::state::DiskState;
use super::turns::{Ending, Turn};
use super::weather::Weather;
use crate::disk::{Disk, Flush, Lock};

const ALWAYS: u32 = 100_000;
const DYING: Weather = Weather { deaths_per_100_000: ALWAYS, ..Weather::CALM };

fn scene() -> Arc<SimDisk> {
    SimDisk::holding(DiskState::new().with_dir("d").with_dir("e").with_file("d/x", b""))
}

/// What is in `d/x` after its writer has appended `said`, perhaps flushed that, and died.
fn left_of(said: &[u8], flushed: bool, seed: u64) -> Vec<u8> {
    let disk = scene();
    let writer = disk.client("writer").mortal();
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let (own, bytes, sim) = (writer, said.to_owned(), Arc::clone(&disk));
    let part: Part = Box::new(move || {
        *counted.lock().expect("one thread") += 1;
        let mut hold = own.open("d/x").expect("open");
        hold.append(&bytes).expect("append");
        if flushed {
            hold.flush(Flush::Always).expect("flush");
        }
        sim.weather(seed, DYING);
        let _ = own.touch("d/x");
        Turn::Done
    });
    assert_eq!(perform(&disk, seed, 10, vec![part]), Ending::AllEnded);
    assert_eq!(*count.lock().expect("one thread"), 1);
    disk.state().bytes("d/x").expect("there").to_owned()
}

#[test]
fn what_was_not_flushed_is_lost_with_its_machine_and_not_with_its_process() {
    let unflushed: Vec<Vec<u8>> = (0..20).map(|seed| left_of(b"said", false, seed)).collect();
    assert!(unflushed.contains(&Vec::new()) && unflushed.contains(&b"said".to_vec()), "{unflushed:?}");
    assert!((0..20).all(|seed| left_of(b"said", true, seed) == b"said"), "what was flushed stays");
}

#[test]
fn a_call_of_the_dead_may_arrive_later() {
    let arrives = |seed| {
        let disk = scene();
        let (dead, witness) = (disk.client("dead").mortal(), disk.client("witness"));
        disk.weather(seed, DYING);
        assert!(survives(|| dead.rename("d/x", "e/x")).is_none(), "it dies");
        disk.weather(seed, Weather::CALM);
        disk.advance(Duration::from_secs(40));
        let _ = witness.look("d/x");
        disk.has("e/x")
    };
    let arrived = (0..20).filter(|seed| arrives(*seed)).count();
    assert!((1..20).contains(&arrived), "some calls were on the wire, some not: {arrived}");
}

#[test]
fn a_full_disk_takes_no_content_and_is_so_for_a_while() {
    let disk = scene();
    let client = disk.client("c");
    disk.weather(1, Weather { full_per_100_000: ALWAYS, ..Weather::CALM });
    assert_eq!(client.draft("d", b"x", Flush::Always).map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    disk.weather(1, Weather::CALM);
    assert_eq!(client.draft("d", b"x", Flush::Always).map_err(|error| error.kind()), Err(ErrorKind::StorageFull));
    client.rename("d/x", "e/x").expect("names can still be moved");
    disk.advance(Duration::from_secs(20));
    client.draft("d", b"x", Flush::Always).expect("there is room again");
}

#[test]
fn a_server_that_restarts_forgets_its_locks() {
    let disk = scene();
    let (first, second) = (disk.client("first"), disk.client("second"));
    let (held, wants) = (first.open("d/x").expect("open"), second.open("d/x").expect("open"));
    assert_eq!((held.try_lock(), wants.try_lock()), (Lock::Taken, Lock::Refused));
    disk.weather(1, Weather { restarts_per_100_000: ALWAYS, ..Weather::CALM });
    let _ = first.look("d/x");
    disk.weather(1, Weather::CALM);
    assert_eq!(wants.try_lock(), Lock::Taken);
}

#[test]
fn attributes_may_be_those_of_the_last_look() {
    let disk = scene();
    let (looker, toucher) = (disk.client("looker"), disk.client("toucher"));
    let own = looker.clone();
    let part: Part = Box::new(move || {
        let before = own.look("d/x").expect("look");
        toucher.touch("d/x").expect("touch");
        assert_eq!(own.look("d/x").expect("look"), before, "an old answer");
        Turn::Done
    });
    disk.weather(1, Weather { stale_attributes_per_mille: 1000, ..Weather::CALM });
    assert_eq!(perform(&disk, 1, 10, vec![part]), Ending::AllEnded);
}

/// Two clients rename a file to and fro, each a step; who did what when.
fn to_and_fro(seed: u64, weather: Weather) -> Vec<(usize, Duration)> {
    let disk = scene();
    disk.weather(seed, weather);
    let log = Arc::new(Mutex::new(Vec::new()));
    let part = |number: usize| -> Part {
        let (client, log, mut left) = (disk.client("c"), Arc::clone(&log), 20);
        Box::new(move || {
            let _ = if number == 0 { client.rename("d/x", "e/x") } else { client.rename("e/x", "d/x") };
            log.lock().expect("one thread").push((number, client.now()));
            left -= 1;
            if left == 0 { Turn::Done } else { Turn::Wait(Duration::from_millis(100)) }
        })
    };
    assert_eq!(perform(&disk, seed, 1000, vec![part(0), part(1)]), Ending::AllEnded);
    let log = log.lock().expect("one thread");
    log.clone()
}

#[test]
fn while_one_mount_hangs_the_others_go_on_and_the_same_seed_gives_the_same_run() {
    let hanging = Weather { hangs_per_100_000: ALWAYS / 20, ..Weather::CALM };
    let late = Weather { delays_per_100_000: ALWAYS / 2, ..Weather::CALM };
    let mut gaps = 0;
    for seed in 0..20 {
        assert_eq!(to_and_fro(seed, late), to_and_fro(seed, late));
        let run = to_and_fro(seed, hanging);
        assert_eq!(run, to_and_fro(seed, hanging));
        assert_eq!(run.len(), 40, "all steps were taken");
        // Somebody took three steps and more between two of the other's.
        gaps += usize::from(run.windows(4).any(|four| four.iter().all(|(number, _)| *number == four[0].0)));
    }
    assert!(gaps > 5, "{gaps}");
}

#[test]
fn a_performance_that_runs_out_of_steps_leaves_no_thread_behind() {
    let disk = scene();
    disk.weather(3, Weather { delays_per_100_000: ALWAYS, ..Weather::CALM });
    let part = |client: super::run::SimClientDirect| -> Part {
        Box::new(move || {
            let _ = client.look("d/x");
            Turn::Ready
        })
    };
    let parts = vec![part(disk.client("a")), part(disk.client("b"))];
    assert_eq!(perform(&disk, 3, 50, parts), Ending::OutOfSteps);
    assert_eq!(Arc::strong_count(&disk), 1, "every actor is gone, and with it its disk");
}

#[test]
fn the_audit_hears_of_every_change_and_remembers_what_was_wrong_first() {
    let disk = scene();
    let client = disk.client("c");
    disk.audit(|change| if change.state.inode("d/x").is_some() { Ok(()) } else { Err(format!("{}: {}", change.name, change.op)) });
    client.link("d/x", "d/y").expect("link");
    assert_eq!(disk.wrong(), None);
    client.rename("d/x", "e/x").expect("rename");
    client.remove("e/x").expect("remove");
    assert_eq!(disk.wrong().as_deref(), Some("c: rename d/x -> e/x"));
}
