# A client cut off for less than a lease loses nothing; for longer, its tasks go to others, and when it is back it is fenced and works on.
# ci: 4.2/5 4.2/15
# long: every/5 every/15 4.2/120 4.0/120 3/120
# lasts: 25
gated_job
start boss node1 $GATED coordinator job
start near node1 $GATED worker job --slots 2
start far node2 $GATED worker job --slots 2
wait_for 30 there_are claimed 2 @node1
wait_for 30 there_are claimed 2 @node2
claims=$(names claimed @node2)
sleep 2
began=$SECONDS
cut_off node2
if [ "$ARGUMENT" -lt 10 ]; then
  # No longer, whatever the machine has to do: TCP tries again after 6 s, and then only after 12.
  sleep "$ARGUMENT"
  heal node2
  healed=$(date +%s.%3N)
  beaten_since_healed() { nobody_was_lost && have_beaten_since "$healed" $claims; }
  wait_for 30 beaten_since_healed
  no_second_attempts
  open_gate map
else
  sleep 0.5
  beats=$(last_beats $claims)
  taken_back "$(soonest)" 15 $beats
  open_gate map
  wait_for 60 there_are done 8 map-
  while [ $((SECONDS - began)) -lt "$ARGUMENT" ]; do sleep 0.5; done
  heal node2
  # A connection that was silent for so long is tried again after as long.
  wait_for $((ARGUMENT + 60)) there_are claimed 1 'reduce.*@node2'
fi
open_gate reduce
ends boss 0
ends near 0
ends far 0
if [ "$ARGUMENT" -lt 10 ]; then nobody_was_lost; else all_lie_in expired $claims || fail "an expired claim has come back"; fi
right node1 node2
