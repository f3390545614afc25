//! Errors that pass by themselves, met by those who wait, begin or stand by: each is said once, and everybody goes on. (Those who hold a task: `storage`.)

use std::rc::Rc;

use rustix::process::Signal;

use super::common::{Farm, Program};
use super::storage::run;
use super::stragglers::dawdle;

/// A job of commands that stay for as long as there is a `gate`, with one of them claimed; then the disk is full, and its slot dead. To be followed by what starts it and
/// says into `said`.
const CLAIMED: &str = r#"
until_it something_lies_in mnt/job/claimed
head -c 20000000 /dev/zero > mnt/filler 2> /dev/null || true
slot=$(ls mnt/job/claimed | head -n 1 | rev | cut -d . -f 2 | rev)
kill -9 "$slot"
until_it grep -q 'cannot register a worker in .*trying again' said
sleep 2
[ "$(grep -c 'cannot register a worker in' said)" = 1 ]
rm mnt/filler gate
"#;
const JOB: &str =
    "seq 6 > items; touch gate; set -- --job mnt/job --lease 2s -a items -- sh -c 'while [ -e gate ]; do sleep 0.1; done; echo {}'";
const ALL_IS_DONE: &str = r#"
"$f" verify mnt/job
"$f" cat mnt/job | sort > got
cmp got items
! ls -A mnt/job/workers | grep tmp
"#;

#[test]
fn a_slot_of_a_run_that_dies_while_the_disk_is_full_is_replaced_when_there_is_room_again() {
    run(&format!("{JOB}\n\"$f\" each --slots 1 \"$@\" 2> said & run=$!\n{CLAIMED}\nwait $run\n{ALL_IS_DONE}"));
}

#[test]
fn a_slot_of_a_worker_that_dies_while_the_disk_is_full_is_replaced_when_there_is_room_again() {
    let start = r#"
"$f" each --submit "$@"
"$f" coordinator mnt/job -q & coordinator=$!
"$f" worker mnt/job --slots 1 2> said & worker=$!
"#;
    run(&format!("{JOB}\n{start}\n{CLAIMED}\nwait $coordinator\nwait $worker\n{ALL_IS_DONE}"));
}

#[test]
fn a_slot_in_a_farm_that_dies_while_the_disk_is_full_is_replaced_when_there_is_room_again() {
    let start = r#"
"$f" each --submit "$@"
"$f" coordinator mnt --drain -q & coordinator=$!
"$f" worker mnt --slots 1 2> said & worker=$!
"#;
    let claimed = CLAIMED.replace(" .*trying again", "").replace("sleep 2\n", "").replace(" = 1 ]", " -lt 9 ]");
    run(&format!("{JOB}\n{start}\n{claimed}\nwait $coordinator\nkill $worker\nwait $worker\n{ALL_IS_DONE}"));
}

#[test]
fn a_standby_that_the_disk_refuses_says_so_and_takes_over_all_the_same() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 text
"$f" coordinator mnt/job --quiet & leader=$!
until_it something_lies_in mnt/job/pending
"$f" coordinator mnt/job 2> said & standby=$!
until_it grep -q 'standing by' said
shut mnt/job
until_it grep -q 'coordinator.lock: Read-only.*trying again' said
sleep 1
reopen mnt/job
kill -9 $leader
until_it grep -q 'leading the job' said
healthy() { "$f" status mnt/job > status.txt; grep -q '^coordinator:' status.txt && ! grep -q 'in trouble' status.txt; }
until_it healthy
[ "$(grep -c 'trying again' said)" = 1 ]
"$f" worker mnt/job --quiet & worker=$!
ends_well $standby
wait $worker
"#);
}

#[test]
fn scenario_10_a_worker_that_cannot_claim_says_so_in_status() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 text
"$f" coordinator mnt/job --quiet & coordinator=$!
until_it something_lies_in mnt/job/pending
shut mnt/job/pending
"$f" worker mnt/job --slots 1 2> said & worker=$!
until_it says 'in trouble: cannot claim tasks in '
"$f" explain mnt/job | grep 'every worker is in trouble: cannot claim tasks in '
sleep 3
says 'in trouble: cannot claim tasks in '
reopen mnt/job/pending
ends_well $coordinator
wait $worker
[ "$(grep -c 'cannot claim tasks' said)" = 1 ]
grep 'goes on' said
"#);
}

