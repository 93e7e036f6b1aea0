"""list_range: GetRange, Trim; clamping, negative ends, answers that do not fit."""
from harness.case import case, check, fails, same
from suites.list_basic import BAD_KEY, all_of, fill

INT64_MAX, INT64_MIN = 2**63 - 1, -2**63
RANGES = [(0, -1, "abcde"), (1, 3, "bcd"), (0, 0, "a"), (-1, -1, "e"), (-2, -1, "de"), (-100, 1, "ab"), (3, 100, "de"),
          (INT64_MIN, INT64_MAX, "abcde"), (2, 1, ""), (5, 9, ""), (0, -6, ""), (-1, 0, ""), (INT64_MAX, INT64_MIN, "")]


@case
def a_range_has_both_ends_and_is_moved_into_the_list(t):
    t.list.PushRight(key=t.k("a"), values=[c.encode() for c in "abcde"])
    for start, end, wanted in RANGES:
        answer = t.list.GetRange(key=t.k("a"), start=start, end=end)
        same((b"".join(answer.values).decode(), answer.length), (wanted, 5), "range %d to %d" % (start, end))
        check(not answer.HasField("next_start"), "all of it came")


@case
def a_range_of_nothing_is_empty(t):
    answer = t.list.GetRange(key=t.k("nobody"), start=0, end=-1)
    same((list(answer.values), answer.length, answer.HasField("next_start")), ([], 0, False))


@case
def a_range_beyond_10000_values_goes_on_at_next_start(t):
    values = [b"%05d" % i for i in range(10500)]
    fill(t, t.k("a"), values)
    answer = t.list.GetRange(key=t.k("a"), start=200, end=-1)
    same((len(answer.values), answer.next_start, answer.length), (10000, 10200, 10500))
    check(list(answer.values) == values[200:10200], "the first 10,000 of the range")
    rest = t.list.GetRange(key=t.k("a"), start=answer.next_start, end=-1)
    same((list(rest.values), rest.HasField("next_start")), (values[10200:], False))


@case
def a_range_beyond_1_mib_goes_on_at_next_start(t):
    t.list.PushRight(key=t.k("a"), values=[b"%d" % i * 300000 for i in range(8)])
    answer = t.list.GetRange(key=t.k("a"), start=-7, end=-2)
    same(([v[:1] for v in answer.values], answer.next_start), ([b"1", b"2", b"3"], 4))
    answer = t.list.GetRange(key=t.k("a"), start=answer.next_start, end=-2)
    same(([v[:1] for v in answer.values], answer.HasField("next_start")), ([b"4", b"5", b"6"], False))
    t.list.PushLeft(key=t.k("a"), values=[b"L" * 2000000])
    answer = t.list.GetRange(key=t.k("a"), start=0, end=1)
    same((len(answer.values), answer.next_start), (1, 1), "one value whatever its size")


@case
def trim_keeps_a_range(t):
    for i, (start, end, wanted) in enumerate(RANGES):
        key = t.k("%d" % i)
        t.list.PushRight(key=key, values=[c.encode() for c in "abcde"])
        answer = t.list.Trim(key=key, start=start, end=end)
        same((answer.removed, answer.length), (5 - len(wanted), len(wanted)), "range %d to %d" % (start, end))
        same(b"".join(all_of(t, key)).decode(), wanted)
    answer = t.list.Trim(key=t.k("nobody"), start=0, end=-1)
    same((answer.removed, answer.length), (0, 0))


@case
def a_list_trimmed_to_nothing_is_gone(t):
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2"])
    same(t.list.Trim(key=t.k("a"), start=1, end=0).removed, 2)
    same(t.list.Clear(key=t.k("a")).removed, 0)
    same(t.list.PushRight(key=t.k("a"), values=[b"3"]).length, 1)


@case
def trim_of_many_values(t):
    values = [b"%05d" % i for i in range(10000)]
    fill(t, t.k("a"), values)
    same(t.list.Trim(key=t.k("a"), start=333, end=-334).length, 10000 - 666)
    check(all_of(t, t.k("a")) == values[333:-333], "what is left")
    t.list.PushLeft(key=t.k("a"), values=[b"first"])
    t.list.PushRight(key=t.k("a"), values=[b"last"])
    check(all_of(t, t.k("a")) == [b"first"] + values[333:-333] + [b"last"], "both ends take values")


@case
def a_retried_trim_trims_once(t):
    t.list.PushRight(key=t.k("a"), values=[b"%d" % i for i in range(10)])
    once = t.list.once(t.idem("trim"))
    same([once.Trim(key=t.k("a"), start=1, end=-2).removed for _ in range(3)], [2, 2, 2])
    same(all_of(t, t.k("a")), [b"%d" % i for i in range(1, 9)])


@case
def keys_are_checked(t):
    for method in ("GetRange", "Trim"):
        for bad in (b"", b"k" * 1025):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                getattr(t.list, method)(key=bad, start=0, end=-1)
