"""Producing and consuming: codecs, places to begin at, what a record may hold."""
import time

from client import Refused, Unsupported
from features import feature
from wire import CODECS, batch
from world import await_that, noise, numbered, record, unpack

COUNT = 300
BEGAN_MS = int(time.time() * 1000) - 200000  # recent: what is older than retention.ms goes


def in_log(world, topic, partition=0):
    with world.wire() as wire:
        return wire.batches(topic, partition)


def checks_log(batches, count):
    """Offsets are dense, checksums hold, nothing is missing."""
    assert sum(b.count for b in batches) == count, "%d records in the log, not %d" % (sum(b.count for b in batches), count)
    expected = 0
    for b in batches:
        assert b.magic == 2 and b.crc_ok, "a bad batch at %d" % b.base_offset
        assert b.base_offset == expected, "offset %d after %d" % (b.base_offset, expected - 1)
        expected = b.last_offset + 1


def produces(client, world, codec):
    """COUNT records in this codec lie in the log in this codec, and the client reads them back."""
    topic = world.topic(client, "codec-" + codec)
    sent = numbered(COUNT, codec)
    try:
        client.call("produce", topic=topic, records=sent, codec=codec)
    except Refused as refused:
        raise Unsupported(codec) if "unknown codec" in str(refused) else refused
    batches = in_log(world, topic)
    checks_log(batches, COUNT)
    assert {b.codec for b in batches} == {codec}, "codecs in the log: %s" % {b.codec for b in batches}
    got = client.call("fetch", topic=topic, partition=0, start="earliest", count=COUNT, timeout_s=20)["records"]
    assert [r["value"] for r in got] == [r["value"] for r in sent], "%d values came back, or others" % len(got)


@feature("codecs")
def none(client, world):
    produces(client, world, "none")


@feature("codecs")
def gzip(client, world):
    produces(client, world, "gzip")


@feature("codecs")
def snappy(client, world):
    produces(client, world, "snappy")


@feature("codecs")
def lz4(client, world):
    produces(client, world, "lz4")


@feature("codecs")
def zstd(client, world):
    produces(client, world, "zstd")


# --- produce ---


@feature("produce")
def acks_leader(client, world):
    topic = world.topic(client, "acks1")
    client.call("produce", topic=topic, records=numbered(50), acks=1)
    checks_log(in_log(world, topic), 50)


@feature("produce")
def acks_none(client, world):
    topic = world.topic(client, "acks0")
    client.call("produce", topic=topic, records=numbered(50), acks=0)
    with world.wire() as wire:
        await_that("50 records in the log", lambda: wire.end(topic, 0) == 50)
    checks_log(in_log(world, topic), 50)


@feature("produce")
def offsets_told(client, world):
    topic = world.topic(client, "told")
    client.call("produce", topic=topic, records=numbered(7))
    told = client.call("produce", topic=topic, records=numbered(5))["offsets"]
    if told is None:
        raise Unsupported("offsets")
    assert [0, 7] == told[0] and (told[-1] is None or told[-1] == [0, 11]), told


@feature("produce")
def by_partition(client, world):
    topic = world.topic(client, "partitions", 3)
    records = [r for p in range(3) for r in numbered(40 + p, str(p), p)]
    client.call("produce", topic=topic, records=records)
    for p in range(3):
        checks_log(in_log(world, topic, p), 40 + p)
        got = client.call("fetch", topic=topic, partition=p, start="earliest", count=40 + p, timeout_s=20)["records"]
        assert [unpack(r["value"]).split(b"/")[0] for r in got] == [str(p).encode()] * (40 + p)


@feature("produce")
def order_of_many(client, world):
    """10,000 records in many requests keep their order."""
    topic = world.topic(client, "order")
    sent = numbered(10000)
    client.call("produce", topic=topic, records=sent, codec="none")
    checks_log(in_log(world, topic), len(sent))
    got = client.call("fetch", topic=topic, partition=0, start="earliest", count=len(sent), timeout_s=30)["records"]
    assert [r["value"] for r in got] == [r["value"] for r in sent], "%d values, or another order" % len(got)
    assert [r["offset"] for r in got] == list(range(len(sent)))


