/* Scan, ScanKeys: pages from a merge of all shards, as long as the caller takes them.
 *
 *   walking ──page full──▶ sent ──CALL_GO──▶ walking
 *                            └──CALL_HOLD──▶ held (no references) ──on_resume──▶ walking
 *   any ──end, limit, error, cancelled──▶ ended
 *
 * Count: the same range, shard after shard; after every COUNT_TURN keys it lets the loop do other things. */
#include "prism/keyvalue/v1/keyvalue_scan.ops.h"

#include "drivers/memory/internal.h"
#include "drivers/memory/merge.h"

struct walk {
    struct kv_scan *scan;
    struct merge merge;
    const struct store *store;
};

static void end_walk(struct call *call, enum err e)
{
    struct walk *w = call->driver;
    memory_merge_drop(&w->merge);
    kv_scan_fini(w->scan);
    call_end(call, e);
}

static void cancelled_while_held(struct call *call)
{
    end_walk(call, ERR_CANCELLED);
}

static void walk_on(struct call *call);

static void resume(struct call *call)
{
    call->on_resume = NULL;
    call->on_cancel = NULL;
    walk_on(call);
}

static void wait_for_resume(struct call *call)
{
    struct walk *w = call->driver;
    memory_merge_drop(&w->merge);
    call->on_resume = resume;
    call->on_cancel = cancelled_while_held;
}

static enum err take(struct walk *w, const struct merge_item *from, enum kv_scan_state *ret_state)
{
    uint8_t token[TOKEN_BYTES];
    enum err e;
    memory_token(w->store, from->version->token, token);
    struct kv_item item = {.key = entry_key(from->entry),
                           .value = version_value(from->version),
                           .version = slice_of(token, sizeof token),
                           .tags = version_tags(from->version),
                           .expires_ms = from->version->expires_ms};
    *ret_state = kv_scan_add(w->scan, &item, &e);
    if (!e && *ret_state != KV_SCAN_FLUSH_FIRST)
        e = memory_merge_pop(&w->merge);
    return e;
}

static bool has_expired(const struct walk *w, const struct version *v)
{
    return v->expires_ms != KV_NEVER && version_is_expired(v, store_now_ms(w->store));
}

/* Fills the page. *ret_more: an item follows that did not fit. */
static enum err fill_page(struct walk *w, bool *ret_more)
{
    enum kv_scan_state state = KV_SCAN_MORE;
    const struct merge_item *item;
    enum err e = OK;
    while (!e && state == KV_SCAN_MORE) {
        e = memory_merge_peek(&w->merge, &item);
        if (e || !item)
            break;
        e = has_expired(w, item->version) ? memory_merge_pop(&w->merge) : take(w, item, &state);
    }
    *ret_more = state == KV_SCAN_FLUSH_FIRST;
    return e;
}

static void walk_on(struct call *call)
{
    struct walk *w = call->driver;
    for (;;) {
        bool more;
        enum err e = atomic_load_explicit(&call->cancelled, memory_order_relaxed) ? ERR_CANCELLED : fill_page(w, &more);
        enum call_flow flow = CALL_GO;
        if (!e)
            flow = kv_scan_flush(w->scan, more, &e);
        if (e || !more) {
            end_walk(call, e);
            return;
        }
        if (flow == CALL_HOLD) {
            wait_for_resume(call);
            return;
        }
    }
}

static void begin_walk(struct backend *backend, struct call *call)
{
    struct memory *m = (struct memory *)backend;
    struct walk *w = arena_new(call->arena, struct walk);
    enum err e = w ? kv_scan_begin(call, &w->scan) : ERR_NOMEM;
    if (e) {
        call_end(call, e);
        return;
    }
    w->store = &m->store;
    memory_merge_init(&w->merge, &m->store, &w->scan->range, w->scan->reverse, call->arena);
    call->driver = w;
    walk_on(call);
}

static void scan(struct backend *backend, struct call *call, const struct keyvalue_scan_request *r)
{
    (void)r;
    begin_walk(backend, call);
}

static void scan_keys(struct backend *backend, struct call *call, const struct keyvalue_scan_keys_request *r)
{
    (void)r;
    begin_walk(backend, call);
}

/* --- Count ------------------------------------------------------------------------------------------------------------------- */

enum { COUNT_LOCKED = 1024, COUNT_TURN = 65536 };

struct counting {
    struct store *store;
    struct kv_range range;
    unsigned shard;
    struct entry *last; /* counted last in this shard */
    uint64_t total;
};

/* Locked. */
static struct entry *count_from(const struct counting *c, struct shard *shard)
{
    if (!c->last)
        return memory_index_from(shard, c->range.start);
    struct entry *e = memory_index_from(shard, entry_key(c->last));
    return e && slice_eq(entry_key(e), entry_key(c->last)) ? e->next[0] : e;
}

static bool is_counted(const struct entry *e, int64_t now_ms)
{
    const struct version *v = memory_visible(e, SNAPSHOT_NOW);
    return v && !version_is_expired(v, now_ms);
}

/* At most COUNT_LOCKED entries of the shard; then, or at its end, moves on. Returns how many were looked at. */
static unsigned count_some(struct counting *c)
{
    struct shard *shard = &c->store->shards[c->shard];
    struct entry *last = NULL, *e;
    unsigned seen = 0;
    int64_t now_ms = store_now_ms(c->store);
    memory_lock(shard);
    if (!shard->indexed)
        memory_index_build(shard);
    for (e = count_from(c, shard); e && seen < COUNT_LOCKED && kv_range_has(&c->range, entry_key(e));
         e = e->next[0], seen++) {
        c->total += is_counted(e, now_ms);
        last = e;
    }
    bool ended = seen < COUNT_LOCKED;
    if (last && !ended)
        memory_entry_ref(last);
    memory_unlock(shard);
    memory_entry_unref(c->last);
    c->last = ended ? NULL : last;
    c->shard += ended;
    return seen + 1;
}

static void count_on(struct call *call)
{
    struct counting *c = call->driver;
    bool cancelled = atomic_load_explicit(&call->cancelled, memory_order_relaxed);
    for (unsigned seen = 0; c->shard < SHARDS && !cancelled;) {
        if (seen >= COUNT_TURN) {
            call_hop(call, count_on);
            return;
        }
        seen += count_some(c);
    }
    memory_entry_unref(c->last);
    struct keyvalue_count_response response = {.count = c->total};
    memory_answer(call, cancelled ? ERR_CANCELLED : OK, &response);
}

static void count(struct backend *backend, struct call *call, const struct keyvalue_count_request *r)
{
    struct memory *m = (struct memory *)backend;
    struct counting *c = arena_new(call->arena, struct counting);
    enum err e = c ? kv_range_make(r->prefix, r->start, r->end, call->arena, &call->diag, &c->range) : ERR_NOMEM;
    if (e) {
        call_end(call, e);
        return;
    }
    c->store = &m->store;
    call->driver = c;
    count_on(call);
}

const struct keyvalue_scan_ops memory_keyvalue_scan = {.scan = scan, .scan_keys = scan_keys, .count = count};
