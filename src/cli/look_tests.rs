//! The commands that look at a job and steer it, on jobs driven by hand.

use std::time::{Duration, Instant};

use super::fixture::Bench;
use super::{cat, clean, control, retry, wait};
use crate::ErrorKind;
use crate::eyes::status;
use crate::eyes::verify::verify;
use crate::job::end::Outcome;

fn json(bench: &Bench) -> serde_json::Value {
    let job = bench.job();
    let status = status::look(&*job.disk, &job.root, &job.spec, job.shape().expect("a shape")).expect("a status");
    assert!(!status.text().is_empty(), "words too");
    serde_json::to_value(status).expect("an object")
}

fn faults(bench: &Bench) -> Vec<crate::eyes::verify::Finding> {
    let job = bench.job();
    verify(&*job.disk, &job.root, &job.spec).expect("verified").faults
}

fn cat_of(bench: &Bench) -> Result<String, crate::Error> {
    let mut out = Vec::new();
    cat::cat(&bench.job(), &mut out).map(|()| String::from_utf8(out).expect("text"))
}

#[test]
fn the_status_of_a_running_job_has_every_promised_field() {
    let mut bench = Bench::planned();
    let fresh = json(&bench);
    assert_eq!((fresh["phase"].as_str(), fresh["map"]["waiting"].as_u64()), (Some("map"), Some(3)));
    assert!(fresh["hints"][0].as_str().is_some_and(|hint| hint.contains("no coordinator")), "{fresh}");
    bench.tick();
    bench.work().expect("one is done");
    let claim = bench.claim().expect("one is claimed");
    std::fs::write(bench.path("done/stray"), "").expect("written");
    let status = json(&bench);
    let fields = [
        "version",
        "job",
        "id",
        "app",
        "submitted",
        "phase",
        "paused",
        "controls",
        "percent",
        "map",
        "reduce",
        "attempts",
        "taken_back",
        "pace",
        "data",
        "newest_sign_of_life",
        "newest_ago_ms",
        "no_worker_ms",
        "storage",
        "coordinator",
        "workers",
        "hosts",
        "claims",
        "slowest",
        "ages",
        "errors",
        "foreign",
        "foreign_count",
        "end",
        "hints",
    ];
    let mut wanted: Vec<&str> = fields.to_vec();
    wanted.sort_unstable();
    assert_eq!(status.as_object().expect("an object").keys().collect::<Vec<_>>(), wanted, "stable names");
    assert_eq!(status["map"], serde_json::json!({"total": 3, "waiting": 0, "pending": 1, "claimed": 1, "done": 1}));
    assert_eq!((status["version"].as_u64(), status["percent"].as_f64()), (Some(1), Some(20.0)));
    assert_eq!(status["workers"][0]["claim"].as_str(), Some(claim.name().to_string().as_str()));
    assert_eq!(status["claims"][0]["task"], "map-00001");
    assert_eq!((status["pace"]["sampled"].as_u64(), status["foreign"][0].as_str()), (Some(1), Some("done/stray")));
    assert!(status["end"].is_null() && status["newest_sign_of_life"].is_string());
}

#[test]
fn the_status_of_an_ended_job_says_how_it_ended() {
    let finished = json(&Bench::finished());
    assert_eq!((finished["phase"].as_str(), finished["percent"].as_f64()), (Some("finished"), Some(100.0)));
    assert_eq!((finished["end"]["outcome"].as_str(), finished["end"]["outputs"].as_u64()), (Some("finished"), Some(2)));
    let failed = json(&Bench::failed());
    assert_eq!((failed["phase"].as_str(), failed["end"]["outcome"].as_str()), (Some("failed"), Some("failed")));
    assert_eq!(failed["errors"][0]["text"], "first line\nsecond line");
    assert!(failed["hints"][0].as_str().is_some_and(|hint| hint.contains("retry")), "{failed}");
}

