"""Backups that are cut or damaged: verify and restore refuse them and leave nothing behind; one that is whole comes back. A
backup that is interrupted, or does not fit on its disk, leaves no file under its name.
"""
import os
import signal
import subprocess

from storage_rig import (MIB, PROGRAMS, Cluster, Mounts, Skip, check, check_written, die_with_rig, fill, flip_bit, main, put_some,
                         wait_for)


def refuse(cluster, path, said):
    before = sorted(os.listdir(cluster.folder))
    done = cluster.runi("barn", "verify", path, code=None)
    check(done.returncode != 0, f"verify takes a backup that is {said}")
    into = os.path.join(cluster.folder, "restored")
    done = cluster.runi("barn", "restore", path, into, code=None)
    check(done.returncode != 0, f"restore takes a backup that is {said}")
    check(sorted(os.listdir(cluster.folder)) == before, f"left behind: {set(os.listdir(cluster.folder)) - set(before)}")
    return done.stderr.splitlines()[0]


def damaged(cluster, backup):
    size = os.path.getsize(backup)
    whole = open(backup, "rb").read()
    path = os.path.join(cluster.folder, "damaged.barn")
    said = None
    for cut in (0, 1, 7, 40, size // 3, size // 2, size - 100, size - 1):
        with open(path, "wb") as file:
            file.write(whole[:cut])
        said = refuse(cluster, path, f"cut at byte {cut} of {size}")
    for byte in (0, 9, size // 4, size // 2, size - 1):
        with open(path, "wb") as file:
            file.write(whole)
        flip_bit(path, byte, 3)
        refuse(cluster, path, f"damaged at byte {byte} of {size}")
    with open(path, "wb") as file:
        file.write(whole + b"x")
    refuse(cluster, path, "longer than it was")
    os.remove(path)
    print(f"cut and damaged in 14 places: refused, e.g.: {said}", flush=True)


def killed(cluster, where):
    """kill -9 while the backup is written: looked for as long as its temporary file is there."""
    path = os.path.join(where, "killed.barn")
    process = subprocess.Popen([PROGRAMS.runi, "barn", "backup", path, "--cluster", cluster.client], preexec_fn=die_with_rig,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("the backup has begun, or is done", lambda: os.listdir(where) or process.poll() is not None, poll=0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if os.path.exists(path):
        cluster.runi("barn", "verify", path)
        os.remove(path)
        said = "was done already, and is whole"
    else:
        said = f"left {os.listdir(where)}"
    done = cluster.barn("backup", path, code=None)
    member = cluster.members[1]
    check(done.returncode == 0, f"after a backup that was killed: {done.stderr}; the member runs: {member.alive()}, serves metrics: "
                                f"{member.metrics() is not None}, status: {cluster.barn('status', code=None).stderr}")
    cluster.runi("barn", "verify", path)
    print(f"kill -9: {said}; the next one under that name succeeds", flush=True)


def no_space(cluster):
    with Mounts() as mounts:
        small = mounts.tmpfs(os.path.join(mounts.root, "small"), "4m")
        fill(small, leave=MIB)
        path = os.path.join(small, "full.barn")
        done = cluster.barn("backup", path, code=None)
        check(done.returncode != 0, "a backup was written where there is no space for it")
        check(os.listdir(small) == ["filling"], f"left behind: {os.listdir(small)}")
        print(f"full disk: {done.stderr.splitlines()[0]}", flush=True)


def body():
    with Cluster(PROGRAMS.runi, members=1) as cluster:
        writer = put_some(cluster, 1500, size=4000)
        backup = os.path.join(cluster.folder, "whole.barn")
        cluster.barn("backup", backup)
        damaged(cluster, backup)
        where = os.path.join(cluster.folder, "backups")
        os.mkdir(where)
        killed(cluster, where)
        with Cluster(PROGRAMS.runi, found=False) as other:
            other.restore(backup)
            print(f"whole: {os.path.getsize(backup)} bytes; {check_written(other, writer)}", flush=True)
        try:
            no_space(cluster)
        except Skip as why:
            print(f"full disk: skipped: {why}")


if __name__ == "__main__":
    main(body)
