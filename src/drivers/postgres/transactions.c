/* The open transactions of a loop: table, connections, turns, time. */
#include <assert.h>

#include "base/mem.h"
#include "drivers/postgres/transaction.h"

static const struct postgres_params none;

/* --- freeing ----------------------------------------------------------------------------------------------------------------- */

static void refuse_waiting(struct postgres_transaction *);

static void free_transaction(struct postgres_transaction *t)
{
    assert(!t->listed && !t->running && !t->lane && !t->claimed);
    if (t->scheduled) {
        t->dead = true;
        return;
    }
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    map_fini(&t->pending);
    arena_fini(&t->arena);
    mem_free(t->owner);
    mem_free(t);
}

void postgres_transaction_unlist(struct postgres_transaction *t)
{
    if (!t->listed)
        return;
    t->listed = false;
    map_remove(&t->worker->transactions, slice_of(t->id, sizeof t->id));
    atomic_fetch_sub(&t->worker->store->transactions, 1);
    refuse_waiting(t);
}

/* --- the connection goes back ------------------------------------------------------------------------------------------------ */

static void give_back(struct postgres_transaction *t)
{
    struct postgres_lane *l = t->lane;
    t->lane = NULL;
    postgres_pool_return(&t->worker->primary, l);
    free_transaction(t);
}

static enum err ignore(struct postgres_unit *u, unsigned index, const PGresult *r)
{
    (void)u, (void)index, (void)r;
    return OK;
}

static void rolled_back(struct postgres_unit *u, enum err e)
{
    u->lane->broken |= e != OK;
}

/* Ends in on_idle, or in on_lost. */
static void send_rollback(struct postgres_transaction *t)
{
    static const struct postgres_unit_events events = {ignore, rolled_back};
    struct postgres_lane *l = t->lane;
    arena_reset(&l->arena);
    struct postgres_unit *u = postgres_unit_new(l, &events, 0);
    if (!u) {
        postgres_lane_lost(l, ERR_NOMEM);
        return;
    }
    postgres_unit_sync(u, postgres_put(u, STATEMENT_ROLLBACK, &none));
    postgres_lane_flush(l);
}

void postgres_transaction_over(struct postgres_transaction *t, bool rollback)
{
    postgres_transaction_unlist(t);
    timer_stop(t->loop, &t->timer);
    if (t->lane && rollback)
        send_rollback(t);
    else if (!t->lane && !t->claimed)
        free_transaction(t);
}

/* --- turns ------------------------------------------------------------------------------------------------------------------- */

/* For the next call, or for the deadline of the one that runs. */
static void watch_clock(struct postgres_transaction *t)
{
    uint64_t now = loop_now_ns(t->loop), due = now + t->idle_ns;
    if (t->running)
        due = t->running->operation.call->deadline_ns;
    timer_start(t->loop, &t->timer, due < t->ends_ns ? due : t->ends_ns);
}

static bool may_run(const struct postgres_transaction *t)
{
    return t->first && !t->running && t->lane && postgres_lane_idle(t->lane);
}

static void next_step(struct task *task)
{
    struct postgres_transaction *t =
        (struct postgres_transaction *)((char *)task - offsetof(struct postgres_transaction, task));
    t->scheduled = false;
    if (t->dead) {
        free_transaction(t);
        return;
    }
    if (!may_run(t))
        return;
    struct postgres_step *s = t->first;
    t->first = s->next;
    if (!t->first)
        t->last = &t->first;
    t->running = s;
    watch_clock(t);
    s->run(s, t);
}

static void schedule(struct postgres_transaction *t)
{
    if (t->scheduled || !may_run(t))
        return;
    t->scheduled = true;
    t->task.run = next_step;
    loop_defer(t->loop, &t->task);
}

/* --- steps ------------------------------------------------------------------------------------------------------------------- */

void *postgres_step_new(struct backend *backend, struct call *call, size_t size)
{
    return postgres_operation_new(backend, call, size, CLASS_READ);
}

static void cancelled(struct call *);

static void answer_on_its_loop(struct call *call)
{
    struct postgres_step *s = call->driver;
    postgres_finish(&s->operation, s->operation.outcome);
}

static void answer(struct postgres_step *s, struct loop *here, enum err e)
{
    struct call *call = s->operation.call;
    s->transaction = NULL;
    s->operation.outcome = e;
    if (call->on_cancel == cancelled)
        call->on_cancel = NULL;
    if (call->loop == here)
        postgres_finish(&s->operation, e);
    else
        call_hop(call, answer_on_its_loop);
}

