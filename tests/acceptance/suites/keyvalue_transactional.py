"""keyvalue_transactional: snapshot reads, own writes, atomic commit, conflicts, idle rollback, owners."""
import os
import subprocess
import time

import grpc

from harness.case import KeyValue, at_once, await_true, case, check, fails, keys_of, same
from harness.client_grpc import GrpcClient
from harness.failure import Failure
from harness.proxy import Proxy

GONE = ("TRANSACTION_UNKNOWN",)


class Transaction:
    """Begun on creation; the methods of a transaction with its id filled in."""

    def __init__(self, kv, **begin):
        self.kv = kv
        self.id = kv.BeginTransaction(**begin).transaction_id

    def set(self, key, value, **fields):
        return self.kv.SetInTransaction(transaction_id=self.id, key=key, value=value, **fields)

    def get(self, key):
        return self.kv.GetInTransaction(transaction_id=self.id, key=key)

    def delete(self, key):
        return self.kv.DeleteInTransaction(transaction_id=self.id, key=key)

    def commit(self):
        return self.kv.Commit(transaction_id=self.id)

    def rollback(self):
        return self.kv.Rollback(transaction_id=self.id)


@case
def a_commit_writes_all_at_once(t):
    t.kv.Set(key=t.k("old"), value=b"0")
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"1", tags={"x": "1"})
    tx.set(t.k("b"), b"2")
    check(tx.delete(t.k("old")).existed)
    same(keys_of(t.kv.Scan(prefix=t.prefix)), [t.k("old")], "seen from outside before the commit")
    version = tx.commit().version
    same(keys_of(t.kv.Scan(prefix=t.prefix)), [t.k("a"), t.k("b")])
    got = t.kv.Get(key=t.k("a"))
    same((got.value, got.version, dict(got.tags)), (b"1", version, {"x": "1"}))
    same(t.kv.Get(key=t.k("b")).version, version, "one version for every written key")


@case
def a_rollback_writes_nothing(t):
    t.kv.Set(key=t.k("a"), value=b"0")
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"1")
    tx.delete(t.k("a"))
    tx.set(t.k("b"), b"1")
    tx.rollback()
    same(t.kv.Get(key=t.k("a")).value, b"0")
    check(not t.kv.Exists(key=t.k("b")).exists)


@case
def an_empty_commit_has_no_version(t):
    same(Transaction(t.kv).commit().version, b"")
    tx = Transaction(t.kv)
    tx.get(t.k("a"))
    same(tx.commit().version, b"")


@case
def reads_see_the_moment_of_begin(t):
    first = t.kv.Set(key=t.k("a"), value=b"1").version
    tx = Transaction(t.kv)
    t.kv.Set(key=t.k("a"), value=b"2")
    t.kv.Set(key=t.k("b"), value=b"new")
    got = tx.get(t.k("a"))
    same((got.found, got.value, got.version), (True, b"1", first))
    check(not tx.get(t.k("b")).found, "a key written after the begin")
    t.kv.Delete(key=t.k("a"))
    same(tx.get(t.k("a")).value, b"1", "a key deleted after the begin")
    tx.rollback()


@case
def reads_see_own_writes(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"2", tags={"x": "y"})
    got = tx.get(t.k("a"))
    same((got.found, got.value, got.version, dict(got.tags)), (True, b"2", b"", {"x": "y"}))
    tx.delete(t.k("a"))
    check(not tx.get(t.k("a")).found)
    check(not tx.delete(t.k("a")).existed)
    tx.set(t.k("a"), b"3")
    same(tx.get(t.k("a")).value, b"3")
    tx.commit()
    same(t.kv.Get(key=t.k("a")).value, b"3")


@case
def delete_tells_what_the_transaction_sees(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    tx = Transaction(t.kv)
    same([tx.delete(t.k("a")).existed, tx.delete(t.k("a")).existed, tx.delete(t.k("nobody")).existed],
         [True, False, False])
    tx.commit()
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def a_write_that_came_first_aborts_the_commit(t):
    t.kv.Set(key=t.k("a"), value=b"0")
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"tx")
    tx.set(t.k("b"), b"tx")
    t.kv.Set(key=t.k("a"), value=b"other")
    with fails("ABORTED", "TRANSACTION_CONFLICT") as f:
        tx.commit()
    check(f.retry_s is not None, "RetryInfo is there")
    check(0 < f.retry_s < 60, "RetryInfo says %s s", f.retry_s)
    same(t.kv.Get(key=t.k("a")).value, b"other")
    check(not t.kv.Exists(key=t.k("b")).exists, "nothing of the transaction was written")
    with fails("NOT_FOUND", *GONE):
        tx.commit()


