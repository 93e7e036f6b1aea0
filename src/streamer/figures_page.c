/* Figures in the Prometheus text format. Tables of names, which are the reference page too; partitions are summed by topic, how
 * far groups lag by group and topic. Past LIMIT_STREAM_FIGURES of either the rest is counted together under "other". */
#include <stdlib.h>

#include "base/limits.h"
#include "streamer/figures.h"

struct figure {
    const char *name, *type, *labels, *help;
};

enum broker_figure {
    CONNECTIONS_OPEN,
    CONNECTIONS_ACCEPTED,
    CONNECTIONS_REFUSED,
    PROTOCOL_FAULTS,
    RECEIVED_BYTES,
    SENT_BYTES,
    HELD_BYTES,
    JOURNAL_APPENDS,
    JOURNAL_BYTES,
    JOURNAL_FLUSHES,
    JOURNAL_FLUSH_SECONDS,
    JOURNAL_FILES,
    JOURNAL_HEALTHY,
    TOPICS,
    PARTITIONS,
    GROUPS,
    BROKER_FIGURES
};

static const struct figure broker_figures[BROKER_FIGURES] = {
    [CONNECTIONS_OPEN] = {"memorystreamer_connections_open", "gauge", "", "Connections now."},
    [CONNECTIONS_ACCEPTED] = {"memorystreamer_connections_accepted_total", "counter", "",
                              "Connections that have come."},
    [CONNECTIONS_REFUSED] = {"memorystreamer_connections_refused_total", "counter", "",
                             "Connections closed at once: there were as many as may be."},
    [PROTOCOL_FAULTS] = {"memorystreamer_protocol_faults_total", "counter", "",
                         "Connections closed for breaking the protocol, or for being too slow."},
    [RECEIVED_BYTES] = {"memorystreamer_received_bytes_total", "counter", "", "Bytes read from connections."},
    [SENT_BYTES] = {"memorystreamer_sent_bytes_total", "counter", "", "Bytes written to connections."},
    [HELD_BYTES] = {"memorystreamer_held_bytes", "gauge", "", "Bytes of requests and answers under way."},
    [JOURNAL_APPENDS] = {"memorystreamer_journal_appends_total", "counter", "", "Batches written."},
    [JOURNAL_BYTES] = {"memorystreamer_journal_appended_bytes_total", "counter", "", "Bytes of them."},
    [JOURNAL_FLUSHES] = {"memorystreamer_journal_flushes_total", "counter", "",
                         "Syncs of the write-ahead stream: batches with durability flush by these is the group."},
    [JOURNAL_FLUSH_SECONDS] = {"memorystreamer_journal_flush_seconds_total", "counter", "", "Time spent in them."},
    [JOURNAL_FILES] = {"memorystreamer_journal_files_open", "gauge", "", "Segments that are kept open."},
    [JOURNAL_HEALTHY] = {"memorystreamer_journal_healthy", "gauge", "",
                         "1: it takes writes; 0: the disk is full, or a write or sync has failed."},
    [TOPICS] = {"memorystreamer_topics", "gauge", "", "Topics."},
    [PARTITIONS] = {"memorystreamer_partitions", "gauge", "", "Partitions of all topics."},
    [GROUPS] = {"memorystreamer_groups", "gauge", "", "Groups of consumers."},
};

enum topic_figure {
    TOPIC_RECORDS_IN,
    TOPIC_BYTES_IN,
    TOPIC_BYTES_OUT,
    TOPIC_BYTES,
    TOPIC_RECORDS,
    TOPIC_FAILED,
    TOPIC_FIGURES
};

static const struct figure topic_figures[TOPIC_FIGURES] = {
    [TOPIC_RECORDS_IN] = {"memorystreamer_topic_records_in_total", "counter", "`topic`",
                          "Records stored since the start."},
    [TOPIC_BYTES_IN] = {"memorystreamer_topic_bytes_in_total", "counter", "`topic`", "Bytes of them."},
    [TOPIC_BYTES_OUT] = {"memorystreamer_topic_bytes_out_total", "counter", "`topic`",
                         "Bytes fetched since the start."},
    [TOPIC_BYTES] = {"memorystreamer_topic_bytes", "gauge", "`topic`", "Bytes of its segments."},
    [TOPIC_RECORDS] = {"memorystreamer_topic_records", "gauge", "`topic`",
                       "Offsets from the start to the end of its partitions."},
    [TOPIC_FAILED] = {"memorystreamer_topic_partitions_failed", "gauge", "`topic`",
                      "Partitions without service, or with damage."},
};

static const struct figure group_members = {"memorystreamer_group_members", "gauge", "`group`, `state`",
                                            "Members of a group."};
static const struct figure group_lag = {
    "memorystreamer_group_lag", "gauge", "`group`, `topic`",
    "Records behind what the group has committed, in the partitions that it has committed."};

