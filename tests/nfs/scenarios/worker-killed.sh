# A worker killed with its slots is noticed from another machine: by its lock where locks work, else when a lease is over. Its tasks are done by others.
# ci: 4.2 4.0 3 3-nolock
# long: every
# lasts: 30
# By its lock it is noticed long before so long a lease is over, however slow the machine.
if has_locks; then gated_job --lease 30s; else gated_job; fi
start boss node1 $GATED coordinator job
start victim node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node2
claims=$(names claimed)
sleep 3 # The coordinator has looked at its locks, and it has beaten.
beats=$(last_beats $claims)
signal KILL $claims
# Where locks tell of the death the claims may be gone at once; where there are none, a beat may have come meanwhile.
has_locks || beats=$(last_beats $claims)
if has_locks; then taken_back 0 25 $beats; else taken_back 9.9 15 $beats; fi
start heir node1 $GATED worker job --slots 2
open_gate map
open_gate reduce
ends boss 0
ends heir 0
right node1 node2
