/* watch.h has the states. */
#include "drivers/redis/watch.h"

#include <stdio.h>

#include "base/mem.h"
#include "data/waiting.h"

enum { BLOCK_MS = LIMIT_REDIS_BLOCK_MS, ENTRIES = 100 };

static void read_on(struct redis_watcher *w);
static void resume(struct timer *timer);

/* --- who waits ------------------------------------------------------------------------------------------------------------------ */

static struct redis_watcher *make(struct redis_local *l, uint32_t bucket)
{
    struct redis_watcher *w = mem_zalloc(sizeof *w);
    if (!w)
        return NULL;
    w->local = l;
    w->bucket = bucket;
    w->timer.fire = resume;
    arena_init(&w->arena, 16 << 20);
    w->next = l->watchers;
    l->watchers = w;
    return w;
}

struct redis_watcher *redis_watcher_of(struct redis_local *l, uint32_t bucket)
{
    struct redis_watcher *w = l->watchers;
    while (w && w->bucket != bucket)
        w = w->next;
    return w ? w : make(l, bucket);
}

void redis_watch_enter(struct redis_watcher *w, struct redis_watched *x)
{
    x->prev = NULL;
    x->next = w->first;
    if (w->first)
        w->first->prev = x;
    w->first = x;
}

void redis_watch_leave(struct redis_watcher *w, struct redis_watched *x)
{
    *(x->prev ? &x->prev->next : &w->first) = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

static void disconnect(struct redis_watcher *w)
{
    if (w->has_connection)
        redis_connection_fini(&w->connection);
    w->has_connection = false;
}

void redis_watchers_free(struct redis_local *l)
{
    while (l->watchers) {
        struct redis_watcher *w = l->watchers;
        l->watchers = w->next;
        redis_request_cancel(&w->request);
        if (w->renewal)
            redis_command_cancel(w->renewal);
        timer_stop(l->loop, &w->timer);
        disconnect(w);
        arena_fini(&w->arena);
        mem_free(w);
    }
}

/* --- when something goes wrong -------------------------------------------------------------------------------------------------- */

static void pause_watching(struct redis_watcher *w)
{
    w->state = REDIS_WATCH_PAUSED;
    timer_start(w->local->loop, &w->timer, loop_now_ns(w->local->loop) + LIMIT_REDIS_REFRESH_MS * UINT64_C(1000000));
}

/* What was pushed meanwhile may not be in the stream that is there now: everybody looks, and who finds nothing starts the watcher. */
static void resume(struct timer *timer)
{
    struct redis_watcher *w = (struct redis_watcher *)((char *)timer - offsetof(struct redis_watcher, timer));
    w->state = REDIS_WATCH_IDLE;
    for (struct redis_watched *x = w->first; x; x = x->next)
        waiting_notify(&w->local->backend->pops, x->key);
}

/* --- renewing the note ---------------------------------------------------------------------------------------------------------- */

static void renewed(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct redis_watcher *w = c->owner;
    (void)reply;
    w->renewal = NULL;
    if (e)
        pause_watching(w);
    else
        read_on(w);
}

static void renew(struct redis_watcher *w)
{
    struct redis_local *l = w->local;
    arena_reset(&w->arena);
    struct diag *diag = arena_new(&w->arena, struct diag);
    struct redis_command *c = diag ? redis_command_new(l, &w->arena, diag, w->bucket, renewed, w) : NULL;
    if (!c) {
        pause_watching(w);
        return;
    }
    diag_init(diag, &w->arena);
    redis_command_script(c, REDIS_LIST, loop_realtime_ms(l->loop));
    resp_put(&c->words, SLICE("watch"));
    for (int i = 0; i < 5; i++)
        resp_put(&c->words, SLICE("")); /* no idempotency key, no key */
    w->state = REDIS_WATCH_RENEWING;
    w->renewal = c;
    redis_send(c);
}

/* --- reading -------------------------------------------------------------------------------------------------------------------- */

/* [[stream, [[id, [field, key]], …]]]; nil where nothing came. */
static void take_entries(struct redis_watcher *w, const struct resp *reply)
{
    const struct resp *entries = resp_at(resp_at(reply, 0), 1);
    for (uint32_t i = 0; i < entries->count; i++) {
        const struct resp *entry = resp_at(entries, i);
        snprintf(w->last, sizeof w->last, "%.*s", SLICE_ARG(resp_at(entry, 0)->text));
        waiting_notify(&w->local->backend->pops, resp_at(resp_at(entry, 1), 1)->text);
    }
}

static void read_answered(struct redis_request *request, const struct redis_outcome *o)
{
    struct redis_watcher *w = (struct redis_watcher *)((char *)request - offsetof(struct redis_watcher, request));
    if (o->err || o->reply->kind == RESP_ERROR) {
        pause_watching(w);
        return;
    }
    take_entries(w, o->reply);
    if (w->first) {
        renew(w);
        return;
    }
    w->state = REDIS_WATCH_IDLE;
    disconnect(w);
}

static enum err make_request(struct redis_watcher *w)
{
    const struct redis_bucket *bucket = &w->local->backend->layout.buckets[w->bucket];
    struct resp_command c;
    arena_reset(&w->arena);
    resp_command_init(&c, &w->arena);
    resp_put(&c, SLICE("XREAD"));
    resp_put(&c, SLICE("COUNT"));
    resp_put_integer(&c, ENTRIES);
    resp_put(&c, SLICE("BLOCK"));
    resp_put_integer(&c, BLOCK_MS);
    resp_put(&c, SLICE("STREAMS"));
    resp_put(&c, slice_str(arena_printf(&w->arena, "%.*s:w", SLICE_ARG(bucket->root))));
    resp_put(&c, slice_str(w->last));
    w->request = (struct redis_request){.arena = &w->arena, .done = read_answered};
    return resp_command_finish(&c, &w->request.bytes);
}

/* The connection goes to where the bucket is now. */
static bool is_connected_to(const struct redis_watcher *w, const struct redis_node *node)
{
    return w->has_connection && !strcmp(w->connection.address, node->fast.address);
}

static void read_on(struct redis_watcher *w)
{
    struct redis_local *l = w->local;
    struct redis_node *node = redis_node_of_slot(l, l->backend->layout.buckets[w->bucket].slot);
    if (!node || make_request(w)) {
        pause_watching(w);
        return;
    }
    if (!is_connected_to(w, node)) {
        disconnect(w);
        redis_connection_init(&w->connection, &l->backend->access, l->loop, node->fast.address);
        w->connection.block_ms = BLOCK_MS;
        w->has_connection = true;
    }
    w->state = REDIS_WATCH_READING;
    redis_submit(&w->connection, &w->request);
}

void redis_watch_from(struct redis_watcher *w, struct slice last_entry)
{
    if (w->state != REDIS_WATCH_IDLE)
        return; /* it reads from there, or from earlier on */
    snprintf(w->last, sizeof w->last, "%.*s", (int)(last_entry.size < 40 ? last_entry.size : 40), last_entry.data);
    read_on(w);
}
