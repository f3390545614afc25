//! What `explain` and `status` tell of jobs driven by hand, and that nobody who looks opens a file that may still move.

use std::io;
use std::time::Duration;

use super::fixture::{Bench, MAPS, REDUCES};
use crate::disk::{Disk, Entry, Flush, Hold, Look, Soon};
use crate::eyes::explain::{self, Story};
use crate::eyes::status;
use crate::ids::TaskId;
use crate::job::layout::State;
use crate::job::record::TaskError;
use crate::job::snapshot::Shape;

const SHAPE: Shape = Shape { maps: MAPS, reduces: REDUCES };

fn story(bench: &Bench, task: TaskId) -> Story {
    let job = bench.job();
    let story = explain::task(&*job.disk, &job.root, &job.spec, SHAPE, task, None).expect("a story");
    assert!(story.text().starts_with(&format!("task     {task}")), "{}", story.text());
    story
}

/// Everything it says, in one text.
fn said(story: &Story) -> String {
    [&story.now[..], &story.next, &story.hints].concat().join("\n")
}

fn job_story(bench: &Bench) -> explain::job::JobStory {
    let job = bench.job();
    explain::job::look(&*job.disk, &job.root, &job.spec, job.shape().expect("a shape")).expect("a story")
}

#[test]
fn a_story_has_every_promised_field() {
    let mut bench = Bench::planned();
    bench.tick();
    bench.work().expect("one is done");
    let json = serde_json::to_value(story(&bench, TaskId::map(0))).expect("an object");
    let mut wanted = vec![
        "version",
        "job",
        "app",
        "task",
        "phase",
        "share",
        "state",
        "errors",
        "errors_max",
        "losses",
        "losses_max",
        "attempts",
        "now",
        "next",
        "hints",
    ];
    wanted.sort_unstable();
    assert_eq!(json.as_object().expect("an object").keys().collect::<Vec<_>>(), wanted, "stable names");
    let mut fields = vec![
        "name",
        "number",
        "state",
        "worker",
        "host",
        "pid",
        "issued_by",
        "issued",
        "claimed",
        "ended",
        "elapsed_ms",
        "outcome",
        "counts",
        "error",
        "output",
        "bytes",
        "counters",
        "skipped",
        "quiet_ms",
        "running_ms",
        "waiting_ms",
        "story",
    ];
    fields.sort_unstable();
    let attempt = &json["attempts"][0];
    assert_eq!(attempt.as_object().expect("an object").keys().collect::<Vec<_>>(), fields, "stable names");
    assert_eq!(
        (attempt["outcome"].as_str(), attempt["counts"].as_bool(), attempt["host"].as_str()),
        (Some("result"), Some(true), Some("node7"))
    );
    assert_eq!((attempt["counters"]["records in"].as_u64(), json["errors_max"].as_u64()), (Some(7), Some(2)));
    let job = serde_json::to_value(job_story(&bench)).expect("an object");
    let mut wanted = vec!["version", "job", "app", "phase", "moves", "now", "next", "hints"];
    wanted.sort_unstable();
    assert_eq!(job.as_object().expect("an object").keys().collect::<Vec<_>>(), wanted);
}

