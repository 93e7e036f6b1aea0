#include "drivers/postgres/upkeep.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"

/* --- cancelling -------------------------------------------------------------------------------------------------------------- */

static void deliver(struct task *task)
{
    struct postgres_cancel *c = (struct postgres_cancel *)task;
    c->returned(c);
}

static void ask_to_cancel(struct postgres_upkeep *u, const struct postgres_cancel *c)
{
    struct postgres_wait w = {.env = u->env, .stop_fd = u->stop_fd};
    struct postgres_params p = {0};
    struct postgres_problem problem;
    PGconn *conn;
    w.deadline_ns = u->env->monotonic_ns(u->env) + (uint64_t)LIMIT_POSTGRES_GIVE_UP_MS * 1000000;
    postgres_put_int4(&p, c->process);
    if (postgres_session_open(&c->server->address, &w, NULL, NULL, &problem, &conn))
        return;
    enum err ignored = postgres_session_do(conn, &w, "SELECT pg_cancel_backend($1::int4)", &p, &problem);
    (void)ignored; /* the connection whose statement it is ends soon, if this came to nothing */
    PQfinish(conn);
}

static void give_up(struct postgres_upkeep *u, struct postgres_cancel *c)
{
    ask_to_cancel(u, c);
    atomic_fetch_add(&u->cancels, 1);
    c->task.run = deliver;
    loop_post(c->loop, &c->task);
}

/* --- sweeping ---------------------------------------------------------------------------------------------------------------- */

#define SWEEP_ROWS "1000"

/* What another transaction holds is left for the next time. */
static const char *const sweeps[] = {
    "DELETE FROM items WHERE ctid = ANY (ARRAY (SELECT ctid FROM items WHERE expires_at < $1::timestamptz "
    "LIMIT " SWEEP_ROWS " FOR UPDATE SKIP LOCKED))",
    "DELETE FROM answers WHERE ctid = ANY (ARRAY (SELECT ctid FROM answers WHERE expires_at < $1::timestamptz "
    "LIMIT " SWEEP_ROWS " FOR UPDATE SKIP LOCKED))",
};

static enum err sweep_some(PGconn *conn, const struct postgres_wait *w, const char *sql, uint64_t *ret_count)
{
    struct postgres_params p = {0};
    struct postgres_problem problem;
    PGresult *r;
    postgres_put_time(&p, (int64_t)(w->env->realtime_ns(w->env) / 1000000));
    enum err e = postgres_session_ask(conn, w, sql, &p, &problem, &r);
    if (e)
        return e;
    *ret_count = strtoull(PQcmdTuples(r), NULL, 10);
    PQclear(r);
    return OK;
}

static bool is_stopping(struct postgres_upkeep *u)
{
    pthread_mutex_lock(&u->lock);
    bool stopping = u->stopping || u->first; /* cancels come first: the rest is for the next time */
    pthread_mutex_unlock(&u->lock);
    return stopping;
}

static void sweep_table(struct postgres_upkeep *u, PGconn *conn, struct postgres_wait *w, const char *sql)
{
    uint64_t count = 1;
    while (count && !is_stopping(u)) {
        w->deadline_ns = u->env->monotonic_ns(u->env) + (uint64_t)LIMIT_POSTGRES_SWEEP_MS * 1000000;
        if (sweep_some(conn, w, sql, &count))
            return;
        atomic_fetch_add(&u->swept, count);
    }
}

static bool lock_sweeping(PGconn *conn, const struct postgres_wait *w)
{
    static const struct postgres_params none;
    struct postgres_problem problem;
    PGresult *r;
    if (postgres_session_ask(conn, w,
                             "SELECT pg_try_advisory_lock(" POSTGRES_LOCK_CLASS
                             ", hashtext(current_setting('search_path')) + 1)",
                             &none, &problem, &r))
        return false;
    bool mine = postgres_bool(r, 0, 0);
    PQclear(r);
    return mine;
}

