/* What uv_loop.c and uv_socket.c know of each other. Private to them. */
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

enum err uv_socket_listen(struct loop *, const struct address *, const struct listen_options *, struct diag *,
                          char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
enum accept_result uv_socket_accept(struct socket *, char ret_peer[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
enum err uv_socket_connect(struct loop *, const struct address *, struct diag *, struct socket **ret_socket);
enum err uv_socket_connected(struct socket *, struct diag *);
int64_t uv_socket_read(struct socket *, void *to, size_t size);
int64_t uv_socket_write(struct socket *, const struct slice *parts, size_t count);
void uv_socket_watch(struct socket *, unsigned events);
void uv_socket_shutdown(struct socket *);
void uv_socket_close(struct socket *, bool reset);

#endif
