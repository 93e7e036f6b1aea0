"""set_random: GetRandomMember, PopRandomMember."""
from harness.case import at_once, case, check, fails, same
from suites.set_basic import BAD_KEY, fill, members_of


@case
def a_random_member_is_a_member(t):
    t.set.Add(key=t.k("a"), members=[b"1", b"2", b"3"])
    for _ in range(5):
        answer = t.set.GetRandomMember(key=t.k("a"))
        check(len(answer.members) == 1 and answer.members[0] in (b"1", b"2", b"3"), "%s", answer.members)
    same(t.set.GetSize(key=t.k("a")).size, 3)


@case
def several_random_members_are_different_ones(t):
    members = [b"%d" % i for i in range(50)]
    t.set.Add(key=t.k("a"), members=members)
    for count in (2, 25, 49, 50, 51, 1000):
        got = list(t.set.GetRandomMember(key=t.k("a"), count=count).members)
        same((len(got), len(set(got))), (min(count, 50),) * 2, "of %d" % count)
        check(set(got) <= set(members), "all are members")


@case
def every_member_has_its_chance(t):
    # Of 20 members one is missed in 60 draws of 10 with a probability below 20 * 2^-60.
    members = {b"%d" % i for i in range(20)}
    t.set.Add(key=t.k("a"), members=members)
    seen = set()
    for _ in range(60):
        seen |= set(t.set.GetRandomMember(key=t.k("a"), count=10).members)
    same(seen, members)


@case
def a_missing_set_has_no_random_member(t):
    same(list(t.set.GetRandomMember(key=t.k("a"), count=5).members), [])
    answer = t.set.PopRandomMember(key=t.k("a"))
    same((list(answer.members), answer.size), ([], 0))


@case
def a_popped_member_is_gone(t):
    left = {b"%d" % i for i in range(10)}
    t.set.Add(key=t.k("a"), members=left)
    for count in (1, 0, 3):
        answer = t.set.PopRandomMember(key=t.k("a"), count=count)
        got = set(answer.members)
        same(len(got), count or 1)
        check(got <= left, "popped %s of %s", got, left)
        left -= got
        same((set(members_of(t, t.k("a"))), answer.size), (left, len(left)))
    answer = t.set.PopRandomMember(key=t.k("a"), count=1000)
    same((set(answer.members), answer.size), (left, 0))
    same(t.set.GetSize(key=t.k("a")).size, 0)


@case
def parallel_pops_give_each_member_once(t):
    members = [b"%05d" % i for i in range(3000)]
    fill(t, t.k("a"), members)
    results = at_once([lambda: list(t.set.PopRandomMember(key=t.k("a"), count=250).members) for _ in range(12)])
    got = [m for r in results for m in r]
    same((len(got), len(set(got))), (3000, 3000))
    same(t.set.GetSize(key=t.k("a")).size, 0)


@case
def a_retried_pop_answers_the_same_members(t):
    t.set.Add(key=t.k("a"), members=[b"%d" % i for i in range(100)])
    once = t.set.once(t.idem("pop"))
    first = list(once.PopRandomMember(key=t.k("a"), count=5).members)
    same([list(once.PopRandomMember(key=t.k("a"), count=5).members) for _ in range(2)], [first] * 2)
    same(t.set.GetSize(key=t.k("a")).size, 95)


@case
def requests_are_checked(t):
    for method in ("GetRandomMember", "PopRandomMember"):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="count"):
            t.set.call(method, {"key": t.k("a"), "count": 1001})
        for bad in (b"", b"k" * 1025):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                t.set.call(method, {"key": bad})
