#include "drivers/postgres/lane.h"

#include <assert.h>
#include <string.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"

enum kind { KIND_PREPARE, KIND_ASIDE, KIND_MAIN };

/* --- sending ----------------------------------------------------------------------------------------------------------------- */

struct postgres_unit *postgres_unit_new(struct postgres_lane *l, const struct postgres_unit_events *events,
                                        unsigned count)
{
    struct postgres_unit *u = arena_new(&l->arena, struct postgres_unit);
    struct postgres_operation **members = arena_array(&l->arena, struct postgres_operation *, count ? count : 1);
    if (!u || !members)
        return NULL;
    u->lane = l;
    u->events = events;
    u->members = members;
    u->problem = &l->problem;
    return u;
}

static void note_sent(struct postgres_unit *u, enum kind kind, enum postgres_statement s)
{
    assert(u->sent < POSTGRES_UNIT_STATEMENTS);
    u->kinds[u->sent] = (uint8_t)kind;
    u->statements[u->sent] = (uint8_t)s;
    u->sent++;
}

static enum err prepare(struct postgres_unit *u, enum postgres_statement s)
{
    struct postgres_lane *l = u->lane;
    if (l->prepared[s])
        return OK;
    if (!PQsendPrepare(l->conn, postgres_statement_name(s), postgres_statement_text(s), 0, NULL))
        return ERR_BACKEND_LOST;
    l->prepared[s] = true;
    note_sent(u, KIND_PREPARE, s);
    return OK;
}

static int send_prepared(const struct postgres_unit *u, enum postgres_statement s, const struct postgres_params *p)
{
    const char *values[POSTGRES_PARAMS_MAX];
    return PQsendQueryPrepared(u->lane->conn, postgres_statement_name(s), p->count, postgres_values(p, values),
                               p->lengths, p->formats, 1);
}

/* With the trace behind it the text differs from call to call, so there is nothing to prepare. */
static int send_commented(const struct postgres_unit *u, enum postgres_statement s, const struct postgres_params *p)
{
    const char *values[POSTGRES_PARAMS_MAX];
    char *text = arena_printf(&u->lane->arena, "%s %s", postgres_statement_text(s), u->comment);
    return text && PQsendQueryParams(u->lane->conn, text, p->count, NULL, postgres_values(p, values), p->lengths,
                                     p->formats, 1);
}

static enum err send(struct postgres_unit *u, enum kind kind, enum postgres_statement s,
                     const struct postgres_params *p)
{
    if (p->failed)
        return ERR_NOMEM;
    bool commented = u->comment && kind == KIND_MAIN;
    enum err e = commented ? OK : prepare(u, s);
    if (e)
        return e;
    if (!(commented ? send_commented(u, s, p) : send_prepared(u, s, p)))
        return ERR_BACKEND_LOST;
    note_sent(u, kind, s);
    return OK;
}

/* The first statement of a transaction is preceded by its time limit, where it has one of its own. */
static enum err put_timeout(struct postgres_unit *u)
{
    struct postgres_params p = {0};
    if (!u->timeout_ms)
        return OK;
    postgres_put_int4(&p, (int32_t)(u->timeout_ms < INT32_MAX ? u->timeout_ms : INT32_MAX));
    u->timeout_ms = 0;
    return send(u, KIND_ASIDE, STATEMENT_TIMEOUT, &p);
}

enum err postgres_put(struct postgres_unit *u, enum postgres_statement s, const struct postgres_params *p)
{
    enum err e = put_timeout(u);
    return e ? e : send(u, KIND_MAIN, s, p);
}

enum err postgres_put_aside(struct postgres_unit *u, enum postgres_statement s, const struct postgres_params *p)
{
    return send(u, KIND_ASIDE, s, p);
}

void postgres_unit_sync(struct postgres_unit *u, enum err e)
{
    struct postgres_lane *l = u->lane;
    u->err = e;
    u->ended = false;
    u->next = NULL;
    *l->end = u;
    l->end = &u->next;
    PQpipelineSync(l->conn); /* what fails here shows when it is read */
}

void postgres_lane_flush(struct postgres_lane *l)
{
    int left = PQflush(l->conn);
    watch_set(l->watch, left > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ);
}

/* --- results ----------------------------------------------------------------------------------------------------------------- */

static bool code_is(const PGresult *r, const char *const *codes)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    while (code && *codes && strcmp(code, *codes) != 0)
        codes++;
    return code && *codes;
}

static void note_failure(struct postgres_unit *u, const PGresult *r)
{
    static const char *const leaves[] = {"57P01", "57P03", NULL};
    static const char *const breaks[] = {"26000", "42P01", "42883", "3F000", "25006", NULL};
    struct postgres_lane *l = u->lane;
    struct postgres_problem p;
    enum err e = postgres_result_problem(r, &p);
    l->server_leaves |= code_is(r, leaves);
    l->broken |= code_is(r, breaks);
    if (!u->err) {
        u->err = e;
        l->problem = p;
    }
}