#[test]
fn looking_changes_nothing() {
    let mut bench = Bench::planned();
    bench.tick();
    let stamps = |bench: &Bench| -> Vec<_> {
        let dirs = ["phase", "pending", "claimed", "done", "failed", "expired", "workers", "shuffle", "output"];
        dirs.iter().map(|dir| bench.job().disk.look(dir).expect("looked").stamp).collect()
    };
    let before = stamps(&bench);
    json(&bench);
    faults(&bench);
    assert_eq!(stamps(&bench), before, "eyes never touch");
}

#[test]
fn cat_writes_the_outputs_in_order_and_refuses_what_is_damaged_or_not_there_yet() {
    let bench = Bench::finished();
    assert_eq!(cat_of(&bench).expect("finished"), "content of reduce-00000.a1\ncontent of reduce-00001.a1\n");
    std::fs::write(bench.path("output/mr-out-00001"), "x").expect("damaged");
    let error = cat_of(&bench).expect_err("damaged");
    assert!(error.kind() == ErrorKind::Damaged && error.to_string().contains("mr-out-00001"), "{error}");
    let mut bench = Bench::planned();
    bench.tick();
    bench.work();
    let error = cat_of(&bench).expect_err("not yet").to_string();
    assert!(error.contains("has not finished (phase map 1/3)"), "{error}");
    let error = cat_of(&Bench::failed()).expect_err("failed").to_string();
    assert!(error.contains("the job failed"), "{error}");
}

#[test]
fn wait_ends_with_the_job_or_when_the_time_is_up() {
    let soon = || Some(Instant::now() + Duration::from_millis(50));
    let bench = Bench::planned();
    let job = bench.job();
    assert!(wait::until_end(&*job.disk, &job.root, soon(), &mut |_| {}).expect("waited").is_none(), "the time is up");
    std::fs::remove_dir_all(bench.path("phase")).expect("removed");
    let far = Some(Instant::now() + Duration::from_secs(60));
    assert_eq!(wait::until_end(&*job.disk, &job.root, far, &mut |_| {}).expect_err("gone").kind(), ErrorKind::Vanished);
    let bench = Bench::failed();
    let job = bench.job();
    let end = wait::until_end(&*job.disk, &job.root, soon(), &mut |_| {}).expect("waited").expect("ended");
    assert_eq!(end.outcome, Outcome::Failed);
}

#[test]
fn wait_goes_on_where_it_cannot_look_for_a_while_and_says_why() {
    let bench = Bench::finished();
    let job = bench.job();
    job.disk.rename("phase", "away").expect("moved away");
    std::fs::write(bench.path("phase"), "no folder").expect("written");
    let (mut troubles, mut looks) = (Vec::new(), 0);
    let end = wait::until_end(&*job.disk, &job.root, None, &mut |trouble| {
        looks += 1;
        troubles.extend(trouble.map(ToString::to_string));
        if looks == 2 {
            job.disk.remove("phase").expect("removed");
            job.disk.rename("away", "phase").expect("moved back");
        }
    });
    assert_eq!(end.expect("that has passed").map(|end| end.outcome), Some(Outcome::Finished));
    assert_eq!((troubles.len(), looks), (2, 2), "{troubles:?}");
    assert!(troubles[0].contains("cannot list") && troubles[0].contains("phase"), "{troubles:?}");
}

#[test]
fn a_retried_job_runs_to_its_end_and_keeps_the_evidence() {
    let mut bench = Bench::failed();
    std::fs::write(bench.path("cancel"), "").expect("written");
    retry::retry(&bench.job()).expect("retried");
    let phase = bench.names("phase");
    assert_eq!(phase, ["end.1", "failed.1", "map"], "the old end has its number");
    assert!(!bench.names(".").contains(&"cancel".to_owned()), "or it would be cancelled again");
    assert_eq!(faults(&bench), []);
    bench.restart_coordinator();
    bench.run_to_end();
    assert_eq!(json(&bench)["phase"], "finished");
    assert_eq!(faults(&bench), []);
    assert_eq!(retry::retry(&bench.job()).expect_err("finished").kind(), ErrorKind::Failed);
}

