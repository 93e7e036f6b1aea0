"""Cases and what they are given. A suite is a module of functions marked @case; each runs for every driver and client.

    @case
    def get_of_a_missing_key_is_an_answer(t):
        check(not t.kv.Get(key=t.k("nobody")).found)
"""
import contextlib
import threading
import time

from . import stubs
from .failure import Failure

AWAIT_S = 20


class Skip(Exception):
    """The case does not apply here, and says why."""


def case(function=None, clients=None):
    """Marks a case. clients: names of those that can express it; default all."""
    def mark(f):
        f.case_clients = clients
        return f
    return mark(function) if function else mark


def check(condition, what="", *details):
    if not condition:
        raise AssertionError("not true: " + (what % details if details else what))


def same(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError("%s: got %s, wanted %s" % (what, brief(got), brief(wanted)))


def brief(value):
    text = repr(value)
    return text if len(text) < 300 else "%s… (%d characters)" % (text[:300], len(text))


@contextlib.contextmanager
def fails(code, *reasons, field=None):
    """The body must fail with this code, one of the reasons (where given), and a BadRequest violation of field."""
    caught = Caught()
    try:
        yield caught
    except Failure as failure:
        caught.failure = failure
        same(failure.code, code, "code of %r" % failure.message)
        same(failure.domain, "prism", "ErrorInfo.domain")
        if reasons and failure.reason not in reasons:
            raise AssertionError("reason: got %s, wanted %s" % (failure.reason, " or ".join(reasons))) from None
        check(failure.message, "the failure says nothing")
        if field is not None and field not in failure.fields:
            raise AssertionError("no violation of field %s: %s" % (field, failure.fields)) from None
    else:
        raise AssertionError("the call should have failed with %s" % code)


class Caught:
    failure = None

    def __getattr__(self, name):
        return getattr(self.failure, name)


class Model:
    """Methods of a model's interfaces by name: kv.Set(key=…, value=…) answers the response, kv.Scan(…) a list of pages."""

    def __init__(self, model, client, namespace, metadata=(), timeout=30):
        self.model, self.client, self.namespace = model, client, namespace
        self.metadata, self.timeout = tuple(metadata), timeout
        self.headers = {}

    def with_(self, namespace=None, timeout=None, **metadata):
        """The same with other metadata; underscores in names stand for hyphens. namespace "" sends none."""
        pairs = self.metadata + tuple((k.replace("_", "-"), v) for k, v in metadata.items())
        return Model(self.model, self.client, self.namespace if namespace is None else namespace, pairs,
                     timeout or self.timeout)

    def once(self, key):
        """The same with an idempotency key."""
        return self.with_(prism_idempotency_key=key)

    def __getattr__(self, name):
        if name not in stubs.METHODS[self.model]:
            raise AttributeError(name)
        return lambda **fields: self.call(name, fields)

    def call(self, name, fields):
        method = stubs.METHODS[self.model][name]
        metadata = self.metadata + ((("prism-namespace", self.namespace),) if self.namespace else ())
        messages, self.headers = self.client.call(method, stubs.build(method, fields), metadata, self.timeout)
        if method.server_streaming:
            return messages
        same(len(messages), 1, "responses of a unary call")
        return messages[0]


def KeyValue(client, namespace, metadata=(), timeout=30):  # pylint: disable=invalid-name
    return Model("keyvalue", client, namespace, metadata, timeout)


class Test:
    """What a case is given: kv, list, set, sortedset and counter (bound to client and namespace), keys of its own, and proxies
    where it needs another."""

    def __init__(self, world, driver, client, name):
        self.world, self.driver, self.client = world, driver, client
        self.prefix = ("%s/%s/" % (name, client.name)).encode()
        self.kv = KeyValue(client, driver)
        self.list = Model("list", client, driver)
        self.set = Model("set", client, driver)
        self.sortedset = Model("sortedset", client, driver)
        self.counter = Model("counter", client, driver)
        self.name = name

    def k(self, name):
        return self.prefix + (name.encode() if isinstance(name, str) else name)

    def idem(self, what):
        """An idempotency key of this case, client and driver."""
        return "%s/%s/%s/%s" % (self.name, what, self.client.name, self.driver)

    def namespace(self, suffix):
        """kv of a variant of the driver's namespace: other, ttl, finite, small, big."""
        return self.kv.with_(namespace="%s-%s" % (self.driver, suffix))

    def fill(self, names, value=b"v", kv=None, **fields):
        """Sets many keys by batches; answers them sorted."""
        keys = [self.k(n) for n in names]
        for i in range(0, len(keys), 1000):
            items = [stubs.new("BatchSetItem", key=k, value=value, **fields) for k in keys[i:i + 1000]]
            answer = (kv or self.kv).BatchSet(items=items)
            same(answer.succeeded, len(items), "items stored")
        return sorted(keys)


def await_true(what, probe):
    """Asks until the probe says so: for what the server does in its own time (expiry, idle rollback)."""
    until = time.monotonic() + AWAIT_S
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("not within %d s: %s" % (AWAIT_S, what))
        time.sleep(0.01)


def at_once(jobs):
    """Runs functions at the same time; answers their results, exceptions included, in order."""
    results = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(i):
        start.wait()
        try:
            results[i] = jobs[i]()
        except Exception as error:  # pylint: disable=broad-except
            results[i] = error
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def items_of(pages):
    return [item for page in pages for item in page.items]


def keys_of(pages):
    """Of a Scan or a ScanKeys."""
    return [key for page in pages for key in (page.keys if hasattr(page, "keys") else [i.key for i in page.items])]
