"""keyvalue_basic: Set, Get, Delete, Exists; keys, values, tags, versions, if_version, default TTLs, idempotency keys."""
from harness.case import at_once, case, check, fails, same
from harness.failure import Failure

BAD_KEY = ("FIELD_INVALID", "KEY_INVALID")
MIB = 1 << 20


@case
def get_answers_what_set_stored(t):
    version = t.kv.Set(key=t.k("a"), value=b"one").version
    check(version, "Set answers a version")
    got = t.kv.Get(key=t.k("a"))
    same((got.found, got.value, got.version), (True, b"one", version))
    check(not got.HasField("expires_at"), "no TTL was asked for")


@case
def get_of_a_missing_key_is_an_answer(t):
    got = t.kv.Get(key=t.k("nobody"))
    same((got.found, got.value, got.version, dict(got.tags)), (False, b"", b"", {}))


@case
def an_empty_value_is_a_value(t):
    t.kv.Set(key=t.k("a"), value=b"")
    got = t.kv.Get(key=t.k("a"))
    same((got.found, got.value), (True, b""))


@case
def values_are_any_bytes(t):
    value = bytes(range(256)) * 5
    t.kv.Set(key=t.k("a"), value=value)
    same(t.kv.Get(key=t.k("a")).value, value)


@case
def keys_are_any_bytes(t):
    names = [b"\x00", b"\x00\x00", b"\xff", b"\xff\xff", b"_", b"%", b"*", b"'", b'"', b"\\", b"/", b"..", b" ", b"\n",
             "ü€😀".encode(), b"\xc3\x28", bytes(range(256))]
    for i, name in enumerate(names):
        t.kv.Set(key=t.k(name), value=b"%d" % i)
    for i, name in enumerate(names):
        same(t.kv.Get(key=t.k(name)).value, b"%d" % i, "value of %r" % name)


@case
def pattern_characters_name_themselves_only(t):
    t.kv.Set(key=t.k("axb"), value=b"1")
    for name in ("a_b", "a%b", "a*b", "a?b", "a.b"):
        check(not t.kv.Get(key=t.k(name)).found, "%s must not match axb", name)
        check(not t.kv.Delete(key=t.k(name)).existed, "%s must not delete axb", name)
    check(t.kv.Exists(key=t.k("axb")).exists)


@case
def keys_have_1_to_1024_bytes(t):
    for size in (1, 1024):
        key = (t.prefix + b"k" * 1024)[-size:] if size == 1 else (t.prefix + b"k" * 1024)[:size]
        t.kv.Set(key=key, value=b"v")
        check(t.kv.Get(key=key).found, "a key of %d bytes", size)
        check(t.kv.Exists(key=key).exists)
        check(t.kv.Delete(key=key).existed)
    for key in (b"", b"k" * 1025, b"k" * 100000):
        for method in ("Set", "Get", "Delete", "Exists"):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                getattr(t.kv, method)(key=key)


@case
def every_write_makes_a_version_of_its_own(t):
    versions = [t.kv.Set(key=t.k("a"), value=b"same").version for _ in range(5)]
    t.kv.Delete(key=t.k("a"))
    versions.append(t.kv.Set(key=t.k("a"), value=b"same").version)
    versions.append(t.kv.Set(key=t.k("b"), value=b"same").version)
    same(len(set(versions)), len(versions), "different versions of %s" % versions)


@case
def reading_does_not_change_the_version(t):
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    t.kv.Exists(key=t.k("a"))
    same([t.kv.Get(key=t.k("a")).version for _ in range(3)], [version] * 3)


@case
def set_if_version_writes_only_over_that_version(t):
    first = t.kv.Set(key=t.k("a"), value=b"1").version
    second = t.kv.Set(key=t.k("a"), value=b"2", if_version=first).version
    with fails("ABORTED", "VERSION_MISMATCH"):
        t.kv.Set(key=t.k("a"), value=b"3", if_version=first)
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version), (b"2", second))


@case
def set_with_empty_if_version_only_creates(t):
    version = t.kv.Set(key=t.k("a"), value=b"1", if_version=b"").version
    with fails("ABORTED", "VERSION_MISMATCH"):
        t.kv.Set(key=t.k("a"), value=b"2", if_version=b"")
    same(t.kv.Get(key=t.k("a")).version, version)
    t.kv.Delete(key=t.k("a"))
    t.kv.Set(key=t.k("a"), value=b"3", if_version=b"")


