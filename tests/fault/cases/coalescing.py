"""1,000 concurrent Gets of one cold key make one backend read where the namespace asks for it; and a Get never misses a write that was
acknowledged before it began."""
import threading

import grpc

from harness.api import stub, request_of
from harness.case import check, same
from world import KV, Crowd, Setup, on_backends, until

CALLERS, CHANNELS = 1000, 20
METADATA = (("prism-namespace", "far"),)


def many_gets(address, key):
    """Their answers; all are on their way at once, over connections to both workers."""
    channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(CHANNELS)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(20)
    stubs = [stub(channel, KV + "Get") for channel in channels]
    request = request_of(KV + "Get", {"key": key})
    futures = [stubs[i % CHANNELS].future(request, metadata=METADATA, timeout=30) for i in range(CALLERS)]
    answers = [future.result() for future in futures]
    for channel in channels:
        channel.close()
    return answers


def guard(setup):
    return setup.status("far").guard


@on_backends()
def many_gets_of_a_cold_key_make_one_read(kind):
    with Setup(kind, namespace_options="coalesce_reads: true") as s:
        s.call(KV + "Set", "far", key=b"cold", value=b"v" * 100, timeout=20)
        s.relay.set(down={"delay_ms": 300})
        before = guard(s)
        answers = many_gets(s.proxy.listen, b"cold")
        after = guard(s)
        same({(a.found, a.value) for a in answers}, {(True, b"v" * 100)})
        same(after.calls - before.calls, 1, "reads at the backend")
        same(after.shared_reads - before.shared_reads, CALLERS - 1)


@on_backends()
def without_the_setting_each_reads(kind):
    with Setup(kind) as s:
        s.call(KV + "Set", "far", key=b"cold", value=b"v", timeout=20)
        before = guard(s)
        many_gets(s.proxy.listen, b"cold")
        same(guard(s).calls - before.calls, CALLERS)


@on_backends()
def a_get_sees_every_write_acknowledged_before_it(kind):
    """A writer counts a key up; readers on other connections must never read less than was acknowledged when they began."""
    with Setup(kind, namespace_options="coalesce_reads: true") as s:
        s.call(KV + "Set", "far", key=b"n", value=b"0", timeout=20)
        s.relay.set(down={"delay_ms": 2, "jitter_ms": 4})
        acknowledged = [0]
        stale = []

        def read(call, _):
            least = acknowledged[0]
            got = int(call(KV + "Get", "far", key=b"n", timeout=20).value)
            if got < least:
                stale.append((got, least))
            return got

        def write():
            for n in range(1, 150):
                s.call(KV + "Set", "far", key=b"n", value=str(n).encode(), timeout=20)
                acknowledged[0] = n

        writer = threading.Thread(target=write)
        with Crowd(s.proxy.listen, 16, read) as readers:
            writer.start()
            writer.join(120)
            until("they have read the last", lambda: all(seen and seen[-1] == 149 for seen in readers.seen))
        same(stale, [])
        check(guard(s).shared_reads > 0, "nothing was shared")
