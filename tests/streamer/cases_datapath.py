"""Cases of tests/streamer/run about what is stored and read: producers, long polls, sessions, offsets, kills. By hand, as clients show
little of it; what they make of it is in tests/kafka."""
import os
import signal
import socket
import struct
import sys
import threading
import time

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "kafka"))

from servers.memorystreamer import MemoryStreamer  # noqa: E402
from wire import FETCH, INIT_PRODUCER_ID, PRODUCE, Batch, Closed, Wire, batch, blob, text  # noqa: E402

DELETE_RECORDS, CREATE_TOPICS, DELETE_TOPICS, LIST_OFFSETS = 21, 19, 20, 2
NONE, OUT_OF_RANGE, CORRUPT, UNKNOWN, TOO_LARGE, OLD_FORMAT, OUT_OF_ORDER, FENCED, NO_TRANSACTION, NO_CODEC, INVALID = (
    0, 1, 2, 3, 10, 43, 45, 47, 48, 76, 87)
EARLIEST, MAX_TIME = -2, -3
PATIENCE_S = 60


def case(function):
    function.is_case = True
    return function


def await_that(what, condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "not within %d s: %s" % (PATIENCE_S, what)
        time.sleep(0.02)


def create(wire, name, partitions=1, **config):
    body = struct.pack(">i", 1) + text(name) + struct.pack(">ihi", partitions, 1, 0)
    body += struct.pack(">i", len(config)) + b"".join(text(k.replace("_", ".")) + text(str(v)) for k, v in config.items())
    answer = wire.ask(CREATE_TOPICS, 0, body + struct.pack(">i", 10000))
    answer.take("i"), answer.text()
    assert answer.take("h") == NONE
    return name


def numbered(producer, epoch, first, count=1):
    return batch([b"%d" % (first + i & 0x7FFFFFFF) for i in range(count)], (producer, epoch, first))


def fetch_body(wants, session=0, epoch=-1, forgotten=(), wait_ms=0, min_bytes=0, max_bytes=1 << 26):
    """Fetch v7. wants: [(topic, partition, offset, max_bytes)]"""
    body = struct.pack(">iiiibii", -1, wait_ms, min_bytes, max_bytes, 0, session, epoch) + struct.pack(">i", len(wants))
    for topic, partition, offset, most in wants:
        body += text(topic) + struct.pack(">iiqqi", 1, partition, offset, -1, most)
    body += struct.pack(">i", len(forgotten))
    return body + b"".join(text(topic) + struct.pack(">ii", 1, partition) for topic, partition in forgotten)


def fetched(answer):
    """Error, session, [(topic, partition, error, high watermark, start, bytes)] in the answer's order."""
    answer.take("i")
    error, session = answer.take("hi")
    found = []
    for _ in range(answer.take("i")):
        topic = answer.text()
        for _ in range(answer.take("i")):
            partition, code, high, _, start = answer.take("ihqqq")
            for _ in range(max(answer.take("i"), 0)):
                answer.take("qq")
            found.append((topic, partition, code, high, start, answer.blob() or b""))
    assert answer.left() == 0
    return error, session, found


def fetch(wire, wants, **options):
    return fetched(wire.ask(FETCH, 7, fetch_body(wants, **options)))


def delete_records(wire, topic, partition, offset):
    body = struct.pack(">i", 1) + text(topic) + struct.pack(">iiq", 1, partition, offset) + struct.pack(">i", 10000)
    answer = wire.ask(DELETE_RECORDS, 0, body)
    answer.take("ii"), answer.text()
    _, _, low, error = answer.take("iiqh")
    return error, low


# --- what a producer may send --------------------------------------------------------------------------------------------------

@case
def batches_that_are_not_taken():
    good = batch([b"value"] * 3)
    bad_crc = good[:-1] + bytes([good[-1] ^ 1])
    old = good[:16] + b"\x01" + good[17:]
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic = create(wire, "taken", max_message_bytes=1000)
        for what, records, version, error in (
                ("checksum", bad_crc, 3, CORRUPT), ("torn", good[:-1], 3, CORRUPT), ("header alone", good[:30], 3, CORRUPT),
                ("nothing", b"", 3, INVALID), ("null", None, 3, INVALID), ("two", good + good, 3, INVALID),
                ("magic 1", old, 3, OLD_FORMAT), ("version 2", good, 2, OLD_FORMAT), ("size", batch([b"x" * 1000]), 3, TOO_LARGE),
                ("control", batch([b"x"], attributes=0x20), 3, INVALID), ("codec 5", batch([b"x"], attributes=5), 3, NO_CODEC),
                ("transaction", batch([b"x"], (1, 0, 0), attributes=0x10), 3, NO_TRANSACTION),
                ("no sequence", batch([b"x"], (1, 0, -1)), 3, INVALID), ("zstd too early", batch([b"x"], attributes=4), 3, NO_CODEC)):
            got = wire.produce(topic, 0, records, version=version)
            assert got[0] == error, "%s: error %d" % (what, got[0])
        assert wire.end(topic, 0) == 0
        assert wire.produce(topic, 0, good) == (NONE, 0)
        found = wire.batches(topic, 0)
        assert [b.crc_ok for b in found] == [True] and found[0].epoch == 0


@case
def without_acknowledgement_an_error_ends_the_connection():
    with MemoryStreamer() as server, Wire(server.address) as reader:
        topic = create(reader, "silent")
        with Wire(server.address) as wire:
            for i in range(10):
                wire.produce(topic, 0, batch([b"%d" % i]), acks=0)
            await_that("all are stored", lambda: reader.end(topic, 0) == 10)
            wire.produce(topic, 9, batch([b"x"]), acks=0)
            try:
                wire.receive()
                raise AssertionError("an answer")
            except Closed:
                pass
        assert reader.produce(topic, 0, batch([b"x"]), acks=2)[0] == 21


@case
def the_broker_gives_the_time():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic = create(wire, "stamped", message_timestamp_type="LogAppendTime")
        before = int(time.time() * 1000) - 1000
        assert wire.produce(topic, 0, batch([b"a", b"b"])) == (NONE, 0)
        found = wire.batches(topic, 0)[0]
        assert found.crc_ok and before <= found.max_time <= before + PATIENCE_S * 1000
        assert found.bytes[22] & 8


# --- idempotent producers: case 54 of the abuse catalogue ---------------------------------------------------------------------

def pipelined(wire, topic, records):
    """All of them sent before the first answer is read."""
    for each in records:
        wire.send(PRODUCE, 3, wire.produce_body(topic, 0, each, -1))
    return [wire.produced(wire.receive()[1]) for _ in records]


def in_order_once(wire, topic, expected):
    values = []
    for found in wire.batches(topic, 0):
        assert found.base_offset == len(values) and found.crc_ok
        values += [b"%d" % (found.sequence + i & 0x7FFFFFFF) for i in range(found.count)]
    assert values == expected, (len(values), len(expected))


def sequences(wire, topic, producer):
    five = [numbered(producer, 0, i * 3, 3) for i in range(5)]
    assert pipelined(wire, topic, five) == [(NONE, i * 3) for i in range(5)]
    assert pipelined(wire, topic, five) == [(NONE, i * 3) for i in range(5)], "all five again"
    later = [numbered(producer, 0, 18, 3), numbered(producer, 0, 21, 3), numbered(producer, 0, 15, 3), numbered(producer, 0, 18, 3)]
    assert pipelined(wire, topic, later) == [(OUT_OF_ORDER, -1)] * 2 + [(NONE, 15), (NONE, 18)]
    assert wire.produce(topic, 0, five[0])[0] == OUT_OF_ORDER, "too long ago"
    in_order_once(wire, topic, [b"%d" % i for i in range(21)])


@case
def five_in_flight_are_stored_once_in_order():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        for durability in ("flush", "memory"):
            topic = create(wire, "five-" + durability, durability=durability)
            sequences(wire, topic, wire.init_producer_id()[0])


@case
def epochs_of_a_producer():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic, (producer, _) = create(wire, "epochs"), wire.init_producer_id()
        assert wire.produce(topic, 0, numbered(producer, 0, 0, 5)) == (NONE, 0)
        assert wire.produce(topic, 0, numbered(producer, 1, 5))[0] == OUT_OF_ORDER, "a new epoch begins with 0"
        assert wire.produce(topic, 0, numbered(producer, 1, 0)) == (NONE, 5)
        assert wire.produce(topic, 0, numbered(producer, 0, 5))[0] == FENCED
        assert wire.produce(topic, 0, numbered(producer, 0, 0, 5))[0] == FENCED, "not even as repeated"
        assert wire.produce(topic, 0, numbered(producer, 1, 1)) == (NONE, 6)


@case
def sequences_begin_again_after_the_last():
    last = 0x7FFFFFFF
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic, (producer, _) = create(wire, "wrap"), wire.init_producer_id()
        assert wire.produce(topic, 0, numbered(producer, 0, last - 1, 4)) == (NONE, 0), "an unknown producer may begin anywhere"
        assert wire.produce(topic, 0, numbered(producer, 0, last - 1, 4)) == (NONE, 0)
        assert wire.produce(topic, 0, numbered(producer, 0, 0))[0] == OUT_OF_ORDER
        assert wire.produce(topic, 0, numbered(producer, 0, 2, 3)) == (NONE, 4)


def restarts(durability, how):
    with MemoryStreamer() as server:
        with Wire(server.address) as wire:
            topic, (producer, _) = create(wire, "restarted", durability=durability), wire.init_producer_id()
            sequences(wire, topic, producer)
            other, _ = wire.init_producer_id()
            assert wire.produce(topic, 0, numbered(other, 7, 100, 10)) == (NONE, 21)
        for round_ in range(3):
            server.stop(how)
            server.start()
            with Wire(server.address) as wire:
                assert wire.init_producer_id()[0] > other
                assert wire.produce(topic, 0, numbered(other, 6, 0))[0] == FENCED
                assert wire.produce(topic, 0, numbered(other, 7, 100 + 10 * round_, 10)) == (NONE, 21 + 10 * round_), "repeated"
                assert wire.produce(topic, 0, numbered(other, 7, 120 + 10 * round_, 10))[0] == OUT_OF_ORDER
                assert wire.produce(topic, 0, numbered(other, 7, 110 + 10 * round_, 10)) == (NONE, 31 + 10 * round_)
                for i in range(3, 7):
                    assert wire.produce(topic, 0, numbered(producer, 0, i * 3, 3)) == (NONE, i * 3), "repeated after %d" % round_


@case
def a_clean_restart_knows_the_producers():
    restarts("flush", signal.SIGTERM)
    restarts("memory", signal.SIGTERM)


@case
def a_kill_leaves_the_producers_known():
    restarts("flush", signal.SIGKILL)
    restarts("memory", signal.SIGKILL)


@case
def transactions_are_refused():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        answer = wire.ask(INIT_PRODUCER_ID, 0, text("bank") + struct.pack(">i", 60000))
        assert answer.take("ihqh") == (0, 35, -1, -1)


# --- nothing that was acknowledged is lost -------------------------------------------------------------------------------------

class Writer(threading.Thread):
    """Batches of an idempotent producer, five in flight, until the connection ends; knows what was acknowledged."""

    def __init__(self, address, topic):
        super().__init__()
        self.wire, self.topic, self.acknowledged = Wire(address), topic, 0
        self.producer, _ = self.wire.init_producer_id()

    def run(self):
        sent = 0
        try:
            while True:
                while sent < self.acknowledged + 5:
                    self.wire.send(PRODUCE, 3, self.wire.produce_body(self.topic, 0, numbered(self.producer, 0, sent * 10, 10)))
                    sent += 1
                assert self.wire.produced(self.wire.receive()[1]) == (NONE, self.acknowledged * 10)
                self.acknowledged += 1
        except (Closed, OSError):
            pass


@case
def a_kill_under_load_loses_nothing():
    for durability in ("flush", "memory"):
        with MemoryStreamer() as server:
            with Wire(server.address) as wire:
                topic = create(wire, "killed", durability=durability)
            writer = Writer(server.address, topic)
            writer.start()
            await_that("batches are acknowledged", lambda: writer.acknowledged > 300)  # pylint: disable=cell-var-from-loop
            server.stop(signal.SIGKILL)
            writer.join()
            server.start()
            with Wire(server.address) as wire:
                end = wire.end(topic, 0)
                assert end >= writer.acknowledged * 10 and end % 10 == 0, (end, writer.acknowledged)
                in_order_once(wire, topic, [b"%d" % i for i in range(end)])


# --- waiting for bytes ---------------------------------------------------------------------------------------------------------

@case
def a_fetch_waits_for_any_of_its_partitions():
    for workers in ("1", "3"):
        with MemoryStreamer(args=["--workers", workers]) as server, Wire(server.address) as reader, Wire(server.address) as writer:
            topic = create(writer, "many", 30)
            wants = [(topic, i, 0, 1 << 20) for i in range(30)]
            for partition in (0, 13, 29):
                number = reader.send(FETCH, 7, fetch_body(wants, wait_ms=PATIENCE_S * 1000, min_bytes=1))
                assert writer.produce(topic, partition, batch([b"x"])) == (NONE, 0)
                got, answer = reader.receive()
                error, _, found = fetched(answer)
                assert (got, error) == (number, NONE)
                assert [(p, high) for _, p, _, high, _, data in found if data] == [(partition, 1)]
                wants[partition] = (topic, partition, 1, 1 << 20)


@case
def a_fetch_waits_for_so_many_bytes_of_several():
    with MemoryStreamer(args=["--workers", "2"]) as server, Wire(server.address) as reader, Wire(server.address) as writer:
        topic, one = create(writer, "sum", 4), batch([b"x" * 100])
        wants = [(topic, i, 0, 1 << 20) for i in range(4)]
        reader.send(FETCH, 7, fetch_body(wants, wait_ms=PATIENCE_S * 1000, min_bytes=5 * len(one)))
        for partition in (0, 1, 2, 0):
            writer.produce(topic, partition, one)
        reader.socket.settimeout(0.2)
        try:
            reader.receive()
            raise AssertionError("four batches are not enough")
        except socket.timeout:
            reader.socket.settimeout(PATIENCE_S)
        writer.produce(topic, 0, one)
        _, _, found = fetched(reader.receive()[1])
        assert sum(len(data) for *_, data in found) == 5 * len(one)


@case
def a_fetch_ends_with_its_time_or_its_topic():
    with MemoryStreamer() as server, Wire(server.address) as reader, Wire(server.address) as writer:
        topic = create(writer, "ends")
        _, _, found = fetch(reader, [(topic, 0, 0, 1000)], wait_ms=50, min_bytes=1)
        assert found == [(topic, 0, NONE, 0, 0, b"")]
        reader.send(FETCH, 7, fetch_body([(topic, 0, 0, 1000)], wait_ms=PATIENCE_S * 1000, min_bytes=1))
        writer.ask(DELETE_TOPICS, 0, struct.pack(">i", 1) + text(topic) + struct.pack(">i", 10000))
        _, _, found = fetched(reader.receive()[1])
        assert found[0][2] == UNKNOWN
        assert writer.produce(topic, 0, batch([b"x"]))[0] == UNKNOWN


@case
def readers_that_wait_and_go_leave_nothing():
    with MemoryStreamer() as server, Wire(server.address) as writer:
        topic = create(writer, "left", 10)
        for _ in range(200):
            with Wire(server.address) as reader:
                reader.send(FETCH, 7, fetch_body([(topic, i, 0, 1000) for i in range(10)], wait_ms=PATIENCE_S * 1000, min_bytes=1))
        for partition in range(10):
            assert writer.produce(topic, partition, batch([b"x"])) == (NONE, 0)


@case
def bytes_of_an_answer_are_bounded_but_one_batch_goes():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic, one = create(wire, "bounded", 3), batch([b"x" * 1000])
        for partition in range(3):
            for _ in range(10):
                wire.produce(topic, partition, one)
        for most, each, expected in ((1, 1, [1, 0, 0]), (1 << 20, 1, [1, 0, 0]), (1 << 20, 2 * len(one), [2, 2, 2]),
                                     (3 * len(one), 2 * len(one), [2, 1, 0]), (1 << 20, 1 << 20, [10, 10, 10])):
            _, _, found = fetch(wire, [(topic, i, 0, each) for i in range(3)], max_bytes=most)
            assert [len(data) // len(one) for *_, data in found] == expected, (most, each, [len(d) for *_, d in found])


@case
def an_answer_holds_so_many_descriptors_and_no_more():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic, one, count = create(wire, "wide", 1500, durability="memory"), batch([b"x"]), 1500
        for partition in range(count):
            assert wire.produce(topic, partition, one) == (NONE, 0)
        wants, seen = [(topic, i, 0, 1000) for i in range(count)], set()
        for expected in (1000, 500):
            _, _, found = fetch(wire, [want for want in wants if want[1] not in seen])
            assert {f[2] for f in found} == {NONE}
            seen |= {f[1] for f in found if f[5]}
            assert sum(len(f[5]) > 0 for f in found) == expected
        assert len(seen) == count


# --- sessions ------------------------------------------------------------------------------------------------------------------

@case
def a_session_remembers_and_forgets():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic, one = create(wire, "session", 4), batch([b"x"])
        error, session, found = fetch(wire, [(topic, i, 0, 1000) for i in range(4)], epoch=0)
        assert error == NONE and session > 0 and [f[1] for f in found] == [0, 1, 2, 3]
        wire.produce(topic, 2, one)
        wire.produce(topic, 3, one)
        _, same, found = fetch(wire, [], session=session, epoch=1)
        assert same == session and [f[1] for f in found] == [2, 3]
        _, _, found = fetch(wire, [(topic, 2, 1, 1000)], session=session, epoch=2, forgotten=[(topic, 3)])
        assert found == [], "nothing is new of those that it still wants"
        wire.produce(topic, 0, one)
        wire.produce(topic, 2, one)
        wire.produce(topic, 3, one)
        _, _, found = fetch(wire, [], session=session, epoch=3, max_bytes=1)
        assert [(f[1], len(f[5]) > 0) for f in found] == [(0, True), (2, False)], "what gave records before comes later"
        _, _, found = fetch(wire, [], session=session, epoch=4, max_bytes=1)
        assert [f[1] for f in found if f[5]] == [2], "and now first"
        assert fetch(wire, [], session=session, epoch=4)[0] == 71
        assert fetch(wire, [], session=session + 1, epoch=1)[0] == 70
        assert fetch(wire, [(topic, 0, 0, 1000)], session=session, epoch=-1)[1] == 0, "the end of the session"
        assert fetch(wire, [], session=session, epoch=5)[0] == 70


# --- offsets -------------------------------------------------------------------------------------------------------------------

@case
def deleted_records_are_gone_for_good():
    with MemoryStreamer() as server:
        with Wire(server.address) as wire:
            topic = create(wire, "deleted")
            for i in range(10):
                wire.produce(topic, 0, batch([b"x"] * 10))
            assert delete_records(wire, topic, 0, 101) == (OUT_OF_RANGE, -1)
            assert delete_records(wire, topic, 0, 35) == (NONE, 35)
            assert delete_records(wire, topic, 0, 10) == (NONE, 35)
            assert delete_records(wire, topic, 5, 0)[0] == UNKNOWN
            assert wire.end(topic, 0, EARLIEST) == 35
            assert wire.fetch_raw(topic, 0, 34)[0] == OUT_OF_RANGE
            error, _, data = wire.fetch_raw(topic, 0, 35)
            assert error == NONE and Batch(data).base_offset == 30, "a batch is given whole"
        server.stop()
        server.start()
        with Wire(server.address) as wire:
            assert wire.end(topic, 0, EARLIEST) == 35
            assert delete_records(wire, topic, 0, -1) == (NONE, 100)
            assert wire.produce(topic, 0, batch([b"y"])) == (NONE, 100)


@case
def what_is_too_much_is_removed():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic = create(wire, "retained", retention_bytes=200000, retention_ms=-1, segment_bytes=65536)
        for _ in range(100):
            wire.produce(topic, 0, batch([b"x" * 10000]))
        await_that("old segments are removed", lambda: wire.end(topic, 0, EARLIEST) > 50)
        start = wire.end(topic, 0, EARLIEST)
        assert wire.fetch_raw(topic, 0, 0)[0] == OUT_OF_RANGE
        error, high, data = wire.fetch_raw(topic, 0, start)
        assert (error, high) == (NONE, 100) and data and Batch(data).base_offset == start, (error, high, start, len(data))


@case
def offsets_by_time():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic = create(wire, "times")
        for base in (1000, 3000, 2000):
            wire.produce(topic, 0, batch([b"a", b"b", b"c"], timestamp=base))
        for asked, offset in ((0, 0), (1000, 0), (1001, 3), (3000, 3), (3001, -1), (MAX_TIME, 3), (EARLIEST, 0), (-1, 9)):
            assert wire.list_offset(topic, 0, asked) == (NONE, offset), asked
        answer = wire.ask(LIST_OFFSETS, 0, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiqi", 1, 0, -1, 1))
        answer.take("i"), answer.text()
        assert answer.take("iihiq") == (1, 0, NONE, 1, 9)


@case
def large_batches_come_back():
    with MemoryStreamer() as server, Wire(server.address) as wire:
        topic = create(wire, "large", max_message_bytes=20 << 20)
        values = [bytes([i]) * (1 << 20) for i in range(5)]
        data = batch(values)
        for i in range(3):
            assert wire.produce(topic, 0, data) == (NONE, i * 5)
        error, high, got = wire.fetch_raw(topic, 0, 5, max_bytes=1 << 20)
        assert (error, high) == (NONE, 15) and got[16:] == data[16:], "all but offset and epoch"


@case
def several_shards_answer_as_one():
    with MemoryStreamer(args=["--workers", "3"]) as server, Wire(server.address) as wire:
        topic, one = create(wire, "sharded", 12), batch([b"x" * 50])
        parts = b"".join(struct.pack(">i", i) + blob(one) for i in range(14))
        body = text(None) + struct.pack(">hii", -1, 20000, 1) + text(topic) + struct.pack(">i", 14) + parts
        answer = wire.ask(PRODUCE, 3, body)
        answer.take("i"), answer.text(), answer.take("i")
        got = [answer.take("ihqq")[:3] for _ in range(14)]
        assert got == [(i, NONE, 0) for i in range(12)] + [(i, UNKNOWN, -1) for i in (12, 13)]
        _, _, found = fetch(wire, [(topic, i, 0, 1000) for i in range(12)])
        assert [f[1] for f in found] == list(range(12)) and all(len(f[5]) == len(one) for f in found)
        _, _, found = fetch(wire, [(topic, i, 0, 1000) for i in range(12)], max_bytes=5 * len(one))
        assert [len(f[5]) // len(one) for f in found] == [1] * 5 + [0] * 7