/* On a connection of its own, which gives back the lock when it closes. */
static void sweep(struct postgres_upkeep *u)
{
    struct postgres_connector *c = u->primary;
    struct postgres_wait w = {.env = u->env, .stop_fd = u->stop_fd};
    w.deadline_ns = u->env->monotonic_ns(u->env) + (uint64_t)c->timeout_ms * 1000000;
    struct postgres_problem problem;
    int32_t namespace;
    PGconn *conn;
    if (atomic_load(&c->down) || postgres_session_open(&c->address, &w, NULL, NULL, &problem, &conn))
        return;
    if (!postgres_schema_open(conn, &w, &c->setup, &problem, &namespace) && lock_sweeping(conn, &w))
        for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++)
            sweep_table(u, conn, &w, sweeps[i]);
    PQfinish(conn);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------- */

/* Not all namespaces at once. */
static void plan_sweep(struct postgres_upkeep *u)
{
    uint64_t jitter, span = (uint64_t)u->sweep_ms * 500000;
    u->env->random(u->env, &jitter, sizeof jitter);
    u->sweep_due_ns = u->env->monotonic_ns(u->env) + span + jitter % (span + 1);
}

static void wait_for_work(struct postgres_upkeep *u)
{
    uint64_t now = u->env->monotonic_ns(u->env), left = u->sweep_due_ns > now ? u->sweep_due_ns - now : 0;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + left;
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&u->changed, &u->lock, &at);
}

static void turn(struct postgres_upkeep *u)
{
    struct postgres_cancel *c = u->first;
    bool due = u->env->monotonic_ns(u->env) >= u->sweep_due_ns;
    if (!c && !due) {
        wait_for_work(u);
        return;
    }
    if (c) {
        u->first = c->next;
        if (!u->first)
            u->end = &u->first;
    }
    pthread_mutex_unlock(&u->lock);
    if (c) {
        give_up(u, c);
    } else {
        sweep(u);
        plan_sweep(u);
    }
    pthread_mutex_lock(&u->lock);
}

static void *serve(void *argument)
{
    struct postgres_upkeep *u = argument;
    pthread_mutex_lock(&u->lock);
    while (!u->stopping)
        turn(u);
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

void postgres_upkeep_cancel(struct postgres_upkeep *u, struct postgres_cancel *c)
{
    c->next = NULL;
    pthread_mutex_lock(&u->lock);
    *u->end = c;
    u->end = &c->next;
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->lock);
}

/* --- start and stop ---------------------------------------------------------------------------------------------------------- */

enum err postgres_upkeep_start(struct postgres_upkeep *u, struct postgres_connector *primary, const struct env *env,
                               int64_t sweep_ms)
{
    *u = (struct postgres_upkeep){.primary = primary, .env = env, .sweep_ms = sweep_ms};
    u->end = &u->first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&u->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&u->lock, NULL);
    u->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    plan_sweep(u);
    u->started = u->stop_fd >= 0 && pthread_create(&u->thread, NULL, serve, u) == 0;
    if (u->started)
        return OK;
    if (u->stop_fd >= 0)
        close(u->stop_fd);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->lock);
    return ERR_NOMEM;
}

/* No loop uses the backend any more, so no cancel can be waiting for one. */
void postgres_upkeep_stop(struct postgres_upkeep *u)
{
    if (!u->started)
        return;
    pthread_mutex_lock(&u->lock);
    u->stopping = true;
    (void)!write(u->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_cond_signal(&u->changed);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->thread, NULL);
    for (struct postgres_cancel *c; (c = u->first);) {
        u->first = c->next;
        c->task.run = deliver;
        loop_post(c->loop, &c->task);
    }
    close(u->stop_fd);
    pthread_cond_destroy(&u->changed);
    pthread_mutex_destroy(&u->lock);
    u->started = false;
}
