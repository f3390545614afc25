//! Storage that refuses, in a mount namespace of each test's own: the job waits and says why, nothing short gets a final name, and it goes on by itself.

use super::common::{FLOCKWORK, Farm};

/// What every script begins with: `$f` is flockwork, `mnt` a small file system of its own, and a job whose shuffle data and outputs are some megabytes.
const BEGIN: &str = r#"
f=$1
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT
mkdir mnt
mount -t tmpfs -o size=12m none mnt
seconds=0
# Runs the rest of the line until it is true; the job must be alive meanwhile.
until_it() {
  until "$@"; do
    sleep 0.1
    seconds=$((seconds + 1))
    [ $seconds -lt 1800 ] || { echo "never: $*"; "$f" status mnt/job; exit 8; }
  done
}
nothing_lies_in() { [ -z "$(ls "$1")" ]; }
something_lies_in() { [ -n "$(ls "$1")" ]; }
says() { "$f" status mnt/job | grep -q "$1"; }
# Closes a folder for whoever goes there from now on, whatever is open in it: a read-only mount of it lies over it.
shut() {
  mount --bind "$1" "$1"
  until mount -o remount,bind,ro "$1"; do sleep 0.1; done
}
reopen() { until umount "$1"; do sleep 0.1; done; }
ends_well() {
  wait "$1"
  "$f" verify mnt/job
  sort mnt/job/output/mr-out-* > got
  "$f" sequential grep -o pattern=e text | sort > want
  cmp got want
  [ -z "$(ls mnt/job/failed)" ] || { echo "somebody was blamed:"; ls mnt/job/failed; exit 7; }
}
"#;

/// Runs the script as the root of a namespace, where small file systems can be mounted.
pub fn run(script: &str) {
    let farm = Farm::new();
    farm.write("text", (0..30_000).map(|n| format!("the line of number {n} has some letters e\n")).collect::<String>());
    let script = format!("{BEGIN}{script}");
    let program = farm.start_as("unshare", &["--user", "--map-root-user", "--mount", "bash", "-euc", &script, "script", FLOCKWORK]);
    program.wait();
    program.ends_with(0);
}

#[test]
fn scenario_08_a_full_disk_is_said_and_waited_for_and_nobody_is_blamed() {
    run(r#"
head -c 12000000 /dev/zero > mnt/filler
"$f" run grep -o pattern=e --job mnt/job --lease 1s --slots 2 -r 3 --quiet text & run=$!
until_it says 'in trouble: .*o space'
sleep 3
says 'in trouble: .*o space'
[ -z "$(ls mnt/job/output)" ]
kill -0 $run
rm mnt/filler
ends_well $run
"#);
}

#[test]
fn scenario_08_a_command_is_run_once_though_the_disk_is_too_full_for_what_it_said() {
    run(r#"
head -c 100000000 /dev/zero > mnt/filler || true
truncate -s -200000 mnt/filler
"$f" each --job mnt/job --lease 1s --slots 1 --quiet -- sh -c 'echo once >> ran; head -c 400000 /dev/zero' ::: item & each=$!
until_it says 'in trouble: .*o space'
sleep 4
kill -0 $each
rm mnt/filler
wait $each
[ "$(wc -l < ran)" = 1 ]
[ "$("$f" cat mnt/job | wc -c)" = 400000 ]
"$f" verify mnt/job
"#);
}

#[test]
fn scenario_09_a_read_only_file_system_is_named_and_the_job_on_it_is_unharmed() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 text
mount -o remount,bind,ro mnt
says 'storage .*is mounted read-only here'
for role in coordinator worker; do
  if "$f" $role mnt/job 2> said; then exit 6; fi
  cat said
  grep -qi 'read-only' said
done
mount -o remount,bind,rw mnt
"$f" worker mnt/job & worker=$!
"$f" coordinator mnt/job --quiet & coordinator=$!
ends_well $coordinator
wait $worker
"#);
}

#[test]
fn scenario_10_a_worker_that_alone_has_the_trouble_says_so_and_leaves_the_tasks_to_others() {
    run(r#"
"$f" submit grep -o pattern=e --job mnt/job --lease 1s -r 3 --split-lines 3000 text
"$f" coordinator mnt/job --quiet & coordinator=$!
# This one sees a file in the place of the shuffle folder.
touch plain
unshare --mount bash -euc 'mkdir elsewhere; mount -t tmpfs none elsewhere; mkdir -m 0 elsewhere/none; mount --bind elsewhere/none mnt/job/shuffle; mount -o remount,bind,ro mnt/job/shuffle; exec "$1" worker mnt/job' bad "$f" & bad=$!
until_it says 'in trouble: .*shuffle'
until_it says 'no task is claimed before this worker can write again'
# It has a slot per core, and each finds out for itself.
until_it nothing_lies_in mnt/job/claimed
"$f" worker mnt/job & good=$!
ends_well $coordinator
wait $bad $good
"#);
}

#[test]
fn a_sort_without_room_for_its_output_is_refused_before_anything_is_made() {
    let farm = Farm::new();
    farm.write("text", "line\n".repeat(1 << 20));
    let script = r#"
mkdir mnt
mount -t tmpfs -o size=2m none mnt
! "$1" run sort text --job mnt/job 2> said
cat said
grep -q 'cannot find room for the outputs in mnt/job/output: `sort` writes at least 5.0 MiB' said
[ -z "$(ls mnt)" ]
"#;
    let program = farm.start_as("unshare", &["--user", "--map-root-user", "--mount", "bash", "-euc", script, "script", FLOCKWORK]);
    program.wait();
    program.ends_with(0);
}

#[test]
fn scenario_08_a_job_on_a_full_disk_can_be_paused_cancelled_and_cleaned_which_frees_it() {
    run(r#"
filled() { head -c 12000000 /dev/zero > mnt/filler || true; }
"$f" run grep -o pattern=e --job mnt/done --slots 1 --quiet text
"$f" submit grep -o pattern=e --job mnt/job text
filled 2> said
grep -q 'o space' said
before=$(du -s mnt/done | cut -f1)
for act in pause cancel; do
  "$f" $act mnt/job
  [ -f mnt/job/$act ]
done
"$f" clean mnt/done
[ -f mnt/done/phase/cleaned ]
[ "$(du -s mnt/done | cut -f1)" -lt "$before" ]
"$f" verify mnt/done
"#);
}
