"""The leader's disk becomes slow: each write of its log takes two seconds (B13). The lead goes to another member, and writes are
as fast as before, while the slow member goes on.
"""
import statistics
import time

from storage_rig import PROGRAMS, Cluster, Faults, Writer, check, check_written, main, wait_for

DELAY_MS = 2000
MOST_SECONDS = 10  # to another leader; printed, and in election time-outs


def p99(lines):
    return statistics.quantiles([int(line[2]) / 1000 for line in lines], n=100)[98]


def body():
    with Cluster(PROGRAMS.runi) as cluster:
        faults = {}
        for member in cluster.members.values():
            faults[member.number] = Faults(member.folder + ".faults")
            member.stop()
            member.start(env=faults[member.number].env())
        cluster.wait_for_voters(3)
        leader = cluster.leader()
        writer = Writer(cluster, under_way=4, timeout_ms=20000)
        writer.wait_for_acknowledged(300)
        before = writer.lines("ack")
        rule = faults[leader.number].add("write", "journal/segment-", "delay", DELAY_MS)
        began = time.monotonic()
        wait_for("another one leads", lambda: cluster.find_leader() not in (None, leader), MOST_SECONDS)
        took = time.monotonic() - began
        check(rule.struck() > 0, "no write was slow")
        at = writer.acknowledged()
        writer.wait_for_more(300)
        after = writer.lines("ack")[at + 20:]
        check(leader.alive(), f"the slow member ended: {leader.log_end()}")
        writer.end()
        rule.end()
        cluster.wait_until_equal()
        print(f"another one leads after {took:.2f} s ({took / 0.75:.1f} election time-outs); p99 before {p99(before):.1f} ms, "
              f"after {p99(after):.1f} ms; {check_written(cluster, writer)}")
        check(p99(after) < DELAY_MS, "writes still wait for the slow disk")


if __name__ == "__main__":
    main(body)
