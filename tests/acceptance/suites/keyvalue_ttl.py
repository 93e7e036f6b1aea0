"""keyvalue_ttl: Expire, GetTTL, Persist; where a TTL comes from, and that an expired key is gone to the millisecond.

No case waits a fixed time: expiry is awaited by asking, and what is measured is the server's own expires_at."""
import time

from harness.case import await_true, case, check, fails, items_of, same
from harness import stubs

BAD_TTL = ("TTL_INVALID", "FIELD_INVALID")
SLACK_MS = 5000  # between the clocks of a call: sent, stamped, answered


def ms_of(timestamp):
    return timestamp.seconds * 1000 + timestamp.nanos // 1000000


def now_ms():
    return int(time.time() * 1000)


def expiry(answer):
    return ms_of(answer.expires_at) if answer.HasField("expires_at") else None


def check_expiry(answer, ttl_ms, before):
    """expires_at is ttl_ms after a moment between before and now."""
    at = expiry(answer)
    check(at is not None, "an expires_at is there")
    check(before + ttl_ms - 50 <= at <= now_ms() + ttl_ms + 50, "%d ms from now, wanted %d", at - now_ms(), ttl_ms)


@case
def a_key_without_ttl_never_expires(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    got = t.kv.GetTTL(key=t.k("a"))
    same((got.exists, expiry(got)), (True, None))


@case
def get_ttl_of_a_missing_key(t):
    got = t.kv.GetTTL(key=t.k("nobody"))
    same((got.exists, expiry(got)), (False, None))


@case
def set_with_ttl_tells_when(t):
    before = now_ms()
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=90_500)
    check_expiry(t.kv.GetTTL(key=t.k("a")), 90_500, before)
    same(expiry(t.kv.Get(key=t.k("a"))), expiry(t.kv.GetTTL(key=t.k("a"))))
    same(expiry(items_of(t.kv.Scan(prefix=t.prefix))[0]), expiry(t.kv.GetTTL(key=t.k("a"))))


@case
def milliseconds_are_kept(t):
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=3_600_000)
    first = expiry(t.kv.GetTTL(key=t.k("a")))
    at = t.kv.Expire(key=t.k("a"), ttl_ms=1_234_567)
    same(at.expires_at.nanos % 1000000, 0, "nanoseconds below the millisecond")
    check(abs(expiry(at) - now_ms() - 1_234_567) < SLACK_MS)
    check(expiry(at) != first)
    same(expiry(t.kv.GetTTL(key=t.k("a"))), expiry(at))


@case
def an_expired_key_is_nowhere(t):
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=60)
    at = expiry(t.kv.GetTTL(key=t.k("a"))) or 0
    await_true("the key expires", lambda: not t.kv.GetTTL(key=t.k("a")).exists)
    check(now_ms() >= at, "gone %d ms early", at - now_ms())
    got = t.kv.Get(key=t.k("a"))
    same((got.found, got.value, got.version), (False, b"", b""))
    check(not t.kv.Exists(key=t.k("a")).exists)
    check(not t.kv.Delete(key=t.k("a")).existed)
    check(not t.kv.BatchGet(keys=[t.k("a")]).results[0].item.found)
    check(not t.kv.Expire(key=t.k("a"), ttl_ms=1000).existed)
    check(not t.kv.Persist(key=t.k("a")).existed)


@case
def a_key_lives_until_its_moment_and_not_longer(t):
    # Asked again and again: whatever is answered at a time surely before expires_at is there, surely after it is gone.
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=300)
    at = expiry(t.kv.GetTTL(key=t.k("a")))
    if at is None:
        raise AssertionError("expired before it could be asked for")
    seen_before = seen_after = 0
    while seen_after < 3:
        sent = now_ms()
        found = t.kv.Get(key=t.k("a")).found
        answered = now_ms()
        if answered < at:
            check(found, "gone %d ms too early", at - answered)
            seen_before += 1
        elif sent > at:
            check(not found, "still there %d ms after its time", sent - at)
            seen_after += 1
    check(seen_before or t.client.name == "curl", "it was seen while it lived")


@case
def an_expired_key_is_absent_for_a_write(t):
    version = t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=40).version
    await_true("the key expires", lambda: not t.kv.GetTTL(key=t.k("a")).exists)
    with fails("ABORTED", "VERSION_MISMATCH"):
        t.kv.Set(key=t.k("a"), value=b"2", if_version=version)
    t.kv.Set(key=t.k("a"), value=b"2", if_version=b"")
    same(t.kv.Get(key=t.k("a")).value, b"2")


@case
def a_write_without_ttl_removes_the_old_one(t):
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=3_600_000)
    t.kv.Set(key=t.k("a"), value=b"2")
    same(expiry(t.kv.GetTTL(key=t.k("a"))), None)


@case
def a_ttl_must_be_above_0(t):
    for ttl in (0, -1, -1000):
        with fails("INVALID_ARGUMENT", *BAD_TTL):
            t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=ttl)
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def expire_sets_a_ttl_and_keeps_value_and_version(t):
    version = t.kv.Set(key=t.k("a"), value=b"1", tags={"x": "y"}).version
    before = now_ms()
    answer = t.kv.Expire(key=t.k("a"), ttl_ms=60_000)
    check(answer.existed)
    check_expiry(answer, 60_000, before)
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version, dict(got.tags)), (b"1", version, {"x": "y"}))
    same(expiry(got), expiry(answer))


