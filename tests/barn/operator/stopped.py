"""What an operator does with the folder of a member that is stopped, or a copy of one: it is looked into, and backed up; damage to
what says where the log begins is found, and the member says what to do; a new certificate is made from it.
"""
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))

from cluster import Cluster, check, main  # noqa: E402

RUNI = sys.argv[1]


def a_copy_can_be_read(cluster, member):
    copy = os.path.join(cluster.folder, "copy")
    shutil.copytree(member.folder, copy)
    inside = json.loads(cluster.runi("barn", "inspect", copy, "-o", "json").stdout)
    check(inside["node"] == 2, str(inside))
    cluster.runi("barn", "verify", copy)
    backup = os.path.join(cluster.folder, "copy.barn")
    cluster.runi("barn", "backup", backup, "--folder", copy)
    cluster.runi("barn", "verify", backup)
    # But it must not run.
    done = cluster.runi("server", copy, "--barn-only", "--log", "text", code=None, seconds=20)
    check(done.returncode != 0 and "is a copy of a member's folder" in done.stderr, done.stderr)
    return copy


def where_the_log_begins_is_verified(cluster, member):
    path = os.path.join(member.folder, "journal", "log-base")
    with open(path, "rb") as file:
        whole = file.read()
    for bad, said in ((None, "missing"), (b"", "damaged"), (os.urandom(len(whole)), "damaged")):
        os.unlink(path)
        if bad is not None:
            with open(path, "wb") as file:
                file.write(bad)
        for words in (("barn", "verify", member.folder), ("server", member.folder, "--barn-only", "--log", "text")):
            done = cluster.runi(*words, code=None, seconds=20)
            check(done.returncode != 0 and "runi barn add" in done.stderr, f"{words}, {said}: {done.returncode}, {done.stderr}")
            check(words[0] == "server" or f"is {said}" in done.stderr, done.stderr)
        with open(path, "wb") as file:
            file.write(whole)
    cluster.runi("barn", "verify", member.folder)


def identities_are_made(cluster, copy):
    """From the copy, while two others serve."""
    made, other = os.path.join(cluster.folder, "again"), os.path.join(cluster.folder, "ann")
    cluster.runi("barn", "identity", made, "--folder", copy)
    check(os.stat(os.path.join(made, "identity.pem")).st_mode & 0o77 == 0, "others may read the key")
    cluster.runi("barn", "members", "--cluster", made)
    # In the place of the one before; what is there otherwise is left alone.
    before = open(os.path.join(made, "identity.pem")).read()
    cluster.runi("barn", "identity", made, "--folder", copy)
    check(open(os.path.join(made, "identity.pem")).read() != before, "the same certificate")
    cluster.runi("barn", "members", "--cluster", made)
    cluster.runi("barn", "identity", os.path.join(cluster.folder, "m1"), "--folder", copy, code=7)
    # Another user is another user.
    cluster.runi("barn", "identity", other, "--user", "ann", "--folder", copy)
    done = cluster.runi("barn", "status", "-o", "json", "--cluster", other, code=5)
    check("no member lets this user ask" in done.stderr, done.stderr)
    rows = json.loads(done.stdout)
    check(all(row["alarms"] == [] and row["error"] for row in rows), str(rows))
    check({"refused"} <= {row["role"] for row in rows}, str(rows))
    cluster.runi("barn", "identity", other, "--user", "A n n", "--folder", copy, code=2)


def one_that_was_never_started_says_so(cluster):
    new = os.path.join(cluster.folder, "new")
    cluster.runi("barn", "init", new, "--port", "19996")
    for words in (("inspect", new), ("verify", new), ("backup", new + ".barn", "--folder", new)):
        done = cluster.runi("barn", *words, code=6)
        check("was never started" in done.stderr, f"{words}: {done.stderr}")
    check(not os.path.exists(new + ".barn"), "a backup of nothing")


def body():
    with Cluster(RUNI) as cluster:
        member = cluster.members[2]
        check(member.stop() == 0, "the member did not stop")
        copy = a_copy_can_be_read(cluster, member)
        identities_are_made(cluster, copy)
        where_the_log_begins_is_verified(cluster, member)
        one_that_was_never_started_says_so(cluster)
        member.start()
        cluster.wait_for_voters(3)


main(body)
