# A client that lists phase/ all the time sees the end of each job, though it may have listed in the very tick of the server's clock in which the end got its name.
# ci: 3
# long: every
mkdir $SERVER/in
seq 20 > $SERVER/in/lines
shopt -s nullglob
start looker node2 bash -c 'shopt -s nullglob; until [ -e stop ]; do for name in job*/phase/*; do :; done; done'
for n in 1 2 3 4 5; do
  on node1 $FLOCKWORK run wc in -r 1 --job job$n --slots 1 -q
  names=" $(on node2 bash -c "echo job$n/phase/*") "
  [[ $names == *" job$n/phase/end "* && $names == *" job$n/phase/finished "* && $names != *phase/ending.* ]] || fail "node2 lists$names"
done
touch $SERVER/stop
ends looker 0
