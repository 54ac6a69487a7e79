"""B22 and B26: the lead handed over every 200 ms, with transactions on lists and repeated writes; leaders killed besides."""
from common import *

SECONDS = float(os.environ.get("RUNINK_SECONDS", "12"))


def hand_over(cluster, seconds):
    """As often as 200 ms allow; how many were done."""
    done, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        next_one = time.monotonic() + 0.2
        done += cluster.barn("transfer", code=None, timeout="2s").returncode == 0
        time.sleep(max(0.0, next_one - time.monotonic()))
    return done


def body():
    with rig() as (cluster, _asker, _net):
        with load(cluster, "appends", "counters", "marks", "registers") as work:
            first = hand_over(cluster, SECONDS / 2)
            for _ in range(3):
                leader = cluster.leader()
                leader.kill()
                cluster.leader()
                leader.start()
                leader.wait_until_ready()
            second = hand_over(cluster, SECONDS / 2)
            found = work.stop_clean("appends", "counters", "marks")
        check(first + second > 10, f"only {first + second} transfers were done")
        check(found["repeated"] > 0 and found["kinds"]["marks"].get("sent_again", 0) > 0, f"no write was ever repeated: {found}")
        cluster.wait_until_equal()
        one_leader_a_term(cluster)
        say(f"{first + second} transfers, {len(terms_won(cluster))} terms; {found['kinds']['marks']['sent_again']} writes sent again under their mark; {summary(found)}")


main(body)
