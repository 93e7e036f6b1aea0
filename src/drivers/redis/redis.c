/* The driver's table, and a backend from open to close.
 *
 *   open:   settings, scripts, names; nothing is connected ──▶ calls: each loop makes its own connections
 *   detach: a loop's connections ──▶ close: transactions, memory */
#include "drivers/redis/redis.h"

#include <stdio.h>

#include "base/mem.h"
#include "drivers/redis/command.h"

/* --- open and close ---------------------------------------------------------------------------------------------------------- */

static enum err make_tls(struct redis_backend *b, struct diag *d)
{
    const struct redis_settings *s = &b->settings;
    struct tls_options options = {.cert_file = s->cert_file, .key_file = s->key_file, .ca_file = s->ca_file};
    return s->tls ? tls_client_new(&options, d, &b->tls) : OK;
}

static void make_access(struct redis_backend *b)
{
    const struct redis_settings *s = &b->settings;
    b->access = (struct redis_access){.env = b->env,
                                      .tls = b->tls,
                                      .server_name = s->server_name,
                                      .username = s->username,
                                      .password = s->password,
                                      .database = s->database,
                                      .connect_ms = s->connect_ms,
                                      .answer_ms = s->answer_ms,
                                      .limits = {.bytes_max = LIMIT_MESSAGE_BYTES_MAX + LIMIT_REDIS_GREETING_BYTES * 4,
                                                 .items_max = LIMIT_REDIS_REPLY_ITEMS},
                                      .master_only = s->mode == REDIS_SENTINEL,
                                      .counters = &b->counters};
    b->sentinel_access = b->access;
    b->sentinel_access.username = NULL;
    b->sentinel_access.password = s->sentinel_password;
    b->sentinel_access.database = 0;
    b->sentinel_access.master_only = false;
}

static enum err make(struct redis_backend *b, const struct backend_open *open)
{
    b->name = arena_strdup(&b->arena, open->namespace_name);
    b->locals = arena_array(&b->arena, struct redis_local *, open->loops);
    if (!b->name || !b->locals)
        return ERR_NOMEM;
    enum err e = redis_settings_make(open->backend, &b->arena, open->diag, &b->settings);
    if (!e)
        e = redis_scripts_make(&b->arena, b->scripts);
    if (!e)
        e = redis_layout_make(&b->arena, b->settings.key_prefix, b->name, b->settings.buckets, &b->layout);
    if (!e)
        e = make_tls(b, open->diag);
    if (!e)
        make_access(b);
    return e;
}

static void drain(struct backend *backend)
{
    waiting_drain(&redis_backend(backend)->pops);
}

static void close_backend(struct backend *backend)
{
    struct redis_backend *b = redis_backend(backend);
    for (unsigned i = 0; i < b->loops && b->locals; i++)
        redis_local_free(b->locals[i]);
    redis_transactions_fini(&b->transactions);
    waiting_fini(&b->pops);
    pthread_mutex_destroy(&b->counters.lock);
    if (b->tls)
        tls_unref(b->tls);
    arena_fini(&b->arena);
    mem_free(b);
}

