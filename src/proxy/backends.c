#include "proxy/backends.h"

#include "base/mem.h"

/* Of a namespace only the driver options count: a change of limits or TTL rules does not touch the store. */
static enum err put_options(const struct pb_message *table, const void *message, struct buf *out)
{
    for (uint32_t i = 0; i < table->field_count; i++) {
        const struct pb_field *field = &table->fields[i];
        bool is_options = field->number >= 10 && field->type == PB_MESSAGE && field->card == PB_SINGULAR;
        if (!is_options || !pb_has(field, message))
            continue;
        buf_printf(out, "%s:", field->name);
        enum err e = pb_encode_buf(field->message, *(void *const *)((const char *)message + field->offset), out);
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
    buf_putc(out, ';');
    return e ? e : put_options(&config_namespace_pb, ns, out);
}

enum err held_open(struct keeper *keeper, const struct driver *driver, const struct backend_open *open,
                   struct slice settings, struct held **ret_held)
{
    struct held *held = mem_zalloc(sizeof *held + settings.size);
    if (!held)
        return ERR_NOMEM;
    enum err e = driver->open(open, &held->backend);
    if (e) {
        mem_free(held);
        return e;
    }
    held->keeper = keeper;
    held->settings_size = settings.size;
    memcpy(held->settings, settings.data, settings.size);
    atomic_init(&held->refs, 1);
    atomic_fetch_add(&keeper->open, 1);
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
    held->backend->driver->close(held->backend);
}

static void closed(struct work *work)
{
    struct held *held = (struct held *)((char *)work - offsetof(struct held, work));
    struct keeper *keeper = held->keeper;
    mem_free(held);
    if (atomic_fetch_sub(&keeper->open, 1) == 1 && keeper->on_empty)
        keeper->on_empty(keeper->context);
}

static void submit_close(struct task *task)
{
    struct held *held = (struct held *)((char *)task - offsetof(struct held, task));
    held->work = (struct work){.run = close_backend, .done = closed};
    pool_submit(held->keeper->pool, held->keeper->loop, &held->work);
}

void held_unref(struct held *held)
{
    if (!held || atomic_fetch_sub_explicit(&held->refs, 1, memory_order_acq_rel) != 1)
        return;
    held->task.run = submit_close;
    loop_post(held->keeper->loop, &held->task);
}
