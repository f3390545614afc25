# A whole job with its inputs and outputs on the mount and workers on every client comes to the right bytes, and nobody is declared dead.
# ci: 4.2 4.0 3 3-nolock
# long: every
# clients: 3
# lasts: 25
text 6 100
want $FLOCKWORK sequential wc in -r 5
on node1 $FLOCKWORK submit wc in -r 5 --split-lines 2 --job job
for n in 1 2 3; do start worker$n node$n $FLOCKWORK worker job --slots 2; done
wait_for 60 there_are workers 6 . # So that everybody is there when the first task is.
start boss node2 $FLOCKWORK coordinator job
ends boss 0
for n in 1 2 3; do ends worker$n 0; done
right node1 node2 node3
nobody_was_lost
for n in 1 2 3; do there_are done 1 "@node$n" || fail "node$n did nothing"; done
