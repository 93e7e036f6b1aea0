"""sortedset_rank: GetRank, GetReverseRank."""
from harness.case import case, fails, same
from suites.set_basic import BAD_KEY
from suites.sortedset_basic import fill, scored


@case
def ranks_count_from_either_end(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"c", 3), (b"a", 1), (b"b", 1), (b"d", 9.5)]))
    for rank, member in enumerate([b"a", b"b", b"c", b"d"]):
        got, back = t.sortedset.GetRank(key=t.k("a"), member=member), t.sortedset.GetReverseRank(key=t.k("a"), member=member)
        same((got.found, got.rank, back.found, back.rank), (True, rank, True, 3 - rank))
    same((got.score, back.score), (9.5, 9.5))


@case
def who_is_not_there_has_no_rank(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1)]))
    for key, member in ((t.k("a"), b"b"), (t.k("nobody"), b"a")):
        for method in ("GetRank", "GetReverseRank"):
            got = t.sortedset.call(method, {"key": key, "member": member})
            same((got.found, got.rank, got.score), (False, 0, 0))


@case
def ranks_follow_what_changes(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"%d" % i, i) for i in range(10)]))
    t.sortedset.Remove(key=t.k("a"), members=[b"0", b"5"])
    same(t.sortedset.GetRank(key=t.k("a"), member=b"9").rank, 7)
    t.sortedset.Add(key=t.k("a"), members=scored([(b"9", -1)]))
    same([t.sortedset.GetRank(key=t.k("a"), member=b"%d" % i).rank for i in (9, 1, 8)], [0, 1, 7])


@case
def ranks_of_ten_thousand(t):
    fill(t, t.k("a"), [(b"%05d" % i, (i * 7919) % 10000) for i in range(10000)])
    for i in (0, 1, 17, 4999, 5000, 9999):
        wanted = (i * 7919) % 10000
        same(t.sortedset.GetRank(key=t.k("a"), member=b"%05d" % i).rank, wanted)
        same(t.sortedset.GetReverseRank(key=t.k("a"), member=b"%05d" % i).rank, 9999 - wanted)


@case
def requests_are_checked(t):
    for method in ("GetRank", "GetReverseRank"):
        for bad in (b"", b"k" * 1025):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                t.sortedset.call(method, {"key": bad, "member": b"m"})
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="member"):
                t.sortedset.call(method, {"key": t.k("a"), "member": bad})
