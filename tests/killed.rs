//! Slots and coordinators killed, stopped and doubled: the job ends all the same, with the same bytes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;

use super::common::{Farm, Program, changed, pid_of, worker_of};
use super::stragglers::dawdle;

/// About 200 map tasks of the eight books, and 10 reduces.
const MANY: [&str; 8] = ["submit", "wc", "books", "--job", "job", "--split-lines", "62", "--max-lost=1000"];
const SHORT_LEASE: &str = "--lease=1s";
/// Three leases of this are longer than any test waits: what happens in time happens by a lock.
const LONG_LEASE: &str = "--lease=30m";

fn coordinator(farm: &Farm) -> Rc<Program> {
    farm.start(&["coordinator", "job"])
}

fn worker(farm: &Farm) -> Rc<Program> {
    farm.start_as(dawdle(), &["worker", "job", "--slots", "1", "--quiet"])
}

fn worker_for_books(farm: &Farm) -> Rc<Program> {
    farm.start(&["worker", "job", "--slots", "1", "--quiet"])
}

/// A farm with the job [`MANY`], on which nobody works yet, and its outputs as they must be.
fn many(lease: &str) -> (Farm, Vec<u8>) {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    farm.ok(&[&MANY[..], &[lease]].concat());
    (farm, oracle)
}

/// A job of one map, in which it is now, behind a shut gate.
struct MidMap {
    farm: Farm,
    leader: Rc<Program>,
    worker: Rc<Program>,
    claim: String,
}

fn mid_map(options: &[&str]) -> MidMap {
    let farm = Farm::new();
    farm.write("in", "word\n");
    farm.shut();
    let submit = ["submit", "dawdle", "in", "--job", "job", "-r", "1", "-o", "ms=0", "-o", "gate=gate"];
    farm.start_as(dawdle(), &[&submit, options].concat()).ends_with(0);
    let (leader, worker) = (coordinator(&farm), worker(&farm));
    let claim = farm.wait_for_name("job/claimed", "map-00000.a1@");
    farm.wait_for_calls(1);
    MidMap { farm, leader, worker, claim }
}

fn leads(coordinator: &Program) -> bool {
    coordinator.stderr().contains("leading the job")
}

/// The first coordinator, once it leads.
fn leading(farm: &Farm) -> Rc<Program> {
    let first = coordinator(farm);
    farm.wait_for("the first leads", || leads(&first).then_some(()));
    first
}

fn all_end_well(programs: &[Rc<Program>]) {
    programs.iter().for_each(|program| program.ends_with(0));
}

/// The job has ended with these bytes, and all these programs with it.
fn ended_well(farm: &Farm, oracle: &[u8], programs: &[Rc<Program>]) {
    farm.finished_with("job", oracle);
    farm.ok(&["verify", "job"]);
    all_end_well(programs);
}

/// What the logs say of an attempt, by event.
fn events(farm: &Farm, event: &str, task: &str) -> usize {
    let wanted = (format!("\"event\":\"{event}\""), format!("\"task\":\"{task}\""));
    let logs = farm.names("job/log").into_iter().map(|name| String::from_utf8_lossy(&farm.read(&format!("job/log/{name}"))).into_owned());
    logs.map(|log| log.lines().filter(|line| line.contains(&wanted.0) && line.contains(&wanted.1)).count()).sum()
}

/// Files of an attempt's data, wherever they lie.
fn data_of(farm: &Farm, claim: &str) -> Vec<String> {
    let names = ["job/shuffle", "job/output/.attempts"].into_iter().flat_map(|folder| farm.names(folder));
    names.filter(|name| name.starts_with(claim)).collect()
}

#[test]
fn slots_and_coordinators_killed_all_the_time_change_nothing() {
    let farm = Farm::with_books();
    let oracle = farm.sequential("wc", &["books"]);
    // On an idle machine one job may be over before anybody was met in mid-task: then another is weathered.
    let mut lost = 0;
    for _ in 0..20 {
        storm(&farm, &MANY);
        farm.finished_with("job", &oracle);
        lost += farm.names("job/expired").len();
        if lost >= 3 {
            return;
        }
        // A slot that is just dying may still write into it.
        farm.wait_for("the job is removed", || std::fs::remove_dir_all(farm.path("job")).is_ok().then_some(()));
    }
    panic!("only {lost} claims were lost in the middle of their tasks");
}

