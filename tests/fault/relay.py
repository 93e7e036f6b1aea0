#!/usr/bin/python3
"""A TCP relay that does to connections what networks and failing servers do to them.

    with Relay("127.0.0.1:5432") as relay:
        connect(relay.address)
        relay.set(down={"delay_ms": 200})         what holds from now on, for each direction: see Direction
        relay.set(refuse=True)                    nobody listens: connections are refused; open ones stay
        relay.cut("rst", part=0.5)                half of the open connections are reset; "fin": closed in order
        relay.set(cut_on_answer=1.0)              a request goes through, its answer does not: the connection is reset instead
        relay.clear()                             as in the beginning
        relay.stats()                             {"accepted": 3, "open": 1, "cut": 2, "up_bytes": …, "down_bytes": …, "up_chunks": …}

The relay runs on a thread of its own; calls return when they are in effect. "up" is towards the server, "down" towards the client.

From a shell:
    tests/fault/relay.py SERVER [--listen HOST:PORT] [--seed N]
prints {"event": "ready", "listen": "127.0.0.1:40001"}, then takes one command a line on standard input, each a JSON object of one of
the calls above with its arguments, and answers each with a line:
    {"set": {"down": {"delay_ms": 200, "jitter_ms": 50}, "up": {"black_hole": true}}}
    {"set": {"refuse": true}}
    {"cut": {"kind": "rst", "part": 0.5}}
    {"clear": {}}
    {"stats": {}}
It ends with its standard input."""
import argparse
import asyncio
import dataclasses
import json
import random
import socket
import struct
import sys
import threading

CHUNK_BYTES = 65536
WAIT_S = 20


@dataclasses.dataclass
class Direction:
    delay_ms: float = 0      # each chunk arrives so much later; chunks stay in order
    jitter_ms: float = 0     # and up to so much more
    bytes_per_s: float = 0   # 0: as fast as it goes
    corrupt: float = 0       # part of the chunks in which one bit is turned over
    black_hole: bool = False # what comes is taken and goes nowhere; the connection stays open


@dataclasses.dataclass
class Settings:
    up: Direction = dataclasses.field(default_factory=Direction)
    down: Direction = dataclasses.field(default_factory=Direction)
    refuse: bool = False      # the port is closed
    reset_new: float = 0      # part of new connections that are reset at once
    cut_on_answer: float = 0  # part of the answers at whose first chunk the connection is reset


class Pair:
    """A connection of a client, and the one to the server for it."""

    def __init__(self, client):
        self.client = client
        self.server = None
        self.tasks = []

    def reset(self):
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket") if writer else None
            if raw and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        for task in self.tasks:
            task.cancel()
        for writer in (self.client, self.server):
            if writer:
                writer.close()


