/* The life of connections: accepted, open, idle or stalled, drained, gone. */
#include "streamer/connection.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "streamer/connection_internal.h"

/* --- held bytes --------------------------------------------------------------------------------------------------------------- */

void connection_hold(struct connection *c, uint64_t bytes)
{
    c->bytes += bytes;
    c->all->counts.frame_bytes += bytes;
}

/* There is room again: those that wait go on, in their turn. */
static void feed_starved(struct connections *all)
{
    while (all->starved && all->counts.frame_bytes < LIMIT_STREAM_HELD_BYTES) {
        struct connection *c = all->starved;
        all->starved = c->next_starved;
        if (!all->starved)
            all->starved_last = &all->starved;
        c->starved = false;
        connection_turn_later(c);
    }
}

void connection_give_back(struct connection *c, uint64_t bytes)
{
    c->bytes -= bytes;
    c->all->counts.frame_bytes -= bytes;
    if (c->all->starved)
        feed_starved(c->all);
}

static void forget_starved(struct connection *c)
{
    struct connection **at = &c->all->starved;
    while (*at && *at != c)
        at = &(*at)->next_starved;
    if (*at)
        *at = c->next_starved;
    if (c->all->starved_last == &c->next_starved)
        c->all->starved_last = at;
    c->starved = false;
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

static void tell_drained(struct task *task)
{
    struct connections *all = (struct connections *)((char *)task - offsetof(struct connections, drained_task));
    all->drained(all->drained_context);
}

static void drained_when_empty(struct connections *all)
{
    if (!all->drained || all->drained_told || all->newest)
        return;
    all->drained_told = true;
    timer_stop(all->shard->loop, &all->drain_timer);
    all->drained_task.run = tell_drained;
    loop_defer(all->shard->loop, &all->drained_task);
}

static void connection_free(struct connection *c)
{
    struct connections *all = c->all;
    if (c->previous)
        c->previous->next = c->next;
    else
        all->newest = c->next;
    if (c->next)
        c->next->previous = c->previous;
    if (!all->newest)
        timer_stop(all->shard->loop, &all->look);
    mem_free(c);
    drained_when_empty(all);
}

/* Requests that wait are told that nobody waits for them. They may complete at once, which only notes it. */
static void abandon_requests(struct connection *c)
{
    for (struct request *r = c->first; r; r = r->next)
        if (r->state == REQUEST_RUNNING && r->abandoned)
            r->abandoned(r);
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn, (void)diag;
    struct connection *c = context;
    log_debug(c->all->shard->log, "connection closed", LOG_TEXT("peer", c->peer), LOG_ERR(e));
    c->conn = NULL;
    c->closing = true;
    c->all->counts.open--;
    if (c->starved)
        forget_starved(c);
    frames_fini(c);
    abandon_requests(c);
    connection_turn_later(c);
}

void connection_fault(struct connection *c, const char *reason)
{
    if (c->closing)
        return;
    c->closing = true;
    c->all->counts.faults++;
    log_warn(c->all->shard->log, "a connection is closed", LOG_TEXT("peer", c->peer), LOG_TEXT("reason", reason));
    connection_turn_later(c);
}

/* --- its turn ----------------------------------------------------------------------------------------------------------------- */

/* Closing and nothing is under way: what is queued goes out, then it ends. */
static void close_when_quiet(struct connection *c)
{
    if (c->closing && !c->first)
        conn_close(c->conn);
}

static void turn(struct task *task)
{
    struct connection *c = (struct connection *)((char *)task - offsetof(struct connection, turn));
    c->turn_due = false;
    if (c->conn) {
        answers_send(c);
        frames_resume(c);
        close_when_quiet(c);
        return;
    }
    answers_forget(c);
    if (!c->first && !c->turn_due)
        connection_free(c);
}

void connection_turn_later(struct connection *c)
{
    if (c->turn_due)
        return;
    c->turn_due = true;
    loop_defer(c->all->shard->loop, &c->turn);
}

void connection_completed(struct connection *c, struct request *r)
{
    r->bytes += r->out.buf.size;
    connection_hold(c, r->out.buf.size);
    if (!c->conn || r == c->first)
        connection_turn_later(c);
}

bool connection_is_open(const struct connection *c)
{
    return c->conn;
}

const char *connection_peer(const struct connection *c)
{
    return c->peer;
}

/* --- events ------------------------------------------------------------------------------------------------------------------- */

static void on_open(void *context, struct conn *conn)
{
    struct connection *c = context;
    snprintf(c->peer, sizeof c->peer, "%s", conn_peer_address(conn));
}

static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)conn;
    frames_feed(context, block, data);
}

static uint8_t *on_room(void *context, struct conn *conn, size_t *ret_room)
{
    (void)conn;
    return frames_room(context, ret_room);
}

static void on_drained(void *context, struct conn *conn)
{
    (void)conn;
    connection_turn_later(context);
}

static const struct conn_events events = {
    .on_open = on_open, .on_data = on_data, .on_drained = on_drained, .on_closed = on_closed, .on_room = on_room};

static bool refuse(struct connections *all, const char *reason)
{
    all->counts.refused++;
    log_warn(all->shard->log, "a connection is refused", LOG_TEXT("reason", reason), LOG_INT("open", all->counts.open));
    return false;
}

