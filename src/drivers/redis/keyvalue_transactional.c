/* BeginTransaction … Commit, Rollback: snapshot isolation in one bucket, so at one server.
 *
 * Begin opens a numbered snapshot at the server. While one is open, whoever changes a key leaves there what it was before (scripts.c),
 * so reads see the moment of Begin, and Commit, one script, sees which keys have been changed since: the first committer wins. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_transactional.ops.h"

#include <stdio.h>

static struct redis_transactions *table_of(struct redis_operation *o)
{
    return &o->backend->transactions;
}

/* --- begin ------------------------------------------------------------------------------------------------------------------- */

struct begin_operation {
    struct redis_operation operation;
    int64_t idle_ms;
    int64_t deadline_ms;
};

static enum err open_transaction(struct begin_operation *o, struct slice *ret_id)
{
    struct redis_operation *operation = &o->operation;
    char entry[REDIS_ENTRY_BYTES];
    int64_t snapshot = redis_only_part(operation)->reply.integer;
    snprintf(entry, sizeof entry, "%lld:%lld", (long long)snapshot, (long long)o->deadline_ms);
    return redis_transaction_add(table_of(operation), operation->call->who.name, snapshot, entry, o->idle_ms,
                                 operation->call->arena, ret_id);
}

/* With a failed part too: the place that was reserved goes back. */
static void begin_answered(struct redis_operation *o)
{
    struct keyvalue_begin_transaction_response response = {0};
    struct redis_part *p = redis_only_part(o);
    enum err e = p->err;
    if (e)
        diag_set(&o->call->diag, e, "%s", diag_message(&p->diag));
    else
        e = open_transaction((struct begin_operation *)o, &response.transaction_id);
    if (e) {
        redis_transaction_unreserve(table_of(o));
        redis_operation_fail(o, e);
        return;
    }
    call_reply(o->call, &response);
}

/* A caller who is gone leaves a snapshot that the server closes when its time has passed. */
static void begin_given_up(struct redis_operation *o)
{
    redis_transaction_unreserve(table_of(o));
}

static enum err put_begin(struct begin_operation *o)
{
    char ended[REDIS_ENDED_MAX][REDIS_ENTRY_BYTES];
    struct redis_operation *operation = &o->operation;
    struct arena *arena = operation->call->arena;
    struct redis_part *p = redis_part_script(operation, 0, REDIS_BEGIN);
    if (!p)
        return ERR_NOMEM;
    resp_put_integer(&p->command->words, o->deadline_ms);
    unsigned n = redis_transactions_take_ended(table_of(operation), ended);
    for (unsigned i = 0; i < n; i++) {
        char *copy = arena_strdup(arena, ended[i]);
        if (copy)
            resp_put(&p->command->words, slice_str(copy));
    }
    return OK;
}

static void begin_transaction(struct backend *backend, struct call *call,
                              const struct keyvalue_begin_transaction_request *r)
{
    struct begin_operation *o = redis_operation_new(backend, call, sizeof *o, begin_answered);
    if (!o)
        return;
    o->operation.partial = true;
    o->deadline_ms = o->operation.now_ms + LIMIT_TRANSACTION_LIFE_MS;
    enum err e = redis_check_one_bucket(&o->operation, "a transaction");
    if (!e)
        e = kv_transaction_idle(r->idle_timeout, &call->diag, &o->idle_ms);
    if (!e)
        e = put_begin(o);
    if (!e)
        e = redis_transaction_reserve(table_of(&o->operation), call->ns->transactions_max, &call->diag);
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    o->operation.give_up = begin_given_up;
    redis_operation_send(&o->operation);
}

/* --- set --------------------------------------------------------------------------------------------------------------------- */

static enum err note(struct redis_operation *o, struct slice id, const struct kv_write *write)
{
    struct redis_transaction *t;
    enum err e = redis_transaction_enter(table_of(o), o->call, id, &t);
    if (e)
        return e;
    e = redis_transaction_note(t, write, false, &o->call->diag);
    redis_transaction_leave(table_of(o));
    return e;
}

static void set_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_set_in_transaction_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, NULL);
    struct keyvalue_set_in_transaction_response response = {0};
    struct kv_write write;
    if (!o)
        return;
    enum err e = kv_write_make(call, r->key, r->value, &r->tags, r->ttl, o->now_ms, &call->diag, "", &write);
    if (!e)
        e = note(o, r->transaction_id, &write);
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(call, &response);
}

/* --- get and delete: what the transaction wrote itself, else the snapshot ---------------------------------------------------- */

/* A look at a key. *ret_own: the transaction's own write decides, *ret_item (copied) and *ret_found say what it is. Else a part has
 * been made that asks the server. */
