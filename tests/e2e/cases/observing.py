"""Metrics, logs, reflection."""
import json
import re

from google.protobuf import descriptor_pb2

from harness import api
from harness.api import ADMIN, HEALTH, KV, message, stub
from harness.case import case, check, fails, same
from harness.proxy import Proxy

LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]+="([^"\\]|\\.)*",?)*\})? (\S+)$')


def samples(text):
    """name{labels} → value; every line must be what Prometheus reads."""
    found, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            check(name not in typed, "%s is there twice" % name)
            typed.add(name)
        elif not line.startswith("#"):
            check(LINE.match(line), line)
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


@case
def calls_are_counted_with_bounded_labels():
    with Proxy() as p, p.client() as call:
        for _ in range(3):
            call(KV + "Set", "memory", key=b"k", value=b"v")
        call(KV + "Get", "memory", key=b"k")
        for i in range(5):
            with fails("NOT_FOUND"):
                call(KV + "Get", "stranger-%d" % i, key=b"k")
        with fails("INVALID_ARGUMENT"):
            call(KV + "Get", "memory")
        status, text = p.page("/metrics")
        same(status, 200)
        got = samples(text)
        labels = 'namespace="memory",method="keyvalue_basic/%s",backend="memory"'
        same(got["prism_requests_total{%s,code=\"OK\"}" % (labels % "Set")], 3)
        same(got["prism_requests_total{%s,code=\"INVALID_ARGUMENT\"}" % (labels % "Get")], 1)
        same(got["prism_request_duration_seconds_count{%s}" % (labels % "Set")], 3)
        check(got["prism_request_duration_seconds_sum{%s}" % (labels % "Set")] > 0)
        same(got['prism_errors_total{namespace="",code="NAMESPACE_UNKNOWN"}'], 5)
        same(got['prism_requests_total{namespace="",method="keyvalue_basic/Get",backend="",code="NOT_FOUND"}'], 5)
        same(got['prism_namespace_requests_total{namespace="memory"}'], 5)
        check(got['prism_request_bytes_total{namespace="memory"}'] >= 20)
        same(got['prism_connections_open{port="data"}'], 1)
        same(got['prism_backend_up{namespace="default",backend="sqlite"}'], 1)
        check("stranger" not in text, "names of strangers")
        for name in ("process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds", "prism_build_info"):
            check(any(k.startswith(name) and v > 0 for k, v in got.items()), name)


@case
def failed_calls_are_logged_and_others_when_asked():
    with Proxy() as p, p.client() as call:
        call(KV + "Set", "memory", key=b"k", value=b"v")
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        with fails("NOT_FOUND"):
            call(KV + "Get", "nowhere", (("traceparent", trace), ("prism-request-id", "r-1")), key=b"k")
        line = p.await_log("call failed")[0]
        same((line["request_id"], line["trace_id"], line["namespace"], line["code"], line["error"]),
             ("r-1", trace[3:35], "nowhere", "NOT_FOUND", "NAMESPACE_UNKNOWN"))
        same(line["operation"], "prism.keyvalue.v1.KeyValueBasic/Get")
        check(line["latency_ms"] >= 0 and line["peer"].startswith("127.0.0.1"), line)
        same([l for l in p.log_lines() if l["message"] == "call"], [])
    with Proxy(config="log: {access: true}\nnamespaces: [{name: memory, backend: memory}]\n") as p, p.client() as call:
        call(KV + "Set", "memory", key=b"k", value=b"v")
        line = p.await_log("call")[0]
        same((line["code"], line["backend"], len(line["trace_id"])), ("OK", "memory", 32))


def ask(client, version, *requests):
    path = "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version
    kind = message("grpc.reflection.%s.ServerReflectionRequest" % version)
    return list(stub(client.channel, path, client_streaming=True)(iter([kind(**r) for r in requests]), timeout=20))


def names(answer):
    return [descriptor_pb2.FileDescriptorProto.FromString(f).name for f in answer.file_descriptor_response.file_descriptor_proto]


@case
def reflection_tells_what_is_served():
    with Proxy() as p, p.client() as data, p.admin() as admin:
        for version in ("v1", "v1alpha"):
            listed = {s.name for s in ask(data, version, {"list_services": ""})[0].list_services_response.service}
            check("prism.keyvalue.v1.KeyValueBasic" in listed and "prism.admin.v1.ProxyAdmin" not in listed, listed)
            same(len(listed), 20 + 3, "services of the data port: interfaces, health, two of reflection")
            listed = {s.name for s in ask(admin, version, {"list_services": ""})[0].list_services_response.service}
            same(listed, {"prism.admin.v1.ProxyAdmin", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                          "grpc.reflection.v1alpha.ServerReflection"})


