"""What outlives the process: data, cursors, idempotency keys."""
from harness.api import KV, SCAN, request_of, stub
from harness.case import case, check, fails, same
from harness.proxy import Proxy


def scan(call, namespace, **fields):
    return list(stub(call.channel, SCAN + "Scan")(request_of(SCAN + "Scan", fields), metadata=(("prism-namespace", namespace),),
                                                 timeout=20))


@case
def sqlite_data_and_cursors_survive():
    with Proxy() as first:
        with first.client() as call:
            versions = [call(KV + "Set", "default", key=b"k%02d" % i, value=b"v%d" % i).version for i in range(20)]
            cursor = scan(call, "default", prefix=b"k", page_size=10)[0].next_cursor
            check(cursor, "a cursor")
        same(first.stop(), 0)
        with Proxy(folder=first.folder) as second, second.client() as call:
            got = call(KV + "Get", "default", key=b"k05")
            same((got.value, got.version), (b"v5", versions[5]))
            keys = [i.key for page in scan(call, "default", prefix=b"k", cursor=cursor) for i in page.items]
            same(keys, [b"k%02d" % i for i in range(10, 20)], "the rest of the scan")
            with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN"):
                scan(call, "default", prefix=b"x", cursor=cursor)
            check(call(KV + "Set", "default", key=b"k05", value=b"new").version not in versions, "a version is used again")


@case
def cursors_of_another_installation_are_refused():
    with Proxy() as one, Proxy() as other, one.client() as a, other.client() as b:
        for call in (a, b):
            for i in range(4):
                call(KV + "Set", "default", key=b"k%d" % i, value=b"v")
        cursor = scan(a, "default", page_size=2)[0].next_cursor
        with fails("INVALID_ARGUMENT", "CURSOR_INVALID"):
            scan(b, "default", cursor=cursor)


@case
def idempotency_keys_survive():
    key = (("prism-idempotency-key", "order-1"),)
    with Proxy() as first:
        with first.client() as call:
            version = call(KV + "Set", "default", key, key=b"k", value=b"v").version
            call(KV + "Set", "default", key=b"k", value=b"later")
        same(first.stop(), 0)
        with Proxy(folder=first.folder) as second, second.client() as call:
            same(call(KV + "Set", "default", key, key=b"k", value=b"v").version, version, "the first answer")
            same(call(KV + "Get", "default", key=b"k").value, b"later", "nothing was written again")
            with fails("INVALID_ARGUMENT", "IDEMPOTENCY_REUSED"):
                call(KV + "Set", "default", key, key=b"k", value=b"other")


@case
def memory_is_gone():
    with Proxy() as first:
        with first.client() as call:
            call(KV + "Set", "memory", key=b"k", value=b"v")
        same(first.stop(), 0)
        with Proxy(folder=first.folder) as second, second.client() as call:
            check(not call(KV + "Get", "memory", key=b"k").found)
