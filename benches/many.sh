#!/usr/bin/env bash
# Jobs of very many tasks that do nothing: a file each (or, with BUNDLED=1, as many in one as they take), issue, claim, commit and reading what was done included.
#   benches/many.sh [TASKS...]        10000 and 100000 unless named
# One line a job: seconds, tasks a second, processor time a task (of all processes), and the largest memory of the coordinator and of a worker. 1 is the exit status if a job is
# not finished, does not count every task once, or takes 500 MiB in one process. Tasks a second depend on what else the machine does; processor time a task hardly does.
#   W       scratch folder, in memory or on a disk with a journal (default /dev/shm): without one, creating files after a mass delete is ten times slower
#   CARGO_TARGET_DIR, SLOTS (default 2) as usual; FLOCKWORK names another program
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${FLOCKWORK:-}" ]; then
  cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin flockwork
  FLOCKWORK=${CARGO_TARGET_DIR:-$root/target}/release/flockwork
fi
scratch=$(mktemp -d "${W:-/dev/shm}/flockwork-many.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=0
bundle=(--bundle 1)
[ -z "${BUNDLED:-}" ] || bundle=()
printf '%9s %8s %9s %8s %12s %8s\n' tasks seconds tasks/s us/task coordinator worker
for tasks in "${@:-10000 100000}"; do
  for n in $tasks; do
    seq "$n" > input
    python3 - "$n" "$FLOCKWORK" run noop --split-lines 1 -r 1 "${bundle[@]}" --quiet --json --slots "${SLOTS:-2}" --job job input <<'PY' || failed=1
import json, os, resource, subprocess, sys, time
tasks, command = int(sys.argv[1]), sys.argv[2:]
start = time.monotonic()
job = subprocess.Popen(command, stdout=open("json", "wb"))
peaks = [0, 0]

def look(pid, which):
    try:
        status = open(f"/proc/{pid}/status").read()
        peak = int(status.split("VmHWM:")[1].split()[0])
        peaks[which] = max(peaks[which], peak)
        if which == 0:
            for thread in os.listdir(f"/proc/{pid}/task"):
                for child in open(f"/proc/{pid}/task/{thread}/children").read().split():
                    look(child, 1)
    except (OSError, IndexError):
        pass

while job.poll() is None:
    look(job.pid, 0)
    time.sleep(0.02)
wall, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
cpu = (used.ru_utime + used.ru_stime) / tasks * 1e6
print(f"{tasks:9d} {wall:8.2f} {tasks / wall:9.0f} {cpu:8.1f} {peaks[0] / 1024:8.0f} MiB {peaks[1] / 1024:4.0f} MiB", flush=True)
wrong = [f"exit status {job.returncode}"] if job.returncode else []
if not wrong:
    end = json.load(open("json"))
    wrong += [f"{end['counters']['records in']} records counted"] if end["counters"]["records in"] != tasks else []
wrong += ["more than 500 MiB in one process"] if max(peaks) > 500 * 1024 else []
for what in wrong:
    print(f"  WRONG: {what}")
sys.exit(bool(wrong))
PY
    rm -rf job
  done
done
exit $failed
