//! Every interleaving of two attempts of one task: a backup issued beside a claim at any time, both committing or either dropped, at any step.
//!
//! The coordinator here issues a backup whenever it sees a claim, which stands for every clock and every threshold; when it ought to is decided in
//! `coordinator::backup`, by a pure function with tests of its own.

use std::cell::Cell;

use flockwork::coordinator::leases::Watched;
use flockwork::coordinator::plan::Action;
use flockwork::disk::Disk;
use flockwork::disk::sim::explore::Explorer;
use flockwork::disk::sim::state::DiskState;
use flockwork::disk::sim::world::{Actor, Faults, Step, World};
use flockwork::ids::ClaimName;

use super::bent::{Bent, Bug};
use super::interleavings::{After, Hand, always, any_snapshot, coordinator, explore, goes_on_by, proven, reaper, scene, superseded};
use super::lens::Mutant;

/// A coordinator that once, at any time, issues a backup beside the first claim it sees, and looks and does what is to be done so often after that.
fn backer(scene: &DiskState, ticks: usize) -> Actor {
    let (scene, snapshot) = (scene.clone(), any_snapshot());
    Box::new(move |client, memory| match memory {
        "" => match client.list("claimed").expect("list").first() {
            Some(entry) => Step::Again(entry.name.clone()),
            None => Step::Done(String::new()),
        },
        waits if waits.starts_with("tick") => {
            let _ = coordinator(client, &scene, 1).tick(&Watched::default()).expect("a tick");
            if waits.len() < 3 + ticks { Step::Again(format!("{waits}k")) } else { Step::Done(String::new()) }
        }
        slow => {
            let slow: ClaimName = slow.parse().expect("ours");
            let backup = Action::Backup(slow.attempt.task.attempt(2), slow);
            coordinator(client, &scene, 1).apply(&snapshot, &backup).expect("a backup");
            Step::Again("tick".to_owned())
        }
    })
}

/// Ends that were seen.
#[derive(Default)]
struct Ends {
    both: Cell<usize>,
    dropped: [Cell<usize>; 2],
    superseded: Cell<usize>,
}

impl Ends {
    fn count(&self, world: &World) {
        let add = |cell: &Cell<usize>, seen: bool| cell.set(cell.get() + usize::from(seen));
        add(&self.both, world.disk.children("done").len() == 2);
        add(&self.superseded, superseded(world));
        for (cell, number) in self.dropped.iter().zip(1..) {
            let lies = |entry: &flockwork::disk::Entry| entry.name.starts_with(&format!("map-00000.a{number}@"));
            add(cell, world.disk.children("expired").iter().any(lies));
        }
    }

    fn all_seen(&self) {
        let seen = (self.both.get(), self.dropped[0].get(), self.dropped[1].get(), self.superseded.get());
        assert!(seen.0 > 0, "both commit");
        assert!(seen.1 > 0 && seen.2 > 0, "either is dropped: {seen:?}");
        assert!(seen.3 > 0, "and finds itself superseded");
    }
}

fn hands(mutant: Mutant) -> Vec<Actor> {
    [1, 2].map(|n| Hand { mutant, ..Hand::number(n) }.actor()).into_iter().collect()
}

#[test]
fn a_task_and_its_backup_end_in_one_result_that_counts() {
    let (scene, ends) = (scene(1, 2), Ends::default());
    let mut actors = hands(Mutant::None);
    actors.push(backer(&scene, 1));
    let faults = Faults { crashes: 1, ..Faults::default() };
    let result = explore(scene, 1, actors, faults, |world| ends.count(world));
    assert_eq!(proven(result), (7_755, 168));
    ends.all_seen();
}

#[test]
fn the_same_with_lost_replies() {
    let (scene, ends) = (scene(1, 2), Ends::default());
    let mut actors = hands(Mutant::None);
    actors.push(backer(&scene, 1));
    let faults = Faults { lost_replies: 1, delays: 1, ..Faults::default() };
    let result = explore(scene, 1, actors, faults, |world| ends.count(world));
    assert_eq!(proven(result), (71_322, 304));
    ends.all_seen();
}

#[test]
fn a_backup_beside_a_claim_that_another_coordinator_takes_for_dead() {
    let (scene, ends) = (scene(1, 2), Ends::default());
    let mut actors = hands(Mutant::None);
    actors.push(backer(&scene, 1));
    actors.push(reaper(&scene, 2, After::Nothing));
    let result = explore(scene, 1, actors, Faults::default(), |world| ends.count(world));
    assert_eq!(proven(result), (101_746, 132));
    ends.all_seen();
}

#[test]
fn without_the_fence_a_dropped_attempt_counts() {
    let scene = scene(1, 2);
    let mut actors = hands(Mutant::NoFence);
    actors.push(backer(&scene, 1));
    let violation = explore(scene, 1, actors, Faults::default(), |_| {}).expect_err("must be found");
    assert!(violation.what.contains("two directories"), "{violation}");
}

#[test]
fn a_coordinator_that_counts_both_attempts_is_found() {
    let scene = scene(1, 2);
    let mut actors = hands(Mutant::None);
    actors.push(backer(&scene, 1));
    let explorer = Explorer { actors, initial: scene, faults: Faults::default(), states_max: 3_000_000 };
    let eyes = |client| Bent::boxed(client, Bug::CountsBoth);
    let violation = explorer.explore(always, |world| goes_on_by(&world.disk, 1, eyes)).expect_err("must be found");
    assert!(violation.what.contains("counted {\"lines\""), "{violation}");
}
