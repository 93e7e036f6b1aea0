"""Case 66: the backend ends in the middle of a transaction, or its answer to a commit is lost. What is not known is said to be unknown,
and never repeated silently, unless an idempotency key makes that safe."""
from harness.case import check, same
from world import KV, Setup, on_backends, outcome, until

TX = "/prism.keyvalue.v1.KeyValueTransactional/"
SETTINGS = "breaker: {failures: 0}"


def begin(setup, key, value):
    transaction = setup.call(TX + "BeginTransaction", "far", timeout=20).transaction_id
    setup.call(TX + "SetInTransaction", "far", transaction_id=transaction, key=key, value=value, timeout=20)
    return transaction


def await_value(setup, key):
    until("it answers", lambda: outcome(setup.call, KV + "Get", "far", key=key, timeout=5)[0] == "OK")
    return setup.call(KV + "Get", "far", key=key, timeout=10)


@on_backends()
def it_restarts_in_the_middle(kind):
    with Setup(kind, namespace_options=SETTINGS) as s:
        s.call(KV + "Set", "far", key=b"a", value=b"before", timeout=20)
        transaction = begin(s, b"a", b"after")
        kind.kill_and_start()
        status, reason, _ = outcome(s.call, TX + "Commit", "far", transaction_id=transaction, timeout=20)
        got = await_value(s, b"a").value
        wanted = {"OK": (b"after",), "UNKNOWN": (b"before", b"after")}.get(status, (b"before",))
        check(got in wanted, (status, reason, got))


@on_backends()
def the_answer_to_a_commit_is_lost(kind):
    with Setup(kind, namespace_options=SETTINGS) as s:
        s.call(TX + "Commit", "far", transaction_id=begin(s, b"b", b"before"), timeout=20)  # all connections are there
        transaction = begin(s, b"b", b"after")
        calls = s.status("far").guard
        s.relay.set(cut_on_answer=1.0)
        same(outcome(s.call, TX + "Commit", "far", transaction_id=transaction, timeout=20)[:2], ("UNKNOWN", "OUTCOME_UNKNOWN"))
        same(s.status("far").guard.retries, calls.retries)
        s.relay.clear()
        check(await_value(s, b"b").value in (b"before", b"after"))


@on_backends()
def an_idempotency_key_makes_a_write_safe_to_repeat(kind):
    """The answers to the first attempts are lost; the write was done, once: the second attempt answers with the first one's result."""
    with Setup(kind, namespace_options=SETTINGS + ", retry: {max_attempts: 10}") as s:
        s.call(KV + "Set", "far", key=b"c", value=b"before", timeout=20)
        s.relay.set(cut_on_answer=0.1)
        results = {}
        for n in range(60):
            key = b"c%d" % n
            status, reason, _ = outcome(s.call, KV + "Set", "far", key=key, value=b"after", if_version=b"", timeout=20,
                                        metadata=(("prism-idempotency-key", "once-%d" % n),))
            results[n] = status
            check(status in ("OK", "UNKNOWN", "UNAVAILABLE"), (status, reason))  # never ABORTED: that would be a second execution
        check("OK" in results.values(), results)
        check(s.status("far").guard.retries > 0, "nothing was repeated")
        s.relay.clear()
        for n, status in results.items():
            found = await_value(s, b"c%d" % n)
            check(found.found or status != "OK", (n, status))
