/* What the files of src/rt know of each other. Private.
 *
 * Loops, timers, tasks, connections, listeners and TLS are written once (loop.c, conn.c, listener.c, tls*.c), against struct
 * loop_backend: clocks that move, sockets that do not block. uv_loop.c and uv_socket.c make it of libuv; sim/ of a fake clock
 * and pipes in memory. So the twin runs the very code that the machine runs. Thread: the loop's, but for wake. */
#ifndef PRISM_RT_INTERNAL_H
#define PRISM_RT_INTERNAL_H

#include <stdatomic.h>

#include "base/diag.h"
#include "base/wheel.h"
#include "rt/address.h"
#include "rt/conn.h"
#include "rt/spin.h"

/* LOST: the peer has reset the connection; seen also by who does not read. A peer that only closed its side is not lost. */
enum { SOCKET_READABLE = 1, SOCKET_WRITABLE = 2, SOCKET_LOST = 4 };

/* A stream socket, connected, connecting or listening. The backend's part lies behind it. */
struct socket {
    struct loop *loop;
    void (*ready)(struct socket *, unsigned events); /* level-triggered; called by the backend from its poll */
    void *user;
};

enum accept_result {
    ACCEPT_ONE,
    ACCEPT_NONE,  /* nobody waits */
    ACCEPT_AGAIN, /* that one was lost before we took it; there may be more */
    ACCEPT_FULL,  /* out of descriptors or memory: pause */
};

struct loop_backend {
    /* A zeroed loop with the backend's part; loop.c fills in the rest before anything else is called. */
    enum err (*make)(const struct env *, struct loop **ret_loop);
    void (*free)(struct loop *); /* no sockets are left */
    /* Calls what is ready, through loop_awake before and loop_settle after each; waits at most timeout_ns for the first
     * (UINT64_MAX: without end; returns all the same where nothing can happen any more). */
    void (*poll)(struct loop *, uint64_t timeout_ns);
    void (*wake)(struct loop *); /* thread: any; ends the wait of the running or the next poll */
    enum err (*on_signal)(struct loop *, int signal, void (*fn)(void *, int), void *context);
    void (*submit)(struct pool *, struct work *);

    /* ret_name: the address with the real port. */
    enum err (*listen)(struct loop *, const struct address *, const struct listen_options *, struct diag *,
                       char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
    enum accept_result (*accept)(struct socket *listener, char ret_peer[ADDRESS_TEXT_BYTES],
                                 struct socket **ret_socket);
    /* Starts; ready(WRITABLE) tells that the outcome is known, and connected tells which. watch does nothing until then. */
    enum err (*connect)(struct loop *, const struct address *, struct diag *, struct socket **ret_socket);
    enum err (*connected)(struct socket *, struct diag *);
    /* Bytes; 0 at the end of the stream; -errno, of which -EAGAIN means later. */
    int64_t (*read)(struct socket *, void *to, size_t size);
    /* more: what follows comes at once, so that a packet may wait for it. */
    int64_t (*write)(struct socket *, const struct slice *parts, size_t count, bool more);
    /* A range of a file, without a copy. -EINVAL, -ENOSYS: this pair cannot; 0: the file is shorter. */
    int64_t (*send_file)(struct socket *, int fd, uint64_t offset, size_t size);
    void (*watch)(struct socket *, unsigned events);
    void (*shutdown)(struct socket *); /* no more bytes from us */
    /* The socket is gone for its user at once. reset: drops what the kernel still holds. */
    void (*close)(struct socket *, bool reset);
};

struct task_queue {
    struct task *first, **last;
};

struct loop {
    const struct env *env;
    const struct loop_backend *backend;
    unsigned id;
    bool awake; /* now_ns is of this turn */
    uint64_t now_ns;
    int64_t realtime_ms;
    struct wheel timers; /* ticks are milliseconds */
    struct spin spin;
    struct task_queue deferred;
    _Atomic(struct task *) mailbox; /* newest first */
    atomic_uint posting;            /* threads inside loop_post, which touch the loop after their task may have run */
    atomic_bool stopped;
    uint32_t sockets; /* open ones, and connections that have not reported their end */
    uint32_t works;   /* in a pool */
    struct conn *conns;
    struct block *input; /* what sockets are read into; NULL: none yet */
    uint32_t input_fill; /* bytes of it that somebody may have kept */
};

/* For backends: before and after a callback. */
void loop_awake(struct loop *);
void loop_settle(struct loop *);
/* A work has been run: its done is called on its loop. Thread: any. */
void work_finished(struct work *);
/* For pools: the real way to run work. */
void pool_enqueue(struct pool *, struct work *);

extern const struct loop_backend uv_backend;
extern const struct env_disk real_disk;

/* A connection over an accepted socket. Takes the socket over, also on failure. */
enum err conn_accept(struct loop *, struct socket *, const char *peer, struct tls *,
                     bool (*on_accept)(void *, struct conn *, const struct conn_events **, void **), void *context);
/* Frees those that only wait for the peer's goodbye. */
void conn_end_lingering(struct loop *);

/* Room to read into: at least min bytes. NULL: out of memory. The bytes are given out by loop_input_take, after which
 * loop_input_done tells whether somebody has kept them. */
uint8_t *loop_input_room(struct loop *, uint32_t min, uint32_t *ret_size);
void loop_input_done(struct loop *, uint32_t size);

#endif
