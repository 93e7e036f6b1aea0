/* What the files of rt/sim know of each other. Private. */
#ifndef PRISM_RT_SIM_INTERNAL_H
#define PRISM_RT_SIM_INTERNAL_H

#include "rt/internal.h"
#include "rt/sim/sim.h"

struct sim_node;
struct sim_disk;
struct sim_socket;
enum { SIM_SIGNALS = 8 };

struct sim {
    struct env env; /* first: an env is its sim */
    uint64_t now_ns;
    uint64_t random;
    uint64_t delay_min_ns, delay_max_ns;
    uint16_t next_port;
    struct sim_loop *loops;
    struct sim_disk *drive;
};

struct sim_signal_entry {
    int signal; /* 0: free */
    bool due;
    void (*fn)(void *context, int signal);
    void *context;
};

struct sim_loop {
    struct loop loop; /* first */
    struct sim *sim;
    struct sim_loop *next; /* of sim->loops */
    struct sim_socket *sockets;
    struct work *works, **works_last;
    struct sim_signal_entry signals[SIM_SIGNALS];
};

extern const struct loop_backend sim_backend;
extern const struct env_disk sim_disk;

static inline struct sim *sim_of(const struct env *env)
{
    return (struct sim *)(uintptr_t)env;
}

uint64_t sim_delay(struct sim *);

/* net.c */
enum err sim_net_listen(struct loop *, const struct address *, const struct listen_options *, struct diag *,
                        char ret_name[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
enum accept_result sim_net_accept(struct socket *, char ret_peer[ADDRESS_TEXT_BYTES], struct socket **ret_socket);
enum err sim_net_connect(struct loop *, const struct address *, struct diag *, struct socket **ret_socket);
enum err sim_net_connected(struct socket *, struct diag *);
int64_t sim_net_read(struct socket *, void *to, size_t size);
int64_t sim_net_write(struct socket *, const struct slice *parts, size_t count, bool more);
int64_t sim_net_send_file(struct socket *, int fd, uint64_t offset, size_t size);
void sim_net_watch(struct socket *, unsigned events);
void sim_net_shutdown(struct socket *);
void sim_net_close(struct socket *, bool reset);
/* Calls those of the loop that are ready. Whether there was one. */
bool sim_net_dispatch(struct sim_loop *);
void sim_net_free_closed(struct sim_loop *);
/* When the next thing happens on a socket of the loop that watches for it; UINT64_MAX: never. */
uint64_t sim_net_next(const struct sim_loop *);

/* disk.c */
enum err sim_disk_init(struct sim *);
void sim_disk_fini(struct sim *);

#endif
