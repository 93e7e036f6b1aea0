#!/usr/bin/python3
"""The n-th allocation fails, for each n that a request reaches, once and for ever after, in every kind of request.

usage: tests/proof/starved.py [--every K] [--apart A] [--only TEXT] [--binary build/proof/starve] [--seed S] [--list]

Each path of starved_paths.py runs over a connection of its own, again and again, with the next allocation failing each time, until
it gets through without having met a failure. Then it must have answered as it always does, or said RESOURCE_EXHAUSTED or
UNAVAILABLE, or have lost its connection; it may not hang. With memory back it must answer as it always does, and in the end hold no
more memory than before. Then the same for a process that has just started, whose connections to SQLite are new, and for the start
itself, which must end with a reason or serve, with all data. --every K takes every K-th allocation (from the seed on) only, and
of what takes a process each, every K times A-th (--apart A). The last line is a JSON object."""
import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import starved_paths  # noqa: E402
from starved_paths import Refused, Lost  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALLOCATIONS_MAX = 5000     # a request that goes on for longer does not end
SETTLE_S = 3 
KEPT_BLOCKS_MAX = 24       # caches that grow once: a leak in each replay is more
COLD = ("grpc_set", "grpc_get", "grpc_delete", "grpc_expiry", "grpc_swap", "grpc_batch_set", "grpc_scan", "grpc_count", "grpc_transaction")


class NotReady(Exception):
    """exit code, log"""


class Starve:
    """The process of starve.c, and orders to it."""

    def __init__(self, binary, folder, *plan):
        self.log = open(os.path.join(folder, "log"), "wb")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([binary, os.path.join(folder, "data"), *plan], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, bufsize=0)
        try:
            ready = json.loads(self.line())
        except AssertionError as error:
            raise NotReady(self.process.wait(30), self.said()) from error
        self.listen, self.metrics = ready["listen"], ready["metrics"]

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise AssertionError("the process is gone, or hangs: exit code %s\n%s" % (self.process.poll(), self.said()))
        return line.decode()

    def order(self, text):
        self.process.stdin.write(text.encode() + b"\n")
        return self.line().strip()

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-60:])

    def at_rest(self):
        """Blocks in use when no connection is open: the same number a few times."""
        last, same = -1, 0
        while same < 5:
            live = int(self.order("live"))
            same = same + 1 if live == last else 0
            last = live
            time.sleep(0.005)
        return last

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()
        return code, self.said()


class Replay:
    """One path on one process."""

    def __init__(self, starve, path, namespace, counts):
        self.starve, self.path, self.counts = starve, path, counts
        self.target = starved_paths.Target(starve.listen, starve.metrics, namespace)

    def honest(self):
        """With memory: exactly what is wanted."""
        self.path.run(self.target)

    def starving(self, plan):
        """True: an allocation has failed."""
        self.starve.order("fail " + plan)
        outcome = "answered"
        try:
            self.path.run(self.target)
        except Refused:
            outcome = "refused"
        except Lost:
            outcome = "disconnected"
        finally:
            failed = int(self.starve.order("stop"))
        if failed:
            self.counts["replays"] += 1
            self.counts[outcome] += 1
            self.counts["allocations_failed"] += failed
        elif outcome != "answered":
            raise AssertionError("%s although no allocation failed" % outcome)
        return failed > 0

    def all(self, mode, first, every):
        n = first
        while n < ALLOCATIONS_MAX:
            try:
                if not self.starving("%d%s" % (n, mode)):
                    return n
                self.honest()
            except AssertionError as error:
                raise AssertionError("allocation %d%s: %s" % (n, " and all later" if mode else "", error)) from error
            n += every
        raise AssertionError("more than %d allocations" % ALLOCATIONS_MAX)


def replay_all(starve, replay, options):
    """(allocations reached, blocks that are kept). Transactions that could not be ended are gone after their idle time."""
    before = starve.at_rest()
    first = 1 + options.seed % options.every
    reached = max(replay.all("", first, options.every), replay.all("+", first, options.every))
    until = time.monotonic() + SETTLE_S
    while True:
        kept = starve.at_rest() - before
        if kept <= KEPT_BLOCKS_MAX or time.monotonic() > until:
            return reached, kept
        replay.honest()


