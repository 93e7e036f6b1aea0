/* What is kept of groups. An entry of the ledger is a letter, a version and a message of src/kafka/spec/group_records.spec:
 *
 *   'G' GroupRecord        the group is this now        'O' OffsetsRecord    these offsets are committed, or gone
 *   'D' GroupGoneRecord    it is gone
 *
 * Each says all about what it names, so applying one twice, or after a newer state was written by a snapshot, does no harm. */
#include <assert.h>
#include <stddef.h>

#include "base/limits.h"
#include "base/mem.h"
#include "streamer/groups.h"

enum { VERSION = 0, HEAD_BYTES = 2, CHUNK = 1000 /* offsets in one entry of a snapshot */ };

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

/* Into the scratch buffer, valid until the next. */
static enum err encode(struct groups *all, char letter, const struct kafka_message *message, const void *record,
                       struct slice *ret_entry)
{
    uint8_t head[HEAD_BYTES] = {(uint8_t)letter, VERSION};
    kafka_out_reset(&all->scratch);
    buf_put(&all->scratch.buf, head, sizeof head);
    enum err e =
        buf_err(&all->scratch.buf) ? buf_err(&all->scratch.buf) : kafka_encode(message, VERSION, record, &all->scratch);
    if (!e)
        *ret_entry = buf_slice(&all->scratch.buf);
    return e;
}

static void written(struct ledger_append *a, enum err e)
{
    struct group_write *w = (struct group_write *)((char *)a - offsetof(struct group_write, append));
    struct group_entry *entry = w->entry;
    entry->writes--;
    entry->groups->writes--;
    entry->recorded |= !e;
    w->done(w, e);
}

static enum err append(struct group_entry *entry, struct slice bytes, struct group_write *w)
{
    w->append.done = written;
    w->entry = entry;
    enum err e = ledger_append(entry->groups->ledger, bytes, &w->append);
    entry->writes += !e;
    entry->groups->writes += !e;
    return e;
}

static void copy_member(const struct group_member *m, struct kafka_group_record_member *to,
                        struct kafka_group_record_protocol *protocols)
{
    for (uint32_t i = 0; i < m->protocol_count; i++)
        protocols[i] =
            (struct kafka_group_record_protocol){.name = m->protocols[i].name, .metadata = m->protocols[i].metadata};
    *to = (struct kafka_group_record_member){.member_id = m->id,
                                             .instance_id = m->instance_id,
                                             .client_id = m->client_id,
                                             .client_host = m->client_host,
                                             .session_timeout_ms = m->session_timeout_ms,
                                             .rebalance_timeout_ms = m->rebalance_timeout_ms,
                                             .protocols = {protocols, m->protocol_count},
                                             .assignment = m->assignment};
}

/* Stable is also what becomes stable with this write. */
static enum err encode_state(struct group_entry *entry, struct slice *ret_entry)
{
    const struct group *g = &entry->group;
    struct kafka_group_record record = {.group_id = g->id,
                                        .generation = g->generation,
                                        .stable = g->state == GROUP_STABLE || g->assigned,
                                        .changed_ms = entry->changed_ms,
                                        .protocol_type = g->protocol_type,
                                        .protocol = g->protocol,
                                        .leader = g->leader ? g->leader->id : SLICE_EMPTY};
    struct arena arena;
    arena_init(&arena, 2 * LIMIT_STREAM_GROUP_BYTES);
    record.members.items = arena_array(&arena, struct kafka_group_record_member, g->member_count + 1);
    enum err e = record.members.items ? OK : ERR_NOMEM;
    for (const struct group_member *m = g->members; m && !e; m = m->next) {
        struct kafka_group_record_protocol *protocols =
            arena_array(&arena, struct kafka_group_record_protocol, m->protocol_count);
        e = protocols ? OK : ERR_NOMEM;
        if (!e)
            copy_member(m, &record.members.items[record.members.count++], protocols);
    }
    if (!e)
        e = encode(entry->groups, 'G', &kafka_group_record_message, &record, ret_entry);
    arena_fini(&arena);
    return e;
}

enum err group_write_state(struct group_entry *entry, struct group_write *w)
{
    struct slice bytes;
    enum err e = encode_state(entry, &bytes);
    return e ? e : append(entry, bytes, w);
}

enum err group_write_gone(struct group_entry *entry, struct group_write *w)
{
    struct kafka_group_gone_record record = {.group_id = entry->group.id};
    struct slice bytes;
    enum err e = encode(entry->groups, 'D', &kafka_group_gone_record_message, &record, &bytes);
    return e ? e : append(entry, bytes, w);
}

