"""sortedset_range: GetRange by rank, GetRangeByScore; bounds, directions, pages, cursors."""
import math

from harness.case import case, check, fails, same
from suites.list_range import RANGES
from suites.set_basic import BAD_KEY
from suites.sortedset_basic import INF, all_of, fill, pairs_of, scored


def by_score(t, key, low=None, high=None, page_size=10000, **fields):
    """All pages as pairs. Bounds: a score, or ("(", score) for an exclusive one."""
    for name, bound in (("min", low), ("max", high)):
        if bound is not None:
            exclusive = isinstance(bound, tuple)
            fields[name] = {"score": bound[1] if exclusive else bound, "exclusive": exclusive}
    pairs, cursor = [], b""
    for _ in range(10000):
        page = t.sortedset.GetRangeByScore(key=key, page_size=page_size, cursor=cursor, **fields)
        pairs += pairs_of(page)
        cursor = page.next_cursor
        if not cursor:
            return pairs
    raise AssertionError("the walk does not end")


def text(pairs):
    return b"".join(m for m, _ in pairs).decode()


def letters(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(c.encode(), i) for i, c in enumerate("abcde")]))
    return t.k("a")


@case
def a_range_of_ranks_has_both_ends(t):
    key = letters(t)
    for start, end, wanted in RANGES:
        answer = t.sortedset.GetRange(key=key, start=start, end=end)
        same((text(pairs_of(answer)), answer.size, answer.HasField("next_start")), (wanted, 5, False), "%d to %d" % (start, end))
    same(pairs_of(t.sortedset.GetRange(key=key, start=1, end=2)), [(b"b", 1), (b"c", 2)])


@case
def reverse_ranks_count_from_the_highest(t):
    key = letters(t)
    for start, end, wanted in ((0, -1, "edcba"), (0, 1, "ed"), (-2, -1, "ba"), (1, 3, "dcb"), (9, 10, "")):
        answer = t.sortedset.GetRange(key=key, start=start, end=end, reverse=True)
        same(text(pairs_of(answer)), wanted, "%d to %d" % (start, end))


@case
def a_missing_set_has_empty_ranges(t):
    answer = t.sortedset.GetRange(key=t.k("nobody"), start=0, end=-1)
    same((pairs_of(answer), answer.size), ([], 0))
    same(by_score(t, t.k("nobody")), [])


@case
def a_range_beyond_10000_members_goes_on_at_next_start(t):
    pairs = [(b"%05d" % i, i) for i in range(10300)]
    fill(t, t.k("a"), pairs)
    answer = t.sortedset.GetRange(key=t.k("a"), start=100, end=-1)
    same((len(answer.members), answer.next_start, answer.size), (10000, 10100, 10300))
    check(all_of(t, t.k("a")) == pairs and all_of(t, t.k("a"), reverse=True) == pairs[::-1], "both directions")


@case
def a_range_beyond_1_mib_goes_on_at_next_start(t):
    pairs = [(b"%04d" % i * 256, i) for i in range(1500)]
    fill(t, t.k("a"), pairs)
    answer = t.sortedset.GetRange(key=t.k("a"), start=0, end=-1)
    check(1000 <= len(answer.members) < 1100 and answer.next_start == len(answer.members), "%d", len(answer.members))
    check(all_of(t, t.k("a")) == pairs, "the answers join to the whole")


@case
def a_range_of_scores_keeps_its_bounds(t):
    key = letters(t)
    for low, high, wanted in ((1, 3, "bcd"), (("(", 1), 3, "cd"), (1, ("(", 3), "bc"), (("(", 1), ("(", 3), "c"),
                              (None, 2, "abc"), (2, None, "cde"), (None, None, "abcde"), (2.5, 2.9, ""), (3, 1, ""),
                              (2, 2, "c"), (("(", 2), 2, ""), (-INF, INF, "abcde"), (("(", -INF), ("(", INF), "abcde"),
                              (5, INF, ""), (-5, 0, "a")):
        same(text(by_score(t, key, low, high)), wanted, "%s to %s" % (low, high))
        same(text(by_score(t, key, low, high, reverse=True)), wanted[::-1], "%s to %s, reversed" % (low, high))


@case
def infinite_scores_lie_at_the_ends(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"+", INF), (b"-", -INF), (b"0", 0)]))
    same(text(by_score(t, t.k("a"))), "-0+")
    same(text(by_score(t, t.k("a"), ("(", -INF), ("(", INF))), "0")
    same(text(by_score(t, t.k("a"), INF)), "+")
    same(text(by_score(t, t.k("a"), None, -INF)), "-")


@case
def pages_join_to_the_whole_in_both_directions(t):
    pairs = sorted([(b"%04d" % i, i // 100) for i in range(3000)], key=lambda p: (p[1], p[0]))
    fill(t, t.k("a"), pairs)
    wanted = [p for p in pairs if 3 <= p[1] < 27]
    for page_size in (7, 1000):
        if page_size == 7 and t.client.name == "curl":
            page_size = 97
        check(by_score(t, t.k("a"), 3, ("(", 27), page_size) == wanted, "pages of %d", page_size)
        check(by_score(t, t.k("a"), 3, ("(", 27), page_size, reverse=True) == wanted[::-1], "pages of %d back", page_size)
    same(len(t.sortedset.GetRangeByScore(key=t.k("a")).members), 100, "members of a page by default")


@case
def a_member_that_stays_is_seen_once_whatever_comes_and_goes(t):
    stays = [(b"s%03d" % i, i) for i in range(200)]
    fill(t, t.k("a"), stays + [(b"r%03d" % i, i) for i in range(200)])
    seen, cursor, turn = [], b"", 0
    while True:
        page = t.sortedset.GetRangeByScore(key=t.k("a"), page_size=37, cursor=cursor)
        seen += [m.member for m in page.members]
        cursor = page.next_cursor
        if not cursor:
            break
        t.sortedset.Remove(key=t.k("a"), members=[page.members[-1].member] if page.members[-1].member[:1] == b"r" else [b"x"])
        t.sortedset.Add(key=t.k("a"), members=scored([(b"n%03d" % turn, turn % 5)]))
        turn += 1
    own = [m for m in seen if m[:1] == b"s"]
    same(own, [m for m, _ in stays])


@case
def a_cursor_belongs_to_its_range(t):
    key = letters(t)
    cursor = t.sortedset.GetRangeByScore(key=key, page_size=2).next_cursor
    check(cursor, "there is a next page")
    for other in ({"key": t.k("b")}, {"key": key, "reverse": True}, {"key": key, "min": {"score": 0}},
                  {"key": key, "max": {"score": INF, "exclusive": True}}):
        with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", field="cursor"):
            t.sortedset.GetRangeByScore(cursor=cursor, **other)
    with fails("INVALID_ARGUMENT", "CURSOR_INVALID", field="cursor"):
        t.sortedset.GetRangeByScore(key=key, cursor=b"made up")


@case
def bounds_and_keys_are_checked(t):
    for name in ("min", "max"):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field=name + ".score"):
            t.sortedset.GetRangeByScore(key=t.k("a"), **{name: {"score": math.nan}})
    for bad in (b"", b"k" * 1025):
        for method in ("GetRange", "GetRangeByScore"):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                t.sortedset.call(method, {"key": bad})
