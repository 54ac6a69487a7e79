"""What a member with a good certificate may send to another one (B24): frames with flipped, missing and added bytes, lengths and
counts that are lies, after the TLS handshake and a good hello. The member drops the connection or the frame; it goes on, and its
memory does not grow.

--frames=N for more than the test's. What decodes is a message of a member, and believed as such: members are not protected from
one that lies (its cluster is thrown away here), only from what cannot be read.
"""
import os
import random
import socket
import ssl
import struct

from storage_rig import MIB, PROGRAMS, Cluster, check, main, put_some, wait_for

FRAMES = PROGRAMS.option("frames", 10_000)
SEED = PROGRAMS.option("seed", random.randrange(1 << 32))
PER_CONNECTION = 6  # the first that cannot be read ends it
MOST_GROWTH = 8 * MIB
HELLO, PING, PONG, MESSAGE, BULK_REQUEST, BULK_ANSWER = range(1, 7)
CONTROL, BULK = 1, 2


def number(value):
    """As net/bytes.h: seven bits a byte, the lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def frame(kind, payload):
    return struct.pack("<IBB", len(payload), kind, 1) + payload


def hello(kind, source, to):
    return frame(HELLO, bytes([1, 2, kind]) + number(source) + number(to))


def message(kind, source, to, term, flags=0, tail=b"", fields=()):
    values = [source, to, term, *fields] + [0] * (8 - len(fields))
    return bytes([kind, flags]) + b"".join(number(value) for value in values) + tail


def seeds(source, to):
    """Payloads that can be read; the terms in them are old, so that they change nothing."""
    entries = number(3) + 3 * (bytes([4]) + number(0) + number(40) + bytes(40))
    many = number(50_000_000)
    out = [(MESSAGE, message(kind, source, to, 1)) for kind in range(1, 11)]
    out += [(MESSAGE, message(5, source, to, 1, 16, entries, (5, 1, 3))), (MESSAGE, message(5, source, to, 1, 16, many, (5, 1, 3))),
            (PING, bytes(8)), (PONG, bytes(8)), (HELLO, bytes([1, 2, CONTROL]) + number(source) + number(to))]
    bulk = [(BULK_REQUEST, number(7) + bytes([kind]) + number(1) + number(1) + number(4) + b"file" + number(0) + number(MIB))
            for kind in range(0, 8)]
    return {CONTROL: out, BULK: bulk + [(BULK_ANSWER, number(7) + bytes([0]) + number(9) + bytes(9))]}


def mutated(rng, kind, payload):
    data = bytearray(payload)
    for _ in range(rng.choice([1, 1, 2, 8])):
        how = rng.randrange(6)
        at = rng.randrange(len(data) + 1)
        if how == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at:at] = rng.randbytes(rng.choice([1, 4, 200]))
        elif how == 2:
            del data[at:]
        elif how == 3 and at < len(data):
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif how == 4:
            data[at:at] = b"\xFF" * rng.choice([8, 9, 10])
        else:
            data += rng.randbytes(rng.choice([1, 64]))
    out = bytearray(frame(kind, bytes(data)))
    how = rng.randrange(12)
    if how == 0:
        out[0:4] = struct.pack("<I", rng.choice([0, len(data) + 1, 8 * MIB, 8 * MIB + 1, 2**31, 2**32 - 1]))
    elif how == 1:
        out[4] = rng.randrange(256)
    elif how == 2:
        out[5] = rng.randrange(256)
    return bytes(out)


class Liar:
    """Shows the certificate of a member that has stopped."""

    def __init__(self, liar, victim):
        tls = os.path.join(liar.folder, "tls")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(os.path.join(tls, "identity.pem"))
        self.context.load_verify_locations(os.path.join(tls, "authority.pem"))
        self.context.check_hostname = False  # a member's name is in its certificate as a URI
        self.where = (victim.place.host, victim.place.port + 1)
        self.names = (liar.number, victim.number)
        self.seeds = seeds(*self.names)
        self.sent = self.connections = self.closed = 0

    def talk(self, rng, frames):
        kind = rng.choice([CONTROL, CONTROL, BULK])
        with socket.create_connection(self.where, timeout=20) as plain:
            with self.context.wrap_socket(plain) as connection:
                self.connections += 1
                try:
                    connection.sendall(hello(kind, *self.names) if rng.randrange(20) else mutated(rng, *self.seeds[CONTROL][-1]))
                    for _ in range(frames):
                        connection.sendall(mutated(rng, *rng.choice(self.seeds[kind])))
                        self.sent += 1
                    connection.sendall(b"\xFF" * 64)  # no frame at all: whatever came before, this is the end
                    connection.shutdown(socket.SHUT_WR)  # it may wait for the rest of a frame
                    while connection.recv(65536):
                        pass
                except TimeoutError:
                    return
                except OSError:  # it has heard enough
                    pass
                self.closed += 1


def memory(member):
    """Anonymous memory of its process, in bytes."""
    with open(f"/proc/{member.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def body():
    rng = random.Random(SEED)
    with Cluster(PROGRAMS.runi) as cluster:
        put_some(cluster, 50)
        liar = cluster.followers()[0]
        victim = cluster.followers()[1]
        liar.stop()
        talker = Liar(liar, victim)
        while talker.sent < FRAMES // 10:  # what the allocator keeps anyway
            talker.talk(rng, PER_CONNECTION)
        before = memory(victim)
        while talker.sent < FRAMES:
            talker.talk(rng, PER_CONNECTION)
            check(victim.alive(), f"the member ended (--seed={SEED}): {victim.log_end()}")
        growth = memory(victim) - before
        check(wait_for("it answers", victim.metrics), "")
        print(f"{talker.sent} mutated frames on {talker.connections} connections, all closed by the member; memory grew by {growth / MIB:.2f} MiB; seed {SEED}")
        check(growth < MOST_GROWTH, f"memory grew by {growth} bytes")
        check(talker.closed == talker.connections, "some connections were not closed")


if __name__ == "__main__":
    main(body)
