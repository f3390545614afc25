//! Damage after the commit, limits, and `retry`: what was lost is made anew, with the same bytes, and never for ever.

use std::sync::Arc;

use flockwork::data::Failure;
use flockwork::disk::sim::run::SimDisk;
use flockwork::disk::sim::turns::Turn;
use flockwork::disk::{Disk, Flush};
use flockwork::job::end::{End, Outcome};

use super::bench::{self, Boss, Mini, Size, Slot};

const SIZE: Size = Size { maps: 2, reduces: 2 };

/// One worker, one coordinator, in turns until the job has ended; `meddle` is called between the turns.
struct Run {
    disk: Arc<SimDisk>,
    boss: Boss,
    slot: Slot,
}

impl Run {
    fn new(change: impl Fn(&mut flockwork::job::spec::Spec)) -> Run {
        let mut spec = bench::spec(SIZE);
        change(&mut spec);
        let disk = SimDisk::new();
        bench::submit(&disk.client("submitter"), &spec, SIZE.maps);
        let boss = Boss::start(&disk.client("boss"), &spec, SIZE.maps, &bench::name("boss", 1));
        let slot = Slot::start(&disk.client("worker"), &spec, &bench::name("w", 1));
        Run { disk, boss, slot }
    }

    fn until_its_end(&mut self, mut meddle: impl FnMut(&SimDisk, &dyn Disk)) -> End {
        let hand = self.disk.client("meddler");
        for _ in 0..2_000 {
            if self.boss.step() == Turn::Done {
                return bench::end(&self.disk.state()).expect("an end");
            }
            meddle(&self.disk, &hand);
            let _ = self.slot.step();
            meddle(&self.disk, &hand);
            self.disk.advance(std::time::Duration::from_millis(500));
        }
        panic!("it must end\n{}", bench::tree(&self.disk.state()));
    }

    fn restart(&mut self, maps: u32, spec: &flockwork::job::spec::Spec) {
        self.boss = Boss::start(&self.disk.client("boss"), spec, maps, &bench::name("boss", 2));
        self.slot = Slot::start(&self.disk.client("worker"), spec, &bench::name("w", 2));
    }
}

/// Replaces `path` by `bytes`, or removes it.
fn spoil(hand: &dyn Disk, path: &str, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            let dir = flockwork::disk::create::dir_of(path);
            let draft = hand.draft(dir, bytes, Flush::Always).expect("draft");
            hand.rename(&draft, path).expect("rename");
        }
        None => hand.remove(path).expect("remove"),
    }
}

/// What becomes of a file's content; `None`: the file is removed.
type Harm = fn(&[u8]) -> Option<Vec<u8>>;

/// Once the plan of reduce is written, spoils the first map task's shuffle file for a reduce that waits, `times` times.
fn spoil_shuffle(run: &mut Run, times: u32, how: Harm) -> End {
    let (mut left, mut last) = (times, String::new());
    run.until_its_end(|disk, hand| {
        let state = disk.state();
        let done = |task: &str| state.children("done").into_iter().find(|entry| entry.name.starts_with(task)).map(|entry| entry.name);
        let Some(name) = done("map-00000").filter(|name| *name != last && left > 0) else { return };
        let content = |of: &u32| state.bytes(&format!("shuffle/{name}-{of:05}.json")).unwrap_or_default();
        let of = (0..SIZE.reduces).find(|of| !content(of).is_empty()).expect("some word");
        if state.inode("phase/reduce").is_none() || done(&format!("reduce-{of:05}")).is_some() {
            return;
        }
        spoil(hand, &format!("shuffle/{name}-{of:05}.json"), how(content(&of)).as_deref());
        (left, last) = (left - 1, name);
    })
}

/// Like [`bench::assert_finished`], but a damaged file's task left `done/`.
fn assert_finished(run: &Run, about: &str) {
    bench::assert_finished(&run.disk.state(), SIZE, about);
    assert!(run.disk.state().children("expired").iter().any(|entry| entry.name.starts_with("map-00000")), "{about}: retracted");
}

const WAYS: [(&str, Harm); 3] = [
    ("missing", |_| None),
    ("cut short", |bytes| Some(bytes[..bytes.len() / 2].to_vec())),
    ("changed", |bytes| Some(bytes.iter().map(|byte| byte ^ 1).collect())),
];

#[test]
fn scenario_14_a_shuffle_file_spoiled_after_its_commit_is_made_anew() {
    for (about, how) in WAYS {
        for times in 1..=3 {
            let mut run = Run::new(|_| {});
            let _ = spoil_shuffle(&mut run, times, how);
            assert_finished(&run, &format!("{about}, {times} times"));
        }
    }
}

