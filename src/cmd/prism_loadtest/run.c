/* The calls. A slot is a caller: it has one call in flight, or waits in a ring to send the next, the longest waiting first, so
 * that all connections are used alike.
 *
 *   slot:  waiting ──dispatch──▶ in flight ──on_end──▶ waiting
 *   run:   filling (--fill) ──▶ warming up ──▶ measuring ──▶ draining: what is due or in flight ──▶ over
 *
 * In an open loop a call is measured from its scheduled time, also when no slot was free then: after the end of the schedule what
 * still waits is sent, for DRAIN_NS at most. Timers are exact to a millisecond only, so close to the next call the loop turns
 * without waiting: a load generator may use its core. */
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "loadtest.h"
#include "rt/loop.h"
#include "rt/tls.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define DRAIN_NS (5 * SECOND)
#define SPIN_NS (3 * MS)
#define TICK_NS (100 * MS)

struct run;
struct slot {
    struct run *run;
    struct rpc_client *client;
    struct item *item;
    uint64_t from_ns; /* what the latency counts from */
    bool measured;
};

struct run {
    const struct part *part;
    struct shared *shared;
    const struct options *options;
    struct plan *plan;
    struct diag *diag;
    struct result *result;
    struct loop *loop;
    struct tls *tls;
    struct rpc_client **clients;
    struct slot *slots;
    struct slot **ring; /* those that wait */
    size_t slot_count, ring_first, ring_size;
    struct random_ids random;
    struct pace pace;
    struct hdr *recent; /* since the last progress line */
    uint64_t sequence;  /* of this thread's calls: its index, and on by the number of threads */
    uint64_t fill_left, fill_waiting, shown_answered;
    uint64_t begin_ns, measure_ns, end_ns, last_end_ns, shown_ns;
    struct timer tick;
    struct timer due;
    bool measuring, over, filled, progress;
    enum err fatal;
};

static uint64_t now_ns(void)
{
    return env_real()->monotonic_ns(env_real());
}

static bool is_open_loop(const struct run *r)
{
    return r->options->rate_to > 0;
}

/* --- a call ---------------------------------------------------------------------------------------------------------- */

static void ring_put(struct run *r, struct slot *s)
{
    r->ring[(r->ring_first + r->ring_size++) % r->slot_count] = s;
}

static struct slot *ring_take(struct run *r)
{
    struct slot *s = r->ring[r->ring_first];
    r->ring_first = (r->ring_first + 1) % r->slot_count;
    r->ring_size--;
    return s;
}

/* Without a server there is nothing to measure. */
static bool is_fatal(const struct run *r, enum err e)
{
    bool absent = e == ERR_CONNECT_FAILED && !r->options->wait;
    return absent || e == ERR_TLS || e == ERR_ADDRESS_INVALID || r->fill_waiting;
}

static void count_failure(struct slot *s, unsigned status, const struct diag *diag)
{
    struct run *r = s->run;
    enum err e = diag->err ? diag->err : err_from_grpc(status);
    if (is_fatal(r, e) && !r->fatal) {
        r->fatal = diag_set(r->diag, e, "%s", diag_message(diag));
        return;
    }
    if (!s->measured)
        return;
    r->result->errors[e]++;
    r->result->failed++;
    s->item->failed++;
    atomic_store_explicit(&r->shared->progress[r->part->index].failed, r->result->failed, memory_order_relaxed);
}

static void count_success(struct slot *s, uint64_t now)
{
    struct run *r = s->run;
    atomic_uint_fast64_t *answered = &r->shared->progress[r->part->index].answered;
    atomic_store_explicit(answered, atomic_load_explicit(answered, memory_order_relaxed) + 1, memory_order_relaxed);
    hdr_add(r->recent, now - s->from_ns);
    if (!s->measured)
        return;
    hdr_add(s->item->latency, now - s->from_ns);
    r->last_end_ns = now;
}

static void on_message(struct rpc_client_call *call, struct slice message)
{
    struct slot *s = rpc_client_call_user(call);
    (void)message;
    s->item->messages += s->measured;
}

