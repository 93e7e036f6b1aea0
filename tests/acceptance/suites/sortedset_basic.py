"""sortedset_basic: Add, Remove, GetScore, Clear; scores, members of any bytes, idempotent retries."""
import math

from harness.case import at_once, case, check, fails, same
from suites.set_basic import BAD_KEY, STRANGE

INF = math.inf


def scored(pairs):
    return [{"member": m, "score": s} for m, s in pairs]


def pairs_of(answer):
    return [(m.member, m.score) for m in answer.members]


def all_of(t, key, sets=None, **fields):
    """The whole sorted set, by rank."""
    pairs, start = [], 0
    while start is not None:
        answer = (sets or t.sortedset).GetRange(key=key, start=start, end=-1, **fields)
        pairs += pairs_of(answer)
        start = answer.next_start if answer.HasField("next_start") else None
    return pairs


def fill(t, key, pairs):
    for i in range(0, len(pairs), 1000):
        t.sortedset.Add(key=key, members=scored(pairs[i:i + 1000]))


@case
def members_stand_in_the_order_of_scores_then_bytes(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"c", 2), (b"b", 1), (b"a", 2), (b"d", -1.5), (b"\xff", 1), (b"Z", 1)]))
    same(all_of(t, t.k("a")), [(b"d", -1.5), (b"Z", 1), (b"b", 1), (b"\xff", 1), (b"a", 2), (b"c", 2)])


@case
def add_counts_new_ones_and_changed_ones(t):
    answer = t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", 2)]))
    same((answer.added, answer.updated), (2, 0))
    answer = t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", 3), (b"c", 0)]))
    same((answer.added, answer.updated), (1, 1))
    same(all_of(t, t.k("a")), [(b"c", 0), (b"a", 1), (b"b", 3)])


@case
def of_a_member_that_stands_twice_the_last_score_counts(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", 5), (b"a", 9)]))
    same(all_of(t, t.k("a")), [(b"b", 5), (b"a", 9)])


@case
def scores_keep_every_bit(t):
    scores = [0.1, -0.1, 1e-320, -1e-320, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 2**53 + 0.0, 1 / 3, INF,
              -INF, 0.0]
    t.sortedset.Add(key=t.k("a"), members=scored([(b"%d" % i, s) for i, s in enumerate(scores)]))
    for i, score in enumerate(scores):
        got = t.sortedset.GetScore(key=t.k("a"), member=b"%d" % i)
        same((got.found, got.score), (True, score))
    same([s for _, s in all_of(t, t.k("a"))], sorted(scores))


@case
def minus_zero_is_zero(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"b", -0.0), (b"a", 0.0)]))
    same(math.copysign(1, t.sortedset.GetScore(key=t.k("a"), member=b"b").score), 1.0, "sign")
    same([m for m, _ in all_of(t, t.k("a"))], [b"a", b"b"])
    same(t.sortedset.Add(key=t.k("a"), members=scored([(b"b", 0.0), (b"a", -0.0)])).updated, 0)


@case
def not_a_number_is_refused(t):
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[1].score"):
        t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", math.nan)]))
    same(all_of(t, t.k("a")), [])


@case
def a_missing_score_is_an_answer(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1)]))
    for key, member in ((t.k("a"), b"b"), (t.k("nobody"), b"a")):
        got = t.sortedset.GetScore(key=key, member=member)
        same((got.found, got.score), (False, 0))


@case
def remove_counts_what_was_there(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 1), (b"b", 2), (b"c", 3)]))
    same(t.sortedset.Remove(key=t.k("a"), members=[b"a", b"x", b"a", b"c"]).removed, 2)
    same(all_of(t, t.k("a")), [(b"b", 2)])
    same(t.sortedset.Remove(key=t.k("a"), members=[b"b"]).removed, 1)
    same((all_of(t, t.k("a")), t.sortedset.Clear(key=t.k("a")).removed), ([], 0))


@case
def members_are_any_bytes(t):
    t.sortedset.Add(key=t.k("a"), members=scored([(m, 7) for m in STRANGE]))
    same([m for m, _ in all_of(t, t.k("a"))], sorted(STRANGE))
    for i, member in enumerate(STRANGE):
        t.sortedset.Add(key=t.k("a"), members=scored([(member, i)]))
        same(t.sortedset.GetScore(key=t.k("a"), member=member).score, i)
    same([m for m, _ in all_of(t, t.k("a"))], STRANGE)


