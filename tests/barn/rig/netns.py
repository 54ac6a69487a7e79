"""Members in network namespaces of their own, on one bridge; cuts and losses between them by nftables.

    enter_hub()                       # first of all: this process moves into a namespace of its own, the hub
    network = Network()
    with Cluster(RUNI, place_of=network.place_of) as cluster:
        network.cut(1, 2)             # nothing from 1 reaches 2
        network.heal()

No namespace, interface or bridge has a name outside the hub, and none is in the file system: they last as long as the rig's
process and its members, which die with it. So nothing is left behind, however the rig ends, and rigs do not meet.

The hub has 10.77.0.254, member N has 10.77.0.N. Clients run in the hub, as this process does.
"""
import ctypes
import itertools
import os
import signal
import subprocess

from cluster import Skip, check

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_libc = ctypes.CDLL(None, use_errno=True)
_PREFIX, _HUB = "10.77.0.", 254
PORT = 7460


def _call(name, *arguments):
    if getattr(_libc, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


def _tool(name):
    for folder in os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]:
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise Skip(f"there is no program {name} (packaging/apt-packages.txt names its package)")


def enter_hub():
    """Moves this process into a new network namespace; as an ordinary user also into a user namespace, in which it is
    root. Call before threads are begun. Skips where the host forbids it."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        if uid == 0:
            _call("unshare", _CLONE_NEWNET)
        else:
            _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
            for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)
    except OSError as why:
        raise Skip(f"network namespaces need root, or user namespaces for everybody: {why}") from None
    _run("ip", "link", "set", "lo", "up")


def _run(tool, *words, stdin=None, enter=None):
    done = subprocess.run([_tool(tool), *words], input=stdin, capture_output=True, text=True, preexec_fn=enter)
    check(done.returncode == 0, f"{tool} {' '.join(words)}: {done.stderr}{stdin or ''}")


class Place:
    """Where a member runs: a namespace of its own."""

    listen = None
    port = PORT

    def __init__(self, network, number):
        self.number = number
        self.host = _PREFIX + str(number)
        self._namespace = _new_namespace()
        self._rules = set()
        interface = f"v{next(network.interfaces)}"  # a closed place's may linger for a moment
        try:
            _run("ip", "link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", f"/proc/{os.getpid()}/fd/{self._namespace}")
        except AssertionError:
            self.close()
            raise
        _run("ip", "link", "set", interface, "master", network.bridge, "up")
        for words in (("link", "set", "lo", "up"), ("addr", "add", f"{self.host}/24", "dev", "eth0"), ("link", "set", "eth0", "up")):
            self.run("ip", *words)

    def enter(self):
        _call("setns", self._namespace, _CLONE_NEWNET)

    def run(self, tool, *words, stdin=None):
        _run(tool, *words, stdin=stdin, enter=self.enter)

    def close(self):
        if self._namespace is not None:
            os.close(self._namespace)
            self._namespace = None


def _new_namespace():
    """A descriptor that keeps a new network namespace alive."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _call("unshare", _CLONE_NEWNET)
            os.write(told, b"1")
            signal.pause()
        finally:
            os._exit(1)
    os.close(told)
    try:
        check(os.read(ready, 1) == b"1", "a member's network namespace could not be made")
        return os.open(f"/proc/{child}/ns/net", os.O_RDONLY)
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class Network:
    bridge = "hub"
    interfaces = itertools.count(1)  # of all networks of this hub

    def __init__(self):
        for tool in ("ip", "nft"):
            _tool(tool)
        try:
            _run("ip", "link", "add", self.bridge, "type", "bridge")
        except AssertionError as why:
            raise Skip(f"no bridge can be made here: {why}") from None
        _run("ip", "addr", "add", f"{_PREFIX}{_HUB}/24", "dev", self.bridge)
        _run("ip", "link", "set", self.bridge, "up")
        self.places = {}
        self._drops = {}      # receiver: set of senders
        self._losses = {}     # receiver: percent
        self._detours = {}    # sender: {receiver: port of a proxy in the hub}

    def place_of(self, number):
        self.places[number] = Place(self, number)
        return self.places[number]

    def hub_address(self):
        return f"{_PREFIX}{_HUB}"

    def close(self):
        """For another network in the same hub."""
        _run("ip", "link", "del", self.bridge)

    # --- faults; each takes effect at once, also on connections that there are -----------------------------------------

    def cut(self, sender, receiver):
        """Nothing that `sender` sends reaches `receiver`. Numbers of members."""
        self._drops.setdefault(receiver, set()).add(sender)
        self._apply(receiver)

    def cut_both(self, a, b):
        self.cut(a, b)
        self.cut(b, a)

    def isolate(self, number, clients=False):
        """From all other members; with `clients` from the hub too."""
        for other in self.places:
            if other != number:
                self.cut_both(number, other)
        if clients:
            self._drops.setdefault(number, set()).add(_HUB)
            self._apply(number)

    def split(self, group):
        """Those of `group` and the others do not reach each other."""
        for a in group:
            for b in self.places:
                if b not in group:
                    self.cut_both(a, b)

    def lose(self, percent, numbers=None):
        """So many of a hundred packets from members do not arrive, at these members (default: all)."""
        for number in numbers or list(self.places):
            self._losses[number] = percent
            self._apply(number)

    def detour(self, sender, receiver, port):
        """New connections from `sender` to the other's members' port go to a port of the hub, and older ones end by RST;
        None: no more."""
        there = self._detours.setdefault(sender, {})
        if port is None:
            there.pop(receiver, None)
        else:
            there[receiver] = port
        self._apply(sender)

    def members_address(self, number):
        return f"{_PREFIX}{number}", PORT + 1

    def heal(self):
        self._drops.clear()
        self._losses.clear()
        for number in list(self.places):
            self._apply(number)

    def forget(self, number):
        """The member's place is closed: no rules for it any more."""
        self.places.pop(number, None)
        self._drops.pop(number, None)
        self._losses.pop(number, None)
        self._detours.pop(number, None)

    def _apply(self, number):
        place = self.places.get(number)
        if place is None or place._namespace is None:
            return
        rules = [f"ip saddr {_PREFIX}{sender} drop" for sender in sorted(self._drops.get(number, ()))]
        if self._losses.get(number):
            rules.append(f"ip saddr != {_PREFIX}{_HUB} iifname eth0 numgen random mod 100 < {self._losses[number]} drop")
        detours = [f"ip daddr {_PREFIX}{receiver} tcp dport {PORT + 1} dnat to {_PREFIX}{_HUB}:{port}"
                   for receiver, port in sorted(self._detours.get(number, {}).items())]
        text = "flush ruleset\ntable ip rig {\n"
        if rules:
            text += "chain faults { type filter hook input priority 0\n " + "\n ".join(rules) + "\n }\n"
        if detours:
            # What was not sent through the chain above still has the receiver's address here.
            older = [f"ip daddr {_PREFIX}{receiver} tcp dport {PORT + 1} reject with tcp reset" for receiver in self._detours[number]]
            text += "chain older { type filter hook output priority 0\n " + "\n ".join(older) + "\n }\n"
            text += "chain detours { type nat hook output priority -100\n " + "\n ".join(detours) + "\n }\n"
        text += "}\n"
        place.run("nft", "-f", "-", stdin=text)
