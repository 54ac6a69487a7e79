"""The state goes to an empty member as a snapshot (B20). The receiver is killed in the middle of it and goes on where it was; then
the sender is. Neither needs memory in proportion to the state, and nobody misses a heartbeat.

--mib=2048 for a larger state than the test's, --kills=N for more of them.
"""
import os
import random

from storage_rig import MIB, PROGRAMS, Cluster, check, check_written, main, put_some, wait_for

STATE_MIB = PROGRAMS.option("mib", 64)
KILLS = PROGRAMS.option("kills", 3)
VALUE = 60_000
MOST_EXTRA = 16 * MIB
# The log is cut soon, so that only a snapshot helps; the caches are full from the beginning.
FLAGS = ["--snapshot-entries", "200", "--cache", "8Mi"]


def memory(member):
    """Resident now and at most, in bytes."""
    with open(f"/proc/{member.pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return tuple(int(lines[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))


def forget_peak(member):
    with open(f"/proc/{member.pid}/clear_refs", "w") as file:
        file.write("5")
    return memory(member)[0]


def incoming(member):
    """What has come of a snapshot so far: its folder's name and bytes; None: nothing is coming."""
    state = os.path.join(member.folder, "state")
    try:
        names = [name for name in os.listdir(state) if name.startswith("incoming-")]
        if not names:
            return None
        folder = os.path.join(state, names[0])
        return names[0], sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    except OSError:  # files come and go
        return None


def coming(member, least):
    now = incoming(member)
    return now if now and now[1] >= least else None


def caught_up(cluster, member):
    rows = {row["node"]: row for row in cluster.status()}
    mine = rows.get(member.number, {})
    return mine.get("applied") and mine["applied"] == max(row.get("applied") or 0 for row in rows.values())


def body():
    with Cluster(PROGRAMS.runi, flags=FLAGS) as cluster:
        writer = put_some(cluster, STATE_MIB * MIB // VALUE, size=VALUE, under_way=8)
        cluster.barn("snapshot", timeout="60s", seconds=120)
        leader = cluster.leader()
        term = leader.term()
        before = {leader: forget_peak(leader)}
        member = cluster.join("--learner", wait=False)
        empty = forget_peak(member)
        before[member] = empty
        kills = []
        for kill in range(KILLS):
            # Further each time, so that there is always something left to come.
            least = (kill + random.random()) * STATE_MIB * 0.7 / KILLS * MIB
            name, size = wait_for("a snapshot comes", lambda: coming(member, least), 60, poll=0.001)
            member.kill()
            name, size = incoming(member)
            member.start(wait=False)
            again, went_on = wait_for("it comes again", lambda: coming(member, 1), poll=0.001)
            check(again == name, f"{again} comes instead of {name}")
            check(went_on >= size * 0.9, f"of {size} bytes that had come {went_on} are left")
            kills.append(size // MIB)
        member.wait_until_up()
        wait_for("it has caught up", lambda: caught_up(cluster, member), 120, poll=0.1)
        peaks = {each: memory(each)[1] for each in (leader, member)}
        check(leader.term() == term and cluster.find_leader() is leader, "there was an election meanwhile")
        for each in peaks:
            extra = peaks[each] - before[each]
            print(f"{'sender' if each is leader else 'receiver'}: {before[each] / MIB:.1f} MiB before, at most "
                  f"{extra / MIB:.1f} MiB more", flush=True)
        print(f"receiver killed after {kills} of {STATE_MIB} MiB, went on each time; no election; "
              f"digest {cluster.wait_until_equal()}", flush=True)
        check(all(peaks[each] - before[each] <= MOST_EXTRA for each in peaks), "that is too much memory")

        other = cluster.join("--learner", wait=False)
        wait_for("a snapshot comes", lambda: coming(other, STATE_MIB * MIB // 3), 60, poll=0.001)
        leader.kill()
        wait_for("it has caught up from another one", lambda: caught_up(cluster, other), 120, poll=0.1)
        leader.start()
        cluster.wait_until_equal()
        print(f"sender killed: it comes from another one; {check_written(cluster, writer)}", flush=True)


if __name__ == "__main__":
    main(body)
