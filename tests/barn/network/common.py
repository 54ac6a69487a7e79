"""What the tests of this folder share. Each is called with the paths of runi and barn_workload."""
import contextlib
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "rig"))

from cluster import Cluster, Skip, check, free_place, main, skip, wait_for  # noqa: E402,F401
from workload import Asker, Workload, summary  # noqa: E402,F401

RUNI, WORKLOAD = sys.argv[1], sys.argv[2]
random.seed(int(os.environ.get("RUNINK_SEED", "20261122")))


def say(text):
    print(f"{time.monotonic() - _started:6.1f} s  {text}", flush=True)


_started = time.monotonic()


@contextlib.contextmanager
def rig(namespaces=False, **options):
    """A cluster, somebody to ask it, and its network (None on loopback)."""
    network = None
    if namespaces:
        import netns
        netns.enter_hub()
        network = netns.Network()
        options["place_of"] = network.place_of
    with Cluster(RUNI, **options) as cluster:
        say(f"{len(cluster.members)} members serve")
        yield cluster, Asker(WORKLOAD, cluster), network


def load(cluster, *kinds, rate=300, **more):
    flags = [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]
    return Workload(WORKLOAD, cluster.folder, "--kinds", ",".join(kinds), "--rate", rate, *flags, cluster=cluster)


def terms_won(cluster):
    """{term: members that said in their logs that they lead in it}"""
    out = {}
    for member in cluster.members.values():
        for entry in member.log_entries("barn.leader.elected"):
            if entry["message"] == "this member leads":
                out.setdefault(entry["fields"]["term"], set()).add(member.number)
    return out


def one_leader_a_term(cluster):
    for term, leaders in terms_won(cluster).items():
        check(len(leaders) == 1, f"{sorted(leaders)} all led in term {term}")
