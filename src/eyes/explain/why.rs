//! Why a task is where it is, what happens next, and what one can do: pure, from what was seen.

use std::path::Path;

use super::{Attempt, Scene};
use crate::eyes::against::Tally;
use crate::eyes::span;
use crate::eyes::status::Status;
use crate::ids::{Phase, TaskId};
use crate::job::layout::output_name;
use crate::job::snapshot::TaskView;
use crate::job::spec::Spec;
use crate::units::for_shell;

/// Tasks named where many are waited for.
const NAMED_MAX: usize = 3;

/// Three lists of sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Where it is, and why.
    pub now: Vec<String>,
    /// What happens next.
    pub next: Vec<String>,
    /// What one can do.
    pub hints: Vec<String>,
}

/// The state that lies farthest; `failed` where nothing is under way and a limit is reached.
pub(super) fn state(view: &TaskView, tally: &Tally, spec: &Spec) -> &'static str {
    match (view.done.is_empty(), view.claimed.is_empty(), view.pending.is_empty()) {
        (false, _, _) => "done",
        (true, false, _) => "claimed",
        (true, true, false) => "pending",
        (true, true, true) if tally.is_past(spec) => "failed",
        (true, true, true) => "waiting",
    }
}

/// All that is to be said of `task`, which is in this state.
pub(super) fn task(scene: &Scene<'_>, task: TaskId, state: &str, attempts: &[Attempt], tally: &Tally) -> Told {
    let mut told = Told::default();
    match state {
        "done" => done(scene, task, attempts, &mut told),
        "claimed" => claimed(scene, attempts, tally, &mut told),
        "pending" => pending(scene, attempts, &mut told),
        "failed" => failed(scene, tally, &mut told),
        _ => waiting(scene, task, attempts, &mut told),
    }
    if state != "done" || scene.status.end.is_some() {
        told.hints.extend(scene.status.hints.iter().cloned());
    }
    told
}

fn done(scene: &Scene<'_>, task: TaskId, attempts: &[Attempt], told: &mut Told) {
    let counting = attempts.iter().find(|attempt| attempt.counts);
    told.now.push(match counting {
        Some(attempt) => format!("it is done: the result of attempt {} counts", attempt.number),
        None => "its file lies in done/ and holds no result of its own: it was damaged".to_owned(),
    });
    let results = attempts.iter().filter(|attempt| attempt.outcome == Some("result")).count();
    if results > 1 {
        told.now.push(format!("{results} attempts of it have a result, for one was a backup: only one of them counts"));
    }
    if scene.status.end.is_some() {
        told.next.push("nothing: the job has ended".to_owned());
        return;
    }
    let again = "should its file be found missing or damaged, the task is done again";
    told.next.push(match task.phase {
        Phase::Map if scene.spec.ask.is_of_commands() => "nothing: it waits for the others".to_owned(),
        Phase::Map if scene.spec.ask.is_map_only() => {
            format!("its output becomes {} when all tasks are done; {again}", output_name(task.number))
        }
        Phase::Map => format!("every reduce task reads its part of the shuffle file; {again}"),
        Phase::Reduce => format!("its output becomes {} when all reduce tasks are done; {again}", output_name(task.number)),
    });
    if scene.spec.ask.is_of_commands() {
        told.hints.push(format!("`flockwork cat {} {task}` shows what its command wrote", job(scene.status)));
    }
}

fn claimed(scene: &Scene<'_>, attempts: &[Attempt], tally: &Tally, told: &mut Told) {
    let lease = lease(scene);
    let claims: Vec<&Attempt> = attempts.iter().filter(|attempt| attempt.state == "claimed").collect();
    for attempt in &claims {
        let worker = attempt.worker.as_deref().unwrap_or("an unknown worker");
        let since = attempt
            .running_ms
            .map_or_else(|| "just now, or nobody can tell since when".to_owned(), |ms| format!("for {} at least", span(ms)));
        let beat =
            attempt.quiet_ms.map_or_else(|| "at an unknown time".to_owned(), |ms| format!("{} before the newest sign of life", span(ms)));
        told.now.push(format!("attempt {} is claimed by {worker}, {since}; its last heartbeat was {beat}", attempt.number));
        if attempt.quiet_ms.is_some_and(|ms| u128::from(ms) > scene.spec.ask.lease().as_millis()) {
            told.now.push(format!("it has been silent for longer than its lease of {lease}"));
        }
    }
    if scene.status.end.is_some() {
        told.next.push("the job has ended: the claim is dropped".to_owned());
        return;
    }
    if scene.is_leaderless() {
        told.next.push(
            "no coordinator is at work: when the attempt ends its result lies in done/, and if its worker dies nobody takes it back"
                .to_owned(),
        );
    } else {
        told.next.push(format!("it is taken back when it has been silent for {lease}, and issued again at once"));
    }
    told.next.push(limits(scene, tally));
    if scene.spec.ask.backup && claims.len() == 1 && scene.status.map.pending + scene.status.reduce.pending == 0 {
        told.next.push("should it run far longer than others did, a second attempt is begun beside it where a slot is idle".to_owned());
    }
    if let Some(attempt) = claims.first() {
        let worker = attempt.worker.as_deref().unwrap_or_default();
        let path = Path::new(&scene.status.job).join("workers").join(worker);
        told.hints.push(format!("`rm {}` asks that worker to finish this task and leave", for_shell(&path)));
    }
}

