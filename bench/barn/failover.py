"""barn.failover: the leader is killed with -9 under load; how long until a new write is accepted. Prints one line of JSON.

    failover.py RUNI WORKLOAD [--tries 200] [--rate 300] [--callers 20]

Of each try: from the kill to the answer of the first write that was begun after it. Afterwards the workload's checks: no acknowledged
write is lost.
"""
import argparse
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "barn", "rig"))

from cluster import Cluster, check, main, wait_for  # noqa: E402
from workload import Workload  # noqa: E402


class Acks:
    """The workload's file of acknowledged writes, read along."""

    def __init__(self, path):
        self._file = open(path)
        self._rest = ""

    def first_after(self, nanos):
        """When the first write that was begun after this moment was acknowledged; None so far."""
        self._rest += self._file.read()
        lines = self._rest.split("\n")
        self._rest = lines.pop()
        ends = [end for start, end in (map(int, line.split()) for line in lines) if start > nanos]
        return min(ends) if ends else None


def one_try(cluster, acks):
    leader = cluster.leader()
    acks.first_after(time.monotonic_ns())  # what was before is read
    killed = time.monotonic_ns()
    leader.kill()
    accepted = wait_for("a new write is accepted", lambda: acks.first_after(killed), 60, 0.005)
    leader.start()
    leader.wait_until_ready(60)
    time.sleep(0.2 + random.random() * 0.5)  # not in step with elections
    return (accepted - killed) / 1e9


def body():
    words = argparse.ArgumentParser()
    words.add_argument("runi")
    words.add_argument("workload")
    words.add_argument("--tries", type=int, default=200)
    words.add_argument("--rate", type=int, default=300)
    words.add_argument("--callers", type=int, default=20)
    options = words.parse_args()
    with Cluster(options.runi) as cluster:
        path = os.path.join(cluster.folder, "acks")
        with Workload(options.workload, cluster.folder, "--kinds", "sets,counters", "--rate", options.rate, "--callers", options.callers,
                      "--acks", path, "--clients", "4", cluster=cluster) as work:
            acks = Acks(path)
            seconds = sorted(one_try(cluster, acks) for _ in range(options.tries))
            found = work.stop()
        cluster.wait_until_equal()
        print(json.dumps({"bench": "barn.failover", "value": round(seconds[len(seconds) // 2], 3), "p99": round(seconds[int(0.99 * (len(seconds) - 1))], 3),
                          "max": round(seconds[-1], 3), "unit": "s", "goal": 1.5, "tries": len(seconds), "lost": found["lost"],
                          "verdict": found["verdict"], "writes": found["done"]}))
        check(found["verdict"] == "clean", f"{found['verdict']}: {found['texts']}")


main(body)
