"""What every call has: namespace, request id, trace, deadline, error details, methods that are not there."""
import re
import uuid

from harness import stubs
from harness.case import Model, case, check, fails, same
from harness.failure import Failure


@case(clients=("grpcio", "grpc-js"))
def a_call_names_its_namespace(t):
    with fails("INVALID_ARGUMENT", "NAMESPACE_MISSING") as f:
        t.kv.with_(namespace="").Get(key=b"a")
    check("prism-namespace" in f.message, "the message tells the fix: %s", f.message)


@case
def an_unknown_namespace_is_not_found(t):
    for name in ("nobody", "Memory", t.driver + "x", "x" * 64):
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN") as f:
            t.kv.with_(namespace=name).Get(key=b"a")
        check(name in f.message or name in str(f.metadata) or (f.resource and name in f.resource),
              "the failure names it: %s %s", f.message, f.metadata)


@case
def every_method_needs_a_known_namespace(t):
    for model, methods in stubs.METHODS.items():
        nobody = Model(model, t.client, "nobody")
        for name in methods:
            with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
                nobody.call(name, {})


@case
def the_request_id_is_echoed(t):
    kv = t.kv.with_(prism_request_id="order-17")
    kv.Get(key=t.k("a"))
    same(kv.headers.get("prism-request-id"), "order-17")
    try:
        kv.Get(key=b"")
        raise AssertionError("an empty key was taken")
    except Failure as failure:
        same(failure.headers.get("prism-request-id"), "order-17", "of a failed call")
    kv.Scan(prefix=t.prefix)
    same(kv.headers.get("prism-request-id"), "order-17", "of a stream")


@case
def a_request_id_is_made_where_there_is_none(t):
    seen = set()
    for _ in range(3):
        t.kv.Get(key=t.k("a"))
        text = t.kv.headers.get("prism-request-id")
        check(text, "no prism-request-id in %s", sorted(t.kv.headers))
        same(uuid.UUID(text).version, 7, "version of the UUID")
        seen.add(text)
    same(len(seen), 3, "different ids")


@case
def a_trace_is_carried(t):
    trace = "0af7651916cd43dd8448eb211c80319c"
    kv = t.kv.with_(traceparent="00-%s-b7ad6b7169203331-01" % trace)
    kv.Get(key=t.k("a"))
    text = kv.headers.get("traceparent", "")
    if text:
        check(re.fullmatch("00-%s-[0-9a-f]{16}-[0-9a-f]{2}" % trace, text), "traceparent: %s", text)


@case
def a_strange_traceparent_does_no_harm(t):
    for text in ("x", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-short-b7ad6b7169203331-01", "f" * 500):
        t.kv.with_(traceparent=text).Get(key=t.k("a"))


@case(clients=("grpcio", "grpc-js"))
def a_deadline_that_has_passed_ends_the_call(t):
    t.fill(["%04d" % i for i in range(3000)], value=b"x" * 300)
    try:
        t.kv.with_(timeout=0.001).Scan(prefix=t.prefix, page_size=1)
    except Failure as failure:
        same(failure.code, "DEADLINE_EXCEEDED")
    else:
        raise AssertionError("3,000 pages within a millisecond")
    check(t.kv.Count(prefix=t.prefix).count == 3000, "the server is well afterwards")


@case
def a_violation_names_field_and_rule(t):
    with fails("INVALID_ARGUMENT", field="key") as f:
        t.kv.Set(key=b"", value=b"1")
    check(f.fields["key"], "the violation says what is wrong")
    if f.http_status is not None:
        same(f.http_status, 400)


@case
def several_violations_are_told_at_once(t):
    with fails("INVALID_ARGUMENT", "FIELD_INVALID") as f:
        t.kv.Scan(prefix=b"x" * 1025, cursor=b"x" * 4097)
    same(sorted(f.fields), ["cursor", "prefix"])


@case(clients=("curl",))
def http_statuses_follow_the_error_table(t):
    version = t.kv.Set(key=t.k("a"), value=b"1").version
    t.kv.Set(key=t.k("a"), value=b"2")
    wanted = [(400, lambda: t.kv.Get(key=b"")), (404, lambda: t.kv.with_(namespace="nobody").Get(key=b"a")),
              (409, lambda: t.kv.Set(key=t.k("a"), if_version=version)),
              (413, lambda: t.namespace("small").Set(key=t.k("a"), value=b"x" * 200000))]
    for status, call in wanted:
        try:
            call()
            raise AssertionError("should have failed with %d" % status)
        except Failure as failure:
            same(failure.http_status, status, failure.message)
            check("json" in failure.headers.get("content-type", ""), "content-type of an error")
