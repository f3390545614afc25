# Containers of one machine that each mounted the share for themselves, with locks that are local to each mount, do not take each other for dead.
# ci: 3-nolock
# long: every
for n in 1 2; do beside node$n umount /proc/sys/kernel/random/boot_id; done
gated_job
start boss node1 $GATED coordinator job
start worker node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node2
sleep 3 # A heartbeat; and the coordinator has looked at the locks.
nobody_was_lost
open_gate map
open_gate reduce
ends boss 0
ends worker 0
nobody_was_lost
right node1 node2
