"""Cases of tests/redis/run: a function marked @case each, with servers and a proxy of its own."""
import os
import subprocess
import tempfile
import threading
import time

import grpc

from harness.api import KV, ROOT, SCAN, details
from harness.case import case, check, same
from harness.proxy import Proxy
from servers import redis

BATCH = "/prism.keyvalue.v1.KeyValueBatch/"
AWAIT_S = 30


def config(connection, options="", guard="", namespace=""):
    """A configuration with the namespace `r` on a backend `server`."""
    return """backends:
  server: {type: redis, connection: "%s"%s%s}
namespaces:
  - {name: r, backend: server%s}
""" % (connection, ", redis: {%s}" % options if options else "", guard, namespace)


def failure(call):
    """(code, reason, message) of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, details(error)[0], error.details()
    raise AssertionError("the call should have failed")


def await_ok(call):
    """What the call answers, once it does."""
    until = time.monotonic() + AWAIT_S
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if time.monotonic() > until:
                raise AssertionError("not within %d s: %s" % (AWAIT_S, error.details())) from error
            time.sleep(0.02)


def put(client, key, value, **more):
    return client(KV + "Set", namespace="r", key=key, value=value, **more)


def get(client, key, **more):
    answer = client(KV + "Get", namespace="r", key=key, **more)
    return answer.value if answer.found else None


# A backend that fails is asked again at once: these cases are about the driver, the breaker has cases of its own.
PATIENT = ", breaker: {failures: 10000}"


# --- who may come in ----------------------------------------------------------------------------------------------------------

@case
def tls_with_a_client_certificate_and_an_acl_user():
    rules = {"app": "on >pw ~{prism:r}* resetchannels -@all +@read +@write +@scripting +@connection", "default": "off"}
    with redis.Standalone(tls=True) as server:
        with server.client() as admin:
            for user, rule in rules.items():
                admin.call("ACL", "SETUSER", user, *rule.split())
            options = "ca_file: %s, cert_file: %s, key_file: %s, server_name: localhost" % (
                server.ca_file, server.cert_file, server.key_file)
            with Proxy(config("rediss://app:pw@%s" % server.address, options)) as p, p.client() as client:
                put(client, b"a", b"1")
                same(get(client, b"a"), b"1")
                same(len(list(client(SCAN + "Scan", namespace="r"))), 1)


@case
def what_cannot_be_trusted_is_not_spoken_to():
    with redis.Standalone(tls=True) as server:
        with Proxy(config("rediss://%s" % server.address)) as p, p.client() as client:
            code, reason, words = failure(lambda: put(client, b"a", b"1"))
            same((code, reason), ("UNAVAILABLE", "BACKEND_DENIED"))
            check("certificate" in words, words)


@case
def a_wrong_password_says_so():
    with redis.Standalone(password="right") as server:
        for connection in ("redis://:wrong@%s" % server.address, "redis://%s" % server.address,
                           "redis://nobody:right@%s" % server.address):
            with Proxy(config(connection)) as p, p.client() as client:
                code, reason, words = failure(lambda c=client: put(c, b"a", b"1"))
                same((code, reason), ("UNAVAILABLE", "BACKEND_DENIED"))
                check("WRONGPASS" in words or "NOAUTH" in words, words)
                check("wrong" not in words and "right" not in words, "no secret in the words")


@case
def backend_test_tells_its_steps():
    with redis.Standalone() as server:
        with Proxy(config("redis://%s" % server.address)) as p:
            ctl = [os.path.join(ROOT, "build", "prismctl"), "backend", "test", "r", "--admin-address", p.metrics]
            done = subprocess.run(ctl, capture_output=True, check=False)
            same(done.returncode, 0, done.stderr.decode())
            for step in ("connect", "authenticate", "round_trip"):
                check(step in done.stdout.decode(), done.stdout.decode())
            server.kill()
            done = subprocess.run(ctl, capture_output=True, check=False)
            check(done.returncode != 0, "a server that is gone")


# --- servers that come and go -------------------------------------------------------------------------------------------------

@case
def a_server_that_is_down_does_not_stop_the_proxy():
    with redis.Standalone() as server:
        server.kill()
        with Proxy(config("redis://%s" % server.address, guard=PATIENT)) as p, p.client() as client:
            code, reason, words = failure(lambda: get(client, b"a"))
            same((code, reason), ("UNAVAILABLE", "BACKEND_UNREACHABLE"))
            check(server.address in words, words)
            server.start()
            await_ok(lambda: put(client, b"a", b"1"))
            same(get(client, b"a"), b"1")


@case
def scripts_come_back_after_a_flush_and_a_restart():
    with redis.Standalone(append_only=True) as server:
        with Proxy(config("redis://%s" % server.address, guard=PATIENT)) as p, p.client() as client:
            put(client, b"a", b"1")
            with server.client() as admin:
                admin.call("SCRIPT", "FLUSH")
            put(client, b"b", b"2")
            server.kill()
            server.start()
            await_ok(lambda: put(client, b"c", b"3"))
            same([get(client, k) for k in (b"a", b"b", b"c")], [b"1", b"2", b"3"])


@case
def a_write_without_an_answer_is_unknown_and_a_read_is_not():
    with redis.Standalone() as server:
        guard = PATIENT[:-1] + "}, retry: {max_attempts: 1}"
        with Proxy(config("redis://%s" % server.address, "command_timeout: 300ms", guard)) as p, p.client() as client:
            put(client, b"a", b"1")
            server.pause()
            code, reason, words = failure(lambda: put(client, b"a", b"2"))
            same((code, reason), ("UNKNOWN", "OUTCOME_UNKNOWN"), words)
            server.resume()
            check(await_ok(lambda: get(client, b"a")) in (b"1", b"2"))


@case
def answers_stay_with_their_calls_when_some_are_given_up():
    with redis.Standalone() as server:
        with Proxy(config("redis://%s" % server.address, guard=PATIENT), args=["--workers", "1"]) as p, p.client() as client:
            for i in range(50):
                put(client, b"k%d" % i, b"v%d" % i)
            for _ in range(5):
                server.pause()
                results = {}

                def ask(i, seconds):
                    try:
                        results[i] = get(client, b"k%d" % i, timeout=seconds)
                    except grpc.RpcError as error:
                        results[i] = error.code().name
                threads = [threading.Thread(target=ask, args=(i, 0.1 if i % 2 else 20)) for i in range(50)]
                for t in threads:
                    t.start()
                for t in threads[1::2]:
                    t.join()
                server.resume()
                for t in threads:
                    t.join()
                for i in range(0, 50, 2):
                    same(results[i], b"v%d" % i)
                for i in range(1, 50, 2):
                    same(results[i], "DEADLINE_EXCEEDED")


@case
def a_full_server_refuses_writes_and_serves_reads():
    with redis.Standalone(options={"maxmemory-policy": "noeviction"}) as server:
        with Proxy(config("redis://%s" % server.address)) as p, p.client() as client:
            put(client, b"a", b"1")
            with server.client() as admin:
                admin.call("CONFIG", "SET", "maxmemory", "1")
            code, reason, _ = failure(lambda: put(client, b"b", b"2"))
            same((code, reason), ("RESOURCE_EXHAUSTED", "STORE_FULL"))
            same(get(client, b"a"), b"1")
            check(client(KV + "Delete", namespace="r", key=b"a").existed, "deleting makes room")
            with server.client() as admin:
                admin.call("CONFIG", "SET", "maxmemory", "0")
            put(client, b"b", b"2")


@case
def many_large_values_at_once_are_all_written():
    with redis.Standalone() as server:
        text = config("redis://%s" % server.address, namespace=", limits: {message_bytes: 16MiB}")
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        with Proxy(text, args=["--workers", "1"]) as p, p.client(options=options) as client:
            server.pause()
            threads = [threading.Thread(target=put, args=(client, b"k%d" % i, bytes([i]) * (12 << 20))) for i in range(12)]
            for thread in threads:
                thread.start()
            time.sleep(0.5)  # most of them wait for the connection then; each order is right
            server.resume()
            for thread in threads:
                thread.join()
            for i in range(12):
                check(get(client, b"k%d" % i) == bytes([i]) * (12 << 20), i)


# --- sentinel -----------------------------------------------------------------------------------------------------------------

@case
def a_failover_is_followed():
    with redis.Sentinel(password="pw") as group:
        connection = "redis://:pw@%s" % group.addresses()[0]
        with Proxy(config(connection, "mode: sentinel, sentinel_master: main", PATIENT)) as p, p.client() as client:
            put(client, b"before", b"1")
            with group.master.client() as master:
                same(master.call("WAIT", 1, 5000), 1, "the replica has it")
            group.fail_over()
            await_ok(lambda: put(client, b"after", b"2"))
            same((get(client, b"before"), get(client, b"after")), (b"1", b"2"))


@case
def a_master_nobody_knows_is_named():
    with redis.Sentinel() as group:
        connection = "redis://%s" % group.addresses()[0]
        with Proxy(config(connection, "mode: sentinel, sentinel_master: other")) as p, p.client() as client:
            code, _, words = failure(lambda: get(client, b"a"))
            same(code, "UNAVAILABLE")
            check("sentinel_master" in words, words)


# --- cluster ------------------------------------------------------------------------------------------------------------------

def bucket_slots(cluster, count):
    """The slot of each bucket's root, asked of a server."""
    with cluster.servers[0].client() as client:
        return [client.call("CLUSTER", "KEYSLOT", "{prism:r:%d}" % i) for i in range(count)]


