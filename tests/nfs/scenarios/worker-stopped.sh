# A worker stopped for longer than a lease loses its tasks to others; when it wakes in mid-job its late commits change nothing.
# ci: 4.2
# long: every
# lasts: 35
gated_job
start boss node1 $GATED coordinator job
start sleeper node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node2
claims=$(names claimed)
sleep 3 # Its first heartbeats have come, and with them what its kernel had not written yet.
signal STOP $claims
sleep 0.5 # A heartbeat that was on its way has come.
taken_back 9.9 15 $(last_beats $claims)
start heir node1 $GATED worker job --slots 2
open_gate map
wait_for 30 there_are done 8 map-
signal CONT $claims
# It finds the gate open, ends what it held, and cannot commit it; then it works on.
superseded() { [ "$(grep -h '"superseded"' $JOB/log/* | grep -c @node2)" = 2 ]; }
wait_for 30 superseded
wait_for 30 there_are claimed 1 'reduce.*@node2'
open_gate reduce
ends boss 0
ends heir 0
ends sleeper 0
[ "$(names done | cut -d. -f1 | sort | uniq -d)" = "" ] || fail "a task is done twice: $(names done)"
all_lie_in expired $claims || fail "an expired claim has come back"
right node1 node2