#[test]
fn a_shuffle_file_that_is_always_spoiled_ends_the_job_and_not_for_ever() {
    let mut run = Run::new(|spec| spec.ask.max_lost = 3);
    let end = spoil_shuffle(&mut run, u32::MAX, |_| None);
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.error.as_deref().is_some_and(|text| text.contains("map-00000 was lost 3 times")), "{:?}", end.error);
    let state = run.disk.state();
    let entries = ["done", "expired"].into_iter().flat_map(|dir| state.children(dir));
    let attempts = entries.filter(|entry| entry.name.starts_with("map-00000.a")).count();
    assert_eq!(attempts, 3, "no attempt more than the limit\n{}", bench::tree(&state));
    bench::check_always(&state).expect("no law is broken");
}

#[test]
fn scenario_14_a_result_that_is_cut_or_edited_is_retracted_and_made_anew() {
    for bytes in [&b""[..], b"{\"by\":\"me\",\"at\":\"", b"rubbish\n", b"\xff\xfe"] {
        let mut run = Run::new(|_| {});
        let mut spoiled = false;
        let _ = run.until_its_end(|disk, hand| {
            let done = disk.state().children("done").into_iter().find(|entry| entry.name.starts_with("map-00000"));
            if let Some(entry) = done.filter(|_| !spoiled) {
                spoil(hand, &format!("done/{}", entry.name), Some(bytes));
                spoiled = true;
            }
        });
        let state = run.disk.state();
        let end = bench::end(&state).expect("an end");
        assert_eq!(end.outcome, Outcome::Finished);
        assert!(state.children("expired").iter().any(|entry| entry.name.starts_with("map-00000.a1@")), "it was retracted");
        for of in 0..SIZE.reduces {
            let path = format!("output/mr-out-{of:05}");
            assert_eq!(state.bytes(&path), Some(bench::expected(SIZE, of).as_bytes()), "{path}");
        }
    }
}

#[test]
fn errors_past_the_limit_end_the_job_with_the_last_one_and_retry_begins_afresh() {
    let mut run = Run::new(|spec| spec.ask.max_errors = 3);
    run.slot.tasks.mishap = |claim| {
        let poison = claim.attempt.task.number == 1 && claim.attempt.task.phase == flockwork::ids::Phase::Map;
        poison.then(|| Failure::App(format!("no luck in try {}", claim.attempt.number)))
    };
    let end = run.until_its_end(|_, _| {});
    assert_eq!(end.outcome, Outcome::Failed);
    assert_eq!(end.error.as_deref(), Some("map-00001 failed 3 times, at last with: no luck in try 3"));
    assert_eq!(end.blames.len(), 3, "{:?}", end.blames);
    let state = run.disk.state();
    assert_eq!(state.inode("phase/failed"), state.inode("phase/end"));
    flockwork::job::retry::retry(&run.disk.client("retry"), bench::root()).expect("retried");
    let mut spec = bench::spec(SIZE);
    spec.ask.max_errors = 3;
    run.restart(SIZE.maps, &spec);
    run.slot.tasks = Mini::new(Arc::new(run.disk.client("worker")), SIZE.reduces);
    assert_eq!(run.until_its_end(|_, _| {}).outcome, Outcome::Finished);
    let state = run.disk.state();
    assert!(state.children("done").iter().any(|entry| entry.name.starts_with("map-00001.a4@")), "numbers go on\n{}", bench::tree(&state));
    assert_eq!(state.bytes("output/mr-out-00000"), Some(bench::expected(SIZE, 0).as_bytes()));
}

#[test]
fn fewer_errors_than_the_limit_change_no_byte() {
    let mut run = Run::new(|_| {});
    run.slot.tasks.mishap = |claim| (claim.attempt.number < 4).then(|| Failure::App("not yet".to_owned()));
    let _ = run.until_its_end(|_, _| {});
    bench::assert_finished(&run.disk.state(), SIZE, "three errors of every task");
}

/// The coordinator died between publishing and the end, and then the record of what it published was damaged: outputs are never replaced, so this
/// needs a person. (No byte is wrong, and it does not go on for ever.)
#[test]
fn a_reduce_record_damaged_between_publishing_and_the_end_fails_the_job_and_says_what_to_do() {
    let (mut run, mut spoiled) = (Run::new(|_| {}), false);
    let end = run.until_its_end(|disk, hand| {
        let done = disk.state().children("done").into_iter().find(|entry| entry.name.starts_with("reduce-00000"));
        if let Some(entry) = done.filter(|_| !spoiled) {
            hand.link(&format!("output/.attempts/{}", entry.name), "output/mr-out-00000").expect("link");
            spoil(hand, &format!("done/{}", entry.name), Some(b"rubbish"));
            spoiled = true;
        }
    });
    assert_eq!(end.outcome, Outcome::Failed);
    assert!(end.error.as_deref().is_some_and(|text| text.contains("move it away, then `flockwork retry`")), "{:?}", end.error);
}