static enum err look(struct redis_operation *o, struct slice id, struct slice key, bool head_alone, bool *ret_own,
                     struct kv_item *ret_item, bool *ret_found)
{
    struct redis_transaction *t;
    enum err e = redis_transaction_enter(table_of(o), o->call, id, &t);
    if (e)
        return e;
    const struct redis_pending *own = redis_transaction_find(t, key);
    *ret_own = own;
    *ret_found = own && !own->deleted && own->write.expires_ms > o->now_ms;
    if (*ret_found) {
        const struct kv_write *w = &own->write;
        struct kv_item item = {.key = w->key, .value = w->value, .tags = w->tags, .expires_ms = w->expires_ms};
        e = kv_item_copy(&item, o->call->arena, ret_item);
    }
    struct redis_part *p = own ? NULL : redis_part_script(o, 0, REDIS_PEEK);
    if (p) {
        resp_put_integer(&p->command->words, t->snapshot);
        resp_put(&p->command->words, slice_str(arena_strdup(o->call->arena, t->entry)));
        resp_put(&p->command->words, key);
        resp_put(&p->command->words, head_alone ? SLICE("1") : SLICE("0"));
    }
    redis_transaction_leave(table_of(o));
    return e ? e : own || p ? OK : ERR_NOMEM;
}

/* What the server said to a look. ERR_TRANSACTION_UNKNOWN: the snapshot is gone, as after a restart of the server. */
static enum err peeked(struct redis_operation *o, struct slice key, struct kv_item *ret_item, bool *ret_found)
{
    const struct resp *reply = &redis_only_part(o)->reply;
    if (reply->kind == RESP_INTEGER)
        return diag_set(&o->call->diag, ERR_TRANSACTION_UNKNOWN,
                        "the server has lost the transaction's snapshot; begin it again");
    *ret_found = reply->text.size > 0;
    return *ret_found ? redis_unpack(reply->text, key, ret_item) : OK;
}

static void answer_get(struct redis_operation *o, enum err e, const struct kv_item *item)
{
    struct keyvalue_get_response filled;
    if (!e)
        e = kv_fill_get(item, o->call->arena, &filled);
    if (e) {
        redis_operation_fail(o, e);
        return;
    }
    struct keyvalue_get_in_transaction_response response = {.found = filled.found,
                                                            .value = filled.value,
                                                            .version = filled.version,
                                                            .expires_at = filled.expires_at,
                                                            .tags = filled.tags};
    call_reply(o->call, &response);
}

static void get_answered(struct redis_operation *o)
{
    const struct keyvalue_get_in_transaction_request *r = o->call->request;
    struct kv_item item;
    bool found = false;
    enum err e = peeked(o, r->key, &item, &found);
    answer_get(o, e, found ? &item : NULL);
}

static void get_in_transaction(struct backend *backend, struct call *call,
                               const struct keyvalue_get_in_transaction_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, get_answered);
    struct kv_item item;
    bool own = false, found = false;
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = look(o, r->transaction_id, r->key, false, &own, &item, &found);
    if (e || own)
        answer_get(o, e, found ? &item : NULL);
    else
        redis_operation_send(o);
}

static void answer_delete(struct redis_operation *o, enum err e, bool existed)
{
    const struct keyvalue_delete_in_transaction_request *r = o->call->request;
    struct keyvalue_delete_in_transaction_response response = {.existed = existed};
    struct kv_write write = {.key = r->key, .expires_ms = KV_NEVER};
    struct redis_transaction *t;
    if (!e)
        e = redis_transaction_enter(table_of(o), o->call, r->transaction_id, &t);
    if (!e) {
        e = redis_transaction_note(t, &write, true, &o->call->diag);
        redis_transaction_leave(table_of(o));
    }
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, &response);
}

static void delete_answered(struct redis_operation *o)
{
    struct kv_item item;
    bool found = false;
    enum err e = peeked(o, SLICE_EMPTY, &item, &found);
    answer_delete(o, e, found);
}

static void delete_in_transaction(struct backend *backend, struct call *call,
                                  const struct keyvalue_delete_in_transaction_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, delete_answered);
    struct kv_item item;
    bool own = false, found = false;
    if (!o)
        return;
    enum err e = kv_check_key(r->key, &call->diag, "key");
    if (!e)
        e = look(o, r->transaction_id, r->key, true, &own, &item, &found);
    if (e || own)
        answer_delete(o, e, found);
    else
        redis_operation_send(o);
}

/* --- commit ------------------------------------------------------------------------------------------------------------------ */

struct commit_operation {
    struct redis_operation operation;
    struct slice version; /* of every key that it writes; empty: none */
};

enum { COMMITTED = 1, CONFLICT = 0, NO_SNAPSHOT = 2, RETRY_AFTER_CONFLICT_MS = 10 /* the other write has been done */ };