fn pending(scene: &Scene<'_>, attempts: &[Attempt], told: &mut Told) {
    let status = scene.status;
    let attempt = attempts.iter().find(|attempt| attempt.state == "pending");
    let (number, since) = attempt.map_or((1, None), |attempt| (attempt.number, attempt.waiting_ms));
    let since = since.map_or_else(String::new, |ms| format!(" {} before the newest sign of life", span(ms)));
    told.now.push(format!("attempt {number} was issued{since}; nobody has claimed it yet"));
    if let Some(end) = &status.end {
        told.next.push(format!("nothing: the job has ended ({}), and it is dropped", end.outcome.word()));
        return;
    }
    let waiting = status.map.pending + status.reduce.pending;
    let (n, busy) = (status.workers.len(), status.workers.len() - scene.idle);
    told.now.push(if status.paused {
        "the job is paused: workers claim nothing".to_owned()
    } else if status.workers.is_empty() {
        "no worker is registered".to_owned()
    } else if let Some(ms) = status.no_worker_until_now_ms(scene.spec.ask.lease()) {
        format!("no worker has been seen for {}", span(ms))
    } else if scene.idle == 0 {
        let all = if n == 1 { "the only worker is at work".to_owned() } else { format!("all {n} workers are at work") };
        format!("{all}, and {}", number_of(waiting, "task waits", "tasks wait"))
    } else {
        format!(
            "{busy} of {n} workers are at work; {} to be claimed, in an order of each worker's own",
            number_of(waiting, "task waits", "tasks wait")
        )
    });
    for trouble in status.workers.iter().filter_map(|worker| worker.trouble.as_ref()).take(1) {
        told.now.push(format!("a worker is in trouble: {trouble}"));
    }
    told.next.push("a worker claims it when it is free and comes to it".to_owned());
}

fn failed(scene: &Scene<'_>, tally: &Tally, told: &mut Told) {
    told.now.push(format!("it has failed for good: {}", limits(scene, tally)));
    told.next.push(match &scene.status.end {
        Some(_) => "nothing: the job has ended".to_owned(),
        None if scene.spec.ask.is_of_commands() => "it is left out; the others are done, and the job ends as failed, naming it".to_owned(),
        None => "the job fails with its last error".to_owned(),
    });
}

fn waiting(scene: &Scene<'_>, task: TaskId, attempts: &[Attempt], told: &mut Told) {
    let status = scene.status;
    told.now.push(match attempts.len() {
        0 => "it has not been issued yet: its file lies in none of the job's folders".to_owned(),
        n => format!("its {} ended, and the next one is not issued yet", number_of(n, "attempt has", "attempts have")),
    });
    if let Some(end) = &status.end {
        told.next.push(format!("nothing: the job has ended ({})", end.outcome.word()));
        return;
    }
    let left = &scene.maps_left;
    if !scene.is_planned {
        told.now.push("the job is not planned yet".to_owned());
    } else if status.paused {
        told.now.push("the job is paused: nothing is issued".to_owned());
    } else if scene.is_leaderless() {
        told.now.push("no coordinator is at work, and only a coordinator issues tasks".to_owned());
    } else if let Some(trouble) = status.coordinator.as_ref().and_then(|lead| lead.trouble.as_ref()) {
        told.now.push(format!("its coordinator is in trouble: {trouble}"));
    } else if task.phase == Phase::Reduce && !left.is_empty() {
        let named: Vec<String> = left.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let more = if left.len() > NAMED_MAX { " and others" } else { "" };
        let verb = if left.len() == 1 { "is" } else { "are" };
        told.now.push(format!(
            "a reduce task is issued when every map task is done; {} of {} {verb} not: {}{more}",
            left.len(),
            status.map.total,
            named.join(", ")
        ));
    } else if status.map.pending > 0 && attempts.is_empty() {
        told.now.push("of a job of very many tasks not all are issued at once; those before it are claimed first".to_owned());
    } else {
        told.now.push("nothing stands in its way".to_owned());
    }
    told.next.push("the coordinator issues it as soon as it may".to_owned());
}

fn limits(scene: &Scene<'_>, tally: &Tally) -> String {
    let ask = &scene.spec.ask;
    let then = if ask.is_of_commands() { "it has failed for good" } else { "it fails the job" };
    let Tally { errors, losses } = tally;
    format!("it has reported {errors} of {} errors and was lost {losses} of {} times before {then}", ask.max_errors, ask.max_lost)
}

fn lease(scene: &Scene<'_>) -> String {
    span(u64::try_from(scene.spec.ask.lease().as_millis()).unwrap_or(u64::MAX))
}

fn job(status: &Status) -> String {
    for_shell(Path::new(&status.job))
}

/// `1 task waits`, `3 tasks wait`.
pub(super) fn number_of(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}
