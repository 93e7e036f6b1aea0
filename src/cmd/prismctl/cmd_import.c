/* kv import: records from a file into batches, several in flight.
 *
 *   read a record ──▶ slot filling ──full──▶ slot in flight ──answer──▶ slot free
 *                          ▲ no free slot: turn the loop until one is          │
 *                          └───────────────────────────────────────────────────┘
 *
 * Each slot has an arena of its own: what a batch needs is gone with its answer, so memory does not grow with the file. Records
 * of one key keep their order only inside of a batch. A call that fails ends the import; a record that fails alone is told by
 * FILE:LINE and, with --on-error skip, left out. */
#include <errno.h>
#include <sys/stat.h>

#include "cli.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "prism/cli/v1/record.pb.h"
#include "prism/keyvalue/v1/keyvalue_batch.pb.h"
#include "rt/env.h"
#include "rt/loop.h"

enum { SLOTS_MAX = 16, BATCH_BYTES = 1 << 20, COMPLAINTS_MAX = 20 };

struct import;

struct slot {
    struct import *import;
    struct arena arena;
    struct keyvalue_batch_set_request request;
    unsigned *lines; /* of each item */
    size_t bytes;
    uint64_t first; /* record that it begins with, counted from 0 */
    bool in_flight;
    bool failed;
};

struct import {
    struct cli *cli;
    struct rpc_client *client;
    struct rpc_client_call_options call;
    const char *file;    /* as messages call it */
    uint64_t file_bytes; /* 0: not known */
    struct sequence sequence;
    struct slot slots[SLOTS_MAX];
    unsigned slot_count;
    uint32_t batch_items;
    bool skip;
    int64_t ttl_ms;
    struct slice prefix;
    uint64_t stored, skipped, expired;
    uint64_t taken; /* records read from the file, and passed over */
    uint64_t stuck; /* the first record of the first batch that failed */
    uint64_t resumed;
    struct position position;
    enum err err; /* the first that ends the import */
    struct progress progress;
};

/* Tells a bad record; whether the import goes on. */
static bool complain(struct import *m, unsigned line, enum err e, const char *text)
{
    progress_clear(&m->progress);
    if (!m->skip) {
        if (!m->err)
            m->err = diag_set(&m->cli->diag, e, "%s:%u: %s", m->file, line, text);
        return false;
    }
    if (m->skipped < COMPLAINTS_MAX)
        fprintf(stderr, "%s:%u: skipped: %s\n", m->file, line, text);
    if (m->skipped == COMPLAINTS_MAX)
        fprintf(stderr, "%s: more records are skipped, not told one by one\n", m->file);
    m->skipped++;
    return true;
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static void free_slot(struct slot *slot)
{
    arena_reset(&slot->arena);
    slot->request = (struct keyvalue_batch_set_request){.unknown = {0}};
    slot->lines = NULL;
    slot->bytes = 0;
    slot->in_flight = slot->failed = false;
}

static void on_message(struct rpc_client_call *call, struct slice message)
{
    struct slot *slot = rpc_client_call_user(call);
    struct import *m = slot->import;
    struct keyvalue_batch_set_response *response;
    enum err e =
        pb_decode(&keyvalue_batch_set_response_pb, message, &slot->arena, &pb_limits_default, (void **)&response);
    if (e) {
        m->err = m->err ? m->err : e;
        return;
    }
    m->stored += response->succeeded;
    for (uint32_t i = 0; i < response->results.count && i < slot->request.items.count; i++) {
        const struct keyvalue_batch_set_result *result =
            PB_AT(response->results, struct keyvalue_batch_set_result *, i);
        if (result->status && result->status->code)
            slot->failed |= !complain(m, slot->lines[i], err_from_grpc((unsigned)result->status->code),
                                      show_bytes(&slot->arena, result->status->message));
    }
    m->progress.done = m->stored;
}

/* All records before the oldest batch that failed or has no answer are stored. */
static uint64_t stored_before(const struct import *m)
{
    uint64_t first = m->taken < m->stuck ? m->taken : m->stuck;
    for (unsigned i = 0; i < m->slot_count; i++)
        if (m->slots[i].request.items.count && m->slots[i].first < first)
            first = m->slots[i].first;
    return first;
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct slot *slot = rpc_client_call_user(call);
    struct import *m = slot->import;
    if (status && !m->err) {
        m->err = diag->err ? diag->err : err_from_grpc(status);
        diag_set(&m->cli->diag, m->err, "%s:%u: %s", m->file, slot->lines[0], diag_message(diag));
        for (const struct diag_item *i = diag->fields; i; i = i->next)
            diag_field(&m->cli->diag, i->name, "%s", i->value);
    }
    if ((status || slot->failed) && slot->first < m->stuck)
        m->stuck = slot->first;
    free_slot(slot);
    enum err e = position_move(&m->position, m->cli, stored_before(m));
    m->err = m->err ? m->err : e;
}

/* --- records ------------------------------------------------------------------------------------------------------- */

static bool copy_tags(struct arena *arena, const struct pb_array *from, struct pb_array *to)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct cli_record_tags_entry *tag = PB_AT(*from, struct cli_record_tags_entry *, i);
        struct keyvalue_batch_set_item_tags_entry *copy = arena_new(arena, struct keyvalue_batch_set_item_tags_entry);
        struct keyvalue_batch_set_item_tags_entry **place = copy ? pb_array_add(to, sizeof copy, arena) : NULL;
        if (!place)
            return false;
        copy->key = tag->key;
        copy->value = tag->value;
        *place = copy;
    }
    return true;
}

