"""Groups: each message goes to one member, across joins and leaves; offsets are kept."""
from client import Unsupported
from features import feature
from wire import batch
from world import Group, await_that

PARTITIONS, EACH = 4, 25


def fill(world, topic, word=b"a"):
    """EACH records in every partition; answers their values."""
    values = [[b"%s/%d/%d" % (word, p, i) for i in range(EACH)] for p in range(PARTITIONS)]
    with world.wire() as wire:
        for p in range(PARTITIONS):
            error, _ = wire.produce(topic, p, batch(values[p]))
            assert error == 0, "Produce: error %d" % error
    return sorted(v for some in values for v in some)


def group_of(client, world, **options):
    topic = world.topic(client, "group", PARTITIONS)
    return topic, Group(client, world, [topic], **options)


@feature("groups")
def one_member(client, world):
    topic, group = group_of(client, world)
    expected = fill(world, topic)
    with group:
        group.join("a")
        group.await_read(len(expected))
        assert group.values() == expected, "read twice, or others"


def shares(client, world, assignor):
    topic, group = group_of(client, world, assignor=assignor)
    with group:
        group.join("a")
        group.await_share(PARTITIONS)
        group.join("b")
        group.await_share(PARTITIONS // 2, PARTITIONS // 2)
        expected = fill(world, topic)
        group.await_read(len(expected))
        assert group.values() == expected, "read twice, or others"
        assert all(len(read) == len(expected) // 2 for read in group.read.values())


@feature("groups")
def second_joins(client, world):
    """Two members share the partitions; each message is read once."""
    shares(client, world, "range")


@feature("groups")
def cooperative(client, world):
    """The same by incremental rebalancing (cooperative-sticky)."""
    shares(client, world, "cooperative-sticky")


@feature("groups")
def second_leaves(client, world):
    """What it leaves goes to the other, who reads on from the offsets that it committed."""
    topic, group = group_of(client, world)
    with group:
        group.join("a")
        group.join("b")
        group.await_share(PARTITIONS // 2, PARTITIONS // 2)
        first = fill(world, topic, b"first")
        group.await_read(len(first))
        group.leave("b")
        group.await_share(PARTITIONS)
        second = fill(world, topic, b"second")
        group.await_read(len(first) + len(second))
        assert group.values() == sorted(first + second), "read twice, or others"


@feature("groups")
def resumes(client, world):
    """A group that has ended goes on where it was; its offsets can be asked for."""
    topic, group = group_of(client, world)
    first = fill(world, topic, b"first")
    with group:
        group.join("a")
        group.await_read(len(first))
        group.leave("a")
        second = fill(world, topic, b"second")
        group.join("a")
        group.await_read(len(first) + len(second))
        assert group.values() == sorted(first + second), "read twice, or others"


@feature("groups")
def committed(client, world):
    topic, group = group_of(client, world)
    expected = fill(world, topic)
    with group:
        group.join("a")
        group.await_read(len(expected))
        group.leave("a")
    found = client.call("committed", group=group.group, topic=topic, partitions=list(range(PARTITIONS)))["offsets"]
    assert found == [EACH] * PARTITIONS, found


@feature("groups")
def two_topics(client, world):
    topics = [world.topic(client, "group", PARTITIONS) for _ in range(2)]
    group = Group(client, world, topics)
    expected = sorted(v for topic in topics for v in fill(world, topic, topic.encode()))
    with group:
        group.join("a")
        group.await_read(len(expected))
        assert group.values() == expected, "read twice, or others"


@feature("groups")
def static_member(client, world):
    """It leaves and comes back within the session: nobody else is disturbed, it has the same partitions."""
    topic, group = group_of(client, world)
    with group:
        group.join("a", instance="one")
        group.join("b", instance="two")
        group.await_share(PARTITIONS // 2, PARTITIONS // 2)
        before = dict(group.assigned)
        told = group.leave("b")
        group.join("b", instance="two")
        group.await_share(PARTITIONS // 2, PARTITIONS // 2)
        assert told or group.assigned == before, "%s became %s" % (before, group.assigned)
        expected = fill(world, topic)
        group.await_read(len(expected))
        assert group.values() == expected


# --- asked about ---


@feature("group admin")
def list_groups(client, world):
    _, group = group_of(client, world)
    with group:
        group.join("a")
        group.await_share(PARTITIONS)
        assert group.group in client.call("groups")["groups"]


@feature("group admin")
def describe_group(client, world):
    _, group = group_of(client, world)
    with group:
        group.join("a")
        group.await_share(PARTITIONS)
        found = client.call("describe_group", group=group.group)
        assert found["state"].lower() == "stable" and len(found["members"]) == 1, found


@feature("group admin")
def delete_group(client, world):
    topic, group = group_of(client, world)
    expected = fill(world, topic)
    with group:
        group.join("a")
        group.await_read(len(expected))
        group.leave("a")
    await_that("the group has nobody", lambda: is_deleted(client, group.group))
    assert group.group not in client.call("groups")["groups"]


def is_deleted(client, group):
    """A group whose last member leaves this moment cannot be deleted yet."""
    try:
        client.call("delete_group", group=group)
        return True
    except Unsupported:
        raise
    except Exception as error:  # pylint: disable=broad-except
        if any(word in str(error).replace("_", "").lower() for word in ("nonempty", "not empty", "groupnotempty")):
            return False
        raise


@feature("group admin")
def delete_offsets(client, world):
    topic, group = group_of(client, world)
    expected = fill(world, topic)
    with group:
        group.join("a")
        group.await_read(len(expected))
        group.leave("a")
    client.call("delete_offsets", group=group.group, topic=topic, partitions=[1])
    found = client.call("committed", group=group.group, topic=topic, partitions=list(range(PARTITIONS)))["offsets"]
    assert found == [EACH, None, EACH, EACH], found


@feature("group admin")
def set_offsets(client, world):
    """Offsets of a group that runs nowhere, set from outside."""
    topic, group = group_of(client, world)
    client.call("set_offsets", group=group.group, topic=topic, offsets={"0": 3, "2": 7})
    found = client.call("committed", group=group.group, topic=topic, partitions=list(range(PARTITIONS)))["offsets"]
    assert found == [3, None, 7, None], found
