//! Whether an exploration can be believed: it finds the bugs that the honest calls are there to prevent, and only those.

use std::cell::Cell;

use super::explore::{Explorer, Report, Violation};
use super::state::DiskState;
use super::world::{Actor, Faults, Step, World, actor};
use crate::disk::create::create_once;
use crate::disk::fresh::{is_there, list_surely, renew};
use crate::disk::rename::{is_gone, rename};
use crate::disk::{Disk, Entry, Flush, Moved};

pub(super) fn one_task() -> DiskState {
    DiskState::new().with_dir("pending").with_dir("claimed").with_file("pending/t", b"")
}

fn explore(actors: Vec<Actor>, faults: Faults, at_end: impl Fn(&World) -> Result<(), String>) -> Result<Report, Violation> {
    Explorer { actors, initial: one_task(), faults, states_max: 200_000 }.explore(|_| Ok(()), at_end)
}

fn proven(result: Result<Report, Violation>) -> (usize, usize) {
    let report = result.unwrap_or_else(|violation| panic!("{violation}"));
    (report.states, report.ends)
}

fn text<T: std::fmt::Debug>(value: T) -> String {
    format!("{value:?}")
}

/// Renames the task to a name of its own, and says whether it believes that it did.
fn claimer(name: &'static str) -> Actor {
    actor(move |disk| text(rename(disk, "pending/t", &format!("claimed/t@{name}")).expect("no real error")))
}

/// A claimer that has looked at its own target before, so that it may believe it absent; after ENOENT it looks again by `check`.
fn wary_claimer(name: &'static str, check: impl Fn(&dyn Disk, &str) -> bool + 'static) -> Actor {
    actor(move |disk| {
        let to = format!("claimed/t@{name}");
        let _ = disk.look(&to);
        match disk.rename("pending/t", &to) {
            Err(error) if is_gone(&error) && !check(disk, &to) => text(Moved::Gone),
            Ok(()) | Err(_) => text(Moved::Here),
        }
    })
}

/// A claimer that believes every reply.
fn gullible_claimer(name: &'static str) -> Actor {
    actor(move |disk| match disk.rename("pending/t", &format!("claimed/t@{name}")) {
        Ok(()) => text(Moved::Here),
        Err(error) if is_gone(&error) => text(Moved::Gone),
        Err(error) => panic!("{error}"),
    })
}

fn exactly_one(world: &World, wanted: &str) -> Result<(), String> {
    match world.results().filter(|result| *result == wanted).count() {
        1 => Ok(()),
        n => Err(format!("{n} of {:?} are {wanted}", world.results().collect::<Vec<_>>())),
    }
}

fn at_most_one(world: &World, wanted: &str) -> Result<(), String> {
    if world.results().filter(|result| *result == wanted).count() > 1 { exactly_one(world, wanted) } else { Ok(()) }
}

#[test]
fn of_two_honest_claimers_exactly_one_wins_whatever_reply_is_lost() {
    let run = |faults| proven(explore(vec![claimer("a"), claimer("b")], faults, |world| exactly_one(world, "Here")));
    assert_eq!(run(Faults::default()), (11, 2));
    assert_eq!(run(Faults { lost_replies: 1, ..Faults::default() }), (61, 4));
    assert_eq!(run(Faults { lost_replies: 2, stale: 1, ..Faults::default() }), (61, 4));
}

#[test]
fn believing_a_lost_reply_loses_the_task() {
    let faults = Faults { lost_replies: 1, ..Faults::default() };
    let gullible = || vec![gullible_claimer("a"), gullible_claimer("b")];
    let violation = explore(gullible(), faults, |world| exactly_one(world, "Here")).expect_err("must be found");
    assert!(violation.to_string().contains("reply lost"), "{violation}");
    assert_eq!(violation.trace.len(), 3, "the shortest way there: done and lost, sent again, the other one\n{violation}");
    proven(explore(gullible(), Faults::default(), |world| exactly_one(world, "Here")));
}

#[test]
fn the_look_after_enoent_must_not_be_answered_from_the_cache() {
    let faults = Faults { lost_replies: 1, stale: 1, ..Faults::default() };
    let run = |check: fn(&dyn Disk, &str) -> bool| {
        let wary = || vec![wary_claimer("a", check), wary_claimer("b", check)];
        explore(wary(), faults, |world| exactly_one(world, "Here"))
    };
    proven(run(|disk, to| is_there(disk, to).expect("look")));
    run(|disk, to| disk.look(to).is_ok()).expect_err("the plain look must be found out");
}

#[test]
fn a_dead_claimers_rename_may_arrive_late_and_nobody_wins_twice() {
    let faults = Faults { lost_replies: 1, delays: 1, ..Faults::default() };
    let late = Cell::new(0);
    let result = explore(vec![claimer("a"), claimer("b")], faults, |world| {
        let stolen = world.results().eq(["Gone"]) && world.actors.len() == 2;
        late.set(late.get() + usize::from(stolen));
        at_most_one(world, "Here")
    });
    proven(result);
    assert!(late.get() > 0, "the survivor must sometimes find the task taken by the dead");
}

/// Looks for `claimed/done`; then, if `pending/t` is surely gone from where the mover takes it, says whether it sees it by `sees`.
fn watcher(sees: impl Fn(&dyn Disk) -> bool + 'static) -> Actor {
    actor(move |disk| {
        let _ = disk.list("claimed");
        let _ = disk.look("claimed/done");
        if disk.look("pending/t").is_ok() {
            return "too early".to_owned();
        }
        renew(disk, "pending").expect("renew");
        if disk.look("pending/t").is_ok() {
            return "stale".to_owned();
        }
        text(sees(disk))
    })
}

