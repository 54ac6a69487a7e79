"""A disk that really fails (B04): the leader's log lies on ext4 in a file of a tmpfs that is full. A sync fails, and the
next one says that all is well. Nothing of the failed batch is acknowledged, the member ends, and its next start does
not trust what the page cache shows it: it makes the log anew in another file.
"""
import contextlib
import errno
import os
import shutil
import time

from storage_rig import (MIB, Faults, Mounts, OnDisks, Writer, batches, check, check_written, fill, hand_lead_to, hole, main,
                         newest_segment, run, skip, wait_for)

IMAGE_MIB, MARGIN_MIB = 256, 8
AHEAD, HOLE_BYTES = 4 * MIB, 16 * MIB
MOST_SECONDS = 10


def log_on_disk(mounts, cluster, member):
    """Moves its log to a disk of its own, in a tmpfs of its own; the folder of that tmpfs, and the disk."""
    member.stop()
    below = mounts.tmpfs(os.path.join(mounts.root, "below"), f"{IMAGE_MIB + MARGIN_MIB}m")
    disk = mounts.disk("log", IMAGE_MIB, below, allocate=True)
    journal = os.path.join(member.folder, "journal")
    for name in os.listdir(journal):
        shutil.move(os.path.join(journal, name), os.path.join(disk.folder, name))
    run("mount", "--bind", disk.folder, journal)
    mounts.on_exit(lambda: run("umount", "-l", journal, code=None))
    return below, disk


def one(cluster, member, fault, below, disk, buffered):
    name = "sync" if buffered else "write"
    refuse = fault.add("open_direct", "journal/", "fail", errno.EINVAL) if buffered else None
    last = batches(member)[-1]
    end = last["offset"] + last["bytes"]
    member.start(env=fault.env())
    cluster.wait_for_voters(3)
    hand_lead_to(cluster, member)
    segment = newest_segment(member)
    hole(segment, disk, end + AHEAD, HOLE_BYTES)
    filling = fill(below)
    since = member.log_position()
    writer = Writer(cluster, f"{name}/", size=16384, marked=False, timeout_ms=8000)
    code = member.wait_end(40)
    ended = time.monotonic()
    check(code != 0, f"a member whose log failed ended with {code}")
    why = [entry["message"] for entry in member.log_entries(since=since) if entry.get("level") == "error"]
    check(any("segment-" in message and name in message for message in why), f"it does not say which {name} failed: {why}")
    with open(segment, "r+b") as file:
        with contextlib.suppress(OSError):  # what failed since then
            os.fsync(file.fileno())
        os.fsync(file.fileno())  # and whoever asks again hears that all is well
    cluster.leader(among=[m for m in cluster.members.values() if m is not member])
    writer.wait_for_more(50)
    took = time.monotonic() - ended
    unknown = sum(line[0] == "unknown" for line in writer.end())
    os.remove(filling)
    if refuse is not None:
        refuse.end()
    before = os.stat(segment).st_ino
    member.start(env=fault.env())
    # In a new file of that name; or behind the state, where the others had decided more than this log holds.
    check(not os.path.exists(segment) or os.stat(segment).st_ino != before, "the log goes on in the file whose write failed")
    cluster.wait_for_voters(3)
    digest = cluster.wait_until_equal()
    print(f"{name}: the member ended with {code} ({why[0]}); 50 more writes after {took:.2f} s; {unknown} writes unknown; "
          f"{check_written(cluster, writer, prefix=f'{name}/')}; digest {digest}")


def body():
    for tool in ("filefrag", "fallocate"):
        if shutil.which(tool) is None:
            skip(f"there is no {tool}")
    with Mounts() as mounts, OnDisks(lambda number: os.path.join(mounts.root, f"m{number}")) as cluster:
        member = cluster.members[1]
        fault = Faults(os.path.join(cluster.folder, "faults"))
        below, disk = log_on_disk(mounts, cluster, member)
        one(cluster, member, fault, below, disk, buffered=True)
        member.stop()
        one(cluster, member, fault, below, disk, buffered=False)


if __name__ == "__main__":
    main(body)
