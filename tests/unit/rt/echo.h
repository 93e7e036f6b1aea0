/* A server that says back what it hears and a client that counts, on any environment. For the tests of rt. */
#ifndef PRISM_TESTS_ECHO_H
#define PRISM_TESTS_ECHO_H

#include <stdio.h>
#include <stdlib.h>

#include "../harness.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rt/conn.h"

struct echo {
    struct loop *loop;
    struct listener *listener;
    struct tls *server_tls, *client_tls;
    struct conn *server, *client; /* NULL: not there, or gone */
    /* What happened. */
    int accepted, opened, server_closed, client_closed, drained, eofs;
    enum err client_err, server_err;
    char client_reason[256], identity[128], alpn[16];
    uint64_t echoed, received; /* bytes; received ones follow the pattern */
    bool bad_pattern;
    bool refuse;      /* accept nobody */
    bool close_early; /* the server closes after the first bytes, without reading on */
    bool silent;      /* the server does not answer */
    bool keep_open;   /* the server does not close at the end of the client's bytes */
    struct block *kept;
};

static inline uint8_t echo_pattern(uint64_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

static inline void echo_server_open(void *context, struct conn *c)
{
    struct echo *e = context;
    const char *identity = conn_peer_identity(c);
    snprintf(e->identity, sizeof e->identity, "%s", identity ? identity : "");
}

static inline void echo_server_data(void *context, struct conn *c, struct block *b, struct slice data)
{
    struct echo *e = context;
    (void)b;
    e->echoed += data.size;
    if (!e->silent)
        conn_write(c, &data, 1);
    if (e->close_early)
        conn_close(c);
    else if (conn_queued_bytes(c) > LIMIT_OUTPUT_QUEUE_BYTES)
        conn_read(c, false);
}

static inline void echo_server_drained(void *context, struct conn *c)
{
    struct echo *e = context;
    e->drained++;
    conn_read(c, true);
}

static inline void echo_server_eof(void *context, struct conn *c)
{
    struct echo *e = context;
    e->eofs++;
    if (!e->keep_open)
        conn_close(c);
}

static inline void echo_server_closed(void *context, struct conn *c, enum err err, const struct diag *d)
{
    struct echo *e = context;
    (void)c;
    (void)d;
    e->server = NULL;
    e->server_err = err;
    e->server_closed++;
}

static inline void echo_client_open(void *context, struct conn *c)
{
    struct echo *e = context;
    e->opened++;
    snprintf(e->alpn, sizeof e->alpn, "%s", conn_alpn(c));
}

static inline void echo_client_data(void *context, struct conn *c, struct block *b, struct slice data)
{
    struct echo *e = context;
    (void)c;
    for (size_t i = 0; i < data.size; i++)
        e->bad_pattern |= data.data[i] != echo_pattern(e->received + i);
    e->received += data.size;
    if (!e->kept)
        e->kept = block_ref(b);
}

static inline void echo_client_closed(void *context, struct conn *c, enum err err, const struct diag *d)
{
    struct echo *e = context;
    (void)c;
    e->client = NULL;
    e->client_err = err;
    e->client_closed++;
    snprintf(e->client_reason, sizeof e->client_reason, "%s", d ? diag_message(d) : "");
}

static inline bool echo_accept(void *context, struct conn *c, const struct conn_events **ret_events, void **ret_context)
{
    static const struct conn_events events = {.on_open = echo_server_open,
                                              .on_data = echo_server_data,
                                              .on_drained = echo_server_drained,
                                              .on_eof = echo_server_eof,
                                              .on_closed = echo_server_closed};
    struct echo *e = context;
    e->accepted++;
    if (e->refuse)
        return false;
    e->server = c;
    *ret_events = &events;
    *ret_context = e;
    return true;
}

static inline enum err echo_listen(struct echo *e, const char *address)
{
    struct listen_options o = {.address = address, .tls = e->server_tls, .on_accept = echo_accept, .context = e};
    return listener_open(e->loop, &o, NULL, &e->listener);
}

static inline enum err echo_dial(struct echo *e, const char *address)
{
    static const struct conn_events events = {
        .on_open = echo_client_open, .on_data = echo_client_data, .on_closed = echo_client_closed};
    return conn_open(e->loop, address, e->client_tls, "localhost", 2000, &events, e, NULL, &e->client);
}

/* Turns the loop until the condition holds; a test that waits for ever is ended by the alarm of its runner. */
#define UNTIL(e, condition)                                                                                            \
    while (!(condition) && loop_turn((e)->loop, true)) {                                                               \
    }

static inline void echo_send(struct echo *e, uint64_t from, size_t size)
{
    uint8_t *bytes = malloc(size);
    for (size_t i = 0; i < size; i++)
        bytes[i] = echo_pattern(from + i);
    struct slice parts[] = {slice_of(bytes, size / 3), slice_of(bytes + size / 3, size - size / 3)};
    if (e->client)
        conn_write(e->client, parts, 2);
    free(bytes);
}

static inline void echo_end(struct echo *e)
{
    if (e->client)
        conn_abort(e->client);
    if (e->server)
        conn_abort(e->server);
    listener_close(e->listener);
    block_unref(e->kept);
    while (e->loop && loop_turn(e->loop, false) && (e->client || e->server)) {
    }
    loop_free(e->loop); /* NULL is fine */
    tls_unref(e->server_tls);
    tls_unref(e->client_tls);
}

#endif
