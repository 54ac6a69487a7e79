"""Bad input gets a clear error or a dead letter, and nothing is lost: files, disks, pipes and interruptions."""
import fcntl, json, os, re, signal, struct, subprocess, termios, threading, time
from project import Project, RUNI, check

CONTRACT = "contract F { int32 a [[required]]; string s; float64 x; }\n"


def feature(source='@source("data/in.ndjson")', sink='@sink("out/o.ndjson")', steps="When records are checked against the contract"):
    return f"""Feature: Bad input
  Scenario: S
    {source}
    @contract("contracts/f.contract")
    Given rows arrive
    {steps}
    {sink}
    Then valid records are written
"""


def fresh(p, **words):
    p.write("contracts/f.contract", CONTRACT)
    p.write("features/f.dsl", feature(**words))
    for name in ("out/o.ndjson", "out/o.csv"):
        if p.exists(name):
            os.unlink(p.path(name))


def run(p, code=0, **more):
    return p.runi("run", "features/f.dsl", code=code, **more).stderr.decode(errors="replace")


def letters(p):
    done = p.runi("dlq", "list", "-o", "json", code=None)
    return json.loads(done.stdout or b"[]") if done.returncode == 0 else []


def rows(p, name="out/o.ndjson"):
    return [json.loads(line) for line in p.read(name).splitlines()]


def bad_records(p):
    fresh(p)
    good = [b'\xef\xbb\xbf{"a":1,"s":"ok","x":1}\r\n', b'{"a":-0,"x":-0}\n', b'\n   \n', b'{"s":"last without newline","a":13}']
    bad = [b'{"a":2,"s":"trunc\n', b'{"a":3,"s":"\xff\xfe"}\n', b'{"a":4,"s":"\\ud800"}\n', b'{"a":5,"x":1e400}\n', b'{"a":7,"s":"nul\x00byte"}\n',
           b'{"a":8,"s":' + b"[" * 5000 + b"]" * 5000 + b"}\n", b'{"a":9,"a":10}\n', b'{"a":11}{"a":12}\n', b'{"a":4294967296}\n', b"[1]\n"]
    p.write("data/in.ndjson", good[0] + b"".join(bad) + b"".join(good[1:]))
    run(p)
    check([r["a"] for r in rows(p)] == [1, 0, 13], f"wrong rows: {rows(p)}")
    check(len(letters(p)) == len(bad), f"{len(letters(p))} dead letters for {len(bad)} bad records")


def csv_records(p):
    fresh(p, source='@source("data/in.csv")')
    p.write("data/in.csv", b'a,s,x\r\n1,"two\r\nlines",0.5\r\n2,"say ""hi""",\r\nragged,1\r\n3,x,1,4\r\n4,"unterminated,5\r\n6,y,7\r\n')
    run(p)
    check([(r["a"], r["s"]) for r in rows(p)] == [(1, "two\r\nlines"), (2, 'say "hi"')], f"wrong rows: {rows(p)}")
    fresh(p, source='@source("data/in.csv")')
    p.write("data/in.csv", b"a,s,x\r1,one,0.5\r2,two,1\r")  # lone CR
    run(p)
    check([r["a"] for r in rows(p)] == [1, 2], f"wrong rows: {rows(p)}")


def long_line(p):
    fresh(p)
    p.write("data/in.ndjson", '{"a":1,"s":"' + "x" * 100_000_000 + '"}\n{"a":2}\n')
    run(p)
    check(os.path.getsize(p.path("out/o.ndjson")) > 100_000_000, "the long record was lost")


def files(p):
    fresh(p)
    p.write("data/in.ndjson", "")
    run(p)
    check(rows(p) == [], "an empty file has no records")
    os.unlink(p.path("data/in.ndjson"))
    check("features/f.dsl:3:14: error: there is no data/in.ndjson" in run(p, code=6), "a missing file is named, with its place")
    os.mkdir(p.path("data/in.ndjson"))
    check("directory" in run(p, code=1), "a folder is named as such")
    os.rmdir(p.path("data/in.ndjson"))
    if os.geteuid() != 0:
        p.write("data/in.ndjson", '{"a":1}\n')
        os.chmod(p.path("data/in.ndjson"), 0)
        check("ermission" in run(p, code=5), "permission is named")
        os.chmod(p.path("data/in.ndjson"), 0o600)
    fresh(p, sink='@sink("data/in.ndjson")')
    p.write("data/in.ndjson", '{"a":1}\n')
    check("also what this scenario reads" in run(p, code=1), "a sink that is its own source is refused")
    os.makedirs(p.path("out"), exist_ok=True)
    os.symlink("../data/in.ndjson", p.path("out/link.ndjson"))
    fresh(p, sink='@sink("out/link.ndjson")')
    check("features/f.dsl:7:12: error: out/link.ndjson is also what this scenario reads" in run(p, code=1), "a link to the source is refused")
    fresh(p, sink='@sink("-", format="ndjson")')
    with open(p.path("data/in.ndjson"), "ab") as out:
        done = subprocess.run([RUNI, "run", "features/f.dsl"], cwd=p.root, stdout=out, stderr=subprocess.PIPE)
    check(done.returncode == 1 and b"standard output is also what this scenario reads" in done.stderr, done.stderr)
    check(p.read("data/in.ndjson") == b'{"a":1}\n', "the input is untouched")


