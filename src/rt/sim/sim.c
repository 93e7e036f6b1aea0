/* Clock, randomness and loops of the twin. The clock moves in one place (wait_for_next), and only when no loop of the twin has
 * anything to do at the present time. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "rt/sim/internal.h"

static const uint64_t EPOCH_NS = 1767225600ull * 1000000000; /* 2026-01-01: where the fake calendar begins */
static const uint64_t START_NS = 1000000000;

/* ---- env -------------------------------------------------------------------------------------------------------------- */

static uint64_t monotonic_ns(const struct env *env)
{
    return sim_of(env)->now_ns;
}

static uint64_t realtime_ns(const struct env *env)
{
    return EPOCH_NS + sim_of(env)->now_ns;
}

/* splitmix64 (Steele, Lea, Flood, 2014). */
uint64_t sim_random(struct sim *s)
{
    uint64_t z = s->random += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t sim_choose(struct sim *s, uint64_t n)
{
    return sim_random(s) % n;
}

uint64_t sim_delay(struct sim *s)
{
    return s->delay_min_ns + sim_choose(s, s->delay_max_ns - s->delay_min_ns + 1);
}

static void random_bytes(const struct env *env, void *out, size_t size)
{
    uint8_t *to = out;
    for (size_t done = 0; done < size;) {
        uint64_t word = sim_random(sim_of(env));
        size_t n = size - done < sizeof word ? size - done : sizeof word;
        memcpy(to + done, &word, n);
        done += n;
    }
}

enum err sim_new(uint64_t seed, struct sim **ret_sim)
{
    struct sim *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->env = (struct env){.monotonic_ns = monotonic_ns,
                          .realtime_ns = realtime_ns,
                          .random = random_bytes,
                          .disk = &sim_disk,
                          .loop = &sim_backend};
    s->now_ns = START_NS;
    s->random = seed;
    s->next_port = 40000;
    sim_set_delay(s, 20000, 200000);
    enum err e = sim_disk_init(s);
    if (e) {
        sim_free(s);
        return e;
    }
    *ret_sim = s;
    return OK;
}

void sim_free(struct sim *s)
{
    if (!s)
        return;
    assert(!s->loops);
    sim_disk_fini(s);
    mem_free(s);
}

const struct env *sim_env(const struct sim *s)
{
    return &s->env;
}

uint64_t sim_now_ns(const struct sim *s)
{
    return s->now_ns;
}

void sim_advance(struct sim *s, uint64_t ns)
{
    s->now_ns += ns;
}

void sim_set_delay(struct sim *s, uint64_t min_ns, uint64_t max_ns)
{
    assert(min_ns <= max_ns);
    s->delay_min_ns = min_ns;
    s->delay_max_ns = max_ns;
}

/* ---- loops ------------------------------------------------------------------------------------------------------------ */

static struct sim_loop *sim_loop_of(struct loop *l)
{
    return (struct sim_loop *)l;
}

static enum err make(const struct env *env, struct loop **ret_loop)
{
    struct sim *s = sim_of(env);
    struct sim_loop *l = mem_zalloc(sizeof *l);
    if (!l)
        return ERR_NOMEM;
    l->sim = s;
    l->works_last = &l->works;
    l->next = s->loops;
    s->loops = l;
    *ret_loop = &l->loop;
    return OK;
}

static void free_loop(struct loop *base)
{
    struct sim_loop *l = sim_loop_of(base), **link = &l->sim->loops;
    assert(!l->works);
    sim_net_free_closed(l);
    while (*link != l)
        link = &(*link)->next;
    *link = l->next;
    mem_free(l);
}

static void wake(struct loop *l)
{
    (void)l; /* one thread: whoever posts is not asleep */
}

static void submit(struct pool *p, struct work *w)
{
    (void)p;
    struct sim_loop *l = sim_loop_of(w->loop);
    w->next = NULL;
    *l->works_last = w;
    l->works_last = &w->next;
}

static bool run_work(struct sim_loop *l)
{
    struct work *w = l->works;
    if (!w)
        return false;
    l->works = w->next;
    if (!l->works)
        l->works_last = &l->works;
    w->run(w);
    work_finished(w);
    return true;
}

static bool run_signals(struct sim_loop *l)
{
    bool any = false;
    for (int i = 0; i < SIM_SIGNALS; i++) {
        struct sim_signal_entry *e = &l->signals[i];
        if (!e->due)
            continue;
        any = true;
        e->due = false;
        e->fn(e->context, e->signal);
        loop_settle(&l->loop);
    }
    return any;
}

static bool has_tasks(const struct loop *l)
{
    return l->deferred.first || atomic_load_explicit(&l->mailbox, memory_order_relaxed);
}

/* When this loop has something to do; 0: now. */
static uint64_t next_of(const struct sim_loop *l)
{
    enum { TICK_NS = 1000000 };
    if (has_tasks(&l->loop) || l->works)
        return 0;
    uint64_t tick = wheel_next(&l->loop.timers), net = sim_net_next(l);
    uint64_t timer = tick < UINT64_MAX / TICK_NS ? tick * TICK_NS : UINT64_MAX;
    return timer < net ? timer : net;
}

/* The clock jumps, but not past what another loop has to do. Where nothing will ever happen again the run ends. */
static void wait_for_next(struct sim_loop *l, uint64_t timeout_ns)
{
    struct sim *s = l->sim;
    uint64_t due = timeout_ns < UINT64_MAX - s->now_ns ? s->now_ns + timeout_ns : UINT64_MAX;
    for (const struct sim_loop *other = s->loops; other; other = other->next) {
        uint64_t next = next_of(other);
        due = next < due ? next : due;
    }
    if (due == UINT64_MAX)
        atomic_store_explicit(&l->loop.stopped, true, memory_order_relaxed);
    else if (due > s->now_ns)
        s->now_ns = due;
}

static void poll_sim(struct loop *base, uint64_t timeout_ns)
{
    struct sim_loop *l = sim_loop_of(base);
    loop_awake(base);
    bool any = run_signals(l);
    any |= run_work(l);
    any |= sim_net_dispatch(l);
    if (any || timeout_ns == 0)
        return;
    base->awake = false;
    wait_for_next(l, timeout_ns);
}

static struct sim_signal_entry *find_signal(struct sim_loop *l, int signal)
{
    for (int i = 0; i < SIM_SIGNALS; i++)
        if (l->signals[i].signal == signal)
            return &l->signals[i];
    return NULL;
}

static enum err on_signal(struct loop *base, int signal, void (*fn)(void *, int), void *context)
{
    struct sim_loop *l = sim_loop_of(base);
    struct sim_signal_entry *e = find_signal(l, signal);
    if (!e)
        e = find_signal(l, 0);
    if (!e)
        return ERR_RESOURCE_EXHAUSTED;
    *e = (struct sim_signal_entry){.signal = signal, .fn = fn, .context = context};
    return OK;
}

void sim_signal(struct sim *s, int signal)
{
    for (struct sim_loop *l = s->loops; l; l = l->next) {
        struct sim_signal_entry *e = find_signal(l, signal);
        if (e)
            e->due = true;
    }
}

const struct loop_backend sim_backend = {
    .make = make,
    .free = free_loop,
    .poll = poll_sim,
    .wake = wake,
    .on_signal = on_signal,
    .submit = submit,
    .listen = sim_net_listen,
    .accept = sim_net_accept,
    .connect = sim_net_connect,
    .connected = sim_net_connected,
    .read = sim_net_read,
    .write = sim_net_write,
    .send_file = sim_net_send_file,
    .watch = sim_net_watch,
    .shutdown = sim_net_shutdown,
    .close = sim_net_close,
};
