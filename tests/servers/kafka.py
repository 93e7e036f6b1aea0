#!/usr/bin/python3
"""A real Apache Kafka for tests and benchmarks: one node (KRaft), its jars fetched by Maven, Debian's Java, data in a folder that is
removed afterwards, a free port of 127.0.0.1.

    with Kafka() as server:                   started; stopped and removed at the end
        server.address                        "127.0.0.1:PORT"
        server.process.pid                    the broker; it has no children
        server.pause(), server.resume()       SIGSTOP, SIGCONT
        server.stop(signal.SIGKILL)           the data stays
        server.start()                        the same data, the same port; answers after the broker takes requests
        server.started_s                      how long the last start took, from exec on

    Kafka(heap="1g")                          of the Java machine (1g: what Kafka's own start script gives it)
    Kafka(settings={"num.partitions": 4})     lines of server.properties beyond what one node needs
    Kafka(folder=PATH, port=N, keep=True)     data there, not removed

On the command line, until SIGTERM, SIGINT or the end of standard input:

    tests/servers/kafka.py [--port N] [--heap SIZE] [--folder PATH] [--set NAME=VALUE]…
    {"event": "ready", "address": "127.0.0.1:PORT", "version": "4.3.1", "pid": 4711, "folder": "/tmp/…", "started_s": 2.1}"""
import argparse
import atexit
import base64
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

if __package__:
    from . import maven
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import maven

POM = "tests/servers/kafka-server.pom.xml"
START_S = 60
# As bin/kafka-run-class.sh of the release.
JAVA = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
        "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", "-Dorg.apache.logging.log4j.level=WARN"]
# What a node alone needs (internal topics are replicated thrice else), and a first member of a group is not kept waiting for others.
SETTINGS = {"process.roles": "broker,controller", "node.id": 0, "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "offsets.topic.replication.factor": 1, "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1, "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1, "group.initial.rebalance.delay.ms": 0}


def java():
    """The newest Java of Debian; JAVA_HOME and PATH do not matter."""
    found = glob.glob("/usr/lib/jvm/java-*-openjdk-*/bin/java")
    if not found:
        raise RuntimeError("Java is not installed: run tooling/setup")
    return max(found, key=lambda path: int(re.search(r"java-(\d+)", path).group(1)))


def version():
    with open(os.path.join(maven.ROOT, POM), encoding="utf-8") as pom:
        return re.search(r"kafka_2.13</artifactId>\s*<version>(.*?)<", pom.read()).group(1)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def brokers_known(port):
    """How many brokers the metadata of this one names (Metadata v1 of no topic); 0 where it does not answer."""
    request = struct.pack(">hhih4si", 3, 1, 1, 4, b"wait", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            s.sendall(struct.pack(">i", len(request)) + request)
            answer = s.recv(12, socket.MSG_WAITALL)
            return struct.unpack(">iii", answer)[2] if len(answer) == 12 else 0
    except OSError:
        return 0


class Kafka:
    def __init__(self, heap="1g", settings=None, port=None, folder=None, keep=False):
        self.classpath = os.path.join(maven.jars(POM), "*")
        self.heap, self.keep, self.process, self.started_s = heap, keep, None, None
        own, controller = free_ports(2)
        self.port = port or own
        self.address = "127.0.0.1:%d" % self.port
        self.folder = folder or tempfile.mkdtemp(prefix="prism-kafka.")
        os.makedirs(self.folder, exist_ok=True)
        atexit.register(self.remove)
        self._write_settings(controller, settings or {})
        if not os.path.exists(os.path.join(self.folder, "data", "meta.properties")):
            self._format()

    def _write_settings(self, controller, settings):
        lines = dict(SETTINGS, **{"log.dirs": os.path.join(self.folder, "data"),
                                  "listeners": "PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d" % (self.address, controller),
                                  "controller.quorum.voters": "0@127.0.0.1:%d" % controller})
        lines.update(settings)
        with open(os.path.join(self.folder, "server.properties"), "w", encoding="utf-8") as out:
            out.writelines("%s=%s\n" % pair for pair in lines.items())

    def _java(self, *arguments):
        return [java(), "-Xms" + self.heap, "-Xmx" + self.heap, *JAVA, "-cp", self.classpath, *arguments]

    def _format(self):
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", os.path.join(self.folder, "server.properties"))
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
        if done.returncode != 0:
            raise RuntimeError("kafka.tools.StorageTool: %s%s" % (done.stdout, done.stderr))

    # --- life ---

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    def start(self):
        assert self.process is None, "it runs already"
        begun = time.monotonic()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self._java("kafka.Kafka", os.path.join(self.folder, "server.properties")),
                                            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        while brokers_known(self.port) == 0:
            if self.process.poll() is not None or time.monotonic() > begun + START_S:
                raise RuntimeError("Kafka did not start (exit %s): %s" % (self.process.poll(), self.log_text()))
            time.sleep(0.01)
        self.started_s = time.monotonic() - begun
        return self

    def stop(self, with_signal=signal.SIGTERM):
        """Ends it; answers the exit code. The data stays."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(timeout=60)
        self.process = None
        return code

    def remove(self):
        self.stop(signal.SIGTERM if self.keep else signal.SIGKILL)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace", encoding="utf-8") as log:
            return log.read()[-4000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument("--heap", default="1g", help="of the Java machine")
    parser.add_argument("--folder", help="data there, and it stays")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a line of server.properties")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with Kafka(options.heap, dict(s.split("=", 1) for s in options.set), options.port, options.folder, bool(options.folder)) as server:
        print(json.dumps({"event": "ready", "address": server.address, "version": version(), "pid": server.process.pid,
                          "folder": server.folder, "started_s": round(server.started_s, 2)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
