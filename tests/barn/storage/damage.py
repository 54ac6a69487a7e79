"""Bits that rot in what was acknowledged: on one member (B08), on two and on all (B09), and in the hard
state (B10).

Damage is noticed when the member starts, never taken for a torn write, and never answered as a value. Until the member
holds again what the others have it votes only for who has all that it lost, so that two of three are repaired from the
third; when nobody has it, nobody leads.
"""
import os
import signal

from storage_rig import (BLOCK, PROGRAMS, Cluster, batches, check, check_written, flip_bit, get, journal_file, main, put_some,
                         wait_for)

KEYS = 120

# Of a batch (format.h), byte by byte: header, payload (an entry's header, then its data), padding.
# --kinds=15 for all of them; the journal's own tests flip every bit.
CLASSES = {
    "magic": 0, "batch number": 8, "payload size": 40, "chain before": 44, "entry's term": 64, "entry's data": 200,
    "number of entries": 4, "first index": 16, "first term": 24, "last term": 32, "chain behind": 48, "zeros": 55,
    "header's checksum": 60, "entry's size": 72, "entry's kind": 76,
}
CLASSES = dict(list(CLASSES.items())[:PROGRAMS.option("kinds", 6)])


def stop_all(cluster):
    running = [member for member in cluster.members.values() if member.alive()]
    for member in running:  # all at once: the last ones have nobody to hand the lead to
        member.signal(signal.SIGTERM)
    for member in running:
        member.wait_end()


def known_batch(member):
    """Of one entry, somewhat before the end, which was acknowledged (put_one_by_one)."""
    there = batches(member)
    small = [b for b in there if b["bytes"] == BLOCK]
    check(len(small) >= 5, f"{member} has {len(small)} small batches of {len(there)} in its log")
    return small[-5]


def started(member, since):
    return wait_for(f"{member} says that it has started", lambda: member.log_entries("barn.member.started", since))[-1]["fields"]


def votes(cluster, member):
    return any(row["node"] == member.number and row.get("votes") for row in cluster.status())


def is_whole(cluster, member):
    return not os.path.exists(journal_file(member, "vote-lost")) and votes(cluster, member)


def put_one_by_one(cluster, prefix, first=1):
    """Entries that every member has in batches of their own, and in no state that is written: a member that has just come
    back would take them in a few large ones, so all are connected before."""
    put_some(cluster, 2, first=first, prefix="w" + prefix, under_way=1)
    cluster.wait_until_equal()
    put_some(cluster, 40, first=first, prefix=prefix, under_way=1)


def one_member(cluster, writer):
    member = cluster.followers()[0]
    for name, byte in CLASSES.items():
        put_one_by_one(cluster, prefix="m/", first=1000 + 50 * byte)
        cluster.wait_until_equal()
        member.stop()
        batch = known_batch(member)
        flip_bit(journal_file(member, batch["segment"]), batch["offset"] + byte, bit=byte % 8)
        done = cluster.runi("barn", "verify", member.folder, code=None)
        check(done.returncode != 0 and batch["segment"] in done.stderr, f"verify does not name the file: {done.stderr}")
        since = member.log_position()
        member.start()
        check(not started(member, since)["whole"], f"a flipped bit of the {name} was not noticed")
        wait_for(f"member {member.number} is whole again", lambda: is_whole(cluster, member))
    put_one_by_one(cluster, prefix="p/")
    cluster.wait_until_equal()
    member.stop()
    # Behind the payload there is nothing.
    batch = known_batch(member)
    flip_bit(journal_file(member, batch["segment"]), batch["offset"] + batch["bytes"] - 1)
    since = member.log_position()
    member.start()
    check(started(member, since)["whole"], "a flipped bit of the padding was taken for damage")
    print(f"one member, {len(CLASSES)} kinds of bits: noticed, repaired; {check_written(cluster, writer)}", flush=True)


def places_of_entry(cluster):
    """An entry that all stopped members have in their logs: its index, and file and offset of some of its bytes on each."""
    index = known_batch(cluster.members[1])["first_index"]
    at = {}
    for member in cluster.members.values():
        batch = next(b for b in batches(member) if b["first_index"] <= index < b["first_index"] + b["entries"])
        at[member] = (journal_file(member, batch["segment"]), batch["offset"] + 64 + 20)
    return index, at


def start_all(cluster):
    """Who says that it is whole."""
    since = {member: member.log_position() for member in cluster.members.values()}
    for member in cluster.members.values():
        member.start()
    return [started(member, since[member])["whole"] for member in cluster.members.values()]


def check_nobody_leads(cluster):
    done = get(cluster, "k/0000000001")
    check(done.returncode != 0, "members without votes elected somebody, who may lack what they had")
    for member in cluster.members.values():
        check(member.role() != "leader", f"{member} leads")
    return done.stderr.splitlines()[0]


def check_names_the_entry(member, index, at):
    lost = open(journal_file(member, "vote-lost")).read()
    check(os.path.basename(at[member][0]) in lost and str(index) in lost, f"entry {index} of {at[member][0]}: {lost}")
    return lost.strip()


def kill_all(cluster):
    """So that their states end where they were written last, and the logs are needed."""
    for member in cluster.members.values():
        member.kill()


def several_members(cluster, writer):
    members = list(cluster.members.values())
    cluster.wait_until_equal()
    kill_all(cluster)
    index, at = places_of_entry(cluster)
    for member in members[:2]:
        flip_bit(*at[member])
    whole = start_all(cluster)
    check(whole == [False, False, True], f"two of three are damaged, and they say: {whole}")
    for member in members[:2]:
        wait_for(f"{member} is whole again", lambda m=member: is_whole(cluster, m))
    cluster.wait_until_equal()
    print(f"two members: repaired from the third; {check_written(cluster, writer)}", flush=True)

    put_one_by_one(cluster, prefix="o/")
    cluster.wait_until_equal()
    kill_all(cluster)
    index, at = places_of_entry(cluster)
    for member in members:
        flip_bit(*at[member])
    whole = start_all(cluster)
    check(whole == [False] * 3, f"all are damaged, and they say: {whole}")
    check_nobody_leads(cluster)
    stop_all(cluster)
    print(f"all members: no leader; {check_names_the_entry(members[2], index, at)}", flush=True)


def hard_state(cluster, writer):
    member = cluster.followers()[0]
    path = journal_file(member, "hard-state")
    for slots in ([0], [1]):
        member.stop()
        for slot in slots:
            flip_bit(path, slot * BLOCK + 56)  # the vote
        since = member.log_position()
        member.start()
        check(started(member, since)["whole"], f"slot {slots} of the hard state is damaged, and it does not vote")
        wait_for("it votes", lambda: is_whole(cluster, member))
    member.stop()
    for slot in (0, 1):
        flip_bit(path, slot * BLOCK + 56)
    member.start(wait=False)
    code = member.wait_end()
    check(code != 0 and "hard-state" in member.log_end(), f"both slots are damaged: {code} {member.log_end()}")
    print(f"hard state: one slot: starts; both: ends with {code}: {member.log_end(3).strip()}", flush=True)
    flip_bit(path, 56)
    member.start()
    cluster.wait_until_equal()
    check_written(cluster, writer)


def body():
    with Cluster(PROGRAMS.runi) as cluster:
        writer = put_some(cluster, KEYS, size=500, under_way=2)
        hard_state(cluster, writer)
        one_member(cluster, writer)
        put_one_by_one(cluster, prefix="n/")
        several_members(cluster, writer)


if __name__ == "__main__":
    main(body)