/// Submits a job and leads it to its end while everybody is killed.
pub fn storm(farm: &Farm, submit: &[&str]) {
    farm.ok(submit);
    let mut workers: Vec<_> = (0..3).map(|_| worker_for_books(farm)).collect();
    let mut leader = coordinator(farm);
    let (mut turn, mut done) = (0_usize, 0);
    let has_finished = || farm.has("job/phase/finished");
    farm.wait_for("the job ends although all are killed all the time", || {
        turn += 1;
        match turn % 16 {
            4 | 12 => leader.kill_alone(),
            7 => workers[turn % 3].kill_alone(),
            _ => {
                let claims = farm.names("job/claimed");
                let _ = claims.get(turn % claims.len().max(1)).map(|claim| farm.signal_slot(claim, Signal::KILL));
            }
        }
        for worker_ in workers.iter_mut().filter(|worker| worker.look().is_some()) {
            worker_.is_killed_or_ended_well();
            *worker_ = worker_for_books(farm);
        }
        if leader.look().is_some() && !has_finished() {
            leader.is_killed_or_ended_well();
            leader = coordinator(farm);
        }
        std::thread::sleep(Duration::from_millis(120));
        // However slow the machine is, somebody comes to something between two kills.
        let more_is_done = || Some(farm.names("job/done").len()).filter(|n| *n != done || has_finished());
        done = farm.wait_for("something more is done", more_is_done);
        has_finished().then_some(())
    });
    coordinator(farm).ends_with(0);
    workers.iter().for_each(|worker| worker.is_killed_or_ended_well());
}

#[test]
fn scenario_02_a_stopped_worker_that_wakes_up_late_is_superseded_and_touches_nothing() {
    let MidMap { farm, worker: zombie, claim, .. } = mid_map(&["--lease", "1s"]);
    assert!(farm.signal_slot(&claim, Signal::STOP), "the slot lives");
    let heir = worker(&farm);
    farm.wait_for_name("job/claimed", "map-00000.a2@");
    farm.open_gate();
    let done = farm.wait_for_name("job/done", "map-00000.a2@");
    assert_ne!(worker_of(&done), worker_of(&claim), "another worker has done it");
    assert_eq!(farm.names("job/expired"), [claim.as_str()], "its lease was lost");
    let published = farm.wait_for("the job ends", || farm.has("job/phase/finished").then(|| farm.outputs("job")));
    assert!(farm.signal_slot(&claim, Signal::CONT), "the slot still lives");
    all_end_well(&[zombie, heir]);
    assert_eq!(farm.names("job/done").iter().filter(|name| name.starts_with("map-")).count(), 1, "only one of them counts");
    assert_eq!(events(&farm, "superseded", &claim), 1, "it says so in its log");
    assert_eq!(data_of(&farm, &claim), [""; 0], "what it wrote is gone: its name in expired/ is the evidence");
    assert_eq!(farm.outputs("job"), published, "and the output is what it was");
    assert_eq!((published.as_slice(), farm.calls()), (&b"word 1\n"[..], 2), "two calls, one result");
}

#[test]
fn a_stopped_reduce_that_wakes_up_in_mid_job_changes_no_byte() {
    let farm = Farm::new();
    farm.write("in", "a\nb\nc\nd\ne\nf\ng\nh\na\n");
    farm.shut();
    let submit =
        ["submit", "dawdle", "in", "--job", "job", "--lease", "1s", "-r", "2", "-o", "ms=0", "-o", "phase=reduce", "-o", "gate=gate"];
    farm.start_as(dawdle(), &submit).ends_with(0);
    let leader = coordinator(&farm);
    let workers = [worker(&farm), worker(&farm)];
    let claim = farm.wait_for_name("job/claimed", "reduce-");
    farm.wait_for_calls(2); // Both are in the hands of the app.
    assert!(farm.signal_slot(&claim, Signal::STOP), "the slot lives");
    let task = claim.split_once(".a1@").expect("a first attempt").0;
    farm.wait_for("its task waits for another", || {
        farm.names("job/pending").iter().any(|name| name.starts_with(&format!("{task}.a2"))).then_some(())
    });
    assert!(farm.signal_slot(&claim, Signal::CONT), "the slot still lives");
    farm.open_gate();
    leader.ends_with(0);
    all_end_well(&workers);
    let outputs = String::from_utf8(farm.outputs("job")).expect("UTF-8");
    let mut lines: Vec<_> = outputs.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a 2", "b 1", "c 1", "d 1", "e 1", "f 1", "g 1", "h 1"]);
    farm.is_settled("job");
    assert!(farm.names("job/expired").contains(&claim), "its lease was lost");
}

