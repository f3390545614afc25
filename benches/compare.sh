#!/usr/bin/env bash
# Whole jobs side by side with other programs, in turn, on the same corpora: prints the table of docs/benchmarks.md.
#   benches/compare.sh [ROUNDS] [CASE...]     cases: wc grep sort books; all of them unless named
# It needs the workshop's ../shared/bench (corpora, peers, the hand-tuned probe); without it there is nothing to compare with, and it says so and exits 1.
#   W      scratch folder, some 8 GB, best in memory (default /dev/shm/bench-work); corpora and the probe are made there if missing
#   VENV   a Python with polars and duckdb (default $W/venv; made if missing). Debian packages: ripgrep parallel mawk
#   DOC=1  puts the figures of the cases measured into docs/benchmarks.md
#   FLOCKWORK   the program (default: target/release/flockwork, built)
#   FLAGS  more options for our `run`;   PEERS  other peers than the usual (the first is what ratios are against)
#   SPARK=1  after the case wc one round more, with Spark instead of the other peers (a minute; it needs Java 17, and pyspark is installed into VENV if missing)
#   SLOTS  worker processes (default 2);   SHARED  where ../shared is
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
shared=${SHARED:-$root/../shared}
if [ ! -x "$shared/bench/run.sh" ]; then
  echo "compare.sh: $shared/bench is not there: it has the corpora's generator and the peers; set SHARED to where it lies" >&2
  exit 1
fi
export W=${W:-/dev/shm/bench-work} JOBS=${SLOTS:-2}
export VENV=${VENV:-$W/venv} MEASURE_LOG=${MEASURE_LOG:-$W/out/log}
rounds=${1:-3}
shift || true
cases=${*:-books wc grep sort}
export PATTERN=${PATTERN:-dissecting}

# A copy, because the peers write beside themselves (Python's caches) and ../shared is not ours to write.
bench=$W/bench
mkdir -p "$W/out" "$W/corpus"
[ -d "$bench" ] || { cp -r "$shared/bench" "$bench"; chmod -R u+w "$bench"; }
if [ -z "${FLOCKWORK:-}" ]; then
  cargo build --release --manifest-path "$root/Cargo.toml"
  FLOCKWORK=$root/target/release/flockwork
fi
export FLOCKWORK
if [ ! -x "$W/target/release/gen" ]; then
  CARGO_TARGET_DIR=$W/target cargo build --release --manifest-path "$bench/gen/Cargo.toml"
fi
[ -x "$W/target/release/probe" ] || bash "$bench/peers.sh" probe_build
[ -e "$W/corpus/pg-grimm.txt" ] || cp "$shared"/data/gutenberg/pg-*.txt "$W/corpus/"
[ -e "$W/corpus/words/word-15.txt" ] || "$W/target/release/gen" words "$W/corpus" "$W/corpus/words"
[ -e "$W/corpus/records.txt" ] || "$W/target/release/gen" sort "$W/corpus/records.txt"
if [ ! -x "$VENV/bin/python" ]; then
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install -q polars duckdb
fi
for tool in rg parallel mawk; do
  command -v $tool >/dev/null || { echo "compare.sh: $tool is missing: apt-get install ripgrep parallel mawk" >&2; exit 1; }
done

# On the clock is our job alone, whose result is its output files; that they hold what the peers found is checked apart, once.
check() {
  bash "$here/ours.sh" "$1" "$W/out/check" "${@:3}"
  cmp -s "$W/out/check" "$W/out/cmp_$2" && echo "ours: the same bytes as $2" || { echo "ours DIFFERS from $2"; failed=1; }
  rm -f "$W/out/check"
}

measure() {
  OURS="NO_OUT=1 bash $here/ours.sh $1 {out} {in}" bash "$bench/run.sh" "$1" "$rounds" "${@:2}" 2>>"$MEASURE_LOG"
}

# One round, because it takes as long as all else together. Its figures are printed, and kept in run_spark.json.
spark() {
  command -v java >/dev/null || { echo "compare.sh: java is missing: apt-get install openjdk-17-jre-headless" >&2; exit 1; }
  "$VENV/bin/python" -c 'import pyspark' 2>/dev/null || "$VENV/bin/pip" install -q pyspark
  printf '\n### wc beside Spark, 1 round\n\n'
  mv "$W/out/run_wc.json" "$W/out/kept.json"
  rounds=1 CORPUS=full measure wc wc_spark_df
  mv "$W/out/run_wc.json" "$W/out/run_spark.json"
  mv "$W/out/kept.json" "$W/out/run_wc.json"
  check wc wc_spark_df "$W"/corpus/words/*.txt
}

failed=
for case in $cases; do
  printf '\n### %s, %s rounds\n\n' "$case" "$rounds"
  case $case in
    books)
      CORPUS=books measure wc wc_probe wc_mawk wc_polars wc_duckdb
      mv "$W/out/run_wc.json" "$W/out/run_books.json"
      check wc wc_probe "$W"/corpus/pg-*.txt ;;
    wc)
      peers=${PEERS:-wc_probe wc_polars wc_duckdb}
      CORPUS=full measure wc $peers
      check wc "${peers%% *}" "$W"/corpus/words/*.txt
      [ -z "${SPARK:-}" ] || spark ;;
    grep)
      peers=${PEERS:-grep_rg grep_gnu grep_parallel}
      measure grep $peers
      check grep "${peers%% *}" "$W"/corpus/words/*.txt ;;
    sort)
      peers=${PEERS:-sort_probe sort_gnu_256m sort_polars sort_duckdb}
      measure sort $peers
      check sort "${peers%% *}" "$W/corpus/records.txt" ;;
    *)
      echo "compare.sh: no case is called $case; there are: books wc grep sort" >&2
      exit 1 ;;
  esac
done
if [ -n "${DOC:-}" ]; then
  python3 "$here/table.py" "$W/out" "$root/docs/benchmarks.md"
fi
[ -z "$failed" ]
