/* Settings that change while the broker runs: a new set goes to every shard, which lets the old one go. */
#include "base/mem.h"
#include "streamer/broker_internal.h"

/* On its way to one shard. */
struct settings_task {
    struct task task;
    struct shard *shard;
    struct broker_settings *settings;
};

/* The tasks lie behind the settings: a set that is made can be put into effect. */
static struct settings_task *tasks_of(struct broker_settings *s)
{
    return (struct settings_task *)(s + 1);
}

enum err settings_new(const struct broker *b, const struct broker_settings *from, struct broker_settings **ret_settings)
{
    _Static_assert(sizeof(struct broker_settings) % _Alignof(struct settings_task) == 0, "tasks lie behind it");
    struct broker_settings *s = mem_alloc(sizeof *s + b->options.workers * sizeof(struct settings_task));
    if (!s)
        return ERR_NOMEM;
    *s = *from;
    atomic_init(&s->refs, 1);
    *ret_settings = s;
    return OK;
}

const struct broker_settings *settings_ref(const struct broker_settings *s)
{
    atomic_fetch_add_explicit(&((struct broker_settings *)(uintptr_t)s)->refs, 1, memory_order_relaxed);
    return s;
}

void settings_unref(const struct broker_settings *s)
{
    struct broker_settings *own = (struct broker_settings *)(uintptr_t)s;
    if (own && atomic_fetch_sub_explicit(&own->refs, 1, memory_order_acq_rel) == 1)
        mem_free(own);
}

static void take_over(struct task *task)
{
    struct settings_task *t = (struct settings_task *)task;
    const struct broker_settings *old = t->shard->settings;
    t->shard->settings = t->settings;
    settings_unref(old);
}

enum err broker_configure(struct broker *b, const struct broker_settings *from)
{
    struct broker_settings *s;
    enum err e = settings_new(b, from, &s);
    if (e)
        return e;
    s->topic_defaults = b->options.settings.topic_defaults; /* those of topics are read at the start */
    for (uint32_t i = 0; i < b->shard_count; i++) {
        settings_ref(s);
        tasks_of(s)[i] = (struct settings_task){{.run = take_over}, &b->shards[i], s};
        shard_post(&b->shards[i], &tasks_of(s)[i].task);
    }
    settings_unref(s);
    return OK;
}
