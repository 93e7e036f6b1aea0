"""What breaks real clients, asked by hand: version ranges that they look for, answers to odd requests, group and fetch details.

Each is a function of the world; sources are the trap list of Kafka implementers (KAFKA-18659, KAFKA-19444, KIP-35, KIP-74, KIP-227,
KIP-394)."""
import struct

from wire import (ADD_PARTITIONS_TO_TXN, API_VERSIONS, FETCH, INIT_PRODUCER_ID, JOIN_GROUP, METADATA, PRODUCE, Batch, Closed, batch, blob, text)

TRAPS = []
UNSUPPORTED_VERSION, CORRUPT_MESSAGE, UNKNOWN_TOPIC, ILLEGAL_GENERATION, UNKNOWN_MEMBER = 35, 2, 3, 22, 25
OUT_OF_ORDER, INVALID_EPOCH, MEMBER_ID_REQUIRED, OFFSET_OUT_OF_RANGE = 45, 47, 79, 1


def trap(function):
    TRAPS.append(function)
    return function


def overlaps(world, api, low, high):
    ours = world.versions.get(api)
    assert ours and ours[0] <= high and ours[1] >= low, "API %d: %s, wanted some of %d to %d" % (api, ours, low, high)


def new_topic(world, partitions=1, **config):
    name = world.name("by-hand")
    world.create(name, partitions, {k.replace("_", "."): v for k, v in config.items()})
    return name


# --- versions ---


@trap
def produce_from_version_0(world):
    """librdkafka before 2.11.1 does not compress otherwise (KAFKA-18659)."""
    overlaps(world, PRODUCE, 0, 0)


@trap
def join_group_from_version_0(world):
    """librdkafka before 2.11 has no groups otherwise (KAFKA-19444)."""
    overlaps(world, JOIN_GROUP, 0, 0)


@trap
def gates_of_librdkafka(world):
    for api, low, high in ((PRODUCE, 3, 3), (FETCH, 4, 4), (10, 0, 0), (8, 1, 2), (9, 1, 1), (11, 0, 0), (14, 0, 0), (12, 0, 0), (13, 0, 0),
                           (22, 0, 0), (PRODUCE, 7, 7), (FETCH, 10, 10), (2, 1, 1)):
        overlaps(world, api, low, high)


@trap
def versions_of_kafka_python(world):
    for api, version in ((METADATA, 1), (FETCH, 4), (JOIN_GROUP, 2), (8, 2), (9, 1), (10, 0)):
        overlaps(world, api, version, version)


@trap
def flexible_versions(world):
    """@platformatic/kafka speaks these alone."""
    for api, version in ((FETCH, 12), (METADATA, 9), (JOIN_GROUP, 6), (10, 4), (9, 8), (19, 7), (PRODUCE, 9), (14, 4), (12, 4), (13, 4)):
        overlaps(world, api, version, version)


@trap
def api_versions_too_new(world):
    """A version that does not exist is answered as version 0, error 35 and the list, or at least the error (KIP-511)."""
    with world.wire() as wire:
        answer = wire.ask(API_VERSIONS, 99, b"\x00" * 3, flexible=True)
        assert answer.take("h") == UNSUPPORTED_VERSION
        ranges = [answer.take("hhh") for _ in range(answer.take("i"))]
        assert (API_VERSIONS, *world.versions[API_VERSIONS]) in ranges
        assert wire.api_versions() == world.versions, "the connection goes on"


@trap
def api_versions_flexible(world):
    """From version 3 on the body has tagged fields, the header of the answer has none."""
    with world.wire() as wire:
        answer = wire.ask(API_VERSIONS, 3, b"\x05test\x021\x00", flexible=True)
        assert answer.take("h") == 0
        assert answer.take("B") == len(world.versions) + 1


@trap
def unknown_api_closes(world):
    with world.wire() as wire:
        wire.send(32000, 0, b"")
        try:
            wire.receive()
        except Closed:
            return
        raise AssertionError("answered")


@trap
def unknown_version_closes(world):
    with world.wire() as wire:
        wire.send(METADATA, 99, b"\x00" * 8)
        try:
            wire.receive()
        except Closed:
            return
        raise AssertionError("answered")


@trap
def huge_frame_closes(world):
    with world.wire() as wire:
        wire.send_raw(struct.pack(">i", 0x7FFFFFFF) + b"\x00" * 64)
        try:
            wire.receive()
        except Closed:
            return
        raise AssertionError("answered")


