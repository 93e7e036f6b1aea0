"""list_basic: PushLeft, PushRight, PopLeft, PopRight, Clear; order, existence, limits, idempotent retries, parallel pops."""
from harness.case import at_once, case, check, fails, same

BAD_KEY = ("FIELD_INVALID", "KEY_INVALID")
MIB = 1 << 20
STRANGE = [b"", b"\x00", b"\x00\x00a", b"\xff\xfe", "ü€😀".encode(), b"'; DROP TABLE lists;--", bytes(range(256))]


def all_of(t, key, lists=None):
    """The whole list, by ranges."""
    values, start = [], 0
    while start is not None:
        answer = (lists or t.list).GetRange(key=key, start=start, end=-1)
        values += answer.values
        start = answer.next_start if answer.HasField("next_start") else None
    return values


def fill(t, key, values):
    for i in range(0, len(values), 1000):
        t.list.PushRight(key=key, values=values[i:i + 1000])


@case
def values_come_out_at_the_other_end_in_order(t):
    same(t.list.PushRight(key=t.k("a"), values=[b"1", b"2"]).length, 2)
    same(t.list.PushRight(key=t.k("a"), values=[b"3"]).length, 3)
    popped = [list(t.list.PopLeft(key=t.k("a")).values) for _ in range(4)]
    same(popped, [[b"1"], [b"2"], [b"3"], []])


@case
def push_left_puts_one_after_the_other_in_front(t):
    same(t.list.PushLeft(key=t.k("a"), values=[b"1", b"2", b"3"]).length, 3)
    same(all_of(t, t.k("a")), [b"3", b"2", b"1"])
    t.list.PushLeft(key=t.k("a"), values=[b"4"])
    t.list.PushRight(key=t.k("a"), values=[b"0"])
    same(all_of(t, t.k("a")), [b"4", b"3", b"2", b"1", b"0"])


@case
def a_pop_takes_as_many_as_asked_and_there_are(t):
    t.list.PushRight(key=t.k("a"), values=[b"%d" % i for i in range(5)])
    left = t.list.PopLeft(key=t.k("a"), count=2)
    same((list(left.values), left.length), ([b"0", b"1"], 3))
    right = t.list.PopRight(key=t.k("a"), count=2)
    same((list(right.values), right.length), ([b"4", b"3"], 1), "the last one first")
    rest = t.list.PopLeft(key=t.k("a"), count=1000)
    same((list(rest.values), rest.length), ([b"2"], 0))


@case
def an_empty_list_does_not_exist(t):
    for pop in (t.list.PopLeft, t.list.PopRight):
        answer = pop(key=t.k("a"))
        same((list(answer.values), answer.length), ([], 0))
    t.list.PushLeft(key=t.k("a"), values=[b"x"])
    t.list.PopRight(key=t.k("a"))
    same((all_of(t, t.k("a")), t.list.Clear(key=t.k("a")).removed), ([], 0))


@case
def values_are_any_bytes_and_may_be_the_same(t):
    t.list.PushRight(key=t.k("a"), values=STRANGE + STRANGE)
    same(all_of(t, t.k("a")), STRANGE + STRANGE)
    same(list(t.list.PopLeft(key=t.k("a"), count=14).values), STRANGE + STRANGE)


@case
def keys_are_any_bytes(t):
    names = [b"\x00", b"\x00\x00", b"\xff", b"%", b"*", b"'", b'"', b"\\", b"\n", "ü€😀".encode(), bytes(range(256))]
    for i, name in enumerate(names):
        t.list.PushRight(key=t.k(name), values=[b"%d" % i])
    for i, name in enumerate(names):
        same(all_of(t, t.k(name)), [b"%d" % i], "list %r" % name)


@case
def keys_have_1_to_1024_bytes(t):
    key = (t.prefix + b"k" * 1024)[:1024]
    t.list.PushRight(key=key, values=[b"v"])
    same(list(t.list.PopLeft(key=key).values), [b"v"])
    for bad in (b"", b"k" * 1025):
        for method, fields in (("PushLeft", {"values": [b"v"]}), ("PushRight", {"values": [b"v"]}), ("PopLeft", {}),
                               ("PopRight", {}), ("Clear", {})):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                getattr(t.list, method)(key=bad, **fields)


@case
def a_push_has_1_to_1000_values_and_a_pop_takes_at_most_1000(t):
    same(t.list.PushRight(key=t.k("a"), values=[b"v"] * 1000).length, 1000)
    for values in ([], [b"v"] * 1001):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="values"):
            t.list.PushRight(key=t.k("a"), values=values)
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="count"):
        t.list.PopLeft(key=t.k("a"), count=1001)
    same(len(t.list.PopRight(key=t.k("a"), count=1000).values), 1000)


