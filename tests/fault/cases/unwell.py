"""Case 19: a backend that hangs, refuses, resets half of its connections, or is slow. Deadlines are kept, the breaker opens where calls
fail, other namespaces do not notice, and when the backend is well again so is the namespace."""
import http.client
import json
import statistics
import time

from harness.case import check, same
from world import KV, Crowd, Setup, on_backends, outcome, until

QUICK = "breaker: {open_for: 300ms}"
DEADLINE_S, LATE_S = 0.3, 0.05
KEEPS = 12


def http_get(setup, namespace, deadline_s):
    """(HTTP status, reason, seconds) of a Get whose deadline the gateway alone keeps: this client would wait on."""
    connection = http.client.HTTPConnection(setup.proxy.listen, timeout=20)
    connection.connect()
    began = time.monotonic()
    connection.request("POST", "/v1/namespaces/%s/keyvalue_basic/Get" % namespace, '{"key": "aw=="}',
                       {"content-type": "application/json", "prism-timeout": "%dms" % (deadline_s * 1000)})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    took = time.monotonic() - began
    connection.close()
    return answer.status, body.get("error", {}).get("reason"), took


def reads(namespace):
    return lambda call, _: outcome(call, KV + "Get", namespace, key=b"k", timeout=5)


def warm(setup):
    setup.call(KV + "Set", "far", key=b"k", value=b"v", timeout=20)
    setup.call(KV + "Set", "near", key=b"k", value=b"v")


def is_well(setup):
    return outcome(setup.call, KV + "Get", "far", key=b"k", timeout=5)[0] == "OK"


def await_well(setup):
    setup.relay.clear()
    until("far answers again", lambda: is_well(setup))
    until("its breaker is closed", lambda: setup.status("far").guard.breaker == "closed")
    until("it is well", lambda: setup.status("far").state == "ok")


@on_backends()
def hangs(kind):
    with Setup(kind, namespace_options="breaker: {failures: 0}") as s:
        warm(s)
        s.relay.set(down={"black_hole": True})
        with Crowd(s.proxy.listen, 2, reads("near")) as neighbours:
            late = []
            for _ in range(KEEPS):
                status, reason, took = http_get(s, "far", DEADLINE_S)
                check(status == 504 or reason in ("BACKEND_LOST", "BACKEND_UNREACHABLE"), (status, reason))
                late.append(took - DEADLINE_S)
        check(statistics.median(late) < LATE_S, "late by %s" % late)
        same({status for status, _, _ in neighbours.all()}, {"OK"})
        await_well(s)


@on_backends()
def hangs_until_the_breaker_opens(kind):
    with Setup(kind, namespace_options="breaker: {open_for: 1h}") as s:
        warm(s)
        s.relay.set(down={"black_hole": True})
        tries = 0
        while http_get(s, "far", 0.15)[1] != "BREAKER_OPEN":
            tries += 1
            check(tries <= 20, "it never opens")
        status, reason, _ = http_get(s, "far", 5)
        same((status, reason), (503, "BREAKER_OPEN"))
        same(s.status("far").state, "degraded")
        check(s.status("far").guard.retry_after_ms > 3000000)
        same(outcome(s.call, KV + "Get", "near", key=b"k")[0], "OK")


@on_backends()
def refuses(kind):
    with Setup(kind, namespace_options=QUICK) as s:
        warm(s)
        with Crowd(s.proxy.listen, 2, reads("near")) as neighbours:
            s.relay.set(refuse=True)
            s.relay.cut("rst")
            until("the breaker opens", lambda: outcome(s.call, KV + "Get", "far", key=b"k", timeout=5)[1] == "BREAKER_OPEN")
            same(s.status("far").state, "degraded")
            same({n["name"] for n in json.loads(s.proxy.page("/health")[1])["namespaces"]}, {"far"})
            same(s.proxy.page("/ready")[0], 200)
            await_well(s)
        same({status for status, _, _ in neighbours.all()}, {"OK"})


@on_backends()
def resets_half_of_the_connections(kind):
    with Setup(kind, namespace_options="breaker: {open_for: 50ms}") as s:
        warm(s)
        with Crowd(s.proxy.listen, 2, reads("near")) as neighbours, Crowd(s.proxy.listen, 8, reads("far")) as callers:
            s.relay.set(reset_new=0.5)
            for _ in range(10):
                before = s.relay.stats()["accepted"]
                s.relay.cut("rst", part=0.5)
                until("connections are made again", lambda: s.relay.stats()["accepted"] > before)
            await_well(s)
        seen = callers.all()
        same({status for status, _, _ in neighbours.all()}, {"OK"})
        check({status for status, _, _ in seen} <= {"OK", "UNAVAILABLE"}, {one[:2] for one in seen})
        check(any(status == "OK" for status, _, _ in seen))


@on_backends()
def is_ten_times_slower(kind):
    with Setup(kind, namespace_options=QUICK) as s:
        warm(s)
        s.relay.set(down={"delay_ms": 20})
        with Crowd(s.proxy.listen, 2, reads("near")) as neighbours, Crowd(s.proxy.listen, 4, reads("far")) as callers:
            until("calls are answered", lambda: sum(map(len, callers.seen)) >= 40)
        same({status for status, _, _ in neighbours.all() + callers.all()}, {"OK"})
        same(s.status("far").guard.opened, 0)
        slow, quick = (statistics.median(took for _, _, took in crowd.all()) for crowd in (callers, neighbours))
        check(slow >= 0.02 and quick < slow, (slow, quick))


@on_backends()
def corrupts_what_it_answers(kind):
    """Nothing worse than an error: no value that nobody wrote, no crash; and well again afterwards."""
    with Setup(kind, namespace_options="breaker: {open_for: 50ms}") as s:
        warm(s)
        s.relay.set(down={"corrupt": 0.3})
        seen = {outcome(s.call, KV + "Get", "near", key=b"k")[0] for _ in range(5)}
        same(seen, {"OK"})
        for _ in range(60):
            outcome(s.call, KV + "Exists", "far", key=b"k", timeout=1)
        s.relay.clear()
        s.relay.cut("rst")
        await_well(s)


@on_backends()
def a_bulkhead_keeps_its_callers_few(kind):
    with Setup(kind, namespace_options="breaker: {failures: 0}, bulkhead: {in_flight: 4, queue: 4}") as s:
        warm(s)
        s.relay.set(down={"black_hole": True})
        work = lambda call, _: outcome(call, KV + "Get", "far", key=b"k", timeout=1)  # noqa: E731
        with Crowd(s.proxy.listen, 20, work) as callers:
            until("places and queue are full", lambda: (s.status("far").guard.in_flight, s.status("far").guard.queued) == (4, 4))
            until("others are refused", lambda: s.status("far").guard.refused_full > 20)
            same(outcome(s.call, KV + "Get", "near", key=b"k")[0], "OK")
        reasons = {(status, reason) for status, reason, _ in callers.all()}
        check(("UNAVAILABLE", "BACKEND_BUSY") in reasons, reasons)
        await_well(s)
        same(until("all places are free", lambda: not s.status("far").guard.in_flight), True)
