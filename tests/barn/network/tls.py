"""Who may not speak to a member: TLS 1.2, no certificate, a certificate of somebody else. By openssl's own client."""
import shutil
import subprocess

from common import *


def openssl(port, *words, seconds=5):
    """Everything openssl says of a connection that is held open for a moment."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-alpn", "h2", *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        process.wait(1.5)  # who is refused ends by himself
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
        process.kill()
    out = process.communicate(timeout=seconds)[0].decode(errors="replace")
    return ended, out


def body():
    if shutil.which("openssl") is None:
        skip("there is no program openssl")
    with rig(members=1) as (cluster, _asker, _net):
        place = cluster.leader().place
        identity = os.path.join(cluster.client, "identity.pem")
        good = ["-cert", identity, "-key", identity, "-CAfile", os.path.join(cluster.client, "authority.pem")]
        ended, out = openssl(place.port, "-tls1_3", *good)
        check(not ended and "Verify return code: 0" in out and "TLSv1.3" in out, f"the control, a good client, was refused: {out}")

        other = os.path.join(cluster.folder, "other.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
                        "-subj", "/CN=somebody", "-keyout", other + ".key", "-out", other], check=True, capture_output=True)
        for port, name in ((place.port, "API"), (place.port + 1, "members")):
            # A TLS 1.3 server says that it does not like the certificate when the client believes itself connected.
            for what, words in (("TLS 1.2", ["-tls1_2", *good]), ("TLS 1.1", ["-tls1_1", *good]), ("no certificate", ["-tls1_3"]),
                                ("somebody's own certificate", ["-tls1_3", "-cert", other, "-key", other + ".key"])):
                ended, out = openssl(port, *words)
                check(ended, f"{what} on the {name} port was not refused: {out}")
        say("refused on the API and the members' port: TLS 1.2, TLS 1.1, no certificate, somebody else's certificate")
        for flag in ("-tls1_2", "-tls1_1"):
            _, out = openssl(place.port + 2, flag)
            check("Cipher is (NONE)" in out or "alert" in out, f"{flag} on the port for new nodes was not refused: {out}")


main(body)
