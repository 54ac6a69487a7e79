"""Custom steps stream: an endless input gives output while it is open, a slow sink slows the source, a step may read all
before it answers, and whatever a step does wrong fails the run, promptly and with nothing published."""
import json, os, select, shutil, signal, subprocess, sys, threading, time
from project import RUNI, Project, check, skip

WAIT = 120  # seconds: longer than anything here takes

CONTRACTS = "contract Row { int64 id [[required]]; string text; }\n"
FEATURE = """Feature: F
  Scenario: S
    @source("{source}", format="ndjson")
    @contract("contracts/c.contract#Row")
    Given rows arrive
{steps}
    @sink("{sink}", format="ndjson")
    Then the result is written
"""
PASS = """import sys
for line in sys.stdin:
    sys.stdout.write(line)
    sys.stdout.flush()
"""
CPP = """#include <runink/step/step.h>
#include "c.h"
RUNINK_STEP("Pass", contracts::Row, contracts::Row)
(const contracts::Row::Batch& in, contracts::Row::Builder& out, runink::step::Context&) {
  for (std::size_t row = 0; row < in.size(); ++row) out.answer(row, in[row]);
}
"""


def rows(first, count):
    return "".join('{"id":%d,"text":"row %d of a stream that has no end"}\n' % (i, i) for i in range(first, first + count)).encode()


def feature(p, name, steps, source="-", sink="-"):
    p.write(f"features/{name}.dsl", FEATURE.format(source=source, sink=sink, steps="\n".join("    " + s for s in steps)))
    return f"features/{name}.dsl"


