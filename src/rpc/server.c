/* The server: connections in, exchanges to whom they belong, drain. internal.h has the states of a connection.
 *
 *   drain:  serving ──rpc_server_drain──▶ draining (GOAWAY; no new connections) ──last call and connection gone──▶ drained
 *                                             └─deadline: calls cancelled, connections closed ──▶ drained
 *
 * Invariants: a connection is in the list from accept to closed; its protocol is chosen once, by ALPN or by the first bytes;
 * drained is called once, from the loop, when the list is empty. */
#include "rpc/server.h"

#include <assert.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rpc/call.h"

static const uint64_t SECOND_NS = 1000000000;

/* ---- connections ------------------------------------------------------------------------------------------------------ */

static void add_connection(struct rpc_server *s, struct connection *c)
{
    c->next = s->connections;
    if (s->connections)
        s->connections->prev = c;
    s->connections = c;
    s->stats.connections_open++;
    if (!timer_active(&s->sweep))
        timer_start(s->loop, &s->sweep, loop_now_ns(s->loop) + SECOND_NS);
}

static void remove_connection(struct rpc_server *s, struct connection *c)
{
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->connections = c->next;
    s->stats.connections_open--;
}

void connection_close(struct connection *c, bool at_once)
{
    if (c->closing)
        return;
    c->closing = true;
    if (at_once)
        conn_abort(c->conn);
    else
        conn_close(c->conn);
}

static void speak(struct connection *c, const struct protocol *protocol)
{
    if (protocol->open(c, &c->session) != OK) {
        connection_close(c, true);
        return;
    }
    c->protocol = protocol;
    if (c->refused)
        protocol->refuse(c->session);
    else if (c->server->draining)
        protocol->drain(c->session);
}

static void on_open(void *context, struct conn *conn)
{
    struct connection *c = context;
    const char *alpn = conn_alpn(conn);
    c->open = true;
    c->opened_ns = loop_now_ns(c->server->loop);
    connection_identify(c);
    if (strcmp(alpn, "h2") == 0)
        speak(c, &http2_protocol);
    else if (*alpn)
        speak(c, &http1_protocol);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Whether the first bytes differ from the preface, are a part of it, or are all of it. */
static const struct protocol *sniff(struct connection *c, struct slice data)
{
    while (data.size && c->sniffed_count < PREFACE_BYTES) {
        c->sniffed[c->sniffed_count++] = *data.data;
        data = slice_skip(data, 1);
    }
    if (memcmp(c->sniffed, preface, c->sniffed_count) != 0)
        return &http1_protocol;
    return c->sniffed_count == PREFACE_BYTES ? &http2_protocol : NULL;
}

/* Bytes of earlier reads that decided nothing, and this one, in a block of their own. */
static void feed_again(struct connection *c, uint32_t earlier, struct slice data)
{
    struct block *block = block_new(earlier + (uint32_t)data.size);
    if (!block) {
        connection_close(c, true);
        return;
    }
    memcpy(block->bytes, c->sniffed, earlier);
    memcpy(block->bytes + earlier, data.data, data.size);
    c->protocol->data(c->session, block, slice_of(block->bytes, earlier + data.size));
    block_unref(block);
}

static void on_first_data(struct connection *c, struct block *block, struct slice data)
{
    uint32_t earlier = c->sniffed_count;
    const struct protocol *protocol = sniff(c, data);
    if (!protocol)
        return;
    speak(c, protocol);
    if (!c->protocol || c->closing)
        return;
    if (earlier)
        feed_again(c, earlier, data);
    else
        c->protocol->data(c->session, block, data);
}

static void on_data(void *context, struct conn *conn, struct block *block, struct slice data)
{
    (void)conn;
    struct connection *c = context;
    c->server->stats.bytes_in += data.size;
    if (c->closing || data.size == 0)
        return;
    if (c->protocol)
        c->protocol->data(c->session, block, data);
    else
        on_first_data(c, block, data);
}

static void on_drained(void *context, struct conn *conn)
{
    (void)conn;
    struct connection *c = context;
    if (c->protocol && !c->closing)
        c->protocol->drained(c->session);
}

static void on_eof(void *context, struct conn *conn)
{
    (void)conn;
    struct connection *c = context;
    if (c->protocol && !c->closing)
        c->protocol->eof(c->session);
    else
        connection_close(c, false);
}

static void on_closed(void *context, struct conn *conn, enum err e, const struct diag *diag)
{
    (void)conn;
    (void)diag;
    struct connection *c = context;
    struct rpc_server *s = c->server;
    c->closing = true;
    if (c->protocol)
        c->protocol->closed(c->session, e);
    remove_connection(s, c);
    connection_leave(c);
    mem_free(c);
    server_check_drained(s);
}

static const struct conn_events connection_events = {
    .on_open = on_open, .on_data = on_data, .on_drained = on_drained, .on_eof = on_eof, .on_closed = on_closed};

static uint32_t connections_max(const struct rpc_server *s)
{
    return s->options.connections_max ? s->options.connections_max : LIMIT_CONNECTIONS;
}

/* Give or take a tenth, so that connections made at once do not leave at once. */
static uint64_t leave_time(struct rpc_server *s)
{
    uint64_t age_ns = s->options.keepalive.age_ms * 1000000;
    return age_ns ? loop_now_ns(s->loop) + age_ns - age_ns / 10 + random_next(&s->random) % (age_ns / 5 + 1) : 0;
}

static bool on_accept(void *context, struct conn *conn, const struct conn_events **ret_events, void **ret_context)
{
    struct rpc_server *s = context;
    s->stats.connections_accepted++;
    bool room = !s->draining && s->stats.connections_open < connections_max(s);
    struct connection *c = room ? mem_zalloc(sizeof *c) : NULL;
    if (!c) {
        s->stats.connections_refused++;
        return false;
    }
    c->server = s;
    c->conn = conn;
    c->opened_ns = loop_now_ns(s->loop);
    c->leave_ns = leave_time(s);
    if (!connection_admit(c)) {
        mem_free(c);
        return false;
    }
    add_connection(s, c);
    *ret_events = &connection_events;
    *ret_context = c;
    return true;
}

/* Slowloris: neither the handshake nor the choice of a protocol may take long. */
static void sweep_connection(struct connection *c, uint64_t now_ns)
{
    uint64_t silent_ms = c->refused ? LIMIT_REFUSAL_MS : LIMIT_HANDSHAKE_MS;
    if (c->closing)
        return;
    if (!c->protocol && now_ns - c->opened_ns > silent_ms * 1000000)
        connection_close(c, true);
    else if (c->protocol)
        c->protocol->sweep(c->session, now_ns);
    if (c->protocol && !c->closing && c->leave_ns && now_ns >= c->leave_ns)
        c->protocol->drain(c->session);
}

static void on_sweep(struct timer *timer)
{
    struct rpc_server *s = (struct rpc_server *)((char *)timer - offsetof(struct rpc_server, sweep));
    uint64_t now_ns = loop_now_ns(s->loop);
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        sweep_connection(c, now_ns);
    }
    if (s->connections)
        timer_start(s->loop, &s->sweep, now_ns + SECOND_NS);
}

