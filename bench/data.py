"""./dev bench data: the engine against its peers, each on the same work, in turn, in one run.

Inputs lie on a memory file system and are read once beforehand; outputs go there too, so no disk is measured. For each
round every program runs once; medians are compared. DuckDB is timed inside its process (without starting Node.js),
Runink as a whole process. `ratio` above 1 means that Runink is better. Outputs must agree, else the line says so and the
program fails.
"""
import argparse, hashlib, json, math, os, shutil, statistics, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNI = os.path.join(ROOT, "build/release/apps/runi/runi")
PEERS = os.path.join(ROOT, "tests/peers")
THREADS = len(os.sched_getaffinity(0))


class Measured:
    def __init__(self):
        self.wall, self.cpu, self.peak = [], [], 0

    def add(self, wall, cpu, peak):
        self.wall.append(wall), self.cpu.append(cpu)
        self.peak = max(self.peak, peak)

    def median(self):
        return statistics.median(self.wall)

    def p99(self):
        return sorted(self.wall)[min(len(self.wall) - 1, math.ceil(0.99 * len(self.wall)) - 1)]


def timed(argv, cwd=None, stdin=None, stdout=subprocess.DEVNULL, inner=False):
    """Runs a program: wall seconds (or those it printed last, with inner), processor seconds, peak bytes."""
    start = time.monotonic()
    out = subprocess.PIPE if inner else stdout
    child = subprocess.Popen(argv, cwd=cwd, stdin=stdin, stdout=out, stderr=subprocess.PIPE, text=inner)
    text = child.stdout.read() if inner else ""
    errors = child.stderr.read()
    _, status, use = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - start
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}: {errors if isinstance(errors, str) else errors.decode()}")
    if inner:
        wall = float(text.strip().splitlines()[-1])
    return wall, use.ru_utime + use.ru_stime, use.ru_maxrss * 1024