@trap
def answers_in_order(world):
    """Requests sent at once are answered in their order, a waiting one before a quick one."""
    topic = new_topic(world)
    with world.wire() as wire:
        body = struct.pack(">iiiibi", -1, 200, 1, 1 << 20, 0, 1) + text(topic) + struct.pack(">iiqi", 1, 0, 0, 1 << 20)
        sent = [wire.send(FETCH, 4, body)] + [wire.send(API_VERSIONS, 0, b"") for _ in range(20)]
        assert [wire.receive()[0] for _ in sent] == sent


# --- metadata ---


@trap
def unknown_topic(world):
    with world.wire() as wire:
        assert wire.topic(world.name("nobody-made-it"))[0] == UNKNOWN_TOPIC


@trap
def metadata_version_8(world):
    """Leader epoch since version 7; authorized operations only where asked for (KIP-430)."""
    topic = new_topic(world)
    with world.wire() as wire:
        answer = wire.ask(METADATA, 8, struct.pack(">i", 1) + text(topic) + b"\x00\x00\x00")
        answer.take("i")
        for _ in range(answer.take("i")):
            _, host, port, _ = answer.take("i"), answer.text(), answer.take("i"), answer.text()
            assert "%s:%d" % (host, port) == world.address
        answer.text()
        answer.take("i")
        assert answer.take("i") == 1 and answer.take("h") == 0 and answer.text() == topic
        answer.take("b")
        assert answer.take("i") == 1
        error, index, leader, epoch = answer.take("hiii")
        assert (error, index) == (0, 0) and leader >= 0 and epoch >= 0
        for _ in range(3):
            answer.take("%di" % answer.take("i"))
        assert answer.take("i") == -(1 << 31), "authorized operations of the topic"
        assert answer.take("i") == -(1 << 31), "authorized operations of the cluster"
        assert answer.left() == 0


@trap
def bytes_behind_a_request(world):
    """As librdkafka 2.15 asks for all topics by Metadata v12: Kafka leaves what follows the message."""
    with world.wire() as wire:
        answer = wire.ask(METADATA, 12, bytes([0, 0, 0, 0, 1, 0, 0]), flexible=True)
        assert answer.take("B") == 0 and answer.take("i") == 0 and answer.take("B") == 2, "one broker"


# --- produce ---


@trap
def bad_checksum(world):
    topic, bad = new_topic(world), bytearray(batch([b"value"]))
    bad[-3] ^= 1
    with world.wire() as wire:
        assert wire.produce(topic, 0, bytes(bad))[0] == CORRUPT_MESSAGE
        assert wire.end(topic, 0) == 0


@trap
def produce_to_unknown_partition(world):
    topic = new_topic(world)
    with world.wire() as wire:
        assert wire.produce(topic, 7, batch([b"value"]))[0] == UNKNOWN_TOPIC


@trap
def duplicate_sequence(world):
    """The same batch once more: the answer is the first one's, the log has it once."""
    topic = new_topic(world)
    with world.wire() as wire:
        producer, epoch = wire.init_producer_id()
        first = [batch([b"%d" % i], (producer, epoch, i)) for i in range(3)]
        assert [wire.produce(topic, 0, b) for b in first] == [(0, 0), (0, 1), (0, 2)]
        again = wire.produce(topic, 0, first[1])
        assert again == (0, 1), "error %d, offset %d" % again
        assert wire.end(topic, 0) == 3


@trap
def sequence_with_a_gap(world):
    topic = new_topic(world)
    with world.wire() as wire:
        producer, epoch = wire.init_producer_id()
        assert wire.produce(topic, 0, batch([b"0"], (producer, epoch, 0)))[0] == 0
        assert wire.produce(topic, 0, batch([b"5"], (producer, epoch, 5)))[0] == OUT_OF_ORDER
        assert wire.produce(topic, 0, batch([b"1"], (producer, epoch, 1)))[0] == 0
        assert wire.end(topic, 0) == 2


@trap
def epoch_of_before(world):
    topic = new_topic(world)
    with world.wire() as wire:
        producer, epoch = wire.init_producer_id()
        assert wire.produce(topic, 0, batch([b"0"], (producer, epoch + 1, 0)))[0] == 0
        assert wire.produce(topic, 0, batch([b"1"], (producer, epoch, 1)))[0] == INVALID_EPOCH