#[test]
fn a_task_is_followed_from_its_plan_to_its_result() {
    let mut bench = Bench::planned();
    let (first, reduce) = (TaskId::map(0), TaskId::reduce(1));
    let waiting = story(&bench, first);
    assert_eq!(waiting.state, "waiting");
    assert!(said(&waiting).contains("no coordinator is at work"), "{}", said(&waiting));
    bench.tick();
    std::fs::write(bench.path("coordinator.lock"), "").expect("as if one led");
    let pending = story(&bench, first);
    assert_eq!((pending.state, pending.attempts[0].state, pending.attempts[0].outcome), ("pending", "pending", None));
    assert!(
        said(&pending).contains("1 workers are at work") || said(&pending).contains("0 of 1 workers are at work; 3 tasks wait"),
        "{}",
        said(&pending)
    );
    let claim = bench.claim().expect("claimed");
    let claimed = story(&bench, first);
    assert_eq!((claimed.state, claimed.attempts[0].worker.as_deref()), ("claimed", Some("node7.4121.k3f")));
    assert!(said(&claimed).contains("taken back when it has been silent for 10 s"), "{}", said(&claimed));
    assert!(said(&claimed).contains("0 of 2 errors and was lost 0 of 2 times"), "{}", said(&claimed));
    assert!(claim.give_back(&*bench.job().disk).is_ok());
    let given_back = story(&bench, first);
    assert_eq!((given_back.state, given_back.attempts[0].outcome, given_back.losses), ("waiting", Some("given_back"), 0));
    assert!(said(&story(&bench, reduce)).contains("3 of 3 are not: map-00000, map-00001, map-00002"), "{}", said(&story(&bench, reduce)));
    bench.restart_worker();
    bench.run_to_end();
    let done = story(&bench, first);
    assert_eq!((done.state, done.attempts.len(), done.attempts[1].counts), ("done", 2, true));
    assert!(said(&done).contains("attempt 2 counts") && said(&done).contains("the job has ended"), "{}", said(&done));
    assert!(done.attempts[0].story.contains("given back") && done.attempts[1].story.contains("7 records in"), "{:?}", done.attempts);
    let published = story(&bench, reduce);
    assert!(published.share.contains("partition 1 of 2") && published.share.contains("mr-out-00001"), "{}", published.share);
    assert!(published.attempts.iter().any(|attempt| attempt.counts));
}

#[test]
fn a_task_that_failed_for_good_says_how_often_and_with_which_words() {
    let bench = Bench::failed();
    let failed = (0..MAPS).map(|n| story(&bench, TaskId::map(n))).find(|story| story.state == "failed").expect("one failed");
    assert_eq!((failed.errors, failed.errors_max), (2, 2));
    assert!(failed.attempts.iter().all(|attempt| attempt.error.as_deref() == Some("first line\nsecond line")), "{failed:?}");
    assert!(failed.text().contains("first line\n         second line"), "{}", failed.text());
    assert!(said(&failed).contains("failed for good") && said(&failed).contains("flockwork retry"), "{}", said(&failed));
    let job = job_story(&bench);
    assert!(!job.moves && job.now.concat().contains("first line"), "{job:?}");
}

#[test]
fn damage_that_a_reduce_found_is_no_error_of_its_own() {
    let mut bench = Bench::planned();
    while !bench.claim_is_reduce() {
        bench.tick();
        bench.work();
    }
    let claim = bench.claim().expect("a reduce");
    let task = claim.name().attempt.task;
    let damaged = TaskError::Damaged(vec!["map-00000.a1@node7.4121.k3f".to_owned()]);
    assert!(claim.fail(&*bench.job().disk, damaged).is_ok());
    let story = story(&bench, task);
    assert_eq!((story.errors, story.attempts[0].outcome), (0, Some("damaged")));
}

#[test]
fn a_job_says_why_it_does_not_move() {
    let mut bench = Bench::planned();
    let job = job_story(&bench);
    assert!(!job.moves && job.now.concat().contains("no coordinator has led it so far"), "{job:?}");
    bench.tick();
    std::fs::write(bench.path("coordinator.lock"), "").expect("as if one led");
    let job = job_story(&bench);
    assert!(job.moves && job.now.concat().contains("it moves: 0 of 1 worker is at work"), "{job:?}");
    std::fs::write(bench.path("pause"), "").expect("written");
    assert!(job_story(&bench).now.concat().contains("it is paused"));
    std::fs::remove_file(bench.path("pause")).expect("removed");
    bench.presence.take().expect("registered").leave(&*bench.job().disk);
    let job = job_story(&bench);
    assert!(!job.moves && job.now.concat().contains("no worker has been seen for "), "{job:?}");
    assert!(job.hints.concat().contains("start one with `flockwork worker"), "{job:?}");
    std::fs::write(bench.path("cancel"), "").expect("written");
    assert!(job_story(&bench).now.concat().contains("asked to cancel"));
}

/// A real directory in which whoever opens a file that may still move is found out.
struct Watchful<'a>(&'a dyn Disk);

impl Watchful<'_> {
    fn opened(path: &str) {
        let moves = [State::Pending, State::Claimed].iter().any(|state| path.starts_with(state.dir()));
        assert!(!moves, "{path} may still move, and was opened");
    }
}

