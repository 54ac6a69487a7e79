"""Certificates of members: when the clocks of running members jump 65 of their 90 days ahead, all have new ones within about a
minute, serve with them, and reach each other with them. Members that were stopped until theirs had ended have new ones at once.
The steady clocks are left alone.
"""
import glob
import os
import ssl
import subprocess
import sys
import time
from datetime import datetime, timezone

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "rig"))

from cluster import Cluster, check, main, skip, wait_for  # noqa: E402

RUNI = sys.argv[1]
AHEAD_DAYS, LIFETIME_DAYS, AWAY_DAYS = 65, 90, 345


def fake_clocks(folder):
    """Of every program that this rig starts from now on; the file says how far they are ahead."""
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        skip("libfaketime is not installed (package faketime)")
    path = os.path.join(folder, "clock")
    set_clocks_ahead(path, 0)
    os.environ.update(LD_PRELOAD=libraries[0], FAKETIME_TIMESTAMP_FILE=path, FAKETIME_CACHE_DURATION="1",
                      FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_DONT_RESET="1")
    return path


def set_clocks_ahead(path, days):
    with open(path + ".new", "w") as file:
        file.write(f"+{days}d\n")
    os.rename(path + ".new", path)  # it is read at any time


def days_left(certificate):
    """Of a PEM certificate, by the real clock."""
    done = subprocess.run(["openssl", "x509", "-noout", "-enddate"], input=certificate, capture_output=True, text=True, check=True)
    end = datetime.strptime(done.stdout.strip().split("=", 1)[1], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=timezone.utc)
    return (end - datetime.now(timezone.utc)).total_seconds() / 86400


def served(member):
    """The certificate that the member shows to its clients."""
    return ssl.get_server_certificate((member.place.host, member.place.port), timeout=5)


def written(member):
    with open(os.path.join(member.folder, "tls", "identity.pem")) as file:
        return file.read()


def body():
    with Cluster(RUNI) as cluster:
        before = {number: served(member) for number, member in cluster.members.items()}
        for certificate in before.values():
            check(LIFETIME_DAYS - 1 < days_left(certificate) < LIFETIME_DAYS + 1, f"made for {days_left(certificate)} days")
        for member in cluster.members.values():
            check(member.stop() == 0, f"{member} did not stop")
        clock = fake_clocks(cluster.folder)
        for member in cluster.members.values():
            member.start()
        cluster.wait_for_voters(3)
        check(not any(member.log_entries("barn.certificate.renewed") for member in cluster.members.values()), "renewed too early")
        set_clocks_ahead(clock, AHEAD_DAYS)
        begin = time.monotonic()
        for member in cluster.members.values():
            wait_for(lambda: f"{member} has no new certificate:\n{member.log_end()}",
                     lambda: member.log_entries("barn.certificate.renewed"), seconds=120, poll=0.2)
        print(f"renewed within {time.monotonic() - begin:.0f} s")
        cluster.wait_for_voters(3)
        for number, member in cluster.members.items():
            check(not member.log_entries("barn.certificate.not_renewed"), member.log_end())
            now = wait_for(f"{member} serves clients", lambda: _try(served, member))
            check(now != before[number], f"{member} serves with its old certificate")
            check(now.strip() in written(member), f"{member} serves with another certificate than the one it has written down")
            left = days_left(now) - AHEAD_DAYS
            check(LIFETIME_DAYS - 1 < left < LIFETIME_DAYS + 1, f"{member} has a certificate for {left} days")
        # Clients write, and members that begin anew find each other, with them.
        token = wait_for("a token", cluster.token)
        cluster.barn("remove", token.split(".")[2])
        for member in list(cluster.members.values()):
            member.kill()
            member.start()
            cluster.wait_for_voters(3)
        check(all(m["trouble"] == "" for m in cluster.listed()), str(cluster.listed()))
        after_long_away(cluster, clock)


def after_long_away(cluster, clock):
    """All certificates of members have ended while they were stopped. The operator's ends soon, and is told so."""
    for member in cluster.members.values():
        check(member.stop() == 0, f"{member} did not stop")
    set_clocks_ahead(clock, AWAY_DAYS)
    begin = time.monotonic()
    for member in cluster.members.values():
        member.start()
    cluster.wait_for_voters(3, seconds=40)  # when it is looked at again is after a minute
    print(f"served {time.monotonic() - begin:.0f} s after {AWAY_DAYS} days")
    said = cluster.barn("members").stderr
    check("ends on" in said and "runi barn identity" in said, f"no warning: {said}")


def _try(what, *arguments):
    try:
        return what(*arguments)
    except OSError:
        return None


main(body)
