"""sortedset_lex: GetRangeByLex; bounds in bytes, directions, pages, sets of different scores."""
from harness.case import case, check, fails, same
from suites.set_basic import BAD_KEY, STRANGE
from suites.sortedset_basic import fill, scored


def by_lex(t, key, low=None, high=None, page_size=10000, **fields):
    """All pages. Bounds: bytes, or ("(", bytes) for an exclusive one."""
    for name, bound in (("min", low), ("max", high)):
        if bound is not None:
            exclusive = isinstance(bound, tuple)
            fields[name] = {"member": bound[1] if exclusive else bound, "exclusive": exclusive}
    members, cursor = [], b""
    for _ in range(10000):
        page = t.sortedset.GetRangeByLex(key=key, page_size=page_size, cursor=cursor, **fields)
        members += page.members
        cursor = page.next_cursor
        if not cursor:
            return members
    raise AssertionError("the walk does not end")


@case
def bounds_are_bytes(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(c.encode(), 5) for c in ("a", "b", "ba", "c", "d")]))
    for low, high, wanted in ((None, None, "a b ba c d"), (b"b", b"c", "b ba c"), (("(", b"b"), b"c", "ba c"),
                              (b"b", ("(", b"c"), "b ba"), (b"", b"b", "a b"), (b"bb", None, "c d"), (None, ("(", b"a"), ""),
                              (b"d", b"a", ""), (b"b", b"b", "b"), (("(", b"b"), b"b", ""), (b"zz", None, "")):
        got = by_lex(t, t.k("a"), low, high)
        same(b" ".join(got).decode(), wanted, "%s to %s" % (low, high))
        same(by_lex(t, t.k("a"), low, high, reverse=True), got[::-1], "%s to %s, reversed" % (low, high))


@case
def members_are_any_bytes(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(m, -1.5) for m in STRANGE]))
    same(by_lex(t, t.k("a")), sorted(STRANGE))
    for pivot in STRANGE:
        same(by_lex(t, t.k("a"), pivot), [m for m in sorted(STRANGE) if m >= pivot])
        same(by_lex(t, t.k("a"), None, ("(", pivot)), [m for m in sorted(STRANGE) if m < pivot])


@case
def different_scores_are_refused(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", 2)]))
    with fails("FAILED_PRECONDITION", "SCORES_DIFFER"):
        t.sortedset.GetRangeByLex(key=t.k("a"))
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 2)]))
    same(by_lex(t, t.k("a")), [b"a", b"b"])


@case
def a_missing_set_is_empty(t):
    same(by_lex(t, t.k("nobody")), [])


@case
def pages_join_to_the_whole(t):
    members = [b"%04d" % i for i in range(3000)]
    fill(t, t.k("a"), [(m, 0) for m in members])
    check(by_lex(t, t.k("a"), b"0500", ("(", b"2500"), 333) == members[500:2500], "forward")
    check(by_lex(t, t.k("a"), b"0500", ("(", b"2500"), 333, reverse=True) == members[500:2500][::-1], "back")
    same(len(t.sortedset.GetRangeByLex(key=t.k("a")).members), 100, "members of a page by default")


@case
def requests_are_checked(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"%d" % i, 0) for i in range(9)]))
    cursor = t.sortedset.GetRangeByLex(key=t.k("a"), page_size=2).next_cursor
    with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", field="cursor"):
        t.sortedset.GetRangeByLex(key=t.k("a"), min={"member": b"1"}, cursor=cursor)
    with fails("INVALID_ARGUMENT", "CURSOR_INVALID", field="cursor"):
        t.sortedset.GetRangeByLex(key=t.k("a"), cursor=b"made up")
    for name in ("min", "max"):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field=name + ".member"):
            t.sortedset.GetRangeByLex(key=t.k("a"), **{name: {"member": b"m" * 1025}})
    for bad in (b"", b"k" * 1025):
        with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
            t.sortedset.GetRangeByLex(key=bad)