impl Disk for Watchful<'_> {
    fn list(&self, dir: &str) -> io::Result<Vec<Entry>> {
        self.0.list(dir)
    }
    fn refresh(&self, dir: &str) -> io::Result<()> {
        self.0.refresh(dir)
    }
    fn rename(&self, from: &str, _: &str) -> io::Result<()> {
        panic!("{from} was renamed by somebody who looks")
    }
    fn link(&self, from: &str, _: &str) -> io::Result<()> {
        panic!("{from} was linked by somebody who looks")
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        panic!("{path} was removed by somebody who looks")
    }
    fn make_dir(&self, path: &str) -> io::Result<()> {
        panic!("{path} was made by somebody who looks")
    }
    fn draft(&self, dir: &str, _: &[u8], _: Flush) -> io::Result<String> {
        panic!("a file was made in {dir} by somebody who looks")
    }
    fn open(&self, path: &str) -> io::Result<Box<dyn Hold>> {
        panic!("{path} was opened for writing by somebody who looks")
    }
    fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        Watchful::opened(path);
        self.0.read(path, limit)
    }
    fn read_part(&self, path: &str, from: u64, len: usize) -> io::Result<Vec<u8>> {
        Watchful::opened(path);
        self.0.read_part(path, from, len)
    }
    fn touch(&self, path: &str) -> io::Result<()> {
        panic!("{path} was touched by somebody who looks")
    }
    fn look(&self, path: &str) -> io::Result<Look> {
        self.0.look(path)
    }
    fn look_soon(&self, path: &str, limit: Duration) -> io::Result<Soon<Look>> {
        self.0.look_soon(path, limit)
    }
    fn now(&self) -> Duration {
        self.0.now()
    }
    fn is_network(&self) -> bool {
        self.0.is_network()
    }
}

#[test]
fn who_looks_changes_nothing_and_opens_no_file_that_may_still_move() {
    let mut bench = Bench::planned();
    bench.tick();
    bench.work().expect("one is done");
    let claim = bench.claim().expect("one is claimed");
    for bench in [bench, Bench::failed(), Bench::finished(), Bench::planned()] {
        let job = bench.job();
        let disk = Watchful(&*job.disk);
        status::look(&disk, &job.root, &job.spec, Some(SHAPE)).expect("a status");
        explain::job::look(&disk, &job.root, &job.spec, Some(SHAPE)).expect("a story");
        for task in (0..MAPS).map(TaskId::map).chain((0..REDUCES).map(TaskId::reduce)) {
            explain::task(&disk, &job.root, &job.spec, SHAPE, task, None).expect("a story");
        }
    }
    drop(claim);
}

#[test]
fn how_long_a_claim_has_run_is_told_from_its_workers_event_file_and_only_of_the_claim_that_it_names() {
    let mut bench = Bench::planned();
    bench.tick();
    let claim = bench.claim().expect("claimed");
    let look = |bench: &Bench| {
        let job = bench.job();
        status::look(&*job.disk, &job.root, &job.spec, Some(SHAPE)).expect("a status")
    };
    assert!(look(&bench).slowest.is_empty(), "there is no event file");
    let log = bench.path("log/node7.4121.k3f.jsonl");
    let line = |name: &str| format!("{{\"at\":\"x\",\"event\":\"claimed\",\"task\":\"{name}\"}}\n");
    std::fs::write(&log, line("map-00009.a1@node7.4121.k3f")).expect("written");
    assert!(look(&bench).slowest.is_empty(), "its line is still under way: it names another claim");
    std::fs::write(&log, line("map-00009.a1@node7.4121.k3f") + &line(&claim.name().to_string())).expect("written");
    std::thread::sleep(Duration::from_millis(1100));
    bench.job().disk.touch("workers/node7.4121.k3f").expect("the worker lives");
    let status = look(&bench);
    assert_eq!((status.slowest.len(), status.slowest[0].claim.as_str()), (1, claim.name().to_string().as_str()));
    assert!(status.slowest[0].running_ms >= 1000, "{:?}", status.slowest);
    assert_eq!((status.ages.claimed.total, status.ages.claimed.sampled, status.ages.pending.total), (1, 1, 2));
}