static void put_head(const struct figure *f, struct buf *out)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
}

/* As Prometheus wants it between quotes. */
static void put_label(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\n')
            buf_puts(out, "\\n");
        else if (text.data[i] == '"' || text.data[i] == '\\')
            buf_printf(out, "\\%c", text.data[i]);
        else
            buf_putc(out, (char)text.data[i]);
    }
}

/* --- the broker --------------------------------------------------------------------------------------------------------------- */

static void add_shard(const struct shard_figures *f, double sums[BROKER_FIGURES])
{
    sums[CONNECTIONS_OPEN] += f->connections.open;
    sums[CONNECTIONS_ACCEPTED] += (double)f->connections.accepted;
    sums[CONNECTIONS_REFUSED] += (double)f->connections.refused;
    sums[PROTOCOL_FAULTS] += (double)f->connections.faults;
    sums[RECEIVED_BYTES] += (double)f->connections.bytes_in;
    sums[SENT_BYTES] += (double)f->connections.bytes_out;
    sums[HELD_BYTES] += (double)f->connections.frame_bytes;
    sums[JOURNAL_APPENDS] += (double)f->journal.appends;
    sums[JOURNAL_BYTES] += (double)f->journal.appended_bytes;
    sums[JOURNAL_FLUSHES] += (double)f->journal.flushes;
    sums[JOURNAL_FLUSH_SECONDS] += (double)f->journal.flush_ns / 1e9;
    sums[JOURNAL_FILES] += f->journal.files_open;
    sums[JOURNAL_HEALTHY] *= !f->journal.failed && !f->journal.disk_full;
    sums[GROUPS] += f->group_count;
}

static void put_broker(const struct figures *all, struct buf *out)
{
    double sums[BROKER_FIGURES] = {[JOURNAL_HEALTHY] = 1};
    for (uint32_t i = 0; i < all->shard_count; i++)
        add_shard(&all->shards[i], sums);
    sums[TOPICS] = all->shards[0].topics->count;
    sums[PARTITIONS] = (double)all->shards[0].topics->partitions;
    for (enum broker_figure i = 0; i < BROKER_FIGURES; i++) {
        put_head(&broker_figures[i], out);
        buf_printf(out, "%s %.15g\n", broker_figures[i].name, sums[i]);
    }
}

/* --- topics ------------------------------------------------------------------------------------------------------------------- */

struct topic_sums {
    double values[TOPIC_FIGURES];
};

static void add_partition(const struct partition_figures *p, struct topic_sums *sums)
{
    sums->values[TOPIC_RECORDS_IN] += (double)p->records_in;
    sums->values[TOPIC_BYTES_IN] += (double)p->bytes_in;
    sums->values[TOPIC_BYTES_OUT] += (double)p->bytes_out;
    sums->values[TOPIC_BYTES] += (double)p->bytes;
    sums->values[TOPIC_RECORDS] += (double)(p->end - p->start);
    sums->values[TOPIC_FAILED] += p->failed;
}

static int by_name(const void *name, const void *topic)
{
    return slice_cmp(*(const struct slice *)name, (*(const struct topic *const *)topic)->name);
}

/* Its place among the topics; a topic that has come or gone meanwhile has none: the place behind the last. */
static uint32_t place_of(const struct topics *topics, struct slice name)
{
    const struct topic **found = bsearch(&name, topics->sorted, topics->count, sizeof *topics->sorted, by_name);
    return found ? (uint32_t)(found - topics->sorted) : topics->count;
}

static uint32_t topics_shown(const struct topics *topics)
{
    return topics->count < LIMIT_STREAM_FIGURES ? topics->count : LIMIT_STREAM_FIGURES;
}

static void put_topic_figure(const struct topics *topics, enum topic_figure which, const struct topic_sums *sums,
                             struct buf *out)
{
    uint32_t shown = topics_shown(topics);
    put_head(&topic_figures[which], out);
    for (uint32_t i = 0; i < shown; i++)
        buf_printf(out, "%s{topic=\"%.*s\"} %.15g\n", topic_figures[which].name, SLICE_ARG(topics->sorted[i]->name),
                   sums[i].values[which]);
    if (topics->count > shown)
        buf_printf(out, "%s{topic=\"other\"} %.15g\n", topic_figures[which].name, sums[shown].values[which]);
}

static void put_topics(const struct figures *all, struct arena *arena, struct buf *out)
{
    const struct topics *topics = all->shards[0].topics;
    uint32_t shown = topics_shown(topics);
    struct topic_sums *sums = arena_array(arena, struct topic_sums, shown + 1);
    if (!sums)
        return;
    for (uint32_t i = 0; i < all->shard_count; i++)
        for (uint32_t p = 0; p < all->shards[i].partition_count; p++) {
            const struct partition_figures *f = &all->shards[i].partitions[p];
            uint32_t place = place_of(topics, f->topic->name);
            add_partition(f, &sums[place < shown ? place : shown]);
        }
    for (enum topic_figure which = 0; which < TOPIC_FIGURES; which++)
        put_topic_figure(topics, which, sums, out);
}

