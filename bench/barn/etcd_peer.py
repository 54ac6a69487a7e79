"""etcd as the load program sees it: the rig's cluster, and its leader, so that no member has to forward."""
import os
import subprocess

from cluster import wait_for
from etcd import EtcdCluster


class EtcdPeer(EtcdCluster):
    def __init__(self, members):
        super().__init__(members)
        try:
            wait_for("etcd has a leader", self.leader, 30, 0.2)
        except BaseException:
            self.close()
            raise

    def leader(self):
        """Its endpoint; None while there is none."""
        at = lambda name: os.path.join(self.folder, name)
        asked = ["etcdctl", "--endpoints", ",".join(self.endpoint(n) for n in self.places), "--cacert", at("ca.pem"), "--cert",
                 at("node.pem"), "--key", at("node.key"), "endpoint", "status", "-w", "simple"]
        done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "ETCDCTL_API": "3"}, timeout=20)
        for line in done.stdout.splitlines():
            fields = [f.strip() for f in line.split(",")]
            if len(fields) > 4 and fields[4] == "true":
                return fields[0]
        return None

    def load_flags(self):
        at = lambda name: os.path.join(self.folder, name)
        return ["--endpoints", wait_for("etcd has a leader", self.leader), "--cert", at("node.pem"), "--key", at("node.key"),
                "--ca", at("ca.pem")]

    def cpu_seconds(self):
        return sum(process_cpu(p.pid) for p in self.processes.values())

    def close(self):
        self.__exit__(None)


def process_cpu(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
