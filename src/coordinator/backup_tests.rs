//! When a task gets a second attempt, and above all when it does not.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use super::super::bundling::Bundling;
use super::super::plan::{Action, Ending, Facts, plan};
use super::{Limits, backups, limit, may_be_wanted, sample, suspected};
use crate::ids::{ClaimName, Phase, TaskFile, TaskId, WorkerName};
use crate::job::snapshot::{Belief, Phases, Snapshot, TaskView};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn worker(n: u32) -> WorkerName {
    WorkerName::new("w", n, "x")
}

fn claim(task: TaskId, number: u32, by: u32) -> ClaimName {
    task.attempt(number).held_by(&worker(by))
}

fn done(task: TaskId) -> TaskView {
    TaskView { done: vec![claim(task, 1, 9)].into(), highest: 1, ..TaskView::default() }
}

/// Eight maps, the last so many of them claimed by workers 1, 2, ..., the others done by worker 9; four workers.
fn near_the_end(n_claimed: u32) -> Snapshot {
    let view = |n: u32| {
        let task = TaskId::map(n);
        match (n + n_claimed).checked_sub(8) {
            None => done(task),
            Some(by) => TaskView { claimed: vec![claim(task, 1, by + 1)].into(), highest: 1, ..TaskView::default() },
        }
    };
    Snapshot {
        taken: Duration::ZERO,
        belief: Belief::Sure,
        maps: (0..8).map(view).collect::<Vec<_>>().into(),
        bundles: BTreeMap::new(),
        reduces: vec![TaskView::default()],
        workers: (1..=4).map(worker).collect(),
        phases: Phases { map: true, ..Phases::default() },
        pause: false,
        cancel: false,
        foreign: Vec::new(),
    }
}

/// What is known beside the names: claims that have all run for so long, and how some ended.
struct Known {
    running: BTreeMap<ClaimName, Duration>,
    endings: HashMap<String, Ending>,
    stale: BTreeSet<ClaimName>,
    stuck: BTreeSet<ClaimName>,
    limit: Option<Duration>,
}

impl Known {
    fn all_run_for(snapshot: &Snapshot, run: Duration, limit: Duration) -> Known {
        let claims = snapshot.claims();
        let running = claims.map(|claim| (claim.clone(), run)).collect();
        Known { running, endings: HashMap::new(), stale: BTreeSet::new(), stuck: BTreeSet::new(), limit: Some(limit) }
    }