/* ---- who answers what ------------------------------------------------------------------------------------------------- */

const struct endpoint *server_find(const struct rpc_server *s, struct slice key)
{
    return map_get(&s->endpoints, key);
}

static enum err add_endpoint(struct rpc_server *s, const struct endpoint *e, const char *key)
{
    size_t size = strlen(key);
    struct endpoint *row = mem_alloc(sizeof *row + size);
    if (!row)
        return ERR_NOMEM;
    *row = *e;
    memcpy(row->text, key, size);
    row->key = slice_of(row->text, size);
    enum err err = map_get(&s->endpoints, row->key) ? ERR_ALREADY_EXISTS : map_put(&s->endpoints, row->key, row, NULL);
    if (err)
        mem_free(row);
    return err;
}

enum { KEY_BYTES = 256 };

static enum err add_method(struct rpc_server *s, const struct endpoint *e)
{
    enum err err = add_endpoint(s, e, e->method->path);
    const char *id = e->method->service->interface_id;
    if (err || !id)
        return err;
    char key[KEY_BYTES];
    int size = snprintf(key, sizeof key, "%s/%s", id, e->method->name);
    return size < KEY_BYTES ? add_endpoint(s, e, key) : ERR_INVALID_ARGUMENT;
}

enum err rpc_server_add(struct rpc_server *s, const struct pb_service *service, const struct rpc_handlers *handlers,
                        void *context)
{
    assert(handlers->on_message);
    for (uint32_t i = 0; i < service->method_count; i++) {
        struct endpoint e = {.method = &service->methods[i], .handlers = handlers, .context = context};
        enum err err = add_method(s, &e);
        if (err)
            return err;
    }
    return OK;
}

enum err rpc_server_route(struct rpc_server *s, const char *method, const char *path,
                          void (*fn)(void *context, struct http_exchange *), void *context)
{
    char key[KEY_BYTES];
    int size = snprintf(key, sizeof key, "%s %s", method, path);
    struct endpoint e = {.page = fn, .context = context};
    return size < KEY_BYTES ? add_endpoint(s, &e, key) : ERR_INVALID_ARGUMENT;
}

