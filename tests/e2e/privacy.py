"""Personal data stays where it belongs, and data never drives a terminal: all that runi prints and keeps is searched."""
import os, pty, select, stat, subprocess
from project import Project, RUNI, check

CONTRACT = 'contract C { int64 n [[required, range(0, 10)]]; string ssn [[pii, length(1, 9)]]; string x; }\n'
STEP = """import json, os, sys
report = os.fdopen(3, "w")
for number, line in enumerate(sys.stdin):
    record = json.loads(line)
    sys.stderr.write("saw " + line)
    if os.environ["MODE"] == "crash":
        sys.exit(3)
    print(json.dumps({"record": number, "action": os.environ["MODE"], "reason": "bad " + record["ssn"]}), file=report)
"""


def feature(steps="When records are checked against the contract", source="data/in.ndjson", sink="out/o.ndjson"):
    return f"""Feature: Privacy
  Scenario: S
    @source("{source}") @contract("contracts/c.contract")
    Given rows arrive
    {steps}
    @sink("{sink}")
    Then valid records are written
"""


def fresh(p):
    p.write("contracts/c.contract", CONTRACT)
    p.write("data/in.ndjson", '{"n":1,"ssn":"SECRETA","x":"a"}\n{"n":77,"ssn":"SECRETB","x":"b"}\n{"n":2,"ssn":"SECRET-TOO-LONG","x":"c"}\n')
    p.write("features/f.dsl", feature())


def nothing_in(text, what):
    check(b"SECRET" not in text, f"{what} shows personal data:\n{text.decode(errors='replace')}")


def nothing_kept(p):
    for folder, _, names in os.walk(p.path(".runink")):
        for name in names:
            path = os.path.join(folder, name)
            if "/dead-letters/" in path:
                check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, f"{path} is not for its owner only")
                continue
            with open(path, "rb") as f:
                nothing_in(f.read(), path)


# What anybody may ask of runs that are over.
def nothing_told(p):
    nothing_kept(p)
    for words in (["status", "last"], ["status", "last", "-o", "json"], ["logs", "last"], ["dlq", "list"], ["dlq", "list", "--by-rule"],
                  ["dlq", "list", "-o", "json"], ["show", "last"], ["quality", "last"], ["lineage", "-o", "json"], ["runs", "-o", "json"]):
        done = p.runi(*words, code=None)
        nothing_in(done.stdout + done.stderr, "runi " + " ".join(words))
    for letter in p.runi("dlq", "list", "-o", "name", code=None).stdout.decode().split():
        done = p.runi("dlq", "show", letter)
        nothing_in(done.stdout + done.stderr, "runi dlq show")
        nothing_in(p.runi("dlq", "show", letter, "--record").stdout, "runi dlq show --record")


def reveal(p):
    fresh(p)
    done = p.runi("run", "features/f.dsl", "--reveal")
    check(b"SECRETA" in p.read("out/o.ndjson"), "--reveal did not reveal")
    nothing_in(done.stdout + done.stderr, "the run")
    nothing_told(p)
    for step in ("check C", "read in"):
        sample = p.runi("show", "last", step).stdout
        nothing_in(sample, "runi show last " + step)
        check(b'"ssn":"****"' in sample, f"runi show last {step} shows {sample}")
    check(any(r.get("revealed_pii") for r in p.records()), "that --reveal was given is not on record")
    letter = p.runi("dlq", "list", "-o", "name").stdout.decode().split()[0]
    check(not p.exists(".runink/revealed.ndjson"), "something is recorded as revealed that was not")
    shown = p.runi("dlq", "show", letter, "--reveal").stdout
    check(b"SECRETB" in shown, f"dlq show --reveal shows {shown}")
    noted = p.read(".runink/revealed.ndjson").decode()
    check(letter in noted and '"what":"dlq show"' in noted, f"not recorded: {noted}")


def steps(p):
    for mode, code in (("reject", 0), ("drop", 0), ("crash", 1)):
        fresh(p)
        p.write("steps/s.py", STEP)
        p.write("features/f.dsl", feature('@exec("python3 steps/s.py")\n    When records are scored'))
        done = p.runi("run", "features/f.dsl", code=code, env={"MODE": mode})
        nothing_in(done.stdout + done.stderr, f"the run of a step that says {mode}")
        nothing_told(p)
        if mode == "reject":
            check(b"refused by the step" in done.stderr, "the rejected records are not told")
            letter = p.runi("dlq", "list", "last", "-o", "name").stdout.decode().split()[0]
            check(b"bad SECRETA" in p.runi("dlq", "show", letter, "--reveal").stdout, "the reason is lost")
        if mode == "crash":
            path = done.stderr.decode().split("and is in ")[1].split("\n")[0]
            with open(path) as f:
                check("SECRETA" in f.read(), "the last words are lost")