enum err group_write_offsets(struct group_entry *entry, const struct kafka_offsets_record *record,
                             struct group_write *w)
{
    struct slice bytes;
    enum err e = encode(entry->groups, 'O', &kafka_offsets_record_message, record, &bytes);
    return e ? e : append(entry, bytes, w);
}

/* ---- the state machine's own ------------------------------------------------------------------------------------------- */

struct state_write {
    struct group_write write;
    uint64_t ticket;
};

/* The state machine tells clients what is wrong in its own words; why is for the log. */
static enum kafka_error as_kafka(enum err e)
{
    return e ? KAFKA_COORDINATOR_NOT_AVAILABLE : KAFKA_NONE;
}

static void state_written(struct group_write *w, enum err e)
{
    struct group_entry *entry = w->entry;
    uint64_t ticket = ((struct state_write *)w)->ticket;
    mem_free(w);
    if (e)
        log_warn(entry->groups->shard->log, "a group could not be stored", LOG_STR("group", entry->group.id),
                 LOG_ERR(e));
    group_stored(&entry->group, ticket, as_kafka(e), groups_now_ms(entry->groups));
    groups_touch(entry);
}

static void tell_unstored(struct task *t)
{
    struct group_entry *entry = (struct group_entry *)((char *)t - offsetof(struct group_entry, unstored));
    entry->unstored_waits = false;
    entry->groups->writes--;
    group_stored(&entry->group, entry->unstored_ticket, KAFKA_COORDINATOR_NOT_AVAILABLE, groups_now_ms(entry->groups));
    groups_touch(entry);
}

void groups_store(void *context, struct group *g, uint64_t ticket)
{
    struct group_entry *entry = context;
    struct state_write *w = mem_zalloc(sizeof *w);
    enum err e = w ? OK : ERR_NOMEM;
    assert(g == &entry->group);
    if (!e) {
        *w = (struct state_write){.write.done = state_written, .ticket = ticket};
        e = group_write_state(entry, &w->write);
    }
    if (!e)
        return;
    mem_free(w);
    entry->unstored_ticket = ticket;
    entry->unstored.run = tell_unstored;
    if (entry->unstored_waits)
        return;
    entry->unstored_waits = true;
    entry->groups->writes++;
    loop_defer(entry->groups->shard->loop, &entry->unstored);
}

/* ---- reading back ----------------------------------------------------------------------------------------------------- */

static enum err restore_members(struct group *g, const struct kafka_group_record *record)
{
    for (uint32_t i = 0; i < record->members.count; i++) {
        const struct kafka_group_record_member *r = &record->members.items[i];
        struct group_member as = {.id = r->member_id,
                                  .instance_id = r->instance_id,
                                  .client_id = r->client_id,
                                  .client_host = r->client_host,
                                  .protocols = (struct group_protocol *)r->protocols.items,
                                  .protocol_count = r->protocols.count,
                                  .assignment = r->assignment,
                                  .session_timeout_ms = r->session_timeout_ms,
                                  .rebalance_timeout_ms = r->rebalance_timeout_ms};
        struct group_member *m;
        static_assert(sizeof(struct group_protocol) == sizeof(struct kafka_group_record_protocol), "the same");
        enum err e = group_restore_member(g, &as, &m);
        if (e)
            return e;
        if (slice_eq(r->member_id, record->leader))
            g->leader = m;
    }
    return OK;
}

static enum err apply_state(struct groups *all, const struct kafka_group_record *record)
{
    struct group_entry *entry;
    enum err e = groups_obtain(all, record->group_id, &entry);
    if (e)
        return e;
    e = group_restore_begin(&entry->group, record->generation, record->protocol_type, record->protocol);
    if (!e)
        e = restore_members(&entry->group, record);
    if (e)
        return e;
    entry->recorded = true;
    entry->restored_stable = record->stable;
    entry->changed_ms = record->changed_ms;
    return OK;
}

static enum err apply_offset(struct group_entry *entry, const struct kafka_offsets_record_offset *r)
{
    struct offset as = {.key = {.topic = r->topic_id, .partition = r->partition},
                        .leader_epoch = r->leader_epoch,
                        .offset = r->offset,
                        .committed_ms = r->committed_ms,
                        .expires_ms = r->expires_ms};
    if (r->offset < 0) {
        offsets_remove(&entry->offsets, &as.key);
        return OK;
    }
    struct offset *o = offset_new(&as, r->metadata);
    enum err e = o ? offsets_reserve(&entry->offsets, 1) : ERR_NOMEM;
    if (e)
        offset_free(o);
    else
        offsets_put(&entry->offsets, o);
    return e;
}

