"""What is refused before anything is made, and what an operator takes back: an empty name of a key file does not become files
that are not sealed, a token that was given out can be made worthless, a backup that is interrupted leaves nothing.
"""
import contextlib
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))

from cluster import Cluster, check, die_with_rig, main, wait_for  # noqa: E402

RUNI = sys.argv[1]


def nothing_is_made(cluster):
    into = os.path.join(cluster.folder, "new", "member")
    for flags, said in ((("--key-file", ""), "--key-file is empty"),
                        (("--listen", 'x"\ny = "z'), "is no host to listen at"),
                        (("--listen", "10.0.0.1:7460"), "is no host to listen at"),
                        (("--host", "256.1.1.1"), "is neither an address nor a name of a host"),
                        (("--host", "-1"), "is neither an address nor a name of a host"),
                        (("--host", "0.0.0.0"), "is no address under which others reach this member")):
        done = cluster.runi("barn", "init", into, *flags, code=None)
        check(done.returncode != 0 and said in done.stderr, f"{flags}: {done.returncode}, {done.stderr}")
        check(not os.path.exists(into), f"{flags} made a member")
    for words in (("init", ""), ("local", ""), ("backup", "", "--cluster", cluster.client),
                  ("status", "--timeout", "0s", "--cluster", cluster.client), ("join", into, "runink-join-1.cut")):
        cluster.runi("barn", *words, code=2)
    check("no token on standard input" in cluster.runi("barn", "join", into, "-", stdin="", code=2).stderr, "an empty token")
    check(not os.path.exists(into), "a member was made without a token")
    fifo = os.path.join(cluster.folder, "fifo")
    os.mkfifo(fifo)
    done = cluster.runi("barn", "verify", fifo, code=None, seconds=20)
    check(done.returncode == 1 and "neither a folder nor a file" in done.stderr, done.stderr)
    done = cluster.runi("barn", "verify", cluster.members[1].folder, code=None)
    check("lock.held" in done.stderr and "stop the member" in done.stderr, done.stderr)
    done = cluster.runi("server", cluster.members[1].folder, "--barn-only", "--log", "text", code=None, seconds=20)
    check(done.returncode != 0 and "runs already" in done.stderr, done.stderr)


def status_says_why_nobody_answered(cluster):
    """All are asked; what they have in common is the exit code."""
    done = cluster.runi("barn", "status", "-o", "json", "--cluster", cluster.client, code=0)
    row = json.loads(done.stdout)[0]
    check(row["alarms"] == [] or isinstance(row["alarms"][0], str), str(row))
    member = cluster.members[1]
    member.pause()
    try:
        done = cluster.barn("status", "-o", "json", timeout="1s", code=124)
        cluster.barn("members", timeout="1s", code=124)
    finally:
        member.resume()
    row = json.loads(done.stdout)[0]
    check(row["alarms"] == [] and row["error"] == "no answer in time" and row["role"] == "unreachable", str(row))
    check("nobody answered in time" in done.stderr, done.stderr)


def files_of(folder):
    """Of all files below it: size, time and content; but not of locks, which say who held them last."""
    out = {}
    for at, _, names in os.walk(folder):
        out[at] = sorted(names)
        for path in (os.path.join(at, name) for name in names if name != "lock"):
            with open(path, "rb") as file:
                out[path] = (os.stat(path).st_mtime_ns, file.read())
    return out


def looking_into_a_stopped_member_changes_nothing(cluster):
    member = cluster.members[1]
    check(member.stop() == 0, "the member did not stop")
    for left in ("state/taking-7-1", "chunks"):
        os.makedirs(os.path.join(member.folder, left), exist_ok=True)
    with open(os.path.join(member.folder, "chunks", ".tmp-00"), "w") as file:
        file.write("half a chunk")
    before = files_of(member.folder)
    member.inspect()
    cluster.runi("barn", "verify", member.folder)
    after = files_of(member.folder)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    check(not changed, f"inspect or verify changed {changed}")
    member.start()
    cluster.leader()


def tokens_can_be_revoked(cluster):
    for ttl in ("0s", "999ms", "8d"):
        check(cluster.barn("add", "--ttl", ttl, code=2).stdout == "", f"a token for {ttl}")
    token = cluster.barn("add").stdout.strip()
    node = token.split(".")[2]
    check(f"for member {node} is good" in cluster.barn("members").stderr, "the token is not listed")
    cluster.barn("remove", node)
    check("is good" not in cluster.barn("members").stderr, "the token is still listed")
    done = cluster.runi("barn", "join", os.path.join(cluster.folder, "late"), "-", "--port", "19992", stdin=token, code=5)
    check("the token is not known" in done.stderr, done.stderr)
    cluster.barn("remove", node, code=6)


def an_interrupted_backup_leaves_nothing(cluster):
    """The signal comes once it has begun its file, which has no name where the file system knows such files."""
    where = os.path.join(cluster.folder, "backups")
    os.mkdir(where)

    def begun(process):
        descriptors = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):  # it may have ended
            return any(os.readlink(os.path.join(descriptors, each)).startswith(where + "/") for each in os.listdir(descriptors))

    cut = 0
    for sent, ended in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = subprocess.Popen([RUNI, "barn", "backup", os.path.join(where, "cut.barn"), "--cluster", cluster.client],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_rig)
        wait_for("no file was begun", lambda: begun(process) or process.poll() is not None, poll=0.0005)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
        # Small as it is, it may have been faster than the signal.
        check(process.returncode in (0, ended), f"{process.returncode}: {said}")
        cut += process.returncode == ended
        if sent == signal.SIGKILL:  # on some file systems the next one removes what is left
            cluster.barn("backup", os.path.join(where, "next.barn"))
            os.unlink(os.path.join(where, "next.barn"))
        check(os.listdir(where) == (["cut.barn"] if process.returncode == 0 else []), f"{sent.name} left {os.listdir(where)}")
        for name in os.listdir(where):
            os.unlink(os.path.join(where, name))
    print(f"{cut} of 2 backups were cut")


def body():
    with Cluster(RUNI, members=1) as cluster:
        nothing_is_made(cluster)
        status_says_why_nobody_answered(cluster)
        looking_into_a_stopped_member_changes_nothing(cluster)
        tokens_can_be_revoked(cluster)
        an_interrupted_backup_leaves_nothing(cluster)


main(body)
