"""A proxy for TCP connections between members that harms them: delay, jitter, a cut in the middle of a frame, half-open
connections, resets, silence. It runs in the hub (netns.py), on a thread of its own.

    proxy = FaultProxy(network)
    link = proxy.link(1, 2)           # what 1 sends to 2's members' port goes through it from now on
    link.delay, link.jitter = 0.05, 0.02
    link.cut_mid_frame()
    proxy.close()
"""
import asyncio
import random
import socket
import struct
import threading

_CHUNK = 16 << 10


class Link:
    """Connections that `sender` opens to `receiver`, both directions of them. Set the fields from any thread."""

    def __init__(self, proxy, sender, receiver):
        self._proxy, self.sender, self.receiver = proxy, sender, receiver
        self.delay = self.jitter = 0.0  # seconds; bytes stay in order
        self.silent = False             # takes bytes and does not pass them on
        self._connections = set()
        self.connections_seen = 0

    def reset(self):
        """RST to both ends of all connections."""
        self._proxy.call(lambda: [c.end(reset=True) for c in list(self._connections)])

    def cut_mid_frame(self):
        """The next piece of each direction is passed on in part, and then the connections end."""
        self._proxy.call(lambda: [setattr(c, "cut_next", True) for c in self._connections])

    def half_open(self):
        """The sender's side is closed and the receiver is told nothing: it goes on in a connection that nobody has."""
        self._proxy.call(lambda: [c.abandon() for c in list(self._connections)])

    def close(self):
        self._proxy.network.detour(self.sender, self.receiver, None)
        self.silent, self.delay, self.jitter = False, 0.0, 0.0
        self.reset()


class _Connection:
    def __init__(self, link, near, far):
        self.link, self.near, self.far = link, near, far
        self.cut_next = self.abandoned = False

    def end(self, reset=False):
        for writer in (self.near, self.far):
            if reset and writer.get_extra_info("socket") is not None:
                linger = struct.pack("ii", 1, 0)  # close sends RST
                try:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                except OSError:
                    pass
            writer.close()
        self.link._connections.discard(self)

    def abandon(self):
        self.abandoned = True
        self.near.close()

    async def pump(self, reader, writer):
        # A delay holds each piece for so long, and not those behind it longer: a slow link, not a narrow one.
        late = asyncio.Queue(1024)
        taking, passing = asyncio.ensure_future(self.take(reader, late)), asyncio.ensure_future(self.pass_on(late, writer))
        await asyncio.wait((taking, passing), return_when=asyncio.FIRST_COMPLETED)
        if not passing.done():
            await asyncio.wait((passing,))  # nothing more comes; what is late still does
        taking.cancel()
        if self.abandoned:
            return  # the far side stays open, and is not answered
        self.end()

    async def take(self, reader, late):
        data = b"begin"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = b""
            hold = self.link.delay + random.random() * self.link.jitter
            await late.put((asyncio.get_running_loop().time() + hold, data))

    async def pass_on(self, late, writer):
        try:
            while True:
                due, data = await late.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                if not data:
                    return
                if self.link.silent:
                    continue
                if self.cut_next:
                    writer.write(data[: max(1, len(data) // 2)])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
        except OSError:
            pass


class FaultProxy:
    def __init__(self, network):
        self.network = network
        self._links = {}
        self._loop = asyncio.new_event_loop()
        self._abandoned = []
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, what):
        async def now():
            return what()
        return asyncio.run_coroutine_threadsafe(now(), self._loop).result(10)

    def link(self, sender, receiver):
        """The way of new connections from `sender` to `receiver`; those that there are end, and begin anew through it."""
        link = self._links.get((sender, receiver))
        if link is None:
            link = Link(self, sender, receiver)
            link.port = asyncio.run_coroutine_threadsafe(self._listen(link), self._loop).result(10)
            self._links[sender, receiver] = link
        self.network.detour(sender, receiver, link.port)
        return link

    async def _listen(self, link):
        async def accept(reader, near):
            try:
                far_reader, far = await asyncio.open_connection(*self.network.members_address(link.receiver))
            except OSError:
                near.close()
                return
            connection = _Connection(link, near, far)
            link._connections.add(connection)
            link.connections_seen += 1
            if link.delay:
                await asyncio.sleep(link.delay)
            ways = [connection.pump(reader, far), connection.pump(far_reader, near)]
            await asyncio.gather(*ways)
            if connection.abandoned:
                self._abandoned.append(connection)

        server = await asyncio.start_server(accept, self.network.hub_address(), 0)
        return server.sockets[0].getsockname()[1]

    def close(self):
        for link in self._links.values():
            self.network.detour(link.sender, link.receiver, None)

        def stop():
            for link in self._links.values():
                for connection in list(link._connections):
                    connection.end(reset=True)
            self._loop.stop()
        self._loop.call_soon_threadsafe(stop)
        self._thread.join(10)
