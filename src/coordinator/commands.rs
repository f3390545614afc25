//! The end of a job of commands: the records of its tasks are its result.
//!
//! Before it is decided, every record is read once, and of the segments that they name the length is looked at: a record torn by a power cut, or one whose segment is short, is
//! retracted as any other result is, and its task is done again.

use std::collections::HashMap;

use super::Coordinator;
use super::apply::{Decision, READ_AT_ONCE};
use crate::data::{Made, Stretch};
use crate::disk::rename::is_gone;
use crate::error::{Error, Result};
use crate::ids::{ClaimName, WorkerName, cover};
use crate::job::end::Outcome;
use crate::job::layout;
use crate::job::snapshot::Snapshot;

impl Coordinator {
    /// Decides a good end, if every task's result is good.
    pub(super) fn finish_commands(&mut self, snapshot: &Snapshot) -> Result<()> {
        let mut lengths = HashMap::new();
        let (mut complete, mut busy_ms) = (true, 0u64);
        let done = cover(0..snapshot.n_maps(), snapshot.done_maps(0..snapshot.n_maps())).counted;
        for some in done.chunks(READ_AT_ONCE) {
            // Not remembered: there may be a million.
            for (claim, read) in some.iter().copied().zip(self.records(some)?) {
                let is_good = match read {
                    Some((made, elapsed_ms)) => {
                        busy_ms = busy_ms.saturating_add(elapsed_ms);
                        self.has_its_segment(claim, &made, &mut lengths)?
                    }
                    None => false,
                };
                if !is_good {
                    complete = false;
                    self.hollow.insert(claim.clone());
                }
            }
        }
        if !complete {
            return Ok(()); // Retracted by the next plan.
        }
        let decision = Decision { outcome: Outcome::Finished, error: None, blames: Vec::new(), outputs: Vec::new(), busy_ms };
        self.decide(snapshot, decision, &[])
    }

    fn has_its_segment(&self, claim: &ClaimName, made: &Made, lengths: &mut HashMap<WorkerName, u64>) -> Result<bool> {
        let stretches = made.ran.iter().flat_map(|ran| ran.out.iter().chain(&ran.err));
        let Some(end) = stretches.map(|Stretch(from, len, _)| from.saturating_add(*len)).max() else { return Ok(true) };
        if lengths.get(&claim.worker).is_some_and(|len| *len >= end) {
            return Ok(true);
        }
        // Grown since it was last looked at, or short.
        let path = layout::segment(&claim.worker);
        let len = match self.disk.look(&path) {
            Ok(look) => look.len,
            Err(error) if is_gone(&error) => 0,
            Err(error) => return Err(Error::io("cannot look at", self.root.join(path), error)),
        };
        lengths.insert(claim.worker.clone(), len);
        Ok(len >= end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

    use crate::coordinator::backup::Limits;
    use crate::coordinator::bundling::Bundling;
    use crate::coordinator::plan::{Action, Ending, Facts, plan};
    use crate::ids::{ClaimName, TaskId};
    use crate::job::snapshot::{Belief, Phases, Snapshot, TaskView};

    fn claim(task: u32, number: u32) -> ClaimName {
        format!("map-{task:05}.a{number}@n.1.x").parse().expect("a claim")
    }

    fn done(task: u32) -> TaskView {
        TaskView { done: vec![claim(task, 1)].into(), highest: 1, ..TaskView::default() }
    }

    fn running(task: u32) -> TaskView {
        TaskView { claimed: vec![claim(task, 1)].into(), highest: 1, ..TaskView::default() }
    }

    fn failed(task: u32, times: u32) -> TaskView {
        TaskView { failed: (1..=times).map(|number| claim(task, number)).collect(), highest: times, ..TaskView::default() }
    }

    /// What is done of tasks that may fail once, where `leave_out` that failed twice end the job.
    fn next(maps: Vec<TaskView>, leave_out: usize) -> Vec<Action> {
        let endings: HashMap<String, Ending> =
            maps.iter().flat_map(|view| &view.failed).map(|claim| (claim.to_string(), Ending::Error(format!("oh {claim}")))).collect();
        let phases = Phases { map: true, ..Phases::default() };
        let snapshot = Snapshot {
            taken: std::time::Duration::ZERO,
            belief: Belief::Sure,
            maps: maps.into(),
            bundles: BTreeMap::new(),
            reduces: Vec::new(),
            workers: BTreeSet::new(),
            phases,
            pause: false,
            cancel: false,
            foreign: Vec::new(),
        };
        let (none, running, blamed) = (BTreeSet::new(), BTreeMap::new(), HashSet::new());
        let limits = Limits::default();
        plan(
            &snapshot,
            &Facts {
                endings: &endings,
                blamed: &blamed,
                stale: &none,
                stuck: &none,
                hollow: &none,
                running: &running,
                limits,
                max_errors: 2,
                max_lost: 2,
                window: 9,
                bundling: Bundling::default(),
                leave_out: Some(leave_out),
            },
        )
    }

    #[test]
    fn without_a_reduce_the_last_map_ends_the_job() {
        assert_eq!(next(vec![done(0), done(1)], usize::MAX), [Action::Finish]);
        assert_eq!(next(Vec::new(), usize::MAX), [Action::Finish], "nothing to do is soon done");
        assert_eq!(next(vec![done(0), running(1)], usize::MAX), []);
    }

    #[test]
    fn a_task_past_its_limit_is_left_out_and_named_when_all_others_have_ended() {
        let issue = |task, number| Action::Issue(TaskId::map(task).attempt(number));
        assert_eq!(next(vec![failed(0, 2), running(1), failed(2, 1)], usize::MAX), [issue(2, 2)], "the others go on");
        let actions = next(vec![failed(0, 2), done(1), failed(2, 2)], usize::MAX);
        let [Action::Fail { task, error, blames }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!((*task, blames.len()), (TaskId::map(0), 4), "a retry forgives all of them");
        assert!(error.starts_with("2 of 3 tasks failed for good:\nmap-00000 failed 2 times"), "{error}");
        assert!(error.contains("oh map-00002.a2@n.1.x"), "{error}");
    }

    #[test]
    fn failing_fast_waits_for_nobody() {
        assert!(matches!(next(vec![failed(0, 2), running(1), failed(2, 2)], 2)[..], [Action::Fail { .. }]));
        assert_eq!(next(vec![failed(0, 2), running(1), done(2)], 2), []);
    }

    #[test]
    fn of_many_failures_only_some_are_told() {
        let actions = next((0..1000).map(|task| failed(task, 2)).collect(), usize::MAX);
        let [Action::Fail { error, blames, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert!(error.lines().count() == 12 && error.ends_with("and 990 more"), "{error}");
        assert_eq!(blames.len(), 2000);
    }
}