def sha(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def same_bytes(a, b):
    return sha(a) == sha(b)


def same_rows(a, b, key=None, sample=0):
    """As JSON records: floats within 1e-9; in order, or by a key; with `sample`, every sample-th record (all are counted)."""
    def load(path):
        rows, count = [], 0
        with open(path) as f:
            for line in f:
                if not sample or count % sample == 0:
                    rows.append(json.loads(line))
                count += 1
        return (sorted(rows, key=lambda r: str(r[key])) if key else rows), count
    (x, n), (y, m) = load(a), load(b)
    if n != m or len(x) != len(y):
        return False
    for p, q in zip(x, y):
        if p.keys() != q.keys():
            return False
        for k in p:
            if isinstance(p[k], float) or isinstance(q[k], float):
                if not math.isclose(p[k], q[k], rel_tol=1e-9):
                    return False
            elif p[k] != q[k]:
                return False
    return True


def same_lines(a, b):
    """The same lines, in any order: equal in number and in the sum of their hashes."""
    def digest(path):
        total = count = 0
        with open(path, "rb") as f:
            for line in f:
                total += hash(line)
                count += 1
        return total, count
    return digest(a) == digest(b)


class Bench:
    def __init__(self, args):
        self.args, self.failed = args, False
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
        self.place = args.place or os.path.join(base, f"runink-bench-{os.getpid()}")
        self.data, self.out = os.path.join(self.place, "data"), os.path.join(self.place, "peer-out")
        self.project = os.path.join(self.place, "project")
        for folder in (self.data, self.out):
            os.makedirs(folder, exist_ok=True)
        shutil.copytree(os.path.join(ROOT, "bench/project"), self.project, dirs_exist_ok=True)
        link = os.path.join(self.project, "data")
        if not os.path.islink(link):
            os.symlink(self.data, link)

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def report(self, bench, **fields):
        if self.args.json:
            print(json.dumps({"bench": bench, **fields}), flush=True)
        else:
            shown = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in fields.items())
            print(f"{bench:<20} {shown}", flush=True)

    def wanted(self, bench):
        return not self.args.only or bench in self.args.only

    def has(self, program):
        if program == "duckdb":
            return shutil.which("node") and os.path.isdir(os.path.join(PEERS, "node_modules/@duckdb/node-api"))
        return shutil.which({"miller": "mlr", "jq": "jq"}[program]) is not None

    def node(self, script, *words):
        """Scripts of bench/ use the npm packages of tests/peers: a link there lets Node.js find them."""
        link = os.path.join(self.place, "node_modules")
        if not os.path.islink(link):
            os.symlink(os.path.join(PEERS, "node_modules"), link)
        copy = os.path.join(self.place, os.path.basename(script))
        shutil.copy(os.path.join(ROOT, "bench", script), copy)
        return ["node", copy, *map(str, words)]

    def prepare(self):
        if os.path.exists(os.path.join(self.data, "customers.ndjson")):
            return
        parquet = os.path.join(PEERS, "node_modules/vega-datasets/data/flights-3m.parquet")
        if self.has("duckdb") and os.path.exists(parquet):
            self.say("preparing 3 million flight records (npm vega-datasets) and 10 million orders")
            subprocess.run(self.node("prepare.mjs", parquet, self.data), check=True, stdout=sys.stderr)
            return
        self.say("preparing synthetic records: DuckDB or npm vega-datasets is not here")
        for contract, name, records in (("flight.contract", "flights.ndjson", 3_000_000), ("flight.contract", "flights.csv", 3_000_000),
                                        ("wide.contract#Order", "orders.ndjson", 10_000_000), ("wide.contract#Customer", "customers.ndjson", 100_000)):
            subprocess.run([RUNI, "synth", f"contracts/{contract}", "--records", str(records), "--seed", "1", "--out",
                            os.path.join(self.data, name)], cwd=self.project, check=True)

    def runi(self, feature, threads=THREADS):
        return timed([RUNI, "run", f"features/{feature}.dsl", "-t", str(threads), "--quiet"], cwd=self.project)

    def against(self, bench, feature, peer, goal, peer_run, agree, threads=THREADS, rounds=None):
        if not self.wanted(bench):
            return
        if not self.has(peer):
            self.say(f"{bench}: {peer} is not installed; skipped")
            return
        ours, theirs = Measured(), Measured()
        self.runi(feature, threads)
        for _ in range(rounds or self.args.rounds):
            ours.add(*self.runi(feature, threads))
            theirs.add(*peer_run())
        ok = agree()
        self.failed |= not ok
        self.report(bench, peer=peer, ratio=round(theirs.median() / ours.median(), 2), goal=goal, seconds=round(ours.median(), 4),
                    peer_seconds=round(theirs.median(), 4), p99=round(ours.p99(), 4), cpu_seconds=round(statistics.median(ours.cpu), 3),
                    peer_cpu_seconds=round(statistics.median(theirs.cpu), 3), peak_mb=round(ours.peak / 1e6, 1),
                    peer_peak_mb=round(theirs.peak / 1e6, 1), threads=threads, outputs="equal" if ok else "DIFFER")

    def duckdb(self, bench):
        return lambda: timed(self.node("peers/duckdb.mjs", bench, self.data, self.out, THREADS), inner=True)

    def script(self, name):
        return lambda: timed(["sh", os.path.join(ROOT, "bench/peers", name), self.data, self.out])

    def mine(self, name):
        return os.path.join(self.project, "out", name)

    def peers(self, name):
        return os.path.join(self.out, name)

    def memory(self):
        """1 and 100 million records through a pipe, inside a memory cgroup of 100 MB where this host lets us make one."""
        if not self.wanted("data.memory"):
            return
        feature = os.path.join(self.project, "features/stream.dsl")
        cgroup = None
        for base in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
            limit = "memory.limit_in_bytes" if base.endswith("memory") else "memory.max"
            try:
                cgroup = os.path.join(base, f"runink-bench-{os.getpid()}")
                os.mkdir(cgroup)
                with open(os.path.join(cgroup, limit), "w") as f:
                    f.write(str(100_000_000))
                break
            except OSError:
                if cgroup and os.path.isdir(cgroup):
                    os.rmdir(cgroup)
                cgroup = None
        million = self.peers("million.ndjson")
        with open(os.path.join(self.data, "flights.ndjson")) as source, open(million, "w") as target:
            for _, line in zip(range(1_000_000), source):
                target.write(line)
        peaks = {}
        for millions in (1, 100):
            enter = (lambda: open(os.path.join(cgroup, "cgroup.procs"), "w").write(str(os.getpid()))) if cgroup else None
            feed = subprocess.Popen(["sh", "-c", f"i=0; while [ $i -lt {millions} ]; do cat '{million}'; i=$((i+1)); done"], stdout=subprocess.PIPE)
            child = subprocess.Popen([RUNI, "run", feature, "--quiet"], cwd=self.project, stdin=feed.stdout, stdout=subprocess.DEVNULL, preexec_fn=enter)
            feed.stdout.close()
            start = time.monotonic()
            _, status, use = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            feed.wait()
            if child.returncode != 0:
                self.failed = True
                self.say(f"data.memory: runi ended with {child.returncode}")
            peaks[millions] = use.ru_maxrss * 1024 / 1e6
            self.report("data.memory", value=round(peaks[millions], 1), unit="MB", goal=64, records=millions * 1_000_000,
                        seconds=round(time.monotonic() - start, 2), cgroup="100 MB" if cgroup else "none: this host does not let us make one")
        os.unlink(million)
        if cgroup:
            os.rmdir(cgroup)

    def start(self):
        if not self.wanted("data.start"):
            return
        for what, argv in (("runi --help", [RUNI, "--help"]), ("runi plan", [RUNI, "plan", "features/ndjson_clean.dsl"])):
            times = [timed(argv, cwd=self.project)[0] for _ in range(20)]
            self.report("data.start", value=round(statistics.median(times) * 1000, 2), unit="ms", goal=30, what=what)

    def check(self):
        if not self.wanted("data.check"):
            return
        done = subprocess.run([os.path.join(ROOT, "build/release/src/data/expr/expr_rules_bench")], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            fields = json.loads(line)
            fields.pop("bench")
            self.report("data.check", value=fields.pop("ns_per_record"), unit="ns/record", goal=4, **fields)

    def sync(self):
        """What a durable publish costs on the disk of this checkout: said apart, as the rounds above leave it out."""
        if not self.wanted("data.sync"):
            return
        folder = tempfile.mkdtemp(prefix="bench-sync-", dir=os.path.join(ROOT, "build"))
        try:
            path = os.path.join(folder, "x")
            payload = os.urandom(1 << 20)
            start = time.monotonic()
            with open(path, "wb") as f:
                for _ in range(256):
                    f.write(payload)
                written = time.monotonic()
                f.flush()
                os.fsync(f.fileno())
            self.report("data.sync", value=round(time.monotonic() - written, 3), unit="s", bytes=256 << 20, write_seconds=round(written - start, 3))
        finally:
            shutil.rmtree(folder)

    def run(self):
        self.prepare()
        ndjson = lambda: same_bytes(self.mine("clean.ndjson"), self.peers("clean.ndjson"))
        self.against("data.ndjson_clean", "ndjson_clean", "duckdb", 4, self.duckdb("ndjson_clean"), ndjson)
        self.against("data.ndjson_clean", "ndjson_clean", "jq", 8, self.script("jq.sh"), ndjson, threads=1, rounds=1)
        self.against("data.ndjson_clean", "ndjson_clean", "miller", 30, self.script("miller.sh"),
                     lambda: same_rows(self.mine("clean.ndjson"), self.peers("clean.ndjson"), sample=1000), threads=1, rounds=1)
        self.against("data.csv_clean", "csv_clean", "duckdb", 3, self.duckdb("csv_clean"),
                     lambda: same_bytes(self.mine("clean.csv"), self.peers("clean.csv")))
        self.against("data.group", "group", "duckdb", 1.5, self.duckdb("group"),
                     lambda: same_rows(self.mine("group.ndjson"), self.peers("group.ndjson"), key="origin"))
        self.against("data.join", "join", "duckdb", 1, self.duckdb("join"),
                     lambda: same_lines(self.mine("join.ndjson"), self.peers("join.ndjson")))
        self.check()
        self.memory()
        self.start()
        self.sync()
        if not self.args.place:
            shutil.rmtree(self.place)
        return 1 if self.failed else 0


parser = argparse.ArgumentParser(prog="./dev bench data")
parser.add_argument("--json", action="store_true", help="one JSON line per result")
parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each comparison (default 5)")
parser.add_argument("--only", action="append", help="only this bench, as data.group; may be repeated")
parser.add_argument("--place", help="folder for inputs and outputs, kept for the next time (default: made and removed)")
sys.exit(Bench(parser.parse_args()).run())
