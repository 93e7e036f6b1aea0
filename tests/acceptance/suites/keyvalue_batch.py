"""keyvalue_batch: BatchSet, BatchGet, BatchDelete; a status an item, limits, the same rules as for single calls."""
from harness.case import case, check, fails, same
from harness.stubs import new

MIB = 1 << 20


def item(key, value=b"v", **fields):
    return new("BatchSetItem", key=key, value=value, **fields)


def codes(answer):
    return [r.status.code for r in answer.results]


@case
def a_batch_stores_reads_and_deletes(t):
    keys = [t.k("%d" % i) for i in range(5)]
    answer = t.kv.BatchSet(items=[item(k, b"%d" % i) for i, k in enumerate(keys)])
    same((codes(answer), answer.succeeded), ([0] * 5, 5))
    same([r.status.index for r in answer.results], list(range(5)))
    same(len({r.version for r in answer.results}), 5, "different versions")
    got = t.kv.BatchGet(keys=keys)
    same((codes(got), got.found), ([0] * 5, 5))
    same([r.item.value for r in got.results], [b"%d" % i for i in range(5)])
    same([r.item.version for r in got.results], [r.version for r in answer.results])
    same(got.results[0].item, t.kv.Get(key=keys[0]), "BatchGet and Get")
    gone = t.kv.BatchDelete(keys=keys)
    same((codes(gone), gone.succeeded, [r.existed for r in gone.results]), ([0] * 5, 5, [True] * 5))
    same(t.kv.BatchGet(keys=keys).found, 0)


@case
def results_have_the_order_of_the_request(t):
    names = ["c", "a", "missing", "b", "a"]
    t.fill("abc")
    got = t.kv.BatchGet(keys=[t.k(n) for n in names])
    same([r.status.index for r in got.results], [0, 1, 2, 3, 4])
    same([r.item.found for r in got.results], [True, True, False, True, True])
    same(got.found, 4)


@case
def missing_keys_are_answers(t):
    got = t.kv.BatchGet(keys=[t.k("x"), t.k("y")])
    same((codes(got), got.found), ([0, 0], 0))
    gone = t.kv.BatchDelete(keys=[t.k("x"), t.k("y")])
    same((codes(gone), gone.succeeded, [r.existed for r in gone.results]), ([0, 0], 2, [False, False]))


@case
def a_broken_item_fails_alone(t):
    answer = t.kv.BatchSet(items=[item(t.k("a")), item(b""), item(b"k" * 1025), item(t.k("b"), ttl_ms=-1),
                                  item(t.k("c"), if_version=b"nope"), item(t.k("d"))])
    same(codes(answer), [0, 3, 3, 3, 10, 0])
    same(answer.succeeded, 2)
    for result in answer.results:
        same(bool(result.status.message), result.status.code != 0, "a message where there is a failure")
        same(bool(result.version), result.status.code == 0, "a version where there is none")
    same([t.kv.Exists(key=t.k(n)).exists for n in "abcd"], [True, False, False, True])


@case
def a_broken_key_fails_alone_in_reads_and_deletes(t):
    t.fill("ab")
    keys = [t.k("a"), b"", b"k" * 1025, t.k("b")]
    same(codes(t.kv.BatchGet(keys=keys)), [0, 3, 3, 0])
    same(codes(t.kv.BatchDelete(keys=keys)), [0, 3, 3, 0])
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def if_version_holds_an_item(t):
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    answer = t.kv.BatchSet(items=[item(t.k("a"), b"2", if_version=version), item(t.k("b"), b"new", if_version=b"")])
    same(codes(answer), [0, 0])
    answer = t.kv.BatchSet(items=[item(t.k("a"), b"3", if_version=version), item(t.k("b"), b"again", if_version=b"")])
    same(codes(answer), [10, 10])
    same([t.kv.Get(key=t.k(n)).value for n in "ab"], [b"2", b"new"])


