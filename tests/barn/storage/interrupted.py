"""init, join and restore that are killed (at each sync of theirs, one after the other), or run out of disk: nothing is left in
the way, the same command succeeds afterwards, and removes what the killed ones had begun.
"""
import os
import shutil

from storage_rig import MIB, PROGRAMS, Cluster, Faults, Mounts, Skip, check, check_written, fill, main, put_some

MOST_POINTS = PROGRAMS.option("points", 12)


def killed_everywhere(cluster, name, words, into):
    """Kills the command at its first sync, then at its second, and so on; then lets it end. How many there were."""
    parent = os.path.dirname(into)
    kills = 0
    for point in range(1000):
        # All of them at the beginning, where most is made; then some.
        if point > MOST_POINTS and point % 5 != 0:
            continue
        fault = Faults(os.path.join(cluster.folder, "faults"))
        fault.add("sync", "/", "kill_after", point)
        done = cluster.runi("barn", *words, code=None, env=fault.env())
        if done.returncode == 0:
            check(os.listdir(parent) == [os.path.basename(into)], f"{name} left {os.listdir(parent)}")
            print(f"{name}: killed at {kills} points, then done, and nothing else is left", flush=True)
            return
        check(done.returncode == -9, f"{name} ended with {done.returncode}, not by the signal: {done.stderr}")
        kills += 1
        if os.path.exists(into):
            # Whole, and only not said yet: as good as new for the next command to refuse.
            check(os.path.exists(os.path.join(into, "member.toml")), f"{name}, killed at {point}: half a member is left")
            shutil.rmtree(into)
    check(False, f"{name} never came to its end")


def by_signals(cluster, backup):
    where = os.path.join(cluster.folder, "new")
    os.mkdir(where)
    into = os.path.join(where, "member")
    ports = ["--port", "19996"]  # nothing listens while a folder is made
    killed_everywhere(cluster, "init", ["init", into, *ports], into)
    shutil.rmtree(into)
    killed_everywhere(cluster, "restore", ["restore", backup, into, *ports], into)
    shutil.rmtree(into)
    # A token is good once: a node that was killed after it was let in needs another one.
    fault = Faults(os.path.join(cluster.folder, "faults"))
    fault.add("sync", "/", "kill_after", 0)
    done = cluster.runi("barn", "join", into, cluster.token(), *ports, code=None, env=fault.env())
    check(done.returncode == -9 and not os.path.exists(into), f"join: {done.returncode}: {done.stderr}")
    member = cluster.join()
    print(f"join: killed, then {member} joins", flush=True)


def without_space(cluster, backup):
    with Mounts() as mounts:
        small = mounts.tmpfs(os.path.join(mounts.root, "small"), "2m")
        for leave in (0, 4096, 20480):
            filling = fill(small, leave=leave)
            into = os.path.join(small, "member")
            for words in (["init", into], ["restore", backup, into], ["join", into, cluster.token()]):
                done = cluster.runi("barn", *words, "--port", "19996", code=None)
                check(done.returncode != 0 and "No space" in done.stderr, f"{words[0]}, full disk: {done.returncode} {done.stderr}")
                check(os.listdir(small) == ["filling"], f"{words[0]} left {os.listdir(small)}")
            os.remove(filling)
        cluster.runi("barn", "init", into, "--port", "19996")
        print("full disk: init, restore and join say so, and leave nothing", flush=True)


def body():
    with Cluster(PROGRAMS.runi, members=1) as cluster:
        writer = put_some(cluster, 50)
        backup = os.path.join(cluster.folder, "all.barn")
        cluster.barn("backup", backup)
        by_signals(cluster, backup)
        check_written(cluster, writer)
        try:
            without_space(cluster, backup)
        except Skip as why:
            print(f"full disk: skipped: {why}")


if __name__ == "__main__":
    main(body)
