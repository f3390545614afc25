#!/usr/bin/env bash
# Farms of very small tasks beside other programs, in turn, in one run: the table of docs/benchmarks.md.
#   benches/farm.sh [ROUNDS] [TASKS]     3 rounds of 10000 tasks unless said; peers that are slow do a fifth of them
# Two groups: tasks that do nothing (no process), and a process for each task (`true`). Every program has two workers and must have done all its tasks, or the run fails.
# The peers are installed here: femtoqueue, fs-task-queue, jug, task-queue and HyperQueue from PyPI into a venv, GNU parallel by apt where that is allowed. What is missing is named, left out of
# the table, and makes the exit status 1.
#   W      scratch folder, in memory or on a disk with a journal (default /dev/shm/bench-farm)
#   VENV   a Python for the peers (default $W/venv; made if missing)
#   DOC=1  puts the figures into docs/benchmarks.md
#   ONLY   names of programs, parted by blanks: only these (as in benches/farm/farm.py)
#   FLOCKWORK, SLOTS (default 2) as in compare.sh
set -euo pipefail
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd)
export W=${W:-/dev/shm/bench-farm} SLOTS=${SLOTS:-2}
export VENV=${VENV:-$W/venv}
mkdir -p "$W"
missing=
if [ -z "${FLOCKWORK:-}" ]; then
  cargo build --release --quiet --manifest-path "$root/Cargo.toml" --bin flockwork
  FLOCKWORK=${CARGO_TARGET_DIR:-$root/target}/release/flockwork
fi
export FLOCKWORK
if [ ! -x "$VENV/bin/python" ]; then
  python3 -m venv "$VENV"
fi
for package in femtoqueue 'fs-task-queue filelock' jug task-queue hyperqueue; do
  # shellcheck disable=SC2086
  "$VENV/bin/pip" install -q --disable-pip-version-check $package || missing="$missing ${package%% *}"
done
if ! command -v parallel > /dev/null; then
  { [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null && apt-get install -qq -y parallel > "$W/apt.log" 2>&1; } || missing="$missing parallel"
fi
command -v xargs > /dev/null || missing="$missing xargs"
"$VENV/bin/python" "$root/benches/farm/farm.py" "${1:-3}" "${2:-10000}" ${DOC:+--document "$root/docs/benchmarks.md"} || missing="$missing; see above"
if [ -n "$missing" ]; then
  echo "farm.sh: not measured, for it is missing or failed:$missing" >&2
  exit 1
fi
