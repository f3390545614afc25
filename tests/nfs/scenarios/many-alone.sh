# A job of very many tasks that do nothing, a file each, completes, each task once; what it asks of the server, all told.
# long: 4.2/20000
# limit: 900
# lasts: 200
# number: of tasks; any will do, as in many-alone/4.2/2000
mkdir -p $SERVER/in
seq "$ARGUMENT" > $SERVER/in/lines
boss_was=$(calls node1) worker_was=$(calls node2)
began=$EPOCHREALTIME
on node1 $FLOCKWORK submit noop in --split-lines 1 --bundle 1 -r 1 --job job
start boss node1 $FLOCKWORK coordinator job
start worker node2 $FLOCKWORK worker job --slots 2
ends boss 0
ends worker 0
took=$(minus "$EPOCHREALTIME" "$began")
boss=$(between "$boss_was" "$(calls node1)" "$ARGUMENT") worker=$(between "$worker_was" "$(calls node2)" "$ARGUMENT")
grep -q "\"records in\": $ARGUMENT\b" $JOB/phase/end || fail "not every task counts once"
nobody_was_lost
on node1 $FLOCKWORK verify job
say "a task costs its worker $worker"
say "and the coordinator with submit $boss"
note "$ARGUMENT tasks in $took s; metadata calls per task: worker ${worker%% *}, coordinator ${boss%% *}"
