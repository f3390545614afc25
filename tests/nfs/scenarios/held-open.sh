# A process of the coordinator's machine has tasks open for writing, as a worker has whose lock is not granted yet, while another machine does them: what that wrote is what the coordinator reads.
# ci: 3
# long: every
mkdir -p $SERVER/in
seq 3 > $SERVER/in/lines
on node1 $FLOCKWORK submit noop in --split-lines 1 -r 1 --job job
start boss node1 $FLOCKWORK coordinator job
wait_for 30 there_are pending 3 map-
start holder node1 bash -c 'cd job/pending; exec 3>> map-00000.a1 4>> map-00001.a1 5>> map-00002.a1; touch ../../held; until [ -e ../../stop ]; do sleep 0.2; done'
wait_for 30 test -e $SERVER/held
start far node2 $FLOCKWORK worker job --slots 1
ends boss 0
ends far 0
touch $SERVER/stop
ends holder 0
nobody_was_lost
on node1 $FLOCKWORK verify job
