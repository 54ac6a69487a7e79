"""kill -9 at random points, then go on: outputs are byte-equal to those of an undisturbed run, every time. RUNINK_KILLS
says how often (default 20; 200 for the deep run)."""
import os, random, signal, time
from project import Project, check

KILLS = int(os.environ.get("RUNINK_KILLS", "20"))
FEATURE = """Feature: Two steps
  Scenario: Clean
    @source("data/in.ndjson")
    @contract("contracts/c.contract")
    Given rows arrive
    When records are checked against the contract
     And field "twice" is set to a * 2
    @sink("out/clean.ndjson")
    Then valid records are written
    @sink("out/log.ndjson", mode="append", name="log")
    Then valid records are written
  Scenario: Sum
    Given the output of scenario "Clean"
    When records are grouped by b, computing:
      | n     | count()    |
      | total | sum(twice) |
     And records are sorted by b
    @sink("out/sum.csv")
    Then the result is written
"""
random.seed(20261121)
with Project() as p:
    p.write("contracts/c.contract", "contract C { int64 a [[required, range(0, 100000)]]; string b [[required]]; }\n")
    p.write("features/f.dsl", FEATURE)
    p.write("data/in.ndjson", "".join(f'{{"a":{i * 7919 % 100100},"b":"k{i % 97}"}}\n' for i in range(120_000)))
    started = time.monotonic()
    p.runi("run", "features/f.dsl")
    whole = time.monotonic() - started
    good = {name: p.read(name) for name in ("out/clean.ndjson", "out/log.ndjson", "out/sum.csv")}
    killed = 0
    for n in range(KILLS):
        for name in good:
            if p.exists(name):
                os.unlink(p.path(name))
        before = set(os.listdir(p.path(".runink/runs")))
        run = p.start("run", "features/f.dsl")
        time.sleep(random.random() * whole * 1.1)  # where the kill falls is the point of the test
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        # A command that finds the dead run settles it; then the run goes on.
        p.runi("runs")
        left = [f for f in os.listdir(p.path("out")) if f.startswith(".")] if p.exists("out") else []
        check(not left, f"kill {n}: temporary files are left: {left}")
        if not all(p.exists(name) for name in good):
            if set(os.listdir(p.path(".runink/runs"))) == before:  # killed before there was a run to resume
                check(not any(p.exists(name) for name in good), f"kill {n}: outputs without a run")
                p.runi("run", "features/f.dsl")
            else:
                p.runi("resume", "last")
        for name, bytes_ in good.items():
            check(p.read(name) == bytes_, f"kill {n}: {name} differs from an undisturbed run")
        aborts = 0
        for run_id in os.listdir(p.path(".runink/runs")):
            lineage = p.path(f".runink/runs/{run_id}/lineage.ndjson")
            events = open(lineage).read() if os.path.exists(lineage) else ""
            ends = sum(events.count(f'"eventType":"{t}"') for t in ("COMPLETE", "FAIL", "ABORT"))
            check(ends == 1 or not events, f"kill {n}: run {run_id} has {ends} terminal events")
            aborts += '"eventType":"ABORT"' in events
    print(f"{KILLS} kills, {killed} of them while it ran; {aborts} runs recorded as aborted")
    check(killed > 0, "no kill fell into a run")

# What a run has read of standard input is gone: a resume must not take what stands there now for the whole.
with Project() as p:
    p.write("contracts/r.contract", "contract R { int32 a [[required]]; }\n")
    p.write("features/f.dsl", """Feature: F
  Scenario: S
    @source("-", format="ndjson")
    @contract("contracts/r.contract")
    Given rows arrive
    When records are checked against the contract
    @sink("out/o.ndjson")
    Then valid records are written

    Assertions:
      - at least 3 records are processed
""")
    p.runi("run", "features/f.dsl", stdin=b'{"a":1}\n{"a":2}\n', code=3)
    runs = set(os.listdir(p.path(".runink/runs")))
    refused = p.runi("resume", "last", stdin=b'{"a":3}\n{"a":4}\n{"a":5}\n', code=None)
    check(refused.returncode != 0 and b"read standard input" in refused.stderr and b"runi restart" in refused.stderr, refused.stderr)
    check(not p.exists("out/o.ndjson") and set(os.listdir(p.path(".runink/runs"))) == runs, "a refused resume leaves no run and no output")
    p.runi("restart", "last", stdin=b'{"a":1}\n{"a":2}\n{"a":3}\n')
    check(p.read("out/o.ndjson") == b'{"a":1}\n{"a":2}\n{"a":3}\n', "restart reads the input that it is given")
