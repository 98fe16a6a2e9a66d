#!/bin/sh
# Boot this machine's systemd as a machine of its own: boot.sh UPPER WORK ROOT CGROUP NAME MOUNT...
#
# Its root is this machine's with UPPER laid over it; each MOUNT is a directory of ours and where it shows there, read
# only (SOURCE:TARGET). Started in namespaces of its own (network, mounts, names, IPC, processes): the end of its first
# process is the end of all of it. CGROUP is the control group that it takes for the topmost one.
set -eu
upper=$1 work=$2 root=$3 cgroup=$4 name=$5
shift 5

hostname "$name"
mount -t overlay -o "lowerdir=/,upperdir=$upper,workdir=$work" booted "$root"
for pair in "$@"; do
  target=$root${pair#*:}
  mkdir -p "$target"
  mount --bind "${pair%%:*}" "$target"
  mount -o remount,ro,bind "$target"
done

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
# what the kernel has one of for all machines cannot be changed; a network's settings are the network namespace's own
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,ro,bind "$root/proc/sys"

echo 0 >"$cgroup/cgroup.procs" # before the namespace of control groups, whose topmost it becomes
exec unshare --cgroup sh -euc '
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$1/sys/fs/cgroup"
  cd "$1"
  mkdir -p old
  pivot_root . old
  umount -l /old
  mount --make-rshared / # else what systemd mounts for a unit (its credentials) is seen by nobody else
  exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
    --log-target=journal --show-status=1 --unit=multi-user.target
' sh "$root"
