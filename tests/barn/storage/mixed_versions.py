"""Members of this version and of the next one, which writes a type of entries that this one does not know (B27; next_version.cc),
under kills. Members of this version stop at the first such entry, with its name, and corrupt nothing; with the next version they
go on where they were; and once a snapshot covers such entries, all go back to this version.
"""
import random

from storage_rig import PROGRAMS, Cluster, Writer, check, check_written, get, hand_lead_to, main, put, wait_for

NEXT = next(word.split("=", 1)[1] for word in PROGRAMS.options if word.startswith("--next="))
UNKNOWN = "barn.command.unknown"


def start(cluster, member, program, wait=True):
    usual, cluster.runi_path = cluster.runi_path, program
    try:
        member.start(wait=wait)
    finally:
        cluster.runi_path = usual


def upgrade(cluster, member):
    member.kill() if random.randrange(2) else member.stop()
    start(cluster, member, NEXT)
    cluster.wait_for_voters(3)


def stops_by_name(member, since):
    code = member.wait_end()
    why = [entry["fields"].get("kind") for entry in member.log_entries("barn.member.failed", since)]
    check(code != 0 and why == [UNKNOWN], f"it ended with {code}, and said {why}: {member.log_end()}")


def body():
    with Cluster(PROGRAMS.runi) as cluster:
        old, *new = cluster.members.values()
        writer = Writer(cluster, under_way=4)
        writer.wait_for_acknowledged(50)
        for member in new:
            upgrade(cluster, member)
            writer.wait_for_more(30)
        random.choice(new).kill()  # the others go on, of two versions
        writer.wait_for_more(30)
        for member in new:
            if not member.alive():
                start(cluster, member, NEXT)
        cluster.wait_for_voters(3)
        print(f"two versions: {writer.acknowledged()} acknowledged", flush=True)

        hand_lead_to(cluster, new[0])
        since = old.log_position()
        put(cluster, "next/1", "one")
        stops_by_name(old, since)
        writer.wait_for_more(30)
        since = old.log_position()
        old.start(wait=False)
        stops_by_name(old, since)
        print(f"an entry of the next version: this one ends, each time ({UNKNOWN}); the others go on", flush=True)
        start(cluster, old, NEXT)
        cluster.wait_for_voters(3)
        for number in range(2, 20):
            put(cluster, f"next/{number}", "more")
        writer.end()
        print(f"upgraded, it goes on: {check_written(cluster, writer)}; digest {cluster.wait_until_equal()}", flush=True)

        cluster.barn("snapshot")
        cluster.wait_until_equal()
        for member in cluster.members.values():
            member.stop()
        for member in cluster.members.values():
            member.start()
        cluster.wait_for_voters(3)
        check(get(cluster, "next/1").stdout == "one\n", "what the next version wrote is gone")
        last = Writer(cluster, first=10**6, count=50)
        last.end()
        print(f"back to this version: {check_written(cluster, writer, last)}; digest {cluster.wait_until_equal()}", flush=True)


if __name__ == "__main__":
    main(body)
