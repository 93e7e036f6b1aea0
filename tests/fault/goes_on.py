#!/usr/bin/python3
"""usage: tests/fault/goes_on.py ADDRESS NAMESPACE

A client program that knows nothing of backends: it writes and reads back, and repeats calls that end with UNAVAILABLE, as every gRPC client
may. On SIGTERM it reads everything that it ever wrote and prints one line of JSON: {"writes": …, "reads": …, "repeated": …,
"wrong": [what was not as it was written]}."""
import json
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
sys.dont_write_bytecode = True

import grpc  # noqa: E402
from harness.api import KV, Client  # noqa: E402

PATIENCE_S = 60


class Program:
    def __init__(self, address, namespace):
        self.call, self.namespace = Client(address), namespace
        self.written, self.ending = {}, threading.Event()
        self.counts = {"writes": 0, "reads": 0, "repeated": 0, "wrong": []}

    def patiently(self, path, **fields):
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.call(path, self.namespace, timeout=10, **fields)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                    raise
                self.counts["repeated"] += 1
                self.ending.wait(0.02)

    def write(self, key, value):
        self.patiently(KV + "Set", key=key, value=value)
        self.written[key] = value
        self.counts["writes"] += 1

    def check(self, key):
        found = self.patiently(KV + "Get", key=key)
        self.counts["reads"] += 1
        if not found.found or found.value != self.written[key]:
            self.counts["wrong"].append([key.decode(), found.value.decode(), self.written[key].decode()])

    def run(self):
        n = 0
        while not self.ending.is_set():
            self.write(b"client/%06d" % n, b"value %d" % n)
            self.write(b"client/latest", b"%d" % n)
            self.check(b"client/latest")
            self.check(b"client/%06d" % (n // 2))
            n += 1
        for key in self.written:
            self.check(key)
        print(json.dumps(self.counts), flush=True)


def main():
    program = Program(sys.argv[1], sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: program.ending.set())
    print(json.dumps({"event": "ready"}), flush=True)
    program.run()
    return 1 if program.counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
