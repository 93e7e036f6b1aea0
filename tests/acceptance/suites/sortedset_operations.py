"""sortedset_operations: Union, Intersection; weights, aggregates, infinities, pages, limits."""
import math

from harness.case import case, check, fails, same
from suites.sortedset_basic import INF, fill, pairs_of, scored

SUM, MIN, MAX = "SCORE_AGGREGATE_SUM", "SCORE_AGGREGATE_MIN", "SCORE_AGGREGATE_MAX"


def result(t, method, keys, page_size=10000, **fields):
    pairs, cursor = [], b""
    for _ in range(10000):
        page = t.sortedset.call(method, dict(fields, keys=keys, page_size=page_size, cursor=cursor))
        pairs += pairs_of(page)
        cursor = page.next_cursor
        if not cursor:
            return pairs
    raise AssertionError("%s does not end" % method)


def two(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"x", 1), (b"y", 2), (b"z", 3)]))
    t.sortedset.Add(key=t.k("b"), members=scored([(b"y", 10), (b"z", -20), (b"w", 1)]))
    return [t.k("a"), t.k("b")]


@case
def scores_are_joined(t):
    keys = two(t)
    same(result(t, "Union", keys), [(b"z", -17), (b"w", 1), (b"x", 1), (b"y", 12)])
    same(result(t, "Union", keys, aggregate=MIN), [(b"z", -20), (b"w", 1), (b"x", 1), (b"y", 2)])
    same(result(t, "Union", keys, aggregate=MAX), [(b"w", 1), (b"x", 1), (b"z", 3), (b"y", 10)])
    same(result(t, "Intersection", keys, aggregate=SUM), [(b"z", -17), (b"y", 12)])
    same(result(t, "Intersection", keys, aggregate=MIN), [(b"z", -20), (b"y", 2)])
    same(result(t, "Intersection", keys, aggregate=MAX), [(b"z", 3), (b"y", 10)])


@case
def scores_are_weighed(t):
    keys = two(t)
    same(result(t, "Union", keys, weights=[2, -1]), [(b"y", -6), (b"w", -1), (b"x", 2), (b"z", 26)])
    same(result(t, "Intersection", keys, weights=[0, 0.5], aggregate=MAX), [(b"z", 0), (b"y", 5)])


@case
def the_highest_come_first_where_asked(t):
    keys = two(t)
    same(result(t, "Union", keys, 2, reverse=True), [(b"y", 12), (b"x", 1), (b"w", 1), (b"z", -17)])
    same(result(t, "Intersection", keys, 1, reverse=True), [(b"y", 12), (b"z", -17)])


@case
def a_key_may_stand_there_twice_and_a_missing_set_is_empty(t):
    keys = two(t)
    same(result(t, "Union", [keys[0], keys[0]]), [(b"x", 2), (b"y", 4), (b"z", 6)])
    same(result(t, "Intersection", [keys[0], keys[0]], weights=[1, 10]), [(b"x", 11), (b"y", 22), (b"z", 33)])
    same(result(t, "Union", [keys[0], t.k("nobody")]), [(b"x", 1), (b"y", 2), (b"z", 3)])
    same(result(t, "Intersection", [keys[0], t.k("nobody")]), [])
    same(result(t, "Union", [t.k("nobody")]), [])


@case
def what_is_not_a_number_counts_as_zero(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"m", INF), (b"n", 1)]))
    t.sortedset.Add(key=t.k("b"), members=scored([(b"m", -INF), (b"n", 1)]))
    keys = [t.k("a"), t.k("b")]
    same(result(t, "Union", keys), [(b"m", 0), (b"n", 2)])
    same(result(t, "Intersection", keys, weights=[0, 1]), [(b"m", -INF), (b"n", 1)])
    same(result(t, "Union", [t.k("a")], weights=[-INF]), [(b"m", -INF), (b"n", -INF)])
    zero = result(t, "Union", [t.k("a")], weights=[-0.0])
    same([(m, math.copysign(1, s)) for m, s in zero], [(b"m", 1), (b"n", 1)], "no minus zero")


@case
def pages_of_large_sets_join_to_the_whole(t):
    fill(t, t.k("a"), [(b"%05d" % i, i % 1000) for i in range(5000)])
    fill(t, t.k("b"), [(b"%05d" % i, i % 700) for i in range(2500, 7500)])
    union = {}
    for pairs in ([(b"%05d" % i, i % 1000) for i in range(5000)], [(b"%05d" % i, i % 700) for i in range(2500, 7500)]):
        for m, s in pairs:
            union[m] = union.get(m, 0) + s
    wanted = sorted(union.items(), key=lambda p: (p[1], p[0]))
    check(result(t, "Union", [t.k("a"), t.k("b")], 1300) == wanted, "union in pages")
    both = [p for p in wanted if b"02500" <= p[0] < b"05000"]
    check(result(t, "Intersection", [t.k("a"), t.k("b")], 990, reverse=True) == both[::-1], "intersection in pages, back")
    same(len(t.sortedset.Union(keys=[t.k("a")]).members), 100, "members of a page by default")


@case(clients=("grpcio",))
def more_than_100000_members_are_refused(t):
    fill(t, t.k("a"), [(b"%06d" % i, i) for i in range(100000)])
    t.sortedset.Add(key=t.k("b"), members=scored([(b"000007", 1), (b"x", 2)]))
    same(len(t.sortedset.Union(keys=[t.k("a")], page_size=10).members), 10)
    with fails("RESOURCE_EXHAUSTED", "OPERATION_TOO_LARGE"):
        t.sortedset.Union(keys=[t.k("a"), t.k("b")])
    same(result(t, "Intersection", [t.k("a"), t.k("b")]), [(b"000007", 8)])
    t.sortedset.Clear(key=t.k("a"))


@case
def requests_are_checked(t):
    for method in ("Union", "Intersection"):
        for keys in ([], [t.k("a")] * 101):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="keys"):
                t.sortedset.call(method, {"keys": keys})
        with fails("INVALID_ARGUMENT", "KEY_INVALID", field="keys[1]"):
            t.sortedset.call(method, {"keys": [t.k("a"), b""]})
        for weights in ([1], [1, 2, 3], [1, math.nan]):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="weights"):
                t.sortedset.call(method, {"keys": [t.k("a"), t.k("b")], "weights": weights})


@case(clients=("grpcio", "curl"))
def an_unknown_aggregate_is_refused(t):
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="aggregate"):
        t.sortedset.Union(keys=[t.k("a")], aggregate=9)


@case
def a_cursor_belongs_to_operation_keys_and_weights(t):
    keys = two(t)
    cursor = t.sortedset.Union(keys=keys, page_size=1).next_cursor
    check(cursor, "there is a next page")
    for method, fields in (("Union", {"keys": keys[::-1]}), ("Intersection", {"keys": keys}),
                           ("Union", {"keys": keys, "weights": [1, 2]}), ("Union", {"keys": keys, "aggregate": MAX}),
                           ("Union", {"keys": keys, "reverse": True})):
        with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", field="cursor"):
            t.sortedset.call(method, dict(fields, cursor=cursor))
    same(len(t.sortedset.Union(keys=keys, weights=[1, 1], aggregate=SUM, cursor=cursor).members), 3,
         "what is said explicitly is the same walk")
