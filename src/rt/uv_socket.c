/* Sockets of the machine: descriptors that do not block, readiness by uv_poll. How they come about: uv_listen.c, uv_connect.c.
 *
 * Invariant: the struct lives until libuv has let go of the poll handle and of the name request. */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/uv.h"

static void on_poll(uv_poll_t *, int status, int events);

void uv_socket_watch(struct socket *base, unsigned events)
{
    struct uv_socket *s = uv_socket_of(base);
    int wanted = (events & SOCKET_READABLE ? UV_READABLE : 0) | (events & SOCKET_WRITABLE ? UV_WRITABLE : 0) |
                 ((events & SOCKET_LOST) && !s->half_closed ? UV_DISCONNECT : 0);
    if (!s->polled || s->connecting || s->watched == wanted)
        return;
    s->watched = wanted;
    if (wanted)
        uv_poll_start(&s->poll, wanted, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* The peer closed its side alone, which would be reported for ever. */
static void note_half_closed(struct uv_socket *s)
{
    s->half_closed = true;
    s->watched &= ~UV_DISCONNECT;
    if (s->watched)
        uv_poll_start(&s->poll, s->watched, on_poll);
    else
        uv_poll_stop(&s->poll);
}

int uv_socket_error(const struct uv_socket *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct uv_socket *s = poll->data;
    struct loop *l = s->base.loop;
    unsigned happened = (events & UV_READABLE ? SOCKET_READABLE : 0) | (events & UV_WRITABLE ? SOCKET_WRITABLE : 0);
    if (status < 0) { /* libuv has stopped to watch; reading or writing tells what it is */
        s->watched = 0;
        happened = SOCKET_READABLE | SOCKET_WRITABLE | SOCKET_LOST;
    }
    if ((events & UV_DISCONNECT) && uv_socket_error(s))
        happened |= SOCKET_LOST;
    else if (events & UV_DISCONNECT)
        note_half_closed(s);
    if (!happened)
        return;
    loop_awake(l);
    s->base.ready(&s->base, happened);
    loop_settle(l);
}

void uv_socket_free(struct uv_socket *s)
{
    if (s->addresses)
        uv_freeaddrinfo(s->addresses);
    mem_free(s->unlink_path);
    mem_free(s);
}

static void on_poll_closed(uv_handle_t *h)
{
    uv_socket_free(h->data);
}

struct uv_socket *uv_socket_new(struct loop *l)
{
    struct uv_socket *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->base.loop = l;
    s->fd = -1;
    l->sockets++;
    return s;
}

bool uv_socket_adopt(struct uv_socket *s, int fd)
{
    if (uv_poll_init_socket(&uv_backend_of(s->base.loop)->uv, &s->poll, fd) != 0) {
        close(fd);
        return false;
    }
    s->fd = fd;
    s->polled = true;
    s->poll.data = s;
    return true;
}

/* Frees now, or lets the callback do it that libuv owes us. */
static void let_go(struct uv_socket *s)
{
    if (s->resolving)
        uv_cancel((uv_req_t *)&s->names); /* on_names */
    else if (!s->polled)
        uv_socket_free(s);
    else if (!uv_is_closing((uv_handle_t *)&s->poll))
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    /* else drop_fd */
}

void uv_socket_close(struct socket *base, bool reset)
{
    struct uv_socket *s = uv_socket_of(base);
    struct linger drop = {.l_onoff = 1, .l_linger = 0};
    s->closed = true;
    base->loop->sockets--;
    if (s->polled && !uv_is_closing((uv_handle_t *)&s->poll))
        uv_poll_stop(&s->poll);
    if (s->unlink_path)
        unlink(s->unlink_path);
    if (s->fd >= 0) {
        if (reset)
            setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &drop, sizeof drop);
        close(s->fd);
        s->fd = -1;
    }
    let_go(s);
}

void uv_socket_shutdown(struct socket *base)
{
    shutdown(uv_socket_of(base)->fd, SHUT_WR);
}

int64_t uv_socket_read(struct socket *base, void *to, size_t size)
{
    ssize_t n;
    do {
        n = recv(uv_socket_of(base)->fd, to, size, 0);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t uv_socket_write(struct socket *base, const struct slice *parts, size_t count, bool more)
{
    enum { PARTS = 64 };
    struct iovec io[PARTS];
    size_t used = 0;
    for (; used < PARTS && used < count; used++)
        io[used] = (struct iovec){(void *)(uintptr_t)parts[used].data, parts[used].size};
    struct msghdr message = {.msg_iov = io, .msg_iovlen = used};
    ssize_t n;
    do {
        n = sendmsg(uv_socket_of(base)->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

int64_t uv_socket_send_file(struct socket *base, int fd, uint64_t offset, size_t size)
{
    off_t at = (off_t)offset;
    ssize_t n;
    do {
        n = sendfile(uv_socket_of(base)->fd, fd, &at, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

void uv_socket_set_option(int fd, int level, int option)
{
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}
