#include "drivers/postgres/connector.h"

#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "data/outcome.h"

/* --- answers ----------------------------------------------------------------------------------------------------------------- */

void postgres_parcel_free(struct postgres_parcel *parcel)
{
    mem_free(parcel);
}

/* On the loop. */
static void deliver(struct task *task)
{
    struct postgres_parcel *parcel = (struct postgres_parcel *)task;
    if (parcel->arrived) {
        parcel->arrived(parcel);
        return;
    }
    PQfinish(parcel->conn);
    postgres_parcel_free(parcel);
}

static void post(struct postgres_parcel *parcel)
{
    parcel->task.run = deliver;
    loop_post(parcel->loop, &parcel->task);
}

static struct postgres_parcel *pop(struct postgres_connector *c)
{
    struct postgres_parcel *parcel = c->first;
    if (!parcel)
        return NULL;
    c->first = parcel->next;
    if (!c->first)
        c->end = &c->first;
    return parcel;
}

static void refuse_all(struct postgres_connector *c)
{
    for (struct postgres_parcel *parcel; (parcel = pop(c));) {
        parcel->problem = c->problem;
        post(parcel);
    }
}

/* --- connecting, without the lock -------------------------------------------------------------------------------------------- */

static enum err connect_once(struct postgres_connector *c, struct postgres_problem *p, PGconn **ret_conn,
                             int32_t *ret_namespace)
{
    struct postgres_wait wait = {.env = c->env, .stop_fd = c->stop_fd};
    wait.deadline_ns = c->env->monotonic_ns(c->env) + (uint64_t)c->timeout_ms * 1000000;
    if (FAULT("postgres.connect"))
        return postgres_problem_set(p, ERR_BACKEND_UNREACHABLE, "fault point postgres.connect");
    PGconn *conn;
    enum err e = postgres_session_open(&c->address, &wait, NULL, NULL, p, &conn);
    if (e)
        return e;
    e = postgres_schema_open(conn, &wait, &c->setup, p, ret_namespace);
    if (e == ERR_BACKEND_LOST || e == ERR_DEADLINE_EXCEEDED) /* no call was on it */
        e = p->err = ERR_BACKEND_UNREACHABLE;
    else if (e && e != ERR_SCHEMA_FUTURE && outcome_of(e) == OUTCOME_SETTLED)
        e = p->err = ERR_BACKEND_REFUSED;
    if (!e && PQenterPipelineMode(conn) != 1)
        e = postgres_problem_set(p, ERR_BACKEND_UNREACHABLE, "the connection was lost");
    if (e)
        PQfinish(conn);
    else
        *ret_conn = conn;
    return e;
}

/* Doubles with each failure, and lies between half of it and all of it, so that many proxies do not come at once. */
static uint64_t pause_ns(const struct postgres_connector *c)
{
    uint64_t full_ms = LIMIT_POSTGRES_BACKOFF_MIN_MS;
    for (unsigned i = 1; i < c->failures && full_ms < LIMIT_POSTGRES_BACKOFF_MS; i++)
        full_ms *= 2;
    if (full_ms > LIMIT_POSTGRES_BACKOFF_MS)
        full_ms = LIMIT_POSTGRES_BACKOFF_MS;
    uint32_t jitter;
    c->env->random(c->env, &jitter, sizeof jitter);
    return (full_ms * 500000) + jitter % (full_ms * 500000);
}

/* --- the thread, with the lock ----------------------------------------------------------------------------------------------- */

static void note_failure(struct postgres_connector *c, const struct postgres_problem *p)
{
    c->problem = *p;
    c->failures++;
    c->next_try_ns = c->env->monotonic_ns(c->env) + pause_ns(c);
    atomic_store(&c->down, true);
    atomic_fetch_add(&c->connect_errors, 1);
    refuse_all(c);
    if (c->serving) {
        c->serving->problem = *p;
        post(c->serving);
    }
}

static void note_success(struct postgres_connector *c, PGconn *conn, int32_t namespace)
{
    c->problem = (struct postgres_problem){0};
    c->failures = 0;
    atomic_store(&c->down, false);
    atomic_fetch_add(&c->connects, 1);
    if (c->serving) {
        c->serving->conn = conn;
        c->serving->namespace = namespace;
        post(c->serving);
    } else {
        c->spare = conn;
        c->spare_namespace = namespace;
    }
}

static void attempt(struct postgres_connector *c)
{
    struct postgres_problem p = {0};
    PGconn *conn = NULL;
    int32_t namespace = 0;
    c->serving = pop(c);
    c->tried = true;
    pthread_mutex_unlock(&c->lock);
    enum err e = connect_once(c, &p, &conn, &namespace);
    pthread_mutex_lock(&c->lock);
    if (e)
        note_failure(c, &p);
    else
        note_success(c, conn, namespace);
    c->serving = NULL;
}