static void refuse_waiting(struct postgres_transaction *t)
{
    for (struct postgres_step *s; (s = t->first);) {
        t->first = s->next;
        answer(s, t->loop, ERR_TRANSACTION_UNKNOWN);
    }
    t->last = &t->first;
}

void postgres_step_end(struct postgres_step *s, enum err e)
{
    struct postgres_transaction *t = s->transaction;
    assert(t->running == s);
    t->running = NULL;
    if (t->listed)
        watch_clock(t);
    schedule(t);
    answer(s, t->loop, e);
}

/* A statement that failed has ended the transaction on the server, whatever it was. */
static void fail(struct postgres_step *s, struct postgres_transaction *t, enum err e)
{
    bool lost = !t->lane || t->lane->lost;
    postgres_transaction_unlist(t);
    postgres_step_end(s, e);
    if (!lost)
        postgres_transaction_over(t, true);
}

static enum err take(struct postgres_unit *u, unsigned index, const PGresult *r)
{
    struct postgres_operation *o = u->members[0];
    return o->take ? o->take(o, index, r) : OK;
}

static void unit_done(struct postgres_unit *u, enum err e)
{
    struct postgres_step *s = (struct postgres_step *)u->members[0];
    struct diag *d = &s->operation.call->diag;
    if (e && u->problem->err == e && d->err != e)
        diag_set(d, e, "%s", u->problem->text);
    if (!u->lane->lost && s->done)
        s->done(s, s->transaction, e);
    else if (e)
        fail(s, s->transaction, e);
    else
        postgres_step_end(s, OK);
}

struct postgres_unit *postgres_step_unit(struct postgres_step *s, struct postgres_transaction *t)
{
    static const struct postgres_unit_events events = {take, unit_done};
    arena_reset(&t->lane->arena);
    struct postgres_unit *u = postgres_unit_new(t->lane, &events, 1);
    if (!u)
        return NULL;
    u->members[0] = &s->operation;
    u->count = u->live = 1;
    s->operation.now_ms = postgres_now_ms(s->operation.store);
    return u;
}

void postgres_step_send(struct postgres_unit *u, enum err e)
{
    postgres_unit_sync(u, e);
    postgres_lane_flush(u->lane);
}

/* --- giving up --------------------------------------------------------------------------------------------------------------- */

/* The server may still work on it: closing the connection undoes it. */
static void give_up_running(struct postgres_transaction *t, enum err e)
{
    struct postgres_step *s = t->running;
    if (t->lane) {
        postgres_problem_set(&t->lane->problem, e, "%s", err_row(e)->text);
        postgres_lane_lost(t->lane, e);
        return;
    }
    postgres_transaction_unlist(t);
    postgres_step_end(s, e);
}

static void time_is_up(struct timer *timer)
{
    struct postgres_transaction *t =
        (struct postgres_transaction *)((char *)timer - offsetof(struct postgres_transaction, timer));
    if (t->running)
        give_up_running(t, ERR_DEADLINE_EXCEEDED);
    else
        postgres_transaction_over(t, true);
}

static void leave_queue(struct postgres_transaction *t, const struct postgres_step *s)
{
    struct postgres_step **at = &t->first;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (!*at)
        t->last = at;
}

/* On the loop of the call, which is that of the transaction. */
static void cancelled(struct call *call)
{
    struct postgres_step *s = call->driver;
    struct postgres_transaction *t = s->transaction;
    enum err e = postgres_gone(call);
    if (t->running == s) {
        give_up_running(t, e);
        return;
    }
    leave_queue(t, s);
    answer(s, t->loop, e);
}

/* --- begin ------------------------------------------------------------------------------------------------------------------- */

static void on_idle(struct postgres_lane *l)
{
    struct postgres_transaction *t = l->owner;
    if (t->running)
        return;
    if (t->listed)
        schedule(t);
    else
        give_back(t);
}

static void on_lost(struct postgres_lane *l)
{
    struct postgres_transaction *t = l->owner;
    t->lane = NULL;
    postgres_transaction_unlist(t);
    timer_stop(t->loop, &t->timer);
    postgres_lane_free(l);
    free_transaction(t);
}