def one_path(starve, path, namespace, counts, options):
    """Caches grow, once; a leak grows again."""
    replay = Replay(starve, path, namespace, counts)
    for _ in range(3):
        replay.honest()
    reached, kept = replay_all(starve, replay, options)
    if kept > KEPT_BLOCKS_MAX:
        reached, kept = replay_all(starve, replay, options)
    print("starved: %-8s %-32s %4d allocations, %+d blocks" % (namespace, path.name, reached - 1, kept), file=sys.stderr, flush=True)
    if kept > KEPT_BLOCKS_MAX:
        raise AssertionError("%d blocks more are kept each time" % kept)


def chosen(options):
    for namespace in ("memory", "default"):
        for path in starved_paths.PATHS:
            if options.only in path.name and (path.data or namespace == "memory"):
                yield namespace, path


def warm(folder, counts, options):
    """Every path on one process."""
    starve = Starve(options.binary, folder)
    for namespace, path in chosen(options):
        counts["paths"] += 1
        try:
            one_path(starve, path, namespace, counts, options)
        except AssertionError as error:
            wrong(counts, "%s, %s: %s" % (namespace, path.name, error))
            if starve.process.poll() is not None:
                break
    end(starve, counts)


def wrong(counts, text):
    counts["wrong"] += 1
    print(text, file=sys.stderr, flush=True)


def end(starve, counts):
    code, said = starve.end()
    if code:
        wrong(counts, "exit code %d:\n%s" % (code, said))


def plans(options):
    for mode in ("", "+"):
        yield mode, iter(range(1 + options.seed % options.every, ALLOCATIONS_MAX, options.every * options.apart))


def cold(folder, counts, options):
    """Paths that begin with a process, and so with connections to SQLite that have prepared nothing."""
    for path in (p for p in starved_paths.PATHS if p.name in COLD and options.only in p.name):
        counts["cold_paths"] += 1
        for mode, numbers in plans(options):
            for n in numbers:
                starve = Starve(options.binary, folder)
                replay = Replay(starve, path, "default", counts)
                try:
                    failed = replay.starving("%d%s" % (n, mode))
                    replay.honest()
                except AssertionError as error:
                    failed = True
                    wrong(counts, "cold, %s, allocation %d%s: %s" % (path.name, n, mode, error))
                end(starve, counts)
                if not failed:
                    break
        print("starved: cold     %-32s %4d allocations" % (path.name, n - 1), file=sys.stderr, flush=True)


def start_once(folder, plan, counts, options):
    """True: an allocation has failed."""
    counts["starts"] += 1
    try:
        starve = Starve(options.binary, folder, plan)
    except NotReady as refused:
        code, said = refused.args
        if code != 1 or not said.strip():
            wrong(counts, "start, allocation %s: exit code %s: %s" % (plan, code, said))
        counts["starts_refused"] += 1
        return True
    failed = int(starve.order("stop"))
    try:
        Replay(starve, next(p for p in starved_paths.PATHS if p.name == "grpc_get"), "default", counts).honest()
    except AssertionError as error:
        wrong(counts, "started, allocation %s: %s" % (plan, error))
    end(starve, counts)
    return failed > 0


def starts(folder, counts, options):
    for mode, numbers in plans(options):
        for n in numbers:
            if not start_once(folder, "%d%s" % (n, mode), counts, options):
                break
        print("starved: start    %4d allocations" % (n - 1), file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--apart", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "proof", "starve"))
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join("%-28s %s" % (path.name, path.what) for path in starved_paths.PATHS))
        return 0
    counts = dict.fromkeys(("paths", "cold_paths", "replays", "allocations_failed", "answered", "refused", "disconnected", "starts",
                            "starts_refused", "wrong"), 0)
    with tempfile.TemporaryDirectory(prefix="prism-proof-") as folder:
        for part in (warm, cold, starts):
            part(folder, counts, options)
    ok = counts["wrong"] == 0 and counts["paths"] > 0
    print(json.dumps({"proof": "starved", "seed": options.seed, "ok": ok, "every": options.every, **counts}))
    return 0 if ok else 1


sys.exit(main())