#[test]
fn scenario_07_two_coordinators_at_work_at_once_do_no_harm() {
    let (farm, oracle) = many(SHORT_LEASE);
    let first = leading(&farm);
    // Without its lock file the second believes itself alone, and so does the first. (Which is stopped meanwhile: it would make the file anew.)
    first.signal(Signal::STOP);
    std::fs::remove_file(farm.path("job/coordinator.lock")).expect("it is there");
    let second = coordinator(&farm);
    farm.wait_for("the second leads, too", || leads(&second).then_some(()));
    first.signal(Signal::CONT);
    let workers: Vec<_> = (0..3).map(|_| worker_for_books(&farm)).collect();
    let leaders = [first, second];
    all_end_well(&leaders);
    for leader in leaders {
        assert!(!leader.stderr().contains("standing by"), "both led to the end: {}", leader.stderr());
    }
    ended_well(&farm, &oracle, &workers);
}

#[test]
fn scenario_07_of_two_coordinators_started_at_once_exactly_one_leads() {
    let farm = Farm::new();
    farm.write("in", "word\n");
    for round in 0..40 {
        let job = format!("job{round}");
        farm.ok(&["submit", "wc", "in", "--job", &job, "-r", "1"]);
        // So that they race for the plan as well.
        std::fs::remove_file(farm.path(&format!("{job}/phase/map"))).expect("it is there");
        let both = [farm.start(&["coordinator", &job]), farm.start(&["coordinator", &job])];
        let has_a_place = |coordinator: &Rc<Program>| leads(coordinator) || coordinator.stderr().contains("standing by");
        farm.wait_for("each has found its place", || both.iter().all(has_a_place).then_some(()));
        assert_eq!(both.iter().filter(|coordinator| leads(coordinator)).count(), 1, "round {round}");
        both.iter().for_each(|coordinator| coordinator.kill());
    }
}

#[test]
fn scenario_05_a_standby_takes_over_at_once() {
    let (farm, oracle) = many(LONG_LEASE);
    let first = leading(&farm);
    let standby = coordinator(&farm);
    farm.wait_for("the second stands by", || standby.stderr().contains("standing by").then_some(()));
    let workers: Vec<_> = (0..2).map(|_| worker_for_books(&farm)).collect();
    farm.wait_for_names("job/done", 10);
    first.kill_alone();
    // Its lock fell free when it died; by its silence nobody would take over within this test.
    farm.wait_for("the standby leads", || leads(&standby).then_some(()));
    standby.ends_with(0);
    ended_well(&farm, &oracle, &workers);
}

/// Three coordinators: the one that leads, and two that stand by.
fn three(farm: &Farm) -> (Rc<Program>, Vec<Rc<Program>>) {
    let first = leading(farm);
    let standbys: Vec<_> = (0..2).map(|_| coordinator(farm)).collect();
    for standby in &standbys {
        farm.wait_for("it stands by", || standby.stderr().contains("standing by").then_some(()));
    }
    (first, standbys)
}

/// Waits until one of them leads, and takes it out.
fn next_leader(farm: &Farm, standbys: &mut Vec<Rc<Program>>) -> Rc<Program> {
    let at = farm.wait_for("a standby leads", || standbys.iter().position(|standby| leads(standby)));
    standbys.remove(at)
}

#[test]
fn of_three_coordinators_two_may_be_killed_and_each_time_another_leads_at_once() {
    let (farm, oracle) = many(LONG_LEASE);
    let (mut leader, mut standbys) = three(&farm);
    for left in [1, 0] {
        leader.kill_alone();
        // Its lock fell free; by its silence nobody would take over within this test.
        leader = next_leader(&farm, &mut standbys);
        assert_eq!(standbys.iter().filter(|standby| !leads(standby)).count(), left, "one leads, the other stands by");
    }
    let workers: Vec<_> = (0..2).map(|_| worker_for_books(&farm)).collect();
    leader.ends_with(0);
    ended_well(&farm, &oracle, &workers);
}

#[test]
fn scenario_06_a_stopped_leader_is_relieved_after_three_leases_and_stands_by_when_it_wakes_up() {
    let (farm, oracle) = many(SHORT_LEASE);
    let (old, mut standbys) = three(&farm);
    let early = worker_for_books(&farm);
    farm.wait_for_names("job/done", 10);
    early.kill_alone(); // In mid-job: nothing moves until others come.
    old.signal(Signal::STOP);
    let last_beat = changed(&farm.path("job/coordinator.lock"));
    let new = next_leader(&farm, &mut standbys);
    let silent = farm.now() - last_beat;
    assert!(silent > 2.5, "its lock was never free: {silent}");
    old.signal(Signal::CONT);
    farm.wait_for("the old one stands by", || old.stderr().contains("standing by").then_some(()));
    assert_eq!(old.stderr().matches("leading the job").count(), 1, "it led once");
    let workers: Vec<_> = (0..2).map(|_| worker_for_books(&farm)).collect();
    all_end_well(&[old, new, standbys.remove(0)]);
    ended_well(&farm, &oracle, &workers);
}