class Relay:
    def __init__(self, server, listen="127.0.0.1:0", seed=1):
        host, port = server.rsplit(":", 1)
        self.server = (host, int(port))
        host, port = listen.rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.random = random.Random(seed)
        self.settings = Settings()
        self.counts = {"accepted": 0, "cut": 0, "up_bytes": 0, "down_bytes": 0, "up_chunks": 0, "down_chunks": 0}
        self.pairs = set()
        self.listener = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="relay", daemon=True)

    # --- calls of other threads ------------------------------------------------------------------------------------------------

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def start(self):
        self.thread.start()
        self._call(self._listen())
        return self

    def stop(self):
        self._call(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(WAIT_S)
        self.loop.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def set(self, **what):
        self._call(self._set(what))

    def clear(self):
        self._call(self._set({f.name: f.default_factory() if f.default is dataclasses.MISSING else f.default
                              for f in dataclasses.fields(Settings)}))

    def cut(self, kind="rst", part=1.0):
        """How many connections were cut."""
        return self._call(self._cut(kind, part))

    def stats(self):
        return self._call(self._stats())

    # --- on the relay's thread -------------------------------------------------------------------------------------------------

    async def _listen(self):
        self.listener = await asyncio.start_server(self._accept, self.host, self.port, backlog=1024)
        self.port = self.listener.sockets[0].getsockname()[1]

    async def _end(self):
        if self.listener:
            self.listener.close()
        for pair in list(self.pairs):
            pair.close()
        await asyncio.sleep(0)

    async def _set(self, what):
        for name, value in what.items():
            if name not in {f.name for f in dataclasses.fields(Settings)}:
                raise ValueError("there is no setting %r" % name)
            if name in ("up", "down") and isinstance(value, dict):
                value = dataclasses.replace(getattr(self.settings, name), **value)
            setattr(self.settings, name, value)
        if self.settings.refuse and self.listener:
            self.listener.close()
            self.listener = None
        elif not self.settings.refuse and not self.listener:
            await self._listen()

    async def _cut(self, kind, part):
        if kind not in ("rst", "fin"):
            raise ValueError("a connection is cut by rst or fin, not by %r" % kind)
        chosen = sorted(self.pairs, key=id)
        self.random.shuffle(chosen)
        chosen = chosen[:round(len(chosen) * part)]
        for pair in chosen:
            self.counts["cut"] += 1
            if kind == "rst":
                pair.reset()
            else:
                pair.close()
        return len(chosen)

    async def _stats(self):
        return dict(self.counts, open=len(self.pairs))

    def _chance(self, part):
        return part > 0 and self.random.random() < part

    async def _accept(self, reader, writer):
        self.counts["accepted"] += 1
        pair = Pair(writer)
        if self._chance(self.settings.reset_new):
            self.counts["cut"] += 1
            pair.reset()
            return
        try:
            server_reader, pair.server = await asyncio.open_connection(*self.server)
        except OSError:
            pair.reset()
            return
        for end in (pair.client, pair.server):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pairs.add(pair)
        pair.tasks = [self.loop.create_task(self._pump(pair, "up", reader, pair.server)),
                      self.loop.create_task(self._pump(pair, "down", server_reader, pair.client))]
        try:
            await asyncio.gather(*pair.tasks, return_exceptions=True)
        finally:
            self.pairs.discard(pair)
            pair.close()

    async def _pump(self, pair, side, reader, writer):
        """Reads until the end of one side; what was read is sent in time by another task, so that delays do not add up."""
        queue = asyncio.Queue(1024)
        sender = self.loop.create_task(self._send(queue, side, writer))
        pair.tasks.append(sender)
        try:
            while True:
                data = await reader.read(CHUNK_BYTES)
                if data and side == "down" and self._chance(self.settings.cut_on_answer):
                    self.counts["cut"] += 1
                    pair.reset()
                    return
                await queue.put((self.loop.time() + self._delay_s(side), data))
                if not data:
                    await sender
                    return
        except (OSError, ConnectionError):
            pair.reset()

    def _delay_s(self, side):
        direction = getattr(self.settings, side)
        return (direction.delay_ms + self.random.random() * direction.jitter_ms) / 1000

    async def _send(self, queue, side, writer):
        while True:
            due, data = await queue.get()
            direction = getattr(self.settings, side)
            if due > self.loop.time():
                await asyncio.sleep(due - self.loop.time())
            if direction.black_hole:
                continue
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            if direction.bytes_per_s:
                await asyncio.sleep(len(data) / direction.bytes_per_s)
            if self._chance(direction.corrupt):
                data = self._corrupted(data)
            self.counts[side + "_bytes"] += len(data)
            self.counts[side + "_chunks"] += 1
            writer.write(data)
            await writer.drain()

    def _corrupted(self, data):
        broken = bytearray(data)
        broken[self.random.randrange(len(broken))] ^= 1 << self.random.randrange(8)
        return bytes(broken)


def obey(relay, line):
    command = json.loads(line)
    (name, arguments), = command.items()
    if name not in ("set", "cut", "clear", "stats"):
        raise ValueError("there is no command %r" % name)
    return getattr(relay, name)(**arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", metavar="SERVER", help="HOST:PORT to relay to")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="default: a free port of 127.0.0.1")
    parser.add_argument("--seed", type=int, default=1, help="of all that is left to chance; default 1")
    options = parser.parse_args()
    with Relay(options.server, options.listen, options.seed) as relay:
        print(json.dumps({"event": "ready", "listen": relay.address}), flush=True)
        for line in sys.stdin:
            try:
                print(json.dumps({"ok": obey(relay, line)}), flush=True)
            except (ValueError, TypeError) as error:
                print(json.dumps({"error": str(error)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
