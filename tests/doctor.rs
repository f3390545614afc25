//! The doctor on a local disk: alone, with a second one, and where it cannot work.

use super::common::Farm;
use rustix::process::Signal;

fn report(stdout: &[u8]) -> serde_json::Value {
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(stdout)))
}

/// The verdict of the first finding of this name.
fn verdict<'a>(report: &'a serde_json::Value, name: &str) -> &'a str {
    let findings = report["findings"].as_array().expect("findings");
    let found = findings.iter().find(|finding| finding["name"] == name).unwrap_or_else(|| panic!("no finding {name}: {report:#}"));
    found["verdict"].as_str().expect("a word")
}

/// What is left of doctors in `folder`.
fn left(farm: &Farm, folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(farm.path(folder)).expect("listed").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(|name| name.starts_with(".flockwork")).collect()
}

#[test]
fn alone_on_a_local_disk_it_finds_that_flockwork_works_and_leaves_nothing() {
    let farm = Farm::new();
    farm.write("share/mine", "stays");
    let text = String::from_utf8(farm.ok(&["doctor", "share"]).stdout()).expect("UTF-8");
    for part in ["share examined by", "good           rename: 100 names", "locks: exclude each other", "flockwork works here", "--peer"] {
        assert!(text.contains(part), "it says {part:?}: {text}");
    }
    assert!(!text.contains("cannot work"), "{text}");
    assert_eq!(left(&farm, "share"), [""; 0]);
    assert_eq!(farm.names("share"), ["mine"]);
}

/// What is new is seen soon by both: on a busy machine not in every examination.
fn is_fresh(report: &serde_json::Value) -> bool {
    let pair = &report["figures"]["pair"];
    let soon = |sight: &serde_json::Value| sight["plain_ms"].as_f64().is_some_and(|ms| ms < 3000.0) && sight["stat_ms"].is_number();
    let sights = [&pair["here"], &pair["there"]];
    sights.into_iter().all(|sight| soon(sight) && sight["notified"] == true)
}

#[test]
fn two_doctors_examine_a_folder_together() {
    let farm = Farm::new();
    farm.write("share/mine", "stays");
    let mut reports = Vec::new();
    while reports.len() < 5 && !reports.last().is_some_and(is_fresh) {
        reports.push(together(&farm));
    }
    assert!(reports.last().is_some_and(is_fresh), "listings, looks and events of a local disk are fresh: {reports:#?}");
}

/// One examination by two doctors.
fn together(farm: &Farm) -> serde_json::Value {
    let peer = farm.start(&["doctor", "share", "--peer"]);
    farm.wait_for("the peer waits", || peer.stderr().contains("waiting for `flockwork doctor share`").then_some(()));
    let first = farm.ok(&["doctor", "share", "--json", "--wait", "120s"]);
    peer.ends_with(0);
    let report = report(&first.stdout());
    assert_eq!(report["version"], 1);
    assert_eq!(report["can_run"], true, "{report:#}");
    for name in ["rename between", "link between", "locks", "bursts", "bursts there"] {
        assert_eq!(verdict(&report, name), "good", "{report:#}");
    }
    let pair = &report["figures"]["pair"];
    assert_eq!(pair["same_machine"], true, "it is told that nothing was proved across machines");
    assert_eq!(verdict(&report, "second machine"), "careful");
    assert_eq!(pair["rename"]["one_winner"], 200);
    for sight in ["here", "there"] {
        let sight = &pair[sight];
        assert_eq!((sight["wrong_plain"].as_u64(), sight["wrong_sure"].as_u64()), (Some(0), Some(0)), "{sight}");
    }
    assert_eq!(left(farm, "share"), [""; 0]);
    report
}

#[test]
fn what_cannot_be_examined_is_said_with_what_to_do() {
    let farm = Farm::new();
    farm.write("file", "text");
    farm.run(&["doctor", "nowhere"]).fails_saying(1, &["cannot examine nowhere: there is no such folder", "findmnt"]);
    farm.run(&["doctor", "file"]).fails_saying(1, &["cannot examine file: it is no folder"]);
    farm.run(&["doctor", "nowhere", "--peer"]).fails_saying(1, &["there is no such folder"]);
    std::fs::create_dir(farm.path("quiet")).expect("made");
    let alone = farm.run(&["doctor", "quiet", "--peer", "--wait", "1s"]);
    alone.fails_saying(1, &["waited 1 s for a doctor on another machine in quiet", "start `flockwork doctor quiet` there"]);
    assert_eq!(left(&farm, "quiet"), [""; 0]);
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    let farm = Farm::new();
    let words = ["cannot make a folder in locked", "ermission denied", "check the owner and the permissions"];
    farm.write("locked/file", "text");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(farm.path("locked"), std::fs::Permissions::from_mode(0o555)).expect("locked");
    super::bad_input::run_bound_by_permissions(&farm, &["doctor", "locked"], 1, &words);
}

#[test]
fn an_interrupted_doctor_cleans_up() {
    let farm = Farm::new();
    farm.write("share/mine", "stays");
    let doctor = farm.start(&["doctor", "share", "--wait", "60s"]);
    // And knows of it: what it puts in comes afterwards.
    let has_begun = || left(&farm, "share").iter().any(|name| !farm.names(&format!("share/{name}")).is_empty());
    farm.wait_for("it has its folder", || has_begun().then_some(()));
    doctor.signal(Signal::INT);
    doctor.ends_with(130);
    assert_eq!(left(&farm, "share"), [""; 0]);
}

#[test]
fn a_lost_second_doctor_is_told_and_what_a_killed_one_left_is_named() {
    let farm = Farm::new();
    farm.write("share/mine", "stays");
    let killed = farm.start(&["doctor", "share", "--wait", "60s"]);
    farm.wait_for("it has its folder", || killed.stderr().contains("waiting for").then_some(()));
    killed.kill_alone();
    let names = left(&farm, "share");
    assert_eq!(names.len(), 1, "a killed one cannot clean up: {names:?}");
    let report = report(&farm.ok(&["doctor", "share", "--json", "--wait", "1s"]).stdout());
    assert_eq!(report["figures"]["alone"]["leftovers"], serde_json::json!(names));
    assert_eq!(report["can_run"], true, "nobody came, and it works all the same");
    assert_eq!(verdict(&report, "second machine"), "careful");
    assert_eq!(left(&farm, "share"), names, "what others left is not removed");
}
