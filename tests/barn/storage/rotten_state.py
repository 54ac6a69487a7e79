"""A bit of the applied state rots on one member, in a table of its state store (B23). It is found by the member itself while it
runs (the scrub reads everything again and again) or at its next start; it gives its state up and begins anew from the others,
and no client ever sees a wrong value.
"""
import os

from storage_rig import PROGRAMS, Cluster, check, check_written, flip_bit, main, put_some, wait_for

SNAPSHOT_EVERY = ["--snapshot-entries", "100"]


def table(member):
    """The largest table of its state."""
    state = os.path.join(member.folder, "state")
    live = open(os.path.join(state, "LIVE")).read().strip()
    tables = [os.path.join(state, live, name) for name in os.listdir(os.path.join(state, live)) if name.endswith(".sst")]
    return max(tables, key=os.path.getsize)


def body():
    with Cluster(PROGRAMS.runi, flags=SNAPSHOT_EVERY) as cluster:
        writer = put_some(cluster, 400, size=4000, under_way=16)
        cluster.barn("snapshot")
        cluster.wait_until_equal()
        member = cluster.followers()[0]
        path = table(member)
        member.stop()
        # Links of the same table in snapshots rot with it: all that this member has is wrong.
        for byte in (1000, os.path.getsize(path) // 2):
            flip_bit(path, byte)
        done = cluster.runi("barn", "verify", member.folder, code=None)
        check(done.returncode != 0 and os.path.basename(path) in done.stderr, f"verify does not name the table: {done.stderr}")
        since = member.log_position()
        member.start(wait=False)

        def given_up():
            """However it was noticed: at the start, or by the scrub; it ends, and is to be started again."""
            if member.alive():
                return None
            return [entry for entry in member.log_entries(since=since) if entry.get("level") == "error"]
        errors = wait_for(lambda: f"the damage is found: {member.log_end()}", given_up, 50)
        print(f"found: {errors[-1]['message'][:300]} ({errors[-1]['fields']})", flush=True)
        member.start()
        wait_for("it votes again", lambda: any(row["node"] == member.number and row.get("votes") for row in cluster.status()))
        digest = cluster.wait_until_equal()
        print(f"begun anew from the others: {check_written(cluster, writer)}; digest {digest}", flush=True)
        member.stop()
        cluster.runi("barn", "verify", member.folder)


if __name__ == "__main__":
    main(body)
