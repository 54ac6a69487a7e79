"""B05: kill -9 of the leader and of random members, in turn, under load. RUNINK_KILLS: how often."""
from common import *

KILLS = int(os.environ.get("RUNINK_KILLS", "10"))


def body():
    with rig() as (cluster, _, _net), load(cluster, "registers", "appends", "sets", "counters", "leases") as work:
        slowest = 0.0
        for n in range(KILLS):
            member = cluster.leader() if n % 2 == 0 else random.choice(list(cluster.members.values()))
            member.kill()
            time.sleep(random.random() * 0.8)  # where in the others' election the restart falls is the point
            started = time.monotonic()
            member.start()
            member.wait_until_ready(50)
            slowest = max(slowest, time.monotonic() - started)
        found = work.stop_clean("registers", "appends", "sets", "counters")
        cluster.wait_until_equal()
        one_leader_a_term(cluster)
        say(f"{KILLS} kills, restart at most {slowest:.2f} s (goal 5); {summary(found)}")


main(body)