static const char *what_is_wrong(const struct cli_record *r)
{
    if (r->has_key == r->has_key_base64)
        return r->has_key ? "key and key_base64 exclude each other" : "a record needs key or key_base64";
    if (r->has_value && r->has_value_base64)
        return "value and value_base64 exclude each other";
    if (r->ttl && r->expires_at)
        return "ttl and expires_at exclude each other";
    return NULL;
}

/* Time to live that is left of expires_at; 0: it has expired. */
static int64_t ms_left(const struct google_protobuf_timestamp *at)
{
    const struct env *env = env_real();
    int64_t left_ms = timestamp_ms(at) - (int64_t)(env->realtime_ns(env) / 1000000);
    return left_ms > 0 ? left_ms : 0;
}

/* The key with --prefix in front. */
static bool make_key(struct import *m, struct arena *arena, struct slice key, struct slice *ret_key)
{
    *ret_key = key;
    if (!m->prefix.size)
        return true;
    uint8_t *joined = arena_alloc(arena, m->prefix.size + key.size);
    if (!joined)
        return false;
    memcpy(joined, m->prefix.data, m->prefix.size);
    if (key.size)
        memcpy(joined + m->prefix.size, key.data, key.size);
    *ret_key = slice_of(joined, m->prefix.size + key.size);
    return true;
}

/* A new item of the slot's request; NULL: out of memory. */
static struct keyvalue_batch_set_item *new_item(struct import *m, struct slot *slot, unsigned line)
{
    struct keyvalue_batch_set_item *item = arena_new(&slot->arena, struct keyvalue_batch_set_item);
    if (!slot->lines)
        slot->lines = arena_array(&slot->arena, unsigned, m->batch_items);
    struct keyvalue_batch_set_item **place =
        item && slot->lines ? pb_array_add(&slot->request.items, sizeof item, &slot->arena) : NULL;
    if (!place)
        return NULL;
    slot->lines[slot->request.items.count - 1] = line;
    *place = item;
    return item;
}

static enum err add_item(struct import *m, struct slot *slot, const struct cli_record *r, unsigned line)
{
    int64_t ttl_ms = r->expires_at ? ms_left(r->expires_at) : r->ttl ? 0 : m->ttl_ms;
    if (r->expires_at && !ttl_ms) {
        m->expired++;
        return OK;
    }
    struct keyvalue_batch_set_item *item = new_item(m, slot, line);
    if (!item || !make_key(m, &slot->arena, r->has_key ? r->key : r->key_base64, &item->key))
        return ERR_NOMEM;
    item->value = r->has_value ? r->value : r->value_base64;
    item->ttl = r->ttl;
    if (ttl_ms && !(item->ttl = duration_message(&slot->arena, ttl_ms)))
        return ERR_NOMEM;
    slot->bytes += item->key.size + item->value.size;
    return copy_tags(&slot->arena, &r->tags, &item->tags) ? OK : ERR_NOMEM;
}