static void forget_prepared(struct postgres_unit *u)
{
    if (u->at < u->sent && u->kinds[u->at] == KIND_PREPARE)
        u->lane->prepared[u->statements[u->at]] = false;
}

static void take(struct postgres_unit *u, const PGresult *r)
{
    if (u->at >= u->sent || u->kinds[u->at] != KIND_MAIN)
        return;
    unsigned index = u->taken++;
    if (!u->err)
        u->err = u->events->take(u, index, r);
}

/* The next unit is first before done is called, which may put this one again, at the end. */
static void end_unit(struct postgres_lane *l, enum err e)
{
    struct postgres_unit *u = l->first;
    l->first = u->next;
    if (!l->first)
        l->end = &l->first;
    u->ended = true;
    u->sent = u->at = u->taken = 0;
    u->events->done(u, e);
    l->problem = (struct postgres_problem){0};
}

static void on_result(struct postgres_lane *l, const PGresult *r)
{
    struct postgres_unit *u = l->first;
    switch (PQresultStatus(r)) {
    case PGRES_PIPELINE_SYNC:
        end_unit(l, u->err);
        break;
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        take(u, r);
        break;
    case PGRES_PIPELINE_ABORTED:
        forget_prepared(u);
        break;
    default:
        forget_prepared(u);
        note_failure(u, r);
    }
}

/* false: what comes makes no sense. */
static bool drain(struct postgres_lane *l)
{
    while (l->first && !PQisBusy(l->conn)) {
        PGresult *r = PQgetResult(l->conn);
        if (!r && l->between)
            return false;
        if (!r)
            l->first->at++;
        else
            on_result(l, r);
        l->between = !r;
        PQclear(r);
    }
    return true;
}

void postgres_lane_lost(struct postgres_lane *l, enum err e)
{
    if (l->draining) {
        l->doomed = e;
        return;
    }
    l->lost = true;
    while (l->first) {
        enum err of_unit = l->first->err;
        if (!l->problem.err)
            postgres_problem_set(&l->problem, e, "PostgreSQL: the connection was lost");
        end_unit(l, of_unit ? of_unit : l->server_leaves ? ERR_BACKEND_REFUSED : e);
    }
    l->on_lost(l);
}

static void ready(void *context, unsigned events)
{
    struct postgres_lane *l = context;
    if (events & WATCH_WRITE)
        postgres_lane_flush(l);
    bool open = !FAULT("postgres.read") && PQconsumeInput(l->conn) == 1;
    bool was_busy = l->first;
    l->draining = true;
    if (!drain(l) || !open || PQstatus(l->conn) != CONNECTION_OK)
        l->doomed = l->doomed ? l->doomed : ERR_BACKEND_LOST;
    l->draining = false;
    if (l->doomed)
        postgres_lane_lost(l, l->doomed);
    else if (l->first)
        postgres_lane_flush(l);
    else if (was_busy && postgres_lane_idle(l))
        l->on_idle(l);
}

/* --- members ----------------------------------------------------------------------------------------------------------------- */

static bool is_dead(const struct postgres_lane *l)
{
    for (const struct postgres_unit *u = l->first; u; u = u->next)
        if (u->live)
            return false;
    return l->first;
}

void postgres_unit_leave(struct postgres_unit *u, unsigned index)
{
    struct postgres_lane *l = u->lane;
    assert(u->members[index]);
    u->members[index] = NULL;
    u->live--;
    if (!u->ended && !l->lost && l->on_dead && is_dead(l))
        l->on_dead(l);
}

/* --- life -------------------------------------------------------------------------------------------------------------------- */

enum err postgres_lane_new(struct loop *loop, PGconn *conn, int32_t namespace, struct postgres_lane **ret_lane)
{
    struct postgres_lane *l = mem_zalloc(sizeof *l);
    enum err e = l ? watch_new(loop, PQsocket(conn), ready, l, &l->watch) : ERR_NOMEM;
    if (e) {
        mem_free(l);
        PQfinish(conn);
        return e;
    }
    l->loop = loop;
    l->env = loop_env(loop);
    l->conn = conn;
    l->namespace = namespace;
    l->end = &l->first;
    arena_init(&l->arena, LIMIT_POSTGRES_LANE_BYTES);
    watch_set(l->watch, WATCH_READ);
    *ret_lane = l;
    return OK;
}

void postgres_lane_free(struct postgres_lane *l)
{
    assert(!l->first && !l->cancel);
    timer_stop(l->loop, &l->timer);
    watch_free(l->watch);
    PQfinish(l->conn);
    arena_fini(&l->arena);
    mem_free(l);
}
