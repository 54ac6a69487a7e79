"""Clusters of real processes: founds, joins, starts, kills and stops members of the Barn, and asks them.

    with Cluster(RUNI) as cluster:               # three members on loopback, in a temporary folder
        cluster.leader().kill()
        cluster.wait_for_leader()

Members are numbered as the cluster numbers them. A member runs where its Place says: on loopback with four free ports,
or in a network namespace (netns.py). Everything ends with the `with`, and also when the rig itself is killed: members
ask the kernel to be killed with the thread that started them, so start them on the main thread.
"""
import contextlib
import ctypes
import fcntl
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

PORTS_OF_MEMBER = 4  # clients, members, new nodes, metrics
SKIPPED = 77
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This host cannot do it; the text says why."""


def skip(reason):
    raise Skip(reason)


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def main(body):
    """Runs `body`; exit code 77 and the reason where it skips. For the tests' last line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `with` ends things
    try:
        body()
    except Skip as why:
        print(f"skipped: {why}")
        sys.exit(SKIPPED)


def wait_for(what, condition, seconds=30, poll=0.02):
    """The first true value of `condition()`; fails with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(poll)


def die_with_rig():
    """For preexec_fn: the kernel kills this process when the thread that started it ends, however that comes."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Ports:
    """Four consecutive free ports of loopback, reserved among rigs until they are released."""

    def __init__(self):
        for _ in range(1000):
            first = random.randrange(20000, 30000, PORTS_OF_MEMBER)
            # An abstract name: no file, and gone with this process.
            held = socket.socket(socket.AF_UNIX)
            try:
                held.bind(f"\0runink-rig-ports-{first}")
            except OSError:
                held.close()
                continue
            if all(self._is_free(first + i) for i in range(PORTS_OF_MEMBER)):
                self.first, self._held = first, held
                return
            held.close()
        raise Skip("no four consecutive free ports on loopback")

    @staticmethod
    def _is_free(port):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return True
            except OSError:
                return False

    def release(self):
        self._held.close()


class Loopback:
    """Where a member runs: here."""

    host = "127.0.0.1"
    listen = None  # where it differs from the host

    def __init__(self):
        self._ports = Ports()
        self.port = self._ports.first

    def enter(self):
        """In the member's process, before the program begins."""

    def close(self):
        self._ports.release()


def free_place(_number):
    return Loopback()


