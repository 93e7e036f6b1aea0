/* Sockets of the machine: descriptors that do not block, readiness by uv_poll, names by uv_getaddrinfo (libuv's pool).
 *
 *   connect:  resolving ──▶ trying address 1 ──failed──▶ trying address 2 … ──▶ decided (ready WRITABLE; connected tells)
 *
 * Invariant: the struct lives until libuv has let go of the poll handle and of the name request. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/limits.h"
#include "base/mem.h"
#include "rt/congestion.h"
#include "rt/uv.h"

struct uv_socket {
    struct socket base; /* first */
    uv_poll_t poll;
    int fd;
    bool polled;      /* poll is initialized */
    bool closed;      /* by the user */
    bool resolving;   /* names is libuv's */
    bool connecting;  /* the outcome is not known */
    bool half_closed; /* the peer's side is */
    int watched;      /* what libuv waits for: telling it anew costs system calls */
    int error;        /* of the last try: errno, or a libuv code of the resolver (negative) */
    char *unlink_path;
    const char *congestion; /* of what is accepted */
    uv_getaddrinfo_t names;
    struct addrinfo *addresses, *next_address;
};

static struct uv_socket *uv_socket_of(struct socket *s)
{
    return (struct uv_socket *)s;
}

static uv_loop_t *uv_of(struct uv_socket *s)
{
    return &uv_backend_of(s->base.loop)->uv;
}

/* ---- life ------------------------------------------------------------------------------------------------------------- */

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

static int error_of(const struct uv_socket *s)
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
    if ((events & UV_DISCONNECT) && error_of(s))
        happened |= SOCKET_LOST;
    else if (events & UV_DISCONNECT)
        note_half_closed(s);
    if (!happened)
        return;
    loop_awake(l);
    s->base.ready(&s->base, happened);
    loop_settle(l);
}

static void free_socket(struct uv_socket *s)
{
    if (s->addresses)
        uv_freeaddrinfo(s->addresses);
    mem_free(s->unlink_path);
    mem_free(s);
}

static void on_poll_closed(uv_handle_t *h)
{
    free_socket(h->data);
}

static struct uv_socket *new_socket(struct loop *l)
{
    struct uv_socket *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->base.loop = l;
    s->fd = -1;
    l->sockets++;
    return s;
}