@case
def set_if_version_of_a_missing_key_is_aborted(t):
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    t.kv.Delete(key=t.k("a"))
    with fails("ABORTED", "VERSION_MISMATCH"):
        t.kv.Set(key=t.k("a"), value=b"2", if_version=version)
    for strange in (b"x", b"\xff" * 64):
        with fails("ABORTED", "VERSION_MISMATCH"):
            t.kv.Set(key=t.k("a"), value=b"2", if_version=strange)
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def of_writers_with_one_version_one_wins(t):
    version = t.kv.Set(key=t.k("a"), value=b"0").version
    results = at_once([lambda i=i: t.kv.Set(key=t.k("a"), value=b"%d" % i, if_version=version) for i in range(8)])
    won = [i for i, r in enumerate(results) if not isinstance(r, Exception)]
    same(len(won), 1, "winners")
    same({r.code for r in results if isinstance(r, Failure)}, {"ABORTED"})
    same(t.kv.Get(key=t.k("a")).value, b"%d" % won[0])


@case
def delete_tells_whether_there_was_something(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    check(t.kv.Delete(key=t.k("a")).existed)
    check(not t.kv.Delete(key=t.k("a")).existed)
    check(not t.kv.Get(key=t.k("a")).found)


@case
def delete_if_version_deletes_only_that_version(t):
    first = t.kv.Set(key=t.k("a"), value=b"1").version
    second = t.kv.Set(key=t.k("a"), value=b"2").version
    with fails("ABORTED", "VERSION_MISMATCH"):
        t.kv.Delete(key=t.k("a"), if_version=first)
    check(t.kv.Exists(key=t.k("a")).exists)
    check(t.kv.Delete(key=t.k("a"), if_version=second).existed)


@case
def exists_follows_set_and_delete(t):
    seen = [t.kv.Exists(key=t.k("a")).exists]
    t.kv.Set(key=t.k("a"), value=b"1")
    seen.append(t.kv.Exists(key=t.k("a")).exists)
    t.kv.Delete(key=t.k("a"))
    seen.append(t.kv.Exists(key=t.k("a")).exists)
    same(seen, [False, True, False])


@case
def tags_come_back_and_go_with_the_next_write(t):
    tags = {"team": "orders", "umlaut": "ü€", "empty": ""}
    t.kv.Set(key=t.k("a"), value=b"1", tags=tags)
    same(dict(t.kv.Get(key=t.k("a")).tags), tags)
    t.kv.Set(key=t.k("a"), value=b"2", tags={"other": "1"})
    same(dict(t.kv.Get(key=t.k("a")).tags), {"other": "1"})
    t.kv.Set(key=t.k("a"), value=b"3")
    same(dict(t.kv.Get(key=t.k("a")).tags), {})


@case
def an_item_has_at_most_64_tags(t):
    t.kv.Set(key=t.k("a"), value=b"1", tags={"t%d" % i: "x" for i in range(64)})
    same(len(t.kv.Get(key=t.k("a")).tags), 64)
    with fails("INVALID_ARGUMENT", field="tags"):
        t.kv.Set(key=t.k("a"), value=b"1", tags={"t%d" % i: "x" for i in range(65)})


@case
def a_tag_has_at_most_1024_bytes(t):
    t.kv.Set(key=t.k("a"), value=b"1", tags={"n" * 24: "v" * 1000})
    with fails("INVALID_ARGUMENT"):
        t.kv.Set(key=t.k("a"), value=b"1", tags={"n" * 25: "v" * 1000})


@case
def a_message_may_have_the_limit_and_not_more(t):
    # 64 KiB a message here: the value, its key and a few bytes of framing.
    small = t.namespace("small")
    room = 64 * 1024 - len(t.k("a")) - 16
    small.Set(key=t.k("a"), value=b"x" * room)
    same(len(small.Get(key=t.k("a")).value), room)
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        small.Set(key=t.k("a"), value=b"y" * (64 * 1024 * 2))
    same(small.Get(key=t.k("a")).value[:1], b"x", "the refused value was not stored")


@case(clients=("grpcio", "grpc-js"))
def the_limit_is_exact(t):
    small = t.namespace("small")
    key = t.k("e")
    overhead = 2 + len(key) + 4  # tag and length of key (below 128 bytes) and of value (three bytes of length)
    check(len(key) < 128)
    small.Set(key=key, value=b"x" * (65536 - overhead))
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        small.Set(key=key, value=b"x" * (65536 - overhead + 1))


@case
def the_default_limit_is_4_mib(t):
    value = b"0123456789abcdef" * (4 * MIB // 16 - 16)
    t.kv.Set(key=t.k("a"), value=value)
    check(t.kv.Get(key=t.k("a")).value == value, "the large value comes back byte for byte")
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        t.kv.Set(key=t.k("a"), value=value + b"x" * 4096)
    t.kv.Delete(key=t.k("a"))


@case
def a_namespace_may_raise_the_limit(t):
    big = t.namespace("big")
    value = b"B" * (9 * MIB)
    big.Set(key=t.k("a"), value=value)
    check(big.Get(key=t.k("a")).value == value)
    big.Delete(key=t.k("a"))


@case
def namespaces_do_not_see_each_other(t):
    other = t.namespace("other")
    t.kv.Set(key=t.k("a"), value=b"mine")
    check(not other.Get(key=t.k("a")).found)
    other.Set(key=t.k("a"), value=b"theirs")
    other.Delete(key=t.k("a"))
    same(t.kv.Get(key=t.k("a")).value, b"mine")


@case
def writes_of_many_callers_all_arrive(t):
    jobs = [lambda i=i: t.kv.Set(key=t.k("%d" % i), value=b"%d" % i) for i in range(40)]
    results = at_once(jobs)
    same([r for r in results if isinstance(r, Exception)], [])
    same(len({r.version for r in results}), 40, "different versions")
    same([t.kv.Get(key=t.k("%d" % i)).value for i in range(40)], [b"%d" % i for i in range(40)])


# --- idempotency keys ---------------------------------------------------------------------------------------------------

@case
def a_retry_with_the_same_key_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-retry-%s" % (t.client.name, t.driver))
    first = once.Set(key=t.k("a"), value=b"1").version
    t.kv.Set(key=t.k("a"), value=b"2")
    same(once.Set(key=t.k("a"), value=b"1").version, first, "version of the retry")
    same(t.kv.Get(key=t.k("a")).value, b"2", "the retry wrote nothing")


@case
def a_retried_delete_answers_as_the_first(t):
    once = t.kv.with_(prism_idempotency_key="%s-delete-%s" % (t.client.name, t.driver))
    t.kv.Set(key=t.k("a"), value=b"1")
    same([once.Delete(key=t.k("a")).existed for _ in range(3)], [True] * 3)


@case
def another_request_with_the_same_key_is_refused(t):
    once = t.kv.with_(prism_idempotency_key="%s-reuse-%s" % (t.client.name, t.driver))
    once.Set(key=t.k("a"), value=b"1")
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.Set(key=t.k("a"), value=b"2")
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.Set(key=t.k("b"), value=b"1")
    same(t.kv.Get(key=t.k("a")).value, b"1")
    check(not t.kv.Exists(key=t.k("b")).exists)


@case
def idempotency_keys_belong_to_their_namespace(t):
    key = "%s-ns-%s" % (t.client.name, t.driver)
    t.kv.with_(prism_idempotency_key=key).Set(key=t.k("a"), value=b"1")
    t.namespace("other").with_(prism_idempotency_key=key).Set(key=t.k("a"), value=b"2")
    same(t.namespace("other").Get(key=t.k("a")).value, b"2")


@case
def retries_at_the_same_time_have_one_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-race-%s" % (t.client.name, t.driver))
    results = at_once([lambda: once.Set(key=t.k("a"), value=b"1") for _ in range(8)])
    same([r for r in results if isinstance(r, Exception)], [])
    same(len({r.version for r in results}), 1, "versions")
    same(t.kv.Get(key=t.k("a")).version, results[0].version)


@case
def a_failed_call_may_be_retried_with_its_key(t):
    once = t.kv.with_(prism_idempotency_key="%s-failed-%s" % (t.client.name, t.driver))
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    t.kv.Delete(key=t.k("a"))
    with fails("ABORTED", "VERSION_MISMATCH"):
        once.Set(key=t.k("a"), value=b"2", if_version=version)
    check(not t.kv.Exists(key=t.k("a")).exists)
    with fails("ABORTED", "VERSION_MISMATCH"):
        once.Set(key=t.k("a"), value=b"2", if_version=version)


@case
def an_idempotency_key_has_at_most_255_bytes(t):
    t.kv.with_(prism_idempotency_key=("%s%s" % (t.client.name, t.driver)).ljust(255, "k")).Set(key=t.k("a"), value=b"1")
    with fails("INVALID_ARGUMENT"):
        t.kv.with_(prism_idempotency_key="k" * 256).Set(key=t.k("a"), value=b"1")