static enum err open_backend(const struct backend_open *open, struct backend **ret_backend)
{
    struct redis_backend *b = mem_zalloc(sizeof *b);
    if (!b)
        return diag_set(open->diag, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    b->base.driver = &driver_redis;
    b->env = open->env;
    b->log = open->log;
    b->loops = open->loops;
    arena_init(&b->arena, 16 << 20);
    pthread_mutex_init(&b->counters.lock, NULL);
    redis_transactions_init(&b->transactions, b->env);
    waiting_init(&b->pops, b->env, LIMIT_WAITING_POPS);
    b->env->random(b->env, b->versions.epoch, sizeof b->versions.epoch);
    enum err e = make(b, open);
    if (e) {
        close_backend(&b->base);
        return e;
    }
    *ret_backend = &b->base;
    return OK;
}

static void detach(struct backend *backend, struct loop *loop)
{
    struct redis_local **at = &redis_backend(backend)->locals[loop_id(loop)];
    redis_local_free(*at);
    *at = NULL;
}

static enum err check(const struct config_backend *backend, struct diag *diag)
{
    struct arena arena;
    struct redis_settings settings;
    arena_init(&arena, 1 << 20);
    enum err e = redis_settings_make(backend, &arena, diag, &settings);
    arena_fini(&arena);
    return e;
}

/* --- health and figures ------------------------------------------------------------------------------------------------------ */

static enum err probe(struct backend *backend, struct diag *diag)
{
    struct redis_counters *c = &redis_backend(backend)->counters;
    pthread_mutex_lock(&c->lock);
    enum err e = c->last_error ? diag_set(diag, c->last_error, "redis: %s", c->last_why) : OK;
    pthread_mutex_unlock(&c->lock);
    return e;
}

static uint64_t load(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void stats(struct backend *backend, backend_stat_fn *tell, void *context)
{
    struct redis_backend *b = redis_backend(backend);
    uint64_t connections = load(&b->counters.connections), busy = load(&b->counters.busy);
    tell(context, "connections", connections);
    tell(context, "idle", connections > busy ? connections - busy : 0);
    tell(context, "in_flight", load(&b->counters.in_flight));
    tell(context, "waiting", load(&b->counters.waiting));
    tell(context, "reconnects", load(&b->counters.reconnects));
    tell(context, "errors", load(&b->counters.errors));
    tell(context, "pops_waiting", waiting_count(&b->pops));
    tell(context, "transactions_open", redis_transactions_open(&b->transactions));
}

/* --- test -------------------------------------------------------------------------------------------------------------------- */

enum step { STEP_CONNECT, STEP_AUTHENTICATE, STEP_FIND, STEP_ROUND_TRIP, STEPS };

/* A loop and connections of its own, on the calling thread. */
struct trial {
    struct redis_local *local;
    struct timer timer;
    bool done;
    enum err err;
    uint64_t since_ns;
    unsigned told;
    backend_step_fn *tell;
    void *context;
};

static void answered(struct redis_command *c, enum err e, const struct resp *reply)
{
    struct trial *t = c->owner;
    (void)reply;
    t->done = true;
    t->err = e;
}

static void timed_out(struct timer *timer)
{
    struct trial *t = (struct trial *)((char *)timer - offsetof(struct trial, timer));
    t->done = true;
    t->err = ERR_BACKEND_UNREACHABLE;
}

static bool is_reached(const struct trial *t, enum step step)
{
    const struct redis_local *l = t->local;
    enum redis_state best = REDIS_CLOSED;
    for (const struct redis_node *n = l->nodes; n; n = n->next)
        best = n->fast.state > best ? n->fast.state : best;
    for (unsigned i = 0; l->sentinels && i < l->backend->settings.server_count; i++)
        best = l->sentinels[i].state > best ? l->sentinels[i].state : best;
    switch (step) {
    case STEP_CONNECT:
        return best >= REDIS_GREETING;
    case STEP_AUTHENTICATE:
        return best == REDIS_OPEN;
    case STEP_FIND:
        return l->topology == REDIS_KNOWN;
    default:
        return t->done && !t->err;
    }
}

static void tell_steps(struct trial *t, const struct env *env)
{
    static const char *const names[STEPS] = {"connect", "authenticate", "find", "round_trip"};
    while (t->told < STEPS && is_reached(t, t->told)) {
        uint64_t now_ns = env->monotonic_ns(env);
        t->tell(t->context, names[t->told++], now_ns - t->since_ns);
        t->since_ns = now_ns;
    }
}

static enum err run_trial(struct trial *t, struct loop *loop, struct diag *diag)
{
    struct redis_backend *b = t->local->backend;
    struct arena arena;
    arena_init(&arena, LIMIT_REDIS_GREETING_BYTES);
    struct redis_command *c = redis_command_new(t->local, &arena, diag, 0, answered, t);
    if (c) {
        resp_put(&c->words, SLICE("EXISTS"));
        resp_put(&c->words, c->bucket->root);
        redis_send(c);
        timer_start(loop, &t->timer, loop_now_ns(loop) + LIMIT_BACKEND_TEST_MS * UINT64_C(1000000));
        for (tell_steps(t, b->env); !t->done; tell_steps(t, b->env))
            loop_turn(loop, true);
        timer_stop(loop, &t->timer);
        redis_command_cancel(c);
        tell_steps(t, b->env);
    }
    arena_fini(&arena);
    if (t->err && diag && diag->err != t->err)
        diag_set(diag, t->err, "redis: no answer within %d ms; is the address right, and is no firewall between?",
                 LIMIT_BACKEND_TEST_MS);
    return c ? t->err : ERR_NOMEM;
}

static enum err test(struct backend *backend, struct diag *diag, backend_step_fn *tell, void *context)
{
    struct redis_backend *b = redis_backend(backend);
    struct trial t = {
        .tell = tell, .context = context, .timer = {.fire = timed_out}, .since_ns = b->env->monotonic_ns(b->env)};
    struct loop *loop;
    enum err e = loop_new(b->env, 0, &loop);
    if (e)
        return e;
    t.local = redis_local_new(b, loop);
    e = t.local ? run_trial(&t, loop, diag) : ERR_NOMEM;
    redis_local_free(t.local);
    loop_free(loop);
    return e;
}

const struct driver driver_redis = {
    .name = "redis",
    .summary = "On a Redis server, Cluster or sentinels' master: as durable as the server's append-only file is",
    .durable = false,
    .ordered_scan = true,
    .expires = true,
    .remote = true,
    .implements = {[INTERFACE_KEYVALUE_BASIC] = &redis_keyvalue_basic,
                   [INTERFACE_KEYVALUE_BATCH] = &redis_keyvalue_batch,
                   [INTERFACE_KEYVALUE_CAS] = &redis_keyvalue_cas,
                   [INTERFACE_KEYVALUE_SCAN] = &redis_keyvalue_scan,
                   [INTERFACE_KEYVALUE_TRANSACTIONAL] = &redis_keyvalue_transactional,
                   [INTERFACE_KEYVALUE_TTL] = &redis_keyvalue_ttl,
                   [INTERFACE_LIST_BASIC] = &redis_list_basic,
                   [INTERFACE_LIST_BLOCKING] = &redis_list_blocking,
                   [INTERFACE_LIST_INDEXING] = &redis_list_indexing,
                   [INTERFACE_LIST_RANGE] = &redis_list_range,
                   [INTERFACE_SET_BASIC] = &redis_set_basic,
                   [INTERFACE_SET_CARDINALITY] = &redis_set_cardinality,
                   [INTERFACE_SET_OPERATIONS] = &redis_set_operations,
                   [INTERFACE_SET_RANDOM] = &redis_set_random,
                   [INTERFACE_SORTEDSET_BASIC] = &redis_sortedset_basic,
                   [INTERFACE_SORTEDSET_LEX] = &redis_sortedset_lex,
                   [INTERFACE_SORTEDSET_OPERATIONS] = &redis_sortedset_operations,
                   [INTERFACE_SORTEDSET_RANGE] = &redis_sortedset_range,
                   [INTERFACE_SORTEDSET_RANK] = &redis_sortedset_rank,
                   [INTERFACE_COUNTER_BASIC] = &redis_counter_basic},
    .check = check,
    .open = open_backend,
    .detach = detach,
    .drain = drain,
    .close = close_backend,
    .probe = probe,
    .stats = stats,
    .test = test,
};