@case
def a_namespace_spreads_over_the_cluster():
    with redis.Cluster() as cluster:
        with Proxy(config("redis://%s" % cluster.addresses()[1], "mode: cluster")) as p, p.client() as client:
            for i in range(300):
                put(client, b"k%d" % i, b"v")
            for server in cluster.servers:
                with server.client() as admin:
                    check(admin.call("DBSIZE") > 30, server.address)
            same(sum(len(page.keys) for page in client(SCAN + "ScanKeys", namespace="r")), 300)


@case
def slots_move_under_load_and_nothing_is_wrong():
    with redis.Cluster() as cluster:
        options = "mode: cluster, buckets: 8"
        with Proxy(config("redis://%s" % ",".join(cluster.addresses()), options, PATIENT)) as p, p.client() as client:
            for i in range(200):
                put(client, b"k%d" % i, b"0")
            done, wrong, rounds = threading.Event(), [], [0]

            def work():
                value = 0
                while not done.is_set():
                    value += 1
                    for i in range(200):
                        try:
                            put(client, b"k%d" % i, b"%d" % value)
                            if get(client, b"k%d" % i) != b"%d" % value:
                                wrong.append(i)
                        except grpc.RpcError as error:
                            if error.code().name != "UNAVAILABLE":
                                wrong.append(error)
                    rounds[0] += 1
            worker = threading.Thread(target=work)
            worker.start()
            for slot in bucket_slots(cluster, 8):
                source = cluster.owner(slot)
                target = cluster.servers[(cluster.servers.index(source) + 1) % 3]
                cluster.move_slot(slot, source, target)
            seen = rounds[0]
            until = time.monotonic() + AWAIT_S
            while rounds[0] < seen + 2 and time.monotonic() < until:
                time.sleep(0.01)
            done.set()
            worker.join()
            same(wrong, [])
            check(rounds[0] >= seen + 2, "it goes on")
            same(sum(len(page.keys) for page in client(SCAN + "ScanKeys", namespace="r")), 200)


