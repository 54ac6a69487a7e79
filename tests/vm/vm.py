"""Tests in a virtual machine of their own, by software emulation: cgroup v2 and nothing else, a kernel whose settings may be
changed. The machine boots once for all of them.

    vm.py run --build FOLDER --kernel FOLDER        boots it, runs every line of tests.txt; results in FOLDER/results
    vm.py report --build FOLDER --name NAME         what became of one line: exit code 0, 1, or 77 when all was skipped

Exit code 77 of `run` is "skipped", with the reason printed: no QEMU, no kernel.
"""
import argparse
import collections
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import image  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77
RESULT_BYTES = 32 << 20


class Skip(Exception):
    pass


def qemu_program():
    found = shutil.which("qemu-system-x86_64")
    if found:
        return found
    raise Skip("there is no qemu-system-x86_64 (packaging/apt-packages.txt)")


def kernel_files(folder):
    kernel, modules = os.path.join(folder, "vmlinuz"), os.path.join(folder, "modules")
    if not os.path.isfile(kernel):
        raise Skip("there is no kernel for the virtual machine (bash tests/vm/kernel.sh build/vm/kernel)")
    return kernel, modules


def tests_of(path):
    """Lines of tests.txt: (name, program, filter)."""
    with open(path) as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    return [(name, program, "".join(rest)) for name, program, *rest in lines]


def program_files(build, tests):
    """Every file that the programs need, by its path in the machine: the build folder is /vm there."""
    files = {}

    def add(relative):
        source = os.path.join(build, relative)
        if os.path.isfile(source):
            files["/vm/" + relative] = source

    for _, program, _ in tests:
        add(program)
    for program in ("runi", "runi-slice", "runi-launcher"):
        add(f"apps/{program}/{program}")
    folder = os.path.join(build, "tests/sandbox")
    for name in sorted(os.listdir(folder)):
        if name.startswith("attack_") or name in ("blocking_files",):
            add("tests/sandbox/" + name)
    return files


ETC = {
    "/etc/passwd": ("root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n", 0o644),
    "/etc/group": ("root:x:0:\nnogroup:x:65534:\n", 0o644),
    "/etc/nsswitch.conf": ("passwd: files\ngroup: files\nhosts: files\n", 0o644),
    "/etc/hosts": ("127.0.0.1 localhost\n", 0o644),
    "/etc/ld.so.conf": ("/usr/local/lib\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n", 0o644),
}


def boot(args, work, results, console):
    kernel, modules = kernel_files(args.kernel)
    qemu = qemu_program()
    tests = [test for test in tests_of(os.path.join(HERE, "tests.txt")) if os.path.isfile(os.path.join(args.build, test[1]))]
    initramfs, disk, out = (os.path.join(work, name) for name in ("initramfs.gz", "disk.img", "results.img"))
    image.make_initramfs(initramfs, os.path.join(args.build, "tests/vm/vm_init"), modules)
    with open(os.path.join(HERE, "run.sh")) as file:
        run = file.read()
    texts = dict(ETC)
    texts["/vm/run.sh"] = (run, 0o755)
    texts["/vm/tests.txt"] = ("".join(f"{name} /vm/{program} {only}\n" for name, program, only in tests), 0o644)
    image.make_disk(disk, os.path.join(work, "root"), program_files(args.build, tests), texts)
    with open(out, "wb") as file:
        file.truncate(RESULT_BYTES)
    argv = [qemu, "-machine", "q35", "-accel", args.accel, "-cpu", "max", "-smp", str(args.processors), "-m", "1536",
            "-kernel", kernel, "-initrd", initramfs, "-nographic", "-no-reboot", "-net", "none",
            "-append", "console=ttyS0 loglevel=1 panic=-1 psi=1 cgroup_no_v1=all",
            "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe",
            "-drive", f"file={out},format=raw,if=virtio,cache=unsafe"]
    with open(console, "wb") as log:
        try:
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=args.seconds)
        except subprocess.TimeoutExpired:
            log.write(f"\nvm: ended after {args.seconds} s\n".encode())
    with open(out, "rb") as file:
        raw = file.read()
    if raw.strip(b"\0"):
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            archive.extractall(results)


def run(args):
    results = os.path.join(args.build, "tests/vm/results")
    shutil.rmtree(results, ignore_errors=True)
    os.makedirs(results)
    console = os.path.join(results, "console.log")
    reason = os.path.join(results, "skipped.txt")
    try:
        with tempfile.TemporaryDirectory(prefix="vm-", dir=os.path.join(args.build, "tests/vm")) as work:
            boot(args, work, results, console)
    except Skip as why:
        with open(reason, "w") as file:
            file.write(str(why))
        print(f"skip: {why}")
        return SKIPPED
    with open(console, errors="replace") as file:
        text = file.read()
    print("\n".join(line for line in text.splitlines() if "vm: " in line or line.startswith("kernel ")))
    if "vm: all done" not in text:
        print(text[-4000:])
        return 1
    with open(os.path.join(results, "left.txt")) as file:
        print(file.read())
    return 0


def report(args):
    results = os.path.join(args.build, "tests/vm/results")
    reason = os.path.join(results, "skipped.txt")
    if os.path.isfile(reason):
        with open(reason) as file:
            print("skip: " + file.read())
        return SKIPPED
    path = os.path.join(results, args.name + ".xml")
    if not os.path.isfile(path):
        log = os.path.join(results, args.name + ".log")
        if os.path.isfile(log):
            with open(log, errors="replace") as file:
                print(file.read()[-8000:])
        print(f"{args.name} has no results: the machine did not get so far, or the program crashed")
        return 1
    passed, failed, skipped = 0, 0, collections.defaultdict(list)
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None:
            failed += 1
            print(f"FAILED {name}")
            for failure in case.findall("failure"):
                print("  " + (failure.get("message") or "").replace("\n", "\n  "))
        elif skip is not None:
            skipped[" ".join(skip.get("message", "").split()[1:])].append(name)  # its first word is where
        else:
            passed += 1
            print(f"passed {name} ({case.get('time')} s)")
    for why, names in skipped.items():
        print(f"skip: {why} ({', '.join(names)})")
    total = sum(len(names) for names in skipped.values())
    print(f"{passed} passed, {failed} failed, {total} skipped in the virtual machine")
    if failed or passed + total == 0:
        return 1
    return 0 if passed else SKIPPED


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("run", "report"))
    parser.add_argument("--build", required=True, help="the build folder")
    parser.add_argument("--kernel", help="what tests/vm/kernel.sh made")
    parser.add_argument("--name", help="of a line of tests.txt")
    parser.add_argument("--accel", default="tcg,thread=multi", help="QEMU's accelerator")
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=600, help="after which the machine is ended")
    args = parser.parse_args()
    return run(args) if args.what == "run" else report(args)


if __name__ == "__main__":
    sys.exit(main())
