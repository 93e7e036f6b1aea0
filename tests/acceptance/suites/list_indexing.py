"""list_indexing: Get, Set, Insert, Remove; positions from both ends, what lies outside, equal values."""
from harness.case import at_once, case, check, fails, same
from suites.list_basic import BAD_KEY, STRANGE, all_of, fill

INT64_MAX, INT64_MIN = 2**63 - 1, -2**63


def letters(t, text="abcde", name="a"):
    t.list.PushRight(key=t.k(name), values=[c.encode() for c in text])
    return t.k(name)


def text_of(t, key):
    return b"".join(all_of(t, key)).decode()


@case
def get_counts_from_both_ends(t):
    key = letters(t)
    same([t.list.Get(key=key, index=i).value for i in (0, 2, 4, -1, -3, -5)], [b"a", b"c", b"e", b"e", b"c", b"a"])


@case
def get_outside_is_an_answer(t):
    key = letters(t)
    for index in (5, -6, INT64_MAX, INT64_MIN):
        same(t.list.Get(key=key, index=index).found, False, "index %d" % index)
    for index in (0, -1):
        got = t.list.Get(key=t.k("nobody"), index=index)
        same((got.found, got.value), (False, b""))


@case
def set_replaces_one_value(t):
    key = letters(t)
    t.list.Set(key=key, index=0, value=b"A")
    t.list.Set(key=key, index=-1, value=b"")
    t.list.Set(key=key, index=2, value=b"\x00\xff")
    same(all_of(t, key), [b"A", b"b", b"\x00\xff", b"d", b""])
    got = t.list.Get(key=key, index=4)
    same((got.found, got.value), (True, b""), "an empty value is a value")


@case
def set_outside_is_out_of_range(t):
    key = letters(t)
    for index in (5, -6, INT64_MAX, INT64_MIN):
        with fails("OUT_OF_RANGE", "INDEX_OUT_OF_RANGE", field="index"):
            t.list.Set(key=key, index=index, value=b"x")
    with fails("OUT_OF_RANGE", "INDEX_OUT_OF_RANGE", field="index"):
        t.list.Set(key=t.k("nobody"), index=0, value=b"x")
    same((text_of(t, key), all_of(t, t.k("nobody"))), ("abcde", []))


@case
def insert_goes_before_an_index_and_at_the_length_appends(t):
    key = letters(t, "ace")
    same(t.list.Insert(key=key, index=1, value=b"b").length, 4)
    same(t.list.Insert(key=key, index=-1, value=b"d").length, 5)
    same(t.list.Insert(key=key, index=5, value=b"f").length, 6)
    same(t.list.Insert(key=key, index=0, value=b"_").length, 7)
    same(t.list.Insert(key=key, index=-7, value=b"<").length, 8)
    same(text_of(t, key), "<_abcdef")


@case
def insert_outside_is_out_of_range_and_at_0_makes_a_list(t):
    key = letters(t, "ab")
    for index in (3, -3, INT64_MAX, INT64_MIN):
        with fails("OUT_OF_RANGE", "INDEX_OUT_OF_RANGE", field="index"):
            t.list.Insert(key=key, index=index, value=b"x")
    for index in (1, -1):
        with fails("OUT_OF_RANGE", "INDEX_OUT_OF_RANGE", field="index"):
            t.list.Insert(key=t.k("new"), index=index, value=b"x")
    same(t.list.Insert(key=t.k("new"), index=0, value=b"x").length, 1)
    same((text_of(t, key), text_of(t, t.k("new"))), ("ab", "x"))


@case
def remove_by_index_answers_the_value(t):
    key = letters(t)
    answer = t.list.Remove(key=key, index=1)
    same((answer.removed, answer.length, answer.value), (1, 4, b"b"))
    same(t.list.Remove(key=key, index=-1).value, b"e")
    same(text_of(t, key), "acd")
    for index in (3, -4, INT64_MIN):
        answer = t.list.Remove(key=key, index=index)
        same((answer.removed, answer.length), (0, 3))
    same(t.list.Remove(key=t.k("nobody"), index=0).removed, 0)


