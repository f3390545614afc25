# A server far away: a coordinator has several calls under way at once, and issues tasks and reads what they made in less time than its metadata calls alone take one after the other.
# long: 4.2 3
# lasts: 30
tasks=300 there_and_back=0.02
mkdir -p $SERVER/in
seq $tasks > $SERVER/in/lines
on node1 $FLOCKWORK submit noop in --split-lines 1 --bundle 1 -r 1 --job job
delay node1 10ms
boss_was=$(calls node1) began=$EPOCHREALTIME
start boss node1 $FLOCKWORK coordinator job
start worker node2 $FLOCKWORK worker job --slots 2
ends boss 0
took=$(minus "$EPOCHREALTIME" "$began")
ends worker 0
nobody_was_lost
on node2 $FLOCKWORK verify job
boss=$(between "$boss_was" "$(calls node1)" 1)
say "the coordinator's calls: $boss"
note "$tasks tasks in $took s, ${boss%%.*} calls of $there_and_back s each"
ok=$(awk "BEGIN { print $took < ${boss%% *} * $there_and_back }")
[ "$ok" = 1 ] || fail "as slow as one call after the other"
