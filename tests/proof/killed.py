#!/usr/bin/python3
"""kill -9 of the proxy under write load on SQLite, again and again on the same data.

usage: tests/proof/killed.py [--rounds N] [--seed S]

In each round callers write until so many writes are acknowledged, then the process is killed with calls in flight and started
again. After it: each acknowledged write is there with its value, none is torn, a transaction is there whole or not at all, and a
call with an idempotency key that is sent again has its effect once. What has expired does not come back, and what is to expire, or
no longer, says so as before. The last line is a JSON object with what was counted."""
import argparse
import json
import os
import random
import signal
import sys
import threading
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
sys.dont_write_bytecode = True

import grpc  # noqa: E402
from harness.api import KV, message, request_of, stub  # noqa: E402
from harness.proxy import Proxy  # noqa: E402

NAMESPACE = (("prism-namespace", "default"),)
BATCH = "/prism.keyvalue.v1.KeyValueBatch/"
TTL = "/prism.keyvalue.v1.KeyValueTtl/"
TRANSACTION = "/prism.keyvalue.v1.KeyValueTransactional/"
BATCH_ITEMS, TRANSACTION_KEYS, CALLERS_A_KIND = 20, 5, 2
LONG_S, SHORT_S, CLOCK_SLACK_S = 3600, 0.03, 0.002


def value_of(key, number):
    """Bytes that follow from key and number, of 10 to 6,000 bytes: over SQLite's page of 4,096 now and then."""
    head = b"%s|%d|" % (key, number)
    seed = zlib.crc32(head)
    return head + bytes([97 + seed % 26]) * (seed % (6000 if seed % 5 == 0 else 200)) + b"|%08x" % seed


def number_of(key, value):
    """The number of a whole value; a torn one is an error."""
    number = int(value.split(b"|")[1])
    if value != value_of(key, number):
        raise AssertionError("torn: %r holds %r…" % (key, value[:80]))
    return number


class Caller(threading.Thread):
    """Writes until the proxy dies. acknowledged: key to number; tried: key to the last number sent."""

    def __init__(self, round_, index, listen):
        super().__init__(daemon=True)
        self.round, self.prefix = round_, b"%s/%d" % (type(self).__name__.lower().encode(), index)
        self.random = random.Random("%d %s %d" % (round_.seed, type(self).__name__, index))
        self.channel = grpc.insecure_channel(listen, [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])
        self.acknowledged, self.tried, self.number, self.unexpected = {}, {}, 0, None

    def call(self, path, metadata=(), **fields):
        return stub(self.channel, path)(request_of(path, fields), metadata=NAMESPACE + metadata, timeout=60)

    def run(self):
        try:
            while True:
                self.number += 1
                self.write(self.number)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or not self.round.killed.is_set():
                self.unexpected = error
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected = error
        if self.unexpected:
            self.round.enough.set()

    def acknowledge(self, pairs):
        self.acknowledged.update(pairs)
        self.round.count(len(pairs))


class Single(Caller):
    """New keys, and one key again and again."""

    def write(self, number):
        key = self.prefix + (b"/same" if number % 2 else b"/%d/%d" % (self.round.number, number))
        self.tried[key] = number
        self.call(KV + "Set", key=key, value=value_of(key, number))
        self.acknowledge({key: number})


class Batch(Caller):
    def write(self, number):
        keys = [self.prefix + b"/%d" % self.random.randrange(500) for _ in range(BATCH_ITEMS)]
        pairs = {key: number * 1000000 + self.round.number for key in keys}
        self.tried.update(pairs)
        item = message("prism.keyvalue.v1.BatchSetItem")
        answer = self.call(BATCH + "BatchSet", items=[item(key=k, value=value_of(k, n)) for k, n in pairs.items()])
        done = [k for k, result in zip(pairs, answer.results) if result.status.code == 0]
        self.acknowledge({k: pairs[k] for k in done})


