/* operation.h has the states. */
#include "drivers/redis/operation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LARGE_BYTES = 64 << 10 /* past this a value does not travel where small ones do */ };

/* --- failing and cancelling -------------------------------------------------------------------------------------------------- */

void redis_operation_fail(struct redis_operation *o, enum err e)
{
    struct call *call = o->call;
    if (call->diag.err != e)
        diag_set(&call->diag, e, "%s", err_row(e)->text);
    call->on_cancel = NULL;
    call_end(call, e);
}

static void forget_parts(struct redis_operation *o)
{
    for (struct redis_part *p = o->parts; p; p = p->next)
        if (p->sent && !p->done)
            redis_command_cancel(p->command);
    if (o->mark)
        redis_command_cancel(o->mark);
}

static bool is_late(const struct redis_operation *o)
{
    const struct env *env = o->backend->env;
    return o->call->deadline_ns != UINT64_MAX && env->monotonic_ns(env) >= o->call->deadline_ns;
}

static void cancelled(struct call *call)
{
    struct redis_operation *o = call->driver;
    forget_parts(o);
    if (o->give_up)
        o->give_up(o);
    redis_operation_fail(o, is_late(o) ? ERR_DEADLINE_EXCEEDED : ERR_CANCELLED);
}

/* --- making ------------------------------------------------------------------------------------------------------------------ */

static void *refuse(struct call *call, enum err e)
{
    if (call->diag.err != e)
        diag_set(&call->diag, e, "%s", err_row(e)->text);
    call_end(call, e);
    return NULL;
}

void *redis_operation_new(struct backend *backend, struct call *call, size_t size,
                          void (*answer)(struct redis_operation *))
{
    struct redis_operation *o = arena_zalloc(call->arena, size);
    if (!o)
        return refuse(call, ERR_NOMEM);
    o->backend = redis_backend(backend);
    o->local = redis_local_of(o->backend, call->loop);
    if (!o->local)
        return refuse(call, ERR_NOMEM);
    o->call = call;
    o->now_ms = (int64_t)(o->backend->env->realtime_ns(o->backend->env) / 1000000);
    o->parts_end = &o->parts;
    o->answer = answer;
    call->driver = o;
    return o;
}

void *redis_mutation_new(struct backend *backend, struct call *call, size_t size,
                         void (*answer)(struct redis_operation *))
{
    struct redis_operation *o = redis_operation_new(backend, call, size, answer);
    enum err e = o ? idem_begin(call, o->now_ms, &o->idem) : OK;
    return e ? refuse(call, e) : o;
}

/* --- parts ------------------------------------------------------------------------------------------------------------------- */

/* A reply's items stay where they are in the call's arena; its root is kept here. */
static void part_done(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct redis_part *p = c->owner;
    struct redis_operation *o = p->operation;
    p->done = true;
    p->err = e;
    if (!e)
        p->reply = *reply;
    if (--o->left)
        return;
    for (p = o->parts; p && !o->partial; p = p->next) {
        if (p->err) {
            diag_set(&o->call->diag, p->err, "%s", diag_message(&p->diag));
            redis_operation_fail(o, p->err);
            return;
        }
    }
    o->call->on_cancel = NULL;
    o->answer(o);
}

struct redis_part *redis_part_new(struct redis_operation *o, uint32_t bucket)
{
    struct redis_part *p = arena_new(o->call->arena, struct redis_part);
    if (!p)
        return NULL;
    p->operation = o;
    p->bucket = bucket;
    diag_init(&p->diag, o->call->arena);
    p->command = redis_command_new(o->local, o->call->arena, &p->diag, bucket, part_done, p);
    if (!p->command)
        return NULL;
    *o->parts_end = p;
    o->parts_end = &p->next;
    return p;
}

struct redis_part *redis_part_script(struct redis_operation *o, uint32_t bucket, enum redis_script_id id)
{
    struct redis_part *p = redis_part_new(o, bucket);
    if (p)
        redis_command_script(p->command, id, o->now_ms);
    return p;
}

void redis_operation_renew(struct redis_operation *o)
{
    o->parts = NULL;
    o->parts_end = &o->parts;
}

/* --- idempotency --------------------------------------------------------------------------------------------------------------- */

static void put_u64(uint8_t *out, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(x >> (8 * i));
}

/* Copied, as words are borrowed until the command is finished. */
static void put_copy(struct resp_command *words, const void *bytes, size_t size)
{
    struct slice copy;
    words->failed |= !arena_copy(words->arena, slice_of(bytes, size), &copy);
    if (!words->failed)
        resp_put(words, copy);
}

void redis_put_idempotency(struct redis_operation *o, struct resp_command *words)
{
    uint8_t fingerprint[8], stamp[REDIS_STAMP_BYTES];
    put_u64(fingerprint, o->idem.fingerprint);
    redis_stamp(o->idem.expires_ms, stamp);
    resp_put(words, o->idem.used ? o->idem.key : SLICE(""));
    put_copy(words, fingerprint, sizeof fingerprint);
    put_copy(words, stamp, sizeof stamp);
    resp_put_integer(words, o->idem.used ? o->idem.expires_ms - o->now_ms : 0);
}

