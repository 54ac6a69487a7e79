"""Two of three members are lost for good. What the last one holds is saved, and founds a new cluster: the data is there, and
its fencing tokens are greater than all that there were. A cut backup is refused and changes nothing."""
from common import *


def body():
    saved = {}
    with rig() as (cluster, asker, _net):
        for n in range(20):
            asker.put(f"kept/{n}", f"value {n}")
            saved[f"kept/{n}"] = f"value {n}"
        old_token = asker.must("lease", 600_000)["token"]
        cluster.wait_until_equal()
        survivor = cluster.followers()[0]
        for member in list(cluster.members.values()):
            if member is not survivor:
                cluster.forget(member)
        wait_for("it has no leader", lambda: (survivor.metrics() or {}).get("runink_barn_leader") == 0, 30)
        survivor.stop()
        backup = os.path.join(cluster.folder, "saved.barn")
        cluster.runi("barn", "backup", backup, "--folder", survivor.folder)
        cluster.runi("barn", "verify", backup)

        with open(backup, "rb") as file:
            whole = file.read()
        cut = os.path.join(cluster.folder, "cut.barn")
        with open(cut, "wb") as file:
            file.write(whole[: len(whole) * 2 // 3])
        bad = cluster.runi("barn", "restore", cut, os.path.join(cluster.folder, "from-cut"), code=None)
        check(bad.returncode != 0 and not os.path.exists(os.path.join(cluster.folder, "from-cut")), f"a cut backup was restored: {bad.stdout}")

        with Cluster(RUNI, found=False) as new:
            new.restore(backup)
            new.join()
            new_asker = Asker(WORKLOAD, new)
            for key, value in saved.items():
                check(new_asker.get(key) == value, f"{key} is {new_asker.get(key)!r}")
            new_token = new_asker.must("lease", 10_000)["token"]
            check(new_token > old_token, f"token {new_token} is not greater than {old_token}")
            check(new_asker.put("kept/0", "new") > 0, "it takes writes")
            new.wait_until_equal()
            say(f"{len(saved)} keys are there, tokens go on from {old_token} at {new_token}")
            # Who speaks for the old cluster is nobody in the new one.
            stranger = Asker(WORKLOAD, cluster).ask("get", "kept/0", at=new.leader(), seconds=3)
            check(stranger["code"] != "OK", f"the old cluster's operator was let in: {stranger}")


main(body)
