"""runi run --isolate gives what runi run gives, from slices: bytes, dead letters, lineage, counts, exit codes; and when a
slice dies, runs out of memory, fills the disk or is stopped, that is said, nothing is published, and the run can go on."""
import contextlib, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
from project import RUNI, ROOT, Project, check, skip

RUN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-z]{20,}\b")
CONTRACT = "contract Row { int64 id [[required, range(0, 900000)]]; string text [[required]]; }\n"
FEATURE = """Feature: F
  Scenario: S
    @source("{source}", format="ndjson")
    @contract("contracts/row.contract")
    Given rows arrive
    When records are checked against the contract
{steps}
    @sink("{sink}", format="ndjson")
    Then the result is written
"""
DOUBLE = """import json, sys
for line in sys.stdin:
    row = json.loads(line)
    row["text"] = row["text"] * 2
    sys.stdout.write(json.dumps(row) + "\\n")
"""


def project():
    p = Project(on_disk=True)
    p.write("contracts/row.contract", CONTRACT)
    p.write("steps/double.py", DOUBLE)
    return p


def rows(count, first=0):
    return "".join('{"id":%d,"text":"row %d"}\n' % (i, i) for i in range(first, first + count))


def feature(p, name="f", steps="", source="data/rows.ndjson", sink="out/rows.ndjson"):
    lines = "".join("    " + s + "\n" for s in steps.splitlines())
    p.write(f"features/{name}.dsl", FEATURE.format(source=source, sink=sink, steps=lines.rstrip("\n")))
    return f"features/{name}.dsl"


STEP = '@exec("python3 steps/double.py")\nAnd the text is said twice\n'


def needs_slices():
    """Skips where this host has none."""
    done = subprocess.run([RUNI, "exec", "--", "true"], capture_output=True)
    if done.returncode != 0:
        skip("no slices here: " + done.stderr.decode(errors="replace").strip())


def books(p):
    """What the ledger says of a project's runs, without what differs from run to run."""
    volatile = ("id", "parent_id", "run_id", "time", "started", "ended", "wall", "cpu", "peak", "pid", "command", "spilled",
                "eventTime", "timings", "inode", "modified", "device", "process", "host", "boot", "ticks", "now", "nominal")

    def plain(value):
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if not any(k == w or k.startswith(w + "_") for w in volatile)}
        if isinstance(value, list):
            return [plain(v) for v in value]
        if isinstance(value, str):
            return RUN_ID.sub("ID", value.replace(os.path.realpath(p.root), "ROOT").replace(p.root, "ROOT"))
        return value
    out = []
    runs = p.path(".runink/runs")
    for run in sorted(os.listdir(runs)):
        with open(os.path.join(runs, run, "run.json")) as f:
            out.append(plain(json.load(f)))
        samples = os.path.join(runs, run, "samples")
        for name in sorted(os.listdir(samples)) if os.path.isdir(samples) else []:
            with open(os.path.join(samples, name)) as f:
                out.append((name, f.read()))
    return sorted(out, key=lambda r: json.dumps(r, sort_keys=True, default=str))


def difference(a, b, at=""):
    """Where two of them first differ; empty if nowhere."""
    if type(a) is type(b) and isinstance(a, dict):
        for key in sorted(a.keys() | b.keys()):
            if found := difference(a.get(key), b.get(key), f"{at}.{key}"):
                return found
        return ""
    if type(a) is type(b) and isinstance(a, (list, tuple)) and len(a) == len(b):
        return next((found for i, (x, y) in enumerate(zip(a, b)) if (found := difference(x, y, f"{at}[{i}]"))), "")
    return "" if a == b else f"{at}: {str(a)[:300]} is not {str(b)[:300]}"


def letters(p):
    """Line by line in any order: which of two operators that run at once rejects first is nobody's promise."""
    out = []
    for folder, _, names in os.walk(p.path(".runink")):
        for name in sorted(names):
            if "dlq" in folder or "dead" in folder:
                with open(os.path.join(folder, name), "rb") as f:
                    text = f.read().decode(errors="replace")
                out += re.sub(r'"(id|run|time)":"[^"]*"', "", RUN_ID.sub("ID", text)).splitlines()
    return sorted(out)