static uint64_t get_u64(struct slice bytes)
{
    uint64_t x = 0;
    for (int i = 0; i < 8; i++)
        x |= (uint64_t)bytes.data[i] << (8 * i);
    return x;
}

/* --- sending --------------------------------------------------------------------------------------------------------------------- */

/* When the last part is done the operation may be gone, so it is looked at no more once that one has been sent. */
static void send_parts(struct redis_operation *o)
{
    struct redis_part *first = o->parts;
    while (first && first->sent)
        first = first->next;
    for (struct redis_part *p = first; p; p = p->next) {
        p->sent = true;
        p->command->slow |= p->command->words.bytes > LARGE_BYTES;
        o->left++;
    }
    for (struct redis_part *p = first, *next; p; p = next) {
        next = p->next;
        redis_send(p->command);
    }
}

static void marked(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct redis_operation *o = c->owner;
    o->mark = NULL;
    o->marked = true;
    if (e) {
        redis_operation_fail(o, e);
    } else if (reply->text.size == 8 && get_u64(reply->text) != o->idem.fingerprint) {
        o->call->on_cancel = NULL;
        idem_replay(o->call, &o->idem, get_u64(reply->text), SLICE_EMPTY);
    } else {
        send_parts(o);
    }
}

static void send_mark(struct redis_operation *o)
{
    uint32_t bucket = redis_bucket_of(&o->backend->layout, o->idem.key);
    o->mark = redis_command_new(o->local, o->call->arena, &o->call->diag, bucket, marked, o);
    if (!o->mark) {
        redis_operation_fail(o, ERR_NOMEM);
        return;
    }
    redis_command_script(o->mark, REDIS_MARK, o->now_ms);
    redis_put_idempotency(o, &o->mark->words);
    redis_send(o->mark);
}

void redis_operation_send(struct redis_operation *o)
{
    if (is_late(o)) {
        if (o->give_up)
            o->give_up(o);
        redis_operation_fail(o, ERR_DEADLINE_EXCEEDED);
        return;
    }
    o->call->on_cancel = cancelled;
    if (o->idem.used && o->backend->layout.count > 1 && !o->marked)
        send_mark(o);
    else
        send_parts(o);
}

/* --- reading one key ----------------------------------------------------------------------------------------------------------- */

static enum err put_read(struct redis_operation *o, struct slice key, bool head_alone)
{
    struct slice name;
    enum err e = kv_check_key(key, &o->call->diag, "key");
    if (!e)
        e = redis_value_name(&o->backend->layout, key, o->call->arena, &name);
    struct redis_part *p = e ? NULL : redis_part_new(o, redis_bucket_of(&o->backend->layout, key));
    if (!p)
        return e ? e : ERR_NOMEM;
    struct resp_command *words = &p->command->words;
    resp_put(words, head_alone ? SLICE("GETRANGE") : SLICE("GET"));
    resp_put(words, name);
    if (head_alone) {
        resp_put_integer(words, 0);
        resp_put_integer(words, REDIS_HEAD_BYTES - 1);
    }
    return OK;
}

void redis_read_value(struct redis_operation *o, struct slice key, bool head_alone)
{
    enum err e = put_read(o, key, head_alone);
    if (e)
        redis_operation_fail(o, e);
    else
        redis_operation_send(o);
}

/* --- changes ----------------------------------------------------------------------------------------------------------------- */

struct redis_part *redis_part_apply(struct redis_operation *o, uint32_t bucket, bool mismatch_is_answer)
{
    struct redis_part *p = redis_part_script(o, bucket, REDIS_APPLY);
    if (!p)
        return NULL;
    redis_put_idempotency(o, &p->command->words);
    resp_put(&p->command->words, mismatch_is_answer ? SLICE("1") : SLICE("0"));
    return p;
}

static struct slice kind_word(enum redis_change_kind kind)
{
    static const char *const words[] = {[REDIS_SET] = "set",
                                        [REDIS_SWAP] = "swap",
                                        [REDIS_DELETE] = "delete",
                                        [REDIS_EXPIRE] = "expire",
                                        [REDIS_PERSIST] = "expire"};
    return slice_str(words[kind]);
}

static struct slice expected_word(enum kv_expect what)
{
    static const char *const words[] = {[KV_EXPECT_ANYTHING] = "",
                                        [KV_EXPECT_ABSENT] = "absent",
                                        [KV_EXPECT_VERSION] = "version",
                                        [KV_EXPECT_VALUE] = "value"};
    return slice_str(words[what]);
}

static enum err put_content(struct redis_part *p, const struct redis_change *change)
{
    struct redis_operation *o = p->operation;
    struct resp_command *words = &p->command->words;
    uint8_t stamp[REDIS_STAMP_BYTES];
    struct slice packed;
    if (!change->write) {
        redis_stamp(change->kind == REDIS_PERSIST ? KV_NEVER : change->expires_ms, stamp);
        put_copy(words, stamp, sizeof stamp);
        return OK;
    }
    enum err e = redis_pack_next(&o->backend->versions, change->write, words->arena, &packed);
    if (!e)
        resp_put(words, packed);
    return e;
}

