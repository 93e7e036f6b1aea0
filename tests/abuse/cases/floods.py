"""Abuse catalogue 1, 2, 4, 5, 6 and 8 at the running proxy: floods of one connection and of many, bombs of header fields."""
import contextlib
import time

from harness.case import case, check, same
from peer import (CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS,
                  WINDOW_UPDATE, Peer, frame)
from world import (FLOODS, FRAMES, FRAMES_MAX, GET, LINE_BURST, LINE_PER_S, RESET_BURST, RESET_PER_S, Honest, forget_peak, measured,
                   memory, proxy, say)

ENDED = "connection ended for a flood"
ACCESS = "log: {access: true}\n"


def send_all(peer, data):
    """What the server does not want any more it does not take."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        peer.send(data)


# --- 1, 2, 4: many connections at once, and what is said about each ------------------------------------------------------


def reset_rapidly(peer, pairs=5 * RESET_BURST, first=1):
    """5 times the resets that a connection may make, in one go."""
    block = peer.literal_block()
    send_all(peer, b"".join(frame(HEADERS, END_HEADERS | END_STREAM, stream, block) +
                            frame(RST_STREAM, 0, stream, b"\0\0\0\x08") for stream in range(first, first + 2 * pairs, 2)))


@case
def many_connections_that_reset_rapidly_are_closed():
    """And with log.access there is a line about each: who, why, after how many frames."""
    with proxy(ACCESS) as p:
        started, begin = measured(p, "prism_calls_started_total"), time.monotonic()
        with Honest(p) as honest, contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(p.listen, GET, "memory")) for _ in range(FLOODS)]
            for peer in peers:
                reset_rapidly(peer)
            codes = {peer.await_close() for peer in peers}
        elapsed = time.monotonic() - begin
        check(codes <= {ENHANCE_YOUR_CALM, None}, "codes %s" % codes)  # a reset may overtake the GOAWAY
        same(measured(p, "prism_connections_abuse_closed_total"), FLOODS, "connections closed for flooding")
        begun = measured(p, "prism_calls_started_total") - started - len(honest.times)
        check(begun <= FLOODS * (RESET_BURST + RESET_PER_S * (elapsed + 1)), "%d calls began" % begun)
        lines = p.await_log(ENDED, FLOODS)
        same({line["peer"] for line in lines}, {peer.name for peer in peers}, "peers in the log")
        same({line["reason"] for line in lines}, {"resets"}, "reasons in the log")
        check(max(line["frames"] for line in lines) <= FRAMES_MAX, "frames until it was noticed")
        say("%d connections ended after at most %d frames; p99 of the honest client %.1f ms" %
            (FLOODS, max(line["frames"] for line in lines), honest.p99_ms()))


@case
def one_connection_that_resets_rapidly_is_closed():
    """100,000 frames in the long form: begun is what the budget of one connection allows."""
    with proxy(ACCESS) as p:
        started = measured(p, "prism_calls_started_total")
        with Peer(p.listen, GET, "memory") as peer:
            reset_rapidly(peer, FRAMES // 20)
            code = peer.await_close()
            check(code in (ENHANCE_YOUR_CALM, None), "code %s" % code)
        begun, frames = measured(p, "prism_calls_started_total") - started, p.await_log(ENDED)[0]["frames"]
        check(begun <= RESET_BURST + RESET_PER_S, "%d calls began" % begun)
        check(frames <= FRAMES_MAX, "%d frames until it was noticed" % frames)
        say("%d frames: ended after %d, %d calls began" % (FRAMES // 10, frames, begun))


@case
def lines_about_floods_are_few():
    """Without log.access a flood of floods does not flood the log; the lines tell how many have none."""
    with proxy(args=["--workers", "1"]) as p:
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(p.listen, GET, "memory")) for _ in range(5 * LINE_BURST)]
            for peer in peers:
                reset_rapidly(peer)
            for peer in peers:
                peer.await_close()
        same(measured(p, "prism_connections_abuse_closed_total"), len(peers), "connections closed for flooding")
        elapsed = time.monotonic() - begin
        lines = [line for line in p.log_lines() if line["message"] == ENDED]
        check(LINE_BURST <= len(lines) <= LINE_BURST + LINE_PER_S * elapsed + 1, "%d lines" % len(lines))
        check(sum(1 + line["left_out"] for line in lines) <= len(peers), "counted more than once")


# --- 8: floods of one connection, reading and not reading ----------------------------------------------------------------


def continuations(peer):
    """A header block that goes on."""
    send_all(peer, frame(HEADERS, 0, 1, peer.block()))
    return frame(CONTINUATION, 0, 1)


def empty_data(peer):
    """On a stream that is open."""
    peer.headers(1)
    return frame(DATA, 0, 1)


def late_data(peer):
    """On a stream that the server has reset: it answered before the request's end."""
    peer.path = "/no.Such/Method"
    peer.headers(1)
    peer.await_frame(RST_STREAM, 1)
    return frame(DATA, 0, 1)