@feature("produce")
def into_new_topic(client, world):
    """auto.create.topics.enable: a topic that nobody made."""
    topic = world.name(client.name.replace(" ", "_") + ".automatic")
    await_that("the topic is there and takes a record", lambda: accepts(client, topic))
    got = client.call("fetch", topic=topic, partition=0, start="earliest", count=1, timeout_s=20)["records"]
    assert unpack(got[0]["value"]).startswith(b"first")


def accepts(client, topic):
    """Some clients give up on a topic that is being made, as Kafka answers first that it does not know it."""
    try:
        return client.call("produce", topic=topic, records=numbered(1, "first")) is not None
    except Refused:
        return False


@feature("produce")
def too_large(client, world):
    """Above max.message.bytes the client hears of it, and nothing is in the log."""
    topic = world.topic(client, "small", config={"max.message.bytes": "2000"})
    try:
        client.call("produce", topic=topic, records=[record(noise(5000, 1))])
    except Refused as refused:
        assert any(word in str(refused).lower() for word in ("large", "size", "exceed")), refused
    else:
        raise AssertionError("the record was taken")
    assert not in_log(world, topic)


# --- what a record holds ---


def comes_back(client, world, sent, at_once=100):
    """What is sent is read, field by field."""
    topic = world.topic(client, "record")
    for i in range(0, len(sent), at_once):
        client.call("produce", topic=topic, records=sent[i:i + at_once])
    got = client.call("fetch", topic=topic, partition=0, start="earliest", count=len(sent), timeout_s=20)["records"]
    assert len(got) == len(sent), "%d records came back of %d" % (len(got), len(sent))
    for a, b in zip(sent, got):
        for field in ("key", "value", "headers", "timestamp"):
            assert field not in a or a[field] == b[field], "%s: %.200s became %.200s" % (field, a[field], b[field])


@feature("records")
def keys(client, world):
    comes_back(client, world, [record(b"value", b"key %d" % i) for i in range(5)])


@feature("records")
def headers(client, world):
    comes_back(client, world, [record(b"v", b"k", [("one", b"1"), ("zwei", "ü".encode())]), record(b"w", b"k", [("one", b"2")])])


@feature("records")
def timestamps(client, world):
    comes_back(client, world, [record(b"v", timestamp=t) for t in (BEGAN_MS, BEGAN_MS - 1, BEGAN_MS - 1123)])


@feature("records")
def null_key(client, world):
    comes_back(client, world, [record(b"no key"), record(b"a key", b"k")])


@feature("records")
def null_value(client, world):
    comes_back(client, world, [record(None, b"gone"), record(b"v", b"here")])


@feature("records")
def empty_value(client, world):
    comes_back(client, world, [record(b"", b"k"), record(b"v", b"k")])


@feature("records")
def large_value(client, world):
    """900 KiB of noise, twice, each in a request of its own: a batch may have 1 MB."""
    comes_back(client, world, [record(noise(900 << 10, seed), b"large") for seed in (1, 2)], at_once=1)


