//! What the disk refuses a coordinator before it leads and after its last round.

use std::io::ErrorKind as Kind;

use super::*;
use crate::ErrorKind;
use crate::disk::sim::op::Op;
use crate::disk::sim::run::{SimDisk, What};
use crate::disk::sim::state::DiskState;
use crate::job::layout::{DIRS, JOB_JSON};
use crate::job::log::Log;
use crate::job::spec::{Ask, Spec};

fn coordinator(sim: &Arc<SimDisk>) -> Coordinator {
    let spec = Spec { format: 1, id: "x".to_owned(), submitted: String::new(), cwd: String::new(), ask: Ask::plain("wc") };
    let disk: Arc<dyn Disk> = Arc::new(sim.client("c"));
    let name: WorkerName = "c.1.x".parse().expect("a name");
    let log = Log::open(&*disk, &name);
    Coordinator::new(disk, "/job".into(), name, spec, 1, log)
}

fn job() -> Arc<SimDisk> {
    SimDisk::holding(DIRS.into_iter().fold(DiskState::new(), DiskState::with_dir).with_file(JOB_JSON, b""))
}

fn refuse(sim: &SimDisk, times: u64, kind: Kind, matches: fn(&Op) -> bool) {
    sim.inject(times, move |_, op| matches(op), What::Fail(kind));
}

/// Stands by until it may lead; gives the troubles that were told. `begins` is called when it stands by, and is dropped when it is refused.
fn stands_by(sim: &Arc<SimDisk>, begins: impl Fn()) -> Result<(Option<Office>, Vec<String>)> {
    let (mut told, mut begins) = (Vec::new(), Some(begins));
    let coordinator = coordinator(sim);
    let mut tell = |news: News<'_>| match news {
        News::Trouble(error) => {
            begins = None;
            told.push(error.to_string());
        }
        _ => begins.iter().for_each(|begins| begins()),
    };
    let mut duty = Duty { stop: &AtomicBool::new(false), tell: &mut tell, trouble: Trouble::default() };
    let office = stand_by(&coordinator, Proof::LockOrSilence, &mut duty)?;
    Ok((office, told))
}

fn opens_the_lock(op: &Op) -> bool {
    matches!(op, Op::Open { path } if path == COORDINATOR_LOCK)
}

fn logged(sim: &SimDisk) -> String {
    String::from_utf8_lossy(sim.state().bytes("log/c.1.x.jsonl").expect("a log")).into_owned()
}

#[test]
fn a_standby_that_is_refused_waits_and_leads_when_it_may() {
    let sim = job();
    let leader = sim.client("leader");
    let (hold, _) = open_lock(&leader).expect("opened");
    assert_eq!(hold.try_lock(), Lock::Taken);
    let refused = Arc::clone(&sim);
    let begins = move || {
        let _leads = &hold;
        refuse(&refused, 2, Kind::PermissionDenied, opens_the_lock);
    };
    let (office, told) = stands_by(&sim, begins).expect("that passes");
    assert!(office.is_some_and(|office| office.locked));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|text| text.contains("cannot open /job/coordinator.lock: permission denied")), "{told:?}");
    assert_eq!(logged(&sim).matches("\"trouble\"").count(), 1, "once: {}", logged(&sim));
}

#[test]
fn a_coordinator_that_is_refused_as_it_begins_says_so_and_ends() {
    let sim = job();
    refuse(&sim, 1, Kind::PermissionDenied, opens_the_lock);
    let error = stands_by(&sim, || ()).map(|_| ()).expect_err("somebody is there to read it");
    assert_eq!(error.io_kind(), Some(Kind::PermissionDenied), "{error}");
}

#[test]
fn a_lock_that_goes_away_between_two_calls_is_made_anew() {
    let sim = job();
    refuse(&sim, 1, Kind::NotFound, |op| matches!(op, Op::Look { path } if path == COORDINATOR_LOCK));
    let (office, _) = stands_by(&sim, || ()).expect("it is made anew");
    assert!(office.is_some());
}

