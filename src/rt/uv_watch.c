/* Descriptors of libraries, by uv_poll. The struct lives until libuv has let go of its handle. */
#include "base/mem.h"
#include "rt/uv.h"
#include "rt/watch.h"

struct watch {
    uv_poll_t poll;
    struct loop *loop;
    int wanted; /* what libuv waits for: telling it anew costs system calls */
    void (*ready)(void *context, unsigned events);
    void *context;
};

enum err watch_new(struct loop *l, int fd, void (*ready)(void *context, unsigned events), void *context,
                   struct watch **ret_watch)
{
    if (l->backend != &uv_backend)
        return ERR_UNIMPLEMENTED;
    struct watch *w = mem_zalloc(sizeof *w);
    if (!w)
        return ERR_NOMEM;
    if (uv_poll_init(&uv_backend_of(l)->uv, &w->poll, fd) != 0) {
        mem_free(w);
        return ERR_INTERNAL;
    }
    w->poll.data = w;
    w->loop = l;
    w->ready = ready;
    w->context = context;
    l->sockets++;
    *ret_watch = w;
    return OK;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct loop *l = w->loop;
    unsigned happened = (events & UV_READABLE ? WATCH_READ : 0) | (events & UV_WRITABLE ? WATCH_WRITE : 0);
    if (status < 0) { /* libuv has stopped to watch */
        w->wanted = 0;
        happened = WATCH_READ | WATCH_WRITE;
    }
    loop_awake(l);
    w->ready(w->context, happened);
    loop_settle(l);
}

void watch_set(struct watch *w, unsigned events)
{
    int wanted = (events & WATCH_READ ? UV_READABLE : 0) | (events & WATCH_WRITE ? UV_WRITABLE : 0);
    if (w->wanted == wanted)
        return;
    w->wanted = wanted;
    if (wanted)
        uv_poll_start(&w->poll, wanted, on_ready);
    else
        uv_poll_stop(&w->poll);
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    w->loop->sockets--;
    uv_close((uv_handle_t *)&w->poll, on_closed);
}