@feature("records")
def broker_time(client, world):
    """message.timestamp.type=LogAppendTime: the consumer sees the broker's time."""
    topic = world.topic(client, "appendtime", config={"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    client.call("produce", topic=topic, records=numbered(3))
    got = client.call("fetch", topic=topic, partition=0, start="earliest", count=3, timeout_s=20)["records"]
    for r in got:
        assert before - 1000 <= r["timestamp"] <= int(time.time() * 1000) + 1000, "timestamp %d" % r["timestamp"]
    assert len(got) == 3


# --- where reading begins ---


def ten_with_times(client, world):
    """Ten batches of one record each, ten seconds apart."""
    topic = world.topic(client, "times")
    with world.wire() as wire:
        for i in range(10):
            error, _ = wire.produce(topic, 0, batch([b"%d" % i], timestamp=BEGAN_MS + 10000 * i))
            assert error == 0, "Produce: error %d" % error
    return topic


def read_from(client, topic, start, count, **options):
    got = client.call("fetch", topic=topic, partition=0, start=start, count=count, timeout_s=20, **options)["records"]
    return [int(unpack(r["value"])) for r in got]


@feature("consume")
def from_beginning(client, world):
    assert read_from(client, ten_with_times(client, world), "earliest", 10) == list(range(10))


@feature("consume")
def from_offset(client, world):
    assert read_from(client, ten_with_times(client, world), 6, 4) == [6, 7, 8, 9]


@feature("consume")
def from_inside_a_batch(client, world):
    topic = world.topic(client, "inside")
    with world.wire() as wire:
        wire.produce(topic, 0, batch([b"%d" % i for i in range(10)]))
    assert read_from(client, topic, 4, 6) == [4, 5, 6, 7, 8, 9]


@feature("consume")
def from_time(client, world):
    assert read_from(client, ten_with_times(client, world), {"time_ms": BEGAN_MS + 34567}, 6) == [4, 5, 6, 7, 8, 9]


@feature("consume")
def past_the_log(client, world):
    """An offset that the log does not have: by the client's policy it begins anew at the earliest."""
    assert read_from(client, ten_with_times(client, world), 1000, 10, reset="earliest") == list(range(10))


@feature("consume")
def waits_for_new(client, world):
    """A consumer at the end gets what is written later (long poll)."""
    topic = ten_with_times(client, world)
    client.send("fetch", topic=topic, partition=0, start=10, count=2, timeout_s=30)
    with world.wire() as wire:
        for i in (10, 11):
            wire.produce(topic, 0, batch([b"%d" % i]))
    got = client.receive("fetch")["records"]
    assert [int(unpack(r["value"])) for r in got] == [10, 11], got


@feature("consume")
def offsets_of_log(client, world):
    topic = ten_with_times(client, world)

    def ask(at):
        return client.call("offsets", topic=topic, partition=0, at=at)["offset"]
    assert (ask("earliest"), ask("latest")) == (0, 10)
    assert ask({"time_ms": BEGAN_MS + 50000}) == 5


# --- idempotence ---


@feature("idempotence")
def sequences(client, world):
    """Batches carry the producer's id and sequences without a gap."""
    topic = world.topic(client, "idempotent")
    client.call("produce", topic=topic, records=numbered(2000), idempotent=True)
    batches = in_log(world, topic)
    checks_log(batches, 2000)
    assert all(b.producer_id >= 0 for b in batches), "a batch without a producer id"
    assert len({(b.producer_id, b.producer_epoch) for b in batches}) == 1
    expected = 0
    for b in batches:
        assert b.sequence == expected, "sequence %d, not %d" % (b.sequence, expected)
        expected += b.count


@feature("idempotence")
def twice(client, world):
    """A second producer gets an id of its own; both have all their records once."""
    topic = world.topic(client, "idempotent")
    for word in ("a", "b"):
        client.call("produce", topic=topic, records=numbered(100, word), idempotent=True)
    batches = in_log(world, topic)
    checks_log(batches, 200)
    assert len({b.producer_id for b in batches}) == 2


@feature("transactions")
def transaction(client, world):
    """Committed where the broker has transactions; a clear error where it does not advertise them."""
    topic = world.topic(client, "transaction")
    arguments = dict(topic=topic, records=numbered(10), idempotent=True, transactional=world.name("transaction"))
    if 24 in world.versions:
        client.call("produce", **arguments)
        assert sum(b.count for b in in_log(world, topic) if b.count) >= 10
        return
    try:
        client.call("produce", **arguments)
    except Refused as refused:
        assert str(refused).strip(), "an error without a word"
    else:
        raise AssertionError("the transaction was accepted")
    assert not in_log(world, topic), "records of a refused transaction are in the log"