#[test]
fn scenario_10_a_coordinator_that_may_not_write_its_folder_says_so_in_status() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 text
shut mnt/job/phase
"$f" coordinator mnt/job 2> said & coordinator=$!
"$f" worker mnt/job --slots 1 --quiet & worker=$!
troubled() { "$f" status mnt/job | grep -A 1 '^coordinator:' | grep 'in trouble: .*folder phase: '; }
until_it troubled
"$f" explain mnt/job | grep 'its coordinator is in trouble: '
sleep 3
troubled
reopen mnt/job/phase
ends_well $coordinator
wait $worker
[ "$(grep -c 'trying again' said)" = 1 ]
"#);
}

#[test]
fn scenario_10_what_the_disk_refuses_a_coordinator_stands_in_its_page() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 text
"$f" coordinator mnt/job --quiet & coordinator=$!
until_it test -e mnt/job/status.html
! grep -q 'in trouble' mnt/job/status.html
shut mnt/job/pending
until_it grep -q '"trouble":"cannot touch the folder .*/pending: ' mnt/job/status.json
until_it grep -q 'the coordinator is in trouble: cannot touch the folder .*/pending: ' mnt/job/status.html
reopen mnt/job/pending
"$f" worker mnt/job --slots 1 --quiet & worker=$!
ends_well $coordinator
wait $worker
! grep -q 'in trouble' mnt/job/status.html
"#);
}

/// A job of two tasks that stay behind a shut gate, and a worker of the job or its farm that has claimed both, whose program is `own`.
fn two_slots(farm: &Farm, job: &str, serves: &str) -> (Rc<Program>, Vec<String>) {
    farm.write("in", "one\ntwo\n");
    farm.shut();
    farm.copy_program(dawdle(), "own");
    let submit = ["submit", "dawdle", "in", "--job", job, "--split-lines", "1", "--no-backup", "-r", "1", "-o", "ms=0", "-o", "gate=gate"];
    farm.start_as(dawdle(), &submit).ends_with(0);
    let worker = farm.start_as(farm.path("own"), &["worker", serves, "--slots", "2"]);
    farm.start(&["coordinator", job]);
    (worker, farm.wait_for_names(&format!("{job}/claimed"), 2))
}

/// One of two slots dies, and for a while none can be started.
fn is_started_again(farm: &Farm, job: &str, worker: &Program, claims: &[String]) {
    farm.start_as("chmod", &["-x", "own"]).ends_with(0);
    assert!(farm.signal_slot(&claims[0], Signal::KILL), "it lives");
    farm.wait_for("it is said", || worker.stderr().contains("cannot start a worker with").then_some(()));
    // Several tries.
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!((worker.look(), worker.stderr().matches("cannot start").count()), (None, 1), "{}", worker.stderr());
    assert!(farm.signal_slot(&claims[1], Signal::CONT), "the other lives on");
    farm.start_as("chmod", &["+x", "own"]).ends_with(0);
    farm.wait_for("another takes its place", || (farm.slots(job).len() == 2).then_some(()));
    farm.open_gate();
    farm.wait_for("the job ends", || farm.has(&format!("{job}/phase/finished")).then_some(()));
    farm.finished_with(job, b"one 1\ntwo 1\n");
}

#[test]
fn a_worker_starts_a_slot_again_that_could_not_be_started_and_the_others_live_on() {
    let farm = Farm::new();
    let (worker, claims) = two_slots(&farm, "job", "job");
    is_started_again(&farm, "job", &worker, &claims);
    worker.ends_with(0);
}

#[test]
fn a_farms_worker_starts_a_slot_again_that_could_not_be_started_and_the_others_live_on() {
    let farm = Farm::new();
    let (worker, claims) = two_slots(&farm, "farm/job", "farm");
    is_started_again(&farm, "farm/job", &worker, &claims);
    worker.signal(Signal::TERM);
    worker.ends_with(0);
}
