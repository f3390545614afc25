//! The mounts that are not to be had here: their figures, and what must be said of them.

use std::path::Path;
use std::time::Duration;

use super::facts::{Alone, Facts, Locks, Mount, Over, Owner, Pair, Peer, Race, Rate, Rates, Room, Sight, Touch};
use super::report::Report;
use super::verdict::{Finding, Verdict, findings};

fn good_race() -> Race {
    Race { names: 100, one_winner: 100, ..Race::default() }
}

fn good_sight() -> Sight {
    Sight { sure_ms: Some(9.0), plain_ms: Some(12.0), bursts: 12, beat_forced_ms: 20.0, beat_plain_ms: 3800.0, ..Sight::default() }
}

fn facts() -> Facts {
    let rate = Rate { n: 400, per_second: 500.0, p50_us: 2000, p99_us: 9000 };
    Facts {
        mount: Mount {
            kind: "nfs4".to_owned(),
            options: vec!["vers=4.2".to_owned(), "hard".to_owned()],
            is_network: true,
            ..Mount::default()
        },
        alone: Alone {
            rename: good_race(),
            over: Over { renames: 400, opens: 9000, ..Over::default() },
            link: good_race(),
            exclusive: good_race(),
            locks: Locks::Exclude,
            touch: Touch { grain_us: Some(4000), ..Touch::default() },
            long_name_refused: None,
            folds_case: false,
            owner: Owner { of_file: 1000, of_process: 1000 },
            rates: Rates { publish: rate, rename: rate, touch: rate, look: rate, list: rate },
            room: Room { bytes_free: 1 << 40, bytes: 1 << 41, files_free: 1 << 20, files: 1 << 21 },
            leftovers: Vec::new(),
        },
        pair: None,
        peer_lost: None,
    }
}

fn with_peer() -> Facts {
    let facts = facts();
    let peer = Peer {
        host: "node8".to_owned(),
        boot: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mount: facts.mount.clone(),
        offset_ms: 0.0,
    };
    let pair = Pair {
        peer,
        same_machine: false,
        rename: good_race(),
        link: good_race(),
        locks: Locks::Exclude,
        here: good_sight(),
        there: good_sight(),
    };
    Facts { pair: Some(pair), ..facts }
}

/// Facts with one thing changed, and the first finding of this name.
fn found(change: impl FnOnce(&mut Facts), name: &str) -> Finding {
    let mut facts = with_peer();
    change(&mut facts);
    findings(&facts).into_iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("no finding {name}"))
}

fn pair(facts: &mut Facts) -> &mut Pair {
    facts.pair.as_mut().expect("with a peer")
}

