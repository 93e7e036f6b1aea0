#include "drivers/postgres/pool.h"

#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "drivers/postgres/store.h"

static void schedule(struct postgres_pool *);

/* --- what waits -------------------------------------------------------------------------------------------------------------- */

static void push(struct postgres_pool *p, struct postgres_operation *o)
{
    struct postgres_waiting *w = &p->waiting[o->class];
    o->next = NULL;
    o->previous = w->last;
    *(w->last ? &w->last->next : &w->first) = o;
    w->last = o;
    w->count++;
    atomic_fetch_add_explicit(&p->shown_waiting, 1, memory_order_relaxed);
}

static void take_out(struct postgres_pool *p, struct postgres_operation *o)
{
    struct postgres_waiting *w = &p->waiting[o->class];
    *(o->previous ? &o->previous->next : &w->first) = o->next;
    *(o->next ? &o->next->previous : &w->last) = o->previous;
    o->next = o->previous = NULL;
    w->count--;
    atomic_fetch_sub_explicit(&p->shown_waiting, 1, memory_order_relaxed);
}

static enum err say(struct diag *d, const struct postgres_problem *problem)
{
    return diag_set(d, problem->err, "%s", problem->text);
}

static void refuse_waiting(struct postgres_pool *p, const struct postgres_problem *problem)
{
    for (int class = 0; class < CLASSES; class ++)
        for (struct postgres_operation *o; (o = p->waiting[class].first);) {
            take_out(p, o);
            postgres_finish(o, say(&o->call->diag, problem));
        }
}

/* --- units of callers -------------------------------------------------------------------------------------------------------- */

static enum err take(struct postgres_unit *u, unsigned index, const PGresult *r)
{
    if (u->group)
        return u->group->take(u, r);
    return u->members[0] ? u->members[0]->take(u->members[0], index, r) : OK;
}

/* Certainly rolled back, and nobody was told: the same again has every chance. */
static bool try_again(struct postgres_pool *p, struct postgres_operation *o, enum err e)
{
    if (e != ERR_ABORTED || ++o->attempts > LIMIT_POSTGRES_DEADLOCK_RETRIES)
        return false;
    push(p, o);
    schedule(p);
    return true;
}

static void answer(struct postgres_unit *u, struct postgres_operation *o, enum err e)
{
    struct diag *d = &o->call->diag;
    if (e && u->problem->err == e && d->err != e)
        diag_set(d, e, "%s", u->problem->text);
    postgres_finish(o, e ? e : o->outcome);
}

void postgres_unit_conclude(struct postgres_unit *u, enum err e)
{
    struct postgres_pool *p = u->lane->owner;
    if (u->problem->err)
        atomic_fetch_add_explicit(&p->errors, 1, memory_order_relaxed);
    for (unsigned i = 0; i < u->count; i++) {
        struct postgres_operation *o = u->members[i];
        if (!o)
            continue;
        u->members[i] = NULL;
        o->unit = NULL;
        if (!try_again(p, o, e))
            answer(u, o, e);
    }
}

static const struct postgres_unit_events single_or_group = {take, postgres_unit_conclude};

static int64_t left_ms(const struct postgres_pool *p, const struct call *call)
{
    uint64_t now = loop_now_ns(p->loop);
    if (call->deadline_ns == UINT64_MAX)
        return p->statement_timeout_ms;
    return call->deadline_ns > now ? (int64_t)((call->deadline_ns - now) / 1000000) + 1 : 1;
}

/* The longest of its members' deadlines. Telling the server costs a statement: so short ones are told, and those of heavy work. */
static int64_t timeout_of(const struct postgres_pool *p, const struct postgres_unit *u)
{
    int64_t most = 0;
    for (unsigned i = 0; i < u->count; i++) {
        int64_t left = left_ms(p, u->members[i]->call);
        most = left > most ? left : most;
    }
    bool worth =
        u->members[0]->class == CLASS_HEAVY ? most < p->statement_timeout_ms : most < p->statement_timeout_ms / 2;
    return worth ? most : 0;
}

static void send_unit(struct postgres_pool *p, struct postgres_unit *u)
{
    struct postgres_operation *o = u->members[0];
    if (u->count == 1)
        u->group = NULL;
    u->comment = u->group ? NULL : o->comment;
    u->live = u->count;
    for (unsigned i = 0; i < u->count; i++)
        u->members[i]->now_ms = postgres_now_ms(o->store);
    u->timeout_ms = timeout_of(p, u);
    if (postgres_in_steps(o))
        postgres_idem_put(u);
    else
        postgres_unit_sync(u, u->group ? u->group->put(u) : o->put(o, u));
    atomic_fetch_add_explicit(&p->units, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->operations, u->count, memory_order_relaxed);
}