FRAME_FLOODS = (  # the frame, or what makes it; the reason in the log
    (frame(PING, 0, 0, b"12345678"), "PING frames too early"),
    (frame(SETTINGS, 0, 0), "SETTINGS frames"),
    (frame(SETTINGS, 0, 0, b"\0\1\0\0\0\0") + frame(SETTINGS, 0, 0, b"\0\1\0\1\0\0"), "SETTINGS frames"),
    (frame(PRIORITY, 0, 1, b"\0\0\0\0\1"), "PRIORITY frames"),
    (frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1"), "WINDOW_UPDATE frames"),
    (frame(0x77, 0, 0, b"?"), "frames of unknown types"),
    (empty_data, "empty DATA frames"),
    (late_data, "DATA on streams that are over"),
    (continuations, "CONTINUATION frames"),
)


def one_flood(p, flood, reading):
    with Peer(p.listen, GET, "memory") as peer:
        one = flood(peer) if callable(flood) else flood
        many = one * (FRAMES * 9 // len(one) // 100 if len(one) > 9 else FRAMES // 100)
        for _ in range(100):
            send_all(peer, many)
            if reading and peer.is_said_to() and peer.read() is None:
                break
        check(peer.await_close() in (ENHANCE_YOUR_CALM, None), "another code")
        return peer.name


@case
def a_flood_of_one_connection_ends_within_1100_frames():
    with proxy(ACCESS) as p, Honest(p) as honest:
        most = {}
        for flood, reason in FRAME_FLOODS:
            for reading in (True, False):
                name = one_flood(p, flood, reading)
                line = p.await_log(ENDED, 1 + sum(most.get(r, (0, 0))[1] for r in most))[-1]
                same((line["peer"], line["reason"]), (name, reason), "line in the log")
                check(line["frames"] <= FRAMES_MAX, "%s: %d frames" % (reason, line["frames"]))
                frames, count = most.get(reason, (0, 0))
                most[reason] = (max(frames, line["frames"]), count + 1)
    say("frames until the end: " + ", ".join("%s %d" % (reason, frames) for reason, (frames, _) in most.items()))
    say("p99 of the honest client meanwhile %.1f ms" % honest.p99_ms())


# --- 5, 6: header fields ------------------------------------------------------------------------------------------------

STREAMS, CONNECTIONS = 100, 10
AMPLIFICATION_MAX = 10  # resident bytes grown over bytes sent


def bomb(peer):
    """A field of 126 bytes goes into the table; 16,000 references to it, a byte each."""
    block = peer.literal_block() + b"\x40\x01x\x7e" + b"v" * 126
    return block + b"\xbe" * (16000 - len(block))


def crumbs(peer):
    """10,000 crumbs of a cookie and fields without a value: two bytes each by reference to a name of the static table."""
    block = peer.literal_block()
    return block + b"\x0f\x11\x00" * ((16000 - len(block)) // 3)


def pinned(p, make):
    """Resident bytes that grew while 10 connections of 100 streams were open with a window of nothing, and bytes sent."""
    forget_peak(p)
    before, sent = memory(p, "VmRSS"), 0
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(p.listen, GET, "memory", window=0)) for _ in range(CONNECTIONS)]
        for peer in peers:
            for stream in range(1, 2 * STREAMS, 2):
                block = make(peer)
                send_all(peer, frame(HEADERS, END_HEADERS, stream, block))
                sent += 9 + len(block)
        for peer in peers:
            peer.await_frame(HEADERS, 2 * STREAMS - 1)  # the last answer: all have been dealt with
        return memory(p, "VmHWM") - before, sent


def allowed(peer):
    """As many references as the limits allow: these are kept while the call is open."""
    return peer.literal_block() + b"\x40\x01x\x7e" + b"v" * 126 + b"\xbe" * 90


HEADER_BYTES = 16 << 10  # LIMIT_HEADER_BYTES


@case
def header_fields_within_the_limits_cost_no_more_than_these():
    """Small blocks may grow by references to what each stream then keeps; the limits of fields, streams and connections of a
    client bound it."""
    with proxy(args=["--workers", "1"]) as p, Honest(p):
        forget_peak(p)
        before = memory(p, "VmRSS")
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(Peer(p.listen, GET, "memory", window=0)) for _ in range(CONNECTIONS)]
            for peer in peers:
                for stream in range(1, 2 * STREAMS, 2):
                    peer.frame(HEADERS, END_HEADERS, stream, allowed(peer))
                peer.frame(PING, 0, 0, b"all here")
            for peer in peers:
                peer.await_frame(PING)
            same(measured(p, "prism_calls_in_flight") >= CONNECTIONS * STREAMS, True, "calls are open")
            each = (memory(p, "VmHWM") - before) / CONNECTIONS / STREAMS
        say("%d bytes a stream for %d sent" % (each, len(allowed(peers[0]))))
        check(each <= 2 * HEADER_BYTES, "%d bytes a stream" % each)


@case
def header_bombs_are_not_stored():
    with proxy(args=["--workers", "1"]) as p, Honest(p):
        for make in (bomb, crumbs):
            grown, sent = pinned(p, make)
            say("%s: %d KiB sent, resident %+d KiB: %.2f times" % (make.__name__, sent >> 10, grown >> 10, grown / sent))
            check(grown <= AMPLIFICATION_MAX * sent, "%s: %d bytes grew from %d" % (make.__name__, grown, sent))