#[test]
fn a_leader_stopped_in_mid_work_and_woken_up_changes_no_byte() {
    let (farm, oracle) = many(SHORT_LEASE);
    let (old, mut standbys) = three(&farm);
    let mut workers = vec![worker_for_books(&farm)];
    farm.wait_for_names("job/done", 5);
    old.signal(Signal::STOP);
    let new = next_leader(&farm, &mut standbys);
    workers.push(worker_for_books(&farm));
    farm.wait_for("the work goes on", || (farm.names("job/phase").len() > 1 || farm.names("job/done").len() >= 40).then_some(()));
    old.signal(Signal::CONT);
    all_end_well(&[old, new, standbys.remove(0)]);
    ended_well(&farm, &oracle, &workers);
}

#[test]
fn slots_die_with_their_worker_and_their_claims_go_to_others() {
    let MidMap { farm, leader, worker: first, claim } = mid_map(&[]);
    first.kill_alone();
    farm.wait_for("its slot is gone, too", || (!farm.slots("job").contains(&pid_of(&claim)?)).then_some(()));
    farm.open_gate();
    all_end_well(&[leader, worker(&farm)]);
    assert_eq!((farm.outputs("job"), farm.calls()), (b"word 1\n".to_vec(), 2), "it was called twice");
}

#[test]
fn a_run_whose_slot_cannot_be_started_again_says_so_while_it_waits_for_others() {
    let farm = Farm::new();
    farm.write("in", "word\n");
    farm.shut();
    let own = farm.path("own");
    farm.copy_program(dawdle(), "own");
    let run = farm.start_as(&own, &["run", "dawdle", "in", "--job", "job", "-r", "1", "--slots", "1", "-o", "ms=0", "-o", "gate=gate"]);
    let claim = farm.wait_for_name("job/claimed", "map-00000.a1@");
    std::fs::set_permissions(&own, Permissions::from_mode(0o644)).expect("nobody can start it any more");
    assert!(farm.signal_slot(&claim, Signal::KILL));
    farm.wait_for("it says why nobody works", || run.stderr().contains("cannot start a worker with").then_some(()));
    assert_eq!((run.look(), run.stderr().matches("cannot start").count()), (None, 1), "others may work on it: {}", run.stderr());
    farm.open_gate();
    all_end_well(&[run, worker(&farm)]);
}

#[test]
fn a_worker_asked_to_leave_gives_its_claim_back_in_the_middle_of_a_task() {
    let MidMap { farm, leader, worker: first, claim } = mid_map(&[LONG_LEASE]);
    // As systemd and Slurm do: everybody in the group, while the worker tells its slots as well.
    first.signal_all(Signal::TERM);
    first.ends_with(0);
    assert_eq!(farm.names("job/expired"), [claim.as_str()], "given back");
    assert!(String::from_utf8_lossy(&farm.read(&format!("job/expired/{claim}"))).contains("given_back"), "and its file says so");
    farm.wait_for_name("job/pending", "map-00000.a2"); // Issued again at once, not after a lease.
    farm.open_gate();
    all_end_well(&[leader, worker(&farm)]);
    assert_eq!((farm.outputs("job"), farm.calls()), (b"word 1\n".to_vec(), 2));
}

#[test]
fn a_worker_whose_name_is_removed_finishes_its_task_and_leaves() {
    let MidMap { farm, leader, worker: first, claim } = mid_map(&[]);
    std::fs::remove_file(farm.path(&format!("job/workers/{}", worker_of(&claim)))).expect("it is there");
    farm.open_gate();
    first.ends_with(0);
    assert!(farm.names("job/done").contains(&claim), "it has finished its task");
    all_end_well(&[leader, worker(&farm)]);
    assert_eq!((farm.outputs("job"), farm.calls()), (b"word 1\n".to_vec(), 1), "called once");
}

#[test]
fn a_worker_that_still_waits_for_its_job_leaves_when_told() {
    let farm = Farm::new();
    for signal in [Signal::TERM, Signal::INT] {
        let worker = farm.start(&["worker", "nowhere", "--slots", "1"]);
        farm.wait_for("it waits", || worker.stderr().contains("there is no job in").then_some(()));
        worker.signal(signal);
        worker.ends_with(0);
    }
    assert!(!farm.has("nowhere"));
}
