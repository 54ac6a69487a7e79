"""B17: the leader stands still for 10 s; reads are asked of it all the time, also in the moment when it wakes up."""
from common import *


def body():
    with rig() as (cluster, _asker, _net):
        leader = cluster.leader()
        with load(cluster, "registers", "leases", reads_at=leader.api, timeout=15) as first, load(cluster, "registers", "sets", timeout=4) as second:
            wait_for("it leads again", lambda: leader.role() == "leader" or cluster.barn("transfer", str(leader.number), code=None) is None)
            leader.pause()
            paused = time.monotonic()
            cluster.leader(15)
            say(f"another leads {time.monotonic() - paused:.2f} s after the pause")
            time.sleep(max(0.0, paused + 10 - time.monotonic()))
            leader.resume()
            wait_for("it follows", lambda: leader.role() == "follower", 15)
            for work in (first, second):
                say(summary(work.stop_clean("registers")))
        cluster.wait_until_equal()
        one_leader_a_term(cluster)


main(body)
