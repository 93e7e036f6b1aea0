/* Connecting on the machine: names by uv_getaddrinfo (libuv's pool), then one address after the other.
 *
 *   resolving ──▶ trying address 1 ──failed──▶ trying address 2 … ──▶ decided (ready WRITABLE; connected tells) */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "rt/uv.h"

static void try_next(struct uv_socket *s);

/* The user learns of it from a poll, never from inside connect. */
static void decided(struct uv_socket *s, int error)
{
    struct loop *l = s->base.loop;
    s->error = error;
    s->connecting = false;
    loop_awake(l);
    s->base.ready(&s->base, SOCKET_WRITABLE);
    loop_settle(l);
}

static void drop_fd(uv_handle_t *h)
{
    struct uv_socket *s = h->data;
    s->polled = false;
    if (s->closed)
        uv_socket_free(s);
    else
        try_next(s);
}

static void on_tried(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct uv_socket *s = poll->data;
    int error = uv_socket_error(s);
    uv_poll_stop(&s->poll);
    if (error == 0 || !s->next_address) {
        decided(s, error);
        return;
    }
    close(s->fd);
    s->fd = -1;
    uv_close((uv_handle_t *)&s->poll, drop_fd);
}

/* 0: under way. */
static int try_address(struct uv_socket *s, const struct sockaddr *a, socklen_t size)
{
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (a->sa_family != AF_UNIX)
        uv_socket_set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (connect(fd, a, size) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    if (!uv_socket_adopt(s, fd))
        return ENOMEM;
    uv_poll_start(&s->poll, UV_WRITABLE, on_tried);
    return 0;
}

static void try_next(struct uv_socket *s)
{
    int error = s->error ? s->error : EADDRNOTAVAIL;
    while (s->next_address) {
        struct addrinfo *a = s->next_address;
        s->next_address = a->ai_next;
        error = try_address(s, a->ai_addr, a->ai_addrlen);
        if (error == 0)
            return;
    }
    decided(s, error);
}

static void on_names(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct uv_socket *s = (struct uv_socket *)((char *)request - offsetof(struct uv_socket, names));
    s->resolving = false;
    s->addresses = s->next_address = found;
    if (s->closed)
        uv_socket_free(s);
    else if (status < 0)
        decided(s, status);
    else
        try_next(s);
}

static enum err connect_local(struct uv_socket *s, const struct address *a, struct diag *d)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%.*s", (int)sizeof un.sun_path - 1, a->host);
    int error = try_address(s, (struct sockaddr *)&un, sizeof un);
    return error == 0 ? OK : diag_set(d, error == ENOMEM ? ERR_NOMEM : ERR_CONNECT_FAILED, "%s", strerror(error));
}

enum err uv_socket_connect(struct loop *l, const struct address *a, struct diag *d, struct socket **ret_socket)
{
    struct uv_socket *s = uv_socket_new(l);
    if (!s)
        return ERR_NOMEM;
    enum err e;
    char port[8];
    snprintf(port, sizeof port, "%u", a->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    if (a->local)
        e = connect_local(s, a, d);
    else
        e = uv_getaddrinfo(&uv_backend_of(s->base.loop)->uv, &s->names, on_names, a->host, port, &hints) == 0
                ? OK
                : ERR_NOMEM;
    if (e) {
        uv_socket_close(&s->base, false);
        return e;
    }
    s->resolving = !a->local;
    s->connecting = true;
    *ret_socket = &s->base;
    return OK;
}

enum err uv_socket_connected(struct socket *base, struct diag *d)
{
    int error = uv_socket_of(base)->error;
    if (error == 0)
        return OK;
    return diag_set(d, ERR_CONNECT_FAILED, "%s", error < 0 ? uv_strerror(error) : strerror(error));
}
