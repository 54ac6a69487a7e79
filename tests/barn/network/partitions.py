"""B14, B15, B16: an isolated leader, one-way cuts, and two members that do not see each other."""
from common import *

ELECTION_BOUND = 15  # ten times what it should take


def isolated_leader(cluster, asker, network):
    leader = cluster.leader()
    others = [m for m in cluster.members.values() if m is not leader]
    asker.put("b14", "old")
    with load(cluster, "registers", "counters", reads_at=leader.api, timeout=2) as work:
        network.isolate(leader.number)
        cut = time.monotonic()
        new_leader = cluster.leader(ELECTION_BOUND, among=others)
        asker.put("b14", "new", at=new_leader)
        say(f"B14: writes go on {time.monotonic() - cut:.2f} s after the cut")
        read = asker.ask("get", "b14", at=leader, seconds=3)
        check(read["code"] != "OK" or read["value"] == "new", f"the isolated leader read what is old: {read}")
        peeked = asker.ask("peek", "b14", at=leader, seconds=3)
        check(peeked.get("value") == "old", f"what the isolated member has by itself was asked for: {peeked}")
        check(leader.role() in ("follower", "pre_candidate"), f"its role is {leader.role()}")
        network.heal()
        check(asker.get("b14", at=leader) == "new", "after healing")
        say("B14: " + summary(work.stop_clean("registers", "counters")))
    # The control: the same reads, answered from what the member has by itself, must be found out.
    leader = cluster.leader()
    follower = cluster.followers()[0]
    with load(cluster, "registers", stale_reads_at=follower.api) as work:
        network.isolate(follower.number)
        time.sleep(2)
        network.heal()
        found = work.stop()
        check(found["verdict"] == "violation", f"reads of an isolated member's own state passed for linearizable: {found}")
        say(f"B14: stale reads are found out: {found['texts'][0].splitlines()[0]}")


def one_way(cluster, network, name, cuts_of):
    """Under load for some seconds; at most one new term for each change of the network. `cuts_of` makes pairs of sender and
    receiver of the leader and the followers."""
    cluster.wait_for_voters(3)
    with load(cluster, "registers", "counters", timeout=3) as work:
        leader = cluster.leader()
        before = leader.term()
        for sender, receiver in cuts_of(leader.number, [n for n in cluster.members if n != leader.number]):
            network.cut(sender, receiver)
        time.sleep(4)
        during = max(m.term() for m in cluster.members.values())
        network.heal()
        cluster.leader()
        found = work.stop_clean("registers", "counters")
    time_out = found["longest_gap_s"]
    after = cluster.leader().term()
    check(during <= before + 1, f"{name}: the term grew from {before} to {during}")
    check(after <= during + 1, f"{name}: healing took the term from {during} to {after}")
    check(time_out < ELECTION_BOUND, f"{name}: no write for {time_out} s")
    say(f"{name}: term {before} -> {during} -> {after}, {summary(found)}")


def two_apart(cluster, network):
    with load(cluster, "registers", "counters", timeout=3) as work:
        leader = cluster.leader()
        other = cluster.followers()[0]
        before = leader.term()
        network.cut_both(leader.number, other.number)
        started = time.monotonic()
        stable = wait_for("one leader for 4 s", lambda: stays(cluster, 4), 100)
        say(f"B16: member {stable} leads without change {time.monotonic() - started:.1f} s after the cut (goal: within 10 s)")
        term = max(m.term() for m in cluster.members.values())
        check(term <= before + 3, f"B16: the term grew from {before} to {term}")
        network.heal()
        say("B16: " + summary(work.stop_clean("registers", "counters")))


def stays(cluster, seconds):
    """The number of a leader that leads so long, in one term."""
    first = cluster.leader()
    term, end = first.term(), time.monotonic() + seconds
    while time.monotonic() < end:
        now = cluster.find_leader()
        if now is not first or first.term() != term:
            return None
        time.sleep(0.1)
    return first.number


def body():
    with rig(namespaces=True) as (cluster, asker, network):
        isolated_leader(cluster, asker, network)
        one_way(cluster, network, "B15 follower -> leader cut", lambda leader, others: [(others[0], leader)])
        one_way(cluster, network, "B15 leader -> follower cut", lambda leader, others: [(leader, others[0])])
        one_way(cluster, network, "B15 followers -> leader cut", lambda leader, others: [(other, leader) for other in others])
        two_apart(cluster, network)
        cluster.wait_until_equal()
        one_leader_a_term(cluster)


main(body)