@case
def members_and_keys_have_1_to_1024_bytes(t):
    key, member = (t.prefix + b"k" * 1024)[:1024], b"m" * 1024
    t.sortedset.Add(key=key, members=scored([(member, 1)]))
    same(t.sortedset.GetScore(key=key, member=member).found, True)
    for bad in (b"", b"m" * 1025):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[1].member"):
            t.sortedset.Add(key=key, members=scored([(b"ok", 1), (bad, 1)]))
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members[0]"):
            t.sortedset.Remove(key=key, members=[bad])
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="member"):
            t.sortedset.GetScore(key=key, member=bad)
    same(t.sortedset.GetScore(key=key, member=b"ok").found, False, "a refused call adds nothing")
    for bad in (b"", b"k" * 1025):
        for method, fields in (("Add", {"members": scored([(b"m", 1)])}), ("Remove", {"members": [b"m"]}),
                               ("GetScore", {"member": b"m"}), ("Clear", {})):
            with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
                t.sortedset.call(method, dict(fields, key=bad))


@case
def a_call_has_1_to_1000_members(t):
    many = [(b"%d" % i, i) for i in range(1000)]
    same(t.sortedset.Add(key=t.k("a"), members=scored(many)).added, 1000)
    for members in ([], many + [(b"x", 1)]):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members"):
            t.sortedset.Add(key=t.k("a"), members=scored(members))
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="members"):
            t.sortedset.Remove(key=t.k("a"), members=[m for m, _ in members])
    same(t.sortedset.Remove(key=t.k("a"), members=[m for m, _ in many]).removed, 1000)


@case
def ten_thousand_members_keep_their_order(t):
    pairs = [(b"%05d" % i, (i * 7919) % 10000 // 3) for i in range(10000)]
    fill(t, t.k("a"), pairs)
    wanted = sorted(pairs, key=lambda p: (p[1], p[0]))
    check(all_of(t, t.k("a")) == wanted, "sorted by score and bytes")
    fill(t, t.k("a"), [(m, -s) for m, s in pairs[:5000]])
    wanted = sorted([(m, -s) for m, s in pairs[:5000]] + pairs[5000:], key=lambda p: (p[1], p[0]))
    check(all_of(t, t.k("a")) == wanted, "sorted after new scores")
    same(t.sortedset.Clear(key=t.k("a")).removed, 10000)


@case
def models_and_namespaces_do_not_know_each_other(t):
    other = t.sortedset.with_(namespace=t.driver + "-other")
    t.sortedset.Add(key=t.k("a"), members=scored([(b"m", 1)]))
    other.Add(key=t.k("a"), members=scored([(b"m", 2)]))
    t.sortedset.Clear(key=t.k("a"))
    same(all_of(t, t.k("a"), other), [(b"m", 2)])
    with fails("FAILED_PRECONDITION", "TTL_REQUIRED"):
        t.sortedset.with_(namespace=t.driver + "-finite").Add(key=t.k("a"), members=scored([(b"m", 1)]))


@case
def parallel_adds_all_arrive(t):
    results = at_once([lambda i=i: t.sortedset.Add(key=t.k("a"), members=scored([(b"%d" % n, i) for n in range(50)]))
                       for i in range(8)])
    same(sum(r.added for r in results), 50)
    last = all_of(t, t.k("a"))
    same((len(last), len({s for _, s in last})), (50, 1), "a call is one: all members have the score of the last one")


@case
def retries_happen_once(t):
    once = t.sortedset.once(t.idem("add"))
    same([once.Add(key=t.k("a"), members=scored([(b"a", 1)])).added for _ in range(2)], [1, 1])
    t.sortedset.Add(key=t.k("a"), members=scored([(b"a", 2)]))
    once.Add(key=t.k("a"), members=scored([(b"a", 1)]))
    same(all_of(t, t.k("a")), [(b"a", 2)])
    with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
        once.Add(key=t.k("a"), members=scored([(b"a", 1.5)]))
    remove = t.sortedset.once(t.idem("remove"))
    same([remove.Remove(key=t.k("a"), members=[b"a"]).removed for _ in range(2)], [1, 1])