/* Reads one record's text into the slot. */
static enum err add_text(struct import *m, struct slot *slot, struct slice text, unsigned line)
{
    static const struct pb_json_options strict = {.proto_names = true};
    struct arena scratch;
    struct diag diag;
    struct cli_record *record;
    struct slice copy;
    if (!arena_copy(&slot->arena, text, &copy))
        return ERR_NOMEM;
    arena_init(&scratch, LIMIT_CALL_ARENA_BYTES);
    diag_init(&diag, &scratch);
    enum err e = pb_json_read(&cli_record_pb, copy, &strict, &slot->arena, &diag, (void **)&record);
    const char *wrong = e ? diag_message(&diag) : what_is_wrong(record);
    if (wrong && e != ERR_NOMEM)
        e = complain(m, line, e ? e : ERR_JSON_MALFORMED, wrong) ? OK : m->err;
    else if (!e)
        e = add_item(m, slot, record, line);
    arena_fini(&scratch);
    return e;
}

/* --- batches ------------------------------------------------------------------------------------------------------- */

static void submit(struct slot *slot)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    struct import *m = slot->import;
    struct rpc_client_call *call;
    struct buf encoded;
    buf_init(&encoded, LIMIT_CALL_ARENA_BYTES);
    enum err e = pb_encode_buf(&keyvalue_batch_set_request_pb, &slot->request, &encoded);
    if (!e)
        e = rpc_client_call(m->client, &m->call, &events, slot, &call);
    if (!e) {
        slot->in_flight = true;
        m->cli->called = true;
        rpc_client_send(call, buf_slice(&encoded));
        rpc_client_send_end(call);
    }
    m->err = m->err ? m->err : e;
    buf_fini(&encoded);
}

static struct slot *free_slot_of(struct import *m)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        if (!m->slots[i].in_flight)
            return &m->slots[i];
    return NULL;
}

static bool any_in_flight(const struct import *m)
{
    for (unsigned i = 0; i < m->slot_count; i++)
        if (m->slots[i].in_flight)
            return true;
    return false;
}

static void show(struct import *m)
{
    if (m->file_bytes)
        m->progress.part =
            (double)(m->sequence.read - (m->sequence.buf.size - m->sequence.taken)) / (double)m->file_bytes;
    progress_show(&m->progress);
}

/* A slot to fill; waits for one. NULL: the import has failed. */
static struct slot *next_slot(struct import *m)
{
    struct slot *slot;
    while (!(slot = free_slot_of(m))) {
        loop_turn(m->cli->loop, true);
        show(m);
    }
    return m->err ? NULL : slot;
}

static enum err read_error(struct import *m, enum err e)
{
    diag_wrap(&m->cli->diag, "%s", m->file);
    return e;
}

/* Fills one slot; *ret_more false: the file has ended. */
static enum err fill_slot(struct import *m, struct slot *slot, bool *ret_more)
{
    slot->first = m->taken;
    while (slot->request.items.count < m->batch_items && slot->bytes < BATCH_BYTES) {
        struct slice text;
        unsigned line;
        enum err e = sequence_next(&m->sequence, &text, &line, &m->cli->diag);
        if (e)
            return read_error(m, e);
        if (!text.size) {
            *ret_more = false;
            return OK;
        }
        e = m->taken < m->resumed ? OK : add_text(m, slot, text, line);
        if (e)
            return e;
        m->taken++;
    }
    return OK;
}

static void import_all(struct import *m)
{
    bool more = true;
    struct slot *slot;
    while (more && !m->err && (slot = next_slot(m))) {
        enum err e = fill_slot(m, slot, &more);
        m->err = m->err ? m->err : e;
        /* What was read before a bad record is stored, so that the message tells where to go on. */
        if (slot->request.items.count)
            submit(slot);
        show(m);
    }
    while (any_in_flight(m)) {
        loop_turn(m->cli->loop, true);
        show(m);
    }
    progress_clear(&m->progress);
}