#[test]
fn a_retry_that_died_half_way_is_completed_by_another() {
    for half_way in 0..4 {
        let bench = Bench::failed();
        let (end, failed) = (bench.path("phase/end"), bench.path("phase/failed"));
        let disk = bench.job().disk;
        if half_way >= 1 {
            disk.link("phase/end", "phase/failed.1").expect("linked");
        }
        if half_way >= 2 {
            std::fs::remove_file(&failed).expect("removed");
        }
        if half_way >= 3 {
            // A coordinator that was naming the end just then puts it back after all.
            disk.rename("phase/end", "phase/end.1").expect("renamed");
            disk.link("phase/end.1", "phase/failed").expect("linked");
        }
        retry::retry(&bench.job()).expect("completed");
        assert_eq!(bench.names("phase"), ["end.1", "failed.1", "map"], "died after {half_way} steps");
        assert!(end.symlink_metadata().is_err());
    }
    let running = Bench::planned();
    assert!(retry::retry(&running.job()).expect_err("runs").to_string().contains("has not ended"));
}

#[test]
fn pause_resume_and_cancel_are_files_and_may_be_said_twice() {
    let mut bench = Bench::planned();
    let job = bench.job();
    for said in ["paused: ", "paused already"] {
        assert!(control::pause_job(&job).expect("paused").contains(said));
    }
    assert_eq!(json(&bench)["paused"], true);
    assert_eq!(bench.tick().done, 0, "nothing is issued");
    for said in ["resumed", "not paused"] {
        assert!(control::resume_job(&job).expect("resumed").contains(said));
    }
    for said in ["cancelled: ", "already"] {
        assert!(control::cancel_job(&job).expect("cancelled").contains(said));
    }
    while !bench.tick().ended {}
    assert_eq!(json(&bench)["phase"], "cancelled");
    for refused in [control::pause_job(&job), control::cancel_job(&job)] {
        assert!(refused.expect_err("ended").to_string().contains("has ended"));
    }
    assert!(!bench.names(".").contains(&"pause".to_owned()), "nothing was created");
}

#[test]
fn a_cleaned_job_keeps_its_outputs_and_verifies() {
    let bench = Bench::finished();
    let swept = clean::remove_data(&bench.job()).expect("cleaned");
    assert_eq!((swept.files, swept.left.len()), (8, 0));
    assert_eq!((bench.names("shuffle").len(), bench.names("output").len()), (0, 3), "outputs and .attempts stay");
    assert_eq!(faults(&bench), []);
    assert!(cat_of(&bench).is_ok());
    assert_eq!(clean::remove_data(&bench.job()).expect("again").files, 0);
    let running = Bench::planned();
    assert!(clean::remove_data(&running.job()).expect_err("runs").to_string().contains("not ended"));
}

#[test]
fn a_whole_job_is_removed_but_nothing_foreign() {
    let bench = Bench::finished();
    std::fs::create_dir(bench.path("markers")).expect("made");
    std::fs::write(bench.path("markers/m"), "").expect("written");
    std::fs::write(bench.path("shuffle/.tmp-x1"), "").expect("written");
    let swept = clean::remove_all(&bench.job()).expect("removed");
    assert!(swept.left.is_empty(), "{:?}", swept.left);
    assert!(bench.root().symlink_metadata().is_err(), "all of it");

    let bench = Bench::finished();
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(elsewhere.path().join("map-00000.a1"), "mine").expect("written");
    std::fs::remove_dir(bench.path("pending")).expect("it is empty");
    std::os::unix::fs::symlink(elsewhere.path(), bench.path("pending")).expect("linked");
    std::fs::write(bench.path("output/thesis.tex"), "mine").expect("written");
    let swept = clean::remove_all(&bench.job()).expect("removed");
    let left: Vec<_> = swept.left.iter().map(|(path, _)| path.clone()).collect();
    assert!(left.contains(&bench.path("output/thesis.tex")) && left.contains(&bench.path("pending")), "{left:?}");
    assert_eq!(bench.names("."), ["output", "pending"]);
    assert!(elsewhere.path().join("map-00000.a1").symlink_metadata().is_ok(), "links are not followed");
}