@trap
def producer_ids_differ(world):
    with world.wire() as wire:
        ids = {wire.init_producer_id()[0] for _ in range(20)}
        assert len(ids) == 20 and min(ids) >= 0


# --- fetch ---


@trap
def one_batch_above_the_limit(world):
    """The first batch comes whole, however small the limit (KIP-74)."""
    topic = new_topic(world)
    with world.wire() as wire:
        wire.produce(topic, 0, batch([b"x" * 5000]))
        wire.produce(topic, 0, batch([b"y" * 5000]))
        error, high, data = wire.fetch_raw(topic, 0, 0, max_bytes=1)
        assert (error, high) == (0, 2)
        assert len(data) >= 5000 and Batch(data).length + 12 <= len(data), "%d bytes" % len(data)


@trap
def fetch_waits_for_bytes(world):
    """min_bytes: one small batch does not end the wait, the second does."""
    topic = new_topic(world)
    with world.wire() as reader, world.wire() as writer:
        size = len(batch([b"x" * 500]))
        body = struct.pack(">iiiibi", -1, 20000, 2 * size, 1 << 20, 0, 1) + text(topic) + struct.pack(">iiqi", 1, 0, 0, 1 << 20)
        number = reader.send(FETCH, 4, body)
        for _ in range(2):
            writer.produce(topic, 0, batch([b"x" * 500]))
        got, answer = reader.receive()
        assert got == number and answer.left() >= 2 * size, "%d bytes" % answer.left()


@trap
def fetch_out_of_range(world):
    topic = new_topic(world)
    with world.wire() as wire:
        assert wire.fetch_raw(topic, 0, 5)[0] == OFFSET_OUT_OF_RANGE
        assert wire.fetch_raw(topic, 0, 0, wait_ms=0)[0] == 0


@trap
def read_committed(world):
    """Without transactions the last stable offset is the high watermark."""
    topic = new_topic(world)
    with world.wire() as wire:
        wire.produce(topic, 0, batch([b"a"]))
        error, high, data = wire.fetch_raw(topic, 0, 0, isolation=1)
        assert (error, high) == (0, 1) and data


def session_fetch(wire, session, epoch, topics):
    """Fetch v7; answers (error, session, {partition: bytes})."""
    body = struct.pack(">iiiibii", -1, 0, 0, 1 << 20, 0, session, epoch) + struct.pack(">i", len(topics))
    for topic, partitions in topics.items():
        body += text(topic) + struct.pack(">i", len(partitions))
        body += b"".join(struct.pack(">iqqi", p, offset, -1, 1 << 20) for p, offset in partitions.items())
    answer = wire.ask(FETCH, 7, body + struct.pack(">i", 0))
    _, error, session = answer.take("ihi")
    found = {}
    for _ in range(answer.take("i")):
        answer.text()
        for _ in range(answer.take("i")):
            partition, code, _, _, _ = answer.take("ihqqq")
            for _ in range(max(answer.take("i"), 0)):
                answer.take("qq")
            found[partition] = (code, answer.blob() or b"")
    return error, session, found


@trap
def fetch_sessions(world):
    """A session answers what has changed alone; an epoch that is not the next is refused (KIP-227)."""
    topic = new_topic(world, 3)
    with world.wire() as wire:
        error, session, found = session_fetch(wire, 0, 0, {topic: {0: 0, 1: 0, 2: 0}})
        assert error == 0 and session != 0 and sorted(found) == [0, 1, 2], (error, session, found)
        wire.produce(topic, 1, batch([b"new"]))
        error, same, found = session_fetch(wire, session, 1, {})
        assert (error, same) == (0, session) and list(found) == [1] and found[1][1], (error, same, found)
        error, same, found = session_fetch(wire, session, 2, {topic: {1: 1}})
        assert (error, same, found) == (0, session, {}), (error, same, found)
        assert session_fetch(wire, session, 7, {})[0] == 71, "INVALID_FETCH_SESSION_EPOCH"
        assert session_fetch(wire, session + 12345, 1, {})[0] == 70, "FETCH_SESSION_ID_NOT_FOUND"


# --- groups ---


def join_body(group, member, version):
    rebalance = struct.pack(">i", 10000) if version >= 1 else b""
    instance = text(None) if version >= 5 else b""
    return text(group) + struct.pack(">i", 10000) + rebalance + text(member) + instance + text("consumer") + struct.pack(">i", 1) + \
        text("range") + blob(struct.pack(">hi", 0, 1) + text("topic") + blob(None))


