/* Scan, ScanKeys, Count.
 *
 *   every bucket that has run out: fetch its next keys, in order ──all have come──▶ merge: the first of all buckets goes to the page
 *         ▲                                                                            │ a bucket has run out      │ page full
 *         └────────────────────────────────────────────────────────────────────────────┘          send it, wait if told to, go on
 *
 * A fetch begins behind the last key that the one before looked at, so a key that is there all the time comes exactly once, and in
 * order, whatever is written meanwhile. Each bucket's fetch has an arena of its own, used again by the next: a scan of any length
 * takes the memory of one fetch a bucket. */
#include "drivers/redis/operation.h"
#include "prism/keyvalue/v1/keyvalue_scan.ops.h"

/* --- ranges as bounds of ZRANGEBYLEX ----------------------------------------------------------------------------------------- */

enum { BOUND_BYTES = LIMIT_KEY_BYTES + 2, KEYS_MIN = 16, BYTES_MIN = 16 << 10 };

struct bound {
    uint8_t bytes[BOUND_BYTES];
    size_t size;
};

static struct slice bound_slice(const struct bound *b)
{
    return slice_of(b->bytes, b->size);
}

/* '[' with the key, '(' without it; '-' and '+' are the ends. */
static void set_bound(struct bound *b, char kind, struct slice key)
{
    struct slice kept = slice_take(key, BOUND_BYTES - 1);
    b->bytes[0] = (uint8_t)kind;
    if (kept.size)
        memcpy(b->bytes + 1, kept.data, kept.size);
    b->size = 1 + kept.size;
}

static void bounds_of(const struct kv_range *range, struct bound *lower, struct bound *upper)
{
    set_bound(lower, range->start.size ? '[' : '-', range->start);
    set_bound(upper, range->has_end ? '(' : '+', range->has_end ? range->end : SLICE_EMPTY);
}

/* --- buckets ----------------------------------------------------------------------------------------------------------------- */

struct scan_bucket {
    struct arena arena; /* of the fetch */
    struct diag diag;
    struct redis_command *command; /* NULL: nothing under way */
    struct resp reply;             /* {more, last key looked at, key, packed, …} */
    uint32_t next;                 /* item of the reply */
    bool more;
    struct bound lower, upper; /* what has not been looked at */
};

struct scan_operation {
    struct redis_operation operation; /* without parts */
    struct kv_scan *scan;
    struct scan_bucket *buckets;
    uint32_t count;
    unsigned fetching;
    enum err err; /* of a fetch */
    bool turning; /* inside go_on: a fetch that is done at once does not start another round */
};

static void go_on(struct scan_operation *o);

static bool has_item(const struct scan_bucket *b)
{
    return b->next + 1 < b->reply.count;
}

static void finish_scan(struct scan_operation *o, enum err e)
{
    struct call *call = o->operation.call;
    call->on_resume = call->on_cancel = NULL;
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->buckets[i].command)
            redis_command_cancel(o->buckets[i].command);
        arena_fini(&o->buckets[i].arena);
    }
    kv_scan_fini(o->scan);
    if (e)
        redis_operation_fail(&o->operation, e);
    else
        call_end(call, OK);
}

static void scan_cancelled(struct call *call)
{
    finish_scan(call->driver, ERR_CANCELLED);
}

/* --- fetching ---------------------------------------------------------------------------------------------------------------- */

static void fetched(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct scan_operation *o = c->owner;
    struct scan_bucket *b = o->buckets;
    while (b->command != c)
        b++;
    b->command = NULL;
    o->fetching--;
    if (e && !o->err) {
        o->err = e;
        diag_set(&o->operation.call->diag, e, "%s", diag_message(&b->diag));
    }
    if (!e) {
        b->reply = *reply;
        b->next = 2;
        b->more = resp_at(reply, 0)->integer;
        struct slice last = resp_at(reply, 1)->text;
        if (last.size)
            set_bound(o->scan->reverse ? &b->upper : &b->lower, '(', last);
    }
    if (!o->fetching && !o->turning)
        go_on(o);
}

static int64_t share(int64_t all, uint32_t among, int64_t least)
{
    return among == 1 || all / among >= least ? all / among : least;
}