def outputs(p):
    out = {}
    for folder, _, names in os.walk(p.path("out")):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as f:
                text = f.read()
            if text.startswith(b'{"v":1,"id":'):  # dead letters hold ids of runs
                text = re.sub(rb'"(id|run|time)":"[^"]*"', b"", text)
            out[os.path.relpath(path, p.root)] = text
    return out


def nothing_left(p):
    check(not [n for n in os.listdir(p.path(".runink/tmp")) if n] if p.exists(".runink/tmp") else True, "temporary folders are left")
    check(not os.path.isdir(p.path("out")) or not [n for n in os.listdir(p.path("out")) if ".runink-" in n], "temporary files are left")


def the_examples_are_the_same():
    def run(words):
        root = tempfile.mkdtemp(prefix="runink-e2e-")
        shutil.copytree(os.path.join(ROOT, "examples/flights"), root, dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("out", ".runink"))
        p = Project.__new__(Project)
        p.root = root
        done = p.runi("run", "features/punctuality.dsl", "--now", "2026-01-31T12:00:00Z", *words)
        return p, done
    plain, _ = run([])
    sliced, _ = run(["--isolate"])
    try:
        check(outputs(plain) == outputs(sliced), "the outputs of examples/flights differ in slices")
        check(letters(plain) == letters(sliced), "the dead letters of examples/flights differ in slices")
        differs = difference(books(plain), books(sliced))
        check(not differs, f"the ledger of examples/flights differs in slices: {differs}")
    finally:
        shutil.rmtree(plain.root)
        shutil.rmtree(sliced.root)


def a_chain_of_steps_is_the_same():
    with project() as plain, project() as sliced:
        seen = []
        for p, words in ((plain, []), (sliced, ["--isolate"])):
            p.write("data/rows.ndjson", rows(30000) + '{"id":"x","text":"no number"}\n{"id":950000,"text":"far"}\n')
            f = feature(p, steps=STEP + 'And field "size" is set to length(text)\n' + STEP + "And records are sorted by size descending, id")
            p.runi("run", f, *words)
            seen.append((outputs(p), letters(p), books(p)))
            nothing_left(p)
        check(seen[0][0] == seen[1][0], "the output of a chain of steps differs in slices")
        check(seen[0][1] == seen[1][1], "the dead letters of a chain of steps differ in slices")
        differs = difference(seen[0][2], seen[1][2])
        check(not differs, f"the ledger of a chain of steps differs in slices: {differs}")


def streams_and_programs_pass():
    with project() as p:
        data = rows(5000)
        done = p.runi("run", feature(p, steps=STEP, source="-", sink="-"), "--isolate", stdin=data.encode())
        check(done.stdout.count(b"\n") == 5000, "standard input and output do not pass through slices")
        text = FEATURE.format(source="x", sink="y", steps="").replace('@source("x", format="ndjson")', '@source(exec="cat data/rows.ndjson", format="ndjson")')
        p.write("data/rows.ndjson", data)
        p.write("features/g.dsl", text.replace('@sink("y", format="ndjson")', '@sink(exec="sh -c \'cat > copy.ndjson\'", format="ndjson")'))
        p.runi("run", "features/g.dsl", "--isolate")
        check(p.read("copy.ndjson").decode() == data, "programs as source and sink do not pass through slices")
        p.write("features/h.dsl", text.replace("cat data/rows.ndjson", "sh -c 'cat data/rows.ndjson; echo broken >&2; exit 3'"))
        plain = p.runi("run", "features/h.dsl", code=1).stderr
        sliced = p.runi("run", "features/h.dsl", "--isolate", code=1).stderr
        check(b"broken" in sliced and b"exit code 3" in sliced, f"a failing program is not told: {sliced}")
        check(plain.count(b"broken") == sliced.count(b"broken"), "a failing program is told otherwise")