class Transaction(Caller):
    """The same keys each time, all with the same number."""

    def keys(self):
        return [self.prefix + b"/%d" % i for i in range(TRANSACTION_KEYS)]

    def write(self, number):
        begun = self.call(TRANSACTION + "BeginTransaction").transaction_id
        for key in self.keys():
            self.call(TRANSACTION + "SetInTransaction", transaction_id=begun, key=key, value=value_of(key, number))
        self.tried.update((key, number) for key in self.keys())
        self.call(TRANSACTION + "Commit", transaction_id=begun)
        self.acknowledge({key: number for key in self.keys()})


class Idempotent(Caller):
    """Each call has a key of its own; kept: the last calls, with the version that was answered (None: no answer)."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.kept = {}

    def send(self, number):
        key = self.prefix + b"/%d/%d" % (self.round.number, number)
        mark = key.decode().replace("/", "-")
        pair = (("prism-idempotency-key", mark),)
        return key, self.call(KV + "Set", pair, key=key, value=value_of(key, number)).version

    def write(self, number):
        self.kept[number] = None
        key, self.kept[number] = self.send(number)
        self.acknowledge({key: number})


def lasting(seconds):
    return message("google.protobuf.Duration")(seconds=int(seconds), nanos=round(seconds % 1 * 1e9))


class Expiring(Caller):
    """expires: key to (not before, not after), as Get must tell it, None: never. gone: key to when it is not there any more."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.expires, self.gone = {}, {}

    def timed(self, key, do):
        """Does what gives the key an hour, and notes between which moments that ends."""
        before = time.time()
        do()
        self.expires[key] = (before + LONG_S - CLOCK_SLACK_S, time.time() + LONG_S + CLOCK_SLACK_S)

    def write(self, number):
        key, kind = self.prefix + b"/%d/%d" % (self.round.number, number), number % 4
        value = value_of(key, number)
        if kind == 0:
            self.call(KV + "Set", key=key, value=value, ttl=lasting(SHORT_S))
            self.gone[key] = time.time() + SHORT_S + CLOCK_SLACK_S
            self.round.count(1)
            return
        self.timed(key, lambda: self.call(KV + "Set", key=key, value=value, ttl=lasting(LONG_S)))
        self.tried[key] = number
        self.acknowledge({key: number})
        was = self.expires.pop(key)
        if kind == 1:
            self.timed(key, lambda: self.call(TTL + "Expire", key=key, ttl=lasting(LONG_S)))
        elif kind == 2:
            self.call(TTL + "Persist", key=key)
            self.expires[key] = None
        else:
            self.expires[key] = was


class Round:
    """One life of the proxy: load, kill."""

    def __init__(self, number, seed, proxy, starts):
        self.number, self.seed = number, seed
        self.killed, self.enough, self.lock = threading.Event(), threading.Event(), threading.Lock()
        self.left = random.Random(seed).randrange(50, 3000)
        self.acknowledged = 0
        kinds = (Single, Batch, Transaction, Idempotent, Expiring)
        self.callers = [kind(self, i, proxy.listen) for kind in kinds for i in range(CALLERS_A_KIND)]
        for caller in self.callers:
            caller.number = starts.get(caller.prefix, 0)

    def count(self, writes):
        with self.lock:
            self.acknowledged += writes
            if self.acknowledged >= self.left:
                self.enough.set()

    def run(self, proxy):
        for caller in self.callers:
            caller.start()
        self.enough.wait(60)
        self.killed.set()
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        for caller in self.callers:
            caller.join(90)
            caller.channel.close()
            if caller.unexpected or caller.is_alive():
                raise AssertionError("round %d: %s: %s" % (self.number, caller.prefix, caller.unexpected or "hangs"))


