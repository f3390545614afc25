//! How long a death goes unnoticed: the only tests that claim something about time. It is read off the stamps of the file system, so that a busy
//! machine, which delays these tests, changes nothing in what they claim of flockwork.

use rustix::process::Signal;

use super::common::{Farm, changed};

/// A job of one map of two to five seconds under the default lease, a coordinator and a worker; gives the map's claim.
fn claimed(farm: &Farm) -> String {
    farm.write("in", "word\n");
    farm.ok(&["submit", "jobcount", "in", "--job", "job", "-r", "1"]);
    farm.start(&["coordinator", "job"]);
    farm.start(&["worker", "job", "--slots", "1"]);
    farm.wait_for_names("job/markers", 1); // It is in the app's hands.
    farm.wait_for_name("job/claimed", "map-00000.a1@")
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
    let farm = Farm::new();
    let claim = claimed(&farm);
    let path = farm.path(&format!("job/claimed/{claim}"));
    assert!(farm.signal_slot(&claim, Signal::STOP), "the slot lives");
    let last_beat = changed(&path);
    let issued = second_issued(&farm);
    let expired = changed(&farm.path(&format!("job/expired/{claim}")));
    assert!((10.0..12.0).contains(&(expired - last_beat)), "taken back after {:.2} s", expired - last_beat);
    assert!(issued - last_beat < 12.0, "issued again after {:.2} s", issued - last_beat);
}

#[test]
fn a_killed_slot_on_the_coordinators_host_is_noticed_within_a_second() {
    let farm = Farm::new();
    let claim = claimed(&farm);
    // The coordinator must have found its lock taken once.
    std::thread::sleep(std::time::Duration::from_millis(700));
    let died = farm.now();
    assert!(farm.signal_slot(&claim, Signal::KILL), "the slot lives");
    let issued = second_issued(&farm);
    let expired = changed(&farm.path(&format!("job/expired/{claim}")));
    assert!(expired - died < 1.0, "taken back after {:.2} s", expired - died);
    assert!(issued - died < 1.0, "issued again after {:.2} s", issued - died);
}
