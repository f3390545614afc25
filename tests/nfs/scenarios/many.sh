# A job of very many tasks that do nothing, which share files: what one of them costs the server.
# long: 4.2
tasks=100000
mkdir -p $SERVER/in
seq $tasks > $SERVER/in/lines
on node1 $FLOCKWORK submit noop in --split-lines 1 -r 1 --job job
boss_was=$(calls node1) worker_was=$(calls node2)
start boss node1 $FLOCKWORK coordinator job
start worker node2 $FLOCKWORK worker job --slots 2
ends boss 0
ends worker 0
worker=$(between "$worker_was" "$(calls node2)" $tasks) boss=$(between "$boss_was" "$(calls node1)" $tasks)
on node2 $FLOCKWORK verify job
grep -q "\"records in\": $tasks" $SERVER/job/phase/end || fail "not every task is counted once: $(cat $SERVER/job/phase/end)"
files=$(ls $SERVER/job/done | wc -l)
note "metadata calls per task: workers ${worker%% *}, coordinator ${boss%% *}; $tasks tasks in $files files"
# (the goal for both together is 4; measured are 0.02 each)
less "${worker%% *}" 0.5 || fail "a task costs its workers $worker"
less "${boss%% *}" 0.5 || fail "a task costs the coordinator $boss"
