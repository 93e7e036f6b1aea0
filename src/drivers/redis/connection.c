/* connection.h has the states.
 *
 * Invariants: a request is in the list of those that wait, or in the slot of its number, or with nobody; a reply belongs to the
 * slot head; the link knows its connection until one of both goes first, so that the socket's last word never meets freed memory. */
#include "drivers/redis/connection.h"

#include <assert.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"

enum { WRITE_PARTS = 64 };

/* A socket's side of a connection: lives until on_closed, which may come after the connection has gone. */
struct redis_link {
    struct redis_connection *owner; /* NULL: nobody wants to know any more */
    struct conn *conn;
};

static void on_stall(struct timer *timer);
static void close_with(struct redis_connection *, enum err, const char *why);

void redis_connection_init(struct redis_connection *c, const struct redis_access *access, struct loop *loop,
                           const char *address)
{
    *c = (struct redis_connection){.access = access, .loop = loop, .stall = {.fire = on_stall}};
    snprintf(c->address, sizeof c->address, "%s", address);
    arena_init(&c->arena, LIMIT_REDIS_GREETING_BYTES);
    resp_init(&c->parser, access->limits);
}

static void count(atomic_uint_fast64_t *counter, int64_t delta)
{
    atomic_fetch_add_explicit(counter, (uint64_t)delta, memory_order_relaxed);
}

static void tell_health(struct redis_connection *c, enum err e, const char *why)
{
    struct redis_counters *counters = c->access->counters;
    pthread_mutex_lock(&counters->lock);
    counters->last_error = e;
    snprintf(counters->last_why, sizeof counters->last_why, "%s", why);
    pthread_mutex_unlock(&counters->lock);
}

/* --- requests that wait ------------------------------------------------------------------------------------------------------ */

static void push_waiting(struct redis_connection *c, struct redis_request *r)
{
    r->connection = c;
    r->place = REDIS_WAITING;
    redis_requests_push(&c->waiting, r);
    count(&c->access->counters->waiting, 1);
}

static void unlink_waiting(struct redis_connection *c, struct redis_request *r)
{
    redis_requests_remove(&c->waiting, r);
    count(&c->access->counters->waiting, -1);
}

static void finish(struct redis_connection *c, struct redis_request *r, enum err e, const struct resp *reply,
                   const char *why)
{
    r->connection = NULL;
    r->done(r, &(struct redis_outcome){.err = e, .reply = reply, .why = why, .from = c});
}

/* --- requests in flight ------------------------------------------------------------------------------------------------------ */

static bool is_greeting(const struct redis_connection *c, const struct redis_request *r)
{
    return r >= c->greetings && r < c->greetings + REDIS_GREETINGS;
}

static void push_slot(struct redis_connection *c, struct redis_request *r)
{
    if (redis_slots_are_empty(&c->slots)) {
        c->progress_ns = loop_now_ns(c->loop);
        count(&c->access->counters->busy, 1);
    }
    redis_slots_push(&c->slots, r);
    if (r)
        r->connection = c;
    count(&c->access->counters->in_flight, 1);
}

/* While an answer is due. */
static uint64_t patience_ns(const struct redis_connection *c)
{
    uint32_t ms = c->state == REDIS_GREETING ? c->access->connect_ms : c->access->answer_ms + c->block_ms;
    return ms * UINT64_C(1000000);
}

static void watch_answers(struct redis_connection *c)
{
    if (!timer_active(&c->stall))
        timer_start(c->loop, &c->stall, c->progress_ns + patience_ns(c));
}

void redis_request_cancel(struct redis_request *r)
{
    struct redis_connection *c = r->connection;
    if (!c)
        return;
    r->connection = NULL;
    if (r->place == REDIS_WAITING)
        unlink_waiting(c, r);
    else if (r->place == REDIS_LOST)
        redis_requests_remove(&c->lost, r);
    if (r->place != REDIS_IN_FLIGHT)
        return;
    *redis_slot(&c->slots, r->number) = NULL;
    if (r->number == c->slots.head && c->reading)
        resp_forget(&c->parser);
}

