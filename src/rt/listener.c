/* Accepts connections, a batch a turn, and pauses when there is no descriptor or no memory for them.
 *
 *   listening ──no descriptor──▶ paused ──100 ms──▶ listening            listener_close: freed after the current callback */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "rt/internal.h"

struct listener {
    struct loop *loop;
    struct socket *socket; /* NULL: closed */
    struct tls *tls;
    bool (*on_accept)(void *context, struct conn *, const struct conn_events **, void **);
    void *context;
    struct timer pause;
    struct task release;
    char name[ADDRESS_TEXT_BYTES];
};

static void pause_accepting(struct listener *r)
{
    r->loop->backend->watch(r->socket, 0);
    timer_start(r->loop, &r->pause, r->loop->now_ns + (uint64_t)LIMIT_ACCEPT_PAUSE_MS * 1000000);
}

static void on_pause_over(struct timer *t)
{
    struct listener *r = (struct listener *)((char *)t - offsetof(struct listener, pause));
    r->loop->backend->watch(r->socket, SOCKET_READABLE);
}

/* Whether to go on. */
static bool accept_one(struct listener *r)
{
    char peer[ADDRESS_TEXT_BYTES];
    struct socket *socket;
    switch (r->loop->backend->accept(r->socket, peer, &socket)) {
    case ACCEPT_NONE:
        return false;
    case ACCEPT_AGAIN:
        return true;
    case ACCEPT_ONE:
        if (conn_accept(r->loop, socket, peer, r->tls, r->on_accept, r->context) == OK)
            return true;
        /* fallthrough */
    case ACCEPT_FULL:
    default:
        pause_accepting(r);
        return false;
    }
}

static void on_ready(struct socket *socket, unsigned events)
{
    (void)events;
    struct listener *r = socket->user;
    for (int i = 0; i < LIMIT_ACCEPT_BATCH && r->socket; i++)
        if (!accept_one(r))
            return;
}

static void release(struct task *t)
{
    struct listener *r = (struct listener *)((char *)t - offsetof(struct listener, release));
    tls_unref(r->tls);
    mem_free(r);
}

enum err listener_open(struct loop *l, const struct listen_options *o, struct diag *d, struct listener **ret_listener)
{
    struct address a;
    enum err e = address_parse(o->address, d, &a);
    if (e)
        return e;
    struct listener *r = mem_zalloc(sizeof *r);
    if (!r)
        return ERR_NOMEM;
    e = l->backend->listen(l, &a, o, d, r->name, &r->socket);
    if (e) {
        mem_free(r);
        return e;
    }
    r->loop = l;
    r->tls = o->tls ? tls_ref(o->tls) : NULL;
    r->on_accept = o->on_accept;
    r->context = o->context;
    r->pause.fire = on_pause_over;
    r->release.run = release;
    r->socket->user = r;
    r->socket->ready = on_ready;
    l->backend->watch(r->socket, SOCKET_READABLE);
    *ret_listener = r;
    return OK;
}

const char *listener_address(const struct listener *r)
{
    return r->name;
}

void listener_close(struct listener *r)
{
    if (!r || !r->socket)
        return;
    timer_stop(r->loop, &r->pause);
    r->loop->backend->close(r->socket, false);
    r->socket = NULL;
    loop_defer(r->loop, &r->release);
}