/* An answer that was kept says with which version. */
static void commit_answered(struct redis_operation *o)
{
    struct call *call = o->call;
    struct keyvalue_commit_response response = {0};
    const struct resp *result;
    if (!redis_part_results(o, redis_only_part(o), &result))
        return;
    switch (resp_at(result, 0)->integer) {
    case COMMITTED:
        response.version = resp_at(result, 1)->text;
        call_reply(call, &response);
        break;
    case CONFLICT:
        diag_set(&call->diag, ERR_TRANSACTION_CONFLICT,
                 "a key of the transaction was written by another call; begin it again");
        call->diag.retry_after_ms = RETRY_AFTER_CONFLICT_MS;
        redis_operation_fail(o, ERR_TRANSACTION_CONFLICT);
        break;
    case NO_SNAPSHOT:
    default:
        redis_operation_fail(o, ERR_TRANSACTION_UNKNOWN);
    }
}

static enum err put_write(struct commit_operation *o, struct resp_command *words, const struct redis_pending *p)
{
    struct slice key, packed = SLICE(""), ttl = redis_ttl(p->write.expires_ms, o->operation.now_ms, words->arena);
    enum err e = p->deleted ? OK : redis_pack(&p->write, o->version.data, words->arena, &packed);
    if (e || !ttl.data || !arena_copy(words->arena, p->write.key, &key))
        return ERR_NOMEM;
    resp_put(words, p->deleted ? SLICE("delete") : SLICE("set"));
    resp_put(words, key);
    resp_put(words, packed);
    resp_put(words, p->deleted ? SLICE("") : ttl);
    return OK;
}

static enum err put_writes(struct commit_operation *o, struct resp_command *words, const struct redis_transaction *t)
{
    uint8_t version[REDIS_VERSION_BYTES];
    enum err e = OK;
    redis_version_next(&o->operation.backend->versions, version);
    if (t->first && !arena_copy(words->arena, slice_of(version, sizeof version), &o->version))
        return ERR_NOMEM;
    resp_put(words, o->version);
    for (const struct redis_pending *p = t->first; p && !e; p = p->next)
        e = put_write(o, words, p);
    return e;
}

/* Copies all that it takes of t. t NULL: it has ended; only a kept answer is looked for. */
static enum err put_commit(struct commit_operation *o, const struct redis_transaction *t)
{
    struct redis_part *p = redis_part_script(&o->operation, 0, REDIS_COMMIT);
    struct resp_command *words = p ? &p->command->words : NULL;
    if (!p)
        return ERR_NOMEM;
    p->command->slow = true;
    redis_put_idempotency(&o->operation, words);
    resp_put_integer(words, t ? t->snapshot : 0);
    const char *entry = arena_strdup(words->arena, t ? t->entry : "");
    resp_put(words, slice_str(entry));
    if (!t)
        resp_put(words, SLICE(""));
    return !entry ? ERR_NOMEM : t ? put_writes(o, words, t) : OK;
}

static void commit(struct backend *backend, struct call *call, const struct keyvalue_commit_request *r)
{
    struct commit_operation *o = redis_mutation_new(backend, call, sizeof *o, commit_answered);
    struct redis_transaction *t = NULL;
    if (!o)
        return;
    struct redis_transactions *table = table_of(&o->operation);
    enum err e = redis_transaction_enter(table, call, r->transaction_id, &t);
    bool replay = e == ERR_TRANSACTION_UNKNOWN && o->operation.idem.used;
    if (!e) {
        redis_transaction_take(table, t);
        redis_transaction_leave(table);
    }
    if (!e || replay)
        e = put_commit(o, t);
    redis_transaction_free(t);
    if (e)
        redis_operation_fail(&o->operation, e);
    else
        redis_operation_send(&o->operation);
}

/* --- rollback ---------------------------------------------------------------------------------------------------------------- */

/* The transaction has ended whatever the server says: what it does not hear now it closes when its time has passed. */
static void rollback_answered(struct redis_operation *o)
{
    struct keyvalue_rollback_response response = {0};
    call_reply(o->call, &response);
}

static void rollback(struct backend *backend, struct call *call, const struct keyvalue_rollback_request *r)
{
    struct redis_operation *o = redis_operation_new(backend, call, sizeof *o, rollback_answered);
    struct redis_transaction *t = NULL;
    if (!o)
        return;
    o->partial = true;
    enum err e = redis_transaction_enter(table_of(o), call, r->transaction_id, &t);
    if (e) {
        redis_operation_fail(o, e);
        return;
    }
    redis_transaction_take(table_of(o), t);
    redis_transaction_leave(table_of(o));
    struct redis_part *p = redis_part_script(o, 0, REDIS_END);
    if (p)
        resp_put(&p->command->words, slice_str(arena_strdup(call->arena, t->entry)));
    redis_transaction_free(t);
    if (p)
        redis_operation_send(o);
    else
        redis_operation_fail(o, ERR_NOMEM);
}

const struct keyvalue_transactional_ops redis_keyvalue_transactional = {.begin_transaction = begin_transaction,
                                                                        .set_in_transaction = set_in_transaction,
                                                                        .get_in_transaction = get_in_transaction,
                                                                        .delete_in_transaction = delete_in_transaction,
                                                                        .commit = commit,
                                                                        .rollback = rollback};
