"""A record that is far longer than a piece of input: what it takes, and where the limit is."""
import gzip, os, subprocess
from project import Project, RUNI, check

CONTRACT = "contract F { int32 a [[required]]; string s; }\n"
LINE = 100_000_000


def fresh(p, source, settings=""):
    p.write("runink.toml", 'name = "long"\n' + settings)
    p.write("contracts/f.contract", CONTRACT)
    p.write("features/f.dsl", f"""Feature: Long records
  Scenario: S
    @source({source})
    @contract("contracts/f.contract")
    Given rows arrive
    When records are checked against the contract
     And field "b" is set to a + 1
    @sink("out/o.ndjson")
    Then valid records are written
""")


def run(p, stdin=subprocess.DEVNULL):
    """Exit code, messages, and the peak of memory in MB as the run recorded it."""
    done = subprocess.run([RUNI, "run", "features/f.dsl", "--threads", "2"], cwd=p.root, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = p.records()[-1]["peak_memory_bytes"] / 1e6
    print(f"  exit {done.returncode}, peak {peak:.0f} MB", flush=True)
    return done.returncode, done.stderr.decode(errors="replace"), peak


def a_hundred_megabytes(p):
    fresh(p, '"data/in.ndjson"')
    p.write("data/in.ndjson", "")
    with open(p.path("data/in.ndjson"), "w") as f:
        f.write('{"a":1,"s":"' + "x" * LINE + '"}\n')
        for i in range(1000):
            f.write('{"a":%d,"s":"y"}\n' % i)
    code, errors, peak = run(p)
    check(code == 0, errors)
    with open(p.path("out/o.ndjson")) as f:
        lines = f.readlines()
    check(len(lines) == 1001 and lines[0] == '{"a":1,"s":"' + "x" * LINE + '","b":2}\n', "the long record was changed")
    check(peak < 3.4 * LINE / 1e6 + 30, f"{peak} MB for a record of 100 MB: its text, its fields and its output are three times that")


def without_end(p):
    fresh(p, '"-", format="ndjson"')
    feed = subprocess.Popen("head -c 2000000000 /dev/zero | tr '\\0' x", shell=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    code, errors, peak = run(p, feed.stdout)
    feed.stdout.close()
    feed.wait()
    check(code == 1 and "longer than 134217728 bytes" in errors and "max_record" in errors, errors)
    check(peak < 240, f"{peak} MB were taken before the limit of 128 MiB was noticed")
    check(not os.path.exists(p.path("out/o.ndjson")), "nothing is published")


def packed_without_end(p):
    os.makedirs(p.path("data"))
    with gzip.open(p.path("data/in.ndjson.gz"), "wb", compresslevel=1) as f:
        for _ in range(300):
            f.write(b" " * 1_000_000)
    fresh(p, '"data/in.ndjson.gz"', '[engine]\nmax_record = "16Mi"\n')
    code, errors, peak = run(p)
    check(code == 1 and "longer than 16777216 bytes" in errors, errors)
    check(peak < 70, f"{peak} MB for a limit of 16 MiB")


def at_the_limit(p):
    fresh(p, '"data/in.csv"', '[engine]\nmax_record = "1Mi"\n')
    p.write("data/in.csv", 'a,s\n1,"' + "x" * 1_000_000 + '"\n2,y\n')
    code, errors, _ = run(p)
    check(code == 0, errors)
    check(len(p.read("out/o.ndjson").splitlines()) == 2, "both records are there")
    p.write("data/in.csv", 'a,s\n1,x\n2,"' + "y" * 3_000_000 + "\n")
    code, errors, _ = run(p)
    check(code == 1 and "the record at byte 8 is longer than 1048576 bytes" in errors, errors)
    check(len(p.read("out/o.ndjson").splitlines()) == 2, "what was published stays")


for test in (a_hundred_megabytes, without_end, packed_without_end, at_the_limit):
    print(test.__name__, flush=True)
    with Project(on_disk=True) as project:
        test(project)
