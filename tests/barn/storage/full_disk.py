"""Disks that run full: the leader's (B11), two of three (B12), then all. What cannot be kept is refused, with the reason; the lead goes
to a member that has room; nobody ends; reads go on; and with space everything goes on, without a restart.
"""
import os

from storage_rig import (MIB, Mounts, OnDisks, Writer, check, check_written, fill, get, main, wait_for)

DISK_MIB = 512


def refusals(writer):
    return [line for line in writer.lines("no") if line[2] == "RESOURCE_EXHAUSTED"]


def others(writer):
    return [line for line in writer.lines() if line[0] != "ack"]


def check_all_run(cluster, starts):
    for member in cluster.members.values():
        check(member.alive() and member.starts == starts, f"{member} has ended:\n{member.log_end()}")


def leaders_disk(cluster, disks):
    leader = cluster.leader()
    filling = fill(disks[leader.number].folder)
    writer = Writer(cluster, "one/", size=32768, under_way=16, timeout_ms=8000)
    wait_for("the lead goes to a member that has room", lambda: cluster.find_leader() not in (None, leader), 40)
    writer.wait_for_more(200)
    print(f"leader's disk full: {writer.acknowledged()} writes acknowledged, {len(refusals(writer))} refused; "
          f"member {cluster.leader().number} leads after {leader.number}", flush=True)
    os.remove(filling)
    writer.end()
    cluster.wait_until_equal()
    check_all_run(cluster, 1)
    print(f"space again: {check_written(cluster, writer, prefix='one/')}", flush=True)


def two_disks(cluster, disks):
    """The leader has room, and nobody to commit with."""
    members = list(cluster.members.values())
    with_room = cluster.leader()
    filling = [fill(disks[member.number].folder) for member in members if member is not with_room]
    writer = Writer(cluster, "two/", size=32768, under_way=16, timeout_ms=3000)
    wait_for(lambda: f"nothing is acknowledged any more: {writer.lines()[-3:]}", lambda: len(others(writer)) >= 16)
    writer.end()
    done = get(cluster, "one/0000000001")
    check(done.returncode == 0 and done.stdout.startswith("one/"), f"a read with two full disks: {done.stderr}")
    check_all_run(cluster, 1)
    print(f"two disks full: {writer.acknowledged()} acknowledged before, {len(others(writer))} not, reads answered",
          flush=True)
    return writer, filling


def all_disks(cluster, disks):
    # The leader's last: one that still had room would take over from it.
    leader = cluster.leader()
    order = [member for member in cluster.members.values() if member is not leader] + [leader]
    filling = [fill(disks[member.number].folder) for member in order]
    writer = Writer(cluster, "all/", size=32768, under_way=4, timeout_ms=2000, marked=False)
    wait_for(lambda: f"writes are not acknowledged: {writer.lines()[-3:]}", lambda: len(others(writer)) >= 8, 30)
    writer.end()
    check_all_run(cluster, 1)

    def is_read():
        return get(cluster, "one/0000000001").stdout.startswith("one/")
    wait_for("a read with full disks", is_read)
    # Also after a change of the lead: the first entry of its term fits into what is reserved.
    leader = cluster.leader()
    leader.pause()
    wait_for("another leads", lambda: cluster.find_leader() not in (None, leader))
    wait_for("a read with full disks, of a new leader", is_read)
    leader.resume()
    print(f"all disks full: {len(refusals(writer))} refused; reads answered, also by a new leader", flush=True)
    # A member that is started now has what it kept for that.
    member = cluster.followers()[0]
    member.kill()
    member.start()
    return writer, filling, member


def space_again(cluster, writer, filling, prefix, starts):
    for path in filling:
        os.remove(path)
    more = Writer(cluster, prefix, first=10**9, size=32768, under_way=4, timeout_ms=8000)
    more.wait_for_acknowledged(50)
    more.end()
    cluster.wait_until_equal()
    for member in cluster.members.values():
        check(member.alive() and member.starts == starts(member), f"{member} has ended:\n{member.log_end()}")
    print(f"space again: {check_written(cluster, writer, more, prefix=prefix)}", flush=True)


def body():
    with Mounts() as mounts:
        disks = {number: mounts.disk(f"disk{number}", DISK_MIB) for number in (1, 2, 3)}
        with OnDisks(lambda number: os.path.join(disks[number].folder, "member")) as cluster:
            leaders_disk(cluster, disks)
            writer, filling = two_disks(cluster, disks)
            space_again(cluster, writer, filling, "two/", lambda member: 1)
            writer, filling, started = all_disks(cluster, disks)
            space_again(cluster, writer, filling, "all/", lambda member: 2 if member is started else 1)


if __name__ == "__main__":
    main(body)