@case
def expire_of_0_or_less_deletes_now(t):
    for ttl in (0, -1, -5000):
        t.kv.Set(key=t.k("a"), value=b"1")
        answer = t.kv.Expire(key=t.k("a"), ttl_ms=ttl)
        same((answer.existed, expiry(answer)), (True, None), "Expire with %d ms" % ttl)
        check(not t.kv.Get(key=t.k("a")).found)


@case
def expire_of_a_missing_key(t):
    for ttl in (1000, 0):
        answer = t.kv.Expire(key=t.k("nobody"), ttl_ms=ttl)
        same((answer.existed, expiry(answer)), (False, None))
    check(not t.kv.Exists(key=t.k("nobody")).exists)


@case
def expire_needs_a_ttl(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", *BAD_TTL, field="ttl"):
        t.kv.Expire(key=t.k("a"))
    check(t.kv.Exists(key=t.k("a")).exists)


@case
def a_short_expire_takes_effect(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    t.kv.Expire(key=t.k("a"), ttl_ms=30)
    await_true("the key expires", lambda: not t.kv.Exists(key=t.k("a")).exists)


@case
def a_longer_expire_saves_a_key(t):
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=2000)
    first = expiry(t.kv.GetTTL(key=t.k("a")))
    t.kv.Expire(key=t.k("a"), ttl_ms=3_600_000)
    await_true("the first moment passes", lambda: now_ms() > (first or 0))
    check(t.kv.Get(key=t.k("a")).found, "the key lives by its second TTL")


@case
def persist_removes_a_ttl(t):
    version = t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=60_000).version
    answer = t.kv.Persist(key=t.k("a"))
    same((answer.existed, answer.removed), (True, True))
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version, expiry(got)), (b"1", version, None))
    answer = t.kv.Persist(key=t.k("a"))
    same((answer.existed, answer.removed), (True, False))
    answer = t.kv.Persist(key=t.k("nobody"))
    same((answer.existed, answer.removed), (False, False))


@case
def keys_are_checked(t):
    for key in (b"", b"k" * 1025):
        for method, more in (("Expire", {"ttl_ms": 1000}), ("GetTTL", {}), ("Persist", {})):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", "KEY_INVALID", field="key"):
                t.kv.call(method, dict(more, key=key))


# --- where a TTL comes from -------------------------------------------------------------------------------------------

@case
def the_namespace_default_applies_where_none_is_given(t):
    kv = t.namespace("ttl")
    before = now_ms()
    kv.Set(key=t.k("a"), value=b"1")
    check_expiry(kv.GetTTL(key=t.k("a")), 3_600_000, before)
    before = now_ms()
    kv.BatchSet(items=[stubs.new("BatchSetItem", key=t.k("b"), value=b"1")])
    check_expiry(kv.GetTTL(key=t.k("b")), 3_600_000, before)
    before = now_ms()
    kv.CompareAndSwap(key=t.k("c"), expected_absent=True, value=b"1")
    check_expiry(kv.GetTTL(key=t.k("c")), 3_600_000, before)


@case
def the_request_goes_before_the_default(t):
    kv = t.namespace("ttl")
    before = now_ms()
    kv.Set(key=t.k("a"), value=b"1", ttl_ms=7_200_000)
    check_expiry(kv.GetTTL(key=t.k("a")), 7_200_000, before)
    before = now_ms()
    kv.Set(key=t.k("a"), value=b"1", ttl_ms=10_000)
    check_expiry(kv.GetTTL(key=t.k("a")), 10_000, before)


@case
def a_namespace_may_allow_to_live_for_ever_beside_a_default(t):
    kv = t.namespace("ttl")
    kv.Set(key=t.k("a"), value=b"1")
    same(kv.Persist(key=t.k("a")).removed, True)
    same(expiry(kv.GetTTL(key=t.k("a"))), None)


@case
def a_namespace_may_cap_ttls(t):
    kv = t.namespace("finite")
    kv.Set(key=t.k("a"), value=b"1", ttl_ms=3_600_000)
    with fails("INVALID_ARGUMENT", *BAD_TTL):
        kv.Set(key=t.k("b"), value=b"1", ttl_ms=3_600_001)
    with fails("INVALID_ARGUMENT", *BAD_TTL):
        kv.Expire(key=t.k("a"), ttl_ms=3_600_001)
    check(not kv.Exists(key=t.k("b")).exists)


@case
def a_namespace_may_forbid_for_ever(t):
    kv = t.namespace("finite")
    before = now_ms()
    kv.Set(key=t.k("a"), value=b"1")
    check_expiry(kv.GetTTL(key=t.k("a")), 600_000, before)
    with fails("FAILED_PRECONDITION", "TTL_REQUIRED"):
        kv.Persist(key=t.k("a"))
    check(expiry(kv.GetTTL(key=t.k("a"))) is not None, "the TTL is still there")