def start(p, *words):
    return subprocess.Popen([RUNI, "run", *words], cwd=p.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def no_children_of(p):
    """No process works in the project's folder any more."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.realpath(f"/proc/{pid}/cwd") == os.path.realpath(p.root):
                with open(f"/proc/{pid}/cmdline") as f:
                    return f"process {pid} is left: {f.read()}"
        except OSError:
            pass
    return ""


def endless(p, name, steps, *words):
    """The input does not end before the first output has been seen."""
    run = start(p, feature(p, name, steps), *words)
    seen = threading.Event()
    got = [0]

    def read():
        for line in run.stdout:
            check(line == b'{"id":%d,"text":"row %d of a stream that has no end"}\n' % (got[0], got[0]), f"{name}: record {got[0]} is {line}")
            got[0] += 1
            seen.set()
    reader = threading.Thread(target=read)
    reader.start()
    errors = []
    error_reader = threading.Thread(target=lambda: errors.append(run.stderr.read()))
    error_reader.start()
    sent = 0
    try:
        while not seen.is_set() and sent < 3_000_000:
            run.stdin.write(rows(sent, 5000))
            sent += 5000
        early = seen.is_set()
        run.stdin.close()
    except BrokenPipeError:
        early = False
    check(run.wait(WAIT) == 0, f"{name}: ended with {run.returncode}: {errors}")
    reader.join()
    error_reader.join()
    check(early, f"{name}: no output after {sent} records")
    check(got[0] == sent, f"{name}: {sent} records in, {got[0]} out")
    print(f"{name}: first output seen, {sent} records in all")


def trickles(p, name, steps, *words):
    """Each record comes out before the next one goes in."""
    run = start(p, feature(p, name, steps), *words)
    for i in range(3):
        run.stdin.write(rows(i, 1))
        run.stdin.flush()
        check(select.select([run.stdout], [], [], WAIT)[0], f"{name}: record {i} does not come out")
        line = run.stdout.readline()
        check(line == rows(i, 1), f"{name}: record {i} comes out as {line}")
    run.send_signal(signal.SIGINT)
    run.wait(WAIT)  # with its input open
    out, errors = run.communicate()
    check(run.returncode == 130 and out == b"", f"{name}: ended with {run.returncode} and {out}: {errors.decode()}")
    record = [r for r in p.records() if r["feature"] == f"features/{name}.dsl"][0]
    check(record["state"] == "interrupted" and record["records_in"] == 3, f"{name}: the run's record says {record}")
    print(f"{name}: three records, one by one")


def slow_sink(p, name, steps):
    """Nobody reads the output: the source is held up after a bounded number of records. Then it goes on."""
    run = start(p, feature(p, name, steps))
    fd = run.stdin.fileno()
    os.set_blocking(fd, False)
    sent, taken, rest = 0, 0, b""
    errors = []
    error_reader = threading.Thread(target=lambda: errors.append(run.stderr.read()))
    error_reader.start()
    while taken < (256 << 20):
        if not select.select([], [fd], [], 3)[1]:
            break
        if not rest:
            rest = rows(sent, 5000)
            sent += 5000
        n = os.write(fd, rest)
        taken += n
        rest = rest[n:]
    check(taken < (64 << 20), f"{name}: {taken} bytes were taken in while nobody read the output")
    os.set_blocking(fd, True)
    got = []
    reader = threading.Thread(target=lambda: got.append(sum(1 for _ in run.stdout)))
    reader.start()
    run.stdin.write(rest)
    run.stdin.close()
    check(run.wait(WAIT) == 0, f"{name}: ended with {run.returncode}: {errors}")
    reader.join()
    error_reader.join()
    check(got[0] == sent, f"{name}: {sent} records in, {got[0]} out")
    print(f"{name}: held up after {taken} bytes")


def reads_all_first(p, name, steps):
    # By a shell: what Linux calls a process's peak memory begins with that of the process which it was before exec.
    run = subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", RUNI, "run", feature(p, name, steps, "data/rows.ndjson", f"out/{name}.ndjson"),
                          "--memory", "16Mi"], cwd=p.root, capture_output=True, timeout=WAIT)
    check(run.returncode == 0, f"{name}: ended with {run.returncode}: {run.stderr.decode()}")
    check(sorted(p.read("data/rows.ndjson").splitlines()) == sorted(p.read(f"out/{name}.ndjson").splitlines()), f"{name}: other records came out")
    record = [r for r in p.records() if r["feature"] == f"features/{name}.dsl"][0]
    check(record["spilled_bytes"] > 0, f"{name}: nothing was spilled, so nothing was tested")
    check(record["peak_memory_bytes"] < (64 << 20), f"{name}: {record['peak_memory_bytes']} bytes of memory")
    print(f"{name}: spilled {record['spilled_bytes']}, peak {record['peak_memory_bytes']}")


# What a step does wrong, in the middle of many records, and what the run says.
WRONG = {
    "crashes": ("if n == 30000: os.abort()", "killed by signal 6"),
    "exits": ("if n == 30000: sys.exit(3)", "exit code 3"),
    "hangs": ("if n == 30000: signal.pause()", "made no progress for 2"),
    "stops_reading": ("if n == 30000:\n        os.close(0)\n        signal.pause()", "before it had read all of it"),
    "ends_early": ("if n == 30000: os._exit(0)", "before it had read all of"),
    "leaves_a_child": ("if n == 0 and os.fork() == 0: signal.pause()", "left 1 process behind"),
    "writes_rubbish": ("if n == 30000: line = 'rubbish\\n'", "wrote what is not a record of its output"),
    "answers_twice": ("if n == 30000: sys.stdout.write(line)", ""),
    "forgets_one": ("if n == 30000: continue", "answered 199999, rejected 0 and dropped 0"),
    "refuses_twice": ("if n in (30000, 30001):\n        os.write(3, b'{\"record\":30000,\"action\":\"drop\"}\\n')\n        continue", "30000"),
    "reports_rubbish": ("if n == 30000: os.write(3, b'rubbish\\n')", "line 1 on descriptor 3 is not"),
}
WRONG_STEP = """import os, signal, sys
sys.stderr.write("these are my last words\\n")
sys.stderr.flush()
for n, line in enumerate(sys.stdin):
    {}
    sys.stdout.write(line)
"""
FILLS_BOTH = """import sys
sys.stderr.write("a line on standard error\\n" * 100000)
sys.stdin.read()
for i in range(100000): sys.stderr.write("a line on standard error\\n")
sys.stderr.write("these are my last words\\n")
sys.exit(1)
"""


def misbehaves(p):
    programs = {name: (WRONG_STEP.format(what), words) for name, (what, words) in WRONG.items()}
    programs["fills_both_pipes"] = (FILLS_BOTH, "exit code 1")
    for name, (program, words) in programs.items():
        p.write(f"steps/{name}.py", program)
        run = subprocess.run([RUNI, "run", feature(p, name, ['@exec("python3 steps/%s.py") @timeout("2s")' % name, "When the rows are judged"],
                                                   "data/rows.ndjson", f"out/{name}.ndjson")],
                             cwd=p.root, capture_output=True, text=True, timeout=WAIT)
        check(run.returncode in (1, 124), f"{name}: ended with {run.returncode}: {run.stderr}")
        check(words in run.stderr and 'step "python3"' in run.stderr, f"{name}: the run says {run.stderr}")
        check("these are my last words" in run.stderr, f"{name}: the last words are missing: {run.stderr}")
        check(not p.exists(f"out/{name}.ndjson"), f"{name}: something was published")
        check(not no_children_of(p), f"{name}: {no_children_of(p)}")
        print(f"{name}: told")


def ends_promptly(p, name, steps, end, code, words, count=200_000):
    """`end` is done to a run whose output nobody reads on, and whose input is open; silent after a `count` of 12,000."""
    run = start(p, feature(p, name, steps))

    def write():
        try:
            run.stdin.write(rows(0, count))
            run.stdin.flush()
        except OSError:
            pass
    writer = threading.Thread(target=write)
    writer.start()
    check(run.stdout.read(1) == b"{", f"{name}: no output")
    begin = time.monotonic()
    end(run)
    check(run.wait(WAIT) == code, f"{name}: ended with {run.returncode}, not {code}")
    took = time.monotonic() - begin
    told = run.stderr.read().decode()
    check(words in told, f"{name}: the run says {told}")
    check(took < 20, f"{name}: it took {took} s to end")
    check(not no_children_of(p), f"{name}: {no_children_of(p)}")
    writer.join()
    for pipe in (run.stdin, run.stdout, run.stderr):
        try:
            pipe.close()
        except BrokenPipeError:
            pass
    print(f"{name}: ended after {took:.1f} s")


def letters(p):
    """Dead letters have one order, whatever the timing."""
    p.write("steps/refuse.py", """import os, sys
out = os.fdopen(3, "w")
for n, line in enumerate(sys.stdin):
    if n % 7 == 3: out.write('{"record":%d,"action":"reject","reason":"seven"}\\n' % n)
    else: sys.stdout.write(line)
    if n % 1000 == 999 and len(sys.argv) > 1:
        sys.stdout.flush()
        out.write('{"settled":%d}\\n' % (n + 1))
        out.flush()
""")
    p.write("data/mixed.ndjson", b"".join(b"bad\n" if i % 50 == 0 else rows(i, 1) for i in range(40_000)))
    orders = []
    for threads, memory, marks in (("1", "64Mi", ""), ("3", "64Mi", " marks"), ("2", "1Mi", ""), ("3", "1Mi", " marks")):
        name = f"letters_{len(orders)}"
        p.runi("run", feature(p, name, [f'@exec("python3 steps/refuse.py{marks}")', "When the rows are judged", 'And field "x" is set to 1 / (id % 11)'],
                              "data/mixed.ndjson", f"out/{name}.ndjson"), "--threads", threads, "--memory", memory)
        run = [r for r in p.records() if r["feature"] == f"features/{name}.dsl"][0]
        with open(run["labels"]["dead_letters"]) as f:
            found = [json.loads(line) for line in f]
        orders.append([(x["rules"][0]["rule"], x.get("offset"), x.get("record")) for x in found])
        check(len(found) == run["records_rejected"], f"{len(found)} letters of {run['records_rejected']}")
    check(all(o == orders[0] for o in orders), "the order of dead letters depends on timing")
    by_step = [offset for rule, offset, _ in orders[0] if rule == "step"]
    check(by_step == sorted(by_step) and len(by_step) > 5000, "letters of the step are not in the order of its records")
    print(f"letters: {len(orders[0])} in one order")


with Project() as p:
    p.write("contracts/c.contract", CONTRACTS)
    p.write("steps/pass.py", PASS)
    p.write("data/rows.ndjson", rows(0, 200_000))
    python = ['@exec("python3 steps/pass.py")', "When the rows pass a program"]
    chain = python + ['@exec("cat")', "And the rows pass another", 'And field "id" is set to id + 0']
    trickles(p, "trickle", ['When field "id" is set to id + 0'])
    trickles(p, "trickle_one_worker", ["When records are checked against the contract"], "--threads", "1")
    trickles(p, "trickle_program", python)
    endless(p, "endless_program", python)
    endless(p, "endless_chain", chain, "--threads", "3")
    slow_sink(p, "slow_program", python)
    if shutil.which(os.environ.get("CXX", "c++")):
        p.write("steps/pass.cpp", CPP)
        p.runi("compile")
        cpp = ['@step("Pass", contract="contracts/c.contract#Row")', "When the rows pass a function"]
        endless(p, "endless_function", cpp)
        slow_sink(p, "slow_function", cpp)
    else:
        print("no C++ compiler: steps in C++ are left out")
    p.write("data/large.ndjson", b"")
    p.write("data/rows.ndjson", rows(0, 1_200_000))
    reads_all_first(p, "sorts", ['@exec("sort -S 20M")', "When the rows are sorted"])
    p.write("data/rows.ndjson", rows(0, 200_000))
    misbehaves(p)
    letters(p)
    p.write("steps/ends.py", PASS + "    if '\"id\":6000,' in line: sys.exit(5)\n")
    for count in (12_000, 200_000):
        ends_promptly(p, f"interrupted_{count}", chain, lambda run: run.send_signal(signal.SIGINT), 130, "interrupted", count)
        ends_promptly(p, f"step_gone_{count}", ['@exec("python3 steps/ends.py")', "When the rows pass a program"], lambda run: None, 1, "exit code 5", count)
    ends_promptly(p, "reader_gone", chain, lambda run: run.stdout.close(), 1, "standard output")
