/* What uv_loop.c, uv_socket.c, uv_listen.c and uv_connect.c know of each other. Private to them. */
#ifndef PRISM_RT_UV_H
#define PRISM_RT_UV_H

#include <uv.h>

#include "rt/internal.h"

struct uv_signal_entry;

struct uv_backend_loop {
    struct loop loop; /* first */
    uv_loop_t uv;
    uv_async_t woken;
    uv_timer_t alarm; /* ends the wait of a poll when the next timer is due */
    uint64_t alarm_ms;
    struct uv_signal_entry *signals;
    int reserve_fd; /* given up for a moment to refuse a connection when there are no others */
};

static inline struct uv_backend_loop *uv_backend_of(struct loop *l)
{
    return (struct uv_backend_loop *)l;
}

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

static inline struct uv_socket *uv_socket_of(struct socket *s)
{
    return (struct uv_socket *)s;
}

/* Of the loop, without a descriptor. NULL: out of memory. */
struct uv_socket *uv_socket_new(struct loop *);
/* Takes over fd, also on failure. */
bool uv_socket_adopt(struct uv_socket *, int fd);
void uv_socket_free(struct uv_socket *);
int uv_socket_error(const struct uv_socket *); /* SO_ERROR, which this clears */
void uv_socket_set_option(int fd, int level, int option);

/* uv_listen.c */
enum err uv_socket_listen(struct loop *, const struct address *, const struct listen_options *, struct diag *,
                          char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
enum accept_result uv_socket_accept(struct socket *, char ret_peer[ADDRESS_TEXT_BYTES], struct socket **ret_socket);

/* uv_connect.c */
enum err uv_socket_connect(struct loop *, const struct address *, struct diag *, struct socket **ret_socket);
enum err uv_socket_connected(struct socket *, struct diag *);

/* uv_socket.c */
int64_t uv_socket_read(struct socket *, void *to, size_t size);
int64_t uv_socket_write(struct socket *, const struct slice *parts, size_t count, bool more);
int64_t uv_socket_send_file(struct socket *, int fd, uint64_t offset, size_t size);
void uv_socket_watch(struct socket *, unsigned events);
void uv_socket_shutdown(struct socket *);
void uv_socket_close(struct socket *, bool reset);

#endif
