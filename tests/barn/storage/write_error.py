"""A write or a sync of the leader's log that fails once (B03, B04): the process ends at once, acknowledges nothing of it,
and is not asked a second time; another one leads; nothing acknowledged is lost.

A write of the hard state, or a sync of the applied state, is the end of a process, too.

The failing call is chosen in the process itself (faults.cc). failing_disk.py does the same with a disk that really fails.
"""
import errno
import os
import time

from storage_rig import PROGRAMS, Cluster, Faults, Writer, check, check_written, hand_lead_to, main, newest_segment, put_some, wait_for

MOST_SECONDS = 10  # what is measured is printed, and is far less


def one(cluster, faults, name, call, path, number, buffered):
    leader = cluster.leader()
    fault = faults[leader.number]
    refuse = fault.add("open_direct", "journal/", "fail", errno.EINVAL) if buffered else None
    if buffered:  # so that it opens its log without O_DIRECT, and syncs by a call of its own
        leader.stop()
        leader.start(env=fault.env())
        hand_lead_to(cluster, leader)
        check(refuse.struck() > 0, "the log was opened with O_DIRECT all the same")
    writer = Writer(cluster, f"{name}/", marked=False, timeout_ms=8000)
    writer.wait_for_acknowledged(50)
    since = leader.log_position()
    rule = fault.add(call, path, "fail", number, times=1)
    began = wait_for("the fault strikes", lambda: rule.struck() and time.monotonic())
    code = leader.wait_end(MOST_SECONDS)
    took = time.monotonic() - began
    check(code != 0, f"a member whose log failed ended with {code}")
    why = [entry["message"] for entry in leader.log_entries(since=since) if entry.get("level") == "error"]
    check(any(os.strerror(number) in message for message in why), f"its log does not say why: {why}")
    check(rule.struck() == 1, f"it was asked {rule.struck()} times")
    next_leader = cluster.leader(among=[m for m in cluster.members.values() if m is not leader])
    writer.wait_for_more(50)
    lines = writer.end()
    unknown = sum(line[0] == "unknown" for line in lines)
    if refuse is not None:
        refuse.end()
    before = os.stat(newest_segment(leader)).st_ino
    leader.start(env=fault.env())
    check(os.stat(newest_segment(leader)).st_ino != before, "the log goes on in the file whose write failed")
    cluster.wait_for_voters(3)
    digest = cluster.wait_until_equal()
    print(f"{name}: ended with {code} {took:.3f} s after the fault, member {next_leader.number} leads, {unknown} writes unknown; "
          f"{check_written(cluster, writer, prefix=f'{name}/')}; digest {digest}")
    return unknown


def elsewhere(cluster, faults, name, call, path, provoke):
    """A follower's other files: it ends, and starts again."""
    cluster.wait_until_equal()
    member = cluster.followers()[0]
    rule = faults[member.number].add(call, path, "fail", errno.EIO, times=1)
    since = member.log_position()
    provoke(member)
    code = member.wait_end(MOST_SECONDS)
    why = [entry["message"] for entry in member.log_entries(since=since) if entry.get("level") == "error"]
    check(code != 0 and any(os.strerror(errno.EIO) in message for message in why), f"it ended with {code}: {why}")
    check(rule.struck() == 1, f"it was asked {rule.struck()} times")
    member.start(env=faults[member.number].env())
    cluster.wait_for_voters(3)
    print(f"{name}: ended with {code}: {why[0]}; digest {cluster.wait_until_equal()}", flush=True)


def body():
    with Cluster(PROGRAMS.runi) as cluster:
        faults = {}
        for member in cluster.members.values():
            faults[member.number] = Faults(member.folder + ".faults")
            member.stop()
            member.start(env=faults[member.number].env())
        cluster.wait_for_voters(3)
        unknown = one(cluster, faults, "write", "write", "journal/segment-", errno.EIO, buffered=False)
        unknown += one(cluster, faults, "sync", "sync", "journal/segment-", errno.EIO, buffered=True)
        unknown += one(cluster, faults, "nospace", "write", "journal/segment-", errno.ENOSPC, buffered=False)
        elsewhere(cluster, faults, "hard state", "write", "journal/hard-state",
                  lambda member: cluster.barn("transfer", str(member.number), code=None))

        def write_the_state(_):
            put_some(cluster, 20, prefix="state/")
            cluster.barn("snapshot", code=None, timeout="5s")
        elsewhere(cluster, faults, "state", "sync", "/state/state-", write_the_state)
        check(unknown > 0, "no write was told as unknown, though some were under way")


if __name__ == "__main__":
    main(body)
