"""list_blocking: BlockingPopLeft, BlockingPopRight; waiting, order of callers, timeouts, deadlines, cancelled callers."""
import threading

from harness.case import at_once, await_true, case, check, fails, same
from harness.failure import Failure
from suites.list_basic import BAD_KEY, all_of


class Waiting:
    """A blocking pop that is under way in a thread of its own."""

    def __init__(self, lists, key, method="BlockingPopLeft", timeout_ms=20000):
        self.result = None
        self.thread = threading.Thread(target=self._run, args=(lists, key, method, timeout_ms))
        self.thread.start()

    def _run(self, lists, key, method, timeout_ms):
        try:
            self.result = lists.call(method, {"key": key, "timeout_ms": timeout_ms})
        except Exception as error:  # pylint: disable=broad-except
            self.result = error

    def get(self):
        self.thread.join(60)
        check(not self.thread.is_alive(), "the pop has ended")
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@case
def a_value_that_is_there_is_popped_at_once(t):
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2", b"3"])
    left = t.list.BlockingPopLeft(key=t.k("a"), timeout_ms=20000)
    right = t.list.BlockingPopRight(key=t.k("a"), timeout_ms=20000)
    same((left.found, left.value, right.found, right.value), (True, b"1", True, b"3"))
    same(all_of(t, t.k("a")), [b"2"])


@case
def without_a_value_in_time_nothing_is_found(t):
    for method in ("BlockingPopLeft", "BlockingPopRight"):
        answer = t.list.call(method, {"key": t.k("a"), "timeout_ms": 30})
        same((answer.found, answer.value), (False, b""))


@case
def a_push_ends_the_wait(t):
    for push, method in (("PushRight", "BlockingPopLeft"), ("PushLeft", "BlockingPopRight")):
        waiting = Waiting(t.list, t.k(method), method)
        t.list.call(push, {"key": t.k(method), "values": [b"\x00v"]})
        answer = waiting.get()
        same((answer.found, answer.value), (True, b"\x00v"))
        same(all_of(t, t.k(method)), [])


@case
def an_insert_ends_the_wait(t):
    waiting = Waiting(t.list, t.k("a"))
    t.list.Insert(key=t.k("a"), index=0, value=b"")
    answer = waiting.get()
    same((answer.found, answer.value), (True, b""), "an empty value is a value")


@case
def the_last_of_several_pushed_goes_to_who_pops_right(t):
    waiting = Waiting(t.list, t.k("a"), "BlockingPopRight")
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2", b"3"])
    same(waiting.get().value, b"3")
    same(all_of(t, t.k("a")), [b"1", b"2"])


@case
def each_of_many_waiting_gets_a_value_of_its_own(t):
    waiting = [Waiting(t.list, t.k("a")) for _ in range(12)]
    for i in range(4):
        t.list.PushRight(key=t.k("a"), values=[b"%d-%d" % (i, n) for n in range(3)])
    got = sorted(w.get().value for w in waiting)
    same(got, sorted(b"%d-%d" % (i, n) for i in range(4) for n in range(3)))
    same(all_of(t, t.k("a")), [])


@case(clients=("grpcio",))
def callers_are_served_in_the_order_in_which_they_came(t):
    # A caller is known to wait once the metric says so.
    waiting = []
    before = waiting_now(t)
    for i in range(5):
        waiting.append(Waiting(t.list, t.k("a")))
        await_true("%d wait" % (i + 1), lambda i=i: waiting_now(t) == before + i + 1)
    t.list.PushRight(key=t.k("a"), values=[b"0", b"1"])
    same([w.get().value for w in waiting[:2]], [b"0", b"1"])
    for i in range(2, 5):
        check(waiting[i].thread.is_alive(), "the others wait on")
        t.list.PushRight(key=t.k("a"), values=[b"%d" % i])
        same(waiting[i].get().value, b"%d" % i)


