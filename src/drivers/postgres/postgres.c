/* The driver's table, and a store from open to close.
 *
 *   open:   settings ─▶ connectors (threads that begin to connect) ─▶ upkeep          nothing waits for the server
 *   detach: a loop's transactions and lanes
 *   close:  upkeep ─▶ connectors
 *
 * Closing takes a store that was opened half way. */
#include "drivers/postgres/postgres.h"

#include "base/log.h"
#include "base/mem.h"
#include "drivers/postgres/store.h"

/* --- open and close ---------------------------------------------------------------------------------------------------------- */

static void drain(struct backend *backend)
{
    waiting_drain(&postgres_store(backend)->pops);
}

static void close_store(struct backend *backend)
{
    struct postgres_store *s = postgres_store(backend);
    postgres_upkeep_stop(&s->upkeep);
    postgres_connector_stop(&s->standby);
    postgres_connector_stop(&s->primary);
    waiting_fini(&s->pops);
    mem_free(s->workers);
    mem_free(s->namespace_name);
    mem_free(s);
}

static enum err start_connector(struct postgres_store *s, const struct config_backend *config, bool standby,
                                struct diag *d)
{
    struct postgres_setup setup = {.schema = s->settings.schema,
                                   .namespace_name = s->namespace_name,
                                   .read_only = standby,
                                   .statement_timeout_ms = s->settings.statement_timeout_ms};
    struct postgres_address address;
    struct postgres_problem problem;
    enum err e = postgres_settings_address(config, standby, s->namespace_name, &problem, &address);
    if (e)
        return diag_set(d, e, "%s %s", standby ? "postgres.standby" : "connection", problem.text);
    return postgres_connector_start(standby ? &s->standby : &s->primary, s->env, standby ? "standby" : "primary",
                                    &address, &setup, s->settings.connect_timeout_ms);
}

static enum err start(struct postgres_store *s, const struct backend_open *open)
{
    s->namespace_name = mem_strdup(open->namespace_name);
    s->workers = mem_zalloc(s->loops * sizeof *s->workers);
    if (!s->namespace_name || !s->workers)
        return ERR_NOMEM;
    enum err e = start_connector(s, open->backend, false, open->diag);
    s->has_standby = open->backend->postgres && open->backend->postgres->standby.size;
    if (!e && s->has_standby)
        e = start_connector(s, open->backend, true, open->diag);
    return e ? e : postgres_upkeep_start(&s->upkeep, &s->primary, s->env, s->settings.sweep_ms);
}