static const struct endpoint *find_page(const struct rpc_server *s, const struct http_exchange *x)
{
    char key[KEY_BYTES];
    if (x->method.size + 1 + x->path.size > sizeof key)
        return NULL;
    memcpy(key, x->method.data, x->method.size);
    key[x->method.size] = ' ';
    if (x->path.size)
        memcpy(key + x->method.size + 1, x->path.data, x->path.size);
    return server_find(s, slice_of(key, x->method.size + 1 + x->path.size));
}

/* What follows "application/grpc" in the content type: "", "+proto", ";…". Of another one: false. */
static bool is_grpc(const struct http_exchange *x, struct slice *ret_rest)
{
    struct slice type = http_header_get(x, "content-type"), grpc = SLICE("application/grpc");
    if (x->http1 || !slice_starts_with(type, grpc))
        return false;
    *ret_rest = slice_skip(type, grpc.size);
    return ret_rest->size == 0 || *ret_rest->data == ';' || *ret_rest->data == '+';
}

static enum err check_grpc(const struct http_exchange *x, struct slice rest)
{
    if (!slice_eq(x->method, SLICE("POST")))
        return ERR_HTTP_METHOD;
    if (slice_starts_with(rest, SLICE("+proto")))
        rest = slice_skip(rest, 6);
    return rest.size == 0 || *rest.data == ';' ? OK : ERR_CODEC_UNKNOWN;
}

/* A call of a method by something that is neither gRPC nor HTTP/JSON: it must not take the answer for a success, nor for
 * ours ("Content-Type", PROTOCOL-HTTP2.md). */
static bool is_foreign(const struct http_exchange *x, const struct endpoint *method)
{
    struct slice type = http_header_get(x, "content-type");
    return method && method->method && !x->http1 && type.size > 0 && slice_eq(x->method, SLICE("POST")) &&
           !slice_starts_with(type, SLICE("application/json"));
}

static void refuse_grpc(struct http_exchange *x, unsigned http_status, enum err e)
{
    char status[4];
    int size = snprintf(status, sizeof status, "%u", err_row(e)->grpc);
    struct http_header h[] = {{SLICE("content-type"), SLICE("application/grpc")},
                              {SLICE("grpc-status"), slice_of(status, (size_t)size)},
                              {SLICE("grpc-message"), slice_str(err_row(e)->text)}};
    http_respond(x, http_status, h, 3);
    http_finish(x, NULL, 0);
    http_release(x);
}

static void refuse_http(struct http_exchange *x, enum err e)
{
    struct slice text = slice_str(err_row(e)->text);
    struct http_header h[] = {{SLICE("content-type"), SLICE("text/plain; charset=utf-8")}};
    http_respond(x, err_row(e)->http, h, 1);
    http_write(x, &text, 1);
    http_finish(x, NULL, 0);
    http_release(x);
}

void http_refuse(struct http_exchange *x, enum err e)
{
    struct slice rest;
    if (is_grpc(x, &rest))
        refuse_grpc(x, 200, e);
    else
        refuse_http(x, e);
}

/* What is almost gRPC gets the status of both: proxies look at HTTP's, clients at gRPC's. */
static void dispatch_grpc(struct http_exchange *x, const struct endpoint *method, struct slice rest)
{
    enum err e = check_grpc(x, rest);
    if (e)
        refuse_grpc(x, err_row(e)->http, e);
    else
        grpc_start(x, method);
}

void http_dispatch(struct http_exchange *x)
{
    const struct endpoint *page;
    const struct endpoint *method = server_find(x->server, x->path);
    struct slice rest;
    if (is_grpc(x, &rest))
        dispatch_grpc(x, method, rest);
    else if (is_foreign(x, method))
        refuse_http(x, ERR_HTTP_MEDIA_TYPE);
    else if ((page = find_page(x->server, x)))
        page->page(page->context, x);
    else
        json_start(x);
}

struct slice http_header_get(const struct http_exchange *x, const char *name)
{
    struct slice wanted = slice_str(name);
    for (uint32_t i = 0; i < x->header_count; i++)
        if (slice_eq(x->headers[i].name, wanted))
            return x->headers[i].value;
    return SLICE_EMPTY;
}

/* ---- drain ------------------------------------------------------------------------------------------------------------ */

static void tell_drained(struct task *task)
{
    struct rpc_server *s = (struct rpc_server *)((char *)task - offsetof(struct rpc_server, drained_task));
    timer_stop(s->loop, &s->drain_timer);
    timer_stop(s->loop, &s->sweep);
    s->drained(s->drained_context);
}

void server_check_drained(struct rpc_server *s)
{
    if (!s->draining || s->connections || s->calls || s->drained_due)
        return;
    s->drained_due = true;
    loop_defer(s->loop, &s->drained_task);
}

