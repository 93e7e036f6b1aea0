"""A prism-proxy of the test's own: free ports, data and configuration in a folder that is removed afterwards."""
import atexit
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from .stubs import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))
from servers import postgres, redis  # noqa: E402

DRIVERS = ["memory", "sqlite", "postgres", "redis", "redis-cluster"]
START_S = 30
# Where a suite cannot be promised by the driver's usual namespaces, those that it runs on instead.
INSTEAD = {("redis-cluster", suite): "redis-slot"
           for suite in ("keyvalue_transactional", "set_operations", "sortedset_operations")}

# One set of namespaces a driver. What they differ in is what the suites test.
NAMESPACES = """
  - {name: %(d)s, backend: %(d)s, description: "as it comes"}
  - {name: %(d)s-other, backend: %(d)s}
  - {name: %(d)s-ttl, backend: %(d)s, ttl: {default: 1h}}
  - {name: %(d)s-finite, backend: %(d)s, ttl: {default: 10m, max: 1h, allow_infinite: false}}
  - {name: %(d)s-small, backend: %(d)s, limits: {message_bytes: 64KiB, transactions: 3}}
  - {name: %(d)s-big, backend: %(d)s, limits: {message_bytes: 16MiB}}
"""


class Servers:
    """Servers of the drivers that need one, started when the first proxy wants them, and shared by all: each proxy has names of its
    own there (key_prefix, schema)."""

    def __init__(self):
        self.redis = self.cluster = self.postgres = None
        self.proxies = 0

    def backends(self):
        """The section of the configuration, for one more proxy."""
        if self.redis is None:
            self.redis = redis.Standalone(password="secret", append_only=True)
            self.cluster = redis.Cluster(append_only=True)
            self.postgres = postgres.Postgres().start()
        self.proxies += 1
        options = {"prefix": "test-%d" % self.proxies, "redis": self.redis.addresses()[0], "postgres": self.postgres.url(),
                   "cluster": ",".join(self.cluster.addresses())}
        return """backends:
  postgres: {type: postgres, connection: "%(postgres)s", postgres: {schema: %(prefix)s}}
  redis: {type: redis, connection: "redis://:secret@%(redis)s", redis: {key_prefix: %(prefix)s}}
  redis-cluster: {type: redis, connection: "redis://%(cluster)s", redis: {mode: cluster, key_prefix: %(prefix)s}}
  redis-slot: {type: redis, connection: "redis://%(cluster)s", redis: {mode: cluster, buckets: 1, key_prefix: %(prefix)s}}
""" % options

    def stop(self):
        for group in (self.redis, self.cluster):
            if group is not None:
                group.stop()
        if self.postgres is not None:
            self.postgres.remove()


SERVERS = Servers()
atexit.register(SERVERS.stop)


def binary():
    return os.environ.get("PRISM_PROXY", os.path.join(ROOT, "build", "prism-proxy"))


class Proxy:
    """start() … stop(); restart() keeps data and configuration, and takes the same ports again."""

    def __init__(self, extra_config=""):
        self.folder = tempfile.mkdtemp(prefix="prism-acceptance.")
        self.listen = self.metrics = "127.0.0.1:0"
        self.process = None
        self.config = os.path.join(self.folder, "prism.yaml")
        with open(self.config, "w") as out:
            out.write(extra_config + SERVERS.backends() + "namespaces:\n" + "".join(NAMESPACES % {"d": d} for d in DRIVERS + sorted(set(INSTEAD.values()))))

    def start(self):
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen(
            [binary(), "--config", self.config, "--data-dir", os.path.join(self.folder, "data"), "--listen", self.listen,
             "--metrics-listen", self.metrics], stdout=subprocess.PIPE, stderr=self.log)
        ready = self._ready_line()
        self.listen, self.metrics = ready["listen"], ready["metrics"]
        return self

    def _ready_line(self):
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            if select.select([self.process.stdout], [], [], 0.2)[0]:
                line = self.process.stdout.readline()
                if line.startswith(b"{") and json.loads(line).get("event") == "ready":
                    return json.loads(line)
            if self.process.poll() is not None:
                break
        raise RuntimeError("%s did not become ready (exit %s): %s" % (binary(), self.process.poll(), self.log_text()))

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return log.read()[-4000:]

    def stat(self, namespace, name):
        """A figure of a namespace's backend, from the metrics page."""
        page = urllib.request.urlopen("http://%s/metrics" % self.metrics, timeout=30).read().decode()
        found = re.search(r'^prism_backend_stat\{namespace="%s",.*stat="%s"\} (\d+)$' % (namespace, name), page, re.MULTILINE)
        if not found:
            raise AssertionError("the metrics page has no stat %s of %s" % (name, namespace))
        return int(found.group(1))

    def stop(self, with_signal=signal.SIGTERM):
        """Ends it and answers its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        self.process = None
        return code

    def restart(self, with_signal=signal.SIGTERM):
        self.stop(with_signal)
        return self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
