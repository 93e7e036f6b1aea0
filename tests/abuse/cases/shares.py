"""Abuse catalogue 2: what one client may take, by address and by certificate, and that others are not touched by it."""
import contextlib
import signal
import ssl
import struct
import tempfile

from harness.case import case, check, same
from harness.certificates import Authority
from harness.proxy import Proxy
from peer import ENHANCE_YOUR_CALM, GOAWAY, SETTINGS, Peer
from world import GET, MESSAGE, Honest, await_measure, measured, proxy, say

from .floods import reset_rapidly

SHARE, CROWD = 50, 200  # connections that one client may have, and has
RESOURCE_EXHAUSTED = 8


def is_admitted(peer):
    """Whether the server answered the SETTINGS, or said that the client has its share, or closed at once."""
    while True:
        got = peer.read()
        if got is None:
            return False
        if got[0] == GOAWAY:
            same(struct.unpack(">I", got[3][4:8])[0], ENHANCE_YOUR_CALM, "code of GOAWAY")
            return False
        if got[0] == SETTINGS and got[1]:
            return True


def crowd(stack, p, **options):
    """Connections of one client, all at once; those that are let in. Each makes a call, so that none is asked to leave for its
    silence however long this takes."""
    peers = []
    for _ in range(CROWD):
        with contextlib.suppress(ConnectionResetError, BrokenPipeError, ssl.SSLError):
            peer = stack.enter_context(Peer(p.listen, GET, "memory", **options))
            peers.append(peer)
            peer.request(1, MESSAGE)
    return [peer for peer in peers if is_admitted(peer)]


def flood_of_one(p, others, **options):
    """A crowd floods while another client calls: its share is let in, floods, and is ended; the other client does not notice."""
    with Honest(p, **others) as honest, contextlib.ExitStack() as stack:
        inside = crowd(stack, p, **options)
        same(len(inside), SHARE, "connections let in")
        for peer in inside:
            reset_rapidly(peer, first=3)
        for peer in inside:
            peer.await_close()
        same(measured(p, "prism_connections_over_share_total"), CROWD - SHARE, "connections refused")
        same(measured(p, "prism_connections_abuse_closed_total"), SHARE, "connections ended for a flood")
    say("%d of %d connections let in; %d calls of another client went on, p99 %.1f ms" %
        (SHARE, CROWD, len(honest.times), honest.p99_ms()))


@case
def a_crowd_from_one_address_has_its_share_and_others_theirs():
    with proxy("clients: {connections_per_address: %d}\n" % SHARE) as p:
        flood_of_one(p, {"source": "127.0.0.2"})
        reasons = {line["reason"] for line in p.log_lines() if line["message"] == "connection refused"}
        same(reasons, {"connections of one address"}, "reasons in the log")
        await_measure(p, "prism_connections_open", 0)
        with Peer(p.listen, GET, "memory") as peer:  # and the address comes in again
            peer.request(1, MESSAGE)
            same(peer.await_status(1), 0)


def context(authority, own):
    made = ssl.create_default_context(cafile=authority.path("ca.pem"))
    made.load_cert_chain(authority.path(own + ".pem"), authority.path(own + ".key"))
    made.set_alpn_protocols(["h2"])
    return made


@case
def a_crowd_of_one_identity_has_its_share_and_others_theirs():
    """Both come from the same address."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        authority.issue("server", "DNS:localhost,IP:127.0.0.1")
        authority.issue("alice", "URI:spiffe://prism/alice")
        authority.issue("bob", "URI:spiffe://prism/bob")
        config = ("tls: {cert_file: %s/server.pem, key_file: %s/server.key, client_ca_file: %s/ca.pem, client_cert_required: true}\n"
                  "namespaces: [{name: memory, backend: memory}]\nclients: {connections_per_identity: %d}\n"
                  % (folder, folder, folder, SHARE))
        with Proxy(config=config) as p:
            flood_of_one(p, {"tls": context(authority, "bob")}, tls=context(authority, "alice"))
            line = next(line for line in p.log_lines() if line["message"] == "connection refused")
            same((line["identity"], line["reason"]), ("spiffe://prism/alice", "connections of one identity"), "line in the log")


@case
def calls_past_the_share_of_a_client_are_refused_and_others_served():
    """Streams that are open without end, over 3 connections."""
    calls = 150
    with proxy("clients: {calls: %d}\n" % calls, args=["--workers", "1"]) as p, contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(p.listen, GET, "memory")) for _ in range(3)]
        for i in range(calls):
            peers[i % 3].headers(2 * (i // 3) + 1)
        await_measure(p, "prism_calls_in_flight", calls)
        with Peer(p.listen, GET, "memory") as one_more:
            one_more.request(1, MESSAGE)
            same(one_more.await_status(1), RESOURCE_EXHAUSTED, "status of a call past the share")
        same(measured(p, "prism_calls_over_share_total"), 1, "calls refused")
        with Peer(p.listen, GET, "memory", source="127.0.0.2") as other:
            other.request(1, MESSAGE)
            same(other.await_status(1), 0, "status of another client's call")
        peers[0].close()
        await_measure(p, "prism_calls_in_flight", calls - calls // 3)
        with Peer(p.listen, GET, "memory") as again:
            again.request(1, MESSAGE)
            same(again.await_status(1), 0, "status once there is room")


@case
def other_shares_hold_after_a_reload():
    with proxy("clients: {connections_per_address: 1}\n") as p, Peer(p.listen, GET, "memory") as first:
        check(is_admitted(first))
        with Peer(p.listen, GET, "memory") as second:
            check(not is_admitted(second), "a second connection was let in")
        p.write_config("clients: {connections_per_address: 2}\nnamespaces: [{name: memory, backend: memory}]\n")
        p.signal(signal.SIGHUP)
        p.await_log("configuration reloaded")
        with Peer(p.listen, GET, "memory") as second:
            check(is_admitted(second), "after the reload")
