"""Commands about the server: health, status, namespaces, backends, reflection, configuration; and when it is not there."""
import os
import re
import subprocess

import yaml

from harness.proxy import Proxy
from suites.keyvalue_transactional import certificates
from world import PRISMCTL, World

INTERFACES = ["counter_basic",
              "keyvalue_basic", "keyvalue_batch", "keyvalue_cas", "keyvalue_scan", "keyvalue_transactional", "keyvalue_ttl",
              "list_basic", "list_blocking", "list_indexing", "list_range",
              "set_basic", "set_cardinality", "set_operations", "set_random",
              "sortedset_basic", "sortedset_lex", "sortedset_operations", "sortedset_range", "sortedset_rank"]


def test_health(w):
    assert w.ctl("health").ok().out == "serving at %s\n" % w.proxy.listen
    assert w.ctl("health", "-o", "json").json() == {"status": "SERVING"}
    assert w.ctl("health", "-o", "yaml").ok().out == "status: SERVING\n"


def test_nobody_there(w):
    w.ctl("health", "--address", "127.0.0.1:1").fails(33, "127.0.0.1:1", "fix: start the proxy")
    w.ctl("status", "--admin-address", "127.0.0.1:1").fails(33)
    w.ctl("kv", "get", "a", "--address", "127.0.0.1:1").fails(33, "prismctl kv get: ")
    w.ctl("health", "--address", "nonsense").fails(72)