    fn asked<T>(&self, ask: impl Fn(&Facts<'_>) -> T) -> T {
        let (none, blamed) = (BTreeSet::new(), HashSet::new());
        let mut limits = Limits::default();
        limits.set(Phase::Map, self.limit);
        ask(&Facts {
            endings: &self.endings,
            blamed: &blamed,
            stale: &self.stale,
            stuck: &self.stuck,
            hollow: &none,
            running: &self.running,
            limits,
            max_errors: 4,
            max_lost: 16,
            window: 9,
            bundling: Bundling::default(),
            leave_out: None,
        })
    }

    fn backups(&self, snapshot: &Snapshot) -> Vec<String> {
        self.asked(|facts| backups(snapshot, facts)).iter().map(said).collect()
    }

    fn plan(&self, snapshot: &Snapshot) -> Vec<Action> {
        self.asked(|facts| plan(snapshot, facts))
    }
}

fn said(action: &Action) -> String {
    match action {
        Action::Backup(attempt, slow) => format!("{attempt} beside {slow}"),
        other => panic!("no backup: {other:?}"),
    }
}

const LAST: usize = 7;
const LAST_BACKED_UP: [&str; 1] = ["map-00007.a2 beside map-00007.a1@w.1.x"];

#[test]
fn a_claim_that_has_run_for_longer_than_the_limit_is_backed_up() {
    let snapshot = near_the_end(1);
    for (run, wanted) in [(31, 1), (30, 0), (0, 0)] {
        let found = Known::all_run_for(&snapshot, secs(run), secs(30)).backups(&snapshot);
        assert_eq!(found, LAST_BACKED_UP[..wanted], "{run} s");
    }
    let mut unknown = Known::all_run_for(&snapshot, secs(1000), secs(1));
    unknown.limit = None;
    assert_eq!(unknown.backups(&snapshot), [""; 0], "nothing is slow before the limit is known, or where backups are not wanted");
    let mut unseen = Known::all_run_for(&snapshot, secs(1000), secs(1));
    unseen.running.clear();
    assert_eq!(unseen.backups(&snapshot), [""; 0], "a coordinator that has just taken over has seen nothing run yet");
}

/// The limit in tenths of a second, where some took so many tenths, and so many are not done.
fn limit_of(done: &[u64], n_undone: usize) -> Option<u128> {
    let done = done.iter().map(|tenths| Some(Duration::from_millis(tenths * 100)));
    limit(&mut done.chain(vec![None; n_undone]).collect::<Vec<_>>()).map(|limit| limit.as_millis() / 100)
}

#[test]
fn the_limit_is_three_medians_known_once_more_than_half_are_done() {
    assert_eq!(limit_of(&[], 0), None);
    assert_eq!(limit_of(&[], 1), None);
    assert_eq!(limit_of(&[10, 20], 2), None, "the half is not enough");
    assert_eq!(limit_of(&[30, 10, 20], 2), Some(90), "not three times the median of the done, which would be 60");
    assert_eq!(limit_of(&[90, 30, 10, 20], 1), Some(90));
    assert_eq!(limit_of(&[0, 1, 2, 3], 1), Some(20), "two seconds at least");
}

#[test]
fn where_nine_in_ten_are_done_the_limit_is_half_as_long_again_as_those_took() {
    assert_eq!(limit_of(&[100; 9], 1), Some(300), "nine of ten are not more than nine in ten");
    assert_eq!(limit_of(&[100; 10], 1), Some(150));
    let slow_worker = [vec![100; 93], vec![1000; 4]].concat();
    assert_eq!(limit_of(&slow_worker, 3), Some(150), "a slow worker's share of the tasks is small");
    let mixed: Vec<u64> = (1..=97).collect();
    assert_eq!(limit_of(&mixed, 3), Some(91 * 3 / 2), "and where times differ much, so does it: the median alone would say 153");
}

#[test]
fn tasks_of_two_to_five_seconds_never_run_twice_whatever_the_draw() {
    // The lab's job-count test, eight tasks for four workers: the quickest possible ones done, the slowest possible ones still at work.
    for n_undone in 1..=3 {
        let limit = limit_of(&vec![20; 8 - n_undone], n_undone).expect("known");
        assert!(limit >= 60, "five seconds, and one for the machine: {limit}");
    }
}

#[test]
fn a_sample_spans_the_whole_phase_and_is_bounded() {
    for n in [0_usize, 1, 100, 101, 102, 205, 20_000] {
        let mut snapshot = near_the_end(0);
        snapshot.maps = (0..n as u32).map(|number| done(TaskId::map(number))).collect::<Vec<_>>().into();
        let taken: Vec<usize> = sample(&snapshot, Phase::Map).flatten().map(|claim| claim.attempt.task.number as usize).collect();
        assert!(taken.len() <= 101 && taken.len() >= n.min(51), "{} of {n}", taken.len());
        assert!(taken.last().is_none_or(|last| n - last <= n.div_ceil(51)), "to the end of {n}");
    }
}

#[test]
fn nothing_is_backed_up_while_anything_waits() {
    let mut snapshot = near_the_end(1);
    snapshot.reduces[0].pending.push(1);
    snapshot.reduces[0].highest = 1;
    let known = Known::all_run_for(&snapshot, secs(100), secs(1));
    assert_eq!(known.backups(&snapshot), [""; 0]);
    assert_eq!(suspected(&snapshot, &known.running), []);
}

#[test]
fn there_are_no_more_backups_than_idle_slots_and_the_slowest_come_first() {
    let snapshot = near_the_end(3);
    let mut known = Known::all_run_for(&snapshot, secs(100), secs(1));
    known.running.insert(claim(TaskId::map(6), 1, 2), secs(200));
    assert_eq!(known.backups(&snapshot), ["map-00006.a2 beside map-00006.a1@w.2.x"], "three work, one is idle");
    let snapshot = near_the_end(4);
    let known = Known::all_run_for(&snapshot, secs(100), secs(1));
    assert_eq!((known.backups(&snapshot), suspected(&snapshot, &known.running)), (Vec::new(), Vec::new()), "all work");
    assert!(!may_be_wanted(&snapshot) && !may_be_wanted(&near_the_end(0)) && may_be_wanted(&near_the_end(1)));
}

#[test]
fn a_task_has_one_backup_at_a_time() {
    let mut snapshot = near_the_end(1);
    snapshot.maps[LAST].claimed.push(claim(TaskId::map(7), 2, 2));
    snapshot.maps[LAST].highest = 2;
    let known = Known::all_run_for(&snapshot, secs(100), secs(1));
    assert_eq!(known.backups(&snapshot), [""; 0], "both run");
    snapshot.maps[LAST].claimed = vec![claim(TaskId::map(7), 2, 2)].into();
    assert_eq!(known.backups(&snapshot), ["map-00007.a3 beside map-00007.a2@w.2.x"], "the first is gone, and the second is slow as well");
}

#[test]
fn a_backup_that_failed_or_was_lost_is_not_followed_by_another_and_one_given_back_is() {
    let backup = claim(TaskId::map(7), 2, 2);
    let mut snapshot = near_the_end(1);
    let mut known = Known::all_run_for(&snapshot, secs(100), secs(1));
    snapshot.maps[LAST].highest = 2;
    snapshot.maps[LAST].failed = vec![backup.clone()].into();
    assert_eq!(known.backups(&snapshot), [""; 0], "its errors count, and the first may yet do it");
    snapshot.maps[LAST].failed = vec![].into();
    snapshot.maps[LAST].expired = vec![TaskFile::Held(backup.clone())].into();
    for (ending, wanted) in [(Ending::Lost, 0), (Ending::Free, 1)] {
        known.endings.insert(backup.to_string(), ending);
        assert_eq!(known.backups(&snapshot), ["map-00007.a3 beside map-00007.a1@w.1.x"][..wanted]);
    }
    let mut second = near_the_end(1);
    second.maps[LAST] = TaskView {
        claimed: vec![backup.clone()].into(),
        expired: vec![TaskFile::Held(claim(TaskId::map(7), 1, 5))].into(),
        highest: 2,
        ..TaskView::default()
    };
    let known = Known::all_run_for(&second, secs(100), secs(1));
    assert_eq!(known.backups(&second), ["map-00007.a3 beside map-00007.a2@w.2.x"], "what was lost before this claim is no backup of it");
}

#[test]
fn what_is_taken_back_or_hangs_is_issued_anew_and_not_backed_up() {
    let snapshot = near_the_end(1);
    let slow = claim(TaskId::map(7), 1, 1);
    let mut known = Known::all_run_for(&snapshot, secs(100), secs(1));
    known.stale.insert(slow.clone());
    assert_eq!(known.plan(&snapshot), [Action::Expire(slow.clone(), crate::job::record::Ended::Lost)]);
    known.stuck.insert(slow.clone());
    let actions = known.plan(&snapshot);
    assert!(actions.contains(&Action::Issue(TaskId::map(7).attempt(2))), "beside the one that hangs: {actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Backup(..))), "once: {actions:?}");
}

#[test]
fn a_paused_cancelled_or_ended_job_is_not_backed_up() {
    let calm = near_the_end(1);
    let known = Known::all_run_for(&calm, secs(100), secs(1));
    let has_backup = |snapshot: &Snapshot| known.plan(snapshot).iter().any(|action| matches!(action, Action::Backup(..)));
    assert!(has_backup(&calm));
    assert_eq!(suspected(&calm, &known.running), [Phase::Map]);
    let (mut paused, mut cancelled, mut ended) = (calm.clone(), calm.clone(), calm.clone());
    (paused.pause, cancelled.cancel, ended.phases.end) = (true, true, true);
    for snapshot in [paused, cancelled, ended] {
        assert!(!has_backup(&snapshot));
        assert_eq!(suspected(&snapshot, &known.running), []);
    }
}

#[test]
fn the_first_of_two_to_commit_wins_and_the_other_is_dropped() {
    let mut snapshot = near_the_end(1);
    snapshot.maps[LAST].done = vec![claim(TaskId::map(7), 2, 2)].into();
    let known = Known::all_run_for(&snapshot, secs(100), secs(1));
    let dropped = Action::Expire(claim(TaskId::map(7), 1, 1), crate::job::record::Ended::Dropped);
    assert_eq!(known.plan(&snapshot), [dropped, Action::PlanReduce], "and the job does not wait for it");
}

#[test]
fn a_task_past_its_limit_is_not_backed_up_however_its_attempts_overlap() {
    // Every attempt of it hangs until it is an error, and each was the backup of the one before: the task was never nowhere.
    for (failed, wanted) in [(3, 1), (4, 0), (15, 0)] {
        let mut snapshot = near_the_end(1);
        let view = &mut snapshot.maps[LAST];
        let task = TaskId::map(7);
        view.failed = (1..=failed).map(|number| claim(task, number, 2)).collect();
        view.claimed = vec![claim(task, failed + 1, 1)].into();
        view.highest = failed + 1;
        let mut known = Known::all_run_for(&snapshot, secs(100), secs(30));
        known.endings =
            snapshot.maps[LAST].failed.iter().map(|claim| (claim.to_string(), Ending::Error("no progress".to_owned()))).collect();
        assert_eq!(known.backups(&snapshot).len(), wanted, "{failed} of 4 errors");
    }
}