/* --- writing ----------------------------------------------------------------------------------------------------------------- */

/* Takes waiting requests over into slots, their bytes into parts: no more at once than a connection queues, or one. */
static unsigned gather(struct redis_connection *c, struct slice parts[WRITE_PARTS])
{
    unsigned n = 0;
    size_t bytes = 0;
    while (c->waiting.first && n + 2 <= WRITE_PARTS && bytes < LIMIT_OUTPUT_QUEUE_BYTES &&
           redis_slots_reserve(&c->slots, 2)) {
        struct redis_request *r = c->waiting.first;
        unlink_waiting(c, r);
        if (r->asking) {
            parts[n++] = SLICE("*1\r\n$6\r\nASKING\r\n");
            push_slot(c, NULL);
        }
        parts[n++] = r->bytes;
        bytes += r->bytes.size;
        push_slot(c, r);
    }
    return n;
}

static void flush_now(struct redis_connection *c)
{
    struct slice parts[WRITE_PARTS];
    while (c->state == REDIS_OPEN && c->waiting.first && conn_queued_bytes(c->link->conn) < LIMIT_OUTPUT_QUEUE_BYTES) {
        unsigned n = gather(c, parts);
        if (!n && redis_slots_are_empty(&c->slots)) {
            close_with(c, ERR_BACKEND_UNREACHABLE, "out of memory");
            return;
        }
        if (!n)
            break; /* replies make room */
        conn_write(c->link->conn, parts, n);
    }
    if (!redis_slots_are_empty(&c->slots))
        watch_answers(c);
}

static void flush_task(struct task *task)
{
    struct redis_connection *c = (struct redis_connection *)((char *)task - offsetof(struct redis_connection, flush));
    c->flush_due = false;
    flush_now(c);
}

/* Once a turn: whatever is submitted until then shares a write. */
static void flush_soon(struct redis_connection *c)
{
    if (c->flush_due || c->state != REDIS_OPEN)
        return;
    c->flush_due = true;
    c->flush.run = flush_task;
    loop_defer(c->loop, &c->flush);
}

/* --- closing ----------------------------------------------------------------------------------------------------------------- */

static uint64_t backoff_ns(struct redis_connection *c)
{
    const struct env *env = c->access->env;
    unsigned doublings = c->failures < 16 ? c->failures - 1 : 15;
    uint64_t ms = (uint64_t)LIMIT_REDIS_RETRY_MIN_MS << doublings;
    if (ms > LIMIT_REDIS_RETRY_MAX_MS)
        ms = LIMIT_REDIS_RETRY_MAX_MS;
    uint32_t random;
    env->random(env, &random, sizeof random);
    return (ms / 2 + random % (ms / 2 + 1)) * 1000000;
}

static void let_go(struct redis_connection *c)
{
    struct redis_link *link = c->link;
    if (!link)
        return;
    c->link = NULL;
    link->owner = NULL;
    if (link->conn)
        conn_abort(link->conn);
}

static void lose(struct redis_connection *c, struct redis_request *r, enum err e)
{
    r->place = REDIS_LOST;
    r->err = e;
    redis_requests_push(&c->lost, r);
}

/* All requests in the order of their submission; what was written may have been executed. */
static void lose_all(struct redis_connection *c, enum err unwritten)
{
    for (uint64_t n = c->slots.head; n < c->slots.tail; n++) {
        struct redis_request *r = *redis_slot(&c->slots, n);
        if (r && !is_greeting(c, r))
            lose(c, r, ERR_BACKEND_LOST);
    }
    while (c->waiting.first) {
        struct redis_request *r = c->waiting.first;
        unlink_waiting(c, r);
        lose(c, r, unwritten);
    }
}

/* A request that is done may submit, cancel and even lose others. */
static void finish_lost(struct redis_connection *c)
{
    char why[REDIS_WHY_BYTES];
    memcpy(why, c->why, sizeof why);
    while (c->lost.first) {
        struct redis_request *r = c->lost.first;
        redis_requests_remove(&c->lost, r);
        finish(c, r, r->err, NULL, why);
    }
}