/* --- groups ------------------------------------------------------------------------------------------------------------------- */

static void put_members(const struct figures *all, struct buf *out)
{
    uint32_t shown = 0;
    put_head(&group_members, out);
    for (uint32_t i = 0; i < all->shard_count; i++)
        for (uint32_t g = 0; g < all->shards[i].group_count && shown < LIMIT_STREAM_FIGURES; g++, shown++) {
            const struct group_figures *f = &all->shards[i].groups[g];
            buf_printf(out, "%s{group=\"", group_members.name);
            put_label(f->group, out);
            buf_printf(out, "\",state=\"%s\"} %u\n", f->state, f->members);
        }
}

/* The end of a partition, by topic and number: sorted, to be looked up. */
struct partition_end {
    struct kafka_uuid topic;
    uint32_t index;
    int64_t end;
};

static int by_partition(const void *a, const void *b)
{
    const struct partition_end *x = a, *y = b;
    int order = memcmp(&x->topic, &y->topic, sizeof x->topic);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static struct partition_end *ends_of(const struct figures *all, struct arena *arena, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < all->shard_count; i++)
        count += all->shards[i].partition_count;
    struct partition_end *ends = arena_array(arena, struct partition_end, count + 1);
    count = 0;
    for (uint32_t i = 0; ends && i < all->shard_count; i++)
        for (uint32_t p = 0; p < all->shards[i].partition_count; p++) {
            const struct partition_figures *f = &all->shards[i].partitions[p];
            ends[count++] = (struct partition_end){f->topic->id, f->index, f->end};
        }
    if (ends)
        qsort(ends, count, sizeof *ends, by_partition);
    *ret_count = count;
    return ends;
}

/* By group, then topic. */
static int by_group(const void *a, const void *b)
{
    const struct offset_figures *x = a, *y = b;
    int order = slice_cmp(x->group, y->group);
    return order ? order : memcmp(&x->topic, &y->topic, sizeof x->topic);
}

static double lag_of(const struct offset_figures *o, const struct partition_end *ends, uint32_t count)
{
    const struct partition_end key = {.topic = o->topic, .index = o->partition};
    const struct partition_end *end = bsearch(&key, ends, count, sizeof *ends, by_partition);
    return end && end->end > o->offset ? (double)(end->end - o->offset) : 0;
}

static void put_lag(const struct offset_figures *o, const struct topics *topics, double lag, struct buf *out)
{
    const struct topic *topic = topics_find_id(topics, &o->topic);
    if (!topic)
        return;
    buf_printf(out, "%s{group=\"", group_lag.name);
    put_label(o->group, out);
    buf_printf(out, "\",topic=\"%.*s\"} %.15g\n", SLICE_ARG(topic->name), lag);
}

static void put_lags_of(struct shard_figures *f, const struct topics *topics, const struct partition_end *ends,
                        uint32_t end_count, uint32_t *shown, struct buf *out)
{
    qsort(f->offsets, f->offset_count, sizeof *f->offsets, by_group);
    for (uint32_t i = 0; i < f->offset_count && *shown < LIMIT_STREAM_FIGURES; ++*shown) {
        const struct offset_figures *first = &f->offsets[i];
        double lag = 0;
        for (; i < f->offset_count && by_group(first, &f->offsets[i]) == 0; i++)
            lag += lag_of(&f->offsets[i], ends, end_count);
        put_lag(first, topics, lag, out);
    }
}

static void put_lags(const struct figures *all, struct arena *arena, struct buf *out)
{
    uint32_t count, shown = 0;
    struct partition_end *ends = ends_of(all, arena, &count);
    put_head(&group_lag, out);
    for (uint32_t i = 0; ends && i < all->shard_count; i++)
        put_lags_of(&all->shards[i], all->shards[0].topics, ends, count, &shown, out);
}

/* --- the page ----------------------------------------------------------------------------------------------------------------- */

void figures_write(const struct figures *all, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, 512 << 20);
    put_broker(all, out);
    put_topics(all, &arena, out);
    put_members(all, out);
    put_lags(all, &arena, out);
    arena_fini(&arena);
}

static void put_row(const struct figure *f, struct buf *out)
{
    buf_printf(out, "| `%s` | %s | %s | %s |\n", f->name, f->type, f->labels, f->help);
}

void figures_reference(struct buf *out)
{
    for (enum broker_figure i = 0; i < BROKER_FIGURES; i++)
        put_row(&broker_figures[i], out);
    for (enum topic_figure i = 0; i < TOPIC_FIGURES; i++)
        put_row(&topic_figures[i], out);
    put_row(&group_members, out);
    put_row(&group_lag, out);
}