static int64_t expiry_of(const struct redis_change *change)
{
    if (change->write)
        return change->write->expires_ms;
    return change->kind == REDIS_EXPIRE ? change->expires_ms : KV_NEVER;
}

enum err redis_part_change(struct redis_part *p, const struct redis_change *change)
{
    struct resp_command *words = &p->command->words;
    struct slice ttl = redis_ttl(expiry_of(change), p->operation->now_ms, words->arena);
    resp_put(words, kind_word(change->kind));
    resp_put(words, change->key);
    resp_put(words, expected_word(change->expected.what));
    resp_put(words, change->expected.bytes);
    enum err e = put_content(p, change);
    resp_put(words, ttl);
    p->items++;
    return e ? e : words->failed || !ttl.data ? ERR_NOMEM : OK;
}

bool redis_part_results(struct redis_operation *o, const struct redis_part *p, const struct resp **ret_results)
{
    struct slice kept = resp_at(&p->reply, 0)->text;
    const struct resp *results = resp_at(&p->reply, 1);
    if (kept.size == 8 && get_u64(kept) != o->idem.fingerprint) {
        idem_replay(o->call, &o->idem, get_u64(kept), SLICE_EMPTY);
        return false;
    }
    if (results->kind != RESP_ARRAY || (p->items && results->count != p->items)) {
        diag_set(&o->call->diag, ERR_INTERNAL, "redis: a script answered something else than was asked for");
        redis_operation_fail(o, ERR_INTERNAL);
        return false;
    }
    *ret_results = results;
    return true;
}

enum err redis_change_error(const struct resp *result, const struct kv_expected *expected, struct diag *diag)
{
    struct slice found = resp_at(result, 1)->text;
    struct kv_item item = {0};
    if (resp_at(result, 0)->integer == REDIS_FAILED) {
        struct resp error = {.kind = RESP_ERROR, .text = found};
        return diag_set(diag, redis_error_of(&error), "redis: %.*s", (int)(found.size < 300 ? found.size : 300),
                        found.data);
    }
    enum err e = found.size ? redis_unpack(found, SLICE_EMPTY, &item) : OK;
    return e ? e : kv_version_mismatch(expected, item.version, diag);
}

void redis_apply_one(struct redis_operation *o, const struct redis_change *change, bool mismatch_is_answer)
{
    struct redis_part *p = redis_part_apply(o, redis_bucket_of(&o->backend->layout, change->key), mismatch_is_answer);
    enum err e = p ? redis_part_change(p, change) : ERR_NOMEM;
    if (e)
        redis_operation_fail(o, e);
    else
        redis_operation_send(o);
}

bool redis_only_result(struct redis_operation *o, const struct resp **ret_result)
{
    const struct resp *results;
    if (!redis_part_results(o, redis_only_part(o), &results))
        return false;
    *ret_result = resp_at(results, 0);
    return true;
}

/* --- methods of models ---------------------------------------------------------------------------------------------------------- */

struct redis_part *redis_part_method(struct redis_operation *o, enum redis_script_id model, const char *method,
                                     struct slice key)
{
    struct redis_part *p = redis_part_script(o, redis_bucket_of(&o->backend->layout, key), model);
    if (!p)
        return NULL;
    resp_put(&p->command->words, slice_str(method));
    redis_put_idempotency(o, &p->command->words);
    resp_put(&p->command->words, key);
    return p;
}

void redis_part_send(struct redis_operation *o, struct redis_part *p, enum err e)
{
    if (!e && (!p || p->command->words.failed))
        e = ERR_NOMEM;
    if (e)
        redis_operation_fail(o, e);
    else
        redis_operation_send(o);
}

void redis_method_send(struct redis_operation *o, enum redis_script_id model, const char *method, struct slice key,
                       enum err e)
{
    redis_part_send(o, e ? NULL : redis_part_method(o, model, method, key), e);
}

const struct resp *redis_method_result(struct redis_operation *o)
{
    const struct resp *result;
    return redis_part_results(o, redis_only_part(o), &result) ? result : NULL;
}

void redis_reply(struct redis_operation *o, enum err e, const void *response)
{
    if (e)
        redis_operation_fail(o, e);
    else
        call_reply(o->call, response);
}

void redis_put_score(struct resp_command *words, double score)
{
    char *text = isinf(score) ? arena_strdup(words->arena, score > 0 ? "inf" : "-inf")
                              : arena_printf(words->arena, "%.17g", score);
    words->failed |= !text;
    resp_put(words, slice_str(text));
}

double redis_score(struct slice text)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%.*s", SLICE_ARG(text));
    return strtod(copy, NULL);
}

enum err redis_check_one_bucket(struct redis_operation *o, const char *what)
{
    if (o->backend->layout.count == 1)
        return OK;
    return diag_set(
        &o->call->diag, ERR_FAILED_PRECONDITION,
        "namespace %s is spread over %u buckets of a Redis Cluster, and %s needs its data in one; give a namespace "
        "that needs it a backend with redis.buckets: 1",
        o->backend->name, o->backend->layout.count, what);
}