static void reset_stream(struct redis_connection *c)
{
    count(&c->access->counters->in_flight, -(int64_t)(c->slots.tail - c->slots.head));
    if (!redis_slots_are_empty(&c->slots))
        count(&c->access->counters->busy, -1);
    c->slots.head = c->slots.tail = 0;
    c->reading = false;
    c->greetings_left = 0;
    timer_stop(c->loop, &c->stall);
    resp_fini(&c->parser);
    resp_init(&c->parser, c->access->limits);
}

/* Without a word to anybody but its requests: where nothing has gone wrong. */
static void close_quietly(struct redis_connection *c, enum err unwritten)
{
    if (c->state == REDIS_OPEN)
        count(&c->access->counters->connections, -1);
    lose_all(c, unwritten);
    reset_stream(c);
    let_go(c);
    c->state = REDIS_CLOSED;
}

/* It is closed, and whole, before the first request is done: that one may submit the next. */
static void close_with(struct redis_connection *c, enum err e, const char *why)
{
    bool was_open = c->state == REDIS_OPEN;
    char words[REDIS_WHY_BYTES];
    snprintf(words, sizeof words, "%.150s: %.150s", c->address, why);
    memcpy(c->why, words, sizeof words);
    close_quietly(c, e == ERR_BACKEND_LOST ? ERR_BACKEND_UNREACHABLE : e);
    c->failures = was_open ? 0 : c->failures + 1;
    c->retry_ns = was_open ? 0 : loop_now_ns(c->loop) + backoff_ns(c);
    c->last_error = e;
    count(&c->access->counters->errors, 1);
    tell_health(c, e, words);
    if (c->on_lost)
        c->on_lost(c);
    finish_lost(c);
}

void redis_connection_fini(struct redis_connection *c)
{
    c->on_lost = NULL;
    snprintf(c->why, sizeof c->why, "the backend is closed");
    close_quietly(c, ERR_BACKEND_UNREACHABLE);
    finish_lost(c);
    assert(!c->flush_due && redis_connection_is_idle(c));
    redis_slots_fini(&c->slots);
    resp_fini(&c->parser);
    arena_fini(&c->arena);
}

static void on_stall(struct timer *timer)
{
    struct redis_connection *c = (struct redis_connection *)((char *)timer - offsetof(struct redis_connection, stall));
    uint64_t due_ns = c->progress_ns + patience_ns(c);
    bool greeting = c->state == REDIS_GREETING;
    char why[96];
    if (redis_slots_are_empty(&c->slots))
        return;
    if (loop_now_ns(c->loop) < due_ns) {
        timer_start(c->loop, &c->stall, due_ns);
        return;
    }
    snprintf(why, sizeof why, "no answer for %u ms (%s)", (unsigned)(patience_ns(c) / 1000000),
             greeting ? "connect_timeout" : "command_timeout");
    close_with(c, greeting ? ERR_BACKEND_UNREACHABLE : ERR_BACKEND_LOST, why);
}

/* --- greeting ---------------------------------------------------------------------------------------------------------------- */

static void become_open(struct redis_connection *c)
{
    c->state = REDIS_OPEN;
    c->failures = 0;
    c->last_error = OK;
    count(&c->access->counters->connections, 1);
    if (c->was_open)
        count(&c->access->counters->reconnects, 1);
    c->was_open = true;
    tell_health(c, OK, "");
    flush_now(c);
}

/* What the server says to a greeting. OK, or why this connection is of no use. */
static enum err judge_greeting(const struct redis_connection *c, const struct redis_request *r,
                               const struct resp *reply)
{
    bool name = r == &c->greetings[0], role = c->access->master_only && r->number + 1 == c->slots.tail;
    if (reply->kind == RESP_ERROR) {
        enum err e = redis_error_of(reply);
        bool optional = name && !resp_is_error(reply, "NOAUTH");
        return optional ? OK : e == ERR_INTERNAL ? ERR_BACKEND_DENIED : e;
    }
    if (role && !slice_eq(resp_at(reply, 0)->text, SLICE("master")))
        return ERR_BACKEND_REFUSED;
    return OK;
}