@case
def models_and_namespaces_do_not_know_each_other(t):
    t.kv.Set(key=t.k("a"), value=b"kv")
    t.set.Add(key=t.k("a"), members=[b"set"])
    t.list.PushRight(key=t.k("a"), values=[b"list"])
    t.list.with_(namespace=t.driver + "-other").PushRight(key=t.k("a"), values=[b"other"])
    same((t.kv.Get(key=t.k("a")).value, all_of(t, t.k("a"))), (b"kv", [b"list"]))
    t.list.Clear(key=t.k("a"))
    same(t.set.GetSize(key=t.k("a")).size, 1)
    same(t.kv.Delete(key=t.k("a")).existed, True)
    same(all_of(t, t.k("a"), t.list.with_(namespace=t.driver + "-other")), [b"other"])


@case
def clear_removes_all_and_says_how_many(t):
    fill(t, t.k("a"), [b"%d" % i for i in range(3000)])
    same(t.list.Clear(key=t.k("a")).removed, 3000)
    same((t.list.Clear(key=t.k("a")).removed, all_of(t, t.k("a"))), (0, []))
    same(t.list.PushRight(key=t.k("a"), values=[b"new"]).length, 1)


@case
def ten_thousand_values_keep_their_order(t):
    values = [b"%05d" % i for i in range(10000)]
    fill(t, t.k("a"), values)
    check(all_of(t, t.k("a")) == values, "the list is as it was pushed")
    popped = []
    for _ in range(5):
        popped += t.list.PopLeft(key=t.k("a"), count=1000).values
    check(popped == values[:5000], "popped from the left")
    check(all_of(t, t.k("a")) == values[5000:], "what is left")


@case
def a_pop_answers_1_mib_at_the_most_and_one_value_of_any_size(t):
    t.list.PushRight(key=t.k("a"), values=[b"x" * 400000] * 4)
    answer = t.list.PopLeft(key=t.k("a"), count=4)
    same((len(answer.values), answer.length), (2, 2))
    t.list.PushLeft(key=t.k("a"), values=[b"L" * (3 * MIB)])
    answer = t.list.PopLeft(key=t.k("a"), count=4)
    same((len(answer.values), len(answer.values[0]), answer.length), (1, 3 * MIB, 2))


@case
def a_message_that_is_too_large_pushes_nothing(t):
    small = t.list.with_(namespace=t.driver + "-small")
    with fails("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"):
        small.PushRight(key=t.k("a"), values=[b"ok", b"x" * 130000])
    same(all_of(t, t.k("a"), small), [])


@case
def a_namespace_that_forbids_forever_takes_no_lists(t):
    finite = t.list.with_(namespace=t.driver + "-finite")
    with fails("FAILED_PRECONDITION", "TTL_REQUIRED"):
        finite.PushRight(key=t.k("a"), values=[b"v"])
    same(all_of(t, t.k("a"), finite), [])


@case
def parallel_pushes_all_arrive_and_parallel_pops_give_each_value_once(t):
    pushed = at_once([lambda i=i: t.list.PushRight(key=t.k("a"), values=[b"%d-%d" % (i, n) for n in range(20)])
                      for i in range(16)])
    same([r for r in pushed if isinstance(r, Exception)], [])
    same(sorted(r.length for r in pushed), [20 * (i + 1) for i in range(16)])
    values = all_of(t, t.k("a"))
    for i in range(16):
        own = [v for v in values if v.startswith(b"%d-" % i)]
        same(own, [b"%d-%d" % (i, n) for n in range(20)], "values of one push stay together in order")
    popped = at_once([lambda i=i: (t.list.PopLeft if i % 2 else t.list.PopRight)(key=t.k("a"), count=21) for i in range(17)])
    same([r for r in popped if isinstance(r, Exception)], [])
    got = [v for r in popped for v in r.values]
    same(sorted(got), sorted(values))


@case
def a_retried_push_pushes_once(t):
    once = t.list.once(t.idem("push"))
    same([once.PushRight(key=t.k("a"), values=[b"1", b"2"]).length for _ in range(3)], [2, 2, 2])
    same(all_of(t, t.k("a")), [b"1", b"2"])
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.PushRight(key=t.k("a"), values=[b"3"])


@case
def a_retried_pop_answers_the_same_values(t):
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2", b"3"])
    once = t.list.once(t.idem("pop"))
    same([list(once.PopLeft(key=t.k("a")).values) for _ in range(3)], [[b"1"]] * 3)
    same(all_of(t, t.k("a")), [b"2", b"3"])
    cleared = t.list.once(t.idem("clear"))
    same([cleared.Clear(key=t.k("a")).removed for _ in range(2)], [2, 2])


@case
def retries_at_the_same_time_have_one_result(t):
    t.list.PushRight(key=t.k("a"), values=[b"%d" % i for i in range(8)])
    once = t.list.once(t.idem("race"))
    results = at_once([lambda: list(once.PopLeft(key=t.k("a")).values) for _ in range(8)])
    same(results, [[b"0"]] * 8)
    same(len(all_of(t, t.k("a"))), 7)
