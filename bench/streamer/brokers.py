"""Brokers that the benchmark asks: what is started, how long until it answers, what it takes, what it says of itself. Data in a folder of
its own, removed with it; nothing outlives the process that started it."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
# pylint: disable=wrong-import-position
from report import BUILD, first_line
from servers.kafka import Kafka, free_ports
from servers.kafka import version as kafka_version

START_S = 60
KAFKA_SHAPES = ((2, 8, 8), (2, 2, 64), (2, 8, 64))


def wait_for_port(port, process):
    """Until somebody listens there."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args[0]} did not start") from None
            time.sleep(0.001)


class Broker:
    """with Ours() as b: b.port, b.pid, b.started_ms, b.memory_mib("VmRSS")"""
    name, protocol, title = "", "kafka", ""
    configs = {"memory": ()}  # durability: settings of a topic
    shapes = ((2, 2, 8),)  # connections, partitions, requests in flight on each: what is tried
    throughput_only = False

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"prism-bench-{self.name}."))
        self.process, self.started_ms, self.port = None, None, None

    def __enter__(self):
        begun = time.monotonic()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        self.started_ms = (time.monotonic() - begun) * 1000
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def launch(self, command, **options):
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stderr=log,
                                            **{"stdout": log, **options})

    @property
    def pid(self):
        return self.process.pid

    def memory_mib(self, field):
        return int(re.search(field + r":\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text()).group(1)) / 1024

    # Of each kind: start() sets process and port, and returns when requests are taken.


class Ours(Broker):
    name, title, workers = "memorystreamer", "MemoryStreamer", 1
    configs = {"memory": ("durability=memory",), "flush": ("durability=flush",)}
    shapes = KAFKA_SHAPES

    @staticmethod
    def is_there():
        return (BUILD / "memorystreamer").exists()

    @staticmethod
    def version():
        return first_line(BUILD / "memorystreamer", "--version")

    def start(self):
        self.launch([BUILD / "memorystreamer", "--data-dir", self.folder / "data", "--listen", "127.0.0.1:0", "--workers",
                     self.workers], stdout=subprocess.PIPE)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("memorystreamer did not start: " + (self.folder / "log").read_text()[-2000:])
        self.port = int(json.loads(line)["listen"].rsplit(":", 1)[1])


class OursOnTwo(Ours):
    name, title, workers = "memorystreamer-2", "MemoryStreamer, 2 workers", 2
    throughput_only = True


class ApacheKafka(Broker):
    name, title = "kafka", "Apache Kafka"
    configs = {"memory": (), "flush": ("flush.messages=1",)}
    shapes = KAFKA_SHAPES

    def __init__(self):
        super().__init__()
        # Topics that are deleted are gone at once, as with the others: their pages would go to the disk meanwhile.
        self.server = Kafka(folder=str(self.folder / "kafka"), settings={"log.segment.delete.delay.ms": 0})

    @staticmethod
    def is_there():
        return True

    @staticmethod
    def version():
        return f"Apache Kafka {kafka_version()}, heap 1 GiB"

    def start(self):
        self.server.start()
        self.process, self.port = self.server.process, self.server.port


class Redis(Broker):
    name, protocol, title = "redis", "redis", "Redis Streams"

    @staticmethod
    def is_there():
        return bool(shutil.which("redis-server"))

    @staticmethod
    def version():
        return "Redis " + re.search(r"v=(\S+)", first_line("redis-server", "--version")).group(1)

    def start(self):
        self.port = free_ports(1)[0]
        self.launch(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.folder])
        wait_for_port(self.port, self.process)


class Nats(Broker):
    name, protocol, title = "nats", "nats", "NATS JetStream"

    @staticmethod
    def is_there():
        return bool(shutil.which("nats-server"))

    @staticmethod
    def version():
        return first_line("nats-server", "--version")

    def start(self):
        self.port = free_ports(1)[0]
        self.launch(["nats-server", "-a", "127.0.0.1", "-p", self.port, "-js", "-sd", self.folder / "data"])
        wait_for_port(self.port, self.process)


class Rabbit(Broker):
    """The stream plug-in alone; Erlang's name server is a child of ours."""
    name, protocol, title = "rabbit", "rabbit", "RabbitMQ Streams"
    HOME = "/usr/lib/rabbitmq/bin"

    def __init__(self):
        super().__init__()
        self.names = None

    @classmethod
    def is_there(cls):
        return os.path.exists(cls.HOME)

    @staticmethod
    def version():
        return "RabbitMQ " + subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"], capture_output=True, text=True,
                                            check=True).stdout

    def start(self):
        self.port, classic, names, distribution = free_ports(4)
        (self.folder / "plugins").write_text("[rabbitmq_stream].\n")
        (self.folder / "rabbitmq.conf").write_text(f"stream.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                                                   f"listeners.tcp.1 = 127.0.0.1:{classic}\nlog.console.level = error\n")
        environment = dict(os.environ, ERL_EPMD_PORT=str(names), ERL_EPMD_ADDRESS="127.0.0.1", HOME=str(self.folder),
                           RABBITMQ_NODENAME=f"bench{os.getpid()}@localhost", RABBITMQ_DIST_PORT=str(distribution),
                           RABBITMQ_MNESIA_BASE=str(self.folder / "data"), RABBITMQ_LOG_BASE=str(self.folder / "logs"),
                           RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "plugins"),
                           RABBITMQ_CONFIG_FILE=str(self.folder / "rabbitmq.conf"))
        self.names = subprocess.Popen(["epmd", "-port", str(names), "-address", "127.0.0.1"], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
        self.launch([self.HOME + "/rabbitmq-server"], env=environment)
        wait_for_port(self.port, self.process)

    @property
    def pid(self):
        """The machine of Erlang: what the script became, or a child of it."""
        for pid in [self.process.pid] + self.children(self.process.pid):
            if Path(f"/proc/{pid}/comm").read_text().startswith("beam"):
                return pid
        raise RuntimeError("no Erlang machine")

    def children(self, pid):
        found = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return found + [p for child in found for p in self.children(child)]

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            os.kill(self.pid, 15)
        super().__exit__()
        if self.names:
            self.names.terminate()
            self.names.wait()


BROKERS = (Ours, OursOnTwo, ApacheKafka, Redis, Nats, Rabbit)