static void take_greeting(struct redis_connection *c, struct redis_request *r, const struct resp *reply)
{
    enum err e = judge_greeting(c, r, reply);
    char why[REDIS_WHY_BYTES / 2];
    if (e) {
        struct slice text = reply->kind == RESP_ERROR ? reply->text : SLICE("is not the master any more");
        snprintf(why, sizeof why, "%.*s", (int)(text.size < 140 ? text.size : 140), text.data);
        close_with(c, e, why);
        return;
    }
    r->connection = NULL;
    if (--c->greetings_left == 0)
        become_open(c);
}

static enum err make_greeting(struct redis_connection *c, unsigned index, const char *const words[3])
{
    struct redis_request *r = &c->greetings[index];
    struct resp_command command;
    *r = (struct redis_request){.arena = &c->arena};
    resp_command_init(&command, &c->arena);
    for (unsigned i = 0; i < 3 && words[i]; i++)
        resp_put(&command, slice_str(words[i]));
    return resp_command_finish(&command, &r->bytes);
}

/* CLIENT SETNAME for people who look at CLIENT LIST; it has no effect on calls. */
static enum err make_greetings(struct redis_connection *c, unsigned *ret_count)
{
    const struct redis_access *a = c->access;
    char database[16];
    snprintf(database, sizeof database, "%u", a->database);
    unsigned n = 1;
    arena_reset(&c->arena);
    enum err e = make_greeting(c, 0, (const char *const[3]){"CLIENT", "SETNAME", "prism"});
    if (!e && a->password)
        e = a->username ? make_greeting(c, n++, (const char *const[3]){"AUTH", a->username, a->password})
                        : make_greeting(c, n++, (const char *const[3]){"AUTH", a->password, NULL});
    if (!e && a->database)
        e = make_greeting(c, n++, (const char *const[3]){"SELECT", database, NULL});
    if (!e && a->master_only)
        e = make_greeting(c, n++, (const char *const[3]){"ROLE", NULL, NULL});
    *ret_count = n;
    return e;
}

/* AUTH goes first: a server that wants it answers nothing else before. */
static void greet(struct redis_connection *c)
{
    struct slice parts[REDIS_GREETINGS];
    unsigned n, at = 0;
    if (make_greetings(c, &n) || !redis_slots_reserve(&c->slots, n)) {
        close_with(c, ERR_BACKEND_UNREACHABLE, "out of memory");
        return;
    }
    c->state = REDIS_GREETING;
    c->greetings_left = n;
    for (unsigned i = 1; i <= n; i++) {
        unsigned index = c->access->password ? (i == 1 ? 1 : i == 2 ? 0 : i - 1) : i - 1;
        parts[at++] = c->greetings[index].bytes;
        push_slot(c, &c->greetings[index]);
    }
    conn_write(c->link->conn, parts, n);
    watch_answers(c);
}

/* --- events of the socket ---------------------------------------------------------------------------------------------------- */

static void on_open(void *context, struct conn *conn)
{
    struct redis_link *link = context;
    (void)conn;
    if (link->owner)
        greet(link->owner);
}

static void take_reply(struct redis_connection *c, const struct resp *reply)
{
    struct redis_request *r = redis_slots_pop(&c->slots);
    c->reading = false;
    count(&c->access->counters->in_flight, -1);
    if (redis_slots_are_empty(&c->slots))
        count(&c->access->counters->busy, -1);
    if (!r)
        return;
    if (!reply && is_greeting(c, r))
        close_with(c, ERR_BACKEND_UNREACHABLE, "its greeting is too long");
    else if (!reply)
        finish(c, r, ERR_NOMEM, NULL, "the answer is larger than the memory of a call");
    else if (is_greeting(c, r))
        take_greeting(c, r, reply);
    else
        finish(c, r, OK, reply, "");
}

