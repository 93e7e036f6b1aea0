/* Several threads, each with a loop, a share of the connections, of the keys to fill, and of the rate. What they share is struct
 * shared; what they measure is theirs until they have been joined, and is then added up.
 *
 *   thread:  filling ──all have filled──▶ warming up ──▶ measuring ──▶ draining ──▶ joined        (run.c)
 *
 * An error of one, or SIGINT, which the first one hears, ends all. */
#include <pthread.h>

#include "base/mem.h"
#include "loadtest.h"

struct worker {
    struct part part;
    struct options options; /* with its share */
    struct plan plan;       /* with templates and histograms of its own */
    struct arena arena;
    struct diag diag;
    struct result result;
    enum err err;
    pthread_t thread;
    bool started;
};

/* --- shares ---------------------------------------------------------------------------------------------------------- */

static uint64_t share_of(uint64_t whole, unsigned index, unsigned count)
{
    return whole / count + (index < whole % count);
}

static void share_options(struct worker *w, const struct options *o)
{
    unsigned index = w->part.index, count = w->part.shared->threads;
    w->options = *o;
    w->options.connections = share_of(o->connections, index, count);
    w->options.rate_from = o->rate_from / count;
    w->options.rate_to = o->rate_to / count;
    w->options.quiet = o->quiet || index > 0;
    w->part.fill = o->fill ? share_of(o->keys, index, count) : 0;
}

/* A template is written to with each call. */
static enum err own_item(struct worker *w, struct item *item)
{
    struct slice copy;
    if (!item->method)
        return OK;
    item->latency = NULL;
    if (!arena_copy(&w->arena, slice_of(item->request.bytes, item->request.size), &copy))
        return ERR_NOMEM;
    item->request.bytes = (uint8_t *)(uintptr_t)copy.data;
    return hdr_new(&item->latency);
}

static enum err own_plan(struct worker *w, const struct plan *plan)
{
    w->plan = *plan;
    w->plan.pool = NULL;
    enum err e = own_item(w, &w->plan.fill);
    for (unsigned i = 0; i < plan->item_count; i++)
        w->plan.items[i].latency = NULL;
    for (unsigned i = 0; i < plan->item_count && !e; i++)
        e = own_item(w, &w->plan.items[i]);
    return e;
}

static enum err prepare(struct worker *w, unsigned index, const struct options *o, const struct plan *plan,
                        struct shared *shared)
{
    w->part = (struct part){.index = index, .shared = shared};
    arena_init(&w->arena, SIZE_MAX);
    diag_init(&w->diag, &w->arena);
    share_options(w, o);
    return own_plan(w, plan);
}

/* --- the threads ----------------------------------------------------------------------------------------------------- */

static void *work(void *context)
{
    struct worker *w = context;
    w->err = run_part(&w->part, &w->options, &w->plan, &w->diag, &w->result);
    if (w->err)
        atomic_store(&w->part.shared->stop, true);
    return NULL;
}

static enum err start(struct worker *w)
{
    w->started = pthread_create(&w->thread, NULL, work, w) == 0;
    if (!w->started)
        atomic_store(&w->part.shared->stop, true);
    return w->started ? OK : ERR_NOMEM;
}

/* The first worker runs here. */
static enum err run_all(struct worker *workers, unsigned count)
{
    enum err e = OK;
    for (unsigned i = 1; i < count && !e; i++)
        e = start(&workers[i]);
    if (!e)
        work(&workers[0]);
    for (unsigned i = 1; i < count; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
    return e;
}

/* --- the sum --------------------------------------------------------------------------------------------------------- */

static void add_items(struct plan *to, const struct plan *from)
{
    for (unsigned i = 0; i < to->item_count; i++) {
        hdr_merge(to->items[i].latency, from->items[i].latency);
        to->items[i].messages += from->items[i].messages;
        to->items[i].failed += from->items[i].failed;
    }
}

static void add_result(struct result *to, const struct result *from)
{
    hdr_merge(to->total, from->total);
    hdr_merge(to->lag, from->lag);
    to->seconds = from->seconds > to->seconds ? from->seconds : to->seconds;
    to->failed += from->failed;
    to->unsent += from->unsent;
    for (unsigned i = 0; i < ERR_COUNT; i++)
        to->errors[i] += from->errors[i];
}

/* The error of whichever failed first in order; the others only stopped because of it. */
static enum err first_error(const struct worker *workers, unsigned count, struct diag *diag)
{
    for (unsigned i = 0; i < count; i++)
        if (workers[i].err)
            return diag_set(diag, workers[i].err, "%s", diag_message(&workers[i].diag));
    return OK;
}

static enum err sum_up(struct worker *workers, unsigned count, struct plan *plan, struct diag *diag,
                       struct result *ret_result)
{
    struct result all = {.total = NULL};
    enum err e = first_error(workers, count, diag);
    e = e ? e : hdr_new(&all.total);
    e = e ? e : hdr_new(&all.lag);
    for (unsigned i = 0; i < count && !e; i++) {
        add_items(plan, &workers[i].plan);
        add_result(&all, &workers[i].result);
    }
    if (e)
        result_fini(&all);
    else
        *ret_result = all;
    return e;
}

static void put_down(struct worker *w)
{
    plan_fini(&w->plan);
    result_fini(&w->result);
    arena_fini(&w->arena);
}

enum err run_load(const struct options *o, struct plan *plan, struct diag *diag, struct result *ret_result)
{
    unsigned count = (unsigned)o->threads, ready = 0;
    struct shared shared = {.threads = count};
    struct worker *workers = mem_zalloc(count * sizeof *workers);
    enum err e = workers ? OK : ERR_NOMEM;
    while (ready < count && !e) {
        e = prepare(&workers[ready], ready, o, plan, &shared);
        ready++;
    }
    e = e ? e : run_all(workers, count);
    e = e ? e : sum_up(workers, count, plan, diag, ret_result);
    for (unsigned i = 0; i < ready; i++)
        put_down(&workers[i]);
    mem_free(workers);
    return e;
}

void result_fini(struct result *result)
{
    hdr_free(result->total);
    hdr_free(result->lag);
}
