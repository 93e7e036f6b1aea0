#!/usr/bin/python3
"""kafka-python of Debian (python3-kafka), which speaks the protocol in Python."""
import sys
import threading
import time

import kafka
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import TopicPartition

from protocol import Unsupported, pack, record, serve, unpack


class Member(threading.Thread, ConsumerRebalanceListener):
    """A consumer of a group that polls by itself."""

    def __init__(self, consumer, topics):
        super().__init__(daemon=True)
        self.lock, self.records, self.assigned, self.ends, self.trouble = threading.Lock(), [], [], False, None
        self.consumer = consumer
        consumer.subscribe(topics, listener=self)
        self.start()

    def on_partitions_assigned(self, assigned):
        with self.lock:
            self.assigned = [[p.topic, p.partition] for p in assigned]

    def on_partitions_revoked(self, revoked):
        with self.lock:
            self.assigned = []

    def run(self):
        while not self.ends:
            found = self.consumer.poll(100)
            with self.lock:
                for records in found.values():
                    self.records += [[r.partition, r.offset, pack(r.value)] for r in records]
        self.consumer.close()

    def taken(self):
        with self.lock:
            records, self.records = self.records, []
            return {"records": records, "assignment": list(self.assigned), "trouble": self.trouble}

    def leave(self):
        self.ends = True
        self.join()


class Client:
    version = kafka.__version__

    def __init__(self, address):
        self.address, self.members, self._admin = address, {}, None

    def close(self):
        for member in self.members.values():
            member.leave()

    @property
    def admin(self):
        if self._admin is None:
            self._admin = kafka.KafkaAdminClient(bootstrap_servers=self.address)
        return self._admin

    # --- metadata ---

    def metadata(self, topic=None):
        cluster = self.admin.describe_cluster()
        topics = self.admin.describe_topics([topic] if topic else None)
        return {"brokers": [{"id": b["node_id"], "host": b["host"], "port": b["port"]} for b in cluster["brokers"]],
                "topics": {t["topic"]: len(t["partitions"]) for t in topics if t["error_code"] == 0}}

    def cluster(self):
        found = self.admin.describe_cluster()
        return {"brokers": len(found["brokers"]), "controller": found["controller_id"], "id": found.get("cluster_id")}

    # --- produce and consume ---

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False, transactional=None):
        if idempotent or transactional:
            raise Unsupported
        producer = kafka.KafkaProducer(bootstrap_servers=self.address, acks="all" if acks == -1 else acks, linger_ms=20,
                                       compression_type=None if codec == "none" else codec, max_request_size=2000000)
        try:
            futures = [producer.send(topic, value=unpack(r["value"]), key=unpack(r.get("key")), partition=r.get("partition"),
                                     timestamp_ms=r.get("timestamp"),
                                     headers=[(name, unpack(v)) for name, v in r.get("headers") or []]) for r in records]
            producer.flush(40)
            done = [f.get(20) for f in futures]
            return {"offsets": [[d.partition, d.offset] for d in done]}
        finally:
            producer.close()

    def _consumer(self, **options):
        return kafka.KafkaConsumer(bootstrap_servers=self.address, max_partition_fetch_bytes=2000000, **options)

    def fetch(self, topic, partition, start, count, timeout_s, reset="none"):
        consumer, place = self._consumer(auto_offset_reset=reset), TopicPartition(topic, partition)
        try:
            consumer.assign([place])
            self._seek(consumer, place, start)
            return {"records": self._read(consumer, count, time.monotonic() + timeout_s)}
        finally:
            consumer.close()

    @staticmethod
    def _seek(consumer, place, start):
        if isinstance(start, dict):
            start = consumer.offsets_for_times({place: start["time_ms"]})[place].offset
        if start == "earliest":
            consumer.seek_to_beginning(place)
        elif start == "latest":
            consumer.seek_to_end(place)
        else:
            consumer.seek(place, start)

    @staticmethod
    def _read(consumer, count, until):
        records = []
        while len(records) < count and time.monotonic() < until:
            for found in consumer.poll(100).values():
                records += [record(r.partition, r.offset, r.timestamp, r.key, r.value, r.headers) for r in found]
        return records[:count]

    def offsets(self, topic, partition, at):
        consumer, place = self._consumer(), TopicPartition(topic, partition)
        try:
            if isinstance(at, dict):
                found = consumer.offsets_for_times({place: at["time_ms"]})[place]
                return {"offset": found.offset if found else -1}
            ask = consumer.beginning_offsets if at == "earliest" else consumer.end_offsets
            return {"offset": ask([place])[place]}
        finally:
            consumer.close()

    # --- groups ---

    def join(self, member, group, topics, instance=None, assignor="range"):
        if instance or assignor != "range":
            raise Unsupported
        consumer = self._consumer(group_id=group, auto_offset_reset="earliest", session_timeout_ms=10000, heartbeat_interval_ms=300)
        self.members[member] = Member(consumer, topics)

    def poll(self, member):
        return self.members[member].taken()

    def leave(self, member):
        self.members.pop(member).leave()

    def committed(self, group, topic, partitions):
        found = self.admin.list_consumer_group_offsets(group, partitions=[TopicPartition(topic, p) for p in partitions])
        at = [found.get(TopicPartition(topic, p)) for p in partitions]
        return {"offsets": [a.offset if a is not None and a.offset >= 0 else None for a in at]}

    def groups(self):
        return {"groups": [name for name, _ in self.admin.list_consumer_groups()]}

    def describe_group(self, group):
        found = self.admin.describe_consumer_groups([group])[0]
        return {"state": found.state, "members": [m.member_id for m in found.members]}

    def delete_group(self, group):
        for _, error in self.admin.delete_consumer_groups([group]):
            if error is not kafka.errors.NoError:
                raise error

    # --- admin ---

    def create_topic(self, topic, partitions, config=None):
        self.admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=config or {})])

    def delete_topic(self, topic):
        self.admin.delete_topics([topic])

    def grow_topic(self, topic, partitions):
        self.admin.create_partitions({topic: NewPartitions(partitions)})

    def _configs(self, kind, name):
        answer = self.admin.describe_configs([ConfigResource(kind, name)])[0]
        error, text, _, _, entries = answer.resources[0]
        if error:
            raise RuntimeError("%d %s" % (error, text))
        return entries

    def topic_config(self, topic):
        entries = self._configs(ConfigResourceType.TOPIC, topic)
        return {"config": {e[0]: e[1] for e in entries}, "set": [e[0] for e in entries if e[3] == 1]}

    def broker_config(self, broker):
        return {"config": {e[0]: e[1] for e in self._configs(ConfigResourceType.BROKER, str(broker))}}

    def set_topic_config(self, topic, config):
        answer = self.admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=config)])
        for error, text, _, _ in answer.resources:
            if error:
                raise RuntimeError("%d %s" % (error, text))


if __name__ == "__main__":
    serve(Client(sys.argv[1]))
