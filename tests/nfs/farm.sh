# The words of the scenarios: inputs, jobs, programs, gates, and what must be true. Sourced by `guest`.
# shellcheck shell=bash

# Everybody's files are watched on the server itself: no client's cache lies between, and nothing is asked over the wire.
JOB=$SERVER/job
FLOCKWORK=$LAB/stage/flockwork
GATED=$LAB/stage/gated_words
declare -A PROGRAMS

scenario() {
  set -eEuo pipefail
  trap 'echo "FAILED: line $LINENO of ${BASH_SOURCE[0]}: $BASH_COMMAND" >&2' ERR
  # shellcheck disable=SC1090
  . "$LAB/stage/scenarios/$SCENARIO.sh"
}

say() {
  local up
  read -r up _ < /proc/uptime
  echo "[$up] $*"
}
fail() { say "FAILED: $*"; exit 1; }
note() { say "$*"; echo "$*" >> "$LAB/vm/note"; }

# wait_for SECONDS COMMAND...: until it succeeds. In this guest a program costs some 20 ms to start: what is asked ten times a second starts none.
exec {NEVER}<> <(:)
wait_for() {
  local until=$((SECONDS + $1))
  until "${@:2}"; do
    [ $SECONDS -lt $until ] || fail "waited $1 s in vain for: ${*:2}"
    read -rt 0.1 -u "$NEVER" || true
  done
}

# --- Inputs: the same on every machine, from a small generator of random numbers.
text() { # FILES LINES
  mkdir -p $SERVER/in
  awk -v files="$1" -v lines="$2" -v dir=$SERVER/in 'BEGIN {
    for (n = 1; n <= files; n++) {
      file = dir "/" n ".txt"
      x = n * 7919
      for (line = 0; line < lines; line++) {
        for (word = 0; word < 8; word++) {
          x = (x * 16807) % 2147483647; k = x % 500
          printf "%s%c%c%c", word ? " " : "", 97 + k % 26, 97 + int(k / 26), 97 + k % 7 > file
        }
        print "" > file
      }
      close(file)
    }
  }'
  sync -f $SERVER
}

# What the job must come to: by the same program without a directory, on the server's own disk.
want() { (cd $SERVER && "$@" > $LAB/want) && [ -s $LAB/want ] || fail "no expected output"; }

# gated_job OPTIONS...: a job of eight tasks or more that stay in mid-task for as long as their gate is shut, and what it must come to.
gated_job() {
  text 8 20
  want $GATED sequential gated-words in -r 6
  shut map
  shut reduce
  on node1 $GATED submit gated-words in -r 6 --job job -o gate=$LAB/gates "$@"
}
shut() { : > "$LAB/gates/$1"; }
open_gate() { rm "$LAB/gates/$1"; }

# --- Programs.
# start NAME NODE PROGRAM ARGUMENTS...: in the background; its words go to NAME.log.
start() {
  on "$2" "${@:3}" > "$LAB/vm/$1.log" 2>&1 &
  PROGRAMS[$1]=$!
}
ends() { # NAME STATUS
  local status=0
  wait "${PROGRAMS[$1]}" || status=$?
  [ $status = "$2" ] || fail "$1 ended with $status, not $2: $(tail -3 "$LAB/vm/$1.log")"
}
says() { # NAME WORDS
  local text
  read -rd '' text < "$LAB/vm/$1.log" || true
  [[ $text == *"$2"* ]]
}

