"""set_cardinality: GetSize, IsMember."""
from harness.case import case, fails, same
from suites.set_basic import BAD_KEY, STRANGE, fill


@case
def the_size_follows_what_happens(t):
    sizes = [t.set.GetSize(key=t.k("a")).size]
    t.set.Add(key=t.k("a"), members=[b"1", b"2", b"2", b"3"])
    sizes.append(t.set.GetSize(key=t.k("a")).size)
    t.set.Remove(key=t.k("a"), members=[b"1", b"9"])
    sizes.append(t.set.GetSize(key=t.k("a")).size)
    t.set.Clear(key=t.k("a"))
    sizes.append(t.set.GetSize(key=t.k("a")).size)
    same(sizes, [0, 3, 2, 0])


@case
def ten_thousand_members_are_counted(t):
    fill(t, t.k("a"), [b"%05d" % i for i in range(10000)])
    same(t.set.GetSize(key=t.k("a")).size, 10000)


@case
def is_member_answers_in_the_order_of_the_request(t):
    t.set.Add(key=t.k("a"), members=STRANGE)
    asked = [STRANGE[3], b"nobody", STRANGE[0], STRANGE[0], STRANGE[-1], b"a\x00"]
    same(list(t.set.IsMember(key=t.k("a"), members=asked).present), [True, False, True, True, True, False])
    same(list(t.set.IsMember(key=t.k("nobody"), members=[b"1", b"2"]).present), [False, False])


@case
def a_thousand_members_are_looked_up_at_once(t):
    fill(t, t.k("a"), [b"%d" % i for i in range(0, 2000, 2)])
    same(list(t.set.IsMember(key=t.k("a"), members=[b"%d" % i for i in range(1000)]).present), [True, False] * 500)


@case
def requests_are_checked(t):
    for bad in (b"", b"k" * 1025):
        with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
            t.set.GetSize(key=bad)
        with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
            t.set.IsMember(key=bad, members=[b"m"])
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[2]"):
            t.set.IsMember(key=t.k("a"), members=[b"m", b"m", bad])
    for members in ([], [b"m"] * 1001):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members"):
            t.set.IsMember(key=t.k("a"), members=members)
