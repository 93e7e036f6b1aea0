"""What a restart leaves: a namespace on a durable driver keeps every acknowledged write, also when the process is killed."""
import os
import signal
import threading

from harness.case import KeyValue, Model, await_true, case, check, same
from harness.client_grpc import GrpcClient
from harness.failure import Failure
from harness.proxy import Proxy
from harness.stubs import new

DURABLE = ("sqlite", "postgres", "redis", "redis-cluster")  # the servers of the tests sync every write


def kept_after(t, with_signal):
    """Writes until the server is gone; answers what was acknowledged and what is there after the restart."""
    proxy = Proxy().start()
    try:
        client = GrpcClient(proxy.listen)
        kv = KeyValue(client, t.driver)
        acknowledged = []

        def write():
            try:
                for i in range(100000):
                    kv.Set(key=b"%06d" % i, value=b"v%d" % i)
                    acknowledged.append(i)
                    if i == 200:
                        enough.set()
            except Failure:
                enough.set()
        enough = threading.Event()
        writer = threading.Thread(target=write)
        writer.start()
        enough.wait(60)
        proxy.stop(with_signal)
        writer.join()
        client.close()
        proxy.start()
        client = GrpcClient(proxy.listen)
        kv = KeyValue(client, t.driver)
        there = {i.key: i.value for page in kv.Scan() for i in page.items}
        client.close()
        return acknowledged, there
    finally:
        proxy.remove()


@case(clients=("grpcio",))
def acknowledged_writes_survive_kill_and_drain(t):
    for with_signal in (signal.SIGKILL, signal.SIGTERM):
        acknowledged, there = kept_after(t, with_signal)
        check(len(acknowledged) >= 100, "%d writes were acknowledged", len(acknowledged))
        if t.driver not in DURABLE:
            same(there, {}, "memory forgets")
            continue
        missing = [i for i in acknowledged if there.get(b"%06d" % i) != b"v%d" % i]
        same(missing, [], "acknowledged and lost after signal %d" % with_signal)


@case(clients=("grpcio",))
def versions_ttls_and_idempotency_keys_survive(t):
    if t.driver not in DURABLE:
        return
    proxy = Proxy().start()
    try:
        client = GrpcClient(proxy.listen)
        kv = KeyValue(client, t.driver)
        once = kv.with_(prism_idempotency_key="k")
        version = once.Set(key=b"a", value=b"1", tags={"x": "1"}, ttl_ms=3_600_000).version
        kv.BatchSet(items=[new("BatchSetItem", key=b"b", value=b"2")])
        before = kv.BatchGet(keys=[b"a", b"b"])
        client.close()
        proxy.restart()
        client = GrpcClient(proxy.listen)
        kv = KeyValue(client, t.driver)
        same(kv.BatchGet(keys=[b"a", b"b"]), before)
        once = kv.with_(prism_idempotency_key="k")
        same(once.Set(key=b"a", value=b"1", tags={"x": "1"}, ttl_ms=3_600_000).version, version, "the retry")
        check(kv.Set(key=b"a", value=b"3").version != version)
        client.close()
    finally:
        proxy.remove()


class Killed:
    """A proxy of its own that is killed while work goes on, and started again."""

    def __init__(self, t):
        self.t, self.proxy, self.acknowledged = t, Proxy().start(), []
        self.enough = threading.Event()
        self.connect()

    def connect(self):
        self.client = GrpcClient(self.proxy.listen)
        self.list, self.set, self.sortedset, self.counter = (
            Model(m, self.client, self.t.driver) for m in ("list", "set", "sortedset", "counter"))

    def during(self, work):
        """Calls work(i) until the proxy is gone, which is killed after 60 of them."""
        def run():
            try:
                for i in range(100000):
                    self.acknowledged.append(work(i))
                    if i == 60:
                        self.enough.set()
            except Failure:
                self.enough.set()
        worker = threading.Thread(target=run)
        worker.start()
        check(self.enough.wait(60), "60 calls within a minute")
        self.proxy.stop(signal.SIGKILL)
        worker.join()
        self.client.close()
        self.proxy.start()
        self.connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.proxy.remove()