static bool join(struct postgres_unit *u, struct postgres_operation *o)
{
    if (!u || u->count == LIMIT_POSTGRES_GROUP)
        return false;
    o->unit = u;
    o->index = u->count;
    u->members[u->count++] = o;
    return true;
}

/* --- filling a lane ---------------------------------------------------------------------------------------------------------- */

/* What a lane takes at once: a unit for each kind that can be done together, and a few that stand alone. */
enum { KINDS_MAX = 8, ALONE_MAX = 4 };
struct load {
    struct postgres_lane *lane;
    struct postgres_unit *units[KINDS_MAX + ALONE_MAX];
    unsigned count, alone;
    size_t bytes;
};

static bool stands_alone(const struct postgres_operation *o)
{
    return !o->group || o->comment || postgres_in_steps(o);
}

static struct postgres_unit *unit_for(struct load *load, const struct postgres_operation *o)
{
    bool alone = stands_alone(o);
    for (unsigned i = 0; !alone && i < load->count; i++)
        if (load->units[i]->group == o->group && load->units[i]->count < LIMIT_POSTGRES_GROUP)
            return load->units[i];
    if (load->count == KINDS_MAX + ALONE_MAX || (alone && load->alone == ALONE_MAX))
        return NULL;
    const struct postgres_unit_events *events = postgres_in_steps(o) ? &postgres_idem_events : &single_or_group;
    struct postgres_unit *u = postgres_unit_new(load->lane, events, alone ? 1 : LIMIT_POSTGRES_GROUP);
    if (!u)
        return NULL;
    u->group = alone ? NULL : o->group;
    load->alone += alone;
    load->units[load->count++] = u;
    return u;
}

/* false: the lane has enough. */
static bool add(struct postgres_pool *p, struct load *load, struct postgres_operation *o)
{
    if (load->count && load->bytes + o->bytes > LIMIT_POSTGRES_GROUP_BYTES)
        return false;
    struct postgres_unit *u = unit_for(load, o);
    if (!u)
        return false;
    take_out(p, o);
    load->bytes += o->bytes;
    return join(u, o);
}

/* Behind an operation that takes more than one step nothing else can be sent. */
static void load_up(struct postgres_pool *p, struct load *load, enum postgres_class class)
{
    bool last = false;
    while (!last && p->waiting[class].first) {
        struct postgres_operation *o = p->waiting[class].first;
        last = class == CLASS_HEAVY || postgres_in_steps(o);
        if (!add(p, load, o))
            return;
    }
}

static void fill(struct postgres_pool *p, struct postgres_lane *l, enum postgres_class class)
{
    struct load load = {.lane = l};
    arena_reset(&l->arena);
    load_up(p, &load, class);
    if (!load.count) { /* not even memory for one */
        struct postgres_operation *o = p->waiting[class].first;
        take_out(p, o);
        postgres_finish(o, ERR_NOMEM);
        return;
    }
    l->class = class;
    l->in_flight = true;
    p->busy[class]++;
    atomic_fetch_add_explicit(&p->shown_busy, 1, memory_order_relaxed);
    timer_stop(l->loop, &l->timer);
    for (unsigned i = 0; i < load.count; i++)
        send_unit(p, load.units[i]);
    postgres_lane_flush(l);
}

static bool may_take(const struct postgres_pool *p, enum postgres_class class)
{
    unsigned most = p->lanes_max;
    if (class == CLASS_WRITE && most > 1)
        most--;
    if (class == CLASS_HEAVY && most > 1)
        most /= 2;
    return p->waiting[class].count && p->busy[class] < most;
}

/* In turns, so that no class starves another. */
static bool choose(struct postgres_pool *p, enum postgres_class *ret_class)
{
    for (unsigned i = 0; i < CLASSES; i++) {
        enum postgres_class class = (p->turn + i) % CLASSES;
        if (may_take(p, class)) {
            p->turn = class + 1;
            *ret_class = class;
            return true;
        }
    }
    return false;
}

static struct postgres_lane *idle_lane(const struct postgres_pool *p)
{
    struct postgres_lane *l = p->lanes;
    while (l && !postgres_lane_idle(l))
        l = l->next;
    return l;
}

/* --- lanes come and go ------------------------------------------------------------------------------------------------------- */

static void arrived(struct postgres_parcel *);

static void no_lane(struct postgres_pool *, const struct postgres_problem *);

/* Not while the server is known to be away: lanes that are left go on, who has none is told. */
static void ask_for_lane(struct postgres_pool *p)
{
    struct postgres_problem problem = {.err = ERR_NOMEM};
    if (p->asked || (!p->claims && p->lane_count >= p->lanes_max))
        return;
    if ((atomic_load(&p->connector->down) && postgres_connector_state(p->connector, &problem)) ||
        postgres_connector_request(p->connector, p->loop, arrived, p, &p->asked))
        no_lane(p, &problem);
}

