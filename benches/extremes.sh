#!/usr/bin/env bash
# Jobs at the limits: one key with 100 million values, 50 million keys in little memory, 2,000 shuffle files under a limit of 256 open files, memory, time over size.
#   benches/extremes.sh [CASE...]     cases: value-flood key-flood many-files memory linear; all of them unless named
# Every answer is checked against one that is known without us, and every peak of memory against its bound: 1 is the exit status when one is wrong. Times are only printed.
# Peak is the largest process's resident memory. It makes its data itself, with benches/extremes.rs, and removes it.
#   W       scratch folder, some 3 GB, best in memory (default /dev/shm)
#   GIB8=1  `linear` goes on to 8 GiB (the 1 GiB eight times: no more scratch)
#   CARGO_TARGET_DIR, SLOTS (default 2) as usual
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}/release
cargo build --quiet --release --manifest-path "$root/Cargo.toml" --bin flockwork --example extremes
scratch=$(mktemp -d "${W:-/dev/shm}/flockwork-extremes.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
failed=0

# run NAME BOUND_MIB PROGRAM ARGUMENT... : one whole job in ./job; prints its line of the table; `json` holds how it ended.
run() {
  local name=$1 bound=$2
  shift 2
  rm -rf job
  python3 - "$name" "$bound" "$@" --quiet --json --slots "${SLOTS:-2}" --job job <<'PY' || failed=1
import resource, subprocess, sys, time
name, bound, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
start = time.monotonic()
status = subprocess.run(command, stdout=open("json", "wb")).returncode
wall, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
peak = used.ru_maxrss / 1024
wrong = [f"exit status {status}"] * (status != 0) + [f"more than {bound} MiB"] * (peak > bound)
print(f"{name:<46}{wall:8.2f}{used.ru_utime + used.ru_stime:8.2f}{peak:8.0f}{bound:8d}  {', '.join(wrong) or 'ok'}", flush=True)
sys.exit(bool(wrong))
PY
}

# is WHAT FOUND WANTED
is() {
  [ "$2" = "$3" ] || { echo "  WRONG: $1 is '$2', not '$3'"; failed=1; }
}

counter() {
  python3 -c 'import json, sys; print(json.load(open("json"))["counters"].get(sys.argv[1], 0))' "$1"
}

# counts WANT: the job's word counts are those of the file.
counts() {
  sort -m job/output/mr-out-* | cmp -s - "$1" || { echo "  WRONG: the counts are not those of $1"; failed=1; }
}

text() {
  [ -e want-16 ] || "$target/examples/extremes" text .
}

value_flood() {
  seq 0 99 | awk '{ printf "%d %d\n", $1 * 1000000, ($1 + 1) * 1000000 }' >lines
  run "one key, 100 million values, 64 MiB" 128 "$target/examples/extremes" run values lines -r 1 --split-lines 10 --memory 64MiB
  is "count, sum and order" "$(cat job/output/mr-out-*)" "the one 100000000 4999999950000000 0"
}

key_flood() {
  seq 0 99 | awk '{ printf "%d %d\n", $1 * 500000, ($1 + 1) * 500000 }' >lines
  run "50 million keys, 64 MiB" 128 "$target/examples/extremes" run keys lines --split-lines 10 --memory 64MiB
  is keys "$(counter keys)" 50000000
  is times "$(counter times)" 50000000
  is "the sum of all keys' numbers" "$(counter numbers)" 1249999975000000
  is "whether maps have spilled" "$(($(counter spills) > 0))" 1
}

# Line n has the numbers n .. n + 1000, so a number below 2,000 or so occurs in up to 1,000 shuffle files.
many_files() {
  seq 0 1999 | awk '{ printf "%d %d\n", $1, $1 + 1000 }' >lines
  (
    ulimit -n 256
    run "2,000 shuffle files, 256 open files, 64 MiB" 128 "$target/examples/extremes" run keys lines -r 1 --split-lines 1 --bundle 1 --memory 64MiB
    exit $failed
  ) || failed=1
  is "shuffle files" "$(find job/shuffle -type f | wc -l)" 2000
  is keys "$(counter keys)" 2999
  is times "$(counter times)" 2000000
  is "the sum of all numbers as often as they occur" "$(counter weighed)" 2998000000
  is "whether further passes were needed" "$(($(counter 'merge passes') > 0))" 1
}

memory() {
  text
  for mib in 64 256; do
    run "word count, 256 MiB at $mib MiB" $((mib + 64)) "$target/flockwork" run wc words-0[1-4] --memory ${mib}MiB --split-size 128MiB
    counts want-4
    run "word count, uncombined, 256 MiB at $mib MiB" $((mib + 64)) "$target/flockwork" run wc words-0[1-4] -o combine=false --memory ${mib}MiB --split-size 128MiB
    counts want-4
  done
}

linear() {
  text
  run "word count, 64 MiB" 320 "$target/flockwork" run wc words-01
  counts want-1
  run "word count, 256 MiB" 320 "$target/flockwork" run wc words-0[1-4]
  counts want-4
  run "word count, 1 GiB" 320 "$target/flockwork" run wc words-*
  counts want-16
  if [ -n "${GIB8:-}" ]; then
    for n in 1 2 3 4 5 6 7 8; do
      mkdir "again-$n"
      ln words-* "again-$n/"
    done
    run "word count, 8 GiB" 320 "$target/flockwork" run wc again-*
    awk '{ print $1 " " 8 * $2 }' want-16 >want-128
    counts want-128
  fi
}

printf '%-46s%8s%8s%8s%8s\n' what 'wall s' 'cpu s' 'MiB' bound
for case in ${*:-value-flood key-flood many-files memory linear}; do
  case $case in
    value-flood | key-flood | many-files | memory | linear) "${case//-/_}" ;;
    *)
      echo "extremes.sh: no case is called $case; there are: value-flood key-flood many-files memory linear" >&2
      exit 2
      ;;
  esac
done
exit $failed
