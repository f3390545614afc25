//! Many at once: the calls per task stay few, and nobody starves.

use std::collections::BTreeMap;
use std::sync::Arc;

use flockwork::coordinator::Coordinator;
use flockwork::coordinator::leases::Watched;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::{Ending, Turn, take_turns};
use flockwork::ids::{ClaimName, TaskId};
use flockwork::job::log::Log;

use super::super::bench::{self, Boss, Size, Slot};

fn of(calls: &BTreeMap<&'static str, u64>, kind: &str) -> u64 {
    calls.get(kind).copied().unwrap_or(0)
}

#[test]
fn scenario_27_a_thousand_workers_that_start_at_once_do_each_task_once_and_nobody_tries_for_ever() {
    const SIZE: Size = Size { maps: 100, reduces: 2 };
    const WORKERS: u32 = 1000;
    let (disk, mut spec) = (SimDisk::holding(bench::submitted(SIZE)), bench::spec(SIZE));
    spec.ask.backup = false;
    let clients: Vec<_> = (0..WORKERS).map(|n| disk.client(&format!("w{n}"))).collect();
    let mut actors: Vec<Box<dyn FnMut() -> Turn>> = Vec::new();
    let mut boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
    let _ = boss.step(); // All tasks are there when they come.
    actors.push(Box::new(move || boss.step()));
    for (number, client) in (1..).zip(&clients) {
        let mut slot = Slot::start(client, &spec, &bench::name("w", number));
        actors.push(Box::new(move || slot.step()));
    }
    assert_eq!(take_turns(&disk, 1, 1_000_000, &mut actors), Ending::AllEnded);
    let state = disk.state();
    bench::assert_finished(&state, SIZE, "a thousand workers");
    assert!(state.children("expired").is_empty(), "each task once");
    let calls: Vec<_> = clients.iter().map(|client| client.calls()).collect();
    let renames: u64 = calls.iter().map(|calls| of(calls, "rename")).sum();
    // Register, and for each task claim, data and commit; beside that only claims that another was quicker for.
    assert!(renames < u64::from(WORKERS) * 2 + 500, "{renames} renames");
    let most = |kind| calls.iter().map(|calls| of(calls, kind)).max().unwrap_or_default();
    assert!(most("list") <= 40, "no listing per candidate: {}", most("list"));
    assert!(most("open") <= u64::from(SIZE.maps) * 3, "a candidate that is gone costs one call, and is not tried again: {}", most("open"));
    let hands = state.children("done").into_iter().filter_map(|entry| entry.name.parse::<ClaimName>().ok()).map(|claim| claim.worker);
    assert!(hands.collect::<std::collections::BTreeSet<_>>().len() > 50, "the work is spread");
}

#[test]
fn scenario_27_ten_thousand_claims_lost_at_once_are_issued_again_without_a_listing_per_task() {
    const TASKS: u32 = 10_000;
    let size = Size { maps: TASKS, reduces: 1 };
    let lost: Vec<ClaimName> = (0..TASKS).map(|n| TaskId::map(n).attempt(1).held_by(&bench::name("dead", n + 1))).collect();
    let state = lost.iter().fold(bench::submitted(size), |state, claim| state.with_file(&format!("claimed/{claim}"), b""));
    let disk = SimDisk::holding(state.with_file("coordinator.lock", b""));
    let client = disk.client("boss");
    let name = bench::name("boss", 1);
    let mut coordinator = Coordinator::new(Arc::new(client.clone()), bench::root().to_owned(), name, bench::spec(size), TASKS, Log::none());
    let watched = Watched { stale: lost.into_iter().collect(), ..Watched::default() };
    for _ in 0..2 {
        let _ = coordinator.tick(&watched).expect("a tick");
    }
    let state = disk.state();
    assert_eq!((state.children("claimed").len(), state.children("expired").len()), (0, TASKS as usize));
    assert_eq!(state.children("pending").len(), TASKS as usize, "all of them are issued again");
    let calls = client.calls();
    assert!(of(&calls, "list") < 50, "{calls:?}");
    assert!(calls.values().sum::<u64>() < u64::from(TASKS) * 9, "open, rename, append, flush, read, draft, rename: {calls:?}");
}
