"""The kinds of request that starved.py runs out of memory: over gRPC and HTTP/JSON, each over a connection of its own.

A path gives the answer that it must give when there is memory; anything else is an AssertionError, or Refused (an error that says
that memory or the service is short), or Lost (the connection ended)."""
import base64
import http.client
import json
import os
import socket
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import grpc  # noqa: E402
from harness.api import ADMIN, FACTORY, HEALTH, KV, POOL, SCAN, message, request_of, stub  # noqa: E402

TIMEOUT_S = 20
BATCH, CAS = "/prism.keyvalue.v1.KeyValueBatch/", "/prism.keyvalue.v1.KeyValueCas/"
TTL, TX = "/prism.keyvalue.v1.KeyValueTtl/", "/prism.keyvalue.v1.KeyValueTransactional/"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
LARGE = bytes(range(256)) * 256
IDLE = message("google.protobuf.Duration")(seconds=1)  # a transaction that nobody could end is gone soon
PATHS = []


class Refused(Exception):
    pass


class Lost(Exception):
    pass


class Path:
    def __init__(self, function, data):
        self.run, self.data = function, data
        self.name, self.what = function.__name__, (function.__doc__ or "").strip()


def path(data=True):
    """data: it depends on the driver, so it runs on each."""
    def add(function):
        PATHS.append(Path(function, data))
        return function
    return add


def same(got, wanted, what="answer"):
    if got != wanted:
        raise AssertionError("%s: %r, wanted %r" % (what, got, wanted))


# --- gRPC ----------------------------------------------------------------------------------------------------------------------

def judge(error):
    """What a failed call means for a starving process."""
    code, text = error.code(), error.details() or ""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        raise Refused(text) from error
    if code is grpc.StatusCode.UNAVAILABLE:
        raise Lost(text) from error
    raise AssertionError("%s: %s" % (code.name, text)) from error


class Grpc:
    """Calls over one new connection."""

    def __init__(self, address, namespace):
        self.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])
        self.namespace = namespace

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def start(self, path_, metadata=(), compression=None, timeout=TIMEOUT_S, **fields):
        pairs = (("prism-namespace", self.namespace),) + tuple(metadata)
        return stub(self.channel, path_)(request_of(path_, fields), metadata=pairs, timeout=timeout, compression=compression)

    def __call__(self, path_, *arguments, **fields):
        try:
            return self.start(path_, *arguments, **fields)
        except grpc.RpcError as error:
            return judge(error)

    def all(self, name, **fields):
        try:
            return list(self.start(name, **fields))
        except grpc.RpcError as error:
            return judge(error)

    def fails(self, code, name, metadata=(), **fields):
        """This call is an error by itself."""
        try:
            self.start(name, metadata, **fields)
        except grpc.RpcError as error:
            if error.code().name != code:
                judge(error)
            return
        raise AssertionError("%s was answered, wanted %s" % (name, code))


# --- HTTP/JSON -------------------------------------------------------------------------------------------------------------------

def b64(data):
    return base64.b64encode(data).decode()


