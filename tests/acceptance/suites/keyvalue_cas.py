"""keyvalue_cas: CompareAndSwap and CompareAndDelete by version, by value, by absence."""
from harness.case import at_once, await_true, case, check, fails, same


@case
def swap_by_version(t):
    first = t.kv.Set(key=t.k("a"), value=b"1").version
    answer = t.kv.CompareAndSwap(key=t.k("a"), expected_version=first, value=b"2")
    check(answer.swapped)
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version), (b"2", answer.version))
    again = t.kv.CompareAndSwap(key=t.k("a"), expected_version=first, value=b"3")
    same((again.swapped, again.found, again.version, again.current_value), (False, True, answer.version, b"2"))
    same(t.kv.Get(key=t.k("a")).value, b"2")


@case
def swap_by_value(t):
    version = t.kv.Set(key=t.k("a"), value=b"\x00one").version
    answer = t.kv.CompareAndSwap(key=t.k("a"), expected_value=b"\x00on", value=b"2")
    same((answer.swapped, answer.found, answer.version, answer.current_value), (False, True, version, b"\x00one"))
    answer = t.kv.CompareAndSwap(key=t.k("a"), expected_value=b"\x00one", value=b"2")
    check(answer.swapped)
    check(answer.version not in (b"", version), "a version of its own")
    same(t.kv.Get(key=t.k("a")).value, b"2")


@case
def an_empty_value_can_be_expected(t):
    t.kv.Set(key=t.k("a"), value=b"")
    check(t.kv.CompareAndSwap(key=t.k("a"), expected_value=b"", value=b"1").swapped)
    check(not t.kv.CompareAndSwap(key=t.k("b"), expected_value=b"", value=b"1").swapped, "a missing key has no value")


@case
def swap_if_absent(t):
    answer = t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"1")
    check(answer.swapped)
    same(t.kv.Get(key=t.k("a")).version, answer.version)
    again = t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"2")
    same((again.swapped, again.found, again.version, again.current_value), (False, True, answer.version, b"1"))


@case
def a_missing_key_is_told_as_missing(t):
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    t.kv.Delete(key=t.k("a"))
    for expected in ({"expected_version": version}, {"expected_value": b"1"}):
        answer = t.kv.CompareAndSwap(key=t.k("a"), value=b"2", **expected)
        same((answer.swapped, answer.found, answer.version, answer.current_value), (False, False, b"", b""))
        answer = t.kv.CompareAndDelete(key=t.k("a"), **expected)
        same((answer.deleted, answer.found, answer.version), (False, False, b""))
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def an_expired_key_is_absent(t):
    t.kv.Set(key=t.k("a"), value=b"1", ttl_ms=40)
    await_true("the key expires", lambda: not t.kv.GetTTL(key=t.k("a")).exists)
    check(not t.kv.CompareAndSwap(key=t.k("a"), expected_value=b"1", value=b"2").swapped)
    check(t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"2").swapped)


@case
def an_expectation_is_required(t):
    with fails("INVALID_ARGUMENT", "FIELD_INVALID"):
        t.kv.CompareAndSwap(key=t.k("a"), value=b"1")
    with fails("INVALID_ARGUMENT", "FIELD_INVALID"):
        t.kv.CompareAndDelete(key=t.k("a"))
    with fails("INVALID_ARGUMENT", "FIELD_INVALID"):
        t.kv.CompareAndSwap(key=t.k("a"), expected_absent=False, value=b"1")
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def keys_are_checked(t):
    for key in (b"", b"k" * 1025):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", "KEY_INVALID", field="key"):
            t.kv.CompareAndSwap(key=key, expected_absent=True, value=b"1")
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", "KEY_INVALID", field="key"):
            t.kv.CompareAndDelete(key=key, expected_value=b"1")


@case
def a_swap_carries_tags_and_ttl(t):
    t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"1", tags={"x": "1"}, ttl_ms=60_000)
    got = t.kv.Get(key=t.k("a"))
    same(dict(got.tags), {"x": "1"})
    check(got.HasField("expires_at"))
    t.kv.CompareAndSwap(key=t.k("a"), expected_value=b"1", value=b"2")
    got = t.kv.Get(key=t.k("a"))
    same((dict(got.tags), got.HasField("expires_at")), ({}, False), "a swap replaces tags and TTL, as Set does")


@case
def a_ttl_must_be_above_0(t):
    with fails("INVALID_ARGUMENT", "TTL_INVALID", "FIELD_INVALID"):
        t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"1", ttl_ms=0)
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def delete_by_version_and_by_value(t):
    first = t.kv.Set(key=t.k("a"), value=b"1").version
    second = t.kv.Set(key=t.k("a"), value=b"2").version
    answer = t.kv.CompareAndDelete(key=t.k("a"), expected_version=first)
    same((answer.deleted, answer.found, answer.version), (False, True, second))
    answer = t.kv.CompareAndDelete(key=t.k("a"), expected_value=b"1")
    same((answer.deleted, answer.found, answer.version), (False, True, second))
    check(t.kv.CompareAndDelete(key=t.k("a"), expected_version=second).deleted)
    t.kv.Set(key=t.k("a"), value=b"3")
    check(t.kv.CompareAndDelete(key=t.k("a"), expected_value=b"3").deleted)
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def counters_lose_no_step(t):
    t.kv.Set(key=t.k("n"), value=b"0")

    def add(steps):
        for _ in range(steps):
            while True:
                got = t.kv.Get(key=t.k("n"))
                if t.kv.CompareAndSwap(key=t.k("n"), expected_version=got.version, value=b"%d" % (int(got.value) + 1)).swapped:
                    break
    results = at_once([lambda: add(5)] * 4)
    same([r for r in results if r is not None], [])
    same(t.kv.Get(key=t.k("n")).value, b"20")


@case
def of_those_who_create_one_wins(t):
    results = at_once([lambda i=i: t.kv.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"%d" % i)
                       for i in range(8)])
    won = [i for i, r in enumerate(results) if r.swapped]
    same(len(won), 1, "winners")
    same(t.kv.Get(key=t.k("a")).value, b"%d" % won[0])
    same({r.current_value for i, r in enumerate(results) if i not in won}, {b"%d" % won[0]})


@case
def a_retried_swap_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-cas-%s" % (t.client.name, t.driver))
    first = once.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"1")
    check(first.swapped)
    same(once.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"1"), first)
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.CompareAndSwap(key=t.k("a"), expected_absent=True, value=b"2")


@case
def a_retried_compare_and_delete_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-cad-%s" % (t.client.name, t.driver))
    t.kv.Set(key=t.k("a"), value=b"1")
    same([once.CompareAndDelete(key=t.k("a"), expected_value=b"1").deleted for _ in range(3)], [True] * 3)
