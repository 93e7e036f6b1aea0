"""set_basic: Add, Remove, Contains, GetMembers, Clear; members of any bytes, pages, cursors, idempotent retries."""
from harness.case import at_once, case, check, fails, same

BAD_KEY = ("FIELD_INVALID", "KEY_INVALID")
STRANGE = [b"\x00", b"\x00\x00a", b"\xff\xfe", b"a", b"A", b"a ", "ü€😀".encode(), b"'; DROP TABLE sets;--", b"%", b"_",
           bytes(range(256))]


def pages_of(t, key, page_size=0, sets=None):
    pages, cursor = [], b""
    while True:
        page = (sets or t.set).GetMembers(key=key, page_size=page_size, cursor=cursor)
        pages.append(page)
        cursor = page.next_cursor
        if not cursor:
            return pages


def members_of(t, key, page_size=10000, sets=None):
    return [m for page in pages_of(t, key, page_size, sets) for m in page.members]


def fill(t, key, members):
    for i in range(0, len(members), 1000):
        t.set.Add(key=key, members=members[i:i + 1000])


@case
def a_member_is_there_once(t):
    same(t.set.Add(key=t.k("a"), members=[b"1", b"2", b"1"]).added, 2)
    same(t.set.Add(key=t.k("a"), members=[b"2", b"3"]).added, 1)
    same(sorted(members_of(t, t.k("a"))), [b"1", b"2", b"3"])


@case
def contains_follows_add_and_remove(t):
    seen = [t.set.Contains(key=t.k("a"), member=b"m").contains]
    t.set.Add(key=t.k("a"), members=[b"m", b"n"])
    seen.append(t.set.Contains(key=t.k("a"), member=b"m").contains)
    t.set.Remove(key=t.k("a"), members=[b"m"])
    seen.append(t.set.Contains(key=t.k("a"), member=b"m").contains)
    same(seen, [False, True, False])


@case
def remove_counts_what_was_there(t):
    t.set.Add(key=t.k("a"), members=[b"1", b"2", b"3"])
    same(t.set.Remove(key=t.k("a"), members=[b"1", b"9", b"1", b"3"]).removed, 2)
    same(t.set.Remove(key=t.k("nobody"), members=[b"1"]).removed, 0)
    same(members_of(t, t.k("a")), [b"2"])


@case
def an_empty_set_does_not_exist(t):
    page = t.set.GetMembers(key=t.k("a"))
    same((list(page.members), page.next_cursor), ([], b""))
    t.set.Add(key=t.k("a"), members=[b"1"])
    t.set.Remove(key=t.k("a"), members=[b"1"])
    same((members_of(t, t.k("a")), t.set.Clear(key=t.k("a")).removed), ([], 0))


@case
def members_are_any_bytes(t):
    same(t.set.Add(key=t.k("a"), members=STRANGE).added, len(STRANGE))
    same(sorted(members_of(t, t.k("a"))), sorted(STRANGE))
    for member in STRANGE:
        check(t.set.Contains(key=t.k("a"), member=member).contains, "contains %r", member)
    check(not t.set.Contains(key=t.k("a"), member=b"b").contains)
    same(t.set.Remove(key=t.k("a"), members=STRANGE[:4]).removed, 4)
    same(sorted(members_of(t, t.k("a"))), sorted(STRANGE[4:]))


@case
def members_and_keys_have_1_to_1024_bytes(t):
    key, member = (t.prefix + b"k" * 1024)[:1024], b"m" * 1024
    same(t.set.Add(key=key, members=[member, b"m" * 1023]).added, 2)
    check(t.set.Contains(key=key, member=member).contains)
    for bad in (b"", b"m" * 1025):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[1]"):
            t.set.Add(key=key, members=[b"ok", bad])
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[0]"):
            t.set.Remove(key=key, members=[bad])
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="member"):
            t.set.Contains(key=key, member=bad)
    check(not t.set.Contains(key=key, member=b"ok").contains, "a refused call adds nothing")
    for bad in (b"", b"k" * 1025):
        for method, fields in (("Add", {"members": [b"m"]}), ("Remove", {"members": [b"m"]}), ("Contains", {"member": b"m"}),
                               ("GetMembers", {}), ("Clear", {})):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                getattr(t.set, method)(key=bad, **fields)


@case
def a_call_has_1_to_1000_members(t):
    same(t.set.Add(key=t.k("a"), members=[b"%d" % i for i in range(1000)]).added, 1000)
    for members in ([], [b"m"] * 1001):
        for method in ("Add", "Remove"):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members"):
                getattr(t.set, method)(key=t.k("a"), members=members)
    same(t.set.Remove(key=t.k("a"), members=[b"%d" % i for i in range(1000)]).removed, 1000)