@case
def a_slot_half_moved_is_refused_or_right():
    """Between MIGRATING and NODE a bucket is on two servers: what is written is not split over both."""
    with redis.Cluster() as cluster:
        guard = PATIENT[:-1] + "}, retry: {max_attempts: 1}"
        with Proxy(config("redis://%s" % cluster.addresses()[0], "mode: cluster, buckets: 2", guard)) as p, p.client() as client:
            for i in range(40):
                put(client, b"k%d" % i, b"v")
            slot = bucket_slots(cluster, 2)[0]
            source = cluster.owner(slot)
            target = cluster.servers[(cluster.servers.index(source) + 1) % 3]
            with source.client() as old, target.client() as new:
                old_id, new_id = old.call("CLUSTER", "MYID").decode(), new.call("CLUSTER", "MYID").decode()
                new.call("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
                old.call("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
                some = old.call("CLUSTER", "GETKEYSINSLOT", slot, 7)
                old.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, "KEYS", *some)
            same([get(client, b"k%d" % i) for i in range(40)], [b"v"] * 40, "reads follow ASK")
            codes = set()
            for i in range(40, 80):
                try:
                    put(client, b"k%d" % i, b"v")
                    codes.add("OK")
                except grpc.RpcError as error:
                    codes.add(details(error)[0])
            same(codes, {"OK", "BACKEND_REFUSED"}, "one bucket is moving")
            cluster.move_slot(slot, source, target)
            for i in range(40, 80):
                await_ok(lambda i=i: put(client, b"k%d" % i, b"v"))
            keys = [k for page in client(SCAN + "ScanKeys", namespace="r") for k in page.keys]
            same(sorted(keys), sorted(b"k%d" % i for i in range(80)))


@case
def a_lost_node_costs_its_items_alone():
    with redis.Cluster() as cluster:
        for server in cluster.servers:
            with server.client() as admin:
                admin.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
        guard = PATIENT[:-1] + "}, retry: {max_attempts: 1}"
        with Proxy(config("redis://%s" % ",".join(cluster.addresses()), "mode: cluster", guard)) as p, p.client() as client:
            keys = [b"k%d" % i for i in range(100)]
            for key in keys:
                put(client, key, b"v")
            cluster.servers[2].kill()
            answer = client(BATCH + "BatchGet", namespace="r", keys=keys)
            codes = {result.status.code for result in answer.results}
            same(codes, {0, 14}, "some are there, some unavailable")
            check(20 < answer.found < 100, answer.found)
            same(sum(1 for r in answer.results if r.status.code == 0 and r.item.value != b"v"), 0)


@case
def another_number_of_buckets_is_refused():
    with redis.Standalone() as server:
        with Proxy(config("redis://%s" % server.address)) as p, p.client() as client:
            put(client, b"a", b"1")
        with Proxy(config("redis://%s" % server.address, "buckets: 4")) as p, p.client() as client:
            code, _, words = failure(lambda: get(client, b"a"))
            same(code, "UNAVAILABLE")
            check("redis.buckets: 1" in words, words)
        with Proxy(config("redis://%s" % server.address, "buckets: 4, key_prefix: other")) as p, p.client() as client:
            put(client, b"a", b"1")


@case
def a_server_of_a_cluster_and_one_that_is_none_are_told_apart():
    with redis.Cluster() as cluster, redis.Standalone() as server:
        with Proxy(config("redis://%s" % cluster.addresses()[0])) as p, p.client() as client:
            words = [failure(lambda k=k: put(client, k, b"1")) for k in (b"a",) if not put_ok(client, k)]
            for _, _, text in words:
                check("redis.mode: cluster" in text, text)
        with Proxy(config("redis://%s" % server.address, "mode: cluster")) as p, p.client() as client:
            _, _, text = failure(lambda: put(client, b"a", b"1"))
            check("redis.mode: standalone" in text, text)


def put_ok(client, key):
    try:
        put(client, key, b"1")
        return True
    except grpc.RpcError:
        return False


# --- callers that wait ----------------------------------------------------------------------------------------------------------

LIST = "/prism.list.v1.ListBasic/"
BLOCKING = "/prism.list.v1.ListBlocking/"


@case
def a_push_at_one_gateway_wakes_a_caller_at_another():
    with redis.Standalone() as server:
        text = config("redis://%s" % server.address)
        with Proxy(text) as one, Proxy(text) as other, one.client() as waiting, other.client() as pushing:
            for round_ in range(20):
                results = []
                thread = threading.Thread(target=lambda r=results: r.append(
                    waiting(BLOCKING + "BlockingPopLeft", namespace="r", key=b"l", timeout=20)))
                thread.start()
                if round_ % 2:
                    time.sleep(0.05)  # with and without somebody who waits already: both orders are right
                pushing(LIST + "PushRight", namespace="r", key=b"l", values=[b"%d" % round_])
                thread.join()
                same([r.value for r in results], [b"%d" % round_])


@case
def values_for_callers_who_go_are_got_again_with_their_key():
    """Deadlines pass at every stage of a pop; a retry with the key gets what the first try took."""
    with redis.Standalone() as server:
        with Proxy(config("redis://%s" % server.address, guard=PATIENT)) as p, p.client() as waiting, p.client() as pushing:
            taken = []

            def pop(key):
                while True:
                    try:
                        return waiting(BLOCKING + "BlockingPopLeft", namespace="r", key=b"l", timeout=0.02,
                                       metadata=(("prism-idempotency-key", key),))
                    except grpc.RpcError as error:
                        same(error.code().name, "DEADLINE_EXCEEDED")

            def wait(name):
                for i in range(75):
                    taken.append(pop("%s-%d" % (name, i)).value)
            threads = [threading.Thread(target=wait, args=(n,)) for n in "abcd"]
            for thread in threads:
                thread.start()
            for i in range(300):
                pushing(LIST + "PushRight", namespace="r", key=b"l", values=[b"%d" % i])
            for thread in threads:
                thread.join()
            same(sorted(taken), sorted(b"%d" % i for i in range(300)))


@case
def a_caller_waits_on_while_the_server_restarts():
    with redis.Standalone(append_only=True) as server:
        text = config("redis://%s" % server.address, guard=PATIENT)
        with Proxy(text) as p, p.client() as waiting, p.client() as pushing:
            results = []

            def wait():
                results.append(await_ok(lambda: waiting(BLOCKING + "BlockingPopLeft", namespace="r", key=b"l", timeout=30)))
            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(0.1)  # it may wait already, or come later: both are right
            server.kill()
            server.start()
            await_ok(lambda: pushing(LIST + "PushRight", namespace="r", key=b"l", values=[b"v"]))
            thread.join(25)
            same([r.value for r in results], [b"v"])


# --- configuration ------------------------------------------------------------------------------------------------------------

WRONG = [
    ("redis", "", "connection", "must be redis://"),
    ("http://127.0.0.1", "", "connection", "must be redis://"),
    ("redis://127.0.0.1:1,127.0.0.1:2", "", "connection", "redis.mode"),
    ("redis://127.0.0.1/x", "", "connection", "not a database"),
    ("redis://127.0.0.1/3", "mode: cluster", "connection", "database 0"),
    ("redis://127.0.0.1", "mode: sentinel", "redis.sentinel_master", "is missing"),
    ("redis://127.0.0.1", "sentinel_master: x", "redis.sentinel_master", "mode: sentinel"),
    ("redis://127.0.0.1", "ca_file: /x", "redis.ca_file", "rediss://"),
    ("rediss://127.0.0.1", "cert_file: /x", "redis.key_file", "both files"),
    ("redis://127.0.0.1", 'key_prefix: "a{b}"', "redis.key_prefix", "leave it out"),
    ("redis://127.0.0.1", "buckets: 5000", "redis.buckets", "at most 1024"),
    ("redis://127.0.0.1", "command_timeout: 1h", "redis.command_timeout", "300s"),
    ("redis://127.0.0.1", "username: app", "redis.password", "is missing"),
]


@case
def settings_that_cannot_work_are_named_with_line_and_fix():
    for connection, options, field, words in WRONG:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(config(connection, options))
            file.flush()
            done = subprocess.run([os.environ.get("PRISM_PROXY", os.path.join(ROOT, "build", "prism-proxy")), "--check-config",
                                   "--config", file.name], capture_output=True, check=False)
            text = done.stderr.decode()
            check(done.returncode != 0, connection + options)
            check(file.name + ":2:" in text, text)
            check("backends[server]." + field in text and words in text, text)
