# A client cut off while it ends its tasks, for so long that the server forgets its open files and locks, is fenced when it is back, and works on.
# ci: 4.2
# long: every
# lasts: 40
gated_job
start boss node1 $GATED coordinator job
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node2
start near node1 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node1
claims=$(names claimed @node2)
sleep 3
cut_off node2
sleep 0.5
beats=$(last_beats $claims)
open_gate map # Its maps end now, but nothing they write arrives.
taken_back "$(soonest)" 15 $beats
wait_for 60 there_are done 8 map-
sleep 4
heal node2
wait_for 60 there_are claimed 2 'reduce.*@node2' # Both slots are free again.
open_gate reduce
ends boss 0
ends near 0
ends far 0
all_lie_in expired $claims || fail "an expired claim has come back"
right node1 node2
