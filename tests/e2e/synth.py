"""runi synth as a program: constant memory, interruptions, full disks, closed pipes, files that appear whole or not at all."""
import json, os, signal, subprocess, time
from project import Project, RUNI, check

CONTRACT = """contract S { int64 id [[key]]; string name [[required]]; string email; int32 quantity [[required, range(1, 20)]];
  timestamp created [[required]]; }
"""
FEATURE = """Feature: F
  Scenario: S
    @source("data/rows.csv.gz", delimiter=";")
    @contract("contracts/s.contract")
    Given rows arrive
    When records are joined with "data/people.ndjson" with contract "contracts/person.contract" on email = people.email
    @sink("out/o.ndjson")
    Then the result is written
"""


def hidden(folder):
    return [n for n in os.listdir(folder) if n.startswith(".")]


def memory_stays(p):
    sizes = []
    for records in ("200000", "3000000"):
        pid = os.posix_spawn(RUNI, [RUNI, "-q", "-C", p.root, "synth", "contracts/s.contract", "-n", records, "--invalid", "1%", "--labels",
                                    f"labels-{records}.ndjson"],
                             os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        check(os.waitstatus_to_exitcode(status) == 0, f"{records} records: exit {os.waitstatus_to_exitcode(status)}")
        sizes.append(usage.ru_maxrss)
    check(sizes[1] < sizes[0] + 4096, f"memory grows with the records: {sizes} kB")
    check(len(p.read("labels-3000000.ndjson").splitlines()) > 20_000, "labels are missing")


def interrupted(p):
    os.makedirs(p.path("made"), exist_ok=True)
    child = p.start("synth", "contracts/s.contract", "-n", "2000000000", "-O", "made/s.ndjson", "--invalid", "1%", "--labels", "made/l.ndjson")
    deadline = time.monotonic() + 20
    while not any(os.path.getsize(p.path("made/" + n)) > 1_000_000 for n in hidden(p.path("made"))):
        check(child.poll() is None and time.monotonic() < deadline, "it ended before it could be interrupted")
    child.send_signal(signal.SIGINT)
    check(child.wait() == 130, f"exit {child.returncode}")
    check(os.listdir(p.path("made")) == [], f"an interruption leaves {os.listdir(p.path('made'))}")


def full_disk(p):
    done = subprocess.run([RUNI, "synth", "contracts/s.contract", "-n", "100000"], cwd=p.root, stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE)
    check(done.returncode == 1 and b"No space left" in done.stderr, f"exit {done.returncode}: {done.stderr.decode()}")
    small = p.path("small")
    os.makedirs(small)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode != 0:
        print("full disk: only standard output, this user may not mount a small file system")
        return
    try:
        said = p.runi("synth", "contracts/s.contract", "-n", "100000", "-O", "small/s.ndjson", code=1).stderr.decode()
        check("No space left" in said, said)
        check(os.listdir(small) == [], "nothing is left on it")
    finally:
        subprocess.run(["umount", small], check=True)


def closed_pipe(p):
    child = subprocess.Popen([RUNI, "synth", "contracts/s.contract", "-n", "5000000"], cwd=p.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    said = child.stderr.read()
    check(child.wait() == 1 and said == b"", f"exit {child.returncode}: {said.decode()}")


def whole_or_not(p):
    p.runi("synth", "contracts/s.contract", "-n", "10", "-O", "data/rows.ndjson")
    before = p.read("data/rows.ndjson")
    check(b"is there already" in p.runi("synth", "contracts/s.contract", "-n", "11", "-O", "data/rows.ndjson", code=7).stderr, "it was replaced")
    check(p.read("data/rows.ndjson") == before, "it was changed")
    p.runi("synth", "contracts/s.contract", "-n", "10", "-O", "data/rows.ndjson", "--force")
    check(p.read("data/rows.ndjson") == before, "the same command gives other bytes")
    p.runi("synth", "contracts/s.contract", "--labels", "l.ndjson", code=2)
    p.runi("synth", "contracts/s.contract", "--labels", "-", "--invalid", "1%", code=2)


def of_a_feature(p):
    p.write("contracts/person.contract", "contract Person { string email [[key]]; string name [[required]]; string city [[required]]; }\n")
    p.write("features/f.dsl", FEATURE)
    p.write("made/data/rows.csv.gz", "mine")
    check(b"is there already" in p.runi("synth", "features/f.dsl", "--out", "made", code=7).stderr, "a file of mine was replaced")
    check(os.listdir(p.path("made/data")) == ["rows.csv.gz"], "others were made all the same")
    p.runi("synth", "features/f.dsl", "-n", "300", "--invalid", "10%", "--labels", "labels.ndjson")
    files = {json.loads(line)["file"] for line in p.read("labels.ndjson").splitlines()}
    check(files == {"data/rows.csv.gz", "data/people.ndjson"}, f"labels of {files}")
    p.runi("synth", "features/f.dsl", "-n", "300", "--force")
    said = p.runi("run", "features/f.dsl").stderr.decode()
    rows = len(p.read("out/o.ndjson").splitlines())
    check(270 <= rows <= 300, f"{rows} rows of the join (an e-mail address may be null)\n{said}")


for test in (memory_stays, interrupted, full_disk, closed_pipe, whole_or_not, of_a_feature):
    with Project() as project:
        project.write("contracts/s.contract", CONTRACT)
        test(project)
    print("ok", test.__name__, flush=True)
