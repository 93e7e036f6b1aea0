/* The gRPC client: its calls and its connections. The first call connects, and the next one after that connection was lost or
 * is to be left (client_internal.h has the states). */
#include <assert.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rpc/client_internal.h"

enum { CONNECT_TIMEOUT_MS = 5000, BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 2000 };

static void free_client(struct rpc_client *c)
{
    nghttp2_session_callbacks_del(c->callbacks);
    nghttp2_option_del(c->option);
    h2mem_fini(&c->h2mem);
    gzip_fini(&c->gzip);
    batch_fini(&c->output);
    buf_fini(&c->scratch);
    tls_unref(c->options.tls);
    arena_fini(&c->arena);
    arena_fini(&c->failure_arena);
    mem_free(c);
}

static void maybe_free(struct rpc_client *c)
{
    if (c->freed && !c->connections && !c->flush_due && !c->calls)
        free_client(c);
}

/* ---- the flush -------------------------------------------------------------------------------------------------------- */

void client_schedule_flush(struct rpc_client *c)
{
    if (c->flush_due)
        return;
    c->flush_due = true;
    loop_defer(c->loop, &c->flush);
}

void client_mark_dirty(struct rpc_client_call *call)
{
    struct rpc_client *c = call->client;
    if (!call->is_dirty) {
        call->is_dirty = true;
        call->next_dirty = NULL;
        *c->dirty_end = call;
        c->dirty_end = &call->next_dirty;
    }
    client_schedule_flush(c);
}

/* The oldest first: the list has the newest in front. */
void client_mark_waiting_dirty(struct rpc_client *c)
{
    struct rpc_client_call *oldest = c->calls;
    while (oldest && oldest->next)
        oldest = oldest->next;
    for (; oldest; oldest = oldest->prev)
        if (!oldest->connection)
            client_mark_dirty(oldest);
}

static void submit_dirty(struct rpc_client *c)
{
    while (c->dirty) {
        struct rpc_client_call *call = c->dirty;
        c->dirty = call->next_dirty;
        if (!c->dirty)
            c->dirty_end = &c->dirty;
        call->is_dirty = false;
        client_call_submit(call);
    }
}

static void wake_held(struct rpc_client *c)
{
    for (struct rpc_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        client_call_wake(call);
    }
}

static void flush_connections(struct rpc_client *c)
{
    for (struct client_connection *k = c->connections; k; k = k->next)
        client_connection_flush(k);
}

static void flush_task(struct task *task)
{
    struct rpc_client *c = (struct rpc_client *)((char *)task - offsetof(struct rpc_client, flush));
    c->flush_due = false;
    submit_dirty(c);
    flush_connections(c);
    wake_held(c);
    maybe_free(c);
}

/* ---- connections ------------------------------------------------------------------------------------------------------ */

enum err client_connect(struct rpc_client *c, struct diag *diag)
{
    return c->current || timer_active(&c->backoff) ? OK : client_connection_open(c, diag);
}

static void backoff_over(struct timer *timer)
{
    client_mark_waiting_dirty((struct rpc_client *)((char *)timer - offsetof(struct rpc_client, backoff)));
}

static void back_off(struct rpc_client *c)
{
    uint32_t next_ms = c->backoff_ms ? 2 * c->backoff_ms : BACKOFF_FIRST_MS;
    c->backoff_ms = next_ms < BACKOFF_MAX_MS ? next_ms : BACKOFF_MAX_MS;
    timer_start(c->loop, &c->backoff, loop_now_ns(c->loop) + (uint64_t)c->backoff_ms * 1000000);
}

/* For those whose time is over before there is a connection. */
static void note_failure(struct rpc_client *c, enum err e, const struct diag *diag)
{
    arena_reset(&c->failure_arena);
    diag_init(&c->failure, &c->failure_arena);
    if (diag && diag->err)
        client_copy_diag(&c->failure, diag);
    else
        diag_set(&c->failure, e, "%s", err_row(e)->text);
}

static void unlink_connection(struct client_connection *k)
{
    struct client_connection **at = &k->client->connections;
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
}

