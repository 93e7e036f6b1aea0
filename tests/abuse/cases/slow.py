"""Abuse catalogue 10 and 11: connections that take their time, in TLS too, and peers that do not read."""
import contextlib
import select
import ssl
import tempfile
import time

from harness.api import KV, SCAN, request_of
from harness.case import case, check
from harness.certificates import Authority
from harness.proxy import Proxy
from peer import PREFACE, Peer
from world import (GROWTH_BYTES, LONG, READERS, SLOW, Honest, await_measure, dial, eventually, forget_peak, measured, memory, proxy,
                   say)

SHARE = "clients: {connections_per_address: 5000}\n"

# --- 10 -----------------------------------------------------------------------------------------------------------------

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 32  # a ClientHello that says it has 512 bytes
NEVER_ENDING = (  # what comes at once, and what then comes a byte a second
    (b"", b""),
    (b"", PREFACE),
    (b"POST / HTTP/1.1\r\n", b"host: " + b"x" * 100),
    (PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\0\0\0\0\1\x82", b"\0\0\1\x09\0\0\0\0\1\x84" * 10),
)
NEVER_ENDING_TLS = ((b"", b""), (b"", HELLO), (HELLO, b"x" * 100), (HELLO[:5], HELLO[5:]))
SLOW_SECONDS = 10 + 3  # LIMIT_HANDSHAKE_MS, which is looked at once a second; and this machine may be busy


class Slow:
    """A connection that is always about to say something."""

    def __init__(self, p, first, rest):
        self.socket, self.rest, self.at = dial(p), rest, 0
        self.socket.sendall(first)
        self.socket.setblocking(False)

    def is_closed(self):
        """After everything that the server said."""
        try:
            while self.socket.recv(4096):
                pass
            return True
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def say_a_byte(self):
        with contextlib.suppress(ConnectionError):
            self.socket.send(self.rest[self.at:self.at + 1])
        self.at += 1


def outlive(slow):
    """A byte each a second, until the server has closed them all; the seconds that took."""
    start = time.monotonic()
    poll = select.poll()
    by_fd = {one.socket.fileno(): one for one in slow}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    next_byte = start
    while by_fd:
        now = time.monotonic()
        check(now - start < SLOW_SECONDS, "%d slow connections are still open" % len(by_fd))
        if now >= next_byte:
            next_byte += 1
            for one in by_fd.values():
                one.say_a_byte()
        for fd, _ in poll.poll(max(0, next_byte - time.monotonic()) * 1000):
            if by_fd[fd].is_closed():
                poll.unregister(fd)
                del by_fd[fd]
    return time.monotonic() - start


def slow_crowd(p, kinds, honest):
    with honest, contextlib.ExitStack() as stack:
        slow = [Slow(p, *kinds[i % len(kinds)]) for i in range(SLOW)]
        for one in slow:
            stack.enter_context(one.socket)
        seconds = outlive(slow)
    say("%d slow connections gone after %.1f s; %d honest calls meanwhile, p99 %.1f ms" %
        (SLOW, seconds, len(honest.times), honest.p99_ms()))


@case
def connections_that_are_slow_are_closed_while_others_are_served():
    with proxy(SHARE) as p:
        slow_crowd(p, NEVER_ENDING, Honest(p))


@case
def tls_handshakes_that_do_not_end_are_closed_while_others_are_served():
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        trust = ssl.create_default_context(cafile=authority.path("ca.pem"))
        trust.set_alpn_protocols(["h2"])
        config = ("tls: {cert_file: %s/server.pem, key_file: %s/server.key}\nnamespaces: [{name: memory, backend: memory}]\n"
                  % (folder, folder))
        with Proxy(config=config + SHARE) as p:
            slow_crowd(p, NEVER_ENDING_TLS, Honest(p, tls=trust))
            await_measure(p, "prism_connections_open", 0)


# --- 11 -----------------------------------------------------------------------------------------------------------------

VALUE_BYTES, ITEMS = 32 << 10, 512  # 16 MiB that each reader asks for
STALL_SECONDS = 60  # LIMIT_WRITE_STALL_MS
OUTPUT_BYTES = 16 << 20  # buffers that grow by doubling may take twice as much


def ask_and_do_not_read(p, stack, window):
    """A streaming answer for each connection, of which nothing is taken: the window is shut, or nobody reads the socket."""
    message = request_of(SCAN + "Scan", {"page_size": 10000}).SerializeToString()
    for _ in range(READERS):
        peer = stack.enter_context(Peer(p.listen, SCAN + "Scan", "memory", window=window))
        peer.open_window(0, (1 << 31) - 1 - 65535)
        peer.request(1, message)


def seconds_until_ended(p):
    """Until no call is in flight but perhaps the honest client's."""
    start = time.monotonic()
    while measured(p, "prism_calls_in_flight") > 1:
        check(time.monotonic() - start < STALL_SECONDS + 15, "%d calls are in flight" % measured(p, "prism_calls_in_flight"))
        time.sleep(0.5)  # a minute has to pass
    return time.monotonic() - start


def do_not_read(p, kind, window):
    forget_peak(p)
    before, started = memory(p, "VmRSS"), measured(p, "prism_calls_started_total")
    with Honest(p, source="127.0.0.2") as honest, contextlib.ExitStack() as stack:
        ask_and_do_not_read(p, stack, window)
        eventually(lambda: measured(p, "prism_calls_started_total"), lambda n: n >= started + READERS, "calls begun")
        stalled = measured(p, "prism_calls_in_flight")
        check(stalled > 1, "nobody is stalled")
        if LONG:
            say("stalled calls ended after %.0f s" % seconds_until_ended(p))
        grown = memory(p, "VmHWM") - before
    say("%d readers with %s: %d stalled, the others refused; resident %+d KiB; p99 of the honest client %.1f ms" %
        (READERS, kind, stalled, grown >> 10, honest.p99_ms()))
    check(grown <= GROWTH_BYTES, "memory grew by %d bytes" % grown)


def fill(p):
    with p.client() as client:
        for i in range(ITEMS):
            client(KV + "Set", "memory", key=b"item%03d" % i, value=b"v" * VALUE_BYTES)


@case
def memory_is_bounded_while_readers_take_nothing():
    """Windows that stay shut."""
    with proxy(SHARE[:-2] + ", output_bytes: %d}\n" % OUTPUT_BYTES) as p:
        fill(p)
        do_not_read(p, "shut windows", 0)


@case
def memory_is_bounded_while_readers_do_not_read():
    """Windows are open, sockets are full."""
    with proxy(SHARE[:-2] + ", output_bytes: %d}\n" % OUTPUT_BYTES) as p:
        fill(p)
        do_not_read(p, "full sockets", (1 << 31) - 1)