static void on_end(struct rpc_client_call *call, unsigned status, const struct diag *diag)
{
    struct slot *s = rpc_client_call_user(call);
    struct run *r = s->run;
    if (r->over)
        return;
    if (status)
        count_failure(s, status, diag);
    else
        count_success(s, now_ns());
    r->fill_waiting -= s->item == &r->plan->fill;
    ring_put(r, s);
}

static struct item *pick(struct run *r)
{
    struct plan *p = r->plan;
    uint64_t dice = random_next(&r->random) % p->weight;
    unsigned i = 0;
    while (dice >= p->items[i].weight)
        dice -= p->items[i++].weight;
    return &p->items[i];
}

/* One, or where the method takes a stream as many as were asked for; what the window does not take waits in the client. */
static void send_messages(struct run *r, struct item *item, struct rpc_client_call *call)
{
    uint64_t count = item->method->client_streaming ? r->options->messages : 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t random = random_next(&r->random) % r->options->keys;
        rpc_client_send(call, template_next(&item->request, r->sequence, random));
        r->sequence += r->shared->threads;
    }
}

static void send(struct run *r, struct item *item, uint64_t from_ns, bool measured)
{
    static const struct rpc_client_events events = {.on_message = on_message, .on_end = on_end};
    const struct http_header space = {SLICE("prism-namespace"), slice_str(r->options->name_space)};
    struct rpc_client_call_options options = {.path = item->method->path,
                                              .metadata = &space,
                                              .metadata_count = 1,
                                              .timeout_ns = (uint64_t)r->options->timeout_ns};
    struct slot *s = ring_take(r);
    struct rpc_client_call *call;
    s->item = item;
    s->from_ns = from_ns;
    s->measured = measured;
    enum err e = rpc_client_call(s->client, &options, &events, s, &call);
    if (e) {
        r->fatal = diag_set(r->diag, e, "no call could be made to %s", r->options->address);
        return;
    }
    r->fill_waiting += item == &r->plan->fill;
    send_messages(r, item, call);
    rpc_client_send_end(call);
}

/* --- when ------------------------------------------------------------------------------------------------------------ */

static void fill(struct run *r)
{
    while (r->ring_size && r->fill_left && !r->fatal) {
        r->fill_left--;
        send(r, &r->plan->fill, now_ns(), false);
    }
}

static void dispatch_closed(struct run *r)
{
    for (uint64_t now; r->ring_size && !r->fatal && (now = now_ns()) < r->end_ns;)
        send(r, pick(r), now, now >= r->measure_ns);
}

/* Threads take turns: the calls of all of them are due evenly. */
static uint64_t turn_of(const struct run *r, uint64_t begin_ns)
{
    double all = r->options->rate_from * r->shared->threads;
    return begin_ns + (uint64_t)(1e9 * r->part->index / all);
}

/* The ramp begins with the measuring; the warm-up has the rate that it begins with. */
static void start_measuring(struct run *r)
{
    const struct options *o = r->options;
    pace_init(&r->pace, o->rate_from, o->rate_to, (uint64_t)o->ramp_ns, turn_of(r, r->measure_ns));
    r->measuring = true;
}

static void dispatch_open(struct run *r)
{
    if (!r->measuring && pace_next(&r->pace) >= r->measure_ns)
        start_measuring(r);
    for (uint64_t now = now_ns(), due; r->ring_size && !r->fatal && now < r->end_ns + DRAIN_NS; now = now_ns()) {
        due = pace_next(&r->pace);
        if (due > now || due >= r->end_ns)
            return;
        if (r->measuring)
            hdr_add(r->result->lag, now - due);
        send(r, pick(r), pace_take(&r->pace), r->measuring);
    }
}

/* Begins the clock once everything has been filled in. */
static void begin(struct run *r)
{
    const struct options *o = r->options;
    r->begin_ns = now_ns();
    r->measure_ns = r->begin_ns + (uint64_t)o->warmup_ns;
    r->end_ns = r->measure_ns + (uint64_t)o->duration_ns;
    r->last_end_ns = r->measure_ns;
    r->sequence = r->part->index;
    if (is_open_loop(r))
        pace_init(&r->pace, o->rate_from, o->rate_from, 0, turn_of(r, r->begin_ns));
}