def test_an_import_outlives_restarts(w):
    proxy = Proxy().start()
    env = World(proxy, w.folder).environment(PRISM_NAMESPACE="sqlite-other")
    try:
        with subprocess.Popen([PRISMCTL, "kv", "import", "--wait", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as importing:
            for part in range(4):
                importing.stdin.write(b"".join(b'{"key": "%d/%d", "value": "x"}\n' % (part, i) for i in range(3000)))
                importing.stdin.flush()
                if part < 3:
                    assert proxy.restart() is proxy
            out, _ = importing.communicate()
        assert importing.returncode == 0 and out.startswith(b"imported 12000 records"), (importing.returncode, out)
        assert World(proxy, w.folder).ctl("kv", "count", env={"PRISM_NAMESPACE": "sqlite-other"}).ok().out.strip() == "12000"
    finally:
        proxy.remove()


def test_waiting_for_a_proxy_that_starts(w):
    proxy = Proxy().start()
    proxy.stop()
    env = World(proxy, w.folder).environment()
    try:
        with subprocess.Popen([PRISMCTL, "health", "--wait"], stdout=subprocess.PIPE, env=env) as waiting:
            proxy.start()
            assert waiting.communicate()[0] == b"serving at %s\n" % proxy.listen.encode()
        assert waiting.returncode == 0
    finally:
        proxy.remove()
    w.ctl("health", "--wait", "--timeout", "300ms", "--address", "127.0.0.1:1").fails(33, "Connection refused", "CONNECT_FAILED")


def test_status(w):
    out = w.ctl("status").ok().out
    assert w.proxy.listen in out and w.proxy.metrics in out and w.proxy.config in out, out
    got = w.ctl("status", "-o", "json").json()
    assert re.fullmatch(r"\d+\.\d+\.\d+", got["version"]) and got["draining"] is False


def test_namespace_list(w):
    lines = w.ctl("namespace", "list").ok().out.splitlines()
    assert lines[0].split() == ["NAME", "DRIVER", "BACKEND", "HEALTHY", "DESCRIPTION"]
    assert ["memory", "memory", "memory", "yes", "as", "it", "comes"] in [line.split() for line in lines]
    names = {n["name"]: n for n in w.ctl("namespace", "list", "-o", "json").json()["namespaces"]}
    assert names["sqlite-ttl"]["driver"] == "sqlite" and names["sqlite-ttl"]["healthy"]
    assert {n["name"] for n in yaml.safe_load(w.ctl("namespace", "list", "-o", "yaml").ok().out)["namespaces"]} == set(names)


def test_namespace_describe(w):
    out = w.ctl("namespace", "describe", "sqlite-finite").ok().out
    for text in ("sqlite-finite", "keyvalue_transactional", "configuration", "ttl:", "allow_infinite: false"):
        assert text in out, (text, out)
    assert w.ctl("namespace", "describe").ok().out.split()[1] == "sqlite", "default: --namespace"
    got = w.ctl("namespace", "describe", "sqlite-finite", "-o", "json").json()
    assert got["config"]["ttl"]["default"] == "600s", got
    w.ctl("namespace", "describe", "nobody").fails(51, "nobody", "NAMESPACE_UNKNOWN", "prismctl namespace list")


def test_backend_list(w):
    out = w.ctl("backend", "list").ok().out
    for interface in INTERFACES:
        assert re.search(r"^%s +yes +yes" % interface, out, re.M), out
    got = w.ctl("backend", "list", "-o", "json").json()
    drivers = {d["name"]: d for d in got["drivers"]}
    assert sorted(drivers["memory"]["interfaces"]) == INTERFACES == sorted(drivers["sqlite"]["interfaces"])
    assert drivers["sqlite"]["durable"] and not drivers["memory"]["durable"]


def test_backend_health(w):
    lines = [line.split() for line in w.ctl("backend", "health").ok().out.splitlines()]
    assert lines[0] == ["NAMESPACE", "BACKEND", "DRIVER", "STATE", "BREAKER", "REASON"], lines
    assert ["memory", "memory", "memory", "ok", "-"] in lines, lines
    one = w.ctl("backend", "health", "sqlite-ttl", "-o", "json").json()["namespaces"]
    assert [n["name"] for n in one] == ["sqlite-ttl"] and one[0]["state"] == "ok" and "guard" not in one[0], one
    w.ctl("backend", "health", "nobody").fails(24, "nobody", "prismctl namespace list")


def test_backend_stats(w):
    lines = [line.split() for line in w.ctl("backend", "stats", "memory").ok().out.splitlines()]
    assert lines[0] == ["NAMESPACE", "FIGURE", "VALUE"] and {line[0] for line in lines[1:]} == {"memory"}, lines
    assert "keys" in [line[1] for line in lines], lines
    assert w.ctl("backend", "stats", "memory", "-o", "json").json()["status"]["name"] == "memory"


def test_backend_test(w):
    out = w.ctl("backend", "test", "memory").ok().out
    assert out.startswith("backend memory (memory) of namespace memory\n") and re.search(r"^probe +ok +[0-9.]+ ms$", out, re.M), out
    assert w.ctl("backend", "test", "-o", "json").json()["namespace"] == "sqlite", "default: --namespace"
    w.ctl("backend", "test", "nobody").fails(24, "nobody")


def test_yaml_says_what_json_says(w):
    w.ctl("kv", "set", "yaml/a", "true: - [x] #", "--tag", "a=", "--tag", "no=1.5").ok()
    for command in (["namespace", "list"], ["namespace", "describe", "sqlite-ttl"], ["backend", "list"], ["kv", "get", "yaml/a"],
                    ["call", "KeyValueBatch/BatchGet", '{"keys":["eWFtbC9h","eA=="]}']):
        as_json, as_yaml = w.ctl(*command, "-o", "json").json(), yaml.safe_load(w.ctl(*command, "-o", "yaml").ok().out)
        for stats in (as_json.pop("stats", None), as_yaml.pop("stats", None)):
            assert stats is None or stats, "figures change between the two calls"
        assert as_yaml == as_json, command


def test_tls(w):
    proxy = Proxy()
    certificates(proxy.folder)

    def pem(name):
        return os.path.join(proxy.folder, name)
    with open(proxy.config) as f:
        text = f.read()
    with open(proxy.config, "w") as out:
        out.write("tls: {cert_file: %s, key_file: %s, client_ca_file: %s, client_cert_required: true}\n"
                  % (pem("localhost.pem"), pem("localhost.key"), pem("ca.pem")) + text)
    try:
        env = {"PRISM_ADDRESS": proxy.start().listen}
        alice = ["--cert", pem("alice.pem"), "--key", pem("alice.key")]
        w.ctl("kv", "set", "a", "1", "--ca", pem("ca.pem"), *alice, env=env).ok()
        assert w.ctl("kv", "get", "a", "--insecure", *alice, env=env).ok().out == "1"
        w.ctl("kv", "get", "a", "--tls", *alice, env=env).fails(35, "reason: TLS", "fix: check --ca")
        assert w.ctl("kv", "get", "a", "--ca", pem("ca.pem"), env=env).code in (33, 35), "without a certificate"
        assert w.ctl("kv", "get", "a", env=env).code != 0, "plain text to a TLS port"
        w.ctl("health", "--cert", pem("alice.pem"), env=env).fails(2, "belong together")
    finally:
        proxy.remove()


def test_services_and_describe(w):
    out = w.ctl("services").ok().out
    assert "prism.keyvalue.v1.KeyValueBasic/Get\n" in out and "prism.keyvalue.v1.KeyValueScan/Scan  (streams)" in out
    assert "prism.admin.v1.ProxyAdmin/GetStatus" in w.ctl("services", "--admin").ok().out
    out = w.ctl("describe", "KeyValueBasic").ok().out
    assert "service prism.keyvalue.v1.KeyValueBasic {" in out and "rpc Get(prism.keyvalue.v1.GetRequest)" in out
    out = w.ctl("describe", "prism.keyvalue.v1.SetRequest").ok().out
    for line in ("bytes key = 1;", "map<string, string> tags = 3;", "google.protobuf.Duration ttl = 4;", "optional bytes if_version = 5;"):
        assert line in out, out
    assert "message prism.keyvalue.v1.GetResponse" in w.ctl("describe", "KeyValueBasic/Get").ok().out
    assert "DescribeNamespaceRequest" in w.ctl("describe", "ProxyAdmin").ok().out
    w.ctl("describe", "Nothing.Like.This").fails(31, "Nothing.Like.This")


def test_call(w):
    set_ = '{"key":"Y2FsbC9h","value":"aGk=","ttl":"60s"}'
    assert w.ctl("call", "prism.keyvalue.v1.KeyValueBasic/Set", set_).json()["version"]
    got = w.ctl("call", "KeyValueBasic/Get", '{"key":"Y2FsbC9h"}').json()
    assert (got["found"], got["value"]) == (True, "aGk="), got
    assert w.ctl("call", "KeyValueBasic/Get", "-", stdin=b'{\n "key": "Y2FsbC9h"\n}\n').json() == got
    assert w.ctl("call", "/prism.keyvalue.v1.KeyValueBasic/Get", "@" + w.file("request", '{"key":"Y2FsbC9h"}')).json() == got
    assert yaml.safe_load(w.ctl("call", "KeyValueBasic/Get", '{"key":"Y2FsbC9h"}', "-o", "yaml").ok().out)["found"] is True
    assert w.ctl("call", "ProxyAdmin/GetStatus").json()["listen"] == w.proxy.listen


def test_call_of_a_stream(w):
    for i in range(5):
        w.ctl("kv", "set", "stream/%d" % i, "x").ok()
    pages = w.ctl("call", "KeyValueScan/ScanKeys", '{"prefix":"c3RyZWFtLw==","page_size":2}').lines()
    assert [len(p["keys"]) for p in pages] == [2, 2, 1] and pages[0]["ordered"] is True
    out = w.ctl("call", "KeyValueScan/ScanKeys", '{"prefix":"c3RyZWFtLw==","page_size":2}', "-o", "yaml").ok().out
    assert len(list(yaml.safe_load_all(out))) == 3


def test_call_takes_a_stream_of_requests(w):
    requests = '[{"listServices":""},{"fileContainingSymbol":"prism.keyvalue.v1.KeyValueCas"}]'
    answers = w.ctl("call", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo", requests).lines()
    assert "list_services_response" in answers[0] and "file_descriptor_response" in answers[1]
    ndjson = b'{"listServices":""}\n{"listServices":"x"}\n'
    assert len(w.ctl("call", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "-", stdin=ndjson).lines()) == 2


def test_call_errors(w):
    w.ctl("call", "KeyValueBasic/Gett").fails(31, 'has no method "Gett"', "did you mean Get?")
    w.ctl("call", "KeyValuBasic/Get").fails(31, "did you mean KeyValueBasic?")
    w.ctl("call", "Get").fails(2, "Service/Method")
    w.ctl("call", "KeyValueBasic/Get", '{"kee":"YQ=="}').fails(43, "kee", "JSON_MALFORMED")
    w.ctl("call", "KeyValueBasic/Get", "{").fails(43)
    w.ctl("call", "KeyValueBasic/Get", "{} {}").fails(2, "takes one request, not 2")
    w.ctl("call", "KeyValueBasic/Get", "{}").fails(22, "key is required", "reason: FIELD_INVALID")
    w.ctl("call", "KeyValueBasic/Get", '{"key":"YQ=="}', "-n", "nobody").fails(51, "NAMESPACE_UNKNOWN")


def test_errors_tell_field_reason_and_place(w):
    w.ctl("kv", "get", "k" * 1025).fails(22, "prismctl kv get: key has 1025 bytes", "reason: FIELD_INVALID, at " + w.proxy.listen)
    w.ctl("kv", "scan", "--prefix", "k" * 1025, "--start", "k" * 1026).fails(22, "\n  start: has 1026 bytes")
    w.ctl("kv", "set", "big", "-", stdin=b"x" * 100000, env={"PRISM_NAMESPACE": "sqlite-small"}).fails(41, "MESSAGE_TOO_LARGE", "fix: ")
    w.ctl("kv", "set", "forever", "x", "--ttl", "2h", "-n", "sqlite-finite").fails(22, "TTL_INVALID")


def test_verbose_and_metadata(w):
    done = w.ctl("kv", "count", "-v", "-m", "prism-request-id=cli-1", "-m", "X-Other=2").ok()
    assert "/prism.keyvalue.v1.KeyValueScan/Count: OK" in done.err and " ms" in done.err, done
    w.ctl("kv", "count", "--timeout", "30s").ok()


VALID = "namespaces:\n  - {name: a, backend: memory}\n  - {name: b, backend: sqlite, ttl: {default: 1h}}\n"


def test_config_validate(w):
    path = w.file("good.yaml", VALID)
    assert w.ctl("config", "validate", path).ok().out == path + " is valid: 2 namespaces, 0 backends\n"
    assert [n["name"] for n in w.ctl("config", "validate", path, "-o", "json").json()["namespaces"]] == ["a", "b"]
    path = w.file("bad.yaml", "namespaces:\n  - {name: a, bakend: memory}\n  - name: B\n    backend: nothing\n")
    done = w.ctl("config", "validate", path).fails(70, path + ":2:", "bakend", "did you mean `backend`?", path + ":3:", "reason: CONFIG_INVALID")
    assert "problems in " + path in done.err
    w.ctl("config", "validate", "/nowhere").fails(73, "/nowhere cannot be read")
    w.ctl("config", "validate", w.file("broken.yaml", "namespaces: [")).fails(70, "broken.yaml:")


def test_config_reload(w):
    with open(w.proxy.config) as f:
        text = f.read()
    try:
        with open(w.proxy.config, "w") as out:
            out.write(text + "  - {name: fresh, backend: memory}\n")
        assert w.ctl("config", "reload", "--dry-run").ok().out == "the file is valid; nothing has been changed\n"
        w.ctl("kv", "count", "-n", "fresh").fails(51)
        assert w.ctl("config", "reload").ok().out == "reloaded: 1 namespaces added, 0 changed, 0 removed\n"
        assert w.ctl("kv", "count", "-n", "fresh").ok().out == "0\n"
        with open(w.proxy.config, "w") as out:
            out.write(text + "  - {name: fresh, backend: nothing}\n")
        w.ctl("config", "reload").fails(70, "nothing", os.path.basename(w.proxy.config), "nothing has been changed")
        w.ctl("kv", "count", "-n", "fresh").ok()
        assert "nothing" in w.ctl("status").ok().out, "status tells why the last reload failed"
    finally:
        with open(w.proxy.config, "w") as out:
            out.write(text)
    assert "1 removed" in w.ctl("config", "reload").ok().out