def waiting_now(t):
    return t.world.stat(t.driver, "pops_waiting")


@case(clients=("grpcio",))
def who_is_gone_takes_nothing_along(t):
    before = waiting_now(t)
    gone = [Waiting(t.list.with_(timeout=0.2), t.k("a")) for _ in range(3)]
    for w in gone:
        try:
            w.get()
            raise AssertionError("the deadline should have passed")
        except Failure as failure:
            same(failure.code, "DEADLINE_EXCEEDED")
    await_true("nobody waits", lambda: waiting_now(t) == before)
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2"])
    same(all_of(t, t.k("a")), [b"1", b"2"])


@case
def values_and_deadlines_at_the_same_time_lose_nothing(t):
    # Callers give up while values arrive: each value is either answered or still there.
    def pop():
        try:
            return t.list.with_(timeout=0.15).BlockingPopLeft(key=t.k("a"), timeout_ms=20000)
        except Failure as failure:
            return failure

    def push(i):
        return t.list.PushRight(key=t.k("a"), values=[b"%d" % i])
    results = at_once([pop] * 8 + [lambda i=i: push(i) for i in range(6)] + [pop] * 4)
    answered = [r.value for r in results if hasattr(r, "found") and r.found]
    left = all_of(t, t.k("a"))
    lost = set(b"%d" % i for i in range(6)) - set(answered) - set(left)
    # What was popped for a caller whose deadline passed while the answer travelled is the one loss that is allowed: it is in
    # neither. It cannot be more than the callers that gave up.
    gave_up = [r for r in results if isinstance(r, Failure)]
    check(len(lost) <= len(gave_up), "lost: %s, gave up: %d", lost, len(gave_up))
    same(len(answered) + len(left) + len(lost), 6, "each value at most once")
    same([r.code for r in gave_up if r.code != "DEADLINE_EXCEEDED"], [])


@case
def pops_that_do_not_wait_go_on(t):
    waiting = Waiting(t.list, t.k("a"))
    same(list(t.list.PopLeft(key=t.k("a")).values), [])
    t.list.PushRight(key=t.k("b"), values=[b"other list"])
    same(list(t.list.PopLeft(key=t.k("b")).values), [b"other list"])
    t.list.PushRight(key=t.k("a"), values=[b"v"])
    same(waiting.get().value, b"v")


@case
def a_retry_answers_the_same_value(t):
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2"])
    once = t.list.once(t.idem("now"))
    same([once.BlockingPopLeft(key=t.k("a"), timeout_ms=20000).value for _ in range(3)], [b"1"] * 3)
    later = t.list.once(t.idem("later"))
    waiting = Waiting(later, t.k("b"))
    t.list.PushRight(key=t.k("b"), values=[b"3", b"4"])
    same((waiting.get().value, later.BlockingPopLeft(key=t.k("b"), timeout_ms=20000).value), (b"3", b"3"))
    same((all_of(t, t.k("a")), all_of(t, t.k("b"))), ([b"2"], [b"4"]))


@case
def a_wait_that_found_nothing_may_be_tried_again_with_its_key(t):
    once = t.list.once(t.idem("nothing"))
    same(once.BlockingPopLeft(key=t.k("a"), timeout_ms=20).found, False)
    t.list.PushRight(key=t.k("a"), values=[b"1", b"2"])
    same([once.BlockingPopLeft(key=t.k("a"), timeout_ms=20000).value for _ in range(2)], [b"1", b"1"])
    same(all_of(t, t.k("a")), [b"2"])


@case
def timeouts_and_keys_are_checked(t):
    for method in ("BlockingPopLeft", "BlockingPopRight"):
        for timeout_ms in (0, -1000):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="timeout"):
                t.list.call(method, {"key": t.k("a"), "timeout_ms": timeout_ms})
        with fails("INVALID_ARGUMENT", *BAD_KEY, field="key"):
            t.list.call(method, {"key": b"", "timeout_ms": 100})
