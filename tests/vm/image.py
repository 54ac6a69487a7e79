"""The disks of the virtual machine of tests, made from what is installed on this host; no root needed.

`make_initramfs`: process 1 and the modules it loads. `make_disk`: an ext4 image with shells, tools, the programs under test,
and the libraries they need.
"""
import gzip
import os
import pathlib
import re
import shutil
import stat
import subprocess

# Packages whose programs tests use inside the machine. Those that are not installed are left out.
PACKAGES = ("bash", "dash", "coreutils", "util-linux", "mount", "grep", "sed", "tar", "findutils", "iproute2", "nftables",
            "crun", "libc-bin", "procps")
# Loaded at boot, each after what it depends on.
MODULES = ("virtio_pci", "virtio_blk", "ext4", "fuse", "loop", "veth", "nf_tables", "nft_ct", "nft_masq",
           "nft_chain_nat", "nft_reject_inet", "nft_fib_inet", "nft_limit", "sch_tbf", "dm_crypt", "xts")
MERGED = ("bin", "sbin", "lib", "lib64")


def _depends(path):
    """Names that a module's own description says it needs."""
    found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
    return [name for name in found.group(1).decode().split(",") if name] if found else []


def modules_in_order(folder):
    """Paths of MODULES and of what they need, in the order of loading. What the kernel has built in has no file."""
    by_name = {path.stem.replace("-", "_"): path for path in pathlib.Path(folder).rglob("*.ko")}
    order = []

    def add(name):
        path = by_name.get(name.replace("-", "_"))
        if path is None or path in order:
            return
        for needed in _depends(path):
            add(needed)
        order.append(path)

    for name in MODULES:
        add(name)
    return order


class _Cpio:
    """An archive as the kernel unpacks it into its first root (newc)."""

    def __init__(self, path):
        self._out = gzip.open(path, "wb", compresslevel=1)
        self._inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self._inode += 1
        numbers = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
        self._out.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))

    def close(self):
        self.add("TRAILER!!!", 0)
        self._out.close()


def make_initramfs(path, init, modules):
    archive = _Cpio(path)
    archive.add("dev", stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("init", stat.S_IFREG | 0o755, pathlib.Path(init).read_bytes())
    archive.add("modules", stat.S_IFDIR | 0o755)
    for number, module in enumerate(modules_in_order(modules)):
        archive.add(f"modules/{number:03}-{module.name}", stat.S_IFREG | 0o644, module.read_bytes())
    archive.close()


def _programs_of_packages():
    programs = []
    for package in PACKAGES:
        listed = subprocess.run(["dpkg", "-L", package], capture_output=True, text=True)
        for name in listed.stdout.splitlines():
            if re.match(r"(/usr)?/s?bin/", name) and os.path.isfile(name):
                programs.append(name)
    return programs


def _libraries_of(programs):
    """What the dynamic linker would load for them, by the paths it finds them at."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x[0-9a-f]+\)", said)))


class _Tree:
    """A root with /usr merged, as Debian has it."""

    def __init__(self, folder):
        self._folder = folder
        for name in ("usr", "etc", "dev", "proc", "sys", "run", "tmp", "root", "vm", *(f"usr/{name}" for name in MERGED)):
            os.makedirs(os.path.join(folder, name))
        os.chmod(os.path.join(folder, "tmp"), 0o1777)
        for name in MERGED:
            os.symlink(f"usr/{name}", os.path.join(folder, name))

    def place(self, path):
        first = path.lstrip("/").split("/", 1)[0]
        return os.path.join(self._folder, ("usr/" if first in MERGED else "") + path.lstrip("/"))

    def copy(self, source, to=None):
        """Links within one folder stay links; others become what they point at."""
        target = self.place(to or source)
        if os.path.lexists(target):
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source) and "/" not in os.readlink(source):
            os.symlink(os.readlink(source), target)
            beside = os.path.join(os.path.dirname(source), os.readlink(source))
            if os.path.exists(beside):
                self.copy(beside, os.path.join(os.path.dirname(to or source), os.readlink(source)))
            return
        shutil.copyfile(source, target)
        os.chmod(target, stat.S_IMODE(os.stat(source).st_mode) & 0o755 | 0o444)

    def write(self, path, text, mode=0o644):
        target = self.place(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w") as file:
            file.write(text)
        os.chmod(target, mode)


def _strip(path):
    """Symbols would be most of the disk. A program without any is as good."""
    subprocess.run(["strip", path], capture_output=True)


def make_disk(path, folder, files, texts, mebibytes=512):
    """`files` are {path in the machine: path here}, programs with their libraries; `texts` {path: (text, mode)}."""
    shutil.rmtree(folder, ignore_errors=True)
    tree = _Tree(folder)
    tools = _programs_of_packages()
    for name in tools:
        tree.copy(name)
    for to, source in files.items():
        tree.copy(os.path.realpath(source), to)
        _strip(tree.place(to))
    for name in _libraries_of([*tools, *files.values()]):
        tree.copy(name)
    for to, (text, mode) in texts.items():
        tree.write(to, text, mode)
    subprocess.run(["/sbin/ldconfig", "-r", folder], check=True, capture_output=True)
    with open(path, "wb") as image:
        image.truncate(mebibytes << 20)
    for tool in ("/sbin/mke2fs", "/usr/sbin/mke2fs", "mke2fs"):
        if shutil.which(tool):
            break
    made = subprocess.run([tool, "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0,lazy_itable_init=1",
                           "-d", folder, path], capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError(f"mke2fs: {made.stderr}")
    shutil.rmtree(folder)
