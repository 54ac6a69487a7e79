"""A member that is killed at some sync, rename, link or removal of its own while it makes a snapshot and cuts its log, and while it takes
a snapshot from another and puts it in the place of its state (B21). It always starts again, and has the others' state.

Which call it is goes by chance (--seed), --rounds=N of each. (Every step by name: snapshot_test.cc; the log's: crash_test.cc.)
"""
import random

from storage_rig import PROGRAMS, Cluster, Faults, check, check_written, main, put_some, wait_for

ROUNDS = PROGRAMS.option("rounds", 7)
SEED = PROGRAMS.option("seed", random.randrange(1 << 32))
FLAGS = ["--snapshot-entries", "100"]
KILLED = -9


def arm(rng, fault, most):
    fault.reuse(0)
    call = rng.choice(["sync", "name", "name"])
    at = rng.randrange(most)
    return fault.add(call, rng.choice(["/state/", "/journal/", "/m"]), "kill_after", at), f"{call} {at}"


def while_making(cluster, rng, fault, member, number):
    """A snapshot and what follows: the log is cut, older snapshots go."""
    rule, where = arm(rng, fault, 12)
    writer = put_some(cluster, 150, size=500, first=1 + number * 1000)
    cluster.barn("snapshot", code=None, timeout="3s")
    ended = not member.alive()
    rule.end()
    if ended:
        check(member.wait_end() == KILLED, f"it ended by itself: {member.log_end()}")
        member.start(env=fault.env())
    cluster.wait_until_equal()
    return (where if ended else None), writer


def while_taking(cluster, rng, fault):
    """An empty member takes the state of another."""
    rule, where = arm(rng, fault, 30)
    member = cluster.join("--learner", start=False)
    member.start(env=fault.env(), wait=False)

    def there():
        return not member.alive() or any(row["node"] == member.number and (row.get("applied") or 0) > 0 and
                                         row.get("applied") == max(other.get("applied") or 0 for other in rows)
                                         for rows in [cluster.status()] for row in rows)
    wait_for("it has the state, or has ended", there, poll=0.05)
    rule.end()
    ended = not member.alive()
    if ended:
        check(member.wait_end() == KILLED, f"it ended by itself: {member.log_end()}")
        member.start()
    cluster.wait_until_equal()
    cluster.barn("remove", str(member.number))
    cluster.forget(member)
    return where if ended else None


def body():
    rng = random.Random(SEED)
    print(f"seed {SEED}", flush=True)
    with Cluster(PROGRAMS.runi, flags=FLAGS) as cluster:
        member = cluster.followers()[0]
        fault = Faults(member.folder + ".faults")
        member.stop()
        member.start(env=fault.env())
        cluster.wait_for_voters(3)
        done = [while_making(cluster, rng, fault, member, number) for number in range(ROUNDS)]
        killed = [where for where, _ in done if where]
        print(f"making: killed in {len(killed)} of {ROUNDS} rounds: {killed}", flush=True)
        taken = [where for where in (while_taking(cluster, rng, fault) for _ in range(ROUNDS)) if where]
        print(f"taking: killed in {len(taken)} of {ROUNDS} rounds: {taken}", flush=True)
        print(f"{check_written(cluster, *(writer for _, writer in done))}; digest {cluster.wait_until_equal()}")
        check(killed or taken, "nothing was ever killed")


if __name__ == "__main__":
    main(body)
