#!/usr/bin/python3
"""Histories over a gateway whose namespace lies on a real server of its own.

usage: tests/proof/remote.py history|transactions postgres|redis [SETTING OF THAT PROGRAM]...

The program is build/proof/history or build/proof/transactions; standard output is its own. What backends that fail, hang or are
killed may do is in tests/fault."""
import argparse
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "e2e")]
sys.dont_write_bytecode = True

from harness.proxy import Proxy  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.redis import Standalone  # noqa: E402


class OnPostgres:
    """Expiry is judged as of when a statement is sent: one that waits for a row may still see what has expired meanwhile."""
    config = "{type: postgres, connection: \"%s\"}"
    settings = {"history": ["--expiry", "0"]}

    def __init__(self):
        self.server = Postgres().start()

    def connection(self):
        return self.server.url()

    def stop(self):
        self.server.remove()


class OnRedis:
    config = "{type: redis, connection: \"%s\"}"
    settings = {}

    def __init__(self):
        self.server = Standalone(append_only=True)

    def connection(self):
        return "redis://%s/0" % self.server.addresses()[0]

    def stop(self):
        self.server.stop()


SERVERS = {"postgres": OnPostgres, "redis": OnRedis}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", choices=("history", "transactions"))
    parser.add_argument("server", choices=sorted(SERVERS))
    options, settings = parser.parse_known_args()
    server = SERVERS[options.server]()
    try:
        config = "backends:\n  there: %s\nnamespaces:\n- {name: %s, backend: there}\n" % (
            server.config % server.connection(), options.server)
        with Proxy(config=config) as proxy:
            command = ["build/proof/" + options.program, "--address", proxy.listen, "--namespace", options.server]
            command += server.settings.get(options.program, []) + settings
            return subprocess.run(command, cwd=ROOT, check=False).returncode
    finally:
        server.stop()


sys.exit(main())