static enum err begin_reply(struct redis_connection *c)
{
    if (c->reading)
        return OK;
    if (redis_slots_are_empty(&c->slots))
        return ERR_BACKEND_LOST; /* nobody has asked */
    struct redis_request *r = *redis_slot(&c->slots, c->slots.head);
    resp_begin(&c->parser, r ? r->arena : NULL);
    c->reading = true;
    return OK;
}

/* A request that is done may close the connection: the link is then without owner, or has another one. */
static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    struct redis_link *link = context;
    struct redis_connection *c = link->owner;
    (void)conn, (void)block;
    while (c && link->owner == c && data.size) {
        const struct resp *reply = NULL;
        bool done = false;
        c->progress_ns = loop_now_ns(c->loop);
        enum err e = begin_reply(c);
        if (!e)
            e = resp_feed(&c->parser, &data, &reply, &done);
        if (e) {
            close_with(c, ERR_BACKEND_LOST,
                       e == ERR_NOMEM ? "out of memory for an answer" : "what it answers is not RESP2");
            return;
        }
        if (done)
            take_reply(c, reply);
    }
    if (c && link->owner == c)
        flush_soon(c);
}

static void on_drained(void *context, struct conn *conn)
{
    struct redis_link *link = context;
    (void)conn;
    if (link->owner)
        flush_soon(link->owner);
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    struct redis_link *link = context;
    struct redis_connection *c = link->owner;
    (void)conn;
    link->conn = NULL;
    bool by_itself = c && c->state == REDIS_OPEN && e == OK && redis_connection_is_idle(c);
    if (by_itself) {
        close_quietly(c, ERR_BACKEND_UNREACHABLE); /* a server that closes idle connections (timeout) */
    } else if (c) {
        bool was_open = c->state == REDIS_OPEN;
        const char *why = diag && diag->message ? diag->message : e ? err_row(e)->text : "closed by the server";
        close_with(c, was_open ? ERR_BACKEND_LOST : e == ERR_TLS ? ERR_BACKEND_DENIED : ERR_BACKEND_UNREACHABLE, why);
    }
    mem_free(link);
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed};

/* --- submitting -------------------------------------------------------------------------------------------------------------- */

static enum err connect_now(struct redis_connection *c, struct diag *diag)
{
    const struct redis_access *a = c->access;
    struct redis_link *link = mem_zalloc(sizeof *link);
    if (!link)
        return ERR_NOMEM;
    link->owner = c;
    enum err e =
        conn_open(c->loop, c->address, a->tls, a->server_name, a->connect_ms, &events, link, diag, &link->conn);
    if (e) {
        mem_free(link);
        return e;
    }
    c->link = link;
    c->state = REDIS_CONNECTING;
    return OK;
}

static void start(struct redis_connection *c)
{
    struct arena arena;
    struct diag diag;
    if (c->state != REDIS_CLOSED)
        return;
    arena_init(&arena, 4096);
    diag_init(&diag, &arena);
    enum err e = connect_now(c, &diag);
    if (e)
        close_with(c, ERR_BACKEND_UNREACHABLE, diag.err ? diag_message(&diag) : err_row(e)->text);
    arena_fini(&arena);
}

static bool is_backing_off(const struct redis_connection *c)
{
    return c->state == REDIS_CLOSED && loop_now_ns(c->loop) < c->retry_ns;
}

void redis_submit(struct redis_connection *c, struct redis_request *r)
{
    if (is_backing_off(c)) {
        finish(c, r, c->last_error == ERR_BACKEND_LOST ? ERR_BACKEND_UNREACHABLE : c->last_error, NULL, c->why);
        return;
    }
    if (c->waiting.count >= LIMIT_REDIS_WAITING) {
        finish(c, r, ERR_BACKEND_BUSY, NULL, "as many calls wait for the connection as may");
        return;
    }
    push_waiting(c, r);
    start(c);
    flush_soon(c);
}
