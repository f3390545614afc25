# A farm: coordinators and standing workers on two machines, several jobs; one machine loses its power. All jobs finish, with the right bytes; one that waited for another, too.
# ci: 4.2
# lasts: 40
# long: every
text 4 20
want $GATED sequential gated-words in -r 2
mkdir $SERVER/farm
shut map
for n in 1 2 3; do on node$((n % 2 + 1)) $GATED submit gated-words in -r 2 --job farm/job$n; done
# (this one is in mid-task when the machine dies)
on node1 $GATED submit gated-words in -r 2 --job farm/held --priority 5 -o gate=$LAB/gates
on node2 $GATED submit gated-words farm/job1/output -r 1 --job farm/later --after farm/job1
# (the coordinator that dies leads what there is; the other stands by)
leads_held() { grep -qs '"by":"node2\.' $SERVER/farm/held/coordinator.lock; }
start boss2 node2 $GATED coordinator farm
wait_for 60 leads_held
start boss1 node1 $GATED coordinator farm
start near node1 $GATED worker farm --slots 2
start far node2 $GATED worker farm --slots 2
JOB=$SERVER/farm/held
wait_for 60 there_are claimed 1 @node1
wait_for 60 there_are claimed 1 @node2
lost=$(names claimed @node2)
power_off node2
began=$SECONDS
on node1 $GATED submit gated-words in -r 2 --job farm/added
open_gate map
finished() {
  local job
  for job in job1 job2 job3 added held later; do [ -e "$SERVER/farm/$job/phase/finished" ] || return 1; done
}
wait_for 120 finished
note "all finished $((SECONDS - began)) s after one of two machines died"
# (a job has its end before what is left of its claims is put away)
wait_for 30 all_lie_in expired $lost
for job in job1 job2 job3 held added; do on node1 $FLOCKWORK cat farm/$job | cmp - $LAB/want || fail "the output of $job is wrong"; done
want $GATED sequential gated-words farm/job1/output -r 1
on node1 $FLOCKWORK cat farm/later | cmp - $LAB/want || fail "the output of later is wrong"
for job in job1 job2 job3 added held later; do on node1 $FLOCKWORK verify farm/$job || fail "faults in $job"; done
on node1 $FLOCKWORK status farm
beside node1 sh -c 'kill -TERM $(pgrep -f "(coordinator|worker) farm")'
ends boss1 0
ends near 0
