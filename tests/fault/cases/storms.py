"""Case 20: the backend fails, and 100 clients call on. Retries stay a tenth of the calls, and no write that may have been executed is
sent again."""
from harness.case import check, same
from world import KV, SCALE, Crowd, Setup, on_backends, outcome, until

CLIENTS = 100
BURST = 10  # of the retry budget, retry.h


def gets(call, _):
    return outcome(call, KV + "Get", "far", key=b"k", timeout=5)


def figures(setup):
    return setup.status("far").guard


@on_backends()
def retries_are_a_tenth(kind):
    """Without a breaker every call is tried: what is beyond calls is the retries'."""
    with Setup(kind, namespace_options="breaker: {failures: 0}") as s:
        s.call(KV + "Set", "far", key=b"k", value=b"v", timeout=20)
        s.relay.set(reset_new=1.0)
        s.relay.cut("rst")
        with Crowd(s.proxy.listen, CLIENTS, gets):
            until("enough calls", lambda: figures(s).calls >= 1000 * SCALE, 60)
        g = figures(s)
        check(g.retries_denied > 0, g)
        check(g.retries <= g.calls / 10 + BURST, g)
        check(g.failures <= g.calls * 1.1 + BURST, g)


@on_backends()
def a_breaker_lets_few_through(kind):
    with Setup(kind, namespace_options="breaker: {open_for: 1h}") as s:
        s.call(KV + "Set", "far", key=b"k", value=b"v", timeout=20)
        s.relay.set(reset_new=1.0)
        s.relay.cut("rst")
        with Crowd(s.proxy.listen, CLIENTS, gets) as callers:
            until("it is open", lambda: figures(s).breaker == "open")
            before = figures(s)
            calls = sum(map(len, callers.seen))
            until("enough calls", lambda: sum(map(len, callers.seen)) >= calls + 1000 * SCALE, 60)
            after = figures(s)
        same((after.calls, after.retries), (before.calls, before.retries))
        check(after.refused_open - before.refused_open >= 900 * SCALE, after)


@on_backends()
def a_write_without_an_answer_is_not_sent_again(kind):
    with Setup(kind, namespace_options="breaker: {failures: 0}") as s:
        s.call(KV + "Set", "far", key=b"k", value=b"old", timeout=20)
        s.relay.set(cut_on_answer=1.0)
        status, reason, _ = outcome(s.call, KV + "Set", "far", key=b"k", value=b"new", timeout=10)
        while reason == "BACKEND_UNREACHABLE":  # the cut hit the connection before the call was on it
            status, reason, _ = outcome(s.call, KV + "Set", "far", key=b"k", value=b"new", timeout=10)
        same((status, reason), ("UNKNOWN", "OUTCOME_UNKNOWN"))
        s.relay.clear()
        until("it answers", lambda: outcome(s.call, KV + "Get", "far", key=b"k", timeout=5)[0] == "OK")
        check(s.call(KV + "Get", "far", key=b"k", timeout=10).value in (b"old", b"new"))
