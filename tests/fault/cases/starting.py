"""A backend that is not there never stops the proxy from starting; and what tools say about it."""
import json
import os
import socket
import subprocess

from harness.api import ROOT
from harness.case import check, same
from world import KV, Setup, on_backends, outcome, until

PRISMCTL = os.path.join(ROOT, "build", "prismctl")


def ctl(setup, *words):
    done = subprocess.run([PRISMCTL, "--address", setup.proxy.listen, "--admin-address", setup.proxy.metrics, *words],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def nobodys_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@on_backends()
def starts_without_it_and_finds_it_later(kind):
    with Setup(kind, namespace_options="breaker: {open_for: 100ms}") as s:
        s.relay.set(refuse=True)
        s.relay.cut("rst")
        s.proxy.stop()
        s.proxy.start()
        s.call, s.admin = s.proxy.client(), s.proxy.admin()
        status, reason, _ = outcome(s.call, KV + "Get", "far", key=b"k", timeout=10)
        same(status, "UNAVAILABLE")
        check(reason in ("BACKEND_UNREACHABLE", "BREAKER_OPEN"), reason)
        same(outcome(s.call, KV + "Set", "near", key=b"k", value=b"v")[0], "OK")
        until("it is degraded", lambda: s.status("far").state == "degraded")
        check(s.status("far").reason)
        page = json.loads(s.proxy.page("/health")[1])
        same((page["status"], [n["name"] for n in page["namespaces"]]), ("degraded", ["far"]))
        same(s.proxy.page("/ready")[0], 200)
        code, said = ctl(s, "backend", "health")
        same(code, 33)
        check("degraded" in said, said)
        s.relay.clear()
        until("it answers", lambda: outcome(s.call, KV + "Set", "far", key=b"k", value=b"v")[0] == "OK")
        until("it is well", lambda: s.status("far").state == "ok")
        same(ctl(s, "backend", "health")[0], 0)


@on_backends()
def figures_are_there(kind):
    with Setup(kind) as s:
        for _ in range(10):
            s.call(KV + "Set", "far", key=b"k", value=b"v", timeout=20)
        page = s.proxy.page("/metrics")[1]
        labels = '{namespace="far",backend="remote"'
        check('prism_guard_calls_total%s} 10' % labels in page, page)
        check('prism_guard_breaker%s,state="closed"} 1' % labels in page)
        for stat in ("connections", "idle", "in_flight", "waiting", "reconnects", "errors"):
            check('prism_backend_stat%s,stat="%s"}' % (labels, stat) in page, stat)
        code, said = ctl(s, "backend", "stats", "far")
        same(code, 0)
        check("guard.calls" in said and "reconnects" in said, said)


@on_backends()
def a_test_shows_each_step(kind):
    with Setup(kind) as s:
        code, said = ctl(s, "backend", "test", "remote")
        same(code, 0, said)
        check("round_trip" in said and "connect" in said, said)


@on_backends()
def a_test_tells_what_is_wrong(kind):
    port = nobodys_port()
    for address, wanted in (("127.0.0.1:%d" % port, str(port)), ("no-such-host.invalid:%d" % port, "no-such-host.invalid")):
        with Setup(kind, address=address) as s:
            code, said = ctl(s, "backend", "test", "far")
            same(code, 33, said)
            check("BACKEND_UNREACHABLE" in said and wanted in said, said)


@on_backends()
def a_hanging_backend_ends_the_test_too(kind):
    with Setup(kind) as s:
        s.relay.set(up={"black_hole": True})
        code, said = ctl(s, "backend", "test", "far")
        same(code, 33, said)
        check("BACKEND_UNREACHABLE" in said or "BACKEND_LOST" in said, said)
