"""What the storage rigs share: faults of single system calls, disks that can be cut off, filled or damaged, a writer
that remembers what was acknowledged.

Mounts are made in a mount namespace of the test's own, and their images lie in a tmpfs in it: whatever ends the test,
and however, nothing of them is left.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))

from cluster import Cluster, Skip, check, die_with_rig, main, skip, wait_for  # noqa: E402,F401

MIB = 1 << 20
BLOCK = 4096
_CLONE_NEWNS = 0x00020000
_MS_REC, _MS_PRIVATE = 0x4000, 1 << 18
# _IOR('X', 125, __u32), and its argument by which nothing of the file system's log is written: what was not synced is
# lost, as when the power goes (Documentation/filesystems/ext4).
_EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2
_libc = ctypes.CDLL(None, use_errno=True)


class Programs:
    """From the command line: runi, barn_writer, the folder of the preloaded library."""

    def __init__(self, words):
        self.runi, self.writer, self.preload = (os.path.abspath(word) for word in words[:3])
        self.options = words[3:]

    def option(self, name, default):
        """--name=NUMBER"""
        for word in self.options:
            if word.startswith(f"--{name}="):
                return int(word.split("=", 1)[1])
        return default


PROGRAMS = Programs(sys.argv[1:])


# --- faults of system calls ------------------------------------------------------------------------------------------


class Rule:
    def __init__(self, faults, offset):
        self._faults, self._offset = faults, offset

    def struck(self):
        """How often so far."""
        return struct.unpack_from("<I", self._faults.read(), self._offset + 20)[0]

    def end(self):
        self._faults.write(self._offset, struct.pack("<I", 0))


class Faults:
    """Of one process, which is started with env(). Rules may come and go while it runs (faults.cc)."""

    CALLS = {"write": 1, "sync": 2, "open_direct": 3, "reserve": 4, "read": 5, "name": 6}
    ACTIONS = {"fail": 1, "delay": 2, "short": 3, "skip": 4, "kill_after": 5}
    SIZE, RULES = 128, 16

    def __init__(self, path):
        self.path, self._used = path, 0
        with open(path, "wb") as file:
            file.write(bytes(BLOCK))

    def env(self):
        if "libclang_rt" in os.environ.get("LD_PRELOAD", "") or not os.path.exists(PROGRAMS.preload):
            skip(f"{PROGRAMS.preload} cannot be preloaded")
        return {"LD_PRELOAD": PROGRAMS.preload, "BARN_FAULTS": self.path}

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()

    def write(self, offset, data):
        with open(self.path, "r+b", buffering=0) as file:
            file.seek(offset)
            file.write(data)

    def reuse(self, kept):
        """The places of all rules but the first ones, which have ended."""
        self._used = kept

    def add(self, call, path, action, argument=0, times=-1):
        """`path`: part of the file's path. `argument`: errno, milliseconds, or how many bytes are written. "skip": a sync
        that says all is well, and does nothing. "kill_after": so many calls are let pass, and the next one is the end of the
        process (kill -9). "name": renames, links and removals."""
        check(self._used < self.RULES, "there is room for no more rules")
        offset = self._used * self.SIZE
        self._used += 1
        self.write(offset + 4, struct.pack("<IIIiI104s", self.CALLS[call], self.ACTIONS[action], argument, times, 0,
                                           path.encode()))
        self.write(offset, struct.pack("<I", 1))
        return Rule(self, offset)


# --- disks -----------------------------------------------------------------------------------------------------------


def run(*argv, code=0):
    done = subprocess.run(argv, capture_output=True, text=True, preexec_fn=die_with_rig)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


class Mounts:
    """A folder, `root`, in which disks may be mounted; with its end all are gone. Skips where the host has none."""

    def __init__(self):
        if os.geteuid() != 0:
            skip("mounting needs root")
        for tool in ("mkfs.ext4", "mount", "umount"):
            if shutil.which(tool) is None:
                skip(f"there is no {tool}")
        if _libc.unshare(_CLONE_NEWNS) != 0:
            skip(f"no mount namespace of its own: {os.strerror(ctypes.get_errno())}")
        if _libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
            skip(f"mounts cannot be made private: {os.strerror(ctypes.get_errno())}")
        self.root = tempfile.mkdtemp(prefix="runink-disks-")
        self._stack = contextlib.ExitStack()
        self._stack.callback(os.rmdir, self.root)
        self.tmpfs(self.root, "8g")  # a limit, not what is used

    def tmpfs(self, folder, size):
        os.makedirs(folder, exist_ok=True)
        done = run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder, code=None)
        if done.returncode != 0:
            self._stack.close()
            skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
        self._stack.callback(run, "umount", "-l", folder, code=None)
        return folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def disk(self, name, size_mib, image_folder=None, allocate=False):
        return Disk(self, name, size_mib, image_folder or self.root, allocate)

    def on_exit(self, *call):
        self._stack.callback(*call)


class Disk:
    """ext4 in a file; `allocate`: all of it has its space from the beginning."""

    def __init__(self, mounts, name, size_mib, image_folder, allocate):
        self.image = os.path.join(image_folder, name + ".image")
        self.folder = os.path.join(mounts.root, name)
        os.makedirs(self.folder, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size_mib * MIB)
        # Everything at once: no thread of the kernel writes into it later. No reserve: "full" is full for root, too.
        run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", "-F", self.image)
        if allocate:
            with open(self.image, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, size_mib * MIB)
        self.mount()
        mounts.on_exit(self.unmount)

    def mount(self):
        done = run("mount", "-o", "loop", self.image, self.folder, code=None)
        if done.returncode != 0:
            skip(f"no loop device can be mounted: {done.stderr.strip()}")

    def unmount(self):
        run("umount", "-l", self.folder, code=None)

    def cut_power(self):
        """Whatever was not synced is lost; every call on it fails from now on."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("<I", _NO_LOG_FLUSH))
        except OSError as why:
            skip(f"this file system cannot be shut down: {why}")
        finally:
            os.close(folder)

    def back(self):
        """The power comes back. No process has a file of it open."""
        done = run("umount", self.folder, code=None)
        check(done.returncode == 0, f"unmount {self.folder}: {done.stderr}")
        self.mount()