def changing_file(p):
    """A file that grows while it is read: the source is a FIFO-paced copy, so the change falls in the middle."""
    fresh(p)
    line = b'{"a":1,"s":"' + b"y" * 200 + b'"}\n'
    p.write("data/in.ndjson", line * 200_000)
    grow = p.start("run", "features/f.dsl")
    with open(p.path("data/in.ndjson"), "ab") as f:
        for _ in range(400):
            f.write(line)
            f.flush()
            if grow.poll() is not None:
                break
    code = grow.wait()
    check(code in (0, 1), f"exit {code}")
    if code == 1:
        check("changed while it was read" in p.runi("logs", "last", code=None).stdout.decode(), "the change is said")
        check(not p.exists("out/o.ndjson"), "nothing is published")


def full_disk(p):
    small = p.path("small")
    os.makedirs(small)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode != 0:
        print("full disk: skipped, this user may not mount a small file system")
        return
    try:
        fresh(p, sink=f'@sink("{small}/o.ndjson")'.replace(p.root + "/", ""))
        p.write("data/in.ndjson", b'{"a":1,"s":"' + b"z" * 100 + b'"}\n' * 1)
        p.write("data/in.ndjson", (b'{"a":1,"s":"' + b"z" * 100 + b'"}\n') * 30_000)
        check("No space left" in run(p, code=1), "the full disk is named")
        check(os.listdir(small) == [], "nothing is left on it")
    finally:
        subprocess.run(["umount", small], check=True)


def full_ledger(p):
    """The disk of .runink fills up: what is there can be read, and gc makes room again."""
    state = p.path(".runink")
    os.makedirs(state)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "tmpfs", state], capture_output=True).returncode != 0:
        print("full ledger: skipped, this user may not mount a small file system")
        return
    try:
        fresh(p)
        p.write("data/in.ndjson", b'{"a":"no number"}\n' * 400_000)
        said = run(p, code=1)
        check("No space left" in said, said)
        total = int(re.search(r" ([\d,]+) rejected", said).group(1).replace(",", ""))
        parts = [int(n.replace(",", "")) for n in re.findall(r"^  rejected  ([\d,]+) by ", said, re.MULTILINE)]
        check(total == sum(parts), f"{parts} do not add up to {total}:\n{said}")
        for words in (["runs"], ["status"], ["status", "last"], ["dlq", "list", "--by-rule"], ["logs", "last"], ["doctor"]):
            p.runi(*words, code=None if words == ["doctor"] else 0)
        p.runi("gc", "--keep-runs", "0s", "--keep-dead-letters", "0s")
        p.write("data/in.ndjson", '{"a":1}\n')
        run(p)
        check(len(rows(p)) == 1, "the project works again")
    finally:
        subprocess.run(["umount", state], check=True)