@case
def items_of_one_key_apply_in_order(t):
    answer = t.kv.BatchSet(items=[item(t.k("a"), b"1"), item(t.k("a"), b"2"), item(t.k("a"), b"3")])
    same(codes(answer), [0, 0, 0])
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version), (b"3", answer.results[2].version))
    gone = t.kv.BatchDelete(keys=[t.k("a"), t.k("a")])
    same([r.existed for r in gone.results], [True, False])


@case
def tags_and_ttl_are_kept(t):
    t.kv.BatchSet(items=[item(t.k("a"), tags={"x": "1"}, ttl_ms=60_000)])
    got = t.kv.BatchGet(keys=[t.k("a")]).results[0].item
    same(dict(got.tags), {"x": "1"})
    check(got.HasField("expires_at"))
    same(got.expires_at, t.kv.GetTTL(key=t.k("a")).expires_at)


@case
def a_batch_has_1_to_1000_items(t):
    keys = [t.k("%04d" % i) for i in range(1001)]
    same(t.kv.BatchSet(items=[item(k) for k in keys[:1000]]).succeeded, 1000)
    same(t.kv.BatchGet(keys=keys[:1000]).found, 1000)
    for method, fields in (("BatchSet", {"items": [item(k) for k in keys]}), ("BatchGet", {"keys": keys}),
                           ("BatchDelete", {"keys": keys})):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field=list(fields)[0]):
            t.kv.call(method, fields)
    same(t.kv.Count(prefix=t.prefix).count, 1000, "the refused batch stored and deleted nothing")
    same(t.kv.BatchDelete(keys=keys[:1000]).succeeded, 1000)
    for method in ("BatchSet", "BatchGet", "BatchDelete"):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID"):
            t.kv.call(method, {})


@case
def a_batch_keeps_the_message_limit(t):
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        t.kv.BatchSet(items=[item(t.k("%d" % i), b"x" * MIB) for i in range(5)])
    same(t.kv.Count(prefix=t.prefix).count, 0)


@case
def what_does_not_fit_the_answer_is_said_an_item(t):
    for i in range(6):
        t.kv.Set(key=t.k("%d" % i), value=b"%d" % i * MIB)
    keys = [t.k("%d" % i) for i in range(6)]
    got = t.kv.BatchGet(keys=keys)
    same(len(got.results), 6)
    fitted = [i for i, c in enumerate(codes(got)) if c == 0]
    same({c for c in codes(got)}, {0, 8}, "codes")
    check(len(fitted) >= 2, "some fit: %s", fitted)
    same([got.results[i].item.value[:1] for i in fitted], [b"%d" % i for i in fitted])
    check(got.ByteSize() <= 4 * MIB, "the answer has %d bytes", got.ByteSize())
    rest = [keys[i] for i in range(6) if i not in fitted]
    while rest:
        again = t.kv.BatchGet(keys=rest)
        done = [k for k, c in zip(rest, codes(again)) if c == 0]
        check(done, "asking again makes progress")
        rest = [k for k in rest if k not in done]
    t.kv.BatchDelete(keys=keys)


@case
def a_retried_batch_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-batch-%s" % (t.client.name, t.driver))
    items = [item(t.k("a"), b"1"), item(b""), item(t.k("b"), b"1")]
    first = once.BatchSet(items=items)
    same(codes(first), [0, 3, 0])
    t.kv.Set(key=t.k("a"), value=b"2")
    same(once.BatchSet(items=items), first, "the retry")
    same(t.kv.Get(key=t.k("a")).value, b"2")
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.BatchSet(items=items[:1])


@case
def a_retried_batch_delete_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-batchdelete-%s" % (t.client.name, t.driver))
    t.fill("ab")
    keys = [t.k("a"), t.k("b"), t.k("c")]
    first = once.BatchDelete(keys=keys)
    same([r.existed for r in first.results], [True, True, False])
    same(once.BatchDelete(keys=keys), first)
