# A server that forgets what its clients have opened and locked, while they hold tasks, costs nobody more than a new open file.
# ci: 4.2
# long: 4.2 4.1 4.0
gated_job
start boss node1 $GATED coordinator job
start near node1 $GATED worker job --slots 2
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node1
wait_for 30 there_are claimed 2 @node2
sleep 3
forget_clients
sleep 1
open_gate map
open_gate reduce
wait_for 60 ended
ends boss 0
ends near 0
ends far 0
nobody_was_lost
right node1 node2
