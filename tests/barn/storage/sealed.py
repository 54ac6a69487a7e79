"""Files of members with a key: what was written through the API is in none of them, in journal, state, snapshots and
chunks; without the key, or with another, a member does not start and says why; rotten bits are noticed as without a key.
"""
import os
import secrets
import tempfile

from storage_rig import (PROGRAMS, Cluster, batches, check, check_written, files_below, flip_bit, get, journal_file, main,
                         put, put_some, wait_for)

SNAPSHOT_EVERY = ["--snapshot-entries", "60"]


def key_file(folder, name):
    path = os.path.join(folder, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def find(folder, planted):
    """Names of files that hold any of it, and how many files there are."""
    found, count = [], 0
    for path in files_below(folder):
        with open(path, "rb") as file:
            content = file.read()
        count += 1
        found += [os.path.relpath(path, folder) for word in planted if word in content]
    return found, count


def plant(cluster):
    words = [secrets.token_hex(16) for _ in range(3)]
    put(cluster, f"planted/{words[0]}", words[1])
    big = "".join([words[2], "x" * 100_000])
    put(cluster, "planted/big", big)
    writer = put_some(cluster, 200, size=2000)
    put(cluster, f"planted/{words[0]}/again", words[1])
    cluster.barn("snapshot")
    cluster.wait_until_equal()
    return [word.encode() for word in words], writer


def plain():
    """The control: without a key all of it is found."""
    with Cluster(PROGRAMS.runi, members=1, flags=SNAPSHOT_EVERY) as cluster:
        words, _ = plant(cluster)
        member = cluster.members[1]
        member.stop()
        found, count = find(member.folder, words)
        check(any("journal/" in name for name in found) and any("state/" in name for name in found),
              f"what was planted is not found in plain files: {found}")
        print(f"plain: found in {sorted(set(found))} of {count} files", flush=True)


def refused(cluster, member, kind, *flags):
    since = member.log_position()
    flags_before, cluster.flags = cluster.flags, list(flags)
    try:
        member.start(wait=False)
        code = member.wait_end()
    finally:
        cluster.flags = flags_before
    said = "".join(open(member.log).read()[since:])
    check(code != 0 and kind in said, f"{kind}: ended with {code}: {said}")
    return said.strip().splitlines()[0]


def body():
    plain()
    with tempfile.TemporaryDirectory(prefix="runink-keys-") as folder:
        key, other = key_file(folder, "key"), key_file(folder, "other-key")
        with Cluster(PROGRAMS.runi, key_file=key, flags=SNAPSHOT_EVERY) as cluster:
            words, writer = plant(cluster)
            for member in cluster.members.values():
                member.stop()
            for member in cluster.members.values():
                found, count = find(member.folder, words)
                check(not found, f"what was planted is in {found}")
                snapshots = [name for name in os.listdir(os.path.join(member.folder, "state")) if "snapshot-" in name]
                check(snapshots, "there is no snapshot to look into")
                cluster.runi("barn", "verify", member.folder, "--key-file", key)
            print(f"sealed: in none of {count} files of each", flush=True)
            member = cluster.members[3]
            print("wrong key:", refused(cluster, member, "key.wrong", "--key-file", other), flush=True)
            print("no key:", refused(cluster, member, "key.missing"), flush=True)
            for kind, words_of in (("key.wrong", ["--key-file", other]), ("key.missing", [])):
                done = cluster.runi("barn", "verify", member.folder, *words_of, code=None)
                check(done.returncode != 0 and kind in done.stderr, f"verify, {kind}: {done.stderr}")
            batch = batches(member)[-3]
            flip_bit(journal_file(member, batch["segment"]), batch["offset"] + 64 + 5)
            for each in cluster.members.values():
                each.start()
            wait_for("it is whole again", lambda: not os.path.exists(journal_file(member, "vote-lost")))
            cluster.wait_until_equal()
            check(get(cluster, f"planted/{words[0].decode()}").stdout.encode().strip() == words[1], "the planted value is gone")
            print(f"with the key: {check_written(cluster, writer)}", flush=True)


if __name__ == "__main__":
    main(body)
