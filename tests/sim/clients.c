/* The clients. A producer has a lane to each partition: numbered batches, a few of them under way, sent again in their order
 * until each is acknowledged. A consumer is its own group: it polls all partitions, commits where it is, and goes on from its
 * last commit when the server comes back. Requests and answers take their time, and are lost when connections are cut.
 *
 *   batch:  waiting ──send──▶ under way ──answer──▶ acknowledged
 *              ▲                 └── refused, lost: the lane goes back to its first batch that is not acknowledged
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kafka/batch.h"
#include "tests/sim/run.h"

enum {
    WINDOW = 3,
    MS = 1000000,
    POLL_BYTES = 3000,
    POLL_MS = 7,
    AGAIN_MS = 10,
    POLLS_A_COMMIT = 3,
    MESSAGE_BYTES = 1 << 20
};
enum { CONSUMER_PROCESS = 100, GROUP_PROCESS = 200 };

struct lane {
    struct clients *clients;
    uint32_t producer, partition;
    uint32_t first_record[BATCHES_MAX + 1];
    uint32_t acked, next, sent; /* batches: acknowledged in order, to be sent next, sent ever */
    uint32_t under_way;
    bool again; /* goes back when nothing is under way any more */
    int16_t epoch;
    uint32_t epoch_record; /* of which the sequence is 0 */
};

/* One request; then its answer. */
struct message {
    struct produce produce; /* first, or */
    struct commit commit;
    struct clients *clients;
    struct lane *lane; /* NULL: a commit */
    struct timer timer;
    uint32_t generation; /* of the connections */
    uint32_t batch;
    bool answered; /* on its way back */
    bool at_node;  /* the timer does not run */
    enum err err;
    int64_t offset;
    struct buf bytes;
    struct message *next, **link; /* of all */
};

struct consumer {
    struct clients *clients;
    uint32_t index;
    struct timer timer;
    int64_t position[PARTITIONS_MAX];
    uint32_t polls;
    bool committing;
};

struct clients {
    struct run *run;
    struct lane lanes[PRODUCERS_MAX * PARTITIONS_MAX];
    uint32_t lane_count;
    struct consumer consumers[CONSUMERS_MAX];
    bool connected;
    uint32_t generation;
    uint64_t last_ns[PRODUCERS_MAX][2]; /* when the last request, and answer, of a producer arrives */
    struct timer pump;                  /* sends what may be sent */
    struct message *messages;
};

/* ---- messages ------------------------------------------------------------------------------------------------------------------ */

static void free_message(struct message *m)
{
    *m->link = m->next;
    if (m->next)
        m->next->link = m->link;
    timer_stop(m->clients->run->loop, &m->timer);
    buf_fini(&m->bytes);
    mem_free(m);
}

/* Nothing overtakes on a connection. */
static void travel(struct message *m)
{
    struct run *r = m->clients->run;
    uint64_t due = loop_now_ns(r->loop) + sim_choose(r->sim, r->choices.delay_ms + 1) * MS;
    if (m->lane) {
        uint64_t *last = &m->clients->last_ns[m->lane->producer][m->answered];
        *last = due = due > *last + MS ? due : *last + MS;
    }
    timer_start(r->loop, &m->timer, due);
}

static void pump_soon(struct clients *c, uint64_t ms)
{
    if (!timer_active(&c->pump))
        timer_start(c->run->loop, &c->pump, loop_now_ns(c->run->loop) + ms * MS);
}

static void on_acked(struct message *m);
static void on_commit_answered(struct message *m);

static void on_arrived(struct timer *t)
{
    struct message *m = (struct message *)((char *)t - offsetof(struct message, timer));
    struct clients *c = m->clients;
    bool lost = m->generation != c->generation || !c->connected;
    if (!lost && !m->answered) {
        m->at_node = true;
        if (m->lane) {
            m->produce.batch = buf_slice(&m->bytes);
            node_produce(c->run->node, &m->produce);
        } else {
            node_commit(c->run->node, &m->commit);
        }
        return;
    }
    if (!lost && m->lane)
        on_acked(m);
    else if (!lost)
        on_commit_answered(m);
    free_message(m);
}

static void answered(struct message *m, enum err e, int64_t offset)
{
    m->at_node = false;
    m->answered = true;
    m->err = e;
    m->offset = offset;
    travel(m);
}

static void on_produced(struct produce *p, enum err e, int64_t offset)
{
    answered((struct message *)p, e, offset);
}

static void on_committed(struct commit *commit, enum err e)
{
    answered((struct message *)((char *)commit - offsetof(struct message, commit)), e, -1);
}

static struct message *new_message(struct clients *c)
{
    struct message *m = mem_zalloc(sizeof *m);
    if (!m)
        return NULL;
    m->clients = c;
    m->generation = c->generation;
    m->timer.fire = on_arrived;
    m->produce.answer = on_produced;
    m->commit.answer = on_committed;
    buf_init(&m->bytes, MESSAGE_BYTES);
    m->next = c->messages;
    m->link = &c->messages;
    if (m->next)
        m->next->link = &m->next;
    c->messages = m;
    return m;
}

