"""What cases stand on: remote backends behind relays, and calls to the proxy in front of them."""
import os
import threading
import time

import grpc

from harness.api import KV, Client
from harness.proxy import Proxy
from relay import Relay
from servers.postgres import Postgres
from servers.redis import Standalone

SCALE = float(os.environ.get("FAULT_SCALE", "1"))


class PostgresKind:
    name = "postgres"

    def __init__(self):
        self.server = Postgres().start()
        self.address = "127.0.0.1:%d" % self.server.port

    def connection(self, address):
        return self.server.url().replace(self.address, address)

    def kill_and_start(self):
        self.server.restart("kill")

    def stop(self):
        self.server.remove()


class RedisKind:
    name = "redis"

    def __init__(self):
        self.server = Standalone(append_only=True)
        self.address = self.server.addresses()[0]

    def connection(self, address):
        return "redis://%s/0" % address

    def kill_and_start(self):
        self.server.kill()
        self.server.start()

    def stop(self):
        self.server.stop()


KINDS = {"postgres": PostgresKind, "redis": RedisKind}


class Lazy:
    """A kind of backend, started when a case first needs it."""

    def __init__(self, kind):
        self.kind, self.made = kind, None

    def __getattr__(self, name):
        if self.made is None:
            self.made = KINDS[self.kind]()
        return getattr(self.made, name)


_backends = {kind: Lazy(kind) for kind in KINDS}


def backend(kind):
    return _backends[kind]


def stop_all():
    for lazy in _backends.values():
        if lazy.made is not None:
            lazy.made.stop()


def on_backends(*kinds):
    """Marks a case that takes a kind of backend: run once for each, all by default."""
    def mark(function):
        function.backends = kinds or tuple(KINDS)
        return function
    return mark


class Setup:
    """A relay to the backend, and a proxy with the namespaces `far` on it, and `near` in memory.

        with Setup(backend) as s:
            s.call(KV + "Get", "far", key=b"k"); s.relay.set(…); s.status("far").guard.breaker"""

    def __init__(self, kind, backend_options="", namespace_options="", more="", address=None, workers=2):
        self.relay = Relay(kind.address)
        self.relay.start()
        self.config = ("workers: %d\n"
                       "backends:\n"
                       "  remote: {type: %s, connection: \"%s\"%s}\n"
                       "namespaces:\n"
                       "  - {name: far, backend: remote%s}\n"
                       "  - {name: near, backend: memory}\n" % (
                           workers, kind.name, kind.connection(address or self.relay.address),
                           ", " + backend_options if backend_options else "",
                           ", " + namespace_options if namespace_options else "")) + more
        self.proxy = Proxy(config=self.config)

    def __enter__(self):
        try:
            self.proxy.start()
        except BaseException:
            self.relay.stop()
            raise
        self.call = self.proxy.client()
        self.admin = self.proxy.admin()
        return self

    def __exit__(self, *details):
        self.call.channel.close()
        self.admin.channel.close()
        self.relay.clear()
        self.proxy.__exit__(*details)
        self.relay.stop()

    def status(self, name):
        for ns in self.admin("/prism.admin.v1.ProxyAdmin/ListNamespaces").namespaces:
            if ns.name == name:
                return ns
        raise AssertionError("no namespace " + name)


def outcome(call, *args, **fields):
    """(status name, reason, seconds) of one call; OK: (\"OK\", None, seconds)."""
    from harness.api import details
    began = time.monotonic()
    try:
        call(*args, **fields)
        return "OK", None, time.monotonic() - began
    except grpc.RpcError as error:
        return error.code().name, details(error)[0], time.monotonic() - began


def until(what, probe, seconds=20):
    """Asks until the answer is true, and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never: " + what)
        time.sleep(0.01)


class Crowd:
    """Callers on threads of their own, each with a connection of its own, until stopped; what each saw is in .seen."""

    def __init__(self, address, count, work):
        self.address, self.work = address, work
        self.ending = threading.Event()
        self.seen = [[] for _ in range(count)]
        self.errors = []
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(count)]

    def _run(self, i):
        with Client(self.address, options=[("grpc.use_local_subchannel_pool", 1)]) as call:
            try:
                while not self.ending.is_set():
                    self.seen[i].append(self.work(call, i))
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        if self.errors:
            raise self.errors[0]

    def all(self):
        return [one for caller in self.seen for one in caller]


__all__ = ["KV", "SCALE", "Crowd", "Setup", "backend", "on_backends", "outcome", "stop_all", "until"]