# signal SIGNAL CLAIMS...: the slots that hold them and the workers above these slots, of one client.
signal() {
  local claim holder host pids=
  for claim in "${@:2}"; do
    holder=${claim#*@} host=${holder%%.*} holder=${holder#*.}
    pids+=" ${holder%%.*}"
  done
  # (the slots of a killed worker die with it, and nsenter stops with what it has started)
  [ "$1" != CONT ] || kill -CONT $(pgrep -x nsenter)
  beside "$host" sh -c "kill -$1 \$(ps -o ppid= -p "$(tr " " , <<< "${pids# }")" | sort -u) && kill -$1$pids 2> /dev/null || [ $1 = KILL ]"
}

# --- What lies where.
names() { ls "$JOB/$1" 2> /dev/null | { grep -e "${2-.}" || true; }; } # FOLDER [PATTERN]
number_of() { names "$@" | wc -l; }
there_are() { # FOLDER NUMBER PATTERN
  local name number=0
  for name in "$JOB/$1"/*; do
    [[ ! ${name##*/} =~ $3 || ${name##*/} == '*' ]] || number=$((number + 1))
  done
  [ $number -ge "$2" ]
}
all_lie_in() { # FOLDER NAMES...
  local name
  for name in "${@:2}"; do [ -e "$JOB/$1/$name" ] || return 1; done
}
ended() { [ -e "$JOB/phase/finished" ] || [ -e "$JOB/phase/failed" ]; }
beat_of() { stat -c %.3Y "$JOB/claimed/$1"; }  # CLAIM: its last heartbeat, by the server's clock
moved_at() { stat -c %.3Z "$JOB/$1/$2"; }      # FOLDER CLAIM: when it came there, by the same clock
# Seconds with decimals, as whole thousandths: no program is started to compare them.
thousandths() { # NUMBER: to N
  local whole=${1%.*} part=${1#*.}
  [[ $1 == *.* ]] || part=
  part=${part}000
  N=$((whole * 1000 + 10#${part:0:3}))
}
less() {
  local N a
  thousandths "$1"
  a=$N
  thousandths "$2"
  [ $a -lt $N ]
}
minus() { # A B: A - B, with one decimal, rounded down
  local N a
  thousandths "$1"
  a=$N
  thousandths "$2"
  a=$((a - N))
  [ $a -ge 0 ] || printf -
  printf '%d.%d' $((${a#-} / 1000)) $((${a#-} % 1000 / 100))
}

# --- What is asked of the server, counted by the mounts themselves.
calls() { # NODE: the calls of its mount so far, by kind
  on "$1" awk -v share=$SHARE '/^device/ { ours = $5 == share; counting = 0 } /per-op/ { counting = ours } counting && NF > 5 { print $1, $2; found = 1 } END { exit !found }' /proc/self/mountstats
}
# between BEFORE AFTER DIVISOR: a line of the differences; in total is the sum without READ, WRITE and COMMIT, which move data.
between() {
  awk -v by="$3" '{ kind = $1; sub(":", "", kind) } NR == FNR { was[kind] = $2; next } $2 > was[kind] {
    n = ($2 - was[kind]) / by; line = line sprintf(" %s %.2f", kind, n)
    if (kind != "READ" && kind != "WRITE" && kind != "COMMIT") sum += n
  } END { printf "%.2f =%s\n", sum, line }' <(echo "$1") <(echo "$2")
}

# --- What must be true.
# Nobody was taken for dead. A backup that came too late is dropped, claimed or not: that is no loss.
nobody_was_lost() {
  local path
  for path in "$JOB"/expired/*@*; do
    [ ! -e "$path" ] || grep -q '"dropped"' "$path" || fail "in expired/: $(names expired)"
  done
}

# Each beat has come to the server since.
have_beaten_since() { # TIME CLAIMS...
  local claim
  for claim in "${@:2}"; do less "$1" "$(beat_of "$claim")" || return 1; done
}

# While tasks are still to be claimed there are no backups: a second attempt is one of a task taken for lost. (A worker's name may end in `.a7...`.)
no_second_attempts() {
  local folder path
  there_are pending 1 . || fail "nothing is pending any more: a second attempt could be a backup"
  for folder in pending claimed expired; do
    for path in "$JOB/$folder"/map-?????.a[2-9]*; do [ ! -e "$path" ] || fail "issued a second time: $path"; done
  done
}

# How soon a machine that is cut off may be taken for dead: when a lease is over; or when the server, which counts its own lease of as long in whole seconds, has given its locks away.
soonest() { if is_version_3; then echo 9.9; else echo 8.9; fi; }

# taken_back FROM TO CLAIM=BEAT...: waits until all have expired; each so many seconds after its last beat, by the server's clock.
taken_back() {
  local from=$1 to=$2 pair claim waited all=
  for pair in "${@:3}"; do
    claim=${pair%=*}
    wait_for 60 all_lie_in expired "$claim"
    waited=$(minus "$(moved_at expired "$claim")" "${pair#*=}")
    all+=" $waited"
    ! less "$waited" "$from" || fail "$claim was taken back too early, $waited s after its last beat"
    less "$waited" "$to" || fail "$claim was taken back too late, $waited s after its last beat"
  done
  note "taken back$all s after the last beat"
}
last_beats() { # CLAIMS...
  local claim
  for claim in "$@"; do echo "$claim=$(beat_of "$claim")"; done
}

# The job has come to what was expected, once, and every client that is asked sees nothing wrong.
right() { # NODES...
  ended || fail "the job has not ended"
  cat $JOB/output/mr-out-* | cmp - $LAB/want || fail "the output is wrong on the server"
  local node
  for node in "$@"; do
    on "$node" $FLOCKWORK cat job | cmp - $LAB/want || fail "the output is wrong on $node"
    on "$node" $FLOCKWORK verify job || fail "$node finds faults"
  done
}