@case
def remove_by_value_takes_all_or_so_many_from_an_end(t):
    key = letters(t, "abacada")
    answer = t.list.Remove(key=key, value=b"a", count=1)
    same((answer.removed, answer.length, answer.value, text_of(t, key)), (1, 6, b"", "bacada"))
    same((t.list.Remove(key=key, value=b"a", count=-2).removed, text_of(t, key)), (2, "bacd"))
    same((t.list.Remove(key=key, value=b"z").removed, text_of(t, key)), (0, "bacd"))
    key = letters(t, "xxyxx", "b")
    same((t.list.Remove(key=key, value=b"x").removed, text_of(t, key)), (4, "y"))
    same((t.list.Remove(key=key, value=b"y", count=9).removed, all_of(t, key)), (1, []))
    key = letters(t, "aaa", "c")
    same((t.list.Remove(key=key, value=b"a", count=INT64_MIN).removed, all_of(t, key)), (3, []))


@case
def remove_needs_to_know_what(t):
    key = letters(t)
    with fails("INVALID_ARGUMENT", "FIELD_INVALID"):
        t.list.Remove(key=key)
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="count"):
        t.list.Remove(key=key, index=0, count=1)
    same(text_of(t, key), "abcde")


@case
def strange_values_equal_only_themselves(t):
    t.list.PushRight(key=t.k("a"), values=STRANGE + [b"a", b"A", b"a "])
    for value in STRANGE:
        same(t.list.Remove(key=t.k("a"), value=value).removed, 1, "removed of %r" % value)
    same(all_of(t, t.k("a")), [b"a", b"A", b"a "])


@case
def keys_are_checked(t):
    for method, fields in (("Get", {}), ("Set", {}), ("Insert", {}), ("Remove", {"index": 0})):
        for bad in (b"", b"k" * 1025):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                getattr(t.list, method)(key=bad, **fields)


@case
def many_values_are_found_changed_and_removed_by_position(t):
    model = [b"%05d" % i for i in range(10000)]
    fill(t, t.k("a"), model)
    for index in (0, 1, 4999, 5000, 9998, 9999):
        same(t.list.Get(key=t.k("a"), index=index).value, model[index])
        same(t.list.Get(key=t.k("a"), index=index - 10000).value, model[index])
    for i, index in enumerate((5000, 1, 9990, 0, 7777, 3333)):
        t.list.Insert(key=t.k("a"), index=index, value=b"new%d" % i)
        model.insert(index, b"new%d" % i)
    for index in (9999, 0, 5001, 2500):
        same(t.list.Remove(key=t.k("a"), index=index).value, model.pop(index))
    t.list.Set(key=t.k("a"), index=6000, value=b"set")
    model[6000] = b"set"
    check(all_of(t, t.k("a")) == model, "the list is as the model")


@case
def retries_happen_once(t):
    key = letters(t, "ab")
    insert = t.list.once(t.idem("insert"))
    same([insert.Insert(key=key, index=1, value=b"x").length for _ in range(2)], [3, 3])
    remove = t.list.once(t.idem("remove"))
    same([remove.Remove(key=key, index=0).value for _ in range(2)], [b"a", b"a"])
    set_ = t.list.once(t.idem("set"))
    set_.Set(key=key, index=0, value=b"X")
    t.list.Set(key=key, index=0, value=b"Y")
    set_.Set(key=key, index=0, value=b"X")
    same(text_of(t, key), "Yb")


@case
def parallel_inserts_all_arrive(t):
    letters(t, "()")
    results = at_once([lambda i=i: t.list.Insert(key=t.k("a"), index=1, value=b"%d" % i) for i in range(20)])
    same([r for r in results if isinstance(r, Exception)], [])
    values = all_of(t, t.k("a"))
    same((values[0], values[-1], sorted(values[1:-1])), (b"(", b")", sorted(b"%d" % i for i in range(20))))
