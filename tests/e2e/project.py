"""A project in a temporary folder, and runi in it. Shared by the end-to-end tests."""
import json, os, shutil, subprocess, sys, tempfile

RUNI = os.path.abspath(sys.argv[1])
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEERS = os.path.join(ROOT, "tests/peers")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


class Project:
    def __init__(self, on_disk=False):
        base = None if on_disk or not os.access("/dev/shm", os.W_OK) else "/dev/shm"
        self.root = tempfile.mkdtemp(prefix="runink-e2e-", dir=base)
        self.write("runink.toml", 'name = "e2e"\n')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def exists(self, name):
        return os.path.exists(self.path(name))

    def runi(self, *words, code=0, stdin=None, enter=None, env=None):
        done = subprocess.run([RUNI, *words], cwd=self.root, input=stdin, capture_output=True, preexec_fn=enter,
                              env={**os.environ, **(env or {})})
        if code is not None and done.returncode != code:
            raise AssertionError(f"runi {' '.join(words)} ended with {done.returncode}, not {code}:\n{done.stderr.decode(errors='replace')}")
        return done

    def start(self, *words):
        return subprocess.Popen([RUNI, *words], cwd=self.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def records(self):
        """run.json of every scenario's run."""
        out = []
        folder = self.path(".runink/runs")
        for run in sorted(os.listdir(folder)):
            with open(os.path.join(folder, run, "run.json")) as f:
                record = json.load(f)
            if record.get("scenario"):
                out.append(record)
        return out


def memory_cgroup(limit_bytes):
    """A function that puts the calling process under a memory limit, and one that removes the cgroup; None where this host does not allow it."""
    for base, file in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        folder = os.path.join(base, f"runink-e2e-{os.getpid()}")
        try:
            os.mkdir(folder)
            with open(os.path.join(folder, file), "w") as f:
                f.write(str(limit_bytes))
        except OSError:
            if os.path.isdir(folder):
                os.rmdir(folder)
            continue

        def enter():
            with open(os.path.join(folder, "cgroup.procs"), "w") as f:
                f.write(str(os.getpid()))
        return enter, lambda: os.rmdir(folder)
    return None, lambda: None


def check(condition, message):
    if not condition:
        raise AssertionError(message)
