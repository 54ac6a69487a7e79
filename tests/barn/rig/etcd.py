"""etcd 3.4, to compare with: three members with TLS, each in its Place (cluster.py, netns.py)."""
import os
import shutil
import subprocess
import sys

from cluster import die_with_rig, free_place, make_folder


def _openssl(*words, stdin=None):
    subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True, text=True)


def make_certificates(folder, hosts):
    """ca.pem, node.pem and node.key: P-256, good for all of the hosts."""
    at = lambda name: os.path.join(folder, name)
    for name in ("ca", "node"):
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at(name + ".key"))
    _openssl("req", "-x509", "-new", "-key", at("ca.key"), "-subj", "/CN=rig", "-days", "2", "-out", at("ca.pem"))
    with open(at("extensions"), "w") as file:
        file.write("subjectAltName=" + ",".join(f"IP:{host}" for host in sorted(hosts)) + "\nextendedKeyUsage=serverAuth,clientAuth\n")
    _openssl("req", "-new", "-key", at("node.key"), "-subj", "/CN=node", "-out", at("node.csr"))
    _openssl("x509", "-req", "-in", at("node.csr"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial", "-days", "2",
             "-extfile", at("extensions"), "-out", at("node.pem"))


class EtcdCluster:
    def __init__(self, members=3, place_of=free_place):
        self.folder, self._lock = make_folder()
        self.places = {number: place_of(number) for number in range(1, members + 1)}
        self.processes = {}
        make_certificates(self.folder, {place.host for place in self.places.values()})
        for number in self.places:
            self.start(number)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for number in self.places:
            self.kill(number)
            if kind is not None:
                with open(self._log(number), errors="replace") as log:
                    print(f"--- etcd {number}\n{log.read()[-1500:]}", file=sys.stderr)
            self.places[number].close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def endpoint(self, number):
        return f"{self.places[number].host}:{self.places[number].port}"

    def _peer(self, number):
        return f"https://{self.places[number].host}:{self.places[number].port + 1}"

    def _log(self, number):
        return os.path.join(self.folder, f"etcd{number}.log")

    def start(self, number):
        at = lambda name: os.path.join(self.folder, name)
        client, place = f"https://{self.endpoint(number)}", self.places[number]
        argv = ["etcd", "--name", f"m{number}", "--data-dir", at(f"m{number}"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", self._peer(number),
                "--initial-advertise-peer-urls", self._peer(number), "--initial-cluster-state", "new",
                "--initial-cluster", ",".join(f"m{n}={self._peer(n)}" for n in self.places),
                "--cert-file", at("node.pem"), "--key-file", at("node.key"), "--trusted-ca-file", at("ca.pem"), "--client-cert-auth",
                "--peer-cert-file", at("node.pem"), "--peer-key-file", at("node.key"), "--peer-trusted-ca-file", at("ca.pem"),
                "--peer-client-cert-auth", "--logger", "zap", "--log-level", "error"]

        def enter():
            die_with_rig()
            place.enter()

        with open(self._log(number), "ab") as log:
            self.processes[number] = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=enter)

    def kill(self, number):
        if number in self.processes:
            self.processes[number].kill()
            self.processes[number].wait()

    def workload_flags(self):
        at = lambda name: os.path.join(self.folder, name)
        return ["--etcd", "--endpoints", ",".join(self.endpoint(n) for n in self.places), "--cert", at("node.pem"),
                "--key", at("node.key"), "--ca", at("ca.pem")]
