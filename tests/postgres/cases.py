"""Cases of tests/postgres/run: a function marked @case each, with servers and proxies of its own."""
import os
import subprocess
import threading
import time

import grpc

from harness.api import KV, ROOT, details, message
from harness.case import case, check, same
from harness.proxy import Proxy
from servers.postgres import Postgres

LIST, BLOCKING = "/prism.list.v1.ListBasic/", "/prism.list.v1.ListBlocking/"
COUNTER = "/prism.counter.v1.CounterBasic/"
AWAIT_S = 30
# A backend that fails is asked again at once: these cases are about the driver, the breaker has cases of its own.
PATIENT = ", breaker: {failures: 10000}"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s"


def config(connection, options="", more=PATIENT):
    """A configuration with the namespace `p` on a backend `server`."""
    return """workers: 2
backends:
  server: {type: postgres, connection: "%s"%s%s}
namespaces:
  - {name: p, backend: server}
""" % (connection, ", postgres: {%s}" % options if options else "", more)


def failure(call):
    """(code, reason, message) of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code().name, details(error)[0], error.details()
    raise AssertionError("the call should have failed")


def until(what, probe):
    end = time.monotonic() + AWAIT_S
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %d s: %s" % (AWAIT_S, what))
        time.sleep(0.02)


def answers(call):
    """For until: whether the call ends well."""
    try:
        call()
        return True
    except grpc.RpcError:
        return False


def put(client, key, value, **more):
    return client(KV + "Set", namespace="p", key=key, value=value, **more)


def get(client, key, **more):
    answer = client(KV + "Get", namespace="p", key=key, **more)
    return answer.value if answer.found else None


def test_of(proxy):
    """(exit code, what `prismctl backend test p` says)."""
    done = subprocess.run([os.path.join(ROOT, "build", "prismctl"), "backend", "test", "p", "--admin-address", proxy.metrics],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


# --- who may come in -----------------------------------------------------------------------------------------------------------

@case
def tls_is_verified():
    with Postgres(tls=True) as server:
        with Proxy(config(server.url())) as p, p.client() as client:
            put(client, b"a", b"1")
            same(server.psql("SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE usename = 'prism'").strip(), "t")
        with Postgres(tls=True) as other:
            stranger = server.url().replace(server.ca_file, other.ca_file)
            with Proxy(config(stranger)) as p, p.client() as client:
                same(failure(lambda: put(client, b"a", b"1"))[:2], ("UNAVAILABLE", "BACKEND_DENIED"))
                code, said = test_of(p)
                check(code != 0 and "sslrootcert" in said, said)


@case
def a_wrong_password_is_told_with_the_fix():
    with Postgres() as server:
        with Proxy(config(server.url(), "password: wrong")) as p, p.client() as client:
            code, reason, message = failure(lambda: put(client, b"a", b"1"))
            same((code, reason), ("UNAVAILABLE", "BACKEND_DENIED"))
            check("password authentication failed" in message, message)
        with Proxy(config(server.url().replace(server.password, "wrong"), "password: \"${PRISM_TEST_PASSWORD}\""),
                   env=dict(os.environ, PRISM_TEST_PASSWORD=server.password)) as p, p.client() as client:
            put(client, b"a", b"1")
            same(test_of(p)[0], 0)


@case
def settings_are_checked_when_they_are_loaded():
    for connection, options, wanted in (("", "", "is missing"), ("postgresql://[::1", "", "is not valid"),
                                        ("postgresql://h/d?sslmode=fast", "", "`fast` does not exist"),
                                        ("postgresql://h/d", "statement_timeout: 0s", "at least 1ms")):
        proxy = Proxy(config(connection, options))
        code, _, log = proxy.run_to_end()
        check(code != 0 and wanted in log and "prism.yaml:3" in log, (code, log))
        check("h/d" not in log, "the connection is a secret: " + log)


# --- tables --------------------------------------------------------------------------------------------------------------------

@case
def proxies_that_come_at_once_to_an_empty_database_all_serve():
    with Postgres() as server:
        proxies = [Proxy(config(server.url())) for _ in range(4)]
        try:
            for p in proxies:
                p.start()
            for n, p in enumerate(proxies):
                with p.client() as client:
                    until("it serves", lambda: answers(lambda: put(client, b"%d" % n, b"v")))  # pylint: disable=cell-var-from-loop
            same(server.psql("SELECT count(*) FROM prism.items").strip(), "4")
        finally:
            for p in proxies:
                p.__exit__(None, None, None)


@case
def tables_of_a_newer_prism_are_not_touched():
    with Postgres() as server:
        with Proxy(config(server.url())) as p, p.client() as client:
            put(client, b"a", b"1")
        server.psql("INSERT INTO prism.schema_version VALUES (9000, now(), '9.0')")
        with Proxy(config(server.url())) as p, p.client() as client:
            code, reason, message = failure(lambda: put(client, b"a", b"2"))
            same((code, reason), ("FAILED_PRECONDITION", "SCHEMA_FUTURE"))
            check("9000" in message and "newer" in message, message)
        same(server.psql("SELECT convert_from(value, 'UTF8') FROM prism.items").strip(), "1")


@case
def a_role_without_rights_is_told_what_to_grant():
    with Postgres() as server:
        server.psql("ALTER DATABASE prism OWNER TO postgres; REVOKE CREATE ON DATABASE prism FROM prism")
        with Proxy(config(server.url())) as p, p.client() as client:
            code, reason, message = failure(lambda: put(client, b"a", b"1"))
            same((code, reason), ("UNAVAILABLE", "BACKEND_DENIED"))
            check("grant the role CREATE" in message, message)
            server.psql("CREATE SCHEMA prism AUTHORIZATION prism")
            until("it serves", lambda: answers(lambda: put(client, b"a", b"1")))


# --- servers that go and come ----------------------------------------------------------------------------------------------------

@case
def reads_go_to_the_standby_while_it_is_there():
    with Postgres() as server:
        with Proxy(config(server.url())) as p, p.client() as client:
            put(client, b"a", b"1")
        with server.standby() as standby:
            with Proxy(config(server.url(), "standby: \"%s\"" % standby.url())) as p, p.client() as client:
                until("the standby answers", lambda: answers(lambda: get(client, b"a")))
                standby.await_caught_up()
                standby.psql("SELECT pg_wal_replay_pause()", check=False)
                server.psql("UPDATE prism.items SET value = 'newer'")  # the standby does not know yet
                same(get(client, b"a"), b"1")
                put(client, b"b", b"2")
                standby.stop("immediate")
                until("the primary answers", lambda: answers(lambda: get(client, b"a")) and get(client, b"a") == b"newer")


@case
def a_restart_costs_no_acknowledged_write():
    with Postgres() as server, Proxy(config(server.url())) as p, p.client() as client:
        acknowledged, stop, errors = [], threading.Event(), set()

        def write(n):
            for i in range(100000):
                if stop.is_set():
                    return
                try:
                    put(client, b"%d/%06d" % (n, i), b"v", timeout=5)
                    acknowledged.append(b"%d/%06d" % (n, i))
                except grpc.RpcError as error:
                    errors.add((error.code().name, details(error)[0]))
                    time.sleep(0.01)
        writers = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for writer in writers:
            writer.start()
        until("writes", lambda: len(acknowledged) > 200)
        for how in ("fast", "kill"):
            server.restart(how)
            before = len(acknowledged)
            until("writes go on", lambda: len(acknowledged) > before + 100)  # pylint: disable=cell-var-from-loop
        stop.set()
        for writer in writers:
            writer.join()
        kept = set(server.psql("SELECT convert_from(key, 'UTF8') FROM prism.items").split())
        same([k for k in acknowledged if k.decode() not in kept], [], "acknowledged and lost")
        allowed = {("UNAVAILABLE", r) for r in ("BACKEND_UNREACHABLE", "BACKEND_REFUSED", "BACKEND_LOST")} | {
            ("UNKNOWN", "OUTCOME_UNKNOWN"), ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")}
        same(errors - allowed, set())


# --- locks and time ----------------------------------------------------------------------------------------------------------------

@case
def a_locked_row_holds_up_its_caller_until_the_deadline_and_nobody_else():
    with Postgres() as server, Proxy(config(server.url())) as p, p.client() as client:
        put(client, b"locked", b"1")
        put(client, b"free", b"1")
        locker = subprocess.Popen(["psql", "-XAtq", "-d", server.admin_url()], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        locker.stdin.write("BEGIN; SELECT key FROM prism.items WHERE key = 'locked' FOR UPDATE;\n")
        locker.stdin.flush()
        locker.stdout.readline()
        began = time.monotonic()
        same(failure(lambda: put(client, b"locked", b"2", timeout=0.5))[0], "DEADLINE_EXCEEDED")
        check(time.monotonic() - began < 3, "it took %.1f s" % (time.monotonic() - began))
        put(client, b"free", b"2", timeout=5)
        same(get(client, b"locked"), b"1")
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'prism' AND wait_event_type = 'Lock'"
        until("the server has given up the statement", lambda: server.psql(waiting).strip() == "0")
        locker.stdin.close()
        locker.wait()
        until("the row is free", lambda: answers(lambda: put(client, b"locked", b"3", timeout=2)))


@case
def what_has_expired_is_swept():
    with Postgres() as server, Proxy(config(server.url(), "sweep_interval: 100ms")) as p, p.client() as client:
        for n in range(50):
            put(client, b"%d" % n, b"v", ttl=message("google.protobuf.Duration")(nanos=50_000_000))
        put(client, b"stays", b"v")
        until("rows go", lambda: server.psql("SELECT count(*) FROM prism.items").strip() == "1")
        same(get(client, b"stays"), b"v")


# --- several proxies ----------------------------------------------------------------------------------------------------------------

@case
def proxies_share_what_is_there():
    with Postgres() as server, Proxy(config(server.url())) as one, Proxy(config(server.url())) as two:
        with one.client() as a, two.client() as b:
            version = put(a, b"k", b"1").version
            same(get(b, b"k"), b"1")
            same(failure(lambda: put(b, b"k", b"2", if_version=b"x"))[0], "ABORTED")
            put(b, b"k", b"2", if_version=version)
            same(get(a, b"k"), b"2")

            def add(client):
                for _ in range(50):
                    client(COUNTER + "Add", namespace="p", key=b"n", delta=1)
            threads = [threading.Thread(target=add, args=(c,)) for c in (a, b, a, b)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            same(a(COUNTER + "Get", namespace="p", key=b"n").value, 200)
            popped = []
            waiter = threading.Thread(target=lambda: popped.append(a(BLOCKING + "BlockingPopLeft", namespace="p", key=b"l", timeout=20)))
            waiter.start()
            b(LIST + "PushRight", namespace="p", key=b"l", values=[b"from the other"])
            waiter.join()
            same(popped[0].value, b"from the other")


# --- traces -------------------------------------------------------------------------------------------------------------------------

@case
def a_sampled_trace_is_an_sql_comment_and_nothing_else_is():
    with Postgres(settings={"log_statement": "all"}) as server, Proxy(config(server.url())) as p, p.client() as client:
        put(client, b"a", b"1", metadata=(("traceparent", TRACE % "01"),))
        put(client, b"b", b"1", metadata=(("traceparent", TRACE.replace("0af7", "1111") % "00"),))
        put(client, b"c", b"1", metadata=(("traceparent", "00-*/;DROP TABLE prism.items;/*-0000000000000000-01"),))
        with open(os.path.join(server.folder, "log"), encoding="utf-8") as log:
            said = log.read()
        check("/*traceparent='%s'*/" % (TRACE % "01") in said, "the sampled one is not there")
        check("1111" not in said.replace(TRACE % "01", "") or "00-1111" not in said, "one that is not sampled is there")
        check("DROP" not in said, "what is no trace context is there")
        same(get(client, b"c"), b"1")