#[test]
fn a_good_mount_has_nothing_to_be_careful_about() {
    for facts in [facts(), with_peer()] {
        let bad: Vec<_> =
            findings(&facts).into_iter().filter(|finding| !matches!(finding.verdict, Verdict::Good | Verdict::Note)).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

#[test]
fn names_won_twice_or_by_nobody_end_it() {
    for (name, change) in [
        ("rename", (|facts: &mut Facts| facts.alone.rename = Race::of(2, [0, 1, 1])) as fn(&mut Facts)),
        ("link", |facts| facts.alone.link = Race::refused("Operation not permitted (os error 1)")),
        ("rename between", |facts| pair(facts).rename = Race::of(2, [0])),
        ("link between", |facts| pair(facts).link = Race::of(2, [0, 0, 1])),
    ] {
        let finding = found(change, name);
        assert_eq!(finding.verdict, Verdict::Impossible, "{finding:?}");
        assert!(finding.advice.is_some(), "{name} says what to do");
    }
}

#[test]
fn a_name_that_is_away_while_it_is_renamed_over_ends_it() {
    let finding = found(|facts| facts.alone.over.missing = 3, "rename over");
    assert_eq!(finding.verdict, Verdict::Impossible);
    assert!(finding.measured.contains("3 of 9000 opens"), "{}", finding.measured);
    assert_eq!(found(|facts| facts.alone.over.refused = Some("EEXIST".to_owned()), "rename over").verdict, Verdict::Impossible);
}

#[test]
fn touches_that_are_refused_end_it() {
    assert_eq!(found(|facts| facts.alone.touch.refused = Some("EPERM".to_owned()), "touch").verdict, Verdict::Impossible);
    assert_eq!(found(|facts| facts.alone.touch.grain_us = None, "touch").verdict, Verdict::Careful);
}

#[test]
fn locks_make_it_slower_and_never_impossible() {
    let local = found(|facts| pair(facts).locks = Locks::DoNotExclude, "locks");
    assert_eq!(local.verdict, Verdict::Slower);
    assert!(local.measured.contains("local only") && local.relies.contains("10-13 s"), "{local:?}");
    assert!(local.advice.is_some_and(|advice| advice.contains("nolock")));
    for locks in [Locks::Missing, Locks::Stuck] {
        let none = found(|facts| pair(facts).locks = locks, "locks");
        assert_eq!(none.verdict, Verdict::Slower);
        assert!(none.relies.starts_with("leases only"), "{none:?}");
    }
    assert!(found(|_| {}, "locks").relies.contains("about 4 s"));
    let alone = found(
        |facts| {
            facts.pair = None;
            facts.mount.options.push("nolock".to_owned());
        },
        "locks",
    );
    assert_eq!(alone.verdict, Verdict::Slower, "the option tells it without a second machine: {alone:?}");
}

#[test]
fn late_listings_are_slower_and_late_touched_listings_want_care() {
    assert_eq!(found(|facts| pair(facts).here.plain_ms = None, "listing").verdict, Verdict::Slower);
    let blind = found(|facts| pair(facts).here.sure_ms = Some(2500.0), "listing");
    assert_eq!(blind.verdict, Verdict::Careful);
    assert!(blind.measured.contains("2.5 s"), "{}", blind.measured);
    assert_eq!(found(|facts| pair(facts).here.stat_ms = None, "listing").verdict, Verdict::Good, "nobody asks for names");
    let wrong = found(|facts| pair(facts).here.wrong_plain = 5, "bursts");
    assert_eq!(wrong.verdict, Verdict::Slower);
    assert!(wrong.advice.is_some_and(|advice| advice.contains("vers=4.2")));
    assert_eq!(found(|facts| pair(facts).here.wrong_sure = 1, "bursts").verdict, Verdict::Careful);
}

#[test]
fn a_late_heartbeat_asks_for_a_longer_lease() {
    assert_eq!(found(|facts| pair(facts).here.beat_plain_ms = 60_000.0, "heartbeat").verdict, Verdict::Good, "nobody looks so");
    let late = found(|facts| pair(facts).here.beat_forced_ms = 4600.0, "heartbeat");
    assert_eq!(late.verdict, Verdict::Careful);
    assert!(late.advice.is_some_and(|advice| advice.contains("--lease 14s")));
}

#[test]
fn mapped_users_little_room_and_slow_flushes_are_told() {
    assert_eq!(found(|facts| facts.alone.owner.of_file = 65534, "owner").verdict, Verdict::Careful);
    assert_eq!(found(|facts| facts.alone.room.files_free = 7, "room").verdict, Verdict::Careful);
    let uncounted = |facts: &mut Facts| (facts.alone.room.files, facts.alone.room.files_free) = (0, 0);
    assert_eq!(found(uncounted, "room").verdict, Verdict::Good, "btrfs counts no files");
    let slow = found(|facts| facts.alone.rates.publish.p50_us = 50_000, "publish");
    assert_eq!(slow.verdict, Verdict::Slower);
    assert!(slow.advice.is_some_and(|advice| advice.contains("5 s")));
}

#[test]
fn the_report_says_no_only_where_flockwork_cannot_work() {
    let mut facts = with_peer();
    pair(&mut facts).locks = Locks::Missing;
    pair(&mut facts).here = Sight::default();
    let report = |facts: &Facts| Report::new(Path::new("/mnt/share"), facts.clone(), Duration::from_secs(9));
    let poor = report(&facts);
    assert!(poor.can_run(), "{}", poor.text());
    assert!(poor.text().contains("flockwork works here; slower for"), "{}", poor.text());
    facts.alone.link = Race::refused("Operation not permitted (os error 1)");
    let bad = report(&facts);
    assert!(!bad.can_run());
    assert!(bad.text().contains("cannot work    link: refused: Operation not permitted"), "{}", bad.text());
    let json: serde_json::Value = serde_json::from_str(&bad.json()).expect("JSON");
    assert_eq!((&json["can_run"], &json["peer"]), (&false.into(), &"node8".into()));
    assert_eq!(json["figures"]["alone"]["link"]["refused"], "Operation not permitted (os error 1)");
}

#[test]
fn two_doctors_on_one_machine_prove_nothing_about_two() {
    assert_eq!(found(|facts| pair(facts).same_machine = true, "second machine").verdict, Verdict::Careful);
    assert_eq!(found(|facts| facts.peer_lost = Some("it went".to_owned()), "second machine").verdict, Verdict::Careful);
    assert!(!findings(&with_peer()).iter().any(|finding| finding.name == "second machine"));
}
