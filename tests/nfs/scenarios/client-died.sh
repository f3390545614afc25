# A machine that loses its power while it holds tasks and locks delays the job by little more than a lease.
# ci: 4.2
# long: every
# lasts: 35
gated_job
start boss node1 $GATED coordinator job
start near node1 $GATED worker job --slots 1
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 1 @node1
wait_for 30 there_are claimed 2 @node2
claims=$(names claimed @node2)
sleep 2
power_off node2
beats=$(last_beats $claims)
taken_back "$(soonest)" 15 $beats
open_gate map
open_gate reduce
began=$SECONDS
ends boss 0
ends near 0
note "ended $((SECONDS - began)) s later"
# (measured are 0 to 2 s)
[ $((SECONDS - began)) -lt 30 ] || fail "the end is later than that by more than a lease"
right node1