static enum err open_store(const struct backend_open *open, struct backend **ret_backend)
{
    struct diag *d = open->diag;
    struct postgres_store *s = mem_zalloc(sizeof *s);
    if (!s)
        return diag_set(d, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
    s->backend.driver = &driver_postgres;
    s->env = open->env;
    s->log = open->log;
    s->loops = open->loops ? open->loops : 1;
    waiting_init(&s->pops, open->env, LIMIT_WAITING_POPS);
    enum err e = postgres_settings_read(open, d, &s->settings);
    if (!e)
        e = start(s, open);
    if (e) {
        close_store(&s->backend);
        return e;
    }
    *ret_backend = &s->backend;
    return OK;
}

static void detach(struct backend *backend, struct loop *loop)
{
    struct postgres_store *s = postgres_store(backend);
    struct postgres_worker *w = loop_id(loop) < s->loops ? &s->workers[loop_id(loop)] : NULL;
    if (!w || !atomic_load(&w->loop))
        return;
    postgres_transactions_fini(w);
    postgres_pool_fini(&w->primary);
    postgres_pool_fini(&w->standby);
    atomic_store(&w->loop, NULL);
}

/* --- health and figures ------------------------------------------------------------------------------------------------------ */

/* Reads are answered by the primary while the standby is away: that is said, but it is no failure. */
static enum err probe(struct backend *backend, struct diag *d)
{
    struct postgres_store *s = postgres_store(backend);
    struct postgres_problem problem;
    enum err e = postgres_connector_state(&s->primary, &problem);
    return e ? diag_set(d, e, "%s", problem.text) : OK;
}

struct figures {
    uint64_t lanes, busy, waiting, units, operations, lost, errors;
};

static uint64_t load(atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_pool(struct postgres_pool *p, struct figures *f)
{
    f->lanes += atomic_load_explicit(&p->shown_lanes, memory_order_relaxed);
    f->busy += atomic_load_explicit(&p->shown_busy, memory_order_relaxed);
    f->waiting += atomic_load_explicit(&p->shown_waiting, memory_order_relaxed);
    f->units += load(&p->units);
    f->operations += load(&p->operations);
    f->lost += load(&p->lost);
    f->errors += load(&p->errors);
}

static void stats(struct backend *backend, backend_stat_fn *tell, void *context)
{
    struct postgres_store *s = postgres_store(backend);
    struct figures f = {0};
    for (unsigned i = 0; i < s->loops; i++) {
        if (!atomic_load(&s->workers[i].loop))
            continue;
        add_pool(&s->workers[i].primary, &f);
        add_pool(&s->workers[i].standby, &f);
    }
    uint64_t made = load(&s->primary.connects) + load(&s->standby.connects);
    tell(context, "connections", f.lanes);
    tell(context, "idle", f.lanes - f.busy);
    tell(context, "in_flight", f.busy);
    tell(context, "waiting", f.waiting);
    tell(context, "reconnects", f.lost < made ? f.lost : made);
    tell(context, "errors", f.errors + load(&s->primary.connect_errors) + load(&s->standby.connect_errors));
    tell(context, "connections_made", made);
    tell(context, "statements", f.units);
    tell(context, "operations", f.operations);
    tell(context, "cancels", load(&s->upkeep.cancels));
    tell(context, "expired_rows_swept", load(&s->upkeep.swept));
    tell(context, "writes_without_ttl", load(&s->forever));
    tell(context, "pops_waiting", waiting_count(&s->pops));
    tell(context, "transactions_open", atomic_load(&s->transactions));
}

/* --- test -------------------------------------------------------------------------------------------------------------------- */

static enum err round_trip(struct postgres_store *s, const struct postgres_wait *w, struct postgres_problem *p,
                           backend_step_fn *tell, void *context)
{
    static const struct postgres_params none;
    int32_t namespace;
    PGconn *conn;
    enum err e = postgres_session_open(&s->primary.address, w, tell, context, p, &conn);
    if (e)
        return e;
    uint64_t begun = s->env->monotonic_ns(s->env);
    e = postgres_schema_open(conn, w, &s->primary.setup, p, &namespace);
    uint64_t ready = s->env->monotonic_ns(s->env);
    if (!e) {
        tell(context, "schema", ready - begun);
        e = postgres_session_do(conn, w, "SELECT 1", &none, p);
    }
    if (!e)
        tell(context, "round_trip", s->env->monotonic_ns(s->env) - ready);
    PQfinish(conn);
    return e;
}

static enum err test(struct backend *backend, struct diag *d, backend_step_fn *tell, void *context)
{
    struct postgres_store *s = postgres_store(backend);
    struct postgres_wait w = {.env = s->env, .stop_fd = s->primary.stop_fd};
    struct postgres_problem problem = {0};
    w.deadline_ns = s->env->monotonic_ns(s->env) + (uint64_t)LIMIT_BACKEND_TEST_MS * 1000000;
    enum err e = round_trip(s, &w, &problem, tell, context);
    return e ? diag_set(d, e, "%s", problem.text) : OK;
}

const struct driver driver_postgres = {
    .name = "postgres",
    .summary = "In tables of a PostgreSQL database: as durable as its server, ordered, shared by many proxies",
    .durable = true,
    .ordered_scan = true,
    .expires = true,
    .remote = true,
    .check = postgres_settings_check,
    .implements =
        {
            [INTERFACE_KEYVALUE_BASIC] = &postgres_keyvalue_basic,
            [INTERFACE_KEYVALUE_BATCH] = &postgres_keyvalue_batch,
            [INTERFACE_KEYVALUE_CAS] = &postgres_keyvalue_cas,
            [INTERFACE_KEYVALUE_SCAN] = &postgres_keyvalue_scan,
            [INTERFACE_KEYVALUE_TRANSACTIONAL] = &postgres_keyvalue_transactional,
            [INTERFACE_KEYVALUE_TTL] = &postgres_keyvalue_ttl,
            [INTERFACE_LIST_BASIC] = &postgres_list_basic,
            [INTERFACE_LIST_BLOCKING] = &postgres_list_blocking,
            [INTERFACE_LIST_INDEXING] = &postgres_list_indexing,
            [INTERFACE_LIST_RANGE] = &postgres_list_range,
            [INTERFACE_SET_BASIC] = &postgres_set_basic,
            [INTERFACE_SET_CARDINALITY] = &postgres_set_cardinality,
            [INTERFACE_SET_OPERATIONS] = &postgres_set_operations,
            [INTERFACE_SET_RANDOM] = &postgres_set_random,
            [INTERFACE_SORTEDSET_BASIC] = &postgres_sortedset_basic,
            [INTERFACE_SORTEDSET_LEX] = &postgres_sortedset_lex,
            [INTERFACE_SORTEDSET_OPERATIONS] = &postgres_sortedset_operations,
            [INTERFACE_SORTEDSET_RANGE] = &postgres_sortedset_range,
            [INTERFACE_SORTEDSET_RANK] = &postgres_sortedset_rank,
            [INTERFACE_COUNTER_BASIC] = &postgres_counter_basic,
        },
    .open = open_store,
    .detach = detach,
    .drain = drain,
    .close = close_store,
    .probe = probe,
    .stats = stats,
    .test = test,
};
