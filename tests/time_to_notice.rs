//! How long a death goes unnoticed: the only tests that claim something about time. It is read off the stamps of the file system, so that a busy
//! machine, which delays these tests, changes little in what they claim of flockwork. What it does change is only ever later: so the least of a few rounds is what
//! flockwork takes, and none may be too early.

use rustix::process::Signal;

use super::common::{Farm, changed};
use super::stragglers::dawdle;

/// Rounds, at most: on a machine that has nothing else to do the first is enough.
const ROUNDS: usize = 6;

/// A job of one map that lasts, a coordinator and a worker; gives the map's claim.
fn claimed(farm: &Farm, options: &[&str]) -> String {
    farm.write("in", "word\n");
    farm.shut();
    let submit = ["submit", "dawdle", "in", "--job", "job", "-r", "1", "-o", "ms=0", "-o", "gate=gate"];
    farm.start_as(dawdle(), &[&submit, options].concat()).ends_with(0);
    farm.start(&["coordinator", "job"]);
    farm.start_as(dawdle(), &["worker", "job", "--slots", "1"]);
    farm.wait_for_calls(1); // It is in the app's hands.
    farm.wait_for_name("job/claimed", "map-00000.a1@")
}

/// Plays rounds until one takes at most so long; what a round gives is how long the two steps took.
fn comes_within(seconds: f64, mut round: impl FnMut() -> (f64, f64)) {
    let mut seen = Vec::new();
    while seen.len() < ROUNDS {
        let (expired, issued) = round();
        if expired < seconds && issued < seconds {
            return;
        }
        seen.push((expired, issued));
    }
    panic!("taken back and issued again later than {seconds} s, every time: {seen:.2?}");
}

/// When the task's second attempt was issued, whatever became of it since.
fn second_issued(farm: &Farm) -> f64 {
    farm.wait_for("the second attempt is issued", || {
        ["pending", "claimed", "done"].into_iter().find_map(|state| {
            let name = farm.names(&format!("job/{state}")).into_iter().find(|name| name.starts_with("map-00000.a2"))?;
            // A rename may come in between: then look again.
            let bytes = std::fs::read(farm.path(&format!("job/{state}/{name}"))).ok()?;
            Some(bytes).filter(|bytes| !bytes.is_empty())
        })
    });
    farm.now()
}

#[test]
fn a_silent_claim_is_issued_again_ten_to_twelve_seconds_after_its_last_heartbeat() {
    comes_within(12.0, || {
        let farm = Farm::new();
        let claim = claimed(&farm, &[]);
        let path = farm.path(&format!("job/claimed/{claim}"));
        assert!(farm.signal_slot(&claim, Signal::STOP), "the slot lives");
        let last_beat = changed(&path);
        let issued = second_issued(&farm);
        let expired = changed(&farm.path(&format!("job/expired/{claim}")));
        assert!(expired - last_beat >= 10.0, "taken back too early, after {:.2} s", expired - last_beat);
        (expired - last_beat, issued - last_beat)
    });
}

#[test]
fn a_killed_slot_on_the_coordinators_host_is_noticed_within_a_second() {
    comes_within(1.0, || {
        let farm = Farm::new();
        let claim = claimed(&farm, &[]);
        // The coordinator must have found its lock taken once.
        std::thread::sleep(std::time::Duration::from_millis(700));
        let died = farm.now();
        assert!(farm.signal_slot(&claim, Signal::KILL), "the slot lives");
        let issued = second_issued(&farm);
        let expired = changed(&farm.path(&format!("job/expired/{claim}")));
        (expired - died, issued - died)
    });
}

#[test]
fn a_silent_claim_is_taken_back_though_somebody_removed_the_coordinators_lock() {
    let farm = Farm::new();
    let claim = claimed(&farm, &["--lease", "1s"]);
    std::fs::remove_file(farm.path("job/coordinator.lock")).expect("the lock is there");
    assert!(farm.signal_slot(&claim, Signal::STOP), "the slot lives");
    second_issued(&farm);
    assert!(farm.has("job/coordinator.lock"), "it is made anew");
}
