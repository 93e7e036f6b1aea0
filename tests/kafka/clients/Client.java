import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Apache Kafka's own client, both of version 3 and 4: a line of JSON in, a line out (README.md lists the commands). */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long ADMIN_S = 20;
    private static final Duration TICK = Duration.ofMillis(100);

    private final String address;
    private final Admin admin;
    private final Map<String, Member> members = new HashMap<>();

    private Client(String address) {
        this.address = address;
        this.admin = Admin.create(properties());
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        System.setOut(System.err);
        Client client = new Client(arguments[0]);
        out.println(object().put("version", AppInfoParser.getVersion()));
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            out.println(client.answer(JSON.readTree(line)));
        }
        client.close();
    }

    private static ObjectNode object() {
        return JSON.createObjectNode();
    }

    private ObjectNode answer(JsonNode command) {
        ObjectNode result = object();
        try {
            run(command.get("op").asText(), command, result);
        } catch (UnsupportedOperationException none) {
            return object().put("unsupported", true);
        } catch (Exception | Error error) {
            Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
            return object().put("error", cause.toString() + (cause.getCause() == null ? "" : "; " + cause.getCause()));
        }
        return result;
    }

    private void run(String op, JsonNode c, ObjectNode out) throws Exception {
        switch (op) {
            case "metadata": metadata(c, out); break;
            case "cluster": cluster(out); break;
            case "produce": produce(c, out); break;
            case "fetch": fetch(c, out); break;
            case "offsets": out.put("offset", offset(place(c), c.get("at"))); break;
            case "join": join(c); break;
            case "poll": members.get(c.get("member").asText()).taken(out); break;
            case "leave": members.remove(c.get("member").asText()).leave(); break;
            case "committed": committed(c, out); break;
            case "set_offsets": setOffsets(c); break;
            case "delete_offsets": deleteOffsets(c); break;
            case "groups": groups(out); break;
            case "describe_group": describeGroup(c, out); break;
            case "delete_group": wait(admin.deleteConsumerGroups(List.of(c.get("group").asText())).all()); break;
            case "create_topic": createTopic(c); break;
            case "delete_topic": wait(admin.deleteTopics(List.of(topic(c))).all()); break;
            case "grow_topic": growTopic(c); break;
            case "delete_records": deleteRecords(c, out); break;
            case "topic_config": topicConfig(c, out); break;
            case "broker_config": entries(describe(ConfigResource.Type.BROKER, c.get("broker").asText()), out); break;
            case "set_topic_config": setTopicConfig(c); break;
            case "log_dirs": logDirs(c, out); break;
            default: throw new UnsupportedOperationException(op);
        }
    }

    private void close() throws Exception {
        for (Member member : members.values()) {
            member.leave();
        }
        admin.close(Duration.ofSeconds(5));
    }

    // --- small things ---

    private Properties properties(Object... pairs) {
        Properties made = new Properties();
        made.put("bootstrap.servers", address);
        for (int i = 0; i < pairs.length; i += 2) {
            made.put(pairs[i], pairs[i + 1]);
        }
        return made;
    }

    private static <T> T wait(Future<T> future) throws Exception {
        return future.get(ADMIN_S, TimeUnit.SECONDS);
    }

    private static String topic(JsonNode c) {
        return c.get("topic").asText();
    }

    private static TopicPartition place(JsonNode c) {
        return new TopicPartition(topic(c), c.get("partition").asInt());
    }

    private static boolean has(JsonNode c, String name) {
        return c.has(name) && !c.get(name).isNull();
    }

    private static byte[] unpack(JsonNode text) {
        return text == null || text.isNull() ? null : Base64.getDecoder().decode(text.asText());
    }

    private static String pack(byte[] data) {
        return data == null ? null : Base64.getEncoder().encodeToString(data);
    }

    private static Map<String, String> strings(JsonNode node) {
        Map<String, String> made = new HashMap<>();
        if (node != null && !node.isNull()) {
            node.fields().forEachRemaining(e -> made.put(e.getKey(), e.getValue().asText()));
        }
        return made;
    }

    // --- metadata ---

    private void metadata(JsonNode c, ObjectNode out) throws Exception {
        ArrayNode brokers = out.putArray("brokers");
        for (Node node : wait(admin.describeCluster().nodes())) {
            brokers.addObject().put("id", node.id()).put("host", node.host()).put("port", node.port());
        }
        Set<String> names = has(c, "topic") ? Set.of(topic(c)) : wait(admin.listTopics().names());
        ObjectNode topics = out.putObject("topics");
        wait(admin.describeTopics(names).allTopicNames()).forEach((name, t) -> topics.put(name, t.partitions().size()));
    }

    private void cluster(ObjectNode out) throws Exception {
        out.put("brokers", wait(admin.describeCluster().nodes()).size());
        out.put("controller", wait(admin.describeCluster().controller()).id());
        out.put("id", wait(admin.describeCluster().clusterId()));
    }

    // --- produce and consume ---

    private void produce(JsonNode c, ObjectNode out) throws Exception {
        boolean idempotent = c.path("idempotent").asBoolean(), transactional = has(c, "transactional");
        Properties options = properties("compression.type", c.path("codec").asText("none"), "linger.ms", "20", "enable.idempotence",
            String.valueOf(idempotent || transactional), "max.request.size", "2000000", "delivery.timeout.ms", "30000",
            "request.timeout.ms", "15000", "max.block.ms", "15000");
        options.put("acks", transactional || idempotent ? "all" : c.path("acks").asText("-1"));
        if (transactional) {
            options.put("transactional.id", c.get("transactional").asText());
        }
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer())) {
            if (transactional) {
                producer.initTransactions();
                producer.beginTransaction();
            }
            send(producer, c, out.putArray("offsets"));
            if (transactional) {
                producer.commitTransaction();
            }
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, JsonNode c, ArrayNode offsets) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (JsonNode r : c.get("records")) {
            ProducerRecord<byte[], byte[]> made = new ProducerRecord<>(topic(c), has(r, "partition") ? r.get("partition").asInt() : null,
                has(r, "timestamp") ? r.get("timestamp").asLong() : null, unpack(r.get("key")), unpack(r.get("value")));
            for (JsonNode header : r.path("headers")) {
                made.headers().add(header.get(0).asText(), unpack(header.get(1)));
            }
            sent.add(producer.send(made));
        }
        producer.flush();
        for (Future<RecordMetadata> one : sent) {
            RecordMetadata done = wait(one);
            offsets.addArray().add(done.partition()).add(done.offset());
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(Object... pairs) {
        return new KafkaConsumer<>(properties(pairs), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private void fetch(JsonNode c, ObjectNode out) throws Exception {
        String reset = has(c, "reset") ? c.get("reset").asText() : "none";
        TopicPartition place = place(c);
        long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(c.get("timeout_s").asLong());
        try (KafkaConsumer<byte[], byte[]> consumer = consumer("auto.offset.reset", reset, "max.partition.fetch.bytes", "2000000")) {
            consumer.assign(List.of(place));
            consumer.seek(place, c.get("start").isNumber() ? c.get("start").asLong() : offset(place, c.get("start")));
            ArrayNode records = out.putArray("records");
            while (records.size() < c.get("count").asInt() && System.nanoTime() < until) {
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(TICK)) {
                    add(records, r);
                }
            }
        }
    }

    private static void add(ArrayNode records, ConsumerRecord<byte[], byte[]> r) {
        ObjectNode made = records.addObject().put("partition", r.partition()).put("offset", r.offset()).put("timestamp", r.timestamp())
            .put("key", pack(r.key())).put("value", pack(r.value()));
        ArrayNode headers = made.putArray("headers");
        for (Header header : r.headers()) {
            headers.addArray().add(header.key()).add(pack(header.value()));
        }
    }

    private long offset(TopicPartition place, JsonNode at) throws Exception {
        OffsetSpec wanted = at.isObject() ? OffsetSpec.forTimestamp(at.get("time_ms").asLong())
            : at.asText().equals("earliest") ? OffsetSpec.earliest() : OffsetSpec.latest();
        return wait(admin.listOffsets(Map.of(place, wanted)).partitionResult(place)).offset();
    }

    // --- groups ---

    /** A consumer of a group that polls by itself. */
    private final class Member extends Thread implements ConsumerRebalanceListener {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final List<Object[]> records = new ArrayList<>();
        private final Set<TopicPartition> assigned = new HashSet<>();
        private volatile boolean ends;
        private String trouble;

        Member(Properties options, List<String> topics) {
            consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(topics, this);
            start();
        }

        @Override public synchronized void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assigned.addAll(partitions);
        }

        @Override public synchronized void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            assigned.removeAll(partitions);
        }

        @Override public void run() {
            try {
                while (!ends) {
                    for (ConsumerRecord<byte[], byte[]> r : consumer.poll(TICK)) {
                        synchronized (this) {
                            records.add(new Object[] {r.partition(), r.offset(), pack(r.value())});
                        }
                    }
                }
                consumer.close();
            } catch (RuntimeException error) {
                synchronized (this) {
                    trouble = error.toString();
                }
            }
        }

        synchronized void taken(ObjectNode out) {
            out.set("records", JSON.valueToTree(records));
            records.clear();
            ArrayNode some = out.putArray("assignment");
            assigned.forEach(p -> some.addArray().add(p.topic()).add(p.partition()));
            out.put("trouble", trouble);
        }

        void leave() throws InterruptedException {
            ends = true;
            join();
        }
    }

    private void join(JsonNode c) {
        String assignor = c.path("assignor").asText("range").equals("range") ? "RangeAssignor" : "CooperativeStickyAssignor";
        Properties options = properties("group.id", c.get("group").asText(), "auto.offset.reset", "earliest", "session.timeout.ms", "10000",
            "heartbeat.interval.ms", "300", "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        if (has(c, "instance")) {
            options.put("group.instance.id", c.get("instance").asText());
        }
        List<String> topics = new ArrayList<>();
        c.get("topics").forEach(t -> topics.add(t.asText()));
        members.put(c.get("member").asText(), new Member(options, topics));
    }

    private void committed(JsonNode c, ObjectNode out) throws Exception {
        String group = c.get("group").asText();
        Map<TopicPartition, OffsetAndMetadata> found = wait(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        ArrayNode offsets = out.putArray("offsets");
        for (JsonNode p : c.get("partitions")) {
            OffsetAndMetadata at = found.get(new TopicPartition(topic(c), p.asInt()));
            offsets.add(at == null ? null : (Long) at.offset());
        }
    }

    private void setOffsets(JsonNode c) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        strings(c.get("offsets")).forEach((p, at) ->
            offsets.put(new TopicPartition(topic(c), Integer.parseInt(p)), new OffsetAndMetadata(Long.parseLong(at))));
        wait(admin.alterConsumerGroupOffsets(c.get("group").asText(), offsets).all());
    }

    private void deleteOffsets(JsonNode c) throws Exception {
        Set<TopicPartition> places = new HashSet<>();
        c.get("partitions").forEach(p -> places.add(new TopicPartition(topic(c), p.asInt())));
        wait(admin.deleteConsumerGroupOffsets(c.get("group").asText(), places).all());
    }

    private void groups(ObjectNode out) throws Exception {
        ArrayNode names = out.putArray("groups");
        wait(admin.listConsumerGroups().all()).forEach(g -> names.add(g.groupId()));
    }

    private void describeGroup(JsonNode c, ObjectNode out) throws Exception {
        String group = c.get("group").asText();
        ConsumerGroupDescription found = wait(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        out.put("state", found.state().toString());
        ArrayNode names = out.putArray("members");
        found.members().forEach(m -> names.add(m.consumerId()));
    }

    // --- admin ---

    private void createTopic(JsonNode c) throws Exception {
        NewTopic made = new NewTopic(topic(c), c.get("partitions").asInt(), (short) 1).configs(strings(c.get("config")));
        wait(admin.createTopics(List.of(made)).all());
    }

    private void growTopic(JsonNode c) throws Exception {
        wait(admin.createPartitions(Map.of(topic(c), NewPartitions.increaseTo(c.get("partitions").asInt()))).all());
    }

    private void deleteRecords(JsonNode c, ObjectNode out) throws Exception {
        TopicPartition place = place(c);
        RecordsToDelete before = RecordsToDelete.beforeOffset(c.get("before").asLong());
        out.put("low", wait(admin.deleteRecords(Map.of(place, before)).lowWatermarks().get(place)).lowWatermark());
    }

    private Config describe(ConfigResource.Type type, String name) throws Exception {
        ConfigResource resource = new ConfigResource(type, name);
        return wait(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private static void entries(Config found, ObjectNode out) {
        ObjectNode config = out.putObject("config");
        found.entries().forEach(e -> config.put(e.name(), e.value()));
    }

    private void topicConfig(JsonNode c, ObjectNode out) throws Exception {
        Config found = describe(ConfigResource.Type.TOPIC, topic(c));
        entries(found, out);
        ArrayNode set = out.putArray("set");
        for (ConfigEntry e : found.entries()) {
            if (e.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG) {
                set.add(e.name());
            }
        }
    }

    private void setTopicConfig(JsonNode c) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        strings(c.get("config")).forEach((name, value) ->
            changes.add(new AlterConfigOp(new ConfigEntry(name, value), AlterConfigOp.OpType.SET)));
        wait(admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic(c)), changes)).all());
    }

    private void logDirs(JsonNode c, ObjectNode out) throws Exception {
        ObjectNode sizes = out.putObject("sizes");
        int node = wait(admin.describeCluster().nodes()).iterator().next().id();
        wait(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values().forEach(folder ->
            folder.replicaInfos().forEach((place, info) -> {
                if (place.topic().equals(topic(c))) {
                    sizes.put(String.valueOf(place.partition()), info.size());
                }
            }));
    }
}
