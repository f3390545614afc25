# What can be done to the server, its clients and their cables. Sourced by `guest`.
# shellcheck shell=bash

SERVER=/mnt/server # the server's own directory
SHARE=/mnt/share   # its mount on every client
LEASE_NFS=10       # of the NFS server, in seconds; the kernel takes none shorter

is_version_3() { [[ $VERSION == 3* ]]; }
has_locks() { [[ $VERSION != *-nolock ]]; }

# The process behind which the client's name spaces are, in PID. (A program costs some 20 ms to start here, so that none is started where the shell will do.)
find_node() { read -r PID < "$LAB/nodes/$1"; }

# on NODE COMMAND...: on this client, in its mount.
on() {
  local PID
  find_node "$1"
  nsenter -t "$PID" -n -u -m -p "--wd=/proc/$PID/root$SHARE" "${@:2}"
}

# beside NODE COMMAND...: on this client, but without a look at its mount, which may hang.
beside() {
  local PID
  find_node "$1"
  nsenter -t "$PID" -n -u -m -p "${@:2}"
}

add_client() { # NUMBER
  local n=$1 pid='' from=/ options=vers=${VERSION%-nolock},proto=tcp,hard statd=: boot
  unshare --net --uts --mount --pid --fork --mount-proc sh -c 'while :; do sleep 1000; done' 2> /dev/null &
  until [ "$pid" ]; do
    sleep 0.01
    read -r pid < "/proc/$!/task/$!/children" || true # (no line end)
  done
  echo "${pid% }" > "$LAB/nodes/node$n"
  ip -batch - <<END || return 1
link add cable$n type veth peer name eth0 netns $pid
addr add 10.77.$n.1/24 dev cable$n
link set cable$n up
END
  # Every machine has booted at some time of its own.
  read -r boot < /proc/sys/kernel/random/uuid
  echo "$boot" > "$LAB/nodes/boot$n"
  if is_version_3; then
    from=$SERVER
    if has_locks; then
      statd='mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/nfs && mkdir /var/lib/nfs/sm /var/lib/nfs/sm.bak && rpcbind -w && rpc.statd --no-notify'
    else
      options+=,nolock
    fi
  fi
  # What a server mounts is not in its clients' view, or it could not be unmounted.
  beside "node$n" sh -c "echo node$n > /proc/sys/kernel/hostname && umount $SERVER && mount --bind $LAB/nodes/boot$n /proc/sys/kernel/random/boot_id &&
    printf 'link set lo up\naddr add 10.77.$n.2/24 dev eth0\nlink set eth0 up\n' | ip -batch - && $statd && mount -t nfs -o $options 10.77.$n.1:$from $SHARE"
}

# Its processes are gone, its mount, and its cable.
remove_client() { # NUMBER
  local n=$1 PID tries
  find_node "node$n"
  [ ! -e "$LAB/nodes/cut$n" ] || heal "node$n"
  timeout -s KILL 30 nsenter -t "$PID" -n -u -m -p sh -c "kill -KILL -1; until umount $SHARE; do sleep 0.1; done"
  kill -KILL "$PID"
  # Its cable goes with the network behind it. (Whoever has started the process waits for it.)
  for tries in {1..100}; do
    [ -e "/proc/$PID" ] || [ -e "/sys/class/net/cable$n" ] || return 0
    read -rt 0.1 -u "$NEVER" || true
  done
  echo "node$n does not end"
  return 1
}

# Every packet takes so long on its way, both ways: more is under way when something happens.
delay() { # NODE TIME
  tc qdisc add dev "cable${1#node}" root netem delay "$2"
  beside "$1" tc qdisc add dev eth0 root netem delay "$2"
}

# Every packet is dropped without a word, both ways.
cut_off() { # NODE
  : > "$LAB/nodes/cut${1#node}"
  tc qdisc add dev "cable${1#node}" root netem loss 100%
  beside "$1" tc qdisc add dev eth0 root netem loss 100%
}

heal() { # NODE
  rm "$LAB/nodes/cut${1#node}"
  tc qdisc del dev "cable${1#node}" root
  beside "$1" tc qdisc del dev eth0 root
}

# Its processes are gone, and its kernel never says another word.
power_off() { # NODE
  cut_off "$1"
  beside "$1" sh -c 'kill -KILL -1'
}

start_server() {
  local three=-N
  ! is_version_3 || three=-V
  rpc.nfsd -L $LEASE_NFS -G $LEASE_NFS -V 4 $three 3 8
}

stop_server() { rpc.nfsd 0; }

# As after a cut that was longer than the server's patience: it knows nothing any more of what NFS 4 clients have opened and locked.
forget_clients() {
  local client
  for client in /proc/fs/nfsd/clients/*/ctl; do echo expire > "$client"; done
}

# A power cut. No packet of the dying server leaves it, so nobody is told; what it had not written to its disk is lost; then it comes back.
crash_server() {
  local n tcp=/proc/sys/net/ipv4
  for n in $(seq "$CLIENTS"); do ip link set "cable$n" down; done
  # Connections end with the server, not minutes later with a last word.
  echo 0 > $tcp/tcp_max_orphans
  stop_server
  # The file system stops as it is: EXT4_IOC_SHUTDOWN, without writing its journal first.
  perl -e 'open(my $top, "<", $ARGV[0]) or die $!; my $how = pack("L", 2); ioctl($top, 0x8004587d, $how) or die $!' $SERVER
  # What NFS 3 clients have locked is held by another daemon.
  ! is_version_3 || echo $SERVER > /proc/fs/nfsd/unlock_filesystem
  exportfs -f
  umount $SERVER
  mount -t ext4 $DISK $SERVER
  sleep 1
  echo 4096 > $tcp/tcp_max_orphans
  start_server
  for n in $(seq "$CLIENTS"); do ip link set "cable$n" up; done
}