def cells(p):
    fresh(p)
    p.write("features/f.dsl", feature(source="data/in.csv"))
    p.write("data/in.csv", 'n,ssn,x\n"",SECRETA,y\n1z,SECRETB,y\n"1"2,SECRETC,y\n1,SECRETD\n')
    done = p.runi("run", "features/f.dsl")
    nothing_in(done.stdout + done.stderr, "the run")
    check(b"field n: an empty text is no int64" in done.stderr, done.stderr.decode())
    nothing_told(p)
    done = p.runi("contract", "check", "contracts/c.contract", "--data", "data/in.csv", code=None)
    nothing_in(done.stdout + done.stderr, "contract check")
    done = p.runi("contract", "diff", "contracts/c.contract", "data/in.ndjson", code=None)
    nothing_in(done.stdout + done.stderr, "contract diff")
    check(b"15" not in done.stdout, f"contract diff tells how long a value is: {done.stdout.decode()}")


def masks(p):
    fresh(p)
    p.write("features/f.dsl", feature('When field "y" is set to mask(ssn + repeat("x", 200), "first9")\n    And field "z" is set to ssn + "----------"\n'
                                      '    And field "z" is set to mask(z, "first9")\n    And field "w" is set to mask(ssn, "first1")'))
    done = p.runi("run", "features/f.dsl")
    nothing_in(p.read("out/o.ndjson"), "the output")
    check(b'"y":"****","z":"****","w":"S******"' in p.read("out/o.ndjson"), p.read("out/o.ndjson").decode())
    check(done.stderr.count(b"a mask that shows a part protects only a field itself") == 2, done.stderr.decode())
    check(b"masked: y by all" in p.runi("plan", "features/f.dsl").stdout, "the plan does not say what is masked")


# What the command writes to a terminal.
def on_terminal(p, *words):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([RUNI, *words], cwd=p.root, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    os.close(theirs)
    out = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        out += piece
    process.wait()
    os.close(ours)
    return out


def terminals(p):
    fresh(p)
    p.write("contracts/c.contract", "contract C { int64 n [[range(0, 10)]]; string x; string name [[pii]]; }\n")
    odd = "a\x1b[31mb\x9b2Jc\x7fd"
    p.write("data/in.csv", f"n,x,name\n1,{odd},me\n2,é€,me\n99,{odd},me\n")
    for sink_format, exact in (("csv", odd.encode()), ("ndjson", b"\\u001b[31mb\xc2\x9b2Jc")):
        p.write("features/f.dsl", feature(source="data/in.csv").replace('@sink("out/o.ndjson")', f'@sink("-", format="{sink_format}")'))
        piped = p.runi("run", "features/f.dsl", "-q").stdout
        check(exact in piped, f"a pipe is given other bytes: {piped}")
        seen = on_terminal(p, "run", "features/f.dsl", "-q")
        check("é€".encode() in seen and b"\\u009b2Jc" in seen, f"the terminal is given {seen}")
        check(b"\x1b" not in seen and b"\xc2\x9b" not in seen, f"the terminal is given control bytes: {seen}")
    letter = p.runi("dlq", "list", "last", "-o", "name").stdout.decode().split()[0]
    for words in (["contract", "redact", "contracts/c.contract", "data/in.csv"], ["dlq", "list", "-o", "csv"], ["dlq", "show", letter, "-o", "json"],
                  ["dlq", "show", letter, "-o", "yaml"], ["dlq", "show", letter, "-o", "csv"], ["dlq", "show", letter, "--record"], ["show", "last", "check C"],
                  ["status", "last", "-o", "json"], ["dlq", "show", letter]):
        seen = on_terminal(p, *words)
        check(len(seen) > 10, f"runi {' '.join(words)} shows nothing: {seen}")
        check(b"\x1b" not in seen and b"\x7f" not in seen and b"\xc2\x9b" not in seen, f"runi {' '.join(words)}: {seen}")
    check(odd.encode() in p.runi("contract", "redact", "contracts/c.contract", "data/in.csv").stdout, "redact changes other bytes in a pipe")


for case in (reveal, steps, cells, masks, terminals):
    with Project() as project:
        case(project)
