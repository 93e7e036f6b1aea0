"""What the cases stand on: the broker's address, a name that nobody has, records, and waiting for what will be."""
import base64
import itertools
import random
import struct
import time

from wire import Wire, text

WAIT_S = 30
NUMBERS = itertools.count()
RUN = "%x" % int(time.time())
FIND_COORDINATOR, HEARTBEAT, CREATE_TOPICS, UNKNOWN_MEMBER = 10, 12, 19, 25


def pack(data):
    return None if data is None else base64.b64encode(data).decode()


def unpack(text):
    return None if text is None else base64.b64decode(text)


def record(value, key=None, headers=(), timestamp=None, partition=0):
    made = {"key": pack(key), "value": pack(value), "partition": partition, "headers": [[name, pack(v)] for name, v in headers]}
    return dict(made, timestamp=timestamp) if timestamp is not None else made


def numbered(count, word="", partition=0, size=100):
    """Records whose values tell which they are; they compress well."""
    return [record(("%s/%06d/" % (word, i)).encode().ljust(size, b"."), partition=partition) for i in range(count)]


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def await_that(what, condition, timeout=WAIT_S):
    """Asks again and again; answers what the condition answered at last."""
    until = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, "not within %d s: %s" % (timeout, what)
        time.sleep(0.02)


class World:
    """One broker; a case gets it with a client."""

    def __init__(self, address):
        self.address = address
        with self.wire() as wire:
            self.versions = wire.api_versions()
            if FIND_COORDINATOR in self.versions:
                await_that("the group coordinator is there", lambda: self.has_coordinator(wire))

    @staticmethod
    def has_coordinator(wire):
        """Kafka makes it when it is first asked for."""
        wire.ask(FIND_COORDINATOR, 0, text("nobody"))
        answer = wire.ask(HEARTBEAT, 1, text("nobody") + struct.pack(">i", 0) + text("nobody"))
        return answer.take("ih")[1] == UNKNOWN_MEMBER

    def wire(self, **options):
        return Wire(self.address, **options)

    @staticmethod
    def name(word):
        """Of a topic or group, unique in this run."""
        return "%s-%s-%d" % (word, RUN, next(NUMBERS))

    def topic(self, client, word, partitions=1, config=None):
        """A new topic, made by hand: what a client's own call does is a case of its own."""
        name = self.name("%s.%s" % (client.name.replace(" ", "_"), word))
        self.create(name, partitions, config or {})
        return name

    def create(self, name, partitions, config):
        body = struct.pack(">i", 1) + text(name) + struct.pack(">ihi", partitions, 1, 0)
        body += struct.pack(">i", len(config)) + b"".join(text(k) + text(v) for k, v in config.items()) + struct.pack(">i", 20000)
        with self.wire() as wire:
            answer = wire.ask(CREATE_TOPICS, 2, body + b"\x00")
            answer.take("ii")
            answer.text()
            error = answer.take("h")
            assert error == 0, "CreateTopics: error %d %s" % (error, answer.text())
            self.await_partitions(wire, name, partitions)

    @staticmethod
    def await_partitions(wire, topic, count):
        """Kafka's answer comes before all its parts know of the topic."""
        for partition in range(count):
            await_that("%s/%d has a leader" % (topic, partition), lambda p=partition: wire.list_offset(topic, p, -1)[0] == 0)


class Group:
    """Members of one group, by one client, and what they have read."""

    def __init__(self, client, world, topics, **options):
        self.client, self.topics, self.options = client, topics, options
        self.group = world.name("group")
        self.read, self.assigned = {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in list(self.assigned):
            self.leave(member)

    def join(self, member, **options):
        self.client.call("join", member=self.name(member), group=self.group, topics=self.topics, **dict(self.options, **options))
        self.read.setdefault(member, [])
        self.assigned[member] = []

    def name(self, member):
        return "%s/%s" % (self.group, member)

    def leave(self, member):
        """What came since the last look is looked at first. Answers whether it told the group, which a static member need not."""
        self.look(member)
        del self.assigned[member]
        return self.client.call("leave", member=self.name(member)).get("left", False)

    def look(self, *members):
        for member in members or list(self.assigned):
            found = self.client.call("poll", member=self.name(member))
            self.read[member] += [(partition, offset, unpack(value)) for partition, offset, value in found["records"]]
            self.assigned[member] = sorted(tuple(a) for a in found["assignment"])

    def await_share(self, *counts):
        """Until the members have so many partitions, in the order in which they joined."""
        def shared():
            self.look()
            return sorted(len(a) for a in self.assigned.values()) == sorted(counts)
        await_that("members have %s partitions" % (counts,), shared)
        everything = [a for assigned in self.assigned.values() for a in assigned]
        assert len(set(everything)) == len(everything), "a partition has two owners: %s" % self.assigned

    def await_read(self, count):
        def enough():
            self.look()
            return len(self.everything()) >= count
        await_that("%d records read" % count, enough)

    def everything(self):
        return [r for read in self.read.values() for r in read]

    def values(self):
        return sorted(value for _, _, value in self.everything())