def metrics_at(host, port, seconds=1.0):
    """Samples of /metrics as {'name{labels}': value}; None: nobody answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{port}/metrics", timeout=seconds) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    out = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            out[name] = float(value)
    return out


_PREFIX, _LOCK = "runink-barn-", "rig.lock"


def make_folder():
    """A temporary folder, and a lock in it that is held while this process lives. Folders whose rig was killed go first."""
    for lock in glob.glob(os.path.join(tempfile.gettempdir(), _PREFIX + "*", _LOCK)):
        with contextlib.suppress(OSError), open(lock) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its rig lives
            shutil.rmtree(os.path.dirname(lock), ignore_errors=True)
    folder = tempfile.mkdtemp(prefix=_PREFIX)
    new = os.path.join(folder, _LOCK + ".new")
    lock = open(new, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(new, os.path.join(folder, _LOCK))  # nobody sees it before it is held
    return folder, lock


class Member:
    def __init__(self, cluster, number, folder, place):
        self.cluster, self.number, self.folder, self.place = cluster, number, folder, place
        self.log = folder + ".log"
        self.process = None
        self.paused = False
        self.starts = 0

    def __repr__(self):
        return f"member {self.number}"

    @property
    def api(self):
        return f"{self.place.host}:{self.place.port}"

    # --- the process -------------------------------------------------------------------------------------------------

    def start(self, *more, env=None, enter=None, wait=True):
        """`more`: further flags of `runi server`. `enter` runs in the new process before the program begins. `wait`:
        until it serves its metrics, which it does last."""
        check(not self.alive(), f"{self} runs already")

        def prepare():
            die_with_rig()
            self.place.enter()
            if enter is not None:
                enter()

        argv = [self.cluster.runi_path, "server", self.folder, "--barn-only", "--log", "json", *self.cluster.flags, *more]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=prepare,
                                            env={**os.environ, **(env or {})})
        self.starts += 1
        self.paused = False
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self, seconds=30):
        def up():
            if not self.alive():
                raise AssertionError(f"{self} ended with {self.process.returncode}:\n{self.log_end()}")
            return self.metrics() is not None
        wait_for(lambda: f"{self} serves:\n{self.log_end()}", up, seconds)

    def ready(self):
        """As /readyz says: it knows a leader and has about all that is committed."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.place.host}:{self.place.port + 3}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def wait_until_ready(self, seconds=30):
        wait_for(lambda: f"{self} is ready:\n{self.log_end()}", self.ready, seconds)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        """As a crash of the process: kill -9."""
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait()
            self.paused = False

    def pause(self):
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def stop(self, seconds=20):
        """As an operator: SIGTERM; its exit code."""
        self.resume()
        self.signal(signal.SIGTERM)
        return self.wait_end(seconds)

    def wait_end(self, seconds=20):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} has not ended within {seconds} s:\n{self.log_end()}") from None

    # --- what it says ------------------------------------------------------------------------------------------------

    def log_entries(self, event=None, since=0):
        """Of its log, as dictionaries, in order; `since`: a position of log_position()."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, "rb") as file:
            file.seek(since)
            lines = file.read().decode(errors="replace").splitlines()
        out = []
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": "", "message": line}
            if isinstance(entry, dict) and (event is None or entry.get("event") == event):
                out.append(entry)
        return out

    def log_position(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_end(self, lines=15):
        if not os.path.exists(self.log):
            return "(no log)"
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:])

    def metrics(self, seconds=1.0):
        """{'runink_barn_term': 3.0, …}; None while it does not answer."""
        return metrics_at(self.place.host, self.place.port + 3, seconds)

    def role(self):
        samples = self.metrics() or {}
        for role in ("leader", "follower", "pre_candidate", "candidate"):
            if samples.get(f'runink_barn_role{{role="{role}"}}') == 1:
                return role
        return None

    def term(self):
        return int((self.metrics() or {}).get("runink_barn_term", 0))

    def inspect(self, *words):
        return self.cluster.runi("barn", "inspect", self.folder, *self.cluster.key_flags, *words)


class Cluster:
    """`place_of(number)` gives each member's Place. `flags` go to every `runi server`. `folder`: for the members; its
    own temporary one otherwise, which is removed at the end (and kept, and named, if the `with` ends with an error)."""

    def __init__(self, runi, members=3, place_of=free_place, flags=(), key_file=None, folder=None, found=True):
        self.runi_path = os.path.abspath(runi)
        self.place_of = place_of
        self.key_flags = ["--key-file", key_file] if key_file else []
        self.flags = [*flags, *self.key_flags]
        self._own_folder = folder is None
        self.folder, self._lock = (os.path.abspath(folder), None) if folder else make_folder()
        self.members = {}  # by number
        try:
            if found:
                self.found()
                for _ in range(members - 1):
                    self.join(wait=False)
                self.wait_for_voters(members)
        except BaseException:
            self._end(failed=True)
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._end(failed=kind is not None and kind is not Skip)

    def _end(self, failed):
        if failed:
            for member in self.members.values():
                if member.process is not None and not member.alive():
                    print(f"--- {member} had ended with {member.process.returncode}", file=sys.stderr)
        for member in self.members.values():
            member.kill()
            member.place.close()
        if not self._own_folder:
            return
        if failed:
            for member in self.members.values():
                print(f"--- {member}, end of its log\n{member.log_end()}", file=sys.stderr)
        if failed and os.environ.get("RUNINK_KEEP"):
            print(f"members and logs are kept in {self.folder}", file=sys.stderr)
            os.unlink(os.path.join(self.folder, _LOCK))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    # --- how it comes to be ------------------------------------------------------------------------------------------

    @property
    def client(self):
        """The operator's folder (cluster.toml and credentials)."""
        return os.path.join(self.folder, "client")

    def _new_member(self, number):
        place = self.place_of(number)
        member = Member(self, number, os.path.join(self.folder, f"m{number}"), place)
        flags = ["--host", place.host, "--port", str(place.port), *self.key_flags]
        if place.listen:
            flags += ["--listen", place.listen]
        return member, flags

    def found(self):
        member, flags = self._new_member(1)
        self.runi("barn", "init", member.folder, "--name", "rig", *flags)
        self.adopt(member)
        return member.start()

    def restore(self, backup):
        """The first member, with what a backup holds."""
        member, flags = self._new_member(1)
        self.runi("barn", "restore", backup, member.folder, "--name", "rig", *flags)
        self.adopt(member)
        return member.start()

    def adopt(self, member):
        self.members[member.number] = member
        made = os.path.join(member.folder, "client")
        if os.path.isdir(made) and not os.path.isdir(self.client):
            shutil.copytree(made, self.client)

    def join(self, *add_flags, wait=True, start=True):
        """One more member, let in with a token, and started; `wait`: until it votes."""
        token = wait_for("a token", lambda: self.token(*add_flags))
        number = number_of(token)
        member, flags = self._new_member(number)
        self.runi("barn", "join", member.folder, token, *flags)
        self.adopt(member)
        if start:
            member.start()
            if wait and "--learner" not in add_flags:
                self.wait_for_voters(1, numbers=[number])
        return member

    def token(self, *flags):
        """None while no member leads (or it has no token to give yet)."""
        done = self.barn("add", *flags, code=None)
        if done.returncode != 0:
            self.last_refusal = done.stderr
            return None
        return done.stdout.strip()

    def forget(self, member):
        """Its process and folder are gone for good."""
        member.kill()
        member.place.close()
        shutil.rmtree(member.folder, ignore_errors=True)
        del self.members[member.number]

    # --- what is asked of it -----------------------------------------------------------------------------------------

    def runi(self, *words, code=0, stdin=None, seconds=60, env=None):
        """Runs runi to its end, as text; fails if it ends with another code (None: any)."""
        done = subprocess.run([self.runi_path, *words], input=stdin, capture_output=True, text=True, timeout=seconds,
                              preexec_fn=die_with_rig, env={**os.environ, **(env or {})})
        if code is not None and done.returncode != code:
            raise AssertionError(f"runi {' '.join(words)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done

    def barn(self, verb, *words, code=0, timeout="10s", seconds=60):
        """`runi barn VERB --cluster …`."""
        return self.runi("barn", verb, *words, "--cluster", self.client, "--timeout", timeout, code=code, seconds=seconds)

    def status(self, timeout="3s"):
        """What every member says of itself: a list; role "unreachable" for one that says nothing."""
        done = self.barn("status", "-o", "json", code=None, timeout=timeout)
        return json.loads(done.stdout) if done.stdout.strip() else []

    def listed(self, timeout="3s"):
        """The members as the leader sees them; empty while none leads."""
        done = self.barn("members", "-o", "json", code=None, timeout=timeout)
        return json.loads(done.stdout) if done.returncode == 0 else []

    def find_leader(self, among=None):
        """Who leads in the highest term of those that answer; None: nobody does."""
        best = None
        for member in among or self.members.values():
            if not member.alive() or member.paused:
                continue
            samples = member.metrics() or {}
            if samples.get('runink_barn_role{role="leader"}') == 1:
                term = int(samples.get("runink_barn_term", 0))
                if best is None or term > best[0]:
                    best = (term, member)
        return best[1] if best else None

    def leader(self, seconds=30, among=None):
        return wait_for("a leader", lambda: self.find_leader(among), seconds)

    def followers(self):
        leader = self.leader()
        return [m for m in self.members.values() if m is not leader and m.alive()]

    def wait_for_voters(self, count, numbers=(), seconds=60):
        """Until so many members vote and are connected, `numbers` among them."""
        def ready():
            voters = [m["node"] for m in self.listed() if m["role"] in ("leader", "voter") and m["connected"]]
            return len(voters) >= count and set(numbers) <= set(voters)
        wait_for(lambda: f"{count} voters: {self.listed()}", ready, seconds, poll=0.1)

    def wait_until_equal(self, seconds=60):
        """Until all members that run have applied the same and their states have one digest; the digest."""
        def digest():
            rows = [row for row in self.status() if row["role"] != "unreachable"]
            running = sum(m.alive() for m in self.members.values())
            if len(rows) < running or len({row["applied"] for row in rows}) != 1:
                return None
            check(len({row["digest"] for row in rows}) == 1,
                  f"members that applied the same have different digests: {rows}")
            return rows[0]["digest"] if rows else None
        return wait_for(lambda: f"members are equal: {self.status()}", digest, seconds, poll=0.2)


def number_of(token):
    """Of the member that a join token is for."""
    return int(token.split(".")[2])
