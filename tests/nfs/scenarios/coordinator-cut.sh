# When the coordinator's machine is cut off, a standby on another leads; when it is back, the old one does no harm, and the job is done once.
# ci: 4.2
# long: 4.2 4.1 4.0 3
# lasts: 45
gated_job
start first node1 $GATED coordinator job
start near node1 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node1
says first "leading the job" || fail "the first coordinator does not lead"
start standby node2 $GATED coordinator job
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node2
wait_for 10 says standby "standing by"
sleep 2
cut_off node1
began=$EPOCHREALTIME
# Where a lock is never given back by a server (NFS 3), only the silence of three leases tells.
wait_for 60 says standby "leading the job"
note "the standby led after $(minus "$EPOCHREALTIME" "$began") s"
open_gate map
wait_for 60 there_are done 8 map-
heal node1
wait_for 60 there_are claimed 1 'reduce.*@node1'
sleep 5 # Both look at the job now, and the old one still believes itself alone.
open_gate reduce
ends first 0
ends standby 0
ends near 0
ends far 0
[ "$(names done | cut -d. -f1 | sort | uniq -d)" = "" ] || fail "a task is done twice: $(names done)"
right node1 node2
