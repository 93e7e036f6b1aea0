#include "drivers/postgres/session.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { OPTIONS_MAX = 64 };

/* --- where to ------------------------------------------------------------------------------------------------------------------ */

/* What stands between quotes in libpq's message is the user's text, which may be a password. */
static void without_quoted(const char *message, char *out, size_t size)
{
    size_t n = 0;
    bool quoted = false;
    for (; *message && *message != '\n' && n + 4 < size; message++) {
        if (*message == '"' && !quoted)
            n += (size_t)snprintf(out + n, size - n, "…");
        else if (*message != '"' && !quoted)
            out[n++] = *message;
        quoted ^= *message == '"';
    }
    out[n] = '\0';
}

static const char *option_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, keyword) == 0)
            return o->val && o->val[0] ? o->val : NULL;
    return NULL;
}

static bool known_sslmode(const char *mode)
{
    static const char *const modes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!mode || strcmp(mode, modes[i]) == 0)
            return true;
    return false;
}

static enum err parse(const char *connection, struct postgres_problem *p, PQconninfoOption **ret_options)
{
    char *message = NULL, text[200];
    PQconninfoOption *options = PQconninfoParse(connection, &message);
    if (!options) {
        without_quoted(message ? message : "no memory", text, sizeof text);
        PQfreemem(message);
        return postgres_problem_set(p, ERR_CONFIG_INVALID,
                                    "is not valid: %s; write postgresql://USER@HOST:PORT/DATABASE", text);
    }
    const char *mode = option_of(options, "sslmode");
    if (!known_sslmode(mode)) {
        postgres_problem_set(
            p, ERR_CONFIG_INVALID,
            "sslmode `%.40s` does not exist; there are: disable, allow, prefer, require, verify-ca, verify-full", mode);
        PQconninfoFree(options);
        return ERR_CONFIG_INVALID;
    }
    *ret_options = options;
    return OK;
}

enum err postgres_address_parse(const char *connection, struct slice password, const char *namespace_name,
                                struct postgres_problem *p, struct postgres_address *ret_address)
{
    struct postgres_address a = {0};
    if (!connection[0])
        return postgres_problem_set(p, ERR_CONFIG_INVALID, "is missing; write postgresql://USER@HOST:PORT/DATABASE");
    enum err e = parse(connection, p, &a.options);
    if (e)
        return e;
    if (password.size) {
        a.password = mem_zalloc(password.size + 1);
        if (!a.password) {
            PQconninfoFree(a.options);
            return postgres_problem_set(p, ERR_NOMEM, "%s", err_row(ERR_NOMEM)->text);
        }
        memcpy(a.password, password.data, password.size);
    }
    snprintf(a.application, sizeof a.application, "prism %s", namespace_name);
    *ret_address = a;
    return OK;
}

void postgres_address_fini(struct postgres_address *a)
{
    PQconninfoFree(a->options);
    if (a->password)
        explicit_bzero(a->password, strlen(a->password));
    mem_free(a->password);
    *a = (struct postgres_address){0};
}

/* --- waiting ----------------------------------------------------------------------------------------------------------------- */

static int left_ms(const struct postgres_wait *w)
{
    uint64_t now = w->env->monotonic_ns(w->env);
    return now >= w->deadline_ns ? 0 : (int)((w->deadline_ns - now) / 1000000) + 1;
}

/* false: the deadline has passed, or we are to stop. */
static bool await_socket(PGconn *conn, const struct postgres_wait *w, short events)
{
    struct pollfd fds[2] = {{.fd = PQsocket(conn), .events = events}, {.fd = w->stop_fd, .events = POLLIN}};
    int left = left_ms(w);
    return left > 0 && fds[0].fd >= 0 && poll(fds, w->stop_fd >= 0 ? 2 : 1, left) > 0 && !fds[1].revents;
}

/* --- connecting -------------------------------------------------------------------------------------------------------------- */

static PGconn *start(const struct postgres_address *a)
{
    const char *names[OPTIONS_MAX + 4], *values[OPTIONS_MAX + 4];
    int n = 0;
    for (const PQconninfoOption *o = a->options; o->keyword && n < OPTIONS_MAX; o++)
        if (o->val && (!a->password || strcmp(o->keyword, "password") != 0)) {
            names[n] = o->keyword;
            values[n++] = o->val;
        }
    if (a->password) {
        names[n] = "password";
        values[n++] = a->password;
    }
    names[n] = "fallback_application_name";
    values[n++] = a->application;
    names[n] = "client_encoding";
    values[n++] = "UTF8";
    names[n] = NULL;
    values[n] = NULL;
    return PQconnectStartParams(names, values, 0);
}

struct steps {
    backend_step_fn *tell;
    void *context;
    const struct env *env;
    uint64_t begun_ns;
    ConnStatusType seen;
};

static void step_done(struct steps *s, const char *name)
{
    uint64_t now = s->env->monotonic_ns(s->env);
    if (s->tell)
        s->tell(s->context, name, now - s->begun_ns);
    s->begun_ns = now;
}