def steps_see_only_their_files():
    spy = """import os, sys
for line in sys.stdin:
    sys.stdout.write(line)
open_to = [f for f in ("%s/data/rows.ndjson", "%s/runink.toml", "/root", "/home", "/etc/shadow", "/sys") if os.path.exists(f)]
sys.stderr.write("SEES " + repr(open_to) + " " + repr(sorted(os.listdir("/proc/self/fd"))) + "\\n")
import socket
s = socket.socket(); s.settimeout(1)
try:
    s.connect(("192.0.2.1", 80)); sys.stderr.write("CONNECTED\\n")
except OSError as e:
    sys.stderr.write("NET %%s\\n" %% e)
sys.exit(9)
"""
    with project() as p:
        p.write("steps/spy.py", spy % (p.root, p.root))
        p.write("data/rows.ndjson", rows(3))
        done = p.runi("run", feature(p, steps='@exec("python3 steps/spy.py")\nAnd somebody looks around'), "--isolate", code=1)
        said = done.stderr.decode()
        check("SEES []" in said, f"a step sees what it was not given: {said}")
        check("CONNECTED" not in said and "NET " in said, f"a step has a network: {said}")
        check("exit code 9" in said, f"how a step ended is not told: {said}")


def slices_of(run):
    """Processes below `run` that serve a stage."""
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
            if words[:2] == [b"/run/runink/runi-slice", b"serve"] and is_below(int(pid), run.pid):
                out.append(int(pid))
        except OSError:
            pass
    return out