static void unlink_lane(struct postgres_lane **from, const struct postgres_lane *l)
{
    while (*from != l)
        from = &(*from)->next;
    *from = l->next;
}

static void close_lane(struct postgres_pool *p, struct postgres_lane *l)
{
    unlink_lane(&p->lanes, l);
    p->lane_count--;
    atomic_store_explicit(&p->shown_lanes, p->lane_count, memory_order_relaxed);
    postgres_lane_free(l);
}

static void drop_cancel(struct postgres_lane *l)
{
    if (l->cancel)
        l->cancel->context = NULL;
    l->cancel = NULL;
}

static void not_busy(struct postgres_pool *p, struct postgres_lane *l)
{
    l->in_flight = false;
    p->busy[l->class]--;
    atomic_fetch_sub_explicit(&p->shown_busy, 1, memory_order_relaxed);
}

static void idle_too_long(struct timer *t)
{
    struct postgres_lane *l = (struct postgres_lane *)((char *)t - offsetof(struct postgres_lane, timer));
    struct postgres_pool *p = l->owner;
    if (p->lane_count > p->lanes_min)
        close_lane(p, l);
}

static void rest(struct postgres_lane *l, void (*fire)(struct timer *))
{
    l->timer.fire = fire;
    timer_start(l->loop, &l->timer, loop_now_ns(l->loop) + (uint64_t)LIMIT_POSTGRES_IDLE_MS * 1000000);
}

static void on_idle(struct postgres_lane *l)
{
    struct postgres_pool *p = l->owner;
    not_busy(p, l);
    if (l->broken)
        close_lane(p, l);
    else
        rest(l, idle_too_long);
    schedule(p);
}

static void on_lost(struct postgres_lane *l)
{
    struct postgres_pool *p = l->owner;
    if (l->in_flight) {
        not_busy(p, l);
        atomic_fetch_add_explicit(&p->lost, 1, memory_order_relaxed);
    }
    drop_cancel(l);
    close_lane(p, l);
    schedule(p);
}

static void on_dead(struct postgres_lane *l)
{
    postgres_lane_give_up(l->owner, l);
}

static void enlist(struct postgres_pool *p, struct postgres_lane *l)
{
    l->owner = p;
    l->on_idle = on_idle;
    l->on_lost = on_lost;
    l->on_dead = on_dead;
    l->next = p->lanes;
    p->lanes = l;
    p->lane_count++;
    atomic_store_explicit(&p->shown_lanes, p->lane_count, memory_order_relaxed);
    rest(l, idle_too_long);
}

static void settle_claim(struct postgres_pool *p, struct postgres_lane *l, const struct postgres_problem *problem)
{
    struct postgres_claim *claim = p->claims;
    p->claims = claim->next;
    if (!p->claims)
        p->claims_end = &p->claims;
    claim->settle(claim, l, problem);
}

static void no_lane(struct postgres_pool *p, const struct postgres_problem *problem)
{
    while (p->claims)
        settle_claim(p, NULL, problem);
    if (!p->lanes)
        refuse_waiting(p, problem);
}

static void arrived(struct postgres_parcel *parcel)
{
    struct postgres_pool *p = parcel->context;
    struct postgres_problem problem = parcel->problem;
    struct postgres_lane *l = NULL;
    p->asked = NULL;
    if (parcel->conn && postgres_lane_new(p->loop, parcel->conn, parcel->namespace, &l))
        problem.err = ERR_NOMEM;
    postgres_parcel_free(parcel);
    if (!l)
        no_lane(p, &problem);
    else if (p->claims)
        settle_claim(p, l, NULL);
    else
        enlist(p, l);
    schedule(p);
}

/* --- giving up --------------------------------------------------------------------------------------------------------------- */

static void cancel_returned(struct postgres_cancel *c)
{
    struct postgres_lane *l = c->context;
    mem_free(c);
    if (!l)
        return;
    l->cancel = NULL;
    if (postgres_lane_idle(l))
        l->on_idle(l);
}

static void no_answer(struct timer *t)
{
    struct postgres_lane *l = (struct postgres_lane *)((char *)t - offsetof(struct postgres_lane, timer));
    postgres_problem_set(&l->problem, ERR_BACKEND_LOST, "PostgreSQL: no answer to a cancel request");
    postgres_lane_lost(l, ERR_BACKEND_LOST);
}