/* Nobody measures while another one fills. */
static bool all_have_filled(struct run *r)
{
    if (!r->filled)
        atomic_fetch_add(&r->shared->filled, 1);
    r->filled = true;
    return atomic_load(&r->shared->filled) == r->shared->threads;
}

static void dispatch(struct run *r)
{
    if (r->fill_left || r->fill_waiting) {
        fill(r);
        return;
    }
    if (!r->begin_ns && !all_have_filled(r))
        return;
    if (!r->begin_ns)
        begin(r);
    if (is_open_loop(r))
        dispatch_open(r);
    else
        dispatch_closed(r);
}

static bool is_over(const struct run *r)
{
    if (r->fatal || atomic_load_explicit(&r->shared->stop, memory_order_relaxed))
        return true;
    uint64_t now = now_ns();
    if (!r->begin_ns || now < r->end_ns || r->ring_size < r->slot_count)
        return false;
    return !is_open_loop(r) || now >= r->end_ns + DRAIN_NS || pace_next(&r->pace) >= r->end_ns;
}

static void on_due(struct timer *timer)
{
    (void)timer; /* it only ends the waiting */
}

/* Whether the loop may sleep until something happens. */
static bool may_wait(struct run *r)
{
    if (!r->begin_ns && r->filled)
        timer_start(r->loop, &r->due, now_ns() + MS); /* the others may have filled by then */
    if (!is_open_loop(r) || !r->begin_ns || !r->ring_size || pace_next(&r->pace) >= r->end_ns)
        return true;
    uint64_t due = pace_next(&r->pace);
    if (due < now_ns() + SPIN_NS)
        return false;
    timer_start(r->loop, &r->due, due - SPIN_NS);
    return true;
}

/* --- progress -------------------------------------------------------------------------------------------------------- */

static uint64_t sum_of_failed(const struct run *r)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->shared->threads; i++)
        sum += atomic_load_explicit(&r->shared->progress[i].failed, memory_order_relaxed);
    return sum;
}

static uint64_t sum_of_answered(const struct run *r)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < r->shared->threads; i++)
        sum += atomic_load_explicit(&r->shared->progress[i].answered, memory_order_relaxed);
    return sum;
}

/* Calls are those of all threads, percentiles those of the first. */
static void show_progress(struct run *r, uint64_t now)
{
    uint64_t answered = sum_of_answered(r);
    double seconds = (double)(now - r->shown_ns) / 1e9;
    const char *phase = !r->begin_ns          ? "filling"
                        : now < r->measure_ns ? "warming up"
                        : now < r->end_ns     ? "measuring"
                                              : "draining";
    fprintf(stderr, "\r%s, %.0f s: %.0f calls/s, p50 %.3f ms, p99 %.3f ms, max %.3f ms, failed %llu\033[K", phase,
            r->begin_ns && now > r->measure_ns ? (double)(now - r->measure_ns) / 1e9 : 0,
            (double)(answered - r->shown_answered) / seconds, (double)hdr_quantile(r->recent, 0.5) / 1e6,
            (double)hdr_quantile(r->recent, 0.99) / 1e6, (double)hdr_max(r->recent) / 1e6,
            (unsigned long long)sum_of_failed(r));
    fflush(stderr);
    r->shown_answered = answered;
    hdr_reset(r->recent);
    r->shown_ns = now;
}

/* Also the end of the duration is noticed here at the latest. */
static void on_tick(struct timer *timer)
{
    struct run *r = (struct run *)((char *)timer - offsetof(struct run, tick));
    uint64_t now = now_ns();
    if (r->progress && now - r->shown_ns >= SECOND)
        show_progress(r, now);
    timer_start(r->loop, timer, now + TICK_NS);
}