static void summary(const struct import *m)
{
    double seconds = progress_seconds(&m->progress);
    if (m->cli->output != OUTPUT_TABLE) {
        printf("{\"stored\": %llu, \"skipped\": %llu, \"expired\": %llu, \"seconds\": %.3f}\n",
               (unsigned long long)m->stored, (unsigned long long)m->skipped, (unsigned long long)m->expired, seconds);
        return;
    }
    printf("imported %llu records into %s in %.1f s, %.0f/s", (unsigned long long)m->stored,
           cli_option(m->cli, "namespace"), seconds, (double)m->stored / seconds);
    if (m->skipped)
        printf(", %llu skipped", (unsigned long long)m->skipped);
    if (m->expired)
        printf(", %llu expired ones left out", (unsigned long long)m->expired);
    if (m->resumed)
        printf(", after %llu of an earlier run", (unsigned long long)m->resumed);
    putchar('\n');
}

static enum err prepare(struct import *m)
{
    struct cli *cli = m->cli;
    uint64_t batch = cli_count(cli, "batch"), parallel = cli_count(cli, "parallel");
    if (batch < 1 || batch > LIMIT_BATCH_ITEMS)
        return diag_set(&cli->diag, ERR_USAGE, "--batch is a number from 1 to %d", LIMIT_BATCH_ITEMS);
    if (parallel < 1 || parallel > SLOTS_MAX)
        return diag_set(&cli->diag, ERR_USAGE, "--parallel is a number from 1 to %d", SLOTS_MAX);
    m->batch_items = (uint32_t)batch;
    m->slot_count = (unsigned)parallel;
    m->skip = strcmp(cli_option(cli, "on-error"), "skip") == 0;
    m->ttl_ms = cli_duration_ns(cli, "ttl") / 1000000;
    m->prefix = slice_str(cli_option(cli, "prefix"));
    enum err e = cli_client(cli, SIDE_DATA, &m->client);
    return e ? e : cli_call_options(cli, method_named(&keyvalue_batch_service, "BatchSet")->path, &m->call);
}

/* Every record that was read is stored, was left out with a message, or has expired. */
static enum err check_counts(struct import *m)
{
    uint64_t accounted = m->stored + m->skipped + m->expired + m->resumed;
    if (accounted == m->taken)
        return OK;
    return diag_set(&m->cli->diag, ERR_DATA_LOSS,
                    "%s has %llu records, but only %llu are accounted for; import it again", m->file,
                    (unsigned long long)m->taken, (unsigned long long)accounted);
}

static enum err open_position(struct import *m)
{
    m->position.fd = -1;
    if (!cli_flag(m->cli, "resume"))
        return OK;
    if (strcmp(cli_argument(m->cli, 0), "-") == 0)
        return diag_set(&m->cli->diag, ERR_USAGE, "--resume needs a file: standard input cannot be read again");
    return position_open(&m->position, m->cli, m->file);
}

static enum err run_with(struct import *m, FILE *in)
{
    enum err e = prepare(m);
    if (!e)
        e = open_position(m);
    if (e)
        return e;
    sequence_init(&m->sequence, in, true);
    for (unsigned i = 0; i < m->slot_count; i++) {
        m->slots[i].import = m;
        arena_init(&m->slots[i].arena, LIMIT_CALL_ARENA_BYTES);
    }
    progress_init(&m->progress, m->cli, "importing");
    m->resumed = m->position.records;
    m->stuck = UINT64_MAX;
    import_all(m);
    if (!m->err)
        m->err = check_counts(m);
    position_close(&m->position, !m->err);
    for (unsigned i = 0; i < m->slot_count; i++)
        arena_fini(&m->slots[i].arena);
    sequence_fini(&m->sequence);
    if (!m->err || m->stored)
        summary(m);
    return m->err;
}

enum err run_kv_import(struct cli *cli)
{
    const char *path = cli_argument(cli, 0);
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *in = from_stdin ? stdin : fopen(path, "rb");
    struct stat info;
    if (!in)
        return diag_set(&cli->diag, ERR_FILE, "%s cannot be read: %s", path, strerror(errno));
    struct import *m = arena_new(&cli->arena, struct import);
    if (!m)
        return ERR_NOMEM;
    m->cli = cli;
    m->file = from_stdin ? "standard input" : path;
    m->file_bytes = fstat(fileno(in), &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
    enum err e = run_with(m, in);
    if (!from_stdin)
        fclose(in);
    return e;
}