/* Takes over fd, also on failure. */
static bool adopt(struct uv_socket *s, int fd)
{
    if (uv_poll_init_socket(uv_of(s), &s->poll, fd) != 0) {
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
        free_socket(s);
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

int64_t uv_socket_write(struct socket *base, const struct slice *parts, size_t count)
{
    enum { PARTS = 64 };
    struct iovec io[PARTS];
    size_t used = 0;
    for (; used < PARTS && used < count; used++)
        io[used] = (struct iovec){(void *)(uintptr_t)parts[used].data, parts[used].size};
    struct msghdr message = {.msg_iov = io, .msg_iovlen = used};
    ssize_t n;
    do {
        n = sendmsg(uv_socket_of(base)->fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- listening -------------------------------------------------------------------------------------------------------- */

static void set_option(int fd, int level, int option)
{
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

/* A unix socket that nobody listens on is a leftover of a process that ended badly. */
static void remove_leftover(const struct sockaddr_un *a)
{
    struct stat st;
    if (stat(a->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED)
        unlink(a->sun_path);
    close(fd);
}

static enum err cannot_listen(struct diag *d, const struct address *a, int error)
{
    char text[ADDRESS_TEXT_BYTES];
    enum err e = error == EADDRINUSE ? ERR_ADDRESS_IN_USE : error == ENOMEM ? ERR_NOMEM : ERR_ADDRESS_INVALID;
    return diag_set(d, e, "cannot listen on %s: %s", address_format(a, text), strerror(error));
}

static bool listens_at(int fd, const struct sockaddr *a, socklen_t size)
{
    struct sockaddr_storage own = {0};
    socklen_t own_size = sizeof own, flag_size = sizeof(int);
    int listening = 0;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_size) == 0 && listening &&
           getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && own_size == size && memcmp(&own, a, size) == 0;
}

/* Whether a socket of this process listens there. At the start of a program: looks at all descriptors. */
static bool is_ours(const struct sockaddr *a, socklen_t size)
{
    DIR *fds = opendir("/proc/self/fd");
    bool found = false;
    for (const struct dirent *d; fds && !found && (d = readdir(fds));)
        found = *d->d_name != '.' && listens_at(atoi(d->d_name), a, size);
    if (fds)
        closedir(fds);
    return found;
}

/* Sharing a port is for the loops of one process. Another process that shares it, too, would take a part of our connections,
 * and nobody would be told: so the port must be ours already, or free. 0, or errno. */
static int may_share(int fd, const struct sockaddr *a, socklen_t size)
{
    int probe = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0)
        return errno;
    set_option(probe, SOL_SOCKET, SO_REUSEADDR);
    int error = bind(probe, a, size) == 0 ? 0 : errno;
    if (error == EADDRINUSE && is_ours(a, size))
        error = 0;
    close(probe);
    set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    return error;
}

/* 0, or errno. */
static int bind_and_listen(int fd, const struct sockaddr *a, socklen_t size, const struct listen_options *o)
{
    int error = 0;
    if (a->sa_family != AF_UNIX)
        set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (o->reuse_port && a->sa_family != AF_UNIX)
        error = may_share(fd, a, size);
    if (!error && (bind(fd, a, size) != 0 || listen(fd, o->backlog > 0 ? o->backlog : LIMIT_LISTEN_BACKLOG) != 0))
        error = errno;
    return error;
}

/* Descriptor, or -errno. */
static int bind_fd(const struct sockaddr *a, socklen_t size, const struct listen_options *o)
{
    int fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int error = bind_and_listen(fd, a, size, o);
    if (error == 0)
        return fd;
    close(fd);
    return -error;
}

static int bind_local(const struct address *a, const struct listen_options *o)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%.*s", (int)sizeof un.sun_path - 1, a->host);
    remove_leftover(&un);
    return bind_fd((struct sockaddr *)&un, sizeof un, o);
}

/* The first address that can be bound. */
static int bind_first(const struct addrinfo *a, const struct listen_options *o)
{
    int fd = -EADDRNOTAVAIL;
    for (; a && fd < 0; a = a->ai_next)
        fd = bind_fd(a->ai_addr, a->ai_addrlen, o);
    return fd;
}

/* Blocking, at the start of a program: literals, localhost, and what /etc/hosts or DNS say. */
static enum err bind_any(const struct address *a, const struct listen_options *o, struct diag *d, int *ret_fd)
{
    char port[8], text[ADDRESS_TEXT_BYTES];
    snprintf(port, sizeof port, "%u", a->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    int code = a->local ? 0 : getaddrinfo(a->host, port, &hints, &found);
    if (code)
        return diag_set(d, ERR_ADDRESS_INVALID, "cannot listen on %s: %s", address_format(a, text), gai_strerror(code));
    int fd = a->local ? bind_local(a, o) : bind_first(found, o);
    if (found)
        freeaddrinfo(found);
    if (fd < 0)
        return cannot_listen(d, a, -fd);
    *ret_fd = fd;
    return OK;
}

static void name_of(const struct sockaddr *sa, char out[ADDRESS_TEXT_BYTES])
{
    struct address a = {0};
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &in->sin_addr, a.host, sizeof a.host);
        a.port = ntohs(in->sin_port);
    } else if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)sa;
        inet_ntop(AF_INET6, &in->sin6_addr, a.host, sizeof a.host);
        a.port = ntohs(in->sin6_port);
    } else {
        snprintf(out, ADDRESS_TEXT_BYTES, "unix:");
        return;
    }
    address_format(&a, out);
}

/* Takes over fd, also on failure. */
static enum err listener_socket(struct loop *l, int fd, const struct address *a, struct socket **ret_socket)
{
    struct uv_socket *s = new_socket(l);
    if (!s) {
        close(fd);
        return ERR_NOMEM;
    }
    bool fine = adopt(s, fd) && (!a->local || (s->unlink_path = mem_strdup(a->host)));
    if (!fine) {
        uv_socket_close(&s->base, false);
        return ERR_NOMEM;
    }
    *ret_socket = &s->base;
    return OK;
}

enum err uv_socket_listen(struct loop *l, const struct address *a, const struct listen_options *o, struct diag *d,
                          char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket)
{
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;
    int fd = -1;
    enum err e = bind_any(a, o, d, &fd);
    if (e)
        return e;
    getsockname(fd, (struct sockaddr *)&own, &size);
    e = listener_socket(l, fd, a, ret_socket);
    if (e)
        return e;
    uv_socket_of(*ret_socket)->congestion = o->congestion;
    if (a->local)
        address_format(a, ret_name);
    else
        name_of((struct sockaddr *)&own, ret_name);
    return OK;
}

/* There is no descriptor left: with the one in reserve the oldest waiting connection is taken and closed, so that its peer
 * learns of it instead of waiting. */
static void refuse_one(struct uv_backend_loop *b, int listener_fd)
{
    if (b->reserve_fd < 0)
        return;
    close(b->reserve_fd);
    int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    b->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static enum accept_result accept_failed(struct uv_socket *listener, int error)
{
    switch (error) {
    case EAGAIN:
        return ACCEPT_NONE;
    case EMFILE:
    case ENFILE:
        refuse_one(uv_backend_of(listener->base.loop), listener->fd);
        return ACCEPT_FULL;
    case ENOMEM:
    case ENOBUFS:
        return ACCEPT_FULL;
    default:
        return ACCEPT_AGAIN;
    }
}

/* Descriptor, or -1 with errno. The machine's own table being full (ENFILE) cannot be brought about without harming others:
 * a fault point stands for it. */
static int accept_next(int listener_fd, struct sockaddr_storage *ret_peer)
{
    socklen_t size = sizeof *ret_peer;
    if (FAULT("rt.accept.enfile")) {
        errno = ENFILE;
        return -1;
    }
    return accept4(listener_fd, (struct sockaddr *)ret_peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

enum accept_result uv_socket_accept(struct socket *listener, char ret_peer[ADDRESS_TEXT_BYTES],
                                    struct socket **ret_socket)
{
    struct sockaddr_storage peer = {0};
    int fd = accept_next(uv_socket_of(listener)->fd, &peer);
    if (fd < 0)
        return accept_failed(uv_socket_of(listener), errno);
    if (peer.ss_family != AF_UNIX) {
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
        congestion_choose(fd, (struct sockaddr *)&peer, uv_socket_of(listener)->congestion);
    }
    struct uv_socket *s = new_socket(listener->loop);
    if (!s) {
        close(fd);
        return ACCEPT_FULL;
    }
    if (!adopt(s, fd)) {
        uv_socket_close(&s->base, true);
        return ACCEPT_FULL;
    }
    name_of((struct sockaddr *)&peer, ret_peer);
    *ret_socket = &s->base;
    return ACCEPT_ONE;
}

/* ---- connecting ------------------------------------------------------------------------------------------------------- */

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
        free_socket(s);
    else
        try_next(s);
}

static void on_tried(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct uv_socket *s = poll->data;
    int error = error_of(s);
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
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (connect(fd, a, size) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    if (!adopt(s, fd))
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
        free_socket(s);
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
    struct uv_socket *s = new_socket(l);
    if (!s)
        return ERR_NOMEM;
    enum err e;
    char port[8];
    snprintf(port, sizeof port, "%u", a->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    if (a->local)
        e = connect_local(s, a, d);
    else
        e = uv_getaddrinfo(uv_of(s), &s->names, on_names, a->host, port, &hints) == 0 ? OK : ERR_NOMEM;
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