@case
def pages_have_every_member_once(t):
    wanted = [b"%05d" % i for i in range(10000)]
    fill(t, t.k("a"), wanted[::-1])
    pages = pages_of(t, t.k("a"), 999)
    got = [m for page in pages for m in page.members]
    same((len(got), len(set(got))), (10000, 10000))
    if pages[0].ordered:
        check(got == wanted, "bytewise order over all pages")
        check(all(len(page.members) == 999 for page in pages[:-1]), "full pages")
    same(len(t.set.GetMembers(key=t.k("a")).members), 100, "members of a page by default")
    same(len(members_of(t, t.k("a"), 4000000000)), 10000, "a page size that is too large is taken as the largest")


@case
def a_page_ends_at_1_mib(t):
    fill(t, t.k("a"), [b"%04d" % i * 256 for i in range(1500)])
    pages = pages_of(t, t.k("a"), 10000)
    check(len(pages) == 2, "%d pages of 1.5 MB", len(pages))
    same(len({m for page in pages for m in page.members}), 1500)


@case
def a_member_that_stays_is_seen_whatever_comes_and_goes(t):
    stays = [b"s%04d" % i for i in range(300)]
    fill(t, t.k("a"), stays + [b"r%04d" % i for i in range(300)])
    seen, cursor = [], b""
    for turn in range(1000):
        page = t.set.GetMembers(key=t.k("a"), page_size=50, cursor=cursor)
        seen += page.members
        cursor = page.next_cursor
        if not cursor:
            break
        t.set.Remove(key=t.k("a"), members=[b"r%04d" % ((turn * 50 + i) % 300) for i in range(50)])
        t.set.Add(key=t.k("a"), members=[b"t%04d" % (turn * 10 + i) for i in range(10)])
    check(not cursor, "the walk ends")
    check(set(stays) <= set(seen), "all that stayed were seen")
    if page.ordered:
        same(len(seen), len(set(seen)), "each once")


@case
def a_cursor_belongs_to_its_set_and_is_not_to_be_made_up(t):
    fill(t, t.k("a"), [b"%d" % i for i in range(30)])
    fill(t, t.k("b"), [b"%d" % i for i in range(30)])
    cursor = t.set.GetMembers(key=t.k("a"), page_size=10).next_cursor
    check(cursor, "there is a next page")
    with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", field="cursor"):
        t.set.GetMembers(key=t.k("b"), cursor=cursor)
    for bad in (b"x", cursor[:-1], cursor + b"x", bytes([cursor[0] ^ 1]) + cursor[1:], cursor[:-1] + bytes([cursor[-1] ^ 1])):
        with fails("INVALID_ARGUMENT", "CURSOR_INVALID", field="cursor"):
            t.set.GetMembers(key=t.k("a"), cursor=bad)
    with fails("INVALID_ARGUMENT", "CURSOR_INVALID", "CURSOR_OTHER_SCAN", field="cursor"):
        t.set.with_(namespace=t.driver + "-other").GetMembers(key=t.k("a"), cursor=cursor)


@case
def clear_removes_all_and_says_how_many(t):
    fill(t, t.k("a"), [b"%d" % i for i in range(2500)])
    same((t.set.Clear(key=t.k("a")).removed, t.set.Clear(key=t.k("a")).removed), (2500, 0))
    same(members_of(t, t.k("a")), [])
    same(t.set.Add(key=t.k("a"), members=[b"1"]).added, 1)


@case
def models_and_namespaces_do_not_know_each_other(t):
    other = t.set.with_(namespace=t.driver + "-other")
    t.sortedset.Add(key=t.k("a"), members=[{"member": b"m", "score": 1}])
    t.set.Add(key=t.k("a"), members=[b"mine"])
    other.Add(key=t.k("a"), members=[b"theirs"])
    t.set.Clear(key=t.k("a"))
    same(members_of(t, t.k("a"), sets=other), [b"theirs"])
    same(t.sortedset.GetScore(key=t.k("a"), member=b"m").found, True)


@case
def a_namespace_that_forbids_forever_takes_no_sets(t):
    with fails("FAILED_PRECONDITION", "TTL_REQUIRED"):
        t.set.with_(namespace=t.driver + "-finite").Add(key=t.k("a"), members=[b"m"])


@case
def parallel_adds_count_each_member_once(t):
    members = [b"%d" % i for i in range(200)]
    results = at_once([lambda: t.set.Add(key=t.k("a"), members=members).added for _ in range(8)])
    same(sum(results), 200)
    results = at_once([lambda: t.set.Remove(key=t.k("a"), members=members).removed for _ in range(8)])
    same((sum(results), members_of(t, t.k("a"))), (200, []))


@case
def retries_happen_once(t):
    add = t.set.once(t.idem("add"))
    same([add.Add(key=t.k("a"), members=[b"1", b"2"]).added for _ in range(3)], [2, 2, 2])
    t.set.Remove(key=t.k("a"), members=[b"1"])
    same((add.Add(key=t.k("a"), members=[b"1", b"2"]).added, members_of(t, t.k("a"))), (2, [b"2"]))
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        add.Add(key=t.k("a"), members=[b"1"])
    remove = t.set.once(t.idem("remove"))
    same([remove.Remove(key=t.k("a"), members=[b"2"]).removed for _ in range(2)], [1, 1])
