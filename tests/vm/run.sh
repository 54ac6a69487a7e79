#!/bin/bash
# What the virtual machine does (process 1): sets the system up, runs every line of /vm/tests.txt, and powers off.
# After each line the results so far are on the second disk as a tar archive.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=0666,newinstance devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
# Where the disk's files were made by an ordinary user, they are that user's.
[[ $(stat -c %u /usr) == 0 ]] || chown -Rh 0:0 /usr /etc /vm
sysctl_write() { [[ -e /proc/sys/$1 ]] && echo "$2" >"/proc/sys/$1"; }
sysctl_write kernel/unprivileged_userns_clone 1
export RUNINK_MACHINE_IS_OURS=1 TMPDIR=/tmp LANG=C.UTF-8

keep_results() { tar -C /vm/results -cf /dev/vdb . && sync; }

mkdir -p /vm/results
echo "kernel $(uname -r), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)" | tee /vm/results/machine.txt
while read -r name program filter; do
  echo "vm: $name begins at $(cut -d' ' -f1 /proc/uptime) s"
  cd "$(dirname "$program")" || continue
  "$program" --gtest_filter="$filter" --gtest_output="xml:/vm/results/$name.xml" </dev/null >"/vm/results/$name.log" 2>&1
  echo "vm: $name ended with $? at $(cut -d' ' -f1 /proc/uptime) s"
  keep_results
done </vm/tests.txt
# What tests left behind would show here.
{ ls -d /sys/fs/cgroup/*/ ; wc -l </proc/self/mountinfo; } >/vm/results/left.txt 2>&1
keep_results
echo "vm: all done"
echo o >/proc/sysrq-trigger
sleep 60
