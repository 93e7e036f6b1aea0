/* The list of open backends and the life of each (backends.h has the states). */
#include "proxy/backends.h"

#include <assert.h>
#include <stdio.h>

#include "base/mem.h"
#include "proxy/config.h"

/* Of a namespace only the driver options count: a change of limits or TTL rules does not touch the store. Of a backend also where
 * it connects to. */
static bool is_option(const struct pb_field *field)
{
    return field->number >= 10 && field->number < 100 && field->card == PB_SINGULAR &&
           (field->type == PB_MESSAGE || field->type == PB_STRING);
}

static enum err put_option(const struct pb_field *field, const void *at, struct buf *out)
{
    buf_printf(out, "%s:", field->name);
    if (field->type == PB_MESSAGE)
        return pb_encode_buf(field->message, *(void *const *)at, out);
    const struct slice *text = at;
    buf_printf(out, "%zu:", text->size);
    buf_put_slice(out, *text);
    return buf_err(out);
}

static enum err put_options(const struct pb_message *table, const void *message, struct buf *out)
{
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct pb_field *field = &table->fields[i];
        if (!is_option(field) || !pb_has(field, message))
            continue;
        enum err e = put_option(field, (const char *)message + field->offset, out);
        if (e)
            return e;
    }
    return buf_err(out);
}

enum err held_settings(const struct driver *driver, const struct config_backend *backend,
                       const struct config_namespace *ns, struct buf *out)
{
    buf_printf(out, "%s;", driver->name);
    enum err e = backend ? put_options(&config_backend_pb, backend, out) : OK;
    buf_printf(out, ";%.*s;", SLICE_ARG(config_store_of(ns)));
    return e ? e : put_options(&config_namespace_pb, ns, out);
}

/* --- what is open ------------------------------------------------------------------------------------------------------------ */

void keeper_init(struct keeper *k, struct loop *loop, struct pool *pool)
{
    *k = (struct keeper){.loop = loop, .pool = pool};
    pthread_mutex_init(&k->lock, NULL);
    pthread_cond_init(&k->gone, NULL);
}

void keeper_set_loops(struct keeper *k, struct loop *const *loops, unsigned count)
{
    k->loops = loops;
    k->loop_count = count;
}

void keeper_loops_run(struct keeper *k, bool run)
{
    k->loops_run = run;
    for (unsigned i = 0; i < k->loop_count && !run; i++)
        if (k->loops[i])
            loop_turn(k->loops[i], false);
}

void keeper_fini(struct keeper *k)
{
    assert(!k->first);
    pthread_cond_destroy(&k->gone);
    pthread_mutex_destroy(&k->lock);
}

static void enlist(struct keeper *k, struct held *held)
{
    pthread_mutex_lock(&k->lock);
    held->next = k->first;
    k->first = held;
    pthread_mutex_unlock(&k->lock);
    atomic_fetch_add(&k->open, 1);
}

static void delist(struct keeper *k, const struct held *held)
{
    pthread_mutex_lock(&k->lock);
    struct held **at = &k->first;
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    pthread_cond_broadcast(&k->gone);
    pthread_mutex_unlock(&k->lock);
}

static struct held *find(const struct keeper *k, const struct driver *driver, const char *name)
{
    struct held *held = k->first;
    while (held && (held->driver != driver || strcmp(held->name, name) != 0))
        held = held->next;
    return held;
}

/* false: it is being closed. */
static bool try_ref(struct held *held)
{
    unsigned refs = atomic_load(&held->refs);
    while (refs > 0)
        if (atomic_compare_exchange_weak(&held->refs, &refs, refs + 1))
            return true;
    return false;
}

struct held *held_take(struct keeper *k, const struct driver *driver, const char *name)
{
    pthread_mutex_lock(&k->lock);
    struct held *held;
    while ((held = find(k, driver, name)) && !try_ref(held))
        pthread_cond_wait(&k->gone, &k->lock);
    pthread_mutex_unlock(&k->lock);
    return held;
}

/* --- the life of one --------------------------------------------------------------------------------------------------------- */

static void free_held(struct held *held)
{
    guard_free(held->guard);
    mem_free(held->detaches);
    mem_free(held);
}

static struct held *new_held(const struct keeper *keeper, const struct driver *driver, struct slice settings)
{
    struct held *held = mem_zalloc(sizeof *held + settings.size);
    if (!held || !driver->detach || !keeper->loop_count)
        return held;
    held->detaches = mem_zalloc(keeper->loop_count * sizeof *held->detaches);
    if (held->detaches)
        return held;
    mem_free(held);
    return NULL;
}

enum err held_open(struct keeper *keeper, const struct driver *driver, const char *name,
                   const struct backend_open *open, struct slice settings, struct held **ret_held)
{
    struct held *held = new_held(keeper, driver, settings);
    if (!held)
        return ERR_NOMEM;
    enum err e = driver->remote ? guard_new(open->env, &held->guard) : OK;
    if (!e)
        e = driver->open(open, &held->backend);
    if (e) {
        free_held(held);
        return e;
    }
    held->keeper = keeper;
    held->driver = driver;
    snprintf(held->name, sizeof held->name, "%s", name);
    held->settings_size = settings.size;
    memcpy(held->settings, settings.data, settings.size);
    atomic_init(&held->refs, 1);
    enlist(keeper, held);
    *ret_held = held;
    return OK;
}

struct held *held_ref(struct held *held)
{
    atomic_fetch_add_explicit(&held->refs, 1, memory_order_relaxed);
    return held;
}

static void close_backend(struct work *work)
{
    struct held *held = (struct held *)((char *)work - offsetof(struct held, work));
    held->driver->close(held->backend);
}

static void closed(struct work *work)
{
    struct held *held = (struct held *)((char *)work - offsetof(struct held, work));
    struct keeper *keeper = held->keeper;
    delist(keeper, held);
    free_held(held);
    if (atomic_fetch_sub(&keeper->open, 1) == 1 && keeper->on_empty)
        keeper->on_empty(keeper->context);
}

static void submit_close(struct task *task)
{
    struct held *held = (struct held *)((char *)task - offsetof(struct held, task));
    held->work = (struct work){.run = close_backend, .done = closed};
    pool_submit(held->keeper->pool, held->keeper->loop, &held->work);
}

/* A loop that was never made has nothing to give back. */
static void detach(struct task *task)
{
    struct held_detach *d = (struct held_detach *)task;
    struct held *held = d->held;
    if (d->loop)
        held->driver->detach(held->backend, d->loop);
    if (atomic_fetch_sub(&held->attached, 1) != 1)
        return;
    held->task.run = submit_close;
    loop_post(held->keeper->loop, &held->task);
}

static void submit_detach(struct task *task)
{
    struct held *held = (struct held *)((char *)task - offsetof(struct held, task));
    const struct keeper *k = held->keeper;
    atomic_init(&held->attached, k->loop_count);
    for (unsigned i = 0; i < k->loop_count; i++) {
        struct held_detach *d = &held->detaches[i];
        *d = (struct held_detach){.task.run = detach, .held = held, .loop = k->loops[i]};
        if (k->loops_run)
            loop_post(d->loop, &d->task);
        else
            detach(&d->task);
    }
}

void held_unref(struct held *held)
{
    if (!held || atomic_fetch_sub_explicit(&held->refs, 1, memory_order_acq_rel) != 1)
        return;
    held->task.run = held->detaches ? submit_detach : submit_close;
    loop_post(held->keeper->loop, &held->task);
}
