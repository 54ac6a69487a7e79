"""`runi barn local`: interrupted the first time, it makes up its members the next; a member that was taken out does not keep
the others from running; with --members others take the place of those that are gone.
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))

from cluster import Ports, check, die_with_rig, main, wait_for  # noqa: E402

RUNI = sys.argv[1]
MOST_FOLDERS = 3


def free_ports():
    """As many sets of four in a row as there are members here."""
    while True:
        ports = Ports()
        free = all(Ports._is_free(ports.first + i) for i in range(4 * MOST_FOLDERS))
        ports.release()
        if free:
            return ports.first


class Local:
    def __init__(self, folder, port, *words):
        self.folder = folder
        self.said = open(folder + ".said", "w+")
        self.process = subprocess.Popen([RUNI, "barn", "local", folder, "--port", str(port), *words], stdin=subprocess.DEVNULL,
                                        stdout=self.said, stderr=self.said, preexec_fn=die_with_rig)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.said.close()

    def text(self):
        with open(self.folder + ".said") as said:
            return said.read()

    def logs(self):
        """What the members said last; the folder is gone after a failure."""
        last = []
        for path in sorted(glob.glob(self.folder + "/*.log")):
            with open(path) as log:
                last += [f"{path}: {line}" for line in log.readlines()[-8:]]
        return "\n" + "".join(last)

    def serves(self, members):
        wait_for(lambda: f"{members} members do not serve: {self.text()}",
                 lambda: f"{members} members serve" in self.text() or self.process.poll() is not None, seconds=90)
        check(self.process.poll() is None, f"ended with {self.process.poll()}: {self.text()}{self.logs()}")


def members(folder):
    done = subprocess.run([RUNI, "barn", "members", "-o", "json", "--cluster", folder + "/1"], capture_output=True, text=True)
    check(done.returncode == 0, done.stderr)
    return [(each["node"], each["role"] in ("leader", "voter")) for each in json.loads(done.stdout)]


def runi(*words, code):
    done = subprocess.run([RUNI, "barn", *words], capture_output=True, text=True)
    check(done.returncode == code, f"{words}: {done.returncode}, {done.stdout}{done.stderr}")
    return done


def files_below(folder):
    return sorted(os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)


def what_is_not_its_own_is_refused(parent, port):
    """Above all a member's own folder, in which lies what reaches another cluster: nothing may join that."""
    other = os.path.join(parent, "other")
    runi("init", other, "--port", str(port), code=0)
    before = files_below(other)
    check("is the folder of one member" in runi("local", other, "--port", str(port), code=7).stderr, "a member's folder")
    shutil.copytree(other + "/client", os.path.join(parent, "foreign", "client"))
    check("was not made by" in runi("local", os.path.join(parent, "foreign"), "--port", str(port), code=7).stderr, "a foreign folder")
    check(files_below(other) == before, "something was made in the member's folder")
    check(os.listdir(os.path.join(parent, "foreign")) == ["client"], "something was made in the foreign folder")
    for words in (("", "--port", str(port)), (os.path.join(parent, "new"), "--port", "65530")):
        runi("local", *words, code=2)
    check(not os.path.exists(os.path.join(parent, "new")), "something was made")
    return other


def what_reaches_another_cluster_is_not_believed(folder, port, other):
    """Put into the folder of a local cluster."""
    kept = folder + "/client.kept"
    os.rename(folder + "/client", kept)
    shutil.copytree(other + "/client", folder + "/client")
    check("reaches the cluster" in runi("local", folder, "--port", str(port), "--members", "3", code=1).stderr, "another client folder")
    check(not os.path.exists(folder + "/5"), "a member was made")
    shutil.rmtree(folder + "/client")
    os.rename(kept, folder + "/client")


def body():
    with tempfile.TemporaryDirectory(prefix="runink-local-") as parent:
        folder, port = os.path.join(parent, "barn"), free_ports()
        other = what_is_not_its_own_is_refused(parent, port)
        with Local(folder, port) as local:
            wait_for("nothing was founded", lambda: os.path.exists(folder + "/1/member.toml"))
        check(local.process.returncode == 0, f"interrupted: {local.process.returncode}, {local.text()}")
        check(not os.path.exists(folder + "/3"), "it was interrupted too late to tell anything")

        with Local(folder, port) as local:
            local.serves(3)
            check(members(folder) == [(1, True), (2, True), (3, True)], str(members(folder)))
            check("leads" in runi("transfer", "--cluster", folder, code=0).stdout, "the lead was not handed over")
            said = runi("local", folder, "--port", str(port), code=7).stderr
            check("held by process" in said and "end that command first" in said, said)
            subprocess.run([RUNI, "barn", "remove", "2", "--cluster", folder + "/1"], check=True, capture_output=True)

        # Its folder is still there, and it ends when it hears of it.
        with Local(folder, port) as local:
            local.serves(2)
            check("taken out of the cluster" in local.text(), local.text())
            check(members(folder) == [(1, True), (3, True)], str(members(folder)))

        shutil.rmtree(folder + "/2")
        with Local(folder, port) as local:
            local.serves(2)
        with Local(folder, port, "--members", "3") as local:
            local.serves(3)
            check("2 serve; 1 more join" in local.text(), local.text())
            check(members(folder) == [(1, True), (3, True), (4, True)], str(members(folder)))
        with Local(folder, port, "--members", "2") as local:
            local.serves(3)
            check("takes none out" in local.text(), local.text())
        what_reaches_another_cluster_is_not_believed(folder, port, other)


main(body)