/* Tells a step when libpq's state shows that it is over. */
static void follow(struct steps *s, ConnStatusType status)
{
    if (status == s->seen)
        return;
    if (s->seen == CONNECTION_STARTED)
        step_done(s, "connect");
    if (s->seen == CONNECTION_SSL_STARTUP && status != CONNECTION_BAD)
        step_done(s, "tls");
    s->seen = status;
}

static enum err finish_connecting(PGconn *conn, const struct postgres_wait *w, struct steps *s,
                                  struct postgres_problem *p)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;
    while (wants != PGRES_POLLING_OK) {
        if (wants == PGRES_POLLING_FAILED)
            return postgres_connect_problem(conn, p);
        if (!await_socket(conn, w, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT))
            return postgres_problem_set(
                p, ERR_BACKEND_UNREACHABLE,
                "no connection within connect_timeout; check host and port in connection, and what lies between");
        wants = PQconnectPoll(conn);
        if (wants != PGRES_POLLING_FAILED)
            follow(s, PQstatus(conn));
    }
    step_done(s, "authenticate");
    return OK;
}

enum err postgres_session_open(const struct postgres_address *a, const struct postgres_wait *w, backend_step_fn *tell,
                               void *tell_context, struct postgres_problem *p, PGconn **ret_conn)
{
    struct steps s = {.tell = tell, .context = tell_context, .env = w->env, .begun_ns = w->env->monotonic_ns(w->env)};
    PGconn *conn = start(a); /* names are resolved in here */
    if (!conn)
        return postgres_problem_set(p, ERR_BACKEND_UNREACHABLE, "no memory for a connection");
    PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* shows the code of a refusal */
    enum err e = PQstatus(conn) == CONNECTION_BAD ? postgres_connect_problem(conn, p) : OK;
    if (!e) {
        step_done(&s, "resolve");
        s.seen = PQstatus(conn);
        e = finish_connecting(conn, w, &s, p);
    }
    if (!e && PQsetnonblocking(conn, 1) != 0)
        e = postgres_problem_set(p, ERR_BACKEND_UNREACHABLE, "no memory for a connection");
    if (e) {
        PQfinish(conn);
        return e;
    }
    *ret_conn = conn;
    return OK;
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

static enum err lost(struct postgres_problem *p, const char *why)
{
    return postgres_problem_set(p, ERR_BACKEND_LOST, "PostgreSQL: %s", why);
}

static enum err send_all(PGconn *conn, const struct postgres_wait *w, struct postgres_problem *p)
{
    for (int left; (left = PQflush(conn)) != 0;) {
        if (left < 0)
            return lost(p, "the connection was lost");
        if (!await_socket(conn, w, POLLOUT | POLLIN))
            return lost(p, "no answer in time");
        if (PQconsumeInput(conn) == 0)
            return lost(p, "the connection was lost");
    }
    return OK;
}

/* NULL in *ret_result: there are no more. */
static enum err next_result(PGconn *conn, const struct postgres_wait *w, struct postgres_problem *p,
                            PGresult **ret_result)
{
    while (PQisBusy(conn)) {
        if (!await_socket(conn, w, POLLIN))
            return lost(p, "no answer in time");
        if (PQconsumeInput(conn) == 0)
            return lost(p, "the connection was lost");
    }
    *ret_result = PQgetResult(conn);
    return OK;
}

static bool failed(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

/* The first failure counts, else the last result. */
static enum err collect(PGconn *conn, const struct postgres_wait *w, struct postgres_problem *p, PGresult **ret_result)
{
    PGresult *kept = NULL, *next = NULL;
    enum err e, outcome = OK;
    while (!(e = next_result(conn, w, p, &next)) && next) {
        if (!outcome && failed(next))
            outcome = postgres_result_problem(next, p);
        PQclear(kept);
        kept = next;
    }
    e = e ? e : outcome;
    if (e)
        PQclear(kept);
    else
        *ret_result = kept;
    return e;
}

enum err postgres_session_ask(PGconn *conn, const struct postgres_wait *w, const char *sql,
                              const struct postgres_params *params, struct postgres_problem *p, PGresult **ret_result)
{
    const char *values[POSTGRES_PARAMS_MAX];
    int sent = params ? PQsendQueryParams(conn, sql, params->count, NULL, postgres_values(params, values),
                                          params->lengths, params->formats, 1)
                      : PQsendQuery(conn, sql);
    if (!sent)
        return lost(p, "the connection was lost");
    enum err e = send_all(conn, w, p);
    return e ? e : collect(conn, w, p, ret_result);
}

enum err postgres_session_do(PGconn *conn, const struct postgres_wait *w, const char *sql,
                             const struct postgres_params *params, struct postgres_problem *p)
{
    PGresult *r;
    enum err e = postgres_session_ask(conn, w, sql, params, p, &r);
    if (!e)
        PQclear(r);
    return e;
}
