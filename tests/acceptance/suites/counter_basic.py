"""counter_basic: Add, AddAndGet, Get, Clear; 64 bits, parallel callers, retries that count once."""
from harness.case import at_once, case, fails, same

BAD_KEY = ("FIELD_INVALID", "KEY_INVALID")
MAX, MIN = 2**63 - 1, -2**63


@case
def nobody_has_added_to_it(t):
    same((t.counter.Get(key=t.k("a")).value, t.counter.Clear(key=t.k("a")).value), (0, 0))


@case
def additions_sum_up(t):
    t.counter.Add(key=t.k("a"), delta=5)
    t.counter.Add(key=t.k("a"), delta=-7)
    same(t.counter.AddAndGet(key=t.k("a"), delta=100).value, 98)
    same((t.counter.Get(key=t.k("a")).value, t.counter.AddAndGet(key=t.k("a"), delta=0).value), (98, 98))


@case
def clear_answers_what_it_was(t):
    t.counter.Add(key=t.k("a"), delta=42)
    same((t.counter.Clear(key=t.k("a")).value, t.counter.Get(key=t.k("a")).value), (42, 0))
    same(t.counter.AddAndGet(key=t.k("a"), delta=1).value, 1)


@case
def a_counter_has_64_bits_and_does_not_wrap(t):
    same(t.counter.AddAndGet(key=t.k("a"), delta=MAX).value, MAX)
    for method in ("Add", "AddAndGet"):
        with fails("OUT_OF_RANGE", "COUNTER_OVERFLOW", field="delta"):
            t.counter.call(method, {"key": t.k("a"), "delta": 1})
    same(t.counter.AddAndGet(key=t.k("a"), delta=MIN).value, -1)
    same(t.counter.AddAndGet(key=t.k("b"), delta=MIN).value, MIN)
    with fails("OUT_OF_RANGE", "COUNTER_OVERFLOW", field="delta"):
        t.counter.Add(key=t.k("b"), delta=-1)
    same((t.counter.Get(key=t.k("a")).value, t.counter.Get(key=t.k("b")).value), (-1, MIN))


@case
def keys_are_any_bytes_and_have_1_to_1024(t):
    names = [b"\x00", b"\x00\x00", b"\xff", b"%", b"'", "ü€😀".encode(), bytes(range(256))]
    for i, name in enumerate(names):
        t.counter.Add(key=t.k(name), delta=i + 1)
    same([t.counter.Get(key=t.k(name)).value for name in names], list(range(1, len(names) + 1)))
    same(t.counter.AddAndGet(key=(t.prefix + b"k" * 1024)[:1024], delta=3).value, 3)
    for bad in (b"", b"k" * 1025):
        for method in ("Add", "AddAndGet", "Get", "Clear"):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                t.counter.call(method, {"key": bad})


@case
def parallel_additions_all_count(t):
    def job(i):
        return lambda: [t.counter.call("Add" if i % 2 else "AddAndGet", {"key": t.k("a"), "delta": 3}) for _ in range(5)]
    results = at_once([job(i) for i in range(20)])
    same([r for r in results if isinstance(r, Exception)], [])
    same(t.counter.Get(key=t.k("a")).value, 300)
    sums = [r.value for i, answers in enumerate(results) for r in answers if i % 2 == 0]
    same(len(set(sums)), len(sums), "every sum is answered once")


@case
def clearing_meanwhile_loses_nothing(t):
    results = at_once([lambda i=i: t.counter.Add(key=t.k("a"), delta=1) if i % 4 else t.counter.Clear(key=t.k("a")).value
                       for i in range(24)])
    taken = sum(r for i, r in enumerate(results) if i % 4 == 0)
    same(taken + t.counter.Get(key=t.k("a")).value, 18)


@case
def a_retried_addition_counts_once(t):
    once = t.counter.once(t.idem("add"))
    for _ in range(3):
        once.Add(key=t.k("a"), delta=5)
    same(t.counter.Get(key=t.k("a")).value, 5)
    get = t.counter.once(t.idem("get"))
    same([get.AddAndGet(key=t.k("a"), delta=1).value for _ in range(3)], [6, 6, 6])
    t.counter.Add(key=t.k("a"), delta=100)
    same(get.AddAndGet(key=t.k("a"), delta=1).value, 6, "the first answer")
    clear = t.counter.once(t.idem("clear"))
    same([clear.Clear(key=t.k("a")).value for _ in range(2)], [106, 106])
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        get.AddAndGet(key=t.k("a"), delta=2)


@case
def retries_at_the_same_time_count_once(t):
    once = t.counter.once(t.idem("race"))
    results = at_once([lambda: once.AddAndGet(key=t.k("a"), delta=7).value for _ in range(8)])
    same((results, t.counter.Get(key=t.k("a")).value), ([7] * 8, 7))


@case
def models_and_namespaces_do_not_know_each_other(t):
    t.kv.Set(key=t.k("a"), value=b"17")
    t.counter.Add(key=t.k("a"), delta=1)
    t.counter.with_(namespace=t.driver + "-other").Add(key=t.k("a"), delta=10)
    same((t.counter.Get(key=t.k("a")).value, t.kv.Get(key=t.k("a")).value), (1, b"17"))
    same(t.counter.with_(namespace=t.driver + "-other").Get(key=t.k("a")).value, 10)


@case
def a_namespace_that_forbids_forever_takes_no_counters(t):
    with fails("FAILED_PRECONDITION", "TTL_REQUIRED"):
        t.counter.with_(namespace=t.driver + "-finite").Add(key=t.k("a"), delta=1)