/* ---- producers ------------------------------------------------------------------------------------------------------------------ */

static uint64_t value_of(const struct lane *l, uint32_t record)
{
    return (uint64_t)(l->producer + 1) << 48 | (uint64_t)l->partition << 40 | record;
}

static void add_record(const struct lane *l, struct batch_builder *b, uint32_t record, int64_t now_ms)
{
    uint8_t bytes[8192];
    uint64_t value = value_of(l, record);
    size_t size = sizeof value + hash_mix(value) % l->clients->run->choices.value_bytes_max;
    for (size_t i = 0; i < size; i++)
        bytes[i] = i < sizeof value ? (uint8_t)(value >> (56 - 8 * i)) : (uint8_t)(value + i);
    batch_add(b, now_ms, SLICE_EMPTY, slice_of(bytes, size), NULL, 0);
}

static enum err build(const struct lane *l, uint32_t batch, struct buf *out)
{
    struct batch_builder b;
    uint32_t first = l->first_record[batch];
    batch_begin(&b, out, 0);
    for (uint32_t i = first; i < l->first_record[batch + 1]; i++)
        add_record(l, &b, i, loop_realtime_ms(l->clients->run->loop));
    return batch_end(&b, (struct batch_producer){.id = 1000 + l->producer,
                                                 .base_sequence = (int32_t)(first - l->epoch_record),
                                                 .epoch = l->epoch});
}

static void note_first_send(struct lane *l, uint32_t batch)
{
    if (batch < l->sent)
        return;
    l->sent = batch + 1;
    for (uint32_t i = l->first_record[batch]; i < l->first_record[batch + 1]; i++)
        judge_event(l->clients->run->judge, STREAM_SEND, l->producer, l->partition, value_of(l, i), -1);
}

static void send_batch(struct lane *l, uint32_t batch)
{
    struct message *m = new_message(l->clients);
    if (!m || build(l, batch, &m->bytes) != OK) {
        run_violate(l->clients->run, "a batch cannot be built");
        return;
    }
    m->lane = l;
    m->batch = batch;
    m->produce.partition = l->partition;
    note_first_send(l, batch);
    run_trace(l->clients->run, "producer %u sends %u to %u", l->producer, batch, l->partition);
    l->under_way++;
    travel(m);
}

static void pump_lane(struct lane *l)
{
    if (l->again && !l->under_way) {
        l->again = false;
        l->next = l->acked;
    }
    while (!l->again && l->next < l->clients->run->choices.batches && l->next < l->acked + WINDOW)
        send_batch(l, l->next++);
}

static void pump(struct timer *t)
{
    struct clients *c = (struct clients *)((char *)t - offsetof(struct clients, pump));
    for (uint32_t i = 0; i < c->lane_count && c->connected; i++)
        pump_lane(&c->lanes[i]);
}

static void acknowledge(struct lane *l, const struct message *m)
{
    struct run *r = l->clients->run;
    for (uint32_t i = l->first_record[m->batch]; i < l->first_record[m->batch + 1]; i++)
        judge_event(r->judge, STREAM_ACKED, l->producer, l->partition, value_of(l, i),
                    m->offset + i - l->first_record[m->batch]);
    if (m->batch == l->acked)
        l->acked++;
    else
        l->again = true; /* an answer overtook another: asked again, it is a duplicate */
}

static void on_acked(struct message *m)
{
    struct lane *l = m->lane;
    run_trace(m->clients->run, "producer %u hears of %u to %u: %s, offset %" PRId64, l->producer, m->batch,
              l->partition, err_name(m->err), m->offset);
    l->under_way--;
    if (!m->err)
        acknowledge(l, m);
    else
        l->again = true;
    pump_soon(m->clients, m->err ? AGAIN_MS : 0);
}

void clients_forget(struct clients *c, uint32_t partition)
{
    for (uint32_t i = 0; i < c->lane_count; i++) {
        struct lane *l = &c->lanes[i];
        if (l->partition != partition)
            continue;
        l->epoch++;
        l->epoch_record = l->first_record[l->acked];
    }
}

/* ---- consumers ------------------------------------------------------------------------------------------------------------------ */

struct poll {
    struct consumer *consumer;
    uint32_t partition;
};

static void on_record(void *context, int64_t offset, uint64_t value)
{
    struct poll *p = context;
    judge_event(p->consumer->clients->run->judge, STREAM_POLLED, CONSUMER_PROCESS + p->consumer->index, p->partition,
                value, offset);
}

static void on_commit_answered(struct message *m)
{
    struct consumer *k = &m->clients->consumers[m->commit.group];
    k->committing = false;
    if (!m->err)
        judge_event(m->clients->run->judge, STREAM_COMMITTED, GROUP_PROCESS + k->index, m->commit.partition, 0,
                    m->commit.offset);
}

static void commit(struct consumer *k, uint32_t partition)
{
    struct message *m = k->committing ? NULL : new_message(k->clients);
    if (!m)
        return;
    k->committing = true;
    m->commit.group = k->index;
    m->commit.partition = partition;
    m->commit.offset = k->position[partition];
    judge_event(k->clients->run->judge, STREAM_COMMIT, GROUP_PROCESS + k->index, partition, 0, m->commit.offset);
    travel(m);
}

