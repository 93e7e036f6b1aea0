"""How much is done, what the proxy says of itself, and what has to be so after each case."""
import contextlib
import os
import re
import resource
import socket
import struct
import threading
import time

from harness.api import KV, request_of
from harness.case import check, same
from harness.proxy import Proxy
from peer import Peer

LONG = bool(os.environ.get("PRISM_LONG"))


def size(name, short, long):
    return int(os.environ.get(name, long if LONG else short))


ROUNDS = size("ROUNDS", 1000, 10000)  # calls cancelled at each point
DURABLE_ROUNDS = size("DURABLE_ROUNDS", 600, 4000)  # connections of 50 writes to disk that go away
FLOODS = size("FLOODS", 30, 200)  # connections that flood at once
FRAMES = size("FRAMES", 20000, 1000000)  # of a flood of one connection
SLOW = size("SLOW", 300, 2000)  # connections that are slow at once
READERS = size("READERS", 100, 500)  # that do not read
ABORTS = size("ABORTS", 2000, 50000)  # connections that are opened and reset

GROWTH_BYTES = 64 << 20  # what the catalogue calls bounded
RESET_BURST, RESET_PER_S = 200, 33  # src/base/limits.h
FRAMES_MAX = 1100  # by which a flood has ended: the burst of 1,000, and one round of the accounts
LINE_BURST, LINE_PER_S = 10, 1
CONFIG = "namespaces: [{name: memory, backend: memory}]\n"
GET = KV + "Get"
KEY = b"key"
MESSAGE = request_of(GET, {"key": KEY}).SerializeToString()
FRAMED = struct.pack(">BI", 0, len(MESSAGE)) + MESSAGE

# Each connection is a descriptor here and one there, and the proxy takes half of what it may open.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_hard, _hard))


def say(text):
    print("    " + text, flush=True)


# --- what the proxy says of itself ------------------------------------------------------------------------------------


def measured(p, name):
    """The sum of a metric of the data port, or of all its series."""
    lines = [line for line in p.page("/metrics")[1].splitlines() if re.match(name + "[ {]", line)]
    lines = [line for line in lines if 'port="' not in line or 'port="data"' in line]
    check(lines, name)
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def eventually(look, wanted, what):
    """Other processes' figures tell of nothing by themselves: they are looked at again."""
    until = time.monotonic() + 20
    while not wanted(look()):
        check(time.monotonic() < until, "%s is %s" % (what, look()))
        time.sleep(0.02)


def await_measure(p, name, wanted):
    eventually(lambda: measured(p, name), lambda value: value == wanted, name)


def await_descriptors(p, wanted):
    eventually(lambda: len(descriptors(p)), lambda count: count <= wanted, "open descriptors (%d before)" % wanted)


def cpu_seconds(p):
    with open("/proc/%d/stat" % p.process.pid, encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(p, what):
    """VmRSS: bytes resident now; VmHWM: the most since forget_peak."""
    with open("/proc/%d/status" % p.process.pid, encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(what + ":"))


def forget_peak(p):
    with open("/proc/%d/clear_refs" % p.process.pid, "w", encoding="ascii") as clear:
        clear.write("5")


def descriptors(p):
    return {int(name) for name in os.listdir("/proc/%d/fd" % p.process.pid)}


def idle_descriptors(p):
    """The fewest of several looks: the connection that asked for the metrics is still being closed."""
    looks = []
    for _ in range(20):
        looks.append(len(descriptors(p)))
        time.sleep(0.01)
    return min(looks)


def dial(p, source=None):
    host, port = p.listen.rsplit(":", 1)
    return socket.create_connection((host, int(port)), 5, source_address=(source, 0) if source else None)


@contextlib.contextmanager
def nothing_is_left(p):
    """After the body no call and no connection is there, no descriptor more than before, and memory has not run away."""
    with p.client() as client:
        client(KV + "Set", "memory", key=KEY, value=b"v" * 100)
        client(GET, "memory", key=KEY)
    await_measure(p, "prism_connections_open", 0)
    before, idle = memory(p, "VmRSS"), idle_descriptors(p)
    yield
    await_measure(p, "prism_calls_in_flight", 0)
    await_measure(p, "prism_connections_open", 0)
    await_descriptors(p, idle)
    grown = memory(p, "VmRSS") - before
    check(grown <= GROWTH_BYTES, "memory grew by %d bytes" % grown)
    with p.client() as client:
        same(client(GET, "memory", key=KEY).value, b"v" * 100)


@contextlib.contextmanager
def proxy(more="", args=()):
    with Proxy(config=CONFIG + more, args=args) as p, nothing_is_left(p):
        yield p


# --- those who mean well ----------------------------------------------------------------------------------------------


class Honest(threading.Thread):
    """Calls one after the other, not faster than 1,000 a second, until told to stop. Over one connection, from another address
    or with a certificate where these are given."""

    def __init__(self, p, **peer):
        super().__init__()
        self.proxy, self.over, self.times, self.error, self.peer = p, threading.Event(), [], None, peer

    def run(self):
        try:
            with Peer(self.proxy.listen, GET, "memory", **self.peer) as peer:
                peer.open_window(0, (1 << 31) - 1 - 65535)
                stream = 1
                while not self.over.wait(0.001):
                    start = time.monotonic()
                    peer.request(stream, MESSAGE)
                    same(peer.await_status(stream), 0, "status of an honest call")
                    self.times.append(time.monotonic() - start)
                    stream += 2
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        self.over.set()
        self.join()
        if self.error and kind is None:
            raise AssertionError("the honest client failed: %s" % self.error)
        check(self.times or kind, "the honest client got no answer")

    def p99_ms(self):
        return sorted(self.times)[len(self.times) * 99 // 100] * 1000