/* Whether the call ends with the connection. Those that wait for one wait for the next, unless none could be made. */
static bool goes_down(const struct rpc_client_call *call, const struct client_connection *k)
{
    if (call->client->freed || call->connection == k)
        return call->connection == k || !call->connection;
    return !call->connection && !k->greeted;
}

/* Splits off the calls that go down with the connection. */
static struct rpc_client_call *take_lost(struct client_connection *k)
{
    struct rpc_client_call *lost = NULL;
    for (struct rpc_client_call *call = k->client->calls, *next; call; call = next) {
        next = call->next;
        if (!goes_down(call, k))
            continue;
        client_call_delist(call);
        call->next = lost;
        lost = call;
    }
    return lost;
}

static void lose(struct rpc_client_call *lost, enum err e, const struct diag *diag)
{
    while (lost) {
        struct rpc_client_call *call = lost;
        lost = call->next;
        call->next = NULL;
        client_call_lost(call, e, diag);
    }
}

/* Others do not mend themselves: an address that is none, a certificate that is not trusted. */
static bool is_waited_for(const struct client_connection *k, enum err e)
{
    return k->client->options.waits && !k->client->freed && !k->greeted &&
           (e == ERR_CONNECT_FAILED || e == ERR_CONNECTION_LOST);
}

void client_connection_gone(struct client_connection *k, enum err e, const struct diag *diag)
{
    struct rpc_client *c = k->client;
    unlink_connection(k);
    if (is_waited_for(k, e)) {
        note_failure(c, e, diag);
        back_off(c);
    } else {
        lose(take_lost(k), e, diag);
    }
    mem_free(k);
    if (!c->freed)
        client_mark_waiting_dirty(c);
    maybe_free(c);
}

/* ---- the client ------------------------------------------------------------------------------------------------------- */

static enum err copy_options(struct rpc_client *c, const struct rpc_client_options *o)
{
    c->options = *o;
    if (o->tls)
        tls_ref(o->tls);
    c->options.address = arena_strdup(&c->arena, o->address);
    c->options.server_name = o->server_name ? arena_strdup(&c->arena, o->server_name) : NULL;
    if (!c->options.connect_timeout_ms)
        c->options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    if (!c->options.message_bytes_max)
        c->options.message_bytes_max = LIMIT_MESSAGE_BYTES_MAX;
    bool unix_path = strncmp(o->address, "unix:", 5) == 0;
    c->authority = o->server_name ? c->options.server_name : unix_path ? "localhost" : c->options.address;
    return c->options.address && c->authority ? OK : ERR_NOMEM;
}

static enum err init(struct rpc_client *c, const struct rpc_client_options *o)
{
    c->loop = o->loop;
    c->flush.run = flush_task;
    c->backoff.fire = backoff_over;
    c->dirty_end = &c->dirty;
    arena_init(&c->arena, 1 << 20);
    arena_init(&c->failure_arena, 1 << 20);
    gzip_init(&c->gzip);
    h2mem_init(&c->h2mem);
    buf_init(&c->scratch, LIMIT_MESSAGE_BYTES_MAX);
    enum err e = copy_options(c, o);
    if (!e)
        e = batch_init(&c->output);
    return e ? e : client_make_callbacks(c);
}

enum err rpc_client_new(const struct rpc_client_options *options, struct diag *diag, struct rpc_client **ret_client)
{
    struct rpc_client *c = mem_zalloc(sizeof *c);
    enum err e = c ? init(c, options) : ERR_NOMEM;
    if (e) {
        if (c)
            free_client(c);
        return diag_set(diag, e, "no memory for a client of %s", options->address);
    }
    *ret_client = c;
    return OK;
}

void rpc_client_free(struct rpc_client *c)
{
    if (!c)
        return;
    assert(!c->freed);
    c->freed = true;
    timer_stop(c->loop, &c->backoff);
    for (struct rpc_client_call *call = c->calls, *next; call; call = next) {
        next = call->next;
        client_mark_dirty(call);
        client_call_end(call, err_row(ERR_CANCELLED)->grpc); /* its memory goes with the connection, or the flush */
    }
    for (struct client_connection *k = c->connections; k; k = k->next)
        client_connection_close(k);
    maybe_free(c);
}
