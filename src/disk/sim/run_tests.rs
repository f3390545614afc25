//! Whether a direct run can be believed: deaths, injected faults, hanging calls and bad weather happen where they are meant to.

use std::io::ErrorKind;
use std::time::Duration;

use super::op::Op;
use super::run::{SimDisk, Weather, What, survives};
use super::state::{DiskState, Room};
use super::tests::one_task;
use super::turns::{Ending, Turn, take_turns};
use crate::disk::fresh::list_surely;
use crate::disk::rename::rename;
use crate::disk::{Disk, Flush, Lock, Moved};

#[test]
fn a_client_dies_at_its_kth_call_and_its_lock_with_it() {
    for k in 1..=6 {
        let disk = SimDisk::holding(one_task());
        let (mortal, heir) = (disk.client("mortal"), disk.client("heir"));
        mortal.die_at(k);
        let life = survives(|| {
            let mut file = mortal.open("pending/t").expect("open");
            assert_eq!(file.try_lock(), Lock::Taken);
            file.append(b"line\n").expect("append");
            mortal.rename("pending/t", "claimed/t@m").expect("rename");
            mortal.touch("claimed/t@m").expect("touch");
        });
        assert_eq!(life.is_some(), k == 6, "five calls, so only the sixth is never made");
        assert_eq!(mortal.calls_total(), (k - 1).min(5));
        let path = if disk.state().bytes("pending/t").is_some() { "pending/t" } else { "claimed/t@m" };
        assert_eq!(heir.open(path).expect("open").try_lock(), Lock::Taken, "k = {k}");
        assert_eq!(heir.calls().into_iter().collect::<Vec<_>>(), [("open", 1), ("try_lock", 1)]);
    }
    let panic = std::panic::catch_unwind(|| survives(|| std::panic::resume_unwind(Box::new("a bug"))));
    assert!(panic.is_err(), "only death is survived");
}

#[test]
fn injected_faults_hit_what_they_are_meant_for() {
    let disk = SimDisk::holding(one_task());
    let client = disk.client("c");
    disk.inject(1, |name, op| name == "c" && matches!(op, Op::Rename { .. }), What::LoseReply);
    assert_eq!(rename(&client, "pending/t", "claimed/t@c").expect("rename"), Moved::Here, "the lost reply is seen through");
    disk.fail(|op| matches!(op, Op::Draft { .. }), ErrorKind::QuotaExceeded);
    assert!(client.draft("pending", b"", Flush::Always).is_err_and(|error| crate::error::is_no_room(&error)));
    disk.heal();
    disk.room(Room::Full);
    assert!(client.draft("pending", b"", Flush::Always).is_err_and(|error| error.kind() == ErrorKind::StorageFull));
    client.rename("claimed/t@c", "pending/u").expect("a full disk still renames");
    disk.room(Room::ReadOnly);
    assert!(client.touch("pending/u").is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem));
    assert!(client.read("pending/u", 10).is_ok(), "and still reads");
}

#[test]
fn a_hanging_call_is_left_and_comes_back_when_healed() {
    let disk = SimDisk::holding(one_task());
    let (client, opener) = (disk.client("c"), disk.client("opener"));
    // Of this client alone: on a busy machine its call may come after the other's.
    disk.inject(1, |name, op| name == "opener" && matches!(op, Op::Open { .. }), What::Hang);
    let hanging = crate::disk::patience::within(Duration::from_millis(20), move || opener.open("pending/t").is_ok()).expect_err("hangs");
    assert!(client.open("pending/t").is_ok(), "one call hangs, others do not");
    disk.heal();
    let late = (0..30_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(2));
        hanging.try_take()
    });
    assert_eq!(late, Some(true));
}

/// Eight claimers of forty tasks in bad weather; how the directory looks in the end.
fn bad_weather(seed: u64) -> DiskState {
    let scene = (0..40).fold(one_task(), |scene, n| scene.with_file(&format!("pending/t{n}"), b""));
    let disk = SimDisk::holding(scene);
    disk.weather(seed, Weather { lost_replies_per_mille: 200, stale_per_mille: 200, ..Weather::CALM });
    let clients: Vec<_> = (0..8).map(|n| disk.client(&format!("w{n}"))).collect();
    let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        actors.push(Box::new(move || {
            let Some(first) = list_surely(client, "pending").expect("list").into_iter().next() else { return Turn::Done };
            let to = format!("claimed/{}@{n}", first.name);
            match rename(client, &format!("pending/{}", first.name), &to).expect("rename") {
                Moved::Here => Turn::Wait(Duration::from_secs(1)),
                Moved::Gone => Turn::Ready,
            }
        }));
    }
    assert_eq!(take_turns(&disk, seed, 10_000, &mut actors), Ending::AllEnded);
    drop(actors);
    disk.state()
}

#[test]
fn the_same_seed_gives_the_same_run_and_no_task_is_lost_in_bad_weather() {
    for seed in 0..20 {
        let end = bad_weather(seed);
        assert_eq!(end.children("claimed").len(), 41, "seed {seed}");
        assert!(end.clock >= Duration::from_secs(5), "41 tasks, 8 workers, a second each: {:?}", end.clock);
    }
    assert!(bad_weather(1) == bad_weather(1) && bad_weather(1) != bad_weather(2), "a seed decides the run");
}
