"""Reloads of the configuration: by SIGHUP and by ProxyAdmin, under load, with good files and bad ones."""
import signal
import threading

import grpc

from harness.api import ADMIN, KV, Client
from harness.case import case, check, fails, same
from harness.proxy import Proxy

BASE = "namespaces:\n  - {name: kept, backend: memory}\n  - {name: durable, backend: sqlite}\n"


class Load:
    """Loops Set and Get over a channel of its own until stopped; every call that fails is kept."""

    def __init__(self, address, namespace, threads=2):
        self.address, self.namespace = address, namespace
        self.calls, self.failures, self.running = 0, [], True
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()

    def run(self, number):
        with Client(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as call:
            key = b"load%d" % number
            n = 0
            while self.running:
                n += 1
                try:
                    call(KV + "Set", self.namespace, key=key, value=b"%d" % n)
                    same(call(KV + "Get", self.namespace, key=key).value, b"%d" % n, "read after write")
                except (grpc.RpcError, AssertionError) as error:
                    with self.lock:
                        self.failures.append(repr(error))
                with self.lock:
                    self.calls += 2


@case
def no_call_fails_while_the_configuration_changes():
    with Proxy(config=BASE) as p, p.admin() as admin, Load(p.listen, "kept") as memory, Load(p.listen, "durable") as sqlite:
        for i in range(20):
            p.write_config(BASE + "  - {name: extra-%d, backend: memory}\n" % i)
            p.signal(signal.SIGHUP)
            p.await_log("configuration reloaded", count=2 * i + 1)
            p.write_config(BASE + "  - {name: more-%d, backend: sqlite, description: x}\n" % i)
            answer = admin(ADMIN + "ReloadConfig")
            same((answer.namespaces_added, answer.namespaces_removed), (1, 1), "changes")
        check(memory.calls > 100 and sqlite.calls > 20, (memory.calls, sqlite.calls))
        memory.__exit__()
        sqlite.__exit__()
        same(memory.failures + sqlite.failures, [], "failed calls")


@case
def a_reload_is_in_effect_when_it_has_been_answered():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        for i in range(10):
            p.write_config(BASE + "  - {name: new-%d, backend: memory}\n" % i)
            admin(ADMIN + "ReloadConfig")
            call(KV + "Set", "new-%d" % i, key=b"k", value=b"v")
            if i:
                with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
                    call(KV + "Get", "new-%d" % (i - 1), key=b"k")


@case
def memory_keeps_its_data_over_a_reload():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        call(KV + "Set", "kept", key=b"k", value=b"v")
        p.write_config(BASE.replace("backend: memory", "backend: memory, ttl: {default: 1h}, memory: {max_bytes: 64MiB}"))
        answer = admin(ADMIN + "ReloadConfig")
        same((answer.namespaces_changed, list(answer.needs_restart)), (1, ["options of namespace kept"]))
        same(call(KV + "Get", "kept", key=b"k").value, b"v")
        call(KV + "Set", "kept", key=b"k2", value=b"v")
        check(call(KV + "Get", "kept", key=b"k2").HasField("expires_at"), "the new default TTL counts")


@case
def options_of_a_store_wait_for_a_restart():
    """A store is not opened twice: what it was opened with stays, and the answer says so."""
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call, Load(p.listen, "durable") as load:
        call(KV + "Set", "durable", key=b"k", value=b"v")
        p.write_config(BASE.replace("backend: sqlite", "backend: sqlite, sqlite: {synchronous: normal}"))
        same(list(admin(ADMIN + "ReloadConfig").needs_restart), ["options of namespace durable"])
        same(call(KV + "Get", "durable", key=b"k").value, b"v")
        load.__exit__()
        same(load.failures, [], "failed calls")


@case
def a_bad_file_leaves_the_running_one_in_place():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        p.write_config(BASE + "  - {name: x, bakend: memory}\n")
        with fails("INVALID_ARGUMENT", "CONFIG_INVALID") as f:
            admin(ADMIN + "ReloadConfig")
        same([name for name, _ in f.fields], ["namespaces[2].backend", "namespaces[2]"], "violations")
        check("4:15: unknown key `bakend`: did you mean `backend`?" in f.fields[1][1], f.fields)
        with fails("INVALID_ARGUMENT", "CONFIG_INVALID"):
            admin(ADMIN + "ReloadConfig", validate_only=True)
        p.signal(signal.SIGHUP)
        p.await_log("reload failed, the running configuration stays", count=3)
        call(KV + "Set", "kept", key=b"k", value=b"v")
        check("did you mean" in admin(ADMIN + "GetStatus").config_error)
        p.write_config(BASE)
        admin(ADMIN + "ReloadConfig")
        same(admin(ADMIN + "GetStatus").config_error, "")


@case
def a_backend_that_does_not_open_leaves_the_running_one_in_place():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        p.write_config(BASE + "  - {name: x, backend: memory}\n  - {name: y, backend: sqlite, sqlite: {directory: /proc/nowhere}}\n")
        with fails("FAILED_PRECONDITION") as f:
            admin(ADMIN + "ReloadConfig")
        check("namespace `y`" in f.text, f.text)
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
            call(KV + "Get", "x", key=b"k")
        call(KV + "Set", "kept", key=b"k", value=b"v")


@case
def validation_alone_changes_nothing():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        p.write_config(BASE + "  - {name: x, backend: memory}\n")
        admin(ADMIN + "ReloadConfig", validate_only=True)
        with fails("NOT_FOUND", "NAMESPACE_UNKNOWN"):
            call(KV + "Get", "x", key=b"k")


@case
def what_needs_a_restart_is_said():
    with Proxy(config=BASE, args=["--listen", "127.0.0.1:0"]) as p, p.admin() as admin:
        p.write_config("data_dir: /elsewhere\nworkers: 7\ndrain_timeout: 5s\n"
                       "transport: {congestion_control: reno, spin: 20us}\n" + BASE)
        same(list(admin(ADMIN + "ReloadConfig").needs_restart),
             ["workers", "transport.congestion_control", "transport.spin"])
        same(len(p.await_log("needs a restart to take effect", count=3)), 3)


@case
def many_reloads_at_once_all_get_an_answer():
    with Proxy(config=BASE) as p, p.admin() as admin:
        answers = []

        def reload_once():
            answers.append(admin(ADMIN + "ReloadConfig"))
        threads = [threading.Thread(target=reload_once) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(len(answers), 16)


@case
def a_namespace_that_goes_and_comes_back_has_its_data():
    with Proxy(config=BASE) as p, p.admin() as admin, p.client() as call:
        call(KV + "Set", "durable", key=b"k", value=b"v")
        for _ in range(10):
            p.write_config(BASE.splitlines()[0] + "\n" + BASE.splitlines()[1] + "\n")
            same(admin(ADMIN + "ReloadConfig").namespaces_removed, 1)
            p.write_config(BASE)
            same(admin(ADMIN + "ReloadConfig").namespaces_added, 1)
            same(call(KV + "Get", "durable", key=b"k").value, b"v")