def is_below(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        with open(f"/proc/{pid}/stat") as f:
            pid = int(f.read().rsplit(")", 1)[1].split()[1])
    return False


def started(p, f, *words):
    """A run whose input does not end, and its stages' processes once its first output was seen."""
    run = subprocess.Popen([RUNI, "run", f, "--isolate", *words], cwd=p.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdin.write(rows(20000).encode())
    run.stdin.flush()
    check(run.stdout.readline() != b"", "no output")
    found = slices_of(run)
    check(found, "no slice runs a stage")
    return run, found


def finish(run):
    run.stdin.close()
    run.stdout.read()
    errors = run.stderr.read().decode(errors="replace")
    return run.wait(timeout=120), errors


def a_stage_can_be_watched():
    with project() as p:
        run, _ = started(p, feature(p, steps=STEP, source="-", sink="-"))
        runs = p.path(".runink/runs")
        sockets = [os.path.join(runs, r, n) for r in os.listdir(runs) for n in os.listdir(os.path.join(runs, r)) if n.endswith(".metrics")]
        check(len(sockets) == 2, f"sockets for metrics: {sockets}")
        for path in sockets:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                answer = b""
                while piece := s.recv(65536):
                    answer += piece
            check(b"\nrunink_stage_records_total " in answer and b"process_cpu_seconds_total " in answer, f"metrics: {answer}")
        code, errors = finish(run)
        check(code == 0, f"{code}: {errors}")
        check(not any(os.path.exists(s) for s in sockets), "sockets are left")
        logs = [os.path.join(os.path.dirname(s), "stage-1.log.ndjson") for s in sockets[:1]]
        with open(logs[0]) as f:
            lines = [json.loads(line) for line in f]
        check(lines and lines[-1]["event"] == "stage.end", f"the log of a stage: {lines}")


def a_killed_slice_is_told():
    with project() as p:
        run, found = started(p, feature(p, steps=STEP, source="-", sink="-"))
        os.kill(found[0], signal.SIGKILL)
        code, errors = finish(run)
        check(code not in (0, 130) and "was ended by signal 9" in errors, f"a killed slice: {code}: {errors}")
        check(not slices_of(run), "slices are left")
    with project() as p:
        # Nothing is published, and the run goes on with what is left to do.
        p.write("data/rows.ndjson", rows(100))
        f = "features/two.dsl"
        slow = "import sys, os, time\nfor line in sys.stdin:\n    sys.stdout.write(line)\nsys.stdout.flush()\nopen('/tmp/x','w')\nwhile not os.path.exists('/nowhere'):\n    time.sleep(1)\n"
        p.write("steps/slow.py", slow)
        p.write(f, """Feature: F
  Scenario: First
    @source("data/rows.ndjson")
    @contract("contracts/row.contract")
    Given rows arrive
    @sink("out/first.ndjson")
    Then the result is written

  Scenario: Second
    Given the output of scenario "First"
    @exec("python3 steps/slow.py")
    When somebody is slow
    @sink("out/second.ndjson")
    Then the result is written
""")
        run = subprocess.Popen([RUNI, "run", f, "--isolate"], cwd=p.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not (p.exists("out/first.ndjson") and slices_of(run)):
            check(time.monotonic() < deadline and run.poll() is None, "the second scenario does not begin")
            time.sleep(0.02)
        # The first look may have seen what is left of the first scenario's slice.
        while run.poll() is None:
            check(time.monotonic() < deadline, "the run goes on without its slices")
            for pid in slices_of(run):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        errors = run.communicate(timeout=120)[1].decode(errors="replace")
        check(run.returncode not in (0, 130), f"{run.returncode}: {errors}")
        check(not p.exists("out/second.ndjson"), "something of a killed slice was published")
        p.write("steps/slow.py", "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)\n")
        refused = p.runi("resume", "--isolate", code=None)
        if refused.returncode != 0:  # the step is an input of the run: it is begun anew
            p.runi("restart", "--isolate")
        check(p.read("out/second.ndjson").decode() == rows(100), "the run did not go on")
        nothing_left(p)


def an_interrupted_run_goes_on():
    with project() as p:
        f = feature(p, steps=STEP, source="-", sink="-")
        run, _ = started(p, f)
        run.send_signal(signal.SIGINT)
        code, errors = finish(run)
        check(code == 130, f"Ctrl-C: {code}: {errors}")
        check(not slices_of(run), "slices are left after Ctrl-C")
        p.write("data/rows.ndjson", rows(10))
        run, found = started(p, f)
        run.kill()
        run.wait()
        deadline = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}") for pid in found):
            check(time.monotonic() < deadline, "slices outlive a killed runner")
            time.sleep(0.02)


def memory_is_a_limit():
    if os.geteuid() != 0 or subprocess.run([RUNI, "exec", "--memory", "64Mi", "--", "true"], capture_output=True).returncode != 0:
        print("no memory limits here: left out")
        return
    with project() as p:
        p.write("steps/hungry.py", "import sys\nhold = []\nfor line in sys.stdin:\n    hold.append(bytearray(1 << 20))\n    sys.stdout.write(line)\n")
        p.write("data/rows.ndjson", rows(3000))
        done = p.runi("run", feature(p, steps='@exec("python3 steps/hungry.py")\n@requires(memory="64Mi")\nAnd somebody is hungry'), "--isolate", code=1)
        said = done.stderr.decode()
        check("out of memory" in said, f"a step that ran out of memory: {said}")
        check(not p.exists("out/rows.ndjson"), "something was published")


def a_full_disk_is_told():
    if os.geteuid() != 0:
        print("a full disk takes root: left out")
        return
    with project() as p:
        os.makedirs(p.path("out"))
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", p.path("out")], capture_output=True).returncode != 0:
            print("no tmpfs can be mounted here: left out")
            return
        try:
            p.write("data/rows.ndjson", rows(100000))
            plain = p.runi("run", feature(p), code=1).stderr.decode()
            sliced = p.runi("run", feature(p), "--isolate", code=1).stderr.decode()
            for said in (plain, sliced):
                check("No space left on device" in said and "out/rows.ndjson" in said, f"a full disk: {said}")
            check(os.listdir(p.path("out")) == [], "something is left on the full disk")
        finally:
            subprocess.run(["umount", p.path("out")], check=True)


def mistakes_are_the_same():
    with project() as p:
        for name, text in (("none", feature(p, "none", source="data/none.ndjson", sink="made/rows.ndjson")), ("bad", feature(p, "bad", steps='@exec("no-such-program")\nAnd it fails'))):
            p.write("data/rows.ndjson", rows(3))
            plain = p.runi("run", text, code=None)
            sliced = p.runi("run", text, "--isolate", code=None)
            check(plain.returncode == sliced.returncode, f"{name}: exit codes {plain.returncode} and {sliced.returncode}")
        none = p.runi("run", "features/none.dsl", "--isolate", code=None).stderr.decode()
        check("data/none.ndjson" in none and "features/none.dsl" in none, f"a missing file: {none}")
        check(not p.exists("made"), "something was made for a run that could not begin")
        bad = p.runi("run", "features/bad.dsl", "--isolate", code=None).stderr.decode()
        check("no-such-program" in bad, f"a missing program: {bad}")


EVIL = """#!/usr/bin/python3
import os, random, socket, struct, sys, time
s = socket.socket(fileno=3)
def send(type, body=b"", subject=0, magic=b"RNL1", flags=0, size=None):
    s.send(magic + struct.pack("<HHQII", type, flags, subject, len(body) if size is None else size, 0) + body)
def ask(what, op, number=0):
    send(102, struct.pack("<BIQ", what, op, number) + b"\\0" + b"\\0" * 4 * 5, subject=1)
how = "%s"
random.seed(how)
if how == "garbage":
    s.send(random.randbytes(500))
elif how == "unknown":
    send(999)
elif how == "lies":
    send(105, random.randbytes(3000))
elif how == "size":
    send(103, b"x", size=1 << 30)
elif how == "letters":
    send(103, b"\\xff" * 20000)
elif how == "again":
    ask(0, 0)
elif how == "foreign":
    ask(1, 4000000)
elif how == "step":
    ask(9, 0, 17)
elif how == "sink":
    ask(5, 2, 1 << 60)
elif how == "leaves":
    sys.exit(0)
time.sleep(1000)
"""


def a_stage_is_not_trusted():
    """Another program in the place of a stage's: the run fails and says so, nothing is published, nobody hangs."""
    folder = tempfile.mkdtemp(prefix="runink-e2e-", dir="/tmp")
    try:
        runi = shutil.copy(RUNI, folder)
        for how in ("garbage", "unknown", "lies", "size", "letters", "again", "foreign", "step", "sink", "leaves"):
            with open(os.path.join(folder, "runi-slice"), "w") as f:
                f.write(EVIL % how)
            os.chmod(os.path.join(folder, "runi-slice"), 0o755)
            with project() as p:
                p.write("data/rows.ndjson", rows(10))
                done = subprocess.run([runi, "run", feature(p), "--isolate"], cwd=p.root, capture_output=True, timeout=120)
                said = done.stderr.decode(errors="replace")
                check(done.returncode > 0 and "error: " in said, f"{how}: {done.returncode}: {said}")
                check("slice" in said, f"{how}: whose fault it is is not said: {said}")
                check(not p.exists("out/rows.ndjson"), f"{how}: something was published")
                nothing_left(p)
    finally:
        shutil.rmtree(folder)


def an_ordinary_user_can():
    if os.geteuid() != 0:
        return
    folder = tempfile.mkdtemp(prefix="runink-e2e-", dir="/tmp")
    try:
        p = Project.__new__(Project)
        p.root = folder
        p.write("runink.toml", 'name = "e2e"\n')
        p.write("contracts/row.contract", CONTRACT)
        p.write("steps/double.py", DOUBLE)
        p.write("data/rows.ndjson", rows(50))
        f = feature(p, steps=STEP)
        for where, _, names in os.walk(folder):
            for name in [where] + [os.path.join(where, n) for n in names]:
                os.chown(name, 65534, 65534)

        def enter():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        if subprocess.run([RUNI, "exec", "--", "true"], capture_output=True, preexec_fn=enter, cwd="/").returncode != 0:
            print("ordinary users have no slices here: left out")
            return
        done = p.runi("run", f, "--isolate", enter=enter, env={"HOME": "/tmp"})
        check(b"weaker" in done.stderr, f"what is missing is not said: {done.stderr}")
        check(p.read("out/rows.ndjson").count(b"\n") == 50, "an ordinary user's rows")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    needs_slices()
    for test in (the_examples_are_the_same, a_chain_of_steps_is_the_same, streams_and_programs_pass, steps_see_only_their_files,
                 a_stage_can_be_watched,
                 a_killed_slice_is_told, an_interrupted_run_goes_on, memory_is_a_limit, a_full_disk_is_told, mistakes_are_the_same, a_stage_is_not_trusted,
                 an_ordinary_user_can):
        if len(sys.argv) > 2 and test.__name__ not in sys.argv[2:]:
            continue
        began = time.monotonic()
        test()
        print(f"{test.__name__}: {time.monotonic() - began:.1f} s", flush=True)
