"""Abuse catalogue 14 and 15: deadlines that are over, and clients that cancel wherever the call is."""
from harness.api import KV, request_of
from harness.case import case, check, same
from harness.proxy import Proxy
from peer import DATA, HEADERS, Peer
from world import (CONFIG, FRAMED, DURABLE_ROUNDS, GET, KEY, MESSAGE, ROUNDS, await_measure, measured, memory, nothing_is_left,
                   proxy, say)

DEADLINE_EXCEEDED = 4
SET = KV + "Set"
DURABLE = "namespaces: [{name: memory, backend: memory}, {name: disk, backend: sqlite}]\n"


# --- 14: expired on arrival -------------------------------------------------------------------------------------------


@case
def a_call_that_is_expired_on_arrival_never_reaches_its_backend():
    """The backend is asked whether it has ever heard of the keys, and how many it holds."""
    calls = 200
    with proxy() as p, Peer(p.listen, SET, "memory") as peer, p.client() as client:
        before = measured(p, 'prism_backend_stat')
        for i, timeout in enumerate(("0n", "0S", "0H", "1n") * (calls // 4)):
            message = request_of(SET, {"key": b"late%d" % i, "value": b"v"}).SerializeToString()
            peer.request(2 * i + 1, message, [("grpc-timeout", timeout)])
            same(peer.await_status(2 * i + 1), DEADLINE_EXCEEDED, "status with grpc-timeout " + timeout)
        for i in range(calls):
            check(not client(GET, "memory", key=b"late%d" % i).found, "key %d was written" % i)
        same(measured(p, 'prism_backend_stat'), before, "keys and bytes of the backend")
        check(measured(p, "prism_calls_started_total") >= calls)


# --- 15: cancelled ----------------------------------------------------------------------------------------------------


def after_the_headers(peer, stream):
    peer.headers(stream)


def within_the_prefix(peer, stream):
    peer.headers(stream)
    peer.frame(DATA, 0, stream, FRAMED[:3])


def within_the_message(peer, stream):
    peer.headers(stream)
    peer.frame(DATA, 0, stream, FRAMED[:-1])


def before_the_requests_end(peer, stream):
    peer.headers(stream)
    peer.frame(DATA, 0, stream, FRAMED)


def after_the_request(peer, stream):
    peer.request(stream, MESSAGE)


def after_the_answers_headers(peer, stream):
    peer.request(stream, MESSAGE)
    peer.await_frame(HEADERS, stream)


def after_the_first_byte(peer, stream):
    after_the_answers_headers(peer, stream)
    peer.open_window(stream, 1)
    same(len(peer.await_frame(DATA, stream)[3]), 1, "bytes within a window of 1")


def after_the_last_byte(peer, stream):
    after_the_answers_headers(peer, stream)
    peer.open_window(stream, 1 << 16)
    peer.await_end(stream)


POINTS = (after_the_headers, within_the_prefix, within_the_message, before_the_requests_end, after_the_request,
          after_the_answers_headers, after_the_first_byte, after_the_last_byte)


def cancel_at(p, point, count):
    """One connection, within what it may reset; then a whole call on it."""
    with Peer(p.listen, GET, "memory", window=0) as peer:
        for stream in range(1, 2 * count, 2):
            point(peer, stream)
            peer.reset(stream)
        after_the_last_byte(peer, 2 * count + 1)


def cancel_everywhere(p, rounds):
    for point in POINTS:
        for left in range(rounds, 0, -100):
            cancel_at(p, point, min(left, 100))
    await_measure(p, "prism_calls_in_flight", 0)
    await_measure(p, "prism_connections_open", 0)


@case
def a_client_may_cancel_at_any_point():
    """What is left behind is counted in allocated blocks: fewer than there were calls at any one of the points. A few hundred are
    streams that are kept to be used again; the first rounds make most of these."""
    with proxy(args=["--workers", "1"]) as p:
        cancel_everywhere(p, 200)
        started, ended = measured(p, "prism_calls_started_total"), measured(p, "prism_requests_total")
        blocks, resident = measured(p, "prism_allocated_blocks"), memory(p, "VmRSS")
        cancel_everywhere(p, ROUNDS)
        begun = measured(p, "prism_calls_started_total") - started
        check(begun >= len(POINTS) * ROUNDS / 2, "only %d calls began" % begun)
        same(measured(p, "prism_requests_total") - ended, begun, "calls that ended, of those that began")
        left = measured(p, "prism_allocated_blocks") - blocks
        check(left < ROUNDS / 2, "%d blocks are left" % left)
        say("%d calls cancelled, %d had begun; blocks left %d, resident %+d KiB" %
            (len(POINTS) * ROUNDS, begun, left, (memory(p, "VmRSS") - resident) >> 10))


def set_and_cancel(p, count):
    """Writes that wait for the disk when their client goes away, half with a word, half with the connection."""
    with Peer(p.listen, SET, "disk") as peer:
        for i in range(count):
            message = request_of(SET, {"key": b"k%d" % (i % 10), "value": b"v" * 100}).SerializeToString()
            peer.request(2 * i + 1, message)
            if i % 2:
                peer.reset(2 * i + 1)


def set_and_cancel_all(p):
    for _ in range(DURABLE_ROUNDS):
        set_and_cancel(p, 50)
    await_measure(p, "prism_calls_in_flight", 0)
    await_measure(p, "prism_connections_open", 0)


@case
def a_client_may_cancel_while_the_backend_works():
    """Durable writes: each takes a sync of the disk, and is done or not when its client has gone; it ends once. Blocks that
    SQLite's pages and kept streams take are a few thousand, however many calls there are."""
    with Proxy(config=DURABLE) as p, nothing_is_left(p):
        set_and_cancel_all(p)
        started, ended = measured(p, "prism_calls_started_total"), measured(p, "prism_requests_total")
        blocks = measured(p, "prism_allocated_blocks")
        set_and_cancel_all(p)
        begun = measured(p, "prism_calls_started_total") - started
        check(begun >= 25 * DURABLE_ROUNDS, "only %d calls began" % begun)
        same(measured(p, "prism_requests_total") - ended, begun, "calls that ended, of those that began")
        left = measured(p, "prism_allocated_blocks") - blocks
        check(left <= begun / 5, "%d blocks are left" % left)
        say("%d durable writes of clients that went away; blocks left %d" % (begun, left))
        with p.client() as client:
            client(SET, "disk", key=KEY, value=b"after")
            same(client(GET, "disk", key=KEY).value, b"after")
