/* The requests of the server under test. A batch is checked against what its producer sent before, stamped and submitted; a batch
 * that is there already is answered with where it lies, once that is stable. */
#include "base/mem.h"
#include "kafka/batch.h"
#include "node.h"

/* ---- what entries are --------------------------------------------------------------------------------------------------------- */

static bool measure(const uint8_t *header, struct journal_entry *ret_entry)
{
    struct batch_header h;
    if (batch_read_header(header, &h) != KAFKA_NONE)
        return false;
    *ret_entry = (struct journal_entry){.size = h.size,
                                        .first_offset = h.base_offset,
                                        .last_offset = batch_last_offset(&h),
                                        .max_time_ms = h.max_time_ms,
                                        .epoch = h.leader_epoch};
    return true;
}

const struct journal_format node_format = {
    .header_bytes = BATCH_HEADER_BYTES, .entry_bytes_max = 1 << 20, .measure = measure, .verify = batch_crc_ok};

static struct producer_claim claim_of(const struct batch_header *h)
{
    return (struct producer_claim){.id = h->producer_id,
                                   .first_sequence = h->base_sequence,
                                   .delta = h->last_offset_delta,
                                   .epoch = h->producer_epoch};
}

static int64_t now_ms(const struct node *n)
{
    return loop_realtime_ms(n->run->loop);
}

void node_replayed(void *context, struct journal_log *log, const struct journal_entry *entry, struct slice header)
{
    struct node *n = context;
    struct batch_header h;
    if (n->run->plant == PLANT_FORGETS_PRODUCERS || batch_read_header(header.data, &h) != KAFKA_NONE)
        return;
    struct producer_claim claim = claim_of(&h);
    if (producers_learn(&n->producers[journal_log_key(log)->partition], &claim, entry->first_offset, -1, now_ms(n)) !=
        OK)
        run_violate(n->run, "a producer cannot be learnt");
}

/* ---- produce ------------------------------------------------------------------------------------------------------------------ */

static void answer(struct produce *p, enum err e, int64_t offset)
{
    p->answer(p, e, offset);
}

static void answer_stable_repeats(struct node *n)
{
    for (struct append **link = &n->repeats, *a; (a = *link);) {
        if (a->last_offset >= journal_log_stable(n->logs[a->produce->partition])) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        answer(a->produce, OK, a->first_offset);
        mem_free(a);
    }
}

/* Of the partition, from the offset on; NULL partition: all. */
static void fail_repeats(struct node *n, const uint32_t *partition, int64_t from)
{
    for (struct append **link = &n->repeats, *a; (a = *link);) {
        if (partition && (a->produce->partition != *partition || a->last_offset < from)) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        answer(a->produce, ERR_CANCELLED, -1);
        mem_free(a);
    }
}

void node_drop_repeats(struct node *n)
{
    fail_repeats(n, NULL, 0);
}

static void on_appended(struct journal_append *j, enum err e)
{
    struct append *a = (struct append *)j;
    struct node *n = a->node;
    uint32_t partition = a->produce->partition;
    int64_t told = a->first_offset + (n->run->plant == PLANT_WRONG_OFFSET && a->first_offset % 7 == 6);
    if (e) {
        producers_cut_end(&n->producers[partition], a->first_offset);
        fail_repeats(n, &partition, a->first_offset);
    } else {
        answer_stable_repeats(n);
    }
    answer(a->produce, e, e ? -1 : told);
    mem_free(a);
}

static struct append *new_append(struct node *n, struct produce *p, int64_t first, int64_t last)
{
    struct append *a = mem_zalloc(sizeof *a);
    if (a)
        *a = (struct append){.node = n, .produce = p, .first_offset = first, .last_offset = last};
    return a;
}

/* Its memory goes when it is done. */
static enum err submit(struct node *n, struct produce *p, const struct batch_header *h)
{
    struct journal_log *log = n->logs[p->partition];
    int64_t first = journal_log_end(log);
    struct append *a = new_append(n, p, first, first + h->last_offset_delta);
    struct block *block = block_new(h->size);
    if (!a || !block) {
        mem_free(a);
        block_unref(block);
        return ERR_NOMEM;
    }
    memcpy(block->bytes, p->batch.data, h->size);
    batch_stamp(block->bytes, first, 0);
    a->journal =
        (struct journal_append){.log = log,
                                .block = block,
                                .bytes = slice_of(block->bytes, h->size),
                                .first_offset = first,
                                .last_offset = a->last_offset,
                                .max_time_ms = h->max_time_ms,
                                .entries = 1,
                                .flush = n->run->choices.flush[p->partition] && n->run->plant != PLANT_ACK_EARLY,
                                .done = on_appended};
    journal_submit(&a->journal);
    return OK;
}

static enum err append(struct node *n, struct produce *p, const struct batch_header *h,
                       const struct producer_claim *claim)
{
    int64_t first = journal_log_end(n->logs[p->partition]);
    enum err e = submit(n, p, h);
    if (!e && claim)
        producers_note(&n->producers[p->partition], claim, first, -1, now_ms(n));
    return e;
}

static enum err repeat(struct node *n, struct produce *p, const struct producer_batch *old)
{
    struct append *a = new_append(n, p, old->first_offset, old->first_offset + old->delta);
    if (!a)
        return ERR_NOMEM;
    a->next = n->repeats;
    n->repeats = a;
    answer_stable_repeats(n);
    return OK;
}

static enum err take(struct node *n, struct produce *p, const struct batch_header *h)
{
    struct producer_claim claim = claim_of(h);
    struct producer_batch old;
    if (n->run->plant == PLANT_NO_DUPLICATES)
        return append(n, p, h, NULL);
    enum producer_verdict verdict = producers_check(&n->producers[p->partition], &claim, now_ms(n), &old);
    if (verdict == PRODUCER_APPEND)
        return append(n, p, h, &claim);
    return verdict == PRODUCER_DUPLICATE ? repeat(n, p, &old) : ERR_FAILED_PRECONDITION;
}

