"""The HTTP/JSON form where it differs from gRPC: paths, methods, media types, JSON mapping, streams."""
import base64
import json
import re

from harness import failure
from harness.case import case, check, same
from harness.client_http import curl, events

JSON = "content-type: application/json"


def url(t, interface, method, namespace=None):
    return "%s/v1/namespaces/%s/%s/%s" % (t.client.base, namespace or t.driver, interface, method)


def b64(data):
    return base64.b64encode(data).decode()


def post(t, interface, method, body, *headers):
    """body: an object, or bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return curl(url(t, interface, method), data, (JSON,) + headers)


def refused(answer, status, code, *reasons):
    """The answer is an error as JSON; what it says."""
    same(answer.status, status, "status of %r" % answer.body[:200])
    check(answer.headers.get("content-type", "").startswith("application/json"), "content-type: %s", answer.headers)
    error = failure.from_json(answer.body, answer.headers, answer.status)
    same(error.code, code)
    if reasons:
        check(error.reason in reasons, "reason %s, wanted %s", error.reason, reasons)
    same(error.domain, "prism")
    return error


@case(clients=("curl",))
def bytes_are_base64_and_names_lower_camel_case(t):
    answer = post(t, "keyvalue_basic", "Set", {"key": b64(t.k("a")), "value": b64(b"\x00\xff"), "ttl": "3600.500s",
                                               "tags": {"x": "1"}})
    same((answer.status, list(json.loads(answer.body))), (200, ["version"]))
    check(answer.headers["content-type"].startswith("application/json"))
    got = json.loads(post(t, "keyvalue_basic", "Get", {"key": b64(t.k("a"))}).body)
    same((got["found"], base64.b64decode(got["value"]), got["tags"]), (True, b"\x00\xff", {"x": "1"}))
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", got["expiresAt"]), "expiresAt: %s", got["expiresAt"])


@case(clients=("curl",))
def both_spellings_of_names_and_base64_are_read(t):
    post(t, "keyvalue_basic", "Set", {"key": b64(t.k("\xff\xfe")), "value": b64(b"1"), "if_version": ""})
    key = base64.urlsafe_b64encode(t.k("\xff\xfe")).decode().rstrip("=")
    same(json.loads(post(t, "keyvalue_basic", "Get", {"key": key}).body)["found"], True)
    again = post(t, "keyvalue_basic", "Set", {"key": key, "value": "MQ", "ifVersion": ""})
    refused(again, 409, "ABORTED", "VERSION_MISMATCH")


@case(clients=("curl",))
def numbers_and_null_follow_the_mapping(t):
    t.fill("abc")
    got = json.loads(post(t, "keyvalue_scan", "Count", {"prefix": b64(t.prefix), "start": None}).body)
    same(got, {"count": "3"}, "64-bit integers are text")
    for limit in (2, "2"):
        answer = post(t, "keyvalue_scan", "ScanKeys", {"prefix": b64(t.prefix), "limit": limit}, "accept: application/x-ndjson")
        same(len(json.loads(answer.body)["keys"]), 2)


@case(clients=("curl",))
def bad_json_is_told_with_its_place(t):
    for body in (b"{", b"[]", b"", b'{"key": 1}', b'{"key": "*"}', b'{"nonsense": 1}', b'{"key": "YQ=="} x', b'"x"', b"\xff",
                 b'{"key": "YQ==", "key": "YQ=="}', b'{"tags": {"a": 1}}', b"[" * 5000, b'{"key":"' + b"A" * 3):
        error = refused(post(t, "keyvalue_basic", "Set", body), 400, "INVALID_ARGUMENT")
        check(error.message, "says what is wrong")
    error = refused(post(t, "keyvalue_basic", "Set", {"nonsense": 1}), 400, "INVALID_ARGUMENT", "JSON_MALFORMED")
    check("nonsense" in error.message + str(error.fields), "names the field: %s", error)


@case(clients=("curl",))
def rules_hold_as_over_grpc(t):
    error = refused(post(t, "keyvalue_basic", "Set", {"key": ""}), 400, "INVALID_ARGUMENT", "FIELD_INVALID", "KEY_INVALID")
    check("key" in error.fields, "%s", error.fields)
    refused(post(t, "keyvalue_basic", "Set", {}), 400, "INVALID_ARGUMENT")


@case(clients=("curl",))
def what_is_not_there_is_404(t):
    for path in ("/", "/v1", "/v1/namespaces", "/v1/namespaces/%s/keyvalue_basic" % t.driver, "/nothing",
                 "/v1/namespaces/%s/keyvalue_basic/Nothing" % t.driver, "/v1/namespaces/%s/nothing/Get" % t.driver,
                 "/v1/namespaces/%s/keyvalue_scan/Get" % t.driver, "/v1/namespaces/%s/keyvalue_basic/Get/more" % t.driver,
                 "/v2/namespaces/%s/keyvalue_basic/Get" % t.driver):
        answer = curl(t.client.base + path, b"{}", [JSON])
        same(answer.status, 404, path)
        failure.from_json(answer.body, answer.headers, 404)
    refused(curl(url(t, "keyvalue_basic", "Get", "nobody"), b'{"key":"YQ=="}', [JSON]), 404, "NOT_FOUND", "NAMESPACE_UNKNOWN")


@case(clients=("curl",))
def other_http_methods_are_405(t):
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = curl(url(t, "keyvalue_basic", "Get"), b"{}" if method != "GET" else None, [JSON], method)
        same(answer.status, 405, method)
        check("POST" in answer.headers.get("allow", ""), "allow: %s", answer.headers.get("allow"))
        failure.from_json(answer.body, answer.headers, 405)


@case(clients=("curl",))
def other_media_types_are_415(t):
    body = json.dumps({"key": b64(t.k("a"))}).encode()
    for media in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = curl(url(t, "keyvalue_basic", "Get"), body, ["content-type: " + media])
        refused(answer, 415, "INVALID_ARGUMENT", "HTTP_MEDIA_TYPE")
    for media in ("application/json; charset=utf-8", "Application/JSON"):
        same(curl(url(t, "keyvalue_basic", "Get"), body, ["content-type: " + media]).status, 200, media)


@case(clients=("curl",))
def http2_without_tls_answers_the_same(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    answer = curl(url(t, "keyvalue_basic", "Get"), json.dumps({"key": b64(t.k("a"))}).encode(), [JSON],
                  options=["--http2-prior-knowledge"])
    same((answer.status, json.loads(answer.body)["found"]), (200, True))


@case(clients=("curl",))
def a_scan_as_ndjson_is_a_page_a_line(t):
    keys = t.fill(["%02d" % i for i in range(25)])
    answer = post(t, "keyvalue_scan", "Scan", {"prefix": b64(t.prefix), "pageSize": 10}, "accept: application/x-ndjson")
    same(answer.status, 200)
    check("ndjson" in answer.headers["content-type"], "content-type: %s", answer.headers["content-type"])
    lines = answer.body.decode().splitlines()
    same(len(lines), 3, "lines")
    same([base64.b64decode(i["key"]) for line in lines for i in json.loads(line)["items"]], keys)


@case(clients=("curl",))
def a_scan_as_sse_is_a_page_an_event(t):
    keys = t.fill(["%02d" % i for i in range(25)])
    answer = post(t, "keyvalue_scan", "ScanKeys", {"prefix": b64(t.prefix), "pageSize": 10}, "accept: text/event-stream")
    same(answer.status, 200)
    check(answer.headers["content-type"].startswith("text/event-stream"), "content-type: %s", answer.headers)
    pages = [json.loads(text) for text in events(answer)]
    same(len(pages), 3, "events")
    same([base64.b64decode(k) for page in pages for k in page.get("keys", [])], keys)


@case(clients=("curl",))
def a_refused_scan_is_an_error_before_its_stream(t):
    for accept in ("application/x-ndjson", "text/event-stream"):
        answer = post(t, "keyvalue_scan", "Scan", {"prefix": "YQ==", "start": "YQ=="}, "accept: " + accept)
        refused(answer, 400, "INVALID_ARGUMENT", "RANGE_INVALID", "FIELD_INVALID")


@case(clients=("curl",))
def one_connection_serves_many_requests(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    body = json.dumps({"key": b64(t.k("a"))})
    target = url(t, "keyvalue_basic", "Get")
    answer = curl(target, None, [JSON], options=["-d", body, "-w", "|%{num_connects}", "--next", "-sS", "-H", JSON, "-d", body,
                                                 "-w", "|%{num_connects}", target])
    check(answer.body.endswith(b"|0"), "the second request needs no connection: %r", answer.body[-200:])


@case(clients=("curl",))
def a_body_past_the_limit_is_413(t):
    body = json.dumps({"key": b64(t.k("a")), "value": b64(b"x" * 200000)}).encode()
    answer = curl(url(t, "keyvalue_basic", "Set", t.driver + "-small"), body, [JSON])
    refused(answer, 413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE")
