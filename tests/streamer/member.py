#!/usr/bin/python3
"""usage: member.py ADDRESS GROUP TOPIC COUNT     so many members of a group, by librdkafka; ends with its standard input

Prints a line of JSON whenever what one of them has changes: {"member": 3, "has": [0, 7], "changes": 2}."""
import json
import select
import sys

from confluent_kafka import Consumer

ADDRESS, GROUP, TOPIC, COUNT = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
told = {}


def tell(index, has, changed):
    changes = told.get(index, (None, 0))[1] + changed
    if told.get(index) != (has, changes):
        told[index] = (has, changes)
        print(json.dumps({"member": index, "has": has, "changes": changes}), flush=True)


def member(index):
    def assigned(consumer, partitions):
        consumer.assign(partitions)
        tell(index, sorted(p.partition for p in partitions), 1)

    def revoked(consumer, _):
        consumer.unassign()
        tell(index, [], 0)
    consumer = Consumer({"bootstrap.servers": ADDRESS, "group.id": GROUP, "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([TOPIC], on_assign=assigned, on_revoke=revoked)
    return consumer


members = [member(i) for i in range(COUNT)]
while not select.select([sys.stdin], [], [], 0)[0]:
    for consumer in members:
        consumer.poll(0.01)
for consumer in members:
    consumer.close()
