"""The lineage of real runs keeps to OpenLineage: both examples, and runs that fail, are tried again, interrupted, killed and
replayed. Their events are checked by tests/peers/openlineage.mjs; skipped where node, its packages or the published schemas
are not there."""
import glob, json, os, shutil, signal, subprocess, sys, time
from project import PEERS, Project, ROOT, check, skip

SPEC = os.path.join(os.path.dirname(ROOT), "shared/spec/openlineage")
if not os.path.exists(os.path.join(SPEC, "OpenLineage.json")):
    skip(f"the OpenLineage schemas are not at {SPEC}")
if not shutil.which("node"):
    skip("node is not installed")
for package in ("ajv", "ajv-formats"):
    if not os.path.exists(os.path.join(PEERS, "node_modules", package, "package.json")):
        skip(f"the npm package {package} is not installed; (cd tests/peers && npm ci) installs it")

CONTRACT = "contract C { int64 a [[required, range(0, RANGE)]]; string who [[pii]]; quality many: count() > 0; }\n"
FEATURE = """Feature: Many ends
  What became of each run is told.

  @retry(1)
  Scenario: Clean
    @source("SOURCE", format="ndjson")
    @contract("contracts/c.contract")
    Given rows arrive
    When records are checked against the contract
    And records are joined with "data/names.csv" on a = names.id
    And field "twice" is set to a * 2
    Then valid records are written to "out/clean.csv"
    And rejected records go to dead letters to "out/rejected.ndjson"
    Assertions:
      - at least LEAST records are processed
  Scenario: Sum
    Given the output of scenario "Clean"
    When records are grouped by name, computing:
      | n     | count()    |
      | total | sum(twice) |
    Then the result is written to "out/sum.arrow"
"""


def events_of(p):
    """Every lineage file, and the types of its events."""
    files = sorted(glob.glob(p.path(".runink/runs/*/lineage.ndjson")))
    return files, [[json.loads(line)["eventType"] for line in open(f)] for f in files]


def write_feature(p, source="data/in.ndjson", least=2, most=10):
    p.write("contracts/c.contract", CONTRACT.replace("RANGE", str(most)))
    p.write("features/f.dsl", FEATURE.replace("SOURCE", source).replace("LEAST", str(least)))


def wait_for(what, seen):
    until = time.monotonic() + 60
    while not seen():
        check(time.monotonic() < until, f"waited in vain for {what}")
        time.sleep(0.02)


def interrupted_run(p, how):
    """A run that waits for standard input, ended by the signal."""
    before = len(events_of(p)[0])
    run = subprocess.Popen([os.path.abspath(sys.argv[1]), "run", "features/f.dsl"], cwd=p.root, stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the scenario's START event", lambda: len(events_of(p)[0]) == before + 2)
    run.send_signal(how)
    run.wait()
    run.stdin.close()


files = []
with Project() as p, Project() as flights, Project() as packages:
    p.write("data/in.ndjson", "".join(f'{{"a":{a},"who":"w"}}\n' for a in (1, 2, 3, 40)))
    p.write("data/names.csv", "id,name\n1,one\n2,two\n3,two\n40,many\n")
    write_feature(p)
    p.runi("run", "features/f.dsl")
    write_feature(p, least=100)
    p.runi("run", "features/f.dsl", code=3)
    write_feature(p, source="data/none.ndjson")
    p.runi("run", "features/f.dsl", code=None)  # no such file: tried twice
    write_feature(p, source="-")
    interrupted_run(p, signal.SIGINT)
    interrupted_run(p, signal.SIGKILL)
    write_feature(p, most=100)
    p.runi("dlq", "replay", "features/f.dsl", code=None)
    own, types = events_of(p)
    for file, run in zip(own, types):
        check(len(run) == 2 and run[0] == "START" and run[1] in ("COMPLETE", "FAIL", "ABORT"), f"{file} holds {run}")
    ends = [run[1] for run in types]
    check(ends.count("ABORT") == 4, f"4 runs were aborted, 2 of them scenarios, not {ends}")
    check(ends.count("FAIL") >= 4, f"at least 4 runs failed, not {ends}")
    states = {json.load(open(f))["state"] for f in glob.glob(p.path(".runink/runs/*/run.json"))}
    check({"succeeded", "failed", "interrupted", "aborted"} <= states, f"states are {states}")
    check(any("replay" in json.load(open(f)).get("labels", {}) for f in glob.glob(p.path(".runink/runs/*/run.json"))), "no run is a replay")
    files += own

    for project, name, feature in ((flights, "flights", "punctuality"), (packages, "packages", "packages")):
        if name == "packages" and not shutil.which("dpkg-query"):
            continue
        shutil.rmtree(project.root)
        shutil.copytree(os.path.join(ROOT, "examples", name), project.root, ignore=shutil.ignore_patterns(".runink", "out"))
        project.runi("run", f"features/{feature}.dsl")
        files += events_of(project)[0]

    done = subprocess.run(["node", os.path.join(PEERS, "openlineage.mjs"), SPEC, os.path.join(ROOT, "docs/internals/runink_contract.json"), *files],
                          capture_output=True, text=True)
    print(done.stdout, done.stderr, end="")
    check(done.returncode == 0, "the events of real runs do not keep to OpenLineage")
