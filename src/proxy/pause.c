/* pause.h has the states. */
#include "proxy/pause.h"

#include "base/limits.h"
#include "base/mem.h"

struct pause;

struct notice {
    struct task task; /* posted by the namespace when its last call has ended */
    struct pause *pause;
};

struct pause {
    struct loop *loop;
    struct timer patience;
    pause_done_fn *done; /* NULL: has been called */
    void (*idle)(void *context);
    void *context;
    uint32_t left;
    struct notice notices[];
};

static void tell(struct pause *p, bool all_ended)
{
    pause_done_fn *done = p->done;
    p->done = NULL;
    timer_stop(p->loop, &p->patience);
    if (done)
        done(p->context, all_ended);
}

static void impatient(struct timer *timer)
{
    tell((struct pause *)((char *)timer - offsetof(struct pause, patience)), false);
}

static void one_gone(struct task *task)
{
    struct pause *p = ((struct notice *)task)->pause;
    if (--p->left)
        return;
    tell(p, true);
    p->idle(p->context);
    mem_free(p);
}

static bool is_to_pause(const struct proxy_namespace *before, const struct snapshot *new)
{
    const struct proxy_namespace *after = snapshot_find(new, slice_str(before->ns.name));
    return after && after->ns.config->pause_writes && !before->ns.config->pause_writes;
}

static uint32_t count(const struct snapshot *old, const struct snapshot *new)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < old->count; i++)
        n += is_to_pause(&old->namespaces[i], new);
    return n;
}

bool pause_begin(const struct snapshot *old, const struct snapshot *new, struct loop *loop, pause_done_fn *done,
                 void (*idle)(void *context), void *context)
{
    uint32_t n = count(old, new);
    struct pause *p = n ? mem_zalloc(sizeof *p + n * sizeof *p->notices) : NULL;
    if (!p)
        return false;
    *p = (struct pause){.loop = loop, .done = done, .idle = idle, .context = context};
    for (uint32_t i = 0; i < old->count; i++) {
        if (!is_to_pause(&old->namespaces[i], new))
            continue;
        struct notice *notice = &p->notices[p->left++];
        *notice = (struct notice){{.run = one_gone}, p};
        old->namespaces[i].gone_loop = loop;
        old->namespaces[i].gone = &notice->task;
    }
    p->patience.fire = impatient;
    timer_start(loop, &p->patience, loop_now_ns(loop) + LIMIT_PAUSE_MS * UINT64_C(1000000));
    return true;
}