static void on_interrupt(void *context, int number)
{
    (void)number;
    atomic_store(&((struct run *)context)->shared->stop, true);
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

static enum err make_clients(struct run *r)
{
    const struct options *o = r->options;
    const struct tls_options tls = {.ca_file = o->ca_file, .insecure = o->insecure};
    enum err e = o->tls ? tls_client_new(&tls, r->diag, &r->tls) : OK;
    struct rpc_client_options options = {.loop = r->loop, .address = o->address, .tls = r->tls, .waits = o->wait};
    for (size_t i = 0; i < o->connections && !e; i++)
        e = rpc_client_new(&options, r->diag, &r->clients[i]);
    return e;
}

static enum err make_slots(struct run *r)
{
    const struct options *o = r->options;
    r->slot_count = o->connections * o->streams;
    r->clients = mem_zalloc(o->connections * sizeof *r->clients);
    r->slots = mem_zalloc(r->slot_count * sizeof *r->slots);
    r->ring = mem_zalloc(r->slot_count * sizeof *r->ring);
    enum err e = r->clients && r->slots && r->ring ? make_clients(r) : ERR_NOMEM;
    for (size_t i = 0; i < r->slot_count && !e; i++) {
        r->slots[i] = (struct slot){.run = r, .client = r->clients[i % o->connections]};
        ring_put(r, &r->slots[i]);
    }
    return e;
}

static enum err prepare(struct run *r)
{
    random_ids_init(&r->random, env_real());
    enum err e = hdr_new(&r->recent);
    e = e ? e : hdr_new(&r->result->total);
    e = e ? e : hdr_new(&r->result->lag);
    e = e ? e : loop_new(env_real(), r->part->index, &r->loop);
    if (!e && r->part->index == 0)
        e = loop_on_signal(r->loop, SIGINT, on_interrupt, r);
    return e ? e : make_slots(r);
}

static void turn_until_over(struct run *r)
{
    r->shown_ns = now_ns();
    timer_start(r->loop, &r->tick, r->shown_ns);
    while (dispatch(r), !is_over(r))
        loop_turn(r->loop, may_wait(r));
    r->over = true;
    if (r->progress)
        fputs("\r\033[K", stderr);
}

static void put_down(struct run *r)
{
    r->over = true;
    for (size_t i = 0; r->clients && i < r->options->connections; i++)
        rpc_client_free(r->clients[i]);
    if (r->loop) {
        timer_stop(r->loop, &r->tick);
        timer_stop(r->loop, &r->due);
        while (loop_turn(r->loop, false))
            ;
    }
    tls_unref(r->tls);
    if (r->loop)
        loop_free(r->loop);
    hdr_free(r->recent);
    mem_free(r->clients);
    mem_free(r->slots);
    mem_free(r->ring);
}

static void sum_up(struct run *r)
{
    struct result *result = r->result;
    uint64_t now = now_ns(), end = r->begin_ns && r->end_ns < now ? r->end_ns : now;
    for (unsigned i = 0; i < r->plan->item_count; i++)
        hdr_merge(result->total, r->plan->items[i].latency);
    if (is_open_loop(r) && r->measuring)
        result->unsent = pace_waiting(&r->pace, end, r->end_ns);
    if (r->begin_ns && r->last_end_ns > r->measure_ns)
        result->seconds = (double)(r->last_end_ns - r->measure_ns) / 1e9;
}

enum err run_part(const struct part *part, const struct options *o, struct plan *plan, struct diag *diag,
                  struct result *ret_result)
{
    struct result result = {.total = NULL};
    struct run r = {.part = part, .shared = part->shared, .options = o, .plan = plan, .diag = diag, .result = &result};
    r.tick.fire = on_tick;
    r.due.fire = on_due;
    r.fill_left = part->fill;
    r.sequence = part->index;
    r.progress = !o->quiet && isatty(STDERR_FILENO);
    enum err e = prepare(&r);
    if (!e) {
        turn_until_over(&r);
        e = r.fatal;
        sum_up(&r);
    }
    put_down(&r);
    if (e)
        result_fini(&result);
    else
        *ret_result = result;
    return e;
}
