"""./dev bench barn: the Barn against etcd, each on the same work in turn, in one run on one machine.

Both clusters have as many members, write to the same file system and sync before they answer, and use mutual TLS between
members and with clients. One client program plays all callers, each with one operation outstanding, on the same keys. Rounds
alternate; medians of the rounds are compared. `ratio` above 1 means that the Barn is better. Lines without a peer have a
value, its unit and the goal.
"""
import argparse
import json
import mmap
import os
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests/barn/rig"), os.path.join(ROOT, "bench/barn")]
from cluster import Cluster, Skip, wait_for  # noqa: E402
from etcd_peer import EtcdPeer, process_cpu  # noqa: E402

BUILD = os.path.join(ROOT, "build/release")
RUNI = os.path.join(BUILD, "apps/runi/runi")
LOAD = os.path.join(BUILD, "bench/barn/barn_load")
WORKLOAD = os.path.join(BUILD, "tests/barn/workload/barn_workload")
CORE = os.path.join(BUILD, "src/control/server/barn_core_bench")


class RuninkCluster:
    """A Cluster as the load program sees it. The lead stays where it is: the benches ask the leader."""

    def __init__(self, members):
        self.cluster = Cluster(RUNI, members=members)
        with open(os.path.join(self.cluster.client, "cluster.toml")) as file:
            self.domain = file.read().split('"')[1] + ".runink"

    def load_flags(self):
        at = lambda name: os.path.join(self.cluster.client, name)
        return ["--endpoints", ",".join(m.api for m in self.cluster.members.values()), "--cert", at("identity.pem"),
                "--key", at("identity.pem"), "--ca", at("authority.pem"), "--trust-domain", self.domain]

    def cpu_seconds(self):
        return sum(process_cpu(m.pid) for m in self.cluster.members.values())

    def close(self):
        self.cluster.__exit__(None)


def load(target, mode, work, seconds, callers=256, value=256, keys=10_000, channels=1):
    before = target.cpu_seconds()
    argv = [LOAD, "--mode", mode, "--work", work, "--callers", str(callers), "--value", str(value), "--keys", str(keys),
            "--seconds", str(seconds), "--warm-up", "1", "--channels", str(channels), *target.load_flags()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 120)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr}{done.stdout}")
    out = json.loads(done.stdout.strip().splitlines()[-1])
    if out.get("errors"):
        raise RuntimeError(f"{out['errors']} operations failed: {done.stdout}")
    out["server_cpu_s"] = target.cpu_seconds() - before
    return out


def emit(args, **line):
    if args.json:
        print(json.dumps(line), flush=True)
        return
    text = f"{line['bench']:34}"
    if "ratio" in line:
        text += f" {line['ratio']:6.2f} x {line['peer']} (goal {line['goal']})   {line['ops']:9,.0f} and {line['peer_ops']:9,.0f} a second"
        text += f"   p99 {line['p99_ms']:.1f} and {line['peer_p99_ms']:.1f} ms   CPU us an operation {line['cpu_us']:.0f} and {line['peer_cpu_us']:.0f}"
    else:
        text += f" {line['value']:10,.1f} {line['unit']} (goal {line['goal']})"
    print(text, flush=True)


def compare(args, name, goal, ours, peer, mode, work, **more):
    """Alternating rounds of both, then the ratio of medians of operations a second."""
    rounds = {"runink": [], "etcd": []}
    for _ in range(args.rounds):
        rounds["runink"].append(load(ours, mode, work, args.seconds, **more))
        rounds["etcd"].append(load(peer, "etcd", work, args.seconds, **{**more, "channels": args.etcd_channels}))
    median = lambda who, key: statistics.median(r[key] for r in rounds[who])
    cpu = lambda who: statistics.median((r["client_cpu_s"] + r["server_cpu_s"]) / r["ops"] * 1e6 for r in rounds[who])
    emit(args, bench=name, peer="etcd", ratio=round(median("runink", "ops_per_s") / median("etcd", "ops_per_s"), 3), goal=goal,
         ops=median("runink", "ops_per_s"), peer_ops=median("etcd", "ops_per_s"),
         p50_ms=median("runink", "p50_us") / 1e3, peer_p50_ms=median("etcd", "p50_us") / 1e3,
         p99_ms=median("runink", "p99_us") / 1e3, peer_p99_ms=median("etcd", "p99_us") / 1e3,
         cpu_us=cpu("runink"), peer_cpu_us=cpu("etcd"))


def sync_micros(folder):
    """One block written where there is one already, past the cache and durable when it returns (O_DIRECT, O_DSYNC), as the
    journal does: the median of 300."""
    path = os.path.join(folder, "sync-probe")
    with open(path, "wb") as file:
        file.write(bytes(1 << 22))
        os.fsync(file.fileno())
    file = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
    try:
        block, times = mmap.mmap(-1, 4096), []  # O_DIRECT wants whole pages
        for i in range(300):
            start = time.perf_counter()
            os.pwrite(file, block, i * 4096)
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e6
    finally:
        os.close(file)
        os.unlink(path)


