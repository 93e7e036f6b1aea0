"""Abuse catalogue 17: no descriptors, and connections that come to be reset at once."""
import contextlib
import resource
import select
import socket
import struct
import time

from harness.case import case, check
from harness.proxy import Proxy
from peer import SETTINGS, Peer
from world import ABORTS, CONFIG, GET, MESSAGE, cpu_seconds, descriptors, dial, proxy, say


@contextlib.contextmanager
def without_free_descriptors(p):
    used = descriptors(p)
    first_free = next(n for n in range(len(used) + 1) if n not in used)
    before = resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE, before)


def await_answer(p):
    """Seconds until a new connection is answered."""
    start = time.monotonic()
    while True:
        with contextlib.suppress(OSError, AssertionError), Peer(p.listen, GET, "memory") as peer:
            peer.request(1, MESSAGE)
            peer.await_end(1)
            return time.monotonic() - start
        check(time.monotonic() - start < 20, "no answer after descriptors came back")


def await_refused(waiting, count):
    """Until so many of these connections have been closed: the server refuses one in each pause of a worker."""
    until = time.monotonic() + 20
    while count > 0:
        check(time.monotonic() < until, "%d connections less were refused than expected" % count)
        gone, _, _ = select.select(waiting, [], [], 1)
        waiting = [one for one in waiting if one not in gone]
        count -= len(gone)


@case
def without_descriptors_it_waits_and_then_goes_on():
    with proxy() as p:
        with Peer(p.listen, GET, "memory") as old, contextlib.ExitStack() as stack:
            old.await_frame(SETTINGS)
            with without_free_descriptors(p):
                waiting = [stack.enter_context(dial(p)) for _ in range(50)]
                before, start = cpu_seconds(p), time.monotonic()
                await_refused(waiting, 20)
                share = (cpu_seconds(p) - before) / (time.monotonic() - start)
                check(share < 0.5, "used %.0f %% of a core while waiting" % (share * 100))
                old.request(1, MESSAGE)  # those who are connected are served
                old.await_end(1)
            recovered = await_answer(p)
            check(recovered < 1, "%.2f s until it accepts again" % recovered)
        say("%.0f %% of a core while waiting; accepts again after %.0f ms" % (share * 100, recovered * 1000))


@case
def with_a_full_table_of_the_machine_it_goes_on():
    """ENFILE at every second accept: those connections are refused, the others served."""
    with Proxy(config=CONFIG, args=["--workers", "1", "--fault", "rt.accept.enfile=1/2"]) as p:
        seconds = sum(await_answer(p) for _ in range(20))
        say("20 calls over connections of their own took %.1f s" % seconds)


@case
def connections_that_are_reset_at_once_cost_nothing():
    with proxy() as p:
        start, before = time.monotonic(), cpu_seconds(p)
        for _ in range(ABORTS):
            with dial(p) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        used, took = cpu_seconds(p) - before, time.monotonic() - start
        recovered = await_answer(p)
        check(recovered < 1, "%.2f s until a call is answered after the storm" % recovered)
        say("%d connections reset in %.1f s: %.0f us of CPU each; a call is answered %.0f ms later" %
            (ABORTS, took, used / ABORTS * 1e6, recovered * 1000))
