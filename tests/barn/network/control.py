"""Whether the checkers can be believed. Positive: etcd 3.4 passes, with members killed. Negative: reads of an etcd member's own
state while it is cut off, and a store that answers from an old cache, are found out."""
import shutil

from common import *

import etcd  # noqa: E402 (common says where it is)
import netns  # noqa: E402

SECONDS = 6


def run(cluster, *flags, fault=None):
    with Workload(WORKLOAD, cluster.folder, *cluster.workload_flags(), "--rate", "400", "--timeout", "3", *flags) as work:
        time.sleep(SECONDS / 2)
        if fault:
            fault()
        time.sleep(SECONDS / 2)
        return work.stop()


def body():
    if shutil.which("etcd") is None:
        skip("there is no program etcd (Debian: etcd-server)")
    netns.enter_hub()
    network = netns.Network()
    with etcd.EtcdCluster(place_of=network.place_of) as cluster:
        say("three members of etcd serve")

        def kill_one():
            cluster.kill(2)
            cluster.start(2)

        found = run(cluster, fault=kill_one)
        check(found["verdict"] == "clean" and found["done"] > 500, f"etcd: {found}")
        say(f"etcd is clean: {summary(found)}")

        found = run(cluster, "--lie")
        check(found["verdict"] == "violation", f"the liar was not found out: {found}")
        check(all(kind in str(found["texts"]) or found["kinds"][kind].get("violations") for kind in ("registers", "appends")),
              f"the liar was not found out everywhere: {found}")
        say(f"a store that lies is found out: {found['violations']} violations")

        def cut_off():
            network.isolate(3)

        found = run(cluster, "--kinds", "registers", "--stale-reads-at", cluster.endpoint(3), fault=cut_off)
        check(found["verdict"] == "violation", f"stale reads of etcd were not found out: {found}")
        say(f"etcd's stale reads are found out: {found['violations']} violations")


main(body)
