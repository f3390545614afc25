# While the server is away nobody dies of it: whatever the time, no healthy worker loses a claim, and the job goes on.
# ci: 4.2/5 4.2/15
# long: every/5 every/15 4.2/60 4.0/60 3/60
# lasts: 25
gated_job
start boss node1 $GATED coordinator job
start near node1 $GATED worker job --slots 2
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 4 .
sleep 2
stop_server
sleep "$ARGUMENT"
start_server
began=$SECONDS
# (the gate is shut for longer than a lease: a claim taken for silent would be seen to be)
back=$(date +%s.%3N) claims=$(names claimed .)
wait_for $((ARGUMENT + 60)) have_beaten_since "$back" $claims
sleep 12
no_second_attempts
note "all have beaten, and none was issued twice, $((SECONDS - began)) s after the server was back"
began=$SECONDS
open_gate map
open_gate reduce
ends boss 0
ends near 0
ends far 0
note "ended $((SECONDS - began)) s later"
nobody_was_lost
right node1 node2
