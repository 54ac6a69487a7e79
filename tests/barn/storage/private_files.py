"""Everything that a member and its operator's commands write is the operator's alone, whatever the umask of who starts
them: RocksDB would let the group and others read its files.
"""
import os
import stat

from storage_rig import PROGRAMS, Cluster, check, files_below, main, put_some


def open_to_others(folder):
    return sorted(f"{oct(stat.S_IMODE(os.stat(path).st_mode))} {os.path.relpath(path, folder)}"
                  for path in files_below(folder) if os.stat(path).st_mode & 0o077)


def body():
    os.umask(0)
    with Cluster(PROGRAMS.runi, members=2, flags=["--snapshot-entries", "60"]) as cluster:
        put_some(cluster, 200, size=2000)
        cluster.barn("snapshot")
        cluster.wait_until_equal()
        backup = os.path.join(cluster.folder, "backup.barn")
        cluster.barn("backup", backup)
        check(stat.S_IMODE(os.stat(backup).st_mode) == 0o600, f"the backup is {oct(os.stat(backup).st_mode)}")
        count = 0
        for member in cluster.members.values():
            member.stop()
            found = open_to_others(member.folder)
            check(not found, f"others may read {found}")
            names = list(files_below(member.folder))
            check(any(name.endswith(".sst") for name in names), f"there is no table of RocksDB in {names}")
            count += len(names)
        print(f"{count} files of two members, and a backup: the operator's alone", flush=True)


if __name__ == "__main__":
    main(body)