static enum err fetch(struct scan_operation *o, struct scan_bucket *b)
{
    const struct kv_scan *s = o->scan;
    uint64_t wanted = s->page_items_max < s->limit_left ? s->page_items_max : s->limit_left;
    int64_t keys = wanted + 1 < LIMIT_REDIS_SCAN_KEYS ? (int64_t)wanted + 1 : LIMIT_REDIS_SCAN_KEYS;
    b->reply = (struct resp){0};
    arena_reset(&b->arena);
    diag_init(&b->diag, &b->arena);
    struct redis_command *c =
        redis_command_new(o->operation.local, &b->arena, &b->diag, (uint32_t)(b - o->buckets), fetched, o);
    if (!c)
        return ERR_NOMEM;
    c->slow = true;
    redis_command_script(c, REDIS_SCAN, o->operation.now_ms);
    resp_put(&c->words, bound_slice(&b->lower));
    resp_put(&c->words, bound_slice(&b->upper));
    resp_put(&c->words, s->reverse ? SLICE("1") : SLICE("0"));
    resp_put_integer(&c->words, share(keys, o->count, KEYS_MIN));
    resp_put_integer(&c->words, share(LIMIT_REDIS_SCAN_BYTES, o->count, BYTES_MIN));
    resp_put(&c->words, s->keys_only ? SLICE("1") : SLICE("0"));
    b->command = c;
    o->fetching++;
    redis_send(c);
    return OK;
}

/* Those that have run out and may have more. Time goes on from round to round. */
static enum err fetch_all(struct scan_operation *o)
{
    struct redis_operation *operation = &o->operation;
    operation->now_ms = (int64_t)(operation->backend->env->realtime_ns(operation->backend->env) / 1000000);
    for (uint32_t i = 0; i < o->count && !o->err; i++)
        if (!has_item(&o->buckets[i]) && o->buckets[i].more)
            o->err = fetch(o, &o->buckets[i]);
    return o->err;
}

static bool is_any_out(const struct scan_operation *o)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (!has_item(&o->buckets[i]) && o->buckets[i].more)
            return true;
    return false;
}

/* --- merging ----------------------------------------------------------------------------------------------------------------- */

static struct slice key_at(const struct scan_bucket *b)
{
    return resp_at(&b->reply, b->next)->text;
}

/* The bucket whose next key comes first. NULL: all have ended. */
static struct scan_bucket *first_bucket(struct scan_operation *o)
{
    struct scan_bucket *first = NULL;
    for (uint32_t i = 0; i < o->count; i++) {
        struct scan_bucket *b = &o->buckets[i];
        if (!has_item(b))
            continue;
        int order = first ? slice_cmp(key_at(b), key_at(first)) : 0;
        if (!first || (o->scan->reverse ? order > 0 : order < 0))
            first = b;
    }
    return first;
}

static enum err take_item(struct scan_operation *o, struct scan_bucket *b, enum kv_scan_state *ret_state)
{
    struct kv_item item = {.key = key_at(b), .expires_ms = KV_NEVER};
    enum err e = o->scan->keys_only ? OK : redis_unpack(resp_at(&b->reply, b->next + 1)->text, item.key, &item);
    if (!e)
        *ret_state = kv_scan_add(o->scan, &item, &e);
    if (!e && *ret_state != KV_SCAN_FLUSH_FIRST)
        b->next += 2;
    return e;
}

static void resumed(struct call *call)
{
    struct scan_operation *o = call->driver;
    call->on_resume = NULL;
    go_on(o);
}

/* Sends the page. true: go on at once. */
static bool flush_page(struct scan_operation *o)
{
    struct call *call = o->operation.call;
    enum err e;
    enum call_flow flow = kv_scan_flush(o->scan, true, &e);
    if (e)
        o->err = e;
    if (e || flow == CALL_GO)
        return true;
    call->on_resume = resumed;
    return false;
}

static void end_scan(struct scan_operation *o)
{
    enum err e = o->err;
    if (!e)
        kv_scan_flush(o->scan, false, &e);
    finish_scan(o, e);
}

