"""Three members of etcd, or one, on loopback with mutual TLS between members and with clients."""
import os
import signal
import subprocess
import time

from cluster import Loopback, Skip, die_with_rig, wait_for


def openssl(*words, stdin=None):
    subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True, text=True)


def make_certificates(folder):
    """ca.pem, node.pem and node.key: P-256, as the Barn's own."""
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    for name in ("ca", "node"):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at(name + ".key"))
    openssl("req", "-x509", "-new", "-key", at("ca.key"), "-subj", "/CN=bench", "-days", "2", "-out", at("ca.pem"))
    with open(at("extensions"), "w") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n")
    openssl("req", "-new", "-key", at("node.key"), "-subj", "/CN=node", "-out", at("node.csr"))
    openssl("x509", "-req", "-in", at("node.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
            "-days", "2", "-extfile", at("extensions"), "-out", at("node.pem"))


class EtcdCluster:
    def __init__(self, folder, members=3):
        self.folder = folder
        self.tls = os.path.join(folder, "tls")
        make_certificates(self.tls)
        self.places = [Loopback() for _ in range(members)]
        self.processes = []
        at = lambda name: os.path.join(self.tls, name)
        peers = ",".join(f"m{i}=https://127.0.0.1:{p.port + 1}" for i, p in enumerate(self.places))
        for i, place in enumerate(self.places):
            client, peer = f"https://127.0.0.1:{place.port}", f"https://127.0.0.1:{place.port + 1}"
            argv = ["etcd", "--name", f"m{i}", "--data-dir", os.path.join(folder, f"m{i}"),
                    "--listen-client-urls", client, "--advertise-client-urls", client,
                    "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                    "--initial-cluster", peers, "--initial-cluster-state", "new", "--initial-cluster-token", "bench",
                    "--cert-file", at("node.pem"), "--key-file", at("node.key"), "--trusted-ca-file", at("ca.pem"),
                    "--client-cert-auth", "--peer-cert-file", at("node.pem"), "--peer-key-file", at("node.key"),
                    "--peer-trusted-ca-file", at("ca.pem"), "--peer-client-cert-auth",
                    "--quota-backend-bytes", str(8 << 30), "--logger", "zap", "--log-level", "error"]
            log = open(os.path.join(folder, f"m{i}.log"), "ab")
            self.processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                   preexec_fn=die_with_rig))
        wait_for("etcd's health", self._healthy, 30, 0.2)

    def _healthy(self):
        if any(p.poll() is not None for p in self.processes):
            with open(os.path.join(self.folder, "m0.log")) as log:
                raise AssertionError("etcd ended: " + log.read()[-2000:])
        return self.leader() is not None

    def _control(self, *words):
        at = lambda name: os.path.join(self.tls, name)
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return subprocess.run(["etcdctl", "--endpoints", self.endpoints(), "--cacert", at("ca.pem"), "--cert",
                               at("node.pem"), "--key", at("node.key"), *words], capture_output=True, text=True,
                              env=environment, timeout=20)

    def endpoints(self):
        return ",".join(f"127.0.0.1:{p.port}" for p in self.places)

    def leader(self):
        """The leader's endpoint: a client that asks it costs etcd no forwarding."""
        done = self._control("endpoint", "status", "-w", "simple")
        if done.returncode != 0:
            return None
        for line in done.stdout.splitlines():
            fields = [f.strip() for f in line.split(",")]
            if len(fields) > 4 and fields[4] == "true":
                return fields[0]
        return None

    def load_flags(self):
        at = lambda name: os.path.join(self.tls, name)
        return ["--endpoints", self.leader() or self.endpoints(), "--cert", at("node.pem"), "--key", at("node.key"), "--ca", at("ca.pem")]

    def cpu_seconds(self):
        return sum(process_cpu(p.pid) for p in self.processes)

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for place in self.places:
            place.close()


def process_cpu(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
