"""What a client sees of a running proxy: answers, errors, operations."""
import json

from harness.api import ADMIN, HEALTH, KV, SCAN
from harness.case import case, check, fails, same
from harness.proxy import Proxy


@case
def a_value_is_stored_and_read_back():
    with Proxy() as p, p.client() as call:
        for namespace in ("memory", "default", "demo"):
            version = call(KV + "Set", namespace, key=b"k", value=b"v").version
            answer = call(KV + "Get", namespace, key=b"k")
            same((answer.found, answer.value, answer.version), (True, b"v", version), namespace)


@case
def errors_tell_the_way_out():
    with Proxy() as p, p.client() as call:
        with fails("INVALID_ARGUMENT", "NAMESPACE_MISSING"):
            call(KV + "Get", key=b"k")
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN") as f:
            call(KV + "Get", "memroy", key=b"k")
        check("did you mean `memory`" in f.text, f.text)
        with fails("INVALID_ARGUMENT") as f:
            call(KV + "Get", "memory")
        same([name for name, _ in f.fields], ["key"], "violations")


@case
def the_ready_line_has_what_scripts_need():
    with Proxy() as p:
        same(p.ready["event"], "ready")
        same(p.ready["pid"], p.process.pid)
        check(p.ready["version"])
        check(not p.listen.endswith(":0") and not p.metrics.endswith(":0"), p.ready)


@case
def operations_are_served_on_the_metrics_port_alone():
    with Proxy() as p, p.client() as data, p.admin() as admin:
        same(admin(ADMIN + "GetStatus").listen, p.listen)
        with fails("UNIMPLEMENTED"):
            data(ADMIN + "GetStatus")
        with fails("UNIMPLEMENTED"):
            admin(KV + "Get", "memory", key=b"k")
        with fails("UNIMPLEMENTED"):
            admin(SCAN + "Count", "memory")
        for client in (data, admin):
            same(client(HEALTH + "Check").status, 1, "SERVING")


@case
def namespaces_and_backends_are_listed():
    with Proxy() as p, p.admin() as admin:
        listed = {n.name: n for n in admin(ADMIN + "ListNamespaces").namespaces}
        same(sorted(listed), ["default", "demo", "memory"])
        check(all(n.healthy and "keyvalue_basic" in n.interfaces for n in listed.values()), listed)
        described = admin(ADMIN + "DescribeNamespace", name="memory")
        same(described.config.limits.message_bytes, 4 << 20)
        check(described.config.ttl.allow_infinite)
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
            admin(ADMIN + "DescribeNamespace", name="nobody")
        drivers = {d.name: d for d in admin(ADMIN + "ListBackends").drivers}
        same((drivers["sqlite"].durable, drivers["memory"].durable), (True, False), "durable")


@case
def pages_say_live_and_ready():
    with Proxy() as p:
        same(p.page("/health")[0], 200)
        status, body = p.page("/ready")
        same((status, json.loads(body)), (200, {"ready": True, "reasons": []}))
        same(p.page("/nothing")[0], 404)