/* Until nothing can be done without waiting: for servers, or for who reads the pages. */
static void go_on(struct scan_operation *o)
{
    enum kv_scan_state state = KV_SCAN_MORE;
    o->turning = true;
    while (!o->err && state != KV_SCAN_DONE) {
        if (is_any_out(o) && !fetch_all(o) && o->fetching) {
            o->turning = false;
            return;
        }
        struct scan_bucket *b = o->err || is_any_out(o) ? NULL : first_bucket(o);
        if (!b && !o->err && is_any_out(o))
            continue;
        if (!b)
            break;
        o->err = take_item(o, b, &state);
        if (!o->err && state == KV_SCAN_FLUSH_FIRST && !flush_page(o)) {
            o->turning = false;
            return;
        }
    }
    end_scan(o);
}

static enum err begin(struct scan_operation *o)
{
    struct call *call = o->operation.call;
    o->count = o->operation.backend->layout.count;
    o->buckets = arena_array(call->arena, struct scan_bucket, o->count);
    if (!o->buckets)
        return ERR_NOMEM;
    enum err e = kv_scan_begin(call, &o->scan);
    for (uint32_t i = 0; i < o->count && !e; i++) {
        struct scan_bucket *b = &o->buckets[i];
        arena_init(&b->arena, LIMIT_CALL_ARENA_BYTES);
        bounds_of(&o->scan->range, &b->lower, &b->upper);
        b->more = true;
    }
    return e;
}

static void begin_scan(struct backend *backend, struct call *call)
{
    struct scan_operation *o = redis_operation_new(backend, call, sizeof *o, NULL);
    enum err e = o ? begin(o) : OK;
    if (!o)
        return;
    if (e) {
        redis_operation_fail(&o->operation, e);
        return;
    }
    call->on_cancel = scan_cancelled;
    go_on(o);
}

static void scan(struct backend *backend, struct call *call, const struct keyvalue_scan_request *request)
{
    (void)request;
    begin_scan(backend, call);
}

static void scan_keys(struct backend *backend, struct call *call, const struct keyvalue_scan_keys_request *request)
{
    (void)request;
    begin_scan(backend, call);
}

/* --- count ------------------------------------------------------------------------------------------------------------------- */

struct count_operation {
    struct redis_operation operation;
    struct bound lower, upper;
    uint64_t total;
};

static enum err ask_bucket(struct count_operation *o, uint32_t bucket)
{
    struct redis_part *p = redis_part_script(&o->operation, bucket, REDIS_COUNT);
    if (!p)
        return ERR_NOMEM;
    p->command->slow = true;
    resp_put(&p->command->words, bound_slice(&o->lower));
    resp_put(&p->command->words, bound_slice(&o->upper));
    return OK;
}

/* A bucket that has expired keys to sweep first says -1, and is asked again. */
static void count_answered(struct redis_operation *operation)
{
    struct count_operation *o = (struct count_operation *)operation;
    struct redis_part *parts = operation->parts;
    struct keyvalue_count_response response = {0};
    enum err e = OK;
    operation->parts = NULL;
    operation->parts_end = &operation->parts;
    for (struct redis_part *p = parts; p && !e; p = p->next) {
        if (p->reply.integer < 0)
            e = ask_bucket(o, p->bucket);
        else
            o->total += (uint64_t)p->reply.integer;
    }
    response.count = o->total;
    if (e)
        redis_operation_fail(operation, e);
    else if (operation->parts)
        redis_operation_send(operation);
    else
        call_reply(operation->call, &response);
}

static void count(struct backend *backend, struct call *call, const struct keyvalue_count_request *r)
{
    struct count_operation *o = redis_operation_new(backend, call, sizeof *o, count_answered);
    struct kv_range range;
    if (!o)
        return;
    enum err e = kv_range_make(r->prefix, r->start, r->end, call->arena, &call->diag, &range);
    if (!e)
        bounds_of(&range, &o->lower, &o->upper);
    for (uint32_t i = 0; i < o->operation.backend->layout.count && !e; i++)
        e = ask_bucket(o, i);
    if (e)
        redis_operation_fail(&o->operation, e);
    else
        redis_operation_send(&o->operation);
}

const struct keyvalue_scan_ops redis_keyvalue_scan = {.scan = scan, .scan_keys = scan_keys, .count = count};