/* BEGIN alone takes no snapshot: the first read does. */
static void open_snapshot(struct postgres_step *s, struct postgres_transaction *t)
{
    struct postgres_unit *u = postgres_step_unit(s, t);
    if (!u) {
        fail(s, t, ERR_NOMEM);
        return;
    }
    enum err e = postgres_put_aside(u, STATEMENT_BEGIN_SNAPSHOT, &none);
    postgres_step_send(u, e ? e : postgres_put_aside(u, STATEMENT_PIN, &none));
}

static void refuse_begin(struct postgres_transaction *t, const struct postgres_problem *problem)
{
    struct postgres_step *s = t->running;
    if (s)
        diag_set(&s->operation.call->diag, problem->err, "%s", problem->text);
    postgres_transaction_unlist(t);
    timer_stop(t->loop, &t->timer);
    if (s)
        postgres_step_end(s, problem->err);
    free_transaction(t);
}

static void settle(struct postgres_claim *claim, struct postgres_lane *l, const struct postgres_problem *problem)
{
    struct postgres_transaction *t =
        (struct postgres_transaction *)((char *)claim - offsetof(struct postgres_transaction, claim));
    t->claimed = false;
    if (!l) {
        refuse_begin(t, problem);
        return;
    }
    l->owner = t;
    l->on_idle = on_idle;
    l->on_lost = on_lost;
    l->on_dead = NULL;
    t->lane = l;
    if (t->running)
        open_snapshot(t->running, t);
    else
        give_back(t); /* nobody waits for it any more */
}

static enum err check_limits(struct postgres_step *s)
{
    const struct postgres_store *store = s->operation.store;
    struct call *call = s->operation.call;
    unsigned open = atomic_load(&store->transactions);
    if (open >= call->ns->transactions_max)
        return diag_set(&call->diag, ERR_TRANSACTION_LIMIT, "%u transactions are open, the namespace takes no more",
                        open);
    if (open >= store->settings.transactions)
        return diag_set(
            &call->diag, ERR_TRANSACTION_LIMIT,
            "%u transactions are open, and each needs a connection; raise postgres.transactions of the backend", open);
    return OK;
}

static struct postgres_transaction *new_transaction(struct postgres_worker *w, struct loop *loop, const char *owner)
{
    struct postgres_transaction *t = mem_zalloc(sizeof *t);
    if (!t)
        return NULL;
    t->owner = mem_strdup(owner);
    if (!t->owner) {
        mem_free(t);
        return NULL;
    }
    t->worker = w;
    t->loop = loop;
    t->timer.fire = time_is_up;
    t->claim.settle = settle;
    t->last = &t->first;
    t->end = &t->first_pending;
    t->id[0] = (uint8_t)loop_id(loop);
    w->store->env->random(w->store->env, t->id + 1, sizeof t->id - 1);
    arena_init(&t->arena, LIMIT_TRANSACTION_BYTES * 2);
    map_init(&t->pending, LIMIT_TRANSACTION_KEYS, &w->transactions.secret);
    t->link = &w->all;
    t->next = w->all;
    if (t->next)
        t->next->link = &t->next;
    w->all = t;
    return t;
}

void postgres_transaction_begin(struct postgres_step *s, int64_t idle_ms, uint8_t ret_id[POSTGRES_TRANSACTION_ID_BYTES])
{
    struct call *call = s->operation.call;
    struct postgres_worker *w = postgres_worker_of(s->operation.store, call->loop);
    enum err e = check_limits(s);
    struct postgres_transaction *t = e ? NULL : new_transaction(w, call->loop, call->who.name);
    if (t && map_put(&w->transactions, slice_of(t->id, sizeof t->id), t, NULL)) {
        free_transaction(t);
        t = NULL;
    }
    if (!t) {
        postgres_finish(&s->operation, e ? e : ERR_NOMEM);
        return;
    }
    t->listed = t->claimed = true;
    atomic_fetch_add(&w->store->transactions, 1);
    t->idle_ns = (uint64_t)idle_ms * 1000000;
    t->ends_ns = loop_now_ns(t->loop) + (uint64_t)LIMIT_TRANSACTION_LIFE_MS * 1000000;
    t->running = s;
    s->transaction = t;
    memcpy(ret_id, t->id, sizeof t->id);
    watch_clock(t);
    call->on_cancel = cancelled;
    postgres_pool_claim(&w->primary, &t->claim);
}

/* --- finding it -------------------------------------------------------------------------------------------------------------- */

