# A server that restarts while tasks are claimed and committed, orderly or by a power cut that swallows its last replies, costs nobody a claim.
# ci: 4.2/orderly 4.2/crash
# long: every/orderly every/crash
# lasts: 40
text 6 60
want $FLOCKWORK sequential wc in -r 5
on node1 $FLOCKWORK submit wc in -r 5 --split-lines 3 --job job
for n in 1 2; do delay node$n 2ms; done
for n in 1 2; do start worker$n node$n $FLOCKWORK worker job --slots 2; done
start boss node1 $FLOCKWORK coordinator job
for count in 15 50; do
  wait_for 90 there_are done $count map-
  case $ARGUMENT in
    orderly) stop_server; start_server ;;
    crash) crash_server ;;
  esac
  say "the server is back, and $(number_of done) tasks are done"
done
! ended || fail "the job was over too soon"
ends boss 0
for n in 1 2; do ends worker$n 0; done
nobody_was_lost
right node1 node2