#[test]
fn a_standby_of_a_job_that_is_gone_ends() {
    let sim = job();
    sim.inject(u64::MAX, |_, _| true, What::Fail(Kind::NotFound));
    assert_eq!(stands_by(&sim, || ()).map(|_| ()).expect_err("gone").kind(), ErrorKind::Vanished);
}

#[test]
fn an_end_that_cannot_be_read_at_once_is_read_later() {
    let sim = job();
    let mut told = 0;
    refuse(&sim, 2, Kind::PermissionDenied, |op| matches!(op, Op::Read { path, .. } if path == layout::PHASE_END));
    let mut tell = |_: News<'_>| told += 1;
    let mut duty = Duty { stop: &AtomicBool::new(false), tell: &mut tell, trouble: Trouble::default() };
    let led = read_end(&coordinator(&sim), &mut duty).expect("that passes");
    assert!(matches!(led, Led::TakenBack), "there is none after all: somebody has taken it back");
    assert_eq!(told, 2);
}

#[test]
fn trouble_is_left_in_the_log_once_and_is_over_when_none_was_met_for_a_while() {
    let sim = job();
    let coordinator = coordinator(&sim);
    let mut trouble = Trouble::default();
    let full = |n: u32| Error::io("cannot write", format!("/job/phase/.tmp-{n}"), std::io::Error::from(Kind::StorageFull));
    for n in 0..5 {
        trouble.is_met(&coordinator, &full(n), &mut |_| {});
        trouble.may_be_over(&coordinator);
        sim.advance(Duration::from_secs(1));
    }
    let events = || logged(&sim).lines().map(|line| line.split('"').nth(7).expect("an event").to_owned()).collect::<Vec<_>>();
    assert_eq!(events(), ["trouble"]);
    sim.advance(Duration::from_secs(10));
    trouble.may_be_over(&coordinator);
    trouble.may_be_over(&coordinator);
    assert_eq!(events(), ["trouble", "well"]);
    trouble.is_met(&coordinator, &full(9), &mut |_| {});
    assert_eq!(events(), ["trouble", "well", "trouble"]);
}

#[test]
fn of_the_troubles_of_many_tasks_one_in_half_a_minute_is_left_in_the_log() {
    let sim = job();
    let coordinator = coordinator(&sim);
    let mut trouble = Trouble::default();
    for n in 0..60 {
        let error = Error::io("cannot issue", format!("/job/pending/map-{n:05}.a1"), std::io::Error::from(Kind::PermissionDenied));
        trouble.is_met(&coordinator, &error, &mut |_| {});
        sim.advance(Duration::from_secs(1));
    }
    assert_eq!(logged(&sim).matches("\"trouble\"").count(), 2, "{}", logged(&sim));
}

#[test]
fn a_coordinator_does_nothing_in_another_job_that_lies_in_the_place_of_its_own() {
    let sim = job();
    let mut coordinator = coordinator(&sim);
    let (user, asked) = (sim.client("user"), coordinator.spec.clone());
    let put = |id: &str| {
        let _ = user.remove(JOB_JSON);
        let spec = Spec { id: id.to_owned(), ..asked.clone() };
        let _ = create::create_once(&user, JOB_JSON, &serde_json::to_vec(&spec).expect("written")).expect("put");
    };
    let _ = create::create_once(&user, layout::PHASE_MAP, b"").expect("a plan");
    put("x");
    coordinator.expect_this_job();
    let watched = Watched::default();
    coordinator.tick(&watched).expect("its own job");
    assert!(sim.has("pending/map-00000.a1"));
    for replaced in [true, false] {
        let _ = user.remove("pending/map-00000.a1"); // So that there is something to be done.
        if replaced {
            put("y")
        } else {
            user.remove(JOB_JSON).expect("removed")
        }
        let error = coordinator.tick(&watched).expect_err("not its job");
        assert_eq!(error.kind(), ErrorKind::Vanished, "{error}");
        assert!(!sim.has("pending/map-00000.a1"), "replaced: {replaced}");
    }
    put("x");
    coordinator.tick(&watched).expect("its own job again, copied back by somebody");
    assert!(sim.has("pending/map-00000.a1"));
}
