"""B25: watchers while members are killed, the log is compacted, and a member comes and goes."""
from common import *


def body():
    with rig(flags=["--snapshot-entries", "300"]) as (cluster, _asker, _net):
        with load(cluster, "watches", "registers", rate=400) as work:
            for _ in range(3):
                member = random.choice(list(cluster.members.values()))
                member.kill()
                time.sleep(random.random())
                member.start()
                member.wait_until_ready()
            cluster.barn("snapshot")
            more = cluster.join()
            cluster.leader().kill()
            for member in cluster.members.values():
                if not member.alive():
                    member.start()
            cluster.wait_for_voters(4)
            cluster.barn("remove", str(more.number))
            check(more.wait_end() != 0, "who was removed ends with an error")
            cluster.forget(more)
            cluster.wait_for_voters(3)
            found = work.stop_clean("watches")
        snapshots = [row["snapshot"] for row in cluster.status()]
        check(all(snapshots), f"no log was compacted: {snapshots}")
        cluster.wait_until_equal()
        one_leader_a_term(cluster)
        say(f"{found['kinds']['watches']}; {summary(found)}")


main(body)
