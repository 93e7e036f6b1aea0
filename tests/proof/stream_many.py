#!/usr/bin/python3
"""Very many partitions: 10,000 topics of one partition, then one topic of 10,000 partitions, each on a broker of its own.

usage: tests/proof/stream_many.py [--count N] [--server memorystreamer|kafka]

Of each: how long creation takes, resident memory and open files once they are there and once each was written to, and how long a
start takes after kill -9; every partition must still have what was acknowledged. Bounds: an idle partition costs under 64 KiB, open
files do not grow with the partitions. The last line is a JSON object; times are told, not judged."""
import argparse
import json
import os
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.dont_write_bytecode = True

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402

from servers.kafka import Kafka  # noqa: E402
from servers.memorystreamer import MemoryStreamer  # noqa: E402

SERVERS = {"memorystreamer": MemoryStreamer, "kafka": lambda: Kafka(heap="2g")}
PATIENCE_S, AT_ONCE = 300, 500
IDLE_KIB_MAX, FILES_MAX = 64, 4096
QUIET = {"log_level": 2, "socket.timeout.ms": PATIENCE_S * 1000}


def resident_kib(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def open_files(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Watch:
    """with Watch() as w: …; w.s"""

    def __enter__(self):
        self.begun = time.monotonic()
        return self

    def __exit__(self, *_):
        self.s = round(time.monotonic() - self.begun, 2)


def create(address, topics):
    admin = AdminClient({**QUIET, "bootstrap.servers": address})
    for at in range(0, len(topics), AT_ONCE):
        made = admin.create_topics(topics[at:at + AT_ONCE], operation_timeout=PATIENCE_S, request_timeout=PATIENCE_S)
        for future in made.values():
            future.result(PATIENCE_S)
        progress("created", min(at + AT_ONCE, len(topics)), len(topics))


def progress(what, done, of):
    if sys.stderr.isatty():
        print("\r%s %d of %d " % (what, done, of), end="\n" if done == of else "", file=sys.stderr)


def write(address, places):
    """One value to each. Answers which were acknowledged."""
    acknowledged = set()

    def told(error, message):
        if error is None:
            acknowledged.add((message.topic(), message.partition()))

    producer = Producer({**QUIET, "bootstrap.servers": address, "message.timeout.ms": PATIENCE_S * 1000,
                         "queue.buffering.max.messages": len(places) + 1, "linger.ms": 0})
    for topic, partition in places:
        producer.produce(topic, ("%s/%d" % (topic, partition)).encode(), partition=partition, on_delivery=told)
        producer.poll(0)
    producer.flush(PATIENCE_S)
    return acknowledged


def read(address, places):
    """The first value of each. Answers those whose value is the right one."""
    right = set()
    consumer = Consumer({**QUIET, "bootstrap.servers": address, "group.id": "many", "enable.auto.commit": False,
                         "fetch.wait.max.ms": 10})
    for at in range(0, len(places), AT_ONCE):
        some = places[at:at + AT_ONCE]
        consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in some])
        until, wanted = time.monotonic() + PATIENCE_S, set(some)
        while not wanted <= right and time.monotonic() < until:
            for message in consumer.consume(AT_ONCE, timeout=1):
                place = (message.topic(), message.partition())
                if message.error() is None and message.value() == ("%s/%d" % place).encode():
                    right.add(place)
        progress("read", min(at + AT_ONCE, len(places)), len(places))
    consumer.close()
    return right


def measure(server, topics, places):
    pid = server.process.pid
    before = resident_kib(pid)
    with Watch() as creation:
        create(server.address, topics)
    idle, files = resident_kib(pid), open_files(pid)
    with Watch() as writing:
        acknowledged = write(server.address, places)
    written, files_written = resident_kib(pid), open_files(pid)
    server.stop(signal.SIGKILL)
    with Watch() as start:
        server.start()
    right = read(server.address, places)
    return {"creation_s": creation.s, "idle_kib_each": round((idle - before) / len(places), 2), "open_files_idle": files,
            "writing_s": writing.s, "written_kib_each": round((written - before) / len(places), 2),
            "open_files_written": files_written, "start_after_kill_s": start.s,
            "resident_after_start_kib": resident_kib(server.process.pid), "acknowledged": len(acknowledged),
            "lost": len(acknowledged - right), "partitions": len(places)}


def bounded(result):
    return (result["idle_kib_each"] < IDLE_KIB_MAX and max(result["open_files_idle"], result["open_files_written"]) < FILES_MAX
            and result["lost"] == 0 and result["acknowledged"] == result["partitions"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--server", choices=SERVERS, default="memorystreamer")
    options = parser.parse_args()
    n, result = options.count, {"ok": True}
    kinds = {"topics": ([NewTopic("many-%d" % i, 1, 1) for i in range(n)], [("many-%d" % i, 0) for i in range(n)]),
             "one_topic": ([NewTopic("wide", n, 1)], [("wide", i) for i in range(n)])}
    for kind, (topics, places) in kinds.items():
        with SERVERS[options.server]() as server:
            try:
                found = measure(server, topics, places)
            except KafkaException as error:
                raise AssertionError("%s: %s: %s" % (kind, error, server.log_text())) from error
        result["ok"] = result["ok"] and bounded(found)
        result.update({"%s_%s" % (kind, key): value for key, value in found.items()})
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
