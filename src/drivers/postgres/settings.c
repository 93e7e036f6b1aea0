/* What prism.yaml says of a backend, with defaults, and what is wrong with it. */
#include <stdio.h>

#include "data/driver.h"
#include "drivers/postgres/store.h"
#include "google/protobuf/duration.pb.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    STATEMENT_TIMEOUT_MS = 30000,
    LANES_MIN = 1,
    LANES_MAX = 16,
    TRANSACTIONS = 16,
};

static int64_t duration_ms(const struct google_protobuf_duration *d, int64_t otherwise)
{
    return d ? d->seconds * 1000 + d->nanos / 1000000 : otherwise;
}

/* --- defaults ---------------------------------------------------------------------------------------------------------------- */

static unsigned share(uint32_t all, unsigned loops)
{
    unsigned each = (all + loops - 1) / loops;
    return each ? each : 1;
}

static void take_pool(const struct config_pool *pool, unsigned loops, struct postgres_settings *s)
{
    uint32_t most = pool && pool->max ? pool->max : LANES_MAX, least = pool && pool->min ? pool->min : LANES_MIN;
    s->lanes_max = share(most, loops);
    s->lanes_min = least / loops < s->lanes_max ? least / loops : s->lanes_max;
}

static void take_options(const struct config_postgres_options *o, struct postgres_settings *s)
{
    if (o->schema.size)
        snprintf(s->schema, sizeof s->schema, "%.*s", SLICE_ARG(o->schema));
    s->connect_timeout_ms = duration_ms(o->connect_timeout, s->connect_timeout_ms);
    s->statement_timeout_ms = duration_ms(o->statement_timeout, s->statement_timeout_ms);
    s->sweep_ms = duration_ms(o->sweep_interval, s->sweep_ms);
    if (o->transactions)
        s->transactions = o->transactions;
    if (o->has_trace_comments)
        s->trace_comments = o->trace_comments;
}

enum err postgres_settings_read(const struct backend_open *open, struct diag *d, struct postgres_settings *ret_settings)
{
    struct postgres_settings s = {.schema = "prism",
                                  .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                  .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
                                  .sweep_ms = LIMIT_POSTGRES_SWEEP_INTERVAL_MS,
                                  .transactions = TRANSACTIONS,
                                  .trace_comments = true};
    if (!open->backend)
        return diag_set(d, ERR_CONFIG_INVALID, "postgres needs a connection: name a backend that has one");
    take_pool(open->backend->pool, open->loops ? open->loops : 1, &s);
    if (open->backend->postgres)
        take_options(open->backend->postgres, &s);
    *ret_settings = s;
    return OK;
}

enum err postgres_settings_address(const struct config_backend *backend, bool standby, const char *namespace_name,
                                   struct postgres_problem *p, struct postgres_address *ret_address)
{
    const struct config_postgres_options *o = backend->postgres;
    struct slice text = standby ? o->standby : backend->connection;
    char connection[4096];
    if (text.size >= sizeof connection)
        return postgres_problem_set(p, ERR_CONFIG_INVALID, "is longer than %zu bytes", sizeof connection - 1);
    snprintf(connection, sizeof connection, "%.*s", SLICE_ARG(text));
    enum err e = postgres_address_parse(connection, o ? o->password : SLICE_EMPTY, namespace_name, p, ret_address);
    explicit_bzero(connection, sizeof connection);
    return e;
}

/* --- checks ------------------------------------------------------------------------------------------------------------------ */

static void check_address(const struct config_backend *backend, bool standby, const char *field, struct diag *d)
{
    struct postgres_address address;
    struct postgres_problem problem;
    if (postgres_settings_address(backend, standby, "", &problem, &address))
        diag_field(d, field, "%s", problem.text);
    else
        postgres_address_fini(&address);
}

static void check_positive(const struct google_protobuf_duration *value, const char *field, struct diag *d)
{
    if (value && duration_ms(value, 0) <= 0)
        diag_field(d, field, "must be at least 1ms; leave it out for the default");
    else if (value && value->seconds > LIMIT_DEADLINE_MAX_MS / 1000)
        diag_field(d, field, "must be at most 5m");
}

enum err postgres_settings_check(const struct config_backend *backend, struct diag *d)
{
    const struct config_postgres_options *o = backend->postgres;
    check_address(backend, false, "connection", d);
    if (o && o->standby.size)
        check_address(backend, true, "postgres.standby", d);
    if (o) {
        check_positive(o->connect_timeout, "postgres.connect_timeout", d);
        check_positive(o->statement_timeout, "postgres.statement_timeout", d);
        check_positive(o->sweep_interval, "postgres.sweep_interval", d);
    }
    return d->fields ? ERR_CONFIG_INVALID : OK;
}
