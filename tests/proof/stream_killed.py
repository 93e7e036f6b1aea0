#!/usr/bin/python3
"""kill -9 of the broker under idempotent producers and a group that commits, again and again on the same data.

usage: tests/proof/stream_killed.py [--rounds N] [--seed S] [--keep FILE] [--server memorystreamer|kafka]

Producers (librdkafka, enable.idempotence) write to the partitions of one topic through all rounds; two members of a group read and
commit as they go. In each round the broker is killed once so many writes were acknowledged in it, and started again on the same
folder. At the end all partitions are read from their start. What everybody was told goes to a history, which stream_verdict judges:
nothing acknowledged is lost, nothing is there twice, offsets agree, no position that a group committed goes back.

--server kafka: the same with Apache Kafka, to see that the test itself is right. The last line is a JSON object."""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.dont_write_bytecode = True

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

from servers.kafka import Kafka  # noqa: E402
from servers.memorystreamer import MemoryStreamer  # noqa: E402

SERVERS = {"memorystreamer": MemoryStreamer, "kafka": lambda: Kafka(heap="512m")}

TOPIC, PARTITIONS, PRODUCERS, MEMBERS = "killed", 4, 3, 2
READER, GROUP = 90, 100  # processes of the history; producers are 1, 2, …, members 50, 51, …
PATIENCE_S = 60
IN_FLIGHT = 1000  # of one producer
QUIET = {"log_level": 2}  # lost connections are what this is about


def payload(value):
    """Bytes that follow from the value: a torn or mixed one shows."""
    head = b"%d|" % value
    seed = zlib.crc32(head)
    return head + bytes([97 + seed % 26]) * (seed % 300) + b"|%08x" % seed


def value_of(data):
    value = int(data.split(b"|")[0])
    if data != payload(value):
        raise AssertionError("torn or mixed: %r…" % data[:60])
    return value


class History:
    """Events in the order in which they are told. What is about to be asked is written before it is asked."""

    def __init__(self, path):
        self.out = open(path, "w", encoding="ascii")  # pylint: disable=consider-using-with
        self.lock = threading.Lock()

    def tell(self, kind, process, partition, value=0, offset=0):
        with self.lock:
            self.out.write("%s %d %d %d %d\n" % (kind, process, partition, value, offset))

    def close(self):
        self.out.close()


class Sender(threading.Thread):
    """One idempotent producer, alive through all rounds."""

    def __init__(self, world, number):
        super().__init__(daemon=True)
        self.world, self.number = world, number
        self.random = random.Random("%d sender %d" % (world.seed, number))
        self.open, self.unexpected = 0, None
        self.producer = Producer({**QUIET, "bootstrap.servers": world.address, "enable.idempotence": True, "linger.ms": 1,
                                  "message.timeout.ms": PATIENCE_S * 1000, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 20,
                                  "retry.backoff.ms": 5, "socket.keepalive.enable": True,
                                  "compression.type": self.random.choice(["none", "lz4", "zstd", "gzip", "snappy"])})

    def told(self, value, partition, error, message):
        self.open -= 1
        if error is None:
            self.world.history.tell("acked", self.number, partition, value, message.offset())
            self.world.did("acknowledged")
        elif error.code() == KafkaError._MSG_TIMED_OUT:  # pylint: disable=protected-access
            self.unexpected = "no answer for %d s" % PATIENCE_S  # it may have happened
        else:
            self.unexpected = str(error)

    def send(self, value):
        partition = self.random.randrange(PARTITIONS)
        self.world.history.tell("send", self.number, partition, value)
        self.open += 1
        self.producer.produce(TOPIC, payload(value), partition=partition,
                              on_delivery=lambda error, message: self.told(value, partition, error, message))

    def run(self):
        try:
            value = self.number << 40
            while not self.world.ending.is_set() and not self.unexpected:
                while self.open < IN_FLIGHT and not self.world.ahead():
                    value += 1
                    self.send(value)
                self.producer.poll(0.01)
            if self.producer.flush(PATIENCE_S):
                self.unexpected = self.unexpected or "%d sends without an answer at the end" % self.open
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected = repr(error)
        if self.unexpected:
            self.world.enough.set()


