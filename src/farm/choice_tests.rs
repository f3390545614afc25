//! The choice, case by case, and many jobs played through.

use super::*;

const FREE: SlotView<'static> = SlotView { job: None, is_busy: false, is_leaving: false, held: Duration::ZERO };

fn job(name: &str, priority: i32, pending: usize, served: u64) -> JobView<'_> {
    JobView { name, priority, submitted: "2026-01-01T00:00:00Z", pending, served }
}

fn at(job: &str, seconds: u64) -> SlotView<'_> {
    SlotView { job: Some(job), is_busy: true, is_leaving: false, held: Duration::from_secs(seconds) }
}

fn join(slot: usize, job: &str) -> Move {
    Move::Join { slot, job: job.to_owned() }
}

#[test]
fn the_higher_priority_goes_first_then_the_least_served_then_the_older() {
    let low = job("a", 0, 9, 0);
    assert_eq!(moves(&[low.clone(), job("b", 1, 9, 7)], &[FREE]), [join(0, "b")], "a higher priority");
    assert_eq!(moves(&[job("a", 0, 9, 3), job("b", 0, 9, 2)], &[FREE]), [join(0, "b")], "served longer ago");
    let older = JobView { submitted: "2025-12-31T00:00:00Z", ..job("b", 0, 9, 0) };
    assert_eq!(moves(&[low, older], &[FREE]), [join(0, "b")], "older");
}

#[test]
fn free_slots_spread_over_equals_and_no_more_join_than_there_are_tasks() {
    let jobs = [job("a", 0, 1, 0), job("b", 0, 9, 0)];
    assert_eq!(moves(&jobs, &[FREE; 4]), [join(0, "a"), join(1, "b"), join(2, "b"), join(3, "b")]);
    assert_eq!(moves(&[job("a", 0, 0, 0)], &[FREE]), [], "nothing to do there");
}

#[test]
fn a_slot_alone_with_a_job_stays() {
    assert_eq!(moves(&[job("a", 0, 9, 1)], &[at("a", 1000)]), []);
    assert_eq!(moves(&[job("a", 0, 9, 1), job("b", 0, 0, 0)], &[at("a", 1000)]), [], "the other job has nothing for it");
    assert_eq!(moves(&[job("a", 0, 9, 1), job("b", -1, 9, 0)], &[at("a", 1000)]), [], "the other job is of lower priority");
}

#[test]
fn an_equal_waits_for_the_turn_to_end_and_a_higher_priority_for_the_task() {
    let leave = [Move::Leave { slot: 0 }];
    let equals = [job("a", 0, 9, 1), job("b", 0, 9, 0)];
    assert_eq!(moves(&equals, &[at("a", 1)]), [], "its turn is not over");
    assert_eq!(moves(&equals, &[at("a", 3)]), leave);
    assert_eq!(moves(&[job("a", 0, 9, 1), job("b", 1, 9, 0)], &[at("a", 0)]), leave);
    let asked = SlotView { is_leaving: true, ..at("a", 9) };
    assert_eq!(moves(&equals, &[asked]), [], "it was asked already");
    assert_eq!(moves(&equals, &[at("a", 9), at("b", 9)]), [], "each has one");
}

#[test]
fn a_slot_with_nothing_to_do_goes_where_something_is() {
    let idle = SlotView { is_busy: false, ..at("a", 0) };
    assert_eq!(moves(&[job("a", 5, 0, 1), job("b", 0, 9, 0)], &[idle]), [Move::Leave { slot: 0 }], "also to a lower priority");
    assert_eq!(moves(&[job("a", 0, 2, 1), job("b", 0, 9, 0)], &[idle]), [], "it has only just come, and will claim");
    assert_eq!(moves(&[job("b", 0, 9, 0)], &[idle]), [Move::Leave { slot: 0 }], "from a job that is no more");
}

/// Fifty equal jobs of twenty tasks of a second, four slots: each is served within the first round, and all are done when the work is.
#[test]
fn fifty_equal_jobs_all_get_their_turn() {
    let names: Vec<String> = (0..50).map(|n| format!("job-{n:02}")).collect();
    let (mut left, mut served, mut first) = (vec![20_usize; 50], vec![0_u64; 50], vec![None; 50]);
    let mut slots: Vec<(Option<usize>, u64)> = vec![(None, 0); 4];
    let mut count = 0;
    let mut seconds = 0;
    while left.iter().any(|left| *left > 0) {
        let jobs: Vec<JobView<'_>> = (0..50).map(|n| job(&names[n], 0, left[n], served[n])).collect();
        let views: Vec<SlotView<'_>> = slots.iter().map(|(job, since)| job.map_or(FREE, |job| at(&names[job], seconds - since))).collect();
        for step in moves(&jobs, &views) {
            match step {
                Move::Leave { slot } => slots[slot].0 = None,
                Move::Join { slot, job } => {
                    let n = names.iter().position(|name| *name == job).expect("a job of ours");
                    count += 1;
                    (slots[slot], served[n]) = ((Some(n), seconds), count);
                    first[n].get_or_insert(seconds);
                }
            }
        }
        for (job, _) in &mut slots {
            let Some(n) = *job else { continue };
            left[n] = left[n].saturating_sub(1);
            if left[n] == 0 {
                *job = None;
            }
        }
        seconds += 1;
        assert!(seconds < 2000, "left: {left:?}");
    }
    let last = first.iter().map(|first| first.expect("served")).max().expect("fifty");
    assert!(last <= 60, "every job was begun within a round of turns; the last after {last} s");
}