def commit(args, ours):
    """One caller. The floor: the follower's way, which is the longer one, and an empty call."""
    # The members' own pings: when nothing else goes on they wait for cores to wake up, so the best that was seen counts.
    round_trip = lambda: min(int(m["rtt_micros"]) for m in ours.cluster.listed() if m["rtt_micros"])
    rounds = []
    for _ in range(args.rounds):
        sync = sync_micros(ours.cluster.folder)
        before = round_trip()
        empty = load(ours, "runink-unary", "empty", 2, callers=1)["p50_us"]
        put = load(ours, "runink-unary", "put", args.seconds, callers=1)
        rtt = min(before, round_trip())
        rounds.append((put["p50_us"] - (sync + rtt + empty), put["p50_us"], put["p99_us"], sync, rtt, empty))
    over, p50, p99, sync, rtt, empty = (statistics.median(r[i] for r in rounds) for i in range(6))
    emit(args, bench="barn.commit.n3.c1", value=round(over, 1), unit="us above the floor", goal=100, p50_us=p50,
         p99_us=p99, sync_us=sync, round_trip_us=rtt, empty_call_us=empty)


def core(args):
    done = subprocess.run([CORE, "--json"], capture_output=True, text=True, check=True, timeout=300)
    line = json.loads(done.stdout.strip().splitlines()[-1])
    emit(args, **line)


def failover(args):
    """The leader killed with -9 under load, again and again."""
    argv = [sys.executable, os.path.join(ROOT, "bench/barn/failover.py"), RUNI, WORKLOAD, "--tries", str(args.tries)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60 + 30 * args.tries)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    emit(args, **json.loads(done.stdout.strip().splitlines()[-1]))


def restart_and_snapshot(args):
    """1 GiB of state: how long until a killed member serves again, and what it costs to fill a new one."""
    ours = RuninkCluster(3)
    try:
        cluster = ours.cluster
        # Reading puts every key once before.
        argv = [LOAD, "--mode", "runink-stream", "--work", "get", "--callers", "256", "--value", "4096", "--keys",
                str(args.state_mib << 8), "--seconds", "1", "--warm-up", "0", *ours.load_flags()]
        subprocess.run(argv, check=True, capture_output=True, timeout=1200)
        cluster.barn("snapshot", timeout="120s", seconds=200)
        follower = cluster.followers()[0]
        applied = lambda m: int((m.metrics() or {}).get("runink_barn_applied_index", 0))
        times = []
        for _ in range(args.rounds):
            target = applied(cluster.leader())
            follower.kill()
            start = time.monotonic()
            follower.start(wait=False)
            wait_for("the member serves again", lambda: applied(follower) >= target, 60, 0.005)
            times.append(time.monotonic() - start)
        emit(args, bench="barn.restart", value=round(statistics.median(times), 2), unit="s until it serves", goal=5,
             state_mib=args.state_mib)

        def peak(member, key="VmHWM"):
            with open(f"/proc/{member.pid}/status") as file:
                return next(int(l.split()[1]) for l in file if l.startswith(key + ":")) / 1024
        leader = cluster.leader()
        with open(f"/proc/{leader.pid}/clear_refs", "w") as file:
            file.write("5")
        before, term = peak(leader), leader.term()
        start = time.monotonic()
        new = cluster.join("--learner", wait=False)
        base = peak(new)
        wait_for("the new member has all", lambda: applied(new) >= applied(leader), 600, 0.05)
        took = time.monotonic() - start
        emit(args, bench="barn.snapshot", value=round(max(peak(leader) - before, peak(new) - base), 1),
             unit="MiB more at the peak of either process", goal=16, sender_mib=round(peak(leader) - before, 1),
             receiver_mib=round(peak(new) - base, 1), seconds=round(took, 1), elections=leader.term() - term,
             state_mib=args.state_mib)
    finally:
        ours.close()


def main():
    parser = argparse.ArgumentParser(prog="./dev bench barn", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON line for each bench")
    parser.add_argument("--only", help="benches whose name begins so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--etcd-channels", type=int, default=1, help="connections of etcd's callers")
    parser.add_argument("--state-mib", type=int, default=1024)
    parser.add_argument("--tries", type=int, default=200, help="of barn.failover")
    args = parser.parse_args()
    wanted = lambda name: not args.only or name.startswith(args.only)
    against = [("barn.write.unary.n3.c256.v256", 1.5, 3, "runink-unary", "put", 256),
               ("barn.write.stream.n3.c256.v256", 5, 3, "runink-stream", "put", 256),
               ("barn.read.stream.n3.c256.v256", 5, 3, "runink-stream", "get", 256),
               ("barn.write.stream.n3.c256.v4096", 1, 3, "runink-stream", "put", 4096),
               ("barn.write.stream.n1.c256.v256", 1, 1, "runink-stream", "put", 256)]
    for members in (3, 1):
        rows = [r for r in against if r[2] == members and wanted(r[0])]
        single = members == 3 and wanted("barn.commit.n3.c1")
        if not rows and not single:
            continue
        ours, peer = RuninkCluster(members), None
        try:
            if rows:
                peer = EtcdPeer(members)
                for name, goal, _, mode, work, value in rows:
                    compare(args, name, goal, ours, peer, mode, work, value=value)
                peer.close()
                peer = None
            if single:
                commit(args, ours)
        finally:
            if peer is not None:
                peer.close()
            ours.close()
    if wanted("barn.core.n3"):
        core(args)
    if wanted("barn.failover"):
        failover(args)
    if wanted("barn.restart") or wanted("barn.snapshot"):
        restart_and_snapshot(args)


if __name__ == "__main__":
    try:
        main()
    except Skip as why:
        sys.exit(f"skipped: {why}")