def join(wire, group, member, version=4):
    """(error, generation, member id)"""
    answer = wire.ask(JOIN_GROUP, version, join_body(group, member, version))
    if version >= 2:
        answer.take("i")
    error, generation = answer.take("hi")
    answer.text()
    answer.text()
    return error, generation, answer.text()


def sync(wire, group, generation, member, assignments):
    body = text(group) + struct.pack(">i", generation) + text(member) + struct.pack(">i", len(assignments))
    answer = wire.ask(14, 1, body + b"".join(text(m) + blob(a) for m, a in assignments.items()))
    _, error = answer.take("ih")
    return error, answer.blob()


def heartbeat(wire, group, generation, member):
    answer = wire.ask(12, 1, text(group) + struct.pack(">i", generation) + text(member))
    return answer.take("ih")[1]


@trap
def member_id_required(world):
    """JoinGroup from version 4 on: first an id, then the group (KIP-394); before that at once."""
    with world.wire() as wire:
        error, _, member = join(wire, world.name("group"), "", 4)
        assert error == MEMBER_ID_REQUIRED and member
        error, generation, member = join(wire, world.name("group"), "", 3)
        assert error == 0 and generation == 1 and member


@trap
def fencing(world):
    """A wrong generation, an unknown member and an unknown group are told apart."""
    group = world.name("group")
    with world.wire() as wire:
        _, _, member = join(wire, group, "", 4)
        error, generation, same = join(wire, group, member, 4)
        assert (error, same) == (0, member)
        assert sync(wire, group, generation, member, {member: b"all of it"}) == (0, b"all of it")
        assert heartbeat(wire, group, generation, member) == 0
        assert heartbeat(wire, group, generation + 1, member) == ILLEGAL_GENERATION
        assert heartbeat(wire, group, generation, "somebody") == UNKNOWN_MEMBER
        assert heartbeat(wire, world.name("group"), generation, member) == UNKNOWN_MEMBER
        assert join(wire, group, "somebody", 4)[0] == UNKNOWN_MEMBER


@trap
def commit_is_fenced(world):
    topic, group = new_topic(world), world.name("group")
    with world.wire() as wire:
        def commit(generation, member):
            body = text(group) + struct.pack(">i", generation) + text(member) + struct.pack(">qi", -1, 1) + text(topic)
            answer = wire.ask(8, 2, body + struct.pack(">iiq", 1, 0, 5) + text("note"))
            answer.take("i")
            answer.text()
            return answer.take("iih")[2]
        assert commit(-1, "") == 0, "a group without members takes offsets from anybody"
        _, _, member = join(wire, group, "", 4)
        _, generation, _ = join(wire, group, member, 4)
        sync(wire, group, generation, member, {member: b"all of it"})
        assert commit(generation, member) == 0
        assert commit(generation + 1, member) == ILLEGAL_GENERATION
        assert commit(generation, "somebody") == UNKNOWN_MEMBER


@trap
def transactions_refused_at_once(world):
    """The one error at which no client asks again, where transactions are not advertised."""
    if ADD_PARTITIONS_TO_TXN in world.versions:
        return
    with world.wire() as wire:
        answer = wire.ask(10, 1, text("transaction") + b"\x01")
        assert answer.take("ih")[1] == 53 and "transactions" in answer.text()


@trap
def offset_below_zero(world):
    """kafkajs commits -2 where the log has no longer what it asks for: there is no offset then."""
    topic, group = new_topic(world), world.name("group")
    with world.wire() as wire:
        for offset in (5, -2):
            body = text(group) + struct.pack(">i", -1) + text("") + struct.pack(">qi", -1, 1) + text(topic)
            answer = wire.ask(8, 2, body + struct.pack(">iiq", 1, 0, offset) + text(""))
            answer.take("i")
            answer.text()
            assert answer.take("iih")[2] == 0
        answer = wire.ask(9, 1, text(group) + struct.pack(">i", 1) + text(topic) + struct.pack(">ii", 1, 0))
        answer.take("i")
        answer.text()
        assert answer.take("iiq")[2] < 0


@trap
def producer_id_version_4(world):
    """Flexible form of InitProducerId."""
    with world.wire() as wire:
        answer = wire.ask(INIT_PRODUCER_ID, 4, b"\x00" + struct.pack(">iqh", 60000, -1, -1) + b"\x00", flexible=True)
        _, _, error, producer, epoch = answer.take("bihqh")
        assert error == 0 and producer >= 0 and epoch == 0


