"""B19, and what must be refused: members added, removed and replaced while the network is cut; a wiped and a copied folder; a
token used twice; a removal that would lose the quorum. A restart of all members in turn, and the replacement of a dead one,
without stopping service."""
import shutil

from common import *

GAP_BOUND = 15  # ten times what a failover should take


def refused(cluster, *words, because, code=None):
    done = cluster.runi(*words, code=None)
    check(done.returncode != 0 and (code is None or done.returncode == code), f"runi {' '.join(words)} ended with {done.returncode}")
    check(because in done.stderr, f"runi {' '.join(words)} said {done.stderr!r}, and nothing of {because!r}")
    return done


def numbers(cluster):
    return sorted(m["node"] for m in wait_for("members", cluster.listed))


def refusals(cluster, asker):
    # A token is good once.
    token = wait_for("a token", cluster.token)
    place = cluster.place_of(99)
    flags = ["--host", place.host, "--port", str(place.port)]
    learner = os.path.join(cluster.folder, "by-token")
    cluster.runi("barn", "join", learner, token, *flags)
    refused(cluster, "barn", "join", os.path.join(cluster.folder, "again"), token, *flags, because="token")
    check(not os.path.exists(os.path.join(cluster.folder, "again")), "a refused join leaves no folder")
    joined = [n for n in numbers(cluster) if n not in cluster.members]
    check(len(joined) <= 1, f"members {joined} came from one token")
    # While it is being let in, a removal may cross with that: it is out once it is asked for again and stays out.
    def is_out():
        for number in joined:
            cluster.barn("remove", str(number), code=None)
        return not set(joined) & set(numbers(cluster))
    wait_for("its removal", is_out, 20, 0.5)
    place.close()

    # A copy of a member's folder does not run.
    member = cluster.followers()[0]
    copy = os.path.join(cluster.folder, "copy")
    member.stop()
    shutil.copytree(member.folder, copy)
    refused(cluster, "server", copy, "--barn-only", because="--moved")
    member.start()
    member.wait_until_ready()

    # With one of three gone, nobody else may be taken out.
    dead = cluster.followers()[0]
    dead.kill()
    wait_for("it is missed", lambda: any(m["node"] == dead.number and not m["connected"] for m in cluster.listed()))
    time.sleep(2)  # a leader counts on whoever it has heard of within the last election time-out
    for other in cluster.members.values():
        if other is not dead:
            cluster_refuses = cluster.barn("remove", str(other.number), code=None)
            check(cluster_refuses.returncode != 0, f"member {other.number} was taken out with member {dead.number} gone")
    check(numbers(cluster) == sorted(cluster.members), f"a refused removal changes nothing, and members are {cluster.listed()}")
    dead.start()
    dead.wait_until_ready()
    say("refused: a token used twice, a copied folder, a removal that would lose the quorum")


def wiped(cluster):
    """A member that has lost its files and kept its name does not come back as if it had never voted."""
    member = cluster.followers()[0]
    member.kill()
    for name in ("journal", "state"):
        shutil.rmtree(os.path.join(member.folder, name))
    member.start(wait=False)
    check(member.wait_end(20) != 0, "a wiped member ran")
    say("a wiped member with its old number says " + next(line for line in reversed(member.log_end().splitlines()) if "error" in line)[:200])
    cluster.barn("remove", str(member.number))
    cluster.forget(member)
    return cluster.join()


def replaced_in_partition(cluster, network):
    """The leader is cut off while the majority takes it out and lets another in; then it hears of it."""
    leader = cluster.leader()
    others = [m for m in cluster.members.values() if m is not leader]
    network.isolate(leader.number)
    cluster.leader(GAP_BOUND, among=others)
    # The operator's own way to the isolated member is open, too: it must not be able to change anything there.
    started = time.monotonic()
    wait_for("the removal", lambda: cluster.barn("remove", str(leader.number), code=None).returncode == 0, 60, 0.3)
    cluster.barn("members")  # the client folder learns who is left
    new = cluster.join()
    say(f"member {leader.number} was replaced by {new.number} while it was cut off, in {time.monotonic() - started:.1f} s")
    network.heal()
    check(leader.wait_end(60) != 0, "who was removed ends with an error")
    network.forget(leader.number)
    cluster.forget(leader)
    check(numbers(cluster) == sorted(cluster.members), f"members are {numbers(cluster)}")


def rolling_restart(cluster):
    with load(cluster, "registers", "sets") as work:
        for member in list(cluster.members.values()):
            check(member.stop() == 0, f"{member} did not stop well")
            member.start()
            member.wait_until_ready()
            wait_for("it has caught up", lambda: all(m["behind"] < 50 and m["connected"] for m in cluster.listed()) and cluster.listed(), 30)
        found = work.stop_clean("registers", "sets")
    check(found["longest_gap_s"] < GAP_BOUND and found["refused"] == 0, f"service stopped: {found}")
    say(f"restart of all in turn: {summary(found)}")


def dead_member(cluster):
    with load(cluster, "registers", "sets") as work:
        dead = cluster.followers()[0]
        dead.kill()
        cluster.barn("remove", str(dead.number))
        cluster.forget(dead)
        new = cluster.join()
        found = work.stop_clean("registers", "sets")
    check(found["longest_gap_s"] < GAP_BOUND and found["refused"] == 0, f"service stopped: {found}")
    say(f"member {dead.number}, dead, was replaced by {new.number}: {summary(found)}")


def all_replaced(cluster):
    """Until no member is left of those that its clients were told of at first."""
    first = sorted(cluster.members)
    with load(cluster, "registers", "sets", "watches") as work:
        for number in first:
            new = cluster.join()
            # Clients ask for the members every five seconds.
            time.sleep(6)
            wait_for(f"removal of {number}", lambda n=number: cluster.barn("remove", str(n), code=None).returncode == 0)
            cluster.forget(cluster.members[number])
        time.sleep(2)
        found = work.stop_clean("registers", "sets", "watches")
    check(found["longest_gap_s"] < GAP_BOUND, f"service stopped: {found}")
    say(f"members {first} were replaced by {sorted(cluster.members)}: {summary(found)}")


def body():
    with rig(namespaces=True) as (cluster, asker, network):
        refusals(cluster, asker)
        rolling_restart(cluster)
        dead_member(cluster)
        all_replaced(cluster)
        wiped(cluster)
        with load(cluster, "registers", "appends", "counters", timeout=3) as work:
            replaced_in_partition(cluster, network)
            say(summary(work.stop_clean("registers", "appends")))
        cluster.wait_until_equal()
        one_leader_a_term(cluster)


main(body)