class Ledger:
    """What must be there: over all rounds."""

    def __init__(self):
        self.acknowledged, self.maximum = {}, {}
        self.counts = dict.fromkeys(("acknowledged", "checked", "lost", "torn", "half_transactions", "retried", "repeated",
                                     "expiries_checked", "expiries_wrong", "resurrected"), 0)
        self.errors = []

    def add(self, round_):
        for caller in round_.callers:
            self.acknowledged.update(caller.acknowledged)
            for key, number in caller.tried.items():
                self.maximum[key] = number
        self.counts["acknowledged"] += round_.acknowledged

    def wrong(self, what, text):
        self.counts[what] += 1
        self.errors.append(text)

    def check(self, call, keys):
        """Each of these keys holds the acknowledged value, or a later one that was tried."""
        keys = list(keys)
        for begin in range(0, len(keys), 200):
            part = keys[begin:begin + 200]
            answer = call(BATCH + "BatchGet", "default", keys=part)
            for key, result in zip(part, answer.results):
                self.check_one(key, result.item)
        self.counts["checked"] += len(keys)

    def check_one(self, key, item):
        wanted = self.acknowledged.get(key)
        if not item.found:
            if wanted is not None:
                self.wrong("lost", "%r is not there" % key)
            return
        try:
            number = number_of(key, item.value)
        except (AssertionError, IndexError, ValueError) as error:
            self.wrong("torn", str(error))
            return
        if wanted is not None and number != wanted and number != self.maximum.get(key, wanted):
            self.wrong("lost", "%r: %d was acknowledged, %d is there" % (key, wanted, number))
        self.acknowledged[key] = number

    def check_transaction(self, call, caller):
        items = [call(KV + "Get", "default", key=key) for key in caller.keys()]
        found = {number_of(key, item.value) if item.found else None for key, item in zip(caller.keys(), items)}
        if len(found) > 1:
            self.wrong("half_transactions", "%r: %r" % (caller.prefix, found))

    def check_idempotent(self, call, caller):
        """The last calls again, twice: one version, which the key still has."""
        caller.channel = call.channel
        for number, answered in sorted(caller.kept.items())[-10:]:
            before = call(KV + "Get", "default", key=caller.prefix + b"/%d/%d" % (caller.round.number, number))
            key, first = caller.send(number)
            versions = {first, caller.send(number)[1], call(KV + "Get", "default", key=key).version}
            versions |= {answered} if answered else set()
            versions |= {before.version} if before.found else set()
            self.acknowledged[key] = number
            self.counts["retried"] += 1
            if len(versions) > 1:
                self.wrong("repeated", "%r has been written more than once: %r" % (key, versions))


    def check_expiry(self, call, caller):
        for key, wanted in caller.expires.items():
            item = call(KV + "Get", "default", key=key)
            ends = item.expires_at.seconds + item.expires_at.nanos / 1e9 if item.HasField("expires_at") else None
            self.counts["expiries_checked"] += 1
            if not item.found or (ends is None) != (wanted is None) or (wanted and not wanted[0] <= ends <= wanted[1]):
                self.wrong("expiries_wrong", "%r: expires at %r, wanted %r" % (key, ends, wanted))
        for key, gone in caller.gone.items():
            late = time.time() > gone
            self.counts["expiries_checked"] += late
            if late and call(KV + "Get", "default", key=key).found:
                self.wrong("resurrected", "%r has expired and is there" % key)


def one_round(number, seed, proxy, ledger, starts):
    round_ = Round(number, seed, proxy, starts)
    round_.run(proxy)
    ledger.add(round_)
    proxy.start()
    with proxy.client() as call:
        ledger.check(call, {k for c in round_.callers for k in list(c.tried) + list(c.acknowledged)})
        for caller in round_.callers:
            starts[caller.prefix] = caller.number
            if isinstance(caller, Transaction):
                ledger.check_transaction(call, caller)
            if isinstance(caller, Expiring):
                ledger.check_expiry(call, caller)
            if isinstance(caller, Idempotent):
                ledger.check_idempotent(call, caller)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    ledger, starts = Ledger(), {}
    with Proxy() as proxy:
        for number in range(options.rounds):
            one_round(number, options.seed + number, proxy, ledger, starts)
            if number % 10 == 9:
                print("killed: %d of %d rounds" % (number + 1, options.rounds), file=sys.stderr, flush=True)
        with proxy.client() as call:
            ledger.check(call, ledger.acknowledged)
    for error in ledger.errors[:20]:
        print(error, file=sys.stderr)
    print(json.dumps({"proof": "killed", "seed": options.seed, "ok": not ledger.errors, "rounds": options.rounds, **ledger.counts}))
    return 1 if ledger.errors else 0


sys.exit(main())