class Group(threading.Thread):
    """All members of the group, asked in turn: so what they are told has one order."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.unexpected, self.commits_failed, self.committed = world, None, 0, {}
        self.members = [self.member(50 + i) for i in range(MEMBERS)]

    def member(self, process):
        consumer = Consumer({**QUIET, "bootstrap.servers": self.world.address, "group.id": "readers", "enable.auto.commit": False,
                             "auto.offset.reset": "earliest", "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 20,
                             "session.timeout.ms": 10000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50,
                             "fetch.error.backoff.ms": 10})
        consumer.subscribe([TOPIC], on_assign=lambda c, partitions: self.assigned(process, c, partitions))
        return process, consumer

    def assigned(self, process, consumer, partitions):
        for p in partitions:
            self.world.history.tell("assigned", process, p.partition)
        try:
            for p in consumer.committed(partitions, timeout=5):
                if p.error is None:
                    self.world.history.tell("resumed", GROUP, p.partition, 0, p.offset if p.offset >= 0 else -1)
        except KafkaException:
            pass  # the broker is down; it asks again by itself
        consumer.assign(partitions)

    def commit(self, consumer, positions):
        asked = [TopicPartition(TOPIC, partition, offset) for partition, offset in positions.items()]
        for p in asked:
            self.world.history.tell("commit", GROUP, p.partition, 0, p.offset)
        try:
            for p in consumer.commit(offsets=asked, asynchronous=False):
                if p.error is None:
                    self.world.history.tell("committed", GROUP, p.partition, 0, p.offset)
                    self.committed[p.partition] = p.offset
                    self.world.did("commits")
                else:
                    self.commits_failed += 1
        except KafkaException:
            self.commits_failed += 1

    def turn(self, process, consumer):
        positions = {}
        for message in consumer.consume(500, timeout=0.02):
            if message.error() is None:
                self.world.history.tell("polled", process, message.partition(), value_of(message.value()), message.offset())
                positions[message.partition()] = message.offset() + 1
        if positions and not self.world.down.is_set():
            self.commit(consumer, positions)

    def through(self):
        """At the end it reads and commits all that there is."""
        return self.world.ends is not None and all(self.committed.get(p, 0) >= end for p, end in self.world.ends.items())

    def run(self):
        try:
            while not self.through():
                for process, consumer in self.members:
                    self.turn(process, consumer)
            for _, consumer in self.members:
                consumer.close()
        except Exception as error:  # pylint: disable=broad-except
            self.unexpected = repr(error)
            self.world.enough.set()


class World:
    def __init__(self, options, path):
        self.seed, self.rounds, self.random = options.seed, options.rounds, random.Random(options.seed)
        self.history = History(path)
        self.ending, self.enough, self.down = threading.Event(), threading.Event(), threading.Event()
        self.done, self.wanted = {"acknowledged": 0, "commits": 0}, {}
        self.lock, self.kills, self.ends, self.ended = threading.Lock(), 0, None, None
        self.broker = SERVERS[options.server]().start()
        self.address = self.broker.address

    def did(self, what):
        with self.lock:
            self.done[what] += 1
            if all(self.done[k] >= n for k, n in self.wanted.items()):
                self.enough.set()

    def ahead(self):
        """Enough is acknowledged; the round waits for commits."""
        return self.done["acknowledged"] > self.wanted.get("acknowledged", 0) + IN_FLIGHT

    def create_topic(self):
        admin = AdminClient({"bootstrap.servers": self.address})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(PATIENCE_S)

    def round(self):
        """Waits until so much more is acknowledged and committed, then kills with everything in flight."""
        with self.lock:
            self.enough.clear()
            self.wanted = {"acknowledged": self.done["acknowledged"] + self.random.randint(1, 3000),
                           "commits": self.done["commits"] + self.random.choice([0, 0, 1, 5])}
        if not self.enough.wait(PATIENCE_S):
            raise AssertionError("no progress for %d s: done %s, wanted %s" % (PATIENCE_S, self.done, self.wanted))
        self.down.set()
        self.broker.stop(signal.SIGKILL)
        self.kills += 1
        self.broker.start()
        self.down.clear()

    def reader(self):
        return Consumer({**QUIET, "bootstrap.servers": self.address, "group.id": "nobody", "enable.auto.commit": False})

    def await_group(self):
        """Senders have ended: what there is, the group is to read and commit."""
        reader = self.reader()
        self.ends = {p: high for p, (_, high) in self.bounds(reader).items()}
        reader.close()

    def bounds(self, reader):
        return {p: self.bounds_of(reader, p) for p in range(PARTITIONS)}

    @staticmethod
    def bounds_of(reader, partition):
        """A broker that has just started may say at first that it does not lead the partition."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return reader.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=PATIENCE_S)
            except KafkaException as error:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def read_all(self):
        """What is there at the end, from the first offset of each partition to the end that the broker tells."""
        reader = self.reader()
        for partition, (low, high) in self.bounds(reader).items():
            self.history.tell("assigned", READER, partition)
            reader.assign([TopicPartition(TOPIC, partition, low)])
            self.read_partition(reader, partition, low, high)
            self.history.tell("bounds", 0, partition, low, high)
        reader.close()

    def read_partition(self, reader, partition, low, high):
        at, until = low, time.monotonic() + PATIENCE_S
        while at < high:
            if time.monotonic() > until:
                raise AssertionError("partition %d ends at %d, and is read up to %d" % (partition, high, at))
            for message in reader.consume(5000, timeout=1):
                if message.error() is None:
                    at = message.offset() + 1
                    self.history.tell("polled", READER, partition, value_of(message.value()), message.offset())


def end(threads):
    for t in threads:
        t.join(2 * PATIENCE_S)
    failed = [t.unexpected for t in threads if t.unexpected] + ["%s does not end" % t for t in threads if t.is_alive()]
    if failed:
        raise AssertionError("; ".join(failed))


def run(options, path):
    world = World(options, path)
    world.create_topic()
    senders, group = [Sender(world, i + 1) for i in range(PRODUCERS)], Group(world)
    threads = senders + [group]
    for t in threads:
        t.start()
    for number in range(options.rounds):
        world.round()
        failed = [t.unexpected for t in threads if t.unexpected]
        if failed:
            raise AssertionError("; ".join(failed))
        if sys.stderr.isatty():
            print("\rround %d of %d, done: %s " % (number + 1, options.rounds, world.done), end="", file=sys.stderr)
    world.ending.set()
    end(senders)
    world.await_group()
    end([group])
    world.read_all()
    world.history.close()
    world.ended = world.broker.stop()
    return world


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--keep", metavar="FILE", help="keep the history here")
    parser.add_argument("--server", choices=SERVERS, default="memorystreamer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prism-killed-") as folder:
        path = options.keep or os.path.join(folder, "history")
        world = run(options, path)
        verdict = subprocess.run([os.path.join(ROOT, "build", "proof", "stream_verdict"), path], stdout=subprocess.PIPE, check=False)
    result = json.loads(verdict.stdout) if verdict.returncode in (0, 1) else {"ok": False}
    result.update(rounds=options.rounds, kills=world.kills, exit_code=world.ended, seed=options.seed)
    print(json.dumps(result))
    return verdict.returncode


if __name__ == "__main__":
    sys.exit(main())
