"""The power of all three members goes at once (B06): each has an ext4 of its own, which is shut down without its log being
flushed, unmounted and mounted again. Every acknowledged write is there.

The last round is the control: with disks that lie about every sync, the same check has to fail.

--rounds=100 for more of them.
"""
import errno
import os
import random

from storage_rig import PROGRAMS, Faults, Mounts, OnDisks, Writer, check, check_written, main

ROUNDS = PROGRAMS.option("rounds", 3)


def cut(cluster, disks):
    """In any order: those that go later may still acknowledge what they have."""
    for number in random.sample(sorted(disks), len(disks)):
        disks[number].cut_power()
    for member in cluster.members.values():
        member.kill()
    for disk in disks.values():
        disk.back()


def one(cluster, disks, number, writers):
    writer = Writer(cluster, first=1 + number * 1_000_000, size=random.choice([10, 1000, 9000]), under_way=16, timeout_ms=3000)
    writers.append(writer)
    writer.wait_for_acknowledged(random.randrange(1, 400))
    if number % 2 == 1:  # in the midst of a snapshot
        cluster.barn("snapshot", code=None)
    cut(cluster, disks)
    writer.end()
    for member in cluster.members.values():
        member.start("--snapshot-entries", "500")
    cluster.wait_for_voters(3)
    cluster.wait_until_equal()
    return check_written(cluster, *writers)


def lying_disks(cluster, disks):
    """What the rig itself is worth: members whose syncs do nothing must be caught."""
    for member in cluster.members.values():
        member.stop()
        fault = Faults(os.path.join(cluster.folder, f"faults-{member.number}"))
        fault.add("open_direct", "journal/", "fail", errno.EINVAL)
        fault.add("sync", "/", "skip")
        member.start(env=fault.env())
    cluster.wait_for_voters(3)
    writer = Writer(cluster, prefix="lost/", under_way=16, timeout_ms=3000)
    writer.wait_for_acknowledged(200)
    cut(cluster, disks)
    writer.end()
    try:
        for member in cluster.members.values():
            member.start()
        cluster.wait_for_voters(3, seconds=10)
        check_written(cluster, writer, prefix="lost/")
    except AssertionError as why:
        return str(why).splitlines()[0]
    check(False, "nothing was lost though no sync was made: this rig would notice nothing")


def body():
    with Mounts() as mounts:
        disks = {number: mounts.disk(f"disk{number}", 640 + 16 * ROUNDS) for number in (1, 2, 3)}
        with OnDisks(lambda number: os.path.join(disks[number].folder, "member")) as cluster:
            writers = []
            for number in range(ROUNDS):
                print(f"round {number + 1}: {one(cluster, disks, number, writers)}", flush=True)
            print(f"control: {lying_disks(cluster, disks)}")


if __name__ == "__main__":
    main(body)