/* A cancelled call answers at once, so that its status leaves before the connection closes. */
static void drain_time_over(struct timer *timer)
{
    struct rpc_server *s = (struct rpc_server *)((char *)timer - offsetof(struct rpc_server, drain_timer));
    for (struct wire_call *c = s->calls, *next; c; c = next) {
        next = c->next;
        rpc_call_fail(c, ERR_DRAINING);
    }
    loop_defer(s->loop, &s->close_task);
}

/* After the flush that the answers have asked for. */
static void close_connections(struct task *task)
{
    struct rpc_server *s = (struct rpc_server *)((char *)task - offsetof(struct rpc_server, close_task));
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        connection_close(c, false);
    }
}

void rpc_server_drain(struct rpc_server *s, uint64_t deadline_ns, void (*drained)(void *context), void *context)
{
    if (s->draining) {
        if (!s->drained_due)
            timer_start(s->loop, &s->drain_timer, deadline_ns);
        return;
    }
    s->draining = true;
    s->drained = drained;
    s->drained_context = context;
    if (s->listener)
        listener_close(s->listener);
    s->listener = NULL;
    timer_start(s->loop, &s->drain_timer, deadline_ns);
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        if (c->protocol && !c->closing)
            c->protocol->drain(c->session);
        else
            connection_close(c, false);
    }
    server_check_drained(s);
}

void server_report_abuse(struct connection *c, const char *reason, uint64_t frames)
{
    const struct rpc_server_options *o = &c->server->options;
    c->server->stats.abuse_closed++;
    if (o->on_offence)
        o->on_offence(o->context, &(struct rpc_offence){.peer_address = conn_peer_address(c->conn),
                                                        .peer_identity = conn_peer_identity(c->conn),
                                                        .reason = reason,
                                                        .frames = frames});
}

/* ---- the server ------------------------------------------------------------------------------------------------------- */

enum { ENDPOINTS_MAX = 4096 };

static enum err init(struct rpc_server *s, const struct rpc_server_options *options)
{
    struct hash_key secret;
    s->options = *options;
    s->loop = options->loop;
    s->sweep.fire = on_sweep;
    s->drain_timer.fire = drain_time_over;
    s->drained_task.run = tell_drained;
    s->close_task.run = close_connections;
    const struct env *env = loop_env(s->loop);
    env->random(env, &secret, sizeof secret);
    random_ids_init(&s->random, env);
    map_init(&s->endpoints, ENDPOINTS_MAX, &secret);
    gzip_init(&s->gzip);
    buf_init(&s->encoded, LIMIT_MESSAGE_BYTES_MAX + 1024);
    buf_init(&s->scratch, LIMIT_MESSAGE_BYTES_MAX);
    enum err e = batch_init(&s->output);
    return e ? e : h2_server_init(s);
}

enum err rpc_server_new(const struct rpc_server_options *options, struct rpc_server **ret_server)
{
    struct rpc_server *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NOMEM;
    enum err e = init(s, options);
    if (e) {
        rpc_server_free(s);
        return e;
    }
    *ret_server = s;
    return OK;
}

void rpc_server_keepalive(struct rpc_server *s, const struct rpc_keepalive *keepalive)
{
    s->options.keepalive = *keepalive;
}

enum err rpc_server_listen(struct rpc_server *s, const char *address, struct tls *tls, bool reuse_port,
                           struct diag *diag)
{
    enum { BACKLOG = 1024 };
    assert(!s->listener);
    s->tls = tls;
    struct listen_options o = {.address = address,
                               .tls = tls,
                               .reuse_port = reuse_port,
                               .backlog = BACKLOG,
                               .congestion = s->options.congestion,
                               .on_accept = on_accept,
                               .context = s};
    return listener_open(s->loop, &o, diag, &s->listener);
}

const char *rpc_server_address(const struct rpc_server *s)
{
    return listener_address(s->listener);
}

static void free_endpoints(struct rpc_server *s)
{
    void *row;
    for (uint32_t at = 0; map_next(&s->endpoints, &at, NULL, &row);)
        mem_free(row);
    map_fini(&s->endpoints);
}

void rpc_server_free(struct rpc_server *s)
{
    if (!s)
        return;
    assert(!s->connections && !s->calls);
    if (s->listener)
        listener_close(s->listener);
    timer_stop(s->loop, &s->sweep);
    timer_stop(s->loop, &s->drain_timer);
    h2_server_fini(s);
    free_endpoints(s);
    gzip_fini(&s->gzip);
    buf_fini(&s->encoded);
    buf_fini(&s->scratch);
    batch_fini(&s->output);
    mem_free(s);
}

const struct rpc_server_stats *rpc_server_stats(const struct rpc_server *s)
{
    return &s->stats;
}
