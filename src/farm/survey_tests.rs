//! The survey, on folders that look like jobs.

use super::*;

fn make(root: &Path, name: &str, ended: bool) {
    let job = root.join(name);
    std::fs::create_dir_all(job.join("phase")).expect("made");
    std::fs::write(job.join(JOB_JSON), "{}").expect("written");
    if ended {
        std::fs::write(job.join("phase/end"), "").expect("written");
        std::fs::write(job.join("phase/failed"), "").expect("written");
    }
}

/// Takes every job for one that is served, unless it is called so that it cannot be.
fn survey(root: &Path) -> Survey {
    let spec = r#"{"format":1,"id":"x","submitted":"then","cwd":"/","app":"wc","options":{},"inputs":["in"],"reduces":10,"split_bytes":1,
        "split_lines":null,"shuffle":"run","lease_ms":10000,"max_errors":4,"max_lost":16,"stall_ms":600000,"output":"output"}"#;
    let check = move |root: &Path| match root.ends_with("poisoned") {
        true => Err(Error::new(ErrorKind::Damaged, "cannot understand").on(root)),
        false => Ok(spec::parse(spec.as_bytes(), root).expect("a spec")),
    };
    Survey::new(root, Box::new(check))
}

fn open(survey: &Survey) -> Vec<&str> {
    survey.jobs().map(|(name, _)| name).collect()
}

#[test]
fn jobs_are_found_as_they_come_and_one_that_cannot_be_served_is_said_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut survey = survey(dir.path());
    assert_eq!(survey.look().expect("a look"), Found::Farm);
    assert_eq!(open(&survey), [""; 0]);
    for name in ["a", "poisoned"] {
        make(dir.path(), name, false);
    }
    make(dir.path(), "old", true);
    std::fs::create_dir(dir.path().join("inputs")).expect("made");
    let mut news = Vec::new();
    for _ in 0..30 {
        survey.look().expect("a look");
        news.extend(survey.news());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((open(&survey), survey.refused()), (vec!["a"], 1));
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(news[0].contains("poisoned"), "{news:?}");
    std::fs::remove_dir_all(dir.path().join("a")).expect("removed");
    survey.look().expect("a look");
    assert_eq!(open(&survey), [""; 0]);
}

#[test]
fn a_retried_job_is_found_at_once_where_the_folder_is_touched_and_in_time_where_not() {
    let dir = tempfile::tempdir().expect("a folder");
    for n in 0..20 {
        make(dir.path(), &format!("job-{n:02}"), true);
    }
    let mut survey = survey(dir.path());
    let retry = |name: &str| std::fs::remove_file(dir.path().join(name).join("phase/end")).expect("removed");
    survey.look().expect("a look");
    assert_eq!(open(&survey), [""; 0]);
    retry("job-13");
    RealDisk::at(dir.path()).touch(".").expect("touched");
    survey.look().expect("a look");
    assert_eq!(open(&survey), ["job-13"]);
    retry("job-19");
    (0..20).for_each(|_| _ = survey.look().expect("a look"));
    assert_eq!(open(&survey), ["job-13", "job-19"], "by turns");
}

#[test]
fn an_ended_job_is_not_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "a", false);
    let mut survey = survey(dir.path());
    survey.look().expect("a look");
    survey.has_ended("a");
    assert_eq!(open(&survey), [""; 0]);
    survey.forget("a");
    survey.look().expect("a look");
    assert_eq!(open(&survey), ["a"], "forgotten, it is looked at anew");
}

#[test]
fn a_farm_that_becomes_a_job_or_goes_away_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let farm = dir.path().join("farm");
    std::fs::create_dir(&farm).expect("made");
    let mut survey = survey(&farm);
    assert_eq!(survey.look().expect("a look"), Found::Farm);
    std::fs::write(farm.join(JOB_JSON), "{}").expect("written");
    assert_eq!(survey.look().expect("a look"), Found::Job);
    std::fs::remove_dir_all(&farm).expect("removed");
    assert_eq!(survey.look().expect("a look"), Found::Gone);
}