static void give_spare(struct postgres_connector *c)
{
    struct postgres_parcel *parcel = pop(c);
    parcel->conn = c->spare;
    parcel->namespace = c->spare_namespace;
    c->spare = NULL;
    post(parcel);
}

/* A spare that the server has closed meanwhile is of no use. */
static bool spare_is_well(struct postgres_connector *c)
{
    if (!c->spare)
        return false;
    if (PQconsumeInput(c->spare) && PQstatus(c->spare) == CONNECTION_OK)
        return true;
    PQfinish(c->spare);
    c->spare = NULL;
    return false;
}

static void wait_until(struct postgres_connector *c, uint64_t due_ns)
{
    uint64_t now = c->env->monotonic_ns(c->env), left = due_ns > now ? due_ns - now : 0;
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + left;
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&c->changed, &c->lock, &at);
}

static bool pausing(const struct postgres_connector *c)
{
    return atomic_load(&c->down) && c->env->monotonic_ns(c->env) < c->next_try_ns;
}

static void turn(struct postgres_connector *c)
{
    if (pausing(c)) {
        refuse_all(c);
        wait_until(c, c->next_try_ns);
    } else if (c->first && spare_is_well(c)) {
        give_spare(c);
    } else if (c->first || !c->tried || atomic_load(&c->down)) {
        attempt(c);
    } else {
        pthread_cond_wait(&c->changed, &c->lock);
    }
}

static void *serve(void *argument)
{
    struct postgres_connector *c = argument;
    pthread_mutex_lock(&c->lock);
    while (!c->stopping)
        turn(c);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* --- from other threads ------------------------------------------------------------------------------------------------------ */

enum err postgres_connector_request(struct postgres_connector *c, struct loop *loop,
                                    void (*arrived)(struct postgres_parcel *), void *context,
                                    struct postgres_parcel **ret_parcel)
{
    struct postgres_parcel *parcel = mem_zalloc(sizeof *parcel);
    if (!parcel)
        return ERR_NOMEM;
    parcel->loop = loop;
    parcel->arrived = arrived;
    parcel->context = context;
    pthread_mutex_lock(&c->lock);
    *c->end = parcel;
    c->end = &parcel->next;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    *ret_parcel = parcel;
    return OK;
}

/* Still waiting: it is taken out. Else it comes, or lies in the loop's mailbox already: then deliver drops it. */
void postgres_connector_forget(struct postgres_connector *c, struct postgres_parcel *parcel)
{
    parcel->arrived = NULL;
    pthread_mutex_lock(&c->lock);
    struct postgres_parcel **at = &c->first;
    while (*at && *at != parcel)
        at = &(*at)->next;
    bool waiting = *at;
    if (waiting) {
        *at = parcel->next;
        if (!*at)
            c->end = at;
    }
    pthread_mutex_unlock(&c->lock);
    if (waiting)
        postgres_parcel_free(parcel);
}

enum err postgres_connector_state(struct postgres_connector *c, struct postgres_problem *ret_problem)
{
    pthread_mutex_lock(&c->lock);
    *ret_problem = c->problem;
    pthread_mutex_unlock(&c->lock);
    return ret_problem->err;
}

/* --- start and stop ---------------------------------------------------------------------------------------------------------- */

static void init_lock(struct postgres_connector *c)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&c->lock, NULL);
}

enum err postgres_connector_start(struct postgres_connector *c, const struct env *env, const char *name,
                                  const struct postgres_address *address, const struct postgres_setup *setup,
                                  int64_t timeout_ms)
{
    *c = (struct postgres_connector){
        .env = env, .name = name, .address = *address, .setup = *setup, .timeout_ms = timeout_ms};
    c->end = &c->first;
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    init_lock(c);
    c->started = true;
    if (c->stop_fd >= 0 && pthread_create(&c->thread, NULL, serve, c) == 0)
        return OK;
    c->started = false;
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    if (c->stop_fd >= 0)
        close(c->stop_fd);
    postgres_address_fini(&c->address);
    return ERR_NOMEM;
}

void postgres_connector_stop(struct postgres_connector *c)
{
    if (!c->started)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    (void)!write(c->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    for (struct postgres_parcel *parcel; (parcel = pop(c));)
        postgres_parcel_free(parcel);
    PQfinish(c->spare);
    close(c->stop_fd);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    postgres_address_fini(&c->address);
    c->started = false;
}
