"""The cluster, its topics and their settings."""
from client import Refused
from features import feature
from wire import batch
from world import await_that


@feature("connect")
def brokers(client, world):
    host, port = world.address.rsplit(":", 1)
    found = client.call("metadata")["brokers"]
    assert [(b["host"], b["port"]) for b in found] == [(host, int(port))], found


@feature("connect")
def topic_metadata(client, world):
    topic = world.topic(client, "metadata", 5)
    assert client.call("metadata", topic=topic)["topics"] == {topic: 5}


@feature("connect")
def all_topics(client, world):
    names = {world.topic(client, "listed", n): n for n in (1, 2, 3)}
    found = client.call("metadata")["topics"]
    assert {name: found.get(name) for name in names} == names


@feature("connect")
def describe_cluster(client, world):
    found = client.call("cluster")
    assert found["brokers"] == 1 and found["controller"] in (0, 1), found
    assert found["id"] is None or len(found["id"]) > 10, found


def partitions_of(world, topic):
    """0: there is no such topic."""
    with world.wire() as wire:
        error, partitions = wire.topic(topic)
        assert error in (0, 3, 5), "Metadata: error %d" % error
        return partitions if error == 0 else 0


@feature("topics")
def create(client, world):
    topic = world.name("created")
    client.call("create_topic", topic=topic, partitions=3, config={"retention.ms": "3600000"})
    await_that("the topic is there", lambda: partitions_of(world, topic) == 3)


@feature("topics")
def create_again(client, world):
    topic = world.topic(client, "exists")
    try:
        client.call("create_topic", topic=topic, partitions=1)
    except Refused as refused:
        assert "exist" in str(refused).lower(), refused
    else:
        raise AssertionError("created twice")


@feature("topics")
def create_badly(client, world):
    """A name that is none: the client hears why."""
    try:
        client.call("create_topic", topic="no/such name", partitions=1)
    except Refused as refused:
        assert any(word in str(refused).lower() for word in ("invalid", "illegal", "topic's name")), refused
    else:
        raise AssertionError("created")


@feature("topics")
def delete(client, world):
    topic = world.topic(client, "deleted", 2)
    client.call("delete_topic", topic=topic)
    await_that("the topic is gone", lambda: partitions_of(world, topic) == 0)


@feature("topics")
def grow(client, world):
    topic = world.topic(client, "grown", 2)
    client.call("grow_topic", topic=topic, partitions=5)
    await_that("it has five partitions", lambda: partitions_of(world, topic) == 5)
    with world.wire() as wire:
        world.await_partitions(wire, topic, 5)
        assert wire.produce(topic, 4, batch([b"in the new one"]))[0] == 0


@feature("topics")
def delete_records(client, world):
    topic = world.topic(client, "cut")
    with world.wire() as wire:
        for i in range(10):
            wire.produce(topic, 0, batch([b"%d" % i]))
        client.call("delete_records", topic=topic, partition=0, before=6)
        assert (wire.end(topic, 0, -2), wire.end(topic, 0)) == (6, 10)


@feature("settings")
def describe_topic(client, world):
    topic = world.topic(client, "settings", config={"retention.ms": "7654321"})
    found = client.call("topic_config", topic=topic)
    assert found["config"]["retention.ms"] == "7654321", found["config"].get("retention.ms")
    assert found["set"] == ["retention.ms"], found["set"]
    for name in ("retention.bytes", "segment.bytes", "max.message.bytes", "cleanup.policy", "message.timestamp.type"):
        assert name in found["config"], "%s is missing" % name


@feature("settings")
def describe_broker(client, world):
    assert client.call("broker_config", broker=client.call("metadata")["brokers"][0]["id"])["config"]


@feature("settings")
def alter(client, world):
    topic = world.topic(client, "settings")
    client.call("set_topic_config", topic=topic, config={"retention.ms": "1234567", "max.message.bytes": "500000"})

    def seen():
        found = client.call("topic_config", topic=topic)["config"]
        return (found["retention.ms"], found["max.message.bytes"]) == ("1234567", "500000")
    await_that("the settings are seen", seen)


@feature("settings")
def alter_badly(client, world):
    topic = world.topic(client, "settings")
    try:
        client.call("set_topic_config", topic=topic, config={"retention.ms": "soon"})
    except Refused as refused:
        assert "invalid" in str(refused).lower() or "retention.ms" in str(refused), refused
    else:
        raise AssertionError("accepted")


@feature("settings")
def log_dirs(client, world):
    topic = world.topic(client, "sizes")
    with world.wire() as wire:
        wire.produce(topic, 0, batch([b"x" * 1000]))
    found = client.call("log_dirs", topic=topic)["sizes"]
    assert found.get("0", 0) > 1000, found