def sync_file_system(folder):
    """What was removed before is free after it."""
    here = os.open(folder, os.O_RDONLY)
    _libc.syncfs(here)
    os.close(here)


def fill(folder, leave=0):
    """Fills its file system up to `leave` bytes; returns the file, with whose removal the space returns."""
    path = os.path.join(folder, "filling")
    sync_file_system(folder)
    with open(path, "ab", buffering=0) as file:
        space = os.statvfs(folder)
        size = space.f_bavail * space.f_frsize - leave
        if size > 0:
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, size)
        if leave == 0:
            for piece in (MIB, BLOCK):
                with contextlib.suppress(OSError):
                    while file.write(bytes(piece)) > 0:
                        pass
    return path


def hole(path, disk, offset, size):
    """Takes the blocks away that hold this part of a file (reserved, and zeros still) from below the file system of
    `disk`, which does not notice: it has reserved them, and the next write there needs space below."""
    done = run("filefrag", "-e", "-b4096", path)
    taken = 0
    for line in done.stdout.splitlines():
        part = line.split(":")
        if len(part) < 4 or not part[0].strip().isdigit():
            continue
        logical, _ = (int(word) for word in part[1].split(".."))
        physical = int(part[2].split("..")[0])
        length = int(part[3])
        first = max(logical, offset // BLOCK)
        last = min(logical + length, (offset + size) // BLOCK)
        if first < last:
            run("fallocate", "--punch-hole", "--offset", str((physical + first - logical) * BLOCK), "--length",
                str((last - first) * BLOCK), disk.image)
            taken += (last - first) * BLOCK
    check(taken == size, f"{taken} bytes of {path} were found on the disk, not {size}")


def hand_lead_to(cluster, member):
    def led():
        if cluster.find_leader() is member:
            return True
        cluster.barn("transfer", str(member.number), code=None)
        return False
    wait_for(f"{member} leads", led, poll=0.2)


class OnDisks(Cluster):
    """A cluster whose members' folders lie where `folder_of(number)` says."""

    def __init__(self, folder_of, **more):
        self._folder_of = folder_of
        super().__init__(PROGRAMS.runi, **more)

    def _new_member(self, number):
        member, flags = super()._new_member(number)
        member.folder = self._folder_of(number)
        return member, flags


# --- files of a member -----------------------------------------------------------------------------------------------


def batches(member):
    """Of a stopped member's log, in order: {"segment", "offset", "batch", "first_index", "entries", "term", "bytes"}."""
    return json.loads(member.inspect("--batches", "-o", "json").stdout)


def journal_file(member, name):
    return os.path.join(member.folder, "journal", name)


def newest_segment(member):
    names = sorted(name for name in os.listdir(os.path.join(member.folder, "journal")) if name.startswith("segment-"))
    return journal_file(member, names[-1])


def flip_bit(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def files_below(folder):
    for here, _, names in os.walk(folder):
        for name in names:
            yield os.path.join(here, name)


# --- the writer ------------------------------------------------------------------------------------------------------


class Writer:
    """barn_writer, putting numbered keys below `prefix`, until it is stopped or has put `count`."""

    def __init__(self, cluster, prefix="k/", first=1, count=0, size=100, under_way=8, timeout_ms=10000, marked=True):
        self._cluster, self._prefix = cluster, prefix
        self.path = os.path.join(cluster.folder, f"said-{prefix.strip('/')}-{first}")
        words = [PROGRAMS.writer, cluster.client, "put", prefix, str(first), str(count), str(size), str(under_way),
                 str(timeout_ms)] + ([] if marked else ["unmarked"])
        with open(self.path, "wb") as said:
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, preexec_fn=die_with_rig)

    def lines(self, what=None):
        with open(self.path) as file:
            lines = [line.split() for line in file.read().split("\n")[:-1]]
        return [line for line in lines if what is None or line[0] == what]

    def acknowledged(self):
        return len(self.lines("ack"))

    def wait_for_acknowledged(self, count, seconds=30):
        wait_for(lambda: f"{count} acknowledged: {self.lines()[-5:]}", lambda: self.acknowledged() >= count, seconds)

    def wait_for_more(self, count, seconds=30):
        self.wait_for_acknowledged(self.acknowledged() + count, seconds)

    def end(self, seconds=60):
        """Waits for those under way; what all of them became."""
        self._process.stdin.close()
        code = self._process.wait(seconds)
        check(code == 0, f"barn_writer ended with {code}")
        return self.lines()


def check_written(cluster, *writers, prefix="k/"):
    """That everything acknowledged is there, nothing that was refused, and every value right; the writer's summary."""
    said = "".join(open(writer.path).read() for writer in writers)
    done = subprocess.run([PROGRAMS.writer, cluster.client, "check", prefix, "20000"], input=said, text=True,
                          capture_output=True, preexec_fn=die_with_rig)
    check(done.returncode == 0, f"the check of what was written: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def put_some(cluster, count, size=100, prefix="k/", first=1, under_way=8):
    writer = Writer(cluster, prefix, first, count, size, under_way)
    writer.end()
    check(writer.acknowledged() == count, f"not all were acknowledged: {writer.lines()[-3:]}")
    return writer


def get(cluster, key, *more):
    return subprocess.run([PROGRAMS.writer, cluster.client, "get", key, *more], capture_output=True, text=True,
                          errors="replace", preexec_fn=die_with_rig)


def put(cluster, key, value):
    run(PROGRAMS.writer, cluster.client, "set", key, value)
