"""./dev bench state: what operators that hold rows take, with many more distinct keys than memory.

For each number of keys one NDJSON file is made (each key once, in scattered order, about 30 bytes per record). Each operator
then runs alone with `--memory 64Mi`; peak resident memory is that of the whole process as the kernel counted it, spilled
bytes are what the run's record says. Every result is checked by its count (and by a sum, where the operator computes
one). The files lie on disk, not in memory: a file system in memory would count as memory elsewhere.
"""
import argparse, glob, json, os, shutil, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GOAL_MB = 64

CONTRACTS = """contract Row { int64 k [[required]]; int64 v [[required]]; }
contract Other { int64 k [[required]]; int64 v [[required]]; }
contract Once { int64 k [[required, unique]]; int64 v [[required]]; }
"""
SOURCE = '@source("{data}")\n    @contract("contracts/state.contract#{contract}")\n    Given rows arrive\n'
# operator: contract, its steps, what is left of n records with the keys 0 … n-1 (each once), v being k modulo 1,000,003
OPERATORS = {
    "none": ("Row", "When fields k and v are kept", lambda n: n),
    "sort": ("Row", "When records are sorted by k", lambda n: n),
    "group": ("Row", "When records are grouped by k, computing:\n      | n | count() |\n      | total | sum(v) |", lambda n: n),
    "join": ("Row", 'When records are joined with "{data}" with contract "contracts/state.contract#Other" on k = rows.k\n'
                    "     And fields k, v and rows.v are kept", lambda n: n),
    "deduplicate": ("Row", "When duplicates by k are dropped", lambda n: n),
    "unique": ("Once", "When records are checked against the contract", lambda n: n),
    "quantile": ("Row", "When records are aggregated, computing:\n      | median | quantile(k, 0.5) |", lambda n: 1),
    "distinct_count": ("Row", "When records are aggregated, computing:\n      | keys | distinct_count(k) |", lambda n: 1),
}
ANSWERS = {"quantile": lambda n: {"median": (n - 1) / 2}, "distinct_count": lambda n: {"keys": n}}


def make_rows(path, keys):
    """Each key once, in an order that is not theirs."""
    if os.path.exists(path):
        return
    step = 618_033_989 % keys | 1
    while keys % 2 == 0 and keys % 5 == 0 and step % 5 == 0:
        step += 2
    program = 'BEGIN { for (i = 0; i < n; i++) { k = (i * s) % n; printf "{\\"k\\":%d,\\"v\\":%d}\\n", k, k % 1000003 } }'
    with open(path + ".part", "wb") as out:
        subprocess.run(["awk", "-v", f"n={keys}", "-v", f"s={step}", program], stdout=out, check=True)
    os.rename(path + ".part", path)


class Bench:
    def __init__(self, args):
        self.args, self.failed = args, False
        self.place = args.place or tempfile.mkdtemp(prefix="runink-state-", dir=os.path.join(ROOT, "build"))
        self.project = os.path.join(self.place, "project")
        for folder in ("contracts", "features", "tmp"):
            os.makedirs(os.path.join(self.project, folder), exist_ok=True)
        self.write("runink.toml", 'name = "state"\n')
        self.write("contracts/state.contract", CONTRACTS)

    def write(self, name, text):
        with open(os.path.join(self.project, name), "w") as f:
            f.write(text)

    def record(self):
        runs = [json.load(open(p)) for p in glob.glob(os.path.join(self.project, ".runink/runs/*/run.json"))]
        return max((r for r in runs if r.get("scenario")), key=lambda r: r["id"])

    def measure(self, operator, keys):
        contract, steps, expected = OPERATORS[operator]
        data = os.path.join(self.place, f"{keys}/rows.ndjson")
        os.makedirs(os.path.dirname(data), exist_ok=True)
        make_rows(data, keys)
        feature = f"features/{operator}.dsl"
        out = os.path.join(self.project, "out", f"{operator}.ndjson")
        self.write(feature, f"Feature: State\n  Scenario: {operator}\n    " + (SOURCE + "    " + steps).format(data=data, contract=contract) +
                   f'\n    @sink("out/{operator}.ndjson")\n    Then the result is written\n')
        shutil.rmtree(os.path.join(self.project, ".runink"), ignore_errors=True)
        start = time.monotonic()
        child = subprocess.Popen([self.args.runi, "run", feature, "--memory", "64Mi", "-t", str(self.args.threads), "--quiet"], cwd=self.project,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        errors = child.stderr.read().decode(errors="replace")
        _, status, use = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - start
        if child.returncode != 0:
            self.failed = True
            print(f"{operator}, {keys} keys: runi ended with {child.returncode}: {errors}", file=sys.stderr)
            return
        rows, last = 0, b""
        with open(out, "rb") as f:
            while block := f.read(1 << 20):
                rows += block.count(b"\n")
                last = block
        right = rows == expected(keys) and (operator not in ANSWERS or json.loads(last) == ANSWERS[operator](keys))
        self.failed |= not right
        os.unlink(out)
        line = {"bench": "data.state", "operator": operator, "keys": keys, "value": round(use.ru_maxrss * 1024 / 1e6, 1), "unit": "MB",
                "goal": GOAL_MB, "spilled_mb": round(self.record()["spilled_bytes"] / 1e6), "seconds": round(seconds, 1),
                "cpu_seconds": round(use.ru_utime + use.ru_stime, 1), "threads": self.args.threads, "result": "right" if right else "WRONG"}
        print(json.dumps(line) if self.args.json else ", ".join(f"{k} {v}" for k, v in line.items()), flush=True)

    def run(self):
        try:
            for keys in self.args.keys or [10_000_000, 100_000_000]:
                for operator in self.args.only or OPERATORS:
                    self.measure(operator, keys)
        finally:
            if not self.args.place:
                shutil.rmtree(self.place)
        return 1 if self.failed else 0


parser = argparse.ArgumentParser(prog="./dev bench state")
parser.add_argument("--json", action="store_true", help="one JSON line per result")
parser.add_argument("--keys", type=int, action="append", help="this many distinct keys; may be repeated (default 10 and 100 million)")
parser.add_argument("--only", action="append", choices=OPERATORS, help="only this operator; may be repeated")
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--place", help="folder for inputs and outputs, kept for the next time (default: made and removed)")
parser.add_argument("--runi", default=os.path.join(ROOT, "build/release/apps/runi/runi"), help="the program to measure")
sys.exit(Bench(parser.parse_args()).run())