fn sees_what_was_renamed(sees: impl Fn(&dyn Disk) -> bool + 'static) -> Result<Report, Violation> {
    let mover = actor(|disk| text(disk.rename("pending/t", "claimed/done").is_ok()));
    let faults = Faults { stale: 2, ..Faults::default() };
    explore(vec![mover, watcher(sees)], faults, |world| match world.results().last() {
        Some("false") => Err("it was there and not seen".to_owned()),
        _ => Ok(()),
    })
}

#[test]
fn only_a_change_of_ones_own_and_a_fresh_open_end_a_wrong_absence() {
    let among = |entries: std::io::Result<Vec<Entry>>| entries.expect("list").iter().any(|entry| entry.name == "done");
    proven(sees_what_was_renamed(|disk| is_there(disk, "claimed/done").expect("look")));
    proven(sees_what_was_renamed(move |disk| among(list_surely(disk, "claimed"))));
    sees_what_was_renamed(|disk| disk.look("claimed/done").is_ok()).expect_err("a plain look is up to a minute late");
    sees_what_was_renamed(move |disk| among(disk.list("claimed"))).expect_err("a plain listing may be wrong for good");
    let touched = |disk: &dyn Disk| disk.touch("claimed").is_ok() && disk.look("claimed/done").is_ok();
    sees_what_was_renamed(touched).expect_err("a touch alone does not end a wrong name");
    let refreshed = |disk: &dyn Disk| disk.refresh("claimed").is_ok() && disk.look("claimed/done").is_ok();
    sees_what_was_renamed(refreshed).expect_err("nor does opening alone where the server's stamps are coarse");
}

#[test]
fn what_is_created_once_is_created_by_exactly_one() {
    let creator = |bytes: &'static [u8]| actor(move |disk| text(create_once(disk, "claimed/plan", bytes).expect("no real error")));
    let faults = Faults { lost_replies: 1, stale: 1, ..Faults::default() };
    let result = explore(vec![creator(b"a"), creator(b"b")], faults, |world| {
        let deeds = world.disk.deeds();
        if deeds.made["claimed/plan"] != 1 || deeds.replaced.contains("claimed/plan") {
            return Err("made twice or replaced".to_owned());
        }
        exactly_one(world, "Now")
    });
    proven(result);
    let crashing = Faults { lost_replies: 1, crashes: 1, ..Faults::default() };
    proven(explore(vec![creator(b"a"), creator(b"b")], crashing, |world| at_most_one(world, "Now")));
}

/// Explores two actors that try to lock one file and do something more while they have it open.
fn lockers(
    faults: Faults,
    always: impl FnMut(&World) -> Result<(), String>,
    at_end: impl FnMut(&World) -> Result<(), String>,
) -> Result<Report, Violation> {
    let locker = || {
        actor(|disk| {
            let file = disk.open("pending/t").expect("open");
            let lock = file.try_lock();
            disk.touch("pending").expect("a call while it is held");
            text(lock)
        })
    };
    Explorer { actors: vec![locker(), locker()], initial: one_task(), faults, states_max: 10_000 }.explore(always, at_end)
}

#[test]
fn a_lock_has_one_holder_unless_locks_lie() {
    let one_holder = |world: &World| match world.disk.lock_holders("pending/t") {
        0 | 1 => Ok(()),
        n => Err(format!("{n} hold it")),
    };
    let both = Cell::new(0);
    let count = |world: &World| {
        both.set(both.get() + usize::from(world.results().eq(["Taken", "Taken"])));
        Ok(())
    };
    proven(lockers(Faults::default(), one_holder, count));
    assert!(both.get() > 0, "one after the other both get it");
    lockers(Faults { lying_locks: 1, ..Faults::default() }, one_holder, |_| Ok(())).expect_err("two holders must be found");
}

#[test]
fn a_crash_lets_a_lock_go() {
    let faults = Faults { crashes: 1, ..Faults::default() };
    let nobody_holds = |world: &World| if world.disk.lock_holders("pending/t") == 0 { Ok(()) } else { Err("held by the dead".to_owned()) };
    proven(lockers(faults, |_| Ok(()), nobody_holds));
}

#[test]
fn an_actor_that_goes_round_is_finite() {
    let poller: Actor = Box::new(|disk, memory| match list_surely(disk, "claimed").expect("list").is_empty() {
        true => Step::Again(memory.to_owned()),
        false => Step::Done("seen".to_owned()),
    });
    let states = proven(explore(vec![claimer("a"), poller], Faults { stale: 1, ..Faults::default() }, |world| exactly_one(world, "seen")));
    assert!(states.0 < 100, "{states:?}");
}

#[test]
#[should_panic(expected = "not deterministic")]
fn an_actor_that_differs_from_run_to_run_is_reported() {
    let runs = Cell::new(0);
    let fickle = actor(move |disk| {
        runs.set(runs.get() + 1);
        let _ = disk.look(&format!("pending/{}", runs.get()));
        String::new()
    });
    let _ = explore(vec![fickle], Faults::default(), |_| Ok(()));
}

#[test]
fn a_full_disk_is_explored_too() {
    let writer = actor(|disk| text(disk.draft("claimed", b"x", Flush::Always).map_err(|error| error.kind()).is_ok()));
    let faults = Faults { full_disk: 1, ..Faults::default() };
    explore(vec![writer], faults, |world| if world.results().eq(["true"]) { Ok(()) } else { Err("full".to_owned()) }).expect_err("found");
}