@case(clients=("grpcio",))
def acknowledged_changes_of_collections_survive_a_kill(t):
    with Killed(t) as k:
        def work(i):
            name = b"%06d" % i
            k.list.PushRight(key=t.k("l"), values=[name])
            k.set.Add(key=t.k("s"), members=[name])
            k.sortedset.Add(key=t.k("z"), members=[{"member": name, "score": -i}])
            k.counter.Add(key=t.k("c"), delta=1)
            return name
        k.during(work)
        pushed = list(k.list.GetRange(key=t.k("l"), start=0, end=-1).values)
        size, count = k.set.GetSize(key=t.k("s")).size, k.counter.Get(key=t.k("c")).value
        if t.driver not in DURABLE:
            same((pushed, size, count), ([], 0, 0), "memory forgets")
            return
        acknowledged = k.acknowledged
        check(len(acknowledged) > 60, "%d were acknowledged", len(acknowledged))
        same(pushed[:len(acknowledged)], acknowledged, "values in their order")
        for there in (len(pushed), size, count):
            check(len(acknowledged) <= there <= len(acknowledged) + 1, "%d there, %d acknowledged", there, len(acknowledged))
        last = k.sortedset.GetRange(key=t.k("z"), start=0, end=-1, reverse=True).members
        same([m.member for m in last][:len(acknowledged)], acknowledged)
        for model, name in ((k.list, "l"), (k.set, "s"), (k.sortedset, "z"), (k.counter, "c")):
            model.Clear(key=t.k(name))


@case(clients=("grpcio",))
def what_was_popped_does_not_come_back_after_a_kill(t):
    if t.driver not in DURABLE:
        return
    with Killed(t) as k:
        values = [b"%06d" % i for i in range(5000)]
        for i in range(0, len(values), 1000):
            k.list.PushRight(key=t.k("l"), values=values[i:i + 1000])
        k.during(lambda i: k.list.call("BlockingPopLeft" if i % 2 else "PopLeft", {"key": t.k("l")}))
        popped = [a.value if hasattr(a, "value") else a.values[0] for a in k.acknowledged]
        left = list(k.list.GetRange(key=t.k("l"), start=0, end=-1).values)
        same(popped, values[:len(popped)], "each once, in order")
        check(left in (values[len(popped):], values[len(popped) + 1:]), "the rest is there but for one that was on its way")
        k.list.Clear(key=t.k("l"))


@case(clients=("grpcio",))
def cursors_survive_a_restart(t):
    if t.driver not in DURABLE:
        return
    with Killed(t) as k:
        members = [b"%02d" % i for i in range(30)]
        k.set.Add(key=t.k("s"), members=members)
        k.sortedset.Add(key=t.k("z"), members=[{"member": m, "score": 1} for m in members])
        first = k.set.Union(keys=[t.k("s")], page_size=10)
        low = k.sortedset.GetRangeByScore(key=t.k("z"), page_size=10)
        k.client.close()
        k.proxy.restart()
        k.connect()
        rest = k.set.Union(keys=[t.k("s")], page_size=100, cursor=first.next_cursor)
        same(list(first.members) + list(rest.members), members)
        rest = k.sortedset.GetRangeByScore(key=t.k("z"), page_size=100, cursor=low.next_cursor)
        same([m.member for m in low.members] + [m.member for m in rest.members], members)
        k.set.Clear(key=t.k("s"))
        k.sortedset.Clear(key=t.k("z"))


@case(clients=("grpcio",))
def a_drain_exits_with_0(t):
    proxy = Proxy().start()
    try:
        same(proxy.stop(signal.SIGTERM), 0, "exit code after SIGTERM")
        check(os.path.isdir(proxy.folder))
    finally:
        proxy.remove()


@case(clients=("grpcio",))
def a_drain_does_not_wait_for_those_who_wait(t):
    # They would wait longer than a drain may last, which then would end them with an error.
    proxy = Proxy("drain_timeout: 240s\n").start()
    results = []
    try:
        client = GrpcClient(proxy.listen)
        lists = Model("list", client, t.driver, timeout=280)
        waiting = [threading.Thread(target=lambda: results.append(lists.BlockingPopLeft(key=t.k("a"), timeout_ms=270_000)))
                   for _ in range(3)]
        for thread in waiting:
            thread.start()
        await_true("three wait", lambda: proxy.stat(t.driver, "pops_waiting") == 3)
        same(proxy.stop(signal.SIGTERM), 0, "exit code, within a minute")
        for thread in waiting:
            thread.join()
        same([r.found for r in results], [False] * 3, "answers")
        client.close()
    finally:
        proxy.remove()