def http_answer(address, method, where, body, headers):
    """(status, body) over a new connection."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request(method, where, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except socket.timeout as error:
        raise AssertionError("no answer to %s" % where) from error
    except (http.client.HTTPException, ConnectionError, OSError) as error:
        raise Lost(str(error)) from error
    finally:
        connection.close()


class Target:
    """Where the gateway is, and the namespace under test."""

    def __init__(self, listen, metrics, namespace):
        self.listen, self.metrics, self.namespace = listen, metrics, namespace

    def grpc(self, namespace=None):
        return Grpc(self.listen, namespace or self.namespace)

    def admin(self):
        return Grpc(self.metrics, self.namespace)

    def json(self, interface, method, body, status=200, accept="application/json", namespace=None):
        where = "/v1/namespaces/%s/%s/%s" % (namespace or self.namespace, interface, method)
        data = body if isinstance(body, str) else json.dumps(body)
        got, text = http_answer(self.listen, "POST", where, data, {"content-type": "application/json", "accept": accept})
        if got != status and got in (429, 503):
            raise Refused(text)
        same(got, status, "status of %r" % text[:200])
        return text

    def page(self, where, status=200):
        got, text = http_answer(self.metrics, "GET", where, None, {})
        if got != status and got in (429, 503, 500):
            raise Refused(text)
        same(got, status, "status of %r" % text[:200])
        return text


# --- the six interfaces over gRPC -------------------------------------------------------------------------------------------------

@path()
def grpc_set(t):
    """KeyValueBasic.Set"""
    with t.grpc() as call:
        same(len(call(KV + "Set", key=b"set", value=b"v").version) > 0, True)


@path()
def grpc_set_large_with_tags_and_ttl(t):
    """Set of 64 KiB, tags, time to live"""
    with t.grpc() as call:
        request = request_of(KV + "Set", {"key": b"large", "value": LARGE})
        request.tags["a"], request.tags["b"] = "1", "2"
        request.ttl.seconds = 3600
        try:
            stub(call.channel, KV + "Set")(request, metadata=(("prism-namespace", t.namespace),), timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            judge(error)


@path()
def grpc_set_if_version(t):
    """Set that must not match: ABORTED with details"""
    with t.grpc() as call:
        call(KV + "Set", key=b"held", value=b"v")
        call.fails("ABORTED", KV + "Set", key=b"held", value=b"w", if_version=b"")


@path()
def grpc_set_idempotent(t):
    """Set with an idempotency key, and the same again"""
    mark = (("prism-idempotency-key", "starved"),)
    with t.grpc() as call:
        first = call(KV + "Set", mark, key=b"once", value=b"v").version
        same(call(KV + "Set", mark, key=b"once", value=b"v").version, first, "version of the second")


@path()
def grpc_get(t):
    """KeyValueBasic.Get"""
    with t.grpc() as call:
        same(call(KV + "Get", key=b"set").value, b"v")


@path()
def grpc_get_large(t):
    """Get of 64 KiB: more than a frame, and a flow control window"""
    with t.grpc() as call:
        same(call(KV + "Get", key=b"large").value, LARGE)


@path()
def grpc_set_and_get_compressed(t):
    """gzip in both directions"""
    with t.grpc() as call:
        call(KV + "Set", compression=grpc.Compression.Gzip, key=b"zip", value=LARGE)
        same(call(KV + "Get", compression=grpc.Compression.Gzip, key=b"zip").value, LARGE)


@path()
def grpc_delete(t):
    """KeyValueBasic.Delete"""
    with t.grpc() as call:
        call(KV + "Set", key=b"short", value=b"v")
        same(call(KV + "Delete", key=b"short").existed, True)


@path()
def grpc_exists(t):
    """KeyValueBasic.Exists"""
    with t.grpc() as call:
        same(call(KV + "Exists", key=b"set").exists, True)


@path()
def grpc_expiry(t):
    """KeyValueTtl: Expire, GetTTL, Persist"""
    with t.grpc() as call:
        call(KV + "Set", key=b"ttl", value=b"v")
        same(call(TTL + "Expire", key=b"ttl", ttl=message("google.protobuf.Duration")(seconds=3600)).existed, True)
        same(call(TTL + "GetTTL", key=b"ttl").exists, True)
        same(call(TTL + "Persist", key=b"ttl").removed, True)


@path()
def grpc_swap(t):
    """KeyValueCas.CompareAndSwap by version and by value, one that does not match"""
    with t.grpc() as call:
        version = call(KV + "Set", key=b"cas", value=b"1").version
        same(call(CAS + "CompareAndSwap", key=b"cas", expected_version=version, value=b"2").swapped, True)
        same(call(CAS + "CompareAndSwap", key=b"cas", expected_value=b"2", value=b"3").swapped, True)
        same(call(CAS + "CompareAndSwap", key=b"cas", expected_value=b"9", value=b"4").current_value, b"3")


@path()
def grpc_compare_and_delete(t):
    """KeyValueCas.CompareAndDelete"""
    with t.grpc() as call:
        version = call(KV + "Set", key=b"cad", value=b"1").version
        same(call(CAS + "CompareAndDelete", key=b"cad", expected_version=version).deleted, True)


def items(count):
    item = message("prism.keyvalue.v1.BatchSetItem")
    return [item(key=b"batch/%03d" % i, value=b"%d" % i * 100) for i in range(count)]


def answered(results):
    """Items of a batch that failed alone."""
    codes = {result.status.code for result in results} - {0}
    if codes == {8}:
        raise Refused("items of a batch")
    same(codes, set(), "codes of items")


@path()
def grpc_batch_set(t):
    """KeyValueBatch.BatchSet of 60 items"""
    with t.grpc() as call:
        answered(call(BATCH + "BatchSet", items=items(60)).results)


@path()
def grpc_batch_get(t):
    """KeyValueBatch.BatchGet of 60 items"""
    with t.grpc() as call:
        results = call(BATCH + "BatchGet", keys=[i.key for i in items(60)]).results
        answered(results)
        same([r.item.value for r in results], [i.value for i in items(60)])


@path()
def grpc_batch_delete(t):
    """KeyValueBatch.BatchDelete"""
    keys = [b"gone/%d" % i for i in range(10)]
    with t.grpc() as call:
        answered(call(BATCH + "BatchDelete", keys=keys).results)


@path()
def grpc_scan(t):
    """KeyValueScan.Scan, pages of 10"""
    with t.grpc() as call:
        pages = call.all(SCAN + "Scan", prefix=b"batch/", page_size=10)
        same([i.value for page in pages for i in page.items], [i.value for i in items(60)])


@path()
def grpc_scan_on_from_a_cursor(t):
    """Scan that begins where another one stopped, backwards"""
    with t.grpc() as call:
        first = call.all(SCAN + "Scan", prefix=b"batch/", page_size=25, reverse=True)[0]
        rest = call.all(SCAN + "Scan", prefix=b"batch/", cursor=first.next_cursor, reverse=True)
        same(sum(len(page.items) for page in rest), 35)


@path()
def grpc_scan_keys(t):
    """KeyValueScan.ScanKeys"""
    with t.grpc() as call:
        same(len([k for page in call.all(SCAN + "ScanKeys", prefix=b"batch/", page_size=7) for k in page.keys]), 60)


@path()
def grpc_count(t):
    """KeyValueScan.Count"""
    with t.grpc() as call:
        same(call(SCAN + "Count", prefix=b"batch/").count, 60)


@path()
def grpc_scan_cancelled(t):
    """Scan that the caller gives up after a page"""
    with t.grpc() as call:
        pages = call.start(SCAN + "Scan", prefix=b"batch/", page_size=1)
        try:
            next(pages)
            pages.cancel()
        except grpc.RpcError as error:
            judge(error)


@path()
def grpc_transaction(t):
    """KeyValueTransactional: begin, set, get, delete, commit"""
    with t.grpc() as call:
        begun = call(TX + "BeginTransaction", idle_timeout=IDLE).transaction_id
        call(TX + "SetInTransaction", transaction_id=begun, key=b"tx/a", value=b"1")
        call(TX + "SetInTransaction", transaction_id=begun, key=b"tx/b", value=b"2")
        same(call(TX + "GetInTransaction", transaction_id=begun, key=b"tx/a").value, b"1")
        call(TX + "DeleteInTransaction", transaction_id=begun, key=b"tx/c")
        same(len(call(TX + "Commit", transaction_id=begun).version) > 0, True)


@path()
def grpc_transaction_rolled_back(t):
    """BeginTransaction, SetInTransaction, Rollback"""
    with t.grpc() as call:
        begun = call(TX + "BeginTransaction", idle_timeout=IDLE).transaction_id
        call(TX + "SetInTransaction", transaction_id=begun, key=b"tx/a", value=b"9")
        call(TX + "Rollback", transaction_id=begun)


# --- errors, and what lies around calls -----------------------------------------------------------------------------------------------

@path(data=False)
def grpc_invalid_request(t):
    """INVALID_ARGUMENT with the field in its details"""
    with t.grpc() as call:
        call.fails("INVALID_ARGUMENT", KV + "Get", key=b"")


@path(data=False)
def grpc_unknown_namespace(t):
    """NOT_FOUND with a suggestion"""
    with t.grpc("memori") as call:
        call.fails("NOT_FOUND", KV + "Get", key=b"k")


@path(data=False)
def grpc_unknown_method(t):
    """UNIMPLEMENTED"""
    with t.grpc() as call:
        try:
            call.channel.unary_unary("/prism.keyvalue.v1.KeyValueBasic/Nothing")(b"", timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                judge(error)


@path(data=False)
def grpc_message_too_large(t):
    """RESOURCE_EXHAUSTED before the message has come"""
    with t.grpc() as call:
        try:
            call.start(KV + "Set", key=b"k", value=bytes(5 << 20))
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                judge(error)


@path(data=False)
def grpc_garbage(t):
    """Bytes that are no message"""
    with t.grpc() as call:
        try:
            call.channel.unary_unary(KV + "Set")(b"\x0a\xff\xff\xff\xff\x0f", metadata=(("prism-namespace", "memory"),),
                                                 timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL):
                judge(error)


@path(data=False)
def grpc_health(t):
    """Health.Check on the data port"""
    with t.grpc() as call:
        same(call(HEALTH + "Check").status, 1)


@path(data=False)
def grpc_health_watched(t):
    """Health.Watch, one answer, then cancelled"""
    with t.grpc() as call:
        answers = call.start(HEALTH + "Watch")
        try:
            same(next(answers).status, 1)
        except grpc.RpcError as error:
            judge(error)
        answers.cancel()


@path(data=False)
def grpc_reflection(t):
    """Reflection: the list of services, and a file with what it needs"""
    kind = FACTORY.GetPrototype(POOL.FindMessageTypeByName("grpc.reflection.v1.ServerReflectionRequest"))
    with t.grpc() as call:
        try:
            asked = iter([kind(list_services=""), kind(file_containing_symbol="prism.keyvalue.v1.KeyValueBasic")])
            answers = list(stub(call.channel, REFLECTION, client_streaming=True)(asked, timeout=TIMEOUT_S))
        except grpc.RpcError as error:
            judge(error)
        same([a.WhichOneof("message_response") for a in answers], ["list_services_response", "file_descriptor_response"])


# --- the same over HTTP/JSON -----------------------------------------------------------------------------------------------------------

@path()
def json_set(t):
    """POST …/keyvalue_basic/Set"""
    same("version" in json.loads(t.json("keyvalue_basic", "Set", {"key": b64(b"json"), "value": b64(b"v"), "tags": {"a": "1"}})), True)


@path()
def json_get(t):
    """POST …/keyvalue_basic/Get"""
    same(json.loads(t.json("keyvalue_basic", "Get", {"key": b64(b"json")}))["value"], b64(b"v"))


@path()
def json_batch_set(t):
    """POST …/keyvalue_batch/BatchSet"""
    body = {"items": [{"key": b64(b"jb/%d" % i), "value": b64(b"v")} for i in range(20)]}
    results = json.loads(t.json("keyvalue_batch", "BatchSet", body))["results"]
    if {r["status"].get("code", 0) for r in results} - {0} == {8}:
        raise Refused("items of a batch")
    same(len(results), 20)


def whole(lines):
    """Lines of a stream without the error that may end it."""
    for line in lines:
        error = json.loads(line).get("error")
        if error and error.get("code") in (8, 14, 429, 503):
            raise Refused(line)
        same(error, None)
    return lines


@path()
def json_scan_as_lines(t):
    """Scan as NDJSON"""
    lines = whole(t.json("keyvalue_scan", "Scan", {"prefix": b64(b"batch/"), "pageSize": 10}, accept="application/x-ndjson").splitlines())
    same(sum(len(json.loads(line)["items"]) for line in lines), 60)


@path()
def json_scan_as_events(t):
    """Scan as Server-Sent Events"""
    text = t.json("keyvalue_scan", "Scan", {"prefix": b64(b"batch/"), "pageSize": 10}, accept="text/event-stream")
    if "event: error" in text:
        raise Refused(text)
    same(text.rstrip().split("\n\n")[-1].startswith("event: end"), True, "end of %r" % text[-100:])


@path()
def json_count(t):
    """POST …/keyvalue_scan/Count"""
    same(json.loads(t.json("keyvalue_scan", "Count", {"prefix": b64(b"batch/")}))["count"], "60")


@path(data=False)
def json_invalid(t):
    """400 with the field"""
    t.json("keyvalue_basic", "Get", {"key": ""}, status=400)


@path(data=False)
def json_garbage(t):
    """400: no JSON"""
    t.json("keyvalue_basic", "Get", "{\"key\": [", status=400)


@path(data=False)
def json_unknown_method(t):
    """404 or 501"""
    t.json("keyvalue_basic", "Nothing", {}, status=404)


# --- the metrics port ----------------------------------------------------------------------------------------------------------------

@path(data=False)
def admin_get_status(t):
    """ProxyAdmin.GetStatus"""
    with t.admin() as call:
        same(call(ADMIN + "GetStatus").workers, 1)


@path(data=False)
def admin_list_namespaces(t):
    """ProxyAdmin.ListNamespaces"""
    with t.admin() as call:
        same(len(call(ADMIN + "ListNamespaces").namespaces), 3)


@path()
def admin_describe_namespace(t):
    """ProxyAdmin.DescribeNamespace"""
    with t.admin() as call:
        same(call(ADMIN + "DescribeNamespace", name=t.namespace).status.name, t.namespace)


@path(data=False)
def admin_list_backends(t):
    """ProxyAdmin.ListBackends"""
    with t.admin() as call:
        same(len(call(ADMIN + "ListBackends").drivers) > 0, True)


@path(data=False)
def admin_reload(t):
    """ProxyAdmin.ReloadConfig: a new snapshot of the configuration"""
    with t.admin() as call:
        call(ADMIN + "ReloadConfig")


@path(data=False)
def metrics_page(t):
    """GET /metrics"""
    same("prism_" in t.page("/metrics"), True)


@path(data=False)
def ready_page(t):
    """GET /ready"""
    t.page("/ready")
