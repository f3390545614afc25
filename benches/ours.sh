#!/usr/bin/env bash
# One whole job of ours as a peer of ../shared/bench:   ours.sh wc|grep|sort OUT FILE...
# The job lies beside OUT. Output files of wc are sorted by key each, so they are merged, as the peers sort theirs; those of sort are only put one behind the other.
# NO_OUT=1 leaves the one OUT file away (the job's own output files are the result).   FLAGS: more options for `run`.
set -euo pipefail
what=$1 out=$2
shift 2
export LC_ALL=C
job=$(dirname "$out")/job-$what
rm -rf "$job"
case $what in grep) option=(-o "pattern=${PATTERN:-dissecting}" -o count=true) ;; *) option=() ;; esac
"$FLOCKWORK" run "$what" --quiet --slots "${JOBS:-2}" --job "$job" ${FLAGS:-} "${option[@]}" "$@"
if [ -z "${NO_OUT:-}" ]; then
  case $what in
    wc) sort -m "$job"/output/mr-out-* >"$out" ;;
    grep) awk -F: '{n += $NF} END {print n + 0}' "$job"/output/mr-out-* >"$out" ;;
    sort) cat "$job"/output/mr-out-* >"$out" ;;
  esac
fi
rm -rf "$job"
