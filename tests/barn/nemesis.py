"""Members as real processes in network namespaces, under load, while something goes wrong all the time; then the answers are
checked, and the members' states compared.

    nemesis.py RUNI WORKLOAD [--minutes N] [--long] [--seed N] [--members N] [--faults a,b,…] [--rate N] [--callers N]

Without --minutes: a minute each of kill, partition, pause, transfer and member change. With it: every 5 to 15 seconds two faults
drawn at random, for so long. --long: five members, 24 runs of five minutes. The seed decides which faults hit whom and when;
what the members make of it differs from run to run.

Exit code: 0 clean, 1 something was wrong, 77 skipped, with the reason printed.
"""
import argparse
import collections
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "rig"))

import netns  # noqa: E402
from cluster import Cluster, check, main, wait_for  # noqa: E402
from proxy import FaultProxy  # noqa: E402
from workload import Workload, summary  # noqa: E402

SCHEDULE = ("kill", "partition", "pause", "transfer", "change")


class Nemesis:
    """Does one fault at a time, heals it, and counts. Of two at a time one is `slow`: it lasts while the other happens."""

    def __init__(self, cluster, network, seed):
        self.cluster, self.network = cluster, network
        self.random = random.Random(seed)
        self.proxy = FaultProxy(network)
        self.counts = collections.Counter()
        self.slowest_restart = 0.0
        self.size = len(cluster.members)
        self.gone = set()  # members that are being taken out: nobody starts them again

    def someone(self):
        return self.random.choice([m for m in self.cluster.members.values() if m.number not in self.gone])

    def leader_or_someone(self):
        return (self.cluster.find_leader() if self.random.random() < 0.6 else None) or self.someone()

    def pair(self):
        return self.random.sample(sorted(self.cluster.members), 2)

    def rest(self, low, high):
        time.sleep(low + self.random.random() * (high - low))

    # --- faults: each is a generator, whose first part brings it about and whose second ends it ------------------------

    def kill(self):
        victims = [self.leader_or_someone()]
        if self.random.random() < 0.1:
            victims = list(self.cluster.members.values())  # all at once
        for victim in victims:
            victim.kill()
            self.counts["kill"] += 1
        yield 0.0, 2.0
        started = time.monotonic()
        for victim in victims:
            if not victim.alive() and victim.number in self.cluster.members:
                victim.start(wait=False)
        for victim in victims:
            if victim.number in self.cluster.members:
                victim.wait_until_up(50)
        self.slowest_restart = max(self.slowest_restart, time.monotonic() - started)

    def pause(self):
        victim = self.leader_or_someone()
        victim.pause()
        self.counts["pause"] += 1
        yield 0.3, 8.0
        victim.resume()

    def partition(self):
        kind = self.random.choice(("isolate", "one way", "apart", "split", "alone"))
        a, b = self.pair()
        if kind == "isolate":
            self.network.isolate(self.leader_or_someone().number)
        elif kind == "alone":
            self.network.isolate(self.leader_or_someone().number, clients=True)
        elif kind == "one way":
            self.network.cut(a, b)
        elif kind == "apart":
            self.network.cut_both(a, b)
        else:
            self.network.split(set(self.random.sample(sorted(self.cluster.members), max(1, len(self.cluster.members) // 2))))
        self.counts["partition: " + kind] += 1
        yield 1.0, 8.0
        self.network.heal()

    def loss(self):
        self.network.lose(self.random.choice((2, 10, 30)))
        self.counts["loss"] += 1
        yield 2.0, 6.0
        self.network.heal()

    def proxied(self):
        low, high = sorted(self.pair())  # the lower one dials
        link = self.proxy.link(low, high)
        kind = self.random.choice(("delay", "cut mid-frame", "half-open", "reset", "silent"))
        wait_for("a connection through the proxy", lambda: link.connections_seen or not self.both_run(low, high), 10)
        if kind == "delay":
            link.delay, link.jitter = 0.02 + self.random.random() * 0.2, 0.05
        elif kind == "cut mid-frame":
            link.cut_mid_frame()
        elif kind == "half-open":
            link.half_open()
        elif kind == "reset":
            link.reset()
        else:
            link.silent = True
        self.counts["proxy: " + kind] += 1
        yield 1.0, 6.0
        link.close()

    def both_run(self, *numbers):
        members = [self.cluster.members.get(n) for n in numbers]
        return all(m is not None and m.alive() and not m.paused for m in members)

    def transfer(self):
        """Every 200 ms, for some time."""
        end = time.monotonic() + 1 + self.random.random() * 4
        while time.monotonic() < end:
            next_one = time.monotonic() + 0.2
            done = self.cluster.barn("transfer", code=None, timeout="2s").returncode == 0
            self.counts["transfer" if done else "transfer not done"] += 1
            time.sleep(max(0.0, next_one - time.monotonic()))
        yield 0.0, 0.0

    def change(self):
        """One more and one less; or a member is lost for good, and replaced."""
        if self.random.random() < 0.5:
            lost = self.someone()
            lost.kill()
            self.counts["replacement"] += 1
        else:
            self.add()
            lost = self.someone()
            self.counts["addition and removal"] += 1
        self.gone.add(lost.number)
        yield 0.0, 1.0
        self.remove(lost)
        while len(self.cluster.members) < self.size:
            self.add()

    def add(self):
        # A join that is cut off has used up its token, or not; then the member that it was for goes again.
        before = set(self.cluster.members)
        try:
            self.cluster.join()
        except AssertionError:
            self.counts["join failed"] += 1
            for number in set(self.cluster.members) - before:
                self.remove(self.cluster.members[number])
            raise

    def remove(self, member):
        def removed():
            done = self.cluster.barn("remove", str(member.number), code=None)
            return done.returncode == 0 or f"{member.number} is not a member" in done.stderr
        wait_for(lambda: f"removal of {member.number}: {self.cluster.barn('members', code=None).stderr}", removed, 60, 0.5)
        self.gone.discard(member.number)
        self.network.forget(member.number)
        self.cluster.forget(member)

    # --- schedules -----------------------------------------------------------------------------------------------------

    def run(self, *names):
        """The faults together: each begins, some time goes by, and they end in turn."""
        faults = [getattr(self, name)() for name in names]
        low, high = 0.0, 0.0
        for fault in faults:
            span = next(fault)
            low, high = max(low, span[0]), max(high, span[1])
        self.rest(low, high)
        for fault in faults:
            for _ in fault:
                pass

    def calm(self):
        """Everything is healed; until all members run, and one leads."""
        self.network.heal()
        for member in self.cluster.members.values():
            if member.paused:
                member.resume()
            if not member.alive():
                said = member.log_entries()[-1:] or ["nothing"]
                raise AssertionError(f"{member} has ended by itself, with {member.process.returncode}: {said}")
        self.cluster.leader(60)

    def close(self):
        self.proxy.close()


# Pairs that may happen together: a change of members is tried while links are bad, not while a majority is gone.
PAIRS = [("kill",), ("pause",), ("partition",), ("loss",), ("proxied",), ("transfer",), ("change",), ("kill", "proxied"), ("pause", "loss"),
         ("partition", "kill"), ("pause", "kill"), ("partition", "transfer"), ("loss", "transfer"), ("proxied", "change"), ("loss", "kill"),
         ("partition", "pause"), ("proxied", "transfer"), ("proxied", "pause")]


def say(text):
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def minute_each(nemesis, seconds):
    for name in SCHEDULE:
        say(f"{name}, for {seconds:.0f} s")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            nemesis.run(name)
            nemesis.calm()
            nemesis.rest(0.2, 1.5)


def at_random(nemesis, seconds, allowed):
    pairs = [pair for pair in PAIRS if set(pair) <= allowed]
    check(pairs, f"no fault is left of {sorted(allowed)}")
    end = told = time.monotonic()
    end += seconds
    while time.monotonic() < end:
        next_one = time.monotonic() + 5 + nemesis.random.random() * 10
        nemesis.run(*nemesis.random.choice(pairs))
        nemesis.calm()
        time.sleep(max(0.0, min(next_one, end) - time.monotonic()))
        if time.monotonic() - told > 60:
            told = time.monotonic()
            say(f"{(end - told) / 60:.0f} minutes left; {sum(nemesis.counts.values())} faults; restarts within {nemesis.slowest_restart:.2f} s")


def one_run(options, seed, seconds):
    network = netns.Network()
    try:
        with Cluster(options.runi, members=options.members, place_of=network.place_of, flags=["--snapshot-entries", "5000"]) as cluster:
            say(f"{options.members} members serve, seed {seed}, in {cluster.folder}")
            nemesis = Nemesis(cluster, network, seed)
            # The client folder changes with the members; the workload begins with those of now and is told of others by them.
            with Workload(options.workload, cluster.folder, "--callers", options.callers, "--rate", options.rate, "--timeout", "5",
                          "--seed", seed, cluster=cluster) as work:
                if options.minutes or options.long:
                    at_random(nemesis, seconds, set(options.faults.split(",")))
                else:
                    minute_each(nemesis, options.each)
                nemesis.calm()
                found = work.stop()
            digest = cluster.wait_until_equal()
            nemesis.close()
            say("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(nemesis.counts.items())))
            say(f"restarts within {nemesis.slowest_restart:.2f} s (goal 5)")
            say(summary(found))
            say(f"checked: {json.dumps(found['kinds'])}")
            say(f"digest of all members: {digest}")
            check(found["verdict"] == "clean", f"{found['verdict']}: {found['texts']}\n{work.kept()}")
            return nemesis.counts, found
    finally:
        network.close()


def body():
    words = argparse.ArgumentParser(prog="./dev nemesis", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("runi")
    words.add_argument("workload")
    words.add_argument("--minutes", type=float)
    words.add_argument("--long", action="store_true")
    words.add_argument("--runs", type=int, help="how many, one after the other, each with new members")
    words.add_argument("--seed", type=int, default=int(time.time()))
    words.add_argument("--members", type=int)
    words.add_argument("--faults", default="kill,pause,partition,loss,proxied,transfer,change")
    words.add_argument("--each", type=float, default=60, help="seconds of each fault, without --minutes")
    words.add_argument("--rate", type=int, default=500)
    words.add_argument("--callers", type=int, default=20)
    options = words.parse_args()
    options.members = options.members or (5 if options.long else 3)
    netns.enter_hub()
    runs = options.runs or (24 if options.long else 1)
    seconds = (options.minutes or 5) * 60
    total = collections.Counter()
    answered = 0
    for n in range(runs):
        counts, found = one_run(options, options.seed + n, seconds)
        total += counts
        answered += found["done"]
    print(json.dumps({"nemesis": "clean", "runs": runs, "members": options.members, "seed": options.seed, "operations": answered, "faults": dict(total)}))


main(body)