static bool is_passing(enum err e)
{
    return e == ERR_IO || e == ERR_FILE || e == ERR_DISK_FULL || e == ERR_RESOURCE_EXHAUSTED;
}

static void poll_partition(struct consumer *k, uint32_t partition)
{
    struct run *r = k->clients->run;
    struct poll p = {k, partition};
    int64_t before = k->position[partition];
    enum err e = node_fetch(r->node, partition, before, POLL_BYTES, on_record, &p, &k->position[partition]);
    if (e && (r->healed || !is_passing(e)))
        run_violate(r, "consumer %u is told %s at offset %" PRId64 " of partition %u", k->index, err_name(e), before,
                    partition);
    if (k->position[partition] > before)
        run_trace(r, "consumer %u read %u to %" PRId64, k->index, partition, k->position[partition]);
}

static void on_poll(struct timer *t)
{
    struct consumer *k = (struct consumer *)((char *)t - offsetof(struct consumer, timer));
    struct run *r = k->clients->run;
    if (!k->clients->connected)
        return;
    for (uint32_t i = 0; i < r->choices.partitions; i++)
        poll_partition(k, i);
    if (++k->polls % POLLS_A_COMMIT == 0)
        commit(k, (uint32_t)sim_choose(r->sim, r->choices.partitions));
    timer_start(r->loop, t, loop_now_ns(r->loop) + POLL_MS * MS);
}

static void resume(struct consumer *k)
{
    struct run *r = k->clients->run;
    for (uint32_t i = 0; i < r->choices.partitions; i++) {
        int64_t committed = node_committed(r->node, k->index, i);
        int64_t stable = node_bounds(r->node, i).stable;
        judge_event(r->judge, STREAM_RESUMED, GROUP_PROCESS + k->index, i, 0, committed);
        judge_event(r->judge, STREAM_ASSIGNED, CONSUMER_PROCESS + k->index, i, 0, -1);
        k->position[i] = committed < 0 ? 0 : committed < stable ? committed : stable;
    }
    k->committing = false;
    timer_start(r->loop, &k->timer, loop_now_ns(r->loop) + POLL_MS * MS);
}

/* ---- all -------------------------------------------------------------------------------------------------------------------------- */

void clients_connect(struct clients *c)
{
    c->connected = true;
    for (uint32_t i = 0; i < c->run->choices.consumers; i++)
        resume(&c->consumers[i]);
    pump_soon(c, 1);
}

void clients_cut(struct clients *c)
{
    c->connected = false;
    c->generation++;
    for (uint32_t i = 0; i < c->lane_count; i++) {
        c->lanes[i].under_way = 0;
        c->lanes[i].again = false;
        c->lanes[i].next = c->lanes[i].acked;
    }
    for (uint32_t i = 0; i < c->run->choices.consumers; i++)
        timer_stop(c->run->loop, &c->consumers[i].timer);
    timer_stop(c->run->loop, &c->pump);
}

static bool has_read_all(const struct clients *c, const struct consumer *k)
{
    bool all = true;
    for (uint32_t i = 0; i < c->run->choices.partitions; i++)
        all &= k->position[i] == node_bounds(c->run->node, i).end;
    return all;
}

bool clients_done(const struct clients *c)
{
    bool done = true;
    for (uint32_t i = 0; i < c->lane_count; i++)
        done &= c->lanes[i].acked == c->run->choices.batches;
    for (uint32_t i = 0; i < c->run->choices.consumers && done; i++)
        done &= has_read_all(c, &c->consumers[i]);
    return done;
}

void clients_describe(const struct clients *c, char *to, size_t size)
{
    int used = 0;
    for (uint32_t i = 0; i < c->lane_count && (size_t)used < size; i++)
        used += snprintf(to + used, size - (size_t)used, "%s%u of %u", i ? ", " : "", c->lanes[i].acked,
                         c->run->choices.batches);
}

static void init_lane(struct clients *c, uint32_t producer, uint32_t partition)
{
    struct lane *l = &c->lanes[c->lane_count++];
    *l = (struct lane){.clients = c, .producer = producer, .partition = partition};
    for (uint32_t i = 0; i < BATCHES_MAX; i++)
        l->first_record[i + 1] =
            l->first_record[i] + 1 + (uint32_t)(hash_mix(c->run->seed + value_of(l, i)) % RECORDS_MAX);
}

enum err clients_new(struct run *r, struct clients **ret_clients)
{
    struct clients *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->run = r;
    c->pump.fire = pump;
    for (uint32_t i = 0; i < r->choices.producers; i++)
        for (uint32_t p = 0; p < r->choices.partitions; p++)
            init_lane(c, i, p);
    for (uint32_t i = 0; i < r->choices.consumers; i++)
        c->consumers[i] = (struct consumer){.clients = c, .index = i, .timer.fire = on_poll};
    *ret_clients = c;
    return OK;
}

void clients_free(struct clients *c)
{
    if (!c)
        return;
    clients_cut(c);
    while (c->messages)
        free_message(c->messages);
    mem_free(c);
}