static enum err apply_offsets(struct groups *all, const struct kafka_offsets_record *record)
{
    struct group_entry *entry;
    enum err e = groups_obtain(all, record->group_id, &entry);
    for (uint32_t i = 0; i < record->offsets.count && !e; i++)
        e = apply_offset(entry, &record->offsets.items[i]);
    return e;
}

union record {
    struct kafka_group_record group;
    struct kafka_offsets_record offsets;
    struct kafka_group_gone_record gone;
};

static const struct kafka_message *message_of(uint8_t letter)
{
    return letter == 'G'   ? &kafka_group_record_message
           : letter == 'O' ? &kafka_offsets_record_message
           : letter == 'D' ? &kafka_group_gone_record_message
                           : NULL;
}

static enum err apply_record(struct groups *all, uint8_t letter, const union record *record)
{
    if (letter == 'G')
        return apply_state(all, &record->group);
    if (letter == 'O')
        return apply_offsets(all, &record->offsets);
    groups_forget(all, record->gone.group_id);
    return OK;
}

enum err groups_apply(void *context, struct slice entry)
{
    const struct kafka_message *message = entry.size >= HEAD_BYTES ? message_of(entry.data[0]) : NULL;
    if (!message)
        return ERR_CORRUPT;
    if (entry.data[1] > VERSION)
        return ERR_SCHEMA_FUTURE;
    union record record;
    struct arena arena;
    arena_init(&arena, LIMIT_STREAM_ARENA_BYTES);
    enum err e = kafka_decode(message, entry.data[1], slice_skip(entry, HEAD_BYTES), &arena, &record, NULL);
    if (e && e != ERR_NOMEM)
        e = ERR_CORRUPT;
    if (!e)
        e = apply_record(context, entry.data[0], &record);
    arena_fini(&arena);
    return e;
}

/* The group's id is the first field of each message: a size of two bytes, and the text. */
bool group_of_entry(struct slice entry, struct slice *ret_group)
{
    struct slice rest = slice_skip(entry, HEAD_BYTES);
    if (entry.size < HEAD_BYTES || !message_of(entry.data[0]) || entry.data[1] > VERSION || rest.size < 2)
        return false;
    size_t size = (size_t)rest.data[0] << 8 | rest.data[1];
    *ret_group = slice_take(slice_skip(rest, 2), size);
    return ret_group->size == size;
}

/* ---- snapshots -------------------------------------------------------------------------------------------------------- */

static void put_chunk(struct group_entry *entry, struct ledger_snapshot *s, struct kafka_offsets_record *record)
{
    struct slice bytes;
    enum err e = record->offsets.count ? encode(entry->groups, 'O', &kafka_offsets_record_message, record, &bytes) : OK;
    if (e)
        ledger_snapshot_fail(s, e);
    else if (record->offsets.count)
        ledger_snapshot_put(s, bytes);
    record->offsets.count = 0;
}

void offset_record(const struct offset *o, struct kafka_offsets_record_offset *ret_record)
{
    *ret_record = (struct kafka_offsets_record_offset){.topic_id = o->key.topic,
                                                       .partition = o->key.partition,
                                                       .offset = o->offset,
                                                       .leader_epoch = o->leader_epoch,
                                                       .committed_ms = o->committed_ms,
                                                       .expires_ms = o->expires_ms,
                                                       .metadata = offset_metadata(o)};
}

static void put_offsets(struct group_entry *entry, struct ledger_snapshot *s)
{
    struct kafka_offsets_record_offset items[CHUNK];
    struct kafka_offsets_record record = {.group_id = entry->group.id, .offsets = {.items = items}};
    const struct offset *o;
    for (uint32_t at = 0; offsets_next(&entry->offsets, &at, &o);) {
        offset_record(o, &items[record.offsets.count++]);
        if (record.offsets.count == CHUNK)
            put_chunk(entry, s, &record);
    }
    put_chunk(entry, s, &record);
}

void groups_snapshot(void *context, struct ledger_snapshot *s)
{
    struct groups *all = context;
    void *entry;
    for (uint32_t at = 0; map_next(&all->by_id, &at, NULL, &entry);) {
        struct group_entry *g = entry;
        struct slice bytes;
        if (!g->recorded)
            continue;
        enum err e = encode_state(g, &bytes);
        if (e)
            ledger_snapshot_fail(s, e);
        else
            ledger_snapshot_put(s, bytes);
        put_offsets(g, s);
    }
}
