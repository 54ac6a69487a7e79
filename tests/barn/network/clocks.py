"""B18: wall clocks that jump by an hour and by ten years under libfaketime, and a member whose monotonic clock stands days
ahead of the others' in a time namespace: no election, no lease twice, no time to live below zero."""
import ctypes
import glob

from common import *

HOUR, YEARS = 3600, 10 * 365 * 86400
DAYS = 20 * 86400
_CLONE_NEWTIME = 0x80
_libc = ctypes.CDLL(None, use_errno=True)


class WallClock:
    """Of one member: libfaketime reads the offset from a file at every call."""

    def __init__(self, library, folder, number):
        self._path = os.path.join(folder, f"clock{number}")
        self.set(0)
        self.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": self._path, "FAKETIME_NO_CACHE": "1",
                            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}

    def set(self, seconds):
        with open(self._path + ".new", "w") as file:
            file.write(f"{seconds:+d}")
        os.rename(self._path + ".new", self._path)


def restart_all(cluster, environments):
    for number, member in list(cluster.members.items()):
        member.stop()
        member.start(env=environments[number])
        member.wait_until_ready()


def check_lease(asker, ttl_millis=4000):
    token = asker.must("lease", ttl_millis)["token"]
    for _ in range(3):
        remaining = asker.must("keep", *token)["remaining_micros"]
        check(0 < remaining <= ttl_millis * 1000, f"a lease of {ttl_millis} ms has {remaining} us left")
    return token


def jumps(cluster, asker):
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        say("wall clocks: skipped, libfaketime is not installed")
        return False
    clocks = {number: WallClock(libraries[0], cluster.folder, number) for number in cluster.members}
    restart_all(cluster, {number: clock.environment for number, clock in clocks.items()})
    with load(cluster, "registers", "leases", rate=150, timeout=3) as work:
        leader = cluster.leader()
        term = leader.term()
        tokens = [check_lease(asker)]
        for what, offset in (("an hour ahead", HOUR), ("an hour back", -HOUR), ("ten years ahead", YEARS)):
            for members in ([leader.number], [n for n in clocks if n != leader.number]):
                for number in members:
                    clocks[number].set(offset)
                time.sleep(0.7)
                check(cluster.leader() is leader and leader.term() == term, f"{what}: there was an election, term {leader.term()}")
                if offset == HOUR:  # certificates begin today and last for months: otherwise nobody new gets in
                    tokens.append(check_lease(asker))
                for number in members:
                    clocks[number].set(0)
            tokens.append(check_lease(asker))
            say(f"clocks {what}, the leader's and then the followers': no election, term {term}")
        check(len({tuple(t) for t in tokens}) == len(tokens), f"a lease was granted twice: {tokens}")
        say(summary(work.stop_clean("registers", "leases")))
    return True


def ahead():
    """For the new process: a time namespace whose monotonic clock stands days ahead."""
    if _libc.unshare(_CLONE_NEWTIME) != 0:
        os._exit(99)
    with open("/proc/self/timens_offsets", "w") as file:
        file.write(f"monotonic {DAYS} 0\nboottime {DAYS} 0\n")
    namespace = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    if _libc.setns(namespace, _CLONE_NEWTIME) != 0:
        os._exit(99)


def monotonic(cluster, asker):
    if os.geteuid() != 0 or not os.path.exists("/proc/self/timens_offsets"):
        say("monotonic clocks: skipped, time namespaces need root and a kernel that has them")
        return False
    for member in cluster.members.values():
        member.stop()
        member.start(enter=ahead if member.number == 2 else None)
        member.wait_until_ready()
    with load(cluster, "registers", "leases", rate=150, timeout=3) as work:
        # A lease that is kept must survive a new leader, whose clock is another one.
        for to in (2, 1, 2, 3):
            token = asker.must("lease", 5000)["token"]
            cluster.barn("transfer", str(to), code=None)
            wait_for("the transfer", lambda to=to: cluster.leader().number == to or cluster.barn("transfer", str(to), code=None).returncode == 0, 20)
            remaining = asker.must("keep", *token)["remaining_micros"]
            check(0 < remaining <= 5_000_000, f"a lease of 5 s has {remaining} us left under member {to}")
            time.sleep(0.5)
        say(f"a member {DAYS // 86400} days ahead leads and follows: {summary(work.stop_clean('registers', 'leases'))}")
    return True


def body():
    with rig() as (cluster, asker, _net):
        done = [jumps(cluster, asker), monotonic(cluster, asker)]
        cluster.wait_until_equal()
        one_leader_a_term(cluster)
        if not any(done):
            skip("neither libfaketime nor time namespaces")


main(body)
