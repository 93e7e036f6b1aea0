#!/usr/bin/python3
"""librdkafka of Debian, through python3-confluent-kafka (which uses the system's library)."""
import sys
import threading
import time

import confluent_kafka as ck
from confluent_kafka import admin as ca

from protocol import pack, record, serve, unpack

ADMIN_S = 20
NAMED = {"earliest": ck.OFFSET_BEGINNING, "latest": ck.OFFSET_END}


class Member(threading.Thread):
    """A consumer of a group that polls by itself."""

    def __init__(self, config, topics):
        super().__init__(daemon=True)
        self.lock, self.records, self.assigned, self.ends, self.error = threading.Lock(), [], set(), False, None
        self.consumer = ck.Consumer(config)
        self.consumer.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke)
        self.start()

    def _assign(self, _, partitions):
        with self.lock:
            self.assigned |= {(p.topic, p.partition) for p in partitions}

    def _revoke(self, _, partitions):
        with self.lock:
            self.assigned -= {(p.topic, p.partition) for p in partitions}

    def run(self):
        while not self.ends:
            message = self.consumer.poll(0.1)
            if message is None:
                continue
            with self.lock:
                if message.error():
                    self.error = str(message.error())
                else:
                    self.records.append([message.partition(), message.offset(), pack(message.value())])
        self.consumer.close()

    def taken(self):
        with self.lock:
            records, self.records = self.records, []
            return {"records": records, "assignment": list(self.assigned), "trouble": self.error}

    def leave(self):
        self.ends = True
        self.join()


class Client:
    version = ck.libversion()[0]

    def __init__(self, address):
        self.base = {"bootstrap.servers": address, "log_level": 0}
        self.members = {}
        self.admin = ca.AdminClient(self.base)

    def close(self):
        for member in self.members.values():
            member.leave()

    # --- metadata ---

    def metadata(self, topic=None):
        found = self.admin.list_topics(topic, timeout=ADMIN_S)
        return {"brokers": [{"id": b.id, "host": b.host, "port": b.port} for b in found.brokers.values()],
                "topics": {name: len(t.partitions) for name, t in found.topics.items() if t.error is None}}

    def cluster(self):
        found = self.admin.list_topics(timeout=ADMIN_S)
        return {"brokers": len(found.brokers), "controller": found.controller_id, "id": found.cluster_id}

    # --- produce and consume ---

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False, transactional=None):
        config = dict(self.base, **{"compression.type": codec, "linger.ms": 20, "enable.idempotence": idempotent,
                                    "message.max.bytes": 2000000, "message.timeout.ms": 30000})
        config.update({"transactional.id": transactional} if transactional else {"acks": acks})
        producer, offsets, errors = ck.Producer(config), [None] * len(records), []
        if transactional:
            producer.init_transactions(10)
            producer.begin_transaction()
        for i, r in enumerate(records):
            self._send(producer, topic, r, lambda e, m, i=i: errors.append(str(e)) if e else
                       offsets.__setitem__(i, [m.partition(), m.offset()]))
        producer.flush(40)
        if errors:
            raise RuntimeError(errors[0])
        if transactional:
            producer.commit_transaction(10)
        return {"offsets": offsets}

    @staticmethod
    def _send(producer, topic, r, done):
        more = {}
        if r.get("partition") is not None:
            more["partition"] = r["partition"]
        if r.get("timestamp") is not None:
            more["timestamp"] = r["timestamp"]
        if r.get("headers"):
            more["headers"] = [(name, unpack(v)) for name, v in r["headers"]]
        producer.produce(topic, value=unpack(r["value"]), key=unpack(r.get("key")), on_delivery=done, **more)
        producer.poll(0)

    def fetch(self, topic, partition, start, count, timeout_s, reset="error"):
        consumer = ck.Consumer(dict(self.base, **{"group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": reset,
                                                  "fetch.message.max.bytes": 2000000}))
        try:
            consumer.assign([ck.TopicPartition(topic, partition, self._offset_of(consumer, topic, partition, start))])
            return {"records": self._read(consumer, count, time.monotonic() + timeout_s)}
        finally:
            consumer.close()

    @staticmethod
    def _offset_of(consumer, topic, partition, start):
        if isinstance(start, dict):
            return consumer.offsets_for_times([ck.TopicPartition(topic, partition, start["time_ms"])], timeout=ADMIN_S)[0].offset
        return NAMED.get(start, start)

    @staticmethod
    def _read(consumer, count, until):
        records = []
        while len(records) < count and time.monotonic() < until:
            m = consumer.poll(0.1)
            if m is None:
                continue
            if m.error():
                raise ck.KafkaException(m.error())
            records.append(record(m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), m.headers()))
        return records

    def offsets(self, topic, partition, at):
        consumer = ck.Consumer(dict(self.base, **{"group.id": "unused"}))
        try:
            if isinstance(at, dict):
                return {"offset": self._offset_of(consumer, topic, partition, at)}
            low, high = consumer.get_watermark_offsets(ck.TopicPartition(topic, partition), timeout=ADMIN_S)
            return {"offset": low if at == "earliest" else high}
        finally:
            consumer.close()

    # --- groups ---

    def join(self, member, group, topics, instance=None, assignor="range"):
        config = dict(self.base, **{"group.id": group, "auto.offset.reset": "earliest", "session.timeout.ms": 10000,
                                    "heartbeat.interval.ms": 300, "partition.assignment.strategy": assignor})
        if instance:
            config["group.instance.id"] = instance
        self.members[member] = Member(config, topics)

    def poll(self, member):
        return self.members[member].taken()

    def leave(self, member):
        self.members.pop(member).leave()

    def committed(self, group, topic, partitions):
        consumer = ck.Consumer(dict(self.base, **{"group.id": group}))
        try:
            found = consumer.committed([ck.TopicPartition(topic, p) for p in partitions], timeout=ADMIN_S)
            return {"offsets": [p.offset if p.offset >= 0 else None for p in found]}
        finally:
            consumer.close()

    def groups(self):
        return {"groups": [g.id for g in self.admin.list_groups(timeout=ADMIN_S)]}

    def describe_group(self, group):
        found = self.admin.list_groups(group, timeout=ADMIN_S)[0]
        return {"state": found.state, "members": [m.id for m in found.members]}

    # --- admin ---

    @staticmethod
    def _wait(futures):
        return [f.result(ADMIN_S) for f in futures.values()]

    def create_topic(self, topic, partitions, config=None):
        self._wait(self.admin.create_topics([ca.NewTopic(topic, partitions, 1, config=config or {})]))

    def delete_topic(self, topic):
        self._wait(self.admin.delete_topics([topic]))

    def grow_topic(self, topic, partitions):
        self._wait(self.admin.create_partitions([ca.NewPartitions(topic, partitions)]))

    def topic_config(self, topic):
        found = self._wait(self.admin.describe_configs([ca.ConfigResource(ca.RESOURCE_TOPIC, topic)]))[0]
        return {"config": {c.name: c.value for c in found.values()},
                "set": [c.name for c in found.values() if c.source == ca.ConfigSource.DYNAMIC_TOPIC_CONFIG.value]}

    def broker_config(self, broker):
        found = self._wait(self.admin.describe_configs([ca.ConfigResource(ca.RESOURCE_BROKER, str(broker))]))[0]
        return {"config": {c.name: c.value for c in found.values()}}

    def set_topic_config(self, topic, config):
        self._wait(self.admin.alter_configs([ca.ConfigResource(ca.RESOURCE_TOPIC, topic, set_config=config)]))


if __name__ == "__main__":
    serve(Client(sys.argv[1]))
