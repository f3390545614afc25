//! Bugs planted in the protocol, each of which the random schedules must find; the number of seeds that it took is printed.
//!
//! | | bug | who | found as |
//! |---|---|---|---|
//! | 1 | a worker whose claim was taken away makes its name in `done/` all the same | worker | a move that is not one, or a record without a result |
//! | 2 | the same where the attempt was dropped because another was quicker | worker | the same |
//! | 3 | the look for one's own name after ENOENT of a rename is left out | worker | told that it was superseded, and its result counts |
//! | 4 | a claimer forgets what it has held | worker | a name in `claimed/` is made twice |
//! | 5 | a claim is given back by renaming it to `pending/` | worker | a move backwards |
//! | 6 | a record is renamed before it is flushed | worker | what is done could be lost with its machine |
//! | 7 | data is removed where the commit was only refused | worker | what is done has no data |
//! | 8 | an output is published by rename | coordinator | it is made twice, or the attempt has no data |
//! | 9 | a phase file is made by rename | coordinator | it is made twice |
//! | 10 | attempts are numbered by counting those that have ended | coordinator | one number is issued twice |
//! | 11 | absence is believed of any listing | coordinator | one number is issued twice |
//! | 12 | the counters of two attempts that are done are both counted | coordinator | the end counts too much |
//!
//! Bugs of blocks of several tasks are planted by hand in `bundles`.
//!
//! Those that need one interleaving in millions are found by trying all of them: the look at the inode left out (`interleavings`), an end named by
//! a coordinator whose decision came second (`holes`).

use std::time::Duration;

use flockwork::disk::sim::run::Weather;

use super::bent::{Bent, Bug};
use super::schedules::{Backup, Plot, run};
use super::sleeper::{Habits, Vice};

/// The first seed under which it is found, and as which of these.
fn found(plot: &Plot, as_one_of: &[&str]) {
    for seed in 0..2_000 {
        let Err(what) = run(seed, plot) else { continue };
        assert!(as_one_of.iter().any(|text| what.contains(text)), "found, but not as itself: {what}");
        println!("found after {} seeds: {}", seed + 1, what.lines().next().unwrap_or_default());
        return;
    }
    panic!("not found");
}

fn vice(vice: Vice) -> Plot {
    Plot { habits: Habits { vice, ..Plot::WORST.habits }, ..Plot::WORST }
}

#[test]
fn planted_01_a_worker_that_jumps_the_fence_is_found() {
    found(&Plot { backup: Backup::NotAsked, ..vice(Vice::JumpsTheFence) }, &["lies in two directories", "holds no result of its own"]);
}

#[test]
fn planted_02_a_dropped_worker_that_jumps_the_fence_is_found() {
    let habits = Habits { naps: 0, gives_back_percent: 0, vice: Vice::JumpsTheFence, ..Plot::WORST.habits };
    found(&Plot { habits, weather: Weather::CALM, ..Plot::WORST }, &["lies in two directories", "holds no result of its own"]);
}

#[test]
fn planted_03_a_worker_that_believes_a_lost_reply_is_found() {
    found(&Plot { workers_see: |client| Bent::boxed(client, Bug::NoLostReplyCheck), ..Plot::WORST }, &["and its result counts"]);
}

#[test]
fn planted_04_a_claimer_without_memory_is_found() {
    found(&vice(Vice::ForgetsWhatItHeld), &["was made 2 times"]);
}

#[test]
fn planted_05_a_claim_given_back_to_pending_is_found() {
    found(&vice(Vice::GivesBackToPending), &["which is not forward"]);
}

#[test]
fn planted_06_a_record_renamed_before_it_is_flushed_is_found() {
    found(&Plot { workers_see: |client| Bent::boxed(client, Bug::NoFlush), ..Plot::WORST }, &["would be lost with its worker's machine"]);
}

#[test]
fn planted_07_data_removed_on_weak_evidence_is_found() {
    found(&vice(Vice::DiscardsInDoubt), &["is not there as described"]);
}

#[test]
fn planted_08_an_output_published_by_rename_is_found() {
    let texts = ["was made 2 times", "is not of", "cannot publish", "does not end", "it ended Failed"];
    found(&Plot { coordinators_see: |client| Bent::boxed(client, Bug::PublishesByRename), ..Plot::WORST }, &texts);
}

#[test]
fn planted_09_a_phase_file_made_by_rename_is_found() {
    found(&Plot { coordinators_see: |client| Bent::boxed(client, Bug::PhasesByRename), ..Plot::WORST }, &["was made 2 times"]);
}

#[test]
fn planted_10_numbers_by_counting_are_found() {
    found(&Plot { coordinators_see: |client| Bent::boxed(client, Bug::NumbersByCounting), ..Plot::WORST }, &["was issued twice"]);
}

#[test]
fn planted_11_absence_believed_of_any_listing_is_found() {
    found(&Plot { coordinators_see: |client| Bent::boxed(client, Bug::BelievesAnyListing), ..Plot::WORST }, &["was issued twice"]);
}

#[test]
fn planted_12_the_counters_of_both_attempts_counted_are_found() {
    // Slow enough that backups are issued, and close enough that both commit.
    let habits = Habits { takes: |chance| Duration::from_millis(if chance.below(6) == 0 { 9_000 } else { 0 }), ..Plot::WORST.habits };
    found(&Plot { habits, coordinators_see: |client| Bent::boxed(client, Bug::CountsBoth), ..Plot::WORST }, &["counted"]);
}
