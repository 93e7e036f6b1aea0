"""A namespace moves from SQLite to each remote backend in turn, by prismctl and reloads of the configuration alone, while a client program
goes on. What was acknowledged is there afterwards; times to live and tags are kept."""
import json
import os
import signal
import subprocess
import sys

from harness.api import ROOT, message
from harness.case import case, check, same
from harness.proxy import Proxy
from world import KINDS, KV, SCALE, backend, outcome, until

PRISMCTL = os.path.join(ROOT, "build", "prismctl")
GOES_ON = os.path.join(ROOT, "tests", "fault", "goes_on.py")
RECORDS = round(3000 * SCALE)


class Move:
    """A proxy with the namespace `orders`, and prismctl for it."""

    def __init__(self):
        kinds = [backend(kind) for kind in KINDS]
        self.backends = "backends:\n" + "".join(
            "  %s-server: {type: %s, connection: \"%s\"}\n" % (k.name, k.name, k.connection(k.address)) for k in kinds)
        self.proxy = Proxy(config=self.text("sqlite"))

    def text(self, keeper, paused=False, next_keeper=None):
        text = self.backends + "namespaces:\n  - {name: orders, backend: %s%s}\n" % (keeper, ", pause_writes: true" if paused else "")
        return text + ("  - {name: orders-next, backend: %s, store: orders}\n" % next_keeper if next_keeper else "")

    def ctl(self, *words):
        done = subprocess.run([PRISMCTL, "--address", self.proxy.listen, "--admin-address", self.proxy.metrics, *words],
                              capture_output=True, text=True, timeout=120, check=False)
        same(done.returncode, 0, "prismctl %s: %s" % (" ".join(words), done.stderr))
        return done.stdout

    def configure(self, *what, **more):
        self.proxy.write_config(self.text(*what, **more))
        self.ctl("config", "reload")

    def count(self, namespace):
        return int(self.ctl("kv", "count", "-n", namespace).split()[0])

    def to(self, keeper, next_keeper):
        """As docs/guide/move-a-namespace.md tells it."""
        file = os.path.join(self.proxy.folder, next_keeper + ".ndjson")
        self.configure(keeper, paused=True, next_keeper=next_keeper)
        self.ctl("kv", "export", "-n", "orders", file)
        self.ctl("kv", "import", "-n", "orders-next", "--resume", file)
        with open(file, "rb") as records:
            exported = sum(1 for _ in records)
        same((self.count("orders"), self.count("orders-next")), (exported, exported))
        self.configure(next_keeper)


def fill(call):
    for n in range(RECORDS):
        call(KV + "Set", "orders", key=b"old/%06d" % n, value=b"v%d" % n, ttl=message("google.protobuf.Duration")(seconds=3600 + n))
    call(KV + "Set", "orders", key=b"old/for ever", value=bytes(range(256)))


def tagged(move, key):
    return json.loads(move.ctl("kv", "get", "-n", "orders", "-o", "json", key)).get("tags")


def expiry_ms(call, n):
    at = call(KV + "Get", "orders", key=b"old/%06d" % n).expires_at
    return at.seconds * 1000 + at.nanos // 1000000


@case
def a_client_program_goes_on_while_its_namespace_moves():
    move = Move()
    with move.proxy as proxy, proxy.client() as call:
        fill(call)
        move.ctl("kv", "set", "-n", "orders", "--tag", "team=blue", "old/tagged", "x")
        expiries = {n: expiry_ms(call, n) for n in (0, 1, RECORDS - 1)}
        with subprocess.Popen([sys.executable, GOES_ON, proxy.listen, "orders"], stdout=subprocess.PIPE, text=True) as program:
            same(json.loads(program.stdout.readline()), {"event": "ready"})
            keeper = "sqlite"
            for kind in KINDS:
                before = move.count("orders")
                until("the program writes", lambda: move.count("orders") > before + 5)  # pylint: disable=cell-var-from-loop
                move.to(keeper, kind + "-server")
                keeper = kind + "-server"
            before = move.count("orders")
            until("the program still writes", lambda: move.count("orders") > before + 5)
            program.send_signal(signal.SIGTERM)
            counts = json.loads(program.stdout.readline())
            same(program.wait(60), 0, counts)
        same(counts["wrong"], [])
        check(counts["writes"] > 20 and counts["repeated"] > 0, counts)
        for n, wanted in expiries.items():
            check(abs(expiry_ms(call, n) - wanted) < 5000, (n, wanted))
        same(call(KV + "Get", "orders", key=b"old/for ever").value, bytes(range(256)))
        same(tagged(move, "old/tagged"), {"team": "blue"})


@case
def writes_are_paused_and_reads_are_not():
    with Proxy(config="namespaces: [{name: a, backend: memory, pause_writes: true}]\n") as proxy, proxy.client() as call:
        same(outcome(call, KV + "Set", "a", key=b"k", value=b"v")[:2], ("UNAVAILABLE", "WRITES_PAUSED"))
        same(outcome(call, "/prism.keyvalue.v1.KeyValueTransactional/BeginTransaction", "a")[:2], ("UNAVAILABLE", "WRITES_PAUSED"))
        same(call(KV + "Get", "a", key=b"k").found, False)


@case
def a_store_inside_the_process_is_open_once():
    config = "namespaces: [{name: a, backend: sqlite}, {name: b, backend: sqlite, store: a}]\n"
    code, _, log = Proxy(config=config).run_to_end()
    same(code, 70)
    check("namespaces[1].store" in log and "`a` already" in log, log)


@case
def a_renamed_namespace_keeps_its_store():
    with Proxy(config="namespaces: [{name: a, backend: memory}]\n") as proxy, proxy.client() as call:
        call(KV + "Set", "a", key=b"k", value=b"v")
        proxy.write_config("namespaces: [{name: b, backend: memory, store: a}]\n")
        subprocess.run([PRISMCTL, "--admin-address", proxy.metrics, "config", "reload"], check=True, capture_output=True)
        same(call(KV + "Get", "b", key=b"k").value, b"v")
        same(outcome(call, KV + "Get", "a", key=b"k")[1], "NAMESPACE_UNKNOWN")