def reader_that_stands_still(p):
    """One Ctrl-C ends a run that waits for a reader, or for somebody to open its FIFO."""
    fresh(p, sink='@sink("-", format="ndjson")')
    p.write("data/in.ndjson", b'{"a":1}\n' * 500_000)
    child = subprocess.Popen([RUNI, "run", "features/f.dsl"], cwd=p.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    child.stdout.read(10)
    while struct.unpack("i", fcntl.ioctl(child.stdout, termios.FIONREAD, bytes(4)))[0] < 60_000:
        check(child.poll() is None, "ended early")  # until the pipe takes no more
    child.send_signal(signal.SIGINT)
    check(child.wait(timeout=20) == 130, f"exit {child.returncode}")
    fresh(p)
    os.unlink(p.path("data/in.ndjson"))
    os.mkfifo(p.path("data/in.ndjson"))
    child = p.start("run", "features/f.dsl")
    while b"running" not in p.runi("runs", "--scenarios", "--state", "running", code=None).stdout:
        check(child.poll() is None, "ended early")
    child.send_signal(signal.SIGINT)
    check(child.wait(timeout=20) == 130, f"exit {child.returncode}")


def failing_program(p):
    fresh(p, source='@source(exec="sh -c \'exit 3\'", format="ndjson")')
    check("exit" in run(p, code=1), "a program that failed is a failure")


def peak_memory(p):
    """Of the run, not of whoever started it."""
    fresh(p)
    p.write("data/in.ndjson", '{"a":1}\n')
    large = bytearray(os.urandom(1 << 20) * 512)
    run(p)
    peak = json.loads(p.runi("runs", "-o", "json").stdout)[0]["peak_memory_bytes"]
    check(1 << 20 < peak < len(large) // 2, f"peak memory {peak}")


def closed_pipe(p):
    fresh(p, sink='@sink("-", format="ndjson")')
    p.write("data/in.ndjson", b'{"a":1}\n' * 500_000)
    child = subprocess.Popen([RUNI, "run", "features/f.dsl"], cwd=p.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    errors = child.stderr.read().decode()
    check(child.wait() == 1, f"exit {child.returncode}: {errors}")
    check("standard output" in errors or "pipe" in errors.lower(), errors)


def interrupted(p):
    fresh(p)
    p.write("data/in.ndjson", b'{"a":1,"s":"0123456789"}\n' * 3_000_000)
    child = p.start("run", "features/f.dsl")
    deadline = time.monotonic() + 20
    while not p.exists("out") or not any(n.startswith(".o.ndjson") for n in os.listdir(p.path("out"))):
        check(child.poll() is None and time.monotonic() < deadline, "the run ended before it could be interrupted")
    child.send_signal(signal.SIGINT)
    check(child.wait() == 130, f"exit {child.returncode}")
    check(not p.exists("out/o.ndjson"), "nothing is published")
    check(b"interrupted" in p.runi("runs").stdout, "the state says interrupted")
    p.runi("resume", "last")
    check(len(p.read("out/o.ndjson").splitlines()) == 3_000_000, "all records are there")
    child = p.start("run", "features/f.dsl")
    while not any(n.startswith(".o.ndjson") for n in os.listdir(p.path("out"))):
        check(child.poll() is None, "ended early")
    child.send_signal(signal.SIGINT)
    child.wait()
    p.write("data/in.ndjson", '{"a":2}\n')
    check("changed" in p.runi("resume", "last", code=1).stderr.decode(), "a changed input refuses resume")
    p.runi("restart", "last")
    check(rows(p) == [{"a": 2, "s": None, "x": None}], "restart begins anew")


def two_at_once(p):
    fresh(p)
    p.write("data/in.ndjson", b'{"a":1,"s":"0123456789"}\n' * 3_000_000)
    first = p.start("run", "features/f.dsl")
    while not p.exists("out") or not any(n.startswith(".o.ndjson") for n in os.listdir(p.path("out"))):
        check(first.poll() is None, "ended early")
    check("lock" in p.runi("run", "features/f.dsl", code=7).stderr.decode(), "the second run is told who holds the project")
    check(first.wait() == 0, "the first goes on")


def features(p):
    fresh(p)
    p.write("data/in.ndjson", '{"a":1}\n')
    p.write("contracts/f.contract", 'import "g.contract";\n' + CONTRACT)
    p.write("contracts/g.contract", 'import "f.contract";\n')
    check("cycle" in run(p, code=1).lower(), "imports in a cycle are named")
    os.unlink(p.path("contracts/g.contract"))
    fresh(p)
    p.write("features/f.dsl", feature(steps="\n".join(["    When records are checked against the contract"] * 1_000_000)))
    started = time.monotonic()
    message = run(p, code=1)
    check(time.monotonic() - started < 100, "a feature with a million steps takes too long")
    check("steps" in message, message[:300])
    p.write("contracts/f.contract", 'contract F { int32 a; string s [[pattern("(a*)*b")]]; float64 x; }\n')
    p.write("features/f.dsl", feature())
    p.write("data/in.ndjson", json.dumps({"a": 1, "s": "a" * 100_000}) + "\n")
    started = time.monotonic()
    run(p)
    check(time.monotonic() - started < 50, "a regular expression from hell takes linear time")


def places(p):
    for env in ({"LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu"}, {"LC_ALL": "de_DE.UTF-8", "TZ": "America/St_Johns"}, {"LC_ALL": "C", "TZ": ""}):
        p.write("contracts/f.contract", 'contract F { timestamp t [[zone("Asia/Kathmandu"), format("%Y-%m-%d %H:%M")]]; float64 x; }\n')
        p.write("features/f.dsl", feature(steps='When records are checked against the contract\n     And field "h" is set to hour(t)', sink='@sink("out/dir with spaces/ünï.ndjson")'))
        p.write("data/in.ndjson", '{"t":"2024-01-01 00:00","x":1.5}\n')
        run(p, env=env)
        check(json.loads(p.read("out/dir with spaces/ünï.ndjson")) == {"t": "2024-01-01 00:00", "x": 1.5, "h": 18}, p.read("out/dir with spaces/ünï.ndjson"))


for test in (bad_records, csv_records, long_line, files, changing_file, full_disk, full_ledger, closed_pipe, reader_that_stands_still, failing_program, peak_memory, interrupted, two_at_once, features, places):
    with Project() as project:
        test(project)
    print("ok", test.__name__, flush=True)