void postgres_lane_give_up(struct postgres_pool *p, struct postgres_lane *l)
{
    struct postgres_cancel *c = l->cancel || l->lost ? NULL : mem_zalloc(sizeof *c);
    if (!c)
        return;
    *c = (struct postgres_cancel){.loop = l->loop,
                                  .server = p->connector,
                                  .process = PQbackendPID(l->conn),
                                  .returned = cancel_returned,
                                  .context = l};
    l->cancel = c;
    l->timer.fire = no_answer;
    timer_start(l->loop, &l->timer, loop_now_ns(l->loop) + (uint64_t)LIMIT_POSTGRES_GIVE_UP_MS * 1000000);
    postgres_upkeep_cancel(p->upkeep, c);
}

/* --- from outside ------------------------------------------------------------------------------------------------------------ */

static void flush(struct task *task)
{
    struct postgres_pool *p = (struct postgres_pool *)((char *)task - offsetof(struct postgres_pool, flush));
    struct postgres_lane *l;
    enum postgres_class class;
    p->scheduled = false;
    while ((l = idle_lane(p)) && choose(p, &class))
        fill(p, l, class);
    if (p->claims || (!l && choose(p, &class)))
        ask_for_lane(p);
}

static void schedule(struct postgres_pool *p)
{
    if (p->scheduled)
        return;
    p->scheduled = true;
    p->flush.run = flush;
    loop_defer(p->loop, &p->flush);
}

enum err postgres_pool_submit(struct postgres_pool *p, struct postgres_operation *o, struct diag *d)
{
    struct postgres_problem problem;
    if (!p->lanes && atomic_load(&p->connector->down) && postgres_connector_state(p->connector, &problem))
        return say(d, &problem);
    if (p->waiting[o->class].count >= LIMIT_POSTGRES_WAITING)
        return diag_set(d, ERR_BACKEND_BUSY, "%u operations wait for a connection already", p->waiting[o->class].count);
    o->pool = p;
    push(p, o);
    schedule(p);
    return OK;
}

void postgres_pool_leave(struct postgres_operation *o)
{
    if (o->unit)
        postgres_unit_leave(o->unit, o->index);
    else
        take_out(o->pool, o);
    o->unit = NULL;
}

void postgres_pool_claim(struct postgres_pool *p, struct postgres_claim *claim)
{
    struct postgres_lane *l = p->resting;
    struct postgres_problem problem;
    if (l) {
        p->resting = l->next;
        p->resting_count--;
        timer_stop(l->loop, &l->timer);
        claim->settle(claim, l, NULL);
    } else if (atomic_load(&p->connector->down) && postgres_connector_state(p->connector, &problem)) {
        claim->settle(claim, NULL, &problem);
    } else {
        claim->next = NULL;
        *p->claims_end = claim;
        p->claims_end = &claim->next;
        schedule(p);
    }
}

static void rested(struct postgres_lane *l)
{
    struct postgres_pool *p = l->owner;
    unlink_lane(&p->resting, l);
    p->resting_count--;
    postgres_lane_free(l);
}

static void rested_too_long(struct timer *t)
{
    rested((struct postgres_lane *)((char *)t - offsetof(struct postgres_lane, timer)));
}

static void nothing(struct postgres_lane *l)
{
    (void)l;
}

void postgres_pool_return(struct postgres_pool *p, struct postgres_lane *l)
{
    if (l->broken || l->lost || p->resting_count >= LIMIT_POSTGRES_RESTING) {
        postgres_lane_free(l);
        return;
    }
    l->owner = p;
    l->on_idle = nothing;
    l->on_lost = rested;
    l->on_dead = NULL;
    l->next = p->resting;
    p->resting = l;
    p->resting_count++;
    rest(l, rested_too_long);
}

void postgres_pool_init(struct postgres_pool *p, struct loop *loop, struct postgres_connector *connector,
                        struct postgres_upkeep *upkeep, unsigned lanes_min, unsigned lanes_max,
                        int64_t statement_timeout_ms)
{
    *p = (struct postgres_pool){.connector = connector,
                                .upkeep = upkeep,
                                .loop = loop,
                                .lanes_min = lanes_min,
                                .lanes_max = lanes_max,
                                .statement_timeout_ms = statement_timeout_ms};
    p->claims_end = &p->claims;
}

static void drop_lanes(struct postgres_lane *l)
{
    while (l) {
        struct postgres_lane *next = l->next;
        drop_cancel(l);
        l->first = NULL; /* nobody waits for what is in flight */
        postgres_lane_free(l);
        l = next;
    }
}

void postgres_pool_fini(struct postgres_pool *p)
{
    if (!p->loop)
        return;
    if (p->asked)
        postgres_connector_forget(p->connector, p->asked);
    drop_lanes(p->lanes);
    drop_lanes(p->resting);
    p->lanes = p->resting = NULL;
    p->asked = NULL;
    p->loop = NULL;
}