#[test]
fn a_removal_that_died_half_way_is_completed_by_another() {
    // In the order in which they go.
    let folders = ["log", "output", "shuffle", "workers", "expired", "failed", "done", "claimed", "pending", "phase"];
    for half_way in 1..=folders.len() {
        let bench = Bench::finished();
        for folder in &folders[..half_way] {
            std::fs::remove_dir_all(bench.path(folder)).expect("removed");
        }
        let job = bench.job();
        assert!(clean::refuse_running(&job).is_ok(), "{half_way}");
        let swept = clean::remove_all(&job).expect("removed");
        assert!(swept.left.is_empty() && bench.root().symlink_metadata().is_err(), "{half_way}: {:?}", swept.left);
    }
    let bench = Bench::finished();
    std::fs::remove_dir_all(bench.path("phase")).expect("removed");
    assert!(clean::remove_data(&bench.job()).expect_err("half removed").to_string().contains("not ended"));
}

#[test]
fn what_may_be_another_jobs_stays_in_a_shared_output_folder() {
    let shared = tempfile::tempdir().expect("a temporary directory");
    let attempts = shared.path().join(".attempts");
    std::fs::create_dir(&attempts).expect("made");
    let names = || {
        let entries = std::fs::read_dir(&attempts).expect("listed").map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    };
    let mine = ["reduce-00000.a1@node7.4121.k3f", "reduce-00001.a1@node7.4121.k3f"];
    let others = [".tmp-k3f-0", "reduce-00000.a1@node7.4121.zzz"];
    let put = || mine.iter().chain(&others).for_each(|name| std::fs::write(attempts.join(name), "bytes").expect("written"));
    let job_of = |bench: &Bench| {
        std::fs::remove_dir_all(bench.path("output/.attempts")).expect("removed");
        let mut job = bench.job();
        job.spec.ask.output = shared.path().display().to_string();
        job
    };
    let bench = Bench::finished();
    let job = job_of(&bench);
    put();
    let swept = clean::remove_data(&job).expect("cleaned");
    assert_eq!((names(), swept.spared, swept.left.len()), (others.map(str::to_owned).to_vec(), 2, 0), "its outputs do not lie there");
    for output in ["mr-out-00000", "mr-out-00001"] {
        std::fs::copy(bench.path("output").join(output), shared.path().join(output)).expect("copied");
    }
    put();
    let swept = clean::remove_all(&job).expect("removed");
    assert_eq!((names(), swept.spared), (vec![others[1].to_owned()], 1), "no draft there becomes an output any more");
    assert!(bench.path("output").symlink_metadata().is_err() && swept.left.is_empty(), "{:?}", swept.left);
    std::fs::remove_file(attempts.join(others[1])).expect("removed");
    clean::remove_all(&job_of(&Bench::failed())).expect("removed");
    assert!(attempts.is_dir(), "a job that did not finish there leaves the folder to others");
    clean::remove_all(&job_of(&Bench::finished())).expect("removed");
    assert!(!attempts.is_dir(), "one that did takes it away");
}

#[test]
fn a_job_that_runs_is_not_removed() {
    let bench = Bench::planned();
    let error = clean::refuse_running(&bench.job()).map(drop).expect_err("a worker is there").to_string();
    assert!(error.contains("worker node7.4121.k3f"), "{error}");
    std::fs::write(bench.path("coordinator.lock"), "").expect("written");
    let disk = bench.job().disk;
    let lead = disk.open("coordinator.lock").expect("opened");
    let _held = lead.try_lock();
    let error = clean::refuse_running(&bench.job()).map(drop).expect_err("a coordinator leads").to_string();
    assert!(error.contains("coordinator"), "{error}");
    assert!(clean::refuse_running(&Bench::finished().job()).is_ok());
}

#[test]
fn a_folder_of_the_job_that_cannot_be_listed_is_named() {
    let bench = Bench::planned();
    let done = bench.root().join("done");
    std::fs::remove_dir_all(&done).expect("removed");
    std::fs::write(&done, b"in its place").expect("written");
    let job = bench.job();
    let error = status::look(&*job.disk, &job.root, &job.spec, job.shape().expect("a shape")).expect_err("it is no folder").to_string();
    assert!(error.contains("cannot list the job") && error.contains("its folder done: "), "{error}");
}