@case
def reflection_finds_files_symbols_and_extensions():
    symbols = {
        "prism.keyvalue.v1.KeyValueBasic": "prism/keyvalue/v1/keyvalue_basic.proto",
        "prism.keyvalue.v1.KeyValueBasic.Get": "prism/keyvalue/v1/keyvalue_basic.proto",
        "prism.keyvalue.v1.SetRequest": "prism/keyvalue/v1/keyvalue_basic.proto",
        "prism.keyvalue.v1.SetRequest.key": "prism/keyvalue/v1/keyvalue_basic.proto",
        "prism.config.v1.SqliteOptions.Synchronous": "prism/config/v1/config.proto",
        "prism.config.v1.SqliteOptions.SYNCHRONOUS_FULL": "prism/config/v1/config.proto",
        "prism.PII_TYPE_EMAIL": "prism/options.proto",
        "prism.interface_id": "prism/options.proto",
        "google.protobuf.Duration": "google/protobuf/duration.proto",
    }
    with Proxy() as p, p.client() as call:
        for symbol, file in symbols.items():
            same(names(ask(call, "v1", {"file_containing_symbol": symbol})[0])[0], file, symbol)
        by_name = ask(call, "v1", {"file_by_filename": "prism/keyvalue/v1/keyvalue_basic.proto"})[0]
        same(sorted(names(by_name)), ["google/protobuf/descriptor.proto", "google/protobuf/duration.proto",
                                      "google/protobuf/timestamp.proto", "prism/keyvalue/v1/keyvalue_basic.proto",
                                      "prism/options.proto"], "the file and what it imports")
        two = ask(call, "v1", {"file_by_filename": "prism/options.proto"}, {"file_by_filename": "prism/keyvalue/v1/keyvalue_scan.proto"})
        check("prism/options.proto" not in names(two[1]), "a file is sent once a session")
        numbers = ask(call, "v1", {"all_extension_numbers_of_type": "google.protobuf.FieldOptions"})[0]
        same(sorted(numbers.all_extension_numbers_response.extension_number), [50101, 50103, 50105, 50106, 50107])
        request = message("grpc.reflection.v1.ExtensionRequest")
        found = ask(call, "v1", {"file_containing_extension": request(containing_type="google.protobuf.MethodOptions", extension_number=50300)})
        same(names(found[0])[0], "prism/options.proto")
        for unknown in ({"file_by_filename": "x.proto"}, {"file_containing_symbol": "no.Such"},
                        {"all_extension_numbers_of_type": "no.Such"},
                        {"file_containing_extension": request(containing_type="google.protobuf.FieldOptions", extension_number=1)}):
            same(ask(call, "v1", unknown)[0].error_response.error_code, 5, unknown)


@case
def what_reflection_sends_is_what_protoc_makes():
    made = {f.name: f for f in api.SET.file}
    with Proxy() as p, p.client() as call:
        for name in sorted(n for n in made if n.startswith(("prism/keyvalue", "grpc/"))):
            sent = ask(call, "v1", {"file_by_filename": name})[0].file_descriptor_response.file_descriptor_proto[0]
            got = descriptor_pb2.FileDescriptorProto.FromString(sent)
            got.ClearField("source_code_info")
            same(got.SerializeToString(deterministic=True), made[name].SerializeToString(deterministic=True), name)


@case
def health_knows_services_by_name():
    with Proxy() as p, p.client() as call:
        for service in ("", "prism.keyvalue.v1.KeyValueBasic", "grpc.health.v1.Health"):
            same(call(HEALTH + "Check", service=service).status, 1, service)
        with fails("NOT_FOUND"):
            call(HEALTH + "Check", service="prism.admin.v1.ProxyAdmin")


@case
def a_backend_that_is_down_shows():
    config = "namespaces: [{name: kept, backend: sqlite}, {name: memory, backend: memory}]\n"
    with Proxy(config=config, args=["--faults", "sqlite.commit=1/1"]) as p, p.client() as call, p.admin() as admin:
        same(p.page("/ready")[0], 200)
        with fails("UNAVAILABLE", "IO"):
            call(KV + "Set", "kept", key=b"k", value=b"v")
        status, body = p.page("/ready")
        same((status, len(json.loads(body)["reasons"])), (503, 1))
        check(json.loads(body)["reasons"][0].startswith("namespace kept: the last write failed"), body)
        same(samples(p.page("/metrics")[1])['prism_backend_up{namespace="kept",backend="sqlite"}'], 0)
        healthy = {n.name: (n.healthy, bool(n.reason)) for n in admin(ADMIN + "ListNamespaces").namespaces}
        same(healthy, {"kept": (False, True), "memory": (True, False)})
        call(KV + "Set", "memory", key=b"k", value=b"v")
        same(p.page("/health")[0], 200, "alive")
