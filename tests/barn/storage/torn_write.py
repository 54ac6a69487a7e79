"""A write of the log that is cut short (B07): the leader dies with so many bytes of its last batch on the disk. It starts,
votes, and has lost nothing that was acknowledged. (Every single byte is tried by the journal's own tests.)
"""
import errno
import os
import random

from storage_rig import PROGRAMS, Cluster, Faults, Writer, batches, check, check_written, main

BYTES = 3000  # of a value: a batch of one entry takes one block


def one(cluster, fault, kept, writers):
    member = cluster.members[1]
    writer = Writer(cluster, first=(1 + len(writers)) * 100_000, size=BYTES, under_way=2, timeout_ms=1500)
    writers.append(writer)
    writer.wait_for_acknowledged(20)
    # The rules are looked at in order. One call writes so many bytes, and the rest of them is asked for by the next, which fails.
    cut = fault.add("write", "journal/segment-", "short", kept, times=1)
    end = fault.add("write", "journal/segment-", "fail", errno.EIO)
    check(member.wait_end() != 0, "a member whose log could not be written went on")
    check(cut.struck() == 1 and end.struck() == 1, "the write was not cut short")
    writer.end()
    cut.end()
    end.end()
    before = batches(member)[-1]
    since = member.log_position()
    member.start(env=fault.env())
    started = member.log_entries("barn.member.started", since)[-1]["fields"]
    check(started["whole"], f"a torn batch was taken for damage: {started}")
    check(not os.path.exists(os.path.join(member.folder, "journal", "vote-lost")), "it has no vote")
    return (f"{kept} bytes of a batch behind {before['batch']} at {before['offset'] + before['bytes']}: "
            + check_written(cluster, *writers))


def body():
    with Cluster(PROGRAMS.runi, members=1) as cluster:
        member = cluster.members[1]
        member.stop()
        fault = Faults(member.folder + ".faults")
        fault.add("open_direct", "journal/", "fail", errno.EINVAL)  # O_DIRECT writes whole sectors only
        member.start(env=fault.env())
        kept = [1, 63, 79, random.randrange(80, BYTES), BYTES + 79]
        writers = []
        for bytes_kept in kept:
            fault.reuse(1)
            print(one(cluster, fault, bytes_kept, writers), flush=True)


if __name__ == "__main__":
    main(body)