static enum err find(struct postgres_step *s, struct postgres_transaction **ret_transaction)
{
    struct call *call = s->operation.call;
    struct postgres_transaction *t = map_get(&s->worker->transactions, s->id);
    if (!t)
        return ERR_TRANSACTION_UNKNOWN;
    if (strcmp(t->owner, call->who.name) != 0)
        return ERR_TRANSACTION_NOT_OWNER;
    if (call->deadline_ns <= loop_now_ns(t->loop))
        return ERR_DEADLINE_EXCEEDED;
    *ret_transaction = t;
    return OK;
}

/* On the transaction's loop. */
static void arrive(struct postgres_step *s)
{
    struct postgres_transaction *t;
    struct loop *here = atomic_load(&s->worker->loop);
    enum err e = find(s, &t);
    if (e) {
        answer(s, here, e);
        return;
    }
    s->transaction = t;
    s->next = NULL;
    *t->last = s;
    t->last = &s->next;
    if (s->operation.call->loop == here)
        s->operation.call->on_cancel = cancelled;
    schedule(t);
}

static void arrive_from_elsewhere(struct task *task)
{
    arrive((struct postgres_step *)((char *)task - offsetof(struct postgres_step, task)));
}

void postgres_step_submit(struct postgres_step *s)
{
    struct postgres_store *store = s->operation.store;
    struct loop *own = s->operation.call->loop, *loop = NULL;
    if (s->id.size == POSTGRES_TRANSACTION_ID_BYTES && s->id.data[0] < store->loops) {
        s->worker = &store->workers[s->id.data[0]];
        loop = atomic_load(&s->worker->loop);
    }
    if (!loop) {
        postgres_finish(&s->operation, ERR_TRANSACTION_UNKNOWN);
    } else if (loop == own) {
        arrive(s);
    } else {
        s->task.run = arrive_from_elsewhere;
        loop_post(loop, &s->task);
    }
}

/* --- pending writes ---------------------------------------------------------------------------------------------------------- */

struct postgres_pending *postgres_transaction_find(const struct postgres_transaction *t, struct slice key)
{
    return map_get(&t->pending, key);
}

static enum err too_large(struct diag *d)
{
    return diag_set(d, ERR_TRANSACTION_TOO_LARGE, "a transaction takes %d keys and %d bytes at the most",
                    LIMIT_TRANSACTION_KEYS, LIMIT_TRANSACTION_BYTES);
}

static enum err new_pending(struct postgres_transaction *t, struct slice key, struct diag *d,
                            struct postgres_pending **ret_pending)
{
    struct postgres_pending *p = arena_new(&t->arena, struct postgres_pending);
    if (!p || !arena_copy(&t->arena, key, &p->write.write.key))
        return ERR_NOMEM;
    enum err e = map_put(&t->pending, p->write.write.key, p, NULL);
    if (e)
        return e == ERR_NOMEM ? e : too_large(d);
    *t->end = p;
    t->end = &p->next;
    *ret_pending = p;
    return OK;
}

enum err postgres_transaction_note(struct postgres_transaction *t, const struct kv_write *w, bool deleted,
                                   struct diag *d)
{
    size_t bytes = w->key.size + w->value.size + w->tags.size;
    struct postgres_pending *p = postgres_transaction_find(t, w->key);
    if (t->bytes + bytes > LIMIT_TRANSACTION_BYTES)
        return too_large(d);
    enum err e = p ? OK : new_pending(t, w->key, d, &p);
    struct kv_write copy = *w;
    if (!e && (!arena_copy(&t->arena, w->value, &copy.value) || !arena_copy(&t->arena, w->tags, &copy.tags)))
        e = ERR_NOMEM;
    if (e)
        return e;
    copy.key = p->write.write.key;
    p->write.write = copy;
    p->deleted = deleted;
    t->bytes += bytes;
    return OK;
}

/* --- close ------------------------------------------------------------------------------------------------------------------- */

void postgres_transactions_fini(struct postgres_worker *w)
{
    for (struct postgres_transaction *t; (t = w->all);) {
        postgres_transaction_unlist(t);
        timer_stop(t->loop, &t->timer);
        if (t->lane) {
            t->lane->first = NULL; /* nobody waits for it: the server rolls back when the connection closes */
            postgres_lane_free(t->lane);
        }
        t->lane = NULL;
        t->claimed = t->scheduled = false;
        free_transaction(t);
    }
    map_fini(&w->transactions);
}

void postgres_transactions_init(struct postgres_worker *w)
{
    struct hash_key secret;
    w->store->env->random(w->store->env, &secret, sizeof secret);
    map_init(&w->transactions, LIMIT_TRANSACTIONS_OPEN_MAX, &secret);
}
