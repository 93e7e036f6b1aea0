/* The loop of the machine: libuv waits, we do the rest. One uv_timer carries all timers, one uv_async all messages. */
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/uv.h"

struct uv_signal_entry {
    uv_signal_t handle;
    void (*fn)(void *context, int signal);
    void *context;
    struct uv_signal_entry *next;
};

static void on_woken(uv_async_t *a)
{
    (void)a; /* the turn looks into the mailbox */
}

static void on_alarm(uv_timer_t *t)
{
    (void)t; /* the turn looks at its timers */
}

static void ignore_close(uv_handle_t *h)
{
    (void)h;
}

static void fini_uv(struct uv_backend_loop *b)
{
    uv_run(&b->uv, UV_RUN_DEFAULT); /* close callbacks */
    int left = uv_loop_close(&b->uv);
    assert(left == 0);
    (void)left;
}

static enum err init_uv(struct uv_backend_loop *b)
{
    if (uv_loop_init(&b->uv) != 0)
        return ERR_NOMEM;
    uv_timer_init(&b->uv, &b->alarm);
    if (uv_async_init(&b->uv, &b->woken, on_woken) != 0) {
        uv_close((uv_handle_t *)&b->alarm, ignore_close);
        fini_uv(b);
        return ERR_NOMEM;
    }
    return OK;
}

static enum err make(const struct env *env, struct loop **ret_loop)
{
    (void)env;
    struct uv_backend_loop *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NOMEM;
    enum err e = init_uv(b);
    if (e) {
        mem_free(b);
        return e;
    }
    b->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    *ret_loop = &b->loop;
    return OK;
}

static void free_signal(uv_handle_t *h)
{
    mem_free((char *)h - offsetof(struct uv_signal_entry, handle));
}

static void uv_free(struct loop *l)
{
    struct uv_backend_loop *b = uv_backend_of(l);
    for (struct uv_signal_entry *s = b->signals, *next; s; s = next) {
        next = s->next;
        uv_close((uv_handle_t *)&s->handle, free_signal);
    }
    uv_close((uv_handle_t *)&b->woken, ignore_close);
    uv_close((uv_handle_t *)&b->alarm, ignore_close);
    fini_uv(b);
    if (b->reserve_fd >= 0)
        close(b->reserve_fd);
    mem_free(b);
}

/* An alarm that rings too early costs a turn; one that rings too late would cost a deadline. */
static void set_alarm(struct uv_backend_loop *b, uint64_t timeout_ns)
{
    enum { MS_NS = 1000000 };
    if (timeout_ns == UINT64_MAX) {
        uv_timer_stop(&b->alarm);
        return;
    }
    uint64_t due_ms = (b->loop.now_ns + timeout_ns + MS_NS - 1) / MS_NS;
    if (uv_is_active((uv_handle_t *)&b->alarm) && b->alarm_ms == due_ms)
        return;
    b->alarm_ms = due_ms;
    uv_update_time(&b->uv);
    uv_timer_start(&b->alarm, on_alarm, (timeout_ns + MS_NS - 1) / MS_NS, 0);
}

static void poll_uv(struct loop *l, uint64_t timeout_ns)
{
    struct uv_backend_loop *b = uv_backend_of(l);
    if (timeout_ns)
        set_alarm(b, timeout_ns);
    uv_run(&b->uv, timeout_ns ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static void wake(struct loop *l)
{
    uv_async_send(&uv_backend_of(l)->woken);
}

static void on_signal_uv(uv_signal_t *handle, int number)
{
    struct uv_signal_entry *s = handle->data;
    struct loop *l = handle->loop->data;
    loop_awake(l);
    s->fn(s->context, number);
    loop_settle(l);
}

static struct uv_signal_entry *find_signal(struct uv_backend_loop *b, int number)
{
    struct uv_signal_entry *s = b->signals;
    while (s && s->handle.signum != number)
        s = s->next;
    return s;
}

static struct uv_signal_entry *add_signal(struct uv_backend_loop *b, int number)
{
    struct uv_signal_entry *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    if (uv_signal_init(&b->uv, &s->handle) != 0) {
        mem_free(s);
        return NULL;
    }
    s->handle.data = s;
    if (uv_signal_start(&s->handle, on_signal_uv, number) != 0) {
        uv_close((uv_handle_t *)&s->handle, free_signal);
        return NULL;
    }
    s->next = b->signals;
    b->signals = s;
    return s;
}

static enum err on_signal(struct loop *l, int number, void (*fn)(void *, int), void *context)
{
    struct uv_backend_loop *b = uv_backend_of(l);
    b->uv.data = l;
    struct uv_signal_entry *s = find_signal(b, number);
    if (!s)
        s = add_signal(b, number);
    if (!s)
        return ERR_NOMEM;
    s->fn = fn;
    s->context = context;
    return OK;
}

const struct loop_backend uv_backend = {
    .make = make,
    .free = uv_free,
    .poll = poll_uv,
    .wake = wake,
    .on_signal = on_signal,
    .submit = pool_enqueue,
    .listen = uv_socket_listen,
    .accept = uv_socket_accept,
    .connect = uv_socket_connect,
    .connected = uv_socket_connected,
    .read = uv_socket_read,
    .write = uv_socket_write,
    .send_file = uv_socket_send_file,
    .watch = uv_socket_watch,
    .shutdown = uv_socket_shutdown,
    .close = uv_socket_close,
};