@case
def a_delete_and_a_creation_that_came_first_abort_too(t):
    t.kv.Set(key=t.k("a"), value=b"0")
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"tx")
    t.kv.Delete(key=t.k("a"))
    with fails("ABORTED", "TRANSACTION_CONFLICT"):
        tx.commit()
    tx = Transaction(t.kv)
    tx.set(t.k("new"), b"tx")
    t.kv.Set(key=t.k("new"), value=b"other")
    with fails("ABORTED", "TRANSACTION_CONFLICT"):
        tx.commit()
    same(t.kv.Get(key=t.k("new")).value, b"other")


@case
def of_two_transactions_that_write_a_key_the_second_aborts(t):
    one, two = Transaction(t.kv), Transaction(t.kv)
    one.set(t.k("a"), b"one")
    two.set(t.k("a"), b"two")
    one.commit()
    with fails("ABORTED", "TRANSACTION_CONFLICT"):
        two.commit()
    same(t.kv.Get(key=t.k("a")).value, b"one")


@case
def transactions_on_different_keys_both_commit(t):
    one, two = Transaction(t.kv), Transaction(t.kv)
    one.set(t.k("a"), b"one")
    two.set(t.k("b"), b"two")
    one.commit()
    two.commit()
    same([t.kv.Get(key=t.k(n)).value for n in "ab"], [b"one", b"two"])


@case
def a_transaction_that_only_reads_does_not_conflict(t):
    t.kv.Set(key=t.k("a"), value=b"1")
    tx = Transaction(t.kv)
    tx.get(t.k("a"))
    t.kv.Set(key=t.k("a"), value=b"2")
    tx.commit()


@case
def scans_never_see_half_a_commit(t):
    # A writer moves 10 keys from one generation to the next; every reader sees one generation.
    def write():
        for generation in range(5):
            tx = Transaction(t.kv)
            for i in range(10):
                tx.set(t.k("%d" % i), b"%d" % generation)
            tx.commit()

    def read():
        for _ in range(10):
            pages = t.kv.Scan(prefix=t.prefix)
            values = {i.value for p in pages for i in p.items}
            if len(values) > 1:
                raise AssertionError("a scan saw the generations %s" % sorted(values))
    results = at_once([write, read, read])
    same([str(r) for r in results if r is not None], [])


@case
def a_counter_by_transactions_loses_no_step(t):
    t.kv.Set(key=t.k("n"), value=b"0")

    def add():
        for _ in range(4):
            while True:
                tx = Transaction(t.kv)
                tx.set(t.k("n"), b"%d" % (int(tx.get(t.k("n")).value) + 1))
                try:
                    tx.commit()
                    break
                except Failure as failure:
                    same(failure.code, "ABORTED")
    results = at_once([add] * 3)
    same([str(r) for r in results if r is not None], [])
    same(t.kv.Get(key=t.k("n")).value, b"12")


@case
def a_ttl_in_a_transaction_counts(t):
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"1", ttl_ms=60_000)
    check(tx.get(t.k("a")).HasField("expires_at"), "the transaction sees it")
    with fails("INVALID_ARGUMENT", "TTL_INVALID", "FIELD_INVALID"):
        tx.set(t.k("b"), b"1", ttl_ms=-1)
    tx.commit()
    check(t.kv.GetTTL(key=t.k("a")).HasField("expires_at"))
    check(not t.kv.Exists(key=t.k("b")).exists)


@case
def an_ended_transaction_is_unknown(t):
    for end in ("commit", "rollback"):
        tx = Transaction(t.kv)
        getattr(tx, end)()
        for call in (lambda: tx.set(t.k("a"), b"1"), lambda: tx.get(t.k("a")), lambda: tx.delete(t.k("a")), tx.commit):
            with fails("NOT_FOUND", *GONE):
                call()
    check(not t.kv.Exists(key=t.k("a")).exists)


@case
def rollback_may_be_repeated(t):
    tx = Transaction(t.kv)
    tx.rollback()
    try:
        tx.rollback()
    except Failure as failure:
        same((failure.code, failure.reason), ("NOT_FOUND", "TRANSACTION_UNKNOWN"))


@case
def made_up_ids_are_unknown(t):
    real = Transaction(t.kv)
    for strange in (b"x", b"\x00" * 16, real.id[:-1] + bytes([real.id[-1] ^ 1]), b"z" * 64):
        with fails("NOT_FOUND", *GONE):
            t.kv.GetInTransaction(transaction_id=strange, key=t.k("a"))
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="transaction_id"):
        t.kv.Commit()
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="transaction_id"):
        t.kv.Commit(transaction_id=b"z" * 65)
    real.rollback()


@case
def a_transaction_belongs_to_its_namespace(t):
    tx = Transaction(t.kv)
    with fails("NOT_FOUND", *GONE):
        t.namespace("other").GetInTransaction(transaction_id=tx.id, key=t.k("a"))
    tx.rollback()


