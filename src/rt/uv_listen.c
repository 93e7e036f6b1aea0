/* Listening on the machine: ports that loops of one process share, unix sockets, descriptors running out. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
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
    uv_socket_set_option(probe, SOL_SOCKET, SO_REUSEADDR);
    int error = bind(probe, a, size) == 0 ? 0 : errno;
    if (error == EADDRINUSE && is_ours(a, size))
        error = 0;
    close(probe);
    uv_socket_set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    return error;
}

/* 0, or errno. */
static int bind_and_listen(int fd, const struct sockaddr *a, socklen_t size, const struct listen_options *o)
{
    int error = 0;
    if (a->sa_family != AF_UNIX)
        uv_socket_set_option(fd, SOL_SOCKET, SO_REUSEADDR);
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
    struct uv_socket *s = uv_socket_new(l);
    if (!s) {
        close(fd);
        return ERR_NOMEM;
    }
    bool fine = uv_socket_adopt(s, fd) && (!a->local || (s->unlink_path = mem_strdup(a->host)));
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
        uv_socket_set_option(fd, IPPROTO_TCP, TCP_NODELAY);
        congestion_choose(fd, (struct sockaddr *)&peer, uv_socket_of(listener)->congestion);
    }
    struct uv_socket *s = uv_socket_new(listener->loop);
    if (!s) {
        close(fd);
        return ACCEPT_FULL;
    }
    if (!uv_socket_adopt(s, fd)) {
        uv_socket_close(&s->base, true);
        return ACCEPT_FULL;
    }
    name_of((struct sockaddr *)&peer, ret_peer);
    *ret_socket = &s->base;
    return ACCEPT_ONE;
}