void node_produce(struct node *n, struct produce *p)
{
    struct batch_header h;
    enum err e = batch_read(p->batch, &h) == KAFKA_NONE && batch_crc_ok(p->batch) ? OK : ERR_INVALID_ARGUMENT;
    if (!e)
        e = take(n, p, &h);
    if (e)
        answer(p, e, -1);
}

/* ---- fetch -------------------------------------------------------------------------------------------------------------------- */

struct reading {
    int64_t from, next;
    record_fn *record;
    void *context;
};

static enum err tell_records(struct reading *r, struct slice batch, const struct batch_header *h)
{
    struct batch_records records;
    struct batch_record record;
    batch_records_init(&records, h, batch_payload(batch));
    while (batch_next_record(&records, &record)) {
        uint64_t value = 0;
        for (size_t i = 0; i < sizeof value && i < record.value.size; i++)
            value = value << 8 | record.value.data[i];
        if (record.offset >= r->from)
            r->record(r->context, record.offset, value);
    }
    r->next = batch_last_offset(h) + 1;
    return records.damaged ? ERR_CORRUPT : OK;
}

static enum err tell_batches(struct reading *r, struct slice bytes)
{
    struct batch_header h;
    enum err e = OK;
    while (bytes.size && !e) {
        if (batch_read(bytes, &h) != KAFKA_NONE || !batch_crc_ok(slice_take(bytes, h.size)))
            return ERR_CORRUPT;
        e = tell_records(r, slice_take(bytes, h.size), &h);
        bytes = slice_skip(bytes, h.size);
    }
    return e;
}

static enum err read_range(struct reading *r, struct journal_range *range)
{
    size_t got = 0;
    enum err e = range->warm ? OK : journal_range_resolve(range);
    uint8_t *bytes = !e && range->size ? mem_alloc(range->size) : NULL;
    if (e || !range->size)
        return e;
    if (!bytes)
        return ERR_NOMEM;
    e = journal_range_read(range, 0, bytes, range->size, &got);
    if (!e)
        e = got == range->size ? tell_batches(r, slice_of(bytes, got)) : ERR_IO;
    mem_free(bytes);
    return e;
}

static enum err fetch(struct node *n, uint32_t partition, int64_t from, uint64_t bytes_max, record_fn *record,
                      void *context, int64_t *ret_next)
{
    struct reading r = {.from = from, .next = from, .record = record, .context = context};
    struct journal_range range = {0};
    enum err e = journal_find(n->logs[partition], from, bytes_max, &range);
    if (e)
        return e;
    if (range.file)
        e = read_range(&r, &range);
    journal_range_release(&range);
    if (!e)
        *ret_next = r.next;
    return e;
}

enum err node_fetch(struct node *n, uint32_t partition, int64_t from, uint64_t bytes_max, record_fn *record,
                    void *context, int64_t *ret_next)
{
    enum err e = fetch(n, partition, from, bytes_max, record, context, ret_next);
    if (e != ERR_CORRUPT || n->run->plant != PLANT_HIDES_DAMAGE)
        return e;
    *ret_next = from + 1;
    return OK;
}

/* ---- commits ------------------------------------------------------------------------------------------------------------------ */

struct commit_entry {
    uint32_t group, partition;
    int64_t offset;
};

struct committing {
    struct ledger_append append; /* first */
    struct node *node;
    struct commit *commit; /* NULL: it has been answered */
    struct commit_entry entry;
};

static void on_committed(struct ledger_append *l, enum err e)
{
    struct committing *c = (struct committing *)l;
    if (!e)
        c->node->committed[c->entry.group][c->entry.partition] = c->entry.offset;
    if (c->commit)
        c->commit->answer(c->commit, e);
    mem_free(c);
}

void node_commit(struct node *n, struct commit *commit)
{
    struct committing *c = mem_zalloc(sizeof *c);
    enum err e = ERR_NOMEM;
    bool early = n->run->plant == PLANT_COMMIT_EARLY;
    if (c) {
        *c = (struct committing){.append.done = on_committed,
                                 .node = n,
                                 .commit = early ? NULL : commit,
                                 .entry = {commit->group, commit->partition, commit->offset}};
        e = ledger_append(n->ledger, slice_of(&c->entry, sizeof c->entry), &c->append);
    }
    if (e)
        mem_free(c);
    if (e || early)
        commit->answer(commit, e);
}

int64_t node_committed(const struct node *n, uint32_t group, uint32_t partition)
{
    return n->committed[group][partition];
}

enum err node_apply_commit(void *context, struct slice bytes)
{
    struct node *n = context;
    struct commit_entry entry;
    if (bytes.size != sizeof entry)
        return ERR_CORRUPT;
    memcpy(&entry, bytes.data, sizeof entry);
    if (entry.group >= CONSUMERS_MAX || entry.partition >= PARTITIONS_MAX)
        return ERR_CORRUPT;
    n->committed[entry.group][entry.partition] = entry.offset;
    return OK;
}

void node_snapshot_commits(void *context, struct ledger_snapshot *snapshot)
{
    struct node *n = context;
    for (uint32_t g = 0; g < CONSUMERS_MAX; g++) {
        for (uint32_t p = 0; p < PARTITIONS_MAX; p++) {
            struct commit_entry entry = {g, p, n->committed[g][p]};
            if (entry.offset >= 0)
                ledger_snapshot_put(snapshot, slice_of(&entry, sizeof entry));
        }
    }
}