@case
def keys_are_checked_and_leave_the_transaction_alive(t):
    tx = Transaction(t.kv)
    for key in (b"", b"k" * 1025):
        for call in (lambda: tx.set(key, b"1"), lambda: tx.get(key), lambda: tx.delete(key)):
            with fails("INVALID_ARGUMENT", "FIELD_INVALID", "KEY_INVALID", field="key"):
                call()
    tx.set(t.k("a"), b"1")
    tx.commit()
    check(t.kv.Exists(key=t.k("a")).exists)


@case
def an_idle_transaction_is_rolled_back(t):
    # Asking a transaction would keep it alive: that the limit of three makes room tells when the idle ones are gone.
    small = t.namespace("small")
    idle = [Transaction(small, ttl_ms=150) for _ in range(3)]
    idle[0].set(t.k("a"), b"1")

    def begin():
        try:
            return Transaction(small, ttl_ms=60_000)
        except Failure as failure:
            same(failure.reason, "TRANSACTION_LIMIT")
            return None
    fresh = [await_true("an idle transaction makes room", begin) for _ in range(3)]
    for tx in idle:
        with fails("NOT_FOUND", *GONE):
            tx.get(t.k("a"))
    for tx in fresh:
        tx.rollback()
    check(not small.Exists(key=t.k("a")).exists)


@case
def calls_keep_a_transaction_alive(t):
    tx = Transaction(t.kv, ttl_ms=600)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        tx.get(t.k("a"))
    tx.set(t.k("a"), b"1")
    tx.commit()
    check(t.kv.Exists(key=t.k("a")).exists)


@case
def a_namespace_takes_so_many_transactions(t):
    small = t.namespace("small")
    held = [Transaction(small) for _ in range(3)]
    with fails("RESOURCE_EXHAUSTED", "TRANSACTION_LIMIT"):
        Transaction(small)
    held.pop().commit()
    held.append(Transaction(small))
    for tx in held:
        tx.rollback()


@case(clients=("grpcio",))
def a_transaction_takes_10000_keys(t):
    tx = Transaction(t.kv)
    for i in range(10000):
        tx.set(t.k("%05d" % i), b"")
    with fails("RESOURCE_EXHAUSTED", "TRANSACTION_TOO_LARGE"):
        tx.set(t.k("one more"), b"")
    tx.rollback()
    same(t.kv.Count(prefix=t.prefix).count, 0)


@case
def a_retried_commit_answers_the_first_result(t):
    once = t.kv.with_(prism_idempotency_key="%s-commit-%s" % (t.client.name, t.driver))
    tx = Transaction(t.kv)
    tx.set(t.k("a"), b"1")
    first = once.Commit(transaction_id=tx.id).version
    same(once.Commit(transaction_id=tx.id).version, first)
    same(t.kv.Get(key=t.k("a")).version, first)


# --- owners: who calls is who the client certificate names ------------------------------------------------------------

def certificates(folder):
    """A CA, a server certificate for localhost, and clients alice and bob."""
    def openssl(*arguments):
        subprocess.run(["openssl"] + list(arguments), cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
            "ca.pem", "-days", "2", "-subj", "/CN=test ca")
    for name in ("localhost", "alice", "bob"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key", "-out",
                name + ".csr", "-subj", "/CN=" + name)
        with open(os.path.join(folder, name + ".ext"), "w") as out:
            out.write("subjectAltName=DNS:%s,IP:127.0.0.1\n" % name if name == "localhost" else "subjectAltName=DNS:%s\n" % name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", name + ".ext", "-out", name + ".pem")


def tls_client(folder, address, name):
    def read(file):
        with open(os.path.join(folder, file), "rb") as f:
            return f.read()
    return GrpcClient(address, grpc.ssl_channel_credentials(read("ca.pem"), read(name + ".key"), read(name + ".pem")))


@case(clients=("grpcio",))
def a_transaction_belongs_to_its_caller(t):
    proxy = Proxy()
    folder = proxy.folder
    certificates(folder)
    with open(proxy.config) as f:
        text = f.read()
    with open(proxy.config, "w") as out:
        out.write("tls: {cert_file: %(d)s/localhost.pem, key_file: %(d)s/localhost.key, client_ca_file: %(d)s/ca.pem, "
                  "client_cert_required: true}\n" % {"d": folder} + text)
    clients = []
    try:
        proxy.start()
        clients = [tls_client(folder, proxy.listen, name) for name in ("alice", "bob")]
        alice, bob = (KeyValue(c, t.driver) for c in clients)
        tx = Transaction(alice)
        tx.set(t.k("a"), b"1")
        stolen = Transaction.__new__(Transaction)
        stolen.kv, stolen.id = bob, tx.id
        for call in (lambda: stolen.get(t.k("a")), lambda: stolen.set(t.k("a"), b"2"), lambda: stolen.delete(t.k("a")),
                     stolen.commit, stolen.rollback):
            with fails("PERMISSION_DENIED", "TRANSACTION_NOT_OWNER"):
                call()
        tx.commit()
        same(bob.Get(key=t.k("a")).value, b"1")
    finally:
        for client in clients:
            client.close()
        proxy.remove()
