"""What a restart leaves: a namespace on a durable driver keeps every acknowledged write, also when the process is killed."""
import os
import signal
import threading

from harness.case import KeyValue, case, check, same
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


@case(clients=("grpcio",))
def a_drain_exits_with_0(t):
    proxy = Proxy().start()
    try:
        same(proxy.stop(signal.SIGTERM), 0, "exit code after SIGTERM")
        check(os.path.isdir(proxy.folder))
    finally:
        proxy.remove()
