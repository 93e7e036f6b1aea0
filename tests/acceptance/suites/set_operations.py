"""set_operations: Union, Intersection, Difference; pages, order, missing sets, cursors."""
from harness.case import case, check, fails, same
from suites.set_basic import STRANGE, fill


def result(t, method, keys, page_size=10000, sets=None):
    members, cursor = [], b""
    for _ in range(10000):
        page = (sets or t.set).call(method, {"keys": keys, "page_size": page_size, "cursor": cursor})
        members += page.members
        cursor = page.next_cursor
        if not cursor:
            return members
    raise AssertionError("%s of %s does not end" % (method, keys))


def three(t):
    sets = {"a": "pqrst", "b": "rstuv", "c": "tvxp"}
    for name, members in sets.items():
        t.set.Add(key=t.k(name), members=[m.encode() for m in members])
    return [t.k(name) for name in sets]


@case
def operations_follow_set_theory(t):
    a, b, c = three(t)
    for method, keys, wanted in (("Union", [a, b, c], "pqrstuvx"), ("Intersection", [a, b], "rst"),
                                 ("Intersection", [a, b, c], "t"), ("Difference", [a, b], "pq"),
                                 ("Difference", [a, b, c], "q"), ("Difference", [b, a], "uv")):
        same(b"".join(result(t, method, keys)).decode(), wanted, "%s, in bytewise order" % method)


@case
def one_set_and_the_same_set_twice(t):
    a, _, _ = three(t)
    for method, keys, wanted in (("Union", [a], "pqrst"), ("Intersection", [a], "pqrst"), ("Difference", [a], "pqrst"),
                                 ("Union", [a, a], "pqrst"), ("Intersection", [a, a], "pqrst"), ("Difference", [a, a], "")):
        same(b"".join(result(t, method, keys)).decode(), wanted, "%s of %d" % (method, len(keys)))


@case
def a_missing_set_is_empty(t):
    a, _, _ = three(t)
    nobody = t.k("nobody")
    for method, keys, wanted in (("Union", [nobody, a], "pqrst"), ("Intersection", [a, nobody], ""),
                                 ("Intersection", [nobody, a], ""), ("Difference", [a, nobody], "pqrst"),
                                 ("Difference", [nobody, a], ""), ("Union", [nobody, nobody], "")):
        same(b"".join(result(t, method, keys)).decode(), wanted, method)


@case
def members_are_any_bytes_in_bytewise_order(t):
    t.set.Add(key=t.k("a"), members=STRANGE)
    t.set.Add(key=t.k("b"), members=STRANGE[::2])
    same(result(t, "Union", [t.k("a"), t.k("b")], 3), sorted(STRANGE))
    same(result(t, "Intersection", [t.k("a"), t.k("b")], 2), sorted(STRANGE[::2]))
    same(result(t, "Difference", [t.k("a"), t.k("b")], 1), sorted(STRANGE[1::2]))


@case
def pages_of_large_sets_join_to_the_whole(t):
    numbers = range(10000)
    fill(t, t.k("two"), [b"%05d" % i for i in numbers if i % 2 == 0])
    fill(t, t.k("three"), [b"%05d" % i for i in numbers if i % 3 == 0])
    for method, keep in (("Union", lambda i: i % 2 == 0 or i % 3 == 0), ("Intersection", lambda i: i % 6 == 0),
                         ("Difference", lambda i: i % 2 == 0 and i % 3 != 0)):
        wanted = [b"%05d" % i for i in numbers if keep(i)]
        check(result(t, method, [t.k("two"), t.k("three")], 777) == wanted, "%s in pages", method)
        check(result(t, method, [t.k("two"), t.k("three")]) == wanted, "%s in large pages", method)


@case
def a_hundred_sets_are_taken_and_no_more(t):
    keys = [t.k("%d" % i) for i in range(100)]
    if t.client.name == "curl":
        keys = keys[:20]
    for i, key in enumerate(keys):
        t.set.Add(key=key, members=[b"own%03d" % i, b"common"])
    same(result(t, "Union", keys), sorted([b"common"] + [b"own%03d" % i for i in range(len(keys))]))
    same(result(t, "Intersection", keys), [b"common"])
    same(result(t, "Difference", keys), [b"own000"])
    for bad in ([], [t.k("a")] * 101):
        for method in ("Union", "Intersection", "Difference"):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="keys"):
                t.set.call(method, {"keys": bad})


@case
def a_bad_key_is_named(t):
    for bad in (b"", b"k" * 1025):
        for method in ("Union", "Intersection", "Difference"):
            with fails("INVALID_ARGUMENT", "KEY_INVALID", field="keys[1]"):
                t.set.call(method, {"keys": [t.k("a"), bad]})


@case
def a_cursor_belongs_to_operation_and_keys(t):
    a, b, _ = three(t)
    cursor = t.set.Union(keys=[a, b], page_size=2).next_cursor
    check(cursor, "there is a next page")
    for method, keys in (("Union", [b, a]), ("Union", [a]), ("Intersection", [a, b]), ("Difference", [a, b])):
        with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", field="cursor"):
            t.set.call(method, {"keys": keys, "cursor": cursor})
    with fails("INVALID_ARGUMENT", "CURSOR_INVALID", field="cursor"):
        t.set.Union(keys=[a, b], cursor=cursor[:-1] + b"?")