static bool on_accept(void *context, struct conn *conn, const struct conn_events **ret_events, void **ret_context)
{
    struct connections *all = context;
    if (all->draining || all->counts.open >= all->open_max)
        return all->draining ? false : refuse(all, "there are as many as may be");
    struct connection *c = mem_zalloc(sizeof *c);
    if (!c)
        return refuse(all, "no memory");
    c->all = all;
    c->conn = conn;
    c->reading = true;
    c->last = &c->first;
    c->turn.run = turn;
    c->used_ns = loop_now_ns(all->shard->loop);
    c->next = all->newest;
    if (c->next)
        c->next->previous = c;
    else
        timer_start(all->shard->loop, &all->look, c->used_ns + (uint64_t)LIMIT_STREAM_LOOK_MS * 1000000);
    all->newest = c;
    all->counts.accepted++;
    all->counts.open++;
    *ret_events = &events;
    *ret_context = c;
    return true;
}

/* --- idle, slow, stalled ------------------------------------------------------------------------------------------------------ */

static bool is_past(uint64_t now_ns, uint64_t since_ns, uint64_t ms)
{
    return now_ns > since_ns && now_ns - since_ns > ms * 1000000;
}

static uint64_t frame_ms_max(const struct connection *c)
{
    return LIMIT_STREAM_FRAME_MS + (uint64_t)(c->frame.size >> 20) * LIMIT_STREAM_FRAME_MS_PER_MIB;
}

/* NULL: it is well. A connection that we do not read from is not at fault for its half frame. */
static const char *what_is_wrong(const struct connection *c, uint64_t now_ns)
{
    if (conn_queued_bytes(c->conn) && is_past(now_ns, conn_last_write_ns(c->conn), LIMIT_WRITE_STALL_MS))
        return "answers are not taken";
    if (c->reading && c->frame.size_have && is_past(now_ns, c->frame.since_ns, frame_ms_max(c)))
        return "a frame takes too long";
    if (!c->understood && is_past(now_ns, c->used_ns, LIMIT_FIRST_REQUEST_MS))
        return "no request";
    return NULL;
}

static void look_at(struct connection *c, uint64_t now_ns)
{
    const char *wrong = what_is_wrong(c, now_ns);
    if (wrong) {
        connection_fault(c, wrong);
        conn_abort(c->conn);
    } else if (!c->first && is_past(now_ns, c->used_ns, LIMIT_STREAM_IDLE_MS)) {
        conn_close(c->conn);
    }
}

static void look(struct timer *timer)
{
    struct connections *all = (struct connections *)((char *)timer - offsetof(struct connections, look));
    uint64_t now_ns = loop_now_ns(all->shard->loop);
    for (struct connection *c = all->newest; c; c = c->next)
        if (c->conn)
            look_at(c, now_ns);
    timer_start(all->shard->loop, timer, now_ns + (uint64_t)LIMIT_STREAM_LOOK_MS * 1000000);
}

/* --- all of them -------------------------------------------------------------------------------------------------------------- */

enum err connections_new(struct shard *shard, uint32_t connections_max, struct connections **ret_connections)
{
    struct connections *all = mem_zalloc(sizeof *all);
    if (!all)
        return ERR_NOMEM;
    all->shard = shard;
    all->open_max = connections_max;
    all->starved_last = &all->starved;
    all->look.fire = look;
    *ret_connections = all;
    return OK;
}

enum err connections_listen(struct connections *all, const char *address, struct diag *diag)
{
    const struct listen_options options = {.address = address,
                                           .reuse_port = true,
                                           .backlog = LIMIT_LISTEN_BACKLOG,
                                           .on_accept = on_accept,
                                           .context = all};
    return listener_open(all->shard->loop, &options, diag, &all->listener);
}

const char *connections_address(const struct connections *all)
{
    return listener_address(all->listener);
}

void connections_counts(const struct connections *all, struct connections_counts *ret_counts)
{
    *ret_counts = all->counts;
}

/* --- drain -------------------------------------------------------------------------------------------------------------------- */

void connections_deafen(struct connections *all)
{
    all->draining = true;
    if (all->listener)
        listener_close(all->listener);
    all->listener = NULL;
    for (struct connection *c = all->newest; c; c = c->next) {
        c->closing = true;
        if (c->conn && c->reading)
            conn_read(c->conn, false);
        c->reading = false;
    }
}

static void cut(struct timer *timer)
{
    struct connections *all = (struct connections *)((char *)timer - offsetof(struct connections, drain_timer));
    for (struct connection *c = all->newest; c; c = c->next)
        if (c->conn)
            conn_abort(c->conn);
}

void connections_drain(struct connections *all, uint64_t deadline_ns, void (*drained)(void *context), void *context)
{
    all->drained = drained;
    all->drained_context = context;
    all->drain_timer.fire = cut;
    timer_start(all->shard->loop, &all->drain_timer, deadline_ns);
    for (struct connection *c = all->newest; c; c = c->next)
        connection_turn_later(c);
    drained_when_empty(all);
}

void connections_free(struct connections *all)
{
    if (!all)
        return;
    if (all->listener)
        listener_close(all->listener);
    mem_free(all);
}
