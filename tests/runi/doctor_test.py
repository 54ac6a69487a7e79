"""runi doctor on this host, as root and as an ordinary user: doctor_test.py RUNI.

Each is told the truth for them, the exit code says whether anything is bad, and nothing stays behind.
"""
import glob, json, os, shutil, subprocess, sys, tempfile

runi = os.path.abspath(sys.argv[1])
if not os.access(runi, os.X_OK):
    print("skip: runi is not built here")
    sys.exit(77)


def doctor(prefix, program, *words):
    done = subprocess.run([*prefix, program, "doctor", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120,
                          cwd="/", env={"PATH": os.environ["PATH"], "HOME": "/", "RUNINK_AGENT": "none"})
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


def findings(prefix, program):
    code, out = doctor(prefix, program, "-o", "json")
    found = {one["check"]: one for one in json.loads(out)}
    verdicts = {one["verdict"] for one in found.values()}
    assert verdicts <= {"good", "note", "bad"}, verdicts
    assert code == (1 if "bad" in verdicts else 0), (code, verdicts)
    for check in ("kernel", "namespace user", "all namespaces", "system calls", "landlock", "left: links", "a slice"):
        assert check in found, f"{check} is missing"
    for one in found.values():
        assert one["found"], one
    # Whole slices start where, and only where, their parts are fine.
    parts = ("kernel", "sealed program", "all namespaces", "mount tmpfs", "mount proc", "pivot_root", "system calls")
    if all(found.get(check, {}).get("verdict") == "good" for check in parts):
        assert found["a slice"]["verdict"] == "good", found["a slice"]
    return found


def left():
    return [path for path in glob.glob("/sys/fs/cgroup/**/runink-doctor-*", recursive=True)
            if not os.path.exists("/proc/" + path.rsplit("-", 1)[1])]


code, plain = doctor([], runi, "--no-slices")
assert "namespace" not in plain and "processors" in plain, plain

mine = findings([], runi)
if os.geteuid() != 0:
    assert mine["users of its own"]["verdict"] == "bad"
    sys.exit(0)
limited = [check for check in ("limit processor time", "limit memory", "limit processes") if check in mine]
if limited and all(mine[check]["verdict"] == "good" for check in limited):
    assert mine["a slice with limits"]["verdict"] == "good", mine["a slice with limits"]

# An ordinary user cannot go where a checkout of root's may lie.
with tempfile.TemporaryDirectory(dir="/tmp") as folder:
    os.chmod(folder, 0o755)
    program = shutil.copy(runi, folder)
    os.chmod(program, 0o755)
    theirs = findings(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], program)
assert theirs["users of its own"]["verdict"] == "bad"
assert theirs["networks"]["verdict"] == "bad"
assert "root" in theirs["networks"]["advice"]
assert left() == [], left()
print("fine")
